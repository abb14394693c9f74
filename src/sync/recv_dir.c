/*
 * Listings as they come: collected from their pieces, planned by a worker as soon as the parent is, answered with WANT.
 */
#include "sync/recv_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DELTA_PAYS_FROM = DELTA_MIN_FILE };

struct recv_dir *recv_dir_ref(struct recv_dir *rd)
{
	atomic_fetch_add_explicit(&rd->refs, 1, memory_order_relaxed);
	return rd;
}

void recv_dir_unref(struct recv_dir *rd)
{
	struct receiver *r = rd ? rd->r : NULL;
	bool freed = false;

	while (rd && atomic_fetch_sub(&rd->refs, 1) == 1) {
		struct recv_dir *parent = rd->parent;
		if (rd->dst)
			dest_dir_unref(rd->dst);
		dirlist_release(&rd->list);
		for (size_t i = 0; i < rd->need_count; i++)
			free(rd->needs[i].moved_from);
		free(rd->needs);
		free(rd->entered);
		free(rd->kids);
		free(rd->want);
		free(rd);
		pthread_mutex_lock(&r->lock);
		r->alive--;
		pthread_mutex_unlock(&r->lock);
		freed = true;
		rd = parent;
	}
	if (freed)
		recv_maybe_finish(r);
}

struct recv_dir *recv_find_dir(struct receiver *r, uint64_t id)
{
	uint64_t value;
	struct recv_dir *rd = NULL;

	pthread_mutex_lock(&r->lock);
	if (u64map_get(&r->dirs, id, &value))
		rd = recv_dir_ref((struct recv_dir *)(uintptr_t)value);
	pthread_mutex_unlock(&r->lock);
	return rd;
}

