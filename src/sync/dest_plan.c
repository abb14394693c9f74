/*
 * Compare one directory with its source listing (a merge of two sorted lists) and act on each pair.
 */
#include "sync/dest_internal.h"

#include "os/beneath.h"
#include "os/fault.h"
#include "os/xattr.h"
#include "sync/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { XATTRS_MAX = 1 << 20 };

static uint32_t map_acl_id(void *ctx, bool is_group, uint32_t id)
{
	struct idmap *ids = ctx;

	return is_group ? idmap_gid(ids, id) : idmap_uid(ids, id);
}

void dest_map_entry(struct dest *d, struct entry *en, struct arena *arena)
{
	struct idmap *ids = d->p.ids;

	if (en->flags & ENTRY_MAPPED)
		return;
	en->flags |= ENTRY_MAPPED;
	if (!idmap_is_identity(ids)) {
		en->uid = idmap_uid(ids, en->uid);
		en->gid = idmap_gid(ids, en->gid);
		if (en->xattrs_len && d->opts->acls) {
			struct buf blob;
			buf_init(&blob, XATTRS_MAX);
			xattr_map_acl_ids(en->xattrs, en->xattrs_len, map_acl_id, ids, &blob);
			if (blob.len == en->xattrs_len)
				en->xattrs = (uint8_t *)arena_memdupz(arena, blob.data, blob.len);
			buf_release(&blob);
		}
	}
	if (d->chmod && !S_ISLNK(en->mode))
		en->mode = chmod_apply(d->chmod, en->mode);
}

static int make_special(struct dest_dir *dir, const struct entry *src, const char *name)
{
	if (fault_point("create") != 0)
		return -1;
	if (S_ISLNK(src->mode))
		return symlinkat(src->target, dir->fd, name);
	return mknodat(dir->fd, name, (src->mode & S_IFMT) | 0600, (dev_t)src->rdev);
}

/* A symlink, device, fifo or socket: whole from the start; under a temporary name when something is to be replaced. */
static void put_special(
	struct dest_dir *dir, const struct entry *src, const struct entry *dst, const struct plan_item *item)
{
	struct dest *d = dir->d;
	char temp[DEST_TEMP_BYTES];

	if ((S_ISCHR(src->mode) || S_ISBLK(src->mode)) && !d->root) {
		atomic_fetch_add(&d->counts.skipped_nodes, 1);
		return;
	}
	dest_temp_name(temp, src->name, 't');
	int r = make_special(dir, src, temp);
	if (r != 0 && errno == EEXIST && dest_is_orphan(dir->fd, temp) &&
		beneath_remove_tree(dir->fd, temp, NULL) == 0)
		r = make_special(dir, src, temp);
	if (r != 0) {
		dest_errno(d, dir, src->name, "create");
		return;
	}
	if (dest_set_attributes(d, dir, dir->fd, temp, -1, src, META_ALL | ITEM_IS_NEW) != 0 &&
		dest_stopped(d))
		goto undo;
	if (dst && S_ISDIR(dst->mode)) {
		dest_swap_later(dir, src, temp, item);
		return;
	}
	if (dst && d->opts->backup && dest_backup(dir, src->name, dst->mode, false) != 0)
		goto undo;
	if (fault_point("rename") != 0 || renameat(dir->fd, temp, dir->fd, src->name) != 0) {
		dest_errno(d, dir, src->name, "rename into place");
		goto undo;
	}
	dest_placed(dir, src, item);
	return;
undo:
	unlinkat(dir->fd, temp, 0);
}

void dest_placed(struct dest_dir *dir, const struct entry *src, const struct plan_item *item)
{
	struct dest *d = dir->d;

	atomic_store(&dir->changed, true);
	atomic_fetch_add(item->iflags & ITEM_IS_NEW ? &d->counts.created : &d->counts.updated, 1);
	dest_item(d, EVENT_ITEM, dir->path, src->name, item->iflags, src->mode, src->size, src->target);
	dest_safe(dir, src);
}

void dest_tell_safe(struct dest *d, const char *dir, const char *name, const struct entry *en, uint64_t token,
	size_t index)
{
	if (!d->opts->remove_source_files || d->opts->dry_run || !d->p.source.safe)
		return;
	char *path = path_join(dir, name);
	d->p.source.safe(d->p.source.ctx, path, en, token, index);
	free(path);
}

