/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/vlapic.c - the local APIC of one virtual CPU.
 *
 * xAPIC and x2APIC show the same registers: the MSR is MSR_X2APIC_BASE + offset / 16.  One table
 * says which registers exist in which mode and which bits may be written; a reserved bit is ignored
 * by xAPIC and is #GP in x2APIC.  Called by vmm/vcpu.c (interrupts), vmm/msr.c and vmm/mmio.c
 * (registers).  Read next: vmm/dev/vlapic_timer.c.
 */
#include "vmm/dev/vlapic.h"

#include "arch/x86_64/defs/apic.h"
#include "arch/x86_64/defs/msr.h"
#include "vmm/dev/vlapic_timer.h"

#define VERSION         (0x14u | (VLAPIC_LVTS - 1) << 16)       /* an integrated APIC         */
#define REG(offset)     ((offset) / 16)
#define REG_COUNT       REG(0x400)
#define PRIORITY        MASK(7, 4)
#define VECTOR_MIN      16                                      /* below: illegal             */
#define BROADCAST       0xffffffffu
#define XAPIC_BROADCAST 0xffu

#define LVT_TIMER_BITS  (APIC_LVT_VECTOR | APIC_LVT_MASKED | APIC_LVT_TIMER_MODE)
#define LVT_LINT_BITS   (APIC_LVT_VECTOR | APIC_LVT_MODE | BIT(13) | BIT(15) | APIC_LVT_MASKED)
#define LVT_READ_ONLY   (APIC_LVT_PENDING | BIT(14))            /* status, remote IRR         */
#define SVR_BITS        (APIC_SVR_VECTOR | APIC_SVR_ENABLE | BIT(9))
#define SVR_RESET       0xffu
#define DFR_MODEL       MASK(31, 28)
#define DFR_FLAT        0xfu
#define DIVIDE_BITS     (BIT(3) | MASK(1, 0))
#define ICR_BITS        (APIC_ICR_VECTOR | APIC_ICR_MODE | APIC_ICR_LOGICAL | APIC_ICR_ASSERT | \
                         APIC_ICR_LEVEL | APIC_ICR_SHORTHAND)
#define BASE_BITS       (APIC_BASE_BSP | APIC_BASE_X2APIC | APIC_BASE_ENABLE | APIC_BASE_ADDRESS)

