/* SPDX-License-Identifier: MIT */
/*
 * lib/config.h - every limit and pool size, in one place, with the unit in the name.
 * Relations between them are asserted where they are used.
 */
#ifndef LIB_CONFIG_H
#define LIB_CONFIG_H

#include "lib/types.h"

/* Host */
#define CPUS_MAX                64
#define TASKS_MAX               48
#define TASK_STACK_PAGES        8           /* plus one guard page below        */
#define LOG_LINE_MAX            512
#define LOG_RING_SIZE           (32 * KIB)
#define HOST_RAM_MIN_BYTES      (32 * MIB)  /* less than this: refuse to start  */

/* Guests */
#define VMS_MAX                 16
#define VCPUS_MAX               8           /* per VM                           */
#define VM_NICS_MAX             4
#define VM_NAME_MAX             32          /* with the NUL                     */
#define VM_RAM_MIN_BYTES        (4 * MIB)
#define VM_RAM_MAX_BYTES        (64 * GIB)
#define VM_DEVICES_MAX          24
#define VM_CMDLINE_MAX          2048
#define VM_MODULES_MAX          8
#define BUS_RANGES_MAX          64          /* per VM and space                 */
#define IMAGES_MAX              32          /* uploaded or given payloads       */
#define IMAGE_NAME_MAX          64

/* Trace */
#define TRACE_RECORDS           4096        /* per VM, a power of two           */

/* Network */
#define NICS_MAX                4
#define VSWITCH_PORTS_MAX       32
#define VSWITCH_MACS_MAX        1024        /* learned addresses per switch     */
#define VSWITCH_AGE_NS          (300 * NS_PER_S)

/* Control */
#define CTL_PORT                80
#define CTL_CONNECTIONS_MAX     16
#define CTL_BODY_MAX            (64 * KIB)  /* JSON bodies; uploads stream      */

/* Migration */
#define CHANS_MAX               16          /* connections to peers, each with a task */
#define MIG_PORT                7700
#define MIGRATIONS_MAX          16          /* remembered, running or ended     */

#endif
