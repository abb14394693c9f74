/*
 * The sender's session.
 *
 *   HELLO ──EMPTY──────────────> list everything, contents at once ─┐
 *     ├────NO_FP───────────────> list everything ───────────────────┤
 *     └────else── scan, ROOT_FP ──TABLE──> list what differs ───────┤
 *                                └─(equal)──────────────────────────┴── serve WANTs ── SUMMARY ── BYE
 *
 * One thread reads and never blocks on anything but the line; listing and reading files are tasks of the pool. So the receiver can
 * always get rid of what it has to say, and neither end waits for the other in a circle.
 */
#include "sync/send_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TABLE_ROWS_MAX = 1 << 24 };

struct sent_dir *sent_dir_ref(struct sent_dir *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return d;
}

void sent_dir_unref(struct sent_dir *d)
{
	if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	dirlist_release(&d->list);
	free(d->path);
	free(d);
}

void send_fault(struct sender *x, const char *dir, const char *name, const struct err *e)
{
	char *path = path_join(dir, name);

	report_entry_error(x->s->report, path, e);
	free(path);
}

uint64_t send_file_key(uint64_t dir_id, uint64_t index)
{
	uint64_t v[2] = {dir_id, index};

	return hash64(v, sizeof(v), 0);
}

/* What the receiver will compare: our options, less what it cannot do. */
static void fill_rules(struct sender *x)
{
	const struct sync_options *o = x->s->o;

	x->rules = (struct plan_rules){
		.perms = o->perms,
		.times = o->times,
		.dir_times = o->dir_times && !o->omit_dir_times,
		.link_times = o->link_times && !o->omit_link_times,
		.owner = o->owner && (x->s->peer.flags & HELLO_ROOT),
		.group = o->group,
		.xattrs = o->xattrs,
		.acls = o->acls,
		.checksum = o->checksum,
		.size_only = o->size_only,
		.max_size = o->max_size,
		.min_size = o->min_size,
	};
}

static int add_table(struct sender *x, struct cursor *c, struct err *e)
{
	bool end;
	size_t n;

	if (x->have_table)
		return err_set(e, ERR_PROTOCOL, "a second TABLE");
	if (msg_table_decode(c, &end, &n, e) != 0)
		return -1;
	if (n > TABLE_ROWS_MAX - x->row_count)
		return err_set(e, ERR_PROTOCOL, "a TABLE of more than %d directories", TABLE_ROWS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (x->row_count == x->row_cap) {
			x->row_cap = x->row_cap ? x->row_cap * 2 : 1024;
			x->rows = xreallocarray(x->rows, x->row_cap, sizeof(*x->rows));
		}
		struct table_row *row = &x->rows[x->row_count];
		msg_table_next(c, row);
		*u64map_put(&x->table, row->path_hash, NULL) = x->row_count;
		if (fp_find(&x->mine, row->path_hash) == SIZE_MAX)
			*u64map_put(&x->table_trees, row->tree.lo, NULL) = x->row_count;
		x->row_count++;
	}
	if (msg_finish(c, "TABLE", e) != 0)
		return -1;
	if (end) {
		x->have_table = true;
		send_list_start(x);
	}
	return 0;
}

static struct sent_dir *find_dir(struct sender *x, uint64_t id, bool forget)
{
	uint64_t value;
	struct sent_dir *d = NULL;

	pthread_mutex_lock(&x->lock);
	if (u64map_get(&x->dirs_by_id, id, &value)) {
		d = (struct sent_dir *)(uintptr_t)value;
		if (forget)
			u64map_remove(&x->dirs_by_id, id);
		else
			sent_dir_ref(d);
	}
	pthread_mutex_unlock(&x->lock);
	return d;
}

static int want_delta(struct sender *x, struct sent_dir *d, const struct want_item *item, struct err *e)
{
	struct cursor c = cur_make(item->data, item->data_len);
	struct sig sig;

	if (sig_decode(&sig, x->s->keys.sig_seed, &c, e) != 0)
		return -1;
	send_delta(x, d, item->index, &sig, item->kind == WANT_DELTA_INPLACE);
	return 0;
}

