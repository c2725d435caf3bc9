/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vmdef.c - VM definitions (docs/api.md): what is taken, and that a refusal names
 * the field.
 */
#include "tests/host/support.h"

#include <string.h>

#include "lib/vlan.h"
#include "boot/vmdef.h"

static struct vm_config config;

static enum err parse(const char *text)
{
	memset(&config, 0xff, sizeof(config));
	return vmdef_parse(text, strlen(text), &config);
}

static void linux_definition_is_taken(void **state)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x77, 0xab, 0xCD };

	(void)state;
	assert_int_equal(parse("{\"name\": \"demo-1\", \"memory\": 96, \"cpus\": 2, \"boot\": {"
	                       "\"kernel\": \"vmlinuz\", \"initrd\": \"init.cpio\","
	                       "\"cmdline\": \"console=ttyS0 a=\\\"b\\\"\"},"
	                       "\"nics\": [{\"mac\": \"52:54:00:77:ab:CD\"}]}"), OK);
	assert_string_equal(config.name, "demo-1");
	assert_int_equal(config.ram_bytes, 96 * MIB);
	assert_int_equal(config.cpus, 2);
	assert_int_equal(config.boot, BOOT_LINUX);
	assert_string_equal(config.kernel, "vmlinuz");
	assert_string_equal(config.initrd, "init.cpio");
	assert_string_equal(config.cmdline, "console=ttyS0 a=\"b\"");
	assert_int_equal(config.nnics, 1);
	assert_memory_equal(config.nic[0].mac, mac, sizeof(mac));
	assert_int_equal(config.nic[0].vlan, VLAN_OF_HOST);
	assert_false(config.nic[0].any_mac);
	for (unsigned i = 0; i < sizeof(config.uuid); i++)
		assert_int_equal(config.uuid[i], 0);
}

static void multiboot_definition_is_taken(void **state)
{
	(void)state;
	assert_int_equal(
		parse("{\"name\": \"x\", \"memory\": 4, \"boot\": {\"multiboot\": \"g.elf\","
		      "\"modules\": [\"a\", \"b\"]}}"),
		OK);
	assert_int_equal(config.boot, BOOT_MULTIBOOT);
	assert_int_equal(config.cpus, 1);
	assert_int_equal(config.nmodules, 2);
	assert_string_equal(config.module[1], "b");
	assert_string_equal(config.cmdline, "");
	assert_int_equal(config.nnics, 0);
}

static void a_card_says_its_vlan_and_whose_addresses_it_may_use(void **state)
{
	(void)state;
	assert_int_equal(
		parse("{\"name\": \"x\", \"memory\": 4, \"boot\": {\"multiboot\": \"g.elf\"}, "
		      "\"nics\": [{\"mac\": \"52:54:00:00:00:01\", \"vlan\": 4094},"
		      "{\"mac\": \"52:54:00:00:00:02\", \"vlan\": 0, \"any_mac\": true},"
		      "{\"mac\": \"52:54:00:00:00:03\", \"vlan\": \"trunk\","
		      "\"any_mac\": false}]}"),
		OK);
	assert_int_equal(config.nnics, 3);
	assert_int_equal(config.nic[0].vlan, 4094);
	assert_int_equal(config.nic[1].vlan, VLAN_UNTAGGED);
	assert_true(config.nic[1].any_mac);
	assert_int_equal(config.nic[2].vlan, VLAN_TRUNK);
	assert_false(config.nic[2].any_mac);
}

