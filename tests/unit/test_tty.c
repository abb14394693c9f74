#include "os_scratch.h"

#include "os/tty.h"

#include <sys/ioctl.h>

static void a_file_is_none(void **state)
{
	struct scratch *s = *state;
	struct tty_saved saved;

	setenv("TERM", "xterm", 1);
	unsetenv("COLUMNS");
	assert_false(tty_is(s->fd));
	assert_false(tty_can_redraw(s->fd));
	assert_false(tty_is_ours(s->fd));
	assert_int_equal(tty_columns(s->fd), 80);
	setenv("COLUMNS", "132", 1);
	assert_int_equal(tty_columns(s->fd), 132);
	setenv("COLUMNS", "-1", 1);
	assert_int_equal(tty_columns(s->fd), 80);
	unsetenv("COLUMNS");
	tty_save(&saved, s->fd);
	assert_int_equal(saved.fd, -1);
	errno = 12;
	tty_restore(&saved);
	assert_int_equal(errno, 12);
}

/* A pseudo-terminal that belongs to this (child) process. */
static int own_terminal(int *master)
{
	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*master >= 0);
	assert_int_equal(grantpt(*master), 0);
	assert_int_equal(unlockpt(*master), 0);
	setsid();
	int fd = open(ptsname(*master), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void terminal(struct scratch *unused)
{
	struct winsize size = {.ws_row = 24, .ws_col = 97};
	struct tty_saved saved;
	struct termios t;
	char got[16] = "";
	int master;
	int fd = own_terminal(&master);

	(void)unused;
	setenv("TERM", "xterm", 1);
	assert_true(tty_is(fd));
	assert_true(tty_can_redraw(fd));
	assert_true(tty_is_ours(fd));
	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	assert_int_equal(tty_columns(fd), 97);
	setenv("TERM", "dumb", 1);
	assert_false(tty_can_redraw(fd));
	tty_save(&saved, fd);
	assert_int_equal(tcgetattr(fd, &t), 0);
	t.c_lflag &= ~(tcflag_t)ECHO;
	assert_int_equal(tcsetattr(fd, TCSANOW, &t), 0);
	tty_restore(&saved);
	assert_int_equal(tcgetattr(fd, &t), 0);
	assert_true(t.c_lflag & ECHO);
	assert_true(read(master, got, sizeof(got) - 1) > 0);
	assert_string_equal(got, "\033[?25h");
}

static void a_terminal_is_one(void **state)
{
	(void)state;
	run_in_child(terminal, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_none, scratch_setup, scratch_teardown),
		cmocka_unit_test(a_terminal_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