static int take_wants(struct sender *x, struct sent_dir *d, struct cursor *c, size_t items, struct err *e)
{
	uint64_t *whole = NULL;
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < items; i++) {
		struct want_item item;
		r = msg_want_next(c, &item, e);
		if (r != 0)
			break;
		if (item.index >= d->list.count || !S_ISREG(d->list.entries[item.index].mode)) {
			r = err_set(e, ERR_PROTOCOL, "WANT of something that is no file");
		} else if (item.kind == WANT_WHOLE) {
			if (!whole)
				whole = xreallocarray(NULL, items, sizeof(*whole));
			whole[count++] = item.index;
		} else if (item.kind == WANT_UNLESS) {
			send_unless(x, d, item.index, item.data);
		} else {
			r = want_delta(x, d, &item, e);
		}
	}
	if (count)
		send_files_later(x, d, whole, count);
	return r;
}

static int take_want(struct sender *x, struct cursor *c, struct err *e)
{
	uint64_t id;
	size_t items;
	bool last;

	if (msg_want_decode(c, &id, &items, &last, e) != 0)
		return -1;
	struct sent_dir *d = find_dir(x, id, false);
	if (!d)
		return err_set(e, ERR_PROTOCOL, "WANT for a directory that was not listed");
	int r = take_wants(x, d, c, items, e);
	if (r == 0)
		r = msg_finish(c, "WANT", e);
	sent_dir_unref(d);
	if (r == 0 && last && !x->s->o->remove_source_files)
		sent_dir_unref(find_dir(x, id, true));
	return r;
}

static int take_done(struct sender *x, struct cursor *c, struct err *e)
{
	uint64_t id;
	size_t n;

	if (msg_done_decode(&id, &n, c, e) != 0)
		return -1;
	struct sent_dir *d = find_dir(x, id, false);
	uint64_t *indexes = xreallocarray(NULL, n ? n : 1, sizeof(*indexes));
	for (size_t i = 0; i < n; i++)
		indexes[i] = msg_done_next(c);
	int r = msg_finish(c, "DONE", e);
	if (r == 0 && (!d || !x->s->o->remove_source_files))
		r = err_set(e, ERR_PROTOCOL, "DONE was not expected");
	if (r == 0)
		send_remove_sources(x, d, indexes, n);
	free(indexes);
	sent_dir_unref(d);
	return r;
}

static int take_list_path(struct sender *x, struct cursor *c, struct err *e)
{
	const char *path;
	size_t len;

	if (msg_list_path_decode(&path, &len, c, e) != 0)
		return -1;
	char *copy = xmemdupz(path, len);
	send_list_path(x, copy);
	free(copy);
	return 0;
}

static int take_refine(struct sender *x, struct cursor *c, struct err *e)
{
	uint64_t dir_id;
	uint64_t index;
	uint64_t *hashes;
	size_t n;

	if (msg_refine_decode(&dir_id, &index, &hashes, &n, c, e) != 0)
		return -1;
	send_refined(x, dir_id, index, hashes, n);
	return 0;
}

static int dispatch(struct sender *x, enum msg_type type, struct cursor *c, struct msg_summary *summary,
	bool *over, struct err *e)
{
	switch (type) {
	case MSG_TABLE:
		return add_table(x, c, e);
	case MSG_WANT:
		return take_want(x, c, e);
	case MSG_REFINE:
		return take_refine(x, c, e);
	case MSG_LIST_PATH:
		return take_list_path(x, c, e);
	case MSG_DONE:
		return take_done(x, c, e);
	case MSG_SUMMARY:
		*over = true;
		return msg_summary_decode(summary, c, e);
	default:
		return err_set(e, ERR_PROTOCOL, "the receiver sent an unexpected %s", msg_type_name(type));
	}
}

