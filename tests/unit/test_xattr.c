#include "os_scratch.h"

#include "os/xattr.h"

#include <sys/xattr.h>

enum { CALL_SETXATTRAT = 463, CALL_REMOVEXATTRAT = 466 };
enum { BLOB_MAX = 1 << 20 };

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* user::rw- user:1000:rw- group::r-- group:2000:r-x mask::rwx other::--- */
static const uint8_t acl[] = {2, 0, 0, 0,                              /* version */
	1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 6, 0, 0xe8, 3, 0, 0, /* owner, user 1000 */
	4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 8, 0, 5, 0, 0xd0, 7, 0, 0, /* group, group 2000 */
	16, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};

static void put_item(struct buf *b, const char *name, const void *value, size_t len)
{
	buf_put_str(b, name);
	buf_put_blob(b, value, len);
}

/* Can the scratch file system hold user. attributes and ACLs? */
static bool has_xattrs(struct scratch *s)
{
	put_file_at(s->fd, "probe", "");
	int fd = openat(s->fd, "probe", O_RDWR | O_CLOEXEC);
	bool ok = fsetxattr(fd, "user.x", "1", 1, 0) == 0 &&
		  fsetxattr(fd, ACL_ACCESS, acl, sizeof(acl), 0) == 0;

	close(fd);
	unlinkat(s->fd, "probe", 0);
	return ok;
}

static void assert_reads_as(struct scratch *s, const char *name, unsigned which, const struct buf *want)
{
	struct buf got;

	buf_init(&got, BLOB_MAX);
	assert_int_equal(xattr_read(s->fd, name, which, &got), 0);
	assert_int_equal(got.len, want->len);
	if (want->len)
		assert_memory_equal(got.data, want->data, want->len);
	assert_true(xattr_blob_ok(got.data, got.len));
	buf_release(&got);
}

static void assert_applies(struct scratch *s, const char *name, unsigned which, const struct buf *b)
{
	char failed[XATTR_FAILED_BYTES];

	if (xattr_apply(s->fd, name, which, b->data, b->len, failed) != 0) {
		print_error("%s: %s: %s\n", name, failed, strerror(errno));
		fail();
	}
}

static void none_is_empty(struct scratch *s)
{
	struct buf empty;

	buf_init(&empty, BLOB_MAX);
	put_file_at(s->fd, "file", "");
	assert_int_equal(mkdirat(s->fd, "dir", 0755), 0);
	assert_int_equal(symlinkat("none", s->fd, "link"), 0);
	assert_int_equal(mkfifoat(s->fd, "fifo", 0600), 0);
	static const char *const names[] = {"file", "dir", "link", "fifo"};
	for (size_t i = 0; i < 4; i++) {
		assert_reads_as(s, names[i], XATTR_USER | XATTR_ACL, &empty);
		assert_applies(s, names[i], XATTR_USER | XATTR_ACL, &empty);
	}
	assert_int_equal(xattr_read(s->fd, "missing", XATTR_USER, &empty), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(xattr_apply(s->fd, "missing", XATTR_USER, NULL, 0, NULL), -1);
	assert_int_equal(errno, ENOENT);
	int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(xattr_read(proc, "status", XATTR_USER | XATTR_ACL, &empty), 0);
	assert_int_equal(empty.len, 0);
	close(proc);
}

static void sets_and_removes(struct scratch *s)
{
	struct buf b;
	char *big = malloc(3000);

	if (!has_xattrs(s)) {
		free(big);
		return;
	}
	memset(big, 'B', 3000);
	put_file_at(s->fd, "file", "");
	buf_init(&b, BLOB_MAX);
	put_item(&b, "user.a", "1", 1);
	put_item(&b, "user.ab", big, 3000);
	put_item(&b, "user.b\xff\n", "\0\1\2", 3);
	put_item(&b, "user.empty", "", 0);
	assert_applies(s, "file", XATTR_USER, &b);
	assert_reads_as(s, "file", XATTR_USER, &b);
	buf_clear(&b);
	put_item(&b, "user.0", "new", 3);
	put_item(&b, "user.a", "2", 1);
	put_item(&b, "user.z", "", 0);
	assert_applies(s, "file", XATTR_USER, &b);
	assert_reads_as(s, "file", XATTR_USER, &b);
	buf_clear(&b);
	assert_reads_as(s, "file", XATTR_ACL, &b);
	assert_applies(s, "file", XATTR_ACL, &b);
	struct buf still;
	buf_init(&still, BLOB_MAX);
	assert_int_equal(xattr_read(s->fd, "file", XATTR_USER, &still), 0);
	assert_true(still.len > 0);
	buf_release(&still);
	assert_applies(s, "file", XATTR_USER, &b);
	assert_reads_as(s, "file", XATTR_USER, &b);
	buf_release(&b);
	free(big);
}

static void many_names(struct scratch *s)
{
	struct buf b;
	char name[64];

	if (!has_xattrs(s))
		return;
	put_file_at(s->fd, "file", "");
	buf_init(&b, BLOB_MAX);
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "user.a-rather-long-name-%02d", i);
		put_item(&b, name, "x", 1);
	}
	assert_applies(s, "file", XATTR_USER, &b);
	assert_reads_as(s, "file", XATTR_USER, &b);
	buf_clear(&b);
	assert_applies(s, "file", XATTR_USER, &b);
	assert_reads_as(s, "file", XATTR_USER, &b);
	buf_release(&b);
}

