/* Errors: the table of codes, what a fault says after it has travelled up, and what scripts see as exit status. */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* What docs and scripts rely on; 1..35 are rsync's numbers. */
static const struct {
	enum err_code code;
	int status;
	const char *name;
} promised[] = {
	{ERR_NONE, 0, "ok"},
	{ERR_USAGE, 1, "usage"},
	{ERR_VERSION, 2, "version"},
	{ERR_SOURCE, 3, "source"},
	{ERR_UNSUPPORTED, 4, "unsupported"},
	{ERR_CLOSED, 10, "closed"},
	{ERR_IO, 11, "io"},
	{ERR_PROTOCOL, 12, "protocol"},
	{ERR_SIGNAL, 20, "signal"},
	{ERR_PARTIAL, 23, "partial"},
	{ERR_VANISHED, 24, "vanished"},
	{ERR_MAX_DELETE, 25, "max-delete"},
	{ERR_TIMEOUT, 30, "timeout"},
	{ERR_CONNECT_TIMEOUT, 35, "connect-timeout"},
	{ERR_NO_SPACE, 40, "no-space"},
	{ERR_UNREACHABLE, 41, "unreachable"},
	{ERR_NO_REMOTE, 42, "no-remote"},
	{ERR_REFUSED, 43, "refused"},
	{ERR_EMPTY, 44, "empty"},
	{ERR_LOCKED, 45, "locked"},
	{ERR_CONFLICT, 46, "conflict"},
	{ERR_INTERNAL, 70, "internal"},
};
enum { PROMISED = sizeof(promised) / sizeof(promised[0]) };

static void every_code_keeps_its_status_and_name(void **state)
{
	(void)state;
	assert_int_equal(PROMISED, ERR_CODES);
	for (size_t i = 0; i < PROMISED; i++) {
		const struct err_info *info = err_info(promised[i].code);
		assert_int_equal(info->code, promised[i].code);
		assert_int_equal(info->exit_status, promised[i].status);
		assert_string_equal(info->name, promised[i].name);
		assert_true(strlen(info->text) > 10);
		assert_null(strchr(info->text, '\n'));
	}
}

static void no_two_codes_share_anything(void **state)
{
	(void)state;
	for (int a = 0; a < ERR_CODES; a++)
		for (int b = a + 1; b < ERR_CODES; b++) {
			const struct err_info *x = err_info((enum err_code)a);
			const struct err_info *y = err_info((enum err_code)b);
			assert_ptr_not_equal(x, y);
			assert_int_not_equal(x->exit_status, y->exit_status);
			assert_string_not_equal(x->name, y->name);
			assert_string_not_equal(x->text, y->text);
		}
}

static void a_status_finds_its_row(void **state)
{
	size_t known = 0;

	(void)state;
	for (int status = -1; status < 300; status++) {
		const struct err_info *info = err_info_by_status(status);
		if (!info)
			continue;
		known++;
		assert_int_equal(info->exit_status, status);
	}
	assert_int_equal(known, ERR_CODES);
	assert_null(err_info_by_status(255));
}

static void an_unknown_code_is_a_bug_of_ours(void **state)
{
	(void)state;
	assert_int_equal(err_info(ERR_CODES)->code, ERR_INTERNAL);
	assert_int_equal(err_info((enum err_code)4711)->exit_status, 70);
}

static void a_fault_reads_as_a_sentence(void **state)
{
	struct err e = {0};

	(void)state;
	errno = EACCES;
	assert_int_equal(err_sys(&e, ERR_IO, "open %s", "/srv/a"), -1);
	assert_int_equal(err_ctx(&e, "while sending %s", "/srv"), -1);
	assert_string_equal(e.text, "while sending /srv: open /srv/a: Permission denied");
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(e.sys, EACCES);
	assert_int_equal(err_set(&e, ERR_LOCKED, "another run is at work in %s", "x"), -1);
	assert_string_equal(e.text, "another run is at work in x");
	assert_int_equal(e.code, ERR_LOCKED);
	assert_int_equal(e.sys, 0);
	err_clear(&e);
	assert_int_equal(e.code, ERR_NONE);
	assert_string_equal(e.text, "");
}

static void a_full_disk_is_told_apart(void **state)
{
	struct err e = {0};

	(void)state;
	errno = ENOSPC;
	err_sys(&e, ERR_IO, "write");
	assert_int_equal(e.code, ERR_NO_SPACE);
	errno = EDQUOT;
	err_sys(&e, ERR_IO, "write");
	assert_int_equal(e.code, ERR_NO_SPACE);
	errno = ENOSPC;
	err_sys(&e, ERR_SOURCE, "watch");
	assert_int_equal(e.code, ERR_SOURCE);
	errno = EIO;
	err_sys(&e, ERR_IO, "write");
	assert_int_equal(e.code, ERR_IO);
}

/* The longest path there is, in a fault and around it: cut, never torn, and the reason stays. */
static void long_names_are_cut(void **state)
{
	struct err e = {0};
	char path[5000];

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	errno = ENOENT;
	err_sys(&e, ERR_IO, "open %s", path);
	assert_true(strlen(e.text) < sizeof(e.text));
	assert_non_null(strstr(e.text, "No such file or directory"));
	for (int i = 0; i < 5; i++)
		err_ctx(&e, "in %s", path);
	assert_true(strlen(e.text) < sizeof(e.text));
	assert_memory_equal(e.text, "in ppp", 6);
	err_set(&e, ERR_IO, "%s", path);
	assert_true(strlen(e.text) < sizeof(e.text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_keeps_its_status_and_name),
		cmocka_unit_test(no_two_codes_share_anything),
		cmocka_unit_test(a_status_finds_its_row),
		cmocka_unit_test(an_unknown_code_is_a_bug_of_ours),
		cmocka_unit_test(a_fault_reads_as_a_sentence),
		cmocka_unit_test(a_full_disk_is_told_apart),
		cmocka_unit_test(long_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
