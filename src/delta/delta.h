/*
 * Delta: describe a new file as copies from the basis the other side has, and literal bytes.
 *   receiver: sig_* hashes the basis into blocks (weak rolling 32 bit + strong XXH3-64, both seeded per
 * session). sender:   match_* walks the new file once: aligned blocks first (same block at the same place, or
 * at the same shift as the last match: one strong hash, no rolling); only inside what did not match, a
 * rolling search. Result: a list of ops without data. refine:   a literal run that stands where the basis has
 * blocks that were changed in place is looked at again in 4 KiB pieces: refine_wanted() says which basis
 * ranges to ask for, refine_apply() splits the ops with the answer.
 * Role      pure computation over the
 * caller's buffers. A wrong match (hash collision) is caught by the whole file's verification tag. Threads
 * one object belongs to one thread at a time.
 * Units     bytes; offsets into the new file unless the name says
 * basis.
 */
#ifndef WHERRY_DELTA_DELTA_H
#define WHERRY_DELTA_DELTA_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DELTA_FINE_BYTES = 4096, DELTA_MIN_FILE = 16 * 1024, DELTA_MAX_BLOCKS = 1 << 20 };

/* Block length for a basis of this size: a power of two, 4 KiB .. 1 MiB, 64 KiB for 1 GiB. */
uint32_t sig_block_len(uint64_t basis_size);

struct sig {
	uint64_t basis_size;
	uint64_t seed;
	uint32_t block_len;
	uint32_t count; /* blocks, the last one may be short */
	uint32_t *weak;
	uint64_t *strong;
};

void sig_init(struct sig *s, uint64_t basis_size, uint64_t seed);
void sig_release(struct sig *s);

/* Hash the bytes of block `index` (block_len of them, fewer in the last). Blocks may be added in any order,
 * also by several threads. */
void sig_set_block(struct sig *s, uint32_t index, const void *data, size_t n);

/* Wire form: varint basis_size, varint block_len, then weak and strong of each block. sig_decode checks every
 * length; 0 or -1 with ERR_PROTOCOL. */
void sig_encode(const struct sig *s, struct buf *out);
int sig_decode(struct sig *s, uint64_t seed, struct cursor *c, struct err *e);

enum delta_kind { DELTA_LITERAL = 0, DELTA_COPY = 1 };
struct delta_op {
	uint64_t offset; /* in the new file; ops are contiguous and cover it */
	uint64_t len;
	uint64_t basis_offset; /* DELTA_COPY */
	enum delta_kind kind;
};
struct delta_ops {
	struct delta_op *v;
	size_t count;
	size_t cap;
};
void delta_ops_release(struct delta_ops *ops);

struct match;

/* aligned_only: for in-place updates, only blocks at their own offset match. new_size is the expected size (a
 * hint). */
struct match *match_new(const struct sig *s, bool aligned_only, uint64_t new_size);
void match_free(struct match *m);

/* Feed the file in order in pieces of any size; then match_end() gives the ops (owned by the caller). */
void match_feed(struct match *m, const void *data, size_t n);
void match_end(struct match *m, struct delta_ops *ops);

struct delta_range {
	uint64_t basis_offset; /* multiple of DELTA_FINE_BYTES */
	uint32_t pieces;       /* how many DELTA_FINE_BYTES pieces */
};

/* Which basis ranges are worth asking about; *ranges malloc'ed by the call (owned by the caller), count
 * returned. 0 when none. */
size_t refine_wanted(const struct delta_ops *ops, const struct sig *s, struct delta_range **ranges);

/* Strong hash of one fine piece, as both ends compute it. */
uint64_t refine_hash(uint64_t seed, const void *data, size_t n);

/* With the peer's piece hashes (in the order of ranges, pieces after one another), split literal ops of `ops`
 * into smaller copies and literals. read(ctx, offset, buf, n) supplies bytes of the new file: 0, or -1 to
 * give up (then -1 is returned and ops stay as they were). */
int refine_apply(struct delta_ops *ops, const struct sig *s, const struct delta_range *ranges, size_t count,
	const uint64_t *hashes, size_t hash_count,
	int (*read)(void *ctx, uint64_t offset, void *data, size_t n), void *ctx);

#endif
