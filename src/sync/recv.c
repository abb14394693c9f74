/*
 * The receiver's session: one thread reads, workers plan and write. It is over when the listing has ended, nothing that was listed is in
 * work, and nothing is held back; the worker that notices carries out the end (links, deletions, times) and sends SUMMARY.
 */
#include "sync/recv_internal.h"

#include "sync/dest_root.h"
#include "sync/idmap.h"
#include "sync/setup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void send_safe(struct receiver *r)
{
	struct buf b;

	buf_init(&b, FRAME_MAX);
	for (size_t i = 0; i < r->safe_count;) {
		uint64_t indexes[1024];
		size_t n = 0;
		uint64_t dir_id = r->safe[i].dir_id;
		while (i < r->safe_count && r->safe[i].dir_id == dir_id && n < 1024)
			indexes[n++] = r->safe[i++].index;
		buf_clear(&b);
		msg_done_encode(dir_id, indexes, n, &b);
		session_send(r->s, MSG_DONE, &b);
	}
	buf_release(&b);
}

static enum err_code result_of(const struct receiver *r)
{
	if (r->final.code != ERR_NONE)
		return r->final.code;
	if (report_error_count(r->s->report) > 0)
		return ERR_PARTIAL;
	if (report_vanished_count(r->s->report) > 0)
		return ERR_VANISHED;
	return r->source_errors ? ERR_PARTIAL : ERR_NONE;
}

static void send_summary(struct receiver *r)
{
	struct msg_summary m = {.result = result_of(r)};
	struct buf b;

	dest_counts(r->dest, &m.counts);
	buf_init(&b, 64 * 1024);
	msg_summary_encode(&m, &b);
	session_send(r->s, MSG_SUMMARY, &b);
	buf_release(&b);
}

static void finish(struct receiver *r)
{
	report_progress(r->s->report)->phase = PHASE_FINISH;
	int bad = dest_finish(r->dest, !r->source_errors, &r->final);
	if (session_stopped(r->s))
		return;
	if (bad != 0 && (r->final.code != ERR_MAX_DELETE && r->final.code != ERR_EMPTY)) {
		session_fail(r->s, &r->final);
		return;
	}
	if (r->s->o->remove_source_files)
		send_safe(r);
	if (bad != 0 &&
		r->p->pushed) /* our client is the other end: it prints this, and SUMMARY carries the code */
		report_note(r->s->report, "%s", r->final.text);
	send_summary(r);
}

static void run_finish(void *arg)
{
	struct receiver *r = arg;

	recv_resolve(r);
	pthread_mutex_lock(&r->lock);
	bool over = r->alive == 0 && !r->held_dir_count && !r->held_file_count;
	r->finishing = false;
	bool end = over && !r->ended;
	r->ended |= over;
	pthread_mutex_unlock(&r->lock);
	if (end)
		finish(r);
	else
		recv_maybe_finish(r);
}

void recv_maybe_finish(struct receiver *r)
{
	pthread_mutex_lock(&r->lock);
	bool held = r->held_dir_count || r->held_file_count;
	bool go = r->list_end && r->live == 0 && (held || r->alive == 0) && !r->finishing && !r->ended &&
		  !session_stopped(r->s);
	if (go)
		r->finishing = true;
	pthread_mutex_unlock(&r->lock);
	if (go)
		pool_push(r->s->pool, run_finish, r);
}

/* --- what the sender says --------------------------------------------------------------------------------------------------------- */

static int send_table(struct receiver *r)
{
	enum { ROWS_PER_FRAME = 32 * 1024 };
	struct buf b;
	int bad = 0;

	buf_init(&b, FRAME_MAX);
	for (size_t i = 0; bad == 0 && i < r->fp.count;) {
		size_t n = r->fp.count - i < ROWS_PER_FRAME ? r->fp.count - i : ROWS_PER_FRAME;
		buf_clear(&b);
		msg_table_begin(&b, i + n == r->fp.count, n);
		for (size_t k = 0; k < n; k++)
			msg_table_row(&b, &r->fp.dirs[i + k].row);
		bad = session_send(r->s, MSG_TABLE, &b);
		i += n;
	}
	buf_release(&b);
	return bad;
}

static int take_root_fp(struct receiver *r, struct cursor *c, struct err *e)
{
	struct msg_root_fp m;
	struct progress *progress = report_progress(r->s->report);

	if (msg_root_fp_decode(&m, c, e) != 0)
		return -1;
	if (!r->have_fp)
		return err_set(e, ERR_PROTOCOL, "ROOT_FP was not expected");
	progress->files_total = m.files;
	progress->bytes_total = m.bytes;
	if (!hash128_equal(m.fp, r->fp.root) || !r->fp.complete || r->s->o->remove_source_files)
		return send_table(r);
	dest_count_unchanged(r->dest, m.entries, m.files, m.bytes);
	pthread_mutex_lock(&r->lock);
	r->list_end = true;
	pthread_mutex_unlock(&r->lock);
	dest_set_source_empty(r->dest, false);
	recv_maybe_finish(r);
	return 0;
}

