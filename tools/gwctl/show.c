/* SPDX-License-Identifier: MIT */
/*
 * tools/gwctl/show.c - commands that are one request, and how their answers look to people.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/gwctl/gwctl.h"

#define MIB (1024.0 * 1024.0)
#define FOLLOW_PAUSE_US 200000
#define LINE_MAX_COLUMNS 100
#define TRACE_KEPT      4096                     /* records that a node keeps of a VM */

typedef void print_fn(const json_t *answer);

/* One request; its answer as JSON, or by `print`. */
static int simple(const char *method, const char *path, print_fn *print)
{
	struct reply r;
	int code = EXIT_OK;

	if (!http_request(method, path, NULL, 0, &r))
		code = reply_exit(&r);
	else if (options.json)
		print_json(r.json);
	else
		print(r.json);
	reply_free(&r);
	return code;
}

/* --- The node --------------------------------------------------------------------------------- */

static void print_memory(const json_t *m)
{
	printf("memory     %.0f MiB, %.0f MiB free, guests %.0f MiB, hypervisor %.1f MiB\n",
	       real_of(m, "frames_bytes") / MIB,
	       real_of(m, "free_bytes") / MIB, real_of(m, "guest_bytes") / MIB,
	       real_of(m, "hypervisor_bytes") / MIB);
}

static void print_turns(const json_t *t)
{
	printf("turns      %lld, longest %.1f ms (%s), %lld too long\n", int_of(t, "count"),
	       real_of(t, "longest_ms"), text_of(t, "longest"), int_of(t, "too_long"));
}

/* "trunk", "untagged" or "VLAN 30". */
static const char *vlan_text(const json_t *port)
{
	const json_t *vlan = json_object_get(port, "vlan");
	static char text[24];

	if (!json_is_integer(vlan))
		return "trunk";
	if (json_integer_value(vlan) == 0)
		return "untagged";
	snprintf(text, sizeof(text), "VLAN %lld", (long long)json_integer_value(vlan));
	return text;
}

static void print_port(const json_t *p)
{
	printf("  port %-3lld %-7s %-14s %-6s  %-9s  in %10lld frames  out %10lld frames  "
	       "dropped %lld, forged %lld\n",
	       int_of(p, "port"), text_of(p, "kind"), text_of(p, "name"),
	       true_of(p, "open") ? "open" : "closed", vlan_text(p), int_of(p, "in_frames"),
	       int_of(p, "out_frames"), int_of(p, "dropped_closed") +
	       int_of(p, "dropped_full") + int_of(p, "dropped_bad"), int_of(p, "dropped_forged"));
}

static void print_networks(const json_t *n)
{
	size_t i;
	json_t *x, *y;

	json_array_foreach(json_object_get(n, "addresses"), i, x)
		printf("address    %s\n", json_string_value(x));
	json_array_foreach(json_object_get(n, "nics"), i, x)
		printf("%-10s %s, %s, link %s, MTU %lld, sent %lld, received %lld, dropped %lld, "
		       "bad %lld, too long %lld\n",
		       text_of(x, "name"), text_of(x, "where"),
		       text_of(x, "mac"), true_of(x, "link") ? "up" : "down", int_of(x, "mtu"),
		       int_of(x, "tx_frames"), int_of(x, "rx_frames"),
		       int_of(x, "rx_dropped"), int_of(x, "rx_errors"), int_of(x, "rx_long"));
	json_array_foreach(json_object_get(n, "switches"), i, x) {
		size_t k;

		printf("switch     %s\n", text_of(x, "name"));
		json_array_foreach(json_object_get(x, "ports"), k, y)
			print_port(y);
		json_array_foreach(json_object_get(x, "macs"), k, y)
			printf("  mac  %s at port %lld, %.1f s ago\n", text_of(y, "mac"),
			       int_of(y, "port"), real_of(y, "age_ms") / 1000);
	}
}

static void print_cpus(const json_t *cpus)
{
	size_t i;
	json_t *c;

	json_array_foreach(cpus, i, c)
		printf("CPU %-6lld APIC ID %lld, %lld vCPUs, busy %.1f %%\n", int_of(c, "cpu"),
		       int_of(c, "apic_id"), int_of(c, "vcpus"), int_of(c, "busy") / 10.0);
}

