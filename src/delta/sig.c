#include "delta/delta.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "delta/weak.h"

#include <stdlib.h>

enum { SIG_MIN_BLOCK = 4096, SIG_COMMON_BLOCK = 64 * 1024, SIG_MAX_BLOCK = DELTA_MAX_BLOCK_LEN };
enum { SIG_ANY_BLOCK = 1024 * 1024 }; /* accepted from a peer whatever the size of the basis */
enum { SIG_WIRE_BYTES = 12 };         /* of one block: weak and strong */

/*
 * Twice the square root of the size up to 64 KiB for 1 GiB; then 64 KiB for as long as the signature stays
 * within DELTA_MAX_BLOCKS, because a block is also what one scattered change costs to look at again.
 */
uint32_t sig_block_len(uint64_t basis_size)
{
	uint64_t len = SIG_MIN_BLOCK;

	while (len < SIG_COMMON_BLOCK &&
		len * len < 4 * (basis_size < UINT64_MAX / 4 ? basis_size : UINT64_MAX / 4))
		len *= 2;
	while (len < SIG_MAX_BLOCK && basis_size / len >= DELTA_MAX_BLOCKS)
		len *= 2;
	return (uint32_t)len;
}

/* Blocks that cover the basis, or the first DELTA_MAX_BLOCKS of one too large even for SIG_MAX_BLOCK. */
static uint64_t block_count(uint64_t basis_size, uint32_t block_len)
{
	uint64_t count = basis_size / block_len + (basis_size % block_len != 0);

	if (block_len == SIG_MAX_BLOCK && count > DELTA_MAX_BLOCKS)
		count = DELTA_MAX_BLOCKS;
	return count;
}

static void allocate(struct sig *s, uint64_t basis_size, uint64_t seed, uint32_t block_len, uint32_t count)
{
	*s = (struct sig){.basis_size = basis_size, .seed = seed, .block_len = block_len, .count = count};
	s->weak = xcalloc(count, sizeof(*s->weak));
	s->strong = xcalloc(count, sizeof(*s->strong));
}

void sig_init(struct sig *s, uint64_t basis_size, uint64_t seed)
{
	uint32_t len = sig_block_len(basis_size);

	allocate(s, basis_size, seed, len, (uint32_t)block_count(basis_size, len));
}

void sig_release(struct sig *s)
{
	free(s->weak);
	free(s->strong);
	*s = (struct sig){0};
}

void sig_set_block(struct sig *s, uint32_t index, const void *data, size_t n)
{
	struct weak w;

	if (index >= s->count)
		BUG("signature block out of range");
	weak_init(&w, s->seed, n);
	s->weak[index] = weak_sum(&w, data, n);
	s->strong[index] = hash64(data, n, s->seed);
}

void sig_encode(const struct sig *s, struct buf *out)
{
	buf_put_varint(out, s->basis_size);
	buf_put_varint(out, s->block_len);
	buf_reserve(out, (size_t)s->count * SIG_WIRE_BYTES);
	for (uint32_t i = 0; i < s->count; i++) {
		buf_put_u32(out, s->weak[i]);
		buf_put_u64(out, s->strong[i]);
	}
}

int sig_decode(struct sig *s, uint64_t seed, struct cursor *c, struct err *e)
{
	*s = (struct sig){0};
	uint64_t basis_size = cur_varint(c, INT64_MAX);
	uint64_t block_len = cur_varint(c, SIG_MAX_BLOCK);

	if (c->bad)
		return err_set(e, ERR_PROTOCOL, "signature: damaged header");
	bool too_long = block_len > SIG_ANY_BLOCK && block_len > sig_block_len(basis_size);
	if (too_long || block_len < SIG_MIN_BLOCK || (block_len & (block_len - 1)))
		return err_set(
			e, ERR_PROTOCOL, "signature: block length %llu", (unsigned long long)block_len);
	uint64_t count = block_count(basis_size, (uint32_t)block_len);
	if (count > DELTA_MAX_BLOCKS)
		return err_set(e, ERR_PROTOCOL, "signature: %llu blocks", (unsigned long long)count);
	if (cur_left(c) / SIG_WIRE_BYTES < count)
		return err_set(e, ERR_PROTOCOL, "signature: cut short");
	allocate(s, basis_size, seed, (uint32_t)block_len, (uint32_t)count);
	for (uint32_t i = 0; i < s->count; i++) {
		s->weak[i] = cur_u32(c);
		s->strong[i] = cur_u64(c);
	}
	return 0;
}
