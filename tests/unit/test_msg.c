/* Messages: what is written is read back; what is cut short, stretched or hostile is refused. DIR: test_msg_dir.c. */
#include "base/hash.h"
#include "delta/delta.h"
#include "tests/unit/msg_check.h"

#include <sys/stat.h>

/* --- frames --- */

static void frame_headers(void **state)
{
	static const struct {
		struct frame f;
		int ok;
	} rows[] = {
		{{MSG_PING, CODEC_NONE, 0, 0}, 1},
		{{MSG_DIR, CODEC_ZSTD, 10, 1000}, 1},
		{{MSG_CHUNK, CODEC_NONE, FRAME_MAX, FRAME_MAX}, 1},
		{{(enum msg_type)MSG_OPTIONAL_FIRST, CODEC_NONE, 3, 3}, 1},
		{{(enum msg_type)MSG_OPTIONAL_LAST, CODEC_LZ4, 3, 4}, 1},
		{{(enum msg_type)0, CODEC_NONE, 0, 0}, 0},
		{{(enum msg_type)6, CODEC_NONE, 0, 0}, 0},
		{{(enum msg_type)24, CODEC_NONE, 0, 0}, 0},
		{{(enum msg_type)127, CODEC_NONE, 0, 0}, 0},
		{{(enum msg_type)160, CODEC_NONE, 0, 0}, 0},
		{{MSG_DIR, (enum codec_id)3, 1, 2}, 0},
		{{MSG_DIR, CODEC_NONE, 10, 11}, 0},
		{{MSG_DIR, CODEC_ZSTD, 0, 11}, 0},
		{{MSG_DIR, CODEC_ZSTD, 11, 11}, 0},
		{{MSG_DIR, CODEC_NONE, FRAME_MAX + 1, FRAME_MAX + 1}, 0},
		{{MSG_DIR, CODEC_ZSTD, 5, UINT32_MAX}, 0},
	};
	uint8_t bytes[FRAME_HEADER_BYTES];
	struct frame got;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		frame_header_encode(&rows[i].f, bytes);
		int r = frame_header_decode(&got, bytes, &err);
		if (r != (rows[i].ok ? 0 : -1))
			fail_msg("row %zu", i);
		if (r == 0) {
			assert_int_equal(got.type, rows[i].f.type);
			assert_int_equal(got.codec, rows[i].f.codec);
			assert_int_equal(got.wire_len, rows[i].f.wire_len);
			assert_int_equal(got.raw_len, rows[i].f.raw_len);
		}
	}
}

/* --- session --- */

static void start_round_trip(void **state)
{
	struct msg_start m = {1, START_RECEIVE, START_CONTENTS, "a/ \xff/b", (const uint8_t *)"opt", 3};
	struct msg_start got;

	(void)state;
	msg_start_encode(&m, &out);
	struct cursor c = reader();
	assert_int_equal(msg_start_decode(&got, &c, &err), 0);
	assert_int_equal(got.version, 1);
	assert_int_equal(got.role, START_RECEIVE);
	assert_int_equal(got.flags, START_CONTENTS);
	assert_string_equal(got.path, m.path);
	assert_int_equal(got.options_len, 3);
	assert_memory_equal(got.options, "opt", 3);
	msg_start_release(&got);
	check_cuts(MSG_START, true);
	out.data[0] = 'X';
	refused(MSG_START);
}

static void start_hostile(void **state)
{
	struct msg_start m = {1, (enum start_role)4, 0, "p", NULL, 0};
	struct msg_start got;

	(void)state;
	msg_start_encode(&m, &out);
	refused(MSG_START);

	buf_clear(&out);
	m.role = START_SEND;
	m.flags = 1 << 20;
	msg_start_encode(&m, &out);
	struct cursor c = reader();
	assert_int_equal(msg_start_decode(&got, &c, &err), -1);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	assert_null(got.path);

	buf_clear(&out);
	m.flags = 0;
	m.version = 0;
	msg_start_encode(&m, &out);
	c = reader();
	assert_int_equal(msg_start_decode(&got, &c, &err), -1);
	assert_int_equal(err.code, ERR_VERSION);

	buf_clear(&out);
	buf_put(&out, "WHRY\1\1\0\3a\0b\0", 12);
	refused(MSG_START); /* NUL in the path */
}

