#include "chan/chan_stderr.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/escape.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { TAIL_BYTES = 4096, LINE_MAX_BYTES = 1024, SHOWN_MAX = 16 << 10, NS_PER_SEC = 1000 * 1000 * 1000 };

struct chan_stderr {
	int fd;
	int wake; /* tells the thread to stop */
	char *host;
	bool quiet;
	pthread_t thread;
	char line[LINE_MAX_BYTES]; /* of the thread: the line so far */
	size_t line_len;

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t ended_cond;
	char tail[TAIL_BYTES];
	size_t tail_len;
	bool ended;
};

static void keep(struct chan_stderr *s, const char *data, size_t n)
{
	pthread_mutex_lock(&s->lock);
	if (n > TAIL_BYTES) {
		data += n - TAIL_BYTES;
		n = TAIL_BYTES;
	}
	if (s->tail_len + n > TAIL_BYTES) {
		size_t drop = s->tail_len + n - TAIL_BYTES;
		memmove(s->tail, s->tail + drop, s->tail_len - drop);
		s->tail_len -= drop;
	}
	memcpy(s->tail + s->tail_len, data, n);
	s->tail_len += n;
	pthread_mutex_unlock(&s->lock);
}

/* One write per line, so that lines of several hosts do not mix. */
static void show_line(struct chan_stderr *s)
{
	struct buf out;
	size_t n = s->line_len;

	s->line_len = 0;
	if (n && s->line[n - 1] == '\r')
		n--;
	if (s->quiet || n == 0)
		return;
	buf_init(&out, SHOWN_MAX);
	escape_name(&out, s->host, strlen(s->host));
	buf_put(&out, ": ", 2);
	escape_name(&out, s->line, n);
	buf_put_u8(&out, '\n');
	ssize_t ignored = write(STDERR_FILENO, out.data, out.len);
	(void)ignored;
	buf_release(&out);
}

static void show(struct chan_stderr *s, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n' || s->line_len == LINE_MAX_BYTES)
			show_line(s);
		if (data[i] != '\n')
			s->line[s->line_len++] = data[i];
	}
}

static void read_all(struct chan_stderr *s)
{
	char data[TAIL_BYTES];

	for (;;) {
		struct pollfd p[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = s->wake, .events = POLLIN}};
		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (!p[0].revents)
			return; /* woken, and nothing is left to read */
		ssize_t n = read(s->fd, data, sizeof(data));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		keep(s, data, (size_t)n);
		show(s, data, (size_t)n);
		if (p[1].revents)
			return;
	}
}

static void *reader_main(void *arg)
{
	struct chan_stderr *s = arg;

	read_all(s);
	show_line(s);
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	pthread_cond_broadcast(&s->ended_cond);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct chan_stderr *chan_stderr_new(int fd, const char *host, bool quiet)
{
	struct chan_stderr *s = xcalloc(1, sizeof(*s));
	pthread_condattr_t attr;

	s->fd = fd;
	s->host = xstrdup(host);
	s->quiet = quiet;
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->ended_cond, &attr);
	pthread_condattr_destroy(&attr);
	if (s->wake < 0 || pthread_create(&s->thread, NULL, reader_main, s) != 0)
		BUG("no thread or descriptor left to read a child's stderr");
	return s;
}

/* With the lock held. */
static void wait_end(struct chan_stderr *s, int wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = until.tv_nsec + (int64_t)wait_ms * 1000 * 1000;
	until.tv_sec += ns / NS_PER_SEC;
	until.tv_nsec = ns % NS_PER_SEC;
	while (!s->ended && pthread_cond_timedwait(&s->ended_cond, &s->lock, &until) == 0)
		;
}

char *chan_stderr_words(struct chan_stderr *s, int wait_ms)
{
	pthread_mutex_lock(&s->lock);
	wait_end(s, wait_ms);
	char *words = xmemdupz(s->tail, s->tail_len);
	pthread_mutex_unlock(&s->lock);
	return words;
}

void chan_stderr_free(struct chan_stderr *s, int wait_ms)
{
	pthread_mutex_lock(&s->lock);
	wait_end(s, wait_ms);
	pthread_mutex_unlock(&s->lock);
	(void)eventfd_write(s->wake, 1);
	pthread_join(s->thread, NULL);
	close(s->fd);
	close(s->wake);
	pthread_cond_destroy(&s->ended_cond);
	pthread_mutex_destroy(&s->lock);
	free(s->host);
	free(s);
}
