/* Where the destination is: what the last component means, what is created, and what is refused. */
#include "os_scratch.h"

#include "sync/dest_root.h"

enum { TREE, ONE_FILE };

static struct sync_options o;
static struct err e;

/* Open scratch/<name>; what became of it in *r. */
static int open_at(struct scratch *s, const char *name, int source, struct dest_root *r)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", s->path, name);
	e = (struct err){0};
	return dest_root_open(r, &o, path, source == ONE_FILE, -1, &e);
}

static int setup(void **state)
{
	sync_options_init(&o);
	return scratch_setup(state);
}

static int teardown(void **state)
{
	sync_options_release(&o);
	return scratch_teardown(state);
}

/* Is this fd the directory scratch/<name>? */
static bool is_dir(int fd, struct scratch *s, const char *name)
{
	struct stat a;
	struct stat b;

	return fstat(fd, &a) == 0 && fstatat(s->fd, name, &b, 0) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static void refused(struct scratch *s, const char *name, int source, enum err_code code)
{
	struct dest_root r;

	assert_int_equal(open_at(s, name, source, &r), -1);
	assert_int_equal(e.code, code);
	assert_true(strlen(e.text) > 0);
	dest_root_close(&r);
}

static void a_tree_goes_into_a_directory(void **state)
{
	struct scratch *s = *state;
	struct dest_root r;

	mkdirat(s->fd, "there", 0755);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_at(s, i ? "there/" : "there", TREE, &r), 0);
		assert_true(is_dir(r.fd, s, "there"));
		assert_false(r.created);
		assert_true(r.empty);
		assert_null(r.rename_to);
		dest_root_close(&r);
	}
	put_file_at(s->fd, "there/.hidden", "");
	assert_int_equal(open_at(s, "there", TREE, &r), 0);
	assert_false(r.empty);
	dest_root_close(&r);
	assert_int_equal(r.fd, -1);
}

static void the_last_component_is_made(void **state)
{
	struct scratch *s = *state;
	struct dest_root r;

	assert_int_equal(open_at(s, "new", TREE, &r), 0);
	assert_true(r.created);
	assert_true(r.empty);
	assert_true(is_dir(r.fd, s, "new"));
	dest_root_close(&r);
	assert_int_equal(open_at(s, "new/newer//", TREE, &r), 0);
	assert_true(is_dir(r.fd, s, "new/newer"));
	dest_root_close(&r);
}

static void parents_are_made_with_mkpath_only(void **state)
{
	struct scratch *s = *state;
	struct dest_root r;

	refused(s, "x/y/z", TREE, ERR_SOURCE);
	assert_false(exists_at(s->fd, "x"));
	o.mkpath = true;
	assert_int_equal(open_at(s, "x/y/z", TREE, &r), 0);
	assert_true(is_dir(r.fd, s, "x/y/z"));
	dest_root_close(&r);
}

static void a_file_is_no_place_for_a_tree(void **state)
{
	struct scratch *s = *state;

	put_file_at(s->fd, "file", "");
	refused(s, "file", TREE, ERR_SOURCE);
	refused(s, "file/", ONE_FILE, ERR_SOURCE);
	refused(s, "file/below", TREE, ERR_SOURCE);
	refused(s, "file/below", ONE_FILE, ERR_SOURCE);
}

static void one_file_may_be_renamed(void **state)
{
	struct scratch *s = *state;
	struct dest_root r;

	put_file_at(s->fd, "file", "");
	mkdirat(s->fd, "dir", 0755);
	assert_int_equal(open_at(s, "dir/new name", ONE_FILE, &r), 0);
	assert_true(is_dir(r.fd, s, "dir"));
	assert_string_equal(r.rename_to, "new name");
	assert_false(r.created);
	dest_root_close(&r);
	assert_int_equal(open_at(s, "file", ONE_FILE, &r), 0);
	assert_true(is_dir(r.fd, s, "."));
	assert_string_equal(r.rename_to, "file");
	dest_root_close(&r);
}

