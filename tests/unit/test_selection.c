/* The names of --files-from as a tree. */
#include "sync/selection.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* The names chosen in a directory with a space behind each, '/' where one has to go on; "-" when there is no such directory. */
static const char *chosen(const struct selection *s, const char *path)
{
	static char text[1000];
	const struct selection_node *n = selection_find(s, path);

	if (!n)
		return "-";
	text[0] = '\0';
	for (size_t i = 0; i < selection_count(n); i++) {
		strcat(text, selection_name(n, i));
		if (selection_enters(n, selection_name(n, i)))
			strcat(text, "/");
		strcat(text, " ");
	}
	return text;
}

static struct selection *select_names(const char *list, size_t len)
{
	struct err e = {0};
	struct selection *s = selection_new(list, len, &e);

	assert_non_null(s);
	return s;
}

static void names_become_a_tree(void **state)
{
	static const char list[] = "b/two\0a\0b/one\0c/d/e/f\0b/one\0b-x\0b.x";
	struct selection *s = select_names(list, sizeof(list));

	(void)state;
	assert_string_equal(chosen(s, ""), "a b/ b-x b.x c/ ");
	assert_string_equal(chosen(s, "b"), "one two ");
	assert_string_equal(chosen(s, "c"), "d/ ");
	assert_string_equal(chosen(s, "c/d"), "e/ ");
	assert_string_equal(chosen(s, "c/d/e"), "f ");
	assert_string_equal(chosen(s, "a"), "");
	assert_string_equal(chosen(s, "c/x"), "-");
	assert_string_equal(chosen(s, "bb"), "-");
	assert_string_equal(chosen(s, "b/one/more"), "-");
	assert_false(selection_enters(selection_find(s, ""), "unknown"));
	assert_false(selection_enters(selection_find(s, ""), "b-"));
	selection_free(s);
}

static void similar_names_are_kept_apart(void **state)
{
	static const char list[] = "ab\0a\0abc\0\xff/x\0aa/y";
	struct selection *s = select_names(list, sizeof(list) - 1);

	(void)state;
	assert_string_equal(chosen(s, ""), "a aa/ ab abc \xff/ ");
	assert_string_equal(chosen(s, "\xff"), "x ");
	assert_string_equal(chosen(s, "ab"), "");
	assert_string_equal(chosen(s, "aa"), "y ");
	selection_free(s);
}

static void a_list_may_be_empty_or_sloppy(void **state)
{
	static const char list[] = "./a//b/\0.\0\0/abs";
	struct selection *s = select_names("", 0);

	(void)state;
	assert_string_equal(chosen(s, ""), "");
	selection_free(s);
	s = select_names(list, sizeof(list));
	assert_string_equal(chosen(s, ""), "a/ abs ");
	assert_string_equal(chosen(s, "a"), "b ");
	selection_free(s);
	selection_free(NULL);
}

static void what_is_chosen_itself_is_chosen_whole(void **state)
{
	static const char list[] = "a\0a/x\0b/c\0b/c/d/e";
	struct selection *s = select_names(list, sizeof(list));

	(void)state;
	assert_true(selection_covers(s, "a"));
	assert_true(selection_covers(s, "a/x"));
	assert_true(selection_covers(s, "a/not/named"));
	assert_true(selection_covers(s, "b/c/d"));
	assert_false(selection_covers(s, ""));
	assert_false(selection_covers(s, "b"));
	assert_false(selection_covers(s, "b/other"));
	assert_false(selection_covers(s, "aa"));
	selection_free(s);
	s = select_names(".", 1);
	assert_true(selection_covers(s, ""));
	assert_true(selection_covers(s, "anything"));
	selection_free(s);
}

static void nothing_leads_out(void **state)
{
	static const char *const bad[] = {"..", "../x", "a/..", "a/../b", "a/b/../../.."};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err){0};
		assert_null(selection_new(bad[i], strlen(bad[i]), &e));
		assert_int_equal(e.code, ERR_USAGE);
	}
	struct selection *s = select_names("...\0..a", 7);
	assert_string_equal(chosen(s, ""), "... ..a ");
	selection_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_become_a_tree),
		cmocka_unit_test(similar_names_are_kept_apart),
		cmocka_unit_test(a_list_may_be_empty_or_sloppy),
		cmocka_unit_test(what_is_chosen_itself_is_chosen_whole),
		cmocka_unit_test(nothing_leads_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
