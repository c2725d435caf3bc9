/* SPDX-License-Identifier: MIT */
/*
 * lib/types.h - the words every file uses: bits, masks, pages and the two kinds of address.
 */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIT(n)          (1ull << (n))
#define MASK(hi, lo)    ((~0ull >> (63 - (hi))) & (~0ull << (lo)))
#define GET(mask, v)    (((v) & (mask)) / ((mask) & -(mask)))    /* field out of a register */
#define PUT(mask, v)    (((v) * ((mask) & -(mask))) & (mask))    /* field into a register   */

#define COUNT(a)        (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)       ((a) < (b) ? (a) : (b))
#define MAX(a, b)       ((a) > (b) ? (a) : (b))
#define ALIGN_DOWN(v, a) ((v) & ~((uint64_t)(a) - 1))            /* a: power of two */
#define ALIGN_UP(v, a)  ALIGN_DOWN((v) + (a) - 1, a)
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

#define KIB             1024ull
#define MIB             (1024 * KIB)
#define GIB             (1024 * MIB)

#define PAGE_SHIFT      12
#define PAGE_SIZE       (1ull << PAGE_SHIFT)
#define FRAME_SHIFT     21                              /* a frame is 2 MiB: one large leaf */
#define FRAME_SIZE      (1ull << FRAME_SHIFT)
#define PAGES_PER_FRAME (FRAME_SIZE / PAGE_SIZE)

#define NS_PER_US       1000ull
#define NS_PER_MS       1000000ull
#define NS_PER_S        1000000000ull
#define NEVER_NS        UINT64_MAX                               /* a deadline that does not come */

/* Addresses are types: a guest-physical one cannot be used where a host-physical one is meant. */
typedef struct { uint64_t v; } gpa_t;
typedef struct { uint64_t v; } hpa_t;

static inline gpa_t gpa(uint64_t v) { return (gpa_t){ v }; }
static inline hpa_t hpa(uint64_t v) { return (hpa_t){ v }; }

/* The host maps all of its RAM one to one, so a host-physical address is also a pointer. */
static inline void *hpa_ptr(hpa_t a) { return (void *)(uintptr_t)a.v; }
static inline hpa_t ptr_hpa(const void *p) { return (hpa_t){ (uintptr_t)p }; }

#endif
