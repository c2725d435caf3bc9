/* SPDX-License-Identifier: MIT */
/*
 * boot/vmdef.c - a VM definition (JSON) to struct vm_config; pure.
 *
 *	{"name": "demo", "memory": 96, "cpus": 1,
 *	 "boot": {"kernel": "vmlinuz", "initrd": "initrd.cpio", "cmdline": "console=ttyS0"},
 *	 "nics": [{"mac": "52:54:00:77:01:01", "vlan": 30, "any_mac": false}]}
 *
 * "cpu" is "host" (default), a level as "x86-64-v2", or {"features": ["AES"], "phys_bits": 40}.
 * Or "boot": {"multiboot": "hello.elf", "cmdline": "", "modules": ["a", "b"]}.  Memory is in MiB.
 * Definitions come from boot modules and from clients: every field is checked, unknown ones
 * refused.
 */
#include "boot/vmdef.h"

#include <string.h>

#include "lib/json.h"
#include "lib/vlan.h"

static enum err parse_kernel(const struct json_doc *d, int boot, struct vm_config *c)
{
	static const char *const known[] = { "kernel", "initrd", "cmdline", NULL };
	int initrd = json_get(d, boot, "initrd");
	enum err e = json_only(d, boot, known, "boot");

	c->boot = BOOT_LINUX;
	if (e == OK)
		e = json_get_string(d, json_get(d, boot, "kernel"), "boot.kernel", c->kernel,
		                    sizeof(c->kernel));
	if (e == OK && initrd >= 0)
		e = json_get_string(d, initrd, "boot.initrd", c->initrd, sizeof(c->initrd));
	return e;
}

static enum err parse_multiboot(const struct json_doc *d, int boot, struct vm_config *c)
{
	static const char *const known[] = { "multiboot", "cmdline", "modules", NULL };
	int modules = json_get(d, boot, "modules");
	enum err e = json_only(d, boot, known, "boot");

	c->boot = BOOT_MULTIBOOT;
	if (e == OK)
		e = json_get_string(d, json_get(d, boot, "multiboot"), "boot.multiboot", c->kernel,
		                    sizeof(c->kernel));
	if (e != OK || modules < 0)
		return e;
	if (json_type_of(d, modules) != JSON_ARRAY || json_count(d, modules) > VM_MODULES_MAX)
		return refuse(ERR_BAD_ARGUMENT, "boot.modules must be a list of at most %d names",
		              VM_MODULES_MAX);
	for (c->nmodules = 0; e == OK && c->nmodules < json_count(d, modules); c->nmodules++)
		e = json_get_string(d, json_item(d, modules, c->nmodules), "boot.modules",
		                    c->module[c->nmodules], sizeof(c->module[0]));
	return e;
}

static enum err parse_boot(const struct json_doc *d, struct vm_config *c)
{
	int boot = json_get(d, 0, "boot");

	if (boot < 0 || json_type_of(d, boot) != JSON_OBJECT)
		return refuse(ERR_BAD_ARGUMENT,
		              "boot must be an object with \"kernel\" or \"multiboot\"");
	int cmdline = json_get(d, boot, "cmdline");
	enum err e = json_get(d, boot, "multiboot") >= 0 ? parse_multiboot(d, boot, c) :
	                                                   parse_kernel(d, boot, c);
	if (e == OK && cmdline >= 0)
		e = json_get_string(d, cmdline, "boot.cmdline", c->cmdline, sizeof(c->cmdline));
	return e;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum err parse_mac(const char *text, uint8_t mac[6])
{
	for (unsigned i = 0; i < 6; i++, text += 3) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return refuse(ERR_BAD_ARGUMENT,
			              "nics: \"mac\" must look like 52:54:00:12:34:56");
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return OK;
}

/* A number, or "trunk"; without it the card goes where the host's guests are. */
static enum err parse_vlan(const struct json_doc *d, int at, uint16_t *out)
{
	uint64_t vlan = at < 0 ? VLAN_OF_HOST : VLAN_TRUNK;
	char text[8];
	bool named = at < 0 || (json_type_of(d, at) == JSON_STRING &&
	                        json_get_string(d, at, "", text, sizeof(text)) == OK &&
	                        strcmp(text, "trunk") == 0);

	if (!named && (json_get_u64(d, at, "", &vlan) != OK || vlan > VLAN_MAX))
		return refuse(ERR_BAD_ARGUMENT, "nics: \"vlan\" must be 0 to %d or \"trunk\"",
		              VLAN_MAX);
	*out = (uint16_t)vlan;
	return OK;
}

static enum err parse_nic(const struct json_doc *d, int at, struct vm_nic_config *nic)
{
	static const char *const known[] = { "mac", "vlan", "any_mac", NULL };
	int any_mac = json_get(d, at, "any_mac");
	char text[18];
	enum err e = json_only(d, at, known, "nics");

	if (e == OK)
		e = json_get_string(d, json_get(d, at, "mac"), "nics: mac", text, sizeof(text));
	if (e == OK)
		e = parse_mac(text, nic->mac);
	if (e == OK)
		e = parse_vlan(d, json_get(d, at, "vlan"), &nic->vlan);
	if (e == OK && any_mac >= 0)
		e = json_get_bool(d, any_mac, "nics: any_mac", &nic->any_mac);
	return e;
}

static enum err parse_nics(const struct json_doc *d, struct vm_config *c)
{
	int nics = json_get(d, 0, "nics");

