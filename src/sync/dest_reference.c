/*
 * Reference directories: --link-dest, --copy-dest, --compare-dest. A file that is the same there needs no content from the source.
 */
#include "sync/dest_internal.h"

#include "os/beneath.h"
#include "os/copy.h"
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum reference { REFERENCE_LINK, REFERENCE_COPY, REFERENCE_COMPARE };

static enum reference kind_of(const struct dest *d, size_t i)
{
	if (i < d->opts->link_dest.count)
		return REFERENCE_LINK;
	return i < d->opts->link_dest.count + d->opts->copy_dest.count ? REFERENCE_COPY : REFERENCE_COMPARE;
}

static bool link_here(
	struct dest_dir *dir, const struct entry *src, int from_dir, const struct dest_need *need)
{
	char temp[DEST_TEMP_BYTES];

	dest_temp_name(temp, src->name, 't');
	if (need->over_directory || fault_point("link") != 0 ||
		linkat(from_dir, src->name, dir->fd, temp, 0) != 0)
		return false;
	if (renameat(dir->fd, temp, dir->fd, src->name) != 0) {
		unlinkat(dir->fd, temp, 0);
		return false;
	}
	struct plan_item item = need->item;
	item.iflags = (item.iflags & ~(uint32_t)ITEM_TRANSFER) | ITEM_LOCAL_CHANGE | ITEM_HLINK;
	dest_placed(dir, src, &item);
	dest_dir_file_done(dir);
	return true;
}

static bool copy_here(struct dest_dir *dir, size_t index, int from_dir, struct dest_need *need)
{
	const struct entry *src = &dir->src.entries[index];
	struct dest_file f;
	struct err e = {0};
	uint64_t copied = 0;
	int in = openat(from_dir, src->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (in < 0)
		return false;
	if (dest_file_open(&f, dir, index, need, false, &e) != 0) {
		dest_file_failed(dir, index);
	} else if (copy_file_content(
			   in, f.fd, src->size, COPY_SPARSE, &copied, NULL, dest_stop_flag(dir->d)) != 0 ||
		   copied != src->size) {
		dest_errno(dir->d, dir, src->name, "copy from the reference directory");
		dest_file_abort(&f, false);
	} else {
		dest_count_content(dir->d, 0, copied);
		dest_file_commit(&f);
	}
	close(in);
	return true;
}

static bool try_reference(struct dest_dir *dir, size_t index, size_t i, struct dest_need *need)
{
	struct dest *d = dir->d;
	const struct entry *src = &dir->src.entries[index];
	struct dirlist strings = {0};
	struct entry there;
	struct err e = {0};
	bool taken = false;
	int from = beneath_open(d->basis_dirs[i], dir->path, O_RDONLY | O_DIRECTORY, 0);

	if (from < 0)
		return false;
	if (scan_entry(&d->scan, from, src->name, src->name, &strings, &there, &e) == 0 &&
		S_ISREG(there.mode) && plan_same_content(&d->rules, src, &there)) {
		bool same = plan_attribute_flags(&d->rules, src, &there) == 0;
		if (kind_of(d, i) == REFERENCE_COMPARE) {
			taken = same;
			if (same)
				dest_dir_file_done(dir);
		} else if (kind_of(d, i) == REFERENCE_LINK && same) {
			taken = link_here(dir, src, from, need);
		}
		if (!taken && kind_of(d, i) != REFERENCE_COMPARE)
			taken = copy_here(dir, index, from, need);
	}
	dirlist_release(&strings);
	close(from);
	return taken;
}

bool dest_from_reference(struct dest_dir *dir, size_t index, struct dest_need *need)
{
	for (size_t i = 0; i < dir->d->basis_dir_count; i++)
		if (try_reference(dir, index, i, need))
			return true;
	return false;
}
