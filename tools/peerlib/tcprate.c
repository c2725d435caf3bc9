/* SPDX-License-Identifier: MIT */
/*
 * tcprate - how fast one TCP connection of Linux's is on the wire between two hosts.
 *
 *   tcprate PORT               takes one connection, and prints bytes and microseconds of it
 *   tcprate PORT ADDRESS MIB   sends so much
 *
 * Large pieces out of and into memory that is used again: nothing but TCP costs anything.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE (256 * 1024)

static char piece[PIECE];

static _Noreturn void stop(const char *what)
{
	perror(what);
	exit(1);
}

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static void take(int listener)
{
	int s = accept(listener, NULL, NULL);
	long long all = 0, begin = now_us();
	ssize_t n;

	if (s < 0)
		stop("accept");
	while ((n = read(s, piece, sizeof(piece))) > 0)
		all += n;
	if (n < 0)
		stop("read");
	printf("tcprate %lld bytes %lld us\n", all, now_us() - begin);
}

static void give(int s, long mib)
{
	for (long long left = mib * 1024ll * 1024; left > 0;) {
		ssize_t n = write(s, piece, left < PIECE ? (size_t)left : PIECE);

		if (n <= 0)
			stop("write");
		left -= n;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	if (argc != 2 && argc != 4)
		return 2;
	a.sin_port = htons((unsigned short)atoi(argv[1]));
	if (argc == 4) {
		if (inet_pton(AF_INET, argv[2], &a.sin_addr) != 1)
			return 2;
		if (connect(s, (struct sockaddr *)&a, sizeof(a)) < 0)
			stop("connect");
		give(s, atol(argv[3]));
		return 0;
	}
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 1) < 0)
		stop("bind");
	take(s);
	return 0;
}
