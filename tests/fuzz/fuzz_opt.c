/*
 * Options of a peer: any bytes either become options that encode and decode to themselves, or are refused.
 */
#include "sync/sync_options.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sync_options defaults, a, b;
	struct buf once, twice;
	struct err e = {0};
	struct cursor c = cur_make(data, size);

	sync_options_init(&defaults);
	sync_options_init(&a);
	sync_options_init(&b);
	buf_init(&once, 16 << 20);
	buf_init(&twice, 16 << 20);
	if (sync_options_decode(&a, &c, &e) == 0) {
		opt_encode(sync_option_table, &a, &defaults, &once);
		c = cur_make(once.data, once.len);
		if (once.overflow || sync_options_decode(&b, &c, &e) < 0 || cur_left(&c))
			abort();
		opt_encode(sync_option_table, &b, &defaults, &twice);
		if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
			abort();
	} else if (!e.code || !*e.text) {
		abort();
	}
	buf_release(&once);
	buf_release(&twice);
	sync_options_release(&a);
	sync_options_release(&b);
	return 0;
}
