/*
 * Growable byte buffer with a hard maximum, and a bounds-checked reading cursor.
 * Role      pure computation.
 * Lifetime  buf: caller's storage, buf_init() .. buf_release(). cursor: plain value, borrows the bytes it
 * reads.
 * Units     bytes. Integers on the wire are LEB128 varints (7 bits a byte, low first) or fixed
 * little-endian.
 * Errors    both are sticky: a buf that would pass its maximum sets `overflow`, a cursor that
 * would pass its end or a limit sets `bad` and then yields zeros. Callers check once, at the end.
 */
#ifndef WHERRY_BASE_BUF_H
#define WHERRY_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max;
	bool overflow;
};

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);

/* Empty it, keep the memory, forget an overflow. */
void buf_clear(struct buf *b);

/* Make room for n more bytes and return where they go (commit them by b->len += n), or NULL on overflow. */
uint8_t *buf_reserve(struct buf *b, size_t n);

void buf_put(struct buf *b, const void *data, size_t n);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_varint(struct buf *b, uint64_t v);
void buf_put_svarint(struct buf *b, int64_t v);               /* zigzag */
void buf_put_blob(struct buf *b, const void *data, size_t n); /* varint length, bytes */
void buf_put_str(struct buf *b, const char *s);               /* blob without the NUL */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* NUL-terminate without counting the NUL; returns the string, or "" after an overflow. */
const char *buf_cstr(struct buf *b);

struct cursor {
	const uint8_t *p;
	const uint8_t *end;
	bool bad;
};

struct cursor cur_make(const void *data, size_t len);
size_t cur_left(const struct cursor *c);
uint8_t cur_u8(struct cursor *c);
uint32_t cur_u32(struct cursor *c);
uint64_t cur_u64(struct cursor *c);

/* A varint of at most `max`; more is bad. */
uint64_t cur_varint(struct cursor *c, uint64_t max);
int64_t cur_svarint(struct cursor *c);

/* Borrow n bytes; NULL and bad when fewer are left. */
const uint8_t *cur_bytes(struct cursor *c, size_t n);

/* varint length (at most max) and bytes: *len and a borrowed pointer, or NULL and bad. */
const uint8_t *cur_blob(struct cursor *c, size_t max, size_t *len);

#endif
