/*
 * Start a child with pipes, no shell in between.
 * Role      OS.
 * Lifetime  spawn_piped() .. spawn_wait() or spawn_stop(), then spawn_close() for the pipes still open.
 * Threads   children may be started from several threads; one child belongs to one thread at a time.
 */
#ifndef WHERRY_OS_SPAWN_H
#define WHERRY_OS_SPAWN_H

#include "base/err.h"

#include <sys/types.h>

struct spawned {
	pid_t pid; /* -1 once it has been waited for */
	int in;    /* write end to the child's stdin; whoever closes it sets -1 */
	int out;   /* read end of its stdout, or -1 */
	int err;   /* read end of its stderr, or -1 when it is inherited */
};

/* argv is NULL-terminated, argv[0] searched in PATH. An exec failure is reported here (ERR_UNREACHABLE
 * "cannot run NAME: ..."), not by the child. The child has default signal handling, no blocked signals and only
 * fds 0-2. With capture_stderr its stderr comes through a pipe. Blocks until the exec. 0 or -1 (then *s owns
 * nothing). */
int spawn_piped(struct spawned *s, char *const argv[], int capture_stderr, struct err *e);

/* Wait for the end; exit status 0..255, or 128+signal; -1 with errno when there is no such child. Pipes stay
 * open: close `in` first when the child ends with its input. */
int spawn_wait(struct spawned *s);

/* Close the pipes, give the child grace_ms to end by itself, then SIGTERM, the same time again, then SIGKILL.
 * As spawn_wait(). */
int spawn_stop(struct spawned *s, int grace_ms);

/* Close the pipes that are still open. */
void spawn_close(struct spawned *s);

#endif
