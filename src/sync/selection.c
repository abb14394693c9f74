#include "sync/selection.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

struct selection_node {
	char *name;
	struct selection_node **child; /* sorted by name */
	size_t count;
	size_t cap;
	bool chosen; /* itself, not only something below it */
};

struct selection {
	struct selection_node root;
};

static struct selection_node *find_child(
	const struct selection_node *n, const char *name, size_t len, size_t *at)
{
	size_t lo = 0;
	size_t hi = n->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strncmp(n->child[mid]->name, name, len);
		if (c == 0 && n->child[mid]->name[len] != '\0')
			c = 1;
		if (c == 0) {
			*at = mid;
			return n->child[mid];
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*at = lo;
	return NULL;
}

static struct selection_node *add_child(struct selection_node *n, const char *name, size_t len)
{
	size_t at;
	struct selection_node *c = find_child(n, name, len, &at);

	if (c)
		return c;
	if (n->count == n->cap) {
		n->cap = n->cap ? n->cap * 2 : 4;
		n->child = xreallocarray(n->child, n->cap, sizeof(struct selection_node *));
	}
	memmove(n->child + at + 1, n->child + at, (n->count - at) * sizeof(struct selection_node *));
	c = xcalloc(1, sizeof(*c));
	c->name = xmemdupz(name, len);
	n->child[at] = c;
	n->count++;
	return c;
}

struct selection *selection_new(const char *list, size_t len, struct err *e)
{
	struct selection *s = xcalloc(1, sizeof(*s));
	const char *end = list + len;

	for (const char *p = list; p < end;) {
		size_t path_len = strnlen(p, (size_t)(end - p));
		const char *stop = p + path_len;
		struct selection_node *n = &s->root;
		while (p < stop) {
			const char *slash = memchr(p, '/', (size_t)(stop - p));
			size_t part = slash ? (size_t)(slash - p) : (size_t)(stop - p);
			if (part == 2 && p[0] == '.' && p[1] == '.') {
				err_set(e, ERR_USAGE, "--files-from: \"..\" is not allowed");
				selection_free(s);
				return NULL;
			}
			if (part && !(part == 1 && p[0] == '.'))
				n = add_child(n, p, part);
			p += part + (slash ? 1 : 0);
		}
		n->chosen |= path_len > 0;
		p = stop + 1;
	}
	return s;
}

static void release(struct selection_node *n)
{
	for (size_t i = 0; i < n->count; i++) {
		release(n->child[i]);
		free(n->child[i]);
	}
	free(n->child);
	free(n->name);
}

void selection_free(struct selection *s)
{
	if (!s)
		return;
	release(&s->root);
	free(s);
}

const struct selection_node *selection_find(const struct selection *s, const char *path)
{
	const struct selection_node *n = &s->root;
	size_t at;

	while (n && *path) {
		size_t part = strcspn(path, "/");
		n = find_child(n, path, part, &at);
		path += part + (path[part] == '/');
	}
	return n;
}

bool selection_covers(const struct selection *s, const char *path)
{
	const struct selection_node *n = &s->root;
	size_t at;

	while (n && !n->chosen && *path) {
		size_t part = strcspn(path, "/");
		n = find_child(n, path, part, &at);
		path += part + (path[part] == '/');
	}
	return n && n->chosen;
}

size_t selection_count(const struct selection_node *n)
{
	return n->count;
}

const char *selection_name(const struct selection_node *n, size_t i)
{
	return n->child[i]->name;
}

bool selection_enters(const struct selection_node *n, const char *name)
{
	size_t at;
	const struct selection_node *c = find_child(n, name, strlen(name), &at);

	return c && c->count > 0;
}
