#include "cmd/cmd.h"

#include "cmd/manual.h"

#include <stdlib.h>
#include <string.h>

static void put(struct buf *out, const char *s)
{
	buf_put(out, s, strlen(s));
}

/* text escaped, without the line end that opt_mdoc_text() adds */
static void put_escaped(const char *text, struct buf *out)
{
	opt_mdoc_text(text, out);
	if (out->len && out->data[out->len - 1] == '\n')
		out->len--;
}

/* A term stands in quotes behind \&, so that no word of it is taken for a macro. */
static void put_term(const struct manual_piece *piece, struct buf *out)
{
	buf_printf(out, ".It %s \"\\&", piece->macro);
	put_escaped(piece->term, out);
	put(out, "\"\n");
	opt_mdoc_text(piece->text, out);
}

static void put_code(const char *text, struct buf *out)
{
	put(out, ".Bd -literal -offset indent\n");
	while (*text) {
		size_t n = strcspn(text, "\n");
		for (size_t i = 0; i < n; i++) {
			if (text[i] == '\\')
				put(out, "\\e");
			else if (text[i] == '-')
				put(out, "\\-");
			else
				buf_put_u8(out, (uint8_t)text[i]);
		}
		buf_put_u8(out, '\n');
		text += n + (text[n] == '\n');
	}
	put(out, ".Ed\n");
}

static bool needs_break(const struct manual_piece *piece, const struct manual_piece *first)
{
	return piece->kind == MANUAL_PARA && piece != first && piece[-1].kind != MANUAL_SECTION &&
	       piece[-1].kind != MANUAL_PART;
}

static void put_pieces(const struct manual_piece *first, struct buf *out)
{
	bool in_list = false;

	for (const struct manual_piece *p = first; p && p->kind != MANUAL_END; p++) {
		if (in_list != (p->kind == MANUAL_TERM))
			put(out, in_list ? ".El\n" : ".Bl -tag -width Ds\n");
		in_list = p->kind == MANUAL_TERM;
		if (needs_break(p, first))
			put(out, ".Pp\n");
		if (p->kind == MANUAL_SECTION)
			buf_printf(out, ".Sh %s\n", p->text);
		else if (p->kind == MANUAL_PART)
			buf_printf(out, ".Ss %s\n", p->text);
		else if (p->kind == MANUAL_PARA)
			opt_mdoc_text(p->text, out);
		else if (p->kind == MANUAL_TERM)
			put_term(p, out);
		else if (p->kind == MANUAL_CODE)
			put_code(p->text, out);
		else
			put(out, p->text);
	}
	if (in_list)
		put(out, ".El\n");
}

static void put_commands(struct buf *out)
{
	put(out, ".Ss Commands\n.Bl -tag -width Ds\n");
	for (const struct cmd *c = cmd_table; c->name; c++) {
		if (c->hidden)
			continue;
		buf_printf(out, ".It Cm %s Ar ", c->name);
		put_escaped(c->synopsis, out);
		put(out, "\n");
		struct buf text;
		buf_init(&text, 1024);
		buf_printf(&text, "%c%s.", c->text[0] - 'a' + 'A', c->text + 1);
		opt_mdoc_text(buf_cstr(&text), out);
		buf_release(&text);
	}
	put(out, ".El\n");
}

static void put_options(const struct cmd *c, struct buf *out)
{
	bool grouped = c->options->type == OPT_GROUP;

	put(out, grouped ? ".Pp\nThe options, by what they are about:\n" : ".Pp\nThe options are:\n");
	opt_mdoc(c->options, out);
}

static void put_exit_status(struct buf *out)
{
	put(out, ".Sh EXIT STATUS\n.Bl -tag -width Ds\n");
	for (int status = 0; status < 256; status++) {
		const struct err_info *info = err_info_by_status(status);
		if (!info)
			continue;
		buf_printf(out, ".It %d\n", status);
		opt_mdoc_text(info->text, out);
	}
	put(out, ".El\n");
}

static void put_page(const struct manual_page *page, struct buf *out)
{
	const struct cmd *c = cmd_find(page->topic);

	buf_printf(out, ".\\\" Made by `wherry manual %s` from the program's own tables.\n", page->topic);
	buf_printf(out, ".Dd %s\n.Dt %s 1\n.Os\n", manual_date, page->title);
	buf_printf(out, ".Sh NAME\n.Nm %s\n.Nd %s\n", page->name, page->text);
	buf_printf(out, ".Sh SYNOPSIS\n%s", page->synopsis);
	put(out, ".Sh DESCRIPTION\n");
	put_pieces(page->description, out);
	if (c)
		put_options(c, out);
	else
		put_commands(out);
	put_pieces(page->context, out);
	put_exit_status(out);
	put_pieces(page->conclusion, out);
}

int cmd_manual_run(const struct cmd *self, int argc, char **argv)
{
	const struct manual_page *page = manual_pages;
	struct err e = {0};
	struct buf out;
	char **args;
	int count, status;

	if (!cmd_parse_plain(self, argc, argv, 1, &args, &count, &status))
		return status;
	while (page->topic && strcmp(page->topic, count ? args[0] : "wherry") != 0)
		page++;
	free(args);
	if (!page->topic) {
		err_set(&e, ERR_USAGE, "there are the manual pages wherry, sync and serve");
		return cmd_fail(self->name, &e);
	}
	buf_init(&out, 1 << 20);
	put_page(page, &out);
	status = cmd_print(&out);
	buf_release(&out);
	return status;
}
