/*
 * One regular file on its way to its name.
 *
 *   open ──> temporary name, locked ──(bytes, verified)──> commit ──> [waits for syncfs] ──> renamed
 *      ├──> its own name, inside a directory that is not published yet ──> commit (nothing to rename)
 *      └──> in place (--inplace, or an unfinished temporary file continued) ──> commit
 */
#include "sync/dest_internal.h"

#include "os/beneath.h"
#include "os/copy.h"
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const struct entry *entry_of(const struct dest_file *f)
{
	return &f->dir->src.entries[f->index];
}

static int temp_dir_fd(const struct dest_file *f)
{
	return f->dir->d->temp_fd >= 0 ? f->dir->d->temp_fd : f->dir->fd;
}

/* Permission bits that can be given at creation, so that no chmod is needed later. */
static uint32_t creation_mode(const struct dest_file *f)
{
	const struct dest *d = f->dir->d;
	const struct entry *en = entry_of(f);
	bool chown = (d->rules.owner && en->uid != d->euid) || (d->rules.group && en->gid != f->dir->new_gid);

	return chown || f->dir->default_acl ? 0600 : dest_new_mode(d, en) & 0777;
}

static int open_regular(int dir_fd, const char *name, int flags)
{
	struct stat st;
	int fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

int dest_open_basis(struct dest_dir *dir, size_t index)
{
	return open_regular(dir->fd, dir->src.entries[index].name, O_RDONLY);
}

static int create_temp(struct dest_file *f)
{
	const int flags = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC;
	int dir_fd = temp_dir_fd(f);

	for (int attempt = 0; attempt < 3; attempt++) {
		if (fault_point("create") != 0)
			return -1;
		int fd = openat(dir_fd, f->temp, flags, f->mode);
		if (fd >= 0) {
			flock(fd, LOCK_EX | LOCK_NB);
			return fd;
		}
		if (errno != EEXIST)
			return -1;
		if (!dest_is_orphan(dir_fd, f->temp)) {
			errno = EBUSY;
			return -1;
		}
		if (beneath_remove_tree(dir_fd, f->temp, NULL) != 0)
			return -1;
	}
	errno = EBUSY;
	return -1;
}

static int open_in_place(struct dest_file *f)
{
	if (fault_point("open in place") != 0)
		return -1;
	f->in_place = true;
	return open_regular(f->dir->fd, entry_of(f)->name, O_RDWR);
}

static int create_direct(struct dest_file *f)
{
	if (fault_point("create") != 0)
		return -1;
	f->direct = true;
	return openat(
		f->dir->fd, entry_of(f)->name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, f->mode);
}

int dest_file_open(struct dest_file *f, struct dest_dir *dir, size_t index, const struct dest_need *need,
	bool continue_partial, struct err *e)
{
	bool no_temp = dir->d->opts->inplace && need->item.iflags & ITEM_IS_NEW && !need->item.replaces;

	*f = (struct dest_file){.dir = dest_dir_ref(dir), .index = index, .need = *need, .fd = -1};
	f->mode = creation_mode(f);
	if (need->in_place) {
		f->fd = open_in_place(f);
	} else if ((dir->fresh && !atomic_load(&dir->published)) || no_temp) {
		f->fd = create_direct(f);
	} else {
		dest_file_temp_name(dir, entry_of(f)->name, f->temp);
		if (continue_partial && (f->fd = dest_open_partial(dir, index)) >= 0) {
			f->in_place = true;
			f->mode = UINT32_MAX;
		}
		if (f->fd < 0)
			f->fd = create_temp(f);
	}
	if (f->fd >= 0)
		return 0;
	err_sys(e, ERR_PARTIAL, "create");
	if (errno == EBUSY)
		err_set(e, ERR_LOCKED, "another run is writing this file now");
	dest_errno(dir->d, dir, entry_of(f)->name, errno == EBUSY ? "another run is writing it" : "create");
	dest_dir_unref(dir);
	return -1;
}

void dest_file_failed(struct dest_dir *dir, size_t index)
{
	(void)index;
	dest_dir_file_done(dir);
}

static void release(struct dest_file *f)
{
	struct dest_dir *dir = f->dir;

	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->dir = NULL;
	dest_dir_file_done(dir);
	dest_dir_unref(dir);
}

void dest_file_abort(struct dest_file *f, bool keep)
{
	/* kept inside a directory without a name of its own: found there by the next run, its time never right */
	if (f->direct && !keep)
		unlinkat(f->dir->fd, entry_of(f)->name, 0);
	else if (*f->temp && !keep)
		unlinkat(temp_dir_fd(f), f->temp, 0);
	release(f);
}

void dest_file_update_entry(struct dest_dir *dir, size_t index, const struct entry *en)
{
	struct entry *mine = &dir->src.entries[index];

	mine->size = en->size;
	mine->mtime = en->mtime;
}

void dest_file_errno(struct dest_file *f, const char *what)
{
	dest_errno(f->dir->d, f->dir, entry_of(f)->name, what);
}

static void placed(struct dest_file *f)
{
	struct dest *d = f->dir->d;

	atomic_fetch_add(&d->counts.sent_files, 1);
	atomic_fetch_add(&d->counts.sent_bytes, entry_of(f)->size);
	dest_placed(f->dir, entry_of(f), &f->need.item);
}

/* Replacing an existing name and what was asked for it. */
int dest_file_rename(struct dest_file *f)
{
	struct dest_dir *dir = f->dir;
	const char *name = entry_of(f)->name;
	int r = 0;

	if (f->need.over_directory) {
		atomic_fetch_add(&dir->d->counts.sent_files, 1);
		atomic_fetch_add(&dir->d->counts.sent_bytes, entry_of(f)->size);
		dest_swap_later(dir, entry_of(f), f->temp, &f->need.item);
	} else {
		if (dir->d->opts->backup && !(f->need.item.iflags & ITEM_IS_NEW && !f->need.item.replaces))
			r = dest_backup(dir, name, S_IFREG, false);
		if (r == 0 &&
			(fault_point("rename") != 0 || renameat(temp_dir_fd(f), f->temp, dir->fd, name) != 0))
			r = dest_errno(dir->d, dir, name, "rename into place");
		if (r == 0)
			placed(f);
		else
			unlinkat(temp_dir_fd(f), f->temp, 0);
	}
	release(f);
	return r;
}

static uint32_t attributes_needed(const struct dest_file *f)
{
	uint32_t iflags = META_ALL | ITEM_IS_NEW;
	bool final_mode = f->mode == dest_new_mode(f->dir->d, entry_of(f));

	if (f->in_place && !*f->temp)
		return (f->need.item.iflags & META_ALL) | ITEM_TIME;
	if (f->in_place)
		return META_ALL;
	return final_mode ? iflags & ~(uint32_t)ITEM_PERMS : iflags;
}

int dest_file_commit(struct dest_file *f)
{
	struct dest_dir *dir = f->dir;
	struct dest *d = dir->d;
	const struct entry *en = entry_of(f);

	/* a fault here is reported; the content is right all the same, so it goes on */
	dest_set_attributes(d, dir, -1, en->name, f->fd, en, attributes_needed(f));
	if (dest_stopped(d)) {
		dest_file_abort(f, true);
		return -1;
	}
	if (d->strict && fsync(f->fd) != 0) {
		dest_errno(d, dir, en->name, "fsync");
		dest_file_abort(f, false);
		return -1;
	}
	if (f->direct || !*f->temp) {
		placed(f);
		release(f);
		return 0;
	}
	if (!d->committer)
		return dest_file_rename(f);
	close(f->fd);
	f->fd = -1;
	struct dest_file *copy = xmalloc(sizeof(*copy));
	*copy = *f;
	committer_add(d->committer, (struct commit){.dir = dir, .file = copy});
	return 0;
}

/* Open (making it when missing) the directory below the backup directory that corresponds to `path`. */
static int backup_parent(struct dest *d, const char *path)
{
	int at = fcntl(d->backup_fd, F_DUPFD_CLOEXEC, 0);
	char *copy = xstrdup(path);
	char *part = copy;

	while (at >= 0 && part && *part) {
		char *slash = strchr(part, '/');
		if (slash)
			*slash = '\0';
		if (mkdirat(at, part, 0700) != 0 && errno != EEXIST)
			break;
		int next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
		part = slash ? slash + 1 : NULL;
	}
	if (part && *part && at >= 0) {
		close(at);
		at = -1;
	}
	free(copy);
	return at;
}

/* To another file system: a copy under a temporary name. */
static int copy_across(int from_dir, const char *name, int to_dir, const char *to_name)
{
	char temp[DEST_TEMP_BYTES];
	struct stat st;
	uint64_t copied;
	int r = -1;
	int in = open_regular(from_dir, name, O_RDONLY);

	if (in < 0)
		return -1;
	dest_temp_name(temp, to_name, 't');
	unlinkat(to_dir, temp, 0);
	int out = openat(to_dir, temp, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out >= 0 && fstat(in, &st) == 0 &&
		copy_file_content(in, out, (uint64_t)st.st_size, COPY_SPARSE, &copied, NULL, NULL) == 0 &&
		(fchown(out, st.st_uid, st.st_gid) == 0 || errno == EPERM) &&
		fchmod(out, st.st_mode & 07777) == 0 &&
		futimens(out, (struct timespec[2]){st.st_atim, st.st_mtim}) == 0)
		r = renameat(to_dir, temp, to_dir, to_name);
	if (out >= 0)
		close(out);
	close(in);
	return r;
}

/* Keep what is about to be replaced (move = false: the old name stays until the rename over it) or deleted (move = true). What an
 * interrupted run left is no version of anything. */
int dest_backup(struct dest_dir *dir, const char *name, uint32_t mode, bool move)
{
	struct dest *d = dir->d;
	if (dir->left_over)
		return 0;
	const char *suffix = d->opts->suffix ? d->opts->suffix : d->backup_fd >= 0 ? "" : "~";
	char *to_name = xasprintf("%s%s", name, suffix);
	int to = d->backup_fd >= 0 ? backup_parent(d, dir->path) : fcntl(dir->fd, F_DUPFD_CLOEXEC, 0);
	int r = to < 0 ? -1 : fault_point("backup");

	if (r == 0 && move) {
		r = renameat(dir->fd, name, to, to_name);
	} else if (r == 0) {
		unlinkat(to, to_name, 0);
		r = linkat(dir->fd, name, to, to_name, 0);
	}
	if (r != 0 && to >= 0 && errno == EXDEV && S_ISREG(mode)) {
		r = copy_across(dir->fd, name, to, to_name);
		if (r == 0 && move)
			r = unlinkat(dir->fd, name, 0);
	}
	if (r != 0 && errno == ENOENT)
		r = 0; /* nothing there to keep */
	if (r != 0)
		dest_errno(d, dir, name, "make backup");
	else
		atomic_store(&dir->changed, true);
	if (to >= 0)
		close(to);
	free(to_name);
	return r;
}
