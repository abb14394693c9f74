/* Whose files they are here: the same host, by name, by number, and by --usermap and --groupmap. */
#include "sync/idmap.h"

#include "os/ids.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const uint32_t NAMELESS = 3999999999u;
enum { ELSEWHERE = 54321 };

static uint32_t user(const char *name)
{
	uint32_t id = 0;

	assert_true(ids_user_id(name, &id));
	return id;
}

static uint32_t group(const char *name)
{
	uint32_t id = 0;

	assert_true(ids_group_id(name, &id));
	return id;
}

static struct idmap *map_of(bool local, bool numeric, const char *users, const char *groups)
{
	struct sync_options o;
	struct err e = {0};

	sync_options_init(&o);
	o.numeric_ids = numeric;
	if (users)
		opt_strings_add(&o.usermap, users);
	if (groups)
		opt_strings_add(&o.groupmap, groups);
	struct idmap *m = idmap_new(&o, local, &e);
	if (!m)
		fail_msg("%s", e.text);
	sync_options_release(&o);
	return m;
}

static void learn(struct idmap *m, uint32_t id, const char *name)
{
	idmap_learn(m, false, id, name, strlen(name));
	idmap_learn(m, true, id, name, strlen(name));
}

static void on_one_host_ids_are_what_they_are(void **state)
{
	struct idmap *m = map_of(true, false, NULL, NULL);

	(void)state;
	assert_true(idmap_is_identity(m));
	assert_int_equal(idmap_uid(m, 0), 0);
	assert_int_equal(idmap_uid(m, NAMELESS), NAMELESS);
	assert_int_equal(idmap_gid(m, 100), 100);
	idmap_free(m);
	idmap_free(NULL);
}

static void names_decide_between_hosts(void **state)
{
	struct idmap *m = map_of(false, false, NULL, NULL);

	(void)state;
	assert_false(idmap_is_identity(m));
	learn(m, ELSEWHERE, "daemon");
	learn(m, ELSEWHERE + 1, "wherry-no-such-name");
	learn(m, 0, "daemon");
	assert_int_equal(idmap_uid(m, ELSEWHERE), user("daemon"));
	assert_int_equal(idmap_gid(m, ELSEWHERE), group("daemon"));
	assert_int_equal(idmap_uid(m, ELSEWHERE + 1), ELSEWHERE + 1);
	assert_int_equal(idmap_uid(m, ELSEWHERE + 2), ELSEWHERE + 2);
	assert_int_equal(idmap_uid(m, 0), 0); /* root is root */
	assert_int_equal(idmap_gid(m, 0), 0);
	learn(m, ELSEWHERE, "bin"); /* said once is said */
	assert_int_equal(idmap_uid(m, ELSEWHERE), user("daemon"));
	idmap_free(m);
}

static void users_and_groups_are_apart(void **state)
{
	struct idmap *m = map_of(false, false, NULL, NULL);

	(void)state;
	idmap_learn(m, true, ELSEWHERE, "daemon and more", 6);
	assert_int_equal(idmap_uid(m, ELSEWHERE), ELSEWHERE);
	assert_int_equal(idmap_gid(m, ELSEWHERE), group("daemon"));
	idmap_free(m);
}

static void numbers_stay_with_numeric_ids(void **state)
{
	struct idmap *m = map_of(false, true, NULL, NULL);

	(void)state;
	assert_true(idmap_is_identity(m));
	learn(m, ELSEWHERE, "daemon");
	assert_int_equal(idmap_uid(m, ELSEWHERE), ELSEWHERE);
	assert_int_equal(idmap_gid(m, ELSEWHERE), ELSEWHERE);
	idmap_free(m);
}

static void maps_on_one_host(void **state)
{
	struct idmap *m = map_of(true, false, "daemon:bin,1000-1999:77,5000:nobody,:88", "dae*:99,*:11");

	(void)state;
	assert_false(idmap_is_identity(m));
	assert_int_equal(idmap_uid(m, user("daemon")), user("bin"));
	assert_int_equal(idmap_uid(m, 1000), 77);
	assert_int_equal(idmap_uid(m, 1999), 77);
	assert_int_equal(idmap_uid(m, 5000), user("nobody"));
	assert_int_equal(idmap_uid(m, NAMELESS), 88);
	assert_int_equal(idmap_uid(m, user("sys")), user("sys"));
	assert_int_equal(idmap_uid(m, 0), 0);
	assert_int_equal(idmap_gid(m, group("daemon")), 99);
	assert_int_equal(idmap_gid(m, NAMELESS), 11);
	assert_int_equal(idmap_gid(m, 0), 11);
	idmap_free(m);
}

static void maps_speak_of_the_senders_names(void **state)
{
	struct idmap *m = map_of(false, false, "al?ce:9,bob:bin,*:nobody", NULL);

	(void)state;
	learn(m, 1001, "alice");
	learn(m, 1002, "bob");
	learn(m, 1003, "daemon");
	assert_int_equal(idmap_uid(m, 1001), 9);
	assert_int_equal(idmap_uid(m, 1002), user("bin"));
	assert_int_equal(idmap_uid(m, 1003), user("nobody"));
	assert_int_equal(idmap_gid(m, 1003), group("daemon"));
	assert_int_equal(idmap_gid(m, 1001), 1001);
	idmap_free(m);
}

static void maps_count_with_numeric_ids(void **state)
{
	struct idmap *m = map_of(false, true, "7:8", NULL);

	(void)state;
	assert_false(idmap_is_identity(m));
	learn(m, ELSEWHERE, "daemon");
	assert_int_equal(idmap_uid(m, 7), 8);
	assert_int_equal(idmap_uid(m, ELSEWHERE), ELSEWHERE);
	assert_int_equal(idmap_gid(m, 7), 7);
	idmap_free(m);
}

static void the_first_match_wins(void **state)
{
	struct idmap *m = map_of(true, false, "1-10:100,5:200,*:300", NULL);

	(void)state;
	assert_int_equal(idmap_uid(m, 5), 100);
	assert_int_equal(idmap_uid(m, 11), 300);
	assert_int_equal(idmap_uid(m, 5), 100);
	idmap_free(m);
}

static void a_map_to_nobody_known_is_refused(void **state)
{
	static const char *const bad[] = {
		"daemon:wherry-no-such-name", "daemon", "1:99999999999", "1:2,3:-1", "5:"};
	struct sync_options o;

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {0};
		sync_options_init(&o);
		opt_strings_add(i % 2 ? &o.groupmap : &o.usermap, bad[i / 2]);
		assert_null(idmap_new(&o, true, &e));
		assert_int_equal(e.code, ERR_USAGE);
		assert_non_null(strstr(e.text, i % 2 ? "groupmap" : "usermap"));
		sync_options_release(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_one_host_ids_are_what_they_are),
		cmocka_unit_test(names_decide_between_hosts),
		cmocka_unit_test(users_and_groups_are_apart),
		cmocka_unit_test(numbers_stay_with_numeric_ids),
		cmocka_unit_test(maps_on_one_host),
		cmocka_unit_test(maps_speak_of_the_senders_names),
		cmocka_unit_test(maps_count_with_numeric_ids),
		cmocka_unit_test(the_first_match_wins),
		cmocka_unit_test(a_map_to_nobody_known_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
