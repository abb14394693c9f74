/*
 * Small helpers that only the encoders and decoders of proto/ use.
 * Role      pure computation.
 */
#ifndef WHERRY_PROTO_WIRE_H
#define WHERRY_PROTO_WIRE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

#include <stdbool.h>
#include <stdint.h>

/* Numbers of directories and of entries in them: far above anything real, small enough to be shifted. */
#define WIRE_ID_MAX     ((uint64_t)1 << 56)
#define WIRE_INDEX_MAX  ((uint64_t)1 << 40)
#define WIRE_OFFSET_MAX ((uint64_t)INT64_MAX)

/* -1 with ERR_PROTOCOL "malformed WHAT: why". */
int wire_bad(const char *what, const char *why, struct err *e);

/* 0, or -1 when the cursor met its end or a limit. */
int wire_check(const struct cursor *c, const char *what, struct err *e);

void wire_put_hash(struct buf *out, struct hash128 h);
struct hash128 wire_get_hash(struct cursor *c);

/* Error codes travel as their table name; an unknown name yields `unknown`. */
void wire_put_code(struct buf *out, enum err_code code);
enum err_code wire_get_code(struct cursor *c, enum err_code unknown);

/* A borrowed string of 0..max bytes without NUL; NULL and bad otherwise. */
const char *wire_get_text(struct cursor *c, size_t max, size_t *len);

#endif
