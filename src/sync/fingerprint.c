#include "sync/fingerprint.h"

#include "os/ids.h"
#include "os/xattr.h"
#include "sync/report.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ENTRY_BYTES_MAX = 2 << 20 };

/* A hard-linked entry: which of its group is first decides what it is compared as, and that is known only at the end. */
struct linked {
	uint64_t group;
	char *path;
	uint32_t dir;
	uint64_t name_hash;
};

struct scan {
	const struct fp_params *p;
	struct fp_tree *t;
	pthread_mutex_t lock; /* tree and links */
	struct linked *links;
	size_t link_count, link_cap;
};

struct dir_task {
	struct scan *s;
	struct source_dir *parent; /* referenced; NULL for the root */
	struct entry en;           /* name (malloc'ed) and flags */
	uint32_t index;
};

uint64_t fp_path_hash(const char *path, uint64_t seed)
{
	return hash64(path, strlen(path), seed);
}

uint64_t fp_file_key(const struct entry *en)
{
	uint64_t key[3] = {en->size, (uint64_t)en->mtime.sec, en->mtime.nsec};

	return hash64(key, sizeof(key), 0);
}

size_t fp_find(const struct fp_tree *t, uint64_t path_hash)
{
	uint64_t value;

	return u64map_get(&t->by_path, path_hash, &value) ? (size_t)value : SIZE_MAX;
}

/* A number that stands for a user or group on every host: the hash of the name, or the id where it has none. */
static uint64_t identity(const struct scan *s, bool is_group, uint32_t id)
{
	const char *name = NULL;

	if (!s->p->numeric_ids && id != 0)
		name = is_group ? ids_group_name(id) : ids_user_name(id);
	return name ? hash64(name, strlen(name), 1) : id;
}

static uint32_t identity32(void *ctx, bool is_group, uint32_t id)
{
	return (uint32_t)identity(ctx, is_group, id);
}

static bool keeps_time(const struct plan_rules *r, uint32_t mode)
{
	if (S_ISREG(mode))
		return r->times || !r->size_only;
	return r->times && (!S_ISDIR(mode) || r->dir_times) && (!S_ISLNK(mode) || r->link_times);
}

/* The bytes that are compared of an entry, in one canonical form. */
static void describe(const struct scan *s, const struct entry *en, struct buf *b)
{
	const struct plan_rules *r = s->p->rules;
	uint32_t mode = r->perms && !S_ISLNK(en->mode) ? en->mode : en->mode & S_IFMT;

	buf_clear(b);
	buf_put(b, en->name, en->name_len + 1u);
	buf_put_u32(b, mode);
	if (S_ISREG(en->mode))
		buf_put_u64(b, en->size);
	if (keeps_time(r, en->mode)) {
		buf_put_u64(b, (uint64_t)en->mtime.sec);
		buf_put_u32(b, en->mtime.nsec);
	}
	if (r->owner)
		buf_put_u64(b, identity(s, false, en->uid));
	if (r->group)
		buf_put_u64(b, identity(s, true, en->gid));
	if (en->target)
		buf_put_str(b, en->target);
	if (S_ISCHR(en->mode) || S_ISBLK(en->mode))
		buf_put_u64(b, en->rdev);
	if (en->xattrs_len)
		xattr_map_acl_ids(en->xattrs, en->xattrs_len, identity32, (void *)(uintptr_t)s, b);
	if (en->digest)
		buf_put(b, en->digest, ENTRY_DIGEST_BYTES);
}

static void add_link(struct scan *s, uint32_t dir, const char *dir_path, const struct entry *en)
{
	pthread_mutex_lock(&s->lock);
	if (s->link_count == s->link_cap) {
		s->link_cap = s->link_cap ? s->link_cap * 2 : 64;
		s->links = xreallocarray(s->links, s->link_cap, sizeof(*s->links));
	}
	s->links[s->link_count++] = (struct linked){
		.group = en->link_group,
		.path = path_join(dir_path, en->name),
		.dir = dir,
		.name_hash = hash64(en->name, en->name_len, s->p->seed),
	};
	pthread_mutex_unlock(&s->lock);
}

static void run_dir(void *arg);

static void push_child(struct scan *s, struct source_dir *dir, uint32_t parent, const struct entry *en)
{
	struct dir_task *t = xcalloc(1, sizeof(*t));
	char *path = path_join(dir->path, en->name);

	t->s = s;
	t->parent = source_dir_ref(dir);
	t->en = *en;
	t->en.name = xmemdupz(en->name, en->name_len);
	pthread_mutex_lock(&s->lock);
	struct fp_tree *tree = s->t;
	if (tree->count == tree->cap) {
		tree->cap = tree->cap ? tree->cap * 2 : 256;
		tree->dirs = xreallocarray(tree->dirs, tree->cap, sizeof(*tree->dirs));
	}
	t->index = (uint32_t)tree->count++;
	tree->dirs[t->index] = (struct fp_dir){
		.row = {.path_hash = fp_path_hash(path, s->p->seed)},
		.path = path,
		.parent = parent,
		.name_hash = hash64(en->name, en->name_len, s->p->seed),
	};
	*u64map_put(&tree->by_path, tree->dirs[t->index].row.path_hash, NULL) = t->index;
	pthread_mutex_unlock(&s->lock);
	pool_push(s->p->pool, run_dir, t);
}

