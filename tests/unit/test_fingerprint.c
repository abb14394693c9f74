/* Fingerprints of real trees: equal trees are equal, any difference that is compared shows, any that is not does not. */
#include "os_scratch.h"

#include "sync/fingerprint.h"
#include "sync/report.h"

#include <sys/xattr.h>

static struct sync_options o;
static struct plan_rules rules;
static bool clean_only;

static void fault(void *ctx, const char *path, const struct err *e)
{
	(void)ctx;
	fail_msg("%s: %s", path, e->text);
}

static int setup(void **state)
{
	sync_options_init(&o);
	clean_only = false;
	rules = (struct plan_rules){.perms = true,
		.times = true,
		.dir_times = true,
		.link_times = true,
		.owner = true,
		.group = true,
		.xattrs = true,
		.acls = true};
	return scratch_setup(state);
}

static int teardown(void **state)
{
	sync_options_release(&o);
	return scratch_teardown(state);
}

/* Scan the directory `name`; release it with fp_release(). */
static struct fp_tree scan(struct scratch *s, const char *name)
{
	struct progress progress = {0};
	struct err e = {0};
	struct fp_tree t;
	int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct source *source = source_open_here(&o, fd, NULL, NULL, &e);

	assert_non_null(source);
	source_set_reporter(source, fault, NULL);
	struct fp_params p = {.source = source,
		.pool = pool_new(3),
		.rules = &rules,
		.seed = 42,
		.file_keys = true,
		.clean_only = clean_only,
		.progress = &progress};
	fp_scan(&t, &p);
	pool_free(p.pool);
	source_free(source);
	close(fd);
	assert_true(t.complete);
	return t;
}

static struct hash128 root_of(struct scratch *s, const char *name)
{
	struct fp_tree t = scan(s, name);
	struct hash128 root = t.root;

	fp_release(&t);
	return root;
}

static bool equal(struct scratch *s)
{
	return hash128_equal(root_of(s, "a"), root_of(s, "b"));
}

static int set_time(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	const struct timespec when[2] = {{1000000000, 0}, {1234567890, 500}};

	(void)st;
	(void)kind;
	(void)ftw;
	return utimensat(AT_FDCWD, path, when, AT_SYMLINK_NOFOLLOW);
}

