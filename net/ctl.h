/* SPDX-License-Identifier: MIT */
/*
 * net/ctl.h - the control service's machinery: HTTP/1.1 over lwIP, requests routed by a table.
 *
 * boot/commands.c has the table (what each request means); docs/api.md documents it.  A handler
 * gets a checked request and fills in a response.  It runs from the network's poll and must not
 * wait, unless its route says `slow`: then it runs from a task, one such request after the other,
 * while the rest of the service goes on.  Uploads stream through `data`.
 */
#ifndef NET_CTL_H
#define NET_CTL_H

#include "lib/config.h"
#include "lib/err.h"
#include "lib/json.h"

#define CTL_PARAMS_MAX  2
#define CTL_HEADERS_MAX 160

struct ctl_request {
	const char *method;             /* GET also for HEAD                                      */
	char        param[CTL_PARAMS_MAX][IMAGE_NAME_MAX];  /* the {} parts of the path, decoded  */
	const char *query;              /* after '?', or ""                                       */
	const char *body;               /* whole, NUL-terminated, for routes without `data`; ""   */
	size_t      body_len;
	uint64_t    content_length;
	void       *upload;             /* the route's own, set by begin                          */
};

/*
 * Value of `key` in the query as a number; `otherwise` when absent; ERR_BAD_ARGUMENT when it is not
 * a number.
 */
enum err ctl_query_u64(const struct ctl_request *rq, const char *key, uint64_t otherwise,
		       uint64_t *out);

struct ctl_response {
	unsigned           status;       /* HTTP, of a success; 0: 200; errors have their own    */
	const char        *content_type; /* "application/json" unless set                         */
	struct json_writer json;         /* where handlers write; up to CTL_BODY_MAX bytes        */
	char               headers[CTL_HEADERS_MAX];        /* more header lines: ctl_header()    */
};

/* Add a header line; `format` gives its value, without line ends. */
void   ctl_header(struct ctl_response *rs, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* For answers that are not JSON: room left, and bytes as they are (set content_type). */
size_t ctl_room(const struct ctl_response *rs);
void   ctl_append(struct ctl_response *rs, const void *bytes, size_t len);

struct ctl_route {
	const char *method, *path;      /* "GET", "/v1/vms/{}/console"                           */
	const char *help;               /* one line; `GET /v1` lists them                        */
	/*
	 * Success, or an error: its sentence (err_reason()) goes to the client as {"error": ...}.
	 */
	enum err  (*run)(struct ctl_request *rq, struct ctl_response *rs);
	bool        slow;
	/*
	 * Streaming uploads; all NULL otherwise.  After begin said OK, `data` gets content_length
	 * bytes in pieces, then either `run` ends it, or `abort`: when data failed or the client
	 * went away.
	 */
	enum err  (*begin)(struct ctl_request *rq);
	enum err  (*data)(struct ctl_request *rq, const void *bytes, size_t len);
	void      (*abort)(struct ctl_request *rq);
};

/* Serve `routes` on this port.  A table without GET /v1 gets the list of routes there. */
enum err ctl_start(uint16_t port, const struct ctl_route *routes, unsigned nroutes);
uint64_t ctl_poll(uint64_t now_ns);     /* time-outs of slow clients: for sched_add_poll() */

#endif
