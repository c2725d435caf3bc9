/* SPDX-License-Identifier: MIT */
/*
 * net/chan.h - a reliable byte channel between two hosts, for code that may wait.
 *
 * chan_tcp.c implements it over lwIP, tests/host/chan_mem.c in memory.  Both ends belong to one
 * task each.
 */
#ifndef NET_CHAN_H
#define NET_CHAN_H

#include "lib/err.h"
#include "lib/types.h"

struct chan;

struct chan_ops {
	/*
	 * All of `len` bytes accepted for sending, or an error: ERR_LINK_LOST, ERR_TIMEOUT
	 * (deadline_ns on time_now_ns()).
	 */
	enum err (*send)(struct chan *, const void *data, size_t len, uint64_t deadline_ns);
	/* Exactly `len` bytes, or an error; ERR_LINK_LOST also when the peer closed. */
	enum err (*recv)(struct chan *, void *to, size_t len, uint64_t deadline_ns);
	/* Push out what is buffered. */
	void     (*flush)(struct chan *);
	/*
	 * Bytes that recv() would give without waiting, and 1 when it would fail at once because
	 * the connection has ended; bytes accepted by send() and not yet acknowledged.
	 */
	size_t   (*readable)(const struct chan *);
	size_t   (*unacked)(const struct chan *);
	/*
	 * From any task: the connection is cut, recv() gives what is there and then fails, send()
	 * fails.  The owner still closes.
	 */
	void     (*hang_up)(struct chan *);
	/*
	 * Ends the connection and gives the channel back; pending recv() and send() of the peer
	 * fail.
	 */
	void     (*close)(struct chan *);
};

struct chan {
	const struct chan_ops *ops;
	char                   peer[64];       /* for people: "10.77.0.12:7700" */
};

#endif
