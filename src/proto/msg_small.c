/* The messages of few fields: FATAL, EVENT, IDMAP, ROOT_FP, TABLE, LIST_END, LIST_PATH, DONE, SUMMARY. */
#include "proto/msg.h"

#include "proto/wire.h"

#include <stddef.h>
#include <string.h>

enum { IDMAP_NAME_MAX = 255, EXTRA_BYTES_MAX = 64 << 10, SUMMARY_FIELDS_MAX = 64, MODE_MAX = 0177777 };

void msg_fatal_encode(enum err_code code, const char *text, struct buf *out)
{
	wire_put_code(out, code);
	buf_put_str(out, text);
}

int msg_fatal_decode(struct msg_fatal *m, struct cursor *c, struct err *e)
{
	size_t len;

	*m = (struct msg_fatal){0};
	m->code = wire_get_code(c, ERR_CLOSED);
	const char *text = wire_get_text(c, FRAME_MAX, &len);
	if (wire_check(c, "FATAL", e) < 0)
		return -1;
	if (m->code == ERR_NONE)
		m->code = ERR_CLOSED;
	if (len > sizeof(m->text) - 1)
		len = sizeof(m->text) - 1;
	memcpy(m->text, text, len);
	return 0;
}

void msg_event_encode(const struct msg_event *m, struct buf *out)
{
	buf_put_u8(out, (uint8_t)m->kind);
	wire_put_code(out, m->code);
	buf_put_varint(out, m->iflags);
	buf_put_varint(out, m->mode);
	buf_put_varint(out, m->size);
	buf_put_blob(out, m->path, m->path_len);
	buf_put_blob(out, m->extra, m->extra_len);
}

int msg_event_decode(struct msg_event *m, struct cursor *c, struct err *e)
{
	*m = (struct msg_event){0};
	unsigned kind = cur_u8(c);
	m->code = wire_get_code(c, ERR_PARTIAL);
	m->iflags = (uint32_t)cur_varint(c, UINT32_MAX);
	m->mode = (uint32_t)cur_varint(c, MODE_MAX);
	m->size = cur_varint(c, WIRE_OFFSET_MAX);
	m->path = wire_get_text(c, PATH_BYTES_MAX, &m->path_len);
	m->extra = wire_get_text(c, EXTRA_BYTES_MAX, &m->extra_len);
	if (wire_check(c, "EVENT", e) < 0)
		return -1;
	if (kind < EVENT_ITEM || kind > EVENT_NOTE)
		return wire_bad("EVENT", "unknown kind", e);
	m->kind = (enum event_kind)kind;
	return 0;
}

void msg_idmap_encode(const struct msg_idmap *m, struct buf *out)
{
	buf_put_u8(out, m->is_group);
	buf_put_varint(out, m->id);
	buf_put_blob(out, m->name, m->name_len);
}

int msg_idmap_decode(struct msg_idmap *m, struct cursor *c, struct err *e)
{
	*m = (struct msg_idmap){0};
	m->is_group = cur_varint(c, 1);
	m->id = (uint32_t)cur_varint(c, UINT32_MAX);
	m->name = wire_get_text(c, IDMAP_NAME_MAX, &m->name_len);
	if (msg_finish(c, "IDMAP", e) < 0)
		return -1;
	return m->name_len ? 0 : wire_bad("IDMAP", "empty name", e);
}

void msg_root_fp_encode(const struct msg_root_fp *m, struct buf *out)
{
	wire_put_hash(out, m->fp);
	buf_put_varint(out, m->entries);
	buf_put_varint(out, m->files);
	buf_put_varint(out, m->bytes);
}

int msg_root_fp_decode(struct msg_root_fp *m, struct cursor *c, struct err *e)
{
	*m = (struct msg_root_fp){.fp = wire_get_hash(c)};
	m->entries = cur_varint(c, UINT64_MAX);
	m->files = cur_varint(c, UINT64_MAX);
	m->bytes = cur_varint(c, UINT64_MAX);
	return msg_finish(c, "ROOT_FP", e);
}

void msg_table_begin(struct buf *out, bool end, size_t rows)
{
	buf_put_u8(out, end ? TABLE_FLAG_END : 0);
	buf_put_varint(out, rows);
}

void msg_table_row(struct buf *out, const struct table_row *row)
{
	buf_put_u64(out, row->path_hash);
	wire_put_hash(out, row->tree);
}

