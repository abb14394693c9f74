/*
 * How fast are signature, matching, refinement, verification and compression on this machine? Prints GB/s (best
 * of three). Usage: micro_delta [MiB]; default 256.
 */
#include "codec/codec.h"
#include "delta/delta.h"
#include "delta/verify.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FEED = 1 << 20, RUNS = 3 };

struct job {
	uint8_t *basis;
	uint8_t *fresh;
	size_t basis_len;
	size_t fresh_len;
	struct sig sig;
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill(uint8_t *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t v = next_random(&seed);
		memcpy(p + i, &v, 8);
	}
}

static void show(const char *what, size_t n, double best, const char *more)
{
	printf("%-34s %8.2f GB/s  %s\n", what, (double)n / best / 1e9, more);
}

static void bench_sig(struct job *j)
{
	double best = 1e9;

	for (int run = 0; run < RUNS; run++) {
		double t = seconds();
		for (uint32_t i = 0; i < j->sig.count; i++) {
			size_t at = (size_t)i * j->sig.block_len, left = j->basis_len - at;
			size_t n = left < j->sig.block_len ? left : j->sig.block_len;
			sig_set_block(&j->sig, i, j->basis + at, n);
		}
		t = seconds() - t;
		best = t < best ? t : best;
	}
	show("sig_set_block", j->basis_len, best, "");
}

static struct delta_ops run_match(const struct job *j, double *best)
{
	struct delta_ops ops = {0};

	*best = 1e9;
	for (int run = 0; run < RUNS; run++) {
		delta_ops_release(&ops);
		double t = seconds();
		struct match *m = match_new(&j->sig, false, j->fresh_len);
		for (size_t at = 0; at < j->fresh_len; at += FEED)
			match_feed(m, j->fresh + at, j->fresh_len - at < FEED ? j->fresh_len - at : FEED);
		match_end(m, &ops);
		match_free(m);
		t = seconds() - t;
		*best = t < *best ? t : *best;
	}
	return ops;
}

static uint64_t literal_bytes(const struct delta_ops *ops)
{
	uint64_t n = 0;

	for (size_t i = 0; i < ops->count; i++)
		n += ops->v[i].kind == DELTA_LITERAL ? ops->v[i].len : 0;
	return n;
}

static int read_fresh(void *ctx, uint64_t offset, void *data, size_t n)
{
	const struct job *j = ctx;

	memcpy(data, j->fresh + offset, n);
	return 0;
}

static void bench_refine(struct job *j, struct delta_ops *ops)
{
	struct delta_range *ranges;
	size_t count = refine_wanted(ops, &j->sig, &ranges), pieces = 0;
	char text[100];

	for (size_t i = 0; i < count; i++)
		pieces += ranges[i].pieces;
	uint64_t *hash = xcalloc(pieces, sizeof(*hash)), *next = hash;
	for (size_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < ranges[i].pieces; k++) {
			size_t at = (size_t)ranges[i].basis_offset + (size_t)k * DELTA_FINE_BYTES;
			size_t left = j->basis_len - at;
			*next++ = refine_hash(j->sig.seed, j->basis + at,
				left < DELTA_FINE_BYTES ? left : DELTA_FINE_BYTES);
		}
	double t = seconds();
	refine_apply(ops, &j->sig, ranges, count, hash, pieces, read_fresh, j);
	t = seconds() - t;
	snprintf(text, sizeof(text), "%zu pieces asked, then %llu literal bytes", pieces,
		(unsigned long long)literal_bytes(ops));
	if (pieces)
		show("  refine_apply", pieces * DELTA_FINE_BYTES, t, text);
	free(hash);
	free(ranges);
}

static void bench_match(struct job *j, const char *what)
{
	double best;
	char text[100];
	struct delta_ops ops = run_match(j, &best);

	snprintf(text, sizeof(text), "%zu ops, %llu literal bytes", ops.count,
		(unsigned long long)literal_bytes(&ops));
	show(what, j->fresh_len, best, text);
	bench_refine(j, &ops);
	delta_ops_release(&ops);
}

static void touch(struct job *j, unsigned percent)
{
	uint64_t seed = 77;

	for (size_t at = 0; at + DELTA_FINE_BYTES <= j->fresh_len; at += DELTA_FINE_BYTES)
		if (next_random(&seed) % 100 < percent)
			j->fresh[at + next_random(&seed) % DELTA_FINE_BYTES] ^= 0x55;
}

static void bench_matches(struct job *j)
{
	static const unsigned percents[] = {1, 5, 20};

	memcpy(j->fresh, j->basis, j->basis_len);
	j->fresh_len = j->basis_len;
	bench_match(j, "match, unchanged");
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		char what[64];
		memcpy(j->fresh, j->basis, j->basis_len);
		touch(j, percents[i]);
		snprintf(what, sizeof(what), "match, %u %% of 4 KiB touched", percents[i]);
		bench_match(j, what);
	}
	fill(j->fresh, 1000, 99);
	memcpy(j->fresh + 1000, j->basis, j->basis_len);
	j->fresh_len = j->basis_len + 1000;
	bench_match(j, "match, 1,000 bytes at the head");
	size_t third = j->basis_len / 3;
	memcpy(j->fresh, j->basis, third);
	memcpy(j->fresh + third + 1000, j->basis + third, j->basis_len - third);
	bench_match(j, "match, 1,000 bytes inside");
	memcpy(j->fresh, j->basis + third, j->basis_len - third);
	memcpy(j->fresh + j->basis_len - third, j->basis, third);
	j->fresh_len = j->basis_len;
	bench_match(j, "match, two parts swapped");
	fill(j->fresh, j->fresh_len, 4711);
	bench_match(j, "match, nothing in common");
}

