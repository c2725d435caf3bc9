/* SPDX-License-Identifier: MIT */
/*
 * mig/section.h - saving and loading what vmm/state.h describes.
 *
 * Loading has three steps, each for all sections before the next begins: stage (bytes to a copy,
 * checked; may refuse), commit (copy to the live object; cannot fail), resume (derived fields).
 */
#ifndef MIG_SECTION_H
#define MIG_SECTION_H

#include "mig/wire.h"
#include "vmm/state.h"

/* A section's identity on the wire. */
struct section_head { char name[WIRE_SECTION_NAME]; uint16_t instance, version; uint32_t layout; };
#define SECTION_HEAD_LEN (WIRE_SECTION_NAME + 2 + 2 + 4)

/*
 * CRC-32C of the fields' names, sizes and counts: the same descriptor on both sides, or a named
 * refusal.
 */
uint32_t section_layout(const struct section *s);

/* Bytes of its fields on the wire, without the head. */
size_t   section_len(const struct section *s);

struct section_head section_head_of(const struct section_ref *ref);
void     section_put_head(struct wire_out *w, const struct section_head *h);
void     section_take_head(struct wire_in *r, struct section_head *h);

/* Is what comes the section that we have?  The refusal says which, and what differs. */
enum err section_match(const struct section_ref *have, const struct section_head *comes);

/* Head and fields of one object; calls its save() first. */
void     section_save(const struct section_ref *ref, struct wire_out *w);

/* Fields into `copy`, which holds a copy of the live object; calls its check(). */
enum err section_stage(const struct section_ref *ref, struct wire_in *r, void *copy);

/* The fields of `copy`, and nothing else, into the live object. */
void     section_commit(const struct section_ref *ref, const void *copy);
void     section_resume(const struct section_ref *ref);

#endif
