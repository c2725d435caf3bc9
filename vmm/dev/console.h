/* SPDX-License-Identifier: MIT */
/*
 * vmm/dev/console.h - what a guest has said, kept for whoever asks later.
 *
 * COM1 and the virtio console write into one ring of the latest bytes with a running count, so a
 * reader names the byte it wants next and is never lost, also after the VM has moved: the ring
 * travels.  Nobody waits for a reader.  The keyboard follows the screen: input goes to the device
 * that spoke last.
 */
#ifndef VMM_DEV_CONSOLE_H
#define VMM_DEV_CONSOLE_H

#include "vmm/dev.h"

#define CONSOLE_RING_SIZE   16384u      /* bytes kept, a power of two                    */
#define CONSOLE_INPUT_SIZE  1024u       /* bytes of input waiting in one device, likewise */

enum console_source { CONSOLE_COM1, CONSOLE_HVC0, CONSOLE_SOURCES };

struct console {
	uint8_t  ring[CONSOLE_RING_SIZE];
	uint64_t count;                 /* bytes ever said; the next one goes to count % size */
	uint8_t  last;                  /* enum console_source that spoke last                */
};

extern const struct dev_ops console_ops;

void console_init(struct console *c);
void console_put(struct console *c, enum console_source source, const void *bytes, size_t len);

/*
 * Bytes from number *from on, oldest first, at most `size`; returns how many.  A number that is no
 * longer (or not yet) there becomes the nearest one that is; *from ends behind the last byte given.
 */
size_t console_read(const struct console *c, uint64_t *from, void *to, size_t size);

/* Typed input waiting for a device: a byte ring that refuses what does not fit. */
struct console_input {
	uint8_t  byte[CONSOLE_INPUT_SIZE];
	uint16_t head, count;
};

#define CONSOLE_INPUT_FIELDS(type, m)                                                      \
	FIELDS(type, m.byte), FIELD(type, m.head), FIELD(type, m.count)

/* Both return how many bytes were moved. */
size_t   console_input_put(struct console_input *in, const void *bytes, size_t len);
size_t   console_input_take(struct console_input *in, void *to, size_t size);
enum err console_input_check(const struct console_input *in);

#endif
