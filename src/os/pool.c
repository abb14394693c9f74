#include "os/pool.h"

#include "base/alloc.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

struct task {
	pool_fn fn;
	void *arg;
};

/* A ring: the stack's top is at head + count - 1, pool_push_last() puts below head. */
struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t idle;
	struct task *ring;
	size_t cap;
	size_t head;
	size_t count;
	unsigned running;
	unsigned waiting;
	unsigned threads;
	bool ending;
	pthread_t ids[];
};

static void *worker(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->count && !p->ending) {
			p->waiting++;
			pthread_cond_wait(&p->work, &p->lock);
			p->waiting--;
		}
		if (!p->count)
			break;
		struct task t = p->ring[(p->head + --p->count) & (p->cap - 1)];
		p->running++;
		pthread_mutex_unlock(&p->lock);
		t.fn(t.arg);
		pthread_mutex_lock(&p->lock);
		if (--p->running == 0 && !p->count)
			pthread_cond_broadcast(&p->idle);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct pool *pool_new(unsigned threads)
{
	struct pool *p = xcalloc(1, sizeof(*p) + threads * sizeof(p->ids[0]));

	p->threads = threads;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->idle, NULL);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&p->ids[i], NULL, worker, p) != 0)
			abort();
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->ids[i], NULL);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->idle);
	pthread_mutex_destroy(&p->lock);
	free(p->ring);
	free(p);
}

static void make_room(struct pool *p)
{
	if (p->count < p->cap)
		return;
	size_t cap = p->cap ? p->cap * 2 : 64;
	struct task *ring = xreallocarray(NULL, cap, sizeof(*ring));
	for (size_t i = 0; i < p->count; i++)
		ring[i] = p->ring[(p->head + i) & (p->cap - 1)];
	free(p->ring);
	p->ring = ring;
	p->cap = cap;
	p->head = 0;
}

static void push(struct pool *p, struct task t, bool last)
{
	pthread_mutex_lock(&p->lock);
	make_room(p);
	if (last) {
		p->head = (p->head - 1) & (p->cap - 1);
		p->ring[p->head] = t;
	} else {
		p->ring[(p->head + p->count) & (p->cap - 1)] = t;
	}
	p->count++;
	if (p->waiting)
		pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}

void pool_push(struct pool *p, pool_fn fn, void *arg)
{
	push(p, (struct task){fn, arg}, false);
}

void pool_push_last(struct pool *p, pool_fn fn, void *arg)
{
	push(p, (struct task){fn, arg}, true);
}

void pool_drain(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->count || p->running)
		pthread_cond_wait(&p->idle, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

unsigned pool_threads(const struct pool *p)
{
	return p->threads;
}

unsigned pool_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	int n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}
