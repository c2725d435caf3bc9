/* SPDX-License-Identifier: MIT */
/*
 * agent.h - the demo guest's services: one small static program with two faces.
 *
 *   agent serve          7000/tcp record stream, 7001/udp echo, 7003/tcp time
 *   agent dirty MIB RATE BEAT_S  7002/tcp a workload that rewrites pages and checks them first;
 *                        a line on the console every BEAT_S seconds, 0: none
 *
 * Everything sleeps in poll() without a timeout unless there is work: the guest runs on emulated
 * machines of some 50 million instructions a second, and an idle guest must be idle.
 */
#ifndef AGENT_H
#define AGENT_H

#include <poll.h>
#include <stdint.h>

enum {
	PORT_STREAM = 7000, PORT_ECHO = 7001, PORT_DIRTY = 7002, PORT_TIME = 7003,
	LINE_MAX_BYTES = 256,
};

int agent_serve(void);                           /* never returns, or returns an exit status */
int agent_dirty(uint64_t mib, uint64_t rate, uint64_t beat_s);

/* Helpers of main.c.  Sockets are non-blocking; a failure at start ends the program with a line. */
int agent_listen_tcp(uint16_t port);
int agent_bind_udp(uint16_t port);
int agent_accept(int listener);                  /* -1 when there is nobody */
uint64_t agent_clock_ns(int clock);
void agent_say(const char *format, ...) __attribute__((format(printf, 1, 2)));   /* console */

/* One connection of the record stream (stream.c). */
struct stream;
struct stream *stream_open(int fd);              /* takes fd; NULL when all are in use   */
int stream_fd(const struct stream *s);
short stream_events(const struct stream *s);     /* what to poll for                     */
int stream_ready(struct stream *s);              /* do what can be done; 0 when it ended */

#endif
