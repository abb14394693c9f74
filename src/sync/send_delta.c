/*
 * Deltas. A first pass over the file matches it against the receiver's signature and takes its tag; where only a part of a block differs,
 * fine hashes of the basis are asked for (and the job put aside until they come); then the literal bytes are read again and sent. That it is
 * the same file both times is checked at the end; if not, it is sent whole.
 */
#include "sync/send_internal.h"

#include "os/copy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEND_BYTES = 1 << 20 };

struct delta_job {
	struct sender *x;
	struct sent_dir *d;
	uint64_t index;
	struct entry en;
	bool refreshed;
	bool in_place;
	int fd;
	struct sig sig;
	struct delta_ops ops;
	struct delta_range *ranges;
	size_t range_count;
	uint64_t *hashes;
	size_t hash_count;
	uint8_t tag[VERIFY_TAG_BYTES];
};

static void job_free(struct delta_job *j)
{
	if (j->fd >= 0)
		close(j->fd);
	sig_release(&j->sig);
	delta_ops_release(&j->ops);
	free(j->ranges);
	free(j->hashes);
	sent_dir_unref(j->d);
	free(j);
}

/* Match and take the tag in one reading. False: it could not be read to its end, or changed. */
static bool match_file(struct delta_job *j)
{
	struct session_worker *w = session_worker(j->x->s);
	struct match *m = match_new(&j->sig, j->in_place, j->en.size);
	uint64_t at = 0;
	int64_t n = 0;

	verifier_begin(w->verifier, j->d->id, j->index);
	while (at < j->en.size && !session_stopped(j->x->s)) {
		n = pread_full(j->fd, w->io, SESSION_IO_BYTES, at);
		if (n <= 0)
			break;
		verifier_update(w->verifier, w->io, (size_t)n);
		match_feed(m, w->io, (size_t)n);
		at += (uint64_t)n;
	}
	verifier_end(w->verifier, j->tag);
	match_end(m, &j->ops);
	match_free(m);
	return at == j->en.size && !source_file_changed(j->fd, &j->en);
}

static int read_new(void *ctx, uint64_t offset, void *data, size_t n)
{
	struct delta_job *j = ctx;

	return pread_full(j->fd, data, n, offset) == (int64_t)n ? 0 : -1;
}

/* Append one record, sending what has gathered when it is enough. */
static int put(struct delta_job *j, struct msg_chunk *m, struct buf *out, const struct chunk_record *r)
{
	if (!out->len) {
		msg_chunk_begin(out, m);
		m->flags &= ~(uint32_t)CHUNK_FIRST;
	}
	msg_chunk_record(out, r);
	if (out->len < SEND_BYTES)
		return 0;
	int result = session_send(j->x->s, MSG_CHUNK, out);
	buf_clear(out);
	return result;
}

static int put_literal(struct delta_job *j, struct msg_chunk *m, struct buf *out, const struct delta_op *op)
{
	struct session_worker *w = session_worker(j->x->s);

	for (uint64_t done = 0; done < op->len;) {
		size_t part = op->len - done < SESSION_IO_BYTES ? (size_t)(op->len - done) : SESSION_IO_BYTES;
		if (pread_full(j->fd, w->io, part, op->offset + done) != (int64_t)part)
			return 1;
		struct chunk_record r = {.op = CHUNK_DATA, .len = part, .data = w->io};
		if (put(j, m, out, &r) != 0)
			return -1;
		done += part;
	}
	return 0;
}

static int put_ops(struct delta_job *j, struct msg_chunk *m, struct buf *out)
{
	struct progress *progress = report_progress(j->x->s->report);
	int r = 0;

	for (size_t i = 0; r == 0 && i < j->ops.count; i++) {
		const struct delta_op *op = &j->ops.v[i];
		struct chunk_record copy = {
			.op = CHUNK_COPY, .len = op->len, .basis_offset = op->basis_offset};
		if (session_stopped(j->x->s))
			return -1;
		r = op->kind == DELTA_COPY ? put(j, m, out, &copy) : put_literal(j, m, out, op);
		atomic_fetch_add_explicit(&progress->bytes_done, op->len, memory_order_relaxed);
	}
	return r;
}

