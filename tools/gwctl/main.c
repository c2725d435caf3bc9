/* SPDX-License-Identifier: MIT */
/*
 * tools/gwctl/main.c - the command line of Godwit: words to a command, options, exit codes.
 *
 * Every command is one or a few requests to a node's control service (docs/api.md).  Read next:
 * tools/gwctl/http.c, then the command you are interested in.
 */
#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gwctl/gwctl.h"

#define WORDS_MAX 34
#define ANY       (-1)                  /* one argument or more                 */

struct options options = { .downtime_ms = -1, .timeout_s = -1, .from = -1, .wait_ms = -1 };

static char *words[WORDS_MAX + 1];
static int nwords;

static const struct command {
	const char *words[2];           /* the second may be NULL               */
	int         args;               /* how many follow, or ANY              */
	command_fn *run;
	const char *usage, *help;
} commands[] = {
	{ { "node", "show" },         0, node_show,         "",
	  "the host: CPU, memory, cards, switches" },
	{ { "node", "cpu" },          0, node_cpu,          "",
	  "the CPU that guests can be given, and which baselines" },
	{ { "node", "log" },          0, node_log,          "",
	  "the end of the host's log" },
	{ { "node", "reboot" },       0, node_reboot,       "",
	  "start the machine again; --force with guests" },
	{ { "node", "poweroff" },     0, node_poweroff,     "",
	  "switch the machine off; --force with guests" },
	{ { "cluster", "baseline" },  ANY, cluster_baseline, "NODE...",
	  "the CPU that all these nodes offer, for a VM definition" },
	{ { "vm", "list" },           0, vm_list,           "",           "all VMs" },
	{ { "vm", "show" },           1, vm_show,           "VM",
	  "one VM with vCPUs and counters" },
	{ { "vm", "create" },         1, vm_create,         "FILE",
	  "upload its payloads, create it" },
	{ { "vm", "start" },          1, vm_start,          "VM",         "" },
	{ { "vm", "pause" },          1, vm_pause,          "VM",         "" },
	{ { "vm", "resume" },         1, vm_resume,         "VM",         "" },
	{ { "vm", "stop" },           1, vm_stop,           "VM",         "pull its plug" },
	{ { "vm", "delete" },         1, vm_delete,         "VM",         "" },
	{ { "vm", "console" },        1, vm_console,        "VM",
	  "its console; Ctrl-] or ~. leaves" },
	{ { "migrate", NULL },        2, migrate,           "VM TO",
	  "move it to the host at address TO" },
	{ { "migration", "list" },    0, migration_list,    "",
	  "migrations that the node remembers" },
	{ { "migration", "show" },    1, migration_show,    "ID",         "" },
	{ { "migration", "cancel" },  1, migration_cancel,  "ID",
	  "the guest stays where it runs" },
	{ { "migration", "resolve" }, 2, migration_resolve, "ID ours|theirs",
	  "in doubt: whose is the guest" },
	{ { "image", "list" },        0, image_list,        "",           "payloads on the node" },
	{ { "image", "delete" },      1, image_delete,      "NAME",       "" },
	{ { "trace", NULL },          1, trace_show,        "VM",
	  "what its vCPUs did, exit by exit" },
};

