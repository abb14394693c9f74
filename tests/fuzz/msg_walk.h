/*
 * Decodes one message of any kind to its end, touching all it yields: for the fuzzer and the tests of truncation.
 */
#ifndef WHERRY_TESTS_MSG_WALK_H
#define WHERRY_TESTS_MSG_WALK_H

#include "base/buf.h"
#include "delta/delta.h"
#include "proto/msg.h"

#include <stdlib.h>

/* Every byte is read, so that sanitizers see a pointer that leads outside. */
static inline void walk_touch(const void *p, size_t n)
{
	const volatile uint8_t *b = p;
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + b[i]);
	(void)sum;
}

static inline int walk_start(struct cursor *c, struct err *e)
{
	struct msg_start m;
	int r = msg_start_decode(&m, c, e);

	if (r == 0)
		walk_touch(m.options, m.options_len);
	msg_start_release(&m);
	return r;
}

static inline int walk_table(struct cursor *c, struct err *e)
{
	bool end;
	size_t rows;
	struct table_row row;

	if (msg_table_decode(c, &end, &rows, e) < 0)
		return -1;
	while (rows--)
		msg_table_next(c, &row);
	return msg_finish(c, "TABLE", e);
}

static inline void walk_touch_entry(const struct entry *en)
{
	if (en->name)
		walk_touch(en->name, en->name_len);
	if (en->target)
		walk_touch(en->target, (size_t)en->size);
	if (en->digest)
		walk_touch(en->digest, ENTRY_DIGEST_BYTES);
	walk_touch(en->xattrs, en->xattrs_len);
}

static inline int walk_dir(struct cursor *c, struct err *e)
{
	struct msg_dir m;
	struct entry_coder k = {0};
	struct dirlist list;
	int r = msg_dir_decode_head(&m, c, e);

	if (r < 0)
		return -1;
	walk_touch(m.path, m.path_len);
	walk_touch_entry(&m.self);
	dirlist_init(&list);
	for (size_t i = 0; r == 0 && i < m.count; i++)
		r = msg_dir_decode_entry(&k, &list, c, e);
	for (size_t i = 0; i < list.count; i++)
		walk_touch_entry(&list.entries[i]);
	dirlist_release(&list);
	return r < 0 ? r : msg_finish(c, "DIR", e);
}

static inline int walk_want(struct cursor *c, struct err *e)
{
	uint64_t dir;
	size_t n;
	bool last;
	struct want_item item;

	if (msg_want_decode(c, &dir, &n, &last, e) < 0)
		return -1;
	while (n--) {
		if (msg_want_next(c, &item, e) < 0)
			return -1;
		walk_touch(item.data, item.data_len);
	}
	return msg_finish(c, "WANT", e);
}

static inline int walk_pack(struct cursor *c, struct err *e)
{
	uint64_t dir;
	struct pack_file f;
	int r;

	if (msg_pack_decode(c, &dir, e) < 0)
		return -1;
	while ((r = msg_pack_next(c, &f, e)) == 1)
		walk_touch(f.data, f.size);
	return r;
}

static inline int walk_chunk(struct cursor *c, struct err *e)
{
	struct msg_chunk m;
	struct chunk_record rec;
	int r;

	if (msg_chunk_decode(&m, c, e) < 0)
		return -1;
	while ((r = msg_chunk_next(c, &rec, e)) == 1)
		if (rec.op == CHUNK_DATA)
			walk_touch(rec.data, (size_t)rec.len);
	return r;
}

static inline int walk_refine(bool request, struct cursor *c, struct err *e)
{
	uint64_t dir;
	uint64_t index;
	size_t n;
	struct delta_range *ranges = NULL;
	uint64_t *hashes = NULL;
	int r = request ? msg_refine_req_decode(&dir, &index, &ranges, &n, c, e)
			: msg_refine_decode(&dir, &index, &hashes, &n, c, e);

	if (r == 0 && request)
		walk_touch(ranges, n * sizeof(*ranges));
	else if (r == 0)
		walk_touch(hashes, n * sizeof(*hashes));
	free(ranges);
	free(hashes);
	return r;
}

static inline int walk_done(struct cursor *c, struct err *e)
{
	uint64_t dir;
	size_t n;

	if (msg_done_decode(&dir, &n, c, e) < 0)
		return -1;
	while (n--)
		msg_done_next(c);
	return msg_finish(c, "DONE", e);
}

static inline int walk_list_path(struct cursor *c, struct err *e)
{
	const char *path;
	size_t len;

	if (msg_list_path_decode(&path, &len, c, e) < 0)
		return -1;
	walk_touch(path, len);
	return 0;
}

static inline int walk_event(struct cursor *c, struct err *e)
{
	struct msg_event m;

	if (msg_event_decode(&m, c, e) < 0)
		return -1;
	walk_touch(m.path, m.path_len);
	walk_touch(m.extra, m.extra_len);
	return 0;
}

static inline int walk_idmap(struct cursor *c, struct err *e)
{
	struct msg_idmap m;

	if (msg_idmap_decode(&m, c, e) < 0)
		return -1;
	walk_touch(m.name, m.name_len);
	return 0;
}

/* 0, or -1 with *e. Types without a payload give 0. */
static inline int msg_walk(enum msg_type type, const void *data, size_t len, struct err *e)
{
	struct cursor c = cur_make(data, len);
	union {
		struct msg_hello hello;
		struct msg_fatal fatal;
		struct msg_root_fp root;
		struct msg_list_end list_end;
		struct msg_summary summary;
	} m;

	switch (type) {
	case MSG_START:
		return walk_start(&c, e);
	case MSG_HELLO:
		return msg_hello_decode(&m.hello, &c, e);
	case MSG_FATAL:
		return msg_fatal_decode(&m.fatal, &c, e);
	case MSG_EVENT:
		return walk_event(&c, e);
	case MSG_IDMAP:
		return walk_idmap(&c, e);
	case MSG_ROOT_FP:
		return msg_root_fp_decode(&m.root, &c, e);
	case MSG_TABLE:
		return walk_table(&c, e);
	case MSG_DIR:
		return walk_dir(&c, e);
	case MSG_LIST_END:
		return msg_list_end_decode(&m.list_end, &c, e);
	case MSG_WANT:
		return walk_want(&c, e);
	case MSG_PACK:
		return walk_pack(&c, e);
	case MSG_CHUNK:
		return walk_chunk(&c, e);
	case MSG_REFINE_REQ:
	case MSG_REFINE:
		return walk_refine(type == MSG_REFINE_REQ, &c, e);
	case MSG_LIST_PATH:
		return walk_list_path(&c, e);
	case MSG_DONE:
		return walk_done(&c, e);
	case MSG_SUMMARY:
		return msg_summary_decode(&m.summary, &c, e);
	default:
		return 0;
	}
}

#endif
