/*
 * Names for people: control characters and bytes that are no UTF-8 are shown as \#ooo (octal), as rsync shows
 * them; so is a backslash before what would look like such an escape, so that every line has one meaning.
 * Role      pure computation.
 */
#ifndef WHERRY_BASE_ESCAPE_H
#define WHERRY_BASE_ESCAPE_H

#include "base/buf.h"

/* Append the n bytes of s to out, escaped for a terminal or a log line. */
void escape_name(struct buf *out, const char *s, size_t n);

/* Append s as a JSON string with quotes; bytes that are no UTF-8 become \udcXX (Python's surrogateescape). */
void escape_json(struct buf *out, const char *s, size_t n);

#endif
