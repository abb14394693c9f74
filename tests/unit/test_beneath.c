#include "os_scratch.h"

#include "os/beneath.h"

#include <limits.h>

enum { CALL_OPENAT2 = 437, CALL_FCHMODAT2 = 452 };

/* What must hold however the kernel resolves: run with openat2 and without. */

static void assert_refused(int dir_fd, const char *path, int flags)
{
	int fd = beneath_open(dir_fd, path, flags, 0600);

	if (fd >= 0)
		print_error("%s was opened\n", path);
	assert_int_equal(fd, -1);
	if (errno != EXDEV && errno != ELOOP && errno != ENOTDIR)
		print_error("%s: %s\n", path, strerror(errno));
	assert_true(errno == EXDEV || errno == ELOOP || errno == ENOTDIR);
}

static void assert_reads(int dir_fd, const char *path, const char *text)
{
	char got[64] = "";
	int fd = beneath_open(dir_fd, path, O_RDONLY, 0);

	if (fd < 0)
		print_error("%s: %s\n", path, strerror(errno));
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, text);
	close(fd);
}

/* root/ with good things in it, and a secret beside it. */
static int make_root(struct scratch *s)
{
	put_file_at(s->fd, "secret", "secret");
	assert_int_equal(mkdirat(s->fd, "outside", 0755), 0);
	put_file_at(s->fd, "outside/secret", "secret");
	assert_int_equal(mkdirat(s->fd, "root", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "root/a", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "root/a/b", 0755), 0);
	put_file_at(s->fd, "root/file", "top");
	put_file_at(s->fd, "root/a/b/file", "deep");
	put_file_at(s->fd, "root/a/..b", "dots");
	int fd = openat(s->fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void opens_what_is_there(struct scratch *s)
{
	int root = make_root(s);

	assert_reads(root, "file", "top");
	assert_reads(root, "a/b/file", "deep");
	assert_reads(root, "./a//b/./file", "deep");
	assert_reads(root, "a/..b", "dots");
	assert_int_equal(beneath_open(root, "none", O_RDONLY, 0), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(beneath_open(root, "a/none/file", O_RDONLY, 0), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(beneath_open(root, "file/x", O_RDONLY, 0), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(beneath_open(root, "file/", O_RDONLY, 0), -1);
	assert_int_equal(errno, ENOTDIR);
	int fd = beneath_open(root, "a/new", O_RDWR | O_CREAT | O_EXCL, 0640);
	assert_true(fd >= 0);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777 & ~022, 0640);
	close(fd);
	assert_int_equal(beneath_open(root, "a/new", O_RDWR | O_CREAT | O_EXCL, 0640), -1);
	assert_int_equal(errno, EEXIST);
	close(root);
}

static void empty_path_is_the_root(struct scratch *s)
{
	static const char *const names[] = {"", ".", "./", "././/."};
	int root = make_root(s);
	struct stat want;

	assert_int_equal(fstat(root, &want), 0);
	for (size_t i = 0; i < 4; i++) {
		struct stat st;
		int fd = beneath_open(root, names[i], O_RDONLY | O_DIRECTORY, 0);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_ino, want.st_ino);
		close(fd);
	}
	close(root);
}

static void dotdot_and_absolute_are_refused(struct scratch *s)
{
	static const char *const bad[] = {
		"..",
		"../",
		"../secret",
		"a/..",
		"a/../file",
		"a/../../secret",
		"./..",
		"a/b/../../../secret",
		"/",
		"/etc/passwd",
		"//etc/passwd",
		"a/b/..//file",
	};
	int root = make_root(s);
	const char *name;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_refused(root, bad[i], O_RDONLY);
		assert_int_equal(errno, EXDEV);
		assert_refused(root, bad[i], O_PATH);
		assert_int_equal(beneath_parent(root, bad[i], &name), -1);
	}
	close(root);
}

static void symlinks_are_not_followed(struct scratch *s)
{
	int root = make_root(s);
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", s->fd);
	assert_int_equal(symlinkat("../outside", root, "out"), 0);
	assert_int_equal(symlinkat(s->path, root, "abs"), 0);
	assert_int_equal(symlinkat(proc, root, "magic"), 0);
	assert_int_equal(symlinkat("a", root, "inside"), 0);
	assert_int_equal(symlinkat("../../../secret", root, "a/b/up"), 0);
	assert_int_equal(symlinkat("loop", root, "loop"), 0);
	static const char *const bad[] = {
		"out",
		"out/",
		"out/secret",
		"abs",
		"abs/secret",
		"magic",
		"magic/secret",
		"inside",
		"inside/b/file",
		"a/b/up",
		"loop",
		"loop/x",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_refused(root, bad[i], O_RDONLY);
		assert_refused(root, bad[i], O_PATH);
		assert_refused(root, bad[i], O_RDONLY | O_DIRECTORY);
		assert_refused(root, bad[i], O_PATH | O_DIRECTORY);
	}
	const char *name;
	assert_int_equal(beneath_parent(root, "out/secret", &name), -1);
	assert_int_equal(beneath_parent(root, "inside/b/file", &name), -1);
	assert_int_equal(beneath_open(root, "out/new", O_WRONLY | O_CREAT, 0644), -1);
	assert_false(exists_at(s->fd, "outside/new"));
	assert_int_equal(beneath_open(root, "a/b/up", O_WRONLY | O_TRUNC, 0), -1);
	assert_reads(s->fd, "secret", "secret");
	close(root);
}

static void symlink_itself_by_path_fd(struct scratch *s)
{
	static const char *const names[] = {"link", "a/link"};
	int root = make_root(s);

	assert_int_equal(symlinkat("../outside", root, "link"), 0);
	assert_int_equal(symlinkat("../../outside", root, "a/link"), 0);
	for (size_t i = 0; i < 2; i++) {
		struct stat st;
		int fd = beneath_open(root, names[i], O_PATH | O_NOFOLLOW, 0);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(S_ISLNK(st.st_mode));
		close(fd);
	}
	close(root);
}

static void parent_and_name(struct scratch *s)
{
	int root = make_root(s);
	const char *name = NULL;

	int fd = beneath_parent(root, "a/b/file", &name);
	assert_true(fd >= 0);
	assert_string_equal(name, "file");
	assert_reads(fd, name, "deep");
	close(fd);
	fd = beneath_parent(root, "file", &name);
	assert_true(fd >= 0);
	assert_reads(fd, name, "top");
	close(fd);
	fd = beneath_parent(root, "a/missing", &name);
	assert_true(fd >= 0);
	assert_string_equal(name, "missing");
	close(fd);
	static const char *const bad[] = {"", ".", "a/", "a/.", "a/b/"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(beneath_parent(root, bad[i], &name), -1);
		assert_int_equal(errno, EINVAL);
	}
	close(root);
}

/* A directory that is moved away while it is held leads to itself, never above. */
static void moved_directory_gives_no_way_out(struct scratch *s)
{
	int root = make_root(s);
	int held = beneath_open(root, "a", O_PATH | O_DIRECTORY, 0);

	assert_true(held >= 0);
	assert_int_equal(renameat(root, "a", s->fd, "outside/a"), 0);
	assert_reads(held, "b/file", "deep");
	assert_refused(held, "../secret", O_RDONLY);
	assert_refused(held, "b/../../secret", O_RDONLY);
	assert_int_equal(beneath_open(root, "a/b/file", O_RDONLY, 0), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(symlinkat("../outside/a", root, "a"), 0);
	assert_refused(root, "a/b/file", O_RDONLY);
	close(held);
	close(root);
}

/* 40 directories of 200 bytes each: twice PATH_MAX. Fills path, which has room for 40 * 201 + 1. */
static void make_deep(int dir_fd, char *path)
{
	char name[201];
	int fd = dup(dir_fd);

	memset(name, 'd', 200);
	name[200] = '\0';
	for (int i = 0; i < 40; i++) {
		assert_int_equal(mkdirat(fd, name, 0755), 0);
		int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
		memcpy(path + i * 201, name, 200);
		path[i * 201 + 200] = '/';
	}
	path[40 * 201] = '\0';
	put_file_at(fd, "file", "far");
	assert_int_equal(symlinkat("/etc", fd, "link"), 0);
	close(fd);
}

static void longer_than_path_max(struct scratch *s)
{
	static char path[40 * 201 + 600];
	int root = make_root(s);
	const char *name;

	make_deep(root, path);
	size_t len = strlen(path);
	assert_true(len > PATH_MAX);
	snprintf(path + len, 600, "file");
	assert_reads(root, path, "far");
	int fd = beneath_parent(root, path, &name);
	assert_true(fd >= 0);
	assert_string_equal(name, "file");
	assert_reads(fd, "file", "far");
	close(fd);
	snprintf(path + len, 600, "link/passwd");
	assert_refused(root, path, O_RDONLY);
	snprintf(path + len, 600, "../file");
	assert_refused(root, path, O_RDONLY);
	memset(path + len, 'x', 300);
	path[len + 300] = '\0';
	assert_int_equal(beneath_open(root, path, O_RDONLY, 0), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	path[len - 1] = '\0';
	char *whole = malloc(len + 600);
	assert_non_null(whole);
	snprintf(whole, len + 600, "%s/root/%s", s->path, path);
	fd = beneath_root(whole, O_RDONLY);
	free(whole);
	assert_true(fd >= 0);
	assert_reads(fd, "file", "far");
	close(fd);
	uint64_t removed = 0;
	char top[201];
	memcpy(top, path, 200);
	top[200] = '\0';
	assert_int_equal(beneath_remove_tree(root, top, &removed), 0);
	assert_int_equal(removed, 42);
	assert_false(exists_at(root, top));
	close(root);
}

static void one_long_name(struct scratch *s)
{
	int root = make_root(s);
	char *path = malloc(2 * PATH_MAX);

	assert_non_null(path);
	memset(path, 'x', 2 * PATH_MAX - 1);
	path[2 * PATH_MAX - 1] = '\0';
	assert_int_equal(beneath_open(root, path, O_RDONLY, 0), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	path[1] = '/';
	assert_int_equal(beneath_open(root, path, O_RDONLY, 0), -1);
	assert_true(errno == ENAMETOOLONG || errno == ENOENT);
	free(path);
	close(root);
}

static void chmod_changes_no_link_target(struct scratch *s)
{
	int root = make_root(s);
	struct stat st;

	assert_int_equal(symlinkat("../secret", root, "link"), 0);
	assert_int_equal(fchmodat(s->fd, "secret", 0600, 0), 0);
	assert_int_equal(beneath_chmod(root, "link", 0777), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(fstatat(s->fd, "secret", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(beneath_chmod(root, "file", 0741), 0);
	assert_int_equal(fstatat(root, "file", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0741);
	assert_int_equal(beneath_chmod(root, "a", 01700), 0);
	assert_int_equal(fstatat(root, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 01700);
	assert_int_equal(beneath_chmod(root, "none", 0700), -1);
	assert_int_equal(errno, ENOENT);
	static const char *const bad[] = {"", "..", "a/b", "../secret", "/etc"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(beneath_chmod(root, bad[i], 0700), -1);
		assert_int_equal(errno, EINVAL);
	}
	close(root);
}

static void (*const everywhere[])(struct scratch *s) = {
	opens_what_is_there,
	empty_path_is_the_root,
	dotdot_and_absolute_are_refused,
	symlinks_are_not_followed,
	symlink_itself_by_path_fd,
	parent_and_name,
	moved_directory_gives_no_way_out,
	longer_than_path_max,
	one_long_name,
	chmod_changes_no_link_target,
};

static size_t current;

static void without_new_calls(struct scratch *s)
{
	if (!lose_syscalls(CALL_OPENAT2, CALL_OPENAT2) || !lose_syscalls(CALL_FCHMODAT2, CALL_FCHMODAT2))
		return;
	assert_int_equal(syscall(CALL_OPENAT2, AT_FDCWD, "/", NULL, 0), -1);
	assert_int_equal(errno, ENOSYS);
	everywhere[current](s);
}

static void with_this_kernel(void **state)
{
	(void)state;
	for (current = 0; current < sizeof(everywhere) / sizeof(everywhere[0]); current++) {
		void *s;
		assert_int_equal(scratch_setup(&s), 0);
		everywhere[current](s);
		assert_int_equal(scratch_teardown(&s), 0);
	}
}

static void with_an_old_kernel(void **state)
{
	(void)state;
	for (current = 0; current < sizeof(everywhere) / sizeof(everywhere[0]); current++) {
		void *s;
		assert_int_equal(scratch_setup(&s), 0);
		run_in_child(without_new_calls, s);
		assert_int_equal(scratch_teardown(&s), 0);
	}
}

static void root_may_be_any_path(void **state)
{
	struct scratch *s = *state;
	char path[600];

	assert_int_equal(mkdirat(s->fd, "dir", 0755), 0);
	put_file_at(s->fd, "dir/file", "here");
	assert_int_equal(symlinkat("dir", s->fd, "link"), 0);
	snprintf(path, sizeof(path), "%s/dir/../link", s->path);
	int fd = beneath_root(path, O_PATH);
	assert_true(fd >= 0);
	assert_reads(fd, "file", "here");
	close(fd);
	snprintf(path, sizeof(path), "%s/dir/file", s->path);
	assert_int_equal(beneath_root(path, O_RDONLY), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(beneath_root("", O_RDONLY), -1);
	assert_int_equal(errno, ENOENT);
}

/* Removing trees */

static void removes_a_tree(void **state)
{
	struct scratch *s = *state;
	uint64_t removed = 7;
	int root = make_root(s);

	assert_int_equal(symlinkat("../../outside", root, "a/out"), 0);
	assert_int_equal(symlinkat(s->path, root, "a/b/abs"), 0);
	assert_int_equal(mkfifoat(root, "a/fifo", 0600), 0);
	assert_int_equal(mkdirat(root, "a/empty", 0755), 0);
	assert_int_equal(beneath_remove_tree(root, "a", &removed), 0);
	assert_int_equal(removed, 7 + 8);
	assert_false(exists_at(root, "a"));
	assert_true(exists_at(root, "file"));
	assert_true(exists_at(s->fd, "outside/secret"));
	assert_true(exists_at(s->fd, "secret"));
	assert_int_equal(beneath_remove_tree(root, "file", NULL), 0);
	assert_int_equal(beneath_remove_tree(root, "never-was", NULL), 0);
	assert_int_equal(symlinkat("../outside", root, "link"), 0);
	assert_int_equal(beneath_remove_tree(root, "link", NULL), 0);
	assert_false(exists_at(root, "link"));
	assert_true(exists_at(s->fd, "outside/secret"));
	static const char *const bad[] = {"", ".", "..", "a/b", "../secret"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(beneath_remove_tree(root, bad[i], NULL), -1);
		assert_int_equal(errno, EINVAL);
	}
	close(root);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void removes_very_deep_and_very_wide(void **state)
{
	struct scratch *s = *state;
	uint64_t removed = 0;
	int before = open_fds();
	char name[32];

	assert_int_equal(mkdirat(s->fd, "top", 0755), 0);
	int fd = openat(s->fd, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "wide%d", i);
		put_file_at(fd, name, "");
	}
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		assert_int_equal(mkdirat(fd, "e", 0755), 0);
		int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(beneath_remove_tree(s->fd, "top", &removed), 0);
	assert_int_equal(removed, 9001);
	assert_false(exists_at(s->fd, "top"));
	assert_int_equal(open_fds(), before);
}

static void as_ordinary_user(struct scratch *s)
{
	uint64_t removed = 0;

	become_ordinary(s);
	assert_int_equal(mkdirat(s->fd, "t", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "t/none", 0755), 0);
	put_file_at(s->fd, "t/none/file", "");
	assert_int_equal(mkdirat(s->fd, "t/readonly", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "t/readonly/sub", 0755), 0);
	put_file_at(s->fd, "t/readonly/file", "");
	assert_int_equal(fchmodat(s->fd, "t/readonly/sub", 0, 0), 0);
	assert_int_equal(fchmodat(s->fd, "t/readonly", 0500, 0), 0);
	assert_int_equal(fchmodat(s->fd, "t/none", 0, 0), 0);
	assert_int_equal(fchmodat(s->fd, "t", 0400, 0), 0);
	assert_int_equal(beneath_remove_tree(s->fd, "t", &removed), 0);
	assert_int_equal(removed, 6);
	/* What cannot be removed is told, the rest goes. */
	assert_int_equal(mkdirat(s->fd, "t", 0755), 0);
	put_file_at(s->fd, "t/file", "");
	assert_int_equal(fchmodat(s->fd, ".", 0500, 0), 0);
	assert_int_equal(beneath_remove_tree(s->fd, "t", NULL), -1);
	assert_int_equal(errno, EACCES);
	assert_false(exists_at(s->fd, "t/file"));
	assert_int_equal(fchmodat(s->fd, ".", 0700, 0), 0);
}

static void unreadable_directories_are_removed(void **state)
{
	run_in_child(as_ordinary_user, *state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			with_an_old_kernel), /* first: the parent must not have asked its kernel yet */
		cmocka_unit_test(with_this_kernel),
		cmocka_unit_test_setup_teardown(root_may_be_any_path, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(removes_a_tree, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			removes_very_deep_and_very_wide, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			unreadable_directories_are_removed, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
