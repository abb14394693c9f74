#include "proto/wire.h"

#include "proto/msg.h"

#include <string.h>

enum { CODE_NAME_MAX = 64 };

int wire_bad(const char *what, const char *why, struct err *e)
{
	return err_set(e, ERR_PROTOCOL, "malformed %s from the peer: %s", what, why);
}

int wire_check(const struct cursor *c, const char *what, struct err *e)
{
	return c->bad ? wire_bad(what, "cut short or out of range", e) : 0;
}

int msg_finish(const struct cursor *c, const char *what, struct err *e)
{
	if (wire_check(c, what, e) < 0)
		return -1;
	return c->p == c->end ? 0 : wire_bad(what, "bytes left over", e);
}

void wire_put_hash(struct buf *out, struct hash128 h)
{
	buf_put_u64(out, h.lo);
	buf_put_u64(out, h.hi);
}

struct hash128 wire_get_hash(struct cursor *c)
{
	uint64_t lo = cur_u64(c);
	uint64_t hi = cur_u64(c);

	return (struct hash128){lo, hi};
}

void wire_put_code(struct buf *out, enum err_code code)
{
	buf_put_str(out, err_info(code)->name);
}

enum err_code wire_get_code(struct cursor *c, enum err_code unknown)
{
	size_t len;
	const uint8_t *name = cur_blob(c, CODE_NAME_MAX, &len);

	for (int code = 0; name && code < ERR_CODES; code++) {
		const char *known = err_info((enum err_code)code)->name;
		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return (enum err_code)code;
	}
	return unknown;
}

const char *wire_get_text(struct cursor *c, size_t max, size_t *len)
{
	const uint8_t *text = cur_blob(c, max, len);

	if (text && memchr(text, '\0', *len))
		c->bad = true;
	return c->bad ? NULL : (const char *)text;
}

bool msg_path_ok(const char *path, size_t len)
{
	const char *end = path + len;

	if (len > PATH_BYTES_MAX)
		return false;
	if (len == 0)
		return true;
	for (;;) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		const char *stop = slash ? slash : end;
		if (!entry_name_ok(path, (size_t)(stop - path)))
			return false;
		if (!slash)
			return true;
		path = slash + 1;
	}
}
