#include "os/tty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DEFAULT_COLUMNS = 80, MAX_COLUMNS = 10000 };

bool tty_is(int fd)
{
	int saved = errno;
	bool is = isatty(fd) == 1;

	errno = saved;
	return is;
}

bool tty_can_redraw(int fd)
{
	const char *term = getenv("TERM");

	return term && *term && strcmp(term, "dumb") != 0 && tty_is(fd);
}

bool tty_is_ours(int fd)
{
	int saved = errno;
	pid_t owner = tcgetpgrp(fd);

	errno = saved;
	return owner >= 0 && owner == getpgrp();
}

unsigned tty_columns(int fd)
{
	struct winsize size = {0};
	const char *env = getenv("COLUMNS");

	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	unsigned long n = env ? strtoul(env, NULL, 10) : 0;
	return n && n <= MAX_COLUMNS ? (unsigned)n : DEFAULT_COLUMNS;
}

void tty_save(struct tty_saved *t, int fd)
{
	int saved = errno;

	t->fd = tcgetattr(fd, &t->settings) == 0 ? fd : -1;
	errno = saved;
}

void tty_restore(const struct tty_saved *t)
{
	static const char show_cursor[] = "\033[?25h";
	int saved = errno;

	if (t->fd >= 0 && tty_is_ours(t->fd)) {
		(void)!write(t->fd, show_cursor, sizeof(show_cursor) - 1);
		tcsetattr(t->fd, TCSANOW, &t->settings);
	}
	errno = saved;
}
