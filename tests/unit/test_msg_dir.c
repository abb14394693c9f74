/* DIR messages: every kind of entry there and back, listings in pieces, hostile names, bits and orders. */
#include "tests/unit/msg_check.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

static const uint8_t blob[] = "\6user.a\1x\6user.b\2yz";
enum { BLOB_LEN = sizeof(blob) - 1 };

static void add(struct dirlist *l, const char *name, struct entry en)
{
	struct entry *to = dirlist_add(l, name, strlen(name));

	en.name = to->name;
	en.name_len = to->name_len;
	*to = en;
}

/* Every kind of entry, with every field. */
static void sample_list(struct dirlist *l)
{
	static const uint8_t digest[ENTRY_DIGEST_BYTES] = "0123456789abcdef0123456789abcde";
	struct entry_time t = {1700000000, 123456789};

	dirlist_init(l);
	add(l, "\001first", (struct entry){.mode = S_IFREG | 0600, .size = 0, .mtime = {-5, 999999999}});
	add(l, "file-a", (struct entry){.mode = S_IFREG | 0644, .size = 12, .uid = 7, .gid = 8, .mtime = t});
	add(l, "file-b",
		(struct entry){.mode = S_IFREG | 0644,
			.size = INT64_MAX,
			.uid = 7,
			.gid = 8,
			.mtime = t,
			.digest = digest,
			.link_group = 99,
			.xattrs = blob,
			.xattrs_len = BLOB_LEN});
	add(l, "file-bb",
		(struct entry){.mode = S_IFREG | 0644,
			.size = 1,
			.uid = UINT32_MAX,
			.gid = 8,
			.mtime = {INT64_MIN, 0},
			.xattrs = blob,
			.xattrs_len = BLOB_LEN});
	add(l, "file-c",
		(struct entry){.mode = S_IFREG | 07777,
			.mtime = {INT64_MAX, 0},
			.flags = ENTRY_HIDDEN | ENTRY_PROTECTED | ENTRY_UNREADABLE});
	add(l, "g", (struct entry){.mode = S_IFDIR | 0755, .flags = ENTRY_LISTED, .mtime = t});
	add(l, "h",
		(struct entry){.mode = S_IFDIR | 0755,
			.flags = ENTRY_HAS_TREE_FP,
			.tree_fp = {5, UINT64_MAX},
			.mtime = t});
	add(l, "i", (struct entry){.mode = S_IFLNK | 0777, .target = "../x y", .size = 6, .link_group = 3});
	add(l, "j", (struct entry){.mode = S_IFCHR | 0600, .rdev = 0x103});
	add(l, "k", (struct entry){.mode = S_IFBLK | 0600, .rdev = UINT64_MAX});
	add(l, "l", (struct entry){.mode = S_IFIFO | 0600});
	add(l, "m", (struct entry){.mode = S_IFSOCK | 0600});
	add(l, "\xff\xfe", (struct entry){.mode = S_IFREG | 0600, .size = 3});
}

static void encode_dir(const struct msg_dir *head, const struct dirlist *l)
{
	struct entry_coder k = {0};

	buf_clear(&out);
	msg_dir_encode_head(head, &out);
	for (size_t i = 0; i < l->count; i++)
		msg_dir_encode_entry(&k, &l->entries[i], &out);
}

static int decode_dir(struct msg_dir *head, struct dirlist *l)
{
	struct entry_coder k = {0};
	struct cursor c = reader();

	if (msg_dir_decode_head(head, &c, &err) < 0)
		return -1;
	for (size_t i = 0; i < head->count; i++)
		if (msg_dir_decode_entry(&k, l, &c, &err) < 0)
			return -1;
	return msg_finish(&c, "DIR", &err);
}

static void expect_entry(const struct entry *a, const struct entry *b)
{
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->name_len, b->name_len);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->mtime.sec, b->mtime.sec);
	assert_int_equal(a->mtime.nsec, b->mtime.nsec);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->rdev, b->rdev);
	assert_int_equal(a->link_group, b->link_group);
	assert_int_equal(a->flags, b->flags);
	assert_memory_equal(a->tree_fp, b->tree_fp, sizeof(a->tree_fp));
	assert_int_equal(!a->target, !b->target);
	if (a->target)
		assert_string_equal(a->target, b->target);
	assert_int_equal(!a->digest, !b->digest);
	if (a->digest)
		assert_memory_equal(a->digest, b->digest, ENTRY_DIGEST_BYTES);
	assert_int_equal(a->xattrs_len, b->xattrs_len);
	if (a->xattrs_len)
		assert_memory_equal(a->xattrs, b->xattrs, a->xattrs_len);
}

