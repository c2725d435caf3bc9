/* SPDX-License-Identifier: MIT */
/*
 * net/route.c - finding a request's handler in the control service's table.  Pure.
 *
 * A route's path is literal parts and {} between slashes; each {} takes exactly one non-empty part,
 * percent-decoded.  The query is looked into by ctl_query_u64().  Called by net/session.c.
 */
#include "net/route.h"

#include <string.h>

#include "lib/fmt.h"
#include "net/http.h"

#define DECIMAL 10

static size_t part_len(const char *p)
{
	const char *slash = strchr(p, '/');

	return slash ? (size_t)(slash - p) : strlen(p);
}

/* Walk pattern and path together; with `param` the {} parts are decoded into it. */
static enum route_found match(const char *pattern, const char *path,
			      char param[CTL_PARAMS_MAX][IMAGE_NAME_MAX])
{
	unsigned n = 0;

	while (*pattern == '/' && *path == '/') {
		size_t want = part_len(++pattern), got = part_len(++path);

		if (want == 2 && memcmp(pattern, "{}", 2) == 0) {
			if (got == 0 || n == CTL_PARAMS_MAX)
				return ROUTE_NO_PATH;
			if (param && !http_decode(param[n], IMAGE_NAME_MAX, path, got))
				return ROUTE_BAD_PATH;
			n++;
		} else if (want != got || memcmp(pattern, path, got) != 0) {
			return ROUTE_NO_PATH;
		}
		pattern += want;
		path += got;
	}
	return *pattern || *path ? ROUTE_NO_PATH : ROUTE_FOUND;
}

enum route_found route_find(const struct ctl_route *routes, unsigned n, const char *method,
			    const char *path, const struct ctl_route **out,
			    char param[CTL_PARAMS_MAX][IMAGE_NAME_MAX])
{
	enum route_found best = ROUTE_NO_PATH;

	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (unsigned i = 0; i < n; i++) {
		if (match(routes[i].path, path, NULL) != ROUTE_FOUND)
			continue;
		best = ROUTE_NO_METHOD;
		if (strcmp(routes[i].method, method) != 0)
			continue;
		*out = &routes[i];
		return match(routes[i].path, path, param);
	}
	return best;
}

void route_allowed(const struct ctl_route *routes, unsigned n, const char *path, char *out,
		   size_t size)
{
	size_t len = (size_t)fmt_format(out, size, "OPTIONS");

	for (unsigned i = 0; i < n && len < size; i++) {
		if (match(routes[i].path, path, NULL) != ROUTE_FOUND)
			continue;
		bool get = strcmp(routes[i].method, "GET") == 0;
		len += (size_t)fmt_format(out + len, size - len, ", %s",
		                          get ? "GET, HEAD" : routes[i].method);
	}
}

void route_list(const struct ctl_route *routes, unsigned n, struct json_writer *w)
{
	json_object(w, NULL);
	json_array(w, "routes");
	for (unsigned i = 0; i < n; i++) {
		json_object(w, NULL);
		json_string(w, "method", routes[i].method);
		json_string(w, "path", routes[i].path);
		json_string(w, "help", routes[i].help);
		json_object_end(w);
	}
	json_array_end(w);
	json_object_end(w);
}

/* --- The query ------------------------------------------------------------------------------- */

static const char *find_value(const char *query, const char *key, size_t *len)
{
	size_t key_len = strlen(key);

	for (const char *p = query; *p;) {
		const char *amp = strchr(p, '&');
		size_t n = amp ? (size_t)(amp - p) : strlen(p);

		if (n > key_len && p[key_len] == '=' && memcmp(p, key, key_len) == 0) {
			*len = n - key_len - 1;
			return p + key_len + 1;
		}
		p += n + (amp ? 1 : 0);
	}
	return NULL;
}

enum err ctl_query_u64(const struct ctl_request *rq, const char *key, uint64_t otherwise,
                       uint64_t *out)
{
	size_t len;
	const char *value = find_value(rq->query, key, &len);
	uint64_t v = 0;

	*out = otherwise;
	if (!value)
		return OK;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9' || v > (UINT64_MAX - DECIMAL) / DECIMAL)
			return refuse(ERR_BAD_ARGUMENT, "%s in the query is not a number", key);
		v = v * DECIMAL + (uint64_t)(value[i] - '0');
	}
	if (len == 0)
		return refuse(ERR_BAD_ARGUMENT, "%s in the query is empty", key);
	*out = v;
	return OK;
}
