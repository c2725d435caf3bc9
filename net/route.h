/* SPDX-License-Identifier: MIT */
/*
 * net/route.h - which handler a method and a path belong to.
 */
#ifndef NET_ROUTE_H
#define NET_ROUTE_H

#include "net/ctl.h"

enum route_found { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD, ROUTE_BAD_PATH };

/*
 * Find the route for `method` and `path` and decode its {} parts into `param`.  HEAD finds GET.
 * NO_METHOD: the path exists; route_allowed() says with which methods.  BAD_PATH: a part that is
 * too long or wrongly encoded.
 */
enum route_found route_find(const struct ctl_route *routes, unsigned n, const char *method,
			    const char *path, const struct ctl_route **out,
			    char param[CTL_PARAMS_MAX][IMAGE_NAME_MAX]);

/* "GET, HEAD, PUT" for this path. */
void route_allowed(const struct ctl_route *routes, unsigned n, const char *path, char *out,
		   size_t size);

/* The answer to GET /v1: {"routes": [{"method":, "path":, "help":}]}. */
void route_list(const struct ctl_route *routes, unsigned n, struct json_writer *w);

#endif
