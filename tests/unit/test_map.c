/* The map against a plain table of what was put and not removed, over keys that like to collide. */
#include "base/alloc.h"
#include "base/map.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { KEYS = 300 };

struct model {
	bool there[KEYS];
	uint64_t value[KEYS];
	size_t count;
};

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Small numbers, high bits only, and the two ends of the range. */
static uint64_t key_of(size_t i)
{
	if (i == 0)
		return UINT64_MAX;
	return i % 3 == 0 ? i : i % 3 == 1 ? (uint64_t)i << 55 : (uint64_t)(i - 2) << 32;
}

static void same_as_model(const struct u64map *m, const struct model *model)
{
	assert_int_equal(m->count, model->count);
	for (size_t i = 0; i < KEYS; i++) {
		uint64_t value = 0;
		assert_int_equal(u64map_get(m, key_of(i), &value), model->there[i]);
		assert_int_equal(u64map_get(m, key_of(i), NULL), model->there[i]);
		if (model->there[i])
			assert_true(value == model->value[i]);
	}
}

static void put_one(struct u64map *m, struct model *model, size_t i, uint64_t value)
{
	bool added;
	uint64_t *slot = u64map_put(m, key_of(i), &added);

	assert_int_equal(added, !model->there[i]);
	assert_true(*slot == (added ? 0 : model->value[i]));
	*slot = value;
	model->count += added;
	model->there[i] = true;
	model->value[i] = value;
}

static void remove_one(struct u64map *m, struct model *model, size_t i)
{
	assert_int_equal(u64map_remove(m, key_of(i)), model->there[i]);
	model->count -= model->there[i];
	model->there[i] = false;
}

static void behaves_like_a_table(void **state)
{
	struct u64map m;
	struct model model = {0};
	uint64_t x = 88172645463325252u;

	(void)state;
	u64map_init(&m);
	same_as_model(&m, &model);
	for (int step = 0; step < 20000; step++) {
		size_t i = (size_t)(next_random(&x) % KEYS);
		bool growing = step / 2000 % 2 == 0;
		if (next_random(&x) % 4 < (growing ? 3 : 1))
			put_one(&m, &model, i, next_random(&x));
		else
			remove_one(&m, &model, i);
		if (step % 100 == 0)
			same_as_model(&m, &model);
	}
	for (size_t i = 0; i < KEYS; i++)
		remove_one(&m, &model, i);
	same_as_model(&m, &model);
	put_one(&m, &model, 0, 7);
	same_as_model(&m, &model);
	u64map_release(&m);
}

static size_t freed;

static void count_and_free(void *value)
{
	freed++;
	free(value);
}

static void every_value_is_visited_once(void **state)
{
	struct u64map m;

	(void)state;
	u64map_init(&m);
	u64map_each_value(&m, count_and_free);
	assert_int_equal(freed, 0);
	for (uint64_t key = 0; key < 1000; key++)
		*u64map_put(&m, key, NULL) = (uint64_t)(uintptr_t)xstrdup("owned");
	u64map_each_value(&m, count_and_free);
	assert_int_equal(freed, 1000);
	u64map_release(&m);
	assert_int_equal(m.count, 0);
	assert_false(u64map_get(&m, 1, NULL));
	assert_false(u64map_remove(&m, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaves_like_a_table),
		cmocka_unit_test(every_value_is_visited_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
