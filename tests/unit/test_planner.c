/* The plan for one entry: every option that decides, and what a user sees of it as letters. */
#include "sync/plan.h"

#include "base/buf.h"

#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* As -a with attributes: what rsync calls -aAX. */
#define ARCHIVE                                                                                              \
	.perms = true, .times = true, .dir_times = true, .link_times = true, .owner = true, .group = true,   \
	.xattrs = true, .acls = true

static const uint8_t digest_a[ENTRY_DIGEST_BYTES] = {1};
static const uint8_t digest_b[ENTRY_DIGEST_BYTES] = {2};

#define FILE_ENTRY .name = "f", .mode = S_IFREG | 0644, .size = 100, .mtime = {1000, 5}, .uid = 10, .gid = 20
#define DIR_ENTRY  .name = "d", .mode = S_IFDIR | 0755, .mtime = {1000, 5}, .uid = 10, .gid = 20
#define LINK_ENTRY                                                                                           \
	.name = "l", .mode = S_IFLNK | 0777, .size = 6, .target = "target", .mtime = {1000, 5}, .uid = 10,   \
	.gid = 20
#define NODE_ENTRY                                                                                           \
	.name = "n", .mode = S_IFCHR | 0600, .rdev = 0x105, .mtime = {1000, 5}, .uid = 10, .gid = 20

/* A case changes a few fields of an entry, after the entry's own. */
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif

struct plan_case {
	const char *what;
	struct plan_rules rules;
	struct entry src, dst; /* dst without a name: there is none */
	enum plan_action action;
	const char *letters;
};

static bool only_group_20(uint32_t gid)
{
	return gid == 20;
}

