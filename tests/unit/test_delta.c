/* Signatures, matching and refinement: whatever was edited, ops and basis give the new file back, and few bytes
 * are sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "delta/delta.h"
#include "delta/roll.h"
#include "delta/weak.h"

#define SEED UINT64_C(0x1234567890abcdef)
#define KIB  UINT64_C(1024)
#define MIB  (KIB * 1024)

struct blob {
	uint8_t *p;
	size_t n;
};

static uint64_t rng_state;

static uint64_t rnd(void)
{
	rng_state += 0x9e3779b97f4a7c15u;
	uint64_t z = rng_state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static size_t below(size_t n)
{
	return n ? (size_t)(rnd() % n) : 0;
}

static void scribble(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rnd();
}

static struct blob random_blob(size_t n)
{
	struct blob b = {xmalloc(n), n};

	scribble(b.p, n);
	return b;
}

static struct blob copy_blob(struct blob b)
{
	return (struct blob){(uint8_t *)xmemdupz(b.p, b.n), b.n};
}

/* Replace `gone` bytes at `at` by `come` bytes from `with` (random ones when NULL). */
static void splice(struct blob *b, size_t at, size_t gone, const uint8_t *with, size_t come)
{
	uint8_t *p = xmalloc(b->n - gone + come);

	memcpy(p, b->p, at);
	if (with && come)
		memcpy(p + at, with, come);
	else
		scribble(p + at, come);
	memcpy(p + at + come, b->p + at + gone, b->n - at - gone);
	free(b->p);
	b->p = p;
	b->n = b->n - gone + come;
}

static struct sig sig_of(struct blob basis, uint32_t block_len)
{
	struct sig s, wire;
	struct buf b;
	struct err e = {0};

	sig_init(&s, basis.n, SEED);
	if (block_len) {
		s.block_len = block_len;
		s.count = (uint32_t)((basis.n + block_len - 1) / block_len);
		s.weak = xreallocarray(s.weak, s.count, sizeof(*s.weak));
		s.strong = xreallocarray(s.strong, s.count, sizeof(*s.strong));
	}
	for (uint32_t i = s.count; i-- > 0;) {
		size_t at = (size_t)i * s.block_len;
		sig_set_block(&s, i, basis.p + at, basis.n - at < s.block_len ? basis.n - at : s.block_len);
	}
	buf_init(&b, 16 * MIB);
	sig_encode(&s, &b);
	struct cursor c = cur_make(b.data, b.len);
	assert_int_equal(sig_decode(&wire, SEED, &c, &e), 0);
	assert_int_equal(cur_left(&c), 0);
	assert_int_equal(wire.count, s.count);
	sig_release(&s);
	buf_release(&b);
	return wire;
}

static void check_ops(const struct delta_ops *ops, struct blob basis, struct blob fresh)
{
	uint64_t at = 0;

	for (size_t i = 0; i < ops->count; i++) {
		const struct delta_op *op = &ops->v[i];
		assert_int_equal(op->offset, at);
		assert_true(op->len > 0 && op->len <= fresh.n - at);
		if (op->kind == DELTA_COPY) {
			assert_true(op->basis_offset <= basis.n && op->len <= basis.n - op->basis_offset);
			assert_memory_equal(fresh.p + at, basis.p + op->basis_offset, op->len);
		} else if (i) {
			assert_int_equal(ops->v[i - 1].kind, DELTA_COPY);
		}
		at += op->len;
	}
	assert_int_equal(at, fresh.n);
}

static uint64_t literal_bytes(const struct delta_ops *ops)
{
	uint64_t n = 0;

	for (size_t i = 0; i < ops->count; i++)
		n += ops->v[i].kind == DELTA_LITERAL ? ops->v[i].len : 0;
	return n;
}

/* feed: size of the pieces, 0 = random ones. */
static struct delta_ops match_all(const struct sig *s, struct blob fresh, bool aligned_only, size_t feed)
{
	struct match *m = match_new(s, aligned_only, fresh.n);
	struct delta_ops ops;

	for (size_t at = 0; at < fresh.n;) {
		size_t n = feed ? feed : 1 + below(300000);
		n = n < fresh.n - at ? n : fresh.n - at;
		/* A copy of its own per piece: reading beyond or after the call is seen by the sanitizer. */
		uint8_t *piece = xmalloc(n);
		memcpy(piece, fresh.p + at, n);
		match_feed(m, piece, n);
		free(piece);
		at += n;
	}
	match_end(m, &ops);
	match_free(m);
	return ops;
}