struct recv_need *recv_find_need(struct recv_dir *rd, uint64_t index)
{
	size_t lo = 0;
	size_t hi = rd->need_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (rd->needs[mid].index == index)
			return &rd->needs[mid];
		if (rd->needs[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* Everything asked for in one message, perhaps with the word that no more will be. */
void recv_send_wants(struct recv_dir *rd, bool last)
{
	struct buf b;

	buf_init(&b, FRAME_MAX);
	msg_want_begin(&b, rd->id, rd->want_count, last);
	for (size_t i = 0; i < rd->want_count; i++) {
		struct want_item item = {.index = rd->want[i], .kind = WANT_WHOLE};
		msg_want_item(&b, &item);
	}
	rd->want_count = 0;
	session_send(rd->r->s, MSG_WANT, &b);
	buf_release(&b);
}

void recv_check_dir(struct recv_dir *rd)
{
	struct receiver *r = rd->r;
	bool over = false;
	bool say_last = false;

	pthread_mutex_lock(&r->lock);
	bool quiet = rd->planned && !rd->over && !rd->pending && !rd->backlog && !rd->children_left;
	if (quiet && rd->held) {
		if (!rd->parked) {
			rd->parked = true;
			r->live--;
		}
	} else if (quiet) {
		over = rd->over = true;
		say_last = !rd->said_last && !rd->failed;
		rd->said_last = true;
		u64map_remove(&r->dirs, rd->id);
		if (!rd->parked)
			r->live--;
	}
	pthread_mutex_unlock(&r->lock);
	if (say_last && !session_stopped(r->s))
		recv_send_wants(rd, true);
	if (over)
		recv_dir_unref(rd);
	recv_maybe_finish(r);
}

void recv_need_done(struct recv_dir *rd, uint64_t index)
{
	struct receiver *r = rd->r;

	pthread_mutex_lock(&r->lock);
	struct recv_need *n = recv_find_need(rd, index);
	if (n && n->sig_bytes) {
		r->sig_bytes -= n->sig_bytes;
		n->sig_bytes = 0;
		recv_start_deltas(r);
	}
	rd->pending--;
	pthread_mutex_unlock(&r->lock);
	recv_check_dir(rd);
}

/* --- callbacks of the planner ----------------------------------------------------------------------------------------------- */

static void add_need(struct recv_dir *rd, uint64_t index, const struct dest_need *need, enum basis_kind basis)
{
	pthread_mutex_lock(&rd->r->lock);
	if (rd->need_count == rd->need_cap) {
		rd->need_cap = rd->need_cap ? rd->need_cap * 2 : 16;
		rd->needs = xreallocarray(rd->needs, rd->need_cap, sizeof(*rd->needs));
	}
	rd->needs[rd->need_count++] = (struct recv_need){.index = index, .need = *need, .basis = basis};
	rd->pending++;
	pthread_mutex_unlock(&rd->r->lock);
}

static bool is_there(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static enum basis_kind choose_basis(
	struct recv_dir *rd, struct dest_dir *dir, const struct entry *en, const struct dest_need *need)
{
	const struct sync_options *o = rd->r->s->o;
	size_t index = (size_t)(en - dest_dir_source(dir)->entries);
	bool worth = en->size >= DELTA_PAYS_FROM;
	bool left = worth && !need->in_place && dest_dir_has_left_overs(dir);
	bool useful = !o->whole_file && need->has_basis && need->basis_size >= DELTA_PAYS_FROM;

	if (left && useful &&
		(is_there(dest_open_aside(dir, index)) || is_there(dest_open_partial(dir, index))))
		return BASIS_GATHERED;
	if (left && !useful && is_there(dest_open_partial(dir, index)))
		return BASIS_PARTIAL;
	if (!worth || !useful)
		return BASIS_NONE;
	return need->in_place ? BASIS_IN_PLACE : BASIS_DEST;
}

static void on_want(void *ctx, struct dest_dir *dir, size_t index, const struct dest_need *need)
{
	struct recv_dir *rd = dest_dir_user(dir);
	struct receiver *r = ctx;
	const struct entry *en = &dest_dir_source(dir)->entries[index];
	enum basis_kind basis = choose_basis(rd, dir, en, need);

	add_need(rd, index, need, basis);
	if (r->eager && !en->link_group)
		return; /* it is on its way already */
	if (basis != BASIS_NONE) {
		recv_want_delta(rd, index, basis,
			basis == BASIS_GATHERED ? need->basis_size + en->size : need->basis_size);
		return;
	}
	if (!rd->want)
		rd->want = xreallocarray(NULL, dest_dir_source(dir)->count, sizeof(*rd->want));
	rd->want[rd->want_count++] = index;
}

static bool on_hold(void *ctx, struct dest_dir *dir, size_t index, const struct dest_need *need)
{
	(void)ctx;
	return recv_hold_file(dest_dir_user(dir), index, need);
}

static void on_enter(void *ctx, struct dest_dir *dir, size_t index, bool exists)
{
	struct recv_dir *rd = dest_dir_user(dir);
	const struct entry *en = &dest_dir_source(dir)->entries[index];

	(void)ctx;
	if (rd->entered)
		rd->entered[index] = 1;
	if (!exists && (en->flags & ENTRY_HAS_TREE_FP) && !(en->flags & ENTRY_LISTED))
		recv_hold_dir(rd, index);
}

static void on_planned(void *ctx, struct dest_dir *dir)
{
	struct recv_dir *rd = dest_dir_user(dir);

	(void)ctx;
	pthread_mutex_lock(&rd->r->lock);
	bool last = !rd->held && !rd->backlog;
	rd->said_last = last;
	pthread_mutex_unlock(&rd->r->lock);
	if (last || rd->want_count)
		recv_send_wants(rd, last);
}

static void on_safe(void *ctx, const char *path, const struct entry *en, uint64_t token, size_t index)
{
	struct receiver *r = ctx;

	(void)path;
	(void)en;

	pthread_mutex_lock(&r->lock);
	if (r->safe_count == r->safe_cap) {
		r->safe_cap = r->safe_cap ? r->safe_cap * 2 : 64;
		r->safe = xreallocarray(r->safe, r->safe_cap, sizeof(*r->safe));
	}
	r->safe[r->safe_count++] = (struct safe_entry){token, index};
	pthread_mutex_unlock(&r->lock);
}

const struct dest_source *recv_callbacks(void)
{
	static const struct dest_source callbacks = {
		.want = on_want, .hold = on_hold, .enter = on_enter, .planned = on_planned, .safe = on_safe};

	return &callbacks;
}

/* --- planning ------------------------------------------------------------------------------------------------------------------- */

static void run_plan(void *arg);

static bool parent_allows(const struct recv_dir *rd)
{
	const struct recv_dir *parent = rd->parent;

	if (!parent)
		return true;
	if (!parent->dst)
		return false;
	const char *path = dest_dir_path(rd->dst);
	const char *slash = strrchr(path, '/');
	const struct dirlist *list = dest_dir_source(parent->dst);
	const struct entry *en = dirlist_find(list, slash ? slash + 1 : path);
	return en && parent->entered && parent->entered[en - list->entries];
}

/* The reading thread may be looking at it for a child. */
static void make_void(struct recv_dir *rd)
{
	pthread_mutex_lock(&rd->r->lock);
	struct dest_dir *dst = rd->dst;
	rd->dst = NULL;
	pthread_mutex_unlock(&rd->r->lock);
	dest_dir_unref(dst);
}

/* The planned directory can take what has come early. */
static void release_waiting(struct recv_dir *rd)
{
	struct receiver *r = rd->r;

	pthread_mutex_lock(&r->lock);
	rd->planned = true;
	while (rd->waiting.first) {
		struct recv_frame *f = rd->waiting.first;
		rd->waiting.first = f->next;
		f->next = NULL;
		recv_dispatch(rd, f);
	}
	rd->waiting.last = NULL;
	size_t n = rd->kid_count;
	struct recv_dir **kids = rd->kids;
	rd->kids = NULL;
	rd->kid_count = 0;
	recv_start_deltas(r);
	pthread_mutex_unlock(&r->lock);
	for (size_t i = n; i-- > 0;)
		pool_push(r->s->pool, run_plan, kids[i]);
	free(kids);
}

static void run_plan(void *arg)
{
	struct recv_dir *rd = arg;
	struct receiver *r = rd->r;
	size_t count = rd->list.count;

	if (rd->dst && (rd->failed || session_stopped(r->s) || dest_stopped(r->dest) || !parent_allows(rd) ||
			       !dest_dir_open(rd->dst)))
		make_void(rd);
	if (rd->dst) {
		if (count)
			rd->entered = xcalloc(count, 1);
		dest_dir_set_user(rd->dst, rd);
		dest_dir_set_token(rd->dst, rd->id);
		dest_dir_plan(rd->dst, &rd->list);
	} else if (!rd->failed && !session_stopped(r->s)) {
		pthread_mutex_lock(&r->lock);
		rd->said_last = true;
		pthread_mutex_unlock(&r->lock);
		recv_send_wants(rd, true);
	}
	release_waiting(rd);
	recv_check_dir(rd);
	recv_dir_unref(rd);
}

/* --- reading DIR -------------------------------------------------------------------------------------------------------------- */

static int find_parent(struct receiver *r, struct recv_dir *rd, const struct msg_dir *m, struct err *e)
{
	uint64_t value;

	if (m->parent_id) {
		if (!u64map_get(&r->dirs, m->parent_id, &value))
			return err_set(e, ERR_PROTOCOL, "DIR with an unknown parent");
		rd->parent = recv_dir_ref((struct recv_dir *)(uintptr_t)value);
		if (!rd->parent->children_left)
			return err_set(e, ERR_PROTOCOL, "more DIRs than were announced");
		return 0;
	}
	for (size_t i = 0; i < r->requested_count; i++) {
		struct requested *q = &r->requested[i];
		if (strlen(q->path) != m->path_len || memcmp(q->path, m->path, m->path_len) != 0)
			continue;
		rd->parent = q->rd;
		free(q->path);
		*q = r->requested[--r->requested_count];
		return 0;
	}
	if (m->path_len == 0 && !r->list_end)
		return 0;
	return err_set(e, ERR_PROTOCOL, "DIR that nobody asked for");
}

/* A child's path is its parent's and one component. */
static bool path_fits(const struct recv_dir *rd, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (!rd->parent)
		return *path == '\0';
	const char *above = rd->parent->dst ? dest_dir_path(rd->parent->dst) : NULL;
	return *path && (!above || (strlen(above) == len && memcmp(above, path, len) == 0));
}

static struct recv_dir *new_dir(struct receiver *r, const struct msg_dir *m, struct err *e)
{
	struct recv_dir *rd = xcalloc(1, sizeof(*rd));
	char *path = xmemdupz(m->path, m->path_len);
	bool added = true;

	atomic_init(&rd->refs, 1);
	rd->r = r;
	rd->id = m->id;
	rd->failed = m->flags & DIR_FAILED;
	pthread_mutex_lock(&r->lock);
	r->alive++;
	int bad = find_parent(r, rd, m, e);
	if (bad == 0 && !path_fits(rd, path))
		bad = err_set(e, ERR_PROTOCOL, "DIR with a path that is not below its parent's");
	if (bad == 0) {
		u64map_put(&r->seen, m->id, &added);
		if (!added)
			bad = err_set(e, ERR_PROTOCOL, "a DIR's number was used twice");
	}
	if (bad == 0)
		*u64map_put(&r->dirs, m->id, NULL) = (uint64_t)(uintptr_t)rd;
	if (bad == 0)
		r->live++;
	struct dest_dir *above = bad == 0 && rd->parent ? rd->parent->dst : NULL;
	if (above)
		dest_dir_ref(above);
	pthread_mutex_unlock(&r->lock);
	if (bad == 0) {
		if (!rd->parent || above)
			rd->dst =
				dest_dir_new(r->dest, above, path, m->flags & DIR_IMPLIED ? NULL : &m->self);
	} else {
		recv_dir_unref(rd);
		rd = NULL;
	}
	dest_dir_unref(above);
	free(path);
	return rd;
}

static int read_entries(struct recv_dir *rd, const struct msg_dir *m, struct cursor *c, struct err *e)
{
	struct entry_coder coder = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->count; i++)
		r = msg_dir_decode_entry(&coder, &rd->list, c, e);
	return r == 0 ? msg_finish(c, "DIR", e) : r;
}

/* Complete: count what is to follow, tell the parent, and let it be planned in its turn. */
static void hand_over(struct recv_dir *rd)
{
	struct receiver *r = rd->r;
	bool ready = true;

	for (size_t i = 0; i < rd->list.count; i++) {
		const struct entry *en = &rd->list.entries[i];
		rd->children_left += S_ISDIR(en->mode) && (en->flags & ENTRY_LISTED);
	}
	if (!rd->parent)
		dest_set_source_empty(r->dest, rd->list.count == 0 && !rd->failed);
	if (!rd->parent && r->rename_to && rd->list.count == 1)
		rd->list.entries[0].name = r->rename_to;
	recv_dir_ref(rd); /* for run_plan */
	struct recv_dir *parent = rd->parent;
	pthread_mutex_lock(&r->lock);
	if (rd->failed)
		r->source_errors = true;
	if (parent && !parent->planned) {
		parent->kids = xreallocarray(parent->kids, parent->kid_count + 1, sizeof(struct recv_dir *));
		parent->kids[parent->kid_count++] = rd;
		ready = false;
	}
	pthread_mutex_unlock(&r->lock);
	if (ready)
		pool_push(r->s->pool, run_plan, rd);
	if (parent) {
		pthread_mutex_lock(&r->lock);
		if (parent->children_left)
			parent->children_left--;
		pthread_mutex_unlock(&r->lock);
		recv_check_dir(parent);
	}
}

int recv_dir_message(struct receiver *r, struct cursor *c, struct err *e)
{
	struct msg_dir m;

	if (msg_dir_decode_head(&m, c, e) != 0)
		return -1;
	if ((m.flags & DIR_CONTINUED) ? !r->growing || r->growing->id != m.id : r->growing != NULL)
		return err_set(e, ERR_PROTOCOL, "pieces of a DIR out of order");
	struct recv_dir *rd = r->growing ? r->growing : new_dir(r, &m, e);
	if (!rd || read_entries(rd, &m, c, e) != 0)
		return -1;
	rd->list.incomplete |= (m.flags & DIR_INCOMPLETE) != 0;
	rd->list.partial |= (m.flags & DIR_PARTIAL) != 0;
	r->growing = m.flags & DIR_MORE ? rd : NULL;
	if (!r->growing)
		hand_over(rd);
	return 0;
}
