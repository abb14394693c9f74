/*
 * How a path is resolved.
 *
 * 1. ".." is refused before the kernel sees it. What remains can only go down, so a directory that is renamed
 *    while we resolve leads at worst to where it was moved, never above a directory that we were given.
 * 2. No component is followed when it is a symlink: openat2 sees to it in one call; the walk in user space opens
 *    each component O_PATH|O_NOFOLLOW|O_DIRECTORY. A single name needs no more than O_NOFOLLOW.
 * 3. A path of PATH_MAX bytes or more is cut at slashes into spans that the kernel takes; each span is resolved
 *    beneath the directory that the one before opened.
 */
#include "os/beneath.h"

#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

enum { DIR_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
enum { AGAIN_TRIES = 32 };

/* Opens the first `len` bytes of path (NUL behind them) below dir_fd. */
typedef int (*resolve_fn)(int dir_fd, const char *path, int flags, mode_t mode);

static void close_keep_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

static int open_retry(int dir_fd, const char *name, int flags, mode_t mode)
{
	int fd;

	do
		fd = openat(dir_fd, name, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static int open2_retry(int dir_fd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)flags,
		.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode & 07777 : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	for (int tries = 0;; tries++) {
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EINTR && (errno != EAGAIN || tries >= AGAIN_TRIES)))
			return (int)fd;
	}
}

/* Asked once: 1 yes, 2 no. A sandbox may answer EPERM for calls it does not know. */
static bool have_openat2(void)
{
	static _Atomic int known;
	int state = atomic_load_explicit(&known, memory_order_relaxed);

	if (!state) {
		struct open_how how = {.flags = O_PATH | O_CLOEXEC};
		long fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
		if (fd >= 0)
			close((int)fd);
		state = fd < 0 && (errno == ENOSYS || errno == EPERM) ? 2 : 1;
		atomic_store_explicit(&known, state, memory_order_relaxed);
	}
	return state == 1;
}

static bool is_dot(const char *s, size_t n)
{
	return n == 1 && s[0] == '.';
}

/* The next component of *path that is not empty and not ".": its length, 0 at the end. */
static size_t next_component(const char **path)
{
	for (;;) {
		while (**path == '/')
			(*path)++;
		size_t n = strcspn(*path, "/");
		if (!is_dot(*path, n))
			return n;
		*path += n;
	}
}

/* One step down; a symlink is refused unless it is the last component and asked for as such. */
static int walk_step(int dir_fd, const char *name, int flags, mode_t mode)
{
	bool link_wanted = (flags & O_PATH) && (flags & O_NOFOLLOW);
	int fd = open_retry(dir_fd, name, flags | O_NOFOLLOW, mode);
	struct stat st;

	if (fd < 0 || !(flags & O_PATH) || link_wanted)
		return fd;
	if (fstat(fd, &st) != 0 || S_ISLNK(st.st_mode)) {
		close(fd);
		errno = ELOOP;
		return -1;
	}
	return fd;
}

/* What openat2 does, for kernels without it. */
static int walk(int root_fd, const char *path, int flags, mode_t mode)
{
	char name[NAME_MAX + 1];
	int dir_fd = root_fd;

	for (;;) {
		size_t n = next_component(&path);
		if (n > NAME_MAX) {
			errno = ENAMETOOLONG;
			break;
		}
		memcpy(name, n ? path : ".", n ? n : 1);
		name[n ? n : 1] = '\0';
		path += n;
		bool last = !*path;
		int fd = last ? walk_step(dir_fd, name, flags, mode) : open_retry(dir_fd, name, DIR_FLAGS, 0);
		if (dir_fd != root_fd)
			close_keep_errno(dir_fd);
		if (fd < 0 || last)
			return fd;
		dir_fd = fd;
	}
	if (dir_fd != root_fd)
		close_keep_errno(dir_fd);
	return -1;
}

static int resolve_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
	return have_openat2() ? open2_retry(dir_fd, path, flags, mode) : walk(dir_fd, path, flags, mode);
}

/* For a user's own path, where following symlinks is wanted. */
static int resolve_trusted(int dir_fd, const char *path, int flags, mode_t mode)
{
	return open_retry(dir_fd, path, flags & ~O_NOFOLLOW, mode);
}

/* Where to cut a path of more than `max` bytes: behind the last '/' of those. 0 = there is none. */
static size_t span_cut(const char *path, size_t max)
{
	size_t n = max;

	while (n > 0 && path[n - 1] != '/')
		n--;
	return n;
}

