/*
 * Worker threads over one stack of tasks (last in, first out: depth first keeps few directories open).
 * Role      OS (threads).
 * Threads   every function may be called from any thread; pool_free() only from the owner, after
 * pool_drain().
 */
#ifndef WHERRY_OS_POOL_H
#define WHERRY_OS_POOL_H

#include <stddef.h>

struct pool;
typedef void (*pool_fn)(void *arg);

struct pool *pool_new(unsigned threads);
void pool_free(struct pool *p);

/* Put a task on the stack; never blocks. */
void pool_push(struct pool *p, pool_fn fn, void *arg);

/* The same, but taken only when the stack above is empty: old work first. */
void pool_push_last(struct pool *p, pool_fn fn, void *arg);

/* Wait until no task is queued or running. */
void pool_drain(struct pool *p);

unsigned pool_threads(const struct pool *p);

/* Number of CPUs this process may use, at least 1. */
unsigned pool_cpus(void);

#endif
