/*
 * File access that cannot leave a root: every path is resolved beneath a directory fd by
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS); where the kernel has no openat2,
 * component by component with O_NOFOLLOW.
 * Role      OS. Names are single components unless called "path".
 * Errors    functions return -1 with errno set, as the calls they wrap; O_CLOEXEC is always added.
 */
#ifndef WHERRY_OS_BENEATH_H
#define WHERRY_OS_BENEATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Open `path` (relative, "" or "." = the root itself, any length even beyond PATH_MAX) beneath root_fd.
 * Returns an fd. */
int beneath_open(int root_fd, const char *path, int flags, mode_t mode);

/* Same, but only the parent is resolved: returns the parent's fd (O_PATH|O_DIRECTORY) and the last component
 * in *name. */
int beneath_parent(int root_fd, const char *path, const char **name);

/* A user's own path (may be absolute, may pass symlinks): open it as a directory to work beneath. */
int beneath_root(const char *path, int flags);

/* chmod of a non-symlink that cannot be tricked into following one: fchmodat2, else O_PATH + /proc/self/fd.
 */
int beneath_chmod(int dir_fd, const char *name, mode_t mode);

/* Remove a whole tree below dir_fd/name without leaving it and without recursion of the C stack; counts
 * removed entries in *removed (may be NULL). Directories without u+rwx are made writable first. */
int beneath_remove_tree(int dir_fd, const char *name, uint64_t *removed);

#endif
