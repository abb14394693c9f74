#include "os_scratch.h"

#include "os/copy.h"
#include "os/spawn.h"

#include <signal.h>

static char *const cat[] = {(char *)"cat", NULL};

static void read_all(int fd, char *text, size_t room)
{
	int64_t n = read_full(fd, text, room - 1);

	assert_true(n >= 0);
	text[n] = '\0';
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Run `sh -c script`, return what it printed and its status. */
static int run_sh(const char *script, char *out, size_t room)
{
	char *const argv[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL};
	struct spawned s;
	struct err e;

	assert_int_equal(spawn_piped(&s, argv, 0, &e), 0);
	assert_int_equal(s.err, -1);
	read_all(s.out, out, room);
	int status = spawn_wait(&s);
	spawn_close(&s);
	return status;
}

static void talks_through_pipes(void **state)
{
	struct spawned s;
	struct err e;
	char got[64];
	int before = open_fds();

	(void)state;
	assert_int_equal(spawn_piped(&s, cat, 0, &e), 0);
	assert_int_equal(write_all(s.in, "hello", 5), 0);
	close(s.in);
	s.in = -1;
	read_all(s.out, got, sizeof(got));
	assert_string_equal(got, "hello");
	assert_int_equal(spawn_wait(&s), 0);
	assert_int_equal(spawn_wait(&s), -1);
	assert_int_equal(errno, ECHILD);
	spawn_close(&s);
	assert_int_equal(open_fds(), before);
}

static void stderr_is_captured(void **state)
{
	char *const argv[] = {(char *)"sh", (char *)"-c", (char *)"echo out; echo err >&2; exit 3", NULL};
	struct spawned s;
	struct err e;
	char got[64];

	(void)state;
	assert_int_equal(spawn_piped(&s, argv, 1, &e), 0);
	read_all(s.out, got, sizeof(got));
	assert_string_equal(got, "out\n");
	read_all(s.err, got, sizeof(got));
	assert_string_equal(got, "err\n");
	assert_int_equal(spawn_wait(&s), 3);
	spawn_close(&s);
}

static void status_of_a_signal(void **state)
{
	char got[64];

	(void)state;
	assert_int_equal(run_sh("kill -9 $$", got, sizeof(got)), 128 + SIGKILL);
	assert_int_equal(run_sh("exit 255", got, sizeof(got)), 255);
}

static void cannot_run(void **state)
{
	char *const none[] = {(char *)"wherry-no-such-command", NULL};
	char *const dir[] = {(char *)"/tmp", NULL};
	struct spawned s;
	struct err e;
	int before = open_fds();

	(void)state;
	assert_int_equal(spawn_piped(&s, none, 1, &e), -1);
	assert_int_equal(e.code, ERR_UNREACHABLE);
	assert_string_equal(e.text, "cannot run wherry-no-such-command: No such file or directory");
	assert_int_equal(spawn_piped(&s, dir, 1, &e), -1);
	assert_string_equal(e.text, "cannot run /tmp: Permission denied");
	assert_int_equal(open_fds(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* No shell looks at the arguments. */
static void arguments_are_bytes(void **state)
{
	char *const argv[] = {
		(char *)"printf", (char *)"%s|", (char *)"$HOME `id` ;", (char *)"a\nb\xff'\"", NULL};
	struct spawned s;
	struct err e;
	char got[64];

	(void)state;
	assert_int_equal(spawn_piped(&s, argv, 0, &e), 0);
	read_all(s.out, got, sizeof(got));
	assert_string_equal(got, "$HOME `id` ;|a\nb\xff'\"|");
	assert_int_equal(spawn_wait(&s), 0);
	spawn_close(&s);
}

static void nothing_else_is_inherited(struct scratch *unused)
{
	char got[256];
	sigset_t set;

	(void)unused;
	assert_true(dup2(1, 77) == 77); /* not close-on-exec */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	assert_int_equal(run_sh("exec ls /proc/self/fd", got, sizeof(got)), 0);
	assert_string_equal(got, "0\n1\n2\n3\n"); /* 3 is how ls reads the directory */
	assert_int_equal(
		run_sh("sed -n 's/^SigBlk://p; s/^SigIgn://p' /proc/self/status", got, sizeof(got)), 0);
	unsigned long long blocked = 1;
	unsigned long long ignored = 1;
	assert_int_equal(sscanf(got, "%llx %llx", &blocked, &ignored), 2);
	assert_int_equal(blocked, 0);
	/* glibc leaves its own signals 32 and 33 ignored until the child sets them */
	assert_int_equal(ignored & 0x7fffffff, 0);
}

static void child_starts_clean(void **state)
{
	(void)state;
	run_in_child(nothing_else_is_inherited, NULL);
}

static void stdio_was_closed(struct scratch *unused)
{
	struct spawned s;
	struct err e;
	char got[16];

	(void)unused;
	close(0);
	close(1);
	assert_int_equal(spawn_piped(&s, cat, 0, &e), 0);
	assert_int_equal(write_all(s.in, "x", 1), 0);
	close(s.in);
	s.in = -1;
	read_all(s.out, got, sizeof(got));
	assert_string_equal(got, "x");
	assert_int_equal(spawn_wait(&s), 0);
}

static void works_without_stdio(void **state)
{
	(void)state;
	run_in_child(stdio_was_closed, NULL);
}

static void stops_the_stubborn(void **state)
{
	char *const sleeper[] = {(char *)"sleep", (char *)"60", NULL};
	char *const stubborn[] = {
		(char *)"sh", (char *)"-c", (char *)"trap '' TERM; echo; while :; do sleep 0.01; done", NULL};
	struct spawned s;
	struct err e;
	char c;

	(void)state;
	assert_int_equal(spawn_piped(&s, cat, 1, &e), 0);
	assert_int_equal(spawn_stop(&s, 5000), 0); /* ends with its input */
	assert_int_equal(spawn_piped(&s, sleeper, 1, &e), 0);
	assert_int_equal(spawn_stop(&s, 10), 128 + SIGTERM);
	assert_int_equal(s.out, -1);
	assert_int_equal(spawn_piped(&s, stubborn, 1, &e), 0);
	assert_int_equal(read_full(s.out, &c, 1), 1);
	assert_int_equal(spawn_stop(&s, 10), 128 + SIGKILL);
	assert_int_equal(spawn_stop(&s, 10), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(talks_through_pipes),
		cmocka_unit_test(stderr_is_captured),
		cmocka_unit_test(status_of_a_signal),
		cmocka_unit_test(cannot_run),
		cmocka_unit_test(arguments_are_bytes),
		cmocka_unit_test(child_starts_clean),
		cmocka_unit_test(works_without_stdio),
		cmocka_unit_test(stops_the_stubborn),
	};

	setenv("PATH", "/usr/bin:/bin", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
