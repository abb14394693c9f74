/*
 * Listing: one task per directory, depth first. The way from the root to everything that differs is sent; subtrees that are equal are not
 * even entered. A child is marked LISTED in its parent's listing exactly when a DIR of its own follows, so that the receiver can count.
 */
#include "sync/send_internal.h"

#include "os/ids.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct list_task {
	struct sender *x;
	struct source_dir *parent; /* referenced, NULL for a top */
	struct entry self;         /* strings live in `strings` or in `keep` */
	bool has_self;
	struct dirlist strings;
	struct sent_dir *keep; /* whose list holds self's strings, referenced */
	char *path;            /* a top: where it is */
	uint64_t parent_id;
	bool forced; /* whatever the table says (LIST_PATH) */
};

static void run_list(void *arg);

static void push(struct sender *x, struct list_task *t)
{
	atomic_fetch_add(&x->listing, 1);
	pool_push(x->s->pool, run_list, t);
}

static void announce_id(struct sender *x, bool is_group, uint32_t id)
{
	bool added;
	struct buf b;

	pthread_mutex_lock(&x->lock);
	u64map_put(&x->announced[is_group], id, &added);
	const char *name = !added ? NULL : is_group ? ids_group_name(id) : ids_user_name(id);
	if (name) { /* under the lock: before anybody else sends a listing that uses it */
		struct msg_idmap m = {.is_group = is_group, .id = id, .name = name, .name_len = strlen(name)};
		buf_init(&b, 1024);
		msg_idmap_encode(&m, &b);
		session_send(x->s, MSG_IDMAP, &b);
		buf_release(&b);
	}
	pthread_mutex_unlock(&x->lock);
}

static void announce(struct sender *x, const struct entry *en, uint32_t *last_uid, uint32_t *last_gid)
{
	if (x->s->o->numeric_ids)
		return;
	if (en->uid != *last_uid)
		announce_id(x, false, *last_uid = en->uid);
	if (en->gid != *last_gid)
		announce_id(x, true, *last_gid = en->gid);
}

/* Must a DIR for this child follow? False also when the receiver can make it from another directory of its own. */
static bool child_differs(struct sender *x, const char *path, struct entry *en)
{
	uint64_t hash = fp_path_hash(path, x->s->keys.fp_seed);
	size_t mine = fp_find(&x->mine, hash);
	uint64_t row;

	if (mine == SIZE_MAX)
		return true;
	const struct hash128 tree = x->mine.dirs[mine].row.tree;
	if (u64map_get(&x->table, hash, &row))
		return !hash128_equal(x->rows[row].tree, tree);
	bool empty = !tree.lo && !tree.hi; /* cheaper to make than to move */
	if (!x->find_moves || empty || !u64map_get(&x->table_trees, tree.lo, &row) ||
		!hash128_equal(x->rows[row].tree, tree))
		return true;
	en->tree_fp[0] = tree.lo;
	en->tree_fp[1] = tree.hi;
	en->flags |= ENTRY_HAS_TREE_FP;
	return false;
}

static void choose_children(struct sender *x, const char *path, struct dirlist *list, bool forced)
{
	for (size_t i = 0; i < list->count; i++) {
		struct entry *en = &list->entries[i];
		if (!(en->flags & ENTRY_LISTED) || !x->have_table || forced)
			continue;
		char *below = path_join(path, en->name);
		if (!child_differs(x, below, en))
			en->flags &= (uint16_t)~ENTRY_LISTED;
		free(below);
	}
}

static void send_piece(struct sender *x, struct msg_dir *m, const struct buf *entries)
{
	struct buf b;

	buf_init(&b, FRAME_MAX);
	msg_dir_encode_head(m, &b);
	buf_put(&b, entries->data, entries->len);
	session_send(x->s, MSG_DIR, &b);
	buf_release(&b);
	m->flags |= DIR_CONTINUED;
	m->count = 0;
}

/* All pieces of one directory go out together: nothing else may come between them. */
static void send_dir(struct sender *x, struct msg_dir *m, const struct dirlist *list)
{
	struct entry_coder coder = {0};
	uint32_t uid = UINT32_MAX;
	uint32_t gid = UINT32_MAX;
	struct buf entries;

	if (!(m->flags & (DIR_IMPLIED | DIR_FAILED)))
		announce(x, &m->self, &uid, &gid);
	for (size_t i = 0; i < list->count; i++)
		announce(x, &list->entries[i], &uid, &gid);
	buf_init(&entries, FRAME_MAX);
	for (size_t i = 0; i < list->count; i++) {
		msg_dir_encode_entry(&coder, &list->entries[i], &entries);
		m->count++;
		if (entries.len < DIR_FRAME_BYTES || i + 1 == list->count)
			continue;
		m->flags |= DIR_MORE;
		send_piece(x, m, &entries);
		m->flags &= ~(uint32_t)DIR_MORE;
		buf_clear(&entries);
		coder = (struct entry_coder){0};
	}
	send_piece(x, m, &entries);
	buf_release(&entries);
}

static void count(struct sender *x, const struct dirlist *list)
{
	struct progress *p = report_progress(x->s->report);
	uint64_t files = 0;
	uint64_t bytes = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (S_ISREG(list->entries[i].mode)) {
			files++;
			bytes += list->entries[i].size;
		}
	}
	atomic_fetch_add(&x->dirs, 1);
	atomic_fetch_add(&x->files, files);
	atomic_fetch_add(&x->bytes, bytes);
	atomic_fetch_add_explicit(&p->entries_scanned, list->count, memory_order_relaxed);
}

