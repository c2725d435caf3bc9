/* SPDX-License-Identifier: MIT */
/*
 * lib/log.h - the host's voice: log lines, assertions, panic.
 *
 * Formats are those of lib/fmt.h.  A line gets a time stamp and goes to every sink (COM1, screen).
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stddef.h>

#define LOG_SINKS_MAX 4

/* Write `len` bytes somewhere; must not fail, wait without bound, or log. */
typedef void log_sink_fn(const char *text, size_t len);

/* Set by a panic: nothing will run after this text, so a sink that queues must write at once. */
extern bool log_urgent;

/* Add a sink; at most LOG_SINKS_MAX, more is a bug of the caller. */
void log_add_sink(log_sink_fn *sink);

/* One line to all sinks: "[   12.345678] text\n".  Longer than LOG_LINE_MAX is cut with "...". */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Text without stamp or newline to all sinks (register dumps, the boot table). */
void log_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The last LOG_RING_SIZE bytes logged, oldest first; returns how many were copied into `to`. */
size_t log_tail(char *to, size_t size);

/*
 * A bug of ours: print the sentence and one screen of state, then stop this machine.
 * Implemented by arch/x86_64/panic.c; host tests have their own.
 */
_Noreturn void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Contracts; always compiled in. */
#define ASSERT(cond)                                                              \
	do {                                                                      \
		if (!(cond))                                                      \
			panic("%s:%d: not true: %s", __FILE__, __LINE__, #cond);  \
	} while (0)

#endif
