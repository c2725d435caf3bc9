/* SPDX-License-Identifier: MIT */
/*
 * serve.c - one poll() loop for the services that only answer: stream, UDP echo, time.
 *
 * Time (7003/tcp): every line received is answered by
 * `realtime_ns=N monotonic_ns=N clocksource=NAME`, so that a client sees whether clocks jump.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "record.h"

enum { SLOT_STREAM, SLOT_ECHO, SLOT_TIME, SLOT_FIRST_CLIENT, SLOTS = 20, DATAGRAMS_MAX = 64 };

struct client { struct stream *stream; };        /* NULL: a client of the time service */

static struct pollfd slots[SLOTS];
static struct client clients[SLOTS];

static void echo_ready(int fd)
{
	uint8_t datagram[2048];
	struct sockaddr_storage from;

	for (int i = 0; i < DATAGRAMS_MAX; i++) {
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&from,
				     &size);
		if (n < 0)
			return;
		sendto(fd, datagram, (size_t)n, 0, (struct sockaddr *)&from, size);
	}
}

static void read_clocksource(char *name, size_t size)
{
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, name, size - 1);

	if (fd >= 0)
		close(fd);
	name[n > 0 ? n : 0] = 0;
	name[strcspn(name, "\n")] = 0;
}

/* Returns 0 when the client left. */
static int time_ready(int fd)
{
	char line[LINE_MAX_BYTES], source[64];
	ssize_t n = read(fd, line, sizeof(line));

	if (n < 0 && errno == EAGAIN)
		return 1;
	if (n <= 0)
		return 0;
	read_clocksource(source, sizeof(source));
	int length = snprintf(line, sizeof(line),
			      "realtime_ns=%llu monotonic_ns=%llu clocksource=%s\n",
			      (unsigned long long)agent_clock_ns(CLOCK_REALTIME),
			      (unsigned long long)agent_clock_ns(CLOCK_MONOTONIC), source);
	return write(fd, line, (size_t)length) == length;
}

static void accept_into_slot(int listener, bool is_stream)
{
	int fd = agent_accept(listener);

	if (fd < 0)
		return;
	for (int i = SLOT_FIRST_CLIENT; i < SLOTS; i++) {
		if (slots[i].fd >= 0)
			continue;
		struct stream *s = is_stream ? stream_open(fd) : NULL;
		if (is_stream && !s)
			return;
		clients[i].stream = s;
		slots[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
		return;
	}
	close(fd);                               /* full: the client sees it at once */
}

static void client_ready(int i)
{
	struct stream *s = clients[i].stream;

	if (s) {
		if (stream_ready(s))
			slots[i].events = stream_events(s);
		else
			slots[i].fd = -1;
	} else if (!time_ready(slots[i].fd)) {
		close(slots[i].fd);
		slots[i].fd = -1;
	}
}

int agent_serve(void)
{
	record_init();
	for (int i = 0; i < SLOTS; i++)
		slots[i].fd = -1;
	slots[SLOT_STREAM] = (struct pollfd){ agent_listen_tcp(PORT_STREAM), POLLIN, 0 };
	slots[SLOT_ECHO] = (struct pollfd){ agent_bind_udp(PORT_ECHO), POLLIN, 0 };
	slots[SLOT_TIME] = (struct pollfd){ agent_listen_tcp(PORT_TIME), POLLIN, 0 };
	for (;;) {
		if (poll(slots, SLOTS, -1) < 0 && errno != EINTR)
			return EXIT_FAILURE;
		if (slots[SLOT_ECHO].revents)    /* first: somebody measures how long it takes */
			echo_ready(slots[SLOT_ECHO].fd);
		for (int i = SLOT_FIRST_CLIENT; i < SLOTS; i++)
			if (slots[i].fd >= 0 && slots[i].revents)
				client_ready(i);
		if (slots[SLOT_STREAM].revents)
			accept_into_slot(slots[SLOT_STREAM].fd, true);
		if (slots[SLOT_TIME].revents)
			accept_into_slot(slots[SLOT_TIME].fd, false);
	}
}
