/* SPDX-License-Identifier: MIT */
/*
 * vmm/load_linux.c - a bzImage and its initrd into a fresh guest, by the 64-bit boot protocol
 * (Linux, Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").
 *
 * The CPU enters the kernel 0x200 behind its start in 64-bit mode, with RSI at the zero page.  Low
 * memory holds what the kernel reads before it has tables of its own; the initrd goes as high as it
 * may. Everything in the file's header is checked before a byte is written.
 */
#include "vmm/loader.h"

#include <string.h>

#include "arch/x86_64/defs/pte.h"
#include "lib/log.h"
#include "vmm/image.h"
#include "vmm/memmap.h"
#include "vmm/vm.h"

/* Where things go in low memory. */
#define ZERO_PAGE       0x10000ull
#define GDT             0x11000ull
#define PML4            0x12000ull
#define PDPT            0x13000ull
#define PAGE_DIRS       0x14000ull              /* four: 4 GiB in pages of 2 MiB */
#define CMDLINE         0x20000ull
#define MAPPED_GIB      4

#define SECTOR          512u
#define HEADER_AT       0x1f1u                  /* in the file, and in the zero page */
#define HEADER_END_BYTE 0x201u                  /* the header ends this byte's value behind 0x202 */
#define HEADER_END_BASE 0x202u
#define HEADER_END_MAX  0x290u
#define ENTRY_64        0x200u
#define SETUP_SECTS_OLD 4                       /* what 0 means */

#define BOOT_FLAG       0xaa55
#define HEADER_MAGIC    0x53726448u             /* "HdrS" */
#define VERSION_MIN     0x020c                  /* xloadflags */
#define XLF_KERNEL_64   BIT(0)
#define LOADED_HIGH     BIT(0)
#define LOADER_UNKNOWN  0xff                    /* type_of_loader without an assigned number */

/* Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header". */
struct setup_header {
	uint8_t  setup_sects;
	uint16_t root_flags;
	uint32_t syssize;
	uint16_t ram_size, vid_mode, root_dev, boot_flag, jump;
	uint32_t header;
	uint16_t version;
	uint32_t realmode_switch;
	uint16_t start_sys_seg, kernel_version;
	uint8_t  type_of_loader, loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
	uint16_t heap_end_ptr;
	uint8_t  ext_loader_ver, ext_loader_type;
	uint32_t cmd_line_ptr, initrd_addr_max, kernel_alignment;
	uint8_t  relocatable_kernel, min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size, hardware_subarch;
	uint64_t hardware_subarch_data;
	uint32_t payload_offset, payload_length;
	uint64_t setup_data, pref_address;
	uint32_t init_size, handover_offset, kernel_info_offset;
} __attribute__((packed));
_Static_assert(HEADER_AT + offsetof(struct setup_header, header) == 0x202, "boot.rst");
_Static_assert(HEADER_AT + offsetof(struct setup_header, cmd_line_ptr) == 0x228, "boot.rst");
_Static_assert(HEADER_AT + offsetof(struct setup_header, pref_address) == 0x258, "boot.rst");

/* Documentation/arch/x86/zero-page.rst: the fields that we fill. */
struct e820_entry { uint64_t addr, size; uint32_t type; } __attribute__((packed));
struct zero_page {
	uint8_t  reserved0[0x70];
	uint64_t acpi_rsdp_addr;
	uint8_t  reserved1[0x1e8 - 0x78];
	uint8_t  e820_entries;
	uint8_t  reserved2[0x1f1 - 0x1e9];
	uint8_t  header[HEADER_END_MAX - HEADER_AT];
	uint8_t  reserved3[0x2d0 - HEADER_END_MAX];
	struct e820_entry e820[MEMMAP_MAX];
	uint8_t  reserved4[PAGE_SIZE - 0x2d0 - MEMMAP_MAX * sizeof(struct e820_entry)];
} __attribute__((packed));
_Static_assert(offsetof(struct zero_page, e820) == 0x2d0, "zero-page.rst");
_Static_assert(sizeof(struct zero_page) == PAGE_SIZE, "zero-page.rst");

/* What was decided before anything is written. */
struct plan {
	const struct image *kernel, *initrd;            /* initrd may be NULL                 */
	struct setup_header h;
	uint64_t code_at, code_len;                     /* the protected-mode part in the file */
	uint64_t load, initrd_load;
};