enum shorthand { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

enum esr_bit {                  /* SDM vol. 3, "Error Handling" (of the local APIC) */
	ESR_SEND_VECTOR    = BIT(5),
	ESR_RECEIVE_VECTOR = BIT(6),
	ESR_REGISTER       = BIT(7),
};

/* Who may do what with a register: xAPIC (X) by MMIO, x2APIC (X2) by MSR. */
enum { XR = 1, XW = 2, X2R = 4, X2W = 8, RO = XR | X2R, RW = XR | XW | X2R | X2W };
static const struct reg { uint8_t who; uint32_t writable; } regs[REG_COUNT] = {
	[REG(APIC_ID)]             = { RO, 0 },
	[REG(APIC_VERSION)]        = { RO, 0 },
	[REG(APIC_TPR)]            = { RW, MASK(7, 0) },
	[REG(APIC_APR)]            = { XR, 0 },
	[REG(APIC_PPR)]            = { RO, 0 },
	[REG(APIC_EOI)]            = { XW | X2W, 0 },
	[REG(APIC_RRD)]            = { XR, 0 },
	[REG(APIC_LDR)]            = { XR | XW | X2R, MASK(31, 24) },
	[REG(APIC_DFR)]            = { XR | XW, DFR_MODEL },
	[REG(APIC_SVR)]            = { RW, SVR_BITS },
	[REG(APIC_ISR) ... REG(APIC_ISR) + 7] = { RO, 0 },
	[REG(APIC_TMR) ... REG(APIC_TMR) + 7] = { RO, 0 },
	[REG(APIC_IRR) ... REG(APIC_IRR) + 7] = { RO, 0 },
	[REG(APIC_ESR)]            = { RW, 0 },
	[REG(APIC_ICR)]            = { RW, ICR_BITS },
	[REG(APIC_ICR_HIGH)]       = { XR | XW, MASK(31, 24) },
	[REG(APIC_LVT_TIMER)]      = { RW, LVT_TIMER_BITS },
	[REG(APIC_LVT_THERMAL)]    = { RW, APIC_LVT_VECTOR | APIC_LVT_MODE | APIC_LVT_MASKED },
	[REG(APIC_LVT_PERF)]       = { RW, APIC_LVT_VECTOR | APIC_LVT_MODE | APIC_LVT_MASKED },
	[REG(APIC_LVT_LINT0)]      = { RW, LVT_LINT_BITS },
	[REG(APIC_LVT_LINT1)]      = { RW, LVT_LINT_BITS },
	[REG(APIC_LVT_ERROR)]      = { RW, APIC_LVT_VECTOR | APIC_LVT_MASKED },
	[REG(APIC_TIMER_INITIAL)]  = { RW, MASK(31, 0) },
	[REG(APIC_TIMER_CURRENT)]  = { RO, 0 },
	[REG(APIC_TIMER_DIVIDE)]   = { RW, DIVIDE_BITS },
	[REG(APIC_SELF_IPI)]       = { X2W, MASK(7, 0) },
};

bool vlapic_enabled(const struct vlapic *l)
{
	return l->base_msr & APIC_BASE_ENABLE;
}

bool vlapic_x2apic(const struct vlapic *l)
{
	return l->base_msr & APIC_BASE_X2APIC;
}

bool vlapic_mmio_at(const struct vlapic *l, uint64_t gpa)
{
	return vlapic_enabled(l) && !vlapic_x2apic(l) &&
	       ALIGN_DOWN(gpa, PAGE_SIZE) == (l->base_msr & APIC_BASE_ADDRESS);
}

/* --- Vectors: 256 bits in eight registers ----------------------------------------------------- */

static bool vector_test(const uint32_t *set, unsigned v)  { return set[v / 32] >> (v % 32) & 1; }
static void vector_set(uint32_t *set, unsigned v)         { set[v / 32] |= 1u << (v % 32); }
static void vector_clear(uint32_t *set, unsigned v)       { set[v / 32] &= ~(1u << (v % 32)); }

static int vector_highest(const uint32_t *set)
{
	for (int i = 7; i >= 0; i--)
		if (set[i])
			return i * 32 + 31 - __builtin_clz(set[i]);
	return -1;
}

static uint32_t ppr(const struct vlapic *l)     /* SDM vol. 3, "Task and Processor Priorities" */
{
	int isrv = vector_highest(l->isr);
	uint32_t served = isrv < 0 ? 0 : (uint32_t)isrv & PRIORITY;

	return (l->tpr & PRIORITY) >= served ? l->tpr : served;
}

static void error_raise(struct vlapic *l, uint32_t bit)
{
	uint32_t lvt = l->lvt[VLAPIC_ERROR];

	l->esr_pending |= bit;
	/* An error vector that is itself illegal must not raise a second error. */
	if (!(lvt & APIC_LVT_MASKED) && (lvt & APIC_LVT_VECTOR) >= VECTOR_MIN)
		vlapic_set_irr(l, (uint8_t)(lvt & APIC_LVT_VECTOR), false);
}

void vlapic_set_irr(struct vlapic *l, uint8_t vector, bool level)
{
	if (!vlapic_enabled(l) || !(l->svr & APIC_SVR_ENABLE))
		return;
	if (vector < VECTOR_MIN) {
		error_raise(l, ESR_RECEIVE_VECTOR);
		return;
	}
	vector_set(l->irr, vector);
	if (level)
		vector_set(l->tmr, vector);
	else
		vector_clear(l->tmr, vector);
}

int vlapic_pending(const struct vlapic *l)
{
	int v;

	if (!vlapic_enabled(l) || !(l->svr & APIC_SVR_ENABLE))
		return -1;
	v = vector_highest(l->irr);
	return v >= 0 && ((uint32_t)v & PRIORITY) > (ppr(l) & PRIORITY) ? v : -1;
}

void vlapic_accept(struct vlapic *l, uint8_t vector)
{
	vector_clear(l->irr, vector);
	vector_set(l->isr, vector);
}

static void eoi(struct vlapic *l)
{
	int v = vector_highest(l->isr);

	if (v < 0)
		return;
	vector_clear(l->isr, (unsigned)v);
	if (vector_test(l->tmr, (unsigned)v) && l->eoi)
		l->eoi(l->eoi_to, (uint8_t)v);
}

bool vlapic_accepts_extint(const struct vlapic *l)
{
	uint32_t lint0 = l->lvt[VLAPIC_LINT0];

	if (!vlapic_enabled(l))
		return true;            /* LINT0 is the processor's INTR pin then */
	return !(lint0 & APIC_LVT_MASKED) && GET(APIC_LVT_MODE, lint0) == APIC_MODE_EXTINT;
}

uint8_t vlapic_cr8(const struct vlapic *l)
{
	return (uint8_t)GET(PRIORITY, l->tpr);
}

void vlapic_set_cr8(struct vlapic *l, uint8_t cr8)
{
	l->tpr = (uint32_t)PUT(PRIORITY, (uint32_t)cr8);
}

/* --- Messages --------------------------------------------------------------------------------- */

static uint32_t x2apic_ldr(uint32_t id)         /* SDM vol. 3, "Deriving Logical x2APIC ID" */
{
	return id >> 4 << 16 | 1u << (id & 15);
}

bool vlapic_matches(const struct vlapic *l, const struct apic_msg *msg)
{
	uint32_t mine = l->ldr >> 24;

	if (!vlapic_enabled(l))
		return false;
	if (!msg->logical)
		return msg->dest == l->id || msg->dest == BROADCAST;
	if (vlapic_x2apic(l)) {
		mine = x2apic_ldr(l->id);
		return msg->dest == BROADCAST ||
		       (msg->dest >> 16 == mine >> 16 && (msg->dest & mine & MASK(15, 0)));
	}
	if (msg->dest > XAPIC_BROADCAST)
		return msg->dest == BROADCAST;
	if (GET(DFR_MODEL, l->dfr) == DFR_FLAT)
		return msg->dest & mine;
	/* Cluster model: the high nibble names the cluster, or all; the low one is a set. */
	return (msg->dest >> 4 == mine >> 4 || msg->dest >> 4 == 15) && (msg->dest & mine & 15);
}

static void icr_send(struct vlapic *l)
{
	uint32_t dest = (uint32_t)GET(APIC_ICR_DEST, l->icr);
	struct apic_msg msg = {
		.vector    = (uint8_t)(l->icr & APIC_ICR_VECTOR),
		.delivery  = (uint8_t)GET(APIC_ICR_MODE, l->icr),
		.logical   = l->icr & APIC_ICR_LOGICAL,
		.level     = l->icr & APIC_ICR_LEVEL,
		.assert    = l->icr & APIC_ICR_ASSERT,
		.shorthand = (uint8_t)GET(APIC_ICR_SHORTHAND, l->icr),
	};
	bool vectored = msg.delivery == APIC_MODE_FIXED || msg.delivery == APIC_MODE_LOWEST;

	if (!vlapic_x2apic(l)) {
		dest >>= 24;
		if (dest == XAPIC_BROADCAST && !msg.logical)
			dest = BROADCAST;
	}
	msg.dest = dest;
	if (vectored && msg.vector < VECTOR_MIN) {
		error_raise(l, ESR_SEND_VECTOR);
		return;
	}
	/* INIT level de-assert synchronised arbitration IDs long ago; it does nothing today. */
	if (msg.delivery == APIC_MODE_INIT && msg.level && !msg.assert)
		return;
	if (msg.shorthand == SHORTHAND_SELF) {
		if (vectored)           /* the only legal ones to self */
			vlapic_set_irr(l, msg.vector, false);
		return;
	}
	msg.level = false;              /* IPIs are edges, whatever the trigger bit says */
	if (l->out.send)
		l->out.send(l->out.to, &msg);
}

/* --- Registers -------------------------------------------------------------------------------- */

static unsigned lvt_index(uint32_t offset)
{
	return (offset - APIC_LVT_TIMER) / 16;
}
_Static_assert((APIC_LVT_ERROR - APIC_LVT_TIMER) / 16 == VLAPIC_ERROR,
	       "the LVT is one row of registers");

static uint32_t reg_read(const struct vlapic *l, uint32_t offset, uint64_t now_ns)
{
	switch (offset) {
	case APIC_ID:            return vlapic_x2apic(l) ? l->id : l->id << 24;
	case APIC_VERSION:       return VERSION;
	case APIC_TPR:           return l->tpr;
	case APIC_PPR:           return ppr(l);
	case APIC_LDR:           return vlapic_x2apic(l) ? x2apic_ldr(l->id) : l->ldr;
	case APIC_DFR:           return l->dfr;
	case APIC_SVR:           return l->svr;
	case APIC_ESR:           return l->esr;
	case APIC_ICR:           return (uint32_t)l->icr;
	case APIC_ICR_HIGH:      return (uint32_t)(l->icr >> 32);
	case APIC_TIMER_INITIAL: return l->timer_initial;
	case APIC_TIMER_CURRENT: return vlapic_timer_current(l, now_ns);
	case APIC_TIMER_DIVIDE:  return l->timer_divide;
	}
	if (offset >= APIC_ISR && offset < APIC_TMR)
		return l->isr[(offset - APIC_ISR) / 16];
	if (offset >= APIC_TMR && offset < APIC_IRR)
		return l->tmr[(offset - APIC_TMR) / 16];
	if (offset >= APIC_IRR && offset < APIC_ESR)
		return l->irr[(offset - APIC_IRR) / 16];
	if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR)
		return l->lvt[lvt_index(offset)];
	return 0;                       /* arbitration and remote read: not on this bus */
}

