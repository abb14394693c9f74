/*
 * Putting a file together from the records of one CHUNK. Two workers share it: both write pieces (whoever is free takes the next), and the
 * file's own worker reads back what was written, in order, for the tag. So what is verified is what is in the new file.
 *
 * The helper is only ever a help: the file's worker takes pieces itself while it waits, so a busy pool cannot bring it to a stop.
 */
#include "sync/recv_internal.h"

#include "os/copy.h"
#include "os/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 512 << 10, HELP_FROM_BYTES = 4 << 20, ZERO_BLOCK = 4096 };

struct piece {
	enum chunk_op op;
	uint64_t offset; /* in the new file */
	uint64_t len;
	uint64_t from;       /* COPY: in the basis */
	const uint8_t *data; /* DATA */
};

struct apply {
	_Atomic int refs;
	struct receiver *r;
	struct recv_target target;
	struct piece *v;
	size_t count, cap;
	_Atomic size_t next; /* piece to be written next */
	pthread_mutex_t lock;
	pthread_cond_t wrote;
	bool *done; /* under lock, per piece */
	int fault;  /* errno, or -1: the basis ended early */
};

static bool is_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* Length of the run of whole blocks at the front that are all zero, or all not. */
static size_t run_length(const uint8_t *data, size_t n, bool zero)
{
	size_t run = 0;

	while (n - run >= ZERO_BLOCK && is_zero(data + run, ZERO_BLOCK) == zero)
		run += ZERO_BLOCK;
	return run;
}

int recv_put_bytes(int fd, const uint8_t *data, size_t n, uint64_t offset, enum recv_zeros zeros)
{
	size_t done = 0;

	while (zeros != ZEROS_WRITE && n - done >= ZERO_BLOCK) {
		size_t run = run_length(data + done, n - done, false);
		if (run && pwrite_all(fd, data + done, run, offset + done) != 0)
			return -1;
		done += run;
		run = run_length(data + done, n - done, true);
		if (run && zeros == ZEROS_PUNCH && punch_hole(fd, offset + done, run) != 0)
			return -1;
		done += run;
	}
	return done < n ? pwrite_all(fd, data + done, n - done, offset + done) : 0;
}

static void add(struct apply *a, struct piece p)
{
	if (a->count == a->cap) {
		a->cap = a->cap ? a->cap * 2 : 64;
		a->v = xreallocarray(a->v, a->cap, sizeof(*a->v));
	}
	a->v[a->count++] = p;
}

static int add_record(struct apply *a, const struct chunk_record *rec, uint64_t *offset, struct err *e)
{
	uint64_t end;

	if (__builtin_add_overflow(*offset, rec->len, &end) || end > INT64_MAX ||
		rec->basis_offset > INT64_MAX)
		return err_set(e, ERR_PROTOCOL, "a file longer than files can be");
	for (uint64_t done = 0; done < rec->len;) {
		uint64_t part = rec->op == CHUNK_HOLE || rec->len - done < PIECE_BYTES ? rec->len - done
										       : PIECE_BYTES;
		add(a, (struct piece){.op = rec->op,
			       .offset = *offset + done,
			       .len = part,
			       .from = rec->basis_offset + done,
			       .data = rec->op == CHUNK_DATA ? rec->data + done : NULL});
		done += part;
	}
	*offset = end;
	return 0;
}

/* From the basis without a detour through this process where the kernel can; 1 = it cannot. */
static int copy_range(const struct recv_target *t, const struct piece *p)
{
	off_t from = (off_t)p->from;
	off_t to = (off_t)p->offset;
	uint64_t left = p->len;

	while (left) {
		if (fault_point("write") != 0)
			return -1;
		ssize_t n = copy_file_range(t->basis_fd, &from, t->fd, &to, left, 0);
		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP ||
				     errno == EPERM))
			return 1;
		if (n <= 0) {
			errno = n == 0 ? 0 : errno;
			return -1;
		}
		left -= (uint64_t)n;
	}
	return 0;
}

static int write_piece(const struct apply *a, const struct piece *p)
{
	const struct recv_target *t = &a->target;
	uint8_t *io = session_worker(a->r->s)->io;

	errno = 0;
	if (p->op == CHUNK_HOLE)
		return t->in_place ? punch_hole(t->fd, p->offset, p->len) : 0;
	if (p->op == CHUNK_DATA)
		return recv_put_bytes(t->fd, p->data, (size_t)p->len, p->offset, t->zeros);
	if (t->in_place && p->from == p->offset)
		return 0;
	if (t->basis_fd >= 0 && !t->in_place && !t->basis_sparse) {
		int r = copy_range(t, p);
		if (r <= 0)
			return r;
	}
	if (t->basis_fd < 0 || pread_full(t->basis_fd, io, (size_t)p->len, p->from) != (int64_t)p->len)
		return -1;
	return recv_put_bytes(t->fd, io, (size_t)p->len, p->offset, t->zeros);
}

