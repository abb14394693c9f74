#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A pipe whose ends are above 2, so that no dup2 in the child overwrites one that is still needed. */
static int pipe_above_stdio(int ends[2])
{
	int low[2];

	if (pipe2(low, O_CLOEXEC) != 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		ends[i] = low[i] > 2 ? low[i] : fcntl(low[i], F_DUPFD_CLOEXEC, 3);
		if (ends[i] != low[i])
			close(low[i]);
	}
	if (ends[0] >= 0 && ends[1] >= 0)
		return 0;
	close_fd(&ends[0]);
	close_fd(&ends[1]);
	return -1;
}

static void child_attributes(posix_spawnattr_t *attr)
{
	sigset_t all;
	sigset_t none;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_init(attr);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

/* fds[0..2] become the child's stdio; -1 = inherited. 0 or an errno. */
static int start(pid_t *pid, char *const argv[], const int fds[3])
{
	posix_spawn_file_actions_t acts;
	posix_spawnattr_t attr;
	int e = 0;

	posix_spawn_file_actions_init(&acts);
	child_attributes(&attr);
	for (int i = 0; i < 3 && !e; i++)
		if (fds[i] >= 0)
			e = posix_spawn_file_actions_adddup2(&acts, fds[i], i);
	if (!e)
		e = posix_spawn_file_actions_addclosefrom_np(&acts, 3);
	if (!e)
		e = posix_spawnp(pid, argv[0], &acts, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&acts);
	return e;
}

int spawn_piped(struct spawned *s, char *const argv[], int capture_stderr, struct err *e)
{
	int in[2] = {-1, -1};
	int out[2] = {-1, -1};
	int err[2] = {-1, -1};
	int failed = 0;

	*s = (struct spawned){.pid = -1, .in = -1, .out = -1, .err = -1};
	if (pipe_above_stdio(in) != 0 || pipe_above_stdio(out) != 0 ||
		(capture_stderr && pipe_above_stdio(err) != 0))
		failed = errno;
	if (!failed)
		failed = start(&s->pid, argv, (int[3]){in[0], out[1], err[1]});
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&err[1]);
	s->in = in[1];
	s->out = out[0];
	s->err = err[0];
	if (!failed)
		return 0;
	s->pid = -1;
	spawn_close(s);
	errno = failed;
	return err_sys(e, ERR_UNREACHABLE, "cannot run %s", argv[0]);
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int spawn_wait(struct spawned *s)
{
	int status;
	pid_t r;

	if (s->pid <= 0) {
		errno = ECHILD;
		return -1;
	}
	do
		r = waitpid(s->pid, &status, 0);
	while (r < 0 && errno == EINTR);
	s->pid = -1;
	return r < 0 ? -1 : exit_status(status);
}

/* Has it ended within ms milliseconds? It is left for spawn_wait() to collect. */
static bool ends_within(const struct spawned *s, int ms)
{
	enum { STEP_MS = 5 };
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};

	for (int waited = 0;; waited += STEP_MS) {
		siginfo_t info = {.si_pid = 0};
		int r = waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT);
		if ((r == 0 && info.si_pid) || (r != 0 && errno != EINTR))
			return true;
		if (waited >= ms)
			return false;
		nanosleep(&step, NULL);
	}
}

int spawn_stop(struct spawned *s, int grace_ms)
{
	spawn_close(s);
	if (s->pid > 0 && !ends_within(s, grace_ms)) {
		kill(s->pid, SIGTERM);
		if (!ends_within(s, grace_ms))
			kill(s->pid, SIGKILL);
	}
	return spawn_wait(s);
}

void spawn_close(struct spawned *s)
{
	close_fd(&s->in);
	close_fd(&s->out);
	close_fd(&s->err);
}
