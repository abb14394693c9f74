#include "base/escape.h"

/* Length of the valid UTF-8 sequence at s (RFC 3629: no surrogates, no overlong forms), or 0. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	size_t want = s[0] < 0x80                   ? 1
		      : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		      : (s[0] & 0xf0) == 0xe0       ? 3
		      : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						    : 0;

	if (want == 0 || want > n)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return want;
}

static bool is_control(const unsigned char *s, size_t len)
{
	return s[0] < 0x20 || s[0] == 0x7f || (len == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

/* A backslash that could be taken for the beginning of an escape. */
static bool looks_escaped(const unsigned char *s, size_t n)
{
	if (n < 5 || s[0] != '\\' || s[1] != '#')
		return false;
	for (size_t i = 2; i < 5; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

void escape_name(struct buf *out, const char *name, size_t n)
{
	const unsigned char *s = (const unsigned char *)name;

	while (n) {
		size_t len = utf8_len(s, n);
		if (len && !is_control(s, len) && !looks_escaped(s, n)) {
			buf_put(out, s, len);
		} else {
			len = 1;
			buf_printf(out, "\\#%03o", s[0]);
		}
		s += len;
		n -= len;
	}
}

void escape_json(struct buf *out, const char *name, size_t n)
{
	const unsigned char *s = (const unsigned char *)name;

	buf_put_u8(out, '"');
	while (n) {
		size_t len = utf8_len(s, n);
		if (!len) {
			buf_printf(out, "\\udc%02x", s[0]);
			len = 1;
		} else if (s[0] == '"' || s[0] == '\\') {
			buf_printf(out, "\\%c", s[0]);
		} else if (is_control(s, len)) {
			buf_printf(out, "\\u%04x",
				len == 2 ? (unsigned)((s[0] & 0x1f) << 6 | (s[1] & 0x3f)) : s[0]);
		} else {
			buf_put(out, s, len);
		}
		s += len;
		n -= len;
	}
	buf_put_u8(out, '"');
}
