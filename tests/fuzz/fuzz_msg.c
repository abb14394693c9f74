/* Every decoder of the native protocol: the first byte selects the message type, or (0) the frame header. */
#include "tests/fuzz/msg_walk.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk_header(const uint8_t *data, size_t size)
{
	uint8_t in[FRAME_HEADER_BYTES] = {0};
	uint8_t out[FRAME_HEADER_BYTES];
	struct frame f;
	struct err e;

	if (size)
		memcpy(in, data, size < sizeof(in) ? size : sizeof(in));
	if (frame_header_decode(&f, in, &e) < 0)
		return;
	frame_header_encode(&f, out);
	if (memcmp(in, out, sizeof(in)) != 0 || f.raw_len > FRAME_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {0};

	if (size == 0)
		return 0;
	if (data[0] == 0)
		walk_header(data + 1, size - 1);
	else if (msg_walk((enum msg_type)(data[0] % (MSG_BYE + 1)), data + 1, size - 1, &e) < 0 &&
		 e.code == ERR_NONE)
		abort();
	return 0;
}
