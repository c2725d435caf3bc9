/* SPDX-License-Identifier: MIT */
/*
 * boot/cmdline.c - the boot command line, as a struct.
 *
 *   node=NAME  mgmt=NIC,ADDRESS[,gw=IPV4]  mig=NIC[,ADDRESS[,gw=IPV4]]  guest=NIC  test=NAME
 *   mtu=NIC,BYTES  irq=msi|line|poll  virt=on|off  cpus=N
 *   panic=SECONDS  watchdog=SECONDS
 *   NIC: nicN or a MAC address, with .VLAN for one VLAN of that card (an MTU is the card's).
 *   ADDRESS: dhcp, or IPV4/PREFIX.
 *
 * Words are separated by spaces, each at most once (mtu once for each card).  A word that is not
 * understood is refused by name: a host with half of its configuration is worse than one that says
 * what is wrong.  Called by boot/main.c.
 */
#include "boot/cmdline.h"

#include <string.h>

#include "lib/config.h"
#include "lib/log.h"
#include "net/nic.h"

#define WORDS           "node= mgmt= mig= guest= mtu= irq= virt= cpus= panic= watchdog= test="
#define WORD_MAX        96
#define MAC_TEXT_LEN    17              /* 52:54:00:00:00:0a */
#define PREFIX_MAX      32

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static bool is_name(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-_", c);
}

/* A decimal number up to `max` at *p; moves *p behind it. */
static bool take_number(const char **p, unsigned max, unsigned *out)
{
	unsigned value = 0, digits = 0;

	for (; is_digit(**p) && digits < 4; ++*p, digits++)
		value = value * 10 + (unsigned)(**p - '0');
	*out = value;
	return digits && value <= max;
}

static bool take_ipv4(const char **p)
{
	unsigned part;

	for (unsigned i = 0; i < 4; i++) {
		if (i && *(*p)++ != '.')
			return false;
		if (!take_number(p, 255, &part))
			return false;
	}
	return true;
}

static bool is_ipv4(const char *s)
{
	return take_ipv4(&s) && !*s;
}

static bool is_ipv4_prefix(const char *s)
{
	unsigned prefix;

	return take_ipv4(&s) && *s++ == '/' && take_number(&s, PREFIX_MAX, &prefix) && prefix &&
	       !*s;
}

static bool is_mac(const char *s)
{
	for (unsigned i = 0; i < MAC_TEXT_LEN; i++)
		if (i % 3 == 2 ? s[i] != ':' : !is_hex(s[i]))
			return false;
	return !s[MAC_TEXT_LEN];
}

static bool is_nic(const char *s)
{
	unsigned number;

	if (strncmp(s, "nic", 3))
		return is_mac(s);
	s += 3;
	return take_number(&s, NICS_MAX - 1, &number) && !*s;
}

/* Copy with a bound; false: too long. */
static bool copy(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);

	if (len >= size)
		return false;
	memcpy(to, from, len + 1);
	return true;
}

static enum err take_name(const char *word, const char *value, char *to, size_t size)
{
	for (const char *p = value; *p; p++)
		if (!is_name(*p))
			return fail(ERR_BAD_ARGUMENT,
			            "command line: %s: letters, digits, '-' and '_' only", word);
	if (!*value || !copy(to, size, value))
		return fail(ERR_BAD_ARGUMENT, "command line: %s: a name has 1 to %zu characters",
		            word, size - 1);
	return OK;
}

static enum err take_nic_name(const char *word, const char *value, char to[CMDLINE_NIC_MAX])
{
	if (is_nic(value) && copy(to, CMDLINE_NIC_MAX, value))
		return OK;
	return fail(ERR_BAD_ARGUMENT,
	            "command line: %s: '%s' is neither nic0 to nic%d nor a MAC address", word,
	            value, NICS_MAX - 1);
}

/* NIC[.VLAN]; `value` is cut at the dot. */
static enum err take_nic(const char *word, char *value, struct boot_nic *to)
{
	char *dot = strchr(value, '.');
	const char *number = dot ? dot + 1 : "";
	unsigned vlan = VLAN_UNTAGGED;

	if (dot) {
		*dot = '\0';
		if (!take_number(&number, VLAN_MAX, &vlan) || *number || !vlan)
			return fail(ERR_BAD_ARGUMENT,
				    "command line: %s: '%s' is not a VLAN, 1 to %d", word, dot + 1,
				    VLAN_MAX);
	}
	to->vlan = (uint16_t)vlan;
	return take_nic_name(word, value, to->name);
}

