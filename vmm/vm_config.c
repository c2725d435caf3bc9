/* SPDX-License-Identifier: MIT */
/*
 * vmm/vm_config.c - is this what a VM can be made of?  Each refusal names the field.
 *
 * Definitions come from boot modules, clients and peers; whoever fills in a struct vm_config passes
 * it here before anything is made of it.  Called by vmm/vm.c, boot/vmdef.c, mig/hello.c.
 */
#include <string.h>

#include "lib/frame.h"
#include "lib/vlan.h"
#include "vmm/image.h"
#include "vmm/vm.h"

static enum err check_name(const char *name)
{
	size_t n = strnlen(name, VM_NAME_MAX);

	if (n == 0 || n == VM_NAME_MAX)
		return refuse(ERR_BAD_ARGUMENT, "name: it has 1 to %d characters", VM_NAME_MAX - 1);
	for (size_t i = 0; i < n; i++) {
		bool letter = name[i] >= 'a' && name[i] <= 'z';
		bool other = (name[i] >= '0' && name[i] <= '9') || name[i] == '-';
		if (!letter && (i == 0 || !other))
			return refuse(ERR_BAD_ARGUMENT,
			              "name: a letter, then letters, digits and -, all lower case");
	}
	return OK;
}

static enum err check_nics(const struct vm_config *c)
{
	if (c->nnics > VM_NICS_MAX)
		return refuse(ERR_BAD_ARGUMENT, "nics: %u are more than %d", c->nnics, VM_NICS_MAX);
	for (unsigned i = 0; i < c->nnics; i++) {
		static const uint8_t none[MAC_LEN];
		const uint8_t *mac = c->nic[i].mac;
		if ((mac[0] & 1) || !memcmp(mac, none, sizeof(none)))
			return refuse(ERR_BAD_ARGUMENT,
			              "nics[%u].mac: it must be a unicast address", i);
		if (c->nic[i].vlan > VLAN_MAX && c->nic[i].vlan != VLAN_TRUNK &&
		    c->nic[i].vlan != VLAN_OF_HOST)
			return refuse(ERR_BAD_ARGUMENT, "nics[%u].vlan: 0 to %d, not %u", i,
			              VLAN_MAX, c->nic[i].vlan);
		for (unsigned k = 0; k < i; k++)
			if (!memcmp(mac, c->nic[k].mac, MAC_LEN))
				return refuse(ERR_BAD_ARGUMENT,
				              "nics[%u].mac: the same as of nics[%u]", i, k);
	}
	return OK;
}

static enum err check_text(const char *what, const char *text, size_t size, bool needed)
{
	size_t n = strnlen(text, size);

	if (n == size)
		return refuse(ERR_BAD_ARGUMENT, "%s: longer than %zu characters", what, size - 1);
	if (needed && n == 0)
		return refuse(ERR_BAD_ARGUMENT, "%s: missing", what);
	return OK;
}

enum err vm_config_check(const struct vm_config *c)
{
	enum err e = check_name(c->name);

	if (e == OK)
		e = check_nics(c);
	if (e == OK)
		e = check_text("boot.kernel", c->kernel, sizeof(c->kernel), true);
	if (e == OK)
		e = check_text("boot.initrd", c->initrd, sizeof(c->initrd), false);
	if (e == OK)
		e = check_text("boot.cmdline", c->cmdline, sizeof(c->cmdline), false);
	if (e != OK)
		return e;
	if (c->ram_bytes < VM_RAM_MIN_BYTES || c->ram_bytes > VM_RAM_MAX_BYTES)
		return refuse(ERR_BAD_ARGUMENT, "memory: %llu MiB is not between %llu and %llu",
		              c->ram_bytes / MIB, VM_RAM_MIN_BYTES / MIB, VM_RAM_MAX_BYTES / MIB);
	if (c->cpus < 1 || c->cpus > VCPUS_MAX)
		return refuse(ERR_BAD_ARGUMENT, "cpus: %u is not between 1 and %d", c->cpus,
		              VCPUS_MAX);
	if (c->boot != BOOT_LINUX && c->boot != BOOT_MULTIBOOT)
		return refuse(ERR_BAD_ARGUMENT, "boot: neither kernel nor multiboot");
	if (c->nmodules > VM_MODULES_MAX)
		return refuse(ERR_BAD_ARGUMENT, "boot.modules: %u are more than %d", c->nmodules,
		              VM_MODULES_MAX);
	for (unsigned i = 0; i < c->nmodules && e == OK; i++)
		e = check_text("boot.modules", c->module[i], sizeof(c->module[i]), true);
	return e;
}

static enum err check_payload(const char *name)
{
	if (name[0] && !image_find(name))
		return refuse(ERR_NOT_FOUND, "there is no image \"%s\" on this node", name);
	return OK;
}

enum err vm_config_payloads(const struct vm_config *c)
{
	enum err e = check_payload(c->kernel);

	if (e == OK)
		e = check_payload(c->initrd);
	for (unsigned i = 0; i < c->nmodules && e == OK; i++)
		e = check_payload(c->module[i]);
	return e;
}
