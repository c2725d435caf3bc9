/* SPDX-License-Identifier: MIT */
/*
 * mig/wire.h - the migration stream, byte by byte: for the sender, the receiver and tools.
 *
 *   each direction:   stream header | record | record | ...
 *   record:           record header (48 bytes) | body
 *
 *   source                                 destination
 *     HELLO    config, CPU, sections  -->                  refused here: no page was sent
 *                                     <--  ACCEPT          a ghost exists, all memory is taken
 *     ROUND, PAGES, ZEROES ...        -->                  guest still runs at the source
 *                                     <--  ACK ...         this much is in the ghost's memory
 *     PAGES, ZEROES, SECTION ... END  -->                  guest stands still
 *     VERIFY   hash (if asked for)    -->
 *                                     <--  READY           everything staged and checked
 *     GRANT    how long it stood      -->                  the point of no return
 *                                     <--  RUNNING         the source frees its copy
 *   Instead of any answer: REFUSED, final for this epoch.  CANCEL from the source before GRANT.
 *   On a connection of its own:  QUERY --> and <-- RUNNING, REFUSED or UNKNOWN.
 *
 * Everything is little-endian and written by put and read by take; no struct is copied to the wire.
 * A record's meaning never changes: a change is a new type.  An unknown type is refused, unless it
 * has WIRE_OPTIONAL: then it is skipped.  Every length has a cap, known before its first byte.
 */
#ifndef MIG_WIRE_H
#define MIG_WIRE_H

#include "lib/err.h"
#include "lib/types.h"

/* Stream header: magic u64, version u32, crc32c u32 of the 12 bytes before. */
#define WIRE_MAGIC       0x4749544957444f47ull   /* "GODWITIG" */
#define WIRE_VERSION     3
#define WIRE_STREAM_LEN  16

/*
 * Record header:  0 type u32         4 length u32 of the body   8 sequence u32, each way from 0
 *                12 body crc32c u32 16 uuid, 16 bytes          32 epoch u64
 *                40 reserved u32, 0 44 crc32c u32 of bytes 0..43
 */
#define WIRE_HEADER_LEN  48
#define WIRE_OPTIONAL    BIT(31)

#define WIRE_PAGES_MAX   16                      /* pages in one record                     */
#define WIRE_RANGES_MAX  256                     /* runs of zero pages in one record        */
#define WIRE_REASON_MAX  2560                    /* text of a refusal                       */
#define WIRE_SECTIONS_MAX 64                     /* of one VM                               */
#define WIRE_SECTION_MAX (64 * KIB)              /* bytes of one section's body             */
#define WIRE_SECTION_NAME 16                     /* with the NUL                            */
#define WIRE_BLOCK       (PAGE_SIZE / 64)        /* a page is sent as those of its 64 blocks ... */
#define WIRE_PAGE_HEAD   (4 + 8)                 /* ... that hold anything; index and mask before */
#define WIRE_PAGES_LEN(n)  (4 + (n) * (WIRE_PAGE_HEAD + PAGE_SIZE))
#define WIRE_ZEROES_LEN(n) (4 + (n) * 8)

/* name, number, largest body, direction, body and meaning */
#define WIRE_TYPES(T) \
	T(HELLO, 0x01, 16 * KIB, ">", \
	  "what the guest is and needs (mig/hello.h)") \
	T(ACCEPT, 0x02, 8, "<", \
	  "boot id u64 of the destination") \
	T(REFUSED, 0x03, WIRE_REASON_MAX, "<", \
	  "why, text; final for this uuid and epoch") \
	T(CANCEL, 0x04, WIRE_REASON_MAX, ">", \
	  "why, text") \
	T(ACK, 0x05, 8, "<", \
	  "bytes taken and acted on u64") \
	T(PAGES, 0x10, WIRE_PAGES_LEN(WIRE_PAGES_MAX), ">", \
	  "n u32, n pages {index u32 ascending, mask u64, the blocks of 64 bytes in the mask}") \
	T(ZEROES, 0x11, WIRE_ZEROES_LEN(WIRE_RANGES_MAX), ">", \
	  "n u32, n runs {first u32, pages u32} of zeros") \
	T(ROUND, 0x80000012u, 16, ">", \
	  "round u64, pages to send in it u64; for people") \
	T(SECTION, 0x20, WIRE_SECTION_MAX, ">", \
	  "name 16 bytes, instance u16, version u16, layout u32, fields") \
	T(END, 0x21, 24, ">", \
	  "pages u64 and zero pages u64 in all, sections u32, verify u32") \
	T(VERIFY, 0x22, 32, ">", \
	  "hash of the source's RAM") \
	T(READY, 0x30, 32, "<", \
	  "hash of the destination's RAM, zeros without verify") \
	T(GRANT, 0x31, 16, ">", \
	  "ns since the guest stopped u64, ns between READY and this u64") \
	T(RUNNING, 0x32, 8, "<", \
	  "ns from GRANT to the guest being runnable u64, 0: forgotten") \
	T(QUERY, 0x33, 8, ">", \
	  "boot id u64 of the destination, from ACCEPT") \
	T(UNKNOWN, 0x34, WIRE_REASON_MAX, "<", \
	  "why the destination cannot know, text")