static enum err take_address(const char *word, const char *value, struct boot_net *net)
{
	net->ip.dhcp = !strcmp(value, "dhcp");
	if (!net->ip.dhcp &&
	    (!is_ipv4_prefix(value) || !copy(net->ip.address, sizeof(net->ip.address), value)))
		return fail(ERR_BAD_ARGUMENT,
		            "command line: %s: '%s' is neither dhcp nor like 10.0.0.1/24",
		            word, value);
	net->has_address = true;
	return OK;
}

static enum err take_gateway(const char *word, const char *value, struct boot_net *net)
{
	if (strncmp(value, "gw=", 3) || !is_ipv4(value + 3) ||
	    !copy(net->ip.gateway, sizeof(net->ip.gateway), value + 3))
		return fail(ERR_BAD_ARGUMENT,
		            "command line: %s: '%s' is not a gateway like gw=10.0.0.254", word,
		            value);
	if (net->ip.dhcp)
		return fail(ERR_BAD_ARGUMENT,
		            "command line: %s: with dhcp the gateway comes by DHCP", word);
	return OK;
}

/* NIC[,ADDRESS[,gw=IPV4]]; `value` is cut at the commas. */
static enum err take_net(const char *word, char *value, struct boot_net *net)
{
	char *address = strchr(value, ','), *gateway = NULL;

	if (address) {
		*address++ = '\0';
		gateway = strchr(address, ',');
		if (gateway)
			*gateway++ = '\0';
	}
	enum err e = take_nic(word, value, &net->nic);
	net->ip.vlan = net->nic.vlan;
	if (e == OK && address)
		e = take_address(word, address, net);
	if (e == OK && gateway)
		e = take_gateway(word, gateway, net);
	return e;
}

/* One of `n` words; its place among them. */
static enum err take_choice(const char *word, const char *value, const char *const *choices,
                            unsigned n, unsigned *out)
{
	for (*out = 0; *out < n; ++*out)
		if (!strcmp(value, choices[*out]))
			return OK;
	return fail(ERR_BAD_ARGUMENT, "command line: %s: '%s' is none of its values", word, value);
}

static enum err take_irq(const char *word, const char *value, struct boot_options *out)
{
	static const char *const names[] = { "msi", "line", "poll" };
	static const enum irq_kind kinds[] = { IRQ_MSIX, IRQ_LINE, IRQ_POLLED };
	unsigned i;
	enum err e = take_choice(word, value, names, COUNT(names), &i);

	if (e == OK)
		out->irq = kinds[i];
	return e;
}

static enum err take_virt(const char *word, const char *value, struct boot_options *out)
{
	static const char *const names[] = { "on", "off" };
	unsigned i;
	enum err e = take_choice(word, value, names, COUNT(names), &i);

	out->virt_off = e == OK && i == 1;
	return e;
}

/* NIC,BYTES; `value` is cut at the comma. */
static enum err take_mtu(const char *word, char *value, struct boot_options *out)
{
	char *comma = strchr(value, ',');
	const char *number = comma ? comma + 1 : "";
	unsigned bytes;

	if (comma)
		*comma = '\0';
	if (!take_number(&number, NIC_MTU_MAX, &bytes) || *number || bytes < NIC_MTU)
		return fail(ERR_BAD_ARGUMENT,
		            "command line: %s: '%s' is not a number from %d to %d, as in "
		            "mtu=nic0,9000", word, comma ? comma + 1 : "", NIC_MTU, NIC_MTU_MAX);
	if (out->nmtus == COUNT(out->mtu))
		return fail(ERR_BAD_ARGUMENT, "command line: %s: there are no more than %d cards",
		            word, NICS_MAX);
	struct boot_mtu *m = &out->mtu[out->nmtus++];

	m->bytes = (uint16_t)bytes;
	return take_nic_name(word, value, m->nic);
}

static enum err take_cpus(const char *word, const char *value, unsigned *out)
{
	const char *p = value;

	if (!take_number(&p, CPUS_MAX, out) || *p || !*out)
		return fail(ERR_BAD_ARGUMENT, "command line: %s: '%s' is not a number from 1 to %d",
		            word, value, CPUS_MAX);
	return OK;
}

