/* SPDX-License-Identifier: MIT */
/*
 * lib/insn.h - one inline wrapper per instruction that C cannot express, named after it.
 *
 * Micro-guests must not depend on the code under test, so this is their own copy and not
 * arch/x86_64/insn.h.  Besides the .S files, inline assembly lives here only.
 */
#ifndef GUEST_INSN_H
#define GUEST_INSN_H

#include <stdint.h>

struct cpuid { uint32_t eax, ebx, ecx, edx; };

static inline struct cpuid insn_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;
	__asm__ volatile ("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			  : "a"(leaf), "c"(subleaf));
	return r;
}

/* The hypercalls of the two vendors: number and answer in RAX. */
static inline uint64_t insn_vmcall(uint64_t number)
{
	__asm__ volatile ("vmcall" : "+a"(number) : : "memory");
	return number;
}

static inline uint64_t insn_vmmcall(uint64_t number)
{
	__asm__ volatile ("vmmcall" : "+a"(number) : : "memory");
	return number;
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

/* Serialised on both sides, so that what is timed lies between two reads. */
static inline uint64_t insn_rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile ("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline uint64_t insn_rdtscp(uint32_t *aux)
{
	uint32_t lo, hi;
	__asm__ volatile ("rdtscp; lfence" : "=a"(lo), "=d"(hi), "=c"(*aux) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

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

/* String forms return the address after the last byte that they touched (rsi or rdi). */
static inline const void *insn_rep_outsb(uint16_t port, const void *from, uint64_t count)
{
	__asm__ volatile ("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
	return from;
}

static inline const void *insn_rep_outsw(uint16_t port, const void *from, uint64_t count)
{
	__asm__ volatile ("rep outsw" : "+S"(from), "+c"(count) : "d"(port) : "memory");
	return from;
}

static inline const void *insn_rep_outsl(uint16_t port, const void *from, uint64_t count)
{
	__asm__ volatile ("rep outsl" : "+S"(from), "+c"(count) : "d"(port) : "memory");
	return from;
}

static inline void *insn_rep_insb(uint16_t port, void *to, uint64_t count)
{
	__asm__ volatile ("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
	return to;
}

static inline void *insn_rep_insw(uint16_t port, void *to, uint64_t count)
{
	__asm__ volatile ("rep insw" : "+D"(to), "+c"(count) : "d"(port) : "memory");
	return to;
}

static inline void *insn_rep_insl(uint16_t port, void *to, uint64_t count)
{
	__asm__ volatile ("rep insl" : "+D"(to), "+c"(count) : "d"(port) : "memory");
	return to;
}

static inline void insn_cli(void)   { __asm__ volatile ("cli" : : : "memory"); }
static inline void insn_sti(void)   { __asm__ volatile ("sti; nop" : : : "memory"); }
static inline void insn_hlt(void)   { __asm__ volatile ("hlt" : : : "memory"); }
static inline void insn_pause(void) { __asm__ volatile ("pause" : : : "memory"); }
static inline void insn_ud2(void)   { __asm__ volatile ("ud2" : : : "memory"); }
static inline void insn_sysenter(void) { __asm__ volatile ("sysenter" : : : "memory"); }
static inline void insn_int3(void)  { __asm__ volatile ("int3" : : : "memory"); }

/* The interrupt shadow of STI covers HLT: no wake-up can be lost between the two. */
static inline void insn_sti_hlt(void) { __asm__ volatile ("sti; hlt" : : : "memory"); }

static inline void insn_barrier(void) { __asm__ volatile ("mfence" : : : "memory"); }

static inline uint64_t insn_read_cr0(void)
{
	uint64_t value;
	__asm__ volatile ("mov %%cr0, %0" : "=r"(value));
	return value;
}

static inline void insn_write_cr0(uint64_t value)
{
	__asm__ volatile ("mov %0, %%cr0" : : "r"(value) : "memory");
}

static inline uint64_t insn_read_cr2(void)
{
	uint64_t value;
	__asm__ volatile ("mov %%cr2, %0" : "=r"(value));
	return value;
}

static inline void insn_write_cr2(uint64_t value)
{
	__asm__ volatile ("mov %0, %%cr2" : : "r"(value) : "memory");
}

static inline uint64_t insn_read_cr3(void)
{
	uint64_t value;
	__asm__ volatile ("mov %%cr3, %0" : "=r"(value));
	return value;
}

static inline void insn_write_cr3(uint64_t value)
{
	__asm__ volatile ("mov %0, %%cr3" : : "r"(value) : "memory");
}

static inline uint64_t insn_read_cr4(void)
{
	uint64_t value;
	__asm__ volatile ("mov %%cr4, %0" : "=r"(value));
	return value;
}

static inline void insn_write_cr4(uint64_t value)
{
	__asm__ volatile ("mov %0, %%cr4" : : "r"(value) : "memory");
}

static inline uint64_t insn_read_cr8(void)
{
	uint64_t value;
	__asm__ volatile ("mov %%cr8, %0" : "=r"(value));
	return value;
}

static inline void insn_write_cr8(uint64_t value)
{
	__asm__ volatile ("mov %0, %%cr8" : : "r"(value) : "memory");
}

static inline uint64_t insn_read_rflags(void)
{
	uint64_t value;
	__asm__ volatile ("pushfq; pop %0" : "=r"(value));
	return value;
}

static inline void insn_invlpg(const void *address)
{
	__asm__ volatile ("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void insn_lidt(const void *pointer)
{
	__asm__ volatile ("lidt (%0)" : : "r"(pointer) : "memory");
}

static inline void insn_ltr(uint16_t selector)
{
	__asm__ volatile ("ltr %0" : : "r"(selector) : "memory");
}

/* Exceptions on demand. */
static inline uint64_t insn_divide(uint64_t low, uint64_t by)
{
	uint64_t quotient = low, rest = 0;
	__asm__ volatile ("div %2" : "+a"(quotient), "+d"(rest) : "r"(by));
	return quotient;
}

static inline void insn_load_fs(uint16_t selector)
{
	__asm__ volatile ("mov %0, %%fs" : : "r"(selector) : "memory");
}

static inline void insn_call(uint64_t address)
{
	__asm__ volatile ("call *%0" : : "r"(address) : "memory", "rax", "rcx", "rdx");
}

static inline void insn_write_rflags(uint64_t value)
{
	__asm__ volatile ("push %0; popfq" : : "r"(value) : "memory", "cc");
}

static inline void insn_fninit(void) { __asm__ volatile ("fninit" : : : "memory"); }
static inline void insn_int80(void)  { __asm__ volatile ("int $0x80" : : : "memory"); }

/* Forms of memory access, for instruction decoders behind an MMIO fault. */
static inline uint32_t insn_mov_r32_m(const volatile void *m)
{
	uint32_t value;
	__asm__ volatile ("movl (%1), %0" : "=r"(value) : "r"(m) : "memory");
	return value;
}

static inline uint64_t insn_mov_r64_m(const volatile void *m)
{
	uint64_t value;
	__asm__ volatile ("movq (%1), %0" : "=r"(value) : "r"(m) : "memory");
	return value;
}

static inline uint16_t insn_mov_r16_m(const volatile void *m)
{
	uint16_t value;
	__asm__ volatile ("movw (%1), %0" : "=r"(value) : "r"(m) : "memory");
	return value;
}

static inline uint8_t insn_mov_r8_m(const volatile void *m)
{
	uint8_t value;
	__asm__ volatile ("movb (%1), %0" : "=q"(value) : "r"(m) : "memory");
	return value;
}

static inline void insn_mov_m_r32(volatile void *m, uint32_t value)
{
	__asm__ volatile ("movl %0, (%1)" : : "r"(value), "r"(m) : "memory");
}

static inline void insn_mov_m_r16(volatile void *m, uint16_t value)
{
	__asm__ volatile ("movw %0, (%1)" : : "r"(value), "r"(m) : "memory");
}

static inline void insn_mov_m_r8(volatile void *m, uint8_t value)
{
	__asm__ volatile ("movb %0, (%1)" : : "q"(value), "r"(m) : "memory");
}

static inline void insn_mov_m_r64(volatile void *m, uint64_t value)
{
	__asm__ volatile ("movq %0, (%1)" : : "r"(value), "r"(m) : "memory");
}

static inline void insn_mov_m_imm32(volatile void *m)            /* stores 0x12345678 */
{
	__asm__ volatile ("movl $0x12345678, (%0)" : : "r"(m) : "memory");
}

/* Base, scaled index and displacement, registers that need REX: m + 8 * index - 64. */
static inline uint32_t insn_mov_r32_sib(const volatile void *m, uint64_t index)
{
	uint32_t value;
	__asm__ volatile ("mov %1, %%r12; mov %2, %%r13; movl -64(%%r12, %%r13, 8), %%r14d; "
			  "mov %%r14d, %0" : "=r"(value) : "r"(m), "r"(index)
			  : "r12", "r13", "r14", "memory");
	return value;
}

/* The accumulator's own form with a 64-bit absolute address (opcodes 0xa1 and 0xa3). */
static inline uint32_t insn_movabs_eax_m(void)                   /* reads 0xfee00380 */
{
	uint32_t value;
	__asm__ volatile ("movabsl 0xfee00380, %0" : "=a"(value) : : "memory");
	return value;
}

static inline void insn_movabs_m_eax(uint32_t value)             /* writes 0xfee00380 */
{
	__asm__ volatile ("movabsl %0, 0xfee00380" : : "a"(value) : "memory");
}

static inline uint32_t insn_movzx_r32_m8(const volatile void *m)
{
	uint32_t value;
	__asm__ volatile ("movzbl (%1), %0" : "=r"(value) : "r"(m) : "memory");
	return value;
}

static inline uint32_t insn_movzx_r32_m16(const volatile void *m)
{
	uint32_t value;
	__asm__ volatile ("movzwl (%1), %0" : "=r"(value) : "r"(m) : "memory");
	return value;
}

static inline int64_t insn_movsx_r64_m32(const volatile void *m)
{
	int64_t value;
	__asm__ volatile ("movslq (%1), %0" : "=r"(value) : "r"(m) : "memory");
	return value;
}

static inline int32_t insn_movsx_r32_m8(const volatile void *m)
{
	int32_t value;
	__asm__ volatile ("movsbl (%1), %0" : "=r"(value) : "r"(m) : "memory");
	return value;
}

static inline void insn_or_m_r32(volatile void *m, uint32_t value)
{
	__asm__ volatile ("orl %0, (%1)" : : "r"(value), "r"(m) : "memory", "cc");
}

static inline void insn_and_m_imm32(volatile void *m)            /* with 0x00ffff00 */
{
	__asm__ volatile ("andl $0x00ffff00, (%0)" : : "r"(m) : "memory", "cc");
}

static inline void insn_and_m_imm8(volatile void *m)             /* with -16 */
{
	__asm__ volatile ("andl $-16, (%0)" : : "r"(m) : "memory", "cc");
}

static inline void insn_xor_m_r32(volatile void *m, uint32_t value)
{
	__asm__ volatile ("xorl %0, (%1)" : : "r"(value), "r"(m) : "memory", "cc");
}

static inline uint32_t insn_and_r32_m(const volatile void *m, uint32_t value)
{
	__asm__ volatile ("andl (%1), %0" : "+r"(value) : "r"(m) : "memory", "cc");
	return value;
}

static inline uint32_t insn_add_r32_m(const volatile void *m, uint32_t value)
{
	__asm__ volatile ("addl (%1), %0" : "+r"(value) : "r"(m) : "memory", "cc");
	return value;
}

/* Zero flag after TEST of memory with a register, and after CMP of memory with an immediate. */
static inline uint8_t insn_test_m_r32(const volatile void *m, uint32_t value)
{
	uint8_t zero;
	__asm__ volatile ("testl %1, (%2); setz %0" : "=q"(zero) : "r"(value), "r"(m) : "memory",
			  "cc");
	return zero;
}

static inline uint8_t insn_cmp_m_imm32(const volatile void *m)   /* with 0x12345678 */
{
	uint8_t zero;
	__asm__ volatile ("cmpl $0x12345678, (%1); setz %0" : "=q"(zero) : "r"(m) : "memory", "cc");
	return zero;
}

static inline uint32_t insn_xchg_m_r32(volatile void *m, uint32_t value)
{
	__asm__ volatile ("xchgl %0, (%1)" : "+r"(value) : "r"(m) : "memory");
	return value;
}

static inline void insn_stosl(volatile void *m, uint32_t value)
{
	__asm__ volatile ("stosl" : "+D"(m) : "a"(value) : "memory");
}

static inline uint32_t insn_lodsl(const volatile void *m)
{
	uint32_t value;
	__asm__ volatile ("lodsl" : "=a"(value), "+S"(m) : : "memory");
	return value;
}

static inline void insn_rep_movsl(volatile void *to, const volatile void *from, uint64_t count)
{
	__asm__ volatile ("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static inline void insn_movups_m_xmm0(volatile void *m)
{
	__asm__ volatile ("movups %%xmm0, (%0)" : : "r"(m) : "memory");
}

/* Extended state. */
static inline uint64_t insn_xgetbv(void)
{
	uint32_t lo, hi;
	__asm__ volatile ("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

static inline void insn_xsetbv(uint64_t value)
{
	__asm__ volatile ("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline void insn_xsave(void *area, uint64_t mask)
{
	__asm__ volatile ("xsave64 (%0)" : : "r"(area), "a"((uint32_t)mask),
			  "d"((uint32_t)(mask >> 32)) : "memory");
}

static inline void insn_xrstor(const void *area, uint64_t mask)
{
	__asm__ volatile ("xrstor64 (%0)" : : "r"(area), "a"((uint32_t)mask),
			  "d"((uint32_t)(mask >> 32)) : "memory");
}

static inline void insn_fxsave(void *area)
{
	__asm__ volatile ("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void insn_fxrstor(const void *area)
{
	__asm__ volatile ("fxrstor64 (%0)" : : "r"(area) : "memory");
}

/* Debug registers. */
static inline void insn_write_dr0_dr3(const uint64_t dr[4])
{
	__asm__ volatile ("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
			  : : "r"(dr[0]), "r"(dr[1]), "r"(dr[2]), "r"(dr[3]));
}

static inline void insn_read_dr0_dr3(uint64_t dr[4])
{
	__asm__ volatile ("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
			  : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
}

static inline uint64_t insn_read_dr6(void)
{
	uint64_t value;
	__asm__ volatile ("mov %%dr6, %0" : "=r"(value));
	return value;
}

#endif