static void one_file_goes_into_a_directory(void **state)
{
	struct scratch *s = *state;
	struct dest_root r;

	mkdirat(s->fd, "dir", 0755);
	symlinkat("dir", s->fd, "link");
	assert_int_equal(open_at(s, "dir", ONE_FILE, &r), 0);
	assert_true(is_dir(r.fd, s, "dir"));
	assert_null(r.rename_to);
	dest_root_close(&r);
	assert_int_equal(open_at(s, "link", ONE_FILE, &r), 0);
	assert_true(is_dir(r.fd, s, "dir"));
	assert_null(r.rename_to);
	dest_root_close(&r);
	assert_int_equal(open_at(s, "new/", ONE_FILE, &r), 0);
	assert_true(r.created);
	assert_true(is_dir(r.fd, s, "new"));
	assert_null(r.rename_to);
	dest_root_close(&r);
}

/* As rsync: a directory for a single file is not made by the way. */
static void one_file_needs_its_directory(void **state)
{
	struct scratch *s = *state;
	struct dest_root r;

	refused(s, "missing/name", ONE_FILE, ERR_SOURCE);
	assert_false(exists_at(s->fd, "missing"));
	o.mkpath = true;
	assert_int_equal(open_at(s, "missing/too/name", ONE_FILE, &r), 0);
	assert_true(is_dir(r.fd, s, "missing/too"));
	assert_string_equal(r.rename_to, "name");
	dest_root_close(&r);
}

static void a_dry_run_makes_nothing(void **state)
{
	struct scratch *s = *state;
	struct dest_root r;

	o.dry_run = true;
	assert_int_equal(open_at(s, "new", TREE, &r), 0);
	assert_true(r.created);
	assert_true(r.empty);
	assert_int_equal(r.fd, -1);
	dest_root_close(&r);
	assert_false(exists_at(s->fd, "new"));
	assert_int_equal(open_at(s, "new", ONE_FILE, &r), 0);
	assert_true(is_dir(r.fd, s, "."));
	assert_string_equal(r.rename_to, "new");
	dest_root_close(&r);
}

static int open_beneath(struct scratch *s, const char *path, int source, struct dest_root *r)
{
	e = (struct err){0};
	return dest_root_open(r, &o, path, source == ONE_FILE, s->fd, &e);
}

static void a_served_root_is_not_left(void **state)
{
	static const char *const bad[] = {"..", "../x", "/../x", "dir/../../x", "out", "out/x", "/out/new"};
	struct scratch *s = *state;
	struct dest_root r;

	mkdirat(s->fd, "dir", 0755);
	symlinkat("/tmp", s->fd, "out");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (open_beneath(s, bad[i], TREE, &r) != -1)
			fail_msg("%s was opened", bad[i]);
		dest_root_close(&r);
	}
	assert_false(exists_at(s->fd, "../x"));
	assert_int_equal(open_beneath(s, "/dir", TREE, &r), 0);
	assert_true(is_dir(r.fd, s, "dir"));
	dest_root_close(&r);
	assert_int_equal(open_beneath(s, "", TREE, &r), 0);
	assert_true(is_dir(r.fd, s, "."));
	dest_root_close(&r);
	assert_int_equal(open_beneath(s, "/new", TREE, &r), 0);
	assert_true(is_dir(r.fd, s, "new"));
	dest_root_close(&r);
	assert_int_equal(open_beneath(s, "/name", ONE_FILE, &r), 0);
	assert_true(is_dir(r.fd, s, "."));
	assert_string_equal(r.rename_to, "name");
	dest_root_close(&r);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(a_tree_goes_into_a_directory),
		IN_SCRATCH(the_last_component_is_made),
		IN_SCRATCH(parents_are_made_with_mkpath_only),
		IN_SCRATCH(a_file_is_no_place_for_a_tree),
		IN_SCRATCH(one_file_may_be_renamed),
		IN_SCRATCH(one_file_goes_into_a_directory),
		IN_SCRATCH(one_file_needs_its_directory),
		IN_SCRATCH(a_dry_run_makes_nothing),
		IN_SCRATCH(a_served_root_is_not_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
