/* SPDX-License-Identifier: MIT */
/*
 * tools/gwctl/create.c - a VM from a definition file: upload what it names, then create it.
 *
 * Paths in the file are relative to the file.  An uploaded image is named by its content,
 * "3fa9c1d20b7e-vmlinuz", so two payloads of one name never meet, and what the node has already is
 * not sent again.  When anything fails, what this run uploaded is deleted again.
 */
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/gwctl/gwctl.h"

#define IMAGE_NAME_MAX 64                        /* with the NUL, as on the node */
#define HASH_DIGITS    12
#define UPLOADS_MAX    16
#define FILE_PATH_MAX  4096

static char uploaded[UPLOADS_MAX][IMAGE_NAME_MAX];
static unsigned nuploaded;
static json_t *images;                          /* what the node has already */

static void show_progress(void *ctx, double sent, double total)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rgwctl: uploading %s: %.1f of %.1f MiB \033[K", (const char *)ctx,
		        sent / (1 << 20), total / (1 << 20));
}

static void name_image(const char *path, const char *hex, char name[IMAGE_NAME_MAX])
{
	char copy[FILE_PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(name, IMAGE_NAME_MAX, "%.*s-%s", HASH_DIGITS, hex, basename(copy));
	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_+", *c))
			*c = '_';
}

static bool node_has(const char *name, long long bytes)
{
	size_t i;
	json_t *image;

	json_array_foreach(json_object_get(images, "images"), i, image)
		if (strcmp(text_of(image, "name"), name) == 0 && int_of(image, "bytes") == bytes)
			return true;
	return false;
}

static int upload(const char *path, char name[IMAGE_NAME_MAX])
{
	char hex[65];
	struct reply r;
	long long bytes;

	if (!sha256_file(path, hex, &bytes)) {
		complain("%s: %s", path, strerror(errno));
		return EXIT_REFUSED;
	}
	name_image(path, hex, name);
	if (node_has(name, bytes))
		return EXIT_OK;
	if (nuploaded == UPLOADS_MAX) {
		complain("the definition names more than %d payloads", UPLOADS_MAX);
		return EXIT_REFUSED;
	}
	bool ok = http_upload(path_of("/v1/images/", name, ""), path, show_progress, name, &r);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	int code = ok ? EXIT_OK : r.status ? EXIT_REFUSED : EXIT_UNREACHABLE;
	if (!ok)
		complain("%s: %s", path, r.error);
	else
		snprintf(uploaded[nuploaded++], IMAGE_NAME_MAX, "%s", name);
	reply_free(&r);
	return code;
}

/* Replace a path by the name of its image on the node. */
static int place(json_t **value, const char *dir, const char *what)
{
	char path[FILE_PATH_MAX], name[IMAGE_NAME_MAX];
	const char *given = json_string_value(*value);

	if (!given || !given[0]) {
		complain("boot.%s must be a path", what);
		return EXIT_REFUSED;
	}
	if (given[0] == '/')
		snprintf(path, sizeof(path), "%s", given);
	else
		snprintf(path, sizeof(path), "%s/%s", dir, given);
	int code = upload(path, name);
	if (code == EXIT_OK)
		*value = json_string(name);
	return code;
}

static int place_member(json_t *boot, const char *key, const char *dir)
{
	json_t *value = json_object_get(boot, key);

	if (!value)
		return EXIT_OK;
	int code = place(&value, dir, key);
	if (code == EXIT_OK)
		json_object_set_new(boot, key, value);
	return code;
}

static int place_payloads(json_t *definition, const char *dir)
{
	static const char *const single[] = { "kernel", "initrd", "multiboot" };
	json_t *boot = json_object_get(definition, "boot"),
		*modules = json_object_get(boot, "modules");
	int code = EXIT_OK;

	if (!json_is_object(boot)) {
		complain("the definition has no object \"boot\"");
		return EXIT_REFUSED;
	}
	for (unsigned i = 0; i < sizeof(single) / sizeof(*single) && code == EXIT_OK; i++)
		code = place_member(boot, single[i], dir);
	if (modules && !json_is_array(modules)) {
		complain("boot.modules must be a list of paths");
		return EXIT_REFUSED;
	}
	for (size_t i = 0; i < json_array_size(modules) && code == EXIT_OK; i++) {
		json_t *value = json_array_get(modules, i);

		code = place(&value, dir, "modules");
		if (code == EXIT_OK)
			json_array_set_new(modules, i, value);
	}
	return code;
}

static int post(const json_t *definition, struct reply *r)
{
	char *text = json_dumps(definition, JSON_COMPACT);

	bool ok = http_request("POST", "/v1/vms", text, strlen(text), r);
	free(text);
	return ok ? EXIT_OK : reply_exit(r);
}

static void take_back(void)
{
	while (nuploaded > 0) {
		struct reply r;

		if (!http_request("DELETE", path_of("/v1/images/", uploaded[--nuploaded], ""), NULL,
		                  0, &r))
			complain("image %s stays on the node: %s", uploaded[nuploaded], r.error);
		reply_free(&r);
	}
}

static int fetch_images(void)
{
	struct reply r;
	int code = http_request("GET", "/v1/images", NULL, 0, &r) ? EXIT_OK : reply_exit(&r);

	images = json_incref(r.json);
	reply_free(&r);
	return code;
}

static int create(json_t *definition, const char *dir)
{
	struct reply r = { 0 };
	int code = fetch_images();

	if (code == EXIT_OK)
		code = place_payloads(definition, dir);
	if (code == EXIT_OK)
		code = post(definition, &r);
	if (code != EXIT_OK)
		take_back();
	else if (!options.start && options.json)
		print_json(r.json);
	else if (!options.start)
		printf("VM %s is created; start it with: gwctl vm start %s\n",
		       text_of(r.json, "name"), text_of(r.json, "name"));
	reply_free(&r);
	json_decref(images);
	return code;
}

int vm_create(char **argv)
{
	char copy[FILE_PATH_MAX];
	json_error_t at;
	json_t *definition = json_load_file(argv[0], JSON_REJECT_DUPLICATES, &at);

	if (!definition && at.line > 0) {
		complain("%s, line %d: %s", argv[0], at.line, at.text);
		return EXIT_REFUSED;
	}
	if (!json_is_object(definition)) {
		complain("%s: %s", argv[0], definition ? "a definition is a JSON object" : at.text);
		json_decref(definition);
		return EXIT_REFUSED;
	}
	snprintf(copy, sizeof(copy), "%s", argv[0]);
	int code = create(definition, dirname(copy));
	if (code == EXIT_OK && options.start) {
		char *name[] = { (char *)text_of(definition, "name"), NULL };

		code = vm_start(name);
	}
	json_decref(definition);
	return code;
}
