/*
 * Moving a window over bytes until its weak sum is one of the basis.
 * Role      pure computation, internal to delta/.
 */
#ifndef WHERRY_DELTA_ROLL_H
#define WHERRY_DELTA_ROLL_H

#include "delta/block_index.h"
#include "delta/weak.h"

/*
 * The window of one block length stands at p and *sum is its sum; p[0 .. count + block length) can be read. Returns
 * the first position in 0 .. count - 1 where some full-length block has the window's sum, or count; *sum becomes
 * the sum of the window at the returned position (at `count` it was not looked up). Needs block_index_build_weak().
 */
size_t roll_search(
	const struct block_index *x, const struct weak *w, const uint8_t *p, size_t count, uint32_t *sum);

#endif
