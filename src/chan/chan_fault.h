/*
 * A filter for tests: bytes arrive and leave in short pieces, and the line is cut after byte n.
 * Role      pure (over another channel); in real runs only in -Dfault builds, by the environment.
 * Lifetime  owns the channel it wraps.
 */
#ifndef WHERRY_CHAN_CHAN_FAULT_H
#define WHERRY_CHAN_CHAN_FAULT_H

#include "chan/chan.h"

struct chan_fault_params {
	size_t piece_bytes;   /* at most so many bytes at a time, 0 = as they come */
	uint64_t seed;        /* not 0: random pieces of 1..piece_bytes, drawn from it */
	uint64_t cut_in_plus; /* N+1: after N bytes read the stream is at its end, and nothing can be written;
	                          0 = never */
	uint64_t cut_out_plus; /* N+1: after N bytes written, the same */
};

struct chan *chan_fault_new(struct chan *inner, const struct chan_fault_params *params);

/* Wrap as WHERRY_CUT_AT and WHERRY_CUT_OUT_AT say; the channel itself when neither is set or in builds without
 * -Dfault. */
struct chan *chan_fault_from_env(struct chan *inner);

#endif
