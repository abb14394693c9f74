/*
 * The matcher. Invariants:
 *  1. ops cover the new file from 0 to the start of the open literal; the literal reaches up to the first byte
 *     that is still held or not yet fed (`pos`).
 *  2. Bytes before `pos` are never needed again. Bytes from `pos` on are in the caller's piece, or, between two
 *     calls of match_feed(), in `held`.
 *  3. What searching costs is bounded: a strong hash that rolling asked for in vain is paid from `credit`, and
 *     credit is earned by rolling.
 *
 * States:
 *  aligned   the block at pos + skipped is expected at the shift of the last match (step_aligned()). If it is
 *            neither there nor anywhere else in the basis, its successor is tried, and so on for `patience`
 *            blocks: after a change in place the next block matches again. When all failed -> rolling from pos.
 *  rolling   the window moves from pos byte by byte (step_rolling()); a match -> aligned at its shift. When the
 *            match has the old shift, the rolling was in vain and the patience is doubled.
 * At the end of the file the blocks skipped last are rolled over as well, and the short last block of the basis
 * is looked for at the end of the new file.
 */
#include "delta/delta.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "delta/block_index.h"
#include "delta/ops.h"
#include "delta/roll.h"
#include "delta/weak.h"

#include <stdlib.h>
#include <string.h>

enum {
	MIN_PATIENCE = 4,
	MAX_PATIENCE = 64,
	MAX_SKIPPED = 4 * 1024 * 1024, /* bytes that a grown patience may hold back */
	CREDIT_PER_BYTE = 8,
	FIRST_CREDIT_BLOCKS = 16,
};

/* Bytes kept from one call to the next: data[start .. start + len). */
struct held {
	uint8_t *data;
	size_t start;
	size_t len;
	size_t cap;
};

struct match {
	const struct sig *sig;
	size_t block_len;
	bool aligned_only;
	struct block_index index;
	struct weak weak;
	struct delta_ops ops;
	struct held held;
	uint64_t pos;
	int64_t shift; /* basis offset - new offset of the last match */
	size_t skipped;
	unsigned failed;
	unsigned patience;
	unsigned first_patience;
	bool rolling;
	bool have_sum;
	uint32_t sum; /* of the window at pos, not looked up yet */
	int64_t credit;
};

enum progress { STARVED, STEPPED };

struct match *match_new(const struct sig *s, bool aligned_only, uint64_t new_size)
{
	struct match *m = xcalloc(1, sizeof(*m));

	m->sig = s;
	m->block_len = s->block_len;
	m->aligned_only = aligned_only;
	m->first_patience = (size_t)MIN_PATIENCE * s->block_len <= MAX_SKIPPED ? MIN_PATIENCE : 1;
	m->patience = m->first_patience;
	m->credit = (int64_t)s->block_len * FIRST_CREDIT_BLOCKS;
	block_index_init(&m->index, s);
	weak_init(&m->weak, s->seed, s->block_len);
	if (new_size > 0 && new_size < m->block_len) {
		m->held.data = xmalloc((size_t)new_size);
		m->held.cap = (size_t)new_size;
	}
	return m;
}

void match_free(struct match *m)
{
	if (!m)
		return;
	block_index_release(&m->index);
	delta_ops_release(&m->ops);
	free(m->held.data);
	free(m);
}

/* --- held bytes ------------------------------------------------------------------------------------------ */

static void held_add(struct held *h, const uint8_t *data, size_t n)
{
	if (n == 0)
		return;
	if (h->start + h->len + n > h->cap) {
		/* At least as much room as there are bytes: moving them costs a constant for every byte fed. */
		size_t cap = (h->len + n) * 2;
		if (cap > h->cap) {
			uint8_t *bigger = xmalloc(cap);
			if (h->len)
				memcpy(bigger, h->data + h->start, h->len);
			free(h->data);
			h->data = bigger;
			h->cap = cap;
		} else {
			memmove(h->data, h->data + h->start, h->len);
		}
		h->start = 0;
	}
	memcpy(h->data + h->start + h->len, data, n);
	h->len += n;
}