static void write_svr(struct vlapic *l, uint32_t value)
{
	l->svr = value;
	if (value & APIC_SVR_ENABLE)
		return;
	for (unsigned i = 0; i < VLAPIC_LVTS; i++)
		l->lvt[i] |= APIC_LVT_MASKED;
}

static void write_lvt(struct vlapic *l, unsigned i, uint32_t value, uint64_t now_ns)
{
	if (!(l->svr & APIC_SVR_ENABLE))
		value |= APIC_LVT_MASKED;
	if (i == VLAPIC_TIMER)
		vlapic_timer_set_lvt(l, value, now_ns);
	else
		l->lvt[i] = value;
}

/* `value` has only bits that may be written. */
static void reg_write(struct vlapic *l, uint32_t offset, uint32_t value, uint64_t now_ns)
{
	vlapic_tick(l, now_ns);         /* what has expired, expired under the old settings */
	switch (offset) {
	case APIC_TPR:           l->tpr = value; return;
	case APIC_EOI:           eoi(l); return;
	case APIC_LDR:           l->ldr = value; return;
	case APIC_DFR:           l->dfr = value | (uint32_t)~DFR_MODEL; return;
	case APIC_SVR:           write_svr(l, value); return;
	case APIC_ESR:           l->esr = l->esr_pending; l->esr_pending = 0; return;
	case APIC_ICR_HIGH:      l->icr = (l->icr & MASK(31, 0)) | (uint64_t)value << 32; return;
	case APIC_ICR:           l->icr = (l->icr & APIC_ICR_DEST) | value; icr_send(l); return;
	case APIC_TIMER_DIVIDE:  vlapic_timer_set_divide(l, value, now_ns); return;
	case APIC_SELF_IPI:      vlapic_set_irr(l, (uint8_t)value, false); return;
	case APIC_TIMER_INITIAL: vlapic_timer_set_initial(l, value, now_ns); return;
	}
	if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR)
		write_lvt(l, lvt_index(offset), value, now_ns);
}

