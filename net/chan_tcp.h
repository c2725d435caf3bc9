/* SPDX-License-Identifier: MIT */
/*
 * net/chan_tcp.h - channels over lwIP's TCP.
 */
#ifndef NET_CHAN_TCP_H
#define NET_CHAN_TCP_H

#include "net/chan.h"

/*
 * `where`: "10.77.0.12", "10.77.0.12:7700" or "[fe80::1]:7700".  From a task; waits until the
 * deadline.
 */
enum err chan_tcp_connect(const char *where, uint16_t default_port, uint64_t deadline_ns,
                          struct chan **out);

/*
 * Each accepted connection starts a task that runs `serve(chan)`; serve closes the channel.  At
 * most `max` at a time: the other channels are for chan_tcp_connect() and other listeners.
 */
enum err chan_tcp_listen(uint16_t port, unsigned max, void (*serve)(void *chan));

#endif
