/*
 * Shared by the files of this room only: one value of one row, as text and back.
 * Role      pure computation.
 */
#ifndef WHERRY_OPT_OPT_INTERNAL_H
#define WHERRY_OPT_OPT_INTERNAL_H

#include "opt/opt.h"

enum { OPT_QUOTE_BYTES = 320, OPT_LABEL_BYTES = 80 };

/* Do what the option says: value NULL for a bare flag, negated for --no-NAME; then call the row's hook. 0 or
 * -1 with ERR_USAGE. */
int opt_value_apply(const struct opt_row *row, void *target, const char *value, bool negated, struct err *e);

/* The value (for a list: its i-th element) as text that opt_value_apply() reads back to the same value. */
void opt_value_print(const struct opt_row *row, const void *target, size_t i, struct buf *out);

/* How many texts the value is: elements of a list, 1 otherwise. */
size_t opt_value_count(const struct opt_row *row, const void *target);
bool opt_value_equal(const struct opt_row *row, const void *a, const void *b);

/* "--name", or "-x" for a row that has only a letter. */
const char *opt_label(const struct opt_row *row, char out[OPT_LABEL_BYTES]);

/* First bytes of s, control characters escaped, for an error text. */
const char *opt_quote(const char *s, char out[OPT_QUOTE_BYTES]);

/* What stands for the value in help and manual: `arg`, or the words of an enum joined by '|'. */
const char *opt_arg_name(const struct opt_row *row, struct buf *scratch);

#endif
