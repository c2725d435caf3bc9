/* SPDX-License-Identifier: MIT */
/*
 * net/lwip_port/port.c - the few functions that lwIP wants from its host: time, chance, complaints.
 */
#include "lwip/sys.h"

#include "lib/random.h"
#include "lib/time.h"
#include "lib/types.h"

/* Milliseconds; wraps after 49 days, which lwIP expects. */
u32_t sys_now(void)
{
	return (u32_t)(time_now_ns() / NS_PER_MS);
}

uint32_t lwip_port_random(void)
{
	uint32_t v;

	random_bytes(&v, sizeof(v));
	return v;
}

/* A call that lwIP refused: rare, and worth a line. */
void lwip_port_refused(const char *message)
{
	log_line("lwIP refused: %s", message);
}
