/* Filter rules: what a user who writes them sees. tests/e2e/test_filter_oracle.py compares with rsync itself. */
#include "tree/filter.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct filter *make(const char *const *rules)
{
	struct filter *f = filter_new();
	struct err e = {0};

	for (; *rules; rules++)
		if (filter_add(f, *rules, &e))
			fail_msg("%s: %s", *rules, e.text);
	return f;
}

#define FILTER(...) make((const char *const[]){__VA_ARGS__, NULL})

/* Verdict on a path like "a/b/c" or "a/b/" (a directory), without any files. */
static bool verdict(const struct filter *f, const char *path, enum filter_side side)
{
	struct err e = {0};
	struct filter_dir *d = filter_root(f, -1, &e);
	char *copy = strdup(path);
	size_t len = strlen(copy);
	bool is_dir = copy[len - 1] == '/';
	char *name = copy;

	assert_non_null(d);
	if (is_dir)
		copy[len - 1] = '\0';
	for (char *slash; (slash = strchr(name, '/')); name = slash + 1) {
		*slash = '\0';
		struct filter_dir *inner = filter_enter(d, name, -1, &e);
		filter_unref(d);
		d = inner;
	}
	bool excluded = filter_excludes(d, name, is_dir, side);
	filter_unref(d);
	free(copy);
	return excluded;
}

static void check(const char *rule, const char *const *hidden, const char *const *shown)
{
	struct filter *f = FILTER(rule);

	for (; *hidden; hidden++)
		if (!verdict(f, *hidden, FILTER_SENDER))
			fail_msg("'%s' should exclude %s", rule, *hidden);
	for (; *shown; shown++)
		if (verdict(f, *shown, FILTER_SENDER))
			fail_msg("'%s' should not exclude %s", rule, *shown);
	filter_free(f);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void refuse(const char *rule)
{
	struct filter *f = filter_new();
	struct err e = {0};

	if (filter_add(f, rule, &e) == 0)
		fail_msg("'%s' should be refused", rule);
	assert_int_not_equal(e.code, ERR_NONE);
	filter_free(f);
}

static void patterns(void **state)
{
	(void)state;
	check("- *.o", LIST("x.o", "a/b/x.o", "x.o/"), LIST("x.oo", "o"));
	check("- foo", LIST("foo", "a/foo", "foo/"), LIST("foox", "xfoo", "foo/x"));
	check("- /foo", LIST("foo", "foo/"), LIST("a/foo"));
	check("- foo/", LIST("foo/", "a/foo/"), LIST("foo", "a/foo"));
	check("- foo/bar", LIST("foo/bar", "x/foo/bar"), LIST("xfoo/bar", "foo/x/bar", "bar"));
	check("- foo/*/bar", LIST("foo/x/bar", "q/foo/x/bar"), LIST("foo/bar", "foo/x/y/bar"));
	check("- /foo/**/bar", LIST("foo/x/bar", "foo/x/y/bar"), LIST("foo/bar", "q/foo/x/bar"));
	check("- foo/***", LIST("foo/", "foo/x", "foo/x/y", "q/foo/"), LIST("foo", "xfoo/"));
	check("- foo/**", LIST("foo/x", "foo/x/y"), LIST("foo/", "foo"));
	check("- **/foo", LIST("foo", "a/foo", "a/b/foo"), LIST("xfoo"));
	check("- a**b", LIST("ab", "axb", "a/b", "q/a/x/b"), LIST("xab", "a/x"));
	check("- f\\oo", LIST("f\\oo"), LIST("foo"));
	check("- f\\oo*", LIST("foo", "foox"), LIST("f\\oo"));
	check("- \\*", LIST("*"), LIST("\\*"));
	check("- [a-c]x", LIST("ax", "q/cx"), LIST("dx"));
	check("- *", LIST("a", ".a", "a/"), (const char *const[]){NULL});
	check("- /*/", LIST("a/"), LIST("a", "a/b/"));
	check("- a b", LIST("a b"), LIST("a", "b"));
	check("-_ x", LIST(" x"), LIST("x"));
	check("- _x", LIST("_x"), LIST("x"));
	check("- foo//", (const char *const[]){NULL}, LIST("foo/", "foo"));
	check("-! */", LIST("a", "a/b"), LIST("a/", "a/b/"));
	check("-! foo", LIST("bar", "bar/"), LIST("foo", "a/foo"));
	check("- /", (const char *const[]){NULL}, LIST("a", "a/"));
}

static void names_of_rules(void **state)
{
	static const char *const equal[] = {"- x", "-_x", "-, x", "exclude x", "exclude_x", "exclude, x",
		"hide x", "H x", "H,_x", "-s x", "-,s x", "exclude,s x", "-sr x", "-p x", "exclude,pr! y"};

	(void)state;
	for (size_t i = 0; i < sizeof(equal) / sizeof(equal[0]) - 1; i++)
		check(equal[i], LIST("x"), LIST("y"));
	check("protect x", (const char *const[]){NULL}, LIST("x"));
	check("risk x", (const char *const[]){NULL}, LIST("x"));
}

static void refused(void **state)
{
	static const char *const bad[] = {"foo", "-", "- ", "exclude", "excludes x", "-q x", "-e x", "-n x",
		"-w x", "-- x", "-+ x", "Hs x", "Pr x", "HC", "!x", "! ", "clear x", ":! x", ":-+ x", ":C- x",
		":-C x", ": ", ":", ": ../x", ": a/../../x", ": ..", ": .", ": /", ". ", "-\tx", "exclude\tx",
		"-C x", ". /nonexistent/file", "-/", "E x"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i]);
	char *longest = malloc(FILTER_PATTERN_MAX + 4);
	memset(longest, 'x', FILTER_PATTERN_MAX + 3);
	memcpy(longest, "- ", 2);
	longest[FILTER_PATTERN_MAX + 3] = '\0';
	refuse(longest);
	free(longest);
}

