/*
 * Hard links. The first member of a group that is planned is its leader and is treated as any file; the others are followers and are
 * linked when every content has arrived. A follower that already shares the leader's inode, and whose leader keeps that inode, is done.
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

bool dest_link_later(
	struct dest_dir *dir, const struct entry *src, const struct entry *dst, const struct plan_item *item)
{
	struct dest *d = dir->d;
	bool leader;
	bool linked = false;

	pthread_mutex_lock(&d->lock);
	uint64_t *slot = u64map_put(&d->groups, src->link_group, &leader);
	if (leader) {
		struct link_group *g = xcalloc(1, sizeof(*g));
		g->leader = path_join(dir->path, src->name);
		if (dst && (item->action == PLAN_NONE || item->action == PLAN_META)) {
			g->dev = dst->dev;
			g->ino = dst->ino;
		}
		*slot = (uint64_t)(uintptr_t)g;
	} else {
		struct link_group *g = (struct link_group *)(uintptr_t)*slot;
		linked = dst && g->ino && dst->ino == g->ino && dst->dev == g->dev;
		if (!linked) {
			if (d->link_count == d->link_cap) {
				d->link_cap = d->link_cap ? d->link_cap * 2 : 64;
				d->links = xreallocarray(d->links, d->link_cap, sizeof(*d->links));
			}
			d->links[d->link_count++] = (struct late_link){
				.path = path_join(dir->path, src->name),
				.group = src->link_group,
				.mode = src->mode,
				.dev = dst ? dst->dev : 0,
				.ino = dst ? dst->ino : 0,
				.item = *item,
				.en = *src,
				.token = dir->token,
				.index = (size_t)(src - dir->src.entries),
				.over_directory = dst && S_ISDIR(dst->mode),
				.filter = dst && S_ISDIR(dst->mode) && dir->filter ? filter_ref(dir->filter)
										   : NULL,
			};
			atomic_store(&dir->late, true);
		}
	}
	pthread_mutex_unlock(&d->lock);
	if (linked)
		dest_safe(dir, src);
	return !leader;
}

static int link_fault(struct dest *d, const char *path, const char *what)
{
	struct err e;

	err_sys(&e, errno == ENOSPC || errno == EDQUOT ? ERR_IO : ERR_PARTIAL, "%s", what);
	report_entry_error(d->p.report, path, &e);
	if (e.code == ERR_NO_SPACE)
		dest_fail(d, &e);
	return -1;
}

static const struct link_group *group_of(const struct dest *d, const struct late_link *l)
{
	uint64_t value = 0;

	u64map_get(&d->groups, l->group, &value);
	return (const struct link_group *)(uintptr_t)value;
}

/* The leader's parent (an fd to close) and state; -1 after reporting. */
static int open_leader(struct dest *d, const struct late_link *l, const char **name, struct stat *st)
{
	int dir = beneath_parent(d->p.root_fd, group_of(d, l)->leader, name);

	if (dir >= 0 && fstatat(dir, *name, st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st->st_mode))
		return dir;
	if (dir >= 0)
		close(dir);
	errno = ENOENT;
	return link_fault(d, l->path, "the file it is a hard link to did not arrive");
}

static int link_at(struct dest *d, const struct late_link *l, int leader_dir, const char *leader, int dir,
	const char *temp)
{
	int r = fault_point("link") != 0 ? -1 : linkat(leader_dir, leader, dir, temp, 0);

	if (r != 0 && errno == EEXIST && unlinkat(dir, temp, 0) == 0)
		r = linkat(leader_dir, leader, dir, temp, 0);
	return r == 0 ? 0 : link_fault(d, l->path, "make hard link");
}

int dest_link_temp(struct dest *d, const struct late_link *l, int dir, const char *temp)
{
	const char *leader;
	struct stat st;
	int leader_dir = open_leader(d, l, &leader, &st);

	if (leader_dir < 0)
		return -1;
	int r = link_at(d, l, leader_dir, leader, dir, temp);
	close(leader_dir);
	return r;
}

static int replace_with_link(struct dest *d, const struct late_link *l, int leader_dir, const char *leader,
	int dir, const char *name, const struct stat *now)
{
	char temp[DEST_TEMP_BYTES];

	dest_temp_name(temp, name, 't');
	if (link_at(d, l, leader_dir, leader, dir, temp) != 0)
		return -1;
	if (now && d->opts->backup) {
		char *dir_path = xmemdupz(l->path, (size_t)(name > l->path ? name - l->path - 1 : 0));
		struct dest_dir at = {.d = d, .fd = dir, .path = dir_path};
		int r = dest_backup(&at, name, now->st_mode, false);
		free(dir_path);
		if (r != 0)
			goto undo;
	}
	if (fault_point("rename") == 0 && renameat(dir, temp, dir, name) == 0)
		return 0;
	link_fault(d, l->path, "rename into place");
undo:
	unlinkat(dir, temp, 0);
	return -1;
}

/* 1 = made, 0 = it was one already, -1 = reported. */
static int make_link(struct dest *d, const struct late_link *l)
{
	const char *leader;
	const char *name;
	struct stat lead;
	struct stat now;
	int done = -1;
	int leader_dir = open_leader(d, l, &leader, &lead);
	int dir = leader_dir < 0 ? -1 : beneath_parent(d->p.root_fd, l->path, &name);

	if (leader_dir < 0)
		return -1;
	bool there = dir >= 0 && fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW) == 0;
	if (dir < 0)
		link_fault(d, l->path, "open directory");
	else if (there && now.st_ino == lead.st_ino && now.st_dev == lead.st_dev)
		done = 0;
	else if (replace_with_link(d, l, leader_dir, leader, dir, name, there ? &now : NULL) == 0)
		done = 1;
	close(leader_dir);
	if (dir >= 0)
		close(dir);
	return done;
}

void dest_link_made(struct dest *d, const struct late_link *l)
{
	bool is_new = l->item.iflags & ITEM_IS_NEW;
	uint32_t iflags = ITEM_HLINK | ITEM_LOCAL_CHANGE | (is_new ? ITEM_IS_NEW : 0);

	dest_tell_safe(d, "", l->path, &l->en, l->token, l->index);
	atomic_fetch_add(&d->counts.linked, 1);
	dest_item(d, EVENT_ITEM, "", l->path, iflags, l->mode, 0, group_of(d, l)->leader);
}

void dest_make_links(struct dest *d, bool after)
{
	for (size_t i = 0; i < d->link_count && !dest_stopped(d); i++) {
		struct late_link *l = &d->links[i];
		if (l->done)
			continue;
		if (l->over_directory && !after)
			dest_swap_link(d, l);
		if (l->over_directory || (!after && dest_is_swapped(d, group_of(d, l)->leader)))
			continue;
		l->done = true;
		int made = d->opts->dry_run ? 1 : make_link(d, l);
		if (made == 1)
			dest_link_made(d, l);
		else if (made == 0)
			dest_tell_safe(d, "", l->path, &l->en, l->token, l->index);
	}
}
