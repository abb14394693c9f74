/*
 * Contents as they come. Small files: a PACK is one task. Large files: the CHUNKs of one file are worked off in order by one worker at a
 * time. Nothing gets its name before its tag has been compared.
 */
#include "sync/recv_internal.h"

#include "os/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUEUE_BYTES_MAX = 64 << 20, SPARSE_FROM = 8192 };

struct recv_file {
	struct receiver *r;
	struct recv_dir *rd; /* referenced */
	uint64_t index;
	struct recv_need need;
	struct frame_list frames; /* under receiver.lock */
	bool busy;                /* likewise */
	bool began;               /* the file was opened */
	bool over;
	struct dest_file f;
	int basis_fd;
	bool basis_sparse;
	struct verifier *verifier;
	uint64_t offset;
	struct recv_amounts amounts;
};

struct pack_task {
	struct recv_dir *rd; /* referenced */
	struct recv_frame *frame;
};

static uint64_t file_key(uint64_t dir_id, uint64_t index)
{
	uint64_t v[2] = {dir_id, index};

	return hash64(v, sizeof(v), 0);
}

static void frame_free(struct receiver *r, struct recv_frame *f)
{
	pthread_mutex_lock(&r->lock);
	r->queued_bytes -= f->payload.len;
	pthread_cond_signal(&r->room);
	pthread_mutex_unlock(&r->lock);
	buf_release(&f->payload);
	free(f);
}

static void append(struct frame_list *l, struct recv_frame *f)
{
	if (l->last)
		l->last->next = f;
	else
		l->first = f;
	l->last = f;
}

static void entry_fault(struct recv_dir *rd, uint64_t index, enum err_code code, const char *text)
{
	struct err e;
	char *path = path_join(dest_dir_path(rd->dst), dest_dir_source(rd->dst)->entries[index].name);

	err_set(&e, code, "%s", text);
	report_entry_error(rd->r->s->report, path, &e);
	free(path);
}

/* --- PACK ------------------------------------------------------------------------------------------------------------------------- */

static void refresh(struct recv_dir *rd, uint64_t index, uint64_t size, const struct entry_time *mtime)
{
	struct entry en = dest_dir_source(rd->dst)->entries[index];

	en.size = size;
	en.mtime = *mtime;
	dest_file_update_entry(rd->dst, index, &en);
}

static enum recv_zeros zeros_of(const struct receiver *r, const struct dest_file *f)
{
	if (!r->s->o->sparse)
		return ZEROS_WRITE;
	return f->in_place ? ZEROS_PUNCH : ZEROS_SKIP;
}

static void put_small(struct recv_dir *rd, const struct pack_file *pf, const struct dest_need *need)
{
	struct receiver *r = rd->r;
	struct progress *progress = report_progress(r->s->report);
	bool holes = r->s->o->sparse && pf->size >= SPARSE_FROM;
	struct dest_file f;
	struct err e = {0};

	if (pf->status == FILE_REFRESHED)
		refresh(rd, pf->index, pf->size, &pf->mtime);
	if (dest_file_open(&f, rd->dst, pf->index, need, false, &e) != 0) {
		dest_file_failed(rd->dst, pf->index);
		return;
	}
	int bad = recv_put_bytes(f.fd, pf->data, pf->size, 0, holes ? zeros_of(r, &f) : ZEROS_WRITE);
	if (bad == 0 && (holes || f.in_place))
		bad = ftruncate(f.fd, (off_t)pf->size);
	if (bad != 0) {
		dest_file_errno(&f, "write");
		dest_file_abort(&f, false);
		return;
	}
	dest_count_content(r->dest, pf->size, 0);
	dest_file_commit(&f);
	atomic_fetch_add_explicit(&progress->bytes_done, pf->size, memory_order_relaxed);
	atomic_fetch_add_explicit(&progress->files_done, 1, memory_order_relaxed);
}

