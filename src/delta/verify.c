#include "delta/verify.h"

#include "base/alloc.h"
#include "base/err.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

enum { NONCE_BYTES = 16, GMAC_KEY_BYTES = 16, MAX_STEP = 1 << 30 };

struct verifier {
	enum verify_kind kind;
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *gmac;
	EVP_MD *md;
	EVP_MD_CTX *hash;
	uint8_t key[VERIFY_KEY_BYTES];
};

/* AES-128-GCM without plaintext is GMAC (NIST SP 800-38D). An IV of 16 bytes takes the whole nonce: the standard
 * folds it with GHASH into the starting counter, where 96 bits would make us throw a quarter of it away. */
static bool open_gmac(struct verifier *v)
{
	v->cipher = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	v->gmac = EVP_CIPHER_CTX_new();
	return v->cipher && v->gmac && EVP_EncryptInit_ex2(v->gmac, v->cipher, NULL, NULL, NULL) == 1 &&
	       EVP_CIPHER_CTX_ctrl(v->gmac, EVP_CTRL_AEAD_SET_IVLEN, NONCE_BYTES, NULL) == 1 &&
	       EVP_EncryptInit_ex2(v->gmac, NULL, v->key, NULL, NULL) == 1;
}

static bool open_hash(struct verifier *v, const char *name)
{
	v->md = EVP_MD_fetch(NULL, name, NULL);
	v->hash = EVP_MD_CTX_new();
	return v->md && v->hash && EVP_DigestInit_ex2(v->hash, v->md, NULL) == 1;
}

struct verifier *verifier_new(enum verify_kind kind, const uint8_t key[VERIFY_KEY_BYTES])
{
	struct verifier *v = xcalloc(1, sizeof(*v));
	bool ok = false;

	v->kind = kind;
	memcpy(v->key, key, VERIFY_KEY_BYTES);
	switch (kind) {
	case VERIFY_GMAC:
		ok = open_gmac(v);
		break;
	case VERIFY_SHA256:
		ok = open_hash(v, "SHA256");
		break;
	case VERIFY_BLAKE2B:
		ok = open_hash(v, "BLAKE2B-512");
		break;
	}
	if (ok)
		return v;
	verifier_free(v);
	return NULL;
}

void verifier_free(struct verifier *v)
{
	if (!v)
		return;
	EVP_CIPHER_CTX_free(v->gmac);
	EVP_CIPHER_free(v->cipher);
	EVP_MD_CTX_free(v->hash);
	EVP_MD_free(v->md);
	OPENSSL_cleanse(v->key, sizeof(v->key));
	free(v);
}

static void put_u64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* OpenSSL has no reason to fail once its objects are there, short of memory running out. */
static void must(int ok)
{
	if (ok != 1)
		BUG("OpenSSL failed while computing a verification tag");
}

void verifier_begin(struct verifier *v, uint64_t nonce_hi, uint64_t nonce_lo)
{
	uint8_t nonce[NONCE_BYTES];

	put_u64(nonce, nonce_hi);
	put_u64(nonce + 8, nonce_lo);
	if (v->kind == VERIFY_GMAC) {
		must(EVP_EncryptInit_ex2(v->gmac, NULL, NULL, nonce, NULL));
		return;
	}
	must(EVP_DigestInit_ex2(v->hash, NULL, NULL));
	must(EVP_DigestUpdate(v->hash, v->key, sizeof(v->key)));
	must(EVP_DigestUpdate(v->hash, nonce, sizeof(nonce)));
}

void verifier_update(struct verifier *v, const void *data, size_t n)
{
	const uint8_t *p = data;

	if (v->kind != VERIFY_GMAC) {
		must(EVP_DigestUpdate(v->hash, p, n));
		return;
	}
	while (n) {
		int step = n < MAX_STEP ? (int)n : MAX_STEP;
		int unused;
		must(EVP_EncryptUpdate(v->gmac, NULL, &unused, p, step));
		p += step;
		n -= (size_t)step;
	}
}

void verifier_hole(struct verifier *v, uint64_t n)
{
	uint8_t record[16] = "a hole:";

	for (int i = 0; i < 8; i++)
		record[8 + i] = (uint8_t)(n >> (8 * i));
	verifier_update(v, record, sizeof(record));
}

void verifier_end(struct verifier *v, uint8_t tag[VERIFY_TAG_BYTES])
{
	if (v->kind == VERIFY_GMAC) {
		uint8_t none[EVP_MAX_BLOCK_LENGTH];
		int unused;
		must(EVP_EncryptFinal_ex(v->gmac, none, &unused));
		must(EVP_CIPHER_CTX_ctrl(v->gmac, EVP_CTRL_AEAD_GET_TAG, VERIFY_TAG_BYTES, tag));
		return;
	}
	uint8_t digest[EVP_MAX_MD_SIZE];
	must(EVP_DigestFinal_ex(v->hash, digest, NULL));
	memcpy(tag, digest, VERIFY_TAG_BYTES);
}

bool verify_equal(const uint8_t a[VERIFY_TAG_BYTES], const uint8_t b[VERIFY_TAG_BYTES])
{
	return CRYPTO_memcmp(a, b, VERIFY_TAG_BYTES) == 0;
}

/* --- what this machine does well ------------------------------------------------------------------------- */

static bool fast_gmac(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	return (getauxval(AT_HWCAP) & (HWCAP_AES | HWCAP_PMULL)) == (HWCAP_AES | HWCAP_PMULL);
#else
	return false;
#endif
}

static bool fast_sha256(void)
{
#if defined(__x86_64__)
	unsigned a, b, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
#elif defined(__aarch64__)
	return getauxval(AT_HWCAP) & HWCAP_SHA2;
#else
	return false;
#endif
}

size_t verify_kinds(enum verify_kind kinds[3])
{
	size_t n = 0;

	if (fast_gmac())
		kinds[n++] = VERIFY_GMAC;
	kinds[n++] = fast_sha256() ? VERIFY_SHA256 : VERIFY_BLAKE2B;
	kinds[n++] = fast_sha256() ? VERIFY_BLAKE2B : VERIFY_SHA256;
	return n;
}