/* The source may let go of it now. */
void dest_safe(struct dest_dir *dir, const struct entry *src)
{
	struct dest *d = dir->d;

	if (!S_ISDIR(src->mode))
		dest_tell_safe(d, dir->path, src->name, src, dir->token, (size_t)(src - dir->src.entries));
}

static void put_attributes(struct dest_dir *dir, const struct entry *src, const struct plan_item *item)
{
	struct dest *d = dir->d;

	if (!d->opts->dry_run && dest_set_attributes(d, dir, dir->fd, src->name, -1, src, item->iflags) != 0)
		return;
	atomic_fetch_add(&d->counts.metadata, 1);
	dest_item(d, EVENT_ITEM, dir->path, src->name, item->iflags, src->mode, src->size, src->target);
}

void dest_predict(struct dest_dir *dir, size_t index, const struct dest_need *need)
{
	struct dest *d = dir->d;
	const struct entry *src = &dir->src.entries[index];

	atomic_fetch_add(&d->counts.sent_files, 1);
	atomic_fetch_add(&d->counts.sent_bytes, src->size);
	if (need->over_directory)
		dest_swap_later(dir, src, NULL, &need->item);
	else
		dest_placed(dir, src, &need->item);
}

void dest_predict_dir(struct dest_dir *dir, size_t index)
{
	struct dest *d = dir->d;
	const struct entry *src = &dir->src.entries[index];

	atomic_fetch_add(&d->counts.created, 1);
	dest_item(d, EVENT_ITEM, dir->path, src->name, ITEM_IS_NEW | ITEM_LOCAL_CHANGE, src->mode, 0, NULL);
}

bool dest_dir_has_left_overs(const struct dest_dir *dir)
{
	return dir->dst.stale_count > 0;
}

static void want(struct dest_dir *dir, size_t index, const struct entry *dst, const struct plan_item *item)
{
	const struct entry *src = &dir->src.entries[index];
	struct dest *d = dir->d;
	struct dest_need need = {.item = *item};

	if (dst && S_ISREG(dst->mode)) {
		need.has_basis = true;
		need.basis_size = dst->size;
		/* writing into one of several names would change the others, which may have to become something else */
		need.in_place = d->opts->inplace && (dst->nlink == 1 || !d->opts->hard_links);
	}
	need.over_directory = dst && S_ISDIR(dst->mode);
	if (d->p.source.hold && !dst && src->size && !src->link_group &&
		d->p.source.hold(d->p.source.ctx, dir, index, &need)) {
		atomic_fetch_add(&dir->unfinished, 1);
		return;
	}
	if (d->opts->dry_run) {
		dest_predict(dir, index, &need);
		return;
	}
	atomic_fetch_add(&dir->unfinished, 1);
	if (d->basis_dir_count && dest_from_reference(dir, index, &need))
		return;
	d->p.source.want(d->p.source.ctx, dir, index, &need);
}

static bool is_empty_dir(int dir_fd, const char *name)
{
	struct dirlist list = {0};
	struct err e = {0};
	struct scan_options plain = {.side = FILTER_RECEIVER};
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool empty = fd >= 0 && scan_dir(&plain, fd, "", NULL, &list, &e) == 0 && list.count == 0;

	if (fd >= 0)
		close(fd);
	dirlist_release(&list);
	return empty;
}

/* May an existing directory give way to something else here? */
static bool may_replace(struct dest_dir *dir, const struct entry *src, const struct entry *dst)
{
	const struct sync_options *o = dir->d->opts;
	struct err e;

	if (!S_ISDIR(dst->mode) || S_ISDIR(src->mode) || o->del || o->force ||
		is_empty_dir(dir->fd, dst->name))
		return true;
	err_set(&e, ERR_PARTIAL, "a directory is in the way; --delete or --force would remove it");
	dest_entry_fault(dir->d, dir->path, src->name, &e);
	return false;
}

/* A directory whose contents are not wanted: a mount point with --one-file-system, or without --recursive. */
static void make_bare(struct dest_dir *dir, const struct entry *src)
{
	struct dirlist nothing = {.partial = true};
	char *path = path_join(dir->path, src->name);
	struct dest_dir *child = dest_dir_new(dir->d, dir, path, src);

	child->bare = true;
	dest_dir_open(child);
	dest_dir_plan(child, &nothing);
	dest_dir_unref(child);
	free(path);
}

