/*
 * Allocation that aborts when memory is gone (a session is a process; its parent reports it), and arenas.
 * Role      pure computation.
 * Lifetime  arena: caller's storage, arena_init() .. arena_release(); everything it gave out ends with it.
 * Threads   an arena belongs to one thread at a time.
 * Units     bytes.
 */
#ifndef WHERRY_BASE_ALLOC_H
#define WHERRY_BASE_ALLOC_H

#include <stddef.h>

void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t n);

/* As xrealloc for count items of size bytes; aborts when the product overflows. */
void *xreallocarray(void *p, size_t count, size_t size);
char *xstrdup(const char *s);
char *xmemdupz(const void *p, size_t n); /* copy of n bytes with a NUL behind */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct arena_block;
struct arena {
	struct arena_block *head;
	char *next;
	size_t left;
	size_t total; /* bytes taken from malloc */
};

void arena_init(struct arena *a);
void arena_release(struct arena *a);

/* n bytes aligned for any scalar; not zeroed. */
void *arena_alloc(struct arena *a, size_t n);

/* Copy of n bytes with a NUL behind; unaligned. */
char *arena_memdupz(struct arena *a, const void *p, size_t n);

#endif
