#include "sync/source.h"

#include "base/hash.h"
#include "os/beneath.h"
#include "os/fault.h"
#include "sync/selection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct source {
	const struct sync_options *o;
	int fd;
	char *single;
	bool is_file;
	bool contents;
	struct scan_options scan;
	struct filter_dir *filter;
	struct selection *selection;
	_Atomic bool incomplete;
};

static int open_beneath_or_anywhere(int restrict_fd, const char *path, int flags)
{
	if (restrict_fd < 0)
		return open(path, flags | O_CLOEXEC);
	while (*path == '/')
		path++;
	return beneath_open(restrict_fd, path, flags, 0);
}

/* "a/b" -> opens "a", *name = "b". */
static int open_parent(struct source *s, int restrict_fd, const char *path)
{
	char *copy = xstrdup(path);
	char *slash = strrchr(copy, '/');
	const char *dir = slash == copy ? "/" : slash ? copy : ".";

	s->single = xstrdup(slash ? slash + 1 : copy);
	if (slash && slash != copy)
		*slash = '\0';
	int fd = open_beneath_or_anywhere(restrict_fd, dir, O_RDONLY | O_DIRECTORY);
	free(copy);
	return fd;
}

static int look_at_single(struct source *s, const char *path, struct err *e)
{
	struct stat st;

	if (fstatat(s->fd, s->single, &st, s->o->copy_links ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, ERR_SOURCE, "source %s", path);
	s->is_file = !S_ISDIR(st.st_mode);
	return 0;
}

static void fill_scan(struct source *s)
{
	const struct sync_options *o = s->o;
	struct stat st;

	s->scan = (struct scan_options){
		.side = FILTER_SENDER,
		.xattrs = o->xattrs,
		.acls = o->acls,
		.digests = o->checksum,
		.no_links = !o->links,
		.no_devices = !o->devices,
		.no_specials = !o->specials,
		.follow_links = o->copy_links,
		.follow_unsafe = o->copy_unsafe_links,
		.follow_dirs = o->copy_dirlinks,
		.omit_unsafe = o->safe_links,
		.one_file_system = o->one_file_system,
	};
	if (fstat(s->fd, &st) == 0)
		s->scan.root_dev = st.st_dev;
}

struct source *source_open(const struct sync_options *o, const char *path, bool contents, int restrict_fd,
	const struct filter *filter, struct err *e)
{
	struct source *s = xcalloc(1, sizeof(*s));
	size_t len = strlen(path);

	s->o = o;
	s->contents = contents;
	while (!contents && len > 1 && path[len - 1] == '/')
		len--;
	char *clean = xmemdupz(path, len);
	s->fd = contents ? open_beneath_or_anywhere(restrict_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY)
			 : open_parent(s, restrict_fd, clean);
	free(clean);
	if (s->fd < 0) {
		err_sys(e, ERR_SOURCE, "source %s", path);
		goto fail;
	}
	if (s->single && look_at_single(s, path, e) != 0)
		goto fail;
	fill_scan(s);
	if (o->files_list && !(s->selection = selection_new(o->files_list, o->files_list_len, e)))
		goto fail;
	if (filter && !filter_empty(filter) && !(s->filter = filter_root(filter, s->fd, e)))
		goto fail;
	return s;
fail:
	source_free(s);
	return NULL;
}

struct source *source_open_here(const struct sync_options *o, int root_fd, const char *single,
	const struct filter *filter, struct err *e)
{
	struct source *s = xcalloc(1, sizeof(*s));
	struct stat st;

	s->o = o;
	s->contents = !single;
	s->single = single ? xstrdup(single) : NULL;
	s->fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->scan = (struct scan_options){
		.side = FILTER_RECEIVER,
		.xattrs = o->xattrs,
		.acls = o->acls,
		.digests = o->checksum,
		.delete_excluded = o->delete_excluded,
		.one_file_system = o->one_file_system,
	};
	if (s->fd < 0 || fstat(s->fd, &st) != 0) {
		err_sys(e, ERR_IO, "open the destination");
		source_free(s);
		return NULL;
	}
	s->scan.root_dev = st.st_dev;
	if (filter && !filter_empty(filter) && !(s->filter = filter_root(filter, s->fd, e))) {
		source_free(s);
		return NULL;
	}
	return s;
}

void source_free(struct source *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	filter_unref(s->filter);
	selection_free(s->selection);
	free(s->single);
	free(s);
}

void source_set_reporter(
	struct source *s, void (*error)(void *ctx, const char *path, const struct err *e), void *ctx)
{
	s->scan.error = error;
	s->scan.ctx = ctx;
}

void source_set_index(struct source *s, struct index_cache *index)
{
	s->scan.index = index;
}

void source_avoid(struct source *s, uint64_t dev, uint64_t ino)
{
	s->scan.avoid_dev = dev;
	s->scan.avoid_ino = ino;
}

int source_root_fd(const struct source *s)
{
	return s->fd;
}

const char *source_single(const struct source *s)
{
	return s->single;
}

bool source_is_file(const struct source *s)
{
	return s->is_file;
}

const struct scan_options *source_scan_options(const struct source *s)
{
	return &s->scan;
}

struct filter_dir *source_filter_root(const struct source *s)
{
	return s->filter;
}

bool source_root_entry(struct source *s, struct dirlist *list, struct entry *en)
{
	struct err e = {0};

	if (!s->contents || s->selection)
		return false;
	if (scan_entry(&s->scan, s->fd, ".", "", list, en, &e) == 0) {
		en->name = "";
		en->name_len = 0;
		return true;
	}
	s->scan.error(s->scan.ctx, "", &e);
	source_set_incomplete(s);
	return false;
}

bool source_complete(const struct source *s)
{
	return !atomic_load(&s->incomplete);
}

void source_set_incomplete(struct source *s)
{
	atomic_store(&s->incomplete, true);
}

static void fault(struct source *s, const char *path, const char *what)
{
	struct err e;

	err_sys(&e, errno == ENOENT ? ERR_VANISHED : ERR_PARTIAL, "%s", what);
	s->scan.error(s->scan.ctx, path, &e);
	source_set_incomplete(s);
}

static struct source_dir *dir_new(struct source_dir *parent, char *path, int fd)
{
	struct source_dir *dir = xcalloc(1, sizeof(*dir));

	dir->parent = parent ? source_dir_ref(parent) : NULL;
	atomic_init(&dir->refs, 1);
	dir->path = path;
	dir->fd = fd;
	return dir;
}

/* Following symlinks one can come back to where one was. */
static bool is_loop(const struct source *s, struct source_dir *dir)
{
	struct stat st;

	if ((!s->scan.follow_links && !s->scan.follow_dirs && !s->scan.follow_unsafe) ||
		fstat(dir->fd, &st) != 0)
		return false;
	dir->dev = st.st_dev;
	dir->ino = st.st_ino;
	for (const struct source_dir *up = dir->parent; up; up = up->parent)
		if (up->ino == dir->ino && up->dev == dir->dev)
			return true;
	return false;
}

struct source_dir *source_dir_open(struct source *s, struct source_dir *parent, const struct entry *en)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	bool follow = en && (en->flags & ENTRY_FOLLOW);
	char *path = parent ? path_join(parent->path, en->name) : xstrdup("");
	struct err e = {0};
	int fd = parent ? openat(parent->fd, en->name, flags | (follow ? 0 : O_NOFOLLOW))
			: openat(s->fd, ".", flags);

	if (fd < 0) {
		fault(s, path, "open directory");
		free(path);
		return NULL;
	}
	struct source_dir *dir = dir_new(parent, path, fd);
	if (is_loop(s, dir)) {
		err_set(&e, ERR_PARTIAL, "a symlink that leads back to a directory above it");
		goto fail;
	}
	if (!s->filter)
		return dir;
	dir->filter = parent ? filter_enter(parent->filter, en->name, fd, &e) : filter_ref(s->filter);
	if (dir->filter)
		return dir;
fail:
	s->scan.error(s->scan.ctx, path, &e);
	source_set_incomplete(s);
	source_dir_unref(dir);
	return NULL;
}

