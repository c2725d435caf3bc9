/* SPDX-License-Identifier: MIT */
/*
 * tests/host/test_vm.c - the life of a VM (vmm/vm.c), and how its payloads get into it
 * (vmm/load_linux.c, vmm/load_multiboot.c).
 */
#include "tests/host/support.h"

#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/defs/cr.h"
#include "lib/fmt.h"
#include "lib/pages.h"
#include "tests/host/fake_guest.h"
#include "lib/vlan.h"
#include "vmm/image.h"

/* --- Making ----------------------------------------------------------------------------------- */

static void bad_configurations_name_the_field(void **state)
{
	struct vm_config good = fake_config("good", 1), c;
	struct vm *vm;

	(void)state;
	assert_int_equal(vm_config_check(&good), OK);
#define BAD(field, change)                                                      \
	do {                                                                    \
		c = good;                                                       \
		change;                                                         \
		assert_int_equal(vm_config_check(&c), ERR_BAD_ARGUMENT);        \
		assert_ptr_equal(strstr(err_reason(), field), err_reason());    \
		assert_int_equal(vm_create(&c, &vm), ERR_BAD_ARGUMENT);         \
	} while (0)
	BAD("name", c.name[0] = 0);
	BAD("name", strcpy(c.name, "9lives"));
	BAD("name", strcpy(c.name, "Upper"));
	BAD("name", memset(c.name, 'a', sizeof(c.name)));
	BAD("memory", c.ram_bytes = MIB);
	BAD("memory", c.ram_bytes = ~0ull);
	BAD("cpus", c.cpus = 0);
	BAD("cpus", c.cpus = VCPUS_MAX + 1);
	BAD("boot.kernel", c.kernel[0] = 0);
	BAD("boot.cmdline", memset(c.cmdline, 'x', sizeof(c.cmdline)));
	BAD("boot.modules", c.nmodules = VM_MODULES_MAX + 1);
	BAD("boot.modules", c.nmodules = 1);
	BAD("nics", c.nnics = VM_NICS_MAX + 1);
	BAD("nics[0].mac", c.nic[0].mac[0] = 1);
	BAD("nics[0].vlan", c.nic[0].vlan = VLAN_MAX + 1);
	BAD("nics[0].vlan", c.nic[0].vlan = VLAN_OF_HOST - 1);
	BAD("nics[1].mac", (c.nnics = 2, c.nic[1] = c.nic[0]));
#undef BAD
	c = good;
	strcpy(c.initrd, "nothing");
	assert_int_equal(vm_create(&c, &vm), ERR_NOT_FOUND);
	assert_non_null(strstr(err_reason(), "\"nothing\""));
}

/* Whatever fails, nothing is left: fake_guest_end() counts. */
static void a_failure_at_any_step_leaves_nothing(void **state)
{
	struct vm_config c = fake_config("half", 3);
	struct vm *vm;

	(void)state;
	for (fake_cpu.fail_vcpu = 0; fake_cpu.fail_vcpu < 3; fake_cpu.fail_vcpu++) {
		assert_int_equal(vm_create(&c, &vm), ERR_NO_MEMORY);
		assert_null(vm_find("half"));
		assert_int_equal(fake_cpu.vcpus, 0);
	}
	fake_cpu.fail_vcpu = -1;
	c.ram_bytes = 4 * GIB;
	assert_int_equal(vm_create(&c, &vm), ERR_NO_MEMORY);
	c.ram_bytes = 8 * MIB;
	fake_tasks.max = 2;                             /* two of three tasks begin, and must end */
	assert_int_equal(vm_create(&c, &vm), ERR_NO_MEMORY);
	assert_null(vm_find("half"));
}

static void names_are_taken_once(void **state)
{
	struct vm_config c = fake_config("one", 1);
	struct vm *vm;

	(void)state;
	assert_int_equal(vm_create(&c, &vm), OK);
	assert_ptr_equal(vm_find("one"), vm);
	assert_int_equal(vm_create(&c, &vm), ERR_EXISTS);
	assert_int_equal(vm_delete(vm_find("one")), OK);
	assert_null(vm_find("one"));                    /* at once, though its task has not ended */
	assert_int_equal(vm_create(&c, &vm), OK);
	assert_true(vm->bytes_used > 0);
}

