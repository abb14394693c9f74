/*
 * Delta: describe a new file as copies from the basis the other side has, and literal bytes.
 *   receiver: sig_* hashes the basis into blocks (weak rolling 32 bit + strong XXH3-64, both seeded per session).
 *   sender:   match_* walks the new file once: aligned blocks first (same block at the same place, or at the same
 *             shift as the last match: one strong hash, no rolling); only inside what did not match, a rolling
 *             search. Result: a list of ops without data.
 *   refine:   a literal run that stands where the basis has blocks that were changed in place is looked at again
 *             in 4 KiB pieces: refine_wanted() says which basis ranges to ask for, refine_apply() splits the ops
 *             with the answer.
 * Role      pure computation over the caller's buffers. A wrong match (hash collision) is caught by the whole
 *           file's verification tag.
 * Threads   one object belongs to one thread at a time; sig_set_block() may run in several for distinct blocks.
 * Units     bytes; offsets into the new file unless the name says basis.
 */
#ifndef WHERRY_DELTA_DELTA_H
#define WHERRY_DELTA_DELTA_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The two limits keep a signature (12 bytes a block) and an answer to refine_wanted() (8 bytes a piece) within
 * one frame of 4 MiB. */
enum {
	DELTA_FINE_BYTES = 4096,
	DELTA_MIN_FILE = 16 * 1024,
	DELTA_MAX_BLOCKS = 1 << 18,
	DELTA_MAX_BLOCK_LEN = 64 << 20,
	DELTA_MAX_PIECES = (1 << 19) - 1024,
};

/* Block length for a basis of this size: a power of two. 4 KiB up to 4 MiB, 64 KiB from 256 MiB to 16 GiB (1 GiB:
 * 16,384 blocks), 1 MiB at 256 GiB, at most DELTA_MAX_BLOCK_LEN. */
uint32_t sig_block_len(uint64_t basis_size);

struct sig {
	uint64_t basis_size;
	uint64_t seed;
	uint32_t block_len;
	uint32_t count; /* blocks, the last one may be short; of a basis over 16 TiB only the first ones */
	uint32_t *weak;
	uint64_t *strong;
};

/* All blocks are zero until sig_set_block() is called for each of the s->count. */
void sig_init(struct sig *s, uint64_t basis_size, uint64_t seed);
void sig_release(struct sig *s);

/* Hash the bytes of block `index` (block_len of them, fewer in the last). Blocks may be added in any order, also
 * by several threads. */
void sig_set_block(struct sig *s, uint32_t index, const void *data, size_t n);

/* Wire form: varint basis_size, varint block_len, then weak (u32) and strong (u64) of each block. The encoding
 * takes at most 20 + 12 * count bytes. sig_decode checks every length; 0, or -1 with ERR_PROTOCOL and nothing to
 * release. Bytes behind the signature are left to the cursor's owner. */
void sig_encode(const struct sig *s, struct buf *out);
int sig_decode(struct sig *s, uint64_t seed, struct cursor *c, struct err *e);

enum delta_kind { DELTA_LITERAL = 0, DELTA_COPY = 1 };
struct delta_op {
	uint64_t offset; /* in the new file; ops are contiguous and cover it */
	uint64_t len;
	uint64_t basis_offset; /* DELTA_COPY */
	enum delta_kind kind;
};

/* Zeroed = empty. Neighbouring ops are never both literal, nor copies of contiguous basis ranges. */
struct delta_ops {
	struct delta_op *v;
	size_t count;
	size_t cap;
};
void delta_ops_release(struct delta_ops *ops);

struct match;

/* aligned_only: for in-place updates, only blocks at their own offset match. new_size is the expected size (a
 * hint, 0 = unknown). Borrows the signature until match_free(). */
struct match *match_new(const struct sig *s, bool aligned_only, uint64_t new_size);
void match_free(struct match *m);

/* Feed the file in order in pieces of any size; then match_end(), once, gives the ops (owned by the caller, what
 * *ops held before is not released). Pieces that are multiples of block_len are looked at where they lie, without
 * copying, as long as they match. */
void match_feed(struct match *m, const void *data, size_t n);
void match_end(struct match *m, struct delta_ops *ops);

struct delta_range {
	uint64_t basis_offset; /* multiple of DELTA_FINE_BYTES */
	uint32_t pieces; /* how many DELTA_FINE_BYTES pieces; the one at the end of the basis may be short */
};

/* Which basis ranges are worth asking about; *ranges malloc'ed by the call (owned by the caller), count returned.
 * 0 (and *ranges NULL) when none. At most DELTA_MAX_PIECES pieces in all. */
size_t refine_wanted(const struct delta_ops *ops, const struct sig *s, struct delta_range **ranges);

/* Strong hash of one fine piece, as both ends compute it. */
uint64_t refine_hash(uint64_t seed, const void *data, size_t n);

/* With the peer's piece hashes (in the order of ranges, pieces after one another), split literal ops of `ops`
 * into smaller copies and literals. ops, s and ranges must be those of refine_wanted(). read(ctx, offset, buf, n)
 * supplies bytes of the new file (n at most 256 KiB): 0, or -1 to give up. Returns 0, or -1 when read gave up or
 * hash_count is not the number of pieces asked for; then ops stay as they were. */
int refine_apply(struct delta_ops *ops, const struct sig *s, const struct delta_range *ranges, size_t count,
	const uint64_t *hashes, size_t hash_count,
	int (*read)(void *ctx, uint64_t offset, void *data, size_t n), void *ctx);

#endif
