/* SPDX-License-Identifier: MIT */
/*
 * tests/host/race.c - a write that comes between our look at a word and our write of it.
 *
 * Our write faults, the handler of the fault lets the other one go first, and then ours is done
 * again, by the CPU: a locked operation sees what has changed, anything else writes over it.
 */
#include "tests/host/support.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/host/race.h"

#define PAGES_MAX 4

static struct { uint8_t *at; uint64_t page; void (*what)(uint64_t page); } waits[PAGES_MAX];

static void protect(void *page, int how)
{
	if (mprotect(page, PAGE_SIZE, how))
		abort();
}

static void on_write(int number, siginfo_t *info, void *context)
{
	uint8_t *to = info->si_addr;

	(void)number;
	(void)context;
	for (unsigned i = 0; i < PAGES_MAX; i++) {
		if (!waits[i].at || to < waits[i].at || to >= waits[i].at + PAGE_SIZE)
			continue;
		protect(waits[i].at, PROT_READ | PROT_WRITE);
		waits[i].at = NULL;
		waits[i].what(waits[i].page);
		return;
	}
	abort();                                /* a fault that is none of ours */
}

void race_begin(struct mem *m, uint64_t page, void (*what)(uint64_t page))
{
	struct sigaction act = { .sa_sigaction = on_write, .sa_flags = SA_SIGINFO | SA_NODEFER };
	unsigned i = 0;
	uint64_t run;

	while (waits[i].at)
		if (++i == PAGES_MAX)
			abort();
	sigaction(SIGSEGV, &act, NULL);
	waits[i].page = page;
	waits[i].what = what;
	waits[i].at = (uint8_t *)mem_peek(m, gpa(page), PAGE_SIZE, &run);
	protect(waits[i].at, PROT_READ);
}

void race_end(void)
{
	for (unsigned i = 0; i < PAGES_MAX; i++) {
		if (waits[i].at)
			protect(waits[i].at, PROT_READ | PROT_WRITE);
		waits[i].at = NULL;
	}
}
