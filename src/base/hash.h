/*
 * XXH3 (libxxhash), seeded: for hash tables, directory fingerprints and as a filter before a real comparison.
 * Never an identity: what must not be forged uses delta/verify.h or SHA-256.
 * Role      pure computation.
 */
#ifndef WHERRY_BASE_HASH_H
#define WHERRY_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash128 {
	uint64_t lo;
	uint64_t hi;
};

uint64_t hash64(const void *p, size_t n, uint64_t seed);
struct hash128 hash128(const void *p, size_t n, uint64_t seed);

static inline struct hash128 hash128_add(struct hash128 a, struct hash128 b)
{
	struct hash128 r = {a.lo + b.lo, a.hi + b.hi};

	r.hi += r.lo < a.lo;
	return r;
}

static inline bool hash128_equal(struct hash128 a, struct hash128 b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

#endif