static int read_blob(void *ctx, uint64_t offset, void *data, size_t n)
{
	const struct blob *b = ctx;

	assert_true(offset <= b->n && n <= b->n - offset && n <= 256 * KIB);
	memcpy(data, b->p + offset, n);
	return 0;
}

static int read_nothing(void *ctx, uint64_t offset, void *data, size_t n)
{
	(void)ctx, (void)offset, (void)data, (void)n;
	return -1;
}

/* What the receiver would answer. */
static uint64_t *hashes_of(struct blob basis, const struct delta_range *r, size_t count, size_t *pieces)
{
	uint64_t *hash = NULL;

	*pieces = 0;
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(r[i].basis_offset % DELTA_FINE_BYTES, 0);
		hash = xreallocarray(hash, *pieces + r[i].pieces, sizeof(*hash));
		for (uint32_t k = 0; k < r[i].pieces; k++) {
			size_t at = (size_t)r[i].basis_offset + (size_t)k * DELTA_FINE_BYTES;
			assert_true(at < basis.n);
			size_t n = basis.n - at < DELTA_FINE_BYTES ? basis.n - at : DELTA_FINE_BYTES;
			hash[(*pieces)++] = refine_hash(SEED, basis.p + at, n);
		}
	}
	return hash;
}

static size_t refine(struct delta_ops *ops, const struct sig *s, struct blob basis, struct blob fresh)
{
	struct delta_range *r;
	size_t count = refine_wanted(ops, s, &r), pieces;
	uint64_t *hash = hashes_of(basis, r, count, &pieces);

	assert_int_equal(refine_apply(ops, s, r, count, hash, pieces, read_blob, &fresh), 0);
	free(hash);
	free(r);
	return pieces;
}

struct outcome {
	uint64_t rough; /* literal bytes after matching */
	uint64_t fine;  /* after refining */
	size_t asked;   /* pieces */
	size_t ops;
};

static struct outcome delta(struct blob basis, struct blob fresh, uint32_t block_len, size_t feed)
{
	struct sig s = sig_of(basis, block_len);
	struct delta_ops ops = match_all(&s, fresh, false, feed);
	struct outcome o = {.rough = literal_bytes(&ops)};

	check_ops(&ops, basis, fresh);
	o.asked = refine(&ops, &s, basis, fresh);
	check_ops(&ops, basis, fresh);
	o.fine = literal_bytes(&ops);
	o.ops = ops.count;
	assert_true(o.fine <= o.rough);
	delta_ops_release(&ops);
	sig_release(&s);
	return o;
}

static void drop(struct blob a, struct blob b)
{
	free(a.p);
	free(b.p);
}

/* --- signatures ------------------------------------------------------------------------------------------ */

static void block_lengths(void **state)
{
	(void)state;
	assert_int_equal(sig_block_len(0), 4096);
	assert_int_equal(sig_block_len(4 * MIB), 4096);
	assert_int_equal(sig_block_len(1024 * MIB), 64 * KIB);
	assert_int_equal(sig_block_len(UINT64_MAX), DELTA_MAX_BLOCK_LEN);
	uint32_t last = 0;
	for (uint64_t size = 1; size < (UINT64_C(1) << 44); size += size / 3 + 1) {
		uint32_t len = sig_block_len(size);
		assert_true(len >= last && (len & (len - 1)) == 0);
		assert_true((size + len - 1) / len <= DELTA_MAX_BLOCKS);
		last = len;
	}
}

static void weak_sum_is_what_rolling_gives(void **state)
{
	struct blob b = random_blob(20000);
	struct weak w;

	(void)state;
	for (size_t window = 1; window < 9000; window += 1 + below(900)) {
		weak_init(&w, rnd(), window);
		uint32_t slow = 0, sum = weak_sum(&w, b.p, window);
		for (size_t i = 0; i < window; i++)
			slow = slow * w.mul + b.p[i];
		assert_int_equal(sum, slow);
		for (size_t i = 0; i < 5000; i++)
			sum = weak_roll(&w, sum, b.p[i], b.p[i + window]);
		assert_int_equal(sum, weak_sum(&w, b.p + 5000, window));
	}
	free(b.p);
}

