/* Any bytes as a compressed block: exactly the promised length comes out, or nothing. The first byte chooses the
 * codec, the next two the promised length. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 3)
		return 0;
	enum codec_id id = (enum codec_id)(data[0] % 4);
	size_t raw_len = (size_t)data[1] << 8 | data[2];
	struct codec_dec *dec = codec_dec_new();
	struct codec_enc *enc = codec_enc_new();
	struct buf raw, packed, again;

	buf_init(&raw, 1 << 16);
	buf_init(&packed, 1 << 17);
	buf_init(&again, 1 << 17);
	bool ok = codec_decompress(dec, id, data + 3, n - 3, raw_len, &raw);
	if (raw.len != (ok ? raw_len : 0))
		abort();
	codec_worth_trying(data, n);
	if (n < 1 << 17 && codec_compress(enc, id, data[1] % 8 - 3, data, n, &packed)) {
		if (!codec_decompress(dec, id, packed.data, packed.len, n, &again) || again.len != n)
			abort();
		if (memcmp(again.data, data, n) != 0)
			abort();
	}
	buf_release(&raw);
	buf_release(&packed);
	buf_release(&again);
	codec_enc_free(enc);
	codec_dec_free(dec);
	return 0;
}
