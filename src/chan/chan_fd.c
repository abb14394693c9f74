/* The bottom of a channel: two descriptors and an eventfd that wakes whoever waits on them. */
#include "chan/chan_ops.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_BYTES = 1 << 20, SOCKET_BYTES = 1 << 20 };

struct chan_fd {
	struct chan base;
	int in;
	int out;
	int wake;
	int in_flags; /* as they were before */
	int out_flags;
	bool out_is_socket;
};

static struct chan_fd *self_of(struct chan *c)
{
	return (struct chan_fd *)(void *)c;
}

/* Wait until fd is ready for `events` or the channel is stopped. 1 = ready, 0 = timeout, -1 = *e. */
static int wait_for(struct chan_fd *s, int fd, short events, int timeout_ms, struct err *e)
{
	for (;;) {
		struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = s->wake, .events = POLLIN}};
		int n = poll(p, 2, timeout_ms > 0 ? timeout_ms : -1);
		if (atomic_load(&s->base.stopped))
			return chan_set_stopped(e);
		if (n >= 0)
			return n > 0;
		if (errno != EINTR)
			return err_sys(e, ERR_IO, "poll");
	}
}

static ssize_t fd_readv(struct chan *c, const struct iovec *v, int n, int timeout_ms, struct err *e)
{
	struct chan_fd *s = self_of(c);

	for (;;) {
		ssize_t got = readv(s->in, v, n);
		if (got >= 0)
			return got;
		if (errno == ECONNRESET)
			return err_sys(e, ERR_CLOSED, "the connection broke");
		if (errno != EAGAIN && errno != EINTR)
			return err_sys(e, ERR_IO, "read from the connection");
		if (errno == EINTR)
			continue;
		int ready = wait_for(s, s->in, POLLIN, timeout_ms, e);
		if (ready < 0)
			return -1;
		if (ready == 0)
			return err_set(e, ERR_TIMEOUT, "nothing was received for %d.%d seconds",
				timeout_ms / 1000, timeout_ms % 1000 / 100);
	}
}

static ssize_t write_once(struct chan_fd *s, const struct iovec *v, int n)
{
	if (!s->out_is_socket)
		return writev(s->out, v, n);
	struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n};
	return sendmsg(s->out, &m, MSG_NOSIGNAL);
}

static ssize_t fd_writev(struct chan *c, const struct iovec *v, int n, struct err *e)
{
	struct chan_fd *s = self_of(c);

	for (;;) {
		ssize_t put = write_once(s, v, n);
		if (put > 0)
			return put;
		if (put < 0 && (errno == EPIPE || errno == ECONNRESET))
			return chan_explain_end(c, e);
		if (put < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, ERR_IO, "write to the connection");
		if (wait_for(s, s->out, POLLOUT, 0, e) < 0)
			return -1;
	}
}

static bool fd_writable(struct chan *c)
{
	struct pollfd p = {.fd = self_of(c)->out, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void fd_shutdown(struct chan *c)
{
	(void)eventfd_write(self_of(c)->wake, 1);
}

static int fd_close(struct chan *c)
{
	struct chan_fd *s = self_of(c);

	/* The open file may be shared with others (a terminal, an inherited pipe): leave it as it was. */
	fcntl(s->in, F_SETFL, s->in_flags);
	if (s->out != s->in) {
		fcntl(s->out, F_SETFL, s->out_flags);
		close(s->out);
	}
	close(s->in);
	close(s->wake);
	return 0;
}

static const struct chan_ops fd_ops = {
	.readv = fd_readv,
	.writev = fd_writev,
	.writable = fd_writable,
	.shutdown = fd_shutdown,
	.close = fd_close,
};

void chan_grow_pipe(int fd)
{
	/* Not a pipe, or over the user's share of pipe memory: works as well, only with more waking up. */
	(void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	return flags < 0 ? 0 : flags;
}

struct chan *chan_fd_new(int in, int out)
{
	struct chan_fd *s = xcalloc(1, sizeof(*s));
	struct stat st;

	chan_init(&s->base, &fd_ops);
	s->in = in;
	s->out = out;
	s->in_flags = set_nonblocking(in);
	s->out_flags = out == in ? s->in_flags : set_nonblocking(out);
	s->out_is_socket = fstat(out, &st) == 0 && S_ISSOCK(st.st_mode);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0)
		BUG("no descriptor left for an eventfd");
	chan_grow_pipe(in);
	chan_grow_pipe(out);
	return &s->base;
}

int chan_pair_new(struct chan **a, struct chan **b, struct err *e)
{
	int fd[2];
	int bytes = SOCKET_BYTES;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return err_sys(e, ERR_IO, "socketpair");
	for (int i = 0; i < 2; i++)
		(void)setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	*a = chan_fd_new(fd[0], fd[0]);
	*b = chan_fd_new(fd[1], fd[1]);
	return 0;
}
