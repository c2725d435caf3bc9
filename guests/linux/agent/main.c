/* SPDX-License-Identifier: MIT */
/* main.c - picks the service by name, and the few helpers that both share. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

enum { BACKLOG = 8 };

void agent_say(const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n > (int)sizeof(line) - 1)
		n = sizeof(line) - 1;
	if (write(STDOUT_FILENO, line, (size_t)n) < 0)
		return;                          /* no console: nobody to tell */
}

static void die(const char *what, unsigned number)
{
	agent_say("agent: %s %u: %s\n", what, number, strerror(errno));
	exit(EXIT_FAILURE);
}

uint64_t agent_clock_ns(int clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int bound_socket(int type, uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket for port", port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		die("bind to port", port);
	return fd;
}

int agent_listen_tcp(uint16_t port)
{
	int fd = bound_socket(SOCK_STREAM, port);

	if (listen(fd, BACKLOG) < 0)
		die("listen on port", port);
	return fd;
}

int agent_bind_udp(uint16_t port)
{
	return bound_socket(SOCK_DGRAM, port);
}

int agent_accept(int listener)
{
	int one = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)                             /* answers must not wait for a full segment */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);                /* a client that left is an error of write() */
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return agent_serve();
	if (argc == 5 && !strcmp(argv[1], "dirty"))
		return agent_dirty(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0),
				   strtoull(argv[4], NULL, 0));
	agent_say("usage: agent serve | agent dirty MIB PAGES_PER_SECOND BEAT_SECONDS\n");
	return EXIT_FAILURE;
}
