/* SPDX-License-Identifier: MIT */
/*
 * vmm/fault.c - an exception that comes while another event is being delivered.
 *
 * Pure, and the same for both vendors: the event that an exit interrupted (IDT-vectoring
 * information, EXITINTINFO) is v->again, the fault that its handling raised is v->exception.
 * Where the CPU itself raises both it decides by itself.  Called by vmm/vcpu.c before an entry.
 */
#include "vmm/fault.h"

#include "vmm/vcpu.h"

enum class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT, CLASSES };

static enum class class_of(const struct inject *event)
{
	if (event->type != EVENT_EXCEPTION)
		return BENIGN;          /* interrupts, NMIs, INT n and its kin */
	switch (event->vector) {
	case VECTOR_DE:
	case VECTOR_TS:
	case VECTOR_NP:
	case VECTOR_SS:
	case VECTOR_GP:
	case VECTOR_CP:
		return CONTRIBUTORY;
	case VECTOR_PF:
	case VECTOR_VE:
		return PAGE_FAULT;
	case VECTOR_DF:
		return DOUBLE_FAULT;
	default:
		return BENIGN;
	}
}

bool fault_merge(const struct inject *first, const struct inject *second, struct inject *out)
{
	enum outcome { SECOND, DOUBLE, SHUTDOWN };
	/* SDM vol. 3, "Conditions for Generating a Double Fault"; rows: the first one's class. */
	static const uint8_t table[CLASSES][CLASSES] = {
		[CONTRIBUTORY] = { [CONTRIBUTORY] = DOUBLE },
		[PAGE_FAULT]   = { [CONTRIBUTORY] = DOUBLE, [PAGE_FAULT] = DOUBLE },
		[DOUBLE_FAULT] = { [CONTRIBUTORY] = SHUTDOWN, [PAGE_FAULT] = SHUTDOWN },
	};

	switch (table[class_of(first)][class_of(second)]) {
	case SHUTDOWN:
		return false;
	case DOUBLE:
		*out = (struct inject){ .type = EVENT_EXCEPTION, .vector = VECTOR_DF,
		                        .has_error = true };
		return true;
	default:
		*out = *second;
		return true;
	}
}
