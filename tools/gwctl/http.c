/* SPDX-License-Identifier: MIT */
/*
 * tools/gwctl/http.c - one request to the node, one answer, by libcurl.
 *
 * Bounded in time and size: a node that stops answering, or that talks without end, ends in a
 * sentence.  A refusal carries the node's own sentence.
 */
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "tools/gwctl/gwctl.h"

#define CONNECT_TIMEOUT_S 10L
#define STALL_S           60L           /* no byte for so long: given up; emulated nodes are slow */
#define REPLY_MAX         (16u << 20)
#define URL_MAX           1024

static CURL *curl;

void http_begin(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	curl = curl_easy_init();
	if (!curl) {
		complain("libcurl does not start");
		exit(EXIT_REFUSED);
	}
}

void http_end(void)
{
	curl_easy_cleanup(curl);
	curl_global_cleanup();
}

static size_t take_body(char *data, size_t size, size_t n, void *ctx)
{
	struct reply *r = ctx;
	size_t len = size * n;

	if (len > REPLY_MAX - r->len)
		return 0;
	char *grown = realloc(r->bytes, r->len + len + 1);
	if (!grown)
		return 0;
	memcpy(grown + r->len, data, len);
	r->bytes = grown;
	r->len += len;
	grown[r->len] = 0;
	return len;
}

static size_t take_header(char *data, size_t size, size_t n, void *ctx)
{
	static const char name[] = "X-Next:";
	struct reply *r = ctx;
	char value[24] = "";
	size_t len = size * n, head = sizeof(name) - 1;

	if (len > head && strncasecmp(data, name, head) == 0) {
		memcpy(value, data + head,
		       len - head < sizeof(value) - 1 ? len - head : sizeof(value) - 1);
		r->next = strtoll(value, NULL, 10);
	}
	return len;
}

struct progress { upload_progress_fn *fn; void *ctx; };

static int on_progress(void *ctx, curl_off_t dl_total, curl_off_t dl_now, curl_off_t ul_total,
                       curl_off_t ul_now)
{
	struct progress *p = ctx;

	(void)dl_total;
	(void)dl_now;
	if (p->fn && ul_total > 0)
		p->fn(p->ctx, (double)ul_now, (double)ul_total);
	return 0;
}

/* What every request has in common. */
static void prepare(const char *method, const char *path, struct reply *out)
{
	char url[URL_MAX];

	memset(out, 0, sizeof(*out));
	out->next = -1;
	snprintf(url, sizeof(url), "http://%s%s", options.node, path);
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");              /* a node is never behind one */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, out);
}

/* The node's sentence, without characters that a terminal would obey. */
static void keep_error(struct reply *out)
{
	const char *said = text_of(out->json, "error");

	if (said[0])
		snprintf(out->error, sizeof(out->error), "%s", said);
	else
		snprintf(out->error, sizeof(out->error), "the node answered with status %ld",
		         out->status);
	for (char *c = out->error; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
}

static bool perform(struct reply *out)
{
	/* No round trip before a body. */
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	char *type = NULL;

	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	curl_slist_free_all(headers);
	if (code != CURLE_OK) {
		/* An early refusal of an upload is an answer, even though sending failed. */
		if (out->status < 400) {
			out->status = 0;
			snprintf(out->error, sizeof(out->error), "node %s does not answer: %s",
			         options.node, curl_easy_strerror(code));
			return false;
		}
	}
	if (out->len && type && strncmp(type, "application/json", 16) == 0)
		out->json = json_loadb(out->bytes, out->len, JSON_DECODE_ANY, NULL);
	if (out->status >= 200 && out->status < 300)
		return true;
	keep_error(out);
	return false;
}

bool http_request(const char *method, const char *path, const void *body, size_t len,
                  struct reply *out)
{
	prepare(method, path, out);
	if (body || strcmp(method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? body : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	}
	return perform(out);
}

bool http_upload(const char *path, const char *file, upload_progress_fn *progress, void *ctx,
                 struct reply *out)
{
	struct progress p = { progress, ctx };
	struct stat st;
	FILE *f = fopen(file, "rb");

	prepare("PUT", path, out);
	if (!f || fstat(fileno(f), &st) != 0) {
		snprintf(out->error, sizeof(out->error), "%s: %s", file, strerror(errno));
		if (f)
			fclose(f);
		return false;
	}
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_READDATA, f);
	curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &p);
	bool ok = perform(out);
	fclose(f);
	return ok;
}

void reply_free(struct reply *r)
{
	free(r->bytes);
	json_decref(r->json);
	r->bytes = NULL;
	r->json = NULL;
}

const char *path_of(const char *before, const char *name, const char *after)
{
	static char path[URL_MAX];
	size_t n = (size_t)snprintf(path, sizeof(path), "%s", before);

	for (; *name && n + 4 + strlen(after) < sizeof(path); name++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, isalnum((unsigned char)*name) ||
		                      strchr("-._~", *name) ? "%c" : "%%%02X",
		                      (unsigned char)*name);
	snprintf(path + n, sizeof(path) - n, "%s", after);
	return path;
}

int reply_exit(const struct reply *r)
{
	complain("%s", r->error);
	return r->status ? EXIT_REFUSED : EXIT_UNREACHABLE;
}

const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

long long int_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}
double real_of(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}
bool true_of(const json_t *o, const char *key)     { return json_is_true(json_object_get(o, key)); }

void print_json(const json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
}
