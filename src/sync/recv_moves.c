/*
 * Moves. New files whose size and time some file here had, and new directories whose fingerprint some directory here had, are held back until
 * everything is listed. Then it is known what will be deleted, and a held one that matches becomes a rename: a directory on the word of its
 * fingerprint (the same trust as the quick check), a file after both ends' tags agree.
 */
#include "sync/recv_internal.h"

#include "os/copy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct candidate {
	uint64_t key;
	char *path;
	bool used;
};

struct candidates {
	struct candidate *v;
	size_t count, cap;
};

struct unless_task {
	struct recv_dir *rd; /* referenced */
	uint64_t index;
	char *path;
};

bool recv_hold_file(struct recv_dir *rd, uint64_t index, const struct dest_need *need)
{
	struct receiver *r = rd->r;
	uint64_t key = fp_file_key(&dest_dir_source(rd->dst)->entries[index]);

	if (!r->find_moves || !r->have_fp || !u64map_get(&r->fp.file_keys, key, NULL))
		return false;
	pthread_mutex_lock(&r->lock);
	bool hold = !r->finishing;
	if (hold) {
		if (r->held_file_count == r->held_file_cap) {
			r->held_file_cap = r->held_file_cap ? r->held_file_cap * 2 : 64;
			r->held_files =
				xreallocarray(r->held_files, r->held_file_cap, sizeof(*r->held_files));
		}
		r->held_files[r->held_file_count++] = (struct held_file){recv_dir_ref(rd), index, *need};
		rd->held++;
	}
	pthread_mutex_unlock(&r->lock);
	return hold;
}

void recv_hold_dir(struct recv_dir *rd, uint64_t index)
{
	struct receiver *r = rd->r;

	pthread_mutex_lock(&r->lock);
	if (r->held_dir_count == r->held_dir_cap) {
		r->held_dir_cap = r->held_dir_cap ? r->held_dir_cap * 2 : 16;
		r->held_dirs = xreallocarray(r->held_dirs, r->held_dir_cap, sizeof(*r->held_dirs));
	}
	r->held_dirs[r->held_dir_count++] = (struct held_dir){recv_dir_ref(rd), index};
	rd->held++;
	pthread_mutex_unlock(&r->lock);
}

/* A held one has been decided; its directory counts again while `busy` things are left for it. */
static void unhold(struct recv_dir *rd)
{
	struct receiver *r = rd->r;

	pthread_mutex_lock(&r->lock);
	rd->held--;
	if (rd->parked) {
		rd->parked = false;
		r->live++;
	}
	pthread_mutex_unlock(&r->lock);
}

/* --- directories ---------------------------------------------------------------------------------------------------------------- */

static bool same_name(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, name) == 0;
}

/* One with the same name is best, else the first by path: never the order in which they happened to be scanned. */
static bool is_better(const char *path, const char *best, const char *name)
{
	if (!best || same_name(path, name) != same_name(best, name))
		return !best || same_name(path, name);
	return strcmp(path, best) < 0;
}

static const char *find_same_tree(struct receiver *r, const struct entry *en)
{
	const char *best = NULL;

	for (size_t i = 1; i < r->fp.count; i++) {
		const struct fp_dir *d = &r->fp.dirs[i];
		if (d->row.tree.lo == en->tree_fp[0] && d->row.tree.hi == en->tree_fp[1] &&
			is_better(d->path, best, en->name) && dest_is_doomed(r->dest, d->path))
			best = d->path;
	}
	return best;
}

static void request(struct recv_dir *rd, const struct entry *en)
{
	struct receiver *r = rd->r;
	char *path = path_join(dest_dir_path(rd->dst), en->name);
	struct buf b;

	buf_init(&b, FRAME_MAX);
	msg_list_path_encode(path, strlen(path), &b);
	pthread_mutex_lock(&r->lock);
	r->requested = xreallocarray(r->requested, r->requested_count + 1, sizeof(*r->requested));
	r->requested[r->requested_count++] = (struct requested){path, recv_dir_ref(rd)};
	rd->children_left++;
	pthread_mutex_unlock(&r->lock);
	session_send(r->s, MSG_LIST_PATH, &b);
	buf_release(&b);
}

static void resolve_dir(struct receiver *r, const struct held_dir *h)
{
	struct recv_dir *rd = h->rd;
	const struct entry *en = &dest_dir_source(rd->dst)->entries[h->index];
	const char *from = find_same_tree(r, en);

	unhold(rd);
	if (!from || !dest_dir_move(rd->dst, h->index, from)) {
		if (r->s->o->dry_run)
			dest_predict_dir(rd->dst, h->index);
		request(rd, en);
	}
	recv_check_dir(rd);
	recv_dir_unref(rd);
}

/* --- files --------------------------------------------------------------------------------------------------------------------------- */

static void found_file(void *ctx, const char *path, const struct entry *en)
{
	struct candidates *c = ctx;

	if (!en->size)
		return;
	if (c->count == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 64;
		c->v = xreallocarray(c->v, c->cap, sizeof(*c->v));
	}
	c->v[c->count++] = (struct candidate){.key = fp_file_key(en), .path = xstrdup(path)};
}

