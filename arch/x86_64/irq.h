/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/irq.h - interrupts of the host: who handles which vector, and when they are taken.
 *
 * Interrupts are taken at two places only: in the idle loop and in irq_take(), which runs after a
 * guest was interrupted.  A device's handler holds the host lock (it is taken for one that comes to
 * a halted CPU), so it never races with anything: it quietens its device, sets a flag
 * (sched_poke(), event_signal()) and returns.  It must not log, wait or allocate.
 */
#ifndef ARCH_X86_64_IRQ_H
#define ARCH_X86_64_IRQ_H

#include "lib/err.h"
#include "lib/types.h"

/* The vector space.  Both 8259s are masked; theirs are there to recognise a stray one. */
#define VECTOR_EXCEPTIONS       32
#define VECTOR_PIC_BASE         0x20            /* 16 of them                            */
#define VECTOR_DEVICE_FIRST     0x30
#define VECTOR_DEVICE_LAST      0xef
#define VECTOR_TIMER            0xf0
#define VECTOR_POKE             0xf1            /* from another CPU: come and look       */
#define VECTOR_APIC_ERROR       0xfe
#define VECTOR_SPURIOUS         0xff

/* How a device interrupts, the worst first. */
enum irq_kind { IRQ_POLLED, IRQ_LINE, IRQ_MSI, IRQ_MSIX };

/* True: the device behind `ctx` had asked for it.  Lines are shared, so false is normal. */
typedef bool irq_handler_fn(void *ctx);

/* The PCI interrupt with legacy line number `line`: routed through the IOAPIC, level, shared. */
enum err irq_register(unsigned line, irq_handler_fn *handler, void *ctx);

/* A vector of its own for `handler` (a message); edge. */
enum err irq_vector_alloc(irq_handler_fn *handler, void *ctx, uint8_t *vector);

/*
 * What a device writes, and where to, so that we get this vector.  (SDM vol. 3, "Message Signalled
 * Interrupts")
 */
struct irq_message { uint64_t address; uint32_t data; };
enum err irq_message(uint8_t vector, struct irq_message *out);

/* Take everything that is pending: STI, one instruction, CLI. */
void irq_take(void);

/* From the trap entry: an interrupt with this vector came in. */
void irq_dispatch(uint8_t vector);

/* Of all CPUs together.  An NMI that another CPU sent to fetch this one is in `nmi_pokes`. */
struct irq_counters { uint64_t taken, spurious, unclaimed, apic_errors, nmis, nmi_pokes; };
extern struct irq_counters irq_counters;

/* Log, at most once a second, what came that should not have; returns when to call again. */
uint64_t irq_report(uint64_t now_ns);

#endif
