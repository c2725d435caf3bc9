/* SPDX-License-Identifier: MIT */
/*
 * vmm/load_multiboot.c - a multiboot1 kernel and its modules into a fresh guest
 * (Multiboot Specification 0.6.96).
 *
 * The image is an ELF32 file, or says itself where it goes (header flag 16).  It is entered in flat
 * 32-bit mode with paging off, EAX the magic number and EBX the information structure.
 */
#include "vmm/loader.h"

#include <string.h>

#include "lib/fmt.h"
#include "vmm/image.h"
#include "vmm/memmap.h"
#include "vmm/vm.h"

#define HEADER_SEARCH 8192u /* "OS image format": the header lies in the first bytes */
#define HEADER_MAGIC        0x1badb002u
#define LOADER_MAGIC        0x2badb002u
#define HEADER_VIDEO        BIT(2)
#define HEADER_REQUIRED     MASK(15, 0)         /* flags that a loader must understand */
#define HEADER_UNDERSTOOD   (BIT(0) | BIT(1))   /* page-aligned modules; memory information */
#define HEADER_ADDRESSES    BIT(16)

#define INFO_MEMORY         BIT(0)
#define INFO_CMDLINE        BIT(2)
#define INFO_MODULES        BIT(3)
#define INFO_MMAP           BIT(6)
#define INFO_LOADER_NAME    BIT(9)

/* The information structure and what it points to: at the top of conventional memory. */
#define INFO_AT             0x90000ull
#define INFO_END            0x9f000ull

struct mb_header {
	uint32_t magic, flags, checksum;
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

struct mb_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
		mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name,
		apm_table;
};
_Static_assert(offsetof(struct mb_info, boot_loader_name) == 64, "\"Boot information format\"");

struct mb_mmap { uint32_t size; uint64_t base, len; uint32_t type; } __attribute__((packed));
struct mb_module { uint32_t start, end, string, reserved; };

/* ELF (System V ABI, "Object Files"), 32-bit. */
struct elf_header {
	uint8_t  ident[16];
	uint16_t type, machine;
	uint32_t version, entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_segment { uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align; };
#define ELF_CLASS_AT   4
#define ELF_CLASS_32   1
#define ELF_MACHINE_386 3
#define ELF_LOAD       1
#define ELF_SEGMENTS_MAX 64

struct boot { struct vm *vm; const struct image *image; uint64_t end; uint32_t entry; };

/*
 * One piece of the image: `file_len` bytes of the file at `offset`, then zeros, at guest address
 * `to`.
 */
static enum err place(struct boot *b, uint64_t to, uint64_t offset, uint64_t file_len,
                      uint64_t mem_len)
{
	const struct image *k = b->image;
	uint64_t ram_end = memmap_low_ram_end(&b->vm->mem);

	if (offset > k->size || file_len > k->size - offset || file_len > mem_len)
		return fail(ERR_BAD_FORMAT,
		            "%s: a segment of %lu bytes at %#lx of the file is not in it", k->name,
		            file_len, offset);
	if (to >= ram_end || mem_len > ram_end - to)
		return fail(ERR_NO_MEMORY,
		            "%s: a segment goes to %#lx to %#lx, the guest's RAM ends at %#lx",
		            k->name, to, to + mem_len, ram_end);
	if (to < INFO_END && to + mem_len > INFO_AT)
		return fail(ERR_NOT_SUPPORTED,
		            "%s: a segment covers %#llx, where the boot information goes", k->name,
		            INFO_AT);
	enum err e = file_len ? mem_load(&b->vm->mem, gpa(to), k->data + offset, file_len) : OK;
	if (e == OK && mem_len > file_len)
		e = mem_clear(&b->vm->mem, gpa(to + file_len), mem_len - file_len);
	b->end = MAX(b->end, to + mem_len);
	return e;
}

static enum err find_header(const struct image *k, struct mb_header *h, uint64_t *at)
{
	uint64_t end = MIN(k->size, HEADER_SEARCH);
	const size_t basic = offsetof(struct mb_header, header_addr);

