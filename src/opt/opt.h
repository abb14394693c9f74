/*
 * One table of options: each option is declared once and yields the command-line parser, configuration keys,
 * --help, the manual's option list, shell completion and the encoding on the wire.
 * Role      pure computation
 * (reading *-from files is done by a row's own parse hook).
 * Lifetime  tables are static; strings that parsing
 * stores are malloc'ed and owned by the target struct.
 */
#ifndef WHERRY_OPT_OPT_H
#define WHERRY_OPT_OPT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct opt_strings {
	char **v;
	size_t count;
};

void opt_strings_add(struct opt_strings *s, const char *text);
void opt_strings_release(struct opt_strings *s);

enum opt_type {
	OPT_BOOL,   /* --name / --no-name; field: bool */
	OPT_COUNT,  /* each use adds one; field: int */
	OPT_INT,    /* field: int, range min..max */
	OPT_INT64,  /* field: int64_t */
	OPT_SIZE,   /* field: uint64_t, suffixes K M G T P (1024) KB MB .. (1000), optional +1/-1 */
	OPT_STRING, /* field: char * */
	OPT_LIST,   /* may be given many times; field: struct opt_strings */
	OPT_ENUM,   /* field: int; words in `values` */
	OPT_CUSTOM, /* hook does it all */
	OPT_GROUP,  /* no option: a heading in help and manual */
};

enum opt_flag {
	OPT_NEGATABLE = 1, /* --no-NAME exists and is shown */
	OPT_WIRE = 2,      /* the peer must know it: opt_encode() sends it when it differs from the default */
	OPT_OPTIONAL_ARG = 4, /* --name[=VALUE] */
	OPT_HIDDEN = 8,       /* accepted, not shown (old spellings) */
	OPT_CONFIG = 16,      /* may stand in a configuration file as `name = value` */
};

struct opt_row;
/* Custom hook: `value` is NULL for a flag, `negated` for --no-NAME. 0 or -1 with *e filled. */
typedef int (*opt_hook)(
	const struct opt_row *row, void *target, const char *value, bool negated, struct err *e);

struct opt_row {
	const char *name; /* long name without dashes; NULL ends the table */
	char letter;      /* short option or 0 */
	enum opt_type type;
	size_t offset;    /* offsetof the field */
	const char *arg;  /* name of the value in help, e.g. "DIR", "SIZE" */
	const char *text; /* one line: what it does */
	unsigned flags;
	int64_t min, max;          /* range of OPT_INT, OPT_INT64 */
	const char *const *values; /* OPT_ENUM: NULL-terminated words, index = value */
	opt_hook hook;             /* OPT_CUSTOM; or called after storing, for implications */
	const char *detail;        /* further sentences for the manual, or NULL */
};

/*
 * Parse argv[1..] in place, GNU style: options anywhere until "--", clusters of short letters, --name=value,
 * unique prefixes are NOT accepted. *args receives the operands (malloc'ed array of borrowed argv pointers),
 * *arg_count how many. Unknown options are ERR_USAGE with the nearest known name as a suggestion. 0 or -1.
 */
int opt_parse(const struct opt_row *table, void *target, int argc, char **argv, char ***args, int *arg_count,
	struct err *e);

/* Set one option by name from text (configuration files, the wire). ERR_USAGE when unknown or out of range.
 */
int opt_set(const struct opt_row *table, void *target, const char *name, const char *value, struct err *e);

/* Rows with OPT_WIRE whose value differs from `defaults`: varint count, then {str name, str value} in table
 * order, lists once per element. opt_decode() refuses names it does not know (never guesses) with
 * ERR_UNSUPPORTED. */
void opt_encode(const struct opt_row *table, const void *target, const void *defaults, struct buf *out);
int opt_decode(const struct opt_row *table, void *target, struct cursor *c, struct err *e);

/* The same differences as command-line words (--name=value), for running wherry on another host. */
void opt_to_args(
	const struct opt_row *table, const void *target, const void *defaults, struct opt_strings *out);

/* Free what parsing stored in `target`, per the table. */
void opt_release(const struct opt_row *table, void *target);

/* Text generators. */
void opt_help(const struct opt_row *table, struct buf *out); /* two columns, for --help */
void opt_mdoc(const struct opt_row *table, struct buf *out); /* .It Fl entries for a manual */
void opt_complete(const struct opt_row *table, const char *shell, const char *command,
	struct buf *out); /* bash zsh fish */

/* Nearest word to `word` in a NULL-terminated list by edit distance, or NULL when none is near. */
const char *opt_nearest(const char *word, const char *const *words);

#endif