/* Resolve `len` bytes of path, in as many spans as it takes. */
static int open_spans(int root_fd, const char *path, size_t len, int flags, mode_t mode, resolve_fn resolve)
{
	char span[PATH_MAX];
	int dir_fd = root_fd;
	int fd = -1;

	for (bool last = false; !last;) {
		last = len < sizeof(span);
		size_t n = last ? len : span_cut(path, sizeof(span) - 1);
		if (!last && !n) {
			errno = ENAMETOOLONG;
			break;
		}
		memcpy(span, n ? path : ".", n ? n : 1);
		span[n ? n : 1] = '\0';
		fd = last ? resolve(dir_fd, span, flags, mode) : resolve(dir_fd, span, DIR_FLAGS, 0);
		if (dir_fd != root_fd)
			close_keep_errno(dir_fd);
		if (fd < 0 || last)
			return fd;
		dir_fd = fd;
		for (path += n, len -= n; len && *path == '/'; path++)
			len--;
	}
	if (dir_fd != root_fd)
		close_keep_errno(dir_fd);
	return -1;
}

/* Can this path only go down? Else EXDEV. */
static bool goes_down(const char *path)
{
	bool down = path[0] != '/';

	for (const char *p = path; down && *p;) {
		if (p[0] == '.' && p[1] == '.' && (!p[2] || p[2] == '/'))
			down = false;
		p = strchrnul(p, '/');
		while (*p == '/')
			p++;
	}
	if (!down)
		errno = EXDEV;
	return down;
}

static bool is_component(const char *name)
{
	bool ok = *name && !strchr(name, '/') && strcmp(name, "..") != 0;

	if (!ok)
		errno = EINVAL;
	return ok;
}

int beneath_open_following(int root_fd, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, root_fd, *path ? path : ".", &how, sizeof(how));
}

int beneath_open(int root_fd, const char *path, int flags, mode_t mode)
{
	flags |= O_CLOEXEC;
	if (flags & O_PATH)
		flags &= DIR_FLAGS;
	if (!goes_down(path) || ((flags & (O_CREAT | O_TRUNC)) && fault_point("open") != 0))
		return -1;
	if (!*path)
		path = ".";
	bool link_ok = !(flags & O_PATH) || (flags & O_NOFOLLOW);
	if (link_ok && !strchr(path, '/'))
		return open_retry(root_fd, path, flags | O_NOFOLLOW, mode);
	size_t len = strlen(path);
	if (len < PATH_MAX)
		return resolve_beneath(root_fd, path, flags, mode);
	return open_spans(root_fd, path, len, flags, mode, resolve_beneath);
}

int beneath_parent(int root_fd, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;

	if (!goes_down(path))
		return -1;
	if (!*last || strcmp(last, ".") == 0) {
		errno = EINVAL;
		return -1;
	}
	*name = last;
	if (!slash)
		return open_retry(root_fd, ".", DIR_FLAGS, 0);
	return open_spans(root_fd, path, (size_t)(slash - path), DIR_FLAGS, 0, resolve_beneath);
}

int beneath_root(const char *path, int flags)
{
	flags |= O_DIRECTORY | O_CLOEXEC;
	if (!*path) {
		errno = ENOENT;
		return -1;
	}
	return open_spans(AT_FDCWD, path, strlen(path), flags, 0, resolve_trusted);
}

/* With flags that no kernel knows, fchmodat2 answers EINVAL where it exists. */
static bool have_fchmodat2(void)
{
	static _Atomic int known;
	int state = atomic_load_explicit(&known, memory_order_relaxed);

	if (!state) {
		long r = syscall(SYS_fchmodat2, -1, "", 0, ~0u);
		state = r < 0 && errno == EINVAL ? 1 : 2;
		atomic_store_explicit(&known, state, memory_order_relaxed);
	}
	return state == 1;
}

static int chmod_by_proc(int dir_fd, const char *name, mode_t mode)
{
	char proc[sizeof("/proc/self/fd/") + 12];
	int fd = open_retry(dir_fd, name, O_PATH | O_NOFOLLOW, 0);
	struct stat st;

	if (fd < 0)
		return -1;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	int r = fstat(fd, &st);
	if (r == 0 && S_ISLNK(st.st_mode)) {
		errno = EOPNOTSUPP;
		r = -1;
	}
	if (r == 0)
		r = chmod(proc, mode);
	close_keep_errno(fd);
	return r;
}

int beneath_chmod(int dir_fd, const char *name, mode_t mode)
{
	mode &= 07777;
	if (!is_component(name) || fault_point("chmod") != 0)
		return -1;
	if (!have_fchmodat2())
		return chmod_by_proc(dir_fd, name, mode);
	return (int)syscall(SYS_fchmodat2, dir_fd, name, mode, AT_SYMLINK_NOFOLLOW);
}
