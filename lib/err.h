/* SPDX-License-Identifier: MIT */
/*
 * lib/err.h - how an operation says that it failed.
 *
 * Three failures, three mechanisms: a guest's fault is injected into that guest; an operation that
 * failed returns an enum err; a bug of ours ends in panic() (lib/log.h).  An error is explained
 * once, where it is born, by fail(); callers pass the code on unchanged.
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#define ERRORS(E)                                                                   \
	E(OK)                                                                       \
	E(ERR_NO_MEMORY)        /* a pool or the page allocator is empty         */ \
	E(ERR_NOT_SUPPORTED)    /* this machine or this program cannot do it     */ \
	E(ERR_BAD_FORMAT)       /* bytes from outside are not what they must be  */ \
	E(ERR_BAD_ARGUMENT)     /* a request names something impossible          */ \
	E(ERR_NOT_FOUND)        /* a request names something that does not exist */ \
	E(ERR_EXISTS)           /* the name is taken                             */ \
	E(ERR_BUSY)             /* not in this state                             */ \
	E(ERR_LINK_LOST)        /* the peer went away or the connection broke    */ \
	E(ERR_TIMEOUT)          /* a bounded wait came to its end                */ \
	E(ERR_REFUSED)          /* the peer said no                              */ \
	E(ERR_NOT_CONVERGED)    /* dirtied faster than the link carries          */ \
	E(ERR_CANCELLED)        /* somebody asked us to stop                     */ \
	E(ERR_FATAL_GUEST)      /* the guest did what stops it                   */

enum err {
#define E(name) name,
	ERRORS(E)
#undef E
	ERR_COUNT
};

/*
 * Log one sentence that says what failed and why, remember it for err_reason(), return `code`.
 * The sentence names the field, value or thing concerned.  `code` must not be OK.
 */
enum err fail(enum err code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As fail(), for failures a caller brought on itself (bad requests): remembered, not logged. */
enum err refuse(enum err code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The sentence of the latest fail() or refuse(); valid until the next one.  Copy before waiting. */
const char *err_reason(void);

/* "ERR_NO_MEMORY" and so on. */
const char *err_name(enum err code);

#endif