static struct msg_hello sample_hello(uint8_t first)
{
	struct msg_hello m = {
		.version = 3, .flags = HELLO_ROOT | HELLO_FILE, .verify = {1, 2, 0}, .codecs = 7};

	for (size_t i = 0; i < sizeof(m.nonce); i++)
		m.nonce[i] = (uint8_t)(first + i);
	memcpy(m.software, "wherry 0.1", 11);
	return m;
}

static void hello_round_trip(void **state)
{
	struct msg_hello m = sample_hello(9);
	struct msg_hello got;

	(void)state;
	msg_hello_encode(&m, &out);
	struct cursor c = reader();
	assert_int_equal(msg_hello_decode(&got, &c, &err), 0);
	assert_int_equal(got.version, 3);
	assert_int_equal(got.flags, m.flags);
	assert_memory_equal(got.nonce, m.nonce, 16);
	assert_memory_equal(got.verify, m.verify, 3);
	assert_int_equal(got.codecs, 7);
	assert_string_equal(got.software, "wherry 0.1");
	check_cuts(MSG_HELLO, true);

	buf_clear(&out);
	m.flags |= 1U << 30; /* from the future: ignored */
	memcpy(m.software, "bad\033[1m", 8);
	msg_hello_encode(&m, &out);
	c = reader();
	assert_int_equal(msg_hello_decode(&got, &c, &err), 0);
	assert_int_equal(got.flags, HELLO_ROOT | HELLO_FILE);
	assert_string_equal(got.software, "bad?[1m");
}

static void session_keys_agree(void **state)
{
	struct msg_hello s = sample_hello(1);
	struct msg_hello r = sample_hello(100);
	struct session_keys a;
	struct session_keys b;

	(void)state;
	memcpy(s.verify, (uint8_t[3]){VERIFY_BLAKE2B, VERIFY_SHA256, 0}, 3);
	memcpy(r.verify, (uint8_t[3]){VERIFY_GMAC, VERIFY_SHA256, VERIFY_BLAKE2B}, 3);
	assert_int_equal(proto_session_keys(&a, &s, &r, &err), 0);
	assert_int_equal(a.verify, VERIFY_BLAKE2B);
	/* As given in docs/PROTOCOL.md; computed with sha256sum. */
	static const uint8_t key[8] = {0x05, 0x21, 0x9f, 0x5d, 0x29, 0x9b, 0x27, 0x7e};
	assert_memory_equal(a.verify_key, key, sizeof(key));
	assert_true(a.fp_seed != a.sig_seed);
	assert_int_equal(proto_session_keys(&b, &r, &s, &err), 0);
	assert_int_equal(b.verify, VERIFY_SHA256);
	assert_true(memcmp(a.verify_key, b.verify_key, VERIFY_KEY_BYTES) != 0);
	memcpy(r.verify, (uint8_t[3]){VERIFY_GMAC, 77, 0}, 3);
	memcpy(s.verify, (uint8_t[3]){77, VERIFY_SHA256, 0}, 3);
	assert_int_equal(proto_session_keys(&a, &s, &r, &err), -1);
	assert_int_equal(err.code, ERR_VERSION);
}

/* --- small ones --- */

static void fatal_round_trip(void **state)
{
	struct msg_fatal got;
	char longer[3000];

	(void)state;
	for (int code = 1; code < ERR_CODES; code++) {
		buf_clear(&out);
		msg_fatal_encode((enum err_code)code, "it broke", &out);
		struct cursor c = reader();
		assert_int_equal(msg_fatal_decode(&got, &c, &err), 0);
		assert_int_equal(got.code, code);
		assert_string_equal(got.text, "it broke");
	}
	check_cuts(MSG_FATAL, true);

	buf_clear(&out);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	buf_put_str(&out, "code-of-tomorrow");
	buf_put_str(&out, longer);
	struct cursor c = reader();
	assert_int_equal(msg_fatal_decode(&got, &c, &err), 0);
	assert_int_equal(got.code, ERR_CLOSED);
	assert_int_equal(strlen(got.text), sizeof(got.text) - 1);

	buf_clear(&out);
	msg_fatal_encode(ERR_NONE, "", &out); /* an end without a reason is still an end */
	c = reader();
	assert_int_equal(msg_fatal_decode(&got, &c, &err), 0);
	assert_int_equal(got.code, ERR_CLOSED);
}

