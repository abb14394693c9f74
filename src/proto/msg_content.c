/* WANT, PACK, CHUNK and REFINE: what content is asked for, and how it travels. Layouts in docs/PROTOCOL.md. */
#include "proto/msg.h"

#include "base/alloc.h"
#include "delta/delta.h"
#include "proto/wire.h"

#include <stdlib.h>
#include <string.h>

enum {
	KIND_BITS = 2,   /* low bits of an index in WANT */
	STATUS_BITS = 3, /* low bits of an index in PACK */
	CHUNK_FLAGS_ALL = CHUNK_FIRST | CHUNK_LAST,
	SIG_BLOCK_BYTES = 12, /* of one block in a signature on the wire */
};
_Static_assert(DELTA_MAX_BLOCKS *SIG_BLOCK_BYTES + 32 <= WANT_DATA_MAX, "any signature fits into a WANT");
_Static_assert((int)REFINE_PIECES_MAX == (int)DELTA_MAX_PIECES, "what delta asks for can be sent");
_Static_assert(REFINE_PIECES_MAX * 8 + 64 <= FRAME_MAX, "and so can the answer");

/* An index and a small number in one varint. */
static unsigned get_index(struct cursor *c, unsigned bits, uint64_t *index)
{
	uint64_t v = cur_varint(c, WIRE_INDEX_MAX << bits);

	*index = v >> bits;
	return (unsigned)(v & ((1U << bits) - 1));
}

/* --- WANT --- */

void msg_want_begin(struct buf *out, uint64_t dir_id, size_t items, bool last)
{
	buf_put_varint(out, dir_id);
	buf_put_u8(out, last);
	buf_put_varint(out, items);
}

void msg_want_item(struct buf *out, const struct want_item *item)
{
	buf_put_varint(out, item->index << KIND_BITS | item->kind);
	if (item->kind == WANT_UNLESS)
		buf_put(out, item->data, VERIFY_TAG_BYTES);
	else if (item->kind != WANT_WHOLE)
		buf_put_blob(out, item->data, item->data_len);
}

int msg_want_decode(struct cursor *c, uint64_t *dir_id, size_t *items, bool *last, struct err *e)
{
	*dir_id = cur_varint(c, WIRE_ID_MAX);
	*last = cur_varint(c, 1);
	*items = (size_t)cur_varint(c, FRAME_MAX);
	if (wire_check(c, "WANT", e) < 0)
		return -1;
	return *items <= cur_left(c) ? 0 : wire_bad("WANT", "too many items", e);
}

int msg_want_next(struct cursor *c, struct want_item *item, struct err *e)
{
	*item = (struct want_item){0};
	item->kind = (enum want_kind)get_index(c, KIND_BITS, &item->index);
	if (item->kind == WANT_UNLESS) {
		item->data_len = VERIFY_TAG_BYTES;
		item->data = cur_bytes(c, VERIFY_TAG_BYTES);
	} else if (item->kind != WANT_WHOLE) {
		item->data = cur_blob(c, WANT_DATA_MAX, &item->data_len);
	}
	return wire_check(c, "WANT", e);
}

/* --- PACK --- */

void msg_pack_begin(struct buf *out, uint64_t dir_id)
{
	buf_put_varint(out, dir_id);
}

static void put_time(struct buf *out, struct entry_time t)
{
	buf_put_svarint(out, t.sec);
	buf_put_varint(out, t.nsec);
}

static struct entry_time get_time(struct cursor *c)
{
	struct entry_time t = {.sec = cur_svarint(c)};

	t.nsec = (uint32_t)cur_varint(c, 999999999);
	return t;
}

void msg_pack_file(struct buf *out, const struct pack_file *f)
{
	buf_put_varint(out, f->index << STATUS_BITS | f->status);
	if (f->status == FILE_REFRESHED)
		put_time(out, f->mtime);
	else if (f->status != FILE_OK)
		return;
	buf_put_blob(out, f->data, f->size);
	buf_put(out, f->tag, sizeof(f->tag));
}

int msg_pack_decode(struct cursor *c, uint64_t *dir_id, struct err *e)
{
	*dir_id = cur_varint(c, WIRE_ID_MAX);
	return wire_check(c, "PACK", e);
}

int msg_pack_next(struct cursor *c, struct pack_file *f, struct err *e)
{
	*f = (struct pack_file){0};
	if (!c->bad && c->p == c->end)
		return 0;
	unsigned status = get_index(c, STATUS_BITS, &f->index);
	if (status > FILE_REFRESHED)
		return wire_bad("PACK", "unknown status", e);
	f->status = (enum file_status)status;
	if (status == FILE_REFRESHED)
		f->mtime = get_time(c);
	if (status == FILE_OK || status == FILE_REFRESHED) {
		f->data = cur_blob(c, PACK_FILE_MAX, &f->size);
		const uint8_t *tag = cur_bytes(c, sizeof(f->tag));
		if (tag)
			memcpy(f->tag, tag, sizeof(f->tag));
	}
	return wire_check(c, "PACK", e) < 0 ? -1 : 1;
}

/* --- CHUNK --- */

void msg_chunk_begin(struct buf *out, const struct msg_chunk *m)
{
	buf_put_varint(out, m->dir_id);
	buf_put_varint(out, m->index);
	buf_put_u8(out, (uint8_t)m->flags);
	if (!(m->flags & CHUNK_LAST))
		return;
	buf_put_u8(out, (uint8_t)m->status);
	if (m->status == FILE_REFRESHED)
		put_time(out, m->mtime);
	if (m->status == FILE_OK || m->status == FILE_REFRESHED)
		buf_put(out, m->tag, sizeof(m->tag));
}

