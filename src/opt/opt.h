/*
 * One table of options: each option is declared once and yields the command-line parser, configuration keys,
 * --help, the manual's option list, shell completion and the encoding on the wire.
 * Role      pure computation (reading *-from files is done by a row's own hook).
 * Lifetime  tables are static; strings that parsing stores are malloc'ed and owned by the target struct.
 * Threads   no state.
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
	OPT_BOOL,  /* field: bool */
	OPT_COUNT, /* each use adds one; field: int */
	OPT_INT,   /* field: int, range min..max */
	OPT_INT64, /* field: int64_t, range min..max */
	OPT_SIZE, /* field: uint64_t; "1.5M": suffixes K M G T P or KiB .. (1024), KB MB .. (1000), B; then +1/-1 */
	OPT_RATE,   /* as OPT_SIZE, but a number without a suffix counts KiB (rsync's --bwlimit) */
	OPT_STRING, /* field: char * */
	OPT_LIST,   /* may be given many times; field: struct opt_strings */
	OPT_ENUM,   /* field: int; words in `values`; --name alone stores `max`, --no-name stores `min` */
	OPT_CUSTOM, /* hook does it all; takes a value when `arg` is set; never OPT_WIRE */
	OPT_GROUP,  /* no option: a heading in help and manual */
};

enum opt_flag {
	OPT_NEGATABLE =
		1, /* --no-NAME (and --no-L with its letter) exists and is shown; it stores false, 0 or nothing */
	OPT_WIRE = 2, /* the peer must know it: opt_encode() sends it when it differs from the default */
	OPT_OPTIONAL_ARG = 4, /* --name[=VALUE]; the letter never takes a value then */
	OPT_HIDDEN = 8,       /* accepted, not shown (old spellings) */
	OPT_CONFIG = 16,      /* may stand in a configuration file as `name = value` */
	OPT_JOIN = 32,        /* OPT_STRING: given again, the values are joined by a comma */
};

struct opt_row;
/* `value` is NULL for a flag, `negated` for --no-NAME. 0 or -1 with *e filled. */
typedef int (*opt_hook)(
	const struct opt_row *row, void *target, const char *value, bool negated, struct err *e);

struct opt_row {
	const char *name; /* long name without dashes, "" when there is only a letter; NULL ends the table */
	char letter;      /* short option or 0 */
	enum opt_type type;
	size_t offset;    /* offsetof the field */
	const char *arg;  /* name of the value in help, e.g. "SIZE"; "FILE" and "DIR" are completed as such */
	const char *text; /* one line: what it does */
	unsigned flags;
	int64_t min, max;          /* range of OPT_INT, OPT_INT64, OPT_SIZE, OPT_RATE; both 0: no range */
	const char *const *values; /* OPT_ENUM: NULL-terminated words, index = value */
	opt_hook hook;      /* OPT_CUSTOM: does it all; other types: called after storing, to validate */
	const char *detail; /* further sentences for the manual, or NULL */
};

/* The row of that long name, hidden ones too; NULL when there is none. */
const struct opt_row *opt_find(const struct opt_row *table, const char *name);

/* Whether the option is followed by a value on the command line (for OPT_OPTIONAL_ARG: may be, after '='). */
bool opt_takes_value(const struct opt_row *row);

/*
 * Parse argv[1..], GNU style: options anywhere until "--", clusters of short letters, --name=value and --name
 * value; unique prefixes are NOT accepted. *args receives the operands (malloc'ed array of borrowed argv
 * pointers, NULL on error), *arg_count how many. Unknown options are ERR_USAGE with the nearest known name as
 * a suggestion. 0 or -1; what was stored before an error stays in target: opt_release() it in any case.
 */
int opt_parse(const struct opt_row *table, void *target, int argc, char **argv, char ***args, int *arg_count,
	struct err *e);

/* Set one option by its long name from text (configuration files, the wire); booleans take yes/no, on/off,
 * true/false, 1/0. The caller checks OPT_CONFIG. ERR_USAGE when unknown or out of range. 0 or -1. */
int opt_set(const struct opt_row *table, void *target, const char *name, const char *value, struct err *e);

/*
 * Rows with OPT_WIRE whose value differs from `defaults`: varint count, then {str name, str value} in table
 * order, lists once per element. opt_decode() sets them in target, which holds the defaults. A name it does
 * not know, or knows without OPT_WIRE, or a value it cannot use is ERR_UNSUPPORTED (it never guesses);
 * malformed bytes are ERR_PROTOCOL.
 */
void opt_encode(const struct opt_row *table, const void *target, const void *defaults, struct buf *out);
int opt_decode(const struct opt_row *table, void *target, struct cursor *c, struct err *e);

/* The same differences as command-line words (--name=value), for running wherry on another host. Not quoted. */
void opt_to_args(
	const struct opt_row *table, const void *target, const void *defaults, struct opt_strings *out);

/* Free what parsing stored in `target`, per the table. */
void opt_release(const struct opt_row *table, void *target);

/* Text generators; hidden rows are left out. `command` is the program and its subcommand: "wherry sync". */
void opt_help(const struct opt_row *table, struct buf *out); /* two columns, for --help */
void opt_mdoc(
	const struct opt_row *table, struct buf *out); /* .Ss per group with .It Fl entries, for a manual */

/* A shell function _wherry_sync for bash and zsh, `complete` lines for fish. */
void opt_complete(const struct opt_row *table, const char *shell, const char *command, struct buf *out);

/* `text` as mdoc text lines: escaped, one sentence a line. */
void opt_mdoc_text(const char *text, struct buf *out);

/* Nearest word to `word` in a NULL-terminated list by edit distance, or NULL when none is near. */
const char *opt_nearest(const char *word, const char *const *words);

#endif
