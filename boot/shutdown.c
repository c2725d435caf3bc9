/* SPDX-License-Identifier: MIT */
/*
 * boot/shutdown.c - this host restarts or switches itself off, on request.
 *
 * A host with guests refuses: whoever means it says so.  Guests are not told; what runs here when
 * the machine goes is as if its plug was pulled.  Called by boot/commands.c.
 */
#include "boot/shutdown.h"

#include "arch/x86_64/reset.h"
#include "lib/config.h"
#include "lib/log.h"
#include "lib/task.h"
#include "lib/time.h"
#include "vmm/vm.h"

#define ANSWER_NS       (500 * NS_PER_MS)       /* for the answer to leave */

static enum shutdown_kind wanted;
static bool forced, begun;

/* A guest that would be lost: it runs, pauses, arrives, or its migration has not ended. */
static bool would_be_lost(const struct vm *vm)
{
	return vm->owner || vm->stun || vm->run == VM_RUNNING || vm->run == VM_PAUSED ||
	       vm->run == VM_GHOST;
}

static enum err check_guests(void)
{
	const struct vm *first = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < VMS_MAX; i++)
		if (vm_at(i) && would_be_lost(vm_at(i)))
			first = n++ ? first : vm_at(i);
	if (!n)
		return OK;
	return refuse(ERR_BUSY, "%u guest%s would be lost, among them \"%s\" (%s): stop or move "
	              "them, or use force", n, n > 1 ? "s" : "", first->config.name,
	              first->stun ? "STUNNED" : vm_run_name(first->run));
}

/* Looks again: a guest may have come since the request was accepted. */
static void shutdown_task(void *arg)
{
	struct event never = { 0 };

	(void)arg;
	event_wait(&never, time_now_ns() + ANSWER_NS);
	if (!forced && check_guests() != OK) {
		log_line("shutdown: given up: %s", err_reason());
		begun = false;
	} else if (wanted == SHUTDOWN_REBOOT) {
		reset_reboot();
	} else {
		reset_poweroff();
	}
}

enum err shutdown_begin(enum shutdown_kind kind, bool force)
{
	enum err e = force ? OK : check_guests();

	if (e == OK && begun)
		e = refuse(ERR_BUSY, "this node is already on its way down");
	if (e == OK)
		e = task_create("shutdown", shutdown_task, NULL);
	if (e != OK)
		return e;
	wanted = kind;
	forced = force;
	begun = true;
	log_line("shutdown: %s on request%s", kind == SHUTDOWN_REBOOT ? "restart" : "power off",
	         force ? ", whatever runs" : "");
	return OK;
}
