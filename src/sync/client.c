#include "sync/client.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { START_BYTES_MAX = OPTIONS_BYTES_MAX + PATH_BYTES_MAX };

char *endpoint_text(const struct endpoint *ep)
{
	if (!ep->remote)
		return xstrdup(ep->path);
	bool v6 = strchr(ep->host, ':') != NULL;
	return xasprintf("%s%s%s%s%s:%s", ep->user ? ep->user : "", ep->user ? "@" : "", v6 ? "[" : "",
		ep->host, v6 ? "]" : "", ep->path);
}

static void put_target(const struct sync_options *o, const struct endpoint *target, struct buf *out)
{
	char *text = endpoint_text(target);

	buf_put_str(out, text);
	buf_put_str(out, o->remote_command ? o->remote_command : "");
	free(text);
}

static char *get_text(struct cursor *c)
{
	size_t len;
	const uint8_t *p = cur_blob(c, PATH_BYTES_MAX, &len);

	return p && !memchr(p, '\0', len) ? xmemdupz(p, len) : NULL;
}

static int get_target(struct sync_options *o, struct endpoint *target, struct cursor *c, struct err *e)
{
	char *text = get_text(c);
	char *command = get_text(c);
	int r = text && command ? endpoint_parse(target, text, e)
				: err_set(e, ERR_PROTOCOL, "START without a target");

	if (r == 0 && *command) {
		o->remote_command = command;
		command = NULL;
	}
	free(text);
	free(command);
	return r;
}

void start_encode(const struct sync_options *o, enum start_role role, const struct endpoint *ep,
	const struct endpoint *target, bool want_items, struct buf *out)
{
	struct sync_options defaults;
	struct buf options;

	sync_options_init(&defaults);
	buf_init(&options, OPTIONS_BYTES_MAX);
	opt_encode(sync_option_table, o, &defaults, &options);
	buf_put_u8(&options, o->files_list != NULL);
	if (o->files_list) /* a receiver only has to know that there is one */
		buf_put_blob(&options, o->files_list, role == START_RECEIVE ? 0 : o->files_list_len);
	if (target)
		put_target(o, target, &options);
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

int start_options(const struct msg_start *m, struct sync_options *o, struct endpoint *target, struct err *e)
{
	struct cursor c = cur_make(m->options, m->options_len);
	size_t len;

	sync_options_init(o);
	*target = (struct endpoint){0};
	if (sync_options_decode(o, &c, e) != 0)
		return -1;
	if (cur_u8(&c)) {
		const uint8_t *list = cur_blob(&c, OPTIONS_BYTES_MAX, &len);
		if (list) {
			o->files_list = xmemdupz(list, len);
			o->files_list_len = len;
		}
	}
	if (m->role == START_PUSH && get_target(o, target, &c, e) != 0)
		return -1;
	return msg_finish(&c, "START", e);
}