	for (*at = 0; *at + basic <= end; *at += 4) {
		memset(h, 0, sizeof(*h));
		memcpy(h, k->data + *at, MIN(sizeof(*h), k->size - *at));
		if (h->magic == HEADER_MAGIC && h->magic + h->flags + h->checksum == 0)
			return OK;
	}
	return fail(ERR_BAD_FORMAT, "%s: no multiboot header in its first %u bytes", k->name,
	            HEADER_SEARCH);
}

static enum err check_flags(const struct image *k, const struct mb_header *h)
{
	uint32_t unknown = h->flags & HEADER_REQUIRED & ~HEADER_UNDERSTOOD;

	if (unknown & HEADER_VIDEO)
		return fail(ERR_NOT_SUPPORTED, "%s: it wants a video mode, and there is no screen",
		            k->name);
	if (unknown)
		return fail(ERR_NOT_SUPPORTED,
		            "%s: it needs multiboot features %#x, which are unknown", k->name,
		            unknown);
	return OK;
}

/* "The address fields of Multiboot header". */
static enum err load_by_addresses(struct boot *b, const struct mb_header *h, uint64_t header_at)
{
	const struct image *k = b->image;

	if (h->header_addr < h->load_addr || h->header_addr - h->load_addr > header_at)
		return fail(ERR_BAD_FORMAT,
		            "%s: header_addr %#x and load_addr %#x do not fit the file", k->name,
		            h->header_addr, h->load_addr);
	uint64_t offset = header_at - (h->header_addr - h->load_addr);
	uint64_t file_len =
		h->load_end_addr ? (uint64_t)h->load_end_addr - h->load_addr : k->size - offset;
	uint64_t mem_len = h->bss_end_addr ? (uint64_t)h->bss_end_addr - h->load_addr : file_len;
	b->entry = h->entry_addr;
	return place(b, h->load_addr, offset, file_len, MAX(mem_len, file_len));
}

static enum err load_elf(struct boot *b)
{
	const struct image *k = b->image;
	struct elf_header h;
	enum err e = OK;

	if (k->size < sizeof(h))
		return fail(ERR_BAD_FORMAT, "%s: %lu bytes are too few for an ELF file", k->name,
		            k->size);
	memcpy(&h, k->data, sizeof(h));
	if (memcmp(h.ident, "\177ELF", 4))
		return fail(ERR_BAD_FORMAT, "%s: neither an ELF file nor a header with addresses",
		            k->name);
	if (h.ident[ELF_CLASS_AT] != ELF_CLASS_32 || h.machine != ELF_MACHINE_386)
		return fail(ERR_NOT_SUPPORTED,
		            "%s: multiboot wants 32-bit x86 ELF (objcopy -O elf32-i386)", k->name);
	if (h.phentsize != sizeof(struct elf_segment) || h.phnum > ELF_SEGMENTS_MAX ||
	    h.phoff > k->size || (uint64_t)h.phnum * h.phentsize > k->size - h.phoff)
		return fail(ERR_BAD_FORMAT,
		            "%s: its program headers (%u at %#x) are not in the file", k->name,
		            h.phnum, h.phoff);
	for (unsigned i = 0; i < h.phnum && e == OK; i++) {
		struct elf_segment s;
		memcpy(&s, k->data + h.phoff + i * sizeof(s), sizeof(s));
		if (s.type == ELF_LOAD && s.memsz > 0)
			e = place(b, s.paddr, s.offset, s.filesz, s.memsz);
	}
	b->entry = h.entry;
	return e;
}

/* --- The boot information --------------------------------------------------------------------- */

/*
 * Appends to the area of the information; returns the address, 0 when it is full (then `*e` says
 * so).
 */
static uint32_t append(struct boot *b, uint64_t *at, const void *data, uint64_t len, enum err *e)
{
	uint64_t here = ALIGN_UP(*at, 8);

	if (*e != OK)
		return 0;
	if (len > INFO_END - here) {
		*e = fail(ERR_BAD_ARGUMENT,
		          "%s: command lines and modules fill more than the boot information may",
		          b->image->name);
		return 0;
	}
	*e = mem_write(&b->vm->mem, gpa(here), data, len);
	*at = here + len;
	return (uint32_t)here;
}

/* Modules in order behind the kernel, each on a page of its own. */
static enum err load_modules(struct boot *b, uint64_t *at, struct mb_info *info)
{
	const struct vm_config *c = &b->vm->config;
	struct mb_module mods[VM_MODULES_MAX] = { 0 };
	uint64_t ram_end = memmap_low_ram_end(&b->vm->mem),
		 to = ALIGN_UP(MAX(b->end, MIB), PAGE_SIZE);
	enum err e = OK;