static enum err take_seconds(const char *word, const char *value, unsigned *out)
{
	if (!take_number(&value, CMDLINE_SECONDS_MAX, out) || *value)
		return fail(ERR_BAD_ARGUMENT, "command line: %s: 0 to %d seconds", word,
		            CMDLINE_SECONDS_MAX);
	return OK;
}

static enum err take_word(char *word, char *value, struct boot_options *out)
{
	if (!strcmp(word, "node"))
		return take_name(word, value, out->node, sizeof(out->node));
	if (!strcmp(word, "test"))
		return take_name(word, value, out->test, sizeof(out->test));
	if (!strcmp(word, "panic"))
		return take_seconds(word, value, &out->panic_s);
	if (!strcmp(word, "watchdog"))
		return take_seconds(word, value, &out->watchdog_s);
	if (!strcmp(word, "guest"))
		return take_nic(word, value, &out->guest);
	if (!strcmp(word, "mtu"))
		return take_mtu(word, value, out);
	if (!strcmp(word, "irq"))
		return take_irq(word, value, out);
	if (!strcmp(word, "virt"))
		return take_virt(word, value, out);
	if (!strcmp(word, "cpus"))
		return take_cpus(word, value, &out->cpus);
	if (!strcmp(word, "mig"))
		return take_net(word, value, &out->mig);
	ASSERT(!strcmp(word, "mgmt"));
	enum err e = take_net(word, value, &out->mgmt);
	if (e == OK && !out->mgmt.has_address)
		return fail(ERR_BAD_ARGUMENT,
		            "command line: mgmt: an address is missing, as in mgmt=nic0,dhcp");
	return e;
}

/* Index of a known word, by its name. */
static int find_word(const char *word)
{
	static const char *const known[] = { "node", "mgmt", "mig", "guest", "mtu", "irq",
	                                     "virt", "cpus", "panic", "watchdog", "test" };

	for (unsigned i = 0; i < COUNT(known); i++)
		if (!strcmp(word, known[i]))
			return (int)i;
	return -1;
}

/* What was not said follows from mgmt. */
static enum err complete(struct boot_options *out)
{
	if (!out->node[0])
		copy(out->node, sizeof(out->node), "godwit");
	if (!out->mgmt.nic.name[0] && (out->mig.nic.name[0] || out->guest.name[0]))
		return fail(ERR_BAD_ARGUMENT, "command line: mig and guest need mgmt");
	if (!out->mig.nic.name[0]) {
		out->mig = out->mgmt;
	} else if (!out->mig.has_address) {
		if (strcmp(out->mig.nic.name, out->mgmt.nic.name) ||
		    out->mig.nic.vlan != out->mgmt.nic.vlan)
			return fail(ERR_BAD_ARGUMENT,
			            "command line: mig: a NIC or VLAN of its own needs an address");
		out->mig = out->mgmt;
	}
	if (!out->guest.name[0])
		out->guest = out->mgmt.nic;
	return OK;
}

/* One word, `len` bytes of `text`; `seen` has a bit for each word that was there before. */
static enum err parse_word(const char *text, size_t len, unsigned *seen, struct boot_options *out)
{
	char word[WORD_MAX];

	if (len >= sizeof(word))
		return fail(ERR_BAD_ARGUMENT, "command line: '%.20s...' is too long", text);
	memcpy(word, text, len);
	word[len] = '\0';
	char *value = strchr(word, '=');
	if (value)
		*value++ = '\0';
	int i = value ? find_word(word) : -1;
	if (i < 0)
		return fail(ERR_BAD_ARGUMENT, "command line: '%s' is not understood; known: " WORDS,
		            word);
	if ((*seen & 1u << i) && strcmp(word, "mtu"))
		return fail(ERR_BAD_ARGUMENT, "command line: %s= is there twice", word);
	*seen |= 1u << i;
	return take_word(word, value, out);
}

enum err cmdline_parse(const char *text, struct boot_options *out)
{
	unsigned seen = 0;

	memset(out, 0, sizeof(*out));
	out->irq = IRQ_MSIX;
	out->watchdog_s = CMDLINE_WATCHDOG_S;
	while (*text) {
		const char *space = strchr(text, ' ');
		size_t len = space ? (size_t)(space - text) : strlen(text);
		enum err e = len ? parse_word(text, len, &seen, out) : OK;
		if (e != OK)
			return e;
		text += len ? len : 1;
	}
	return complete(out);
}