static void bench_verify(const struct job *j, enum verify_kind kind, const char *name, size_t file)
{
	static const uint8_t key[VERIFY_KEY_BYTES] = {1, 2, 3};
	struct verifier *v = verifier_new(kind, key);
	uint8_t tag[VERIFY_TAG_BYTES];
	double best = 1e9;
	char what[64], text[64];
	size_t files = j->basis_len / file;

	for (int run = 0; v && run < RUNS; run++) {
		double t = seconds();
		for (size_t i = 0; i < files; i++) {
			verifier_begin(v, 1, i);
			verifier_update(v, j->basis + i * file, file);
			verifier_end(v, tag);
		}
		t = seconds() - t;
		best = t < best ? t : best;
	}
	snprintf(what, sizeof(what), "verify %s, files of %zu", name, file);
	snprintf(text, sizeof(text), "%.0f ns a file", best / (double)files * 1e9);
	show(what, files * file, best, text);
	verifier_free(v);
}

static void bench_codec(const uint8_t *data, size_t n, enum codec_id id, const char *what)
{
	struct codec_enc *enc = codec_enc_new();
	struct codec_dec *dec = codec_dec_new();
	struct buf packed, raw;
	size_t block = 256 * 1024, in = 0, out = 0;
	double pack = 0, unpack = 0;
	char text[64];

	buf_init(&packed, block);
	buf_init(&raw, block);
	for (size_t at = 0; at + block <= n; at += block) {
		buf_clear(&packed);
		buf_clear(&raw);
		double t = seconds();
		bool smaller = codec_compress(enc, id, 0, data + at, block, &packed);
		double middle = seconds();
		if (smaller && !codec_decompress(dec, id, packed.data, packed.len, block, &raw))
			puts("codec: damaged");
		unpack += seconds() - middle;
		pack += middle - t;
		in += block;
		out += smaller ? packed.len : block;
	}
	snprintf(text, sizeof(text), "to %.0f %%; back at %.2f GB/s", 100.0 * (double)out / (double)in,
		(double)in / unpack / 1e9);
	show(what, in, pack, text);
	buf_release(&packed);
	buf_release(&raw);
	codec_enc_free(enc);
	codec_dec_free(dec);
}

static void bench_worth(const uint8_t *data, size_t n, const char *what)
{
	size_t block = 64 * 1024, yes = 0, blocks = n / block;
	char text[64];
	double t = seconds();

	for (size_t i = 0; i < blocks; i++)
		yes += codec_worth_trying(data + i * block, block);
	t = seconds() - t;
	snprintf(text, sizeof(text), "%zu of %zu yes, %.1f us each", yes, blocks, t / (double)blocks * 1e6);
	show(what, blocks * block, t, text);
}

static void bench_codecs(struct job *j)
{
	size_t n = j->basis_len < (64u << 20) ? j->basis_len : 64u << 20;

	bench_worth(j->basis, n, "codec_worth_trying, random");
	bench_codec(j->basis, n, CODEC_ZSTD, "zstd 1, random");
	bench_codec(j->basis, n, CODEC_LZ4, "lz4, random");
	for (size_t i = 0; i < n; i++)
		j->fresh[i] = "etaoin shrdlu,.\n"[j->basis[i] & j->basis[i / 7] & 15];
	bench_worth(j->fresh, n, "codec_worth_trying, letters");
	bench_codec(j->fresh, n, CODEC_ZSTD, "zstd 1, letters");
	bench_codec(j->fresh, n, CODEC_LZ4, "lz4, letters");
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 256;
	struct job j = {.basis_len = (mib ? mib : 256) << 20};

	j.basis = xmalloc(j.basis_len);
	j.fresh = xmalloc(j.basis_len + 1000);
	fill(j.basis, j.basis_len, 12345);
	sig_init(&j.sig, j.basis_len, 42);
	bench_sig(&j);
	bench_matches(&j);
	bench_verify(&j, VERIFY_GMAC, "gmac", 4096);
	bench_verify(&j, VERIFY_GMAC, "gmac", 1 << 20);
	bench_verify(&j, VERIFY_SHA256, "sha256", 4096);
	bench_verify(&j, VERIFY_SHA256, "sha256", 1 << 20);
	bench_verify(&j, VERIFY_BLAKE2B, "blake2b", 4096);
	bench_verify(&j, VERIFY_BLAKE2B, "blake2b", 1 << 20);
	bench_codecs(&j);
	sig_release(&j.sig);
	free(j.basis);
	free(j.fresh);
	return 0;
}
