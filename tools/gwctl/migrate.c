/* SPDX-License-Identifier: MIT */
/*
 * tools/gwctl/migrate.c - start a migration, show how it goes, and say how it ended.
 *
 * The bar is the share of the guest's memory that is the same on both sides; beside it the round,
 * the pages left, the measured rate, and how long the guest would stand still if it were stopped
 * now.  Ctrl-C asks the node to cancel; once more leaves the migration alone.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/gwctl/gwctl.h"

#define PAUSE_US       150000
#define BAR_WIDTH      30
#define PAGES_PER_MIB  256
#define MIB            (1024.0 * 1024.0)
#define PATIENCE_S     60                        /* without an answer from the node */

static volatile sig_atomic_t interrupts;
static void on_interrupt(int signal_number) { (void)signal_number; interrupts++; }

struct watch {
	char      id[24];
	long long pages;                        /* of the guest                          */
	bool      bar, bar_shown, cancel_asked, doubt_said;
	long long rounds_said;
};

static void clear_bar(struct watch *w)
{
	if (w->bar_shown)
		fputs("\r\033[K", stderr);
	w->bar_shown = false;
}

static void show_bar(struct watch *w, const json_t *m)
{
	long long left = int_of(m, "pages_left");
	double same = w->pages > 0 && left <= w->pages ? 1.0 - (double)left / (double)w->pages : 0;
	int full = (int)(same * BAR_WIDTH);

	fprintf(stderr, "\r\033[K%s [%.*s%*s] %3.0f%%  round %lld, %lld pages left",
	        text_of(m, "state"), full,
	        "##############################", BAR_WIDTH - full, "", same * 100,
	        int_of(m, "round"), left);
	if (real_of(m, "rate_bytes_s") > 0)
		fprintf(stderr, ", %.2f MiB/s", real_of(m, "rate_bytes_s") / MIB);
	if (real_of(m, "predicted_downtime_ms") > 0)
		fprintf(stderr, ", would stop for %.0f ms", real_of(m, "predicted_downtime_ms"));
	fflush(stderr);
	w->bar_shown = true;
}

/* Without a terminal: a line a round. */
static void say_rounds(struct watch *w, const json_t *m)
{
	long long rounds = int_of(m, "round");

	if (rounds == w->rounds_said || true_of(m, "ended"))
		return;
	w->rounds_said = rounds;
	fprintf(stderr, "round %lld: %lld pages to send, %.2f MiB/s, would stop for %.0f ms\n",
	        rounds, int_of(m, "pages_left"),
	        real_of(m, "rate_bytes_s") / MIB, real_of(m, "predicted_downtime_ms"));
}

static void show(struct watch *w, const json_t *m)
{
	if (strcmp(text_of(m, "state"), "DOUBT") == 0) {
		clear_bar(w);
		if (!w->doubt_said)
			complain("%s; \"gwctl migration resolve %s ours|theirs\" decides",
			         text_of(m, "result"), w->id);
		w->doubt_said = true;
	} else if (w->bar) {
		show_bar(w, m);
	} else {
		say_rounds(w, m);
	}
}

static void ask_cancel(struct watch *w)
{
	struct reply r;

	w->cancel_asked = true;
	clear_bar(w);
	if (http_request("POST", path_of("/v1/migrations/", w->id, "/cancel"), NULL, 0, &r))
		complain("asked the node to cancel; once more Ctrl-C leaves without waiting");
	else
		complain("%s", r.error);
	reply_free(&r);
}

/*
 * Until it has ended.  The answer is in `last`; a node that does not answer for a while is waited
 * for.
 */
static int follow(struct watch *w, struct reply *last)
{
	time_t answered = time(NULL);

	for (;;) {
		bool ok = http_request("GET", path_of("/v1/migrations/", w->id, ""), NULL, 0, last);

		if (ok) {
			answered = time(NULL);
			if (true_of(last->json, "ended"))
				break;
			show(w, last->json);
		} else if (last->status || time(NULL) - answered > PATIENCE_S) {
			clear_bar(w);
			return reply_exit(last);
		}
		reply_free(last);
		if (interrupts && !w->cancel_asked)
			ask_cancel(w);
		if (interrupts > 1) {
			clear_bar(w);
			complain("migration %s goes on without us", w->id);
			return EXIT_INTERRUPTED;
		}
		usleep(PAUSE_US);
	}
	clear_bar(w);
	return EXIT_OK;
}

static long long guest_pages(const char *vm)
{
	struct reply r;
	long long mib = http_request("GET", path_of("/v1/vms/", vm, ""), NULL, 0, &r)
		? int_of(r.json, "memory") : 0;

	reply_free(&r);
	return mib * PAGES_PER_MIB;
}

static char *make_request(const char *to)
{
	json_t *j = json_pack("{s:s}", "to", to);

	if (options.downtime_ms >= 0)
		json_object_set_new(j, "downtime_ms", json_integer(options.downtime_ms));
	if (options.timeout_s >= 0)
		json_object_set_new(j, "timeout_s", json_integer(options.timeout_s));
	if (options.verify)
		json_object_set_new(j, "verify", json_true());
	if (options.no_throttle)
		json_object_set_new(j, "throttle", json_false());
	char *text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	return text;
}

static int begin(const char *vm, const char *to, struct watch *w)
{
	char *body = make_request(to);
	struct reply r;
	int code = EXIT_OK;

	if (!body) {
		complain("\"%s\" is no address", to);
		return EXIT_USAGE;
	}
	if (!http_request("POST", path_of("/v1/vms/", vm, "/migrate"), body, strlen(body), &r))
		code = reply_exit(&r);
	else
		snprintf(w->id, sizeof(w->id), "%lld", int_of(r.json, "id"));
	if (code == EXIT_OK && options.detach) {
		if (options.json)
			print_json(r.json);
		else
			printf("migration %s has begun; watch it with: gwctl migration show %s\n",
			       w->id, w->id);
	}
	free(body);
	reply_free(&r);
	return code;
}

static int end(const char *vm, const char *to, const json_t *m)
{
	bool moved = true_of(m, "ok");

	if (options.json) {
		print_json(m);
	} else {
		migration_print(m);
		if (moved)
			printf("%s runs at %s now\n", vm, to);
	}
	if (!moved)
		complain("%s stays where it was: %s", vm, text_of(m, "result"));
	return moved ? EXIT_OK : EXIT_NOT_MOVED;
}

int migrate(char **argv)
{
	struct sigaction on_int = { .sa_handler = on_interrupt };
	struct watch w = { .bar = isatty(STDERR_FILENO) };
	struct reply last = { 0 };

	w.pages = guest_pages(argv[0]);
	int code = begin(argv[0], argv[1], &w);
	if (code != EXIT_OK || options.detach)
		return code;
	sigaction(SIGINT, &on_int, NULL);
	code = follow(&w, &last);
	if (code == EXIT_OK)
		code = end(argv[0], argv[1], last.json);
	reply_free(&last);
	return code;
}
