/*
 * The sum of a whole block is taken in 64 interleaved streams: stream j sees bytes j, j+64, j+128, ... and
 * steps by M^64, so that the multiplications of a stride are independent and run in vector registers. Bytes are
 * loaded four to a 32-bit lane and taken apart by shifts. At the end the streams are folded, each with its weight.
 */
#include "delta/weak.h"

#include <string.h>

enum { LANES = 8, ROW = 4 * LANES, STRIDE = 2 * ROW };

typedef uint32_t lane_words __attribute__((vector_size(LANES * sizeof(uint32_t))));

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NTH_BYTE(word, k) ((word) >> (8 * (k)) & 0xff)
#else
#define NTH_BYTE(word, k) ((word) >> (24 - 8 * (k)) & 0xff)
#endif

void weak_init(struct weak *w, uint64_t seed, size_t window)
{
	uint64_t x = (seed ^ 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;

	/* 5 modulo 8: odd, and of the longest period there is modulo a power of two. */
	w->mul = ((uint32_t)(x >> 32) & ~UINT32_C(7)) | 5;
	w->out = 1;
	for (uint32_t base = w->mul; window; window >>= 1, base *= base)
		if (window & 1)
			w->out *= base;
}

static inline __attribute__((always_inline)) uint32_t sum_body(uint32_t mul, const uint8_t *p, size_t n)
{
	uint32_t m4 = mul * mul * mul * mul, m8 = m4 * m4, m16 = m8 * m8, m32 = m16 * m16, m64 = m32 * m32;
	lane_words even[4] = {0}, odd[4] = {0}, row; /* streams 0..31 and 32..63 */
	uint32_t sum = 0;

	for (size_t strides = n / STRIDE; strides; strides--, p += STRIDE) {
		memcpy(&row, p, ROW);
		for (int k = 0; k < 4; k++)
			even[k] = even[k] * m64 + NTH_BYTE(row, k);
		memcpy(&row, p + ROW, ROW);
		for (int k = 0; k < 4; k++)
			odd[k] = odd[k] * m64 + NTH_BYTE(row, k);
	}
	row = even[0] * m32 + odd[0];
	for (int k = 1; k < 4; k++)
		row = row * mul + (even[k] * m32 + odd[k]);
	for (int i = 0; i < LANES; i++)
		sum = sum * m4 + row[i];
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
