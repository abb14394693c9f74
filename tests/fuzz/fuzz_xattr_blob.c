/* Attribute blobs from a peer: what is accepted is rewritten to the same bytes and still accepted. */
#include "os/xattr.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t same(void *ctx, bool is_group, uint32_t id)
{
	(void)ctx;
	(void)is_group;
	return id;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out;

	buf_init(&out, 1 << 24);
	bool ok = xattr_blob_ok(data, size);
	xattr_map_acl_ids(data, size, same, NULL, &out);
	if (ok && (out.len != size || (size && memcmp(out.data, data, size) != 0)))
		abort();
	buf_release(&out);
	return 0;
}
