/* SPDX-License-Identifier: MIT */
/*
 * net/endpoint.c - an address as people write it, cut into host and port.  Called by
 * net/chan_tcp.c.
 */
#include "net/endpoint.h"

#include <string.h>

/* One colon separates a port; more are an IPv6 address without one. */
static const char *find_port(const char *text)
{
	const char *colon = strchr(text, ':');

	return colon && !strchr(colon + 1, ':') ? colon : NULL;
}

static bool parse_port(const char *text, uint16_t *out)
{
	unsigned port = 0;

	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		port = port * 10 + (unsigned)(*p - '0');
		if (port > UINT16_MAX)
			return false;
	}
	*out = (uint16_t)port;
	return port != 0;
}

enum err endpoint_parse(const char *where, uint16_t default_port, struct endpoint *out)
{
	const char *host = where, *end, *port;

	if (where[0] == '[') {
		host = where + 1;
		end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return refuse(ERR_BAD_ARGUMENT, "\"%s\" is not of the form [address]:port",
			              where);
		port = end[1] ? end + 1 : NULL;
	} else {
		port = find_port(where);
		end = port ? port : where + strlen(where);
	}

	size_t len = (size_t)(end - host);
	if (len == 0 || len >= sizeof(out->host))
		return refuse(ERR_BAD_ARGUMENT, "\"%s\" names no address", where);
	memcpy(out->host, host, len);
	out->host[len] = 0;
	out->port = default_port;
	if (port && !parse_port(port + 1, &out->port))
		return refuse(ERR_BAD_ARGUMENT,
		              "\"%s\" has no port from 1 to 65535 after the colon", where);
	return OK;
}