static void errors_name_the_rule(void **state)
{
	struct filter *f = filter_new();
	struct err e = {0};

	(void)state;
	assert_int_equal(filter_add(f, "-q \001x", &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_non_null(strstr(e.text, "-q \\#001x"));
	filter_free(f);
}

static void first_match_decides(void **state)
{
	struct filter *f = FILTER("+ */", "+ *.c", "- *");

	(void)state;
	assert_false(verdict(f, "a/", FILTER_SENDER));
	assert_false(verdict(f, "a/x.c", FILTER_SENDER));
	assert_true(verdict(f, "a/x.h", FILTER_SENDER));
	filter_free(f);
	f = FILTER("- a", "!", "- b", "clear", "- c");
	assert_false(verdict(f, "a", FILTER_SENDER));
	assert_false(verdict(f, "b", FILTER_SENDER));
	assert_true(verdict(f, "c", FILTER_SENDER));
	assert_int_equal(filter_count(f), 1);
	filter_free(f);
	f = FILTER("-! x", "+ *");
	assert_true(verdict(f, "y", FILTER_SENDER));
	assert_false(verdict(f, "x", FILTER_SENDER));
	filter_free(f);
}

static void old_patterns(void **state)
{
	struct filter *f = filter_new();
	struct err e = {0};

	(void)state;
	assert_int_equal(filter_add_pattern(f, "gone", false, &e), 0);
	assert_int_equal(filter_add_pattern(f, "!", false, &e), 0);
	assert_int_equal(filter_add_pattern(f, "+ keep.o", false, &e), 0);
	assert_int_equal(filter_add_pattern(f, "too.o", true, &e), 0);
	assert_int_equal(filter_add_pattern(f, "*.o", false, &e), 0);
	assert_int_equal(filter_add_pattern(f, "- a", true, &e), 0);
	assert_int_equal(filter_add_pattern(f, "-s b", false, &e), 0);
	assert_int_equal(filter_add_pattern(f, "", false, &e), 0);
	assert_false(verdict(f, "gone", FILTER_SENDER));
	assert_false(verdict(f, "keep.o", FILTER_SENDER));
	assert_false(verdict(f, "too.o", FILTER_SENDER));
	assert_true(verdict(f, "x.o", FILTER_SENDER));
	assert_true(verdict(f, "a", FILTER_SENDER));
	assert_true(verdict(f, "-s b", FILTER_SENDER));
	filter_free(f);
}

static void sides(void **state)
{
	struct filter *f = FILTER(
		"H h", "P p", "-s hs", "-r pr", "R r", "S s", "- r", "- s", "- both", "-sr sr", "-p per");
	struct err e = {0};
	struct filter_dir *d = filter_root(f, -1, &e);

	(void)state;
	assert_true(filter_excludes(d, "h", false, FILTER_SENDER));
	assert_false(filter_excludes(d, "h", false, FILTER_RECEIVER));
	assert_false(filter_excludes(d, "p", false, FILTER_SENDER));
	assert_true(filter_excludes(d, "p", false, FILTER_RECEIVER));
	assert_true(filter_excludes(d, "hs", false, FILTER_SENDER));
	assert_true(filter_excludes(d, "pr", false, FILTER_RECEIVER));
	assert_true(filter_excludes(d, "r", false, FILTER_SENDER));
	assert_false(filter_excludes(d, "r", false, FILTER_RECEIVER));
	assert_false(filter_excludes(d, "s", false, FILTER_SENDER));
	assert_true(filter_excludes(d, "s", false, FILTER_RECEIVER));
	assert_true(filter_protects(d, "both", false, false));
	assert_false(filter_protects(d, "both", false, true));
	assert_true(filter_protects(d, "sr", false, true));
	assert_true(filter_protects(d, "p", false, true));
	assert_true(filter_protects(d, "per", false, false));
	assert_false(filter_protects_doomed(d, "per", false, false));
	assert_true(filter_protects_doomed(d, "both", false, false));
	assert_false(filter_protects_doomed(d, "both", false, true));
	assert_true(filter_protects_doomed(d, "p", false, true));
	filter_unref(d);
	filter_free(f);
}

static void xattrs(void **state)
{
	struct filter *f = FILTER("-x user.secret*", "- user.secret1", "+x user.*", "-xr *");

	(void)state;
	assert_true(filter_has_xattr_rules(f));
	assert_true(filter_excludes_xattr(f, "user.secret1", FILTER_SENDER));
	assert_false(filter_excludes_xattr(f, "user.other", FILTER_RECEIVER));
	assert_true(filter_excludes_xattr(f, "trusted.x", FILTER_RECEIVER));
	assert_false(filter_excludes_xattr(f, "trusted.x", FILTER_SENDER));
	assert_false(verdict(f, "user.secret2", FILTER_SENDER));
	assert_true(verdict(f, "user.secret1", FILTER_SENDER));
	filter_free(f);
	f = FILTER("-x a", "!", "- user.a");
	assert_false(filter_has_xattr_rules(f));
	assert_false(filter_excludes_xattr(f, "user.a", FILTER_SENDER));
	filter_free(f);
}

static void wire_text(void **state)
{
	struct filter *f = FILTER("- *.o", "P cache/", "+/!p /a b", ":en- sub/.rules", "dir-merge,C",
		"show,p  lead", "-x user.*", ":s+w .words", ":/ .abs/", "- /", "-! a//");
	const char *const want[] = {"- *.o", "-r cache/", "+/!p /a b", "- .rules", ":-n .rules",
		":Cnw .cvsignore", "+ps  lead", "-x user.*", ":+sw .words", ":/ .abs/", "- /", "-! a//"};
	struct filter *copy = filter_new();
	struct err e = {0};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(filter_count(f), sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < filter_count(f); i++) {
		buf_clear(&b);
		filter_rule_text(f, i, &b);
		assert_string_equal(buf_cstr(&b), want[i]);
		assert_int_equal(filter_add_peer(copy, buf_cstr(&b), &e), 0);
		buf_clear(&b);
		filter_rule_text(copy, i, &b);
		assert_string_equal(buf_cstr(&b), want[i]);
	}
	assert_int_equal(filter_count(copy), filter_count(f));
	buf_release(&b);
	filter_free(copy);
	filter_free(f);
}

static void peers_read_nothing(void **state)
{
	static const char *const bad[] = {". /etc/passwd", "merge,- /etc/passwd", "-C", "+C", ".C", ". -"};
	struct filter *f = filter_new();
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(filter_add_peer(f, bad[i], &e), -1);
		assert_int_equal(e.code, ERR_PROTOCOL);
	}
	assert_int_equal(filter_add_peer(f, ": /.rsync-filter", &e), 0);
	assert_int_equal(filter_add_peer(f, ":C", &e), 0);
	filter_free(f);
}

static void empty(void **state)
{
	struct filter *f = filter_new();
	struct err e = {0};

	(void)state;
	assert_true(filter_empty(f));
	struct filter_dir *d = filter_root(f, -1, &e);
	struct filter_dir *sub = filter_enter(d, "x", -1, &e);
	assert_ptr_equal(sub, d);
	assert_false(filter_excludes(sub, "x", false, FILTER_SENDER));
	filter_unref(sub);
	filter_unref(d);
	assert_int_equal(filter_add(f, "", &e), 0);
	assert_true(filter_empty(f));
	assert_int_equal(filter_add(f, ": .f", &e), 0);
	assert_false(filter_empty(f));
	filter_free(f);
	filter_free(NULL);
	filter_unref(NULL);
}

/* Many rules go through other indexes; the order must hold across them. */
static void many_rules(void **state)
{
	struct filter *f = filter_new();
	struct err e = {0};
	char rule[64];

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(rule, sizeof(rule), i % 3 ? "- lit%d" : "+ *w%dx", i);
		assert_int_equal(filter_add(f, rule, &e), 0);
	}
	assert_int_equal(filter_add(f, "- *w198x", &e), 0);
	assert_int_equal(filter_add(f, "- *w7x", &e), 0);
	assert_int_equal(filter_add(f, "- deep/lit3", &e), 0);
	assert_int_equal(filter_add(f, "- lit3", &e), 0);
	assert_int_equal(filter_add(f, "+ lit1", &e), 0);
	assert_true(verdict(f, "lit1", FILTER_SENDER));
	assert_true(verdict(f, "a/lit199", FILTER_SENDER));
	assert_false(verdict(f, "lit200", FILTER_SENDER));
	assert_false(verdict(f, "aw198x", FILTER_SENDER));
	assert_true(verdict(f, "aw7x", FILTER_SENDER));
	assert_true(verdict(f, "deep/lit3", FILTER_SENDER));
	assert_true(verdict(f, "lit3/", FILTER_SENDER));
	filter_free(f);
	f = filter_new();
	for (int i = 0; i < 100; i++) {
		snprintf(rule, sizeof(rule), "- x%dy*", i);
		assert_int_equal(filter_add(f, rule, &e), 0);
	}
	assert_int_equal(filter_add(f, "+ *", &e), 0);
	assert_int_equal(filter_add(f, "- x100*", &e), 0);
	assert_true(verdict(f, "x99y", FILTER_SENDER));
	assert_false(verdict(f, "x100y", FILTER_SENDER));
	filter_free(f);
}

