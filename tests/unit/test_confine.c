#include "os_scratch.h"

#include "os/beneath.h"
#include "os/confine.h"
#include "os/copy.h"
#include "os/ids.h"
#include "os/spawn.h"

#include <pwd.h>

enum { CALL_LANDLOCK_FIRST = 444, CALL_LANDLOCK_LAST = 446 };

static void make_trees(struct scratch *s)
{
	static const char *const dirs[] = {"rw", "rw/a", "rw/b", "ro", "ro/a", "other"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		assert_int_equal(mkdirat(s->fd, dirs[i], 0777), 0);
	put_file_at(s->fd, "rw/a/file", "x");
	put_file_at(s->fd, "ro/a/file", "x");
	put_file_at(s->fd, "other/file", "x");
}

/* Shut the process into rw (writable) and ro. False where the kernel cannot. */
static bool confine(struct scratch *s)
{
	struct confine_path paths[] = {
		{openat(s->fd, "rw", O_PATH | O_CLOEXEC), true},
		{openat(s->fd, "ro", O_PATH | O_CLOEXEC), false},
	};
	int r = confine_to(paths, 2);

	assert_true(r >= 0);
	return r == 1;
}

static bool opens(int dir_fd, const char *path, int flags)
{
	int fd = openat(dir_fd, path, flags | O_CLOEXEC, 0644);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void inside_everything_works(struct scratch *s)
{
	make_trees(s);
	int open_before = openat(s->fd, "other/file", O_RDONLY | O_CLOEXEC);
	if (!confine(s))
		return;
	put_file_at(s->fd, "rw/a/new", "x");
	assert_true(opens(s->fd, "rw/a/new", O_RDWR | O_TRUNC));
	assert_int_equal(renameat(s->fd, "rw/a/new", s->fd, "rw/b/new"), 0);
	assert_int_equal(linkat(s->fd, "rw/b/new", s->fd, "rw/a/linked", 0), 0);
	assert_int_equal(symlinkat("x", s->fd, "rw/link"), 0);
	assert_int_equal(mkfifoat(s->fd, "rw/fifo", 0600), 0);
	assert_int_equal(mkdirat(s->fd, "rw/dir", 0700), 0);
	assert_int_equal(beneath_chmod(s->fd, "rw", 0700), 0);
	int rw = openat(s->fd, "rw", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(beneath_remove_tree(rw, "a", NULL), 0);
	assert_true(opens(s->fd, "ro/a/file", O_RDONLY));
	assert_true(opens(AT_FDCWD, "/dev/null", O_RDWR));
	assert_true(opens(AT_FDCWD, "/proc/self/status", O_RDONLY));
	char c;
	assert_int_equal(read(open_before, &c, 1), 1);
	assert_non_null(getpwuid(0));
	uint32_t id;
	assert_true(ids_group_id("root", &id));
}

static void outside_nothing_does(struct scratch *s)
{
	struct spawned child;
	struct err e;
	char *const argv[] = {(char *)"true", NULL};

	make_trees(s);
	if (!confine(s))
		return;
	assert_false(opens(s->fd, "ro/a/file", O_WRONLY));
	assert_false(opens(s->fd, "ro/new", O_WRONLY | O_CREAT));
	assert_int_equal(unlinkat(s->fd, "ro/a/file", 0), -1);
	assert_int_equal(renameat(s->fd, "ro/a/file", s->fd, "rw/file"), -1);
	assert_false(opens(s->fd, "other/file", O_RDONLY));
	assert_int_equal(errno, EACCES);
	assert_false(opens(s->fd, "other", O_RDONLY | O_DIRECTORY));
	assert_int_equal(mkdirat(s->fd, "other/dir", 0700), -1);
	assert_int_equal(unlinkat(s->fd, "other/file", 0), -1);
	assert_int_equal(renameat(s->fd, "rw/a/file", s->fd, "other/moved"), -1);
	assert_false(opens(AT_FDCWD, "/etc/shadow", O_RDONLY));
	assert_false(opens(AT_FDCWD, "/etc/hostname", O_RDONLY));
	assert_false(opens(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY));
	assert_int_equal(spawn_piped(&child, argv, 0, &e), -1);
	assert_int_equal(e.sys, EACCES);
	assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

static void as_ordinary_user(struct scratch *s)
{
	become_ordinary(s);
	outside_nothing_does(s);
}

static void old_kernel(struct scratch *s)
{
	make_trees(s);
	if (!lose_syscalls(CALL_LANDLOCK_FIRST, CALL_LANDLOCK_LAST))
		return;
	assert_false(confine(s));
	assert_true(opens(s->fd, "other/file", O_RDONLY));
	assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

static void bad_descriptor(struct scratch *s)
{
	struct confine_path path = {-1, true};
	int r = confine_to(&path, 1);

	(void)s;
	assert_true(r <= 0);
	if (r < 0)
		assert_int_equal(errno, EBADF);
	assert_true(opens(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY)); /* not half confined */
}

static void inside(void **state)
{
	run_in_child(inside_everything_works, *state);
}

static void outside(void **state)
{
	run_in_child(outside_nothing_does, *state);
}

static void outside_for_ordinary_users(void **state)
{
	run_in_child(as_ordinary_user, *state);
}

static void without_landlock(void **state)
{
	run_in_child(old_kernel, *state);
}

static void with_a_bad_descriptor(void **state)
{
	run_in_child(bad_descriptor, *state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(inside, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(outside, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(outside_for_ordinary_users, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(without_landlock, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(with_a_bad_descriptor, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
