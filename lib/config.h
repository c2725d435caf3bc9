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
#define TASKS_MAX               (VMS_MAX * VCPUS_MAX + MIGRATIONS_MAX + MIG_SERVED_MAX + \
                                 TASKS_SPARE)
#define TASKS_SPARE             8           /* benchmarks, the control service  */
#define TASK_STACK_PAGES        8           /* plus one guard page below        */
#define LOG_LINE_MAX            512
#define REASON_MAX              2560        /* why something failed: it may list all features */
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
#define CHANS_MAX               (MIGRATIONS_MAX + MIG_SERVED_MAX)   /* connections to peers */
#define MIG_PORT                7700
#define MIGRATIONS_MAX          16          /* remembered, running or ended     */
#define MIG_INCOMING_MAX        4           /* guests on their way here         */
#define MIG_SERVED_MAX          8           /* connections from peers: those, those that have
                                               not said yet what they want, and QUERYs */
#define MIG_VERDICTS_MAX        256         /* (guest, epoch) pairs remembered  */
#define MIG_CONNECT_NS          (10 * NS_PER_S)   /* TCP's handshake                   */
#define MIG_OPEN_NS             (5 * NS_PER_S)    /* a new connection's first record   */
#define MIG_ACCEPT_NS           (60 * NS_PER_S)   /* the peer makes the ghost          */
#define MIG_SILENCE_NS          (20 * NS_PER_S)   /* no byte moves: the link is lost   */
#define MIG_STUNNED_NS          (5 * NS_PER_S)    /* ... while the guest stands still  */
#define MIG_STOP_OVER_NS        (5 * NS_PER_S)    /* a stop until READY, beyond its target */
#define MIG_DRAIN_NS            (60 * NS_PER_S)   /* what is on its way at a round's end   */
#define MIG_RECORD_NS           (5 * NS_PER_S)    /* the rest of an answer that has begun  */
#define MIG_READY_NS            (60 * NS_PER_S)   /* the peer hashes all of RAM        */
#define MIG_RUNNING_NS          (5 * NS_PER_S)    /* GRANT answered; then ask by QUERY */
#define MIG_GOODBYE_NS          (1 * NS_PER_S)    /* last words on a failed connection */
#define MIG_STOOD_MAX_NS        (600 * NS_PER_S)  /* a stop that GRANT may claim       */
#define MIG_QUERY_FIRST_NS      (200 * NS_PER_MS) /* pause between QUERYs, doubled ... */
#define MIG_QUERY_MAX_NS        (10 * NS_PER_S)   /* ... up to this                    */
#define MIG_REPLACE_NS          (2 * NS_PER_S)    /* an older ghost makes room             */
#define MIG_POLL_NS             (1 * NS_PER_MS)   /* look for an answer or a cancel    */
#define MIG_SPIN_NS             (500 * NS_PER_MS) /* ... awake while the guest stands still */

#endif
