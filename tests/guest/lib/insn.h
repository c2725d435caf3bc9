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

#endif