/* The vectorised search must stop exactly where a byte by byte search stops. */
static void search_stops_at_every_planted_block(void **state)
{
	struct blob basis = random_blob(64 * 4096), b = random_blob(40000);
	struct sig s = sig_of(basis, 0);
	struct block_index x;
	struct weak w;

	(void)state;
	block_index_init(&x, &s);
	block_index_build_weak(&x);
	weak_init(&w, SEED, 4096);
	for (int round = 0; round < 200; round++) {
		size_t at = below(30000), block = below(64), count = below(35900);
		scribble(b.p, b.n);
		memcpy(b.p + at, basis.p + block * 4096, 4096);
		uint32_t sum = weak_sum(&w, b.p, 4096);
		size_t got = roll_search(&x, &w, b.p, count, &sum);
		assert_int_equal(got, at < count ? at : count);
		assert_int_equal(sum, weak_sum(&w, b.p + got, 4096));
	}
	block_index_release(&x);
	sig_release(&s);
	drop(basis, b);
}

static void put_header(struct buf *b, uint64_t size, uint64_t block_len)
{
	buf_clear(b);
	buf_put_varint(b, size);
	buf_put_varint(b, block_len);
}

static void expect_refused(const struct buf *b)
{
	struct sig s;
	struct err e = {0};
	struct cursor c = cur_make(b->data, b->len);

	assert_int_equal(sig_decode(&s, SEED, &c, &e), -1);
	assert_int_equal(e.code, ERR_PROTOCOL);
}

static void damaged_signatures_are_refused(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, MIB);
	expect_refused(&b);
	static const uint64_t bad[][2] = {{1, 0}, {1, 4095}, {1, 4097}, {1, 2048}, {1, 5000},
		{1, UINT64_C(1) << 40}, {1, 64 << 20}, {UINT64_MAX, 4096}, {INT64_MAX, 4096},
		{UINT64_C(1) << 40, 4096}, {UINT64_C(1) << 30, 65536}, {INT64_MAX, 64 << 20}, {4097, 4096}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_header(&b, bad[i][0], bad[i][1]);
		buf_put_u32(&b, 1);
		buf_put_u64(&b, 2); /* one block where another number is needed */
		expect_refused(&b);
	}
	put_header(&b, 10, 4096);
	buf_put(&b, "12345678901", 11); /* a byte is missing */
	expect_refused(&b);
	buf_release(&b);
}

/* --- edits ----------------------------------------------------------------------------------------------- */

static void same_file_is_one_copy(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 4095, 4096, 4097, 20000, 4 << 20, (4 << 20) + 1};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct blob basis = random_blob(sizes[i]);
		struct outcome o = delta(basis, basis, 0, 1 << 20);
		assert_int_equal(o.rough, 0);
		assert_int_equal(o.ops, 1);
		assert_int_equal(o.asked, 0);
		free(basis.p);
	}
}

static void empty_files(void **state)
{
	struct blob none = {xmalloc(1), 0}, some = random_blob(50000);

	(void)state;
	assert_int_equal(delta(none, none, 0, 1).ops, 0);
	assert_int_equal(delta(some, none, 0, 1).ops, 0);
	assert_int_equal(delta(none, some, 0, 7777).fine, 50000);
	drop(none, some);
}

static void scattered_changes_cost_their_pieces(void **state)
{
	struct blob basis = random_blob(8 * MIB + 123), fresh = copy_blob(basis);
	size_t touched = 0;

	(void)state;
	for (size_t at = 0; at < basis.n; at += DELTA_FINE_BYTES)
		if (below(100) == 0) {
			fresh.p[at + below(basis.n - at < 4096 ? basis.n - at : 4096)] ^= 1;
			touched++;
		}
	struct outcome o = delta(basis, fresh, 64 * KIB, MIB);
	assert_true(o.rough <= touched * 64 * KIB);
	assert_true(o.fine <= touched * DELTA_FINE_BYTES);
	assert_true(o.asked <= touched * 16);
	drop(basis, fresh);
}

static void changes_in_every_block_are_refined(void **state)
{
	struct blob basis = random_blob(2 * MIB), fresh = copy_blob(basis);

	(void)state;
	for (size_t at = 0; at < basis.n; at += 64 * KIB)
		fresh.p[at + below(64 * KIB)] ^= 0x80;
	struct outcome o = delta(basis, fresh, 64 * KIB, MIB);
	assert_int_equal(o.rough, basis.n);
	assert_int_equal(o.fine, 32 * DELTA_FINE_BYTES);
	drop(basis, fresh);
}

