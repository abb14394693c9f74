#include "sync/dest_root.h"

#include "base/alloc.h"
#include "os/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_dir(int restrict_fd, const char *path)
{
	if (restrict_fd < 0)
		return open(*path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (*path == '/')
		path++;
	return beneath_open(restrict_fd, path, O_RDONLY | O_DIRECTORY, 0);
}

/* "a/b/" -> "a" and "b"; the parent of "b" is "", of "/b" is "/". */
static void split(const char *path, char **parent, char **name)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	size_t at = len;
	while (at > 0 && path[at - 1] != '/')
		at--;
	*name = xmemdupz(path + at, len - at);
	while (at > 1 && path[at - 1] == '/')
		at--;
	*parent = xmemdupz(path, at);
}

static int make_dir(int restrict_fd, const char *path, bool parents, struct err *e)
{
	char *parent;
	char *name;
	int r = -1;

	split(path, &parent, &name);
	int fd = open_dir(restrict_fd, parent);
	if (fd < 0 && errno == ENOENT && parents && *parent && make_dir(restrict_fd, parent, true, e) == 0)
		fd = open_dir(restrict_fd, parent);
	if (fd < 0)
		err_sys(e, errno == ENOSPC ? ERR_IO : ERR_SOURCE, "destination %s: its parent directory",
			path);
	else if (mkdirat(fd, name, 0777) != 0 && errno != EEXIST)
		err_sys(e, errno == ENOSPC || errno == EDQUOT ? ERR_IO : ERR_SOURCE, "create destination %s",
			path);
	else
		r = 0;
	if (fd >= 0)
		close(fd);
	free(parent);
	free(name);
	return r;
}

static bool is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	bool empty = dir != NULL;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	for (struct dirent *en; empty && (en = readdir(dir));)
		empty = strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

static int open_or_make(struct dest_root *r, const struct sync_options *o, const char *path, bool may_make,
	int restrict_fd, struct err *e)
{
	r->fd = open_dir(restrict_fd, path);
	if (r->fd < 0 && errno == ENOENT && !may_make)
		return err_sys(e, ERR_SOURCE, "destination directory %s (--mkpath would make it)", path);
	if (r->fd < 0 && errno == ENOENT) {
		r->created = r->empty = true;
		if (o->dry_run)
			return 0;
		if (make_dir(restrict_fd, path, o->mkpath, e) != 0)
			return -1;
		r->fd = open_dir(restrict_fd, path);
	} else if (r->fd >= 0) {
		r->empty = is_empty(r->fd);
	}
	if (r->fd >= 0)
		return 0;
	if (errno == ENOTDIR)
		return err_set(
			e, ERR_SOURCE, "destination %s is not a directory, but the source is one", path);
	return err_sys(e, ERR_SOURCE, "destination %s", path);
}

int dest_root_open(struct dest_root *r, const struct sync_options *o, const char *path, bool source_is_file,
	int restrict_fd, struct err *e)
{
	size_t len = strlen(path);
	bool slash = len && path[len - 1] == '/';

	*r = (struct dest_root){.fd = -1};
	if (!source_is_file || slash)
		return open_or_make(r, o, path, true, restrict_fd, e);
	r->fd = open_dir(restrict_fd, path);
	if (r->fd >= 0)
		return 0;
	if (errno != ENOENT && errno != ENOTDIR)
		return err_sys(e, ERR_SOURCE, "destination %s", path);
	char *parent;
	split(path, &parent, &r->rename_to);
	int result = open_or_make(r, o, parent, o->mkpath, restrict_fd, e);
	r->empty = false;
	free(parent);
	return result;
}

void dest_root_close(struct dest_root *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->rename_to);
	*r = (struct dest_root){.fd = -1};
}
