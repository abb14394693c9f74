/*
 * Compression of independent blocks: zstd, lz4, or none.
 * Role      pure computation; contexts are reused from block to block.
 * Threads   one encoder or decoder belongs to one thread at a time.
 * Units     bytes.
 */
#ifndef WHERRY_CODEC_CODEC_H
#define WHERRY_CODEC_CODEC_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum codec_id { CODEC_NONE = 0, CODEC_ZSTD = 1, CODEC_LZ4 = 2 }; /* numbers are on the wire */

struct codec_enc;
struct codec_dec;

struct codec_enc *codec_enc_new(void);
void codec_enc_free(struct codec_enc *c);

/* Compress n bytes as one block appended to out. Level 0 = the codec's default (zstd 1); a level out of range is
 * moved into it; lz4 knows only levels below 0 (its acceleration). False, and nothing appended, when it would not
 * save at least 1/32 or out has no room: send it raw. */
bool codec_compress(
	struct codec_enc *c, enum codec_id id, int level, const void *src, size_t n, struct buf *out);

/* Cheap guess from a sample: is it worth trying to compress this? */
bool codec_worth_trying(const void *src, size_t n);

struct codec_dec *codec_dec_new(void);
void codec_dec_free(struct codec_dec *c);

/* Decompress one block whose decompressed length is exactly raw_len (from the peer, already checked against a
 * limit), appended to out. False when the data is damaged or the length differs. Never writes more than
 * raw_len. */
bool codec_decompress(
	struct codec_dec *c, enum codec_id id, const void *src, size_t n, size_t raw_len, struct buf *out);

#endif