static const struct plan_case cases[] = {
	{"equal files", {ARCHIVE}, {FILE_ENTRY}, {FILE_ENTRY}, PLAN_NONE, ".f         "},
	{"a new file", {ARCHIVE}, {FILE_ENTRY}, {0}, PLAN_FILE, ">f+++++++++"},
	{"a new directory", {ARCHIVE}, {DIR_ENTRY}, {0}, PLAN_MKDIR, "cd+++++++++"},
	{"a new symlink", {ARCHIVE}, {LINK_ENTRY}, {0}, PLAN_SYMLINK, "cL+++++++++"},
	{"a new device", {ARCHIVE}, {NODE_ENTRY}, {0}, PLAN_NODE, "cD+++++++++"},
	{"a new fifo", {ARCHIVE}, {.name = "p", .mode = S_IFIFO | 0600}, {0}, PLAN_NODE, "cS+++++++++"},

	{"another size", {ARCHIVE}, {FILE_ENTRY}, {FILE_ENTRY, .size = 99}, PLAN_FILE, ">f.s......."},
	{"another time", {ARCHIVE}, {FILE_ENTRY}, {FILE_ENTRY, .mtime = {999, 5}}, PLAN_FILE, ">f..t......"},
	{"a nanosecond later", {ARCHIVE}, {FILE_ENTRY}, {FILE_ENTRY, .mtime = {1000, 6}}, PLAN_FILE,
		">f..t......"},
	{"size and time", {ARCHIVE}, {FILE_ENTRY}, {FILE_ENTRY, .size = 1, .mtime = {1, 0}}, PLAN_FILE,
		">f.st......"},
	{"another mode", {ARCHIVE}, {FILE_ENTRY}, {FILE_ENTRY, .mode = S_IFREG | 0600}, PLAN_META,
		".f...p....."},
	{"a set-id bit", {ARCHIVE}, {FILE_ENTRY}, {FILE_ENTRY, .mode = S_IFREG | 04644}, PLAN_META,
		".f...p....."},
	{"another owner", {ARCHIVE}, {FILE_ENTRY}, {FILE_ENTRY, .uid = 11}, PLAN_META, ".f....o...."},
	{"another group", {ARCHIVE}, {FILE_ENTRY}, {FILE_ENTRY, .gid = 21}, PLAN_META, ".f.....g..."},
	{"a group that may be given", {ARCHIVE, .may_set_group = only_group_20}, {FILE_ENTRY},
		{FILE_ENTRY, .gid = 21}, PLAN_META, ".f.....g..."},
	{"a group that may not be given", {ARCHIVE, .may_set_group = only_group_20}, {FILE_ENTRY, .gid = 21},
		{FILE_ENTRY}, PLAN_NONE, ".f         "},

	{"--no-perms", {ARCHIVE, .perms = false}, {FILE_ENTRY}, {FILE_ENTRY, .mode = S_IFREG | 0600},
		PLAN_NONE, ".f         "},
	{"--no-owner", {ARCHIVE, .owner = false}, {FILE_ENTRY}, {FILE_ENTRY, .uid = 11}, PLAN_NONE,
		".f         "},
	{"--no-group", {ARCHIVE, .group = false}, {FILE_ENTRY}, {FILE_ENTRY, .gid = 21}, PLAN_NONE,
		".f         "},
	{"--no-times, other time: sent, and the time will be now", {ARCHIVE, .times = false}, {FILE_ENTRY},
		{FILE_ENTRY, .mtime = {999, 5}}, PLAN_FILE, ">f..T......"},
	{"--no-times, all equal", {ARCHIVE, .times = false}, {FILE_ENTRY}, {FILE_ENTRY}, PLAN_NONE,
		".f         "},

	{"directory with another time", {ARCHIVE}, {DIR_ENTRY}, {DIR_ENTRY, .mtime = {1, 0}}, PLAN_META,
		".d..t......"},
	{"--omit-dir-times", {ARCHIVE, .dir_times = false}, {DIR_ENTRY}, {DIR_ENTRY, .mtime = {1, 0}},
		PLAN_NONE, ".d         "},
	{"directory with another mode", {ARCHIVE}, {DIR_ENTRY}, {DIR_ENTRY, .mode = S_IFDIR | 0700},
		PLAN_META, ".d...p....."},
	{"a directory's size means nothing", {ARCHIVE}, {DIR_ENTRY, .size = 1}, {DIR_ENTRY, .size = 2},
		PLAN_NONE, ".d         "},
	{"symlink with another time", {ARCHIVE}, {LINK_ENTRY}, {LINK_ENTRY, .mtime = {1, 0}}, PLAN_META,
		".L..t......"},
	{"--omit-link-times", {ARCHIVE, .link_times = false}, {LINK_ENTRY}, {LINK_ENTRY, .mtime = {1, 0}},
		PLAN_NONE, ".L         "},
	{"a symlink's mode means nothing", {ARCHIVE}, {LINK_ENTRY}, {LINK_ENTRY, .mode = S_IFLNK | 0755},
		PLAN_NONE, ".L         "},
	{"symlink to elsewhere", {ARCHIVE}, {LINK_ENTRY}, {LINK_ENTRY, .target = "tegrat"}, PLAN_SYMLINK,
		"cLc........"},
	{"symlink to elsewhere, its time not kept", {ARCHIVE, .link_times = false}, {LINK_ENTRY},
		{LINK_ENTRY, .target = "tegrat"}, PLAN_SYMLINK, "cLc.T......"},
	{"device with other numbers", {ARCHIVE}, {NODE_ENTRY}, {NODE_ENTRY, .rdev = 0x103}, PLAN_NODE,
		"cDc........"},
	{"device with another mode", {ARCHIVE}, {NODE_ENTRY}, {NODE_ENTRY, .mode = S_IFCHR | 0666}, PLAN_META,
		".D...p....."},

	{"--checksum: same content, other time", {ARCHIVE, .checksum = true},
		{FILE_ENTRY, .digest = digest_a}, {FILE_ENTRY, .digest = digest_a, .mtime = {1, 0}},
		PLAN_META, ".f..t......"},
	{"--checksum: other content, same time", {ARCHIVE, .checksum = true},
		{FILE_ENTRY, .digest = digest_a}, {FILE_ENTRY, .digest = digest_b}, PLAN_FILE, ">fc........"},
	{"--checksum: the content there is not known", {ARCHIVE, .checksum = true},
		{FILE_ENTRY, .digest = digest_a}, {FILE_ENTRY}, PLAN_FILE, ">fc........"},
	{"--size-only: other time", {ARCHIVE, .size_only = true}, {FILE_ENTRY}, {FILE_ENTRY, .mtime = {1, 0}},
		PLAN_META, ".f..t......"},
	{"--size-only: other size", {ARCHIVE, .size_only = true}, {FILE_ENTRY}, {FILE_ENTRY, .size = 1},
		PLAN_FILE, ">f.s......."},
	{"--ignore-times", {ARCHIVE, .ignore_times = true}, {FILE_ENTRY}, {FILE_ENTRY}, PLAN_FILE,
		">f........."},
	{"--modify-window: within", {ARCHIVE, .modify_window = 2}, {FILE_ENTRY},
		{FILE_ENTRY, .mtime = {1002, 0}}, PLAN_NONE, ".f         "},
	{"--modify-window: beyond", {ARCHIVE, .modify_window = 2}, {FILE_ENTRY},
		{FILE_ENTRY, .mtime = {1003, 0}}, PLAN_FILE, ">f..t......"},

	{"--existing: a new one", {ARCHIVE, .existing = true}, {FILE_ENTRY}, {0}, PLAN_SKIP, NULL},
	{"--existing: a new directory", {ARCHIVE, .existing = true}, {DIR_ENTRY}, {0}, PLAN_SKIP, NULL},
	{"--existing: one that is there", {ARCHIVE, .existing = true}, {FILE_ENTRY}, {FILE_ENTRY, .size = 1},
		PLAN_FILE, ">f.s......."},
	{"--ignore-existing: one that is there", {ARCHIVE, .ignore_existing = true}, {FILE_ENTRY},
		{FILE_ENTRY, .size = 1}, PLAN_SKIP, NULL},
	{"--ignore-existing: a new one", {ARCHIVE, .ignore_existing = true}, {FILE_ENTRY}, {0}, PLAN_FILE,
		">f+++++++++"},
	{"--ignore-existing: directories are still gone into", {ARCHIVE, .ignore_existing = true},
		{DIR_ENTRY}, {DIR_ENTRY}, PLAN_NONE, ".d         "},
	{"--update: newer there", {ARCHIVE, .update = true}, {FILE_ENTRY},
		{FILE_ENTRY, .size = 1, .mtime = {1001, 0}}, PLAN_SKIP, NULL},
	{"--update: older there", {ARCHIVE, .update = true}, {FILE_ENTRY},
		{FILE_ENTRY, .size = 1, .mtime = {999, 0}}, PLAN_FILE, ">f.st......"},
	{"--update: as old, but another size", {ARCHIVE, .update = true}, {FILE_ENTRY},
		{FILE_ENTRY, .size = 1}, PLAN_FILE, ">f.s......."},
	{"--update: newer, but within the window", {ARCHIVE, .update = true, .modify_window = 2},
		{FILE_ENTRY}, {FILE_ENTRY, .size = 1, .mtime = {1002, 0}}, PLAN_FILE, ">f.s......."},
	{"--update does not spare a newer directory", {ARCHIVE, .update = true}, {DIR_ENTRY},
		{DIR_ENTRY, .mtime = {2000, 0}}, PLAN_META, ".d..t......"},

	{"--max-size", {ARCHIVE, .max_size = 99}, {FILE_ENTRY}, {0}, PLAN_SKIP, NULL},
	{"--max-size: just", {ARCHIVE, .max_size = 100}, {FILE_ENTRY}, {0}, PLAN_FILE, ">f+++++++++"},
	{"--min-size", {ARCHIVE, .min_size = 101}, {FILE_ENTRY}, {FILE_ENTRY, .size = 1}, PLAN_SKIP, NULL},
	{"--min-size: just", {ARCHIVE, .min_size = 100}, {FILE_ENTRY}, {0}, PLAN_FILE, ">f+++++++++"},
	{"sizes are those of files", {ARCHIVE, .min_size = 101, .max_size = 1}, {LINK_ENTRY}, {0},
		PLAN_SYMLINK, "cL+++++++++"},
};

