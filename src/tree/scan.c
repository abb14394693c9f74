#include "tree/scan.h"

#include "os/beneath.h"
#include "os/xattr.h"
#include "tree/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { DENTS_BYTES = 64 * 1024, TARGET_MAX = 4095, XATTRS_MAX = 1 << 20 };

struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	uint8_t d_type;
	char d_name[];
};

char *path_join(const char *dir, const char *name)
{
	if (!*dir || !*name)
		return xstrdup(*dir ? dir : name);
	size_t dir_len = strlen(dir);
	size_t name_len = strlen(name);
	char *path = xmalloc(dir_len + name_len + 2);
	memcpy(path, dir, dir_len);
	path[dir_len] = '/';
	memcpy(path + dir_len + 1, name, name_len + 1);
	return path;
}

bool scan_link_unsafe(const char *path, const char *target)
{
	long depth = 0;

	if (*target == '/' || *target == '\0')
		return true;
	for (const char *p = path; *p; p++)
		if (*p == '/')
			depth++;
	for (const char *p = target; *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			if (--depth < 0)
				return true;
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			depth++;
		}
		p += n;
		while (*p == '/')
			p++;
	}
	return false;
}

static void fill_stat(struct entry *en, const struct stat *st)
{
	en->mode = st->st_mode;
	en->uid = st->st_uid;
	en->gid = st->st_gid;
	en->size = S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) ? (uint64_t)st->st_size : 0;
	en->mtime = (struct entry_time){st->st_mtim.tv_sec, (uint32_t)st->st_mtim.tv_nsec};
	en->ctime = (struct entry_time){st->st_ctim.tv_sec, (uint32_t)st->st_ctim.tv_nsec};
	en->dev = st->st_dev;
	en->ino = st->st_ino;
	en->nlink = (uint32_t)st->st_nlink;
	en->rdev = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode) ? st->st_rdev : 0;
}

