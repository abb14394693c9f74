/* Arenas: what they give out is aligned, apart from everything else, and theirs until the end. */
#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { PIECES = 3000 };

static void pieces_do_not_touch(void **state)
{
	static unsigned char *piece[PIECES];
	static size_t size[PIECES];
	struct arena a;
	size_t sum = 0;

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < PIECES; i++) {
		size[i] = i % 500 == 499 ? 400000 : i * 31 % 97 + 1;
		piece[i] = arena_alloc(&a, size[i]);
		assert_int_equal((uintptr_t)piece[i] % _Alignof(max_align_t), 0);
		memset(piece[i], (int)(i % 251), size[i]);
		sum += size[i];
	}
	assert_true(a.total >= sum);
	for (size_t i = 0; i < PIECES; i++)
		for (size_t k = 0; k < size[i]; k++)
			if (piece[i][k] != i % 251)
				fail_msg("piece %zu was overwritten", i);
	arena_release(&a);
	assert_int_equal(a.total, 0);
	arena_release(&a);
}

static void strings_end_in_nul(void **state)
{
	static const char *copy[PIECES];
	struct arena a;
	char text[32];

	(void)state;
	arena_init(&a);
	for (int i = 0; i < PIECES; i++) {
		int n = snprintf(text, sizeof(text), "name %d", i);
		copy[i] = arena_memdupz(&a, text, (size_t)n);
		if (i % 7 == 0)
			*(uint64_t *)arena_alloc(&a, 8) = UINT64_MAX;
	}
	for (int i = 0; i < PIECES; i++) {
		snprintf(text, sizeof(text), "name %d", i);
		assert_string_equal(copy[i], text);
	}
	assert_string_equal(arena_memdupz(&a, NULL, 0), "");
	assert_memory_equal(arena_memdupz(&a, "a\0b", 3), "a\0b", 4);
	arena_release(&a);
}

static void small_ones_cost_little(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a);
	arena_memdupz(&a, "x", 1);
	assert_true(a.total <= 2048);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_do_not_touch),
		cmocka_unit_test(strings_end_in_nul),
		cmocka_unit_test(small_ones_cost_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