/* --keep-dirlinks: a symlink to a directory inside the destination does for the directory. */
static bool stands_for_directory(const struct dest_dir *dir, const struct entry *src, const struct entry *dst)
{
	if (!dir->d->opts->keep_dirlinks || !S_ISDIR(src->mode) || !dst || !S_ISLNK(dst->mode))
		return false;
	char *path = path_join(dir->path, src->name);
	int fd = beneath_open_following(dir->d->p.root_fd, path, O_PATH | O_DIRECTORY);
	if (fd >= 0)
		close(fd);
	free(path);
	return fd >= 0;
}

static void act_on_directory(
	struct dest_dir *dir, size_t index, const struct entry *dst, const struct plan_item *item)
{
	const struct entry *src = &dir->src.entries[index];
	struct dest *d = dir->d;

	if (item->action == PLAN_SKIP)
		return;
	bool exists = dst && S_ISDIR(dst->mode);
	if (exists && item->action == PLAN_META) {
		if (src->flags & ENTRY_LISTED)
			dest_item(d, EVENT_ITEM, dir->path, src->name, item->iflags, src->mode, 0, NULL);
		else
			put_attributes(dir, src, item);
		if (d->opts->dry_run && (src->flags & ENTRY_LISTED))
			atomic_fetch_add(&d->counts.metadata, 1);
	}
	bool held = !exists && (src->flags & ENTRY_HAS_TREE_FP) && !(src->flags & ENTRY_LISTED);
	if (!exists && d->opts->dry_run && !held)
		dest_predict_dir(dir, index);
	if (exists || (src->flags & ENTRY_LISTED) || held)
		d->p.source.enter(d->p.source.ctx, dir, index, exists);
	else
		make_bare(dir, src);
}

/* Something an interrupted run left, which the source does not have, or not as this. */
static void discard(struct dest_dir *dir, const struct entry *dst)
{
	if (beneath_remove_tree(dir->fd, dst->name, NULL) != 0)
		dest_errno(dir->d, dir, dst->name, "remove what an interrupted run left");
}

/* Without --perms new content leaves the mode alone, as rsync does. */
static void keep_old_mode(struct entry *src, const struct entry *dst)
{
	src->mode = (src->mode & S_IFMT) | (dst->mode & 07777);
	src->flags |= ENTRY_OLD_MODE;
}

static void act(struct dest_dir *dir, size_t index, const struct entry *dst)
{
	struct dest *d = dir->d;
	const struct entry *src = &dir->src.entries[index];
	if (dst && dir->left_over && (dst->mode & S_IFMT) != (src->mode & S_IFMT)) {
		discard(dir, dst);
		dst = NULL;
	}
	struct plan_item item = plan_entry(dir->left_over ? &d->strict_rules : &d->rules, src, dst);

	if (stands_for_directory(dir, src, dst)) {
		d->p.source.enter(d->p.source.ctx, dir, index, true);
		return;
	}

	if (item.replaces && !may_replace(dir, src, dst))
		return;
	if (S_ISDIR(src->mode)) {
		act_on_directory(dir, index, dst, &item);
		return;
	}
	if (dst && !item.replaces && !d->opts->perms && !dir->left_over)
		keep_old_mode(&dir->src.entries[index], dst);
	if (item.action != PLAN_SKIP && src->link_group && d->opts->hard_links &&
		dest_link_later(dir, src, dst, &item))
		return;
	switch (item.action) {
	case PLAN_NONE:
		dest_safe(dir, src);
		break;
	case PLAN_META:
		put_attributes(dir, src, &item);
		dest_safe(dir, src);
		break;
	case PLAN_FILE:
		want(dir, index, dst, &item);
		break;
	case PLAN_SYMLINK:
	case PLAN_NODE:
		if (d->opts->dry_run && dst && S_ISDIR(dst->mode))
			dest_swap_later(dir, src, NULL, &item);
		else if (d->opts->dry_run)
			dest_placed(dir, src, &item);
		else
			put_special(dir, src, dst, &item);
		break;
	default:
		break;
	}
}

static void doom(struct dest_dir *dir, const struct entry *dst)
{
	if (dir->left_over && !dir->d->opts->dry_run) {
		discard(dir, dst);
		return;
	}
	if (!dir->d->opts->del || dir->src.incomplete || dir->src.partial || (dst->flags & ENTRY_PROTECTED))
		return;
	if (dest_is_guarded(dir->d, dst))
		return;
	dest_doom(dir, dst);
}

