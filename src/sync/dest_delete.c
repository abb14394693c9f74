/*
 * Deletions, earned: they are only noted while directories are compared, and carried out here, at the end, when the whole source is known.
 *   1. A source that could not be read completely deletes nothing (unless --ignore-errors).
 *   2. An empty source does not empty a destination that has something (unless --force-empty).
 *   3. All that would go is counted first, entry by entry; past --max-delete nothing goes.
 *   4. What a filter rule protects stays, and so do the directories above it.
 */
#include "sync/dest_internal.h"

#include "os/beneath.h"
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void dest_doom(struct dest_dir *dir, const struct entry *en)
{
	struct dest *d = dir->d;

	pthread_mutex_lock(&d->lock);
	if (d->doomed_count == d->doomed_cap) {
		d->doomed_cap = d->doomed_cap ? d->doomed_cap * 2 : 64;
		d->doomed = xreallocarray(d->doomed, d->doomed_cap, sizeof(*d->doomed));
	}
	d->doomed[d->doomed_count++] = (struct doomed){
		.filter = dir->filter ? filter_ref(dir->filter) : NULL,
		.dir = xstrdup(dir->path),
		.name = xstrdup(en->name),
		.mode = en->mode,
		.size = en->size,
		.mtime = en->mtime,
	};
	pthread_mutex_unlock(&d->lock);
	atomic_store(&dir->late, true);
}

void dest_late_dir(struct dest_dir *dir)
{
	struct dest *d = dir->d;
	bool times = dir->has_self && d->rules.times && d->rules.dir_times;
	uint32_t mode = 0;

	if (!d->root && dir->has_self && d->opts->perms)
		mode = dir->self.mode;
	else if (dir->loosened)
		mode = dir->had_mode;
	if (mode)
		fchmod(dir->fd, (mode | 0700) & 07777); /* still to be worked in */
	pthread_mutex_lock(&d->lock);
	if (d->late_dir_count == d->late_dir_cap) {
		d->late_dir_cap = d->late_dir_cap ? d->late_dir_cap * 2 : 64;
		d->late_dirs = xreallocarray(d->late_dirs, d->late_dir_cap, sizeof(*d->late_dirs));
	}
	d->late_dirs[d->late_dir_count++] = (struct late_dir){
		.path = xstrdup(dir->path),
		.mode = mode,
		.mtime = dir->self.mtime,
		.set_time = times,
	};
	pthread_mutex_unlock(&d->lock);
}

static void removals_add(struct removals *r, char *path, uint32_t mode)
{
	if (r->count == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 64;
		r->v = xreallocarray(r->v, r->cap, sizeof(*r->v));
	}
	r->v[r->count++] = (struct removal){path, mode};
}

void dest_removals_release(struct removals *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->v[i].path);
	free(r->v);
	*r = (struct removals){0};
}

bool dest_is_guarded(const struct dest *d, const struct entry *en)
{
	for (size_t i = 0; i < d->guard_count; i++)
		if (en->ino == d->guards[i].ino && en->dev == d->guards[i].dev)
			return true;
	return false;
}

enum { DELETE_DEPTH_MAX = 4096 };

static bool collect(struct dest *d, const char *path, struct filter_dir *parent, const char *name,
	struct removals *out, unsigned depth)
{
	struct dirlist list = {0};
	struct filter_dir *filter = NULL;
	struct err e = {0};
	bool all = false;
	int fd = depth < DELETE_DEPTH_MAX ? beneath_open(d->p.root_fd, path, O_RDONLY | O_DIRECTORY, 0) : -1;

	if (fd < 0) {
		err_sys(&e, ERR_PARTIAL, "open directory to delete it");
		dest_entry_fault(d, path, "", &e);
		return false;
	}
	if (parent && !(filter = filter_enter(parent, name, fd, &e))) {
		dest_entry_fault(d, path, "", &e);
		close(fd);
		return false;
	}
	struct scan_options scan = d->scan;
	scan.doomed = true;
	scan.xattrs = scan.acls = scan.digests = false;
	if (scan_dir(&scan, fd, path, filter, &list, &e) != 0)
		dest_entry_fault(d, path, "", &e);
	else
		all = !list.incomplete;
	close(fd);
	for (size_t i = 0; i < list.count; i++) {
		const struct entry *en = &list.entries[i];
		char *below = path_join(path, en->name);
		if (dest_is_moved_away(d, below)) {
			free(below);
			continue;
		}
		bool keep =
			(en->flags & ENTRY_PROTECTED) || dest_is_guarded(d, en) ||
			(S_ISDIR(en->mode) && (!scan_may_enter(&d->scan, en) ||
						      !collect(d, below, filter, en->name, out, depth + 1)));
		if (keep) {
			all = false;
			free(below);
		} else {
			removals_add(out, below, en->mode);
		}
	}
	filter_unref(filter);
	dirlist_release(&list);
	return all;
}

static int compare_doomed(const void *a, const void *b)
{
	const struct doomed *x = a;
	const struct doomed *y = b;
	int c = strcmp(x->dir, y->dir);

	return c ? c : strcmp(x->name, y->name);
}

bool dest_collect(
	struct dest *d, const char *path, struct filter_dir *parent, const char *name, struct removals *out)
{
	return collect(d, path, parent, name, out, 0);
}