static bool tag_matches(struct recv_dir *rd, const struct pack_file *pf)
{
	struct session_worker *w = session_worker(rd->r->s);
	uint8_t tag[VERIFY_TAG_BYTES];

	verifier_begin(w->verifier, rd->id, pf->index);
	verifier_update(w->verifier, pf->data, pf->size);
	verifier_end(w->verifier, tag);
	return verify_equal(tag, pf->tag);
}

/* Content that was not asked for is a broken peer, except where everything comes unasked. */
static void not_wanted(struct recv_dir *rd, uint64_t index)
{
	struct err e;

	if (rd->r->eager && (!rd->dst || index < dest_dir_source(rd->dst)->count))
		return;
	err_set(&e, ERR_PROTOCOL, "content of a file that was not asked for");
	session_fail(rd->r->s, &e);
}

/* A destination that is full has no use for what is still to come: the sender is told at once. */
static bool is_stopped(struct receiver *r)
{
	struct err e;

	if (dest_stopped(r->dest) && !session_stopped(r->s)) {
		dest_fault(r->dest, &e);
		session_fail(r->s, &e);
	}
	return session_stopped(r->s);
}

static void take_small(struct recv_dir *rd, const struct pack_file *pf)
{
	struct receiver *r = rd->r;

	pthread_mutex_lock(&r->lock);
	struct recv_need *n = rd->dst ? recv_find_need(rd, pf->index) : NULL;
	bool wanted = n && !n->taken;
	struct dest_need need = {0};
	if (wanted) {
		need = n->need;
		n->taken = true;
	}
	pthread_mutex_unlock(&r->lock);
	if (!wanted) {
		not_wanted(rd, pf->index);
		return;
	}
	if (is_stopped(r)) {
		dest_file_failed(rd->dst, pf->index);
	} else if (pf->status != FILE_OK && pf->status != FILE_REFRESHED) {
		dest_file_failed(rd->dst, pf->index); /* the sender has reported it */
	} else if (!tag_matches(rd, pf)) {
		entry_fault(rd, pf->index, ERR_PARTIAL, "arrived damaged; run again");
		dest_file_failed(rd->dst, pf->index);
	} else {
		put_small(rd, pf, &need);
	}
	recv_need_done(rd, pf->index);
}

static void run_pack(void *arg)
{
	struct pack_task *t = arg;
	struct receiver *r = t->rd->r;
	struct cursor c = cur_make(t->frame->payload.data, t->frame->payload.len);
	struct pack_file pf;
	struct err e = {0};
	uint64_t id;
	int more = msg_pack_decode(&c, &id, &e);

	while (more == 0 || more == 1) {
		more = msg_pack_next(&c, &pf, &e);
		if (more != 1)
			break;
		take_small(t->rd, &pf);
	}
	if (more < 0)
		session_fail(r->s, &e);
	frame_free(r, t->frame);
	recv_dir_unref(t->rd);
	free(t);
	recv_maybe_finish(r);
}

/* --- CHUNK ---------------------------------------------------------------------------------------------------------------------------- */

static void file_free(struct recv_file *rf)
{
	if (rf->basis_fd >= 0)
		close(rf->basis_fd);
	verifier_free(rf->verifier);
	recv_dir_unref(rf->rd);
	free(rf);
}

