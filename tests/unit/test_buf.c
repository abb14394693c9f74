/* Buffers and cursors: what is put comes back, limits hold, and an error stays one. */
#include "base/buf.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const uint64_t numbers[] = {0, 1, 127, 128, 300, 16383, 16384, UINT32_MAX, 1ull << 32,
	(1ull << 63) - 1, 1ull << 63, UINT64_MAX - 1, UINT64_MAX};
static const int64_t signed_numbers[] = {0, -1, 1, -64, 64, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX};
enum {
	NUMBERS = sizeof(numbers) / sizeof(numbers[0]),
	SIGNED_NUMBERS = sizeof(signed_numbers) / sizeof(signed_numbers[0]),
};

static void put_everything(struct buf *b)
{
	buf_put_u8(b, 0xab);
	buf_put_u32(b, 0xdeadbeef);
	buf_put_u64(b, 0x0123456789abcdef);
	for (size_t i = 0; i < NUMBERS; i++)
		buf_put_varint(b, numbers[i]);
	for (size_t i = 0; i < SIGNED_NUMBERS; i++)
		buf_put_svarint(b, signed_numbers[i]);
	buf_put_blob(b, "a\0b", 3);
	buf_put_blob(b, NULL, 0);
	buf_put_str(b, "text");
}

static void read_everything(struct cursor *c)
{
	size_t len;

	cur_u8(c);
	cur_u32(c);
	cur_u64(c);
	for (size_t i = 0; i < NUMBERS; i++)
		cur_varint(c, UINT64_MAX);
	for (size_t i = 0; i < SIGNED_NUMBERS; i++)
		cur_svarint(c);
	for (int i = 0; i < 3; i++)
		cur_blob(c, 100, &len);
}

static void what_is_put_comes_back(void **state)
{
	struct buf b;
	size_t len;

	(void)state;
	buf_init(&b, 1000);
	put_everything(&b);
	assert_false(b.overflow);
	struct cursor c = cur_make(b.data, b.len);
	assert_int_equal(cur_left(&c), b.len);
	assert_int_equal(cur_u8(&c), 0xab);
	assert_int_equal(cur_u32(&c), 0xdeadbeef);
	assert_int_equal(cur_u64(&c), 0x0123456789abcdef);
	for (size_t i = 0; i < NUMBERS; i++)
		assert_true(cur_varint(&c, UINT64_MAX) == numbers[i]);
	for (size_t i = 0; i < SIGNED_NUMBERS; i++)
		assert_true(cur_svarint(&c) == signed_numbers[i]);
	assert_memory_equal(cur_blob(&c, 3, &len), "a\0b", 3);
	assert_int_equal(len, 3);
	cur_blob(&c, 0, &len);
	assert_int_equal(len, 0);
	assert_memory_equal(cur_blob(&c, 4, &len), "text", 4);
	assert_int_equal(cur_left(&c), 0);
	assert_false(c.bad);
	buf_release(&b);
}

/* The layout of the wire, which other versions read. */
static void bytes_are_little_endian_and_leb128(void **state)
{
	static const uint8_t want[] = {0xef, 0xbe, 0xad, 0xde, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01,
		0x7f, 0x80, 0x01, 0xac, 0x02, 0x01, 0x02, 0x02, 'h', 'i'};
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_put_u32(&b, 0xdeadbeef);
	buf_put_u64(&b, 0x0123456789abcdef);
	buf_put_varint(&b, 127);
	buf_put_varint(&b, 128);
	buf_put_varint(&b, 300);
	buf_put_svarint(&b, -1);
	buf_put_svarint(&b, 1);
	buf_put_str(&b, "hi");
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
	buf_release(&b);
}

