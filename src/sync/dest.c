#include "sync/dest_internal.h"

#include "base/hash.h"
#include "os/beneath.h"
#include "os/ids.h"
#include "sync/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { MAGIC_TMPFS = 0x01021994, MAGIC_RAMFS = (int)0x858458f6 };

static void fill_rules(struct dest *d)
{
	const struct sync_options *o = d->opts;

	d->rules = (struct plan_rules){
		.perms = o->perms,
		.times = o->times,
		.dir_times = o->dir_times && !o->omit_dir_times,
		.link_times = o->link_times && !o->omit_link_times,
		.owner = o->owner && d->root,
		.group = o->group,
		.xattrs = o->xattrs,
		.acls = o->acls,
		.checksum = o->checksum,
		.size_only = o->size_only,
		.ignore_times = o->ignore_times,
		.update = o->update,
		.existing = o->existing,
		.ignore_existing = o->ignore_existing,
		.append = o->append_verify,
		.modify_window = o->modify_window,
		.max_size = o->max_size,
		.min_size = o->min_size,
		.may_set_group = d->root ? NULL : ids_own_group,
	};
	d->strict_rules = d->rules;
	d->strict_rules.size_only = d->strict_rules.update = d->strict_rules.existing =
		d->strict_rules.ignore_existing = false;
	d->strict_rules.modify_window = 0;
}

static void scan_fault(void *ctx, const char *path, const struct err *e)
{
	struct dest *d = ctx;

	report_entry_error(d->p.report, path, e);
}

static void fill_scan(struct dest *d)
{
	const struct sync_options *o = d->opts;
	struct stat st;

	d->scan = (struct scan_options){
		.side = FILTER_RECEIVER,
		.xattrs = o->xattrs,
		.acls = o->acls,
		.digests = o->checksum,
		.delete_excluded = o->delete_excluded,
		.one_file_system = o->one_file_system,
		.index = d->p.index,
		.error = scan_fault,
		.ctx = d,
	};
	if (d->p.root_fd >= 0 && fstat(d->p.root_fd, &st) == 0)
		d->scan.root_dev = st.st_dev;
}