enum wire_type {
#define T(name, number, max, dir, text) WIRE_##name = number,
	WIRE_TYPES(T)
#undef T
};

#define WIRE_BODY_MAX    (68 * KIB)
_Static_assert(WIRE_PAGES_LEN(WIRE_PAGES_MAX) <= WIRE_BODY_MAX,
	       "a full batch of pages fits one record");
_Static_assert(WIRE_SECTION_MAX <= WIRE_BODY_MAX, "a section fits one record");
_Static_assert(WIRE_PAGES_LEN(WIRE_PAGES_MAX) + WIRE_HEADER_LEN <=
		       WIRE_PAGES_MAX * PAGE_SIZE * 101 / 100,
	       "overhead of the format under 1 %");

/* Which migration of which guest; in every record. */
struct wire_id { uint8_t uuid[16]; uint64_t epoch; };

struct wire_record { uint32_t type, length, sequence, body_crc; struct wire_id id; };

/* Writing.  Too much sets `overflow` and writes nothing. */
struct wire_out { uint8_t *buf; size_t size, len; bool overflow; };

void wire_put_u8(struct wire_out *w, uint8_t v);
void wire_put_u16(struct wire_out *w, uint16_t v);
void wire_put_u32(struct wire_out *w, uint32_t v);
void wire_put_u64(struct wire_out *w, uint64_t v);
void wire_put_int(struct wire_out *w, uint64_t v, unsigned size);        /* size 1, 2, 4 or 8 */
void wire_put_bytes(struct wire_out *w, const void *from, size_t len);
void wire_put_text(struct wire_out *w, const char *text);                /* u16 length, bytes */
void *wire_put_room(struct wire_out *w,
		    size_t len); /* to be filled by the caller; NULL on overflow */

/* Reading.  Too little sets `bad` and gives zeros; ask wire_take_end() at the end. */
struct wire_in { const uint8_t *buf; size_t size, pos; bool bad; };

uint8_t  wire_take_u8(struct wire_in *r);
uint16_t wire_take_u16(struct wire_in *r);
uint32_t wire_take_u32(struct wire_in *r);
uint64_t wire_take_u64(struct wire_in *r);
uint64_t wire_take_int(struct wire_in *r, unsigned size);
void     wire_take_bytes(struct wire_in *r, void *to, size_t len);
const void *wire_take_span(struct wire_in *r, size_t len); /* borrowed; NULL when too short */
void wire_take_text(struct wire_in *r, char *to,
		    size_t size); /* too long for `to`, or a NUL inside: bad */

/* For a text that goes into messages: what is no printable ASCII becomes '?'. */
void     wire_make_printable(char *text);

/* ERR_BAD_FORMAT, naming `what`, when bytes were missing or are left over. */
enum err wire_take_end(const struct wire_in *r, const char *what);

void     wire_put_stream(struct wire_out *w);
enum err wire_take_stream(struct wire_in *r);

/* The header of a record whose body is known; body_crc is computed here. */
void     wire_put_header(uint8_t to[WIRE_HEADER_LEN], struct wire_record *rec, const void *body);
/* Checks everything that can be known before the body; the refusal names the field. */
enum err wire_take_header(const uint8_t from[WIRE_HEADER_LEN], struct wire_record *rec);
enum err wire_check_body(const struct wire_record *rec, const void *body);

/* "PAGES"; "?" for a type that is not ours. */
const char *wire_type_name(uint32_t type);
bool        wire_type_known(uint32_t type);

/* Which blocks of a page hold anything but zeros: bit i is block i.  0: none, the page is zero. */
uint64_t wire_page_mask(const void *page);

/* PAGES and ZEROES, decoded and checked against the guest's size. */
struct wire_page { uint32_t index; uint64_t mask; const uint8_t *blocks; };     /* borrowed */
struct wire_pages { unsigned n; struct wire_page page[WIRE_PAGES_MAX]; };
void     wire_put_page(struct wire_out *w, uint32_t index, uint64_t mask, const void *page);
void     wire_unpack_page(const struct wire_page *p, void *page);
enum err wire_take_pages(struct wire_in *r, uint64_t ram_pages, struct wire_pages *out);
struct wire_run { uint32_t first, pages; };
struct wire_zeroes { unsigned n; struct wire_run run[WIRE_RANGES_MAX]; };
enum err wire_take_zeroes(struct wire_in *r, uint64_t ram_pages, struct wire_zeroes *out);
void     wire_put_zeroes(struct wire_out *w, const struct wire_zeroes *z);

#endif
