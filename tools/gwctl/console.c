/* SPDX-License-Identifier: MIT */
/*
 * tools/gwctl/console.c - a VM's console: what it says to our output, what we type to it.
 *
 * On a terminal: raw mode, so that every key goes to the guest; Ctrl-] leaves, or "~." at the
 * beginning of a line.  Otherwise (scripts): standard input is typed, output is copied until
 * nothing new has come for --wait-ms.  With --json: one answer, {"text", "next"}.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tools/gwctl/gwctl.h"

#define LEAVE_KEY       0x1d                     /* Ctrl-] */
#define TYPED_MAX       256                      /* bytes of input in one request         */
#define PAUSE_MIN_MS    20                       /* between requests while the guest talks */
#define PAUSE_MAX_MS    250
#define WAIT_DEFAULT_MS 1000

struct session {
	const char *vm;
	long long   from;
	bool        tty, input_open, leave;
	bool        line_start, tilde;          /* for "~." */
	int         code;
	long long   quiet_since_ms;
};

static struct termios saved;
static volatile sig_atomic_t interrupted;
static void on_signal(int signal_number) { (void)signal_number; interrupted = 1; }

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void raw_mode(bool on)
{
	struct termios raw = saved;

	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSADRAIN, on ? &raw : &saved);
}

static bool fetch(struct session *s, struct reply *r)
{
	char query[48];

	snprintf(query, sizeof(query), "/console?from=%lld", s->from);
	bool ok = http_request("GET", path_of("/v1/vms/", s->vm, query), NULL, 0, r);
	if (ok && r->next >= 0)
		s->from = r->next;
	return ok;
}

static void fail(struct session *s, const struct reply *r)
{
	if (s->tty)
		raw_mode(false);
	s->code = reply_exit(r);
	s->leave = true;
}

/* What the guest said since; how many bytes. */
static size_t listen(struct session *s)
{
	struct reply r;
	size_t n = 0;

	if (!fetch(s, &r)) {
		fail(s, &r);
	} else if (r.len) {
		n = r.len;
		fwrite(r.bytes, 1, r.len, stdout);
		fflush(stdout);
		s->quiet_since_ms = now_ms();
	}
	reply_free(&r);
	return n;
}

/* All of it, even when the guest takes it in small bites. */
static void type(struct session *s, const char *bytes, size_t len)
{
	long long give_up_ms = now_ms() + 10000;

	while (len && !s->leave && !interrupted) {
		struct reply r;
		long long took = 0;

		if (!http_request("POST", path_of("/v1/vms/", s->vm, "/console"), bytes, len, &r))
			fail(s, &r);
		else
			took = int_of(r.json, "accepted");
		reply_free(&r);
		if (took < 0 || took > (long long)len) {
			complain("the node says that it took %lld of %zu bytes", took, len);
			s->code = EXIT_REFUSED;
			s->leave = true;
			return;
		}
		bytes += took;
		len -= (size_t)took;
		if (took)
			give_up_ms = now_ms() + 10000;
		else if (!s->leave && now_ms() > give_up_ms) {
			complain("the guest does not read its console; %zu bytes were not typed",
			         len);
			s->code = EXIT_REFUSED;
			s->leave = true;
		} else if (!s->leave) {
			usleep(PAUSE_MIN_MS * 1000);
		}
		s->quiet_since_ms = now_ms();
	}
}

/* Keys that leave are taken out; what remains is for the guest. */
static size_t filter_keys(struct session *s, char *keys, size_t n, bool *leave)
{
	size_t kept = 0;

	for (size_t i = 0; i < n && !*leave; i++) {
		char c = keys[i];

		if (c == LEAVE_KEY || (s->tilde && c == '.')) {
			*leave = true;
		} else if (s->line_start && c == '~') {
			s->tilde = true;
			s->line_start = false;
		} else {
			if (s->tilde && kept < i)
				keys[kept++] = '~';
			s->tilde = false;
			s->line_start = c == '\r' || c == '\n';
			keys[kept++] = c;
		}
	}
	return kept;
}

static void read_keys(struct session *s)
{
	char keys[TYPED_MAX + 1];
	bool tilde = s->tilde, leave = false;
	/* A "~" of the last read may have to go out before these. */
	ssize_t n = read(STDIN_FILENO, keys + tilde, TYPED_MAX);

	if (n <= 0) {
		s->input_open = false;
		return;
	}
	size_t len = (size_t)n;
	if (s->tty) {
		if (tilde) {
			keys[0] = '~';
			s->tilde = false;
			s->line_start = true;
			len++;
		}
		len = filter_keys(s, keys, len, &leave);
	}
	/* What came before the key that leaves is still for the guest. */
	type(s, keys, len);
	s->leave |= leave;
}

static bool quiet(const struct session *s)
{
	long long wait_ms = options.wait_ms >= 0 ? options.wait_ms : WAIT_DEFAULT_MS;

	return !s->tty && !options.follow && !s->input_open &&
	       now_ms() - s->quiet_since_ms > wait_ms;
}

static void follow(struct session *s)
{
	int pause_ms = PAUSE_MIN_MS;

	s->quiet_since_ms = now_ms();
	while (!s->leave && !interrupted && !quiet(s)) {
		struct pollfd p = { .fd = s->input_open ? STDIN_FILENO : -1, .events = POLLIN };

		pause_ms = listen(s) ? PAUSE_MIN_MS :
		           pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
		if (s->leave)
			break;
		if (poll(&p, 1, pause_ms) > 0) {
			read_keys(s);
			pause_ms = PAUSE_MIN_MS;
		}
	}
}

static int once(struct session *s)
{
	struct reply r;

	if (!fetch(s, &r)) {
		fail(s, &r);
	} else {
		/* A guest may say bytes that are no UTF-8; JSON has only text. */
		json_t *text = json_stringn(r.bytes ? r.bytes : "", r.len);

		for (size_t i = 0; !text && i < r.len; i++)
			if ((unsigned char)r.bytes[i] >= 0x80)
				r.bytes[i] = '?';
		if (!text)
			text = json_stringn(r.bytes, r.len);
		json_t *j = json_pack("{s:o, s:I}", "text", text, "next", (json_int_t)s->from);
		print_json(j);
		json_decref(j);
	}
	reply_free(&r);
	return s->code;
}

int vm_console(char **argv)
{
	struct session s = { .vm = argv[0], .from = options.from > 0 ? options.from : 0,
	                     .input_open = true, .line_start = true };

	if (options.json)
		return once(&s);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	s.tty = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &saved) == 0;
	if (s.tty) {
		fprintf(stderr, "console of %s; Ctrl-] or ~. leaves\n", s.vm);
		raw_mode(true);
	}
	follow(&s);
	if (s.tty) {
		raw_mode(false);
		fputc('\n', stderr);
	}
	return interrupted && !s.code && s.tty ? EXIT_INTERRUPTED : s.code;
}
