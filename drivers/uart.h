/* SPDX-License-Identifier: MIT */
/*
 * drivers/uart.h - COM1 (16550) as the host's console: output only, 115200 8N1.
 */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include <stdbool.h>
#include <stddef.h>

/* False: nothing answers at COM1; uart_write() then does nothing. */
bool uart_init(void);

/* A log sink: newline becomes CR LF.  Waits for the transmitter, but never for ever. */
void uart_write(const char *text, size_t len);

#endif