static void plans_are_as_the_options_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct plan_case *c = &cases[i];
		struct plan_item p = plan_entry(&c->rules, &c->src, c->dst.name ? &c->dst : NULL);
		char letters[12];

		item_letters(p.iflags, c->src.mode, letters);
		if (p.action != c->action)
			fail_msg("%s: action %d, expected %d", c->what, (int)p.action, (int)c->action);
		if (c->letters && strcmp(letters, c->letters) != 0)
			fail_msg("%s: \"%s\", expected \"%s\"", c->what, letters, c->letters);
		assert_false(p.replaces);
	}
}

static void another_kind_is_replaced(void **state)
{
	static const struct entry kinds[] = {{FILE_ENTRY}, {DIR_ENTRY}, {LINK_ENTRY}, {NODE_ENTRY}};
	static const enum plan_action made[] = {PLAN_FILE, PLAN_MKDIR, PLAN_SYMLINK, PLAN_NODE};
	const struct plan_rules rules = {ARCHIVE};
	const struct plan_rules careful = {ARCHIVE, .ignore_existing = true};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 4; k++) {
			struct plan_item p = plan_entry(&rules, &kinds[i], &kinds[k]);
			assert_int_equal(p.replaces, i != k);
			assert_int_equal(p.action, i != k ? made[i] : PLAN_NONE);
			p = plan_entry(&careful, &kinds[i], &kinds[k]);
			if (made[i] != PLAN_MKDIR)
				assert_int_equal(p.action, PLAN_SKIP);
		}
}