static void held_drop(struct held *h, size_t n)
{
	h->len -= n;
	h->start = h->len ? h->start + n : 0;
}

/* --- looking one window up ------------------------------------------------------------------------------- */

/* Length of the short last block, 0 when there is none. */
static size_t tail_len(const struct match *m)
{
	return m->index.full < m->sig->count ? (size_t)(m->sig->basis_size % m->block_len) : 0;
}

static size_t length_of(const struct match *m, uint32_t block)
{
	return block < m->index.full ? m->block_len : tail_len(m);
}

/* The block whose first byte would be at new offset `at` under this shift, or BLOCK_NONE. */
static uint32_t block_at(const struct match *m, uint64_t at, int64_t shift)
{
	int64_t basis = (int64_t)at + shift;

	if (basis < 0 || (uint64_t)basis % m->block_len)
		return BLOCK_NONE;
	uint64_t block = (uint64_t)basis / m->block_len;
	return block < m->sig->count ? (uint32_t)block : BLOCK_NONE;
}

/* The full-length block that has the content of the window p at new offset `at`: the one expected there, the one
 * at its own offset, any. */
static uint32_t find_full(struct match *m, const uint8_t *p, uint64_t at)
{
	uint64_t strong = hash64(p, m->block_len, m->sig->seed);
	uint32_t block = block_at(m, at, m->shift);

	if (block < m->index.full && m->sig->strong[block] == strong)
		return block;
	if (m->aligned_only)
		return BLOCK_NONE;
	block = block_at(m, at, 0);
	if (block < m->index.full && m->sig->strong[block] == strong)
		return block;
	block_index_build_strong(&m->index);
	return block_index_find(&m->index, strong);
}

/* Does the short last block of the basis stand at p? */
static bool tail_matches(const struct match *m, const uint8_t *p)
{
	return m->sig->strong[m->index.full] == hash64(p, tail_len(m), m->sig->seed);
}

/* The block that stands at p, where `avail` bytes are left before what was fed ends. */
static uint32_t find_any(struct match *m, const uint8_t *p, size_t avail, uint64_t at)
{
	uint32_t want = block_at(m, at, m->shift);

	if (want != BLOCK_NONE && want >= m->index.full && avail >= tail_len(m) && tail_matches(m, p))
		return want;
	return avail >= m->block_len ? find_full(m, p, at) : BLOCK_NONE;
}

/* Record that `block` stands at new offset `at` (everything between the ops so far and `at` is literal). */
static void record(struct match *m, uint64_t at, uint32_t block)
{
	uint64_t basis = (uint64_t)block * m->block_len;

	delta_ops_literal(&m->ops, at - delta_ops_end(&m->ops));
	delta_ops_copy(&m->ops, basis, length_of(m, block));
	m->shift = (int64_t)basis - (int64_t)at;
	m->skipped = 0;
	m->failed = 0;
}

/* --- the two states -------------------------------------------------------------------------------------- */

static void start_rolling(struct match *m)
{
	block_index_build_weak(&m->index);
	m->rolling = true;
	m->have_sum = false;
	m->skipped = 0;
	m->failed = 0;
}

static void stop_rolling(struct match *m, int64_t old_shift)
{
	m->rolling = false;
	m->have_sum = false;
	if (m->shift != old_shift)
		m->patience = m->first_patience;
	else if (m->patience < MAX_PATIENCE && m->patience * m->block_len < MAX_SKIPPED)
		m->patience *= 2;
}

/* Try the next aligned block of p[0..n), which stands at m->pos. *used = bytes that are done with. */
static enum progress step_aligned(struct match *m, const uint8_t *p, size_t n, bool final, size_t *used)
{
	size_t avail = n - m->skipped;

