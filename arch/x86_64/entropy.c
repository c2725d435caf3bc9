/* SPDX-License-Identifier: MIT */
/*
 * arch/x86_64/entropy.c - seeds lib/random.c from the CPU's generator, and from the TSC in any
 * case.
 */
#include "arch/x86_64/entropy.h"

#include "arch/x86_64/defs/cpuid.h"
#include "arch/x86_64/insn.h"
#include "lib/log.h"
#include "lib/random.h"

#define WORDS     16            /* 1024 bits asked for                                          */
#define TRIES_MAX 100           /* for one word: RDSEED may be empty for a while (SDM vol. 1)   */

static unsigned stir_from(bool (*draw)(uint64_t *))
{
	uint64_t word;
	unsigned got = 0;

	for (unsigned i = 0; i < WORDS; i++) {
		for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
			if (!draw(&word))
				continue;
			random_stir(&word, sizeof(word));
			got++;
			break;
		}
	}
	return got;
}

/*
 * The time that stirring itself takes varies with caches and bus: little, but never nothing, on
 * hardware.
 */
static void stir_time(void)
{
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t tsc = insn_rdtsc();
		random_stir(&tsc, sizeof(tsc));
	}
}

enum err entropy_init(void)
{
	bool rdseed = insn_cpuid(CPUID_FEATURES7, 0).ebx & CPUID7_EBX_RDSEED;
	bool rdrand = insn_cpuid(CPUID_FEATURES, 0).ecx & CPUID1_ECX_RDRAND;

	stir_time();
	if (rdseed && stir_from(insn_rdseed))
		log_line("entropy: from RDSEED");
	else if (rdrand && stir_from(insn_rdrand))
		log_line("entropy: from RDRAND");
	else
		log_line("entropy: from the TSC alone; random numbers of guests are weak");
	return OK;
}