/* rsync --update: a newer file is kept from an older file, not from something of another kind. */
static void update_and_other_kinds(void **state)
{
	static const struct entry newer_file = {FILE_ENTRY, .mtime = {2000, 0}};
	static const struct entry newer_link = {LINK_ENTRY, .mtime = {2000, 0}};
	static const struct entry file = {FILE_ENTRY};
	static const struct entry link = {LINK_ENTRY};
	static const struct entry dir = {DIR_ENTRY};
	const struct plan_rules rules = {ARCHIVE, .update = true};

	(void)state;
	assert_int_equal(plan_entry(&rules, &file, &newer_file).action, PLAN_SKIP);
	assert_int_equal(plan_entry(&rules, &link, &newer_file).action, PLAN_SYMLINK);
	assert_int_equal(plan_entry(&rules, &dir, &newer_file).action, PLAN_MKDIR);
	assert_int_equal(plan_entry(&rules, &file, &newer_link).action, PLAN_FILE);
}

static void add_attribute(struct buf *b, const char *name, const char *value)
{
	buf_put_str(b, name);
	buf_put_str(b, value);
}

static struct entry with_attributes(struct buf *b)
{
	return (struct entry){FILE_ENTRY, .xattrs = b->data, .xattrs_len = (uint32_t)b->len};
}

static const char *letters_of(const struct plan_rules *r, const struct entry *src, const struct entry *dst)
{
	static char letters[12];

	item_letters(plan_entry(r, src, dst).iflags, src->mode, letters);
	return letters;
}

static void attributes_and_acls_are_told_apart(void **state)
{
	const struct plan_rules both = {ARCHIVE};
	const struct plan_rules acls = {ARCHIVE, .xattrs = false};
	const struct plan_rules xattrs = {ARCHIVE, .acls = false};
	const struct plan_rules none = {ARCHIVE, .acls = false, .xattrs = false};
	const struct entry bare = {FILE_ENTRY};
	struct buf one;
	struct buf two;

	(void)state;
	buf_init(&one, 1000);
	buf_init(&two, 1000);
	add_attribute(&one, "system.posix_acl_access", "rw");
	add_attribute(&one, "user.colour", "blue");
	add_attribute(&two, "system.posix_acl_access", "rw");
	add_attribute(&two, "user.colour", "red");
	struct entry a = with_attributes(&one);
	struct entry b = with_attributes(&two);
	assert_string_equal(letters_of(&both, &a, &a), ".f         ");
	assert_string_equal(letters_of(&both, &a, &b), ".f........x");
	assert_string_equal(letters_of(&acls, &a, &b), ".f         ");
	assert_string_equal(letters_of(&both, &a, &bare), ".f.......ax");
	assert_string_equal(letters_of(&both, &bare, &a), ".f.......ax");
	assert_string_equal(letters_of(&acls, &a, &bare), ".f.......a.");
	assert_string_equal(letters_of(&xattrs, &a, &bare), ".f........x");
	assert_string_equal(letters_of(&none, &a, &bare), ".f         ");
	assert_int_equal(plan_entry(&both, &a, &b).action, PLAN_META);
	buf_release(&one);
	buf_release(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_are_as_the_options_say),
		cmocka_unit_test(another_kind_is_replaced),
		cmocka_unit_test(update_and_other_kinds),
		cmocka_unit_test(attributes_and_acls_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
