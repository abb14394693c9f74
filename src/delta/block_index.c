/*
 * Two open-addressed tables at most half full, searched for at most MAX_PROBES slots: an entry that finds no
 * free slot within that distance (only a signature made to that end gets there) is left out, and its block is
 * then never matched by searching.
 */
#include "delta/block_index.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { MAX_PROBES = 64, MIN_SLOTS = 16, MIN_FILTER_LOG = 5 };

void block_index_init(struct block_index *x, const struct sig *sig)
{
	uint64_t full = sig->basis_size / sig->block_len;

	*x = (struct block_index){.sig = sig, .full = full < sig->count ? (uint32_t)full : sig->count};
}

void block_index_release(struct block_index *x)
{
	free(x->slot);
	free(x->filter);
	free(x->weak);
	*x = (struct block_index){0};
}

static size_t table_mask(uint32_t items)
{
	size_t n = MIN_SLOTS;

	while (n < (size_t)items * 2)
		n *= 2;
	return n - 1;
}

static size_t strong_home(const struct block_index *x, uint64_t strong)
{
	return (size_t)((strong * 0x9e3779b97f4a7c15u) >> 32) & x->slot_mask;
}

void block_index_build_strong(struct block_index *x)
{
	if (x->slot)
		return;
	x->slot_mask = table_mask(x->full);
	x->slot = xcalloc(x->slot_mask + 1, sizeof(*x->slot));
	for (uint32_t i = 0; i < x->full; i++) {
		size_t at = strong_home(x, x->sig->strong[i]);
		for (int probe = 0; probe < MAX_PROBES; probe++, at = (at + 1) & x->slot_mask) {
			uint32_t there = x->slot[at];
			if (there && x->sig->strong[there - 1] != x->sig->strong[i])
				continue;
			if (!there)
				x->slot[at] = i + 1;
			break;
		}
	}
}

uint32_t block_index_find(const struct block_index *x, uint64_t strong)
{
	size_t at = strong_home(x, strong);

	for (int probe = 0; probe < MAX_PROBES; probe++, at = (at + 1) & x->slot_mask) {
		uint32_t there = x->slot[at];
		if (!there)
			break;
		if (x->sig->strong[there - 1] == strong)
			return there - 1;
	}
	return BLOCK_NONE;
}

static size_t weak_home(const struct block_index *x, uint32_t sum)
{
	return (size_t)((sum * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & x->weak_mask;
}

static void add_weak(struct block_index *x, uint32_t sum)
{
	uint32_t key = sum ? sum : 1;
	size_t at = weak_home(x, key);

	x->filter[sum >> x->filter_shift] |= UINT32_C(1) << (sum & 31) | UINT32_C(1) << (sum >> 5 & 31);
	for (int probe = 0; probe < MAX_PROBES; probe++, at = (at + 1) & x->weak_mask) {
		if (x->weak[at] == 0)
			x->weak[at] = key;
		if (x->weak[at] == key)
			return;
	}
}

void block_index_build_weak(struct block_index *x)
{
	unsigned log = MIN_FILTER_LOG;

	if (x->weak)
		return;
	while ((UINT64_C(1) << log) < x->full) /* a word for each block */
		log++;
	x->filter_shift = 32 - log;
	x->filter = xcalloc((size_t)1 << log, sizeof(*x->filter));
	x->weak_mask = table_mask(x->full);
	x->weak = xcalloc(x->weak_mask + 1, sizeof(*x->weak));
	for (uint32_t i = 0; i < x->full; i++)
		add_weak(x, x->sig->weak[i]);
}

bool block_index_has_weak(const struct block_index *x, uint32_t sum)
{
	uint32_t key = sum ? sum : 1;
	size_t at = weak_home(x, key);

	for (int probe = 0; probe < MAX_PROBES && x->weak[at]; probe++, at = (at + 1) & x->weak_mask)
		if (x->weak[at] == key)
			return true;
	return false;
}
