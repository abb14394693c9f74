/*
 * What differs from the defaults, for a peer: as bytes (opt_encode, opt_decode) and as words (opt_to_args).
 *
 *   options := varint count, count x { blob name, blob value }
 *
 * 1. Only rows with OPT_WIRE, in table order; a list once per element.
 * 2. Values are the texts of the command line (booleans 1 and 0, sizes in bytes with suffix B), so both ends
 *    check them with the same code.
 * 3. The reader refuses what it does not know: an option may change what is deleted.
 */
#include "opt/opt_internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64, VALUE_MAX_BYTES = 1 << 20, COUNT_MAX = 1 << 22 };

static bool differs(const struct opt_row *row, const void *target, const void *defaults)
{
	return (row->flags & OPT_WIRE) && !opt_value_equal(row, target, defaults);
}

void opt_encode(const struct opt_row *table, const void *target, const void *defaults, struct buf *out)
{
	size_t count = 0;
	struct buf value;

	for (const struct opt_row *row = table; row->name; row++)
		if (differs(row, target, defaults))
			count += opt_value_count(row, target);
	buf_put_varint(out, count);
	buf_init(&value, VALUE_MAX_BYTES);
	for (const struct opt_row *row = table; row->name; row++) {
		size_t n = differs(row, target, defaults) ? opt_value_count(row, target) : 0;
		for (size_t i = 0; i < n; i++) {
			buf_clear(&value);
			opt_value_print(row, target, i, &value);
			out->overflow |= value.overflow;
			buf_put_str(out, row->name);
			buf_put_blob(out, value.data, value.len);
		}
	}
	buf_release(&value);
}

/* The next blob as a string of its own, or NULL when it is malformed or holds a NUL. */
static char *next_string(struct cursor *c, size_t max)
{
	size_t len;
	const uint8_t *p = cur_blob(c, max, &len);

	if (c->bad || (len && memchr(p, '\0', len)))
		return NULL;
	return xmemdupz(len ? (const char *)p : "", len);
}

static int decode_one(const struct opt_row *table, void *target, struct cursor *c, struct err *e)
{
	char *name = next_string(c, NAME_MAX_BYTES);
	char *value = name ? next_string(c, VALUE_MAX_BYTES) : NULL;
	char shown[OPT_QUOTE_BYTES];
	int ret;

	if (!value) {
		ret = err_set(e, ERR_PROTOCOL, "the peer sent malformed options");
	} else {
		const struct opt_row *row = opt_find(table, name);
		if (!row || !(row->flags & OPT_WIRE))
			ret = err_set(e, ERR_UNSUPPORTED,
				"this end does not know the option --%s of the peer", opt_quote(name, shown));
		else
			ret = opt_value_apply(row, target, value, false, e);
		if (ret < 0)
			e->code = ERR_UNSUPPORTED;
	}
	free(name);
	free(value);
	return ret;
}

int opt_decode(const struct opt_row *table, void *target, struct cursor *c, struct err *e)
{
	uint64_t count = cur_varint(c, COUNT_MAX);

	if (c->bad)
		return err_set(e, ERR_PROTOCOL, "the peer sent malformed options");
	for (uint64_t i = 0; i < count; i++)
		if (decode_one(table, target, c, e) < 0)
			return -1;
	return 0;
}

void opt_to_args(
	const struct opt_row *table, const void *target, const void *defaults, struct opt_strings *out)
{
	struct buf word;

	buf_init(&word, VALUE_MAX_BYTES + NAME_MAX_BYTES + 8);
	for (const struct opt_row *row = table; row->name; row++) {
		size_t n = differs(row, target, defaults) ? opt_value_count(row, target) : 0;
		for (size_t i = 0; i < n; i++) {
			buf_clear(&word);
			opt_value_print(row, target, i, &word);
			bool no = row->type == OPT_BOOL && strcmp(buf_cstr(&word), "0") == 0;
			buf_clear(&word);
			buf_printf(&word, "--%s%s", no ? "no-" : "", row->name);
			if (row->type != OPT_BOOL) {
				buf_put(&word, "=", 1);
				opt_value_print(row, target, i, &word);
			}
			opt_strings_add(out, buf_cstr(&word));
		}
	}
	buf_release(&word);
}