static void event_round_trip(void **state)
{
	struct msg_event m = {.kind = EVENT_ENTRY_ERROR,
		.code = ERR_NO_SPACE,
		.iflags = 0x8001,
		.mode = S_IFREG | 0644,
		.size = 1ULL << 40,
		.path = "a/b\n",
		.path_len = 4,
		.extra = "why",
		.extra_len = 3};
	struct msg_event got;

	(void)state;
	msg_event_encode(&m, &out);
	struct cursor c = reader();
	assert_int_equal(msg_event_decode(&got, &c, &err), 0);
	assert_int_equal(got.kind, EVENT_ENTRY_ERROR);
	assert_int_equal(got.code, ERR_NO_SPACE);
	assert_int_equal(got.iflags, 0x8001);
	assert_int_equal(got.mode, S_IFREG | 0644);
	assert_int_equal(got.size, 1ULL << 40);
	assert_int_equal(got.path_len, 4);
	assert_memory_equal(got.path, "a/b\n", 4);
	assert_int_equal(got.extra_len, 3);
	assert_memory_equal(got.extra, "why", 3);
	check_cuts(MSG_EVENT, true);
	out.data[0] = 9;
	refused(MSG_EVENT);
}

static void idmap_round_trip(void **state)
{
	struct msg_idmap m = {true, 4294967294u, "staff", 5};
	struct msg_idmap got;

	(void)state;
	msg_idmap_encode(&m, &out);
	struct cursor c = reader();
	assert_int_equal(msg_idmap_decode(&got, &c, &err), 0);
	assert_true(got.is_group);
	assert_int_equal(got.id, 4294967294u);
	assert_int_equal(got.name_len, 5);
	assert_memory_equal(got.name, "staff", 5);
	check_cuts(MSG_IDMAP, false);
	buf_clear(&out);
	m.name_len = 0;
	msg_idmap_encode(&m, &out);
	refused(MSG_IDMAP);
}

static void fingerprint_messages(void **state)
{
	struct msg_root_fp m = {{1, UINT64_MAX}, 2, 3, 1ULL << 60};
	struct msg_root_fp got;
	struct msg_list_end end = {true, 7, 8, 9};
	struct msg_list_end got_end;

	(void)state;
	msg_root_fp_encode(&m, &out);
	struct cursor c = reader();
	assert_int_equal(msg_root_fp_decode(&got, &c, &err), 0);
	assert_memory_equal(&got, &m, sizeof(m));
	check_cuts(MSG_ROOT_FP, false);

	buf_clear(&out);
	msg_list_end_encode(&end, &out);
	c = reader();
	assert_int_equal(msg_list_end_decode(&got_end, &c, &err), 0);
	assert_true(got_end.errors);
	assert_int_equal(got_end.dirs, 7);
	assert_int_equal(got_end.files, 8);
	assert_int_equal(got_end.bytes, 9);
	check_cuts(MSG_LIST_END, false);
}

static void table_round_trip(void **state)
{
	struct table_row rows[3] = {{1, {4, 5}}, {UINT64_MAX, {8, 9}}, {10, {1, 1}}};
	struct table_row got;
	bool end;
	size_t n;

	(void)state;
	msg_table_begin(&out, true, 3);
	for (size_t i = 0; i < 3; i++)
		msg_table_row(&out, &rows[i]);
	struct cursor c = reader();
	assert_int_equal(msg_table_decode(&c, &end, &n, &err), 0);
	assert_true(end);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < 3; i++) {
		msg_table_next(&c, &got);
		assert_memory_equal(&got, &rows[i], sizeof(got));
	}
	check_cuts(MSG_TABLE, false);
	buf_clear(&out);
	msg_table_begin(&out, false, 0);
	check_cuts(MSG_TABLE, false);
	buf_clear(&out);
	msg_table_begin(&out, false, SIZE_MAX);
	refused(MSG_TABLE);
}

