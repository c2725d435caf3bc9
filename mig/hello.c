/* SPDX-License-Identifier: MIT */
/*
 * mig/hello.c - a guest's description as bytes and back.
 *
 * Only the form is checked here; whether the guest can live on this host is for mig/compat.c, and
 * whether the configuration makes sense is for vm_config_check().
 */
#include "mig/hello.h"

#include <string.h>

#define CPUID_LEN_MAX  (2 * KIB)
_Static_assert(sizeof(struct cpuid_table) + SECTION_HEAD_LEN <= CPUID_LEN_MAX,
	       "the CPU's table fits");

static void put_config(struct wire_out *w, const struct vm_config *c)
{
	wire_put_text(w, c->name);
	wire_put_bytes(w, c->uuid, sizeof(c->uuid));
	wire_put_u64(w, c->ram_bytes);
	wire_put_u32(w, c->cpus);
	wire_put_text(w, c->cpu.name);
	wire_put_u8(w, c->boot);
	wire_put_text(w, c->kernel);
	wire_put_text(w, c->initrd);
	wire_put_text(w, c->cmdline);
	wire_put_u8(w, (uint8_t)c->nmodules);
	for (unsigned i = 0; i < c->nmodules; i++)
		wire_put_text(w, c->module[i]);
	wire_put_u8(w, (uint8_t)c->nnics);
	for (unsigned i = 0; i < c->nnics; i++) {
		wire_put_bytes(w, c->nic[i].mac, sizeof(c->nic[i].mac));
		wire_put_u16(w, c->nic[i].vlan);
		wire_put_u8(w, c->nic[i].any_mac);
	}
}

static enum err take_config(struct wire_in *r, struct vm_config *c)
{
	wire_take_text(r, c->name, sizeof(c->name));
	wire_make_printable(c->name);           /* a refusal names the guest before it is checked */
	wire_take_bytes(r, c->uuid, sizeof(c->uuid));
	c->ram_bytes = wire_take_u64(r);
	c->cpus = wire_take_u32(r);
	wire_take_text(r, c->cpu.name, sizeof(c->cpu.name));
	wire_make_printable(c->cpu.name);
	uint8_t boot = wire_take_u8(r);
	if (boot != BOOT_LINUX && boot != BOOT_MULTIBOOT)
		return refuse(ERR_BAD_FORMAT, "record HELLO: boot is %u, which is unknown here",
			      boot);
	c->boot = boot;
	wire_take_text(r, c->kernel, sizeof(c->kernel));
	wire_take_text(r, c->initrd, sizeof(c->initrd));
	wire_take_text(r, c->cmdline, sizeof(c->cmdline));
	c->nmodules = wire_take_u8(r);
	if (c->nmodules > VM_MODULES_MAX)
		return refuse(ERR_BAD_FORMAT, "record HELLO: %u modules; at most %d", c->nmodules,
			      VM_MODULES_MAX);
	for (unsigned i = 0; i < c->nmodules; i++)
		wire_take_text(r, c->module[i], sizeof(c->module[i]));
	c->nnics = wire_take_u8(r);
	if (c->nnics > VM_NICS_MAX)
		return refuse(ERR_BAD_FORMAT, "record HELLO: %u NICs; at most %d", c->nnics,
			      VM_NICS_MAX);
	for (unsigned i = 0; i < c->nnics; i++) {
		wire_take_bytes(r, c->nic[i].mac, sizeof(c->nic[i].mac));
		c->nic[i].vlan = wire_take_u16(r);
		uint8_t any_mac = wire_take_u8(r);
		if (any_mac > 1)
			return refuse(ERR_BAD_FORMAT,
				      "record HELLO: any_mac of NIC %u is %u, neither 0 nor 1", i,
				      any_mac);
		c->nic[i].any_mac = any_mac;
	}
	return OK;
}

/* The CPU's table is a section like any other, with its length before it. */
static void put_cpuid(struct wire_out *w, const struct cpuid_table *t)
{
	struct section_ref ref = { &cpuid_state, (void *)t, 0 };

	wire_put_u32(w, (uint32_t)(SECTION_HEAD_LEN + section_len(&cpuid_state)));
	section_save(&ref, w);
}

static enum err take_cpuid(struct wire_in *r, struct cpuid_table *t)
{
	struct section_ref ref = { &cpuid_state, t, 0 };
	struct section_head head;
	uint32_t len = wire_take_u32(r);

	if (len > CPUID_LEN_MAX)
		return refuse(ERR_BAD_FORMAT, "record HELLO: %u bytes of CPUID are over the limit",
			      len);
	struct wire_in sub = { .buf = wire_take_span(r, len), .size = len };
	if (!sub.buf)
		return OK;                      /* too short: hello_take() says so */
	section_take_head(&sub, &head);
	enum err e = section_match(&ref, &head);
	if (e == OK)
		e = section_stage(&ref, &sub, t); /* `t` is ours alone: no other copy is needed */
	if (e == OK && t->n > CPUID_ENTRIES_MAX)
		e = refuse(ERR_BAD_FORMAT, "record HELLO: %u CPUID entries; at most %d", t->n,
			   CPUID_ENTRIES_MAX);
	if (e == OK)
		section_resume(&ref);           /* look-ups need its index */
	return e;
}

void hello_put(struct wire_out *w, const struct hello *h)
{
	put_config(w, &h->config);
	put_cpuid(w, &h->cpuid);
	wire_put_u64(w, h->tsc_khz);
	wire_put_u64(w, h->downtime_max_ns);
	wire_put_u8(w, h->verify);
	wire_put_u32(w, h->nsections);
	for (unsigned i = 0; i < h->nsections; i++)
		section_put_head(w, &h->section[i]);
}

enum err hello_take(struct wire_in *r, struct hello *h)
{
	memset(h, 0, sizeof(*h));
	enum err e = take_config(r, &h->config);
	if (e == OK)
		e = take_cpuid(r, &h->cpuid);
	if (e != OK)
		return e;
	h->tsc_khz = wire_take_u64(r);
	h->downtime_max_ns = wire_take_u64(r);
	uint8_t verify = wire_take_u8(r);
	if (verify > 1)
		return refuse(ERR_BAD_FORMAT, "record HELLO: verify is %u, neither 0 nor 1",
			      verify);
	h->verify = verify;
	h->nsections = wire_take_u32(r);
	if (h->nsections > WIRE_SECTIONS_MAX)
		return refuse(ERR_BAD_FORMAT, "record HELLO: %u sections; at most %d", h->nsections,
			      WIRE_SECTIONS_MAX);
	for (unsigned i = 0; i < h->nsections; i++)
		section_take_head(r, &h->section[i]);
	return wire_take_end(r, "record HELLO");
}