static int take_list_end(struct receiver *r, struct cursor *c, struct err *e)
{
	struct msg_list_end m;

	if (msg_list_end_decode(&m, c, e) != 0)
		return -1;
	if (r->growing)
		return err_set(e, ERR_PROTOCOL, "LIST_END in the middle of a DIR");
	pthread_mutex_lock(&r->lock);
	r->list_end = true;
	r->source_errors |= m.errors;
	pthread_mutex_unlock(&r->lock);
	recv_maybe_finish(r);
	return 0;
}

static int take_idmap(struct receiver *r, struct cursor *c, struct err *e)
{
	struct msg_idmap m;

	if (msg_idmap_decode(&m, c, e) != 0)
		return -1;
	idmap_learn(r->ids, m.is_group, m.id, m.name, m.name_len);
	return 0;
}

static int dispatch(struct receiver *r, enum msg_type type, struct buf *payload, bool *over, struct err *e)
{
	struct cursor c = cur_make(payload->data, payload->len);

	switch (type) {
	case MSG_IDMAP:
		return take_idmap(r, &c, e);
	case MSG_ROOT_FP:
		return take_root_fp(r, &c, e);
	case MSG_DIR:
		return recv_dir_message(r, &c, e);
	case MSG_LIST_END:
		return take_list_end(r, &c, e);
	case MSG_PACK:
	case MSG_CHUNK:
		return recv_content(r, type, payload, e);
	case MSG_REFINE_REQ:
		return recv_refine(r, &c, e);
	case MSG_BYE:
		*over = true;
		return 0;
	default:
		return err_set(e, ERR_PROTOCOL, "the sender sent an unexpected %s", msg_type_name(type));
	}
}

static int read_all(struct receiver *r, struct err *e)
{
	struct buf payload;
	bool over = false;
	int bad = 0;

	buf_init(&payload, FRAME_MAX);
	while (bad == 0 && !over) {
		enum msg_type type;
		int got = session_recv(r->s, &type, &payload, e);
		if (got == 0)
			got = chan_explain_end(r->s->chan, e);
		bad = got < 0 ? -1 : dispatch(r, type, &payload, &over, e);
	}
	buf_release(&payload);
	pthread_mutex_lock(&r->lock);
	if (bad == 0 && !r->ended)
		bad = err_set(e, ERR_PROTOCOL, "the sender said BYE too early");
	pthread_mutex_unlock(&r->lock);
	return bad;
}

/* --- beginning and end ---------------------------------------------------------------------------------------------------------------- */

static bool comparable(const struct sync_options *o)
{
	return !o->modify_window && !o->ignore_times && !o->chmod && !o->usermap.count &&
	       !o->groupmap.count && !o->files_list && !o->copy_links && !o->copy_unsafe_links &&
	       !o->copy_dirlinks && o->recursive;
}

static uint32_t hello_flags(const struct sync_options *o, const struct dest_root *root)
{
	bool plain = !o->dry_run && !o->existing && !o->link_dest.count && !o->copy_dest.count &&
		     !o->compare_dest.count;

	if (root->empty && plain)
		return HELLO_EMPTY;
	return root->fd < 0 || root->empty || !comparable(o) ? HELLO_NO_FP : 0;
}

static void source_fault(void *ctx, const char *path, const struct err *e)
{
	struct receiver *r = ctx;

	report_entry_error(r->s->report, path, e);
}

/* The destination as a tree to be scanned, with the same eyes as the plan. */
static int scan_here(struct receiver *r, int root_fd, const struct filter *filter, struct index_cache *index,
	struct err *e)
{
	const char *single = r->s->peer.flags & HELLO_SINGLE ? r->s->peer.single : NULL;
	struct fp_params p = {
		.pool = r->s->pool,
		.rules = dest_rules(r->dest),
		.numeric_ids = r->s->o->numeric_ids,
		.file_keys = r->find_moves,
		.clean_only = true,
		.delete_hidden = r->s->o->delete_excluded,
		.seed = r->s->keys.fp_seed,
		.stop = &r->s->stop,
		.progress = report_progress(r->s->report),
	};

	r->here = source_open_here(r->s->o, root_fd, single, filter, e);
	if (!r->here)
		return -1;
	source_set_reporter(r->here, source_fault, r);
	source_set_index(r->here, index);
	p.source = r->here;
	report_progress(r->s->report)->phase = PHASE_SCAN;
	fp_scan(&r->fp, &p);
	report_progress(r->s->report)->phase = PHASE_TRANSFER;
	r->have_fp = true;
	return 0;
}

static int handshake(struct receiver *r, struct dest_root *root, struct err *e)
{
	struct session *s = r->s;

	if (session_recv_hello(s, e) != 0)
		return -1;
	if (dest_root_open(root, s->o, r->p->path, s->peer.flags & HELLO_FILE, r->p->restrict_fd, e) != 0)
		return -1;
	if (r->p->confine && r->p->confine(r->p->ctx, root->fd, e) != 0)
		return -1;
	uint32_t flags = hello_flags(s->o, root);
	if (s->peer.flags & HELLO_FILE && !(flags & HELLO_EMPTY))
		flags |= HELLO_NO_FP; /* one file: nothing to fingerprint */
	r->eager = flags & HELLO_EMPTY;
	session_prepare_hello(s, flags);
	if (session_send_hello(s, e) != 0)
		return -1;
	return session_agree(s, false, e);
}

