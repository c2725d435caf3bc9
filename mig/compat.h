/* SPDX-License-Identifier: MIT */
/*
 * mig/compat.h - may this guest live here?  Every reason against it is given, not only the first.
 */
#ifndef MIG_COMPAT_H
#define MIG_COMPAT_H

#include "mig/hello.h"

/*
 * Sentences against it, separated by "; ".  When there is no room for more, the text ends in
 * "...".
 */
struct reasons { unsigned n; size_t len; char text[WIRE_REASON_MAX]; };

void reasons_add(struct reasons *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What this host has to offer. */
struct compat_here {
	struct cpuid_table cpuid;
	uint64_t           bytes_free;          /* host memory that can be given to guests */
};

/*
 * Host memory that a guest needs beside its RAM, at most: tables of 4 KiB leaves, devices,
 * staging.
 */
uint64_t compat_extra_bytes(uint64_t ram_bytes);

void compat_check(const struct hello *h, const struct compat_here *here, struct reasons *r);

/* The sections that will come against those of the ghost: same set, same versions, same fields. */
void compat_sections(const struct hello *h, const struct section_ref *ghost, unsigned n,
		     struct reasons *r);

#endif
