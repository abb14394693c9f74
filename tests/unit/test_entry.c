/* Directory lists: canonical order, finding, and which names another host may use. */
#include "tree/entry.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void sorted_by_unsigned_bytes(void **state)
{
	static const char *const mixed[] = {
		"b", "\xff", "a.b", "a", "B", "a-b", "\xc3\xa4", "ab", "10", "9", "\x01"};
	static const char *const order[] = {
		"\x01", "10", "9", "B", "a", "a-b", "a.b", "ab", "b", "\xc3\xa4", "\xff"};
	enum { COUNT = sizeof(mixed) / sizeof(mixed[0]) };
	struct dirlist l;

	(void)state;
	dirlist_init(&l);
	dirlist_sort(&l);
	assert_null(dirlist_find(&l, "a"));
	for (size_t i = 0; i < COUNT; i++)
		dirlist_add(&l, mixed[i], strlen(mixed[i]));
	dirlist_sort(&l);
	assert_int_equal(l.count, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		assert_string_equal(l.entries[i].name, order[i]);
		assert_int_equal(l.entries[i].name_len, strlen(order[i]));
		assert_ptr_equal(dirlist_find(&l, order[i]), &l.entries[i]);
	}
	assert_null(dirlist_find(&l, ""));
	assert_null(dirlist_find(&l, "a-"));
	assert_null(dirlist_find(&l, "\xff\xff"));
	assert_null(dirlist_find(&l, "A"));
	dirlist_release(&l);
}

static void big_lists_find_everything(void **state)
{
	struct dirlist l;
	char name[32];

	(void)state;
	dirlist_init(&l);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%u", i * 7919 % 5003);
		dirlist_add(&l, name, strlen(name))->size = i;
	}
	dirlist_sort(&l);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%u", i * 7919 % 5003);
		struct entry *en = dirlist_find(&l, name);
		assert_non_null(en);
		assert_int_equal(en->size, i);
	}
	dirlist_release(&l);
}

static void new_entries_are_blank_and_own_their_name(void **state)
{
	static const struct entry blank;
	struct dirlist l;
	char name[] = "name and more";

	(void)state;
	dirlist_init(&l);
	struct entry *en = dirlist_add(&l, name, 4);
	memset(name, '#', sizeof(name));
	assert_string_equal(en->name, "name");
	assert_int_equal(en->name_len, 4);
	en->name = NULL;
	en->name_len = 0;
	assert_memory_equal(en, &blank, sizeof(blank));
	dirlist_release(&l);
}

static bool ok(const char *name)
{
	return entry_name_ok(name, strlen(name));
}

static void names_of_a_peer(void **state)
{
	char longest[300];

	(void)state;
	memset(longest, 'n', sizeof(longest));
	assert_true(entry_name_ok(longest, 255));
	assert_false(entry_name_ok(longest, 256));
	assert_false(entry_name_ok("", 0));
	assert_false(entry_name_ok("a\0b", 3));
	assert_false(ok("."));
	assert_false(ok(".."));
	assert_false(ok("/"));
	assert_false(ok("a/b"));
	assert_false(ok("../x"));
	assert_false(ok("a/"));
	assert_true(ok("..."));
	assert_true(ok(".a"));
	assert_true(ok("..a"));
	assert_true(ok("-rf"));
	assert_true(ok("new\nline"));
	assert_true(ok("\xff\xfe"));
	assert_true(ok("\\"));
	assert_true(ok(" "));
	assert_false(ok(".wherry.0123456789abcdef.t"));
	assert_false(ok(".wherry.0123456789abcdef.d"));
	assert_true(ok(".wherry.notes"));
}

static bool is_temp(const char *name)
{
	return entry_name_is_temp(name, strlen(name));
}

/* Only exactly wherry's own names: anything else is a user's file and stays. */
static void temporary_names(void **state)
{
	(void)state;
	assert_true(is_temp(".wherry.0123456789abcdef.t"));
	assert_true(is_temp(".wherry.ffffffffffffffff.d"));
	assert_false(is_temp(".wherry.0123456789abcdef.x"));
	assert_false(is_temp(".wherry.0123456789ABCDEF.t"));
	assert_false(is_temp(".wherry.0123456789abcdeg.t"));
	assert_false(is_temp(".wherry.0123456789abcde.t"));
	assert_false(is_temp(".wherry.0123456789abcdef0.t"));
	assert_false(is_temp(".wherry.0123456789abcdef.tt"));
	assert_false(is_temp(".wherry.0123456789abcdef-t"));
	assert_false(is_temp("xwherry.0123456789abcdef.t"));
	assert_false(is_temp(".Wherry.0123456789abcdef.t"));
	assert_false(is_temp(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorted_by_unsigned_bytes),
		cmocka_unit_test(big_lists_find_everything),
		cmocka_unit_test(new_entries_are_blank_and_own_their_name),
		cmocka_unit_test(names_of_a_peer),
		cmocka_unit_test(temporary_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
