/*
 * Reads along what a child says on its stderr: passes lines on to ours, keeps the last 4 KiB.
 * Role      OS; a thread of its own.
 * Lifetime  chan_stderr_new() .. chan_stderr_free(); owns the descriptor.
 * Threads   any.
 */
#ifndef WHERRY_CHAN_CHAN_STDERR_H
#define WHERRY_CHAN_CHAN_STDERR_H

#include <stdbool.h>

struct chan_stderr;

/* Lines appear as "host: line", escaped, unless quiet. */
struct chan_stderr *chan_stderr_new(int fd, const char *host, bool quiet);

/* The last words, NUL-terminated, malloc'ed ("" when there are none). Waits at most wait_ms for the end of the
 * stream: somebody else (an ssh master process) may hold it open for ever. */
char *chan_stderr_words(struct chan_stderr *s, int wait_ms);

/* As long as wait_ms, then stops reading whatever comes. */
void chan_stderr_free(struct chan_stderr *s, int wait_ms);

#endif
