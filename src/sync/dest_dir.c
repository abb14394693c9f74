/*
 * The life of one destination directory.
 *
 *   new ──open──> existing ─────────────────────────────────┐
 *          └────> staged (made as .wherry.<hash>.d) ──publish──> published ──last reference──> finished (time set)
 *
 * A staged directory is published (renamed to its own name) when its planning is over and none of its files is in work: `unfinished`
 * counts both. Sub-directories do not hold it back; they are staged inside it through its descriptor.
 */
#include "sync/dest_internal.h"

#include "os/beneath.h"
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

struct dest_dir *dest_dir_new(
	struct dest *d, struct dest_dir *parent, const char *path, const struct entry *self)
{
	struct dest_dir *dir = xcalloc(1, sizeof(*dir));

	dir->d = d;
	dir->parent = parent ? dest_dir_ref(parent) : NULL;
	atomic_init(&dir->refs, 1);
	atomic_init(&dir->unfinished, 1);
	dir->fd = -1;
	dir->path = xstrdup(path);
	const char *slash = strrchr(dir->path, '/');
	dir->name = slash ? slash + 1 : dir->path;
	arena_init(&dir->arena);
	dirlist_init(&dir->src);
	dirlist_init(&dir->dst);
	if (self) {
		dir->self = *self;
		dir->has_self = true;
		if (self->xattrs_len)
			dir->self.xattrs =
				(uint8_t *)arena_memdupz(&dir->arena, self->xattrs, self->xattrs_len);
		dest_map_entry(d, &dir->self, &dir->arena);
	}
	return dir;
}

struct dest_dir *dest_dir_ref(struct dest_dir *dir)
{
	atomic_fetch_add_explicit(&dir->refs, 1, memory_order_relaxed);
	return dir;
}

/* For people: its type and permissions. */
static uint32_t shown_mode(const struct dest_dir *dir)
{
	return dir->has_self ? dir->self.mode : S_IFDIR | (0777 & ~dir->d->umask);
}

static void announce_root(struct dest_dir *dir)
{
	atomic_fetch_add(&dir->d->counts.created, 1);
	dest_item(dir->d, EVENT_ITEM, "", "", ITEM_IS_NEW | ITEM_LOCAL_CHANGE, shown_mode(dir), 0, NULL);
	dir->announced = true;
}

/* Where it is named: the parent's descriptor and its name there; the caller closes *owned when it is >= 0. */
static int naming_fd(struct dest_dir *dir, int *owned)
{
	const char *name;

	*owned = -1;
	if (dir->parent)
		return dir->parent->fd;
	*owned = beneath_parent(dir->d->p.root_fd, dir->path, &name);
	return *owned;
}

/* What a directory that was there before looks like, what of it is to change, and room to work in it. */
static void look_at_existing(struct dest_dir *dir)
{
	struct dest *d = dir->d;
	struct dirlist strings;
	struct entry now;
	struct err e = {0};

	dirlist_init(&strings);
	if (scan_entry(&d->scan, dir->fd, ".", dir->path, &strings, &now, &e) != 0) {
		dest_entry_fault(d, dir->path, "", &e);
	} else {
		dir->had_mode = now.mode;
		dir->had_mtime = now.mtime;
		dir->new_gid = now.mode & S_ISGID ? now.gid : d->egid;
		if (dir->has_self)
			dir->iflags = plan_attribute_flags(&d->rules, &dir->self, &now);
		if (!d->root && now.uid == d->euid && (now.mode & 0700) != 0700 && !d->opts->dry_run)
			dir->loosened = fchmod(dir->fd, (now.mode | 0700) & 07777) == 0;
	}
	dirlist_release(&strings);
}

static int try_existing(struct dest_dir *dir)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

	if (!dir->parent)
		return beneath_open(dir->d->p.root_fd, dir->path, flags, 0);
	int fd = openat(dir->parent->fd, dir->name, flags);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR) && dir->d->opts->keep_dirlinks)
		fd = beneath_open_following(dir->d->p.root_fd, dir->path, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && errno == EACCES && !dir->d->opts->dry_run &&
		beneath_chmod(dir->parent->fd, dir->name, 0700) == 0)
		fd = openat(dir->parent->fd, dir->name, flags);
	return fd;
}

