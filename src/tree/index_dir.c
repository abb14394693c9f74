#include "tree/index_dir.h"

#include "base/alloc.h"
#include "tree/index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char prefix[] = "index-";

/* The default directory, malloc'ed; NULL when there is no home. */
static char *default_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	struct passwd entry, *found = NULL;
	char text[4096];

	if (geteuid() == 0)
		return xstrdup("/var/lib/wherry");
	if (state && state[0] == '/')
		return xasprintf("%s/wherry", state);
	if (!home || home[0] != '/') {
		if (getpwuid_r(geteuid(), &entry, text, sizeof(text), &found) != 0 || !found)
			return NULL;
		home = found->pw_dir;
	}
	return xasprintf("%s/.local/state/wherry", home);
}

/* mkdir -p, private. */
static void make_dirs(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	mkdir(path, 0700);
}

int index_dir_open(const char *dir, struct err *e)
{
	char *path = dir ? xstrdup(dir) : default_dir();
	int fd = -1;

	if (!path || !*path) {
		err_set(e, ERR_IO, "index cache: this user has no home directory");
	} else {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT) {
			make_dirs(path);
			fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		}
		if (fd < 0)
			err_sys(e, ERR_IO, "index cache: open %s", path);
	}
	free(path);
	return fd;
}

static int try_lock(int dir_fd, unsigned attempts)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	const struct timespec pause = {.tv_nsec = 10000000};
	int fd = openat(dir_fd, "index.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -1;
	while (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
		if ((errno != EAGAIN && errno != EACCES && errno != EINTR) || --attempts == 0) {
			close(fd);
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

int index_dir_lock(int dir_fd)
{
	return try_lock(dir_fd, 200);
}

static bool is_index_name(const char *name)
{
	size_t digits = strspn(name + sizeof(prefix) - 1, "0123456789abcdef");
	const char *rest = name + sizeof(prefix) - 1 + digits;

	return digits == 16 && (*rest == '\0' || strcmp(rest, ".tmp") == 0);
}

static void sweep_locked(DIR *d)
{
	time_t limit = time(NULL) - (time_t)INDEX_KEEP_DAYS * 86400;
	struct dirent *de;
	struct stat st;

	while ((de = readdir(d))) {
		if (strncmp(de->d_name, prefix, sizeof(prefix) - 1) != 0 || !is_index_name(de->d_name))
			continue;
		if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
			st.st_mtim.tv_sec < limit)
			unlinkat(dirfd(d), de->d_name, 0);
	}
}

void index_dir_sweep(int dir_fd)
{
	int lock = try_lock(dir_fd, 1);
	int fd = lock < 0 ? -1 : openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d) {
		sweep_locked(d);
		closedir(d);
	} else if (fd >= 0) {
		close(fd);
	}
	if (lock >= 0)
		close(lock);
}
