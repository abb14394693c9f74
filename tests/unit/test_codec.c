/* Compressed blocks: back to the same bytes, honest about what does not shrink, deaf to damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "codec/codec.h"

enum { MOST = 300000 };

struct fixture {
	struct codec_enc *enc;
	struct codec_dec *dec;
	struct buf packed;
	struct buf raw;
	uint8_t *data;
	uint64_t rng;
};

static const enum codec_id codecs[] = {CODEC_ZSTD, CODEC_LZ4};

static uint32_t rnd(struct fixture *f)
{
	f->rng = f->rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(f->rng >> 33);
}

static void fill_text(struct fixture *f, size_t n)
{
	static const char *words[] = {
		"the ", "quick ", "brown ", "fox ", "jumps ", "over ", "lazy ", "dogs\n"};

	for (size_t at = 0; at < n;) {
		const char *w = words[rnd(f) % 8];
		for (; *w && at < n; w++)
			f->data[at++] = (uint8_t)*w;
	}
}

static void fill_random(struct fixture *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		f->data[i] = (uint8_t)rnd(f);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->enc = codec_enc_new();
	f->dec = codec_dec_new();
	f->data = xmalloc(MOST);
	f->rng = 7;
	buf_init(&f->packed, MOST * 2);
	buf_init(&f->raw, MOST * 2);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	codec_enc_free(f->enc);
	codec_dec_free(f->dec);
	buf_release(&f->packed);
	buf_release(&f->raw);
	free(f->data);
	free(f);
	return 0;
}

static void text_comes_back(void **state)
{
	struct fixture *f = *state;
	static const int levels[] = {0, 1, 3, 9, -5, 1000, -1000000000};

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
			size_t n = 200 + rnd(f) % (levels[i] > 9 ? 20000 : 200000);
			fill_text(f, n);
			buf_clear(&f->packed);
			buf_clear(&f->raw);
			buf_put_str(&f->packed, "before");
			buf_put_str(&f->raw, "x");
			size_t start = f->packed.len;
			if (!codec_compress(f->enc, codecs[k], levels[i], f->data, n, &f->packed)) {
				assert_true(levels[i] < -100); /* so fast that nothing is saved */
				assert_int_equal(f->packed.len, start);
				continue;
			}
			assert_true(f->packed.len - start <= n - n / 32);
			assert_true(codec_decompress(f->dec, codecs[k], f->packed.data + start,
				f->packed.len - start, n, &f->raw));
			assert_int_equal(f->raw.len, n + 2);
			assert_memory_equal(f->raw.data + 2, f->data, n);
		}
}

static void what_does_not_shrink_goes_raw(void **state)
{
	struct fixture *f = *state;

	fill_random(f, MOST);
	for (size_t k = 0; k < 2; k++)
		for (size_t n = 0; n < MOST; n = n * 3 + 1) {
			assert_false(codec_compress(f->enc, codecs[k], 0, f->data, n, &f->packed));
			assert_int_equal(f->packed.len, 0);
		}
	fill_text(f, 1000);
	assert_false(codec_compress(f->enc, CODEC_NONE, 0, f->data, 1000, &f->packed));
	assert_int_equal(f->packed.len, 0);
}

static void a_full_buffer_is_not_overrun(void **state)
{
	struct fixture *f = *state;
	struct buf small;

	fill_text(f, 10000);
	buf_init(&small, 100);
	assert_false(codec_compress(f->enc, CODEC_ZSTD, 0, f->data, 10000, &small));
	assert_int_equal(small.len, 0);
	buf_clear(&small);
	assert_true(codec_compress(f->enc, CODEC_ZSTD, 0, f->data, 10000, &f->packed));
	assert_false(codec_decompress(f->dec, CODEC_ZSTD, f->packed.data, f->packed.len, 10000, &small));
	assert_int_equal(small.len, 0);
	buf_release(&small);
}