static int begin_file(struct recv_file *rf)
{
	struct receiver *r = rf->r;
	struct err e = {0};

	if (rf->began) { /* another attempt, from the start, whole */
		rf->offset = 0;
		rf->amounts = (struct recv_amounts){0};
		verifier_begin(rf->verifier, rf->rd->id, rf->index);
		return 0;
	}
	bool partial = rf->need.basis == BASIS_PARTIAL;
	if (dest_file_open(&rf->f, rf->rd->dst, rf->index, &rf->need.need, partial, &e) != 0) {
		dest_file_failed(rf->rd->dst, rf->index);
		return -1;
	}
	rf->began = true;
	if (rf->need.basis == BASIS_DEST)
		rf->basis_fd = dest_open_basis(rf->rd->dst, rf->index);
	if (rf->need.basis == BASIS_GATHERED)
		rf->basis_fd = dest_open_aside(rf->rd->dst, rf->index);
	struct stat st;
	rf->basis_sparse = r->s->o->sparse && rf->basis_fd >= 0 && fstat(rf->basis_fd, &st) == 0 &&
			   (uint64_t)st.st_blocks * 512 < (uint64_t)st.st_size;
	rf->verifier = verifier_new(r->s->keys.verify, r->s->keys.verify_key);
	verifier_begin(rf->verifier, rf->rd->id, rf->index);
	return 0;
}

/* 0, -1 = errno (0: the basis has become too short), -2 = protocol (*e). */
static int put_records(struct recv_file *rf, struct cursor *c, struct err *e)
{
	struct progress *progress = report_progress(rf->r->s->report);
	uint64_t before = rf->offset;
	struct recv_target t = {
		.fd = rf->f.fd,
		.basis_fd = rf->f.in_place ? rf->f.fd : rf->basis_fd,
		.in_place = rf->f.in_place,
		.zeros = zeros_of(rf->r, &rf->f),
		.basis_sparse = rf->basis_sparse,
		.verifier = rf->verifier,
	};
	int r = recv_apply(rf->r, &t, c, &rf->offset, &rf->amounts, e);

	atomic_fetch_add_explicit(&progress->bytes_done, rf->offset - before, memory_order_relaxed);
	return r;
}

static void drop_aside(const struct recv_file *rf)
{
	if (rf->need.basis == BASIS_GATHERED)
		dest_drop_aside(rf->rd->dst, rf->index);
}

static void end_file(struct recv_file *rf, bool keep)
{
	struct recv_dir *rd = rf->rd;

	if (rf->over)
		return;
	rf->over = true;
	if (!keep)
		drop_aside(rf);
	if (rf->began)
		dest_file_abort(&rf->f, keep);
	recv_need_done(rd, rf->index);
}

/* The sender says it is what we have under another name. */
static void take_same(struct recv_file *rf)
{
	struct recv_dir *rd = rf->rd;

	rf->over = true;
	if (!rf->need.moved_from ||
		!dest_file_move(rd->dst, rf->index, &rf->need.need, rf->need.moved_from)) {
		entry_fault(rd, rf->index, ERR_PARTIAL, "could not be moved into place; run again");
		dest_file_failed(rd->dst, rf->index);
	}
	recv_need_done(rd, rf->index);
}

/* Dry run: it is not what we have under another name, and would come. */
static void take_other(struct recv_file *rf)
{
	struct recv_dir *rd = rf->rd;

	rf->over = true;
	if (rf->r->s->o->dry_run)
		dest_predict(rd->dst, rf->index, &rf->need.need);
	else
		entry_fault(rd, rf->index, ERR_PARTIAL, "the other side took this for a dry run");
	dest_file_failed(rd->dst, rf->index);
	recv_need_done(rd, rf->index);
}

static void take_good(struct recv_file *rf, const struct msg_chunk *m)
{
	struct recv_dir *rd = rf->rd;
	uint8_t tag[VERIFY_TAG_BYTES];

	verifier_end(rf->verifier, tag);
	if (!verify_equal(tag, m->tag)) {
		entry_fault(rd, rf->index, ERR_PARTIAL,
			"what was put together is not what the source has; run again");
		end_file(rf, false);
		return;
	}
	if (ftruncate(rf->f.fd, (off_t)rf->offset) != 0) {
		dest_file_errno(&rf->f, "set length");
		end_file(rf, false);
		return;
	}
	struct entry_time mtime =
		m->status == FILE_REFRESHED ? m->mtime : dest_dir_source(rd->dst)->entries[rf->index].mtime;
	refresh(rd, rf->index, rf->offset, &mtime);
	dest_count_content(rf->r->dest, rf->amounts.literal, rf->amounts.matched);
	rf->over = true;
	drop_aside(rf);
	dest_file_commit(&rf->f);
	atomic_fetch_add_explicit(&report_progress(rf->r->s->report)->files_done, 1, memory_order_relaxed);
	recv_need_done(rd, rf->index);
}

