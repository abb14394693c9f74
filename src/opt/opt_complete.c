/*
 * Shell completion from the table. What a value may be is told by the row: words of an enum, `arg` FILE or
 * DIR, else nothing is offered. Each shell gets the form it likes best: bash a function with two `case`s, zsh
 * _arguments specs, fish one `complete` line per option.
 */
#include "opt/opt_internal.h"

#include <ctype.h>
#include <string.h>

static void put(struct buf *out, const char *s)
{
	buf_put(out, s, strlen(s));
}

static bool shown(const struct opt_row *row)
{
	return row->type != OPT_GROUP && !(row->flags & OPT_HIDDEN);
}

static bool value_is(const struct opt_row *row, const char *arg)
{
	return row->arg && strcmp(row->arg, arg) == 0;
}

static void put_values(const struct opt_row *row, struct buf *out)
{
	for (size_t i = 0; row->values[i]; i++)
		buf_printf(out, "%s%s", i ? " " : "", row->values[i]);
}

/* "_wherry_sync" from "wherry sync" */
static void put_function_name(const char *command, struct buf *out)
{
	buf_put_u8(out, '_');
	for (; *command; command++)
		buf_put_u8(out, isalnum((unsigned char)*command) ? (uint8_t)*command : '_');
}

/* s inside single quotes; `also` is escaped by a backslash besides */
static void put_quoted(const char *s, const char *also, struct buf *out)
{
	for (; *s; s++) {
		if (*s == '\'') {
			put(out, "'\\''");
			continue;
		}
		if (strchr(also, *s))
			buf_put_u8(out, '\\');
		buf_put_u8(out, (uint8_t)*s);
	}
}

/* --- bash */

static void bash_options(const struct opt_row *table, struct buf *out)
{
	const char *space = "";

	for (const struct opt_row *row = table; row->name; row++) {
		if (!shown(row))
			continue;
		if (row->letter)
			buf_printf(out, "%s-%c", space, row->letter);
		if (row->name[0])
			buf_printf(out, "%s--%s", row->letter ? " " : space, row->name);
		if (row->name[0] && (row->flags & OPT_NEGATABLE))
			buf_printf(out, " --no-%s", row->name);
		space = " ";
	}
}

/* The pattern of a `case` branch that matches the word before the value. */
static void bash_pattern(const struct opt_row *row, struct buf *out)
{
	put(out, "\t");
	if (row->letter && !(row->flags & OPT_OPTIONAL_ARG))
		buf_printf(out, "-%c%s", row->letter, row->name[0] ? "|" : "");
	if (row->name[0])
		buf_printf(out, "--%s", row->name);
	put(out, ")\n");
}

static void bash_value(const struct opt_row *row, struct buf *out)
{
	/* --name[=VALUE]: the next word is a value only behind '=' */
	const char *guard = row->flags & OPT_OPTIONAL_ARG ? "\t\t[[ $eq ]] && " : "\t\t";

	bash_pattern(row, out);
	if (row->values) {
		buf_printf(out, "%sCOMPREPLY=($(compgen -W '", guard);
		put_values(row, out);
		put(out, "' -- \"$cur\"))");
	} else if (value_is(row, "FILE") || value_is(row, "DIR")) {
		buf_printf(out,
			"%scompopt -o filenames && IFS=$'\\n' && COMPREPLY=($(compgen -%c -- \"$cur\"))",
			guard, row->arg[0] == 'F' ? 'f' : 'd');
	} else {
		buf_printf(out, "%sCOMPREPLY=()", guard);
	}
	put(out, row->flags & OPT_OPTIONAL_ARG ? " && return\n\t\t;;\n" : "\n\t\treturn\n\t\t;;\n");
}

static void complete_bash(const struct opt_row *table, const char *command, struct buf *out)
{
	put_function_name(command, out);
	put(out, "()\n{\n"
		 "\tlocal IFS=$' \\t\\n' cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} eq=\n"
		 "\tif [[ $cur == = ]]; then\n"
		 "\t\tcur= eq=1\n"
		 "\telif [[ $prev == = ]] && ((COMP_CWORD > 1)); then\n"
		 "\t\tprev=${COMP_WORDS[COMP_CWORD-2]} eq=1\n"
		 "\tfi\n"
		 "\tcase $prev in\n");
	for (const struct opt_row *row = table; row->name; row++)
		if (shown(row) && opt_takes_value(row))
			bash_value(row, out);
	put(out, "\tesac\n"
		 "\tif [[ $cur == -* ]]; then\n"
		 "\t\tCOMPREPLY=($(compgen -W '");
	bash_options(table, out);
	put(out, "' -- \"$cur\"))\n"
		 "\telse\n"
		 "\t\tcompopt -o filenames\n"
		 "\t\tlocal IFS=$'\\n'\n"
		 "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
		 "\tfi\n"
		 "}\n");
}