static bool make_stage(struct dest_dir *dir)
{
	int owned;
	int at = naming_fd(dir, &owned);
	struct stat st;
	bool ok = false;

	dest_temp_name(dir->stage, dir->name, 'd');
	if (fault_point("mkdir") == 0 && mkdirat(at, dir->stage, 0700) == 0)
		dir->fresh = true;
	else if (errno != EEXIST)
		goto out;
	dir->fd = openat(at, dir->stage, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	ok = dir->fd >= 0;
	if (ok && !dir->fresh) { /* go on in it */
		dir->left_over = true;
		look_at_existing(dir);
	} else if (ok && fstat(dir->fd, &st) == 0) {
		dir->had_mode = st.st_mode;
		dir->new_gid =
			st.st_gid; /* not ours when the parent had set-gid; what is in it gets the same */
	}
out:
	if (!ok)
		dest_errno(dir->d, dir, "", "create directory");
	if (owned >= 0)
		close(owned);
	return ok;
}

/* Asked of the directory itself: when a new one was made, its parent may just have got its ACL or not yet. */
static bool has_default_acl(const struct dest_dir *dir)
{
	return fgetxattr(dir->fd, "system.posix_acl_default", NULL, 0) > 0;
}

/* Receiver-side filter context: from the parent's, or along the path from the root. */
static void enter_filter(struct dest_dir *dir)
{
	struct dest *d = dir->d;
	struct err e = {0};

	if (!d->p.filter_root || dir->fd < 0)
		return;
	if (!*dir->path)
		dir->filter = filter_ref(d->p.filter_root);
	else if (dir->parent && dir->parent->filter)
		dir->filter = filter_enter(dir->parent->filter, dir->name, dir->fd, &e);
	else
		dir->filter = filter_walk(d->p.filter_root, d->p.root_fd, dir->path, &e);
	if (!dir->filter)
		dest_fail(d, &e);
}

bool dest_dir_open(struct dest_dir *dir)
{
	struct dest *d = dir->d;

	if (dir->parent && !dir->parent->opened)
		return false;
	bool absent = d->p.root_fd < 0 || (dir->parent && (dir->parent->fresh || dir->parent->fd < 0));
	if (!absent) {
		dir->fd = try_existing(dir);
		if (dir->fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
			dest_errno(d, dir, "", "open directory");
			return false;
		}
	}
	if (dir->fd >= 0) {
		atomic_store(&dir->published, true);
		dir->left_over = dir->parent && dir->parent->left_over;
		look_at_existing(dir);
	} else {
		dir->created = true;
		if (!d->opts->dry_run && !make_stage(dir))
			return false;
	}
	if (dir->fd >= 0)
		dir->default_acl = has_default_acl(dir);
	dir->opened = true;
	if (!*dir->path && d->p.root_created)
		announce_root(dir);
	enter_filter(dir);
	return true;
}

/* Of a new one. A set-gid bit that it inherited stays unless modes are kept. */
static uint32_t final_mode(const struct dest_dir *dir)
{
	bool given = dir->has_self && dir->d->opts->perms;
	uint32_t mode = dir->has_self ? dest_new_mode(dir->d, &dir->self) : 0777 & ~dir->d->umask;

	return given ? mode : mode | (dir->had_mode & S_ISGID);
}

static uint32_t working_mode(const struct dest_dir *dir)
{
	uint32_t mode = final_mode(dir);

	return dir->d->root ? mode : mode | 0700;
}

/* Put what stands under the final name aside and the stage in its place. */
static int exchange(struct dest_dir *dir, int at)
{
	struct dest *d = dir->d;
	struct stat st;

	if (fstatat(at, dir->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	if (S_ISDIR(st.st_mode)) {
		errno = EEXIST; /* another run made it */
		return -1;
	}
	if (d->opts->backup && dir->parent && dest_backup(dir->parent, dir->name, st.st_mode, false) != 0)
		return -1;
	if (fault_point("exchange") != 0 || renameat2(at, dir->stage, at, dir->name, RENAME_EXCHANGE) != 0)
		return -1;
	return beneath_remove_tree(at, dir->stage, NULL);
}

void dest_dir_publish_now(struct dest_dir *dir)
{
	struct dest *d = dir->d;
	int owned;
	int at = naming_fd(dir, &owned);

	if (dir->has_self)
		dest_set_attributes(d, dir, -1, "", dir->fd, &dir->self,
			ITEM_OWNER | ITEM_GROUP | ITEM_ACL | ITEM_XATTR | (dir->fresh ? ITEM_IS_NEW : 0));
	fchmod(dir->fd, working_mode(dir));
	if (d->strict)
		fsync(dir->fd);
	int r = fault_point("rename directory");
	if (r == 0)
		r = renameat2(at, dir->stage, at, dir->name, RENAME_NOREPLACE);
	if (r != 0 && errno == EEXIST)
		r = exchange(dir, at);
	if (r != 0) {
		dest_errno(d, dir, "", "create directory");
	} else {
		atomic_store(&dir->published, true);
		atomic_fetch_add(&d->counts.created, 1);
		dest_item(d, EVENT_ITEM, dir->path, "", ITEM_IS_NEW | ITEM_LOCAL_CHANGE, shown_mode(dir), 0,
			NULL);
		if (dir->parent)
			atomic_store(&dir->parent->changed, true);
		if (d->strict)
			fsync(at);
	}
	atomic_store(&dir->changed, true);
	if (owned >= 0)
		close(owned);
}

void dest_dir_file_done(struct dest_dir *dir)
{
	if (atomic_fetch_sub(&dir->unfinished, 1) != 1)
		return;
	if (!dir->opened || atomic_load(&dir->published) || dir->fd < 0)
		return;
	if (dest_stopped(dir->d))
		return; /* stays under its temporary name for a later run */
	if (dir->d->committer)
		committer_add(dir->d->committer, (struct commit){.dir = dest_dir_ref(dir)});
	else
		dest_dir_publish_now(dir);
}

/* Everything in it is done: now its own mode and time can be final. */
static void finish(struct dest_dir *dir)
{
	struct dest *d = dir->d;

	if (dir->fd < 0 || d->opts->dry_run)
		return;
	if (dir->dst.stale_count && !dest_stopped(d))
		dest_clear_left_overs(dir);
	if (!atomic_load(&dir->published))
		return;
	uint32_t iflags = dir->created ? ITEM_TIME : dir->iflags;
	if (atomic_load(&dir->changed) && dir->has_self && d->rules.times && d->rules.dir_times)
		iflags |= ITEM_TIME;
	if (dir->has_self && iflags)
		dest_set_attributes(d, dir, -1, "", dir->fd, &dir->self, iflags);
	bool mode_set = dir->has_self && (dir->iflags & ITEM_PERMS);
	if (dir->created && !d->root && dir->has_self)
		fchmod(dir->fd, final_mode(dir));
	else if (dir->loosened && !mode_set)
		fchmod(dir->fd, dir->had_mode & 07777);
	if (!dir->created && !dir->announced && dir->iflags)
		atomic_fetch_add(&d->counts.metadata, 1);
	if (atomic_load(&dir->late))
		dest_late_dir(dir);
}

void dest_dir_unref(struct dest_dir *dir)
{
	while (dir && atomic_fetch_sub(&dir->refs, 1) == 1) {
		struct dest_dir *parent = dir->parent;
		if (dir->opened)
			finish(dir);
		if (dir->fd >= 0)
			close(dir->fd);
		filter_unref(dir->filter);
		dirlist_release(&dir->src);
		dirlist_release(&dir->dst);
		arena_release(&dir->arena);
		free(dir->path);
		free(dir);
		dir = parent;
	}
}

struct dest *dest_dir_dest(const struct dest_dir *dir)
{
	return dir->d;
}

const char *dest_dir_path(const struct dest_dir *dir)
{
	return dir->path;
}

const struct dirlist *dest_dir_source(const struct dest_dir *dir)
{
	return &dir->src;
}

int dest_dir_fd(const struct dest_dir *dir)
{
	return dir->fd;
}

void dest_dir_set_token(struct dest_dir *dir, uint64_t token)
{
	dir->token = token;
}

void *dest_dir_user(const struct dest_dir *dir)
{
	return dir->user;
}

void dest_dir_set_user(struct dest_dir *dir, void *user)
{
	dir->user = user;
}