static void print_node(const json_t *n)
{
	size_t i;
	json_t *f;

	printf("node       %s, Godwit %s, %s, up %.1f s, TSC %.3f MHz\n", text_of(n, "name"),
	       text_of(n, "version"),
	       text_of(n, "virtualization"), real_of(n, "uptime_ms") / 1000,
	       real_of(n, "tsc_khz") / 1000);
	print_cpus(json_object_get(n, "cpus"));
	print_memory(json_object_get(n, "memory"));
	print_turns(json_object_get(n, "turns"));
	print_networks(n);
	json_array_foreach(json_object_get(n, "features"), i, f)
		printf("%-10s %s%s%s\n", true_of(f, "found") ? "found" : "missing",
		       text_of(f, "name"),
		       text_of(f, "why")[0] ? ": " : "", text_of(f, "why"));
}

int node_show(char **argv)
{
	(void)argv;
	return simple("GET", "/v1/node", print_node);
}

static void print_names(const char *before, const json_t *names)
{
	size_t i, column = 0;
	json_t *x;

	json_array_foreach(names, i, x) {
		const char *name = json_string_value(x) ? json_string_value(x) : "";

		if (column == 0 || column + strlen(name) + 1 > LINE_MAX_COLUMNS) {
			column = (size_t)printf("%s%-10s", i ? "\n" : "", i ? "" : before);
		}
		column += (size_t)printf(" %s", name);
	}
	if (i)
		printf("\n");
}

static void print_cpu(const json_t *c)
{
	size_t i;
	json_t *level;

	printf("CPU        %s, %s\n", text_of(c, "vendor"), text_of(c, "brand"));
	printf("addresses  %lld bits\n", int_of(c, "phys_bits"));
	printf("XSAVE      components %s\n", text_of(c, "xcr0"));
	printf("TSC        %.3f MHz, scaled by %s\n", real_of(c, "tsc_khz") / 1000,
	       true_of(c, "tsc_scaling") ? "hardware" : "exits");
	print_names("features", json_object_get(c, "features"));
	json_array_foreach(json_object_get(c, "levels"), i, level) {
		const json_t *missing = json_object_get(level, "missing");

		printf("%-10s %s\n", text_of(level, "name"),
		       json_array_size(missing) ? "not offered; missing:" : "offered");
		print_names("", missing);
	}
}

int node_cpu(char **argv)
{
	(void)argv;
	return simple("GET", "/v1/node/cpu", print_cpu);
}

int node_log(char **argv)
{
	struct reply r;
	int code = EXIT_OK;

	(void)argv;
	if (!http_request("GET", "/v1/node/log", NULL, 0, &r)) {
		code = reply_exit(&r);
	} else if (options.json) {
		json_t *j = json_pack("{s:s%}", "log", r.bytes ? r.bytes : "", r.len);

		print_json(j);
		json_decref(j);
	} else {
		fwrite(r.bytes, 1, r.len, stdout);
	}
	reply_free(&r);
	return code;
}

/* The node refuses while guests would be lost; --force says that they may. */
static int shut_down(const char *path, const char *what)
{
	const char *body = options.force ? "{\"force\": true}" : "{}";
	struct reply r;
	int code = EXIT_OK;

	if (!http_request("POST", path, body, strlen(body), &r))
		code = reply_exit(&r);
	else if (options.json)
		print_json(r.json);
	else
		printf("%s %s\n", options.node, what);
	reply_free(&r);
	return code;
}

int node_reboot(char **argv)
{
	(void)argv;
	return shut_down("/v1/node/reboot", "starts again");
}

int node_poweroff(char **argv)
{
	(void)argv;
	return shut_down("/v1/node/poweroff", "switches itself off");
}

/* --- VMs -------------------------------------------------------------------------------------- */

static void print_vm_line(const json_t *v)
{
	printf("%-20s %-8s %6lld MiB %2lld CPU  %s%s\n", text_of(v, "name"), text_of(v, "state"),
	       int_of(v, "memory"),
	       int_of(v, "cpus"), true_of(v, "migrating") ? "migrating " : "", text_of(v, "why"));
}

static void print_vms(const json_t *answer)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(answer, "vms"), i, v)
		print_vm_line(v);
}

static void print_vcpu(const json_t *c)
{
	const char *kind;
	json_t *n;

	printf("vcpu %lld     rip %s%s%s, %.1f ms inside; exits:", int_of(c, "id"),
	       text_of(c, "rip"), true_of(c, "halted") ? ", halted" : "",
	       true_of(c, "deaf") ? " with interrupts off" : "", real_of(c, "ran_ms"));
	json_object_foreach(json_object_get(c, "exits"), kind, n)
		printf(" %s %lld", kind, (long long)json_integer_value(n));
	putchar('\n');
}