static void each_vcpu_has_a_number_of_its_own_for_the_tlb(void **state)
{
	struct vm_config a = fake_config("a", 8), b = fake_config("b", 8);
	struct vm *va, *vb;

	(void)state;
	assert_int_equal(vm_create(&a, &va), OK);
	assert_int_equal(vm_create(&b, &vb), OK);
	assert_true(va->asid > 0);
	assert_true(vb->asid >= va->asid + 8 || va->asid >= vb->asid + 8);
}

/* --- Living ----------------------------------------------------------------------------------- */

static void verbs_fit_the_state(void **state)
{
	struct vm *vm = fake_vm(1);
	int owner;

	(void)state;
	assert_int_equal(vm_pause(vm), ERR_BUSY);
	assert_int_equal(vm_resume(vm), ERR_BUSY);
	assert_int_equal(vm_stop(vm, "no"), ERR_BUSY);
	assert_int_equal(vm_start(vm), OK);
	assert_true(fake_gate_open);
	assert_int_equal(vm_start(vm), ERR_BUSY);
	assert_int_equal(vm_delete(vm), ERR_BUSY);
	assert_int_equal(vm_pause(vm), OK);
	assert_false(fake_gate_open);
	assert_int_equal(vm_delete(vm), ERR_BUSY);
	assert_int_equal(vm_resume(vm), OK);
	vm->owner = &owner;
	assert_int_equal(vm_pause(vm), ERR_BUSY);
	assert_non_null(strstr(err_reason(), "being migrated"));
	assert_int_equal(vm_stop(vm, "no"), ERR_BUSY);
	vm->owner = NULL;
	assert_int_equal(vm_stop(vm, "somebody wanted it"), OK);
	assert_string_equal(vm->why, "somebody wanted it");
	assert_false(fake_gate_open);
	vm->inside++;                                   /* a vCPU is on its way out */
	assert_int_equal(vm_start(vm), ERR_BUSY);
	vm->inside--;
	assert_int_equal(vm_start(vm), OK);             /* and again */
	assert_int_equal(vm->starts, 2);
	assert_string_equal(vm->why, "");
}

static void press_reset(struct vcpu *v)
{
	bus_write(&v->vm->bus, BUS_IO, &(struct access){ .addr = 0xcf9, .size = 1 }, 0x06);
}

static void a_reset_boots_again(void **state)
{
	struct vm *vm = fake_vm(2);
	uint32_t word = 0;

	(void)state;
	assert_int_equal(vm_start(vm), OK);
	mem_write(&vm->mem, gpa(MIB), &word, 4);        /* the guest overwrites its kernel */
	vm->vcpu[0]->gpr[GPR_RBX] = 0;
	fake_push_step((struct fake_step){ .x = { .kind = EXIT_CPUID, .insn_len = 2 },
	                                   .before = press_reset });
	fake_run(vm, 0);
	assert_int_equal(vm->starts, 2);
	assert_int_equal(fake_cpu.entries, 2);          /* the second one ends the script */
	assert_string_equal(vm->why, "end of the script");
	mem_read(&vm->mem, gpa(MIB), &word, 4);
	assert_int_equal(word, 0x1badb002);
	assert_int_equal(vm->vcpu[0]->gpr[GPR_RBX], 0x90000);
	assert_true(vm->vcpu[1]->wait_sipi);
}

static void write_exit_code(struct vcpu *v)
{
	bus_write(&v->vm->bus, BUS_IO, &(struct access){ .addr = 0xf4, .size = 4 }, 3);
}

static void the_exit_port_ends_it(void **state)
{
	struct vm *vm = fake_vm(1);

	(void)state;
	assert_int_equal(vm_start(vm), OK);
	fake_push_step((struct fake_step){ .x = { .kind = EXIT_CPUID, .insn_len = 2 },
	                                   .before = write_exit_code });
	fake_run(vm, 0);
	assert_int_equal(vm->run, VM_STOPPED);
	assert_non_null(strstr(vm->why, "code 3"));
	assert_int_equal(fake_cpu.entries, 1);
}