uint32_t vlapic_read(struct vlapic *l, uint32_t offset, uint64_t now_ns)
{
	if (offset % 16 || REG(offset) >= REG_COUNT || !(regs[REG(offset)].who & XR)) {
		error_raise(l, ESR_REGISTER);
		return 0;
	}
	return reg_read(l, offset, now_ns);
}

void vlapic_write(struct vlapic *l, uint32_t offset, uint32_t value, uint64_t now_ns)
{
	if (offset % 16 || REG(offset) >= REG_COUNT || !(regs[REG(offset)].who & XW)) {
		error_raise(l, ESR_REGISTER);
		return;
	}
	reg_write(l, offset, value & regs[REG(offset)].writable, now_ns);
}

/* --- MSRs ------------------------------------------------------------------------------------- */

static void registers_reset(struct vlapic *l)   /* SDM vol. 3, "Local APIC State After Power-Up" */
{
	*l = (struct vlapic){
		.base_msr = l->base_msr, .id = l->id, .clock = l->clock, .out = l->out,
		.eoi = l->eoi, .eoi_to = l->eoi_to,
		.dfr = ~0u, .svr = SVR_RESET, .fire_ns = NEVER_NS,
	};
	for (unsigned i = 0; i < VLAPIC_LVTS; i++)
		l->lvt[i] = APIC_LVT_MASKED;
}

