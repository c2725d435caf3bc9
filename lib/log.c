/* SPDX-License-Identifier: MIT */
/*
 * lib/log.c - log lines to every sink, and the last of them kept in a ring for panic screens and
 * the control service.
 */
#include "lib/log.h"

#include "lib/config.h"
#include "lib/fmt.h"
#include "lib/time.h"
#include "lib/types.h"

bool log_urgent;

static log_sink_fn *sinks[LOG_SINKS_MAX];
static unsigned nsinks;
static char ring[LOG_RING_SIZE];
static uint64_t ring_end;                       /* bytes ever written */

void log_add_sink(log_sink_fn *sink)
{
	ASSERT(nsinks < LOG_SINKS_MAX);
	sinks[nsinks++] = sink;
}

static void emit(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ring[ring_end++ % LOG_RING_SIZE] = text[i];
	for (unsigned i = 0; i < nsinks; i++)
		sinks[i](text, len);
}

static void mark_cut(char *line, size_t size)
{
	for (size_t i = size - 4; i < size - 1; i++)
		line[i] = '.';
}

void log_line(const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	uint64_t us = time_now_ns() / NS_PER_US;
	size_t len = (size_t)fmt_format(line, sizeof(line), "[%5lu.%06lu] ",
	                                (us / 1000000), (us % 1000000));
	va_list args;

	va_start(args, fmt);
	len += (size_t)fmt_vformat(line + len, sizeof(line) - 1 - len, fmt, args);
	va_end(args);
	if (len > sizeof(line) - 2) {
		len = sizeof(line) - 2;
		mark_cut(line, sizeof(line) - 1);
	}
	line[len++] = '\n';
	emit(line, len);
}

void log_text(const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, fmt);
	size_t len = (size_t)fmt_vformat(text, sizeof(text), fmt, args);
	va_end(args);
	emit(text, MIN(len, sizeof(text) - 1));
}

size_t log_tail(char *to, size_t size)
{
	uint64_t n = MIN(MIN(ring_end, LOG_RING_SIZE), size);

	for (uint64_t i = 0; i < n; i++)
		to[i] = ring[(ring_end - n + i) % LOG_RING_SIZE];
	return n;
}