static int serve(struct sender *x, struct msg_summary *summary, struct err *e)
{
	struct buf payload;
	bool over = false;
	int r = 0;

	buf_init(&payload, FRAME_MAX);
	while (r == 0 && !over) {
		enum msg_type type;
		int got = session_recv(x->s, &type, &payload, e);
		if (got == 0)
			got = chan_explain_end(x->s->chan, e);
		struct cursor c = cur_make(payload.data, payload.len);
		r = got < 0 ? -1 : dispatch(x, type, &c, summary, &over, e);
	}
	buf_release(&payload);
	return r;
}

static int scan(struct sender *x)
{
	struct progress *progress = report_progress(x->s->report);
	struct fp_params p = {
		.source = x->source,
		.pool = x->s->pool,
		.rules = &x->rules,
		.numeric_ids = x->s->o->numeric_ids,
		.seed = x->s->keys.fp_seed,
		.stop = &x->s->stop,
		.progress = progress,
	};
	struct buf b;

	progress->phase = PHASE_SCAN;
	fp_scan(&x->mine, &p);
	progress->phase = PHASE_TRANSFER;
	struct msg_root_fp m = {.fp = x->mine.root,
		.entries = x->mine.entries,
		.files = x->mine.files,
		.bytes = x->mine.bytes};
	if (!x->mine.complete)
		m.fp.lo ^= x->s->keys.sig_seed | 1; /* an unreadable part never looks equal */
	buf_init(&b, 4096);
	msg_root_fp_encode(&m, &b);
	int r = session_send(x->s, MSG_ROOT_FP, &b);
	buf_release(&b);
	return r;
}

static void unref_dir(void *value)
{
	sent_dir_unref(value);
}

static void sender_release(struct sender *x)
{
	send_delta_drop(x);
	u64map_each_value(&x->dirs_by_id, unref_dir);
	u64map_release(&x->dirs_by_id);
	u64map_release(&x->announced[0]);
	u64map_release(&x->announced[1]);
	u64map_release(&x->refining);
	u64map_release(&x->table);
	u64map_release(&x->table_trees);
	free(x->rows);
	if (x->mine.dirs)
		fp_release(&x->mine);
	pthread_mutex_destroy(&x->lock);
}

static int handshake(struct sender *x, struct err *e)
{
	struct session *s = x->s;
	uint32_t flags = source_single(x->source) ? HELLO_SINGLE : 0;

	if (source_is_file(x->source))
		flags |= HELLO_FILE;
	session_prepare_hello(s, flags);
	if (source_single(x->source))
		snprintf(s->mine.single, sizeof(s->mine.single), "%s", source_single(x->source));
	if (session_send_hello(s, e) != 0 || session_recv_hello(s, e) != 0)
		return -1;
	return session_agree(s, true, e);
}

int send_run(struct session *s, struct source *source, struct sync_counts *counts, enum err_code *result,
	struct err *e)
{
	struct sender x = {.s = s, .source = source};
	struct msg_summary summary = {0};

	pthread_mutex_init(&x.lock, NULL);
	atomic_init(&x.next_id, 1);
	int r = handshake(&x, e);
	if (r == 0) {
		fill_rules(&x);
		x.eager = s->peer.flags & HELLO_EMPTY;
		x.find_moves = s->o->del && !s->o->checksum;
		report_progress(s->report)->phase = PHASE_TRANSFER;
		if (x.eager || (s->peer.flags & HELLO_NO_FP))
			send_list_start(&x);
		else
			r = scan(&x);
	}
	if (r == 0)
		r = serve(&x, &summary, e);
	if (r != 0)
		session_fail(s, e);
	pool_drain(s->pool);
	if (r == 0)
		session_send(s, MSG_BYE, NULL);
	session_fault(s, e);
	*counts = summary.counts;
	*result = summary.result;
	sender_release(&x);
	return r;
}
