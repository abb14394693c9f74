#include "opt/opt_internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	const struct opt_row *table;
	void *target;
	int argc;
	char **argv;
	int next; /* index of the next word */
	char **args;
	int arg_count;
	struct err *e;
};

bool opt_takes_value(const struct opt_row *row)
{
	switch (row->type) {
	case OPT_BOOL:
	case OPT_COUNT:
	case OPT_GROUP:
		return false;
	case OPT_CUSTOM:
		return row->arg != NULL;
	default:
		return true;
	}
}

const struct opt_row *opt_find(const struct opt_row *table, const char *name)
{
	if (!*name)
		return NULL;
	for (const struct opt_row *row = table; row->name; row++)
		if (row->type != OPT_GROUP && strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

static const struct opt_row *find_letter(const struct opt_row *table, char letter)
{
	for (const struct opt_row *row = table; row->name; row++)
		if (row->type != OPT_GROUP && row->letter == letter)
			return row;
	return NULL;
}

/* Row of "name", or of "no-name" and "no-L" when it may be negated. */
static const struct opt_row *find_long(const struct opt_row *table, const char *name, bool *negated)
{
	const struct opt_row *row = opt_find(table, name);

	*negated = false;
	if (row || strncmp(name, "no-", 3) != 0)
		return row;
	name += 3;
	row = name[0] && !name[1] ? find_letter(table, name[0]) : opt_find(table, name);
	*negated = true;
	return row && (row->flags & OPT_NEGATABLE) ? row : NULL;
}

/* Every long spelling that is shown, for suggestions. */
static void shown_names(const struct opt_row *table, struct opt_strings *out)
{
	for (const struct opt_row *row = table; row->name; row++) {
		if (row->type == OPT_GROUP || (row->flags & OPT_HIDDEN) || !row->name[0])
			continue;
		opt_strings_add(out, row->name);
		if (row->flags & OPT_NEGATABLE) {
			char *negated = xasprintf("no-%s", row->name);
			opt_strings_add(out, negated);
			free(negated);
		}
	}
}

static int unknown_long(const struct opt_row *table, const char *name, const char *dashes, struct err *e)
{
	struct opt_strings names = {0};
	const char **words;
	char shown[OPT_QUOTE_BYTES];

	shown_names(table, &names);
	words = xcalloc(names.count + 1, sizeof(*words));
	for (size_t i = 0; i < names.count; i++)
		words[i] = names.v[i];
	const char *near = opt_nearest(name, words);
	if (near)
		err_set(e, ERR_USAGE, "unknown option %s%s; did you mean %s%s?", dashes,
			opt_quote(name, shown), dashes, near);
	else
		err_set(e, ERR_USAGE, "unknown option %s%s", dashes, opt_quote(name, shown));
	free(words);
	opt_strings_release(&names);
	return -1;
}

/* The following word as the option's value. */
static const char *next_value(struct parser *p, const struct opt_row *row, const char *label)
{
	struct buf scratch;

	if (p->next < p->argc)
		return p->argv[p->next++];
	buf_init(&scratch, 256);
	err_set(p->e, ERR_USAGE, "option %s needs a value: %s", label, opt_arg_name(row, &scratch));
	buf_release(&scratch);
	return NULL;
}

static int apply_long(struct parser *p, const char *name, const char *value)
{
	bool negated;
	char label[OPT_LABEL_BYTES];
	const struct opt_row *row = find_long(p->table, name, &negated);

	if (!row)
		return unknown_long(p->table, name, "--", p->e);
	if (value && (negated || !opt_takes_value(row)))
		return err_set(p->e, ERR_USAGE, "option --%s takes no value", name);
	if (!value && !negated && opt_takes_value(row) && !(row->flags & OPT_OPTIONAL_ARG)) {
		value = next_value(p, row, opt_label(row, label));
		if (!value)
			return -1;
	}
	return opt_value_apply(row, p->target, value, negated, p->e);
}

static int parse_long(struct parser *p, const char *word)
{
	const char *equals = strchr(word, '=');

	if (!equals)
		return apply_long(p, word, NULL);
	char *name = xmemdupz(word, (size_t)(equals - word));
	int ret = apply_long(p, name, equals + 1);
	free(name);
	return ret;
}

static int unknown_letter(const char *cluster, const char *at, struct err *e)
{
	char one[2] = {*at, '\0'};
	char shown[OPT_QUOTE_BYTES], whole[OPT_QUOTE_BYTES];

	if (!cluster[1])
		return err_set(e, ERR_USAGE, "unknown option -%s", opt_quote(one, shown));
	return err_set(
		e, ERR_USAGE, "unknown option -%s in -%s", opt_quote(one, shown), opt_quote(cluster, whole));
}

static int parse_letters(struct parser *p, const char *cluster)
{
	for (const char *at = cluster; *at; at++) {
		const struct opt_row *row = find_letter(p->table, *at);
		char label[3] = {'-', *at, '\0'};
		const char *value = NULL;

		if (!row)
			return unknown_letter(cluster, at, p->e);
		bool wants = opt_takes_value(row) && !(row->flags & OPT_OPTIONAL_ARG);
		if (wants) {
			value = at[1] ? at + 1 : next_value(p, row, label);
			if (!value)
				return -1;
		}
		if (opt_value_apply(row, p->target, value, false, p->e) < 0)
			return -1;
		if (wants)
			break;
	}
	return 0;
}

static int parse_word(struct parser *p, char *word, bool *only_args)
{
	if (*only_args || word[0] != '-' || word[1] == '\0') {
		p->args[p->arg_count++] = word;
		return 0;
	}
	if (strcmp(word, "--") == 0) {
		*only_args = true;
		return 0;
	}
	return word[1] == '-' ? parse_long(p, word + 2) : parse_letters(p, word + 1);
}

int opt_parse(const struct opt_row *table, void *target, int argc, char **argv, char ***args, int *arg_count,
	struct err *e)
{
	struct parser p = {.table = table, .target = target, .argc = argc, .argv = argv, .next = 1, .e = e};
	bool only_args = false;

	p.args = xcalloc((size_t)(argc > 0 ? argc : 1), sizeof(*p.args));
	*args = NULL;
	*arg_count = 0;
	while (p.next < argc)
		if (parse_word(&p, argv[p.next++], &only_args) < 0) {
			free(p.args);
			return -1;
		}
	*args = p.args;
	*arg_count = p.arg_count;
	return 0;
}

int opt_set(const struct opt_row *table, void *target, const char *name, const char *value, struct err *e)
{
	const struct opt_row *row = opt_find(table, name);
	bool yes = true;

	if (!row)
		return unknown_long(table, name, "", e);
	if (row->type != OPT_CUSTOM || row->arg)
		return opt_value_apply(row, target, value, false, e);
	/* a custom flag: its hook knows only given and negated */
	const struct opt_row flag = {.name = row->name, .type = OPT_BOOL};
	if (opt_value_apply(&flag, &yes, value, false, e) < 0)
		return -1;
	return yes || (row->flags & OPT_NEGATABLE) ? opt_value_apply(row, target, NULL, !yes, e) : 0;
}
