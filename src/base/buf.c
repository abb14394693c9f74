#include "base/buf.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
	if (b->overflow || n > b->max || b->len > b->max - n) {
		b->overflow = true;
		return NULL;
	}
	size_t need = b->len + n;
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 256;
		if (cap < need)
			cap = need;
		if (cap > b->max)
			cap = b->max;
		b->data = xrealloc(b->data, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_put(struct buf *b, const void *data, size_t n)
{
	if (n == 0)
		return;
	uint8_t *p = buf_reserve(b, n);
	if (!p)
		return;
	memcpy(p, data, n);
	b->len += n;
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
	uint8_t p[4];

	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
	buf_put(b, p, sizeof(p));
}

void buf_put_u64(struct buf *b, uint64_t v)
{
	uint8_t p[8];

	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
	buf_put(b, p, sizeof(p));
}

void buf_put_varint(struct buf *b, uint64_t v)
{
	uint8_t p[10];
	size_t n = 0;

	while (v >= 0x80) {
		p[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	p[n++] = (uint8_t)v;
	buf_put(b, p, n);
}

void buf_put_svarint(struct buf *b, int64_t v)
{
	buf_put_varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

void buf_put_blob(struct buf *b, const void *data, size_t n)
{
	buf_put_varint(b, n);
	buf_put(b, data, n);
}

void buf_put_str(struct buf *b, const char *s)
{
	buf_put_blob(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !buf_reserve(b, (size_t)n + 1))
		return;
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

const char *buf_cstr(struct buf *b)
{
	uint8_t *p = buf_reserve(b, 1);

	if (!p)
		return "";
	*p = '\0';
	return (const char *)b->data;
}

struct cursor cur_make(const void *data, size_t len)
{
	const uint8_t *p = data;

	return (struct cursor){.p = p, .end = len ? p + len : p};
}

size_t cur_left(const struct cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->p);
}

const uint8_t *cur_bytes(struct cursor *c, size_t n)
{
	if (c->bad || (size_t)(c->end - c->p) < n) {
		c->bad = true;
		return NULL;
	}
	const uint8_t *p = c->p;
	c->p += n;
	return p;
}

uint8_t cur_u8(struct cursor *c)
{
	const uint8_t *p = cur_bytes(c, 1);

	return p ? *p : 0;
}

uint32_t cur_u32(struct cursor *c)
{
	const uint8_t *p = cur_bytes(c, 4);
	uint32_t v = 0;

	for (int i = 3; p && i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

uint64_t cur_u64(struct cursor *c)
{
	const uint8_t *p = cur_bytes(c, 8);
	uint64_t v = 0;

	for (int i = 7; p && i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

uint64_t cur_varint(struct cursor *c, uint64_t max)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (c->bad || c->p == c->end)
			break;
		uint8_t byte = *c->p++;
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			if (v > max)
				break;
			return v;
		}
	}
	c->bad = true;
	return 0;
}

int64_t cur_svarint(struct cursor *c)
{
	uint64_t v = cur_varint(c, UINT64_MAX);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

const uint8_t *cur_blob(struct cursor *c, size_t max, size_t *len)
{
	*len = (size_t)cur_varint(c, max);
	return cur_bytes(c, *len);
}
