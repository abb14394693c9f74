/* Scans of a real directory: every kind of entry, what filters and options hide, mark or leave out. */
#include "os_scratch.h"

#include "tree/scan.h"

#include <sys/sysmacros.h>

static char told[4096]; /* paths of reported faults, each with a newline */

static void note_fault(void *ctx, const char *path, const struct err *e)
{
	(void)ctx;
	assert_int_not_equal(e->code, ERR_NONE);
	assert_true(strlen(e->text) > 0);
	strncat(told, path, sizeof(told) - strlen(told) - 1);
	strncat(told, "\n", sizeof(told) - strlen(told) - 1);
}

static struct scan_options options(enum filter_side side)
{
	told[0] = '\0';
	return (struct scan_options){.side = side, .error = note_fault};
}

/* Scan the scratch directory with these rules (a NULL ends them). */
static void scan(
	struct scratch *s, const struct scan_options *o, const char *const *rules, struct dirlist *out)
{
	struct err e = {0};
	struct filter *f = filter_new();
	struct filter_dir *root = NULL;

	for (; rules && *rules; rules++)
		assert_int_equal(filter_add(f, *rules, &e), 0);
	if (!filter_empty(f))
		root = filter_root(f, s->fd, &e);
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(scan_dir(o, fd, "", root, out, &e), 0);
	close(fd);
	filter_unref(root);
	filter_free(f);
}

/* The names of a list with a space behind each; '!' hidden, '*' protected. */
static const char *names(const struct dirlist *l)
{
	static char text[1000];

	text[0] = '\0';
	for (size_t i = 0; i < l->count; i++) {
		strcat(text, l->entries[i].name);
		if (l->entries[i].flags & ENTRY_HIDDEN)
			strcat(text, "!");
		if (l->entries[i].flags & ENTRY_PROTECTED)
			strcat(text, "*");
		strcat(text, " ");
	}
	return text;
}

static void make_kinds(struct scratch *s)
{
	put_file_at(s->fd, "file", "seven b");
	assert_int_equal(mkdirat(s->fd, "dir", 0750), 0);
	assert_int_equal(symlinkat("file", s->fd, "link"), 0);
	assert_int_equal(mkfifoat(s->fd, "pipe", 0600), 0);
	assert_int_equal(linkat(s->fd, "file", s->fd, "twin", 0), 0);
	if (geteuid() == 0)
		assert_int_equal(mknodat(s->fd, "zero", S_IFCHR | 0600, makedev(1, 5)), 0);
}

static void every_kind_is_described(void **state)
{
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_SENDER);
	struct dirlist l;
	struct stat st;

	make_kinds(s);
	const struct timespec when[2] = {{1, 2}, {1234567890, 123456789}};
	utimensat(s->fd, "file", when, 0);
	fchmodat(s->fd, "file", 0604, 0);
	scan(s, &o, NULL, &l);
	const struct entry *file = dirlist_find(&l, "file");
	assert_int_equal(file->mode, S_IFREG | 0604);
	assert_int_equal(file->size, 7);
	assert_int_equal(file->mtime.sec, 1234567890);
	assert_int_equal(file->mtime.nsec, 123456789);
	assert_int_equal(file->nlink, 2);
	assert_int_equal(file->ino, dirlist_find(&l, "twin")->ino);
	assert_null(file->digest);
	assert_int_equal(fstat(s->fd, &st), 0);
	assert_int_equal(file->dev, st.st_dev);
	assert_int_equal(file->uid, geteuid());
	assert_int_equal(dirlist_find(&l, "dir")->mode, S_IFDIR | 0750);
	assert_int_equal(dirlist_find(&l, "dir")->size, 0);
	assert_string_equal(dirlist_find(&l, "link")->target, "file");
	assert_int_equal(dirlist_find(&l, "link")->size, 4);
	assert_int_equal(dirlist_find(&l, "pipe")->mode, S_IFIFO | 0600);
	if (geteuid() == 0)
		assert_int_equal(dirlist_find(&l, "zero")->rdev, makedev(1, 5));
	assert_false(l.incomplete);
	assert_false(l.partial);
	assert_string_equal(told, "");
	dirlist_release(&l);
}

static void unwanted_kinds_stay_away(void **state)
{
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_SENDER);
	struct dirlist l;

	make_kinds(s);
	o.no_links = o.no_devices = o.no_specials = true;
	scan(s, &o, NULL, &l);
	assert_string_equal(names(&l), "dir file twin ");
	dirlist_release(&l);
}

