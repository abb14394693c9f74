/* Workers: what order tasks are taken in, and that draining waits for everything, also for what tasks push. */
#include "os/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MANY = 1000 };

static int order[MANY];
static int taken;
static _Atomic bool open_gate;

/* Keeps the only worker busy while the others are queued. */
static void gate(void *arg)
{
	(void)arg;
	while (!atomic_load(&open_gate))
		usleep(100);
}

static void note(void *arg)
{
	order[taken++] = (int)(intptr_t)arg;
}

static struct pool *one_held_worker(void)
{
	struct pool *p = pool_new(1);

	taken = 0;
	atomic_store(&open_gate, false);
	pool_push(p, gate, NULL);
	usleep(20 * 1000); /* it has taken the gate: nothing else is under way */
	return p;
}

static void release(struct pool *p)
{
	atomic_store(&open_gate, true);
	pool_drain(p);
	pool_free(p);
}

static void last_in_is_first_out(void **state)
{
	struct pool *p = one_held_worker();

	(void)state;
	for (intptr_t i = 0; i < MANY; i++)
		pool_push(p, note, (void *)i);
	release(p);
	assert_int_equal(taken, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(order[i], MANY - 1 - i);
}

static void put_last_is_taken_last_and_in_turn(void **state)
{
	static const int want[] = {5, 4, 1, 2, 3};
	struct pool *p = one_held_worker();

	(void)state;
	pool_push_last(p, note, (void *)1);
	pool_push_last(p, note, (void *)2);
	pool_push(p, note, (void *)4);
	pool_push_last(p, note, (void *)3);
	pool_push(p, note, (void *)5);
	release(p);
	assert_int_equal(taken, 5);
	assert_memory_equal(order, want, sizeof(want));
}

static void many_put_last_keep_their_order(void **state)
{
	struct pool *p = one_held_worker();

	(void)state;
	for (intptr_t i = 0; i < MANY; i++)
		pool_push_last(p, note, (void *)i);
	release(p);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(order[i], i);
}

struct family {
	struct pool *p;
	_Atomic int born, done;
};

/* A task with children of its own, as a directory has; told by its depth. */
static void parent(void *arg);

struct child {
	struct family *f;
	int depth;
};

static void parent(void *arg)
{
	struct child *c = arg;
	static struct child pool_of_children[4096];

	for (int i = 0; c->depth > 0 && i < 3; i++) {
		struct child *kid = &pool_of_children[atomic_fetch_add(&c->f->born, 1)];
		*kid = (struct child){c->f, c->depth - 1};
		(i ? pool_push : pool_push_last)(c->f->p, parent, kid);
	}
	if (c->depth == 2)
		usleep(1000);
	atomic_fetch_add(&c->f->done, 1);
}

static void draining_waits_for_what_tasks_push(void **state)
{
	struct family f = {.p = pool_new(4)};
	struct child first = {&f, 6};

	(void)state;
	assert_int_equal(pool_threads(f.p), 4);
	pool_drain(f.p); /* nothing to wait for */
	for (int again = 1; again <= 2; again++) {
		f.born = f.done = 0;
		pool_push(f.p, parent, &first);
		pool_drain(f.p);
		assert_int_equal(f.done, 1 + 3 + 9 + 27 + 81 + 243 + 729);
	}
	pool_free(f.p);
	pool_free(NULL);
}

static _Atomic int met;

static void meet(void *arg)
{
	(void)arg;
	atomic_fetch_add(&met, 1);
	for (int i = 0; i < 5000 && atomic_load(&met) < 3; i++)
		usleep(1000);
}

static void workers_work_at_the_same_time(void **state)
{
	struct pool *p = pool_new(3);

	(void)state;
	alarm(30);
	for (int i = 0; i < 3; i++)
		pool_push(p, meet, NULL);
	pool_drain(p);
	alarm(0);
	assert_int_equal(met, 3);
	pool_free(p);
}

static void there_is_a_cpu(void **state)
{
	(void)state;
	assert_true(pool_cpus() >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_in_is_first_out),
		cmocka_unit_test(put_last_is_taken_last_and_in_turn),
		cmocka_unit_test(many_put_last_keep_their_order),
		cmocka_unit_test(draining_waits_for_what_tasks_push),
		cmocka_unit_test(workers_work_at_the_same_time),
		cmocka_unit_test(there_is_a_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