static void take_last(struct recv_file *rf, const struct msg_chunk *m)
{
	switch (m->status) {
	case FILE_OK:
	case FILE_REFRESHED:
		take_good(rf, m);
		break;
	case FILE_SAME:
		take_same(rf);
		break;
	case FILE_OTHER:
		take_other(rf);
		break;
	case FILE_CHANGED: /* once more from the start */
		dest_count_retry(rf->r->dest);
		if (rf->began && !rf->f.in_place && ftruncate(rf->f.fd, 0) != 0)
			end_file(rf, false);
		break;
	default:
		if (!rf->began)
			dest_file_failed(rf->rd->dst, rf->index);
		end_file(rf, false);
		break;
	}
}

static bool has_no_content(enum file_status status)
{
	return status == FILE_SAME || status == FILE_ERROR || status == FILE_VANISHED || status == FILE_OTHER;
}

static void take_chunk(struct recv_file *rf, struct recv_frame *frame)
{
	struct cursor c = cur_make(frame->payload.data, frame->payload.len);
	struct msg_chunk m;
	struct err e = {0};
	int r = msg_chunk_decode(&m, &c, &e) != 0 ? -2 : 0;

	if (r == 0 && rf->over)
		return;
	bool plain_end = (m.flags & CHUNK_LAST) && has_no_content(m.status);
	if (r == 0 && is_stopped(rf->r)) {
		if (!rf->began)
			dest_file_failed(rf->rd->dst, rf->index);
		end_file(rf, true);
		return;
	}
	if (r == 0 && (m.flags & CHUNK_FIRST) && !plain_end && begin_file(rf) != 0) {
		rf->over = true;
		recv_need_done(rf->rd, rf->index);
		return;
	}
	if (r == 0 && !rf->began && !plain_end) {
		err_set(&e, ERR_PROTOCOL, "CHUNK of a file that was not begun");
		r = -2;
	}
	if (r == 0)
		r = put_records(rf, &c, &e);
	if (r == -2) {
		session_fail(rf->r->s, &e);
		if (!rf->began)
			dest_file_failed(rf->rd->dst, rf->index);
		end_file(rf, true);
	} else if (r == -1) {
		dest_file_errno(&rf->f, errno ? "write" : "the old file changed while it was used");
		end_file(rf, false);
	} else if (m.flags & CHUNK_LAST) {
		take_last(rf, &m);
	}
}

static void run_file(void *arg)
{
	struct recv_file *rf = arg;
	struct receiver *r = rf->r;

	for (;;) {
		pthread_mutex_lock(&r->lock);
		struct recv_frame *frame = rf->frames.first;
		if (!frame)
			rf->busy = false;
		else if (!(rf->frames.first = frame->next))
			rf->frames.last = NULL;
		bool done = !frame && rf->over;
		if (done)
			u64map_remove(&r->files, file_key(rf->rd->id, rf->index));
		pthread_mutex_unlock(&r->lock);
		if (done)
			file_free(rf);
		if (!frame)
			break;
		take_chunk(rf, frame);
		frame_free(r, frame);
	}
	recv_maybe_finish(r);
}

static struct recv_file *new_file(struct recv_dir *rd, struct recv_need *n)
{
	struct recv_file *rf = xcalloc(1, sizeof(*rf));

	rf->r = rd->r;
	rf->rd = recv_dir_ref(rd);
	rf->index = n->index;
	rf->need = *n;
	rf->basis_fd = -1;
	n->taken = true;
	return rf;
}

