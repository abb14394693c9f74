/*
 * Index over the full-length blocks of a signature: which block has this strong hash, may any block have this
 * weak sum. Both questions take a bounded number of steps, whatever the peer put into the signature; of blocks
 * with the same content the first one is known.
 * Role      pure computation, internal to delta/.
 * Lifetime  block_index_init() .. block_index_release(); borrows the signature. The tables are built by
 *           block_index_build_*(), which may be called again at no cost.
 */
#ifndef WHERRY_DELTA_BLOCK_INDEX_H
#define WHERRY_DELTA_BLOCK_INDEX_H

#include "delta/delta.h"

#define BLOCK_NONE UINT32_MAX

struct block_index {
	const struct sig *sig;
	uint32_t full;  /* how many blocks have the full length */
	uint32_t *slot; /* block number + 1 by strong hash, 0 = free */
	size_t slot_mask;
	uint32_t *
		filter; /* words chosen by the upper bits of a sum, in each two bits chosen by the lowest ten */
	unsigned filter_shift;
	uint32_t *weak; /* exact weak sums, 0 = free (a sum of 0 is kept as 1) */
	size_t weak_mask;
};

void block_index_init(struct block_index *x, const struct sig *sig);
void block_index_release(struct block_index *x);
void block_index_build_strong(struct block_index *x);
void block_index_build_weak(struct block_index *x);

/* First full-length block with this strong hash, or BLOCK_NONE. */
uint32_t block_index_find(const struct block_index *x, uint64_t strong);

/* The slow, exact half of block_index_may_have(). */
bool block_index_has_weak(const struct block_index *x, uint32_t sum);

/* Is there a full-length block with this weak sum? */
static inline bool block_index_may_have(const struct block_index *x, uint32_t sum)
{
	uint32_t word = x->filter[sum >> x->filter_shift];

	return (word >> (sum & 31) & word >> (sum >> 5 & 31) & 1) && block_index_has_weak(x, sum);
}

#endif
