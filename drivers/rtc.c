/* SPDX-License-Identifier: MIT */
/*
 * drivers/rtc.c - the host's real-time clock: register pairs behind ports 0x70 and 0x71.
 *
 * Two equal readings outside of an update count as one; the number of tries is bounded.  The
 * century is taken as 20xx: no register of the chip says it in a way that all firmware agrees on.
 */
#include "drivers/rtc.h"

#include "arch/x86_64/insn.h"
#include "lib/log.h"
#include "lib/time.h"

#define PORT_INDEX      0x70
#define PORT_DATA       0x71
#define REG_STATUS_A    0x0a
#define REG_STATUS_B    0x0b
#define STATUS_A_UIP    BIT(7)          /* update in progress            */
#define STATUS_B_BINARY BIT(2)          /* registers are not BCD         */
#define STATUS_B_24H    BIT(1)
#define HOUR_PM         BIT(7)          /* 12-hour mode                  */
#define TRIES_MAX       100000u         /* an update takes 2 ms at most  */

enum { SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, PARTS };
static const uint8_t part_register[PARTS] = { 0x00, 0x02, 0x04, 0x07, 0x08, 0x09 };

static uint64_t boot_wall_ns;           /* wall-clock time when time_now_ns() was 0 */

static uint8_t read_register(uint8_t index)
{
	insn_outb(PORT_INDEX, index);
	return insn_inb(PORT_DATA);
}

static void read_parts(uint8_t part[PARTS])
{
	for (unsigned i = 0; i < PARTS; i++)
		part[i] = read_register(part_register[i]);
}

static bool read_stable(uint8_t part[PARTS])
{
	uint8_t again[PARTS];

	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		if (read_register(REG_STATUS_A) & STATUS_A_UIP)
			continue;
		read_parts(part);
		read_parts(again);
		bool same = true;
		for (unsigned i = 0; i < PARTS; i++)
			same = same && part[i] == again[i];
		if (same)
			return true;
	}
	return false;
}

static void to_binary(uint8_t part[PARTS])
{
	uint8_t b = read_register(REG_STATUS_B);
	bool pm = !(b & STATUS_B_24H) && part[HOUR] & HOUR_PM;

	if (!(b & STATUS_B_24H))
		part[HOUR] &= (uint8_t)~HOUR_PM;
	if (!(b & STATUS_B_BINARY))
		for (unsigned i = 0; i < PARTS; i++)
			part[i] = (uint8_t)((part[i] >> 4) * 10 + (part[i] & 15));
	if (!(b & STATUS_B_24H))
		part[HOUR] = (uint8_t)(part[HOUR] % 12 + (pm ? 12 : 0));
}

/* Days from 1970-01-01 to a day of the proleptic Gregorian calendar; years count from March. */
static uint64_t days_since_1970(uint64_t year, uint64_t month, uint64_t day)
{
	if (month <= 2) {
		year--;
		month += 12;
	}
	return 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day -
	       1 - 719468;
}

void rtc_init(void)
{
	uint8_t p[PARTS];

	if (read_stable(p)) {
		to_binary(p);
		if (p[SECOND] < 60 && p[MINUTE] < 60 && p[HOUR] < 24 && p[DAY] >= 1 &&
		    p[DAY] <= 31 && p[MONTH] >= 1 && p[MONTH] <= 12 && p[YEAR] < 100) {
			uint64_t s = days_since_1970(2000 + p[YEAR], p[MONTH], p[DAY]) * 86400 +
			             p[HOUR] * 3600ull + p[MINUTE] * 60ull + p[SECOND];
			boot_wall_ns = s * NS_PER_S - time_now_ns();
			log_line("rtc: 20%02u-%02u-%02u %02u:%02u:%02u UTC", p[YEAR], p[MONTH],
			         p[DAY], p[HOUR], p[MINUTE], p[SECOND]);
			return;
		}
	}
	log_line("rtc: the real-time clock gives no sensible time; guests' clocks start in 1970");
}

uint64_t rtc_wall_ns(void)
{
	return boot_wall_ns ? boot_wall_ns + time_now_ns() : 0;
}