static int compare(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* One with the same name is best; each is used once. */
static struct candidate *choose(struct candidates *c, const struct entry *en)
{
	uint64_t key = fp_file_key(en);
	struct candidate *best = NULL;
	size_t lo = 0;
	size_t hi = c->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (c->v[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < c->count && c->v[lo].key == key; lo++) {
		if (c->v[lo].used)
			continue;
		if (!best || same_name(c->v[lo].path, en->name))
			best = &c->v[lo];
		if (same_name(best->path, en->name))
			break;
	}
	return best;
}

static void ask(struct recv_dir *rd, uint64_t index, enum want_kind kind, const uint8_t *tag)
{
	struct want_item item = {
		.index = index, .kind = kind, .data = tag, .data_len = tag ? VERIFY_TAG_BYTES : 0};
	struct buf b;

	buf_init(&b, FRAME_MAX);
	msg_want_begin(&b, rd->id, 1, false);
	msg_want_item(&b, &item);
	session_send(rd->r->s, MSG_WANT, &b);
	buf_release(&b);
}

static bool tag_of(struct recv_dir *rd, uint64_t index, const char *path, uint8_t tag[VERIFY_TAG_BYTES])
{
	struct session_worker *w = session_worker(rd->r->s);
	int fd = dest_open_doomed(rd->r->dest, path);
	uint64_t at = 0;
	int64_t n = 0;

	if (fd < 0)
		return false;
	verifier_begin(w->verifier, rd->id, index);
	while ((n = pread_full(fd, w->io, SESSION_IO_BYTES, at)) > 0) {
		verifier_update(w->verifier, w->io, (size_t)n);
		at += (uint64_t)n;
	}
	verifier_end(w->verifier, tag);
	close(fd);
	return n == 0;
}

static void run_unless(void *arg)
{
	struct unless_task *t = arg;
	uint8_t tag[VERIFY_TAG_BYTES];

	if (!session_stopped(t->rd->r->s)) {
		if (tag_of(t->rd, t->index, t->path, tag))
			ask(t->rd, t->index, WANT_UNLESS, tag);
		else
			ask(t->rd, t->index, WANT_WHOLE, NULL);
	}
	recv_dir_unref(t->rd);
	free(t->path);
	free(t);
}

/* Keeps the needs sorted: a held file's index may be below others. */
static void insert_need(struct recv_dir *rd, uint64_t index, const struct dest_need *need, const char *from)
{
	pthread_mutex_lock(&rd->r->lock);
	size_t at = rd->need_count;
	if (rd->need_count == rd->need_cap) {
		rd->need_cap = rd->need_cap ? rd->need_cap * 2 : 16;
		rd->needs = xreallocarray(rd->needs, rd->need_cap, sizeof(*rd->needs));
	}
	while (at > 0 && rd->needs[at - 1].index > index)
		at--;
	memmove(rd->needs + at + 1, rd->needs + at, (rd->need_count - at) * sizeof(*rd->needs));
	rd->needs[at] =
		(struct recv_need){.index = index, .need = *need, .moved_from = from ? xstrdup(from) : NULL};
	rd->need_count++;
	rd->pending++;
	pthread_mutex_unlock(&rd->r->lock);
}

static void resolve_file(struct receiver *r, const struct held_file *h, struct candidates *c)
{
	struct recv_dir *rd = h->rd;
	const struct entry *en = &dest_dir_source(rd->dst)->entries[h->index];
	struct candidate *from = choose(c, en);

	if (from)
		from->used = true;
	if (!from && r->s->o->dry_run) {
		dest_predict(rd->dst, h->index, &h->need);
		dest_file_failed(rd->dst, h->index);
		unhold(rd);
	} else {
		insert_need(rd, h->index, &h->need, from ? from->path : NULL);
		unhold(rd);
		if (from) {
			struct unless_task *t = xmalloc(sizeof(*t));
			*t = (struct unless_task){recv_dir_ref(rd), h->index, xstrdup(from->path)};
			pool_push(r->s->pool, run_unless, t);
		} else {
			ask(rd, h->index, WANT_WHOLE, NULL);
		}
	}
	recv_check_dir(rd);
	recv_dir_unref(rd);
}

/* In the order of paths, so that the same trees always give the same renames (and a dry run tells them). */
static int compare_held(
	const struct recv_dir *a, uint64_t a_index, const struct recv_dir *b, uint64_t b_index)
{
	int c = strcmp(dest_dir_path(a->dst), dest_dir_path(b->dst));

	return c || a_index == b_index ? c : a_index < b_index ? -1 : 1;
}

static int compare_held_dirs(const void *a, const void *b)
{
	const struct held_dir *x = a;
	const struct held_dir *y = b;

	return compare_held(x->rd, x->index, y->rd, y->index);
}

static int compare_held_files(const void *a, const void *b)
{
	const struct held_file *x = a;
	const struct held_file *y = b;

	return compare_held(x->rd, x->index, y->rd, y->index);
}

void recv_resolve(struct receiver *r)
{
	struct candidates c = {0};

	pthread_mutex_lock(&r->lock);
	struct held_dir *dirs = r->held_dirs;
	struct held_file *files = r->held_files;
	size_t dir_count = r->held_dir_count;
	size_t file_count = r->held_file_count;
	r->held_dirs = NULL;
	r->held_files = NULL;
	r->held_dir_count = r->held_dir_cap = r->held_file_count = r->held_file_cap = 0;
	pthread_mutex_unlock(&r->lock);

	if (dir_count)
		qsort(dirs, dir_count, sizeof(*dirs), compare_held_dirs);
	if (file_count)
		qsort(files, file_count, sizeof(*files), compare_held_files);
	for (size_t i = 0; i < dir_count; i++)
		resolve_dir(r, &dirs[i]);
	if (file_count) {
		dest_each_doomed_file(r->dest, found_file, &c);
		if (c.count)
			qsort(c.v, c.count, sizeof(*c.v), compare);
	}
	for (size_t i = 0; i < file_count; i++)
		resolve_file(r, &files[i], &c);
	for (size_t i = 0; i < c.count; i++)
		free(c.v[i].path);
	free(c.v);
	free(dirs);
	free(files);
}