static void wrong_lengths_are_refused(void **state)
{
	struct fixture *f = *state;
	size_t n = 50000;

	fill_text(f, n);
	for (size_t k = 0; k < 2; k++) {
		buf_clear(&f->packed);
		assert_true(codec_compress(f->enc, codecs[k], 0, f->data, n, &f->packed));
		const uint8_t *p = f->packed.data;
		size_t len = f->packed.len;
		static const int off[] = {-50000, -49999, -1, 1, 50000};
		for (size_t i = 0; i < 5; i++)
			assert_false(codec_decompress(
				f->dec, codecs[k], p, len, (size_t)((int)n + off[i]), &f->raw));
		for (size_t cut = 1; cut < len; cut = cut * 2 + 1)
			assert_false(codec_decompress(f->dec, codecs[k], p, len - cut, n, &f->raw));
		assert_false(codec_decompress(f->dec, codecs[k], p, 0, n, &f->raw));
		assert_int_equal(f->raw.len, 0);
		assert_true(codec_decompress(f->dec, codecs[k], p, len, n, &f->raw));
		buf_clear(&f->raw);
	}
	assert_true(codec_decompress(f->dec, CODEC_NONE, f->data, 10, 10, &f->raw));
	assert_false(codec_decompress(f->dec, CODEC_NONE, f->data, 10, 11, &f->raw));
	assert_true(codec_decompress(f->dec, CODEC_NONE, f->data, 0, 0, &f->raw));
	assert_false(codec_decompress(f->dec, (enum codec_id)77, f->data, 10, 10, &f->raw));
	assert_int_equal(f->raw.len, 10);
}

static void damage_does_no_harm(void **state)
{
	struct fixture *f = *state;
	size_t n = 20000;

	fill_text(f, n);
	for (size_t k = 0; k < 2; k++) {
		buf_clear(&f->packed);
		assert_true(codec_compress(f->enc, codecs[k], 0, f->data, n, &f->packed));
		for (int i = 0; i < 500; i++) {
			size_t at = rnd(f) % f->packed.len;
			uint8_t was = f->packed.data[at];
			f->packed.data[at] ^= (uint8_t)(1 + rnd(f) % 255);
			buf_clear(&f->raw);
			bool ok = codec_decompress(
				f->dec, codecs[k], f->packed.data, f->packed.len, n, &f->raw);
			assert_int_equal(f->raw.len, ok ? n : 0);
			f->packed.data[at] = was;
		}
		buf_clear(&f->raw);
		assert_true(codec_decompress(f->dec, codecs[k], f->packed.data, f->packed.len, n, &f->raw));
		assert_memory_equal(f->raw.data, f->data, n);
	}
}

static void the_guess_is_right_where_it_is_clear(void **state)
{
	struct fixture *f = *state;

	for (size_t n = 64; n <= MOST; n = n * 2 + 1) {
		fill_text(f, n);
		assert_true(codec_worth_trying(f->data, n));
		memset(f->data, 0, n);
		assert_true(codec_worth_trying(f->data, n));
	}
	assert_false(codec_worth_trying(f->data, 0));
	for (size_t n = 4096; n <= MOST; n = n * 2 + 1) {
		fill_random(f, n);
		assert_false(codec_worth_trying(f->data, n));
	}
	/* Bytes evenly spread, but the same kilobyte again and again. */
	fill_random(f, 1024);
	for (size_t at = 1024; at + 1024 <= MOST; at += 1024)
		memcpy(f->data + at, f->data, 1024);
	assert_true(codec_worth_trying(f->data, MOST / 2));
	/* What zstd has been over already. */
	fill_text(f, MOST);
	assert_true(codec_compress(f->enc, CODEC_ZSTD, 9, f->data, MOST, &f->packed));
	assert_true(f->packed.len > 8192);
	assert_false(codec_worth_trying(f->packed.data, f->packed.len));
}

#define CODEC_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CODEC_TEST(text_comes_back),
		CODEC_TEST(what_does_not_shrink_goes_raw),
		CODEC_TEST(a_full_buffer_is_not_overrun),
		CODEC_TEST(wrong_lengths_are_refused),
		CODEC_TEST(damage_does_no_harm),
		CODEC_TEST(the_guess_is_right_where_it_is_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