int msg_table_decode(struct cursor *c, bool *end, size_t *rows, struct err *e)
{
	*end = cur_varint(c, TABLE_FLAG_END) == TABLE_FLAG_END;
	*rows = (size_t)cur_varint(c, FRAME_MAX / TABLE_ROW_BYTES);
	if (wire_check(c, "TABLE", e) < 0)
		return -1;
	return cur_left(c) == *rows * TABLE_ROW_BYTES ? 0 : wire_bad("TABLE", "wrong length", e);
}

void msg_table_next(struct cursor *c, struct table_row *row)
{
	row->path_hash = cur_u64(c);
	row->tree = wire_get_hash(c);
}

void msg_list_end_encode(const struct msg_list_end *m, struct buf *out)
{
	buf_put_u8(out, m->errors);
	buf_put_varint(out, m->dirs);
	buf_put_varint(out, m->files);
	buf_put_varint(out, m->bytes);
}

int msg_list_end_decode(struct msg_list_end *m, struct cursor *c, struct err *e)
{
	*m = (struct msg_list_end){.errors = cur_varint(c, 1)};
	m->dirs = cur_varint(c, UINT64_MAX);
	m->files = cur_varint(c, UINT64_MAX);
	m->bytes = cur_varint(c, UINT64_MAX);
	return msg_finish(c, "LIST_END", e);
}

void msg_list_path_encode(const char *path, size_t len, struct buf *out)
{
	buf_put_blob(out, path, len);
}

int msg_list_path_decode(const char **path, size_t *len, struct cursor *c, struct err *e)
{
	*path = wire_get_text(c, PATH_BYTES_MAX, len);
	if (msg_finish(c, "LIST_PATH", e) < 0)
		return -1;
	return msg_path_ok(*path, *len) ? 0 : wire_bad("LIST_PATH", "path that is not allowed", e);
}

void msg_done_encode(uint64_t dir_id, const uint64_t *indexes, size_t n, struct buf *out)
{
	buf_put_varint(out, dir_id);
	buf_put_varint(out, n);
	for (size_t i = 0; i < n; i++)
		buf_put_varint(out, indexes[i]);
}

int msg_done_decode(uint64_t *dir_id, size_t *n, struct cursor *c, struct err *e)
{
	*dir_id = cur_varint(c, WIRE_ID_MAX);
	*n = (size_t)cur_varint(c, FRAME_MAX);
	if (wire_check(c, "DONE", e) < 0)
		return -1;
	return *n <= cur_left(c) ? 0 : wire_bad("DONE", "wrong length", e);
}

uint64_t msg_done_next(struct cursor *c)
{
	return cur_varint(c, WIRE_INDEX_MAX);
}

/* The counters in the order of the wire; later versions may append. */
static const size_t count_fields[] = {
	offsetof(struct sync_counts, entries),
	offsetof(struct sync_counts, files),
	offsetof(struct sync_counts, total_bytes),
	offsetof(struct sync_counts, created),
	offsetof(struct sync_counts, updated),
	offsetof(struct sync_counts, metadata),
	offsetof(struct sync_counts, deleted),
	offsetof(struct sync_counts, moved),
	offsetof(struct sync_counts, linked),
	offsetof(struct sync_counts, sent_files),
	offsetof(struct sync_counts, sent_bytes),
	offsetof(struct sync_counts, literal_bytes),
	offsetof(struct sync_counts, matched_bytes),
	offsetof(struct sync_counts, entry_errors),
	offsetof(struct sync_counts, vanished),
	offsetof(struct sync_counts, retried),
};
enum { COUNT_FIELDS = sizeof(count_fields) / sizeof(count_fields[0]) };
_Static_assert(COUNT_FIELDS * sizeof(uint64_t) == sizeof(struct sync_counts), "every counter travels");

void msg_summary_encode(const struct msg_summary *m, struct buf *out)
{
	wire_put_code(out, m->result);
	buf_put_varint(out, COUNT_FIELDS);
	for (size_t i = 0; i < COUNT_FIELDS; i++)
		buf_put_varint(
			out, *(const uint64_t *)(const void *)((const char *)&m->counts + count_fields[i]));
}

int msg_summary_decode(struct msg_summary *m, struct cursor *c, struct err *e)
{
	*m = (struct msg_summary){.result = wire_get_code(c, ERR_PARTIAL)};
	size_t n = (size_t)cur_varint(c, SUMMARY_FIELDS_MAX);

	for (size_t i = 0; i < n; i++) {
		uint64_t v = cur_varint(c, UINT64_MAX);
		if (i < COUNT_FIELDS)
			*(uint64_t *)(void *)((char *)&m->counts + count_fields[i]) = v;
	}
	return wire_check(c, "SUMMARY", e);
}
