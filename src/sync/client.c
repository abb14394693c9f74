#include "sync/client.h"

#include "base/alloc.h"

#include <string.h>

enum { START_BYTES_MAX = OPTIONS_BYTES_MAX + PATH_BYTES_MAX };

void start_encode(const struct sync_options *o, enum start_role role, const struct endpoint *ep,
	bool want_items, struct buf *out)
{
	struct sync_options defaults;
	struct buf options;

	sync_options_init(&defaults);
	buf_init(&options, OPTIONS_BYTES_MAX);
	opt_encode(sync_option_table, o, &defaults, &options);
	buf_put_u8(&options, o->files_list != NULL);
	if (o->files_list) /* a receiver only has to know that there is one */
		buf_put_blob(&options, o->files_list, role == START_SEND ? o->files_list_len : 0);
	struct msg_start m = {
		.version = PROTO_VERSION,
		.role = role,
		.flags = (want_items ? START_WANT_ITEMS : 0) | (ep->contents ? START_CONTENTS : 0),
		.path = ep->path,
		.options = options.data,
		.options_len = options.len,
	};
	msg_start_encode(&m, out);
	out->overflow |= options.overflow;
	buf_release(&options);
	sync_options_release(&defaults);
}

int start_options(const struct msg_start *m, struct sync_options *o, struct err *e)
{
	struct cursor c = cur_make(m->options, m->options_len);
	size_t len;

	sync_options_init(o);
	if (sync_options_decode(o, &c, e) != 0)
		return -1;
	if (cur_u8(&c)) {
		const uint8_t *list = cur_blob(&c, OPTIONS_BYTES_MAX, &len);
		if (list) {
			o->files_list = xmemdupz(list, len);
			o->files_list_len = len;
		}
	}
	return msg_finish(&c, "START", e);
}