static void summary_round_trip(void **state)
{
	struct msg_summary m = {.result = ERR_VANISHED};
	struct msg_summary got;
	uint64_t *fields = (uint64_t *)(void *)&m.counts;

	(void)state;
	for (size_t i = 0; i < sizeof(m.counts) / sizeof(*fields); i++)
		fields[i] = 1ULL << (i * 3);
	msg_summary_encode(&m, &out);
	struct cursor c = reader();
	assert_int_equal(msg_summary_decode(&got, &c, &err), 0);
	assert_memory_equal(&got.counts, &m.counts, sizeof(m.counts));
	assert_int_equal(got.result, ERR_VANISHED);
	check_cuts(MSG_SUMMARY, true);

	/* One counter from an older peer; one too many from a newer. */
	buf_clear(&out);
	buf_put(&out, "\2ok\1\5", 5);
	c = reader();
	assert_int_equal(msg_summary_decode(&got, &c, &err), 0);
	assert_int_equal(got.counts.entries, 5);
	assert_int_equal(got.counts.files, 0);
	buf_clear(&out);
	buf_put(&out, "\2ok", 3);
	buf_put_varint(&out, 20);
	for (int i = 0; i < 20; i++)
		buf_put_varint(&out, 300);
	c = reader();
	assert_int_equal(msg_summary_decode(&got, &c, &err), 0);
	assert_int_equal(got.counts.retried, 300);
}

static void list_path_and_done(void **state)
{
	static const char *const bad[] = {"/a", "a/", "a//b", "..", "a/../b", "./a", ".",
		".wherry.0123456789abcdef.t", "a/.wherry.0123456789abcdef.d/b"};
	const char *path;
	uint64_t indexes[3] = {0, 5, 1 << 20};
	uint64_t dir;
	size_t n;

	(void)state;
	msg_list_path_encode("usr/lib", 7, &out);
	struct cursor c = reader();
	assert_int_equal(msg_list_path_decode(&path, &n, &c, &err), 0);
	assert_int_equal(n, 7);
	assert_memory_equal(path, "usr/lib", 7);
	check_cuts(MSG_LIST_PATH, false);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_clear(&out);
		msg_list_path_encode(bad[i], strlen(bad[i]), &out);
		refused(MSG_LIST_PATH);
	}
	buf_clear(&out);
	msg_list_path_encode("", 0, &out);
	assert_int_equal(msg_walk(MSG_LIST_PATH, out.data, out.len, &err), 0);

	buf_clear(&out);
	msg_done_encode(77, indexes, 3, &out);
	c = reader();
	assert_int_equal(msg_done_decode(&dir, &n, &c, &err), 0);
	assert_int_equal(dir, 77);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(msg_done_next(&c), indexes[i]);
	check_cuts(MSG_DONE, false);
}

/* --- content --- */

static void want_round_trip(void **state)
{
	struct want_item items[4] = {{0, WANT_WHOLE, NULL, 0}, {1 << 20, WANT_DELTA, (uint8_t *)"sig", 3},
		{3, WANT_DELTA_INPLACE, (uint8_t *)"", 0},
		{4, WANT_UNLESS, (uint8_t *)"0123456789abcdef", 16}};
	struct want_item got;
	uint64_t dir;
	size_t n;
	bool last;

	(void)state;
	msg_want_begin(&out, 9, 4, true);
	for (size_t i = 0; i < 4; i++)
		msg_want_item(&out, &items[i]);
	struct cursor c = reader();
	assert_int_equal(msg_want_decode(&c, &dir, &n, &last, &err), 0);
	assert_int_equal(dir, 9);
	assert_int_equal(n, 4);
	assert_true(last);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(msg_want_next(&c, &got, &err), 0);
		assert_int_equal(got.index, items[i].index);
		assert_int_equal(got.kind, items[i].kind);
		assert_int_equal(got.data_len, items[i].data_len);
		if (got.data_len)
			assert_memory_equal(got.data, items[i].data, got.data_len);
	}
	check_cuts(MSG_WANT, false);
	buf_clear(&out);
	msg_want_begin(&out, 9, 1000, true);
	refused(MSG_WANT);
	buf_clear(&out);
	msg_want_begin(&out, UINT64_MAX, 0, true);
	refused(MSG_WANT);
}