static int read_target(int dir_fd, const char *name, struct dirlist *list, struct entry *en)
{
	char buf[TARGET_MAX + 1];
	ssize_t n = readlinkat(dir_fd, name, buf, sizeof(buf));

	if (n < 0)
		return -1;
	if (n > TARGET_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	en->target = arena_memdupz(&list->arena, buf, (size_t)n);
	en->size = (uint64_t)n;
	return 0;
}

static int read_xattrs(
	const struct scan_options *o, int dir_fd, const char *name, struct dirlist *list, struct entry *en)
{
	unsigned which = (o->xattrs ? XATTR_USER : 0) | (o->acls && !S_ISLNK(en->mode) ? XATTR_ACL : 0);
	struct buf blob;
	int r = 0;

	if (!which)
		return 0;
	buf_init(&blob, XATTRS_MAX);
	if (en->flags & ENTRY_FOLLOW) {
		int fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		r = fd < 0 ? -1 : xattr_read_fd(fd, which, &blob);
		if (fd >= 0)
			close(fd);
	} else {
		r = xattr_read(dir_fd, name, which, &blob);
	}
	if (r == 0 && blob.overflow) {
		errno = E2BIG;
		r = -1;
	}
	if (r == 0 && blob.len) {
		en->xattrs = (uint8_t *)arena_memdupz(&list->arena, blob.data, blob.len);
		en->xattrs_len = (uint32_t)blob.len;
	}
	buf_release(&blob);
	return r;
}

static int64_t wall_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Hash an open file that is believed to be `en`. 0; 1 = done, but it is not (or no longer) what was described; -1 = errno. */
static int hash_file(int fd, const struct entry *en, uint8_t digest[ENTRY_DIGEST_BYTES])
{
	struct index_key was = index_key_of(en);
	struct entry now = {0};
	struct stat st;
	uint64_t bytes;

	if (digest_file(fd, digest, &bytes, NULL, NULL) != 0 || fstat(fd, &st) != 0)
		return -1;
	fill_stat(&now, &st);
	struct index_key is = index_key_of(&now);
	bool same = bytes == was.size && is.dev == was.dev && is.ino == was.ino && is.size == was.size &&
		    is.mtime.sec == was.mtime.sec && is.mtime.nsec == was.mtime.nsec &&
		    is.ctime.sec == was.ctime.sec && is.ctime.nsec == was.ctime.nsec;
	return same ? 0 : 1;
}

static int read_digest(
	const struct scan_options *o, int dir_fd, const char *name, struct dirlist *list, struct entry *en)
{
	struct index_key key = index_key_of(en);
	uint8_t digest[ENTRY_DIGEST_BYTES];

	if (!o->index || !index_lookup(o->index, &key, digest)) {
		int64_t now_ns = wall_clock_ns();
		int fd = openat(dir_fd, name,
			O_RDONLY | O_NONBLOCK | O_CLOEXEC | (en->flags & ENTRY_FOLLOW ? 0 : O_NOFOLLOW));
		if (fd < 0)
			return -1;
		int r = hash_file(fd, en, digest);
		close(fd);
		if (r < 0)
			return -1;
		if (r > 0)
			return 0; /* without a digest it counts as different */
		if (o->index)
			index_store(o->index, &key, digest, now_ns);
	}
	en->digest = (uint8_t *)arena_memdupz(&list->arena, digest, sizeof(digest));
	return 0;
}

/* Take the symlink's target instead? Then the entry describes that, and is marked. 0; -1 = errno: it points nowhere. */
static int maybe_follow(const struct scan_options *o, int dir_fd, const char *path, struct entry *en)
{
	struct stat st;

	if (!o->follow_links && !o->follow_dirs && !(o->follow_unsafe && scan_link_unsafe(path, en->target)))
		return 0;
	if (fstatat(dir_fd, en->name, &st, 0) != 0)
		return o->follow_links ? -1 : 0;
	if (!o->follow_links && o->follow_dirs && !S_ISDIR(st.st_mode))
		return 0;
	fill_stat(en, &st);
	en->target = NULL;
	en->flags |= ENTRY_FOLLOW;
	return 0;
}

static int describe(const struct scan_options *o, int dir_fd, const char *path, struct dirlist *list,
	struct entry *en, struct err *e)
{
	if (S_ISLNK(en->mode)) {
		if (read_target(dir_fd, en->name, list, en) != 0)
			return err_sys(e, ERR_PARTIAL, "read symlink");
		if (maybe_follow(o, dir_fd, path, en) != 0)
			return err_sys(e, ERR_PARTIAL, "follow symlink to %s", en->target);
	}
	if (read_xattrs(o, dir_fd, en->name, list, en) != 0 && errno != ENOENT && errno != ELOOP)
		return err_sys(e, ERR_PARTIAL, "read extended attributes");
	if (o->digests && S_ISREG(en->mode) && read_digest(o, dir_fd, en->name, list, en) != 0)
		return err_sys(e, ERR_PARTIAL, "read");
	return 0;
}

int scan_entry(const struct scan_options *o, int dir_fd, const char *name, const char *path,
	struct dirlist *list, struct entry *en, struct err *e)
{
	struct stat st;

	*en = (struct entry){0};
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, errno == ENOENT ? ERR_VANISHED : ERR_PARTIAL, "stat");
	en->name_len = (uint16_t)strlen(name);
	en->name = arena_memdupz(&list->arena, name, en->name_len);
	fill_stat(en, &st);
	return describe(o, dir_fd, path, list, en, e);
}

static void fault(const struct scan_options *o, struct dirlist *list, const char *dir, const char *name,
	const struct err *e)
{
	char *path = path_join(dir, name);

	list->incomplete = true;
	o->error(o->ctx, path, e);
	free(path);
}

bool scan_leaves_out(const struct scan_options *o, const char *path, const struct entry *en)
{
	if (S_ISLNK(en->mode))
		return o->no_links || (o->omit_unsafe && scan_link_unsafe(path, en->target));
	if (S_ISCHR(en->mode) || S_ISBLK(en->mode))
		return o->no_devices;
	if (S_ISFIFO(en->mode) || S_ISSOCK(en->mode))
		return o->no_specials;
	if (!S_ISDIR(en->mode))
		return false;
	return o->avoid_ino && en->ino == o->avoid_ino && en->dev == o->avoid_dev;
}

