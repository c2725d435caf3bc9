/* SPDX-License-Identifier: MIT */
/*
 * net/ctl.h - the control service's machinery: HTTP/1.1 over lwIP, requests routed by a table.
 *
 * boot/commands.c has the table (what each request means); docs/api.md documents it.  A handler gets
 * a checked request and fills in a response; it must not wait.  Uploads stream through `body`.
 */
#ifndef NET_CTL_H
#define NET_CTL_H

#include "lib/config.h"
#include "lib/err.h"
#include "lib/json.h"

#define CTL_PARAMS_MAX 2

struct ctl_request {
	const char *method;
	char        param[CTL_PARAMS_MAX][IMAGE_NAME_MAX];   /* the {} parts of the path, URL-decoded      */
	const char *query;                                   /* after '?', or ""                           */
	const char *body;                                    /* whole, for routes without a body handler   */
	size_t      body_len;
	uint64_t    content_length;
	void       *upload;                                  /* the route's own, set by begin              */
};

/* Value of `key` in the query as a number; `otherwise` when absent; ERR_BAD_ARGUMENT when not a number. */
enum err ctl_query_u64(const struct ctl_request *rq, const char *key, uint64_t otherwise, uint64_t *out);

struct ctl_response {
	unsigned         status;        /* HTTP; 0: derived from the handler's enum err          */
	const char      *content_type;  /* "application/json" unless set                         */
	struct json_writer json;        /* where handlers write                                  */
};

struct ctl_route {
	const char *method, *path;      /* "/v1/vms/{}/console"                                  */
	const char *help;               /* one line; `GET /v1` lists them                        */
	/* Success, or an error whose sentence (err_reason()) goes to the client as {"error": ...}. */
	enum err  (*run)(struct ctl_request *rq, struct ctl_response *rs);
	/* Streaming uploads; all NULL otherwise.  end runs via `run`; abort when the client went away. */
	enum err  (*begin)(struct ctl_request *rq);
	enum err  (*data)(struct ctl_request *rq, const void *bytes, size_t len);
	void      (*abort)(struct ctl_request *rq);
};

enum err ctl_start(uint16_t port, const struct ctl_route *routes, unsigned nroutes);
uint64_t ctl_poll(uint64_t now_ns);             /* time-outs of slow clients: for sched_add_poll() */

#endif
