/* SPDX-License-Identifier: MIT */
/*
 * net/session.h - one client of the control service: bytes in, requests run, bytes out.
 *
 * Pure: the transport (net/ctl.c over lwIP, or a test) feeds it and takes what it says.
 *
 *	HEAD --whole head--> BODY or UPLOAD --whole body--> REPLY --all acknowledged--> HEAD
 *	                                     or, if the route is slow: WORK --done--> REPLY
 *	                                     or, if it shall close: OVER
 */
#ifndef NET_SESSION_H
#define NET_SESSION_H

#include "net/ctl.h"
#include "net/http.h"

#define SESSION_HEAD_MAX   (8 * KIB)            /* a request line and its headers              */
#define SESSION_REPLY_HEAD 512                  /* room for the head of a response             */

enum session_state { SESSION_HEAD, SESSION_BODY, SESSION_UPLOAD, SESSION_WORK, SESSION_REPLY,
                     SESSION_OVER };

struct session {
	enum session_state      state;
	const struct ctl_route *routes;
	unsigned                nroutes;
	const struct ctl_route *route;          /* of the request being read                   */
	struct http_head        head;
	struct ctl_request      request;
	uint64_t                body_left;      /* bytes of the body still to come             */
	size_t                  head_len;       /* bytes in head_buf                           */
	size_t                  collected;      /* bytes of the body in reply_buf              */
	bool                    close;          /* after this response                         */
	const char             *interim;        /* rest of "100 Continue", or NULL             */
	size_t                  reply_at, reply_end;    /* what of reply_buf is still to go out */
	char                    head_buf[SESSION_HEAD_MAX];
	/* The body of a request is collected here, and then the response is written over it. */
	char                    reply_buf[SESSION_REPLY_HEAD + CTL_BODY_MAX];
};

void   session_open(struct session *s, const struct ctl_route *routes, unsigned nroutes);

/*
 * Feed bytes; returns how many were taken.  Fewer than `len`: there is a response on its way, or
 * the session is over; offer the rest again after session_acked().
 */
size_t session_input(struct session *s, const void *data, size_t len);

/* What to send next, and how much of it (0: nothing).  It stays in place until session_acked(). */
size_t session_output(const struct session *s, const char **data);
void   session_written(struct session *s, size_t len);

/* The client has everything that was written. */
void   session_acked(struct session *s);

/* True when nothing more will be read or said. */
bool   session_over(const struct session *s);

/*
 * Do the slow request that waits (state WORK); from a task, one at a time.  Until it returns the
 * session must stay where it is, even if the client has gone away.
 */
void   session_work(struct session *s);

/* The client went away, at any time but in session_work(); ends an upload. */
void   session_abandon(struct session *s);

#endif