	*used = 0;
	if (avail < m->block_len && !final)
		return STARVED;
	uint32_t block = find_any(m, p + m->skipped, avail, m->pos + m->skipped);
	if (block != BLOCK_NONE) {
		*used = m->skipped + length_of(m, block);
		record(m, m->pos + m->skipped, block);
	} else if (m->aligned_only) {
		*used = avail < m->block_len ? avail : m->block_len;
	} else if (avail < m->block_len || m->failed == m->patience) {
		start_rolling(m);
	} else {
		m->skipped += m->block_len;
		m->failed++;
	}
	return STEPPED;
}

/* The window at p has the sum of a block: which one is it? */
static uint32_t check_candidate(struct match *m, const uint8_t *p, uint64_t at)
{
	if (m->credit < (int64_t)m->block_len)
		return BLOCK_NONE;
	uint32_t block = find_full(m, p, at);
	if (block == BLOCK_NONE)
		m->credit -= (int64_t)m->block_len;
	return block;
}

/* Fewer bytes are left than a block has, and no more will come: does the file end like the basis? */
static void finish(struct match *m, const uint8_t *p, size_t n)
{
	size_t tail = tail_len(m);

	if (tail && n >= tail && !m->aligned_only && tail_matches(m, p + n - tail))
		record(m, m->pos + n - tail, m->index.full);
}

/* Roll through p[0..n), which stands at m->pos. */
static enum progress step_rolling(struct match *m, const uint8_t *p, size_t n, bool final, size_t *used)
{
	*used = 0;
	if (n <= m->block_len && !final)
		return STARVED;
	if (n < m->block_len) {
		finish(m, p, n);
		*used = n;
		return STEPPED;
	}
	if (!m->have_sum)
		m->sum = weak_sum(&m->weak, p, m->block_len);
	m->have_sum = true;

	size_t count = n - m->block_len;
	size_t i = roll_search(&m->index, &m->weak, p, count, &m->sum);
	m->credit += (int64_t)i * CREDIT_PER_BYTE;
	*used = i;
	if (i == count && !final)
		return STEPPED;
	int64_t old_shift = m->shift;
	uint32_t block = BLOCK_NONE;
	if (i < count || block_index_may_have(&m->index, m->sum))
		block = check_candidate(m, p + i, m->pos + i);
	if (block != BLOCK_NONE) {
		record(m, m->pos + i, block);
		stop_rolling(m, old_shift);
		*used += m->block_len;
	} else {
		if (i < count)
			m->sum = weak_roll(&m->weak, m->sum, p[i], p[i + m->block_len]);
		*used += 1;
	}
	return STEPPED;
}

/* Work through p[0..n), which stands at m->pos, as far as possible; returns the number of bytes done with. */
static size_t scan(struct match *m, const uint8_t *p, size_t n, bool final)
{
	size_t done = 0;
	enum progress progress = STEPPED;

	while (progress == STEPPED && done < n) {
		size_t used;
		progress = m->rolling ? step_rolling(m, p + done, n - done, final, &used)
				      : step_aligned(m, p + done, n - done, final, &used);
		done += used;
		m->pos += used;
	}
	return done;
}

/* --- feeding --------------------------------------------------------------------------------------------- */

void match_feed(struct match *m, const void *data, size_t n)
{
	const uint8_t *p = data;

	if (m->sig->count == 0) {
		m->pos += n;
		return;
	}
	while (n && m->held.len) {
		size_t old = m->held.len;
		size_t take = n < m->block_len ? n : m->block_len;
		held_add(&m->held, p, take);
		size_t used = scan(m, m->held.data + m->held.start, m->held.len, false);
		held_drop(&m->held, used);
		if (used >= old) {
			/* All that was held before is done with: go on in the caller's memory. */
			held_drop(&m->held, m->held.len);
			take = used - old;
		}
		p += take;
		n -= take;
	}
	if (n) {
		size_t used = scan(m, p, n, false);
		held_add(&m->held, p + used, n - used);
	}
}

void match_end(struct match *m, struct delta_ops *ops)
{
	if (m->held.len)
		scan(m, m->held.data + m->held.start, m->held.len, true);
	delta_ops_literal(&m->ops, m->pos - delta_ops_end(&m->ops));
	*ops = m->ops;
	m->ops = (struct delta_ops){0};
}
