/*
 * Shows what filter rules do to a tree, for the tests that compare with rsync.
 *   filter_tool [-d] [-x] [-p] [-f RULE | -e PATTERN | -i PATTERN | -E FILE | -I FILE]... DIR
 * Prints the paths below DIR, each ended by a NUL byte: those that the sender would list, or, with -d, those that a
 * receiver would delete if the source were empty (-x: with --delete-excluded). -p sends the rules through their text
 * on the wire first. Exit status: 0, 1 = bad rule or unreadable merge file (message on stderr), 2 = usage.
 */
#include "tree/filter.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tool {
	struct filter *filter;
	bool deleting;
	bool delete_excluded;
	bool through_wire;
	struct err e;
};

static int die(const struct tool *t)
{
	fprintf(stderr, "filter_tool: %s\n", t->e.text);
	return 1;
}

static bool excluded(
	const struct tool *t, const struct filter_dir *d, const char *name, bool is_dir, bool doomed)
{
	if (!t->deleting)
		return filter_excludes(d, name, is_dir, FILTER_SENDER);
	if (doomed)
		return filter_protects_doomed(d, name, is_dir, t->delete_excluded);
	return filter_protects(d, name, is_dir, t->delete_excluded);
}

static int visit(struct tool *t, struct filter_dir *d, int fd, const char *prefix, bool doomed, bool *kept);

/* One entry. *kept: something stays, so the directory cannot be deleted. */
static int visit_entry(struct tool *t, struct filter_dir *d, int fd, const char *prefix, const char *name,
	bool doomed, bool *kept)
{
	struct stat st;
	bool inner_kept = false;
	char *path = NULL;
	int rc = 0;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) || asprintf(&path, "%s%s", prefix, name) < 0)
		return -1;
	bool is_dir = S_ISDIR(st.st_mode);
	if (excluded(t, d, name, is_dir, doomed)) {
		*kept = true;
		free(path);
		return 0;
	}
	if (!t->deleting)
		printf("%s%c", path, '\0');
	if (is_dir) {
		char *below = NULL;
		int sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		struct filter_dir *inner = sub >= 0 ? filter_enter(d, name, sub, &t->e) : NULL;
		rc = inner && asprintf(&below, "%s/", path) > 0
			     ? visit(t, inner, sub, below, t->deleting, &inner_kept)
			     : -1;
		free(below);
		filter_unref(inner);
		close(sub);
	}
	if (t->deleting && !inner_kept)
		printf("%s%c", path, '\0');
	*kept |= inner_kept;
	free(path);
	return rc;
}

static int visit(struct tool *t, struct filter_dir *d, int fd, const char *prefix, bool doomed, bool *kept)
{
	DIR *dir = fdopendir(dup(fd));
	struct dirent *de;
	int rc = 0;

	while (dir && rc == 0 && (de = readdir(dir)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			rc = visit_entry(t, d, fd, prefix, de->d_name, doomed, kept);
	if (dir)
		closedir(dir);
	return rc;
}

/* The same filter as a peer would build it. */
static struct filter *over_wire(const struct filter *f, struct err *e)
{
	struct filter *copy = filter_new();
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < filter_count(f); i++) {
		buf_clear(&b);
		filter_rule_text(f, i, &b);
		if (filter_add_peer(copy, buf_cstr(&b), e)) {
			filter_free(copy);
			copy = NULL;
			break;
		}
	}
	buf_release(&b);
	return copy;
}

static int take_options(struct tool *t, int argc, char **argv)
{
	int c;
	int rc = 0;

	while (rc == 0 && (c = getopt(argc, argv, "dxpf:e:i:E:I:")) != -1) {
		switch (c) {
		case 'd':
			t->deleting = true;
			break;
		case 'x':
			t->delete_excluded = true;
			break;
		case 'p':
			t->through_wire = true;
			break;
		case 'f':
			rc = filter_add(t->filter, optarg, &t->e);
			break;
		case 'e':
		case 'i':
			rc = filter_add_pattern(t->filter, optarg, c == 'i', &t->e);
			break;
		case 'E':
		case 'I':
			rc = filter_add_from(t->filter, optarg, c == 'I', &t->e);
			break;
		default:
			exit(2);
		}
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct tool t = {.filter = filter_new()};
	struct filter_dir *root = NULL;
	bool kept = false;
	int status = 0;
	int fd = -1;

	if (take_options(&t, argc, argv)) {
		status = die(&t);
	} else if (optind + 1 != argc || (fd = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		status = 2;
	} else {
		if (t.through_wire) {
			struct filter *copy = over_wire(t.filter, &t.e);
			filter_free(t.filter);
			t.filter = copy;
		}
		root = t.filter ? filter_root(t.filter, fd, &t.e) : NULL;
		if (!root || visit(&t, root, fd, "", false, &kept))
			status = die(&t);
	}
	filter_unref(root);
	filter_free(t.filter);
	if (fd >= 0)
		close(fd);
	return status;
}