/* A tree on disk. */
struct tree {
	char path[64];
	int fd;
};

static void put(const struct tree *t, const char *path, const char *text)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", t->path, path);
	for (char *s = full + strlen(t->path) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		mkdir(full, 0755);
		*s = '/';
	}
	if (!text)
		return;
	int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int tree_open(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	strncpy(t->path, "/tmp/test_filter.XXXXXX", sizeof(t->path) - 1);
	if (!mkdtemp(t->path))
		return -1;
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY);
	*state = t;
	return 0;
}

static int tree_close(void **state)
{
	struct tree *t = *state;
	char *const argv[] = {(char[]){"rm"}, (char[]){"-rf"}, t->path, NULL};

	close(t->fd);
	pid_t pid = fork();
	if (pid == 0) {
		execvp("rm", argv);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	free(t);
	return 0;
}

/* Context of the directory `path` ("" = the root), through the files on disk. */
static struct filter_dir *context(
	const struct tree *t, const struct filter *f, const char *path, struct err *e)
{
	struct filter_dir *d = filter_root(f, t->fd, e);
	int fd = dup(t->fd);
	char *copy = strdup(path);
	char *save = NULL;

	for (char *name = copy; d && (name = strtok_r(name, "/", &save)); name = NULL) {
		int sub = openat(fd, name, O_RDONLY | O_DIRECTORY);
		struct filter_dir *inner = filter_enter(d, name, sub, e);
		filter_unref(d);
		close(fd);
		fd = sub;
		d = inner;
	}
	close(fd);
	free(copy);
	return d;
}

static bool hides(const struct tree *t, const struct filter *f, const char *dir, const char *name)
{
	struct err e = {0};
	struct filter_dir *d = context(t, f, dir, &e);

	if (!d)
		fail_msg("%s: %s", dir, e.text);
	bool yes = filter_excludes(d, name, false, FILTER_SENDER);
	filter_unref(d);
	return yes;
}

static void per_directory(void **state)
{
	struct tree *t = *state;
	struct filter *f = FILTER("+ top", ": /.f", "- *.late");

	put(t, ".f", "# comment\n; comment\n\n- *.o\n- /only\n- top\n");
	put(t, "a/.f", "+ keep.o\n- a/b/deep\n+ x.late\r\n");
	put(t, "a/b/.f", "!\n- b.o\n- /b*/x");
	put(t, "a/b/b1/", NULL);
	put(t, "c/d/", NULL);
	assert_true(hides(t, f, "", "x.o"));
	assert_true(hides(t, f, "", "only"));
	assert_false(hides(t, f, "", "top"));
	assert_true(hides(t, f, "", "x.late"));
	assert_true(hides(t, f, "c/d", "x.o"));
	assert_false(hides(t, f, "c/d", "only"));
	assert_true(hides(t, f, "a", "x.o"));
	assert_false(hides(t, f, "a", "keep.o"));
	assert_false(hides(t, f, "a", "x.late"));
	assert_true(hides(t, f, "a", "y.late"));
	assert_false(hides(t, f, "a/b", "x.o")); /* cleared */
	assert_false(hides(t, f, "a/b", "deep"));
	assert_true(hides(t, f, "a/b", "b.o"));
	assert_true(hides(t, f, "a/b", "y.late")); /* not cleared */
	assert_true(hides(t, f, "a/b/b1", "x"));   /* anchored to a/b */
	filter_free(f);
}

/* A source without a trailing slash: the directory it stands in is not part of the transfer. */
static void root_above(void **state)
{
	struct tree *t = *state;
	struct filter *f = FILTER(": .f", "- /src/z");
	struct err e = {0};

	put(t, ".f", "- src\n- x\n");
	put(t, "src/.f", "- y\n");
	struct filter_dir *top = filter_root_above(f, t->fd, &e);
	int fd = openat(t->fd, "src", O_RDONLY | O_DIRECTORY);
	struct filter_dir *d = filter_enter(top, "src", fd, &e);
	assert_false(filter_excludes(top, "src", true, FILTER_SENDER));
	assert_false(filter_excludes(d, "x", false, FILTER_SENDER));
	assert_true(filter_excludes(d, "y", false, FILTER_SENDER));
	assert_true(filter_excludes(d, "z", false, FILTER_SENDER));
	close(fd);
	filter_unref(d);
	filter_unref(top);
	filter_free(f);
}

static void per_directory_kinds(void **state)
{
	struct tree *t = *state;
	struct filter *f = FILTER(":n- .once", ":C", ":w+ .keep", ":se- .side", "- *.o");
	struct err e = {0};

	put(t, ".once", "- x\nx y\n!\n");
	put(t, ".cvsignore", "gone1  gone2\n\tgone3 # -");
	put(t, ".keep", "a.o\n b.o");
	put(t, ".side", "hidden");
	put(t, "s/", NULL);
	assert_true(hides(t, f, "", "- x")); /* patterns only */
	assert_true(hides(t, f, "", "x y"));
	assert_true(hides(t, f, "", "!"));
	assert_false(hides(t, f, "", "x"));
	assert_false(hides(t, f, "s", "x y"));
	assert_true(hides(t, f, "", "gone2"));
	assert_true(hides(t, f, "", "gone3"));
	assert_true(hides(t, f, "", "#"));
	assert_false(hides(t, f, "s", "gone2"));
	assert_false(hides(t, f, "s", "b.o"));
	assert_true(hides(t, f, "s", "c.o"));
	assert_true(hides(t, f, "", ".side"));
	struct filter_dir *d = context(t, f, "s", &e);
	assert_true(filter_excludes(d, "hidden", false, FILTER_SENDER));
	assert_false(filter_excludes(d, "hidden", false, FILTER_RECEIVER));
	filter_unref(d);
	filter_free(f);
}

static void nested_merges(void **state)
{
	struct tree *t = *state;
	struct filter *f = FILTER(": .f", "+ *");

	put(t, ".f", ": .g\n. more\n- /here\n: .f\n");
	put(t, "more", "- /m\n- anym\n");
	put(t, ".g", "- g0\n");
	put(t, "a/.g", "- g1\n");
	put(t, "a/b/.f", "!\n");
	put(t, "a/b/.g", "- g2\n");
	put(t, "a/b/c/", NULL);
	put(t, "w[ab]/.f", "- /k*\n. sub/x\n");
	put(t, "w[ab]/sub/x", "- /from-sub\n");
	assert_true(hides(t, f, "", "g0"));
	assert_true(hides(t, f, "", "m"));
	assert_true(hides(t, f, "a", "g0"));
	assert_true(hides(t, f, "a", "g1"));
	assert_false(hides(t, f, "a", "m"));
	assert_true(hides(t, f, "a", "anym"));
	assert_false(hides(t, f, "a", "here"));
	assert_false(hides(t, f, "a/b", "g2"));
	assert_false(hides(t, f, "a/b", "g1"));
	assert_false(hides(t, f, "a/b/c", "g0"));
	assert_true(hides(t, f, "w[ab]", "k1"));
	assert_true(hides(t, f, "w[ab]", "from-sub"));
	filter_free(f);
}

static void bad_files(void **state)
{
	static const char *const texts[] = {
		"- x\nnonsense\n", ". /etc/passwd\n", ". ../x\n", ". missing\n", ": ../x\n", ". .f\n"};
	struct tree *t = *state;
	struct filter *f = FILTER(": .f");
	struct err e = {0};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(t, ".f", texts[i]);
		if (filter_root(f, t->fd, &e))
			fail_msg("accepted: %s", texts[i]);
	}
	put(t, ".f", "- x\nnonsense\n");
	assert_null(filter_root(f, t->fd, &e));
	assert_non_null(strstr(e.text, ".f line 2"));
	assert_null(strstr(e.text, "nonsense")); /* a file's text is not shown to whoever asked for it */
	unlinkat(t->fd, ".f", 0);
	put(t, "real", "- x\n");
	assert_int_equal(symlinkat("real", t->fd, ".f"), 0);
	assert_null(filter_root(f, t->fd, &e));
	unlinkat(t->fd, ".f", 0);
	assert_int_equal(mkfifoat(t->fd, ".f", 0600), 0);
	assert_null(filter_root(f, t->fd, &e)); /* and does not hang */
	unlinkat(t->fd, ".f", 0);
	put(t, ".f/x", "");
	assert_null(filter_root(f, t->fd, &e));
	unlinkat(t->fd, ".f/x", 0);
	unlinkat(t->fd, ".f", AT_REMOVEDIR);
	put(t, ".f", "- x\n");
	int fd = openat(t->fd, ".f", O_WRONLY);
	assert_int_equal(ftruncate(fd, FILTER_TREE_FILE_MAX + 1), 0);
	close(fd);
	assert_null(filter_root(f, t->fd, &e));
	assert_int_equal(e.code, ERR_IO);
	filter_free(f);
}

