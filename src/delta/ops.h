/*
 * Building a list of delta ops: contiguous, covering the new file from 0, neighbours merged where they can be.
 * Role      pure computation, internal to delta/.
 */
#ifndef WHERRY_DELTA_OPS_H
#define WHERRY_DELTA_OPS_H

#include "delta/delta.h"

/* Where the list ends so far: offset in the new file of the next op. */
uint64_t delta_ops_end(const struct delta_ops *ops);

/* Append len bytes that start at delta_ops_end(); a length of 0 does nothing. */
void delta_ops_literal(struct delta_ops *ops, uint64_t len);
void delta_ops_copy(struct delta_ops *ops, uint64_t basis_offset, uint64_t len);

#endif