static void a_ghost_comes_to_life(void **state)
{
	struct vm_config c = fake_config("ghost", 1);
	struct cpuid_table cpuid;
	struct vm *vm;
	int owner;

	(void)state;
	strcpy(c.kernel, "not-here");                   /* payloads are at the source only */
	vm_host_cpuid(&cpuid, 1, NULL);
	memset(cpuid.first, 0xff, sizeof(cpuid.first));
	assert_int_equal(vm_create_ghost(&c, &cpuid, &vm), OK);
	assert_int_equal(vm->run, VM_GHOST);
	assert_int_equal(vm_start(vm), ERR_BUSY);
	fake_run(vm, 0);
	assert_int_equal(fake_cpu.entries, 0);          /* it never runs before it is told to */
	vm->owner = &owner;                             /* the task that fills it */
	assert_int_equal(vm_delete(vm), ERR_BUSY);
	vm->owner = NULL;
	vm_become_running(vm, 5 * NS_PER_MS);
	assert_int_equal(clock_now_ns(&vm->clock), 5 * NS_PER_MS);
	assert_true(fake_gate_open);
	fake_run(vm, 0);
	assert_int_equal(fake_cpu.entries, 1);
	cpuid.n = 1000;
	assert_int_equal(vm_create_ghost(&c, &cpuid, &vm), ERR_BAD_FORMAT);
}

static void sections_come_in_order_and_once(void **state)
{
	struct vm *vm = fake_vm(2);
	struct section_ref ref;
	char order[512] = "";
	unsigned n = 0;

	(void)state;
	for (; vm_section(vm, n, &ref); n++) {
		fmt_format(order + strlen(order), sizeof(order) - strlen(order), "%s.%u ",
		           ref.section->name, ref.instance);
		assert_true(strlen(ref.section->name) <= 15);
		assert_int_equal(ref.section->object_size > 0, 1);
		for (unsigned i = 0; i < ref.section->nfields; i++) {
			const struct field *f = &ref.section->fields[i];
			assert_true(f->offset + (uint64_t)f->size * f->count <=
			            ref.section->object_size);
			assert_true(f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8);
		}
	}
	assert_ptr_equal(strstr(order, "cpuid.0 clock.0 "), order);
	assert_non_null(strstr(order, "vlapic.0 vcpu.0 vlapic.1 vcpu.1 "));
	assert_true(strstr(order, "vpic.0") < strstr(order, "vpit.0"));
	assert_false(vm_section(vm, n + 100, &ref));
}

static void messages_find_their_apics(void **state)
{
	struct vm *vm = fake_vm(4);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		vm->vcpu[i]->lapic.svr |= 0x100;
		vm->vcpu[i]->lapic.ldr = BIT(24 + i);
	}
	vm_apic_send(vm, &(struct apic_msg){ .vector = 0x50, .dest = 2 });
	assert_int_equal(vlapic_pending(&vm->vcpu[2]->lapic), 0x50);
	assert_int_equal(vlapic_pending(&vm->vcpu[1]->lapic), -1);
	vm_apic_send(vm, &(struct apic_msg){ .vector = 0x51, .dest = 0xa, .logical = true });
	assert_int_equal(vlapic_pending(&vm->vcpu[1]->lapic), 0x51);
	assert_int_equal(vlapic_pending(&vm->vcpu[3]->lapic), 0x51);
	vm_apic_send(vm, &(struct apic_msg){
				 .vector = 0x60, .delivery = 1, .dest = 0xf, .logical = true });
	unsigned got = 0;
	for (unsigned i = 0; i < 4; i++)
		got += vlapic_pending(&vm->vcpu[i]->lapic) == 0x60;
	assert_int_equal(got, 1);                       /* lowest priority: one of them */
}

/* --- Loaders ---------------------------------------------------------------------------------- */

#define BZIMAGE_SIZE 0x3000
static uint8_t bzimage[BZIMAGE_SIZE];

