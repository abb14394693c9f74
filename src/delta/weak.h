/*
 * Weak rolling sum: a polynomial over the bytes of a window, modulo 2^32 (Rabin and Karp, "Efficient randomized
 * pattern-matching algorithms", 1987), with a multiplier drawn from the session's seed.
 *   sum(x[0..n)) = x[0] * M^(n-1) + x[1] * M^(n-2) + ... + x[n-1]
 * Role      pure computation, internal to delta/.
 */
#ifndef WHERRY_DELTA_WEAK_H
#define WHERRY_DELTA_WEAK_H

#include <stddef.h>
#include <stdint.h>

struct weak {
	uint32_t mul; /* M */
	uint32_t out; /* M^window: the weight of the byte that leaves */
};

void weak_init(struct weak *w, uint64_t seed, size_t window);

/* Sum of n bytes (any n), vectorised. */
uint32_t weak_sum(const struct weak *w, const void *data, size_t n);

/* What the sum becomes when `gone` leaves the window in front and `come` enters behind. */
static inline uint32_t weak_roll(const struct weak *w, uint32_t sum, uint8_t gone, uint8_t come)
{
	return sum * w->mul + come - gone * w->out;
}

#endif
