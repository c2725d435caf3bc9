/* SPDX-License-Identifier: MIT */
/*
 * pace.c - makes an emulated host's clock follow the wall's, preloaded into Bochs by the lab.
 *
 * `clock: sync=slowdown` of Bochs 2.7 compares its time with time(), which counts whole seconds,
 * lets a host run a second ahead, and one that is behind as fast as it can: we saw idle hosts at
 * twice real time, so two hosts on one wire disagreed about its speed by a factor of two.  Here
 * time() stands still, which makes Bochs believe that it is always ahead and call usleep() after
 * every millisecond of its own time; and usleep() waits until that millisecond has passed on the
 * wall.  Time that a host lost because the machine was busy is made up for, but only CATCH_UP_NS
 * of it: the rest is lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S     1000000000ll
#define NS_PER_US    1000ll
#define CATCH_UP_NS  (100 * 1000000ll)
#define SHORTEST_NS  500000ll                   /* less is not worth a sleep */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

time_t time(time_t *out)
{
	static time_t first;

	if (!first) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		first = t.tv_sec;
	}
	if (out)
		*out = first;
	return first;
}

int usleep(useconds_t us)
{
	static int64_t due_ns;
	int64_t now = now_ns();

	due_ns += us * NS_PER_US;
	if (due_ns < now - CATCH_UP_NS)
		due_ns = now - CATCH_UP_NS;
	if (due_ns < now + SHORTEST_NS)
		return 0;
	struct timespec t = { due_ns / NS_PER_S, due_ns % NS_PER_S };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
	return 0;
}
