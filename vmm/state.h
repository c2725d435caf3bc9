/* SPDX-License-Identifier: MIT */
/*
 * vmm/state.h - describing what travels when a VM moves.
 *
 * Each device's section stands directly under its struct: one list for saving and loading.  Bytes
 * are written field by field, little-endian, by mig/section.c; no struct goes to the wire whole.
 */
#ifndef VMM_STATE_H
#define VMM_STATE_H

#include "lib/err.h"
#include "lib/types.h"

/*
 * An unsigned or signed integer of 1, 2, 4 or 8 bytes, `count` of them in a row; a bool takes only
 * 0 and 1.
 */
struct field {
	const char *name;
	uint32_t    offset;
	uint16_t    size;       /* bytes of one */
	uint16_t    count;
	bool        boolean;
};
#define FIELD_BOOL(m)    _Generic((m), bool: true, default: false)
#define FIELD(type, m)   { #m, offsetof(type, m), sizeof(((type *)0)->m), 1, \
                           FIELD_BOOL(((type *)0)->m) }
#define FIELDS(type, m)  { #m, offsetof(type, m), sizeof(((type *)0)->m[0]), \
                           COUNT(((type *)0)->m), \
                           FIELD_BOOL(((type *)0)->m[0]) }

struct section {
	const char         *name;       /* up to 15 characters; with `instance` its identity      */
	uint16_t            version;    /* the one version that this program reads and writes     */
	const struct field *fields;
	uint16_t            nfields;
	uint32_t            object_size;
	/* Before its fields are read: bring them up to date.  May be NULL. */
	void     (*save)(void *object);
	/* Of a staged copy: may refuse, and then names the field.  May be NULL. */
	enum err (*check)(const void *object);
	/* After commit: rebuild what is derived; cannot fail.  May be NULL. */
	void     (*resume)(void *object);
};

/* One object of a VM that has a section. */
struct section_ref {
	const struct section *section;
	void                 *object;
	uint16_t              instance; /* which of several: vCPU number, virtio slot ... */
};

#endif