static void collect_all(struct dest *d, struct removals *out)
{
	if (d->doomed_count)
		qsort(d->doomed, d->doomed_count, sizeof(*d->doomed), compare_doomed);
	for (size_t i = 0; i < d->doomed_count; i++) {
		struct doomed *x = &d->doomed[i];
		if (x->gone)
			continue;
		char *path = path_join(x->dir, x->name);
		if (S_ISDIR(x->mode) && !collect(d, path, x->filter, x->name, out, 0))
			free(path);
		else
			removals_add(out, path, x->mode);
	}
}

static void remove_fault(struct dest *d, const char *path)
{
	struct err e;

	err_sys(&e, ERR_PARTIAL, "delete");
	report_entry_error(d->p.report, path, &e);
}

/* Left-overs of interrupted runs are not listed; they do not keep a directory alive. */
static int remove_litter(struct dest *d, int dir_fd, const char *name)
{
	struct dirlist list = {0};
	struct err e = {0};
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -1;
	struct scan_options scan = d->scan;
	scan.xattrs = scan.acls = scan.digests = false;
	int r = scan_dir(&scan, fd, "", NULL, &list, &e);
	for (size_t i = 0; r == 0 && i < list.stale_count; i++)
		if (dest_is_orphan(fd, list.stale[i]))
			r = beneath_remove_tree(fd, list.stale[i], NULL);
	dirlist_release(&list);
	close(fd);
	return r;
}

/* The directory that `path` is in belongs to us but cannot be changed: it goes too, or its mode is set again at the end. */
static bool make_room(struct dest *d, const char *path, size_t dir_len)
{
	char *dir_path = xmemdupz(path, dir_len);
	struct stat st;
	int fd = beneath_open(d->p.root_fd, dir_path, O_RDONLY | O_DIRECTORY, 0);
	bool made = fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == d->euid && (st.st_mode & 0300) != 0300 &&
		    fchmod(fd, (st.st_mode | 0700) & 07777) == 0;

	if (fd >= 0)
		close(fd);
	free(dir_path);
	return made;
}

/* 0, or -1 with errno. */
static int unlink_one(struct dest *d, const struct removal *x, int dir_fd, const char *name)
{
	int flags = S_ISDIR(x->mode) ? AT_REMOVEDIR : 0;
	int r = unlinkat(dir_fd, name, flags);

	if (r != 0 && errno == EACCES &&
		make_room(d, x->path, name > x->path ? (size_t)(name - x->path - 1) : 0))
		r = unlinkat(dir_fd, name, flags);
	if (r != 0 && S_ISDIR(x->mode) && errno == ENOTEMPTY && remove_litter(d, dir_fd, name) == 0)
		r = unlinkat(dir_fd, name, AT_REMOVEDIR);
	return r != 0 && errno == ENOENT ? 0 : r;
}

bool dest_remove_one(struct dest *d, const struct removal *x)
{
	const char *name;
	int dir_fd = beneath_parent(d->p.root_fd, x->path, &name);
	int r = dir_fd < 0 ? -1 : fault_point("delete");

	if (r == 0 && d->opts->backup && !S_ISDIR(x->mode)) {
		char *dir_path = xmemdupz(x->path, (size_t)(name > x->path ? name - x->path - 1 : 0));
		struct dest_dir dir = {.d = d, .fd = dir_fd, .path = dir_path};
		r = dest_backup(&dir, name, x->mode, true);
		free(dir_path);
	} else if (r == 0) {
		r = unlink_one(d, x, dir_fd, name);
		if (r != 0)
			remove_fault(d, x->path);
	} else {
		remove_fault(d, x->path);
	}
	if (dir_fd >= 0)
		close(dir_fd);
	return r == 0;
}

static int refuse(struct dest *d, size_t count, bool source_complete, struct err *e)
{
	const struct sync_options *o = d->opts;

	if (!source_complete && !o->ignore_errors) {
		report_note(d->p.report, "the source could not be read completely: nothing was deleted");
		return 1;
	}
	if (!atomic_load(&d->source_has_entries) && !o->force_empty)
		return err_set(e, ERR_EMPTY,
			"the source is empty: refusing to delete all %zu entries of the destination; "
			"--force-empty does it",
			count);
	if (o->max_delete >= 0 && count > (uint64_t)o->max_delete)
		return err_set(e, ERR_MAX_DELETE,
			"%zu deletions would pass --max-delete=%lld: nothing was deleted", count,
			(long long)o->max_delete);
	return 0;
}

int dest_delete(struct dest *d, bool source_complete, struct err *e)
{
	struct removals r = {0};
	int verdict = 0;

	if (d->p.root_fd >= 0) {
		collect_all(d, &r);
		dest_swaps_collect(d);
	}
	size_t count = r.count + d->swapped.count;
	if (count) {
		report_progress(d->p.report)->phase = PHASE_DELETE;
		verdict = refuse(d, count, source_complete, e);
	}
	for (size_t i = 0; verdict == 0 && i < r.count && !dest_stopped(d); i++) {
		if (!d->opts->dry_run && !dest_remove_one(d, &r.v[i]))
			continue;
		atomic_fetch_add(&d->counts.deleted, 1);
		dest_item(d, EVENT_DELETE, "", r.v[i].path, 0, r.v[i].mode, 0, NULL);
	}
	/* --force: a directory goes because the source has something else there, not because it lacks something */
	dest_swaps_carry_out(d, verdict == 0 || (verdict > 0 && d->opts->force));
	dest_removals_release(&r);
	return verdict < 0 ? -1 : 0;
}