void complain(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("gwctl: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/* --- Options ---------------------------------------------------------------------------------- */

enum { OPT_START = 256, OPT_DOWNTIME, OPT_TIMEOUT, OPT_VERIFY, OPT_NO_THROTTLE, OPT_DETACH,
       OPT_FROM, OPT_WAIT, OPT_FOLLOW, OPT_FORCE };

static const struct argp_option option_list[] = {
	{ "node", 'n', "NODE", 0,
	  "management address of the node (otherwise the variable GODWIT_NODE)", 1 },
	{ "json", 'j', NULL, 0, "answer in JSON on standard output", 1 },
	{ "start", OPT_START, NULL, 0, "vm create: start it, too", 2 },
	{ "force", OPT_FORCE, NULL, 0,
	  "node reboot, node poweroff: also with guests, which are lost", 2 },
	{ "from", OPT_FROM, "N", 0, "vm console, trace: begin at this byte or record", 2 },
	{ "wait-ms", OPT_WAIT, "MS", 0,
	  "vm console without a terminal: leave after this silence (default 1000)", 2 },
	{ "follow", OPT_FOLLOW, NULL, 0,
	  "trace, vm console without a terminal: go on until interrupted", 2 },
	{ "downtime-ms", OPT_DOWNTIME, "MS", 0, "migrate: longest stop to aim at (default 300)",
	  3 },
	{ "timeout-s", OPT_TIMEOUT, "S", 0,
	  "migrate: cancel when not done by then (default: never)", 3 },
	{ "verify", OPT_VERIFY, NULL, 0,
	  "migrate: both sides hash RAM, a difference keeps the guest here", 3 },
	{ "no-throttle", OPT_NO_THROTTLE, NULL, 0,
	  "migrate: never slow the guest down, however fast it writes", 3 },
	{ "detach", OPT_DETACH, NULL, 0, "migrate: print the number and do not wait for the end",
	  3 },
	{ 0 }
};

static long long number(const char *text, struct argp_state *state, const char *option)
{
	char *end;

	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (errno || end == text || *end || v < 0)
		argp_error(state, "--%s needs a number, not \"%s\"", option, text);
	return v;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'n': options.node = arg; break;
	case 'j': options.json = true; break;
	case OPT_FORCE: options.force = true; break;
	case OPT_START: options.start = true; break;
	case OPT_FROM: options.from = number(arg, state, "from"); break;
	case OPT_WAIT: options.wait_ms = number(arg, state, "wait-ms"); break;
	case OPT_FOLLOW: options.follow = true; break;
	case OPT_DOWNTIME: options.downtime_ms = number(arg, state, "downtime-ms"); break;
	case OPT_TIMEOUT: options.timeout_s = number(arg, state, "timeout-s"); break;
	case OPT_VERIFY: options.verify = true; break;
	case OPT_NO_THROTTLE: options.no_throttle = true; break;
	case OPT_DETACH: options.detach = true; break;
	case ARGP_KEY_ARG:
		if (nwords == WORDS_MAX)
			argp_error(state, "too many words");
		words[nwords++] = arg;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no command given");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The list of commands, after the options in --help. */
static char *help_filter(int key, const char *text, void *input)
{
	size_t size = 4096;
	char *all;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC || !text)
		return (char *)text;
	all = malloc(size);
	if (!all)
		return (char *)text;
	size_t n = (size_t)snprintf(all, size, "Commands:\n");
	for (const struct command *c = commands; c < commands +
	     sizeof(commands) / sizeof(*commands); c++) {
		char left[48];

		snprintf(left, sizeof(left), "%s%s%s %s", c->words[0], c->words[1] ? " " : "",
		         c->words[1] ? c->words[1] : "", c->usage);
		n += (size_t)snprintf(all + n, size - n, c->help[0] ? "  %-34s %s\n" : "  %s\n",
		                      left, c->help);
	}
	snprintf(all + n, size - n, "%s", text);
	return all;
}

static const struct argp argp = {
	.options = option_list, .parser = parse, .args_doc = "COMMAND...",
	.doc = "Talk to the control service of a Godwit node.\v"
	       "\nExit codes: 0 done, 1 the node refused, 2 wrong usage, 3 the node does not "
	       "answer, 4 the migration ended and the guest stayed, 130 interrupted.",
	.help_filter = help_filter,
};

/* --- Words to a command ----------------------------------------------------------------------- */

static int say_usage(const struct command *c)
{
	complain("usage: gwctl [-n NODE] [--json] %s%s%s %s", c->words[0], c->words[1] ? " " : "",
	         c->words[1] ? c->words[1] : "", c->usage);
	return EXIT_USAGE;
}

static int no_such_command(void)
{
	char known[200] = "";

	for (const struct command *c = commands; c < commands +
	     sizeof(commands) / sizeof(*commands); c++) {
		if (strcmp(c->words[0], words[0]) != 0 || !c->words[1])
			continue;
		size_t n = strlen(known);
		snprintf(known + n, sizeof(known) - n, "%s%s", n ? ", " : "", c->words[1]);
	}
	if (known[0])
		complain("\"%s\" must be followed by one of: %s", words[0], known);
	else
		complain("there is no command \"%s\"; gwctl --help lists them", words[0]);
	return EXIT_USAGE;
}

/* A command names its nodes itself, or is for the one of -n or the environment. */
static bool has_node(void)
{
	if (!options.node)
		options.node = getenv("GODWIT_NODE");
	if (options.node && options.node[0])
		return true;
	complain("which node? give -n ADDRESS, or set GODWIT_NODE");
	return false;
}

static int run(void)
{
	for (const struct command *c = commands; c < commands +
	     sizeof(commands) / sizeof(*commands); c++) {
		int used = c->words[1] ? 2 : 1;

		if (strcmp(words[0], c->words[0]) != 0 ||
		    (c->words[1] && (nwords < 2 || strcmp(words[1], c->words[1]) != 0)))
			continue;
		bool right = c->args == ANY ? nwords > used : nwords - used == c->args;
		if (!right)
			return say_usage(c);
		if (c->args != ANY && !has_node())
			return EXIT_USAGE;
		return c->run(words + used);
	}
	return no_such_command();
}

int main(int argc, char **argv)
{
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	http_begin();
	int code = run();
	http_end();
	if (fflush(stdout) != 0 && code == EXIT_OK) {
		complain("cannot write the answer: %s", strerror(errno));
		return EXIT_REFUSED;
	}
	return code;
}