/* Everything below gets the same time, so that only what a test does differs. */
static void settle(struct scratch *s)
{
	assert_int_equal(nftw(s->path, set_time, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void make_tree(struct scratch *s, const char *name)
{
	assert_int_equal(mkdirat(s->fd, name, 0755), 0);
	int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(fd, "sub", 0755);
	mkdirat(fd, "sub/deep", 0755);
	mkdirat(fd, "empty", 0755);
	put_file_at(fd, "file", "content");
	put_file_at(fd, "sub/file", "other");
	put_file_at(fd, "sub/deep/x", "x");
	symlinkat("file", fd, "link");
	mkfifoat(fd, "pipe", 0600);
	put_file_at(fd, "one", "1");
	put_file_at(fd, "two", "2");
	close(fd);
}

static void make_twins(struct scratch *s)
{
	make_tree(s, "a");
	make_tree(s, "b");
	settle(s);
	assert_true(equal(s));
}

static void equal_trees_are_equal(void **state)
{
	struct scratch *s = *state;

	make_twins(s);
	struct fp_tree t = scan(s, "a");
	assert_int_equal(t.count, 4);
	assert_int_equal(t.files, 5);
	assert_int_equal(t.bytes, 7 + 5 + 1 + 1 + 1);
	assert_string_equal(t.dirs[0].path, "");
	size_t deep = fp_find(&t, fp_path_hash("sub/deep", 42));
	assert_string_equal(t.dirs[deep].path, "sub/deep");
	assert_string_equal(t.dirs[t.dirs[deep].parent].path, "sub");
	assert_true(fp_find(&t, fp_path_hash("no/such", 42)) == SIZE_MAX);
	fp_release(&t);
}

/* Deep below one tree, then in its top directory. */
static const char *const places[] = {"b/sub/deep/x", "b/file"};

static void differs_after(struct scratch *s, const char *what)
{
	if (equal(s))
		fail_msg("%s does not show", what);
}

static void what_is_compared_shows(void **state)
{
	struct scratch *s = *state;
	const struct timespec other[2] = {{1000000000, 0}, {1234567890, 501}};

	make_twins(s);
	for (int i = 0; i < 2; i++) {
		const char *file = places[i];
		fchmodat(s->fd, file, 0600, 0);
		differs_after(s, "a mode");
		fchmodat(s->fd, file, 0644, 0);
		assert_true(equal(s));
		utimensat(s->fd, file, other, 0);
		differs_after(s, "a nanosecond");
		settle(s);
		put_file_at(s->fd, file, "a longer content");
		settle(s);
		differs_after(s, "a size");
		put_file_at(s->fd, file, i ? "content" : "x");
		settle(s);
		assert_true(equal(s));
		if (geteuid() != 0)
			continue;
		assert_int_equal(fchownat(s->fd, file, 12345, (gid_t)-1, 0), 0);
		differs_after(s, "an owner");
		assert_int_equal(fchownat(s->fd, file, 0, 12345, 0), 0);
		differs_after(s, "a group");
		assert_int_equal(fchownat(s->fd, file, 0, 0, 0), 0);
		assert_true(equal(s));
	}
}

static void names_kinds_and_targets_show(void **state)
{
	struct scratch *s = *state;

	make_twins(s);
	renameat(s->fd, "b/sub/file", s->fd, "b/sub/renamed");
	settle(s);
	differs_after(s, "a name");
	renameat(s->fd, "b/sub/renamed", s->fd, "b/sub/file");
	put_file_at(s->fd, "b/empty/.new", "");
	settle(s);
	differs_after(s, "a new file");
	unlinkat(s->fd, "b/empty/.new", 0);
	unlinkat(s->fd, "b/link", 0);
	symlinkat("elif", s->fd, "b/link");
	settle(s);
	differs_after(s, "a symlink's target");
	unlinkat(s->fd, "b/link", 0);
	symlinkat("file", s->fd, "b/link");
	unlinkat(s->fd, "b/pipe", 0);
	put_file_at(s->fd, "b/pipe", "");
	fchmodat(s->fd, "b/pipe", 0600, 0);
	settle(s);
	differs_after(s, "a kind");
	unlinkat(s->fd, "b/pipe", 0);
	mkfifoat(s->fd, "b/pipe", 0600);
	renameat(s->fd, "b/sub/deep/x", s->fd, "b/empty/x");
	settle(s);
	differs_after(s, "a file in another directory");
}

static void directories_and_the_root_itself_show(void **state)
{
	struct scratch *s = *state;

	make_twins(s);
	fchmodat(s->fd, "b/empty", 0700, 0);
	differs_after(s, "a directory's mode");
	fchmodat(s->fd, "b/empty", 0755, 0);
	fchmodat(s->fd, "b", 0700, 0);
	differs_after(s, "the root's mode");
}

static void attributes_show(void **state)
{
	struct scratch *s = *state;
	char path[1024];

	make_twins(s);
	snprintf(path, sizeof(path), "%s/b/sub/deep/x", s->path);
	if (setxattr(path, "user.colour", "blue", 4, 0) != 0)
		skip(); /* a file system without them */
	differs_after(s, "an extended attribute");
	o.xattrs = false;
	assert_true(equal(s));
}

static void content_shows_with_checksums_only(void **state)
{
	struct scratch *s = *state;

	make_twins(s);
	put_file_at(s->fd, "b/file", "tnetnoc");
	settle(s);
	assert_true(equal(s));
	o.checksum = rules.checksum = true;
	differs_after(s, "a content");
	put_file_at(s->fd, "b/file", "content");
	settle(s);
	assert_true(equal(s));
}

static void what_is_not_compared_does_not_show(void **state)
{
	struct scratch *s = *state;
	const struct timespec other[2] = {{1, 0}, {1, 0}};

	make_twins(s);
	rules = (struct plan_rules){.times = true};
	fchmodat(s->fd, "b/file", 0600, 0);
	fchmodat(s->fd, "b/sub", 0700, 0);
	utimensat(s->fd, "b/sub/deep", other, 0);
	utimensat(s->fd, "b/link", other, AT_SYMLINK_NOFOLLOW);
	if (geteuid() == 0)
		assert_int_equal(fchownat(s->fd, "b/file", 12345, 12345, 0), 0);
	assert_true(equal(s));
	utimensat(s->fd, "b/sub/file", other, 0);
	differs_after(s, "a time");
	rules = (struct plan_rules){.size_only = true};
	assert_true(equal(s));
}

static struct hash128 row_of(struct scratch *s, const char *tree, const char *path)
{
	struct fp_tree t = scan(s, tree);
	size_t i = fp_find(&t, fp_path_hash(path, 42));

	assert_true(i != SIZE_MAX);
	struct hash128 row = t.dirs[i].row.tree;
	fp_release(&t);
	return row;
}

static void a_renamed_subtree_is_recognised(void **state)
{
	struct scratch *s = *state;

	make_twins(s);
	renameat(s->fd, "b/sub", s->fd, "b/empty/elsewhere");
	settle(s);
	assert_true(hash128_equal(row_of(s, "a", "sub"), row_of(s, "b", "empty/elsewhere")));
	assert_true(hash128_equal(row_of(s, "a", "sub/deep"), row_of(s, "b", "empty/elsewhere/deep")));
	assert_false(hash128_equal(row_of(s, "a", "empty"), row_of(s, "b", "empty")));
	assert_false(equal(s));
}

static void an_untouched_subtree_keeps_its_fingerprint(void **state)
{
	struct scratch *s = *state;

	make_twins(s);
	put_file_at(s->fd, "b/new", "");
	settle(s);
	assert_false(equal(s));
	assert_true(hash128_equal(row_of(s, "a", "sub"), row_of(s, "b", "sub")));
	put_file_at(s->fd, "b/sub/deep/new", "");
	settle(s);
	assert_false(hash128_equal(row_of(s, "a", "sub"), row_of(s, "b", "sub")));
}

/* Four equal files, hard-linked as pairs in two ways: only who goes with whom differs. */
static void link_pairs(struct scratch *s, const char *tree, const char *const pairs[2][2])
{
	int fd;

	mkdirat(s->fd, tree, 0755);
	fd = openat(s->fd, tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(fd, "d", 0755);
	for (int i = 0; i < 2; i++) {
		put_file_at(fd, pairs[i][0], "same");
		assert_int_equal(linkat(fd, pairs[i][0], fd, pairs[i][1], 0), 0);
	}
	close(fd);
}

static void hard_links_grouped_otherwise_show(void **state)
{
	static const char *const one_way[2][2] = {{"1", "2"}, {"d/3", "d/4"}};
	static const char *const same_way[2][2] = {{"d/4", "d/3"}, {"2", "1"}};
	static const char *const other_way[2][2] = {{"1", "d/3"}, {"2", "d/4"}};
	struct scratch *s = *state;

	link_pairs(s, "a", one_way);
	link_pairs(s, "b", same_way);
	link_pairs(s, "c", other_way);
	settle(s);
	assert_true(hash128_equal(root_of(s, "a"), root_of(s, "b")));
	assert_false(hash128_equal(root_of(s, "a"), root_of(s, "c")));
	o.hard_links = false;
	assert_true(hash128_equal(root_of(s, "a"), root_of(s, "c")));
}

static void hard_linked_is_not_twice_the_same(void **state)
{
	struct scratch *s = *state;

	make_twins(s);
	put_file_at(s->fd, "a/two", "1");
	unlinkat(s->fd, "b/two", 0);
	linkat(s->fd, "b/one", s->fd, "b/two", 0);
	settle(s);
	differs_after(s, "a hard link");
}

/* A link to a file outside the tree is no group here: the other side cannot have it. */
static void a_link_out_of_the_tree_does_not_show(void **state)
{
	struct scratch *s = *state;

	make_twins(s);
	linkat(s->fd, "b/one", s->fd, "outside", 0);
	assert_true(equal(s));
}

/* At a source they mean nothing; a destination that has them is not done. */
static void left_overs_are_noticed(void **state)
{
	struct scratch *s = *state;

	make_twins(s);
	put_file_at(s->fd, "b/sub/.wherry.0123456789abcdef.t", "half");
	settle(s);
	assert_true(equal(s));
	clean_only = true;
	assert_false(equal(s));
	assert_false(hash128_equal(row_of(s, "a", "sub"), row_of(s, "b", "sub")));
	assert_true(hash128_equal(row_of(s, "a", "sub/deep"), row_of(s, "b", "sub/deep")));
}

static void files_that_might_have_moved_are_known(void **state)
{
	struct scratch *s = *state;
	struct entry en = {.size = 5, .mtime = {1234567890, 500}};

	make_twins(s);
	struct fp_tree t = scan(s, "a");
	assert_true(u64map_get(&t.file_keys, fp_file_key(&en), NULL));
	en.size = 6;
	assert_false(u64map_get(&t.file_keys, fp_file_key(&en), NULL));
	fp_release(&t);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(equal_trees_are_equal),
		IN_SCRATCH(what_is_compared_shows),
		IN_SCRATCH(names_kinds_and_targets_show),
		IN_SCRATCH(directories_and_the_root_itself_show),
		IN_SCRATCH(attributes_show),
		IN_SCRATCH(content_shows_with_checksums_only),
		IN_SCRATCH(what_is_not_compared_does_not_show),
		IN_SCRATCH(a_renamed_subtree_is_recognised),
		IN_SCRATCH(an_untouched_subtree_keeps_its_fingerprint),
		IN_SCRATCH(hard_links_grouped_otherwise_show),
		IN_SCRATCH(hard_linked_is_not_twice_the_same),
		IN_SCRATCH(a_link_out_of_the_tree_does_not_show),
		IN_SCRATCH(left_overs_are_noticed),
		IN_SCRATCH(files_that_might_have_moved_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
