/* SPDX-License-Identifier: MIT */
/*
 * port-io - IN and OUT of all sizes, string forms with REP, direction, and faults in the middle.
 *
 * Reason: port exits carry size, direction and repetition in several encodings.
 * Verdict: PASS when PCI's configuration ports and the UART's scratch register read back the same
 * by every form, and OUTS from an unmapped page faults with the right CR2 and count.
 */
#include "lib/guest.h"
#include "lib/insn.h"
#include "lib/trap.h"

const char guest_name[] = "port-io";
const char guest_title[] =
	"IN, OUT, INS, OUTS (SDM vol. 2; vol. 3, \"Exit Qualification for I/O\")";

enum {
	CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, CONFIG_ENABLE = (int)0x80000000,
	SCRATCH = COM1 + 7, PORT_NOBODY = 0x5f0,
	CONFIG_PATTERN = CONFIG_ENABLE | 0x00fffffc,
};

#define HOLE  (UINT64_C(4) << 30)                    /* first byte that is not mapped */

static void check_sizes(void)
{
	insn_outl(CONFIG_ADDRESS, (uint32_t)CONFIG_PATTERN);
	CHECK(insn_inl(CONFIG_ADDRESS) == (uint32_t)CONFIG_PATTERN, "OUT/IN of 32 bits: %x",
	      insn_inl(CONFIG_ADDRESS));
	/* host bridge, vendor and device */
	insn_outl(CONFIG_ADDRESS, (uint32_t)CONFIG_ENABLE);
	uint32_t id = insn_inl(CONFIG_DATA);
	CHECK(id != UINT32_MAX, "no host bridge");
	for (unsigned i = 0; i < 4; i++) {
		uint8_t byte = insn_inb((uint16_t)(CONFIG_DATA + i));
		CHECK(byte == (uint8_t)(id >> 8 * i), "IN of byte %u: %x of %x", i, byte, id);
	}
	for (unsigned i = 0; i < 4; i += 2) {
		uint16_t word = insn_inw((uint16_t)(CONFIG_DATA + i));
		CHECK(word == (uint16_t)(id >> 8 * i), "IN of word %u: %x of %x", i, word, id);
	}
	for (unsigned byte = 0; byte < 256; byte++) {
		insn_outb(SCRATCH, (uint8_t)byte);
		CHECK(insn_inb(SCRATCH) == byte, "OUT of byte %x", byte);
	}
}

static void check_nobody(void)
{
	CHECK(insn_inb(PORT_NOBODY) == UINT8_MAX, "byte of an empty port: %x",
	      insn_inb(PORT_NOBODY));
	CHECK(insn_inw(PORT_NOBODY) == UINT16_MAX, "word of an empty port: %x",
	      insn_inw(PORT_NOBODY));
	CHECK(insn_inl(PORT_NOBODY) == UINT32_MAX, "long of an empty port: %x",
	      insn_inl(PORT_NOBODY));
	insn_outb(PORT_NOBODY, 1);
	insn_outw(PORT_NOBODY, 1);
	insn_outl(PORT_NOBODY, 1);
}

static void check_strings(void)
{
	static const uint8_t bytes[] = { 1, 2, 3, 0x77 };
	uint32_t value = (uint32_t)CONFIG_ENABLE, longs[4];
	uint16_t words[4];
	uint8_t back[4];

	CHECK(insn_rep_outsb(SCRATCH, bytes, COUNT(bytes)) == bytes + COUNT(bytes), "OUTSB: rsi");
	CHECK(insn_inb(SCRATCH) == 0x77, "OUTSB left %x", insn_inb(SCRATCH));
	CHECK(insn_rep_insb(SCRATCH, back, COUNT(back)) == back + COUNT(back), "INSB: rdi");
	for (unsigned i = 0; i < COUNT(back); i++)
		CHECK(back[i] == 0x77, "INSB: byte %u is %x", i, back[i]);
	CHECK(insn_rep_outsl(CONFIG_ADDRESS, &value, 1) == &value + 1, "OUTSL: rsi");
	CHECK(insn_inl(CONFIG_ADDRESS) == value, "OUTSL wrote %x", insn_inl(CONFIG_ADDRESS));
	uint32_t id = insn_inl(CONFIG_DATA);
	CHECK(insn_rep_insl(CONFIG_DATA, longs, COUNT(longs)) == longs + COUNT(longs), "INSL: rdi");
	CHECK(insn_rep_insw(CONFIG_DATA, words, COUNT(words)) == words + COUNT(words), "INSW: rdi");
	for (unsigned i = 0; i < 4; i++) {
		CHECK(longs[i] == id, "INSL: %x, not %x", longs[i], id);
		CHECK(words[i] == (uint16_t)id, "INSW: %x of %x", words[i], id);
	}
	CHECK(insn_rep_insb(SCRATCH, back, 0) == back, "INSB with count 0 moved rdi");
	CHECK(insn_rep_outsw(PORT_NOBODY, words, COUNT(words)) == words + COUNT(words),
	      "OUTSW: rsi");
}

static void outs_from(uint64_t address)
{
	insn_rep_outsb(SCRATCH, (const void *)(uintptr_t)address, 4);
}

static void ins_to(uint64_t address)
{
	insn_rep_insb(SCRATCH, (void *)(uintptr_t)address, 4);
}

static void expect_pf(void (*run)(uint64_t), const char *what)
{
	int vector = trap_try(run, HOLE);

	CHECK(vector == VECTOR_PF, "%s beyond the mapping: vector %d, not #PF", what, vector);
	CHECK(insn_read_cr2() == HOLE, "%s: CR2 %lx, not %lx", what, insn_read_cr2(), HOLE);
	CHECK(trap_caught.rcx == 4, "%s: %lu left, not 4", what, trap_caught.rcx);
}

void guest_main(void)
{
	static const char text[] = "one REP OUTSB\n";

	check_sizes();
	check_nobody();
	check_strings();
	expect_pf(outs_from, "OUTS");
	expect_pf(ins_to, "INS");
	guest_flush();                           /* the line must fit into the FIFO of 16 bytes */
	insn_rep_outsb(COM1, text, sizeof(text) - 1);
}
