/*
 * Lists that the user names on the command line: --exclude-from, --include-from, --files-from.
 * Role      OS: reads a file or stdin.
 */
#ifndef WHERRY_SYNC_OPTION_FILE_H
#define WHERRY_SYNC_OPTION_FILE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

/* Append the whole file ("-": stdin) to out, whose maximum limits it. 0, or -1 with ERR_SOURCE (cannot be
 * read) or ERR_USAGE (too large). May block on stdin. */
int option_file_read(const char *path, struct buf *out, struct err *e);

/*
 * The next non-empty item from *at on, NUL-terminated in place: NUL-separated when from0, else separated by
 * newline or carriage return. comments: items that begin with ';' or '#' are skipped. NULL at the end.
 */
char *option_file_next(struct buf *content, size_t *at, bool from0, bool comments);

#endif