/* A message cut anywhere is bad, and reading on gives zeros, not what lies behind. */
static void every_cut_is_noticed(void **state)
{
	struct buf b;
	size_t len;

	(void)state;
	buf_init(&b, 1000);
	put_everything(&b);
	for (size_t n = 0; n < b.len; n++) {
		struct cursor c = cur_make(b.data, n);
		read_everything(&c);
		assert_true(c.bad);
		assert_int_equal(cur_left(&c), 0);
		assert_int_equal(cur_u8(&c), 0);
		assert_int_equal(cur_u32(&c), 0);
		assert_true(cur_u64(&c) == 0);
		assert_true(cur_varint(&c, UINT64_MAX) == 0);
		assert_true(cur_svarint(&c) == 0);
		assert_null(cur_bytes(&c, 0));
		assert_null(cur_blob(&c, 100, &len));
		assert_int_equal(len, 0);
	}
	buf_release(&b);
}

static bool varint_is_bad(const char *bytes, size_t n, uint64_t max)
{
	struct cursor c = cur_make(bytes, n);

	cur_varint(&c, max);
	return c.bad;
}

static void varints_out_of_bounds_are_bad(void **state)
{
	(void)state;
	assert_false(varint_is_bad("\x0a", 1, 10));
	assert_true(varint_is_bad("\x0b", 1, 10));
	assert_true(varint_is_bad("\x80", 1, 10));
	assert_false(varint_is_bad("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, UINT64_MAX));
	assert_true(varint_is_bad("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, UINT64_MAX));
	assert_true(varint_is_bad("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11, UINT64_MAX));
	assert_true(varint_is_bad("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, UINT64_MAX));
}

static void blobs_over_their_limit_are_bad(void **state)
{
	struct cursor c = cur_make("\x05hello", 6);
	size_t len;

	(void)state;
	assert_null(cur_blob(&c, 4, &len));
	assert_true(c.bad);
	c = cur_make("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hello", 15);
	assert_null(cur_blob(&c, SIZE_MAX, &len));
	assert_true(c.bad);
	c = cur_make("hello", 5);
	assert_null(cur_bytes(&c, SIZE_MAX));
	assert_true(c.bad);
}

static void a_buffer_never_passes_its_maximum(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_put(&b, "0123456789", 10);
	assert_false(b.overflow);
	buf_put(&b, "", 0);
	assert_false(b.overflow);
	buf_put_u8(&b, 'x');
	assert_true(b.overflow);
	assert_int_equal(b.len, 10);
	assert_memory_equal(b.data, "0123456789", 10);
	buf_clear(&b);
	assert_false(b.overflow);
	buf_put(&b, "01234567", 8);
	buf_put(&b, "too long", 8);
	assert_true(b.overflow);
	buf_put_u8(&b, 'x'); /* it would fit, but what came before is lost */
	assert_int_equal(b.len, 8);
	assert_null(buf_reserve(&b, 1));
	assert_string_equal(buf_cstr(&b), "");
	buf_clear(&b);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(b.overflow);
	buf_release(&b);
}

static void text_is_appended(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 2000);
	assert_string_equal(buf_cstr(&b), "");
	buf_printf(&b, "%s-%d", "a", 7);
	assert_string_equal(buf_cstr(&b), "a-7");
	assert_int_equal(b.len, 3);
	buf_printf(&b, "%0900d", 0);
	buf_printf(&b, "end");
	assert_int_equal(b.len, 906);
	assert_string_equal(buf_cstr(&b) + 903, "end");
	buf_printf(&b, "%02000d", 0);
	assert_true(b.overflow);
	buf_release(&b);
}

static void nothing_is_an_empty_message(void **state)
{
	struct cursor c = cur_make(NULL, 0);

	(void)state;
	assert_int_equal(cur_left(&c), 0);
	assert_false(c.bad);
	assert_int_equal(cur_u8(&c), 0);
	assert_true(c.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_comes_back),
		cmocka_unit_test(bytes_are_little_endian_and_leb128),
		cmocka_unit_test(every_cut_is_noticed),
		cmocka_unit_test(varints_out_of_bounds_are_bad),
		cmocka_unit_test(blobs_over_their_limit_are_bad),
		cmocka_unit_test(a_buffer_never_passes_its_maximum),
		cmocka_unit_test(text_is_appended),
		cmocka_unit_test(nothing_is_an_empty_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
