/*
 * Refinement. A literal stands between two copies; the bytes that were there in the basis begin where the left
 * copy's range ends and end where the right one's begins. Where both copies have the same shift, the literal was
 * changed in place and its pieces are compared at that shift. Where they differ (something was inserted or
 * deleted inside a block), the front of the literal continues the left copy and its end leads into the right one:
 * then pieces are compared at both shifts.
 *
 * refine_wanted() and refine_apply() walk the same literals with the same function (next_gap()), so that the
 * n-th hash of the answer is known to belong to a piece without any names on the wire. Before the first copy the
 * shift is 0, behind the last one it is the last one's: so copies at their own offset only (in-place updates)
 * stay copies at their own offset only.
 */
#include "delta/delta.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "delta/ops.h"

#include <stdlib.h>

enum { FINE = DELTA_FINE_BYTES, READ_PIECES = 64 };

/* A literal with the shifts of its neighbours, and the basis ranges worth asking about, in ascending order. */
struct gap {
	uint64_t from; /* the literal is [from, to) of the new file */
	uint64_t to;
	int64_t left;
	int64_t right;
	struct delta_range range[2];
	size_t ranges;
};

/* Walks the literals of ops. */
struct gap_walk {
	const struct delta_ops *ops;
	const struct sig *sig;
	size_t next;
	uint32_t budget; /* pieces that may still be asked for */
};

struct span {
	int64_t from;
	int64_t to;
};

static int64_t shift_of(const struct delta_op *copy)
{
	return (int64_t)copy->basis_offset - (int64_t)copy->offset;
}

/* Whole pieces of the basis inside s; the short one at the very end counts as whole. */
static struct span whole_pieces(struct span s, const struct sig *sig)
{
	int64_t size = (int64_t)sig->basis_size;

	if (s.from < 0)
		s.from = 0;
	if (s.to > size)
		s.to = size;
	if (s.from >= s.to)
		return (struct span){0, 0};
	s.from = (s.from + FINE - 1) / FINE * FINE;
	s.to = s.to == size ? (s.to + FINE - 1) / FINE * FINE : s.to / FINE * FINE;
	return s.from < s.to ? s : (struct span){0, 0};
}

static void add_range(struct gap *g, struct span s, uint32_t *budget)
{
	uint64_t pieces = (uint64_t)(s.to - s.from) / FINE;

	if (pieces > *budget)
		pieces = *budget;
	if (pieces == 0)
		return;
	*budget -= (uint32_t)pieces;
	g->range[g->ranges++] =
		(struct delta_range){.basis_offset = (uint64_t)s.from, .pieces = (uint32_t)pieces};
}

static void plan_ranges(struct gap *g, const struct sig *sig, uint32_t *budget)
{
	struct span a = {(int64_t)g->from + g->left, (int64_t)g->to + g->left};
	struct span b = {(int64_t)g->from + g->right, (int64_t)g->to + g->right};

	if (a.from <= b.to) {
		/* What lies outside [a.from, b.to) is covered by the neighbours. */
		a.to = a.to < b.to ? a.to : b.to;
		b.from = b.from > a.from ? b.from : a.from;
	}
	a = whole_pieces(a, sig);
	b = whole_pieces(b, sig);
	if (a.from > b.from) {
		struct span t = a;
		a = b;
		b = t;
	}
	if (a.to >= b.from && b.from < b.to) {
		if (a.from == a.to)
			a = b;
		a.to = a.to > b.to ? a.to : b.to;
		b = (struct span){0, 0};
	}
	add_range(g, a, budget);
	add_range(g, b, budget);
}

/* The next literal op at or behind w->next (then its index is w->next - 1); false when there is none. */
static bool next_gap(struct gap_walk *w, struct gap *g)
{
	const struct delta_ops *ops = w->ops;

	while (w->next < ops->count && ops->v[w->next].kind != DELTA_LITERAL)
		w->next++;
	if (w->next == ops->count)
		return false;
	const struct delta_op *op = &ops->v[w->next];
	*g = (struct gap){.from = op->offset, .to = op->offset + op->len};
	if (w->next > 0)
		g->left = shift_of(op - 1);
	g->right = w->next + 1 < ops->count ? shift_of(op + 1) : g->left;
	w->next++;
	plan_ranges(g, w->sig, &w->budget);
	return true;
}

