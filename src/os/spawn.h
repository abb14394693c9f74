/*
 * Start a child with pipes, no shell in between.
 * Role      OS.
 */
#ifndef WHERRY_OS_SPAWN_H
#define WHERRY_OS_SPAWN_H

#include "base/err.h"

#include <sys/types.h>

struct spawned {
	pid_t pid;
	int in;  /* write end to the child's stdin */
	int out; /* read end of its stdout */
	int err; /* read end of its stderr, or -1 when it is inherited */
};

/* argv is NULL-terminated, argv[0] searched in PATH. An exec failure is reported here (ERR_UNREACHABLE
 * "cannot run NAME: ..."), not by the child. The child has default signal handling and only fds 0-2. With
 * capture_stderr its stderr comes through a pipe. 0 or -1. */
int spawn_piped(struct spawned *s, char *const argv[], int capture_stderr, struct err *e);

/* Wait for the end; exit status 0..255, or 128+signal. */
int spawn_wait(struct spawned *s);

#endif
