/* SPDX-License-Identifier: MIT */
/*
 * lib/fmt.c - printf-style formatting into a buffer; see lib/fmt.h for what it knows.
 *
 * Output beyond the buffer is counted and dropped.  The only state is struct out.
 */
#include "lib/fmt.h"

#include <string.h>

#include "lib/types.h"

struct out { char *to; size_t size, len; };

struct spec {
	bool left, zero, plus, space, alt, upper;
	int  width, precision;                  /* precision -1: not given */
	int  length;                            /* bytes of the integer argument */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->to[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text, size_t len)
{
	int fill = s->width - (int)len;

	if (!s->left)
		pad(o, ' ', fill);
	for (size_t i = 0; i < len; i++)
		put(o, text[i]);
	if (s->left)
		pad(o, ' ', fill);
}

static int digits_of(char *to, uint64_t value, unsigned base, bool upper)
{
	const char *digit = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	int n = 0;

	for (; value; value /= base)
		to[n++] = digit[value % base];
	return n;                               /* reversed; none for 0 */
}

static void put_number(struct out *o, const struct spec *s, uint64_t value, unsigned base,
                       const char *prefix)
{
	char digit[24];
	int n = digits_of(digit, value, base, s->upper);
	int least = s->precision < 0 ? 1 : s->precision;
	int zeros = MAX(least - n, 0);
	int len = (int)strlen(prefix) + zeros + n;

	if (s->zero && !s->left && s->precision < 0 && len < s->width) {
		zeros += s->width - len;
		len = s->width;
	}
	if (!s->left)
		pad(o, ' ', s->width - len);
	for (const char *p = prefix; *p; p++)
		put(o, *p);
	pad(o, '0', zeros);
	while (n > 0)
		put(o, digit[--n]);
	if (s->left)
		pad(o, ' ', s->width - len);
}

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		switch (*f) {
		case '-': s->left = true; break;
		case '0': s->zero = true; break;
		case '+': s->plus = true; break;
		case ' ': s->space = true; break;
		case '#': s->alt = true; break;
		default:  return f;
		}
	}
}

static const char *parse_count(const char *f, int *count, va_list *args)
{
	if (*f == '*') {
		*count = va_arg(*args, int);
		return f + 1;
	}
	for (*count = 0; *f >= '0' && *f <= '9'; f++)
		*count = *count * 10 + (*f - '0');
	return f;
}

static const char *parse_length(const char *f, struct spec *s)
{
	s->length = sizeof(int);
	for (;; f++) {
		switch (*f) {
		case 'h':
			s->length = s->length == sizeof(int) ? sizeof(short) : sizeof(char);
			break;
		case 'l': case 'z': case 'j': case 't': s->length = sizeof(long); break;
		default:  return f;
		}
	}
}

static const char *parse_spec(const char *f, struct spec *s, va_list *args)
{
	*s = (struct spec){ .precision = -1 };
	f = parse_flags(f, s);
	f = parse_count(f, &s->width, args);
	if (s->width < 0) {
		s->left = true;
		s->width = -s->width;
	}
	if (*f == '.')
		f = parse_count(f + 1, &s->precision, args);
	return parse_length(f, s);
}

static uint64_t take_unsigned(const struct spec *s, va_list *args)
{
	if (s->length == sizeof(long))
		return va_arg(*args, unsigned long);
	uint64_t v = va_arg(*args, unsigned);
	return s->length == sizeof(int) ? v : v & MASK(s->length * 8 - 1, 0);
}

static int64_t take_signed(const struct spec *s, va_list *args)
{
	if (s->length == sizeof(long))
		return va_arg(*args, long);
	int v = va_arg(*args, int);
	return s->length == sizeof(int)   ? v :
	       s->length == sizeof(short) ? (short)v :
	                                    (signed char)v;
}

static void convert_signed(struct out *o, const struct spec *s, va_list *args)
{
	int64_t v = take_signed(s, args);

	put_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10,
	           v < 0    ? "-" :
	           s->plus  ? "+" :
	           s->space ? " " :
	                      "");
}

static void convert_string(struct out *o, const struct spec *s, va_list *args)
{
	const char *text = va_arg(*args, const char *);

	if (!text)
		text = "(null)";
	put_text(o, s, text, s->precision < 0 ? strlen(text) : strnlen(text, (size_t)s->precision));
}

static void convert_hex(struct out *o, struct spec *s, uint64_t v, bool prefix)
{
	put_number(o, s, v, 16, !prefix || !v ? "" : s->upper ? "0X" : "0x");
}

static void convert(struct out *o, struct spec *s, char what, va_list *args)
{
	char c;

	switch (what) {
	case 'd': case 'i': convert_signed(o, s, args); break;
	case 'u': put_number(o, s, take_unsigned(s, args), 10, ""); break;
	case 'o': put_number(o, s, take_unsigned(s, args), 8, s->alt ? "0" : ""); break;
	case 'X': s->upper = true; convert_hex(o, s, take_unsigned(s, args), s->alt); break;
	case 'x': convert_hex(o, s, take_unsigned(s, args), s->alt); break;
	case 'p': convert_hex(o, s, (uintptr_t)va_arg(*args, void *), true); break;
	case 's': convert_string(o, s, args); break;
	case 'c': c = (char)va_arg(*args, int); put_text(o, s, &c, 1); break;
	case '%': put(o, '%'); break;
	default:  put(o, '%'); put(o, what); break;
	}
}

int fmt_vformat(char *to, size_t size, const char *fmt, va_list args)
{
	struct out o = { to, size, 0 };
	struct spec s;
	va_list copy;

	va_copy(copy, args);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt = parse_spec(fmt + 1, &s, &copy);
		if (!*fmt)
			break;
		convert(&o, &s, *fmt, &copy);
	}
	va_end(copy);
	if (size)
		to[MIN(o.len, size - 1)] = '\0';
	return (int)o.len;
}

int fmt_format(char *to, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int len = fmt_vformat(to, size, fmt, args);
	va_end(args);
	return len;
}