struct source_dir *source_dir_open_path(struct source *s, const char *path)
{
	struct err e = {0};
	int fd = beneath_open(s->fd, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0) {
		fault(s, path, "open directory");
		return NULL;
	}
	struct source_dir *dir = dir_new(NULL, xstrdup(path), fd);
	if (s->filter && !(dir->filter = filter_walk(s->filter, s->fd, path, &e))) {
		s->scan.error(s->scan.ctx, path, &e);
		source_set_incomplete(s);
		source_dir_unref(dir);
		return NULL;
	}
	return dir;
}

struct source_dir *source_dir_ref(struct source_dir *dir)
{
	atomic_fetch_add_explicit(&dir->refs, 1, memory_order_relaxed);
	return dir;
}

void source_dir_unref(struct source_dir *dir)
{
	while (dir && atomic_fetch_sub(&dir->refs, 1) == 1) {
		struct source_dir *parent = dir->parent;
		if (dir->fd >= 0)
			close(dir->fd);
		filter_unref(dir->filter);
		free(dir->path);
		free(dir);
		dir = parent;
	}
}

static int list_one(struct source *s, struct source_dir *dir, const char *name, struct dirlist *out)
{
	struct entry en;
	struct err e = {0};
	char *path = path_join(dir->path, name);
	int r = scan_entry(&s->scan, dir->fd, name, path, out, &en, &e);

	if (r != 0 && e.code == ERR_VANISHED && s->scan.side == FILTER_RECEIVER) {
		r = 0; /* not there yet */
	} else if (r != 0) {
		if (e.code == ERR_VANISHED)
			err_set(&e, ERR_PARTIAL, "no such file or directory in the source");
		s->scan.error(s->scan.ctx, path, &e);
		out->incomplete = true;
	} else if (!scan_leaves_out(&s->scan, path, &en)) {
		*dirlist_add(out, name, strlen(name)) = en;
	}
	free(path);
	return r;
}