	if (nics < 0)
		return OK;
	if (json_type_of(d, nics) != JSON_ARRAY || json_count(d, nics) > VM_NICS_MAX)
		return refuse(ERR_BAD_ARGUMENT, "nics must be a list of at most %d network cards",
		              VM_NICS_MAX);
	for (c->nnics = 0; c->nnics < json_count(d, nics); c->nnics++) {
		enum err e = parse_nic(d, json_item(d, nics, c->nnics), &c->nic[c->nnics]);

		if (e != OK)
			return e;
	}
	return OK;
}

static enum err parse_size(const struct json_doc *d, struct vm_config *c)
{
	uint64_t mib = 0, cpus = 1;
	int at = json_get(d, 0, "cpus");
	enum err e = json_get_u64(d, json_get(d, 0, "memory"), "memory", &mib);

	if (e == OK && mib > VM_RAM_MAX_BYTES / MIB)
		e = refuse(ERR_BAD_ARGUMENT, "memory is in MiB, at most %lu, not %lu",
		           (uint64_t)(VM_RAM_MAX_BYTES / MIB), mib);
	if (e == OK && at >= 0)
		e = json_get_u64(d, at, "cpus", &cpus);
	if (e == OK && cpus > VCPUS_MAX)
		e = refuse(ERR_BAD_ARGUMENT, "cpus must be 1 to %d, not %lu", VCPUS_MAX, cpus);
	c->ram_bytes = mib * MIB;
	c->cpus = (unsigned)cpus;
	return e;
}

static enum err parse_features(const struct json_doc *d, int at, struct cpu_baseline *b)
{
	char name[CPU_BASELINE_NAME_MAX];
	enum err e = OK;

	if (at < 0 || json_type_of(d, at) != JSON_ARRAY)
		return refuse(ERR_BAD_ARGUMENT, "cpu.features must be a list of names");
	for (unsigned i = 0; e == OK && i < json_count(d, at); i++) {
		e = json_get_string(d, json_item(d, at, i), "cpu.features", name, sizeof(name));
		if (e == OK)
			e = cpu_baseline_add(b, name);
	}
	return e;
}

static enum err parse_cpu(const struct json_doc *d, struct vm_config *c)
{
	static const char *const known[] = { "features", "phys_bits", NULL };
	int cpu = json_get(d, 0, "cpu"), bits = json_get(d, cpu, "phys_bits");
	uint64_t phys_bits = CPU_PHYS_BITS_MAX;
	char name[CPU_BASELINE_NAME_MAX];

	if (cpu < 0)
		return cpu_baseline_named("host", &c->cpu);
	if (json_type_of(d, cpu) != JSON_OBJECT) {
		enum err e = json_get_string(d, cpu, "cpu", name, sizeof(name));
		return e == OK ? cpu_baseline_named(name, &c->cpu) : e;
	}
	enum err e = json_only(d, cpu, known, "cpu");
	cpu_baseline_begin(&c->cpu);
	if (e == OK)
		e = parse_features(d, json_get(d, cpu, "features"), &c->cpu);
	if (e == OK && bits >= 0)
		e = json_get_u64(d, bits, "cpu.phys_bits", &phys_bits);
	if (e == OK && (phys_bits < CPU_PHYS_BITS_MIN || phys_bits > CPU_PHYS_BITS_MAX))
		e = refuse(ERR_BAD_ARGUMENT, "cpu.phys_bits must be %d to %d, not %lu",
		           CPU_PHYS_BITS_MIN, CPU_PHYS_BITS_MAX, phys_bits);
	c->cpu.phys_bits = (uint32_t)phys_bits;
	return e;
}

enum err vmdef_parse(const char *text, size_t len, struct vm_config *out)
{
	static const char *const known[] = { "name", "memory", "cpus", "cpu", "boot", "nics",
	                                     NULL };
	static struct json_doc d; /* too large for a task's stack; nobody waits in here */

	*out = (struct vm_config){ 0 };
	if (len > VMDEF_TEXT_MAX)
		return refuse(ERR_BAD_ARGUMENT, "a VM definition has at most %llu bytes, not %zu",
		              VMDEF_TEXT_MAX, len);
	enum err e = json_parse(&d, text, len);
	if (e == OK && json_type_of(&d, 0) != JSON_OBJECT)
		e = refuse(ERR_BAD_FORMAT, "a VM definition is a JSON object");
	if (e == OK)
		e = json_only(&d, 0, known, "VM definition");
	if (e == OK)
		e = json_get_string(&d, json_get(&d, 0, "name"), "name", out->name,
		                    sizeof(out->name));
	if (e == OK)
		e = parse_size(&d, out);
	if (e == OK)
		e = parse_cpu(&d, out);
	if (e == OK)
		e = parse_boot(&d, out);
	if (e == OK)
		e = parse_nics(&d, out);
	return e == OK ? vm_config_check(out) : e;
}
