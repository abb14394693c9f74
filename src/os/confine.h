/*
 * A serving process shuts itself in: Landlock rules for the few trees it needs, no new privileges.
 * Role      OS. One-way: cannot be undone. What is open already stays usable, sockets and signals are untouched.
 * Threads   binds the calling thread and what it starts: call before threads are started.
 */
#ifndef WHERRY_OS_CONFINE_H
#define WHERRY_OS_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

struct confine_path {
	int fd;        /* open directory (O_PATH is enough), borrowed */
	bool writable; /* everything beneath may be changed; else only read */
};

/* 1 = confined, 0 = the kernel has no Landlock, or one older than 5.19, which would forbid every rename between
 * directories (openat2 still protects), -1 with errno. No new privileges can be gained afterwards, in any of these
 * cases. Also allows reading /etc/passwd, /etc/group, /etc/nsswitch.conf, shared libraries (name service),
 * /proc/self, time zones, and reading and writing /dev/null; nothing may be executed.
 * A hard link from a read-only tree into a writable one is refused by the kernel (EXDEV), as it would make the
 * file writable: a --link-dest tree must be given as writable. */
int confine_to(const struct confine_path *paths, size_t count);

#endif
