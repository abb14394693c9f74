#include "sync/report_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PENDING_MAX = 4 << 20,  /* a line is at most two 64 KiB names, each byte escaped as six */
	FLUSH_BYTES = 32 << 10, /* written out at once from here on */
};

static const char erase_line[] = "\r\033[K";

void report_out_init(struct report_out *o, int fd)
{
	struct stat st;

	*o = (struct report_out){.fd = fd, .tty = fd >= 0 && isatty(fd)};
	if (o->tty && fstat(fd, &st) == 0)
		o->device = st.st_rdev;
	buf_init(&o->pending, PENDING_MAX);
}

void report_out_release(struct report_out *o)
{
	buf_release(&o->pending);
	o->fd = -1;
}

/* A terminal or pipe that someone else has set to non-blocking (ssh does) is waited for. */
static int put_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);
		if (done >= 0) {
			p += done;
			n -= (size_t)done;
		} else if (errno == EAGAIN) {
			struct pollfd wait = {.fd = fd, .events = POLLOUT};
			if (poll(&wait, 1, -1) < 0 && errno != EINTR)
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

/* Output that is lost is said once, on stderr; a reader that has gone away is not. */
static void write_failed(struct report *r, struct report_out *o)
{
	int why = errno;

	o->failed = true;
	if (why == EPIPE || o == &r->err || r->err.failed)
		return;
	char text[256];
	char reason[128];
	int n = snprintf(text, sizeof(text), "%swherry: writing %s: %s\n", *r->bar ? erase_line : "",
		o == &r->log ? "the log file" : "to stdout", strerror_r(why, reason, sizeof(reason)));
	if (put_all(r->err.fd, (const uint8_t *)text, (size_t)n) < 0)
		r->err.failed = true;
}

/* Is the bar now on the terminal that o writes to? */
static bool shows_bar(const struct report *r, const struct report_out *o)
{
	return *r->bar && o->tty && o->device == r->err.device;
}

struct buf *report_line_begin(struct report_out *o)
{
	o->line_start = o->pending.len;
	return &o->pending;
}

void report_line_end(struct report *r, struct report_out *o)
{
	buf_put_u8(&o->pending, '\n');
	if (o->pending.overflow) {
		o->pending.len = o->line_start;
		o->pending.overflow = false;
	}
	if (o->pending.len >= FLUSH_BYTES || (o->tty && !shows_bar(r, o)))
		report_flush(r, o);
}

void report_flush(struct report *r, struct report_out *o)
{
	struct buf *b = &o->pending;

	if (!b->len || o->failed || o->fd < 0) {
		buf_clear(b);
		return;
	}
	int rc;
	if (shows_bar(r, o)) {
		struct buf whole;
		buf_init(&whole, PENDING_MAX + BAR_MAX + 16);
		buf_put(&whole, erase_line, sizeof(erase_line) - 1);
		buf_put(&whole, b->data, b->len);
		buf_put(&whole, r->bar, strlen(r->bar));
		rc = put_all(o->fd, whole.data, whole.len);
		buf_release(&whole);
	} else {
		rc = put_all(o->fd, b->data, b->len);
	}
	if (rc < 0)
		write_failed(r, o);
	buf_clear(b);
}

void report_flush_all(struct report *r)
{
	report_flush(r, &r->log);
	report_flush(r, &r->out);
	report_flush(r, &r->err);
}

void report_bar_show(struct report *r, const char *text)
{
	char line[BAR_MAX + 8];

	if (strcmp(r->bar, text) == 0 || r->err.failed)
		return;
	int n = *text ? snprintf(line, sizeof(line), "\r%s\033[K", text)
		      : snprintf(line, sizeof(line), "%s", erase_line);
	if (put_all(r->err.fd, (const uint8_t *)line, (size_t)n) < 0)
		write_failed(r, &r->err);
	snprintf(r->bar, sizeof(r->bar), "%s", text);
}

unsigned report_tty_columns(int fd, bool *foreground)
{
	struct winsize size;
	pid_t group = tcgetpgrp(fd);

	*foreground = group < 0 || group == getpgrp();
	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}