/* SDM vol. 3, "x2APIC State Transitions": disabled -> xAPIC -> x2APIC; from both to disabled. */
static bool write_base(struct vlapic *l, uint64_t value)
{
	bool enable = value & APIC_BASE_ENABLE, x2 = value & APIC_BASE_X2APIC;

	if (value & ~BASE_BITS)
		return false;
	if (x2 && !enable)
		return false;
	if (x2 && !vlapic_enabled(l))
		return false;
	if (vlapic_x2apic(l) && enable && !x2)
		return false;
	if (x2 && !vlapic_x2apic(l))
		l->icr &= MASK(31, 0);  /* the destination has another form now */
	l->base_msr = value;
	if (!enable)
		registers_reset(l);
	return true;
}

static bool x2apic_msr(const struct vlapic *l, uint32_t msr, uint8_t who)
{
	return vlapic_x2apic(l) && msr >= MSR_X2APIC_BASE && msr - MSR_X2APIC_BASE < REG_COUNT &&
	       (regs[msr - MSR_X2APIC_BASE].who & who);
}

bool vlapic_msr_read(struct vlapic *l, uint32_t msr, uint64_t *value, uint64_t now_ns)
{
	if (msr == MSR_APIC_BASE) {
		*value = l->base_msr;
		return true;
	}
	if (msr == MSR_TSC_DEADLINE) {
		vlapic_tick(l, now_ns);
		*value = l->tsc_deadline;
		return true;
	}
	if (!x2apic_msr(l, msr, X2R))
		return false;
	*value = reg_read(l, (msr - MSR_X2APIC_BASE) * 16, now_ns);
	if (msr == MSR_X2APIC_BASE + REG(APIC_ICR))
		*value = l->icr;
	return true;
}

bool vlapic_msr_write(struct vlapic *l, uint32_t msr, uint64_t value, uint64_t now_ns)
{
	uint32_t offset = (msr - MSR_X2APIC_BASE) * 16;
	uint64_t allowed;

	if (msr == MSR_APIC_BASE)
		return write_base(l, value);
	if (msr == MSR_TSC_DEADLINE) {
		vlapic_timer_set_deadline(l, value, now_ns);
		return true;
	}
	if (!x2apic_msr(l, msr, X2W))
		return false;
	allowed = regs[REG(offset)].writable;
	if (offset == APIC_ICR)
		allowed |= APIC_ICR_DEST;
	if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR)
		allowed |= APIC_LVT_PENDING;
	if (offset == APIC_LVT_LINT0 || offset == APIC_LVT_LINT1)
		allowed |= LVT_READ_ONLY;
	if (value & ~allowed)
		return false;
	if (offset == APIC_ICR)
		l->icr = value & APIC_ICR_DEST;
	reg_write(l, offset, (uint32_t)value & regs[REG(offset)].writable, now_ns);
	return true;
}

