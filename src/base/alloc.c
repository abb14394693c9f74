#include "base/alloc.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_FIRST = 1024, ARENA_MAX_BLOCK = 256 * 1024, ARENA_ALIGN = 16 };

struct arena_block {
	struct arena_block *next;
	size_t size;
};

void *xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		BUG("out of memory");
	return p;
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		BUG("out of memory");
	return p;
}

void *xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		BUG("out of memory");
	return p;
}

void *xreallocarray(void *p, size_t count, size_t size)
{
	size_t n;

	if (__builtin_mul_overflow(count, size, &n))
		BUG("allocation size overflows");
	return xrealloc(p, n);
}

char *xmemdupz(const void *p, size_t n)
{
	char *copy = xmalloc(n + 1);

	if (n)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

char *xstrdup(const char *s)
{
	return xmemdupz(s, strlen(s));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		BUG("out of memory");
	return s;
}

void arena_init(struct arena *a)
{
	*a = (struct arena){0};
}

void arena_release(struct arena *a)
{
	struct arena_block *b = a->head;

	while (b) {
		struct arena_block *next = b->next;
		free(b);
		b = next;
	}
	*a = (struct arena){0};
}

static void arena_grow(struct arena *a, size_t need)
{
	size_t size = a->head ? a->head->size * 2 : ARENA_FIRST;

	if (size > ARENA_MAX_BLOCK)
		size = ARENA_MAX_BLOCK;
	if (size < need)
		size = need;
	size_t head = (sizeof(struct arena_block) + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	struct arena_block *b = xmalloc(head + size);
	b->next = a->head;
	b->size = size;
	a->head = b;
	a->next = (char *)b + head;
	a->left = size;
	a->total += head + size;
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t pad = (size_t)(-(uintptr_t)a->next & (ARENA_ALIGN - 1));

	if (a->left < pad || a->left - pad < n) {
		arena_grow(a, n + ARENA_ALIGN);
		pad = (size_t)(-(uintptr_t)a->next & (ARENA_ALIGN - 1));
	}
	char *p = a->next + pad;
	a->next += pad + n;
	a->left -= pad + n;
	return p;
}

char *arena_memdupz(struct arena *a, const void *p, size_t n)
{
	if (a->left < n + 1)
		arena_grow(a, n + 1);
	char *copy = a->next;
	if (n)
		memcpy(copy, p, n);
	copy[n] = '\0';
	a->next += n + 1;
	a->left -= n + 1;
	return copy;
}