/* Send the ops; when the file has changed since it was matched, start over with the whole of it. */
static void send_ops(struct delta_job *j)
{
	struct msg_chunk m = {.dir_id = j->d->id, .index = j->index, .flags = CHUNK_FIRST};
	struct buf out;

	buf_init(&out, FRAME_MAX);
	int r = put_ops(j, &m, &out);
	if (r == 0 && out.len) {
		r = session_send(j->x->s, MSG_CHUNK, &out);
		m.flags &= ~(uint32_t)CHUNK_FIRST;
	}
	if (r == 0 && source_file_changed(j->fd, &j->en))
		r = 1;
	if (r >= 0) {
		m.flags |= CHUNK_LAST;
		m.status = r == 1 ? FILE_CHANGED : j->refreshed ? FILE_REFRESHED : FILE_OK;
		m.mtime = j->en.mtime;
		memcpy(m.tag, j->tag, sizeof(m.tag));
		buf_clear(&out);
		msg_chunk_begin(&out, &m);
		session_send(j->x->s, MSG_CHUNK, &out);
	}
	buf_release(&out);
	if (r == 1)
		send_large(j->x, j->d, j->index, j->fd, &j->en);
	else
		atomic_fetch_add_explicit(
			&report_progress(j->x->s->report)->files_done, 1, memory_order_relaxed);
	job_free(j);
}

static bool ask_for_fine_hashes(struct delta_job *j)
{
	struct sender *x = j->x;
	struct buf b;

	j->range_count = j->in_place ? 0 : refine_wanted(&j->ops, &j->sig, &j->ranges);
	if (!j->range_count)
		return false;
	buf_init(&b, FRAME_MAX);
	msg_refine_req_encode(j->d->id, j->index, j->ranges, j->range_count, &b);
	pthread_mutex_lock(&x->lock);
	*u64map_put(&x->refining, send_file_key(j->d->id, j->index), NULL) = (uint64_t)(uintptr_t)j;
	pthread_mutex_unlock(&x->lock);
	session_send(x->s, MSG_REFINE_REQ, &b);
	buf_release(&b);
	return true;
}

static void run_match(void *arg)
{
	struct delta_job *j = arg;
	struct sender *x = j->x;

	if (session_stopped(x->s)) {
		job_free(j);
		return;
	}
	j->fd = send_open(x, j->d, NULL, &j->en);
	if (j->fd < 0) {
		send_status(x, j->d, j->index, FILE_ERROR);
		job_free(j);
		return;
	}
	j->refreshed = source_file_changed(j->fd, &j->en) && source_file_refresh(j->fd, &j->en);
	if (!match_file(j)) {
		send_large(x, j->d, j->index, j->fd, &j->en);
		job_free(j);
	} else if (!ask_for_fine_hashes(j)) {
		send_ops(j);
	}
}

static void run_refined(void *arg)
{
	struct delta_job *j = arg;

	if (session_stopped(j->x->s)) {
		job_free(j);
		return;
	}
	/* on failure the ops stay as they were: more bytes, but right */
	refine_apply(&j->ops, &j->sig, j->ranges, j->range_count, j->hashes, j->hash_count, read_new, j);
	send_ops(j);
}

void send_delta(struct sender *x, struct sent_dir *d, uint64_t index, struct sig *sig, bool in_place)
{
	struct delta_job *j = xcalloc(1, sizeof(*j));

	*j = (struct delta_job){.x = x,
		.d = sent_dir_ref(d),
		.index = index,
		.en = d->list.entries[index],
		.in_place = in_place,
		.fd = -1,
		.sig = *sig};
	*sig = (struct sig){0};
	pool_push(x->s->pool, run_match, j);
}

void send_refined(struct sender *x, uint64_t dir_id, uint64_t index, uint64_t *hashes, size_t count)
{
	uint64_t key = send_file_key(dir_id, index);
	uint64_t value = 0;

	pthread_mutex_lock(&x->lock);
	bool found = u64map_get(&x->refining, key, &value);
	if (found)
		u64map_remove(&x->refining, key);
	pthread_mutex_unlock(&x->lock);
	if (!found) {
		free(hashes);
		return;
	}
	struct delta_job *j = (struct delta_job *)(uintptr_t)value;
	j->hashes = hashes;
	j->hash_count = count;
	pool_push(x->s->pool, run_refined, j);
}

static void drop(void *value)
{
	job_free(value);
}

void send_delta_drop(struct sender *x)
{
	u64map_each_value(&x->refining, drop);
}