/* With the lock held. Contents that nobody wants (any more) are dropped. */
void recv_dispatch(struct recv_dir *rd, struct recv_frame *f)
{
	struct receiver *r = rd->r;

	if (f->type == MSG_PACK) {
		struct pack_task *t = xmalloc(sizeof(*t));
		*t = (struct pack_task){recv_dir_ref(rd), f};
		pool_push(r->s->pool, run_pack, t);
		return;
	}
	uint64_t key = file_key(rd->id, f->index);
	uint64_t value;
	struct recv_file *rf = NULL;
	struct recv_need *n = rd->dst ? recv_find_need(rd, f->index) : NULL;
	if (u64map_get(&r->files, key, &value)) {
		rf = (struct recv_file *)(uintptr_t)value;
	} else if (n && !n->taken) {
		rf = new_file(rd, n);
		*u64map_put(&r->files, key, NULL) = (uint64_t)(uintptr_t)rf;
	}
	if (!rf) {
		r->unwanted |= !n; /* else: the rest of one that was given up */
		r->queued_bytes -= f->payload.len;
		buf_release(&f->payload);
		free(f);
		return;
	}
	append(&rf->frames, f);
	if (!rf->busy) {
		rf->busy = true;
		pool_push(r->s->pool, run_file, rf);
	}
}

static int peek(struct recv_frame *f, uint64_t *dir_id, struct err *e)
{
	struct cursor c = cur_make(f->payload.data, f->payload.len);
	struct msg_chunk m;

	if (f->type == MSG_PACK)
		return msg_pack_decode(&c, dir_id, e);
	if (msg_chunk_decode(&m, &c, e) != 0)
		return -1;
	*dir_id = m.dir_id;
	f->index = m.index;
	return 0;
}

int recv_content(struct receiver *r, enum msg_type type, struct buf *payload, struct err *e)
{
	struct recv_frame *f = xcalloc(1, sizeof(*f));
	uint64_t dir_id;
	uint64_t value;

	f->type = type;
	f->payload = *payload;
	buf_init(payload, FRAME_MAX);
	int bad = peek(f, &dir_id, e);
	pthread_mutex_lock(&r->lock);
	bool known = bad == 0 && u64map_get(&r->dirs, dir_id, &value);
	bool listed = bad == 0 && u64map_get(&r->seen, dir_id, NULL);
	if (known) {
		struct recv_dir *rd = (struct recv_dir *)(uintptr_t)value;
		r->queued_bytes += f->payload.len;
		if (rd->planned)
			recv_dispatch(rd, f);
		else
			append(&rd->waiting, f);
		while (r->queued_bytes > QUEUE_BYTES_MAX && !session_stopped(r->s))
			pthread_cond_wait(&r->room, &r->lock);
	}
	bool unwanted = r->unwanted && !r->eager;
	pthread_mutex_unlock(&r->lock);
	if (bad == 0 && unwanted)
		bad = err_set(e, ERR_PROTOCOL, "content of a file that was not asked for");
	if (!known && bad == 0 && !listed)
		bad = err_set(e, ERR_PROTOCOL, "content of a directory that was never listed");
	if (!known) { /* of a directory where nothing is wanted any more: an answer that crossed our word, or rubbish; harmless */
		buf_release(&f->payload);
		free(f);
	}
	return bad;
}

/* What a broken session leaves: unfinished files stay for the next run. */
static void drop(void *value)
{
	struct recv_file *rf = value;

	while (rf->frames.first) {
		struct recv_frame *next = rf->frames.first->next;
		buf_release(&rf->frames.first->payload);
		free(rf->frames.first);
		rf->frames.first = next;
	}
	if (!rf->over && rf->began)
		dest_file_abort(&rf->f, true);
	file_free(rf);
}

void recv_files_drop(struct receiver *r)
{
	u64map_each_value(&r->files, drop);
	u64map_release(&r->files);
	u64map_init(&r->files);
}