	for (unsigned i = 0; i < c->nmodules && e == OK; i++) {
		const struct image *m = image_find(c->module[i]);
		if (!m)
			return fail(ERR_NOT_FOUND, "%s: there is no image \"%s\" on this node",
			            c->name, c->module[i]);
		if (to >= ram_end || m->size > ram_end - to)
			return fail(ERR_NO_MEMORY,
			            "%s: module %s with %lu bytes does not fit at %#lx", c->name,
			            m->name, m->size, to);
		e = mem_load(&b->vm->mem, gpa(to), m->data, m->size);
		mods[i] = (struct mb_module){ .start = (uint32_t)to,
			                      .end = (uint32_t)(to + m->size) };
		mods[i].string = append(b, at, m->name, strlen(m->name) + 1, &e);
		to = ALIGN_UP(to + m->size, PAGE_SIZE);
	}
	info->mods_count = c->nmodules;
	info->mods_addr = append(b, at, mods, c->nmodules * sizeof(mods[0]), &e);
	return e;
}

static enum err write_info(struct boot *b)
{
	static const char loader_name[] = "godwit";
	const struct vm_config *c = &b->vm->config;
	struct memmap_range map[MEMMAP_MAX];
	struct mb_mmap mmap[MEMMAP_MAX];
	struct mb_info info = { .flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP |
		                         INFO_LOADER_NAME };
	unsigned n = memmap_make(&b->vm->mem, map);
	uint64_t at = INFO_AT + sizeof(info);
	char cmdline[IMAGE_NAME_MAX + VM_CMDLINE_MAX + 1];
	enum err e;

	for (unsigned i = 0; i < n; i++)
		mmap[i] = (struct mb_mmap){ sizeof(mmap[i]) - sizeof(mmap[i].size), map[i].base,
			                    map[i].len, map[i].type };
	e = load_modules(b, &at, &info);
	/* The kernel's name comes first, as GRUB has it; kernels skip it. */
	int len = fmt_format(cmdline, sizeof(cmdline), "%s %s", b->image->name, c->cmdline);
	info.cmdline = append(b, &at, cmdline, (uint64_t)len + 1, &e);
	info.boot_loader_name = append(b, &at, loader_name, sizeof(loader_name), &e);
	info.mmap_length = n * (uint32_t)sizeof(mmap[0]);
	info.mmap_addr = append(b, &at, mmap, info.mmap_length, &e);
	info.mem_lower = (uint32_t)(MEMMAP_LOW_END / KIB);
	info.mem_upper = (uint32_t)((memmap_low_ram_end(&b->vm->mem) - MIB) / KIB);
	return e == OK ? mem_write(&b->vm->mem, gpa(INFO_AT), &info, sizeof(info)) : e;
}

enum err loader_multiboot(struct vm *vm)
{
	struct cpu_state *s = &vm->vcpu[0]->state;
	struct boot b = { .vm = vm, .image = image_find(vm->config.kernel) };
	struct mb_header h;
	uint64_t header_at;
	gpa_t rsdp;

	if (!b.image)
		return fail(ERR_NOT_FOUND, "%s: there is no image \"%s\" on this node",
		            vm->config.name, vm->config.kernel);
	enum err e = find_header(b.image, &h, &header_at);
	if (e == OK)
		e = check_flags(b.image, &h);
	if (e == OK)
		e = h.flags & HEADER_ADDRESSES ? load_by_addresses(&b, &h, header_at)
		                               : load_elf(&b);
	if (e == OK)
		e = write_info(&b);
	if (e == OK)
		e = acpi_tables_write(vm, &rsdp);
	if (e != OK)
		return e;
	cpu_state_flat32(s, b.entry);
	s->gpr[GPR_RAX] = LOADER_MAGIC;
	s->gpr[GPR_RBX] = INFO_AT;
	return OK;
}
