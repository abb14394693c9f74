/*
 * For tests of os/: a scratch directory per test, children, and kernels that lack calls.
 * Role      OS (tests only).
 */
#ifndef TESTS_OS_SCRATCH_H
#define TESTS_OS_SCRATCH_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A directory of one test; *state points at it. */
struct scratch {
	char path[512];
	int fd;
};

static inline int scratch_setup(void **state)
{
	static struct scratch s;
	const char *base = getenv("TMPDIR");

	snprintf(s.path, sizeof(s.path), "%s/wherry-test-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(s.path))
		return -1;
	s.fd = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &s;
	return s.fd < 0 ? -1 : 0;
}

static inline int scratch_rm(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline int scratch_teardown(void **state)
{
	struct scratch *s = *state;

	close(s->fd);
	return nftw(s->path, scratch_rm, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void put_file_at(int dir_fd, const char *path, const char *text)
{
	int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline bool exists_at(int dir_fd, const char *path)
{
	struct stat st;

	return fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Run fn in a child, as it may change the process for good. A failed assertion there fails the test. */
static inline void run_in_child(void (*fn)(struct scratch *s), struct scratch *s)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		fn(s);
		fflush(NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* From now on this process' kernel has none of the calls `first`..`last`. False where that cannot be arranged. */
static inline bool lose_syscalls(unsigned first, unsigned last)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

/* Go on as an ordinary user: root becomes "nobody" and owns the scratch directory as such. */
static inline void become_ordinary(struct scratch *s)
{
	if (geteuid() != 0)
		return;
	assert_int_equal(fchown(s->fd, 65534, 65534), 0);
	assert_int_equal(setresgid(65534, 65534, 65534), 0);
	assert_int_equal(setresuid(65534, 65534, 65534), 0);
}

#endif
