/*
 * A serving process shuts itself in: Landlock rules for the few trees it needs, no new privileges.
 * Role      OS. One-way: cannot be undone. Call before threads are started.
 */
#ifndef WHERRY_OS_CONFINE_H
#define WHERRY_OS_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

struct confine_path {
	int fd;        /* open directory (O_PATH is enough), borrowed */
	bool writable; /* everything beneath may be changed; else only read */
};

/* 1 = confined, 0 = the kernel has no Landlock (openat2 still protects), -1 with errno. Also allows reading
 * /etc/passwd, /etc/group, /etc/nsswitch.conf, shared libraries (name service), /proc/self, /dev/null;
 * nothing may be executed. */
int confine_to(const struct confine_path *paths, size_t count);

#endif