/* Write the next piece that nobody has taken; false when there is none. */
static bool write_next(struct apply *a)
{
	size_t k = atomic_fetch_add(&a->next, 1);

	if (k >= a->count)
		return false;
	int bad = write_piece(a, &a->v[k]);
	int why = bad ? errno ? errno : -1 : 0;
	pthread_mutex_lock(&a->lock);
	a->done[k] = true;
	if (why && !a->fault)
		a->fault = why;
	pthread_cond_signal(&a->wrote);
	pthread_mutex_unlock(&a->lock);
	return true;
}

static void unref(struct apply *a)
{
	if (atomic_fetch_sub(&a->refs, 1) != 1)
		return;
	pthread_cond_destroy(&a->wrote);
	pthread_mutex_destroy(&a->lock);
	free(a->done);
	free(a->v);
	free(a);
}

static void run_help(void *arg)
{
	struct apply *a = arg;

	while (write_next(a))
		;
	unref(a);
}

/* Until piece i is there: work, and when there is nothing left to take, wait for who has it. */
static int wait_for(struct apply *a, size_t i)
{
	bool more = true;

	pthread_mutex_lock(&a->lock);
	while (!a->done[i]) {
		if (more) {
			pthread_mutex_unlock(&a->lock);
			more = write_next(a);
			pthread_mutex_lock(&a->lock);
		} else {
			pthread_cond_wait(&a->wrote, &a->lock);
		}
	}
	int fault = a->fault;
	pthread_mutex_unlock(&a->lock);
	return fault;
}

/* What is in the file now. Reading a hole gives zeros, so everything comes from the file. */
static int tag_piece(const struct apply *a, const struct piece *p)
{
	uint8_t *io = session_worker(a->r->s)->io;

	if (p->op == CHUNK_HOLE) {
		verifier_hole(a->target.verifier, p->len);
		return 0;
	}
	if (p->op == CHUNK_DATA) {
		verifier_update(a->target.verifier, p->data, (size_t)p->len);
		return 0;
	}
	int64_t n = pread_full(a->target.fd, io, (size_t)p->len, p->offset);
	if (n >= 0 && (uint64_t)n < p->len) /* holes at the end are not there yet */
		memset(io + n, 0, (size_t)p->len - (size_t)n);
	if (n < 0)
		return errno ? errno : -1;
	verifier_update(a->target.verifier, io, (size_t)p->len);
	return 0;
}

/* Nobody may touch the frame's data after we return: wait for pieces that are being written. */
static void settle(struct apply *a)
{
	size_t taken = atomic_exchange(&a->next, a->count + 1);

	if (taken > a->count)
		taken = a->count;
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < taken; i++)
		while (!a->done[i])
			pthread_cond_wait(&a->wrote, &a->lock);
	pthread_mutex_unlock(&a->lock);
}

static int run(struct apply *a, uint64_t bytes)
{
	int fault = 0;

	a->done = xcalloc(a->count, sizeof(*a->done));
	if (bytes >= HELP_FROM_BYTES && pool_threads(a->r->s->pool) > 1) {
		atomic_fetch_add(&a->refs, 1);
		pool_push(a->r->s->pool, run_help, a);
	}
	for (size_t i = 0; fault == 0 && i < a->count; i++) {
		fault = session_stopped(a->r->s) ? ECANCELED : wait_for(a, i);
		if (fault == 0)
			fault = tag_piece(a, &a->v[i]);
	}
	settle(a);
	return fault;
}

int recv_apply(struct receiver *r, const struct recv_target *t, struct cursor *c, uint64_t *offset,
	struct recv_amounts *sum, struct err *e)
{
	struct apply *a = xcalloc(1, sizeof(*a));
	struct chunk_record rec;
	uint64_t began = *offset;
	int fault = -2;
	int more;

	atomic_init(&a->refs, 1);
	a->r = r;
	a->target = *t;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->wrote, NULL);
	while ((more = msg_chunk_next(c, &rec, e)) == 1) {
		if (add_record(a, &rec, offset, e) != 0)
			break;
		*(rec.op == CHUNK_COPY ? &sum->matched : &sum->literal) += rec.len;
	}
	if (more == 0)
		fault = a->count ? run(a, *offset - began) : 0;
	unref(a);
	if (fault > 0)
		errno = fault;
	else if (fault == -1)
		errno = 0;
	return fault == 0 ? 0 : fault == -2 ? -2 : -1;
}