static int open_basis_dirs(struct dest *d, const struct opt_strings *s, struct err *e)
{
	for (size_t i = 0; i < s->count; i++) {
		int fd = d->p.root_fd >= 0 ? openat(d->p.root_fd, s->v[i], O_PATH | O_DIRECTORY | O_CLOEXEC)
					   : open(s->v[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, ERR_SOURCE, "open the reference directory %s", s->v[i]);
		d->basis_dirs = xreallocarray(d->basis_dirs, d->basis_dir_count + 1, sizeof(int));
		d->basis_dirs[d->basis_dir_count++] = fd;
	}
	return 0;
}

static int open_helper_dir(struct dest *d, const char *path, bool create, int *fd, struct err *e)
{
	if (!path || d->p.root_fd < 0)
		return 0;
	if (create && mkdirat(d->p.root_fd, path, 0700) != 0 && errno != EEXIST)
		return err_sys(e, ERR_IO, "create %s", path);
	*fd = openat(d->p.root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return err_sys(e, ERR_IO, "open %s", path);
	return 0;
}

static int same_file_system(int a, int b)
{
	struct stat sa;
	struct stat sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev;
}

static int open_helpers(struct dest *d, struct err *e)
{
	const struct sync_options *o = d->opts;

	if (open_basis_dirs(d, &o->link_dest, e) != 0 || open_basis_dirs(d, &o->copy_dest, e) != 0 ||
		open_basis_dirs(d, &o->compare_dest, e) != 0)
		return -1;
	if (o->dry_run)
		return 0;
	if (open_helper_dir(d, o->backup_dir, true, &d->backup_fd, e) != 0 ||
		open_helper_dir(d, o->temp_dir, false, &d->temp_fd, e) != 0)
		return -1;
	if (d->temp_fd >= 0 && !same_file_system(d->temp_fd, d->p.root_fd))
		return err_set(e, ERR_USAGE,
			"--temp-dir %s is on another file system than the destination; "
			"files could not be renamed into place as a whole",
			o->temp_dir);
	return 0;
}

static void guard(struct dest *d, int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return;
	d->guards = xreallocarray(d->guards, d->guard_count + 1, sizeof(*d->guards));
	d->guards[d->guard_count++] = (struct guard){st.st_dev, st.st_ino};
}

static void add_guards(struct dest *d)
{
	guard(d, d->p.source_fd);
	guard(d, d->backup_fd);
	guard(d, d->temp_fd);
	for (size_t i = 0; i < d->basis_dir_count; i++)
		guard(d, d->basis_dirs[i]);
}

/* Is there anything to flush at all? */
static bool is_memory_fs(int fd)
{
	struct statfs fs;

	return fd >= 0 && fstatfs(fd, &fs) == 0 &&
	       ((int)fs.f_type == MAGIC_TMPFS || (int)fs.f_type == MAGIC_RAMFS);
}

struct dest *dest_new(const struct dest_params *p, struct err *e)
{
	struct dest *d = xcalloc(1, sizeof(*d));

	d->p = *p;
	d->opts = p->opts;
	d->backup_fd = d->temp_fd = -1;
	d->root = ids_may_chown();
	d->euid = geteuid();
	d->egid = getegid();
	d->umask = umask(0);
	pthread_mutex_init(&d->lock, NULL);
	u64map_init(&d->groups);
	u64map_init(&d->moved_away);
	fill_rules(d);
	fill_scan(d);
	d->strict = d->opts->fsync == FSYNC_STRICT;
	d->durable = d->opts->fsync == FSYNC_BATCH && !d->opts->dry_run && !is_memory_fs(p->root_fd);
	if (d->opts->chmod && !(d->chmod = chmod_parse(d->opts->chmod, d->umask, e)))
		goto fail;
	if (open_helpers(d, e) != 0)
		goto fail;
	add_guards(d);
	if (d->durable)
		d->committer = committer_new(d);
	return d;
fail:
	dest_free(d);
	return NULL;
}

static void free_group(void *value)
{
	struct link_group *g = value;

	free(g->leader);
	free(g);
}

static void free_links(struct dest *d)
{
	u64map_each_value(&d->groups, free_group);
	u64map_release(&d->groups);
	for (size_t i = 0; i < d->link_count; i++) {
		filter_unref(d->links[i].filter);
		free(d->links[i].path);
	}
	free(d->links);
}

void dest_free(struct dest *d)
{
	if (!d)
		return;
	committer_free(d->committer);
	for (size_t i = 0; i < d->doomed_count; i++) {
		filter_unref(d->doomed[i].filter);
		free(d->doomed[i].dir);
		free(d->doomed[i].name);
	}
	free(d->doomed);
	dest_swaps_free(d);
	free_links(d);
	u64map_release(&d->moved_away);
	for (size_t i = 0; i < d->late_dir_count; i++)
		free(d->late_dirs[i].path);
	free(d->late_dirs);
	for (size_t i = 0; i < d->basis_dir_count; i++)
		close(d->basis_dirs[i]);
	free(d->basis_dirs);
	free(d->guards);
	if (d->backup_fd >= 0)
		close(d->backup_fd);
	if (d->temp_fd >= 0)
		close(d->temp_fd);
	chmod_free(d->chmod);
	umask(d->umask);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

const struct scan_options *dest_scan_options(const struct dest *d)
{
	return &d->scan;
}

const struct plan_rules *dest_rules(const struct dest *d)
{
	return &d->rules;
}

void dest_fail(struct dest *d, const struct err *e)
{
	pthread_mutex_lock(&d->lock);
	if (d->fatal.code == ERR_NONE)
		d->fatal = *e;
	pthread_mutex_unlock(&d->lock);
	atomic_store(&d->stop, true);
}

void dest_fault(struct dest *d, struct err *e)
{
	pthread_mutex_lock(&d->lock);
	*e = d->fatal;
	pthread_mutex_unlock(&d->lock);
}

bool dest_stopped(const struct dest *d)
{
	return atomic_load_explicit(&d->stop, memory_order_relaxed);
}

const _Atomic bool *dest_stop_flag(const struct dest *d)
{
	return &d->stop;
}

void dest_entry_fault(struct dest *d, const char *dir, const char *name, const struct err *e)
{
	char *path = path_join(dir, name);

	report_entry_error(d->p.report, path, e);
	free(path);
}

int dest_errno(struct dest *d, struct dest_dir *dir, const char *name, const char *what)
{
	struct err e;
	char *path = path_join(dir->path, name);

	if (errno == ENOSPC || errno == EDQUOT || errno == EROFS) {
		err_sys(&e, ERR_IO, "%s: %s", path, what);
		dest_fail(d, &e);
	} else if (errno != ECANCELED) {
		err_sys(&e, ERR_PARTIAL, "%s", what);
		report_entry_error(d->p.report, path, &e);
	}
	free(path);
	return -1;
}

void dest_item(struct dest *d, enum event_kind kind, const char *dir, const char *name, uint32_t iflags,
	uint32_t mode, uint64_t size, const char *extra)
{
	if (!d->p.want_items)
		return;
	char *path = path_join(dir, name);
	struct msg_event ev = {
		.kind = kind,
		.iflags = iflags | (d->p.sent && (iflags & ITEM_TRANSFER) ? ITEM_SENT : 0),
		.mode = mode,
		.size = size,
		.path = path,
		.path_len = strlen(path),
		.extra = extra,
		.extra_len = extra ? strlen(extra) : 0,
	};
	report_event(d->p.report, &ev);
	free(path);
}

void dest_temp_name(char out[DEST_TEMP_BYTES], const char *name, char kind)
{
	uint64_t h = hash64(name, strlen(name), 0);

	snprintf(out, DEST_TEMP_BYTES, ".wherry.%016llx.%c", (unsigned long long)h, kind);
}

bool dest_is_orphan(int dir_fd, const char *temp)
{
	int fd = openat(dir_fd, temp, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno != ENOENT;
	bool orphan = flock(fd, LOCK_EX | LOCK_NB) == 0;
	close(fd);
	return orphan;
}

void dest_counts(struct dest *d, struct sync_counts *out)
{
	const struct dest_counts *c = &d->counts;

	*out = (struct sync_counts){
		.entries = c->entries,
		.files = c->files,
		.total_bytes = c->total_bytes,
		.created = c->created,
		.updated = c->updated,
		.metadata = c->metadata,
		.deleted = c->deleted,
		.moved = c->moved,
		.linked = c->linked,
		.sent_files = c->sent_files,
		.sent_bytes = c->sent_bytes,
		.literal_bytes = c->literal,
		.matched_bytes = c->matched,
		.retried = c->retried,
		.entry_errors = report_error_count(d->p.report),
		.vanished = report_vanished_count(d->p.report),
	};
}

void dest_count_retry(struct dest *d)
{
	atomic_fetch_add(&d->counts.retried, 1);
}

void dest_count_content(struct dest *d, uint64_t literal, uint64_t matched)
{
	atomic_fetch_add(&d->counts.literal, literal);
	atomic_fetch_add(&d->counts.matched, matched);
}

void dest_count_unchanged(struct dest *d, uint64_t entries, uint64_t files, uint64_t bytes)
{
	atomic_fetch_add(&d->counts.entries, entries);
	atomic_fetch_add(&d->counts.files, files);
	atomic_fetch_add(&d->counts.total_bytes, bytes);
}

void dest_set_source_empty(struct dest *d, bool empty)
{
	atomic_store(&d->source_has_entries, !empty);
}

static void skipped_note(struct dest *d)
{
	uint64_t n = d->counts.skipped_nodes;

	if (n)
		report_note(d->p.report, "%llu device nodes were not made: that needs root",
			(unsigned long long)n);
}

static void set_late_times(struct dest *d)
{
	for (size_t i = 0; i < d->late_dir_count; i++) {
		const struct late_dir *l = &d->late_dirs[i];
		int fd = beneath_open(d->p.root_fd, l->path, O_RDONLY | O_DIRECTORY, 0);
		if (fd < 0)
			continue; /* deleted meanwhile */
		struct timespec ts[2] = {
			{.tv_nsec = UTIME_OMIT}, {.tv_sec = l->mtime.sec, .tv_nsec = l->mtime.nsec}};
		if (l->mode)
			fchmod(fd, l->mode & 07777);
		if (l->set_time)
			futimens(fd, ts);
		close(fd);
	}
}

int dest_finish(struct dest *d, bool source_complete, struct err *e)
{
	int r = 0;

	if (d->committer)
		committer_drain(d->committer);
	dest_make_links(d, false);
	if (!dest_stopped(d))
		r = dest_delete(d, source_complete, e);
	dest_make_links(d, true);
	if (!d->opts->dry_run && d->p.root_fd >= 0) {
		set_late_times(d);
		if (d->durable)
			syncfs(d->p.root_fd);
	}
	skipped_note(d);
	if (dest_stopped(d)) {
		*e = d->fatal;
		return -1;
	}
	return r;
}