static void pack_round_trip(void **state)
{
	struct pack_file files[4] = {
		{.index = 0, .status = FILE_OK, .data = (uint8_t *)"abc", .size = 3, .tag = "t"},
		{.index = 1, .status = FILE_VANISHED},
		{.index = 2, .status = FILE_OK, .data = NULL, .size = 0, .tag = "u"},
		{.index = 1 << 30, .status = FILE_SAME}};
	struct pack_file got;
	uint64_t dir;

	(void)state;
	msg_pack_begin(&out, 12);
	for (size_t i = 0; i < 4; i++)
		msg_pack_file(&out, &files[i]);
	struct cursor c = reader();
	assert_int_equal(msg_pack_decode(&c, &dir, &err), 0);
	assert_int_equal(dir, 12);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(msg_pack_next(&c, &got, &err), 1);
		assert_int_equal(got.index, files[i].index);
		assert_int_equal(got.status, files[i].status);
		assert_int_equal(got.size, files[i].size);
		if (got.size)
			assert_memory_equal(got.data, files[i].data, got.size);
		assert_memory_equal(got.tag, files[i].tag, sizeof(got.tag));
	}
	assert_int_equal(msg_pack_next(&c, &got, &err), 0);
	check_stream_cuts(MSG_PACK);
	buf_put_u8(&out, 7); /* index 0, status 7 */
	refused(MSG_PACK);
	buf_clear(&out);
	msg_pack_begin(&out, 1);
	buf_put_u8(&out, 0);
	buf_put_varint(&out, PACK_FILE_MAX + 1);
	assert_non_null(buf_reserve(&out, PACK_FILE_MAX + 17));
	memset(out.data + out.len, 0, PACK_FILE_MAX + 17);
	out.len += PACK_FILE_MAX + 17;
	refused(MSG_PACK);
}

static void chunk_round_trip(void **state)
{
	struct msg_chunk m = {4, 5, CHUNK_FIRST | CHUNK_LAST, FILE_OK, "tag", {0, 0}};
	struct msg_chunk got;
	struct chunk_record recs[3] = {{.op = CHUNK_DATA, .len = 4, .data = (uint8_t *)"data"},
		{.op = CHUNK_HOLE, .len = 1ULL << 50},
		{.op = CHUNK_COPY, .len = 65536, .basis_offset = 1ULL << 40}};
	struct chunk_record rec;

	(void)state;
	msg_chunk_begin(&out, &m);
	for (size_t i = 0; i < 3; i++)
		msg_chunk_record(&out, &recs[i]);
	struct cursor c = reader();
	assert_int_equal(msg_chunk_decode(&got, &c, &err), 0);
	assert_int_equal(got.dir_id, 4);
	assert_int_equal(got.index, 5);
	assert_int_equal(got.flags, m.flags);
	assert_int_equal(got.status, FILE_OK);
	assert_memory_equal(got.tag, m.tag, sizeof(m.tag));
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(msg_chunk_next(&c, &rec, &err), 1);
		assert_int_equal(rec.op, recs[i].op);
		assert_int_equal(rec.len, recs[i].len);
		assert_int_equal(rec.basis_offset, recs[i].basis_offset);
		if (rec.data)
			assert_memory_equal(rec.data, "data", 4);
	}
	assert_int_equal(msg_chunk_next(&c, &rec, &err), 0);
	check_stream_cuts(MSG_CHUNK);
}

