/* SPDX-License-Identifier: MIT */
/*
 * tools/gwctl/cluster.c - the CPU that several nodes share.
 *
 * A VM created with it can move between all of them, also between vendors (docs/cpu.md).  Each node
 * says which of its features a baseline can name; what all of them say is the answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gwctl/gwctl.h"

static bool has_name(const json_t *names, const char *name)
{
	size_t i;
	json_t *x;

	json_array_foreach(names, i, x)
		if (json_is_string(x) && strcmp(json_string_value(x), name) == 0)
			return true;
	return false;
}

/* A level is there when nothing of it is missing. */
static bool offers_level(const json_t *cpu, const char *name)
{
	size_t i;
	json_t *x;

	json_array_foreach(json_object_get(cpu, "levels"), i, x)
		if (strcmp(text_of(x, "name"), name) == 0)
			return json_array_size(json_object_get(x, "missing")) == 0;
	return false;
}

static bool all_have(const json_t *cpus, const char *feature)
{
	const char *node;
	json_t *cpu;

	json_object_foreach((json_t *)cpus, node, cpu)
		if (!has_name(json_object_get(cpu, "shareable"), feature))
			return false;
	return true;
}

static bool all_offer(const json_t *cpus, const char *level)
{
	const char *node;
	json_t *cpu;

	json_object_foreach((json_t *)cpus, node, cpu)
		if (!offers_level(cpu, level))
			return false;
	return true;
}

/* What only some have, with the nodes that have it. */
static void add_not_shared(json_t *not_shared, const json_t *cpus, const char *feature)
{
	json_t *nodes = json_array(), *cpu;
	const char *node;

	json_object_foreach((json_t *)cpus, node, cpu)
		if (has_name(json_object_get(cpu, "shareable"), feature))
			json_array_append_new(nodes, json_string(node));
	json_object_set_new(not_shared, feature, nodes);
}

/* How fast each node's TSC is, and what a guest pays there that was made at another rate. */
static json_t *rates(const json_t *cpus)
{
	json_t *all = json_object(), *cpu;
	const char *node;

	json_object_foreach((json_t *)cpus, node, cpu)
		json_object_set_new(all, node, json_pack("{s:I, s:b}", "khz",
		                                         (json_int_t)int_of(cpu, "tsc_khz"),
		                                         "scaling", true_of(cpu, "tsc_scaling")));
	return all;
}

static json_t *shared(const json_t *cpus)
{
	json_t *features = json_array(), *not_shared = json_object(), *levels = json_array();
	json_t *cpu, *x;
	long long phys_bits = -1;
	const char *node;
	size_t i;

	json_object_foreach((json_t *)cpus, node, cpu) {
		long long bits = int_of(cpu, "phys_bits");

		phys_bits = phys_bits < 0 || bits < phys_bits ? bits : phys_bits;
		json_array_foreach(json_object_get(cpu, "shareable"), i, x) {
			const char *name = json_string_value(x);

			if (!name || has_name(features, name))
				continue;
			if (all_have(cpus, name))
				json_array_append_new(features, json_string(name));
			else
				add_not_shared(not_shared, cpus, name);
		}
	}
	cpu = json_object_iter_value(json_object_iter((json_t *)cpus));
	json_array_foreach(json_object_get(cpu, "levels"), i, x)
		if (all_offer(cpus, text_of(x, "name")))
			json_array_append_new(levels, json_string(text_of(x, "name")));
	return json_pack("{s:{s:o, s:I}, s:o, s:o, s:o}", "cpu", "features", features, "phys_bits",
	                 (json_int_t)phys_bits, "levels", levels, "not_shared", not_shared, "tsc",
	                 rates(cpus));
}

static void print_baseline(const json_t *cpus, const json_t *baseline)
{
	json_t *levels = json_object_get(baseline, "levels"), *cpu, *nodes;
	const char *node, *feature;
	size_t i;

	json_object_foreach((json_t *)cpus, node, cpu)
		printf("%-16s %s, %s; TSC %.3f MHz, scaled by %s\n", node, text_of(cpu, "vendor"),
		       text_of(cpu, "brand"), real_of(cpu, "tsc_khz") / 1000,
		       true_of(cpu, "tsc_scaling") ? "hardware" : "exits");
	json_object_foreach(json_object_get(baseline, "not_shared"), feature, nodes) {
		printf("%-16s only on", feature);
		json_array_foreach(nodes, i, cpu)
			printf("%s %s", i ? "," : "", json_string_value(cpu));
		printf("\n");
	}
	printf("all of them offer");
	json_array_foreach(levels, i, cpu)
		printf("%s %s", i ? "," : "", json_string_value(cpu));
	printf("%s; everything that they share, for a VM definition:\n",
	       json_array_size(levels) ? "" : " no level");
	char *text = json_dumps(json_object_get(baseline, "cpu"), JSON_PRESERVE_ORDER);
	printf("    \"cpu\": %s\n", text ? text : "null");
	free(text);
}

int cluster_baseline(char **argv)
{
	json_t *cpus = json_object();
	int code = EXIT_OK;

	for (; code == EXIT_OK && *argv; argv++) {
		struct reply r;

		options.node = *argv;
		if (http_request("GET", "/v1/node/cpu", NULL, 0, &r))
			json_object_set(cpus, *argv, r.json);
		else
			code = reply_exit(&r);
		reply_free(&r);
	}
	if (code == EXIT_OK) {
		json_t *baseline = shared(cpus);

		if (options.json)
			print_json(baseline);
		else
			print_baseline(cpus, baseline);
		json_decref(baseline);
	}
	json_decref(cpus);
	return code;
}