static void user_files(void **state)
{
	struct tree *t = *state;
	struct filter *f = filter_new();
	struct err e = {0};
	char rule[128];

	put(t, "rules", "# c\n- one\r\n;c\n\nH two\r- three  \n.- REST\n");
	snprintf(rule, sizeof(rule), ".- %s/rest", t->path);
	put(t, "rest", "four\n+ five\n");
	assert_int_equal(filter_add(f, rule, &e), 0);
	assert_true(verdict(f, "+ five", FILTER_SENDER));
	snprintf(rule, sizeof(rule), "merge %s/rules", t->path);
	assert_int_equal(filter_add(f, rule, &e), -1); /* REST does not exist */
	filter_free(f);
	f = filter_new();
	put(t, "rules", "# c\n- one\r\n;c\n\nH two\r- three  \n");
	assert_int_equal(filter_add(f, rule, &e), 0);
	assert_true(verdict(f, "one", FILTER_SENDER));
	assert_true(verdict(f, "two", FILTER_SENDER));
	assert_true(verdict(f, "three  ", FILTER_SENDER));
	filter_free(f);
	f = filter_new();
	snprintf(rule, sizeof(rule), ".s %s/rules", t->path);
	assert_int_equal(filter_add(f, rule, &e), -1); /* "H two" names a side again */
	filter_free(f);
	f = filter_new();
	put(t, "words", "- foo + bar\n-_q ! -r\tx");
	snprintf(rule, sizeof(rule), ".w %s/words", t->path);
	assert_int_equal(filter_add(f, rule, &e), -1); /* "-r" and then a tab: a rule without pattern */
	put(t, "words", "+ bar - b*\n-_q");
	filter_free(f);
	f = filter_new();
	assert_int_equal(filter_add(f, rule, &e), 0);
	assert_int_equal(filter_count(f), 3);
	assert_true(verdict(f, "baz", FILTER_SENDER));
	assert_false(verdict(f, "bar", FILTER_SENDER));
	assert_true(verdict(f, "q", FILTER_SENDER));
	filter_free(f);
}

