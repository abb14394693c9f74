/*
 * A size or rate written by a person, in bytes.
 * Role      pure computation.
 */
#ifndef WHERRY_OPT_OPT_SIZE_H
#define WHERRY_OPT_OPT_SIZE_H

#include <stdbool.h>
#include <stdint.h>

enum opt_size_result { OPT_SIZE_OK, OPT_SIZE_MALFORMED, OPT_SIZE_TOO_LARGE };

/* "10", "1.5M", "2GB", "4KiB", "100K-1" to bytes (at most INT64_MAX). A number without a suffix counts in
 * default_suffix: 'b' or 'k'. *out is set only with OPT_SIZE_OK. */
enum opt_size_result opt_size_parse(const char *text, char default_suffix, uint64_t *out);

#endif