static void insert_at_the_head_costs_the_insert(void **state)
{
	(void)state;
	for (size_t n = 1; n < 200000; n = n * 5 + 3) {
		struct blob basis = random_blob(4 * MIB + 77), fresh = copy_blob(basis);
		splice(&fresh, 0, 0, NULL, n);
		struct outcome o = delta(basis, fresh, 64 * KIB, MIB);
		assert_int_equal(o.rough, n);
		drop(basis, fresh);
	}
}

static void insert_and_delete_inside_cost_a_block(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct blob basis = random_blob(3 * MIB + below(70000)), fresh = copy_blob(basis);
		size_t n = 1 + below(3000);
		if (round % 2)
			splice(&fresh, below(fresh.n), 0, NULL, n);
		else
			splice(&fresh, below(fresh.n - n), n, NULL, 0);
		struct outcome o = delta(basis, fresh, 32 * KIB, MIB);
		assert_true(o.rough <= 2 * 32 * KIB + n);
		assert_true(o.fine <= o.rough);
		drop(basis, fresh);
	}
}

static void insert_inside_is_refined_from_both_ends(void **state)
{
	struct blob basis = random_blob(2 * MIB), fresh = copy_blob(basis);

	(void)state;
	splice(&fresh, 64 * KIB * 7 + 30000, 0, NULL, 1000);
	struct outcome o = delta(basis, fresh, 64 * KIB, MIB);
	assert_int_equal(o.rough, 64 * KIB + 1000);
	assert_int_equal(o.asked, 16);
	assert_int_equal(o.fine, DELTA_FINE_BYTES + 1000);
	drop(basis, fresh);
}

static void moved_parts_are_found(void **state)
{
	struct blob basis = random_blob(4 * MIB), fresh = copy_blob(basis);

	(void)state;
	size_t cut = MIB + 12345;
	memcpy(fresh.p, basis.p + cut, basis.n - cut);
	memcpy(fresh.p + basis.n - cut, basis.p, cut);
	struct outcome o = delta(basis, fresh, 16 * KIB, MIB);
	assert_true(o.rough <= 2 * 16 * KIB);
	drop(basis, fresh);
}

static void shuffled_blocks_cost_nothing(void **state)
{
	struct blob basis = random_blob(256 * 4096), fresh = copy_blob(basis);
	size_t order[256];

	(void)state;
	for (size_t i = 0; i < 256; i++) {
		size_t k = below(i + 1);
		order[i] = order[k];
		order[k] = i;
	}
	for (size_t i = 0; i < 256; i++)
		memcpy(fresh.p + i * 4096, basis.p + order[i] * 4096, 4096);
	assert_int_equal(delta(basis, fresh, 4096, 10000).rough, 0);
	drop(basis, fresh);
}

static void append_costs_what_was_appended(void **state)
{
	(void)state;
	for (size_t n = 1; n < 300000; n = n * 6 + 1) {
		struct blob basis = random_blob(MIB + 5000), fresh = copy_blob(basis);
		splice(&fresh, fresh.n, 0, NULL, n);
		struct outcome o = delta(basis, fresh, 16 * KIB, 0);
		assert_int_equal(o.rough, n);
		assert_int_equal(o.asked, 0);
		drop(basis, fresh);
	}
}

static void truncation_costs_less_than_a_piece(void **state)
{
	(void)state;
	for (size_t n = 1; n < MIB; n = n * 4 + 1) {
		struct blob basis = random_blob(MIB + 5000), fresh = copy_blob(basis);
		fresh.n -= n;
		struct outcome o = delta(basis, fresh, 64 * KIB, 0);
		assert_true(o.rough < 64 * KIB);
		assert_true(o.fine < DELTA_FINE_BYTES);
		drop(basis, fresh);
	}
}

static void end_of_the_basis_is_found_behind_a_change(void **state)
{
	struct blob basis = random_blob(MIB + 3000), fresh = random_blob(500000);

	(void)state;
	splice(&fresh, fresh.n, 0, basis.p + MIB, 3000);
	assert_int_equal(delta(basis, fresh, 4096, 0).rough, 500000);
	drop(basis, fresh);
}

/* --- in place -------------------------------------------------------------------------------------------- */