/* Does a left-over belong to something that is about to be written again? */
static bool stale_is_needed(const struct dest_dir *dir, const char *stale)
{
	char temp[DEST_TEMP_BYTES];

	for (size_t i = 0; i < dir->src.count; i++) {
		const struct entry *src = &dir->src.entries[i];
		dest_temp_name(temp, src->name, S_ISDIR(src->mode) ? 'd' : 't');
		if (strcmp(temp, stale) == 0)
			return S_ISDIR(src->mode) || S_ISREG(src->mode);
		if (!S_ISREG(src->mode))
			continue;
		dest_aside_name(dir, src->name, temp);
		if (strcmp(temp, stale) == 0)
			return true;
	}
	return false;
}

static void remove_left_over(struct dest_dir *dir, const char *name)
{
	if (!dest_is_orphan(dir->fd, name))
		return;
	beneath_remove_tree(dir->fd, name, NULL);
	atomic_store(&dir->changed, true);
}

/* Before anything is written: what nobody will continue only takes room. */
static void remove_stale(struct dest_dir *dir)
{
	for (size_t i = 0; i < dir->dst.stale_count; i++)
		if (!stale_is_needed(dir, dir->dst.stale[i]))
			remove_left_over(dir, dir->dst.stale[i]);
}

void dest_clear_left_overs(struct dest_dir *dir)
{
	for (size_t i = 0; i < dir->dst.stale_count; i++)
		remove_left_over(dir, dir->dst.stale[i]);
}

void dest_claim_temp(struct dest_dir *dir, const char *temp)
{
	struct dirlist *l = &dir->dst;

	for (size_t i = 0; i < l->stale_count; i++)
		if (strcmp(l->stale[i], temp) == 0)
			l->stale[i--] = l->stale[--l->stale_count];
}

static void count_source(struct dest *d, const struct dirlist *src)
{
	uint64_t files = 0;
	uint64_t bytes = 0;

	for (size_t i = 0; i < src->count; i++) {
		if (S_ISREG(src->entries[i].mode)) {
			files++;
			bytes += src->entries[i].size;
		}
	}
	atomic_fetch_add(&d->counts.entries, src->count);
	atomic_fetch_add(&d->counts.files, files);
	atomic_fetch_add(&d->counts.total_bytes, bytes);
}

static void merge(struct dest_dir *dir)
{
	size_t j = 0;

	for (size_t i = 0; i < dir->src.count && !dest_stopped(dir->d); i++) {
		struct entry *src = &dir->src.entries[i];
		int c = -1;
		while (j < dir->dst.count && (c = entry_name_cmp(&dir->dst.entries[j], src)) < 0)
			doom(dir, &dir->dst.entries[j++]);
		dest_map_entry(dir->d, src, &dir->src.arena);
		act(dir, i, j < dir->dst.count && c == 0 ? &dir->dst.entries[j] : NULL);
		if (j < dir->dst.count && c == 0)
			j++;
	}
	while (j < dir->dst.count && !dest_stopped(dir->d))
		doom(dir, &dir->dst.entries[j++]);
}

void dest_dir_plan(struct dest_dir *dir, struct dirlist *src)
{
	struct dest *d = dir->d;
	struct err e = {0};

	dirlist_release(&dir->src);
	dir->src = *src;
	*src = (struct dirlist){0};
	if (!dir->opened) {
		dest_dir_file_done(dir);
		return;
	}
	count_source(d, &dir->src);
	if (dir->fd >= 0 && !dir->fresh &&
		scan_dir(&d->scan, dir->fd, dir->path, dir->filter, &dir->dst, &e) != 0) {
		dest_entry_fault(d, dir->path, "", &e);
	} else {
		if (!*dir->path && dir->has_self && dir->iflags && !dir->announced)
			dest_item(d, EVENT_ITEM, "", "", dir->iflags, dir->self.mode, 0, NULL);
		if (dir->dst.stale_count && !d->opts->dry_run)
			remove_stale(dir);
		merge(dir);
	}
	if (d->p.source.planned && !dir->bare)
		d->p.source.planned(d->p.source.ctx, dir);
	dest_dir_file_done(dir);
}