static void digests_are_those_of_the_content(void **state)
{
	/* sha256sum of the empty file and of "abc" (FIPS 180-2) */
	static const uint8_t of_nothing[4] = {0xe3, 0xb0, 0xc4, 0x42};
	static const uint8_t of_abc[4] = {0xba, 0x78, 0x16, 0xbf};
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_SENDER);
	struct dirlist l;

	put_file_at(s->fd, "empty", "");
	put_file_at(s->fd, "abc", "abc");
	mkdirat(s->fd, "dir", 0700);
	o.digests = true;
	scan(s, &o, NULL, &l);
	assert_memory_equal(dirlist_find(&l, "empty")->digest, of_nothing, 4);
	assert_memory_equal(dirlist_find(&l, "abc")->digest, of_abc, 4);
	assert_null(dirlist_find(&l, "dir")->digest);
	dirlist_release(&l);
}

static void make_filtered(struct scratch *s)
{
	put_file_at(s->fd, "a.o", "");
	put_file_at(s->fd, "hidden", "");
	put_file_at(s->fd, "keep", "");
	put_file_at(s->fd, "plain", "");
	mkdirat(s->fd, "build", 0700);
	put_file_at(s->fd, "built", "");
}

static const char *const rules[] = {"- *.o", "H hidden", "P keep", "- buil?/", NULL};

static void the_sender_does_not_see_what_is_excluded(void **state)
{
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_SENDER);
	struct dirlist l;

	make_filtered(s);
	scan(s, &o, rules, &l);
	assert_string_equal(names(&l), "built keep plain ");
	dirlist_release(&l);
}

static void the_receiver_marks_what_is_excluded(void **state)
{
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_RECEIVER);
	struct dirlist l;

	make_filtered(s);
	scan(s, &o, rules, &l);
	assert_string_equal(names(&l), "a.o!* build!* built hidden! keep* plain ");
	dirlist_release(&l);
	o.delete_excluded = true;
	scan(s, &o, rules, &l);
	assert_string_equal(names(&l), "a.o! build! built hidden! keep* plain ");
	dirlist_release(&l);
}

static void perishable_rules_do_not_save_a_doomed_directory(void **state)
{
	static const char *const perishable[] = {"-p *.o", "- keep", NULL};
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_RECEIVER);
	struct dirlist l;

	make_filtered(s);
	scan(s, &o, perishable, &l);
	assert_string_equal(names(&l), "a.o!* build built hidden keep!* plain ");
	dirlist_release(&l);
	o.doomed = true;
	scan(s, &o, perishable, &l);
	assert_string_equal(names(&l), "a.o! build built hidden keep!* plain ");
	dirlist_release(&l);
}

static void left_overs_are_kept_apart(void **state)
{
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_RECEIVER);
	struct dirlist l;

	put_file_at(s->fd, ".wherry.0123456789abcdef.t", "half");
	mkdirat(s->fd, ".wherry.fedcba9876543210.d", 0700);
	put_file_at(s->fd, ".wherry.mine", "a user's");
	put_file_at(s->fd, "file", "");
	scan(s, &o, NULL, &l);
	assert_string_equal(names(&l), ".wherry.mine file ");
	assert_int_equal(l.stale_count, 2);
	assert_true(entry_name_is_temp(l.stale[0], strlen(l.stale[0])));
	assert_true(entry_name_is_temp(l.stale[1], strlen(l.stale[1])));
	assert_string_not_equal(l.stale[0], l.stale[1]);
	dirlist_release(&l);
}

static void make_links(struct scratch *s)
{
	mkdirat(s->fd, "dir", 0700);
	put_file_at(s->fd, "file", "12345");
	symlinkat("file", s->fd, "in");
	symlinkat("dir", s->fd, "in-dir");
	symlinkat("/", s->fd, "out");
	symlinkat("..", s->fd, "up");
	symlinkat("nowhere", s->fd, "void");
}

static void unsafe_links_are_left_out(void **state)
{
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_SENDER);
	struct dirlist l;

	make_links(s);
	o.omit_unsafe = true;
	scan(s, &o, NULL, &l);
	assert_string_equal(names(&l), "dir file in in-dir void ");
	assert_string_equal(told, "");
	dirlist_release(&l);
}

static uint32_t kind(const struct dirlist *l, const char *name)
{
	const struct entry *en = dirlist_find(l, name);

	assert_non_null(en);
	assert_int_equal(S_ISLNK(en->mode), !(en->flags & ENTRY_FOLLOW));
	return en->mode & S_IFMT;
}