static void put16(unsigned at, uint16_t v) { memcpy(bzimage + at, &v, 2); }
static void put32(unsigned at, uint32_t v) { memcpy(bzimage + at, &v, 4); }
static void put64(unsigned at, uint64_t v) { memcpy(bzimage + at, &v, 8); }

/* As small a kernel file as the boot protocol lets pass. */
static void make_bzimage(void)
{
	memset(bzimage, 0x90, sizeof(bzimage));
	memset(bzimage, 0, 0x400);
	bzimage[0x1f1] = 1;                             /* setup_sects: code at 0x400 */
	put16(0x1fe, 0xaa55);
	bzimage[0x201] = 0x6a;
	put32(0x202, 0x53726448);
	put16(0x206, 0x020f);
	bzimage[0x211] = 1;                             /* LOADED_HIGH */
	put32(0x22c, 0x7fffffff);                       /* initrd_addr_max */
	put32(0x230, 0x200000);                         /* kernel_alignment */
	bzimage[0x234] = 1;
	put16(0x236, 0x7f);                             /* xloadflags */
	put32(0x238, 2047);                             /* cmdline_size */
	put64(0x258, 0x1000000); /* pref_address: 16 MiB, which is not there */
	put32(0x260, 0x200000);                         /* init_size */
}

static struct vm *linux_vm(enum err want)
{
	struct image_upload *u;
	struct vm_config c = fake_config("linux", 1);
	struct vm *vm = vm_find("linux");
	static const char initrd[5000] = "cpio";

	if (!image_find("initrd"))
		assert_int_equal(image_add("initrd", initrd, sizeof(initrd)), OK);
	assert_int_equal(image_upload_begin("bzimage", sizeof(bzimage), &u), OK);
	image_upload_write(u, bzimage, sizeof(bzimage));
	image_upload_end(u);
	c.boot = BOOT_LINUX;
	strcpy(c.kernel, "bzimage");
	strcpy(c.initrd, "initrd");
	strcpy(c.cmdline, "console=ttyS0 quiet");
	if (!vm)
		assert_int_equal(vm_create(&c, &vm), OK);
	assert_int_equal(vm_start(vm), want);
	assert_int_equal(image_delete("bzimage"), OK);
	return vm;
}

static void linux_is_loaded_by_the_64_bit_protocol(void **state)
{
	uint8_t zero[PAGE_SIZE], text[32], byte;
	uint32_t word;
	uint64_t quad;

	(void)state;
	make_bzimage();
	struct vm *vm = linux_vm(OK);
	const struct cpu_state *s = &vm->vcpu[0]->state;
	assert_int_equal(s->rip, 0x200000 + 0x200);     /* relocated: 16 MiB is beyond RAM */
	assert_int_equal(s->gpr[GPR_RSI], 0x10000);
	assert_true(s->cr0 & CR0_PG);
	assert_int_equal(s->seg_sel[SEG_CS], 0x10);
	assert_int_equal(s->seg_sel[SEG_DS], 0x18);
	mem_read(&vm->mem, gpa(0x200000), &byte, 1);
	assert_int_equal(byte, 0x90);
	mem_read(&vm->mem, gpa(s->gpr[GPR_RSI]), zero, sizeof(zero));
	memcpy(&word, zero + 0x228, 4);
	mem_read(&vm->mem, gpa(word), text, sizeof(text));
	assert_string_equal((char *)text, "console=ttyS0 quiet");
	memcpy(&word, zero + 0x218, 4);                 /* ramdisk_image: high, page-aligned */
	assert_int_equal(word, 8 * MIB - 2 * PAGE_SIZE);
	mem_read(&vm->mem, gpa(word), text, 5);
	assert_string_equal((char *)text, "cpio");
	memcpy(&word, zero + 0x21c, 4);
	assert_int_equal(word, 5000);
	assert_int_equal(zero[0x1e8], 3);               /* three ranges of memory */
	memcpy(&quad, zero + 0x2d0 + 40, 8);
	assert_int_equal(quad, MIB);
	memcpy(&quad, zero + 0x70, 8);                  /* the RSDP is where we say */
	mem_read(&vm->mem, gpa(quad), text, 8);
	assert_memory_equal(text, "RSD PTR ", 8);
	mem_read(&vm->mem, gpa(s->gdtr_base + 0x10), &quad, 8);
	assert_int_equal(quad, 0x00af9b000000ffff);
	mem_read(&vm->mem, gpa(s->cr3), &quad, 8);      /* PML4 -> PDPT -> PD: identity */
	mem_read(&vm->mem, gpa(quad & ~0xfffull), &quad, 8);
	mem_read(&vm->mem, gpa((quad & ~0xfffull) + 8 * 3), &quad, 8);
	assert_int_equal(quad & ~0xfffull, 3 * FRAME_SIZE);
}