static void print_vm(const json_t *v)
{
	size_t i;
	json_t *x;

	print_vm_line(v);
	printf("uuid       %s\nclock      %.1f s\n"
	       "host       %.1f MiB beside its RAM, started %lld times\n", text_of(v, "uuid"),
	       real_of(v, "clock_ms") / 1000, real_of(v, "host_bytes") / MIB, int_of(v, "starts"));
	json_array_foreach(json_object_get(v, "vcpus"), i, x)
		print_vcpu(x);
	json_array_foreach(json_object_get(v, "nics"), i, x)
		printf("nic %zu      %s, switch %s port %lld %s, %s, in %lld, out %lld frames%s\n",
		       i, text_of(x, "mac"), text_of(x, "switch"),
		       int_of(x, "port"), true_of(x, "open") ? "open" : "closed", vlan_text(x),
		       int_of(x, "in_frames"), int_of(x, "out_frames"),
		       true_of(x, "any_mac") ? ", any source address" : "");
}

int vm_list(char **argv)
{
	(void)argv;
	return simple("GET", "/v1/vms", print_vms);
}

int vm_show(char **argv)   { return simple("GET", path_of("/v1/vms/", argv[0], ""), print_vm); }
int vm_start(char **argv)  { return simple("POST", path_of("/v1/vms/", argv[0], "/start"),
                                           print_vm_line); }
int vm_pause(char **argv)  { return simple("POST", path_of("/v1/vms/", argv[0], "/pause"),
                                           print_vm_line); }
int vm_resume(char **argv)
{
	return simple("POST", path_of("/v1/vms/", argv[0], "/resume"), print_vm_line);
}
int vm_stop(char **argv)   { return simple("POST", path_of("/v1/vms/", argv[0], "/stop"),
                                           print_vm_line); }

/* The node has nothing to say about what is gone. */
static int delete(const char *path, const char *what, const char *name)
{
	struct reply r;
	int code = EXIT_OK;

	if (!http_request("DELETE", path, NULL, 0, &r)) {
		code = reply_exit(&r);
	} else if (options.json) {
		json_t *j = json_pack("{s:s}", "deleted", name);

		print_json(j);
		json_decref(j);
	} else {
		printf("%s %s is deleted\n", what, name);
	}
	reply_free(&r);
	return code;
}

int vm_delete(char **argv)    { return delete(path_of("/v1/vms/", argv[0], ""), "VM", argv[0]); }
int image_delete(char **argv)
{
	return delete(path_of("/v1/images/", argv[0], ""), "image", argv[0]);
}

static void print_images(const json_t *answer)
{
	size_t i;
	json_t *x;

	json_array_foreach(json_object_get(answer, "images"), i, x)
		printf("%-40s %12lld bytes  %s\n", text_of(x, "name"), int_of(x, "bytes"),
		       true_of(x, "uploaded") ? "uploaded" : "boot module");
}

int image_list(char **argv)
{
	(void)argv;
	return simple("GET", "/v1/images", print_images);
}

/* --- Migrations ------------------------------------------------------------------------------- */

static void print_migration_line(const json_t *m)
{
	printf("%-4lld %-16s %-4s %-22s %-9s %s\n", int_of(m, "id"), text_of(m, "vm"),
	       true_of(m, "outgoing") ? "to" : "from",
	       text_of(m, "peer"), text_of(m, "state"), text_of(m, "result"));
}

static void print_migrations(const json_t *answer)
{
	size_t i;
	json_t *m;

	json_array_foreach(json_object_get(answer, "migrations"), i, m)
		print_migration_line(m);
}

static void print_stop(const json_t *m)
{
	const char *part;
	json_t *ms;

	printf("stood still  %.1f ms:", real_of(m, "downtime_ms"));
	json_object_foreach(json_object_get(m, "downtime_parts_ms"), part, ms)
		printf(" %s %.1f", part, json_number_value(ms));
	putchar('\n');
}

