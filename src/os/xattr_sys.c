#include "os/xattr_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_setxattrat
#define SYS_setxattrat    463
#define SYS_getxattrat    464
#define SYS_listxattrat   465
#define SYS_removexattrat 466
#endif

/* The kernel's struct xattr_args (linux/xattr.h since 6.13). */
struct at_args {
	_Alignas(8) uint64_t value;
	uint32_t size;
	uint32_t flags;
};

/* Asked once. With flags that no kernel knows the answer is EINVAL where the call exists. */
static bool have_at_calls(void)
{
	static _Atomic int known;
	int state = atomic_load_explicit(&known, memory_order_relaxed);

	if (!state) {
		long r = syscall(SYS_listxattrat, -1, "", ~0u, NULL, 0);
		state = r < 0 && errno == EINVAL ? 1 : 2;
		atomic_store_explicit(&known, state, memory_order_relaxed);
	}
	return state == 1;
}

static bool is_fd_itself(const struct xattr_target *t)
{
	return !t->name[0];
}

static unsigned at_flags(const struct xattr_target *t)
{
	return is_fd_itself(t) ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
}

/* Must the way through /proc be gone? The new calls do not take O_PATH fds themselves. */
static bool refused(const struct xattr_target *t)
{
	return is_fd_itself(t) && errno == EBADF;
}

/* A path for the old calls; for an fd itself the last step is to be followed. */
struct proc_path {
	char text[PATH_MAX];
};

static const char *proc_path(const struct xattr_target *t, struct proc_path *p)
{
	int n;

	if (t->dir_fd == AT_FDCWD)
		n = snprintf(p->text, sizeof(p->text), "%s", t->name);
	else if (is_fd_itself(t))
		n = snprintf(p->text, sizeof(p->text), "/proc/self/fd/%d", t->dir_fd);
	else
		n = snprintf(p->text, sizeof(p->text), "/proc/self/fd/%d/%s", t->dir_fd, t->name);
	if (n >= 0 && (size_t)n < sizeof(p->text))
		return p->text;
	errno = ENAMETOOLONG;
	return NULL;
}

ssize_t xattr_sys_list(const struct xattr_target *t, char *names, size_t room)
{
	struct proc_path p;

	if (have_at_calls()) {
		long r = syscall(SYS_listxattrat, t->dir_fd, t->name, at_flags(t), names, room);
		if (r >= 0 || !refused(t))
			return r;
	}
	if (!proc_path(t, &p))
		return -1;
	return is_fd_itself(t) ? listxattr(p.text, names, room) : llistxattr(p.text, names, room);
}

ssize_t xattr_sys_get(const struct xattr_target *t, const char *attr, void *value, size_t room)
{
	struct proc_path p;

	if (have_at_calls()) {
		struct at_args args = {.value = (uintptr_t)value, .size = (uint32_t)room};
		long r = syscall(SYS_getxattrat, t->dir_fd, t->name, at_flags(t), attr, &args, sizeof(args));
		if (r >= 0 || !refused(t))
			return r;
	}
	if (!proc_path(t, &p))
		return -1;
	return is_fd_itself(t) ? getxattr(p.text, attr, value, room) : lgetxattr(p.text, attr, value, room);
}

int xattr_sys_set(const struct xattr_target *t, const char *attr, const void *value, size_t len)
{
	struct proc_path p;

	if (have_at_calls()) {
		struct at_args args = {.value = (uintptr_t)value, .size = (uint32_t)len};
		long r = syscall(SYS_setxattrat, t->dir_fd, t->name, at_flags(t), attr, &args, sizeof(args));
		if (r >= 0 || !refused(t))
			return (int)r;
	}
	if (!proc_path(t, &p))
		return -1;
	return is_fd_itself(t) ? setxattr(p.text, attr, value, len, 0)
			       : lsetxattr(p.text, attr, value, len, 0);
}

int xattr_sys_remove(const struct xattr_target *t, const char *attr)
{
	struct proc_path p;

	if (have_at_calls()) {
		long r = syscall(SYS_removexattrat, t->dir_fd, t->name, at_flags(t), attr);
		if (r >= 0 || !refused(t))
			return (int)r;
	}
	if (!proc_path(t, &p))
		return -1;
	return is_fd_itself(t) ? removexattr(p.text, attr) : lremovexattr(p.text, attr);
}
