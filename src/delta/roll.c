/*
 * Rolling is a recurrence, h' = h * M + d with d = entering - leaving * M^window, so its sums are prefix sums and
 * eight of them can be had at once: four steps inside each half of a vector (by 1, then by 2 lanes), the left
 * half's end carried into the right half, the sum so far carried into all. Eight filter bits are then gathered and
 * tested by one branch.
 */
#include "delta/roll.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* One position at a time, from i. */
static size_t search_plain(const struct block_index *x, const struct weak *weak, const uint8_t *p, size_t i,
	size_t count, uint32_t *sum)
{
	const struct weak w = *weak;
	const uint8_t *in = p + x->sig->block_len;
	uint32_t h = *sum;

	for (; i < count && !block_index_may_have(x, h); i++)
		h = weak_roll(&w, h, p[i], in[i]);
	*sum = h;
	return i;
}

#ifdef __x86_64__

enum { LANES = 8 };

struct vector_weights {
	__m256i m;     /* M */
	__m256i m2;    /* M^2 */
	__m256i half;  /* 0, 0, 0, 0, M, M^2, M^3, M^4 */
	__m256i all;   /* M, M^2, ... M^8 */
	__m256i leave; /* M^window */
};

__attribute__((target("avx2"))) static struct vector_weights vector_weights(const struct weak *w)
{
	uint32_t power[LANES], half[LANES] = {0}, m = 1;
	struct vector_weights v;

	for (int i = 0; i < LANES; i++)
		power[i] = m *= w->mul;
	for (int i = 0; i < LANES / 2; i++)
		half[LANES / 2 + i] = power[i];
	v.m = _mm256_set1_epi32((int)w->mul);
	v.m2 = _mm256_set1_epi32((int)power[1]);
	v.half = _mm256_loadu_si256((const __m256i *)(const void *)half);
	v.all = _mm256_loadu_si256((const __m256i *)(const void *)power);
	v.leave = _mm256_set1_epi32((int)w->out);
	return v;
}

__attribute__((target("avx2"))) static inline __m256i load_bytes(const uint8_t *p)
{
	return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

/* The eight sums behind the one that `last` holds in its last lane. */
__attribute__((target("avx2"))) static inline __m256i next_sums(
	const struct vector_weights *v, __m256i last, const uint8_t *gone, const uint8_t *come)
{
	__m256i d = _mm256_sub_epi32(load_bytes(come), _mm256_mullo_epi32(load_bytes(gone), v->leave));
	__m256i carried = _mm256_permutevar8x32_epi32(last, _mm256_set1_epi32(LANES - 1));

	d = _mm256_add_epi32(d, _mm256_mullo_epi32(_mm256_slli_si256(d, 4), v->m));
	d = _mm256_add_epi32(d, _mm256_mullo_epi32(_mm256_slli_si256(d, 8), v->m2));
	__m256i middle = _mm256_permutevar8x32_epi32(d, _mm256_set1_epi32(LANES / 2 - 1));
	d = _mm256_add_epi32(d, _mm256_mullo_epi32(middle, v->half));
	return _mm256_add_epi32(d, _mm256_mullo_epi32(carried, v->all));
}

/* One bit for each of the sums that pass the filter. */
__attribute__((target("avx2"))) static inline unsigned filter_bits(
	const uint32_t *filter, __m128i shift, __m256i sums)
{
	const __m256i low5 = _mm256_set1_epi32(31);
	__m256i words =
		_mm256_i32gather_epi32((const int *)(const void *)filter, _mm256_srl_epi32(sums, shift), 4);
	__m256i one = _mm256_srlv_epi32(words, _mm256_and_si256(sums, low5));
	__m256i two = _mm256_srlv_epi32(words, _mm256_and_si256(_mm256_srli_epi32(sums, 5), low5));

	words = _mm256_slli_epi32(_mm256_and_si256(one, two), 31);
	return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(words));
}

/* Eight sums, and which of them passed the filter. */
struct octet {
	uint32_t sum[LANES];
	unsigned passed;
};

/* Roll on from the sum at *i in steps of eight until some sum passes the filter, to `limit` at most. o->sum are the
 * sums at the eight positions before and at *i. A function of its own, so that no call gets in the way of keeping
 * everything in registers. */
__attribute__((target("avx2"), noinline)) static void roll_octets(const struct block_index *x,
	const struct vector_weights *w, const uint8_t *p, size_t *i, size_t limit, struct octet *o)
{
	const struct vector_weights v = *w;
	const __m128i shift = _mm_cvtsi32_si128((int)x->filter_shift);
	const uint32_t *filter = x->filter;
	const uint8_t *in = p + x->sig->block_len;
	__m256i sums = _mm256_loadu_si256((const __m256i *)(const void *)o->sum);
	size_t at = *i;
	unsigned bits = 0;

	while (at + LANES < limit && bits == 0) {
		sums = next_sums(&v, sums, p + at, in + at);
		bits = filter_bits(filter, shift, sums);
		at += LANES;
	}
	_mm256_storeu_si256((__m256i *)(void *)o->sum, sums);
	o->passed = bits;
	*i = at;
}

__attribute__((target("avx2"))) static size_t search_avx2(
	const struct block_index *x, const struct weak *w, const uint8_t *p, size_t count, uint32_t *sum)
{
	const struct vector_weights v = vector_weights(w);
	struct octet o = {.sum = {[LANES - 1] = *sum}};
	size_t i = 0;

	if (block_index_may_have(x, *sum))
		return 0;
	do {
		roll_octets(x, &v, p, &i, count, &o);
		for (; o.passed; o.passed &= o.passed - 1) {
			unsigned lane = (unsigned)__builtin_ctz(o.passed);
			if (block_index_has_weak(x, o.sum[lane])) {
				*sum = o.sum[lane];
				return i - LANES + lane + 1;
			}
		}
	} while (i + LANES < count);
	*sum = o.sum[LANES - 1];
	return search_plain(x, w, p, i, count, sum);
}

#endif

size_t roll_search(
	const struct block_index *x, const struct weak *w, const uint8_t *p, size_t count, uint32_t *sum)
{
#ifdef __x86_64__
	if (count > LANES && __builtin_cpu_supports("avx2"))
		return search_avx2(x, w, p, count, sum);
#endif
	return search_plain(x, w, p, 0, count, sum);
}