static void in_place_copies_stay_where_they_are(void **state)
{
	(void)state;
	for (int round = 0; round < 30; round++) {
		struct blob basis = random_blob(300000 + below(200000)), fresh = copy_blob(basis);
		size_t moved = below(100000);
		memcpy(fresh.p + 100000, basis.p, moved);
		if (round % 3 == 1)
			splice(&fresh, below(fresh.n), 0, NULL, below(20000));
		if (round % 3 == 2)
			fresh.n -= below(100000);
		struct sig s = sig_of(basis, 16 * KIB);
		struct delta_ops ops = match_all(&s, fresh, true, round % 2 ? 0 : MIB);
		refine(&ops, &s, basis, fresh);
		check_ops(&ops, basis, fresh);
		for (size_t i = 0; i < ops.count; i++)
			if (ops.v[i].kind == DELTA_COPY)
				assert_int_equal(ops.v[i].basis_offset, ops.v[i].offset);
		delta_ops_release(&ops);
		sig_release(&s);
		drop(basis, fresh);
	}
}

/* --- anything -------------------------------------------------------------------------------------------- */

static struct blob lumpy_blob(size_t n)
{
	struct blob b = random_blob(n);

	for (int i = 0; i < 6; i++) {
		size_t at = below(n), len = below(n - at);
		if (i % 3 == 0)
			memset(b.p + at, 0, len);
		if (i % 3 == 1)
			for (size_t k = at; k < at + len; k++)
				b.p[k] = (uint8_t)(k % 97);
	}
	return b;
}

static void random_edit(struct blob *b, struct blob basis)
{
	size_t at = below(b->n + 1), gone = below((b->n - at) / (1 + below(9)) + 1);
	size_t from = below(basis.n + 1), come = below((basis.n - from) / (1 + below(9)) + 1);

	switch (below(5)) {
	case 0:
		splice(b, at, 0, NULL, below(10000));
		break;
	case 1:
		splice(b, at, gone, NULL, 0);
		break;
	case 2:
		splice(b, at, gone, NULL, gone);
		break;
	case 3:
		splice(b, at, gone, basis.p + from, come);
		break;
	default:
		if (at < b->n)
			b->p[at] ^= 0x20;
	}
}

static void random_edits_are_undone(void **state)
{
	static const uint32_t block_lens[] = {0, 4096, 8192, 32768, 65536};

	(void)state;
	for (int round = 0; round < 150; round++) {
		struct blob basis =
			round % 2 ? lumpy_blob(1 + below(600000)) : random_blob(1 + below(600000));
		struct blob fresh = copy_blob(basis);
		for (size_t edits = below(7); edits > 0; edits--)
			random_edit(&fresh, basis);
		delta(basis, fresh, block_lens[below(5)], below(2) ? 0 : MIB);
		drop(basis, fresh);
	}
}

/* How the file is cut into pieces for feeding must not matter. */
static void piece_sizes_do_not_matter(void **state)
{
	struct blob basis = random_blob(150000), fresh = copy_blob(basis);
	static const size_t feeds[] = {1, 17, 4095, 4096, 4097, 65536};

	(void)state;
	splice(&fresh, 50000, 0, NULL, 1234);
	splice(&fresh, 100000, 9000, NULL, 0);
	struct sig s = sig_of(basis, 0);
	struct delta_ops want = match_all(&s, fresh, false, fresh.n);
	for (size_t i = 0; i < sizeof(feeds) / sizeof(feeds[0]); i++) {
		struct delta_ops ops = match_all(&s, fresh, false, feeds[i]);
		assert_int_equal(ops.count, want.count);
		for (size_t k = 0; k < ops.count; k++) {
			assert_int_equal(ops.v[k].offset, want.v[k].offset);
			assert_int_equal(ops.v[k].kind, want.v[k].kind);
			assert_int_equal(ops.v[k].basis_offset, want.v[k].basis_offset);
		}
		delta_ops_release(&ops);
	}
	delta_ops_release(&want);
	sig_release(&s);
	drop(basis, fresh);
}

static void zeros_against_zeros(void **state)
{
	struct blob basis = {xcalloc(1, 3 * MIB + 5), 3 * MIB + 5}, fresh = {xcalloc(1, 9 * MIB), 9 * MIB};

	(void)state;
	fresh.p[5 * MIB] = 1;
	struct outcome o = delta(basis, fresh, 64 * KIB, MIB);
	assert_true(o.rough <= 3 * 64 * KIB);
	drop(basis, fresh);
}

/* A peer that sends the sums of our data with wrong strong hashes must not make every byte cost a block. With the
 * work unbounded this test would run for an hour. */
