/*
 * File access that cannot leave a root: every path is resolved beneath a directory fd by
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS); where the kernel has no openat2 (or a
 * sandbox hides it), component by component with O_NOFOLLOW.
 * Role      OS. Names are single components unless called "path".
 * Threads   every function may be called from any thread.
 * Errors    functions return -1 with errno set, as the calls they wrap; O_CLOEXEC is always added; EINTR is
 *           retried. EXDEV: the path is absolute or has a ".." component (even one that would stay inside).
 *           ELOOP or ENOTDIR: a component is a symlink.
 */
#ifndef WHERRY_OS_BENEATH_H
#define WHERRY_OS_BENEATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Open `path` (relative, "" or "." = the root itself, any length even beyond PATH_MAX) beneath root_fd. Flags
 * and mode are those of open(2); a final symlink is opened only by O_PATH|O_NOFOLLOW. A name without '/' costs
 * one plain openat(). Blocks as open(2) does: give O_NONBLOCK where the name may be a fifo. Returns an fd. */
int beneath_open(int root_fd, const char *path, int flags, mode_t mode);

/* Open an existing path whose symlinks are followed as long as they stay beneath root_fd. Needs openat2. fd or -1. */
int beneath_open_following(int root_fd, const char *path, int flags);

/* Same, but only the parent is resolved: returns the parent's fd (O_PATH|O_DIRECTORY) and the last component
 * in *name, which points into path. EINVAL when the path names no entry: "", ".", or a '/' at its end. */
int beneath_parent(int root_fd, const char *path, const char **name);

/* A user's own path (may be absolute, may pass symlinks and "..", any length): open it as a directory to work
 * beneath. `flags` are added to O_DIRECTORY|O_CLOEXEC, e.g. O_RDONLY or O_PATH. */
int beneath_root(const char *path, int flags);

/* chmod of a non-symlink that cannot be tricked into following one: fchmodat2, else O_PATH + /proc/self/fd.
 * EOPNOTSUPP for a symlink; EINVAL when name is no single component ("." is one). */
int beneath_chmod(int dir_fd, const char *name, mode_t mode);

/* Remove a whole tree below dir_fd/name (or the single non-directory there) without leaving it and without
 * recursion of the C stack; at most 40 fds at any depth. Adds the removed entries to *removed (may be NULL).
 * Directories without u+rwx are made writable first. What is gone already counts as done (a name that never
 * was there too). After a failure the rest is still removed; returns -1 with the errno of the first one.
 * File systems mounted below are emptied too. */
int beneath_remove_tree(int dir_fd, const char *name, uint64_t *removed);

#endif
