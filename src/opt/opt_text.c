#include "opt/opt_internal.h"

#include <ctype.h>
#include <string.h>

enum { TEXT_COLUMN = 30, LINE_WIDTH = 80 };

static void put(struct buf *out, const char *s)
{
	buf_put(out, s, strlen(s));
}

static void put_spaces(struct buf *out, size_t n)
{
	while (n--)
		buf_put_u8(out, ' ');
}

/* Length of the next piece of s that fits in room, cut between words. */
static size_t line_length(const char *s, size_t room)
{
	size_t len = strlen(s), cut = room;

	if (len <= room)
		return len;
	while (cut && s[cut] != ' ')
		cut--;
	return cut ? cut : room;
}

static void put_wrapped(struct buf *out, const char *s)
{
	for (bool first = true; *s; first = false) {
		size_t n = line_length(s, LINE_WIDTH - TEXT_COLUMN);
		if (!first)
			put_spaces(out, TEXT_COLUMN);
		buf_put(out, s, n);
		buf_put_u8(out, '\n');
		s += n;
		while (*s == ' ')
			s++;
	}
}

static void help_row(const struct opt_row *row, struct buf *out)
{
	size_t start = out->len;
	struct buf scratch;

	if (row->letter)
		buf_printf(out, "  -%c%s", row->letter, row->name[0] ? ", " : "");
	else
		put_spaces(out, 6);
	if (row->name[0])
		buf_printf(out, "--%s%s", row->flags & OPT_NEGATABLE ? "[no-]" : "", row->name);
	if (opt_takes_value(row)) {
		bool optional = row->flags & OPT_OPTIONAL_ARG;
		buf_init(&scratch, 512);
		buf_printf(out,
			optional       ? "[=%s]"
			: row->name[0] ? "=%s"
				       : " %s",
			opt_arg_name(row, &scratch));
		buf_release(&scratch);
	}
	size_t used = out->len - start;
	if (used + 2 > TEXT_COLUMN) {
		buf_put_u8(out, '\n');
		used = 0;
	}
	put_spaces(out, TEXT_COLUMN - used);
	put_wrapped(out, row->text);
}

void opt_help(const struct opt_row *table, struct buf *out)
{
	for (const struct opt_row *row = table; row->name; row++) {
		if (row->flags & OPT_HIDDEN)
			continue;
		if (row->type == OPT_GROUP)
			buf_printf(out, "%s%s:\n", row == table ? "" : "\n", row->name);
		else
			help_row(row, out);
	}
}

/* One word of mdoc text, its special characters escaped; a '-' that begins an option stays an ASCII '-'. */
static void mdoc_word(const char *s, size_t n, bool line_start, struct buf *out)
{
	if (line_start && (s[0] == '.' || s[0] == '\''))
		put(out, "\\&");
	for (size_t i = 0; i < n; i++) {
		bool dash = s[i] == '-' && (i == 0 || !isalnum((unsigned char)s[i - 1]));
		if (s[i] == '\\')
			put(out, "\\e");
		else if (dash)
			put(out, "\\-");
		else if (s[i] == '~')
			put(out, "\\(ti");
		else if (s[i] == '^')
			put(out, "\\(ha");
		else if (s[i] == '`')
			put(out, "\\(ga");
		else if (s[i] == '"')
			put(out, "\\(dq");
		else
			buf_put_u8(out, (uint8_t)s[i]);
	}
}

/* The word s of n bytes ends a sentence and `next` begins one; "e.g." and "/." do not. */
static bool ends_sentence(const char *s, size_t n, const char *next)
{
	while (n && strchr(")\"'", s[n - 1]))
		n--;
	if (n < 2 || !strchr(".!?", s[n - 1]) || memchr(s, '.', n - 1))
		return false;
	bool starts =
		isupper((unsigned char)*next) || isdigit((unsigned char)*next) || *next == '-' || !*next;
	return starts && (isalnum((unsigned char)s[n - 2]) || strchr(")\"'>", s[n - 2]));
}

void opt_mdoc_text(const char *text, struct buf *out)
{
	bool line_start = true;

	while (*text) {
		size_t n = strcspn(text, " ");
		const char *next = text + n + strspn(text + n, " ");
		if (!line_start)
			buf_put_u8(out, ' ');
		mdoc_word(text, n, line_start, out);
		line_start = ends_sentence(text, n, next);
		if (!line_start && n && strchr(".!?", text[n - 1]))
			put(out, "\\&"); /* or roff takes it for a full stop */
		text = next;
		if (line_start || !*text)
			buf_put_u8(out, '\n');
	}
}

static void mdoc_option_name(const char *prefix, const char *name, struct buf *out)
{
	put(out, "Fl \\-");
	for (const char *part = prefix; *part; part++)
		put(out, *part == '-' ? "\\-" : (char[]){*part, '\0'});
	for (; *name; name++)
		put(out, *name == '-' ? "\\-" : (char[]){*name, '\0'});
}

static void mdoc_value(const struct opt_row *row, struct buf *out)
{
	struct buf scratch;

	buf_init(&scratch, 512);
	const char *arg = opt_arg_name(row, &scratch);
	if (row->flags & OPT_OPTIONAL_ARG)
		buf_printf(out, " Ns Oo = Ns Ar %s Oc", arg);
	else
		buf_printf(out, row->name[0] ? " Ns = Ns Ar %s" : " Ar %s", arg);
	buf_release(&scratch);
}

static void mdoc_row(const struct opt_row *row, struct buf *out)
{
	put(out, ".It ");
	if (row->letter)
		buf_printf(out, "Fl %c%s", row->letter, row->name[0] ? " , " : "");
	if (row->name[0])
		mdoc_option_name("", row->name, out);
	if (opt_takes_value(row))
		mdoc_value(row, out);
	if ((row->flags & OPT_NEGATABLE) && row->name[0]) {
		put(out, " , ");
		mdoc_option_name("no-", row->name, out);
	}
	put(out, "\n");
	size_t start = out->len;
	opt_mdoc_text(row->text, out);
	if (out->len >
		start) { /* help texts are phrases: a capital in front and a full stop behind make a sentence */
		out->data[start] = (uint8_t)toupper(out->data[start]);
		out->len--;
		put(out, ".\n");
	}
	if (row->detail)
		opt_mdoc_text(row->detail, out);
}

void opt_mdoc(const struct opt_row *table, struct buf *out)
{
	bool open = false;

	for (const struct opt_row *row = table; row->name; row++) {
		if (row->flags & OPT_HIDDEN)
			continue;
		if (row->type == OPT_GROUP) {
			buf_printf(out, "%s.Ss %s\n", open ? ".El\n" : "", row->name);
			open = false;
			continue;
		}
		if (!open)
			put(out, ".Bl -tag -width Ds\n");
		open = true;
		mdoc_row(row, out);
	}
	if (open)
		put(out, ".El\n");
}
