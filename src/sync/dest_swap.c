/*
 * A file, symlink, device or hard link takes the place of a directory. What is in the directory is deleted, and that is earned as any deletion is
 * (dest_delete.c): counted, told, and refused when a filter rule protects some of it. So the new thing waits under a temporary name:
 *   1. Without --backup both change places in one step, and the old tree goes after that: nobody sees the name missing.
 *   2. With --backup what is in the directory is moved to its backup names first, then the empty directory makes way.
 * Hard links come last, for what they link to may have been waiting too.
 */
#include "sync/dest_internal.h"

#include "os/beneath.h"
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct swap *add(struct dest *d)
{
	if (d->swap_count == d->swap_cap) {
		d->swap_cap = d->swap_cap ? d->swap_cap * 2 : 16;
		d->swaps = xreallocarray(d->swaps, d->swap_cap, sizeof(*d->swaps));
	}
	return &d->swaps[d->swap_count++];
}

void dest_swap_later(
	struct dest_dir *dir, const struct entry *src, const char *temp, const struct plan_item *item)
{
	struct dest *d = dir->d;

	pthread_mutex_lock(&d->lock);
	struct swap *s = add(d);
	*s = (struct swap){
		.dir = xstrdup(dir->path),
		.name = xstrdup(src->name),
		.filter = dir->filter ? filter_ref(dir->filter) : NULL,
		.mode = src->mode,
		.size = src->size,
		.target = src->target ? xstrdup(src->target) : NULL,
		.item = *item,
	};
	if (temp) {
		memcpy(s->temp, temp, sizeof(s->temp));
		dest_claim_temp(dir, temp);
	}
	pthread_mutex_unlock(&d->lock);
	atomic_store(&dir->late, true);
}

void dest_swap_link(struct dest *d, const struct late_link *l)
{
	const char *slash = strrchr(l->path, '/');
	struct swap *s = add(d);

	*s = (struct swap){
		.dir = xmemdupz(l->path, slash ? (size_t)(slash - l->path) : 0),
		.name = xstrdup(slash ? slash + 1 : l->path),
		.filter = l->filter ? filter_ref(l->filter) : NULL,
		.mode = l->mode,
		.link = l,
		.item = l->item,
	};
	dest_temp_name(s->temp, s->name, 't');
}

bool dest_is_swapped(const struct dest *d, const char *path)
{
	for (size_t i = 0; i < d->swap_count; i++) {
		size_t dir_len = strlen(d->swaps[i].dir);
		if (strncmp(path, d->swaps[i].dir, dir_len) == 0 &&
			strcmp(path + dir_len + (dir_len && path[dir_len] == '/'), d->swaps[i].name) == 0)
			return true;
	}
	return false;
}

void dest_swaps_collect(struct dest *d)
{
	for (size_t i = 0; i < d->swap_count; i++) {
		struct swap *s = &d->swaps[i];
		char *path = path_join(s->dir, s->name);
		s->first = d->swapped.count;
		s->blocked = !dest_collect(d, path, s->filter, s->name, &d->swapped);
		s->count = d->swapped.count - s->first;
		free(path);
	}
}

static int fault(struct dest *d, const struct swap *s, const char *what)
{
	struct err e;

	err_sys(&e, ERR_PARTIAL, "%s", what);
	dest_entry_fault(d, s->dir, s->name, &e);
	return -1;
}

static void tell(struct dest *d, const struct swap *s, bool deletions)
{
	for (size_t i = s->first; deletions && i < s->first + s->count; i++) {
		atomic_fetch_add(&d->counts.deleted, 1);
		dest_item(d, EVENT_DELETE, "", d->swapped.v[i].path, 0, d->swapped.v[i].mode, 0, NULL);
	}
	if (s->link) {
		dest_link_made(d, s->link);
	} else {
		atomic_fetch_add(&d->counts.created, 1);
		dest_item(d, EVENT_ITEM, s->dir, s->name, s->item.iflags, s->mode, s->size, s->target);
	}
}

/* What is in the directory to its backup names; then it can be removed, unless they are in there too. */
static int empty_directory(struct dest *d, const struct swap *s, int dir)
{
	for (size_t i = s->first; i < s->first + s->count; i++) {
		if (!dest_remove_one(d, &d->swapped.v[i]))
			return -1;
		atomic_fetch_add(&d->counts.deleted, 1);
		dest_item(d, EVENT_DELETE, "", d->swapped.v[i].path, 0, d->swapped.v[i].mode, 0, NULL);
	}
	if (unlinkat(dir, s->name, AT_REMOVEDIR) != 0)
		return fault(d, s, "remove the directory in the way");
	return 0;
}

static int exchange(struct dest *d, const struct swap *s, int dir)
{
	if (fault_point("exchange") != 0 || renameat2(dir, s->temp, dir, s->name, RENAME_EXCHANGE) != 0)
		return fault(d, s, "replace directory");
	if (beneath_remove_tree(dir, s->temp, NULL) != 0)
		fault(d, s, "remove the replaced directory");
	return 0;
}

static int put_in_place(struct dest *d, const struct swap *s, int dir)
{
	if (!d->opts->backup)
		return exchange(d, s, dir);
	if (empty_directory(d, s, dir) != 0)
		return -1;
	if (fault_point("rename") != 0 || renameat2(dir, s->temp, dir, s->name, RENAME_NOREPLACE) != 0)
		return fault(d, s, "rename into place");
	return 0;
}

static void carry_out(struct dest *d, const struct swap *s)
{
	int dir = beneath_open(d->p.root_fd, s->dir, O_RDONLY | O_DIRECTORY, 0);

	if (dir < 0) {
		fault(d, s, "open directory");
		return;
	}
	if (!s->link || dest_link_temp(d, s->link, dir, s->temp) == 0) {
		if (put_in_place(d, s, dir) == 0)
			tell(d, s, !d->opts->backup);
		else
			unlinkat(dir, s->temp, 0);
	}
	close(dir);
}

static void drop(struct dest *d, const struct swap *s)
{
	int dir = s->link || !*s->temp ? -1 : beneath_open(d->p.root_fd, s->dir, O_RDONLY | O_DIRECTORY, 0);

	if (dir < 0)
		return;
	unlinkat(dir, s->temp, 0);
	close(dir);
}

static void decide(struct dest *d, const struct swap *s, bool allowed)
{
	struct err e;

	if (allowed && s->blocked) {
		err_set(&e, ERR_PARTIAL, "a directory is in the way, and not all in it may be deleted");
		dest_entry_fault(d, s->dir, s->name, &e);
	}
	if (!allowed || s->blocked || dest_stopped(d))
		drop(d, s);
	else if (d->opts->dry_run)
		tell(d, s, true);
	else
		carry_out(d, s);
}

void dest_swaps_carry_out(struct dest *d, bool allowed)
{
	for (int links = 0; links < 2; links++)
		for (size_t i = 0; i < d->swap_count; i++)
			if ((d->swaps[i].link != NULL) == (links == 1))
				decide(d, &d->swaps[i], allowed);
	dest_swaps_free(d);
}

void dest_swaps_free(struct dest *d)
{
	for (size_t i = 0; i < d->swap_count; i++) {
		filter_unref(d->swaps[i].filter);
		free(d->swaps[i].dir);
		free(d->swaps[i].name);
		free(d->swaps[i].target);
	}
	free(d->swaps);
	d->swaps = NULL;
	d->swap_count = d->swap_cap = 0;
	dest_removals_release(&d->swapped);
}