static void from_files(void **state)
{
	struct tree *t = *state;
	struct filter *f = filter_new();
	struct err e = {0};
	char path[128];

	put(t, "from", "# c\n+ keep.o\n*.o\nP x\n");
	snprintf(path, sizeof(path), "%s/from", t->path);
	assert_int_equal(filter_add_from(f, path, false, &e), 0);
	assert_true(verdict(f, "x.o", FILTER_SENDER));
	assert_false(verdict(f, "keep.o", FILTER_SENDER));
	assert_true(verdict(f, "P x", FILTER_SENDER));
	filter_set_from0(f, true);
	assert_int_equal(filter_add_from(f, path, false, &e), 0); /* one comment */
	put(t, "from", "two\nlines");
	assert_int_equal(filter_add_from(f, path, false, &e), 0);
	assert_true(verdict(f, "two\nlines", FILTER_SENDER));
	assert_int_equal(filter_add_from(f, "/nonexistent/x", false, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	filter_free(f);
}

static void absolute_paths(void **state)
{
	struct tree *t = *state;
	char rule[128];

	put(t, "a/b/", NULL);
	snprintf(rule, sizeof(rule), "-/ %s/a/x", t->path);
	struct filter *f = FILTER(rule, "-/ a/b/y", "-/ /a/b/z", "-/ /tmp/**/w");
	assert_true(hides(t, f, "a", "x"));
	assert_false(hides(t, f, "a/b", "x"));
	assert_true(hides(t, f, "a/b", "y"));
	assert_false(hides(t, f, "a/b", "z"));
	assert_true(hides(t, f, "", "w"));
	filter_free(f);
}

static void cvs_rules(void **state)
{
	struct tree *t = *state;
	char path[128];

	put(t, ".cvsignore", "home1 home2");
	setenv("HOME", t->path, 1);
	setenv("CVSIGNORE", "env1\tenv2", 1);
	struct filter *f = FILTER("+ keep.o", "-C");
	assert_true(verdict(f, "core", FILTER_SENDER));
	assert_true(verdict(f, "a/.git/", FILTER_SENDER));
	assert_false(verdict(f, ".git", FILTER_SENDER));
	assert_true(verdict(f, "x.o", FILTER_SENDER));
	assert_false(verdict(f, "keep.o", FILTER_SENDER));
	assert_true(verdict(f, "home2", FILTER_SENDER));
	assert_true(verdict(f, "env2", FILTER_SENDER));
	filter_free(f);
	setenv("CVSIGNORE", "! env3", 1);
	f = FILTER("- mine", "-C");
	assert_false(verdict(f, "core", FILTER_SENDER));
	assert_true(verdict(f, "env3", FILTER_SENDER));
	assert_true(verdict(f, "mine", FILTER_SENDER));
	filter_free(f);
	/* in a file of a tree the environment does not count */
	put(t, ".f", "-C\n");
	f = FILTER(": .f");
	assert_true(hides(t, f, "", "core"));
	assert_false(hides(t, f, "", "env3"));
	filter_free(f);
	snprintf(path, sizeof(path), "%s/nowhere", t->path);
	setenv("HOME", path, 1);
	unsetenv("CVSIGNORE");
	f = FILTER("-C");
	assert_true(verdict(f, "core", FILTER_SENDER));
	filter_free(f);
}

/* Paths longer than any buffer are matched all the same. */
static void deep_paths(void **state)
{
	struct filter *f = FILTER("- /d/**/last", "- d/d/x", "-! d/**");
	struct err e = {0};
	struct filter_dir *d = filter_root(f, -1, &e);

	(void)state;
	for (int i = 0; i < 6000; i++) {
		struct filter_dir *inner = filter_enter(d, "d", -1, &e);
		filter_unref(d);
		d = inner;
	}
	assert_true(filter_excludes(d, "last", false, FILTER_SENDER));
	assert_true(filter_excludes(d, "x", false, FILTER_SENDER));
	assert_false(filter_excludes(d, "y", false, FILTER_SENDER));
	filter_unref(d);
	filter_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns),
		cmocka_unit_test(names_of_rules),
		cmocka_unit_test(refused),
		cmocka_unit_test(errors_name_the_rule),
		cmocka_unit_test(first_match_decides),
		cmocka_unit_test(old_patterns),
		cmocka_unit_test(sides),
		cmocka_unit_test(xattrs),
		cmocka_unit_test(wire_text),
		cmocka_unit_test(peers_read_nothing),
		cmocka_unit_test(empty),
		cmocka_unit_test(many_rules),
		cmocka_unit_test_setup_teardown(per_directory, tree_open, tree_close),
		cmocka_unit_test_setup_teardown(root_above, tree_open, tree_close),
		cmocka_unit_test_setup_teardown(per_directory_kinds, tree_open, tree_close),
		cmocka_unit_test_setup_teardown(nested_merges, tree_open, tree_close),
		cmocka_unit_test_setup_teardown(bad_files, tree_open, tree_close),
		cmocka_unit_test_setup_teardown(user_files, tree_open, tree_close),
		cmocka_unit_test_setup_teardown(from_files, tree_open, tree_close),
		cmocka_unit_test_setup_teardown(absolute_paths, tree_open, tree_close),
		cmocka_unit_test_setup_teardown(cvs_rules, tree_open, tree_close),
		cmocka_unit_test(deep_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
