/*
 * A channel through a child process (ssh and its like), and what its end means.
 *
 * The child's stdin and stdout are an fd channel; a thread reads its stderr, passes lines on and keeps the last
 * of them. `lock` guards the tail, the end of stderr and the child's exit status: the reader and the writer may
 * both ask why the line broke.
 */
#include "chan/chan_ops.h"

#include "base/alloc.h"
#include "chan/chan_diagnose.h"
#include "chan/chan_fault.h"
#include "chan/chan_stderr.h"
#include "os/spawn.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	EXIT_WAIT_MS = 3000, /* for the status of a child whose output has ended */
	WORDS_WAIT_MS = 300, /* then for the rest of its stderr (others may hold it open) */
	CLOSE_GRACE_MS = 3000,
	STOPPED_GRACE_MS = 500, /* after chan_shutdown() nobody waits for a good end */
};

struct chan_command {
	struct chan base;
	struct chan *line; /* the child's stdin and stdout */
	char *host;
	struct chan_stderr *words;
	atomic_bool heard; /* it has sent something */

	pthread_mutex_t lock;
	struct spawned child;
	bool reaped;
	int status;
};

static struct chan_command *self_of(struct chan *c)
{
	return (struct chan_command *)(void *)c;
}

/* With the lock held. Wait for the child's end; false when it is still running after `ms`. */
static bool reap(struct chan_command *s, int ms)
{
	if (s->reaped)
		return true;
	int fd = (int)syscall(SYS_pidfd_open, s->child.pid, 0);
	if (fd >= 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ready = poll(&p, 1, ms);
		close(fd);
		if (ready <= 0)
			return false;
	}
	s->status = spawn_wait(&s->child);
	s->reaped = true;
	return true;
}

static void command_explain(struct chan *c, struct err *e)
{
	struct chan_command *s = self_of(c);
	struct chan_end end = {.host = s->host, .heard = atomic_load(&s->heard)};

	pthread_mutex_lock(&s->lock);
	end.ended = reap(s, EXIT_WAIT_MS);
	end.status = s->status;
	pthread_mutex_unlock(&s->lock);
	char *words = chan_stderr_words(s->words, end.ended ? WORDS_WAIT_MS : 0);
	end.words = words;
	chan_diagnose(&end, e);
	free(words);
}

static ssize_t command_readv(struct chan *c, const struct iovec *v, int n, int timeout_ms, struct err *e)
{
	struct chan_command *s = self_of(c);
	ssize_t got = s->line->ops->readv(s->line, v, n, timeout_ms, e);

	if (got > 0)
		atomic_store_explicit(&s->heard, true, memory_order_relaxed);
	else if (got < 0 && e->code == ERR_TIMEOUT)
		err_set(e, ERR_TIMEOUT, "%s sent nothing for %d seconds", s->host, (timeout_ms + 999) / 1000);
	return got;
}

static ssize_t command_writev(struct chan *c, const struct iovec *v, int n, struct err *e)
{
	struct chan_command *s = self_of(c);
	ssize_t put = s->line->ops->writev(s->line, v, n, e);

	if (put < 0 && e->code == ERR_CLOSED)
		chan_explain_end(c, e);
	return put;
}

static bool command_writable(struct chan *c)
{
	struct chan *line = self_of(c)->line;

	return line->ops->writable(line);
}

static void command_shutdown(struct chan *c)
{
	chan_shutdown(self_of(c)->line);
}

static const char *command_host(const struct chan *c)
{
	return ((const struct chan_command *)(const void *)c)->host;
}

static int command_close(struct chan *c)
{
	struct chan_command *s = self_of(c);

	chan_free(s->line); /* the child sees the end of its input */
	if (!s->reaped)
		s->status =
			spawn_stop(&s->child, atomic_load(&c->stopped) ? STOPPED_GRACE_MS : CLOSE_GRACE_MS);
	chan_stderr_free(s->words, WORDS_WAIT_MS);
	pthread_mutex_destroy(&s->lock);
	free(s->host);
	return s->status;
}

static const struct chan_ops command_ops = {
	.readv = command_readv,
	.writev = command_writev,
	.writable = command_writable,
	.shutdown = command_shutdown,
	.explain = command_explain,
	.host = command_host,
	.close = command_close,
};

struct chan *chan_command_new(char *const argv[], const char *host, bool quiet, struct err *e)
{
	struct spawned child;

	if (spawn_piped(&child, argv, true, e) < 0)
		return NULL;
	struct chan_command *s = xcalloc(1, sizeof(*s));
	chan_init(&s->base, &command_ops);
	s->host = xstrdup(host);
	s->line = chan_fd_new(child.out, child.in);
	s->words = chan_stderr_new(child.err, host, quiet);
	s->child = child;
	s->child.in = s->child.out = s->child.err = -1; /* they have new owners */
	pthread_mutex_init(&s->lock, NULL);
	return chan_fault_from_env(&s->base);
}