static void push_children(struct sender *x, struct source_dir *dir, struct sent_dir *d, bool forced)
{
	for (size_t i = d->list.count; i-- > 0;) {
		const struct entry *en = &d->list.entries[i];
		if (!(en->flags & ENTRY_LISTED))
			continue;
		struct list_task *t = xcalloc(1, sizeof(*t));
		*t = (struct list_task){
			.x = x,
			.parent = source_dir_ref(dir),
			.self = *en,
			.has_self = true,
			.keep = sent_dir_ref(d),
			.parent_id = d->id,
			.forced = forced,
		};
		push(x, t);
	}
}

/* Hard links are asked for by the receiver, who knows which name leads; everything else goes at once. */
static void send_eagerly(struct sender *x, struct sent_dir *d, struct source_dir *dir)
{
	uint64_t *indexes = NULL;
	size_t n = 0;

	for (size_t i = 0; i < d->list.count; i++) {
		const struct entry *en = &d->list.entries[i];
		if (!S_ISREG(en->mode) || en->link_group || plan_skips_size(&x->rules, en))
			continue;
		if (!indexes)
			indexes = xreallocarray(NULL, d->list.count, sizeof(*indexes));
		indexes[n++] = i;
	}
	if (n)
		send_files(x, sent_dir_ref(d), dir, indexes, n);
}

static void remember(struct sender *x, struct sent_dir *d)
{
	pthread_mutex_lock(&x->lock);
	*u64map_put(&x->dirs_by_id, d->id, NULL) = (uint64_t)(uintptr_t)sent_dir_ref(d);
	pthread_mutex_unlock(&x->lock);
}

static struct msg_dir head_of(const struct list_task *t, const struct sent_dir *d)
{
	struct msg_dir m = {.id = d->id,
		.parent_id = t->parent_id,
		.path = d->path,
		.path_len = strlen(d->path),
		.self = t->self};

	m.self.name = "";
	m.self.name_len = 0;
	if (!t->has_self)
		m.flags |= DIR_IMPLIED;
	if (d->list.incomplete)
		m.flags |= DIR_INCOMPLETE;
	if (d->list.partial)
		m.flags |= DIR_PARTIAL;
	return m;
}

static void list_dir(struct list_task *t, struct source_dir *dir)
{
	struct sender *x = t->x;
	struct sent_dir *d = xcalloc(1, sizeof(*d));

	atomic_init(&d->refs, 1);
	d->path = xstrdup(dir->path);
	d->id = atomic_fetch_add(&x->next_id, 1);
	bool failed = source_list(x->source, dir, &d->list) != 0;
	choose_children(x, d->path, &d->list, t->forced);
	struct msg_dir m = head_of(t, d);
	count(x, &d->list);
	if (failed)
		m.flags |= DIR_FAILED;
	else
		remember(x, d);
	send_dir(x, &m, &d->list);
	push_children(x, dir, d, t->forced);
	if (x->eager && !failed)
		send_eagerly(x, d, dir);
	sent_dir_unref(d);
}

static void list_failed(struct list_task *t)
{
	struct sender *x = t->x;
	char *path = t->parent ? path_join(t->parent->path, t->self.name) : xstrdup(t->path ? t->path : "");
	struct msg_dir m = {
		.id = atomic_fetch_add(&x->next_id, 1),
		.parent_id = t->parent_id,
		.flags = DIR_FAILED | DIR_IMPLIED | DIR_INCOMPLETE,
		.path = path,
		.path_len = strlen(path),
	};
	struct dirlist none = {0};

	send_dir(x, &m, &none);
	free(path);
}

static void listing_done(struct sender *x)
{
	struct buf b;

	if (atomic_fetch_sub(&x->listing, 1) != 1 || session_stopped(x->s))
		return;
	struct msg_list_end m = {
		.errors = !source_complete(x->source),
		.dirs = x->dirs,
		.files = x->files,
		.bytes = x->bytes,
	};
	buf_init(&b, 4096);
	msg_list_end_encode(&m, &b);
	session_send(x->s, MSG_LIST_END, &b);
	buf_release(&b);
}

static void run_list(void *arg)
{
	struct list_task *t = arg;
	struct sender *x = t->x;

	if (!session_stopped(x->s)) {
		struct source_dir *dir =
			t->path ? source_dir_open_path(x->source, t->path)
				: source_dir_open(x->source, t->parent, t->parent ? &t->self : NULL);
		if (dir)
			list_dir(t, dir);
		else
			list_failed(t);
		source_dir_unref(dir);
	}
	listing_done(x);
	source_dir_unref(t->parent);
	sent_dir_unref(t->keep);
	dirlist_release(&t->strings);
	free(t->path);
	free(t);
}

void send_list_start(struct sender *x)
{
	struct list_task *t = xcalloc(1, sizeof(*t));

	t->x = x;
	t->has_self = source_root_entry(x->source, &t->strings, &t->self);
	push(x, t);
}

void send_list_path(struct sender *x, const char *path)
{
	struct list_task *t = xcalloc(1, sizeof(*t));
	struct err e = {0};

	t->x = x;
	t->path = xstrdup(path);
	t->forced = true;
	int fd = source_root_fd(x->source);
	if (scan_entry(source_scan_options(x->source), fd, path, path, &t->strings, &t->self, &e) == 0)
		t->has_self = true;
	push(x, t);
}
