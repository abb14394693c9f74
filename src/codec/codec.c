#include "codec/codec.h"

#include "base/alloc.h"
#include "base/err.h"

#include <limits.h>
#include <lz4.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* A block that saves less than 1/32 is not worth the decompression at the other end. */
enum { MIN_SAVING_SHIFT = 5, ZSTD_DEFAULT_LEVEL = 1 };

struct codec_enc {
	ZSTD_CCtx *zstd;
	void *lz4;
};

struct codec_dec {
	ZSTD_DCtx *zstd;
};

/* --- compress -------------------------------------------------------------------------------------------- */

struct codec_enc *codec_enc_new(void)
{
	return xcalloc(1, sizeof(struct codec_enc));
}

void codec_enc_free(struct codec_enc *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->zstd);
	free(c->lz4);
	free(c);
}

/* Each encoder makes the context it needs at its first use; returns bytes written, 0 when they do not fit. */
static size_t zstd_compress(
	struct codec_enc *c, int level, const void *src, size_t n, uint8_t *dst, size_t room)
{
	if (!c->zstd)
		c->zstd = ZSTD_createCCtx();
	if (!c->zstd)
		BUG("out of memory");
	if (level < ZSTD_minCLevel())
		level = ZSTD_minCLevel();
	if (level > ZSTD_maxCLevel())
		level = ZSTD_maxCLevel();
	size_t got = ZSTD_compressCCtx(c->zstd, dst, room, src, n, level ? level : ZSTD_DEFAULT_LEVEL);
	return ZSTD_isError(got) ? 0 : got;
}

static size_t lz4_compress(
	struct codec_enc *c, int level, const void *src, size_t n, uint8_t *dst, size_t room)
{
	if (n > LZ4_MAX_INPUT_SIZE)
		return 0;
	if (!c->lz4)
		c->lz4 = xmalloc((size_t)LZ4_sizeofState());
	int acceleration = level < 0 && level > INT_MIN ? -level : 1;
	int got = LZ4_compress_fast_extState(
		c->lz4, src, (char *)dst, (int)n, room < INT_MAX ? (int)room : INT_MAX, acceleration);
	return got > 0 ? (size_t)got : 0;
}

bool codec_compress(
	struct codec_enc *c, enum codec_id id, int level, const void *src, size_t n, struct buf *out)
{
	size_t room = n - (n >> MIN_SAVING_SHIFT);
	size_t got = 0;

	if (room == n || (id != CODEC_ZSTD && id != CODEC_LZ4))
		return false;
	uint8_t *dst = buf_reserve(out, room);
	if (!dst)
		return false;
	if (id == CODEC_ZSTD)
		got = zstd_compress(c, level, src, n, dst, room);
	else
		got = lz4_compress(c, level, src, n, dst, room);
	out->len += got;
	return got > 0;
}

/* --- worth trying? --------------------------------------------------------------------------------------- */

enum { SAMPLE_PIECES = 4, SAMPLE_PIECE = 1024, SAMPLE = SAMPLE_PIECES * SAMPLE_PIECE, REPEAT_SAMPLE = 8192 };

/* Are the byte values unevenly spread? Sum of squared counts: SAMPLE^2/256 + SAMPLE is what random bytes give; a
 * quarter more is where an entropy coder begins to save about 1/32. */
static bool values_uneven(const uint8_t *p, size_t n)
{
	uint32_t counts[4][256];
	uint64_t squares = 0;
	size_t gap = (n - SAMPLE) / (SAMPLE_PIECES - 1);

	memset(counts, 0, sizeof(counts));
	for (size_t piece = 0; piece < SAMPLE_PIECES; piece++) {
		const uint8_t *q = p + piece * (gap + SAMPLE_PIECE);
		for (size_t i = 0; i < SAMPLE_PIECE; i += 4)
			for (size_t k = 0; k < 4; k++)
				counts[k][q[i + k]]++;
	}
	for (size_t i = 0; i < 256; i++) {
		uint64_t sum = (uint64_t)counts[0][i] + counts[1][i] + counts[2][i] + counts[3][i];
		squares += sum * sum;
	}
	uint64_t random = (uint64_t)SAMPLE * SAMPLE / 256 + SAMPLE;
	return squares > random + random / 4;
}

/* Do strings repeat within a sample from the middle? */
static bool strings_repeat(const uint8_t *p, size_t n)
{
	char out[REPEAT_SAMPLE];
	size_t take = n < REPEAT_SAMPLE ? n : REPEAT_SAMPLE;
	int room = (int)(take - (take >> MIN_SAVING_SHIFT));

	return LZ4_compress_default((const char *)p + (n - take) / 2, out, (int)take, room) > 0;
}

bool codec_worth_trying(const void *src, size_t n)
{
	if (n < SAMPLE)
		return n >= 1u << MIN_SAVING_SHIFT;
	return values_uneven(src, n) || strings_repeat(src, n);
}

/* --- decompress ------------------------------------------------------------------------------------------ */

struct codec_dec *codec_dec_new(void)
{
	return xcalloc(1, sizeof(struct codec_dec));
}

void codec_dec_free(struct codec_dec *c)
{
	if (!c)
		return;
	ZSTD_freeDCtx(c->zstd);
	free(c);
}

static bool zstd_decompress(struct codec_dec *c, const void *src, size_t n, uint8_t *dst, size_t raw_len)
{
	if (!c->zstd)
		c->zstd = ZSTD_createDCtx();
	if (!c->zstd)
		BUG("out of memory");
	return ZSTD_decompressDCtx(c->zstd, dst, raw_len, src, n) == raw_len;
}

static bool lz4_decompress(const void *src, size_t n, uint8_t *dst, size_t raw_len)
{
	if (n > INT_MAX || raw_len > INT_MAX)
		return false;
	return LZ4_decompress_safe(src, (char *)dst, (int)n, (int)raw_len) == (int)raw_len;
}

bool codec_decompress(
	struct codec_dec *c, enum codec_id id, const void *src, size_t n, size_t raw_len, struct buf *out)
{
	bool ok = false;
	uint8_t *dst = buf_reserve(out, raw_len ? raw_len : 1);

	if (!dst)
		return false;
	switch (id) {
	case CODEC_NONE:
		ok = n == raw_len;
		if (ok && n)
			memcpy(dst, src, n);
		break;
	case CODEC_ZSTD:
		ok = zstd_decompress(c, src, n, dst, raw_len);
		break;
	case CODEC_LZ4:
		ok = lz4_decompress(src, n, dst, raw_len);
		break;
	}
	if (ok)
		out->len += raw_len;
	return ok;
}
