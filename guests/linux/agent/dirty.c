/* SPDX-License-Identifier: MIT */
/*
 * dirty.c - a workload that makes pages dirty at a known rate, and would notice a lost one.
 *
 * Every page is filled with words that follow from its number and its generation; the last word is
 * their sum.  Before a page is rewritten with the next generation, all of it is verified against
 * the generation that was written last, which is kept apart.  An error is told on the console and
 * counted.  Commands on 7002/tcp, one per line, each answered by the status line:
 *   status | rate PAGES_PER_SECOND (0: rest) | size MIB
 * With a beat, what was done so far is told on the console that often.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

enum {
	PAGE_BYTES = 4096, PAGE_WORDS = PAGE_BYTES / 8, PAGES_PER_MIB = 256, MIB_MAX = 4096,
	TICK_MS = 10, CATCH_UP_MS = 100, CLIENTS = 4, REPORTED_MAX = 10,
	BEAT_S_MAX = 3600,
	NS_PER_MS = 1000000, NS_PER_S = 1000000000,
};

#define STEP 0x9e3779b97f4a7c15ull               /* odd, so that words of a page differ */

struct client { char line[LINE_MAX_BYTES]; size_t have; };

static uint64_t (*pages)[PAGE_WORDS];
static uint32_t *generations;                    /* what each page was last filled with */
static uint64_t page_count, next_page, rate, written, errors, paid_until_ns;
static uint64_t beat_ns, next_beat_ns, beats;    /* 0: says nothing */
static struct pollfd slots[1 + CLIENTS];
static struct client clients[1 + CLIENTS];

static uint64_t first_word(uint64_t number, uint32_t generation)
{
	return (number + 1) * STEP ^ (uint64_t)generation << 32;
}

static void fill(uint64_t number, uint32_t generation)
{
	uint64_t word = first_word(number, generation), sum = 0;

	for (int i = 0; i < PAGE_WORDS - 1; i++, word += STEP) {
		pages[number][i] = word;
		sum += word;
	}
	pages[number][PAGE_WORDS - 1] = sum;
	generations[number] = generation;
}

static bool verify(uint64_t number)
{
	uint64_t word = first_word(number, generations[number]), sum = 0;
	uint64_t wrong = 0;

	for (int i = 0; i < PAGE_WORDS - 1; i++, word += STEP) {
		wrong |= pages[number][i] ^ word;
		sum += word;
	}
	return !wrong && pages[number][PAGE_WORDS - 1] == sum;
}

static void rewrite_next(void)
{
	uint64_t number = next_page;

	if (!verify(number) && errors++ < REPORTED_MAX)
		agent_say("agent: dirty: page %llu of generation %u is WRONG, first word %llx\n",
			  (unsigned long long)number, generations[number],
			  (unsigned long long)pages[number][0]);
	fill(number, generations[number] + 1);
	written++;
	next_page = number + 1 < page_count ? number + 1 : 0;
}