static void by_descriptor(struct scratch *s)
{
	struct buf b;
	struct buf got;

	if (!has_xattrs(s))
		return;
	put_file_at(s->fd, "file", "");
	buf_init(&b, BLOB_MAX);
	buf_init(&got, BLOB_MAX);
	put_item(&b, "user.a", "1", 1);
	static const int flags[] = {O_RDWR, O_RDONLY, O_PATH | O_NOFOLLOW};
	for (size_t i = 0; i < 3; i++) {
		int fd = openat(s->fd, "file", flags[i] | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(xattr_apply_fd(fd, XATTR_USER, b.data, b.len, NULL), 0);
		buf_clear(&got);
		buf_put(&got, "before", 6);
		assert_int_equal(xattr_read_fd(fd, XATTR_USER, &got), 0);
		assert_int_equal(got.len, 6 + b.len);
		assert_memory_equal(got.data, "before", 6);
		assert_memory_equal(got.data + 6, b.data, b.len);
		assert_int_equal(xattr_apply_fd(fd, XATTR_USER, NULL, 0, NULL), 0);
		buf_clear(&got);
		assert_int_equal(xattr_read_fd(fd, XATTR_USER, &got), 0);
		assert_int_equal(got.len, 0);
		close(fd);
	}
	buf_release(&b);
	buf_release(&got);
}

static mode_t mode_of(struct scratch *s, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static void acls(struct scratch *s)
{
	struct buf b;

	if (!has_xattrs(s))
		return;
	buf_init(&b, BLOB_MAX);
	put_file_at(s->fd, "file", "");
	assert_int_equal(fchmodat(s->fd, "file", 0600, 0), 0);
	put_item(&b, ACL_ACCESS, acl, sizeof(acl));
	assert_applies(s, "file", XATTR_ACL, &b);
	assert_reads_as(s, "file", XATTR_ACL, &b);
	assert_int_equal(mode_of(s, "file"), 0670); /* the mask shows as the group's bits */
	assert_int_equal(mkdirat(s->fd, "dir", 0750), 0);
	put_item(&b, ACL_DEFAULT, acl, sizeof(acl));
	assert_applies(s, "dir", XATTR_ACL, &b);
	assert_reads_as(s, "dir", XATTR_ACL, &b);
	struct buf none;
	buf_init(&none, BLOB_MAX);
	assert_reads_as(s, "dir", XATTR_USER, &none);
	assert_applies(s, "dir", XATTR_USER, &none);
	assert_reads_as(s, "dir", XATTR_ACL, &b);
	assert_applies(s, "dir", XATTR_ACL, &none);
	assert_reads_as(s, "dir", XATTR_ACL, &none);
	assert_int_equal(mode_of(s, "dir") & 0700, 0600);
	buf_release(&b);
}

/* One that is refused does not stop the others. */
static void failures_are_named(struct scratch *s)
{
	struct buf b;
	char failed[XATTR_FAILED_BYTES];

	if (!has_xattrs(s))
		return;
	buf_init(&b, BLOB_MAX);
	put_file_at(s->fd, "file", "");
	put_item(&b, ACL_ACCESS, "nonsense", 8);
	put_item(&b, "user.a", "1", 1);
	assert_int_equal(xattr_apply(s->fd, "file", XATTR_USER | XATTR_ACL, b.data, b.len, failed), -1);
	assert_int_equal(errno, EOPNOTSUPP); /* no version that the kernel knows */
	assert_string_equal(failed, ACL_ACCESS);
	buf_clear(&b);
	put_item(&b, "user.a", "1", 1);
	assert_reads_as(s, "file", XATTR_USER, &b);
	assert_int_equal(symlinkat("file", s->fd, "link"), 0);
	assert_int_equal(xattr_apply(s->fd, "link", XATTR_USER, b.data, b.len, failed), -1);
	assert_int_equal(errno, EPERM);
	assert_string_equal(failed, "user.a");
	assert_int_equal(xattr_apply(s->fd, "file", XATTR_USER, (const uint8_t *)"\x06user.", 6, failed), -1);
	assert_int_equal(errno, EINVAL);
	assert_string_equal(failed, "");
	buf_release(&b);
}

static void bounded_output(struct scratch *s)
{
	struct buf b;

	if (!has_xattrs(s))
		return;
	buf_init(&b, BLOB_MAX);
	put_file_at(s->fd, "file", "");
	put_item(&b, "user.a", "0123456789", 10);
	assert_applies(s, "file", XATTR_USER, &b);
	struct buf tiny;
	buf_init(&tiny, 12);
	buf_put(&tiny, "abc", 3);
	assert_int_equal(xattr_read(s->fd, "file", XATTR_USER, &tiny), -1);
	assert_int_equal(errno, EOVERFLOW);
	assert_int_equal(tiny.len, 3);
	assert_false(tiny.overflow);
	buf_release(&tiny);
	buf_release(&b);
}

static void read_only_file_of_an_ordinary_user(struct scratch *s)
{
	struct buf b;

	become_ordinary(s);
	if (!has_xattrs(s))
		return;
	buf_init(&b, BLOB_MAX);
	put_file_at(s->fd, "file", "");
	assert_int_equal(fchmodat(s->fd, "file", 0440, 0), 0);
	put_item(&b, "user.a", "1", 1);
	put_item(&b, "user.b", "2", 1);
	assert_applies(s, "file", XATTR_USER, &b);
	assert_reads_as(s, "file", XATTR_USER, &b);
	assert_int_equal(mode_of(s, "file"), 0440);
	int fd = openat(s->fd, "file", O_RDONLY | O_CLOEXEC);
	assert_int_equal(xattr_apply_fd(fd, XATTR_USER, NULL, 0, NULL), 0);
	close(fd);
	buf_clear(&b);
	assert_reads_as(s, "file", XATTR_USER, &b);
	assert_int_equal(mode_of(s, "file"), 0440);
	char failed[XATTR_FAILED_BYTES];
	put_item(&b, "trusted.x", "1", 1);
	assert_int_equal(xattr_apply(s->fd, "file", XATTR_USER, b.data, b.len, failed), -1);
	assert_int_equal(errno, EPERM);
	assert_string_equal(failed, "trusted.x");
	buf_release(&b);
}

static void (*const everywhere[])(struct scratch *s) = {none_is_empty, sets_and_removes, many_names,
	by_descriptor, acls, failures_are_named, bounded_output, read_only_file_of_an_ordinary_user};

static size_t current;

static void without_new_calls(struct scratch *s)
{
	if (!lose_syscalls(CALL_SETXATTRAT, CALL_REMOVEXATTRAT))
		return;
	assert_int_equal(syscall(CALL_SETXATTRAT, 0, 0, 0, 0, 0, 0), -1);
	assert_int_equal(errno, ENOSYS);
	everywhere[current](s);
}

static void this_kernel(struct scratch *s)
{
	everywhere[current](s);
}

static void run_everywhere(void (*how)(struct scratch *s))
{
	for (current = 0; current < sizeof(everywhere) / sizeof(everywhere[0]); current++) {
		void *s;
		assert_int_equal(scratch_setup(&s), 0);
		run_in_child(how, s);
		assert_int_equal(scratch_teardown(&s), 0);
	}
}

static void with_this_kernel(void **state)
{
	(void)state;
	run_everywhere(this_kernel);
}

static void with_an_old_kernel(void **state)
{
	(void)state;
	run_everywhere(without_new_calls);
}

static void as_root_more_is_copied(void **state)
{
	struct scratch *s = *state;
	struct buf b;

	if (geteuid() != 0 || !has_xattrs(s))
		skip();
	buf_init(&b, BLOB_MAX);
	put_file_at(s->fd, "file", "");
	/* cap_net_raw=ep */
	static const uint8_t cap[20] = {1, 0, 0, 2, 0, 0x20};
	put_item(&b, "security.capability", cap, sizeof(cap));
	put_item(&b, "trusted.t", "1", 1);
	put_item(&b, "user.u", "2", 1);
	assert_applies(s, "file", XATTR_USER, &b);
	assert_reads_as(s, "file", XATTR_USER, &b);
	buf_clear(&b);
	assert_applies(s, "file", XATTR_USER, &b);
	assert_reads_as(s, "file", XATTR_USER, &b);
	buf_release(&b);
}

/* The blob alone */

struct case_blob {
	const char *bytes;
	size_t len;
	bool ok;
};

#define BLOB(text, good)                                                                                     \
	{                                                                                                    \
		(text), sizeof(text) - 1, (good)                                                             \
	}

static void blobs_are_checked(void **state)
{
	static const struct case_blob cases[] = {
		BLOB("", true), BLOB("\6user.a\1x", true), BLOB("\6user.a\0", true),
		BLOB("\6user.a\1x\6user.b\0", true), BLOB("\11trusted.t\0\6user.a\1x", true),
		BLOB("\27system.posix_acl_access\1x", true),
		BLOB("\27system.posix_acl_access\0\30system.posix_acl_default\0", true),
		BLOB("\6user.b\1x\6user.a\1x", false),        /* not sorted */
		BLOB("\6user.a\1x\6user.a\1x", false),        /* twice */
		BLOB("\7user.ab\0\6user.a\0", false),         /* the shorter first */
		BLOB("\6user.a\2x", false),                   /* cut */
		BLOB("\6user.a", false),                      /* no value */
		BLOB("\7user.a", false), BLOB("\0\0", false), /* no name */
		BLOB("\6user.a\201\0x", false),               /* not the shortest length */
		BLOB("\206\0user.a\1x", false),
		BLOB("\6user.a\377\377\377\377\17x", false), /* length of 4 GiB */
		BLOB("\6us\0r.a\0", false),                  /* NUL inside */
		BLOB("\5user.\0", false),                    /* nothing behind the dot */
		BLOB("\5other\0", false),                    /* unknown namespace */
		BLOB("\13system.data\0", false), BLOB("\30system.posix_acl_access2\0", false),
		BLOB("\20system.nfs4_acl\0", false), BLOB("\6user.a\1x\0", false), /* something behind */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* exact allocation: the sanitizer sees a read beyond */
		uint8_t *copy = malloc(cases[i].len + !cases[i].len);
		memcpy(copy, cases[i].bytes, cases[i].len);
		if (xattr_blob_ok(copy, cases[i].len) != cases[i].ok)
			print_error("case %zu\n", i);
		assert_int_equal(xattr_blob_ok(copy, cases[i].len), cases[i].ok);
		free(copy);
	}
	assert_true(xattr_blob_ok(NULL, 0));
}

static uint32_t add_one_to_users(void *ctx, bool is_group, uint32_t id)
{
	(*(int *)ctx)++;
	return is_group ? id + 10 : id + 1;
}

static void acl_ids_are_mapped(void **state)
{
	struct buf b;
	struct buf out;
	struct buf want;
	uint8_t mapped[sizeof(acl)];
	int calls = 0;

	(void)state;
	memcpy(mapped, acl, sizeof(acl));
	mapped[16] += 1;
	mapped[32] += 10;
	buf_init(&b, BLOB_MAX);
	buf_init(&out, BLOB_MAX);
	buf_init(&want, BLOB_MAX);
	put_item(&b, ACL_ACCESS, acl, sizeof(acl));
	put_item(&b, ACL_DEFAULT, acl, sizeof(acl) - 1); /* malformed: as it is */
	put_item(&b, "user.acl", acl, sizeof(acl));
	put_item(&want, ACL_ACCESS, mapped, sizeof(acl));
	put_item(&want, ACL_DEFAULT, acl, sizeof(acl) - 1);
	put_item(&want, "user.acl", acl, sizeof(acl));
	xattr_map_acl_ids(b.data, b.len, add_one_to_users, &calls, &out);
	assert_int_equal(out.len, want.len);
	assert_memory_equal(out.data, want.data, want.len);
	assert_int_equal(calls, 2);
	buf_clear(&out);
	xattr_map_acl_ids((const uint8_t *)"\6user.a\1x\7us", 12, add_one_to_users, &calls, &out);
	assert_int_equal(out.len, 12);
	assert_memory_equal(out.data, "\6user.a\1x\7us", 12);
	buf_release(&b);
	buf_release(&out);
	buf_release(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			with_an_old_kernel), /* first: the parent must not have asked its kernel yet */
		cmocka_unit_test(with_this_kernel),
		cmocka_unit_test_setup_teardown(as_root_more_is_copied, scratch_setup, scratch_teardown),
		cmocka_unit_test(blobs_are_checked),
		cmocka_unit_test(acl_ids_are_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