static struct msg_dir sample_head(size_t count)
{
	return (struct msg_dir){.id = 5,
		.parent_id = 3,
		.flags = DIR_INCOMPLETE,
		.path = "a/b",
		.path_len = 3,
		.self = {.name = "",
			.mode = S_IFDIR | 0750,
			.uid = 1,
			.gid = 2,
			.mtime = {10, 20},
			.xattrs = blob,
			.xattrs_len = BLOB_LEN},
		.count = count};
}

static void dir_round_trip(void **state)
{
	struct dirlist l;
	struct dirlist got;
	struct msg_dir head;
	struct msg_dir got_head;

	(void)state;
	sample_list(&l);
	head = sample_head(l.count);
	encode_dir(&head, &l);
	dirlist_init(&got);
	assert_int_equal(decode_dir(&got_head, &got), 0);
	assert_int_equal(got_head.id, 5);
	assert_int_equal(got_head.parent_id, 3);
	assert_int_equal(got_head.flags, DIR_INCOMPLETE);
	assert_int_equal(got_head.path_len, 3);
	assert_memory_equal(got_head.path, "a/b", 3);
	expect_entry(&got_head.self, &head.self);
	assert_int_equal(got.count, l.count);
	for (size_t i = 0; i < l.count; i++)
		expect_entry(&got.entries[i], &l.entries[i]);
	check_cuts(MSG_DIR, false);
	dirlist_release(&got);
	dirlist_release(&l);
}

static void dir_in_pieces(void **state)
{
	struct dirlist first;
	struct dirlist second;
	struct dirlist got;
	struct msg_dir head = {.id = 1, .flags = DIR_MORE | DIR_IMPLIED, .path = "", .count = 1};
	struct msg_dir got_head;

	(void)state;
	dirlist_init(&first);
	dirlist_init(&second);
	dirlist_init(&got);
	add(&first, "m", (struct entry){.mode = S_IFREG | 0644});
	add(&second, "n", (struct entry){.mode = S_IFREG | 0644});
	encode_dir(&head, &first);
	check_cuts(MSG_DIR, false);
	assert_int_equal(decode_dir(&got_head, &got), 0);
	assert_int_equal(got_head.self.mode, 0); /* nothing is known of an implied directory */
	head.flags = DIR_CONTINUED;
	encode_dir(&head, &second);
	assert_int_equal(decode_dir(&got_head, &got), 0);
	assert_null(got_head.path);
	assert_int_equal(got.count, 2);
	/* The next piece may not go back. */
	encode_dir(&head, &first);
	assert_int_equal(decode_dir(&got_head, &got), -1);
	assert_int_equal(err.code, ERR_PROTOCOL);
	assert_int_equal(got.count, 2);
	dirlist_release(&first);
	dirlist_release(&second);
	dirlist_release(&got);
}

/* One entry that the encoder would never write. */
static void hostile_entry(const void *bytes, size_t n, const char *why)
{
	struct msg_dir head = sample_head(1);

	buf_clear(&out);
	msg_dir_encode_head(&head, &out);
	buf_put(&out, bytes, n);
	struct err e = {0};
	if (msg_walk(MSG_DIR, out.data, out.len, &e) == 0)
		fail_msg("accepted: %s", why);
	assert_int_equal(e.code, ERR_PROTOCOL);
}

#define HOSTILE(bytes, why) hostile_entry(bytes, sizeof(bytes) - 1, why)

static void dir_hostile_entries(void **state)
{
	(void)state;
	/* bits 1 = mode follows; mode 0100644 = a4 83 02 as a varint; then the size */
	struct msg_dir head = sample_head(1);
	msg_dir_encode_head(&head, &out);
	buf_put(&out, "\1\1a\xa4\x83\2\0", 7);
	assert_int_equal(msg_walk(MSG_DIR, out.data, out.len, &err), 0);

	HOSTILE("\1\0\xa4\x83\2\0\0", "empty name");
	HOSTILE("\1\1.\xa4\x83\2\0", "dot");
	HOSTILE("\1\2..\xa4\x83\2\0", "dot dot");
	HOSTILE("\1\3a/b\xa4\x83\2\0", "slash");
	HOSTILE("\1\3a\0b\xa4\x83\2\0", "NUL");
	HOSTILE("\1\x1a.wherry.0123456789abcdef.t\xa4\x83\2\0", "temporary name");
	HOSTILE("\0\1a\0", "no type");
	HOSTILE("\1\1a\xa4\3\0", "unknown type");
	HOSTILE("\1\1a\xa4\x83\x82\1\0", "mode out of range");
	HOSTILE("\x21\1\1a\xa4\x83\2\0", "prefix of nothing");
	HOSTILE("\x41\1a\xa4\x83\2\0", "a file that is listed");
	HOSTILE("\x11\1a\xa4\x83\2\0\xca\x9a\x3b\0", "nanoseconds");
	HOSTILE("\1\1a\xed\x83\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", "size over 2^63");
	HOSTILE("\1\1a\xff\xc3\2\0", "symlink without a target");
	HOSTILE("\1\1a\xff\xc3\2\3a\0b", "symlink with a NUL");
	HOSTILE("\x81\2\1a\xa4\x83\2\0\2zz", "malformed xattrs");
	HOSTILE("\x81\2\1a\xa4\x83\2\0\0", "empty xattrs");
	HOSTILE("\x80\x80\2\1a", "unknown bits");
	HOSTILE("\x81\x10\1a\xed\x83\1\1", "hard-linked directory");
}