static void kernels_that_do_not_fit_are_refused_with_a_sentence(void **state)
{
	(void)state;
#define BAD(text, change)                                                               \
	do {                                                                            \
		make_bzimage();                                                         \
		change;                                                                 \
		struct vm *vm = linux_vm(ERR_BAD_FORMAT);                               \
		(void)vm;                                                               \
		assert_non_null(strstr(err_reason(), text));                            \
	} while (0)
	BAD("no Linux boot header", put32(0x202, 0));
	BAD("kernel_alignment", put32(0x230, 0x300000));
	BAD("setup_sects", bzimage[0x1f1] = 64);
#undef BAD
#define BAD(code, text, change)                                                         \
	do {                                                                            \
		make_bzimage();                                                         \
		change;                                                                 \
		linux_vm(code);                                                         \
		assert_non_null(strstr(err_reason(), text));                            \
	} while (0)
	BAD(ERR_NOT_SUPPORTED, "older than 2.12", put16(0x206, 0x0206));
	BAD(ERR_NOT_SUPPORTED, "32-bit kernel", put16(0x236, 0));
	BAD(ERR_NOT_SUPPORTED, "zImage", bzimage[0x211] = 0);
	BAD(ERR_NO_MEMORY, "the kernel needs 100 MiB", put32(0x260, 100 * MIB));
	BAD(ERR_NO_MEMORY, "the kernel needs", (bzimage[0x234] = 0));
	BAD(ERR_NO_MEMORY, "initrd: 5000 bytes do not fit", put32(0x22c, 0x300000));
	BAD(ERR_BAD_ARGUMENT, "command line has 19", put32(0x238, 10));
#undef BAD
	assert_int_equal(vm_find("linux")->run, VM_STOPPED);
}

/* An ELF32 file with one segment and a multiboot header behind it. */
static uint8_t elf[0x200];

static void make_elf(void)
{
	static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', 1, 1, 1 };
	uint32_t words[] = {
		1, 0x100200, 0x34, 0, 0, 0x00200034, 1
	}; /* version, entry, phoff ... phnum */
	uint32_t ph[] = { 1, 0x100, 0, 0x100000, 0x100, 0x3000, 5, 0x1000 };
	uint32_t mb[] = { 0x1badb002, 3, -(0x1badb002u + 3) };
	uint16_t machine = 3;

	memset(elf, 0, sizeof(elf));
	memcpy(elf, ident, sizeof(ident));
	memcpy(elf + 18, &machine, 2);
	memcpy(elf + 20, words, sizeof(words));
	memcpy(elf + 0x34, ph, sizeof(ph));
	memcpy(elf + 0x100, mb, sizeof(mb));
	elf[0x1ff] = 0xf4;
}

static struct vm *elf_vm(enum err want, unsigned nmodules)
{
	struct vm_config c = fake_config("elf", 1);
	struct image_upload *u;
	struct vm *vm = vm_find("elf");

	assert_int_equal(image_upload_begin("elf", sizeof(elf), &u), OK);
	image_upload_write(u, elf, sizeof(elf));
	image_upload_end(u);
	strcpy(c.kernel, "elf");
	strcpy(c.cmdline, "loops=5");
	c.nmodules = nmodules;
	for (unsigned i = 0; i < nmodules; i++)
		strcpy(c.module[i], "kernel");
	if (!vm)
		assert_int_equal(vm_create(&c, &vm), OK);
	assert_int_equal(vm_start(vm), want);
	assert_int_equal(image_delete("elf"), OK);
	return vm;
}

