/*
 * Subcommands: what `wherry NAME ...` runs, and the table that help, manual and completion are made from.
 * Role      front door: parses a command line, prints, returns an exit status. Nothing here does the work.
 * Lifetime  the table is static.
 */
#ifndef WHERRY_CMD_CMD_H
#define WHERRY_CMD_CMD_H

#include "base/buf.h"
#include "base/err.h"
#include "opt/opt.h"

#include <stdbool.h>
#include <stddef.h>

/* What stands behind the options, for shell completion. */
enum cmd_operands { CMD_OPERANDS_NONE, CMD_OPERANDS_FILES, CMD_OPERANDS_COMMANDS, CMD_OPERANDS_SHELLS };

struct cmd {
	const char *name;
	const char *text;     /* one line: what it does */
	const char *synopsis; /* behind "wherry NAME" */
	const char *more;     /* lines for `wherry help NAME`, behind the options; or NULL */
	const struct opt_row *options;
	int (*run)(const struct cmd *self, int argc, char **argv); /* argv[0] is the name; the exit status */
	enum cmd_operands operands;
	bool hidden; /* left out of help and completion */
};

/* All commands; ended by a row without a name. */
extern const struct cmd cmd_table[];

/* NULL when there is none. */
const struct cmd *cmd_find(const char *name);

/* ERR_USAGE with the nearest command as a suggestion. Always -1. */
int cmd_unknown(const char *name, struct err *e);

int cmd_sync_run(const struct cmd *self, int argc, char **argv);
int cmd_serve_run(const struct cmd *self, int argc, char **argv);
int cmd_help_run(const struct cmd *self, int argc, char **argv);
int cmd_completion_run(const struct cmd *self, int argc, char **argv);
int cmd_manual_run(const struct cmd *self, int argc, char **argv);

/* Option tables, one per command. sync's is in sync/sync_options.h. */
extern const struct opt_row cmd_serve_options[];
extern const struct opt_row cmd_plain_options[]; /* over a struct cmd_plain: --help alone */

struct cmd_plain {
	bool help;
};

/* Parse over cmd_plain_options; --help and errors are handled here: then false, *status is the exit status.
 * true: *args (free it) and *arg_count. At most max_args operands. */
bool cmd_parse_plain(const struct cmd *self, int argc, char **argv, int max_args, char ***args,
	int *arg_count, int *status);

/* Help texts. */
void cmd_overview(struct buf *out);
void cmd_describe(const struct cmd *c, struct buf *out);

/* Write to stdout at once; the exit status: 0, or ERR_IO's with a message when it cannot be written. */
int cmd_print(const struct buf *out);

/* cmd_describe() to stdout. */
int cmd_print_help(const struct cmd *c);

/* Print "wherry NAME: text" to stderr, with a pointer to the help after an error in usage; its exit status.
 * name NULL: wherry itself. */
int cmd_fail(const char *name, const struct err *e);

#endif
