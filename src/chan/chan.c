/* What every channel does alike: buffered reading, whole writes, counting, the rate limit. */
#include "chan/chan_ops.h"

#include "base/alloc.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { READ_BUFFER_BYTES = 256 << 10, RATE_SLICES = 10, NS_PER_SEC = 1000 * 1000 * 1000 };

void chan_global_init(void)
{
	signal(SIGPIPE, SIG_IGN);
}

void chan_init(struct chan *c, const struct chan_ops *ops)
{
	*c = (struct chan){.ops = ops, .buffer = xmalloc(READ_BUFFER_BYTES)};
}

int chan_free(struct chan *c)
{
	if (!c)
		return 0;
	int status = c->ops->close(c);
	free(c->buffer);
	free(c);
	return status;
}

int chan_set_stopped(struct err *e)
{
	return err_set(e, ERR_CLOSED, "the connection was shut down");
}

void chan_shutdown(struct chan *c)
{
	atomic_store(&c->stopped, true);
	c->ops->shutdown(c);
}

void chan_set_timeout(struct chan *c, int timeout_ms)
{
	c->timeout_ms = timeout_ms;
}

uint64_t chan_bytes_in(const struct chan *c)
{
	return atomic_load_explicit(&c->bytes_in, memory_order_relaxed);
}

uint64_t chan_bytes_out(const struct chan *c)
{
	return atomic_load_explicit(&c->bytes_out, memory_order_relaxed);
}

const char *chan_host(const struct chan *c)
{
	return c->ops->host ? c->ops->host(c) : NULL;
}

bool chan_writable(struct chan *c)
{
	return !atomic_load(&c->stopped) && c->ops->writable(c);
}

int chan_explain_end(struct chan *c, struct err *e)
{
	if (atomic_load(&c->stopped))
		return chan_set_stopped(e);
	err_set(e, ERR_CLOSED, "the other side closed the connection");
	if (c->ops->explain)
		c->ops->explain(c, e);
	return -1;
}

/* --- reading --- */

size_t chan_read_buffered(struct chan *c, void *data, size_t n)
{
	size_t have = c->end - c->begin;

	if (n > have)
		n = have;
	if (n)
		memcpy(data, c->buffer + c->begin, n);
	c->begin += n;
	return n;
}

/* One read into `data` (at least one byte wanted) and, behind it, the empty buffer. Bytes that went into
 * `data`; 0 at the end of the stream; -1. */
static ssize_t fill(struct chan *c, uint8_t *data, size_t n, struct err *e)
{
	struct iovec v[2] = {{data, n}, {c->buffer, READ_BUFFER_BYTES}};

	if (atomic_load(&c->stopped))
		return chan_set_stopped(e);
	ssize_t got = c->ops->readv(c, v, 2, c->timeout_ms, e);
	if (got <= 0)
		return got;
	atomic_fetch_add_explicit(&c->bytes_in, (uint64_t)got, memory_order_relaxed);
	size_t direct = (size_t)got < n ? (size_t)got : n;
	c->begin = 0;
	c->end = (size_t)got - direct;
	return (ssize_t)direct;
}

int chan_read(struct chan *c, void *data, size_t n, struct err *e)
{
	uint8_t *p = data;
	size_t done = chan_read_buffered(c, p, n);

	while (done < n) {
		ssize_t got = fill(c, p + done, n - done, e);
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	if (done == n)
		return 1;
	if (done == 0 && !(chan_host(c) && chan_bytes_in(c) == 0))
		return 0;
	return chan_explain_end(c, e);
}

/* --- writing --- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

void chan_limit_rate(struct chan *c, uint64_t bytes_per_second)
{
	c->rate = bytes_per_second;
	c->tokens = 0;
	c->filled_ns = now_ns();
}

/* A bucket of a tenth of a second's bytes: wait (at most that long at a time) until it holds at least one byte
 * or half of what is wanted, then say how much may be written. 0 when the channel was stopped. */
static size_t rate_allow(struct chan *c, size_t want)
{
	double depth = (double)c->rate / RATE_SLICES;

	if (depth < 1)
		depth = 1;
	double enough = (double)want < depth / 2 ? (double)want : depth / 2;
	if (enough < 1)
		enough = 1;
	while (!atomic_load(&c->stopped)) {
		int64_t now = now_ns();
		c->tokens += (double)(now - c->filled_ns) * (double)c->rate / NS_PER_SEC;
		c->filled_ns = now;
		if (c->tokens > depth)
			c->tokens = depth;
		if (c->tokens >= enough)
			return (double)want < c->tokens ? want : (size_t)c->tokens;
		double wait = (enough - c->tokens) / (double)c->rate * NS_PER_SEC;
		long ns = wait < NS_PER_SEC / RATE_SLICES ? (long)wait + 1 : NS_PER_SEC / RATE_SLICES;
		nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
	}
	return 0;
}

/* The first `limit` bytes of v[from..n) into out; how many pieces. */
static int clip(const struct iovec *v, int from, int n, size_t limit, struct iovec *out)
{
	int count = 0;

	for (int i = from; i < n && limit; i++) {
		out[count] = v[i];
		if (out[count].iov_len > limit)
			out[count].iov_len = limit;
		limit -= out[count].iov_len;
		count++;
	}
	return count;
}

static size_t total_of(const struct iovec *v, int from, int n)
{
	size_t sum = 0;

	for (int i = from; i < n; i++)
		sum += v[i].iov_len;
	return sum;
}

/* One write of what is left and allowed: bytes written, or -1. */
static ssize_t write_some(struct chan *c, const struct iovec *v, int from, int n, size_t left, struct err *e)
{
	struct iovec part[CHAN_IOV_MAX];
	size_t allowed = c->rate ? rate_allow(c, left) : left;

	if (atomic_load(&c->stopped))
		return chan_set_stopped(e);
	ssize_t put = c->ops->writev(c, part, clip(v, from, n, allowed, part), e);
	if (put > 0) {
		atomic_fetch_add_explicit(&c->bytes_out, (uint64_t)put, memory_order_relaxed);
		if (c->rate)
			c->tokens -= (double)put;
	}
	return put;
}

int chan_writev(struct chan *c, const struct iovec *pieces, int n, struct err *e)
{
	struct iovec v[CHAN_IOV_MAX];
	int from = 0;

	if (n > CHAN_IOV_MAX)
		BUG("too many pieces");
	for (int i = 0; i < n; i++)
		v[i] = pieces[i];
	for (size_t left = total_of(v, 0, n); left > 0;) {
		ssize_t put = write_some(c, v, from, n, left, e);
		if (put < 0)
			return -1;
		left -= (size_t)put;
		while (from < n && (size_t)put >= v[from].iov_len)
			put -= (ssize_t)v[from++].iov_len;
		if (from < n) {
			v[from].iov_base = (char *)v[from].iov_base + put;
			v[from].iov_len -= (size_t)put;
		}
	}
	return 0;
}

int chan_write(struct chan *c, const void *data, size_t n, struct err *e)
{
	struct iovec v = {(void *)data, n};

	return chan_writev(c, &v, 1, e);
}
