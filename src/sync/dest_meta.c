#include "sync/dest_internal.h"

#include "os/beneath.h"
#include "os/fault.h"
#include "os/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is being changed: an open file, or a name beneath a directory. */
struct target {
	struct dest *d;
	struct dest_dir *dir;
	int dir_fd;
	const char *name;
	int fd;
};

uint32_t dest_new_mode(const struct dest *d, const struct entry *want)
{
	bool as_is = d->opts->perms || (want->flags & ENTRY_OLD_MODE);

	return as_is ? want->mode & 07777 : want->mode & 0777 & ~d->umask;
}

static int set_owner(const struct target *t, const struct entry *want, uint32_t iflags)
{
	const struct plan_rules *r = &t->d->rules;
	bool fresh = iflags & ITEM_IS_NEW;
	bool uid = r->owner && (fresh ? want->uid != t->d->euid : (iflags & ITEM_OWNER) != 0);
	bool gid = r->group && (!r->may_set_group || r->may_set_group(want->gid)) &&
		   (fresh ? want->gid != t->dir->new_gid : (iflags & ITEM_GROUP) != 0);

	if (!uid && !gid)
		return 0;
	uid_t u = uid ? want->uid : (uid_t)-1;
	gid_t g = gid ? want->gid : (gid_t)-1;
	if (fault_point("chown") != 0)
		return -1;
	int r2 = t->fd >= 0 ? fchown(t->fd, u, g) : fchownat(t->dir_fd, t->name, u, g, AT_SYMLINK_NOFOLLOW);
	return r2 == 0 ? 1 : -1;
}

static int set_mode(const struct target *t, uint32_t mode)
{
	if (fault_point("chmod") != 0)
		return -1;
	return t->fd >= 0 ? fchmod(t->fd, mode) : beneath_chmod(t->dir_fd, t->name, mode);
}

static int set_time(const struct target *t, struct entry_time mtime)
{
	struct timespec ts[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime.sec, .tv_nsec = mtime.nsec}};

	if (fault_point("utimens") != 0)
		return -1;
	return t->fd >= 0 ? futimens(t->fd, ts) : utimensat(t->dir_fd, t->name, ts, AT_SYMLINK_NOFOLLOW);
}

static int complain(const struct target *t, const char *what)
{
	const char *name = t->fd >= 0 && !*t->name ? "" : t->name;

	return dest_errno(t->d, t->dir, name, what);
}

static int set_xattrs(const struct target *t, const struct entry *want, uint32_t iflags)
{
	unsigned which = (iflags & ITEM_XATTR && t->d->opts->xattrs ? XATTR_USER : 0) |
			 (iflags & ITEM_ACL && t->d->opts->acls && !S_ISLNK(want->mode) ? XATTR_ACL : 0);
	char failed[256] = "";
	char what[300];

	if (!which ||
		((iflags & ITEM_IS_NEW) && !want->xattrs_len && !t->dir->default_acl && !S_ISDIR(want->mode)))
		return 0;
	int r = fault_point("xattr");
	if (r == 0)
		r = t->fd >= 0
			    ? xattr_apply_fd(t->fd, which, want->xattrs, want->xattrs_len, failed)
			    : xattr_apply(t->dir_fd, t->name, which, want->xattrs, want->xattrs_len, failed);
	if (r == 0)
		return 0;
	snprintf(what, sizeof(what), "set extended attribute %s", failed);
	return complain(t, what);
}

static bool keeps_time(const struct dest *d, uint32_t mode)
{
	return d->rules.times && (!S_ISDIR(mode) || d->rules.dir_times) &&
	       (!S_ISLNK(mode) || d->rules.link_times);
}

int dest_set_attributes(struct dest *d, struct dest_dir *dir, int dir_fd, const char *name, int fd,
	const struct entry *want, uint32_t iflags)
{
	struct target t = {d, dir, dir_fd, name, fd};
	int r = 0;

	int owned = set_owner(&t, want, iflags);
	if (owned < 0)
		r = complain(&t, "set owner");
	bool special_bits = dest_new_mode(d, want) & 06000;
	bool chmod_needed = (iflags & ITEM_PERMS) || (owned > 0 && special_bits);
	if (chmod_needed && !S_ISLNK(want->mode) && set_mode(&t, dest_new_mode(d, want)) != 0)
		r = complain(&t, "set permissions");
	if (set_xattrs(&t, want, iflags) != 0)
		r = -1;
	if ((iflags & ITEM_TIME) && keeps_time(d, want->mode) && set_time(&t, want->mtime) != 0)
		r = complain(&t, "set modification time");
	return r;
}