/* --- Life ------------------------------------------------------------------------------------- */

void vlapic_init(struct vlapic *l, unsigned id, bool bsp, const struct clock *clock)
{
	l->id = id;
	l->clock = clock;
	l->base_msr = APIC_DEFAULT_BASE | APIC_BASE_ENABLE | (bsp ? APIC_BASE_BSP : 0);
	registers_reset(l);
	if (bsp) {
		l->svr |= APIC_SVR_ENABLE;
		l->lvt[VLAPIC_LINT0] = (uint32_t)PUT(APIC_LVT_MODE, (uint64_t)APIC_MODE_EXTINT);
		l->lvt[VLAPIC_LINT1] = (uint32_t)PUT(APIC_LVT_MODE, (uint64_t)APIC_MODE_NMI);
	}
}

void vlapic_init_signal(struct vlapic *l)
{
	registers_reset(l);
}

/* --- What travels ----------------------------------------------------------------------------- */

static const struct field vlapic_fields[] = {
	FIELD(struct vlapic, base_msr), FIELD(struct vlapic, ldr), FIELD(struct vlapic, dfr),
	FIELD(struct vlapic, tpr), FIELD(struct vlapic, svr), FIELD(struct vlapic, esr),
	FIELD(struct vlapic, esr_pending), FIELDS(struct vlapic, irr), FIELDS(struct vlapic, isr),
	FIELDS(struct vlapic, tmr), FIELDS(struct vlapic, lvt), FIELD(struct vlapic, icr),
	FIELD(struct vlapic, timer_initial), FIELD(struct vlapic, timer_divide),
	FIELD(struct vlapic, timer_start_ns), FIELD(struct vlapic, tsc_deadline),
	FIELD(struct vlapic, fire_ns),
};

static enum err vlapic_check(const void *object)
{
	const struct vlapic *l = object;

	if ((l->base_msr & ~BASE_BITS) || (vlapic_x2apic(l) && !vlapic_enabled(l)))
		return fail(ERR_BAD_FORMAT, "vlapic: base_msr %#llx is no legal IA32_APIC_BASE",
			    (unsigned long long)l->base_msr);
	if (l->ldr & ~MASK(31, 24))
		return fail(ERR_BAD_FORMAT, "vlapic: ldr %#x has reserved bits", l->ldr);
	if ((l->dfr | DFR_MODEL) != MASK(31, 0))
		return fail(ERR_BAD_FORMAT, "vlapic: dfr %#x has reserved bits", l->dfr);
	if (l->tpr & ~MASK(7, 0))
		return fail(ERR_BAD_FORMAT, "vlapic: tpr %#x has reserved bits", l->tpr);
	if (l->svr & ~SVR_BITS)
		return fail(ERR_BAD_FORMAT, "vlapic: svr %#x has reserved bits", l->svr);
	if ((l->irr[0] | l->isr[0]) & MASK(VECTOR_MIN - 1, 0))
		return fail(ERR_BAD_FORMAT, "vlapic: irr or isr holds an illegal vector");
	for (unsigned i = 0; i < VLAPIC_LVTS; i++)
		if (l->lvt[i] & ~regs[REG(APIC_LVT_TIMER) + i].writable)
			return fail(ERR_BAD_FORMAT, "vlapic: lvt[%u] %#x has reserved bits", i,
				    l->lvt[i]);
	if (l->icr & ~(ICR_BITS | APIC_ICR_DEST))
		return fail(ERR_BAD_FORMAT, "vlapic: icr has reserved bits");
	if (l->timer_divide & ~DIVIDE_BITS)
		return fail(ERR_BAD_FORMAT, "vlapic: timer_divide %#x has reserved bits",
			    l->timer_divide);
	return OK;
}

const struct section vlapic_state = {
	.name = "vlapic", .version = 1, .fields = vlapic_fields, .nfields = COUNT(vlapic_fields),
	.object_size = sizeof(struct vlapic), .check = vlapic_check,
};