static void chunk_hostile(void **state)
{
	struct msg_chunk m = {4, 5, 0, FILE_OK, "", {0, 0}};
	struct chunk_record bad[] = {
		{.op = (enum chunk_op)4, .len = 1},
		{.op = CHUNK_HOLE, .len = 0},
		{.op = CHUNK_DATA, .len = 0, .data = (uint8_t *)""},
		{.op = CHUNK_HOLE, .len = 1ULL << 63},
		{.op = CHUNK_COPY, .len = INT64_MAX, .basis_offset = 1},
		{.op = CHUNK_COPY, .len = 1, .basis_offset = UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_clear(&out);
		msg_chunk_begin(&out, &m);
		msg_chunk_record(&out, &bad[i]);
		refused(MSG_CHUNK);
	}
	for (int status = FILE_SAME; status <= FILE_OTHER + 1; status++) {
		buf_clear(&out);
		m = (struct msg_chunk){4, 5, CHUNK_LAST, (enum file_status)status, "", {0, 0}};
		msg_chunk_begin(&out, &m);
		assert_int_equal(msg_walk(MSG_CHUNK, out.data, out.len, &err), status <= FILE_OTHER ? 0 : -1);
	}
}

static void refine_round_trip(void **state)
{
	struct delta_range ranges[2] = {{0, 16}, {4096ULL << 30, 1}};
	struct delta_range *got_ranges;
	uint64_t hashes[3] = {1, UINT64_MAX, 3};
	uint64_t *got_hashes;
	uint64_t dir;
	uint64_t index;
	size_t n;

	(void)state;
	msg_refine_req_encode(1, 2, ranges, 2, &out);
	struct cursor c = reader();
	assert_int_equal(msg_refine_req_decode(&dir, &index, &got_ranges, &n, &c, &err), 0);
	assert_int_equal(dir, 1);
	assert_int_equal(index, 2);
	assert_int_equal(n, 2);
	assert_int_equal(got_ranges[1].basis_offset, ranges[1].basis_offset);
	assert_int_equal(got_ranges[0].pieces, 16);
	free(got_ranges);
	check_cuts(MSG_REFINE_REQ, false);

	buf_clear(&out);
	msg_refine_encode(1, 2, hashes, 3, &out);
	c = reader();
	assert_int_equal(msg_refine_decode(&dir, &index, &got_hashes, &n, &c, &err), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(got_hashes, hashes, sizeof(hashes));
	free(got_hashes);
	check_cuts(MSG_REFINE, false);

	for (uint32_t pieces = 0; pieces <= REFINE_PIECES_MAX; pieces += REFINE_PIECES_MAX) {
		buf_clear(&out);
		ranges[0].pieces = pieces; /* none; with the other range one too many */
		msg_refine_req_encode(1, 2, ranges, 2, &out);
		refused(MSG_REFINE_REQ);
	}
	buf_clear(&out);
	buf_put(&out, "\1\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 12);
	refused(MSG_REFINE_REQ);
	refused(MSG_REFINE);
}

/* Random bytes into every decoder: nothing but errors and lucky guesses. */
static void noise(void **state)
{
	uint8_t data[64];
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof(data); i += 8) {
			seed = hash64(&seed, sizeof(seed), (uint64_t)round);
			uint64_t mask = round % 3 ? seed : seed & 0x0303030303030303;
			memcpy(data + i, &mask, 8);
		}
		struct err e = {0};
		msg_walk((enum msg_type)(round % (MSG_BYE + 1)), data, (size_t)(seed % sizeof(data)), &e);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(frame_headers),
		T(start_round_trip),
		T(start_hostile),
		T(hello_round_trip),
		T(session_keys_agree),
		T(fatal_round_trip),
		T(event_round_trip),
		T(idmap_round_trip),
		T(fingerprint_messages),
		T(table_round_trip),
		T(summary_round_trip),
		T(list_path_and_done),
		T(want_round_trip),
		T(pack_round_trip),
		T(chunk_round_trip),
		T(chunk_hostile),
		T(refine_round_trip),
		T(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
