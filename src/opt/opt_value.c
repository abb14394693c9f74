#include "opt/opt_internal.h"

#include "base/alloc.h"
#include "base/escape.h"
#include "opt/opt_size.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { JOINED_MAX = 4096 };

const char *opt_label(const struct opt_row *row, char out[OPT_LABEL_BYTES])
{
	if (row->name[0])
		snprintf(out, OPT_LABEL_BYTES, "--%s", row->name);
	else
		snprintf(out, OPT_LABEL_BYTES, "-%c", row->letter);
	return out;
}

const char *opt_quote(const char *s, char out[OPT_QUOTE_BYTES])
{
	size_t len = strlen(s);
	struct buf b;

	buf_init(&b, OPT_QUOTE_BYTES - 8);
	escape_name(&b, s, len > 60 ? 60 : len); /* at most 5 bytes for one */
	if (len > 60)
		buf_put(&b, "...", 3);
	snprintf(out, OPT_QUOTE_BYTES, "%s", buf_cstr(&b));
	buf_release(&b);
	return out;
}

const char *opt_arg_name(const struct opt_row *row, struct buf *scratch)
{
	if (row->arg || row->type != OPT_ENUM)
		return row->arg ? row->arg : "VALUE";
	buf_clear(scratch);
	for (size_t i = 0; row->values[i]; i++)
		buf_printf(scratch, "%s%s", i ? "|" : "", row->values[i]);
	return buf_cstr(scratch);
}

static void *field(const struct opt_row *row, void *target)
{
	return (char *)target + row->offset;
}

static const void *field_const(const struct opt_row *row, const void *target)
{
	return (const char *)target + row->offset;
}

static int bad_value(const struct opt_row *row, const char *value, const char *why, struct err *e)
{
	char label[OPT_LABEL_BYTES], shown[OPT_QUOTE_BYTES];

	return err_set(e, ERR_USAGE, "%s=%s: %s", opt_label(row, label), opt_quote(value, shown), why);
}

static int parse_bool(const struct opt_row *row, const char *value, bool *out, struct err *e)
{
	static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(value, words[i]) == 0) {
			*out = i & 1;
			return 0;
		}
	return bad_value(row, value, "say yes or no", e);
}

static int parse_int64(const struct opt_row *row, const char *value, int64_t *out, struct err *e)
{
	char why[96];
	char *end;

	if (value[0] == ' ' || value[0] == '\t' || value[0] == '\0')
		return bad_value(row, value, "a whole number is needed", e);
	errno = 0;
	long long n = strtoll(value, &end, 10);
	if (*end)
		return bad_value(row, value, "a whole number is needed", e);
	if (errno || ((row->min || row->max) && (n < row->min || n > row->max))) {
		if (row->min == row->max)
			snprintf(why, sizeof(why), "too large");
		else if (row->max == INT64_MAX)
			snprintf(why, sizeof(why), "must be %" PRId64 " or more", row->min);
		else
			snprintf(
				why, sizeof(why), "must be from %" PRId64 " to %" PRId64, row->min, row->max);
		return bad_value(row, value, why, e);
	}
	*out = n;
	return 0;
}

static int parse_int(const struct opt_row *row, const char *value, int *out, struct err *e)
{
	int64_t n;

	if (parse_int64(row, value, &n, e) < 0)
		return -1;
	if (n < INT_MIN || n > INT_MAX)
		return bad_value(row, value, "too large", e);
	*out = (int)n;
	return 0;
}

static int parse_size(const struct opt_row *row, const char *value, uint64_t *out, struct err *e)
{
	uint64_t n = 0;
	char why[96];

	switch (opt_size_parse(value, row->type == OPT_RATE ? 'k' : 'b', &n)) {
	case OPT_SIZE_MALFORMED:
		return bad_value(row, value, "a size is needed, such as 500K, 1.5M or 2GB", e);
	case OPT_SIZE_TOO_LARGE:
		return bad_value(row, value, "too large", e);
	case OPT_SIZE_OK:
		break;
	}
	if ((row->min || row->max) && (n < (uint64_t)row->min || (row->max && n > (uint64_t)row->max))) {
		snprintf(why, sizeof(why), "must be %" PRId64 " bytes or more", row->min);
		return bad_value(row, value, n < (uint64_t)row->min ? why : "too large", e);
	}
	*out = n;
	return 0;
}

static int parse_enum(const struct opt_row *row, const char *value, int *out, struct err *e)
{
	struct buf why;

	for (int i = 0; row->values[i]; i++)
		if (strcmp(value, row->values[i]) == 0) {
			*out = i;
			return 0;
		}
	buf_init(&why, 256);
	buf_put(&why, "must be ", 8);
	for (size_t i = 0; row->values[i]; i++)
		buf_printf(&why, "%s%s", i == 0 ? "" : row->values[i + 1] ? ", " : " or ", row->values[i]);
	bad_value(row, value, buf_cstr(&why), e);
	buf_release(&why);
	return -1;
}

static int store_string(const struct opt_row *row, char **to, const char *value, struct err *e)
{
	bool join = (row->flags & OPT_JOIN) && *to;

	/* a peer may repeat it without end, and every join copies */
	if (join && strlen(*to) + strlen(value) > JOINED_MAX)
		return bad_value(row, value, "too many of these", e);
	char *text = join ? xasprintf("%s,%s", *to, value) : xstrdup(value);
	free(*to);
	*to = text;
	return 0;
}