static int list_selected(
	struct source *s, struct source_dir *dir, const struct selection_node *node, struct dirlist *out)
{
	dirlist_init(out);
	out->partial = true;
	for (size_t i = 0; i < selection_count(node); i++)
		list_one(s, dir, selection_name(node, i), out);
	dirlist_sort(out);
	return 0;
}

/* Give hard links their group and say which directories will be listed themselves. */
static void mark(struct source *s, const struct selection_node *node, struct dirlist *out)
{
	for (size_t i = 0; i < out->count; i++) {
		struct entry *en = &out->entries[i];
		if (S_ISDIR(en->mode)) {
			bool chosen = s->o->recursive || (node && selection_enters(node, en->name));
			if (chosen && scan_may_enter(&s->scan, en))
				en->flags |= ENTRY_LISTED;
		} else if (en->nlink > 1 && s->o->hard_links) {
			uint64_t key[2] = {en->dev, en->ino};
			en->link_group = hash64(key, sizeof(key), 0) | 1;
		}
	}
}

/* Is anything but directories in it or below it? */
static bool has_content(struct source *s, struct source_dir *parent, const struct entry *en)
{
	struct source_dir *dir = source_dir_open(s, parent, en);
	struct dirlist list = {0};
	struct err e = {0};
	bool content = false;

	if (!dir)
		return true;
	if (scan_dir(&s->scan, dir->fd, dir->path, dir->filter, &list, &e) != 0)
		content = true; /* it will be reported when it is listed */
	for (size_t i = 0; !content && i < list.count; i++)
		content = !S_ISDIR(list.entries[i].mode);
	for (size_t i = 0; !content && i < list.count; i++)
		content = has_content(s, dir, &list.entries[i]);
	dirlist_release(&list);
	source_dir_unref(dir);
	return content;
}

static void prune(struct source *s, struct source_dir *dir, struct dirlist *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < out->count; i++)
		if (!S_ISDIR(out->entries[i].mode) || has_content(s, dir, &out->entries[i]))
			out->entries[kept++] = out->entries[i];
	out->count = kept;
}

int source_list(struct source *s, struct source_dir *dir, struct dirlist *out)
{
	bool whole = !s->selection || (s->o->recursive && selection_covers(s->selection, dir->path));
	const struct selection_node *node = whole ? NULL : selection_find(s->selection, dir->path);
	struct err e = {0};
	int r = 0;

	if (s->single && !*dir->path) {
		dirlist_init(out);
		out->partial = true;
		r = list_one(s, dir, s->single, out);
	} else if (node && selection_count(node)) {
		r = list_selected(s, dir, node, out);
	} else {
		r = scan_dir(&s->scan, dir->fd, dir->path, dir->filter, out, &e);
		if (r != 0)
			s->scan.error(s->scan.ctx, dir->path, &e);
		node = NULL;
	}
	if (r != 0 || out->incomplete)
		source_set_incomplete(s);
	if (s->o->prune_empty_dirs && s->scan.side == FILTER_SENDER)
		prune(s, dir, out);
	mark(s, node, out);
	return s->single && !*dir->path ? 0 : r;
}

int source_open_file(struct source_dir *dir, const struct entry *en)
{
	bool follow = en->flags & ENTRY_FOLLOW;

	return openat(
		dir->fd, en->name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
}

int source_remove(struct source *s, const char *path, const struct entry *en, struct err *e)
{
	const char *name;
	struct stat st;
	int r = 0;
	int dir = beneath_parent(s->fd, path, &name);

	if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		r = err_sys(e, ERR_PARTIAL, "remove source");
	else if (st.st_ino != en->ino || st.st_mtim.tv_sec != en->mtime.sec ||
		 (uint32_t)st.st_mtim.tv_nsec != en->mtime.nsec ||
		 (S_ISREG(st.st_mode) && (uint64_t)st.st_size != en->size))
		r = err_set(e, ERR_VANISHED, "changed after it was copied; not removed");
	else if (fault_point("remove source") != 0 || unlinkat(dir, name, 0) != 0)
		r = err_sys(e, ERR_PARTIAL, "remove source");
	if (dir >= 0)
		close(dir);
	return r;
}

bool source_file_changed(int fd, const struct entry *en)
{
	struct stat st;

	return fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != en->size ||
	       st.st_ino != en->ino || st.st_mtim.tv_sec != en->mtime.sec ||
	       (uint32_t)st.st_mtim.tv_nsec != en->mtime.nsec || st.st_ctim.tv_sec != en->ctime.sec ||
	       (uint32_t)st.st_ctim.tv_nsec != en->ctime.nsec;
}

bool source_file_refresh(int fd, struct entry *en)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	en->size = (uint64_t)st.st_size;
	en->ino = st.st_ino;
	en->mtime = (struct entry_time){st.st_mtim.tv_sec, (uint32_t)st.st_mtim.tv_nsec};
	en->ctime = (struct entry_time){st.st_ctim.tv_sec, (uint32_t)st.st_ctim.tv_nsec};
	return true;
}