int msg_chunk_decode(struct msg_chunk *m, struct cursor *c, struct err *e)
{
	*m = (struct msg_chunk){0};
	m->dir_id = cur_varint(c, WIRE_ID_MAX);
	m->index = cur_varint(c, WIRE_INDEX_MAX);
	m->flags = (uint32_t)cur_varint(c, CHUNK_FLAGS_ALL);
	if (m->flags & CHUNK_LAST) {
		m->status = (enum file_status)cur_varint(c, FILE_OTHER);
		if (m->status == FILE_REFRESHED)
			m->mtime = get_time(c);
		bool tagged = m->status == FILE_OK || m->status == FILE_REFRESHED;
		const uint8_t *tag = tagged ? cur_bytes(c, sizeof(m->tag)) : NULL;
		if (tag)
			memcpy(m->tag, tag, sizeof(m->tag));
	}
	return wire_check(c, "CHUNK", e);
}

void msg_chunk_record(struct buf *out, const struct chunk_record *r)
{
	buf_put_u8(out, (uint8_t)r->op);
	buf_put_varint(out, r->len);
	if (r->op == CHUNK_COPY)
		buf_put_varint(out, r->basis_offset);
	else if (r->op == CHUNK_DATA)
		buf_put(out, r->data, (size_t)r->len);
}

int msg_chunk_next(struct cursor *c, struct chunk_record *r, struct err *e)
{
	*r = (struct chunk_record){0};
	if (!c->bad && c->p == c->end)
		return 0;
	unsigned op = cur_u8(c);
	r->len = cur_varint(c, op == CHUNK_DATA ? CHUNK_BYTES : WIRE_OFFSET_MAX);
	if (op == CHUNK_COPY)
		r->basis_offset = cur_varint(c, WIRE_OFFSET_MAX - r->len);
	else if (op == CHUNK_DATA)
		r->data = cur_bytes(c, (size_t)r->len);
	if (wire_check(c, "CHUNK", e) < 0)
		return -1;
	if (op < CHUNK_DATA || op > CHUNK_COPY || r->len == 0)
		return wire_bad("CHUNK", "unknown or empty record", e);
	r->op = (enum chunk_op)op;
	return 1;
}

/* --- REFINE --- */

void msg_refine_req_encode(
	uint64_t dir_id, uint64_t index, const struct delta_range *ranges, size_t n, struct buf *out)
{
	buf_put_varint(out, dir_id);
	buf_put_varint(out, index);
	buf_put_varint(out, n);
	for (size_t i = 0; i < n; i++) {
		buf_put_varint(out, ranges[i].basis_offset / DELTA_FINE_BYTES);
		buf_put_varint(out, ranges[i].pieces);
	}
}

/* Numbers common to both messages; n is limited by what is left of the message. */
static int get_refine_head(const char *what, uint64_t *dir_id, uint64_t *index, size_t *n, size_t item_bytes,
	struct cursor *c, struct err *e)
{
	*dir_id = cur_varint(c, WIRE_ID_MAX);
	*index = cur_varint(c, WIRE_INDEX_MAX);
	*n = (size_t)cur_varint(c, REFINE_PIECES_MAX);
	if (wire_check(c, what, e) < 0)
		return -1;
	return *n <= cur_left(c) / item_bytes ? 0 : wire_bad(what, "too many items", e);
}

static int get_ranges(struct delta_range *ranges, size_t n, struct cursor *c, struct err *e)
{
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++) {
		ranges[i].basis_offset = cur_varint(c, WIRE_OFFSET_MAX / DELTA_FINE_BYTES) * DELTA_FINE_BYTES;
		ranges[i].pieces = (uint32_t)cur_varint(c, REFINE_PIECES_MAX);
		total += ranges[i].pieces;
		if (!c->bad && ranges[i].pieces == 0)
			return wire_bad("REFINE_REQ", "empty range", e);
	}
	if (total > REFINE_PIECES_MAX)
		return wire_bad("REFINE_REQ", "too many pieces", e);
	return msg_finish(c, "REFINE_REQ", e);
}

int msg_refine_req_decode(uint64_t *dir_id, uint64_t *index, struct delta_range **ranges, size_t *n,
	struct cursor *c, struct err *e)
{
	*ranges = NULL;
	if (get_refine_head("REFINE_REQ", dir_id, index, n, 2, c, e) < 0)
		return -1;
	struct delta_range *list = xreallocarray(NULL, *n ? *n : 1, sizeof(*list));
	if (get_ranges(list, *n, c, e) < 0) {
		free(list);
		*n = 0;
		return -1;
	}
	*ranges = list;
	return 0;
}

void msg_refine_encode(uint64_t dir_id, uint64_t index, const uint64_t *hashes, size_t n, struct buf *out)
{
	buf_put_varint(out, dir_id);
	buf_put_varint(out, index);
	buf_put_varint(out, n);
	for (size_t i = 0; i < n; i++)
		buf_put_u64(out, hashes[i]);
}

int msg_refine_decode(
	uint64_t *dir_id, uint64_t *index, uint64_t **hashes, size_t *n, struct cursor *c, struct err *e)
{
	*hashes = NULL;
	if (get_refine_head("REFINE", dir_id, index, n, sizeof(uint64_t), c, e) < 0)
		return -1;
	uint64_t *list = xreallocarray(NULL, *n ? *n : 1, sizeof(*list));
	for (size_t i = 0; i < *n; i++)
		list[i] = cur_u64(c);
	if (msg_finish(c, "REFINE", e) < 0) {
		free(list);
		*n = 0;
		return -1;
	}
	*hashes = list;
	return 0;
}
