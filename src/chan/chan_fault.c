#include "chan/chan_fault.h"

#include "base/alloc.h"
#include "chan/chan_ops.h"

#include <stdlib.h>

struct chan_fault {
	struct chan base;
	struct chan *inner;
	struct chan_fault_params p;
	uint64_t random_in; /* each direction has its own sequence and its own thread */
	uint64_t random_out;
	uint64_t read_bytes;
	uint64_t written_bytes;
	atomic_bool cut;
};

static struct chan_fault *self_of(struct chan *c)
{
	return (struct chan_fault *)(void *)c;
}

/* xorshift64 (Marsaglia 2003). */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* How many bytes may pass now; 0 = the line is cut. */
static size_t allowed(struct chan_fault *s, size_t want, uint64_t *random, uint64_t done, uint64_t cut_plus)
{
	size_t n = want;

	if (cut_plus && done + 1 >= cut_plus)
		atomic_store(&s->cut, true);
	if (atomic_load(&s->cut))
		return 0;
	if (cut_plus && n > cut_plus - 1 - done)
		n = (size_t)(cut_plus - 1 - done);
	if (s->p.piece_bytes) {
		size_t piece =
			s->p.seed ? 1 + (size_t)(next_random(random) % s->p.piece_bytes) : s->p.piece_bytes;
		n = n < piece ? n : piece;
	}
	return n;
}

/* The first piece of v that is not empty, cut to what may pass. */
static struct iovec first_of(const struct iovec *v, int n)
{
	for (int i = 0; i < n; i++)
		if (v[i].iov_len)
			return v[i];
	return (struct iovec){0};
}

static ssize_t fault_readv(struct chan *c, const struct iovec *v, int n, int timeout_ms, struct err *e)
{
	struct chan_fault *s = self_of(c);
	struct iovec one = first_of(v, n);

	one.iov_len = allowed(s, one.iov_len, &s->random_in, s->read_bytes, s->p.cut_in_plus);
	if (one.iov_len == 0)
		return 0;
	ssize_t got = s->inner->ops->readv(s->inner, &one, 1, timeout_ms, e);
	if (got > 0)
		s->read_bytes += (uint64_t)got;
	return got;
}

static ssize_t fault_writev(struct chan *c, const struct iovec *v, int n, struct err *e)
{
	struct chan_fault *s = self_of(c);
	struct iovec one = first_of(v, n);

	one.iov_len = allowed(s, one.iov_len, &s->random_out, s->written_bytes, s->p.cut_out_plus);
	if (one.iov_len == 0)
		return err_set(e, ERR_CLOSED, "the connection broke");
	ssize_t put = s->inner->ops->writev(s->inner, &one, 1, e);
	if (put > 0)
		s->written_bytes += (uint64_t)put;
	return put;
}

static bool fault_writable(struct chan *c)
{
	struct chan_fault *s = self_of(c);

	return !atomic_load(&s->cut) && s->inner->ops->writable(s->inner);
}

static void fault_shutdown(struct chan *c)
{
	chan_shutdown(self_of(c)->inner);
}

static void fault_explain(struct chan *c, struct err *e)
{
	struct chan_fault *s = self_of(c);

	if (!atomic_load(&s->cut))
		chan_explain_end(s->inner, e);
}

static const char *fault_host(const struct chan *c)
{
	return chan_host(((const struct chan_fault *)(const void *)c)->inner);
}

static int fault_close(struct chan *c)
{
	return chan_free(self_of(c)->inner);
}

static const struct chan_ops fault_ops = {
	.readv = fault_readv,
	.writev = fault_writev,
	.writable = fault_writable,
	.shutdown = fault_shutdown,
	.explain = fault_explain,
	.host = fault_host,
	.close = fault_close,
};

struct chan *chan_fault_new(struct chan *inner, const struct chan_fault_params *params)
{
	struct chan_fault *s = xcalloc(1, sizeof(*s));

	chan_init(&s->base, &fault_ops);
	s->inner = inner;
	s->p = *params;
	s->random_in = params->seed;
	s->random_out = ~params->seed ? ~params->seed : 1;
	return &s->base;
}

#ifdef WHERRY_FAULT
static uint64_t number_plus(const char *name)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) + 1 : 0;
}

struct chan *chan_fault_from_env(struct chan *inner)
{
	struct chan_fault_params p = {
		.cut_in_plus = number_plus("WHERRY_CUT_AT"),
		.cut_out_plus = number_plus("WHERRY_CUT_OUT_AT"),
	};

	return p.cut_in_plus || p.cut_out_plus ? chan_fault_new(inner, &p) : inner;
}
#else
struct chan *chan_fault_from_env(struct chan *inner)
{
	return inner;
}
#endif
