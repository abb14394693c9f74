/*
 * One task per directory: list the source's, plan against the destination's, copy its files, and push its subdirectories. Big
 * directories and big files are cut into tasks of their own. There is no list of the whole tree anywhere.
 */
#include "sync/local.h"

#include "os/copy.h"
#include "os/fault.h"
#include "sync/dest.h"
#include "sync/dest_root.h"
#include "sync/setup.h"
#include "sync/idmap.h"
#include "sync/source.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH_FILES = 64, BATCH_BYTES = 4 << 20, COPY_ATTEMPTS = 3 };

struct local {
	const struct sync_options *o;
	struct report *report;
	struct pool *pool;
	struct source *source;
	struct dest *dest;
	const char *rename_to;
	pthread_mutex_t lock;
	struct done {
		char *path;
		struct entry en; /* only its numbers are used later */
	} * done;                /* --remove-source-files: what has arrived */
	size_t done_count, done_cap;
};

struct want {
	size_t index;
	struct dest_need need;
};

/* A directory in work on both sides; dest_dir's user data while it is planned. */
struct visit {
	struct local *l;
	struct source_dir *src;
	struct dest_dir *dst;
	struct want *wants;
	size_t want_count, want_cap;
	size_t *children; /* indexes of directories to enter */
	size_t child_count, child_cap;
};

struct enter_task {
	struct local *l;
	struct source_dir *parent;
	struct dest_dir *dst_parent;
	struct entry en; /* name and flags; strings owned by the parent's list, kept alive by dst_parent */
};

struct copy_task {
	struct local *l;
	struct source_dir *src;
	struct dest_dir *dst;
	size_t count;
	struct want wants[];
};

/* The source's own name of an entry: different only when a single file is renamed. */
static struct entry source_entry(const struct local *l, struct dest_dir *dir, size_t index)
{
	struct entry en = dest_dir_source(dir)->entries[index];

	if (l->rename_to && !*dest_dir_path(dir))
		en.name = source_single(l->source);
	return en;
}

static void entry_fault(struct local *l, struct dest_dir *dir, const char *name, const struct err *e)
{
	char *path = path_join(dest_dir_path(dir), name);

	report_entry_error(l->report, path, e);
	free(path);
}

/* Copy until it stood still meanwhile. 0; 1 = it keeps changing; -1 = errno of the destination; -2 = the source. */
static int copy_stable(struct local *l, int in, struct dest_file *f, struct entry *en)
{
	struct progress *progress = report_progress(l->report);
	unsigned flags = l->o->sparse ? COPY_SPARSE : 0;

	for (int attempt = 0; attempt < COPY_ATTEMPTS; attempt++) {
		uint64_t copied = 0;
		if (attempt && (!source_file_refresh(in, en) || lseek(in, 0, SEEK_SET) != 0))
			return 1;
		if (attempt)
			dest_count_retry(l->dest);
		if ((attempt || f->in_place) && (ftruncate(f->fd, 0) != 0 || lseek(f->fd, 0, SEEK_SET) != 0))
			return -1;
		if (copy_file_content(in, f->fd, en->size, flags, &copied, &progress->bytes_done,
			    dest_stop_flag(l->dest)) != 0)
			return -1;
		if (copied == en->size && !source_file_changed(in, en)) {
			dest_count_content(l->dest, copied, 0);
			return 0;
		}
	}
	return 1;
}

static void copy_one(struct local *l, struct source_dir *src, struct dest_dir *dst, const struct want *w)
{
	struct entry en = source_entry(l, dst, w->index);
	struct dest_file f;
	struct err e = {0};

	if (dest_stopped(l->dest)) {
		dest_file_failed(dst, w->index);
		return;
	}
	int in = source_open_file(src, &en);
	if (in < 0) {
		err_sys(&e, errno == ENOENT ? ERR_VANISHED : ERR_PARTIAL, "open source");
		entry_fault(l, dst, en.name, &e);
		source_set_incomplete(l->source);
		dest_file_failed(dst, w->index);
		return;
	}
	if (dest_file_open(&f, dst, w->index, &w->need, false, &e) != 0) {
		dest_file_failed(dst, w->index);
		close(in);
		return;
	}
	int r = copy_stable(l, in, &f, &en);
	close(in);
	if (r == 0) {
		dest_file_update_entry(dst, w->index, &en);
		dest_file_commit(&f);
		atomic_fetch_add_explicit(&report_progress(l->report)->files_done, 1, memory_order_relaxed);
		return;
	}
	if (r > 0) {
		err_set(&e, ERR_VANISHED, "kept changing while it was read; left as it was");
		entry_fault(l, dst, en.name, &e);
	} else {
		dest_file_errno(&f, "write");
	}
	dest_file_abort(&f, false);
}