static void links_are_followed_as_asked(void **state)
{
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_SENDER);
	struct dirlist l;

	make_links(s);
	o.follow_links = true;
	scan(s, &o, NULL, &l);
	assert_int_equal(kind(&l, "in"), S_IFREG);
	assert_int_equal(dirlist_find(&l, "in")->size, 5);
	assert_int_equal(kind(&l, "up"), S_IFDIR);
	assert_null(dirlist_find(&l, "void"));
	assert_true(l.incomplete);
	assert_string_equal(told, "void\n");
	dirlist_release(&l);

	o = options(FILTER_SENDER);
	o.follow_unsafe = true;
	scan(s, &o, NULL, &l);
	assert_int_equal(kind(&l, "in"), S_IFLNK);
	assert_int_equal(kind(&l, "out"), S_IFDIR);
	assert_int_equal(kind(&l, "void"), S_IFLNK);
	assert_false(l.incomplete);
	dirlist_release(&l);

	o = options(FILTER_SENDER);
	o.follow_dirs = true;
	scan(s, &o, NULL, &l);
	assert_int_equal(kind(&l, "in"), S_IFLNK);
	assert_int_equal(kind(&l, "in-dir"), S_IFDIR);
	assert_int_equal(kind(&l, "void"), S_IFLNK);
	dirlist_release(&l);
}

static void where_links_lead(void **state)
{
	static const struct {
		const char *path, *target;
		bool unsafe;
	} cases[] = {
		{"link", "file", false},
		{"link", "dir/file", false},
		{"link", "./file", false},
		{"link", "/etc/passwd", true},
		{"link", "/", true},
		{"link", "", true},
		{"link", "..", true},
		{"link", "../x", true},
		{"link", "dir/../..", true},
		{"dir/link", "../file", false},
		{"dir/link", "..", false},
		{"dir/link", "../..", true},
		{"dir/link", "../../dir/file", true},
		{"a/b/link", "../../file", false},
		{"a/b/link", "../../../file", true},
		{"a/b/link", ".//..//..//file", false},
		{"link", "...", false},
		{"link", "..x/y", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (scan_link_unsafe(cases[i].path, cases[i].target) != cases[i].unsafe)
			fail_msg("%s -> \"%s\" should be %s", cases[i].path, cases[i].target,
				cases[i].unsafe ? "unsafe" : "safe");
}

static void the_directory_to_avoid_is_left_out(void **state)
{
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_SENDER);
	struct dirlist l;
	struct stat st;

	make_links(s);
	assert_int_equal(fstatat(s->fd, "dir", &st, 0), 0);
	o.avoid_dev = st.st_dev;
	o.avoid_ino = st.st_ino;
	scan(s, &o, NULL, &l);
	assert_null(dirlist_find(&l, "dir"));
	assert_non_null(dirlist_find(&l, "file"));
	dirlist_release(&l);
}

static void a_missing_entry_has_vanished(void **state)
{
	struct scratch *s = *state;
	struct scan_options o = options(FILTER_SENDER);
	struct dirlist l;
	struct entry en;
	struct err e = {0};

	dirlist_init(&l);
	assert_int_equal(scan_entry(&o, s->fd, "gone", "gone", &l, &en, &e), -1);
	assert_int_equal(e.code, ERR_VANISHED);
	put_file_at(s->fd, "here", "x");
	assert_int_equal(scan_entry(&o, s->fd, "here", "here", &l, &en, &e), 0);
	assert_string_equal(en.name, "here");
	assert_int_equal(en.size, 1);
	dirlist_release(&l);
}

static void mount_points_are_not_entered(void **state)
{
	struct scan_options o = options(FILTER_SENDER);
	const struct entry dir = {.mode = S_IFDIR | 0755, .dev = 7};

	(void)state;
	o.root_dev = 8;
	assert_true(scan_may_enter(&o, &dir));
	o.one_file_system = true;
	assert_false(scan_may_enter(&o, &dir));
	o.root_dev = 7;
	assert_true(scan_may_enter(&o, &dir));
}

static void paths_are_joined(void **state)
{
	static const char *const cases[][3] = {
		{"a", "b", "a/b"}, {"", "b", "b"}, {"a", "", "a"}, {"", "", ""}, {"a/b", "c", "a/b/c"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *path = path_join(cases[i][0], cases[i][1]);
		assert_string_equal(path, cases[i][2]);
		free(path);
	}
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(every_kind_is_described),
		IN_SCRATCH(unwanted_kinds_stay_away),
		IN_SCRATCH(digests_are_those_of_the_content),
		IN_SCRATCH(the_sender_does_not_see_what_is_excluded),
		IN_SCRATCH(the_receiver_marks_what_is_excluded),
		IN_SCRATCH(perishable_rules_do_not_save_a_doomed_directory),
		IN_SCRATCH(left_overs_are_kept_apart),
		IN_SCRATCH(unsafe_links_are_left_out),
		IN_SCRATCH(links_are_followed_as_asked),
		cmocka_unit_test(where_links_lead),
		IN_SCRATCH(the_directory_to_avoid_is_left_out),
		IN_SCRATCH(a_missing_entry_has_vanished),
		cmocka_unit_test(mount_points_are_not_entered),
		cmocka_unit_test(paths_are_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
