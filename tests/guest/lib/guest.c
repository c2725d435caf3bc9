/* SPDX-License-Identifier: MIT */
/*
 * lib/guest.c - the frame around a micro-guest: C entry, console, options, verdict.
 *
 * Called by lib/start.S.  Everything here is as dull as possible: a guest that tests an interrupt
 * or a timer must not depend on one to say so.  Read next: lib/trap.c, then any guest.
 */
#include <stdarg.h>

#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/pic.h"
#include "lib/trap.h"

enum multiboot {                 /* Multiboot Specification 0.6.96, "Boot information format" */
	MULTIBOOT_LOADED  = 0x2badb002,
	INFO_HAS_MEMORY   = BIT(0),
	INFO_HAS_CMDLINE  = BIT(2),
};

enum uart {                      /* 16550 registers, as offsets from COM1 */
	UART_DATA        = 0,
	UART_IER         = 1,
	UART_FCR         = 2,
	UART_LCR         = 3,
	UART_MCR         = 4,
	UART_LSR         = 5,
	LCR_8N1          = 0x03,
	LCR_DLAB         = 0x80,
	FCR_ENABLE_CLEAR = 0x07,
	MCR_DTR_RTS      = 0x03,
	LSR_THR_EMPTY    = 0x20,
	LSR_ALL_SENT     = 0x40,
	UART_SPINS_MAX   = 1000000,  /* a missing UART must not hang the guest */
};

enum verdict { VERDICT_PASS = 0, VERDICT_FAIL = 1, VERDICT_SKIP = 2 };

struct multiboot_info {
	uint32_t flags, mem_lower_kib, mem_upper_kib, boot_device, cmdline;
};

extern char __image_end[];

static const struct multiboot_info *boot_info;

void *memcpy(void *to, const void *from, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
	return to;
}

void *memset(void *to, int byte, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)to)[i] = (uint8_t)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
	const uint8_t *x = a, *y = b;
	for (size_t i = 0; i < length; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

static void uart_init(void)
{
	insn_outb(COM1 + UART_IER, 0);
	insn_outb(COM1 + UART_LCR, LCR_DLAB);
	insn_outb(COM1 + UART_DATA, 1);                  /* divisor 1: 115200 baud */
	insn_outb(COM1 + UART_IER, 0);
	insn_outb(COM1 + UART_LCR, LCR_8N1);
	insn_outb(COM1 + UART_FCR, FCR_ENABLE_CLEAR);
	insn_outb(COM1 + UART_MCR, MCR_DTR_RTS);
}

static void await_uart(uint8_t bit)
{
	for (int i = 0; i < UART_SPINS_MAX; i++)
		if (insn_inb(COM1 + UART_LSR) & bit)
			break;
}

static void put_char(char c)
{
	await_uart(LSR_THR_EMPTY);
	insn_outb(COM1 + UART_DATA, (uint8_t)c);
}

static void put_string(const char *s)
{
	for (; *s; s++)
		put_char(*s);
}

static void put_number(uint64_t value, unsigned base, int width, char pad)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (int i = n; i < width; i++)
		put_char(pad);
	while (n)
		put_char(digits[--n]);
}

/* One conversion; returns the character after it. */
static const char *put_conversion(const char *f, va_list *args)
{
	char pad = *f == '0' ? '0' : ' ';
	int width = 0;
	bool is_long = false;

	for (; *f >= '0' && *f <= '9'; f++)
		width = width * 10 + (*f - '0');
	for (; *f == 'l'; f++)
		is_long = true;
	if (*f == 's') {
		put_string(va_arg(*args, const char *));
	} else if (*f == 'c') {
		put_char((char)va_arg(*args, int));
	} else if (*f == 'd') {
		int64_t v = is_long ? va_arg(*args, int64_t) : va_arg(*args, int);
		if (v < 0)
			put_char('-');
		put_number(v < 0 ? -(uint64_t)v : (uint64_t)v, 10, width, pad);
	} else if (*f == 'u' || *f == 'x') {
		uint64_t v = is_long ? va_arg(*args, uint64_t) : va_arg(*args, uint32_t);
		put_number(v, *f == 'x' ? 16 : 10, width, pad);
	} else {
		put_char(*f);
	}
	return f + 1;
}