/* Sum over the entries: the order does not matter, and late knowledge (hard links) can be added at the end. */
static void digest_list(struct scan *s, struct source_dir *dir, uint32_t index, const struct dirlist *list)
{
	struct hash128 own = {0};
	uint64_t files = 0;
	uint64_t bytes = 0;
	struct buf b;

	buf_init(&b, ENTRY_BYTES_MAX);
	for (size_t i = 0; i < list->count; i++) {
		const struct entry *en = &list->entries[i];
		bool goes = s->p->delete_hidden && !(en->flags & ENTRY_PROTECTED);
		if ((en->flags & ENTRY_HIDDEN) && !goes)
			continue;
		describe(s, en, &b);
		own = hash128_add(own, hash128(b.data, b.len, s->p->seed));
		if (S_ISREG(en->mode)) {
			files++;
			bytes += en->size;
		}
		if (en->link_group)
			add_link(s, index, dir->path, en);
	}
	buf_release(&b);
	if (s->p->clean_only && list->stale_count)
		own = hash128_add(own, hash128("left-over", 9, s->p->seed));
	pthread_mutex_lock(&s->lock);
	s->t->dirs[index].row.tree = own;
	s->t->entries += list->count;
	s->t->files += files;
	s->t->bytes += bytes;
	for (size_t i = 0; s->p->file_keys && i < list->count; i++)
		if (S_ISREG(list->entries[i].mode))
			u64map_put(&s->t->file_keys, fp_file_key(&list->entries[i]), NULL);
	pthread_mutex_unlock(&s->lock);
}

static void scan_one(struct scan *s, struct source_dir *dir, uint32_t index)
{
	struct dirlist list;

	if (source_list(s->p->source, dir, &list) == 0) {
		atomic_fetch_add_explicit(&s->p->progress->entries_scanned, list.count, memory_order_relaxed);
		digest_list(s, dir, index, &list);
		for (size_t i = list.count; i-- > 0;) {
			const struct entry *en = &list.entries[i];
			if ((en->flags & ENTRY_LISTED) && !(en->flags & ENTRY_HIDDEN))
				push_child(s, dir, index, en);
		}
	}
	dirlist_release(&list);
}

static void run_dir(void *arg)
{
	struct dir_task *t = arg;
	struct scan *s = t->s;

	if (!s->p->stop || !atomic_load_explicit(s->p->stop, memory_order_relaxed)) {
		struct source_dir *dir = source_dir_open(s->p->source, t->parent, t->parent ? &t->en : NULL);
		if (dir)
			scan_one(s, dir, t->index);
		source_dir_unref(dir);
	}
	source_dir_unref(t->parent);
	free((char *)(uintptr_t)t->en.name);
	free(t);
}

static int compare_links(const void *a, const void *b)
{
	const struct linked *x = a;
	const struct linked *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Every member of a group of two or more also counts who leads it. */
static void add_links(struct scan *s)
{
	if (s->link_count)
		qsort(s->links, s->link_count, sizeof(*s->links), compare_links);
	for (size_t i = 0; i < s->link_count;) {
		size_t end = i + 1;
		while (end < s->link_count && s->links[end].group == s->links[i].group)
			end++;
		for (size_t k = i; end - i > 1 && k < end; k++) {
			uint64_t v[2] = {s->links[k].name_hash, fp_path_hash(s->links[i].path, s->p->seed)};
			struct hash128 *own = &s->t->dirs[s->links[k].dir].row.tree;
			*own = hash128_add(*own, hash128(v, sizeof(v), s->p->seed));
		}
		i = end;
	}
	for (size_t i = 0; i < s->link_count; i++)
		free(s->links[i].path);
	free(s->links);
}

/* Until here a row holds the directory's own sum; now what is below is added, deepest first. */
static void fold(struct scan *s)
{
	struct fp_tree *t = s->t;

	for (size_t i = t->count; i-- > 1;) {
		uint64_t v[3] = {t->dirs[i].name_hash, t->dirs[i].row.tree.lo, t->dirs[i].row.tree.hi};
		struct hash128 *up = &t->dirs[t->dirs[i].parent].row.tree;
		*up = hash128_add(*up, hash128(v, sizeof(v), s->p->seed));
	}
}

static void add_root(struct scan *s)
{
	struct dirlist strings = {0};
	struct entry en;
	struct buf b;

	buf_init(&b, ENTRY_BYTES_MAX);
	s->t->root = s->t->dirs[0].row.tree;
	if (source_root_entry(s->p->source, &strings, &en)) {
		describe(s, &en, &b);
		s->t->root = hash128_add(s->t->root, hash128(b.data, b.len, s->p->seed));
	}
	buf_release(&b);
	dirlist_release(&strings);
}

void fp_scan(struct fp_tree *t, const struct fp_params *p)
{
	struct scan s = {.p = p, .t = t};
	struct dir_task *root = xcalloc(1, sizeof(*root));

	*t = (struct fp_tree){.count = 1, .cap = 256};
	t->dirs = xreallocarray(NULL, t->cap, sizeof(*t->dirs));
	t->dirs[0] = (struct fp_dir){.row = {.path_hash = fp_path_hash("", p->seed)}, .path = xstrdup("")};
	u64map_init(&t->by_path);
	u64map_init(&t->file_keys);
	*u64map_put(&t->by_path, t->dirs[0].row.path_hash, NULL) = 0;
	pthread_mutex_init(&s.lock, NULL);
	root->s = &s;
	pool_push(p->pool, run_dir, root);
	pool_drain(p->pool);
	add_links(&s);
	fold(&s);
	add_root(&s);
	t->complete = source_complete(p->source);
	pthread_mutex_destroy(&s.lock);
}

void fp_release(struct fp_tree *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->dirs[i].path);
	free(t->dirs);
	u64map_release(&t->by_path);
	u64map_release(&t->file_keys);
	*t = (struct fp_tree){0};
}
