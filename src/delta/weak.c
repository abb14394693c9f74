/*
 * The sum of a whole block is taken in 64 interleaved streams: stream j sees bytes j, j+64, j+128, ... and
 * steps by M^64, so that the multiplications of a row are independent and run in vector registers. At the end
 * the streams are folded in halves (the left half weighs M^32, M^16, M^8 more than the right one).
 */
#include "delta/weak.h"

#include <string.h>

enum { LANES = 8, ROWS = 8, STRIDE = LANES * ROWS };

typedef uint32_t lane_words __attribute__((vector_size(LANES * sizeof(uint32_t))));
typedef uint8_t lane_bytes __attribute__((vector_size(LANES)));

void weak_init(struct weak *w, uint64_t seed, size_t window)
{
	uint64_t x = (seed ^ 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;

	/* 5 modulo 8: odd, and of the longest period there is modulo a power of two. */
	w->mul = ((uint32_t)(x >> 32) & ~UINT32_C(7)) | 5;
	w->mul2 = w->mul * w->mul;
	w->out = 1;
	for (uint32_t base = w->mul; window; window >>= 1, base *= base)
		if (window & 1)
			w->out *= base;
}

static inline __attribute__((always_inline)) uint32_t sum_body(uint32_t mul, const uint8_t *p, size_t n)
{
	uint32_t m8 = mul * mul * mul * mul;
	lane_words row[ROWS];
	uint32_t sum = 0;
	const uint8_t *end = p + n - n % STRIDE;

	m8 *= m8;
	uint32_t m16 = m8 * m8, m32 = m16 * m16, m64 = m32 * m32;
	memset(row, 0, sizeof(row));
	for (; p < end; p += STRIDE) {
		for (int i = 0; i < ROWS; i++) {
			lane_bytes in;
			memcpy(&in, p + LANES * i, sizeof(in));
			row[i] = row[i] * m64 + __builtin_convertvector(in, lane_words);
		}
	}
	for (int i = 0; i < ROWS / 2; i++)
		row[i] = row[i] * m32 + row[i + ROWS / 2];
	row[0] = (row[0] * m16 + row[2]) * m8 + row[1] * m16 + row[3];
	for (int i = 0; i < LANES; i++)
		sum = sum * mul + row[0][i];
	for (n %= STRIDE; n; n--)
		sum = sum * mul + *p++;
	return sum;
}

static uint32_t sum_plain(uint32_t mul, const uint8_t *p, size_t n)
{
	return sum_body(mul, p, n);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint32_t sum_avx2(uint32_t mul, const uint8_t *p, size_t n)
{
	return sum_body(mul, p, n);
}
#endif

uint32_t weak_sum(const struct weak *w, const void *data, size_t n)
{
#ifdef __x86_64__
	/* By hand and not by target_clones: ifuncs do not exist in static musl binaries. */
	if (__builtin_cpu_supports("avx2"))
		return sum_avx2(w->mul, data, n);
#endif
	return sum_plain(w->mul, data, n);
}