static void put_format(const char *f, va_list *args)
{
	while (*f) {
		if (*f == '%')
			f = put_conversion(f + 1, args);
		else
			put_char(*f++);
	}
}

void guest_print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_format(format, &args);
	va_end(args);
}

void guest_flush(void)
{
	await_uart(LSR_ALL_SENT);
}

void guest_halt(void)
{
	for (;;) {
		insn_cli();
		insn_hlt();
	}
}

static _Noreturn void leave(enum verdict verdict)
{
	guest_flush();                           /* the verdict must not die in the FIFO */
	insn_outl(PORT_EXIT, verdict);
	for (const char *s = "Shutdown"; *s; s++)
		insn_outb(PORT_SHUTDOWN, (uint8_t)*s);
	guest_halt();
}

void guest_pass(void)
{
	guest_print("PASS %s\n", guest_name);
	leave(VERDICT_PASS);
}

void guest_fail(const char *format, ...)
{
	va_list args;

	guest_print("FAIL %s: ", guest_name);
	va_start(args, format);
	put_format(format, &args);
	va_end(args);
	guest_print("\n");
	leave(VERDICT_FAIL);
}

void guest_skip(const char *why)
{
	guest_print("SKIP %s: %s\n", guest_name, why);
	leave(VERDICT_SKIP);
}

/* The text after `key` in the command line, if it stands there as a word of its own. */
static const char *find_option(const char *key)
{
	if (!(boot_info->flags & INFO_HAS_CMDLINE))
		return NULL;
	const char *p = (const char *)(uintptr_t)boot_info->cmdline;
	while (*p) {
		size_t n = 0;
		while (key[n] && p[n] == key[n])
			n++;
		if (!key[n] && (p[n] == '=' || p[n] == ' ' || !p[n]))
			return p + n;
		while (*p && *p != ' ')
			p++;
		while (*p == ' ')
			p++;
	}
	return NULL;
}

uint64_t guest_option(const char *key, uint64_t otherwise)
{
	const char *p = find_option(key);
	uint64_t value = 0;
	unsigned base = 10;

	if (!p || *p++ != '=')
		return otherwise;
	if (p[0] == '0' && p[1] == 'x') {
		base = 16;
		p += 2;
	}
	for (; *p && *p != ' '; p++) {
		unsigned digit = *p <= '9' ? (unsigned)(*p - '0') :
			(unsigned)((*p | 0x20) - 'a' + 10);
		CHECK(digit < base, "option %s: '%c' is not a digit", key, *p);
		value = value * base + digit;
	}
	return value;
}

bool guest_has_option(const char *key)
{
	return find_option(key) != NULL;
}

uint64_t guest_ram_end(void)
{
	CHECK(boot_info->flags & INFO_HAS_MEMORY, "the loader gave no memory size");
	return MIB + (uint64_t)boot_info->mem_upper_kib * 1024 / PAGE_SIZE * PAGE_SIZE;
}

uint64_t guest_ram_free(void)
{
	return (uint64_t)(uintptr_t)__image_end;
}

bool guest_hypervisor(void)
{
	return insn_cpuid(1, 0).ecx & BIT(31);
}

void guest_start(uint32_t magic, const struct multiboot_info *info);

void guest_start(uint32_t magic, const struct multiboot_info *info)
{
	boot_info = info;
	uart_init();
	guest_print("%s: %s\n", guest_name, guest_title);
	CHECK(magic == MULTIBOOT_LOADED, "loader's magic is %x", magic);
	trap_init();
	pic_init(VECTOR_FIRST_IRQ);      /* a BIOS leaves IRQ 0 unmasked, at vector 8 */
	guest_main();
	guest_pass();
}