static void run_copies(void *arg)
{
	struct copy_task *t = arg;

	for (size_t i = 0; i < t->count; i++)
		copy_one(t->l, t->src, t->dst, &t->wants[i]);
	source_dir_unref(t->src);
	dest_dir_unref(t->dst);
	free(t);
}

static struct copy_task *make_copies(struct visit *v, size_t first, size_t count)
{
	struct copy_task *t = xmalloc(sizeof(*t) + count * sizeof(t->wants[0]));

	t->l = v->l;
	t->src = source_dir_ref(v->src);
	t->dst = dest_dir_ref(v->dst);
	t->count = count;
	memcpy(t->wants, v->wants + first, count * sizeof(t->wants[0]));
	return t;
}

static void run_enter(void *arg);

static void push_children(struct visit *v)
{
	for (size_t i = v->child_count; i-- > 0;) {
		struct enter_task *t = xmalloc(sizeof(*t));
		*t = (struct enter_task){
			.l = v->l, .parent = source_dir_ref(v->src), .dst_parent = dest_dir_ref(v->dst)};
		t->en = source_entry(v->l, v->dst, v->children[i]);
		pool_push(v->l->pool, run_enter, t);
	}
}

/* Share the copying: batches for other workers, the last one for this one. */
static void push_copies(struct visit *v)
{
	const struct dirlist *list = dest_dir_source(v->dst);
	size_t first = 0;
	uint64_t bytes = 0;

	for (size_t i = 0; i < v->want_count; i++) {
		bytes += list->entries[v->wants[i].index].size;
		if (i + 1 - first < BATCH_FILES && bytes < BATCH_BYTES && i + 1 < v->want_count)
			continue;
		struct copy_task *t = make_copies(v, first, i + 1 - first);
		if (i + 1 < v->want_count)
			pool_push(v->l->pool, run_copies, t);
		else
			run_copies(t);
		first = i + 1;
		bytes = 0;
	}
}

static void on_safe(void *ctx, const char *path, const struct entry *en, uint64_t token, size_t index)
{
	struct local *l = ctx;

	(void)token;
	(void)index;
	if (l->rename_to && !strchr(path, '/'))
		path = source_single(l->source);

	pthread_mutex_lock(&l->lock);
	if (l->done_count == l->done_cap) {
		l->done_cap = l->done_cap ? l->done_cap * 2 : 64;
		l->done = xreallocarray(l->done, l->done_cap, sizeof(*l->done));
	}
	l->done[l->done_count++] = (struct done){xstrdup(path), *en};
	pthread_mutex_unlock(&l->lock);
}

/* --remove-source-files: what is safe at the destination, and still what was copied, goes. */
static void remove_sources(struct local *l)
{
	for (size_t i = 0; i < l->done_count; i++) {
		struct err e = {0};
		if (source_remove(l->source, l->done[i].path, &l->done[i].en, &e) != 0)
			report_entry_error(l->report, l->done[i].path, &e);
	}
}

static void on_want(void *ctx, struct dest_dir *dir, size_t index, const struct dest_need *need)
{
	struct visit *v = dest_dir_user(dir);

	(void)ctx;
	if (v->want_count == v->want_cap) {
		v->want_cap = v->want_cap ? v->want_cap * 2 : 16;
		v->wants = xreallocarray(v->wants, v->want_cap, sizeof(*v->wants));
	}
	v->wants[v->want_count++] = (struct want){.index = index, .need = *need};
}

static void on_enter(void *ctx, struct dest_dir *dir, size_t index, bool exists)
{
	struct visit *v = dest_dir_user(dir);

	(void)ctx;
	(void)exists;
	if (v->child_count == v->child_cap) {
		v->child_cap = v->child_cap ? v->child_cap * 2 : 16;
		v->children = xreallocarray(v->children, v->child_cap, sizeof(*v->children));
	}
	v->children[v->child_count++] = index;
}

/* List, plan, copy, go down. Takes both references over. */
static void visit(struct local *l, struct source_dir *src, struct dest_dir *dst)
{
	struct visit v = {.l = l, .src = src, .dst = dst};
	struct progress *progress = report_progress(l->report);
	struct dirlist list;

	if (!dest_stopped(l->dest) && source_list(l->source, src, &list) == 0) {
		if (!*src->path) {
			dest_set_source_empty(l->dest, list.count == 0);
			if (l->rename_to && list.count)
				list.entries[0].name = l->rename_to;
		}
		atomic_fetch_add_explicit(&progress->entries_scanned, list.count, memory_order_relaxed);
		if (dest_dir_open(dst)) {
			dest_dir_set_user(dst, &v);
			dest_dir_plan(dst, &list);
			dest_dir_set_user(dst, NULL);
			push_children(&v);
			push_copies(&v);
		}
		dirlist_release(&list);
	}
	free(v.wants);
	free(v.children);
	source_dir_unref(src);
	dest_dir_unref(dst);
}

