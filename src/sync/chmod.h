/*
 * rsync's --chmod: "Dg+s,ug+w,Fo-w,+X", "D755,F644".
 * Role      pure computation.
 * Lifetime  chmod_parse() .. chmod_free().
 * Threads   read-only once parsed.
 */
#ifndef WHERRY_SYNC_CHMOD_H
#define WHERRY_SYNC_CHMOD_H

#include "base/err.h"

#include <stdint.h>

struct chmod_rules;

/*
 * Comma-separated changes, applied in order. Each: optional D (directories only) or F (everything else), then
 * either letters of "ugoa", one of + - =, letters of "rwxXst", or an octal mode of at most 07777. Without any
 * of "ugoa" all three are meant, less the bits of umask. NULL with ERR_USAGE.
 */
struct chmod_rules *chmod_parse(const char *text, uint32_t umask_bits, struct err *e);
void chmod_free(struct chmod_rules *r);

/* The mode after all changes; the file type (S_IFMT) decides on D, F and X and stays. r may be NULL. */
uint32_t chmod_apply(const struct chmod_rules *r, uint32_t mode);

#endif