/* --- zsh */

static void zsh_text(const struct opt_row *row, struct buf *out)
{
	buf_put_u8(out, '[');
	put_quoted(row->text, "[]\\:", out);
	buf_put_u8(out, ']');
	if (!opt_takes_value(row))
		return;
	struct buf scratch;
	buf_init(&scratch, 512);
	buf_printf(out, "%s", row->flags & OPT_OPTIONAL_ARG ? "::" : ":");
	put_quoted(row->values ? "choice" : opt_arg_name(row, &scratch), "[]\\:", out);
	buf_release(&scratch);
	buf_put_u8(out, ':');
	if (row->values) {
		buf_put_u8(out, '(');
		put_values(row, out);
		buf_put_u8(out, ')');
	} else if (value_is(row, "FILE")) {
		put(out, "_files");
	} else if (value_is(row, "DIR")) {
		put(out, "_files -/");
	}
}

/* '*' in front: a list or a count may be given again. */
static void zsh_spec(
	const struct opt_row *row, const char *dashes, const char *name, bool negated, struct buf *out)
{
	bool again = row->type == OPT_LIST || row->type == OPT_COUNT || row->type == OPT_CUSTOM;
	bool takes = opt_takes_value(row) && !negated;
	const char *glue = !takes ? "" : name[1] == '\0' ? "+" : row->flags & OPT_OPTIONAL_ARG ? "=-" : "=";

	if (takes && (row->flags & OPT_OPTIONAL_ARG) && name[1] == '\0') {
		takes = false; /* a letter never takes the optional value */
		glue = "";
	}
	buf_printf(out, " \\\n\t\t'%s%s%s%s", again ? "*" : "", dashes, name, glue);
	if (takes || !opt_takes_value(row)) {
		zsh_text(row, out);
	} else {
		buf_put_u8(out, '[');
		put_quoted(row->text, "[]\\:", out);
		buf_put_u8(out, ']');
	}
	buf_put_u8(out, '\'');
}

static void complete_zsh(const struct opt_row *table, const char *command, struct buf *out)
{
	put_function_name(command, out);
	put(out, "()\n{\n\t_arguments -s -S");
	for (const struct opt_row *row = table; row->name; row++) {
		char letter[2] = {row->letter, '\0'};
		if (!shown(row))
			continue;
		if (row->letter)
			zsh_spec(row, "-", letter, false, out);
		if (row->name[0])
			zsh_spec(row, "--", row->name, false, out);
		if (row->name[0] && (row->flags & OPT_NEGATABLE))
			zsh_spec(row, "--no-", row->name, true, out);
	}
	put(out, " \\\n\t\t'*:file:_files'\n}\n");
}

/* --- fish */

static void fish_head(const char *command, struct buf *out)
{
	size_t program = strcspn(command, " ");

	buf_printf(out, "complete -c %.*s", (int)program, command);
	if (command[program])
		buf_printf(out, " -n '__fish_seen_subcommand_from %s'", command + program + 1);
}

static void fish_row(const struct opt_row *row, const char *command, struct buf *out)
{
	fish_head(command, out);
	if (row->letter)
		buf_printf(out, " -s %c", row->letter);
	if (row->name[0])
		buf_printf(out, " -l %s", row->name);
	if (opt_takes_value(row) && !(row->flags & OPT_OPTIONAL_ARG)) {
		if (row->values || value_is(row, "DIR"))
			put(out, " -x");
		else
			put(out, value_is(row, "FILE") ? " -rF" : " -x");
	}
	if (row->values) {
		put(out, " -a '");
		put_values(row, out);
		put(out, "'");
	} else if (value_is(row, "DIR")) {
		put(out, " -a '(__fish_complete_directories)'");
	}
	put(out, " -d '");
	for (const char *s = row->text; *s; s++) {
		if (*s == '\'' || *s == '\\')
			buf_put_u8(out, '\\');
		buf_put_u8(out, (uint8_t)*s);
	}
	put(out, "'\n");
	if (row->name[0] && (row->flags & OPT_NEGATABLE)) {
		fish_head(command, out);
		buf_printf(out, " -l no-%s\n", row->name);
	}
}

void opt_complete(const struct opt_row *table, const char *shell, const char *command, struct buf *out)
{
	if (strcmp(shell, "bash") == 0)
		complete_bash(table, command, out);
	else if (strcmp(shell, "zsh") == 0)
		complete_zsh(table, command, out);
	else if (strcmp(shell, "fish") == 0)
		for (const struct opt_row *row = table; row->name; row++)
			if (shown(row))
				fish_row(row, command, out);
}
