#include "os_scratch.h"

#include "os/beneath.h"
#include "os/copy.h"
#include "os/fault.h"

#include <signal.h>

static const char *self_path;

#ifdef WHERRY_FAULT
/* What the test runs as a program of its own, as the plan is read once per process: five changes. The answer is
 * a letter each: '.' done, or the first of the errno's name. */
static int be_the_victim(const char *dir)
{
	char answers[6] = ".....";
	int root = beneath_root(dir, O_RDONLY);

	if (root < 0)
		return 99;
	for (int i = 0; i < 5; i++) {
		char name[2] = {(char)('a' + i), '\0'};
		int fd = beneath_open(root, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd < 0)
			answers[i] = errno == ENOSPC ? 'S' : errno == EIO ? 'I' : '?';
		else
			close(fd);
	}
	puts(answers);
	return 0;
}

/* Its status as of system(3), and the first line it printed. */
static int run_victim(struct scratch *s, const char *env, char *out, size_t room)
{
	char cmd[2048];

	snprintf(cmd, sizeof(cmd), "%s %s --victim %s", env, self_path, s->path);
	FILE *f = popen(cmd, "r");
	assert_non_null(f);
	if (!fgets(out, (int)room, f))
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return pclose(f);
}

static int files_made(struct scratch *s)
{
	int n = 0;

	for (char name[2] = "a"; name[0] <= 'e'; name[0]++) {
		n += exists_at(s->fd, name);
		unlinkat(s->fd, name, 0);
	}
	return n;
}

static void assert_counted(struct scratch *s, const char *want)
{
	char got[16] = "";
	int fd = openat(s->fd, "count", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read_full(fd, got, sizeof(got) - 1) > 0);
	assert_string_equal(got, want);
	close(fd);
}

static void fails_when_told(void **state)
{
	struct scratch *s = *state;
	char out[64];
	char env[1024];

	assert_int_equal(run_victim(s, "env", out, sizeof(out)), 0);
	assert_string_equal(out, ".....");
	assert_int_equal(files_made(s), 5);
	assert_int_equal(run_victim(s, "env WHERRY_FAIL_AT=2:ENOSPC", out, sizeof(out)), 0);
	assert_string_equal(out, ".S...");
	assert_int_equal(files_made(s), 4);
	assert_int_equal(run_victim(s, "env WHERRY_FAIL_AT=4+:EIO", out, sizeof(out)), 0);
	assert_string_equal(out, "...II");
	assert_int_equal(files_made(s), 3);
	snprintf(env, sizeof(env), "env WHERRY_FAULT_COUNT=%s/count", s->path);
	assert_int_equal(run_victim(s, env, out, sizeof(out)), 0);
	assert_counted(s, "5\n");
}

static void crashes_when_told(void **state)
{
	struct scratch *s = *state;
	char out[64];

	for (int n = 1; n <= 5; n++) {
		char env[64];
		snprintf(env, sizeof(env), "exec env WHERRY_CRASH_AT=%d", n);
		int status = run_victim(s, env, out, sizeof(out));
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
		assert_int_equal(files_made(s), n - 1);
	}
	assert_int_equal(run_victim(s, "exec env WHERRY_CRASH_AT=6", out, sizeof(out)), 0);
	assert_int_equal(files_made(s), 5);
}
#endif

static void normally_nothing_happens(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(fault_point("test"), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#ifdef WHERRY_FAULT
		cmocka_unit_test_setup_teardown(fails_when_told, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(crashes_when_told, scratch_setup, scratch_teardown),
#endif
		cmocka_unit_test(normally_nothing_happens),
	};

	self_path = argv[0];
#ifdef WHERRY_FAULT
	if (argc == 3 && strcmp(argv[1], "--victim") == 0)
		return be_the_victim(argv[2]);
#endif
	(void)argc;
	(void)self_path;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
