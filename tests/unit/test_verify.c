/* Verification tags: the published algorithms, and what changes a tag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/alloc.h"
#include "delta/verify.h"

static const enum verify_kind all_kinds[] = {VERIFY_GMAC, VERIFY_SHA256, VERIFY_BLAKE2B};
static const uint8_t key[VERIFY_KEY_BYTES] = "0123456789abcdefFEDCBA987654321";

enum { KINDS = 3, FILE_BYTES = 100000 };

static uint8_t *file_bytes(void)
{
	uint8_t *p = xmalloc(FILE_BYTES);

	for (uint32_t i = 0; i < FILE_BYTES; i++)
		p[i] = (uint8_t)(i * 2654435761u >> 24);
	return p;
}

static void tag_of(struct verifier *v, uint64_t hi, uint64_t lo, const void *p, size_t n, uint8_t *tag)
{
	verifier_begin(v, hi, lo);
	verifier_update(v, p, n);
	verifier_end(v, tag);
}

static void gmac_is_the_standard_one(void **state)
{
	static const uint8_t iv[16] = {
		8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11};
	char cipher[] = "AES-128-GCM";
	uint8_t ours[VERIFY_TAG_BYTES], theirs[VERIFY_TAG_BYTES], *p = file_bytes();
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, (void *)(uintptr_t)iv, sizeof(iv)),
		OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "GMAC", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	size_t len;

	(void)state;
	assert_int_equal(EVP_MAC_init(ctx, key, 16, params), 1);
	assert_int_equal(EVP_MAC_update(ctx, p, FILE_BYTES), 1);
	assert_int_equal(EVP_MAC_final(ctx, theirs, &len, sizeof(theirs)), 1);
	struct verifier *v = verifier_new(VERIFY_GMAC, key);
	tag_of(v, 0x0102030405060708, 0x1112131415161718, p, FILE_BYTES, ours);
	assert_memory_equal(ours, theirs, VERIFY_TAG_BYTES);
	verifier_free(v);
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	free(p);
}

static void hashes_are_the_standard_ones(void **state)
{
	uint8_t ours[VERIFY_TAG_BYTES], theirs[EVP_MAX_MD_SIZE], input[32 + 16 + 3];

	(void)state;
	memcpy(input, key, 32);
	memset(input + 32, 0, 16);
	input[32] = 5;
	input[40] = 6;
	memcpy(input + 48, "abc", 3);
	for (int i = 1; i < KINDS; i++) {
		const EVP_MD *md = all_kinds[i] == VERIFY_SHA256 ? EVP_sha256() : EVP_blake2b512();
		struct verifier *v = verifier_new(all_kinds[i], key);
		assert_int_equal(EVP_Digest(input, sizeof(input), theirs, NULL, md, NULL), 1);
		tag_of(v, 5, 6, "abc", 3, ours);
		assert_memory_equal(ours, theirs, VERIFY_TAG_BYTES);
		verifier_free(v);
	}
}

static void pieces_do_not_matter(void **state)
{
	uint8_t whole[VERIFY_TAG_BYTES], cut[VERIFY_TAG_BYTES], *p = file_bytes();

	(void)state;
	for (int i = 0; i < KINDS; i++) {
		struct verifier *v = verifier_new(all_kinds[i], key);
		tag_of(v, 1, 2, p, FILE_BYTES, whole);
		for (size_t step = 1; step < FILE_BYTES; step = step * 3 + 5) {
			verifier_begin(v, 1, 2);
			for (size_t at = 0; at < FILE_BYTES; at += step) {
				size_t n = FILE_BYTES - at < step ? FILE_BYTES - at : step;
				verifier_update(v, p + at, n);
				verifier_update(v, p, 0);
			}
			verifier_end(v, cut);
			assert_true(verify_equal(whole, cut));
		}
		verifier_free(v);
	}
	free(p);
}

/* Tags of one file under a changed key, number, bit or length all differ; also for an empty one. */
static void everything_counts(void **state)
{
	uint8_t other[VERIFY_KEY_BYTES], t[8][VERIFY_TAG_BYTES], *p = file_bytes();

	(void)state;
	memcpy(other, key, sizeof(key));
	other[3] ^= 1;
	for (int i = 0; i < KINDS; i++) {
		struct verifier *v = verifier_new(all_kinds[i], key), *w = verifier_new(all_kinds[i], other);
		tag_of(v, 1, 2, p, FILE_BYTES, t[0]);
		tag_of(w, 1, 2, p, FILE_BYTES, t[1]);
		tag_of(v, 2, 1, p, FILE_BYTES, t[2]);
		tag_of(v, 1, UINT64_C(2) << 40, p, FILE_BYTES, t[3]);
		tag_of(v, 1, 2, p, FILE_BYTES - 1, t[4]);
		p[FILE_BYTES / 2] ^= 4;
		tag_of(v, 1, 2, p, FILE_BYTES, t[5]);
		p[FILE_BYTES / 2] ^= 4;
		tag_of(v, 1, 2, p, 0, t[6]);
		tag_of(v, 1, 3, p, 0, t[7]);
		for (int a = 0; a < 8; a++)
			for (int b = 0; b < a; b++)
				assert_false(verify_equal(t[a], t[b]));
		tag_of(v, 1, 2, p, FILE_BYTES, t[7]);
		assert_true(verify_equal(t[0], t[7]));
		verifier_free(v);
		verifier_free(w);
	}
	free(p);
}

static void a_file_left_unfinished_leaves_no_trace(void **state)
{
	uint8_t want[VERIFY_TAG_BYTES], got[VERIFY_TAG_BYTES];

	(void)state;
	for (int i = 0; i < KINDS; i++) {
		struct verifier *v = verifier_new(all_kinds[i], key);
		tag_of(v, 1, 2, "abc", 3, want);
		verifier_begin(v, 3, 4);
		verifier_update(v, "half a file", 11);
		tag_of(v, 1, 2, "abc", 3, got);
		assert_true(verify_equal(want, got));
		verifier_free(v);
	}
}

static void kinds_are_offered_once_and_work(void **state)
{
	enum verify_kind kinds[3];
	size_t n = verify_kinds(kinds);

	(void)state;
	assert_in_range(n, 2, 3);
	for (size_t i = 0; i < n; i++) {
		struct verifier *v = verifier_new(kinds[i], key);
		assert_non_null(v);
		verifier_free(v);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(kinds[k], kinds[i]);
	}
	assert_null(verifier_new((enum verify_kind)0, key));
	assert_null(verifier_new((enum verify_kind)99, key));
	verifier_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gmac_is_the_standard_one),
		cmocka_unit_test(hashes_are_the_standard_ones),
		cmocka_unit_test(pieces_do_not_matter),
		cmocka_unit_test(everything_counts),
		cmocka_unit_test(a_file_left_unfinished_leaves_no_trace),
		cmocka_unit_test(kinds_are_offered_once_and_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
