/* SPDX-License-Identifier: MIT */
/*
 * boot/relocate.c - the image's pointers, moved to where the image lies.
 *
 * Code finds its data relative to itself; what is left are pointers in tables (strings, functions).
 * The linker lists them all in .rela.  Runs before anything else in C, called by boot/multiboot2.S,
 * and so uses no such table itself.  (System V ABI, AMD64 supplement, "Relocation")
 */
#include "boot/boot.h"

#include "arch/x86_64/defs/boot.h"
#include "arch/x86_64/image.h"
#include "arch/x86_64/insn.h"

struct rela { uint64_t offset, info; int64_t addend; };

#define R_X86_64_RELATIVE 8

void relocate_image(void)
{
	uint64_t moved = (uintptr_t)__image_start - IMAGE_LINK_BASE;
	const struct rela *end = (const struct rela *)__rela_end;

	for (const struct rela *r = (const struct rela *)__rela_start; r < end; r++) {
		if (r->info != R_X86_64_RELATIVE)
			insn_ud2();             /* the linker made something unexpected */
		*(uint64_t *)(r->offset + moved) = (uint64_t)r->addend + moved;
	}
}
