/*
 * Unfinished files of interrupted runs, as something to take bytes from.
 *   1. Where no older version of the file is there, an unfinished one is continued in place.
 *   2. Where one is, both help: the unfinished file is put aside under a second temporary name, the older version is appended to it, and a
 *      delta is made against the whole. Interrupted once more, what had arrived until then is appended too: nothing is sent again.
 * What is here is never believed, only offered: the finished file's tag decides.
 */
#include "sync/dest_internal.h"

#include "os/copy.h"
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Appended pieces begin at a multiple of this, so that blocks of them are blocks of the whole. */
enum { PIECE_ALIGN = 64 << 10, COPY_BYTES = 256 << 10 };

static int temp_dir_fd(const struct dest_dir *dir)
{
	return dir->d->temp_fd >= 0 ? dir->d->temp_fd : dir->fd;
}

void dest_file_temp_name(const struct dest_dir *dir, const char *name, char out[DEST_TEMP_BYTES])
{
	if (dir->d->temp_fd < 0) {
		dest_temp_name(out, name, 't');
		return;
	}
	char *path = path_join(dir->path, name); /* in --temp-dir names of all directories meet */
	dest_temp_name(out, path, 't');
	free(path);
}

/* Of the file that was put aside: no entry's name has a slash. */
void dest_aside_name(const struct dest_dir *dir, const char *name, char out[DEST_TEMP_BYTES])
{
	char *aside = xasprintf("%s/", name);

	dest_file_temp_name(dir, aside, out);
	free(aside);
}

/* Locked, and still under the name it was opened by: its former owner may just have renamed it. */
static int open_left_over(int dir_fd, const char *temp)
{
	struct stat by_fd;
	struct stat by_name;
	int fd = openat(dir_fd, temp, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &by_fd) == 0 && S_ISREG(by_fd.st_mode) &&
		fstatat(dir_fd, temp, &by_name, AT_SYMLINK_NOFOLLOW) == 0 && by_fd.st_ino == by_name.st_ino &&
		by_fd.st_nlink == 1)
		return fd;
	close(fd);
	return -1;
}

int dest_open_partial(struct dest_dir *dir, size_t index)
{
	char temp[DEST_TEMP_BYTES];

	if (dir->fresh)
		return -1;
	dest_file_temp_name(dir, dir->src.entries[index].name, temp);
	return open_left_over(temp_dir_fd(dir), temp);
}

int dest_open_aside(struct dest_dir *dir, size_t index)
{
	char aside[DEST_TEMP_BYTES];

	if (dir->fresh)
		return -1;
	dest_aside_name(dir, dir->src.entries[index].name, aside);
	return open_left_over(temp_dir_fd(dir), aside);
}

void dest_drop_aside(struct dest_dir *dir, size_t index)
{
	char aside[DEST_TEMP_BYTES];

	dest_aside_name(dir, dir->src.entries[index].name, aside);
	unlinkat(temp_dir_fd(dir), aside, 0);
}

/* Everything of `from` behind what is in `to`. When it does not fit, `to` stays what it was: less to take from. */
static void append(int to, int from)
{
	uint8_t *io = xmalloc(COPY_BYTES);
	struct stat st;
	uint64_t at = 0;
	int64_t n = 0;

	if (fstat(to, &st) == 0) {
		uint64_t begin = ((uint64_t)st.st_size + PIECE_ALIGN - 1) / PIECE_ALIGN * PIECE_ALIGN;
		while ((n = pread_full(from, io, COPY_BYTES, at)) > 0 &&
			pwrite_all(to, io, (size_t)n, begin + at) == 0)
			at += (uint64_t)n;
		if (n != 0)
			(void)!ftruncate(to, st.st_size);
	}
	free(io);
}

int dest_gather(struct dest_dir *dir, size_t index)
{
	const char *name = dir->src.entries[index].name;
	char temp[DEST_TEMP_BYTES];
	char aside[DEST_TEMP_BYTES];
	int at = temp_dir_fd(dir);
	int all = dest_open_aside(dir, index);
	int part = dest_open_partial(dir, index);
	int more = all >= 0 ? part : dest_open_basis(dir, index);

	dest_file_temp_name(dir, name, temp);
	dest_aside_name(dir, name, aside);
	if (all < 0 && part >= 0 && fault_point("rename") == 0 && renameat(at, temp, at, aside) == 0) {
		all = part;
		part = -1;
	}
	if (all >= 0 && more >= 0)
		append(all, more);
	if (part >= 0)
		unlinkat(at, temp, 0);
	if (more >= 0 && more != part)
		close(more);
	if (part >= 0)
		close(part);
	return all;
}