static void run_enter(void *arg)
{
	struct enter_task *t = arg;
	struct local *l = t->l;
	struct source_dir *src = dest_stopped(l->dest) ? NULL : source_dir_open(l->source, t->parent, &t->en);

	if (src && !(t->en.flags & ENTRY_LISTED)) {
		source_dir_unref(src);
		src = NULL;
	}
	if (src) {
		char *path = path_join(dest_dir_path(t->dst_parent), t->en.name);
		visit(l, src, dest_dir_new(l->dest, t->dst_parent, path, &t->en));
		free(path);
	}
	source_dir_unref(t->parent);
	dest_dir_unref(t->dst_parent);
	free(t);
}

static void source_fault(void *ctx, const char *path, const struct err *e)
{
	struct local *l = ctx;

	report_entry_error(l->report, path, e);
}

static int refuse_same(const struct source *s, const struct dest_root *r, const char *dst, struct err *e)
{
	struct stat a;
	struct stat b;

	if (r->fd < 0 || source_single(s) || fstat(source_root_fd(s), &a) != 0 || fstat(r->fd, &b) != 0)
		return 0;
	if (a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return err_set(e, ERR_USAGE, "source and destination are the same directory, %s", dst);
	return 0;
}

static int run(struct local *l, struct dest_root *root, const struct filter *filter, struct idmap *ids,
	struct index_cache *index, struct sync_counts *counts, struct err *e)
{
	struct err fe = {0};
	struct filter_dir *filter_here = NULL;
	struct dirlist strings = {0};
	struct entry self;
	struct stat st;
	int r = -1;

	if (root->fd >= 0 && !filter_empty(filter) && !(filter_here = filter_root(filter, root->fd, e)))
		return -1;
	struct dest_params p = {
		.opts = l->o,
		.report = l->report,
		.pool = l->pool,
		.filter = filter,
		.filter_root = filter_here,
		.ids = ids,
		.index = index,
		.source = {.ctx = l, .want = on_want, .enter = on_enter, .safe = on_safe},
		.source_fd = source_root_fd(l->source),
		.root_fd = root->fd,
		.root_created = root->created,
		.want_items = report_wants_items(l->report),
	};
	l->dest = dest_new(&p, e);
	if (!l->dest)
		goto out;
	if (root->fd >= 0 && fstat(root->fd, &st) == 0)
		source_avoid(l->source, st.st_dev, st.st_ino);
	bool has_self = source_root_entry(l->source, &strings, &self);
	struct source_dir *top = source_dir_open(l->source, NULL, NULL);
	report_progress(l->report)->phase = PHASE_TRANSFER;
	if (top) {
		struct dest_dir *dst = dest_dir_new(l->dest, NULL, "", has_self ? &self : NULL);
		visit(l, top, dst);
		pool_drain(l->pool);
	}
	report_progress(l->report)->phase = PHASE_FINISH;
	r = dest_finish(l->dest, source_complete(l->source), &fe);
	if (r == 0)
		remove_sources(l);
	dest_counts(l->dest, counts);
	if (r != 0)
		*e = fe;
out:
	dirlist_release(&strings);
	dest_free(l->dest);
	filter_unref(filter_here);
	return r;
}

int local_sync(const struct sync_options *o, const char *src, bool contents, const char *dst,
	struct report *report, struct sync_counts *counts, struct err *e)
{
	struct local l = {.o = o, .report = report};
	struct dest_root root = {.fd = -1};
	struct idmap *ids = NULL;
	struct index_cache *index = NULL;
	int r = -1;
	struct filter *filter = setup_filter(o, false, e);

	pthread_mutex_init(&l.lock, NULL);
	if (!filter)
		return -1;
	l.source = source_open(o, src, contents, -1, filter, e);
	if (!l.source || dest_root_open(&root, o, dst, source_is_file(l.source), -1, e) != 0)
		goto out;
	source_set_reporter(l.source, source_fault, &l);
	l.rename_to = root.rename_to;
	ids = idmap_new(o, true, e);
	if (!ids || refuse_same(l.source, &root, dst, e) != 0)
		goto out;
	if (o->checksum)
		index = setup_index(report);
	source_set_index(l.source, index);
	l.pool = pool_new(setup_threads(o));
	r = run(&l, &root, filter, ids, index, counts, e);
out:
	pool_free(l.pool);
	for (size_t i = 0; i < l.done_count; i++)
		free(l.done[i].path);
	free(l.done);
	pthread_mutex_destroy(&l.lock);
	index_close(index, NULL);
	idmap_free(ids);
	dest_root_close(&root);
	source_free(l.source);
	filter_free(filter);
	return r;
}
