/* SPDX-License-Identifier: MIT */
/*
 * tools/gwctl/gwctl.h - what the files of gwctl share: options, requests, exit codes.
 */
#ifndef GWCTL_GWCTL_H
#define GWCTL_GWCTL_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* What a script can tell from the exit code; --help lists them. */
enum exit_code {
	EXIT_OK          = 0,
	EXIT_REFUSED     = 1,           /* the node said no, or a file is wrong                 */
	EXIT_USAGE       = 2,
	EXIT_UNREACHABLE = 3,           /* no answer from the node                              */
	EXIT_NOT_MOVED   = 4,           /* the migration ended and the guest stayed             */
	EXIT_INTERRUPTED = 130,
};

struct options {
	const char *node;               /* "10.77.0.11", "10.77.0.11:80", "[fe80::1]"           */
	bool        json;               /* answers as JSON on standard output, nothing else there */
	bool        start, verify, no_throttle, detach, follow, force;
	long long   downtime_ms, timeout_s, from, wait_ms;     /* -1: not given                 */
};
extern struct options options;

/* One sentence on standard error, with "gwctl: " before it. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- http.c: one request, one answer ---------------------------------------------------------- */

struct reply {
	long      status;               /* 0: no answer                                         */
	char     *bytes;                /* body, NUL-terminated                                 */
	size_t    len;
	json_t   *json;                 /* of a JSON body, otherwise NULL                       */
	long long next;                 /* header X-Next, or -1                                 */
	char      error[512];           /* why not, in a sentence; "" when status is 2xx        */
};

/* Called while a body is uploaded. */
typedef void upload_progress_fn(void *ctx, double sent, double total);

void http_begin(void);
void http_end(void);

/* True when the node answered 2xx.  `out` is always filled; give it back with reply_free(). */
bool http_request(const char *method, const char *path, const void *body, size_t len,
                  struct reply *out);
bool http_upload(const char *path, const char *file, upload_progress_fn *progress, void *ctx,
                 struct reply *out);
void reply_free(struct reply *r);

/*
 * "/v1/vms/" "NAME" "/start", the name percent-encoded; a buffer of its own, valid until the next
 * call.
 */
const char *path_of(const char *before, const char *name, const char *after);

/* Complain about a reply that is not 2xx and give the exit code for it. */
int  reply_exit(const struct reply *r);

/* Member of an object, with a default. */
const char *text_of(const json_t *o, const char *key);                  /* "" */
long long   int_of(const json_t *o, const char *key);                   /* 0  */
double      real_of(const json_t *o, const char *key);                  /* 0  */
bool        true_of(const json_t *o, const char *key);

/* The answer as indented JSON on standard output. */
void print_json(const json_t *j);

/* --- commands: argv after the command's words; exit code -------------------------------------- */

typedef int command_fn(char **argv);
/* show.c */
command_fn node_show, node_cpu, node_log, node_reboot, node_poweroff;
command_fn vm_list, vm_show, vm_start, vm_pause, vm_resume, vm_stop, vm_delete;
command_fn migration_list, migration_show, migration_cancel, migration_resolve;
command_fn image_list, image_delete, trace_show;

command_fn cluster_baseline;    /* cluster.c */
command_fn vm_create;           /* create.c  */
command_fn vm_console;          /* console.c */
command_fn migrate;             /* migrate.c */

/* show.c, used by migrate.c: the summary of one migration. */
void migration_print(const json_t *m);

/* sha256.c: hash of a file as 64 hex digits; false: errno says why. */
bool sha256_file(const char *path, char hex[65], long long *bytes);

#endif
