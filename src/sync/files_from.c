/*
 * --files-from: a list of names becomes sorted, normalised, NUL-separated names beneath the source.
 */
#include "sync/sync_options.h"

#include "base/alloc.h"
#include "base/escape.h"
#include "sync/option_file.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 256 << 20 };

/* Rewrite name in place without empty and "." components; false when it has a "..". */
static bool normalise(char *name)
{
	char *to = name;

	for (const char *from = name; *from;) {
		size_t n = strcspn(from, "/");
		if (n == 2 && from[0] == '.' && from[1] == '.')
			return false;
		if (n > 0 && !(n == 1 && from[0] == '.')) {
			if (to > name)
				*to++ = '/';
			memmove(to, from, n);
			to += n;
		}
		from += n + (from[n] == '/');
	}
	if (to == name)
		*to++ = '.'; /* "/", "./": the source itself; there was at least one byte */
	*to = '\0';
	return true;
}

/* The end of a name sorts first, then '/', then the other bytes: a directory stands directly before what is
 * below. */
static unsigned rank(unsigned char c)
{
	return c == '/' ? 1 : c == '\0' ? 0 : c + 1u;
}

static int by_path(const void *pa, const void *pb)
{
	const unsigned char *a = *(unsigned char *const *)pa, *b = *(unsigned char *const *)pb;
	bool a_is_root = a[0] == '.' && !a[1], b_is_root = b[0] == '.' && !b[1];

	if (a_is_root || b_is_root)
		return b_is_root - a_is_root;
	for (; *a && *a == *b; a++, b++)
		;
	return (rank(*a) > rank(*b)) - (rank(*a) < rank(*b));
}

static int refuse(const char *name, const char *why, struct err *e)
{
	struct buf shown;

	buf_init(&shown, 4096);
	escape_name(&shown, name, strnlen(name, 500));
	err_set(e, ERR_USAGE, "%s: %s", buf_cstr(&shown), why);
	buf_release(&shown);
	return -1;
}

struct names {
	char **v; /* borrowed from the content */
	size_t count;
};

static int collect(struct buf *content, bool from0, struct names *names, struct err *e)
{
	size_t at = 0, cap = 0;
	char *name;

	if (!from0 && content->len && memchr(content->data, '\0', content->len))
		return err_set(
			e, ERR_USAGE, "the list holds NUL bytes: with a list made by find -print0, add -0");
	/* the last name needs room for its NUL, and adding that may move the content under borrowed names */
	buf_cstr(content);
	while ((name = option_file_next(content, &at, from0, !from0))) {
		if (names->count == cap) {
			cap = cap ? cap * 2 : 64;
			names->v = xreallocarray(names->v, cap, sizeof(*names->v));
		}
		names->v[names->count++] = name;
	}
	for (size_t i = 0; i < names->count; i++)
		if (!normalise(names->v[i]))
			return refuse(
				names->v[i], "names in the list must not contain \"..\" as a component", e);
	return 0;
}

static void join(struct sync_options *o, const struct names *names, size_t max)
{
	struct buf out;

	buf_init(&out, max);
	for (size_t i = 0; i < names->count; i++)
		if (i == 0 || strcmp(names->v[i], names->v[i - 1]) != 0)
			buf_put(&out, names->v[i], strlen(names->v[i]) + 1);
	free(o->files_list);
	o->files_list = xmemdupz(out.len ? (const char *)out.data : "", out.len);
	o->files_list_len = out.len;
	buf_release(&out);
}

int sync_options_read_files_from(struct sync_options *o, struct err *e)
{
	struct buf content;
	struct names names = {0};
	int ret;

	if (!o->files_from)
		return 0;
	buf_init(&content, LIST_MAX);
	ret = option_file_read(o->files_from, &content, e);
	if (ret == 0)
		ret = collect(&content, o->from0, &names, e);
	if (ret < 0) {
		err_ctx(e, "--files-from");
		goto out;
	}
	if (names.count > 1)
		qsort(names.v, names.count, sizeof(*names.v), by_path);
	join(o, &names, content.len + 2);
out:
	free(names.v);
	buf_release(&content);
	return ret;
}
