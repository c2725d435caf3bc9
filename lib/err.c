/* SPDX-License-Identifier: MIT */
/*
 * lib/err.c - remembering why the latest operation failed.
 */
#include "lib/err.h"

#include "lib/config.h"
#include "lib/fmt.h"
#include "lib/log.h"

static char reason[REASON_MAX];

static const char *const names[ERR_COUNT] = {
#define E(name) #name,
	ERRORS(E)
#undef E
};

/* The arguments may point into the old sentence, so the new one is made beside it. */
static void remember(const char *fmt, va_list args)
{
	char text[REASON_MAX];

	fmt_vformat(text, sizeof(text), fmt, args);
	fmt_format(reason, sizeof(reason), "%s", text);
}

enum err fail(enum err code, const char *fmt, ...)
{
	va_list args;

	ASSERT(code != OK);
	va_start(args, fmt);
	remember(fmt, args);
	va_end(args);
	log_line("failed: %s", reason);
	return code;
}

enum err refuse(enum err code, const char *fmt, ...)
{
	va_list args;

	ASSERT(code != OK);
	va_start(args, fmt);
	remember(fmt, args);
	va_end(args);
	return code;
}

const char *err_reason(void)
{
	return reason;
}

const char *err_name(enum err code)
{
	return (unsigned)code < ERR_COUNT ? names[code] : "?";
}
