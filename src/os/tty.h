/*
 * Is somebody looking: terminals, their width, and leaving them as they were found.
 * Role      OS.
 */
#ifndef WHERRY_OS_TTY_H
#define WHERRY_OS_TTY_H

#include <stdbool.h>
#include <termios.h>

/* Is fd a terminal? */
bool tty_is(int fd);

/* Is fd a terminal on which a line can be drawn over again (TERM is set and not "dumb")? */
bool tty_can_redraw(int fd);

/* Do we have fd's terminal now, or is it another job's (we were started or put into the background)? False when
 * fd is no terminal. */
bool tty_is_ours(int fd);

/* Width in columns: the terminal's, else $COLUMNS, else 80. Ask again after SIGWINCH. */
unsigned tty_columns(int fd);

/* The settings of a terminal, to be put back. */
struct tty_saved {
	int fd; /* -1: nothing to put back */
	struct termios settings;
};

/* Remember the settings of fd's terminal, if it is one. */
void tty_save(struct tty_saved *t, int fd);

/* Put the settings back and show the cursor again, unless the terminal is another job's now. Keeps errno; may be
 * called from a signal handler, and more than once. */
void tty_restore(const struct tty_saved *t);

#endif
