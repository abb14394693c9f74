/*
 * The four system calls on attributes, relative to a directory fd: listxattrat and its sisters (Linux 6.13), else the
 * old calls through /proc/self/fd. For os/xattr.c alone.
 * Role      OS.
 * Errors    -1 with errno, as the calls they wrap.
 */
#ifndef WHERRY_OS_XATTR_SYS_H
#define WHERRY_OS_XATTR_SYS_H

#include <stddef.h>
#include <sys/types.h>

/* What the calls work on: dir_fd/name, a symlink not followed; or dir_fd itself when name is "". */
struct xattr_target {
	int dir_fd;
	const char *name;
};

ssize_t xattr_sys_list(const struct xattr_target *t, char *names, size_t room);
ssize_t xattr_sys_get(const struct xattr_target *t, const char *attr, void *value, size_t room);
int xattr_sys_set(const struct xattr_target *t, const char *attr, const void *value, size_t len);
int xattr_sys_remove(const struct xattr_target *t, const char *attr);

#endif
