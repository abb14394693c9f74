#include "os/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of Debian 12. */
#define ACCESS_TRUNCATE  (1ull << 14)
#define ACCESS_IOCTL_DEV (1ull << 15)

enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_IOCTL_DEV = 5 };

enum {
	READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	CHANGE = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
		 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
		 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
		 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER |
		 ACCESS_TRUNCATE,
	FILE_ONLY = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE,
};

/* What getpwnam(), getgrnam() and localtime() read. What is missing is left out. */
static const char *const readable[] = {
	"/etc/passwd",
	"/etc/group",
	"/etc/nsswitch.conf",
	"/etc/localtime",
	"/etc/ld.so.cache",
	"/lib",
	"/lib64",
	"/usr/lib",
	"/usr/lib64",
	"/usr/local/lib",
	"/usr/share/zoneinfo",
	"/run/systemd/userdb",
	"/run/nscd",
	"/var/lib/sss/mc",
	"/var/lib/extrausers",
	"/proc/self",
	"/dev/urandom",
};

static const char *const writable[] = {"/dev/null"};

static int landlock_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* All rights that this kernel can take away; the others must not be named to it. */
static uint64_t known_rights(int abi)
{
	uint64_t rights = READ | CHANGE | LANDLOCK_ACCESS_FS_EXECUTE | ACCESS_IOCTL_DEV;

	if (abi < ABI_TRUNCATE)
		rights &= ~ACCESS_TRUNCATE;
	if (abi < ABI_IOCTL_DEV)
		rights &= ~ACCESS_IOCTL_DEV;
	return rights;
}

static int allow_fd(int rules, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr attr = {.allowed_access = rights, .parent_fd = fd};
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	if (!S_ISDIR(st.st_mode))
		attr.allowed_access &= FILE_ONLY;
	return (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
}

static int allow_names(int rules, const char *const names[], size_t count, uint64_t rights)
{
	for (size_t i = 0; i < count; i++) {
		int fd = open(names[i], O_PATH | O_CLOEXEC);
		if (fd < 0)
			continue;
		int r = allow_fd(rules, fd, rights);
		close(fd);
		if (r != 0)
			return -1;
	}
	return 0;
}

static int allow_all(int rules, uint64_t known, const struct confine_path *paths, size_t count)
{
	const uint64_t change = (READ | CHANGE) & known;

	for (size_t i = 0; i < count; i++)
		if (allow_fd(rules, paths[i].fd, paths[i].writable ? change : READ) != 0)
			return -1;
	if (allow_names(rules, readable, sizeof(readable) / sizeof(readable[0]), READ) != 0)
		return -1;
	return allow_names(rules, writable, sizeof(writable) / sizeof(writable[0]), change);
}

int confine_to(const struct confine_path *paths, size_t count)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	int abi = landlock_abi();
	if (abi < ABI_REFER)
		return 0;
	const uint64_t known = known_rights(abi);
	struct landlock_ruleset_attr attr = {.handled_access_fs = known};
	int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules < 0)
		return -1;
	int r = allow_all(rules, known, paths, count);
	if (r == 0)
		r = (int)syscall(SYS_landlock_restrict_self, rules, 0);
	int saved = errno;
	close(rules);
	errno = saved;
	return r != 0 ? -1 : 1;
}