static void dir_hostile_order(void **state)
{
	static const char *const second[] = {"b", "a", "aaa", "bb"};
	struct msg_dir head = sample_head(2);
	struct entry a = {.name = "b", .name_len = 1, .mode = S_IFREG};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct entry b = {
			.name = second[i], .name_len = (uint16_t)strlen(second[i]), .mode = S_IFREG};
		struct entry_coder k = {0};
		buf_clear(&out);
		msg_dir_encode_head(&head, &out);
		msg_dir_encode_entry(&k, &a, &out);
		msg_dir_encode_entry(&k, &b, &out);
		if (i < 3)
			refused(MSG_DIR);
		else
			assert_int_equal(msg_walk(MSG_DIR, out.data, out.len, &err), 0);
	}
}

static void dir_hostile_heads(void **state)
{
	static const char *const bad[] = {"..", "/etc", "a/../b", "a/", "a//b", "x/."};
	struct msg_dir head;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		head = sample_head(0);
		head.path = bad[i];
		head.path_len = strlen(bad[i]);
		buf_clear(&out);
		msg_dir_encode_head(&head, &out);
		refused(MSG_DIR);
	}
	head = sample_head(0);
	head.id = 0;
	buf_clear(&out);
	msg_dir_encode_head(&head, &out);
	refused(MSG_DIR);
	head = sample_head(1 << 16);
	buf_clear(&out);
	msg_dir_encode_head(&head, &out);
	refused(MSG_DIR);
	head = sample_head(0);
	head.self.mode = S_IFREG | 0644;
	buf_clear(&out);
	msg_dir_encode_head(&head, &out);
	refused(MSG_DIR);
	head = sample_head(0);
	head.flags = 1 << 6;
	buf_clear(&out);
	msg_dir_encode_head(&head, &out);
	refused(MSG_DIR);
}

static void dir_marks_what_does_not_fit(void **state)
{
	char *target = malloc(ENTRY_TARGET_MAX + 2);
	struct msg_dir head = sample_head(1);
	struct entry en = {.name = "l", .name_len = 1, .mode = S_IFLNK | 0777, .target = target};
	struct entry_coder k = {0};
	struct dirlist got;

	(void)state;
	memset(target, 't', ENTRY_TARGET_MAX + 1);
	target[ENTRY_TARGET_MAX + 1] = '\0';
	msg_dir_encode_head(&head, &out);
	msg_dir_encode_entry(&k, &en, &out);
	dirlist_init(&got);
	assert_int_equal(decode_dir(&head, &got), 0);
	assert_int_equal(got.entries[0].flags, ENTRY_UNREADABLE);
	dirlist_release(&got);
	free(target);
}

enum { MANY = 100000 };

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A listing of 100,000 files takes few bytes; the rate is printed for whoever builds without sanitizers. */
static void dir_is_compact(void **state)
{
	struct dirlist l;
	struct dirlist got;
	struct msg_dir head = sample_head(MANY);
	char name[32];

	(void)state;
	dirlist_init(&l);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "photo-%07d.jpeg", i);
		add(&l, name,
			(struct entry){.mode = S_IFREG | 0644,
				.uid = 1000,
				.gid = 1000,
				.size = 1000 + (uint64_t)i % 5000,
				.mtime = {1700000000 + i % 77, (uint32_t)(i * 7919 % 1000000000)}});
	}
	double t0 = seconds();
	encode_dir(&head, &l);
	double t1 = seconds();
	dirlist_init(&got);
	assert_int_equal(decode_dir(&head, &got), 0);
	double t2 = seconds();
	assert_int_equal(got.count, MANY);
	expect_entry(&got.entries[MANY - 1], &l.entries[MANY - 1]);
	assert_true(out.len < (size_t)MANY * 20);
	print_message("%.1f bytes an entry; encode %.1f M/s, decode %.1f M/s\n", (double)out.len / MANY,
		MANY / (t1 - t0) / 1e6, MANY / (t2 - t1) / 1e6);
	dirlist_release(&l);
	dirlist_release(&got);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(dir_round_trip),
		T(dir_in_pieces),
		T(dir_hostile_entries),
		T(dir_hostile_order),
		T(dir_hostile_heads),
		T(dir_marks_what_does_not_fit),
		T(dir_is_compact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
