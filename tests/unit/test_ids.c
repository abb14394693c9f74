#include "os_scratch.h"

#include "os/ids.h"
#include "os/pool.h"

#include <stdatomic.h>
#include <time.h>

static const uint32_t NOBODYS_ID = 3999999999u;

static void root_is_known(void **state)
{
	uint32_t id = 7;

	(void)state;
	assert_string_equal(ids_user_name(0), "root");
	assert_string_equal(ids_group_name(0), "root");
	assert_true(ids_user_id("root", &id));
	assert_int_equal(id, 0);
	id = 7;
	assert_true(ids_group_id("root", &id));
	assert_int_equal(id, 0);
	assert_ptr_equal(ids_user_name(0), ids_user_name(0));
}

static void unknown_is_told(void **state)
{
	static const char *const bad[] = {"", "wherry-no-such-name", "root:", "0", "a\nb", "roo", "root "};
	char name[1000];
	uint32_t id = 7;

	(void)state;
	for (int again = 0; again < 2; again++) {
		assert_null(ids_user_name(NOBODYS_ID));
		assert_null(ids_group_name(NOBODYS_ID));
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			assert_false(ids_user_id(bad[i], &id));
			assert_false(ids_group_id(bad[i], &id));
		}
	}
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_false(ids_user_id(name, &id));
	assert_int_equal(id, 7);
}

static void many_at_once(void *arg)
{
	_Atomic int *wrong = arg;
	uint32_t id;

	for (uint32_t i = 0; i < 2000; i++) {
		const char *name = ids_user_name(0);
		*wrong += !name || strcmp(name, "root") != 0;
		*wrong += ids_user_name(NOBODYS_ID + i % 50) != NULL;
		*wrong += !ids_group_id("root", &id) || id != 0;
	}
}

static void from_many_threads(void **state)
{
	_Atomic int wrong = 0;
	struct pool *p = pool_new(4);

	(void)state;
	for (int i = 0; i < 16; i++)
		pool_push(p, many_at_once, &wrong);
	pool_drain(p);
	pool_free(p);
	assert_int_equal(wrong, 0);
}

static void later_answers_are_quick(void **state)
{
	enum { TIMES = 200000 };
	struct timespec a;
	struct timespec b;
	size_t found = 0;

	(void)state;
	ids_preload();
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < TIMES; i++)
		found += ids_user_name(0) != NULL;
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(found, TIMES);
	double ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / TIMES;
	print_message("%.1f ns for a known name\n", ns);
	assert_true(ns < 2000); /* far less than a look-up, even in a slow build */
}

static void what_an_ordinary_user_is(struct scratch *s)
{
	size_t n;

	assert_int_equal(ids_is_root(), geteuid() == 0);
	become_ordinary(s);
	ids_refresh();
	assert_false(ids_is_root());
	assert_false(ids_may_chown());
	assert_true(ids_own_group(getegid()));
	assert_false(ids_own_group(NOBODYS_ID));
	const gid_t *groups = ids_own_groups(&n);
	assert_true(n >= 1);
	for (size_t i = 0; i < n; i++)
		assert_true(ids_own_group(groups[i]));
}

static void what_this_process_is(void **state)
{
	run_in_child(what_an_ordinary_user_is, *state);
}

static void root_may_chown(void **state)
{
	struct scratch *s = *state;

	put_file_at(s->fd, "file", "");
	assert_int_equal(fchownat(s->fd, "file", 12345, 12345, 0) == 0, ids_may_chown());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_known),
		cmocka_unit_test(unknown_is_told),
		cmocka_unit_test(from_many_threads),
		cmocka_unit_test(later_answers_are_quick),
		cmocka_unit_test_setup_teardown(what_this_process_is, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(root_may_chown, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