static struct gap_walk walk_begin(const struct delta_ops *ops, const struct sig *sig)
{
	return (struct gap_walk){.ops = ops, .sig = sig, .budget = DELTA_MAX_PIECES};
}

size_t refine_wanted(const struct delta_ops *ops, const struct sig *s, struct delta_range **ranges)
{
	struct gap_walk w = walk_begin(ops, s);
	struct gap g;
	size_t count = 0, cap = 0;

	*ranges = NULL;
	if (s->block_len <= FINE)
		return 0; /* the matcher has compared just these pieces */
	while (w.budget && next_gap(&w, &g)) {
		if (count + g.ranges > cap) {
			cap = cap ? cap * 2 : 16;
			*ranges = xreallocarray(*ranges, cap, sizeof(**ranges));
		}
		for (size_t i = 0; i < g.ranges; i++)
			(*ranges)[count++] = g.range[i];
	}
	return count;
}

uint64_t refine_hash(uint64_t seed, const void *data, size_t n)
{
	return hash64(data, n, seed);
}

/* --- the answer ------------------------------------------------------------------------------------------ */

struct hit {
	uint64_t at; /* in the new file */
	uint64_t basis;
	uint64_t len;
};

struct refine {
	const struct sig *sig;
	int (*read)(void *ctx, uint64_t offset, void *data, size_t n);
	void *ctx;
	uint8_t *bytes; /* READ_PIECES pieces */
	struct hit *hit;
	size_t hits;
	size_t cap;
};

static void add_hit(struct refine *r, uint64_t at, uint64_t basis, uint64_t len)
{
	if (r->hits) {
		struct hit *last = &r->hit[r->hits - 1];
		if (last->at + last->len == at && last->basis + last->len == basis) {
			last->len += len;
			return;
		}
	}
	if (r->hits == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 64;
		r->hit = xreallocarray(r->hit, r->cap, sizeof(*r->hit));
	}
	r->hit[r->hits++] = (struct hit){.at = at, .basis = basis, .len = len};
}

/* Compare `pieces` (at most READ_PIECES) pieces at basis offset `basis` with the new file at `at`; the last of
 * them ends at `end` of the basis at the latest. */
static int compare_some(struct refine *r, uint64_t at, uint64_t basis, uint32_t pieces, const uint64_t *hash)
{
	uint64_t n = (uint64_t)pieces * FINE;

	if (n > r->sig->basis_size - basis)
		n = r->sig->basis_size - basis;
	if (r->read(r->ctx, at, r->bytes, (size_t)n) != 0)
		return -1;
	for (uint64_t done = 0; done < n; done += FINE, hash++) {
		size_t len = n - done < FINE ? (size_t)(n - done) : FINE;
		if (refine_hash(r->sig->seed, r->bytes + done, len) == *hash)
			add_hit(r, at + done, basis + done, len);
	}
	return 0;
}