static void unref_dir(void *value)
{
	struct recv_dir *rd = value;

	recv_dir_unref(rd);
}

static void free_frames(void *value)
{
	struct recv_dir *rd = value;

	while (rd->waiting.first) {
		struct recv_frame *next = rd->waiting.first->next;
		buf_release(&rd->waiting.first->payload);
		free(rd->waiting.first);
		rd->waiting.first = next;
	}
	for (size_t i = 0; i < rd->kid_count; i++)
		recv_dir_unref(rd->kids[i]);
	rd->kid_count = 0;
}

/* Whatever is left of a session, finished or broken. */
static void release(struct receiver *r)
{
	recv_files_drop(r);
	for (size_t i = 0; i < r->held_file_count; i++)
		recv_dir_unref(r->held_files[i].rd);
	for (size_t i = 0; i < r->held_dir_count; i++)
		recv_dir_unref(r->held_dirs[i].rd);
	for (size_t i = 0; i < r->requested_count; i++) {
		free(r->requested[i].path);
		recv_dir_unref(r->requested[i].rd);
	}
	for (size_t i = 0; i < r->delta_count; i++)
		recv_dir_unref(r->deltas[i].rd);
	u64map_each_value(&r->dirs, free_frames);
	u64map_each_value(&r->dirs, unref_dir);
	u64map_release(&r->dirs);
	u64map_release(&r->files);
	u64map_release(&r->seen);
	free(r->held_files);
	free(r->held_dirs);
	free(r->requested);
	free(r->deltas);
	free(r->safe);
	if (r->have_fp)
		fp_release(&r->fp);
	source_free(r->here);
	pthread_cond_destroy(&r->room);
	pthread_mutex_destroy(&r->lock);
}

static int run(struct receiver *r, struct dest_root *root, const struct filter *filter,
	struct index_cache *index, struct err *e)
{
	struct session *s = r->s;
	struct filter_dir *filter_here = NULL;
	bool filtered = root->fd >= 0 && !filter_empty(filter);
	int bad = -1;

	if (filtered)
		filter_here = filter_root(filter, root->fd, e);
	struct dest_params p = {
		.opts = s->o,
		.report = s->report,
		.pool = s->pool,
		.filter = filter,
		.filter_root = filter_here,
		.ids = r->ids,
		.index = index,
		.source = *recv_callbacks(),
		.source_fd = -1,
		.root_fd = root->fd,
		.root_created = root->created,
		.want_items = r->p->want_items,
		.sent = r->p->pushed,
	};
	p.source.ctx = r;
	r->rename_to = root->rename_to;
	if (filter_here || !filtered)
		r->dest = dest_new(&p, e);
	report_progress(s->report)->phase = PHASE_TRANSFER;
	if (r->dest) {
		bool scan = !(s->mine.flags & (HELLO_EMPTY | HELLO_NO_FP));
		bad = scan ? scan_here(r, root->fd, filter, index, e) : 0;
		if (bad == 0)
			bad = read_all(r, e);
	}
	if (bad != 0) {
		session_fail(s, e);
		if (r->dest)
			dest_fail(r->dest, e);
	}
	pool_drain(s->pool);
	filter_unref(filter_here);
	return bad;
}

int recv_run(struct session *s, const struct recv_params *p, struct sync_counts *counts, struct err *e)
{
	struct receiver r = {.s = s, .p = p};
	struct dest_root root = {.fd = -1};
	struct index_cache *index = NULL;
	struct filter *filter = setup_filter(s->o, p->pushed, e);

	pthread_mutex_init(&r.lock, NULL);
	pthread_cond_init(&r.room, NULL);
	r.find_moves = s->o->del && !s->o->checksum && !s->o->backup;
	int bad = filter ? handshake(&r, &root, e) : -1;
	if (bad == 0 && !(r.ids = idmap_new(s->o, false, e)))
		bad = -1;
	if (bad == 0) {
		s->pool = pool_new(setup_threads(s->o));
		if (s->o->checksum)
			index = setup_index(s->report);
		bad = run(&r, &root, filter, index, e);
	} else {
		session_fail(s, e);
	}
	if (r.dest)
		dest_counts(r.dest, counts);
	release(&r);
	if (bad != 0)
		session_fault(s, e);
	else if (r.final.code != ERR_NONE)
		*e = r.final;
	dest_free(r.dest);
	pool_free(s->pool);
	s->pool = NULL;
	index_close(index, NULL);
	idmap_free(r.ids);
	dest_root_close(&root);
	filter_free(filter);
	return bad != 0 || r.final.code != ERR_NONE ? -1 : 0;
}
