/* Any bytes as a signature: decoded or refused; what is decoded encodes to what was read, and a file matched
 * against it yields ops that cover the file and stay inside the basis. */
#include <stdlib.h>
#include <string.h>

#include "delta/delta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_ops(const struct delta_ops *ops, const struct sig *s, size_t n)
{
	uint64_t at = 0;

	for (size_t i = 0; i < ops->count; i++) {
		const struct delta_op *op = &ops->v[i];
		if (op->offset != at || op->len == 0)
			abort();
		if (op->kind == DELTA_COPY && op->basis_offset + op->len > s->basis_size)
			abort();
		at += op->len;
	}
	if (at != n)
		abort();
}

static int read_data(void *ctx, uint64_t offset, void *out, size_t n)
{
	memcpy(out, (const uint8_t *)ctx + offset, n);
	return 0;
}

static void refine(struct delta_ops *ops, const struct sig *s, uint8_t *file, size_t n)
{
	struct delta_range *ranges;
	size_t count = refine_wanted(ops, s, &ranges), pieces = 0;

	for (size_t i = 0; i < count; i++)
		pieces += ranges[i].pieces;
	uint64_t *hash = calloc(pieces + 1, sizeof(*hash));
	for (size_t i = 0; i < pieces && (i + 1) * DELTA_FINE_BYTES <= n; i++)
		hash[i] = refine_hash(1, file + i * DELTA_FINE_BYTES, DELTA_FINE_BYTES);
	if (refine_apply(ops, s, ranges, count, hash, pieces, read_data, file) != 0)
		abort();
	free(hash);
	free(ranges);
}

/* Signature blocks of the file itself, so that some matches happen. */
static void plant(struct sig *s, const uint8_t *file, size_t n)
{
	for (uint32_t i = 0; i < s->count; i += 2) {
		size_t at = (size_t)(i / 2) * s->block_len;
		if (at + s->block_len > n || (uint64_t)(i + 1) * s->block_len > s->basis_size)
			break;
		sig_set_block(s, i, file + at, s->block_len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum { FILE_BYTES = 64 * 1024 };
	struct cursor c = cur_make(data, n);
	struct err e = {0};
	struct sig s;

	if (sig_decode(&s, 1, &c, &e) != 0) {
		if (e.code != ERR_PROTOCOL)
			abort();
		return 0;
	}
	uint8_t *file = calloc(1, FILE_BYTES);
	size_t known = n < FILE_BYTES ? n : FILE_BYTES;
	if (known)
		memcpy(file + FILE_BYTES - known, data, known);
	plant(&s, file, FILE_BYTES);
	struct match *m = match_new(&s, n & 1, FILE_BYTES);
	struct delta_ops ops;
	for (size_t at = 0; at < FILE_BYTES; at += 10000)
		match_feed(m, file + at, FILE_BYTES - at < 10000 ? FILE_BYTES - at : 10000);
	match_end(m, &ops);
	check_ops(&ops, &s, FILE_BYTES);
	refine(&ops, &s, file, FILE_BYTES);
	check_ops(&ops, &s, FILE_BYTES);
	delta_ops_release(&ops);
	match_free(m);
	sig_release(&s);
	free(file);
	return 0;
}