#define REST ", \"memory\": 16, \"boot\": {\"multiboot\": \"g\"}"
#define NAME "{\"name\": \"x\""
#define MAC  "\"mac\": \"52:54:00:01:02:03\""
#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct { const char *text, *names;
} refused[] = {
	{ "", "JSON" },
	{ "[]", "object" },
	{ "{}", "name" },
	{ "{\"name\": 7" REST "}", "name" },
	{ "{\"name\": \"\"" REST "}", "name" },
	{ "{\"name\": \"UPPER\"" REST "}", "name" },
	{ "{\"name\": \"1x\"" REST "}", "name" },
	{ "{\"name\": \"a/b\"" REST "}", "name" },
	{ "{\"name\": \"" LONG "\"" REST "}", "name" },
	{ NAME ", \"boot\": {\"multiboot\": \"g\"}}", "memory" },
	{ NAME ", \"memory\": 3, \"boot\": {\"multiboot\": \"g\"}}", "memory" },
	{ NAME ", \"memory\": -1, \"boot\": {\"multiboot\": \"g\"}}", "memory" },
	{ NAME ", \"memory\": 1e3, \"boot\": {\"multiboot\": \"g\"}}", "memory" },
	{ NAME ", \"memory\": 99999999, \"boot\": {\"multiboot\": \"g\"}}", "memory" },
	{ NAME ", \"memory\": 17592186044416, \"boot\": {\"multiboot\": \"g\"}}", "memory" },
	{ NAME ", \"cpus\": 0" REST "}", "cpus" },
	{ NAME ", \"cpus\": 9" REST "}", "cpus" },
	{ NAME ", \"cpus\": 4294967297" REST "}", "cpus" },
	{ NAME ", \"cpu\": \"pentium\"" REST "}", "cpu: there is no baseline \"pentium\"" },
	{ NAME ", \"cpu\": 7" REST "}", "cpu" },
	{ NAME ", \"cpu\": {}" REST "}", "cpu.features" },
	{ NAME ", \"cpu\": {\"features\": [\"warp\"]}" REST "}", "warp" },
	{ NAME ", \"cpu\": {\"features\": [\"SEP\"]}" REST "}", "SEP" },
	{ NAME ", \"cpu\": {\"features\": [\"" LONG "\"]}" REST "}", "cpu.features" },
	{ NAME ", \"cpu\": {\"features\": [], \"phys_bits\": 52}" REST "}", "cpu.phys_bits" },
	{ NAME ", \"cpu\": {\"features\": [], \"model\": 1}" REST "}", "model" },
	{ NAME ", \"memory\": 16}", "boot" },
	{ NAME ", \"memory\": 16, \"boot\": \"g\"}", "boot" },
	{ NAME ", \"memory\": 16, \"boot\": {}}", "kernel" },
	{ NAME ", \"memory\": 16, \"boot\": {\"kernel\": \"" LONG "\"}}", "boot.kernel" },
	{ NAME ", \"memory\": 16, \"boot\": {\"kernel\": \"k\", \"modules\": []}}", "modules" },
	{ NAME ", \"memory\": 16, \"boot\": {\"multiboot\": \"g\", \"initrd\": \"i\"}}", "initrd" },
	{ NAME ", \"memory\": 16, \"boot\": {\"multiboot\": \"g\", \"modules\": \"m\"}}",
	  "modules" },
	{ NAME ", \"memory\": 16, \"boot\": {\"multiboot\": \"g\", \"modules\": [1]}}", "modules" },
	{ NAME ", \"memory\": 16, \"boot\": {\"multiboot\": \"g\","
	       "\"modules\": [\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}}",
	  "modules" },
	{ NAME ", \"nics\": {}" REST "}", "nics" },
	{ NAME ", \"nics\": [{}]" REST "}", "mac" },
	{ NAME ", \"nics\": [{\"mac\": \"52:54:00\"}]" REST "}", "mac" },
	{ NAME ", \"nics\": [{\"mac\": \"52-54-00-01-02-03\"}]" REST "}", "mac" },
	{ NAME ", \"nics\": [{\"mac\": \"52:54:00:01:02:0g\"}]" REST "}", "mac" },
	{ NAME ", \"nics\": [{\"mac\": \"52:54:00:01:02:03:04\"}]" REST "}", "mac" },
	{ NAME ", \"nics\": [{\"mac\": \"53:54:00:01:02:03\"}]" REST "}", "mac" },
	{ NAME ", \"nics\": [{\"mac\": \"00:00:00:00:00:00\"}]" REST "}", "mac" },
	{ NAME ", \"nics\": [{\"mac\": \"52:54:00:01:02:03\", \"speed\": 1}]" REST "}", "speed" },
	{ NAME ", \"nics\": [{" MAC ", \"vlan\": 4095}]" REST "}", "vlan" },
	{ NAME ", \"nics\": [{" MAC ", \"vlan\": 65535}]" REST "}", "vlan" },
	{ NAME ", \"nics\": [{" MAC ", \"vlan\": -1}]" REST "}", "vlan" },
	{ NAME ", \"nics\": [{" MAC ", \"vlan\": \"30\"}]" REST "}", "vlan" },
	{ NAME ", \"nics\": [{" MAC ", \"vlan\": \"trunks of trees\"}]" REST "}", "vlan" },
	{ NAME ", \"nics\": [{" MAC ", \"vlan\": null}]" REST "}", "vlan" },
	{ NAME ", \"nics\": [{" MAC ", \"any_mac\": 1}]" REST "}", "any_mac" },
	{ NAME ", \"colour\": \"red\"" REST "}", "colour" },
	{ NAME ", \"name\": \"y\"" REST "}", "twice" },
};

static void each_refusal_names_the_field(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(refused); i++) {
		if (parse(refused[i].text) == OK)
			fail_msg("taken: %s", refused[i].text);
		if (!strstr(err_reason(), refused[i].names))
			fail_msg("%s\n  is refused without naming \"%s\": %s", refused[i].text,
			         refused[i].names, err_reason());
	}
}

static void cpu_is_a_name_or_features(void **state)
{
	(void)state;
	assert_int_equal(parse(NAME REST "}"), OK);
	assert_false(config.cpu.limited);
	assert_int_equal(parse(NAME ", \"cpu\": \"x86-64-v2\"" REST "}"), OK);
	assert_true(config.cpu.limited);
	assert_string_equal(config.cpu.name, "x86-64-v2");
	assert_int_equal(config.cpu.phys_bits, 40);
	assert_int_equal(parse(NAME ", \"cpu\": {\"features\": [\"AES\"],"
	                       " \"phys_bits\": 39}" REST "}"), OK);
	assert_string_equal(config.cpu.name, "custom");
	assert_int_equal(config.cpu.phys_bits, 39);
	assert_true(cpu_baseline_needs(&config.cpu, (unsigned)cpu_feature_find("AES")));
	assert_false(cpu_baseline_needs(&config.cpu, (unsigned)cpu_feature_find("AVX")));
}

static void command_line_has_a_limit(void **state)
{
	static char text[VM_CMDLINE_MAX + 200];

	(void)state;
	for (unsigned len = VM_CMDLINE_MAX - 1; len <= VM_CMDLINE_MAX; len++) {
		strcpy(text,
		       NAME ", \"memory\": 16, \"boot\": {\"kernel\": \"k\", \"cmdline\": \"");
		size_t at = strlen(text);
		memset(text + at, 'c', len);
		strcpy(text + at + len, "\"}}");
		assert_int_equal(parse(text) == OK, len < VM_CMDLINE_MAX);
	}
	assert_non_null(strstr(err_reason(), "cmdline"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_definition_is_taken),
		cmocka_unit_test(multiboot_definition_is_taken),
		cmocka_unit_test(a_card_says_its_vlan_and_whose_addresses_it_may_use),
		cmocka_unit_test(each_refusal_names_the_field),
		cmocka_unit_test(cpu_is_a_name_or_features),
		cmocka_unit_test(command_line_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
