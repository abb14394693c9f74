/* Names on a terminal, in a log and in JSON: never a control character, never ambiguous, UTF-8 left as it is. */
#include "base/escape.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct {
	const char *name, *shown, *json;
} cases[] = {
	{"", "", "\"\""},
	{"plain name.txt", "plain name.txt", "\"plain name.txt\""},
	{"tab\there", "tab\\#011here", "\"tab\\u0009here\""},
	{"two\nlines", "two\\#012lines", "\"two\\u000alines\""},
	{"\033[31mred", "\\#033[31mred", "\"\\u001b[31mred\""},
	{"del\177", "del\\#177", "\"del\\u007f\""},
	{"quote\" slash\\", "quote\" slash\\", "\"quote\\\" slash\\\\\""},
	{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		"\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\""},
	{"latin \xfc", "latin \\#374", "\"latin \\udcfc\""},
	{"cut \xe2\x82", "cut \\#342\\#202", "\"cut \\udce2\\udc82\""},
	{"stray \x80 x", "stray \\#200 x", "\"stray \\udc80 x\""},
	{"overlong \xc0\xaf", "overlong \\#300\\#257", "\"overlong \\udcc0\\udcaf\""},
	{"overlong \xe0\x80\xaf", "overlong \\#340\\#200\\#257", "\"overlong \\udce0\\udc80\\udcaf\""},
	{"surrogate \xed\xa0\x80", "surrogate \\#355\\#240\\#200", "\"surrogate \\udced\\udca0\\udc80\""},
	{"beyond \xf4\x90\x80\x80", "beyond \\#364\\#220\\#200\\#200",
		"\"beyond \\udcf4\\udc90\\udc80\\udc80\""},
	{"c1 \xc2\x9b"
	 "31m",
		"c1 \\#302\\#23331m", "\"c1 \\u009b31m\""},
	/* rsync: a backslash is shown as itself unless what follows would make it look like an escape */
	{"not \\#012 a newline", "not \\#134#012 a newline", "\"not \\\\#012 a newline\""},
	{"\\#01", "\\#01", "\"\\\\#01\""},
	{"\\\\#999", "\\\\#134#999", "\"\\\\\\\\#999\""},
	{"\\#12x", "\\#12x", "\"\\\\#12x\""},
};

static void names_are_shown_safely(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&b);
		escape_name(&b, cases[i].name, strlen(cases[i].name));
		assert_string_equal(buf_cstr(&b), cases[i].shown);
		buf_clear(&b);
		escape_json(&b, cases[i].name, strlen(cases[i].name));
		assert_string_equal(buf_cstr(&b), cases[i].json);
	}
	buf_release(&b);
}

static void nul_is_a_control_character_too(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	escape_name(&b, "a\0b", 3);
	assert_string_equal(buf_cstr(&b), "a\\#000b");
	buf_clear(&b);
	escape_json(&b, "a\0b", 3);
	assert_string_equal(buf_cstr(&b), "\"a\\u0000b\"");
	buf_release(&b);
}

/* Whatever three bytes come: nothing below a space and nothing that is no UTF-8 gets through. */
static void no_byte_gets_through(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (unsigned first = 0; first < 256; first++)
		for (unsigned second = 0; second < 256; second += 5) {
			const char name[3] = {(char)first, (char)second, 'x'};
			buf_clear(&b);
			escape_name(&b, name, 3);
			assert_int_equal(b.data[b.len - 1], 'x');
			for (size_t i = 0; i < b.len; i++)
				assert_true(b.data[i] >= ' ' && b.data[i] != 0x7f);
		}
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_shown_safely),
		cmocka_unit_test(nul_is_a_control_character_too),
		cmocka_unit_test(no_byte_gets_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
