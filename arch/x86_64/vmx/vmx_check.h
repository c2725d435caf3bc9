/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/vmx/vmx_check.h - what this CPU allows in a VMCS, and which VM-entry rule one breaks.
 *  Pure.
 */
#ifndef VMX_CHECK_H
#define VMX_CHECK_H

#include "arch/x86_64/defs/vmx.h"
#include "lib/types.h"

/* The capability MSRs (the TRUE ones where they exist), read once. */
struct vmx_caps {
	uint64_t basic, misc, ept_vpid;
	uint64_t pin, proc, proc2, exit, entry;         /* CAP_MUST_BE_1, CAP_MAY_BE_1          */
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	unsigned phys_bits;                             /* width of a physical address          */
};

/* Values of all VMCS fields, by index. */
enum vmcs_index {
#define F(name, code) VI_##name,
	VMCS_FIELDS(F)
#undef F
	VMCS_COUNT
};
struct vmcs_image { uint64_t v[VMCS_COUNT]; };

/*
 * The rule that a VM entry with these values would break, as text; NULL when none is.  Knows SDM
 * vol. 3, "Checks on VMX Controls and Host-State Area" and "Checks on Guest State", as far as the
 * features go that our controls can turn on.
 */
const char *vmx_check(const struct vmcs_image *m, const struct vmx_caps *caps);

/* A control field: what we cannot do without, what we take when it is there, what must stay off. */
struct vmx_control {
	const char     *name;
	enum vmcs_field field;
	uint32_t        required, wanted, forbidden;
};

/*
 * The value for a control under a capability; false: *bad has the bits that this CPU does not let
 * us have.
 */
bool vmx_check_adjust(const struct vmx_control *c, uint64_t cap, uint32_t *value, uint32_t *bad);

#endif