static int store_text(const struct opt_row *row, void *target, const char *value, struct err *e)
{
	void *to = field(row, target);

	switch (row->type) {
	case OPT_BOOL:
		return parse_bool(row, value, to, e);
	case OPT_COUNT:
	case OPT_INT:
		return parse_int(row, value, to, e);
	case OPT_INT64:
		return parse_int64(row, value, to, e);
	case OPT_SIZE:
	case OPT_RATE:
		return parse_size(row, value, to, e);
	case OPT_ENUM:
		return parse_enum(row, value, to, e);
	case OPT_STRING:
		return store_string(row, to, value, e);
	case OPT_LIST:
		opt_strings_add(to, value);
		return 0;
	case OPT_CUSTOM:
	case OPT_GROUP:
		break;
	}
	BUG("an option row without a value");
}

/* --name without a value */
static void store_flag(const struct opt_row *row, void *target)
{
	void *to = field(row, target);

	if (row->type == OPT_BOOL)
		*(bool *)to = true;
	else if (row->type == OPT_COUNT)
		*(int *)to += *(int *)to < INT_MAX;
	else if (row->type == OPT_ENUM)
		*(int *)to = (int)row->max;
	else
		BUG("an option row that needs a value got none");
}

/* --no-name */
static void store_negated(const struct opt_row *row, void *target)
{
	void *to = field(row, target);

	switch (row->type) {
	case OPT_BOOL:
		*(bool *)to = false;
		return;
	case OPT_COUNT:
	case OPT_INT:
		*(int *)to = 0;
		return;
	case OPT_INT64:
		*(int64_t *)to = 0;
		return;
	case OPT_SIZE:
	case OPT_RATE:
		*(uint64_t *)to = 0;
		return;
	case OPT_ENUM:
		*(int *)to = (int)row->min;
		return;
	case OPT_STRING:
		free(*(char **)to);
		*(char **)to = NULL;
		return;
	case OPT_LIST:
		opt_strings_release(to);
		return;
	case OPT_CUSTOM:
	case OPT_GROUP:
		break;
	}
	BUG("an option row that cannot be negated");
}

int opt_value_apply(const struct opt_row *row, void *target, const char *value, bool negated, struct err *e)
{
	if (row->type != OPT_CUSTOM) {
		if (negated)
			store_negated(row, target);
		else if (!value)
			store_flag(row, target);
		else if (store_text(row, target, value, e) < 0)
			return -1;
		if (!row->hook)
			return 0;
	}
	return row->hook(row, target, value, negated, e);
}

size_t opt_value_count(const struct opt_row *row, const void *target)
{
	return row->type == OPT_LIST ? ((const struct opt_strings *)field_const(row, target))->count : 1;
}

void opt_value_print(const struct opt_row *row, const void *target, size_t i, struct buf *out)
{
	const void *from = field_const(row, target);
	const char *text = NULL;

	switch (row->type) {
	case OPT_BOOL:
		text = *(const bool *)from ? "1" : "0";
		break;
	case OPT_COUNT:
	case OPT_INT:
		buf_printf(out, "%d", *(const int *)from);
		return;
	case OPT_INT64:
		buf_printf(out, "%" PRId64, *(const int64_t *)from);
		return;
	case OPT_SIZE:
	case OPT_RATE:
		buf_printf(out, "%" PRIu64 "B", *(const uint64_t *)from);
		return;
	case OPT_ENUM:
		text = row->values[*(const int *)from];
		break;
	case OPT_STRING:
		text = *(char *const *)from;
		break;
	case OPT_LIST:
		text = ((const struct opt_strings *)from)->v[i];
		break;
	case OPT_CUSTOM:
	case OPT_GROUP:
		BUG("an option row that has no value to print");
	}
	if (text)
		buf_put(out, text, strlen(text));
}

static bool strings_equal(const struct opt_strings *a, const struct opt_strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

bool opt_value_equal(const struct opt_row *row, const void *a, const void *b)
{
	const void *fa = field_const(row, a), *fb = field_const(row, b);

	switch (row->type) {
	case OPT_BOOL:
		return *(const bool *)fa == *(const bool *)fb;
	case OPT_COUNT:
	case OPT_INT:
	case OPT_ENUM:
		return *(const int *)fa == *(const int *)fb;
	case OPT_INT64:
		return *(const int64_t *)fa == *(const int64_t *)fb;
	case OPT_SIZE:
	case OPT_RATE:
		return *(const uint64_t *)fa == *(const uint64_t *)fb;
	case OPT_STRING: {
		const char *sa = *(char *const *)fa, *sb = *(char *const *)fb;
		return sa && sb ? strcmp(sa, sb) == 0 : sa == sb;
	}
	case OPT_LIST:
		return strings_equal(fa, fb);
	case OPT_CUSTOM:
	case OPT_GROUP:
		break;
	}
	return true;
}

void opt_release(const struct opt_row *table, void *target)
{
	for (const struct opt_row *row = table; row->name; row++)
		if (row->type == OPT_STRING || row->type == OPT_LIST)
			store_negated(row, target);
}