static enum err check_header(const struct image *k, struct setup_header *h)
{
	if (k->size < HEADER_END_MAX)
		return fail(ERR_BAD_FORMAT, "%s: %lu bytes are too few for a Linux kernel", k->name,
		            k->size);
	memcpy(h, k->data + HEADER_AT, sizeof(*h));
	if (h->boot_flag != BOOT_FLAG || h->header != HEADER_MAGIC)
		return fail(ERR_BAD_FORMAT, "%s: it has no Linux boot header: no bzImage", k->name);
	if (h->version < VERSION_MIN)
		return fail(ERR_NOT_SUPPORTED, "%s: boot protocol %u.%02u is older than 2.12",
		            k->name, h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return fail(ERR_NOT_SUPPORTED, "%s: a zImage, which loads below 1 MiB", k->name);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return fail(ERR_NOT_SUPPORTED, "%s: a 32-bit kernel (xloadflags %#x)", k->name,
		            h->xloadflags);
	if (h->kernel_alignment == 0 || (h->kernel_alignment & (h->kernel_alignment - 1)))
		return fail(ERR_BAD_FORMAT, "%s: kernel_alignment is %#x", k->name,
		            h->kernel_alignment);
	return OK;
}

/* Where the kernel goes: where it prefers, or as low as it can be. */
static enum err place_kernel(struct plan *p, uint64_t ram_end)
{
	const struct setup_header *h = &p->h;
	uint64_t setup =
		(uint64_t)(h->setup_sects ? h->setup_sects : SETUP_SECTS_OLD) * SECTOR + SECTOR;

	if (setup >= p->kernel->size)
		return fail(ERR_BAD_FORMAT, "%s: setup_sects says %u, but the file ends before",
		            p->kernel->name, h->setup_sects);
	p->code_at = setup;
	p->code_len = p->kernel->size - setup;
	uint64_t room = MAX(p->code_len, h->init_size);
	p->load = h->pref_address;
	bool fits = p->load >= MIB && p->load < ram_end && room <= ram_end - p->load;
	if (!fits && h->relocatable_kernel) {
		p->load = ALIGN_UP(MIB, h->kernel_alignment);
		fits = p->load < ram_end && room <= ram_end - p->load;
	}
	if (!fits)
		return fail(ERR_NO_MEMORY,
		            "%s: the kernel needs %llu MiB at %#lx, the guest's RAM ends at %#lx",
		            p->kernel->name, (room + MIB - 1) / MIB, p->load, ram_end);
	return OK;
}

static enum err place_initrd(struct plan *p, uint64_t ram_end)
{
	uint64_t kernel_end = p->load + MAX(p->code_len, p->h.init_size);
	uint64_t top = MIN(ram_end, (uint64_t)p->h.initrd_addr_max + 1);

	if (!p->initrd)
		return OK;
	if (p->initrd->size > top || ALIGN_DOWN(top - p->initrd->size, PAGE_SIZE) < kernel_end)
		return fail(ERR_NO_MEMORY,
		            "%s: %lu bytes do not fit between the kernel's end at %#lx and %#lx",
		            p->initrd->name, p->initrd->size, kernel_end, top);
	p->initrd_load = ALIGN_DOWN(top - p->initrd->size, PAGE_SIZE);
	return OK;
}

static enum err find_images(const struct vm_config *c, struct plan *p)
{
	p->kernel = image_find(c->kernel);
	if (!p->kernel)
		return fail(ERR_NOT_FOUND, "%s: there is no image \"%s\" on this node", c->name,
		            c->kernel);
	p->initrd = c->initrd[0] ? image_find(c->initrd) : NULL;
	if (c->initrd[0] && !p->initrd)
		return fail(ERR_NOT_FOUND, "%s: there is no image \"%s\" on this node", c->name,
		            c->initrd);
	return OK;
}

static enum err make_plan(const struct vm *vm, struct plan *p)
{
	uint64_t ram_end = memmap_low_ram_end(&vm->mem);
	size_t cmdline = strlen(vm->config.cmdline);
	enum err e = find_images(&vm->config, p);

