#include "tree/digest.h"

#include "base/alloc.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20 };

/* What one thread keeps from file to file. */
struct hasher {
	EVP_MD_CTX *ctx;
	uint8_t buffer[READ_BYTES];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t hasher_key;
static EVP_MD *sha256;

static void free_hasher(void *p)
{
	struct hasher *h = p;

	EVP_MD_CTX_free(h->ctx);
	free(h);
}

static void prepare(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256 || pthread_key_create(&hasher_key, free_hasher) != 0)
		BUG("no SHA-256 in libcrypto");
}

static struct hasher *get_hasher(void)
{
	pthread_once(&once, prepare);
	struct hasher *h = pthread_getspecific(hasher_key);
	if (!h) {
		h = xmalloc(sizeof(*h));
		h->ctx = EVP_MD_CTX_new();
		if (!h->ctx || pthread_setspecific(hasher_key, h) != 0)
			BUG("out of memory");
	}
	return h;
}

/* Reads on to the end. Bytes read, or -1 with errno. */
static int64_t feed(struct hasher *h, int fd, _Atomic uint64_t *progress, const _Atomic bool *stop)
{
	int64_t offset = 0;

	for (;;) {
		if (stop && *stop) {
			errno = ECANCELED;
			return -1;
		}
		ssize_t n = pread(fd, h->buffer, READ_BYTES, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : offset;
		if (offset == 0 && n == READ_BYTES)
			posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		if (EVP_DigestUpdate(h->ctx, h->buffer, (size_t)n) != 1)
			BUG("SHA-256 failed");
		if (progress)
			*progress += (uint64_t)n;
		offset += n;
	}
}

int digest_file(int fd, uint8_t out[ENTRY_DIGEST_BYTES], uint64_t *bytes, _Atomic uint64_t *progress,
	const _Atomic bool *stop)
{
	struct hasher *h = get_hasher();

	if (EVP_DigestInit_ex2(h->ctx, sha256, NULL) != 1)
		BUG("SHA-256 failed");
	int64_t n = feed(h, fd, progress, stop);
	if (n < 0)
		return -1;
	if (EVP_DigestFinal_ex(h->ctx, out, NULL) != 1)
		BUG("SHA-256 failed");
	if (bytes)
		*bytes = (uint64_t)n;
	return 0;
}
