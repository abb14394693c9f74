/*
 * Filter rules as a peer may send them: lines of the input are rules, and what follows an empty line is a path to be
 * judged. The text of every accepted rule must be accepted again and read the same. Inputs of some lengths are a
 * per-directory file of a hostile tree instead.
 */
#include "tree/filter.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void judge(const struct filter *f, char *path)
{
	struct err e = {0};
	struct filter_dir *d = filter_root(f, -1, &e);
	char *name = path;

	for (char *slash; d && (slash = strchr(name, '/')); name = slash + 1) {
		*slash = '\0';
		struct filter_dir *inner = filter_enter(d, name, -1, &e);
		filter_unref(d);
		d = inner;
	}
	if (d) {
		filter_excludes(d, name, false, FILTER_SENDER);
		filter_protects(d, name, true, true);
		filter_protects_doomed(d, name, true, false);
		filter_excludes_xattr(f, name, FILTER_RECEIVER);
	}
	filter_unref(d);
}

static void again(const struct filter *f)
{
	struct filter *copy = filter_new();
	struct err e = {0};
	struct buf one, two;

	buf_init(&one, 1 << 20);
	buf_init(&two, 1 << 20);
	for (size_t i = 0; i < filter_count(f); i++) {
		buf_clear(&one);
		buf_clear(&two);
		filter_rule_text(f, i, &one);
		if (filter_add_peer(copy, buf_cstr(&one), &e) || filter_count(copy) != i + 1)
			abort();
		filter_rule_text(copy, i, &two);
		if (one.len != two.len || memcmp(one.data, two.data, one.len) != 0)
			abort();
	}
	buf_release(&one);
	buf_release(&two);
	filter_free(copy);
}

/* The input as the merge file of a tree. */
static void from_tree(const uint8_t *data, size_t size)
{
	static const char *const merges[] = {": .f", ":C .f", ":w .f", ":n- .f"};
	char dir[] = "/tmp/fuzz_filter.XXXXXX";
	struct filter *f = filter_new();
	struct err e = {0};
	char path[] = "a/b/x.o";

	if (!mkdtemp(dir) || filter_add_peer(f, merges[size / 8 % 4], &e))
		abort();
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	int fd = openat(dir_fd, ".f", O_WRONLY | O_CREAT, 0600);
	if (write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
	struct filter_dir *top = filter_root(f, dir_fd, &e);
	struct filter_dir *sub = top ? filter_enter(top, "a", dir_fd, &e) : NULL;
	if (sub)
		filter_excludes(sub, path + 4, false, FILTER_SENDER);
	filter_unref(sub);
	filter_unref(top);
	unlinkat(dir_fd, ".f", 0);
	close(dir_fd);
	rmdir(dir);
	filter_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size % 8 == 7) {
		from_tree(data, size);
		return 0;
	}
	char *text = malloc(size + 1);
	struct filter *f = filter_new();
	struct err e = {0};
	char *line = text;

	memcpy(text, data, size);
	text[size] = '\0';
	while (*line && *line != '\n') {
		char *end = strchrnul(line, '\n');
		char *next = end + (*end == '\n');
		*end = '\0';
		if (size % 2)
			filter_add_peer(f, line, &e);
		else
			filter_add_pattern(f, line, size & 2, &e);
		line = next;
	}
	again(f);
	if (*line)
		judge(f, line + 1);
	filter_free(f);
	free(text);
	return 0;
}