static void apply_filter(const struct scan_options *o, struct filter_dir *filter, struct entry *en)
{
	bool is_dir = S_ISDIR(en->mode);

	if (filter_excludes(filter, en->name, is_dir, FILTER_SENDER))
		en->flags |= ENTRY_HIDDEN;
	if (o->side == FILTER_RECEIVER && o->doomed
			? filter_protects_doomed(filter, en->name, is_dir, o->delete_excluded)
			: o->side == FILTER_RECEIVER &&
				  filter_protects(filter, en->name, is_dir, o->delete_excluded))
		en->flags |= ENTRY_PROTECTED;
}

static void add_name(const struct scan_options *o, int fd, const char *dir, struct filter_dir *filter,
	const char *name, struct dirlist *out)
{
	struct stat st;
	struct err e = {0};
	size_t len = strlen(name);

	if (entry_name_is_temp(name, len)) {
		out->stale = xreallocarray(out->stale, out->stale_count + 1, sizeof(*out->stale));
		out->stale[out->stale_count++] = arena_memdupz(&out->arena, name, len);
		return;
	}
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT) /* gone since it was listed: absent, not unreadable */
			return;
		err_sys(&e, ERR_PARTIAL, "stat");
		fault(o, out, dir, name, &e);
		return;
	}
	struct entry *en = dirlist_add(out, name, len);
	fill_stat(en, &st);
	if (filter)
		apply_filter(o, filter, en);
	bool hidden = en->flags & ENTRY_HIDDEN;
	if (hidden && o->side == FILTER_SENDER) {
		out->count--;
		return;
	}
	char *path = S_ISLNK(en->mode) ? path_join(dir, name) : NULL;
	if (!hidden && describe(o, fd, path, out, en, &e) != 0) {
		fault(o, out, dir, name, &e);
		en->flags |= ENTRY_UNREADABLE;
	}
	if (o->side == FILTER_SENDER && (scan_leaves_out(o, path, en) || (en->flags & ENTRY_UNREADABLE)))
		out->count--;
	free(path);
}

int scan_dir(const struct scan_options *o, int fd, const char *path, struct filter_dir *filter,
	struct dirlist *out, struct err *e)
{
	char dents[DENTS_BYTES] __attribute__((aligned(8)));

	dirlist_init(out);
	for (;;) {
		long n = syscall(SYS_getdents64, fd, dents, sizeof(dents));
		if (n < 0) {
			if (errno == EINTR)
				continue;
			out->incomplete = true;
			return err_sys(e, ERR_PARTIAL, "read directory");
		}
		if (n == 0)
			break;
		for (long at = 0; at < n;) {
			struct linux_dirent64 *d = (struct linux_dirent64 *)(dents + at);
			at += d->d_reclen;
			if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
				add_name(o, fd, path, filter, d->d_name, out);
		}
	}
	dirlist_sort(out);
	return 0;
}

bool scan_may_enter(const struct scan_options *o, const struct entry *dir)
{
	return !o->one_file_system || dir->dev == o->root_dev;
}

struct filter_dir *filter_walk(struct filter_dir *root, int root_fd, const char *path, struct err *e)
{
	struct filter_dir *at = filter_ref(root);
	char *copy = xstrdup(path);

	for (char *part = copy; at && *part;) {
		char *slash = strchr(part, '/');
		if (slash)
			*slash = '\0';
		int fd = beneath_open(root_fd, copy, O_RDONLY | O_DIRECTORY, 0);
		struct filter_dir *next = filter_enter(at, part, fd, e);
		if (fd >= 0)
			close(fd);
		filter_unref(at);
		at = next;
		if (!slash)
			break;
		*slash = '/';
		part = slash + 1;
	}
	free(copy);
	return at;
}
