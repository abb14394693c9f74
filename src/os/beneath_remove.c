/*
 * Removing a tree.
 *
 * 1. A level is one directory on the way down. Entering it, all that is no directory is unlinked while it is
 *    read; the names of its directories are kept and entered one after the other. No directory stream is open
 *    while we are further down, so memory is the names of directories along one path and nothing else.
 * 2. The fds of the first KEEP_FDS levels stay open. Deeper down a level's fd is closed when we go below it and
 *    reopened by ".." when we come back; it must then be the same inode, else somebody moved directories about
 *    and we stop rather than remove what was not asked for.
 * 3. rmdir takes only empty directories: one that gained entries meanwhile is read again, a few times.
 */
#include "os/beneath.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "os/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEEP_FDS = 32, RESCANS = 3, NAMES_MAX_BYTES = 512 << 20 };

struct level {
	const char *name; /* in its parent's names, or the caller's */
	dev_t dev;
	ino_t ino;
	int fd;           /* -1 while closed for being above a deep one */
	bool failed;      /* something below could not be removed: no rmdir */
	int rescans;      /* left */
	size_t next;      /* offset of the first name not yet entered */
	struct buf names; /* of directories, each with its NUL */
};

struct removal {
	int base_fd;
	struct level *levels;
	size_t depth; /* levels in use */
	size_t cap;
	uint64_t removed;
	int error; /* errno of the first failure */
};

static struct level *top(struct removal *r)
{
	return &r->levels[r->depth - 1];
}

static void fail(struct removal *r)
{
	if (!r->error)
		r->error = errno;
	if (r->depth)
		top(r)->failed = true;
}

/* Returns 0 also when somebody else was faster, EISDIR for a directory. */
static int remove_name(struct removal *r, int dir_fd, const char *name, int flags)
{
	if (fault_point("unlink") != 0)
		return errno;
	if (unlinkat(dir_fd, name, flags) == 0) {
		r->removed++;
		return 0;
	}
	return errno == ENOENT ? 0 : errno;
}

/* Unlink everything in the top level that is no directory, note the directories. */
static int scan(struct removal *r)
{
	struct level *l = top(r);
	int fd = openat(l->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	l->next = 0;
	buf_clear(&l->names);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	struct dirent *de;
	for (errno = 0; (de = readdir(d)); errno = 0) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		int e = de->d_type == DT_DIR ? EISDIR : remove_name(r, l->fd, de->d_name, 0);
		if (e == EISDIR)
			buf_put(&l->names, de->d_name, strlen(de->d_name) + 1);
		errno = e;
		if (e && e != EISDIR)
			fail(r);
	}
	int e = l->names.overflow ? ENOMEM : errno;
	closedir(d);
	errno = e;
	return e ? -1 : 0;
}

/* An fd of the directory with u+rwx given, or -1. */
static int open_dir(int dir_fd, const char *name, struct stat *st)
{
	enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
	int fd = openat(dir_fd, name, FLAGS);

	if (fd < 0 && errno == EACCES && beneath_chmod(dir_fd, name, S_IRWXU) == 0)
		fd = openat(dir_fd, name, FLAGS);
	if (fd < 0)
		return -1;
	if (fstat(fd, st) != 0) {
		close(fd);
		return -1;
	}
	if ((st->st_mode & S_IRWXU) != S_IRWXU && fault_point("chmod") == 0)
		(void)!fchmod(
			fd, (st->st_mode & 07777) | S_IRWXU); /* unlinking tells what was not possible */
	return fd;
}

static void push(struct removal *r, const char *name, int fd, const struct stat *st)
{
	if (r->depth == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 16;
		r->levels = xreallocarray(r->levels, r->cap, sizeof(*r->levels));
	}
	if (r->depth > KEEP_FDS) {
		close(top(r)->fd);
		top(r)->fd = -1;
	}
	struct level *l = &r->levels[r->depth++];
	*l = (struct level){.name = name, .fd = fd, .dev = st->st_dev, .ino = st->st_ino, .rescans = RESCANS};
	buf_init(&l->names, NAMES_MAX_BYTES);
}

/* Go down into the directory `name` of dir_fd; what turns out to be no directory is unlinked. */
static void enter(struct removal *r, int dir_fd, const char *name)
{
	struct stat st;
	int fd = open_dir(dir_fd, name, &st);

	if (fd < 0) {
		int e = errno;
		if (e == ENOTDIR || e == ELOOP)
			e = remove_name(r, dir_fd, name, 0);
		errno = e;
		if (e && e != ENOENT)
			fail(r);
		return;
	}
	push(r, name, fd, &st);
	if (scan(r) != 0)
		fail(r);
}

/* Open the level above the top one again, from below. 0 or -1. */
static int reopen_above(struct removal *r)
{
	struct level *above = &r->levels[r->depth - 2];
	struct stat st;

	if (above->fd >= 0)
		return 0;
	int fd = openat(top(r)->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || st.st_dev != above->dev || st.st_ino != above->ino) {
		close(fd);
		errno = ESTALE;
		return -1;
	}
	above->fd = fd;
	return 0;
}

static void pop(struct removal *r)
{
	struct level *l = top(r);

	if (l->fd >= 0)
		close(l->fd);
	buf_release(&l->names);
	r->depth--;
}

/* The top level has no more directories: remove it and go up. */
static void leave(struct removal *r)
{
	struct level *l = top(r);

	if (r->depth > 1 && reopen_above(r) != 0) {
		fail(r);
		while (r->depth)
			pop(r);
		return;
	}
	int above = r->depth > 1 ? r->levels[r->depth - 2].fd : r->base_fd;
	int e = l->failed ? 0 : remove_name(r, above, l->name, AT_REMOVEDIR);
	if ((e == ENOTEMPTY || e == EEXIST) && l->rescans-- > 0) {
		if (scan(r) != 0)
			fail(r);
		return;
	}
	bool failed = l->failed || e;
	pop(r);
	errno = e;
	if (e)
		fail(r);
	else if (failed && r->depth)
		top(r)->failed = true;
}

int beneath_remove_tree(int dir_fd, const char *name, uint64_t *removed)
{
	struct removal r = {.base_fd = dir_fd};

	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		errno = EINVAL;
		return -1;
	}
	enter(&r, dir_fd, name);
	while (r.depth) {
		struct level *l = top(&r);
		const char *sub = (const char *)l->names.data + l->next;
		if (l->next < l->names.len) {
			l->next += strlen(sub) + 1;
			enter(&r, l->fd, sub);
		} else {
			leave(&r);
		}
	}
	free(r.levels);
	if (removed)
		*removed += r.removed;
	errno = r.error;
	return r.error ? -1 : 0;
}