void migration_print(const json_t *m)
{
	size_t i;
	json_t *r;

	printf("migration %lld of %s %s %s: %s, %s\n", int_of(m, "id"), text_of(m, "vm"),
	       true_of(m, "outgoing") ? "to" : "from",
	       text_of(m, "peer"), text_of(m, "state"), true_of(m, "ended") ||
	       text_of(m, "result")[0] ? text_of(m, "result") : "going on");
	json_array_foreach(json_object_get(m, "rounds"), i, r)
		printf("round %-3zu    %8lld pages, %8lld zero pages, %9.2f MiB in %9.1f ms\n", i,
		       int_of(r, "pages"),
		       int_of(r, "zero_pages"), real_of(r, "bytes") / MIB, real_of(r, "ms"));
	printf("sent         %.2f MiB for %.2f MiB of pages, in %.1f ms\n",
	       real_of(m, "bytes_sent") / MIB,
	       real_of(m, "payload_bytes") / MIB, real_of(m, "total_ms"));
	if (real_of(m, "downtime_ms") > 0)
		print_stop(m);
	if (text_of(m, "ram_hash")[0])
		printf("RAM hash     %s\n", text_of(m, "ram_hash"));
}

int migration_list(char **argv)
{
	(void)argv;
	return simple("GET", "/v1/migrations", print_migrations);
}

int migration_show(char **argv)   { return simple("GET", path_of("/v1/migrations/", argv[0], ""),
                                                  migration_print); }
int migration_cancel(char **argv)
{
	return simple("POST", path_of("/v1/migrations/", argv[0], "/cancel"), print_migration_line);
}

int migration_resolve(char **argv)
{
	bool ours = strcmp(argv[1], "ours") == 0;
	const char *body = ours ? "{\"ours\":true}" : "{\"ours\":false}";
	struct reply r;
	int code = EXIT_OK;

	if (!ours && strcmp(argv[1], "theirs") != 0) {
		complain("say \"ours\" (the peer does not run the guest) or \"theirs\" (it does), "
		         "not \"%s\"", argv[1]);
		return EXIT_USAGE;
	}
	if (!http_request("POST", path_of("/v1/migrations/", argv[0], "/resolve"), body,
	                  strlen(body), &r))
		code = reply_exit(&r);
	else if (options.json)
		print_json(r.json);
	else
		print_migration_line(r.json);
	reply_free(&r);
	return code;
}

/* --- Trace ------------------------------------------------------------------------------------ */

static volatile sig_atomic_t interrupted;
static void on_interrupt(int signal_number) { (void)signal_number; interrupted = 1; }

static void print_record(const json_t *r)
{
	if (text_of(r, "kind")[0])
		printf("%14.3f ms  vcpu %lld  %-10s %-12s rip %s  detail %s\n",
		       real_of(r, "us") / 1000, int_of(r, "vcpu"),
		       text_of(r, "event"), text_of(r, "kind"), text_of(r, "rip"),
		       text_of(r, "detail"));
	else
		printf("%14.3f ms  vcpu %lld  %-10s %s %s\n", real_of(r, "us") / 1000,
		       int_of(r, "vcpu"), text_of(r, "event"),
		       text_of(r, "a"), text_of(r, "b"));
}

/* Print or collect one answer's records; how many. */
static size_t take_records(const json_t *answer, json_t *all)
{
	const json_t *records = json_object_get(answer, "records");
	size_t i;
	json_t *x;

	json_array_foreach(records, i, x) {
		if (!options.json)
			print_record(x);
		else if (!options.follow)
			json_array_append(all, x);
		else
			print_json(x);
	}
	return json_array_size(records);
}

int trace_show(char **argv)
{
	json_t *all = json_array();
	long long from = options.from > 0 ? options.from : 0;
	size_t shown = 0;
	int code = EXIT_OK;

	signal(SIGINT, on_interrupt);
	while (code == EXIT_OK && !interrupted) {
		char query[48];
		struct reply r;
		size_t n = 0;

		snprintf(query, sizeof(query), "/trace?from=%lld", from);
		if (!http_request("GET", path_of("/v1/vms/", argv[0], query), NULL, 0, &r))
			code = reply_exit(&r);
		else
			n = take_records(r.json, all);
		from = int_of(r.json, "next");
		reply_free(&r);
		shown += n;
		/* A busy guest makes records faster than we ask: what a node keeps is enough. */
		if (!options.follow && (!n || shown >= TRACE_KEPT))
			break;
		if (n)
			continue;
		fflush(stdout);
		usleep(FOLLOW_PAUSE_US);
	}
	if (code == EXIT_OK && options.json && !options.follow) {
		json_t *j = json_pack("{s:O, s:I}", "records", all, "next", (json_int_t)from);

		print_json(j);
		json_decref(j);
	}
	json_decref(all);
	return code;
}