static bool set_size(uint64_t mib)
{
	if (mib > MIB_MAX)
		return false;
	if (page_count) {
		munmap(pages, page_count * PAGE_BYTES);
		free(generations);
		pages = NULL;
		generations = NULL;
		page_count = 0;
	}
	next_page = 0;
	if (!mib)
		return true;
	uint64_t count = mib * PAGES_PER_MIB;
	void *memory = mmap(NULL, count * PAGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	generations = calloc(count, sizeof(*generations));
	if (!generations) {
		munmap(memory, count * PAGE_BYTES);
		return false;
	}
	pages = memory;
	page_count = count;
	for (uint64_t n = 0; n < count; n++)
		fill(n, 0);
	return true;
}

static void set_rate(uint64_t pages_per_second)
{
	rate = pages_per_second;
	paid_until_ns = agent_clock_ns(CLOCK_MONOTONIC);
}

/* Rewrite what is due by now.  After a long stop the debt is forgotten but for CATCH_UP_MS. */
static void work(void)
{
	uint64_t now = agent_clock_ns(CLOCK_MONOTONIC);

	if (now - paid_until_ns > (uint64_t)CATCH_UP_MS * NS_PER_MS)
		paid_until_ns = now - (uint64_t)CATCH_UP_MS * NS_PER_MS;
	uint64_t due = (now - paid_until_ns) * rate / NS_PER_S;
	for (uint64_t i = 0; i < due; i++)
		rewrite_next();
	paid_until_ns += due * NS_PER_S / rate;
}

/* Returns 0 when the client is to be dropped. */
static int obey(int fd, char *line)
{
	unsigned long long value;
	const char *verdict = "ok";
	char answer[LINE_MAX_BYTES];

	if (sscanf(line, "rate %llu", &value) == 1)
		set_rate(value);
	else if (sscanf(line, "size %llu", &value) == 1)
		verdict = set_size(value) ? "ok" : "refused";
	else if (strncmp(line, "status", 6))
		verdict = "unknown command (status | rate N | size N)";
	int n = snprintf(answer, sizeof(answer),
			 "%s pages=%llu rate=%llu written=%llu errors=%llu\n",
			 verdict, (unsigned long long)page_count, (unsigned long long)rate,
			 (unsigned long long)written, (unsigned long long)errors);
	return write(fd, answer, (size_t)n) == n;
}

static int client_ready(int fd, struct client *c)
{
	ssize_t n = read(fd, c->line + c->have, sizeof(c->line) - 1 - c->have);

	if (n < 0 && errno == EAGAIN)
		return 1;
	if (n <= 0)
		return 0;
	c->have += (size_t)n;
	c->line[c->have] = 0;
	char *start = c->line;
	for (char *end; (end = strchr(start, '\n')); start = end + 1) {
		*end = 0;
		if (!obey(fd, start))
			return 0;
	}
	c->have = strlen(start);
	memmove(c->line, start, c->have);
	return c->have < sizeof(c->line) - 1;    /* a line that never ends is not obeyed */
}

static void accept_client(void)
{
	int fd = agent_accept(slots[0].fd);

	for (int i = 1; fd >= 0 && i <= CLIENTS; i++) {
		if (slots[i].fd >= 0)
			continue;
		slots[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
		clients[i].have = 0;
		return;
	}
	if (fd >= 0)
		close(fd);
}

static void beat(void)
{
	uint64_t now = agent_clock_ns(CLOCK_MONOTONIC);

	if (!beat_ns || now < next_beat_ns)
		return;
	next_beat_ns = now + beat_ns;
	agent_say("beat %llu: %llu written, %llu wrong\n", (unsigned long long)++beats,
		  (unsigned long long)written, (unsigned long long)errors);
}

/* How long there is nothing to do unless somebody asks, in ms as poll() takes them. */
static int rest_ms(void)
{
	if (rate && page_count)
		return TICK_MS;
	return beat_ns ? (int)(beat_ns / NS_PER_MS) : -1;
}

int agent_dirty(uint64_t mib, uint64_t pages_per_second, uint64_t beat_s)
{
	slots[0] = (struct pollfd){ agent_listen_tcp(PORT_DIRTY), POLLIN, 0 };
	for (int i = 1; i <= CLIENTS; i++)
		slots[i].fd = -1;
	if (!set_size(mib))
		agent_say("agent: dirty: no memory for %llu MiB\n", (unsigned long long)mib);
	set_rate(pages_per_second);
	beat_ns = (beat_s < BEAT_S_MAX ? beat_s : BEAT_S_MAX) * NS_PER_S;
	for (;;) {
		beat();
		if (poll(slots, 1 + CLIENTS, rest_ms()) < 0 && errno != EINTR)
			return EXIT_FAILURE;
		for (int i = 1; i <= CLIENTS; i++) {
			if (slots[i].fd < 0 || !slots[i].revents)
				continue;
			if (!client_ready(slots[i].fd, &clients[i])) {
				close(slots[i].fd);
				slots[i].fd = -1;
			}
		}
		if (slots[0].revents)
			accept_client();
		if (rate && page_count)
			work();
	}
}
