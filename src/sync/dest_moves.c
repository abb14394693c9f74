/*
 * Moves: what the source has under a new name, and the destination still has under one that is going to be deleted, is renamed.
 */
#include "sync/dest_internal.h"

#include "base/hash.h"
#include "os/beneath.h"
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct doomed *find_doomed(struct dest *d, const char *path, bool *below)
{
	for (size_t i = 0; i < d->doomed_count; i++) {
		struct doomed *x = &d->doomed[i];
		size_t dir_len = strlen(x->dir);
		size_t name_len = strlen(x->name);
		if (x->gone || strncmp(path, x->dir, dir_len) != 0)
			continue;
		const char *rest = path + dir_len + (dir_len && path[dir_len] == '/');
		if (strncmp(rest, x->name, name_len) != 0 || (rest[name_len] && rest[name_len] != '/'))
			continue;
		*below = rest[name_len] == '/';
		return x;
	}
	return NULL;
}

/* With the lock held: this path, or a directory above it. */
static bool went_away(const struct dest *d, const char *path)
{
	for (size_t len = 0;; len++) {
		if ((path[len] == '/' || !path[len]) &&
			u64map_get(&d->moved_away, hash64(path, len, 0), NULL))
			return true;
		if (!path[len])
			return false;
	}
}

bool dest_is_moved_away(struct dest *d, const char *path)
{
	pthread_mutex_lock(&d->lock);
	bool away = u64map_get(&d->moved_away, hash64(path, strlen(path), 0), NULL);
	pthread_mutex_unlock(&d->lock);
	return away;
}

bool dest_is_doomed(struct dest *d, const char *path)
{
	bool below;

	pthread_mutex_lock(&d->lock);
	bool doomed = find_doomed(d, path, &below) != NULL && !went_away(d, path);
	pthread_mutex_unlock(&d->lock);
	return doomed;
}

struct each {
	struct dest *d;
	void (*found)(void *ctx, const char *path, const struct entry *en);
	void *ctx;
};

static void each_below(const struct each *x, const char *path, unsigned depth)
{
	struct scan_options scan = x->d->scan;
	struct dirlist list = {0};
	struct err e = {0};
	int fd = depth < 4096 ? beneath_open(x->d->p.root_fd, path, O_RDONLY | O_DIRECTORY, 0) : -1;

	if (fd < 0)
		return;
	scan.xattrs = scan.acls = scan.digests = false;
	if (scan_dir(&scan, fd, path, NULL, &list, &e) == 0) {
		for (size_t i = 0; i < list.count; i++) {
			char *below = path_join(path, list.entries[i].name);
			if (dest_is_moved_away(x->d, below)) {
				free(below);
				continue;
			}
			if (S_ISREG(list.entries[i].mode))
				x->found(x->ctx, below, &list.entries[i]);
			else if (S_ISDIR(list.entries[i].mode))
				each_below(x, below, depth + 1);
			free(below);
		}
	}
	close(fd);
	dirlist_release(&list);
}

void dest_each_doomed_file(
	struct dest *d, void (*found)(void *ctx, const char *path, const struct entry *en), void *ctx)
{
	const struct each x = {d, found, ctx};

	for (size_t i = 0; i < d->doomed_count; i++) {
		const struct doomed *gone = &d->doomed[i];
		if (gone->gone)
			continue;
		char *path = path_join(gone->dir, gone->name);
		struct entry en = {
			.name = gone->name, .mode = gone->mode, .size = gone->size, .mtime = gone->mtime};
		if (S_ISREG(gone->mode))
			found(ctx, path, &en);
		else if (S_ISDIR(gone->mode) &&
			 !d->p.filter_root) /* with filter rules some of it may have to stay */
			each_below(&x, path, 0);
		free(path);
	}
}

int dest_open_doomed(struct dest *d, const char *path)
{
	return beneath_open(d->p.root_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
}

/* Rename beneath the root, never over anything. */
static int rename_from(struct dest *d, const char *from, struct dest_dir *dir, const char *name)
{
	const char *from_name;
	int from_dir = beneath_parent(d->p.root_fd, from, &from_name);
	int r = -1;

	if (from_dir >= 0 && fault_point("move") == 0)
		r = renameat2(from_dir, from_name, dir->fd, name, RENAME_NOREPLACE);
	if (from_dir >= 0)
		close(from_dir);
	return r;
}

/* The old name will not be there any more when deletions begin. */
static void forget(struct dest *d, const char *from)
{
	bool below;

	pthread_mutex_lock(&d->lock);
	struct doomed *x = find_doomed(d, from, &below);
	if (x && !below)
		x->gone = true;
	else
		u64map_put(&d->moved_away, hash64(from, strlen(from), 0), NULL);
	pthread_mutex_unlock(&d->lock);
}

/* Is something else at the new name, that a rename would have to replace? */
static bool is_occupied(const struct dest_dir *dir, const char *name)
{
	struct stat st;

	return dir->fd >= 0 && fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void moved(struct dest_dir *dir, const struct entry *src, const char *from)
{
	struct dest *d = dir->d;

	forget(d, from);
	atomic_store(&dir->changed, true);
	atomic_fetch_add(&d->counts.moved, 1);
	dest_item(d, EVENT_MOVE, dir->path, src->name, 0, src->mode, src->size, from);
}

/* Compare with what was moved and put the attributes right. */
static void adjust(struct dest_dir *dir, const struct entry *src)
{
	struct dest *d = dir->d;
	struct dirlist strings = {0};
	struct entry now;
	struct err e = {0};

	if (scan_entry(&d->scan, dir->fd, src->name, src->name, &strings, &now, &e) == 0) {
		uint32_t iflags = plan_attribute_flags(&d->rules, src, &now);
		if (iflags)
			dest_set_attributes(d, dir, dir->fd, src->name, -1, src, iflags);
	}
	dirlist_release(&strings);
}

bool dest_file_move(struct dest_dir *dir, size_t index, const struct dest_need *need, const char *from)
{
	const struct entry *src = &dir->src.entries[index];

	(void)need;
	if (!dest_is_doomed(dir->d, from))
		return false;
	if (!dir->d->opts->dry_run) {
		if (rename_from(dir->d, from, dir, src->name) != 0)
			return false;
		adjust(dir, src);
	}
	moved(dir, src, from);
	dest_safe(dir, src);
	dest_dir_file_done(dir);
	return true;
}

bool dest_dir_move(struct dest_dir *dir, size_t index, const char *from)
{
	const struct entry *src = &dir->src.entries[index];

	if (!dest_is_doomed(dir->d, from) || is_occupied(dir, src->name))
		return false;
	if (!dir->d->opts->dry_run) {
		if (rename_from(dir->d, from, dir, src->name) != 0)
			return false;
		adjust(dir, src);
	}
	moved(dir, src, from);
	return true;
}