static void hostile_signature_costs_bounded_work(void **state)
{
	struct blob fresh = {xcalloc(1, 8 * MIB), 8 * MIB};
	struct sig s;

	(void)state;
	for (int round = 0; round < 3; round++) {
		sig_init(&s, 64 * 1024 * MIB, SEED);
		for (uint32_t i = 0; i < s.count; i++) {
			s.weak[i] = round == 2 ? i << 14 : 0; /* 0 is the sum of zeros */
			s.strong[i] = round == 1 ? UINT64_C(0x1234567) : (uint64_t)i << 44;
		}
		struct delta_ops ops = match_all(&s, fresh, false, MIB);
		assert_int_equal(literal_bytes(&ops), fresh.n);
		delta_ops_release(&ops);
		sig_release(&s);
	}
	free(fresh.p);
}

/* --- answers of a peer to refine_wanted() ---------------------------------------------------------------- */

static void bad_answers_leave_the_ops_alone(void **state)
{
	struct blob basis = random_blob(MIB), fresh = copy_blob(basis);
	struct delta_range *r;
	size_t pieces;

	(void)state;
	fresh.p[100000] ^= 1;
	fresh.p[800000] ^= 1;
	struct sig s = sig_of(basis, 64 * KIB);
	struct delta_ops ops = match_all(&s, fresh, false, MIB);
	uint64_t before = literal_bytes(&ops);
	size_t count = refine_wanted(&ops, &s, &r);
	uint64_t *hash = hashes_of(basis, r, count, &pieces);
	assert_int_equal(count, 2);
	assert_int_equal(refine_apply(&ops, &s, r, count, hash, pieces - 1, read_blob, &fresh), -1);
	assert_int_equal(refine_apply(&ops, &s, r, count, hash, pieces, read_nothing, NULL), -1);
	assert_int_equal(refine_apply(&ops, &s, r, count - 1, hash, pieces, read_blob, &fresh), -1);
	assert_int_equal(refine_apply(&ops, &s, NULL, 0, NULL, 0, read_blob, &fresh), 0);
	assert_int_equal(literal_bytes(&ops), before);
	check_ops(&ops, basis, fresh);
	for (size_t i = 0; i < pieces; i++)
		hash[i] = rnd();
	assert_int_equal(refine_apply(&ops, &s, r, count, hash, pieces, read_blob, &fresh), 0);
	assert_int_equal(literal_bytes(&ops), before);
	free(hash);
	free(r);
	delta_ops_release(&ops);
	sig_release(&s);
	drop(basis, fresh);
}

static void questions_are_limited(void **state)
{
	struct delta_op op = {.len = UINT64_C(1) << 40, .kind = DELTA_LITERAL};
	struct delta_ops ops = {.v = &op, .count = 1};
	struct sig s = {.basis_size = UINT64_C(1) << 40, .block_len = 64 << 10};
	struct delta_range *r;

	(void)state;
	assert_int_equal(refine_wanted(&ops, &s, &r), 1);
	assert_int_equal(r[0].pieces, DELTA_MAX_PIECES);
	free(r);
}

static int reset(void **state)
{
	(void)state;
	rng_state = 20240607;
	return 0;
}

#define DELTA_TEST(f) cmocka_unit_test_setup(f, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DELTA_TEST(block_lengths),
		DELTA_TEST(weak_sum_is_what_rolling_gives),
		DELTA_TEST(search_stops_at_every_planted_block),
		DELTA_TEST(damaged_signatures_are_refused),
		DELTA_TEST(same_file_is_one_copy),
		DELTA_TEST(empty_files),
		DELTA_TEST(scattered_changes_cost_their_pieces),
		DELTA_TEST(changes_in_every_block_are_refined),
		DELTA_TEST(insert_at_the_head_costs_the_insert),
		DELTA_TEST(insert_and_delete_inside_cost_a_block),
		DELTA_TEST(insert_inside_is_refined_from_both_ends),
		DELTA_TEST(moved_parts_are_found),
		DELTA_TEST(shuffled_blocks_cost_nothing),
		DELTA_TEST(append_costs_what_was_appended),
		DELTA_TEST(truncation_costs_less_than_a_piece),
		DELTA_TEST(end_of_the_basis_is_found_behind_a_change),
		DELTA_TEST(in_place_copies_stay_where_they_are),
		DELTA_TEST(random_edits_are_undone),
		DELTA_TEST(piece_sizes_do_not_matter),
		DELTA_TEST(zeros_against_zeros),
		DELTA_TEST(hostile_signature_costs_bounded_work),
		DELTA_TEST(bad_answers_leave_the_ops_alone),
		DELTA_TEST(questions_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