/* Compare those pieces of a range that fall inside the literal under this shift. */
static int compare_range(struct refine *r, const struct gap *g, const struct delta_range *range,
	const uint64_t *hash, int64_t shift)
{
	int64_t low = (int64_t)g->from + shift, high = (int64_t)g->to + shift;
	int64_t basis = (int64_t)range->basis_offset;
	uint32_t first = 0, end = range->pieces;

	if (low > basis)
		first = (uint32_t)((low - basis + FINE - 1) / FINE < end ? (low - basis + FINE - 1) / FINE
									 : end);
	while (end > first) {
		int64_t stop = basis + (int64_t)end * FINE;
		if (stop > (int64_t)r->sig->basis_size)
			stop = (int64_t)r->sig->basis_size;
		if (stop <= high)
			break;
		int64_t over = (stop - high + FINE - 1) / FINE;
		end = over < (int64_t)(end - first) ? end - (uint32_t)over : first;
	}
	while (first < end) {
		uint32_t some = end - first < READ_PIECES ? end - first : READ_PIECES;
		int64_t from = basis + (int64_t)first * FINE;
		if (compare_some(r, (uint64_t)(from - shift), (uint64_t)from, some, hash + first) != 0)
			return -1;
		first += some;
	}
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* Write the literal again as what was found in it; where two finds overlap the second loses its front. */
static void put_gap(struct refine *r, const struct gap *g, struct delta_ops *out)
{
	if (r->hits > 1 && g->left != g->right)
		qsort(r->hit, r->hits, sizeof(*r->hit), by_offset);
	for (size_t i = 0; i < r->hits; i++) {
		struct hit h = r->hit[i];
		uint64_t done = delta_ops_end(out);
		if (h.at + h.len <= done)
			continue;
		uint64_t cut = h.at < done ? done - h.at : 0;
		delta_ops_literal(out, h.at + cut - done);
		delta_ops_copy(out, h.basis + cut, h.len - cut);
	}
	delta_ops_literal(out, g->to - delta_ops_end(out));
}

static int refine_gap(struct refine *r, const struct gap *g, const uint64_t *hashes, struct delta_ops *out)
{
	r->hits = 0;
	for (int pass = 0; pass < (g->left == g->right ? 1 : 2); pass++) {
		const uint64_t *hash = hashes;
		for (size_t i = 0; i < g->ranges; i++) {
			int64_t shift = pass == 0 ? g->left : g->right;
			if (compare_range(r, g, &g->range[i], hash, shift) != 0)
				return -1;
			hash += g->range[i].pieces;
		}
	}
	put_gap(r, g, out);
	return 0;
}

/* Does the walk ask for what was asked for, and are there hashes for it? Moves *asked and *hashes_left on. */
static bool same_ranges(const struct gap *g, const struct delta_range **asked, const struct delta_range *end,
	size_t *hashes_left)
{
	for (size_t i = 0; i < g->ranges; i++) {
		const struct delta_range *a = *asked;
		if (a == end || a->basis_offset != g->range[i].basis_offset ||
			a->pieces != g->range[i].pieces)
			return false;
		if (*hashes_left < a->pieces)
			return false;
		*hashes_left -= a->pieces;
		(*asked)++;
	}
	return true;
}

int refine_apply(struct delta_ops *ops, const struct sig *s, const struct delta_range *ranges, size_t count,
	const uint64_t *hashes, size_t hash_count,
	int (*read)(void *ctx, uint64_t offset, void *data, size_t n), void *ctx)
{
	if (count == 0)
		return hash_count == 0 ? 0 : -1;
	struct refine r = {.sig = s, .read = read, .ctx = ctx, .bytes = xmalloc((size_t)READ_PIECES * FINE)};
	struct gap_walk w = walk_begin(ops, s);
	const struct delta_range *asked = ranges;
	struct delta_ops out = {0};
	size_t left = hash_count, op = 0;
	struct gap g;
	int result = -1;

	while (asked < ranges + count && next_gap(&w, &g)) {
		const uint64_t *mine = hashes + (hash_count - left);
		for (; op < w.next - 1; op++)
			delta_ops_copy(&out, ops->v[op].basis_offset, ops->v[op].len);
		op = w.next;
		if (!same_ranges(&g, &asked, ranges + count, &left) || refine_gap(&r, &g, mine, &out) != 0)
			goto out;
	}
	if (left != 0 || asked != ranges + count)
		goto out;
	for (; op < ops->count; op++) {
		if (ops->v[op].kind == DELTA_COPY)
			delta_ops_copy(&out, ops->v[op].basis_offset, ops->v[op].len);
		else
			delta_ops_literal(&out, ops->v[op].len);
	}
	delta_ops_release(ops);
	*ops = out;
	out = (struct delta_ops){0};
	result = 0;
out:
	delta_ops_release(&out);
	free(r.hit);
	free(r.bytes);
	return result;
}
