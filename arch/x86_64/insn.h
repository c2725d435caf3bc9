/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/insn.h - one inline wrapper per instruction that C cannot express, named after it.
 *
 * Besides the .S files, inline assembly lives here and nowhere else.  A wrapper does what its
 * instruction does; policy (order, retries, meaning) belongs to its caller.
 */
#ifndef ARCH_X86_64_INSN_H
#define ARCH_X86_64_INSN_H

#include "lib/types.h"

/* --- What CPU is this, model-specific registers, time ---------------------------------------- */

struct cpuid { uint32_t eax, ebx, ecx, edx; };

static inline struct cpuid insn_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;
	__asm__ volatile ("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			  : "a"(leaf), "c"(subleaf));
	return r;
}

static inline uint64_t insn_rdmsr(uint32_t index)
{
	uint32_t lo, hi;
	__asm__ volatile ("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index));
	return (uint64_t)hi << 32 | lo;
}

static inline void insn_wrmsr(uint32_t index, uint64_t value)
{
	__asm__ volatile ("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			  : "memory");
}

static inline uint64_t insn_rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile ("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* False: the generator has nothing at the moment. */
static inline bool insn_rdrand(uint64_t *out)
{
	bool ok;
	__asm__ volatile ("rdrand %0" : "=r"(*out), "=@ccc"(ok));
	return ok;
}

static inline bool insn_rdseed(uint64_t *out)
{
	bool ok;
	__asm__ volatile ("rdseed %0" : "=r"(*out), "=@ccc"(ok));
	return ok;
}

/* Earlier loads are done before anything after it starts: makes rdtsc mean "now". */
static inline void insn_lfence(void) { __asm__ volatile ("lfence" : : : "memory"); }
static inline void insn_mfence(void) { __asm__ volatile ("mfence" : : : "memory"); }

/* --- Port space ------------------------------------------------------------------------------ */

static inline uint8_t insn_inb(uint16_t port)
{
	uint8_t value;
	__asm__ volatile ("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint16_t insn_inw(uint16_t port)
{
	uint16_t value;
	__asm__ volatile ("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t insn_inl(uint16_t port)
{
	uint32_t value;
	__asm__ volatile ("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void insn_outb(uint16_t port, uint8_t value)
{
	__asm__ volatile ("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void insn_outw(uint16_t port, uint16_t value)
{
	__asm__ volatile ("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void insn_outl(uint16_t port, uint32_t value)
{
	__asm__ volatile ("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

/* --- Interrupts and waiting ------------------------------------------------------------------ */

static inline void insn_cli(void) { __asm__ volatile ("cli" : : : "memory"); }
static inline void insn_pause(void) { __asm__ volatile ("pause" : : : "memory"); }

/* With IF=0 this stops the CPU until an NMI or reset. */
static inline void insn_hlt(void) { __asm__ volatile ("hlt" : : : "memory"); }

/*
 * STI holds interrupts back for one more instruction (SDM vol. 2, "STI"), so the CPU is already
 * halted when the first one comes: no interrupt is lost between the two.
 */
static inline void insn_sti_hlt_cli(void) { __asm__ volatile ("sti; hlt; cli" : : : "memory"); }

/* The NOP is the instruction that STI still shields; then everything pending is taken. */
static inline void insn_sti_nop_cli(void) { __asm__ volatile ("sti; nop; cli" : : : "memory"); }

static inline void insn_ud2(void) { __asm__ volatile ("ud2"); }

/* --- Control, debug and flags registers ------------------------------------------------------ */

#define INSN_READ(reg)                                                          \
static inline uint64_t insn_read_##reg(void)                                    \
{                                                                               \
	uint64_t value;                                                         \
	__asm__ volatile ("mov %%" #reg ", %0" : "=r"(value) : : "memory");     \
	return value;                                                           \
}
#define INSN_WRITE(reg)                                                         \
static inline void insn_write_##reg(uint64_t value)                             \
{                                                                               \
	__asm__ volatile ("mov %0, %%" #reg : : "r"(value) : "memory");         \
}
INSN_READ(cr0) INSN_WRITE(cr0)
INSN_READ(cr2) INSN_WRITE(cr2)
INSN_READ(cr3) INSN_WRITE(cr3)
INSN_READ(cr4) INSN_WRITE(cr4)
INSN_READ(dr0) INSN_WRITE(dr0)
INSN_READ(dr1) INSN_WRITE(dr1)
INSN_READ(dr2) INSN_WRITE(dr2)
INSN_READ(dr3) INSN_WRITE(dr3)
INSN_READ(dr6) INSN_WRITE(dr6)
INSN_READ(dr7) INSN_WRITE(dr7)
#undef INSN_READ
#undef INSN_WRITE

static inline uint64_t insn_pushf(void)
{
	uint64_t flags;
	__asm__ volatile ("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags;
}

static inline uint64_t insn_read_rbp(void)
{
	uint64_t value;
	__asm__ volatile ("mov %%rbp, %0" : "=r"(value));
	return value;
}

static inline uint64_t insn_read_rsp(void)
{
	uint64_t value;
	__asm__ volatile ("mov %%rsp, %0" : "=r"(value));
	return value;
}

/* --- Descriptor tables and segments ---------------------------------------------------------- */

struct table_register { uint16_t limit; uint64_t base; } __attribute__((packed));
_Static_assert(sizeof(struct table_register) == 10, "SDM vol. 3, \"Memory-Management Registers\"");

static inline void insn_lgdt(const struct table_register *r)
{
	__asm__ volatile ("lgdt %0" : : "m"(*r));
}

static inline void insn_lidt(const struct table_register *r)
{
	__asm__ volatile ("lidt %0" : : "m"(*r));
}

static inline struct table_register insn_sgdt(void)
{
	struct table_register r;
	__asm__ volatile ("sgdt %0" : "=m"(r));
	return r;
}

static inline struct table_register insn_sidt(void)
{
	struct table_register r;
	__asm__ volatile ("sidt %0" : "=m"(r));
	return r;
}

static inline void insn_ltr(uint16_t selector) { __asm__ volatile ("ltr %0" : : "r"(selector)); }
static inline void insn_lldt(uint16_t selector) { __asm__ volatile ("lldt %0" : : "r"(selector)); }

/* MOV cannot load CS: a far return does. */
static inline void insn_load_cs(uint16_t selector)
{
	__asm__ volatile ("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:"
			  : : "r"((uint64_t)selector) : "rax", "memory");
}

/* DS, ES and SS take the selector, FS and GS become null. */
static inline void insn_load_data_segments(uint16_t selector)
{
	__asm__ volatile ("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %1, %%fs; mov %1, %%gs"
			  : : "r"((uint32_t)selector), "r"(0) : "memory");
}

/* --- Memory management ----------------------------------------------------------------------- */

static inline void insn_invlpg(uint64_t linear)
{
	__asm__ volatile ("invlpg (%0)" : : "r"(linear) : "memory");
}

/* The pointer at GS:0: where this CPU's block begins (lib/cpu.h).  Never assumed to stay. */
static inline void *insn_mov_gs0(void)
{
	void *value;
	__asm__ volatile ("mov %%gs:0, %0" : "=r"(value) : : "memory");
	return value;
}

static inline void insn_wbinvd(void) { __asm__ volatile ("wbinvd" : : : "memory"); }

/* --- Extended processor state ---------------------------------------------------------------- */

static inline uint64_t insn_xgetbv(uint32_t index)
{
	uint32_t lo, hi;
	__asm__ volatile ("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
	return (uint64_t)hi << 32 | lo;
}

static inline void insn_xsetbv(uint32_t index, uint64_t value)
{
	__asm__ volatile ("xsetbv" : : "c"(index), "a"((uint32_t)value),
	                  "d"((uint32_t)(value >> 32))
			  : "memory");
}

/* `area` is 64-byte aligned and large enough for `mask` (CPUID leaf 0xd). */
static inline void insn_xsave(void *area, uint64_t mask)
{
	__asm__ volatile ("xsave64 (%0)"
			  : : "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
			  : "memory");
}

/* Faults when the area holds what the CPU does not accept: check it first. */
static inline void insn_xrstor(const void *area, uint64_t mask)
{
	__asm__ volatile ("xrstor64 (%0)"
			  : : "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
			  : "memory");
}

static inline void insn_clts(void) { __asm__ volatile ("clts" : : : "memory"); }

/* --- Virtual-machine extensions (SDM vol. 3, "VMX Instruction Reference") --------------------- */
/* Each reports success: both CF and ZF clear ("Conventions"). */

static inline bool insn_vmxon(uint64_t region)
{
	bool failed;
	__asm__ volatile ("vmxon %1" : "=@ccbe"(failed) : "m"(region) : "memory");
	return !failed;
}

static inline void insn_vmxoff(void) { __asm__ volatile ("vmxoff" : : : "cc", "memory"); }

static inline bool insn_vmclear(uint64_t pa)
{
	bool failed;
	__asm__ volatile ("vmclear %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	return !failed;
}

static inline bool insn_vmptrld(uint64_t pa)
{
	bool failed;
	__asm__ volatile ("vmptrld %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	return !failed;
}

static inline bool insn_vmread(uint64_t field, uint64_t *value)
{
	bool failed;
	__asm__ volatile ("vmread %2, %1" : "=@ccbe"(failed), "=r"(*value) : "r"(field) : "memory");
	return !failed;
}

static inline bool insn_vmwrite(uint64_t field, uint64_t value)
{
	bool failed;
	__asm__ volatile ("vmwrite %1, %2" : "=@ccbe"(failed) : "r"(value), "r"(field) : "memory");
	return !failed;
}

static inline bool insn_invept(uint64_t type, uint64_t eptp)
{
	const struct { uint64_t eptp, zero; } descriptor = { eptp, 0 };
	bool failed;
	__asm__ volatile ("invept %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"(type)
	                  : "memory");
	return !failed;
}

static inline bool insn_invvpid(uint64_t type, uint16_t vpid, uint64_t linear)
{
	const struct { uint64_t vpid, linear; } descriptor = { vpid, linear };
	bool failed;
	__asm__ volatile ("invvpid %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"(type)
	                  : "memory");
	return !failed;
}

/* --- Secure virtual machine (APM vol. 2, "SVM Processor and Platform Extensions") ------------ */

/* FS, GS, LDTR, TR and the registers of SYSCALL and SYSENTER into a VMCB at this address. */
static inline void insn_vmsave(uint64_t pa)
{
	__asm__ volatile ("vmsave %0" : : "a"(pa) : "memory");
}

/* Calls the host's own handlers: after an exit that took the event away from the host. */
static inline void insn_int_nmi(void) { __asm__ volatile ("int $2" : : : "cc", "memory"); }
static inline void insn_int_machine_check(void)
{
	__asm__ volatile ("int $18" : : : "cc", "memory");
}

static inline uint16_t insn_str(void)
{
	uint16_t selector;
	__asm__ volatile ("str %0" : "=r"(selector));
	return selector;
}

#endif