static void multiboot_gives_what_it_promises(void **state)
{
	uint32_t info[18], mod[8], word;
	char text[32];
	uint8_t byte;

	(void)state;
	make_elf();
	struct vm *vm = elf_vm(OK, 2);
	const struct cpu_state *s = &vm->vcpu[0]->state;
	assert_int_equal(s->rip, 0x100200);
	assert_int_equal(s->gpr[GPR_RAX], 0x2badb002);
	assert_false(s->cr0 & CR0_PG);
	mem_read(&vm->mem, gpa(0x1000ff), &byte, 1);
	assert_int_equal(byte, 0xf4);
	mem_read(&vm->mem, gpa(s->gpr[GPR_RBX]), info, sizeof(info));
	assert_int_equal(info[0], BIT(0) | BIT(2) | BIT(3) | BIT(6) | BIT(9));
	assert_int_equal(info[1], 639);
	assert_int_equal(info[2], 7 * 1024);
	mem_read(&vm->mem, gpa(info[4]), text, sizeof(text));
	assert_string_equal(text, "elf loops=5");
	assert_int_equal(info[5], 2);
	mem_read(&vm->mem, gpa(info[6]), mod, sizeof(mod));
	assert_int_equal(mod[0], 0x103000);             /* behind the segment's 0x3000 bytes */
	assert_int_equal(mod[4], 0x104000);
	mem_read(&vm->mem, gpa(mod[0]), &word, 4);
	assert_int_equal(word, 0x1badb002);
	mem_read(&vm->mem, gpa(mod[2]), text, 7);
	assert_string_equal(text, "kernel");
	assert_int_equal(info[11], 3 * 24);
	mem_read(&vm->mem, gpa(info[12]), &word, 4);
	assert_int_equal(word, 20);
}

static void bad_multiboot_files_are_refused(void **state)
{
	uint32_t word;

	(void)state;
#define BAD(code, text, at, value)                                              \
	do {                                                                    \
		make_elf();                                                     \
		word = value;                                                   \
		memcpy(elf + (at), &word, 4);                                   \
		elf_vm(code, 0);                                                \
		assert_non_null(strstr(err_reason(), text));                    \
	} while (0)
	BAD(ERR_BAD_FORMAT, "no multiboot header", 0x108, 5);
	BAD(ERR_BAD_FORMAT, "neither an ELF file", 0, 0);
	BAD(ERR_NOT_SUPPORTED, "32-bit x86 ELF", 4, 0x00010102);
	BAD(ERR_BAD_FORMAT, "program headers", 28, 0xfffffff0);
	BAD(ERR_BAD_FORMAT, "is not in it", 0x34 + 4, 0x1f0);
	BAD(ERR_NO_MEMORY, "the guest's RAM ends", 0x34 + 20, 0x7fffffff);
	BAD(ERR_NO_MEMORY, "the guest's RAM ends", 0x34 + 12, 0xfffff000);
	BAD(ERR_NOT_SUPPORTED, "boot information", 0x34 + 12, 0x8f000);
#undef BAD
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fake_fresh, fake_done)
	const struct CMUnitTest tests[] = {
		T(bad_configurations_name_the_field),
		T(a_failure_at_any_step_leaves_nothing),
		T(names_are_taken_once),
		T(each_vcpu_has_a_number_of_its_own_for_the_tlb),
		T(verbs_fit_the_state),
		T(a_reset_boots_again),
		T(the_exit_port_ends_it),
		T(a_ghost_comes_to_life),
		T(sections_come_in_order_and_once),
		T(messages_find_their_apics),
		T(linux_is_loaded_by_the_64_bit_protocol),
		T(kernels_that_do_not_fit_are_refused_with_a_sentence),
		T(multiboot_gives_what_it_promises),
		T(bad_multiboot_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