	if (e == OK)
		e = check_header(p->kernel, &p->h);
	if (e == OK)
		e = place_kernel(p, ram_end);
	if (e == OK)
		e = place_initrd(p, ram_end);
	if (e == OK && cmdline > p->h.cmdline_size)
		e = fail(ERR_BAD_ARGUMENT,
		         "%s: the command line has %zu characters, the kernel takes %u",
		         vm->config.name, cmdline, p->h.cmdline_size);
	return e;
}

/* --- Writing: the places were checked, and RAM below 1 MiB is always there -------------------- */

static void put(struct vm *vm, uint64_t at, const void *from, uint64_t len)
{
	if (mem_write(&vm->mem, gpa(at), from, len) != OK)
		panic("guest RAM at %#lx is not there after the check", at);
}

static void put_long(struct vm *vm, uint64_t at, const void *from, uint64_t len)
{
	if (mem_load(&vm->mem, gpa(at), from, len) != OK)
		panic("guest RAM at %#lx is not there after the check", at);
}

/* A GDT with the selectors that the protocol asks for: 0x10 code, 0x18 data. */
static void write_gdt(struct vm *vm, struct cpu_state *s)
{
	static const uint64_t gdt[] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };

	put(vm, GDT, gdt, sizeof(gdt));
	s->gdtr_base = GDT;
	s->gdtr_limit = sizeof(gdt) - 1;
}

/* The first 4 GiB one to one, in pages of 2 MiB. */
static void write_page_tables(struct vm *vm)
{
	uint64_t entry = PDPT | PTE_PRESENT | PTE_WRITE;

	mem_fill(&vm->mem, gpa(PML4), 0, 2 * PAGE_SIZE);
	put(vm, PML4, &entry, sizeof(entry));
	for (uint64_t i = 0; i < MAPPED_GIB; i++) {
		entry = (PAGE_DIRS + i * PAGE_SIZE) | PTE_PRESENT | PTE_WRITE;
		put(vm, PDPT + i * sizeof(entry), &entry, sizeof(entry));
	}
	for (uint64_t i = 0; i < MAPPED_GIB * PTE_COUNT; i++) {
		entry = (i << FRAME_SHIFT) | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
		put(vm, PAGE_DIRS + i * sizeof(entry), &entry, sizeof(entry));
	}
}

static void write_zero_page(struct vm *vm, const struct plan *p, uint64_t rsdp)
{
	struct zero_page z;
	struct setup_header h = p->h;
	struct memmap_range map[MEMMAP_MAX];
	size_t header_len = HEADER_END_BASE + p->kernel->data[HEADER_END_BYTE] - HEADER_AT;

	memset(&z, 0, sizeof(z));
	memcpy(z.header, p->kernel->data + HEADER_AT, MIN(header_len, sizeof(z.header)));
	h.type_of_loader = LOADER_UNKNOWN;
	h.code32_start = (uint32_t)p->load;
	h.cmd_line_ptr = (uint32_t)CMDLINE;
	h.ramdisk_image = p->initrd ? (uint32_t)p->initrd_load : 0;
	h.ramdisk_size = p->initrd ? (uint32_t)p->initrd->size : 0;
	memcpy(z.header, &h, MIN(header_len, sizeof(h)));
	z.acpi_rsdp_addr = rsdp;
	z.e820_entries = (uint8_t)memmap_make(&vm->mem, map);
	for (unsigned i = 0; i < z.e820_entries; i++)
		z.e820[i] = (struct e820_entry){ map[i].base, map[i].len, map[i].type };
	put(vm, ZERO_PAGE, &z, sizeof(z));
}

enum err loader_linux(struct vm *vm)
{
	struct cpu_state *s = &vm->vcpu[0]->state;
	struct plan p;
	gpa_t rsdp;
	enum err e = make_plan(vm, &p);

	if (e == OK)
		e = acpi_tables_write(vm, &rsdp);
	if (e != OK)
		return e;
	put_long(vm, p.load, p.kernel->data + p.code_at, p.code_len);
	if (p.initrd)
		put_long(vm, p.initrd_load, p.initrd->data, p.initrd->size);
	put(vm, CMDLINE, vm->config.cmdline, strlen(vm->config.cmdline) + 1);
	write_page_tables(vm);
	write_zero_page(vm, &p, rsdp.v);
	cpu_state_flat64(s, p.load + ENTRY_64, PML4);
	write_gdt(vm, s);
	s->gpr[GPR_RSI] = ZERO_PAGE;
	return OK;
}
