/*
 * The cache: one shard per device. A shard is what its file on disk held plus the rows of this run that are not
 * there yet (the overlay, at most OVERLAY_MAX). Look-ups hold the shard's lock for reading; storing, and the
 * writing out of a full overlay, hold it for writing.
 *
 * Concurrent runs: writing goes on under a lock on the directory and begins by looking whether another run has
 * replaced the file meanwhile; if so, that newer file is what the overlay is merged into.
 */
#include "tree/index.h"

#include "base/alloc.h"
#include "base/map.h"
#include "tree/index_dir.h"
#include "tree/index_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OVERLAY_MAX = 128 << 10 };

struct shard {
	struct shard *next;
	uint64_t dev;
	pthread_rwlock_t lock;
	/* under lock: */
	struct index_file file;
	struct index_row *rows; /* overlay */
	size_t count, cap;
	struct u64map by_ino; /* ino -> index in rows */
	bool full;            /* the overlay could not be written out: nothing more is stored */
};

struct index_cache {
	int dir_fd; /* -1: only in memory */
	uint32_t today;
	_Atomic(struct shard *) shards; /* only ever grows, at the head */
	pthread_mutex_t lock;
	/* under lock: growing shards, and */
	struct err fault;
	bool fault_told;
};

struct index_key index_key_of(const struct entry *en)
{
	return (struct index_key){
		.dev = en->dev, .ino = en->ino, .size = en->size, .mtime = en->mtime, .ctime = en->ctime};
}

static void note_fault(struct index_cache *idx, const struct err *e)
{
	pthread_mutex_lock(&idx->lock);
	if (idx->fault.code == ERR_NONE)
		idx->fault = *e;
	pthread_mutex_unlock(&idx->lock);
}

struct index_cache *index_open(const char *dir)
{
	struct index_cache *idx = xcalloc(1, sizeof(*idx));

	pthread_mutex_init(&idx->lock, NULL);
	idx->today = (uint32_t)(time(NULL) / 86400);
	idx->dir_fd = index_dir_open(dir, &idx->fault);
	return idx;
}

bool index_warning(struct index_cache *idx, struct err *e)
{
	pthread_mutex_lock(&idx->lock);
	bool news = idx->fault.code != ERR_NONE && !idx->fault_told;
	if (news) {
		*e = idx->fault;
		idx->fault_told = true;
	}
	pthread_mutex_unlock(&idx->lock);
	return news;
}

static struct shard *find_shard(struct index_cache *idx, uint64_t dev)
{
	struct shard *s = idx->shards;

	while (s && s->dev != dev)
		s = s->next;
	return s;
}

static struct shard *new_shard(struct index_cache *idx, uint64_t dev, struct err *e)
{
	struct shard *s = xcalloc(1, sizeof(*s));
	pthread_rwlockattr_t attr;

	s->dev = dev;
	s->next = idx->shards;
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	u64map_init(&s->by_ino);
	if (index_file_open(&s->file, idx->dir_fd, dev, idx->today, e) < 0)
		err_ctx(e, "index cache is built anew");
	return s;
}

static struct shard *get_shard(struct index_cache *idx, uint64_t dev)
{
	struct shard *s = find_shard(idx, dev);
	struct err e = {0};

	if (s)
		return s;
	pthread_mutex_lock(&idx->lock);
	s = find_shard(idx, dev);
	if (!s) {
		s = new_shard(idx, dev, &e);
		idx->shards = s;
	}
	pthread_mutex_unlock(&idx->lock);
	if (e.code != ERR_NONE)
		note_fault(idx, &e);
	return s;
}

bool index_lookup(struct index_cache *idx, const struct index_key *key, uint8_t digest[ENTRY_DIGEST_BYTES])
{
	struct shard *s = get_shard(idx, key->dev);
	bool found = false;
	uint64_t at;

	pthread_rwlock_rdlock(&s->lock);
	uint64_t fingerprint = index_file_fingerprint(s->file.seed, key);
	if (u64map_get(&s->by_ino, key->ino, &at)) {
		found = s->rows[at].fingerprint == fingerprint;
		if (found)
			memcpy(digest, s->rows[at].digest, ENTRY_DIGEST_BYTES);
	} else if (s->file.count) {
		found = index_file_find(&s->file, key->ino, fingerprint, digest);
	}
	pthread_rwlock_unlock(&s->lock);
	return found;
}

static int compare_rows(const void *a, const void *b)
{
	const struct index_row *x = a;
	const struct index_row *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static void clear_overlay(struct shard *s)
{
	s->count = 0;
	u64map_release(&s->by_ino);
}

/* Put the file that is on disk now in the place of f, if it is another one and under the same seed. */
static void adopt_newer(struct index_cache *idx, struct shard *s)
{
	struct index_file now;
	struct err ignored;

	int rc = index_file_open(&now, idx->dir_fd, s->dev, idx->today, &ignored);
	if (rc == 1 && !index_file_same(&now, &s->file) && now.seed == s->file.seed) {
		struct index_file old = s->file;
		s->file = now;
		now = old;
	}
	index_file_close(&now);
}

/* Write the shard out. The overlay is empty afterwards, or stays when that failed. s->lock is held for writing,
 * and nobody else is there at the end. */
static int save(struct index_cache *idx, struct shard *s, struct err *e)
{
	int lock = index_dir_lock(idx->dir_fd);

	if (lock < 0)
		return -1;
	adopt_newer(idx, s);
	u64map_release(&s->by_ino);
	if (s->count)
		qsort(s->rows, s->count, sizeof(*s->rows), compare_rows);
	struct index_merge m = {
		.f = &s->file, .fresh = s->rows, .fresh_count = s->count, .rows_max = INDEX_ROWS_MAX};
	int rc = index_file_write(idx->dir_fd, s->dev, &m, e);
	if (rc == 0) {
		if (s->file.damaged)
			err_set(e, ERR_IO, "index cache is built anew: a part of it was damaged");
		struct index_file now;
		if (index_file_open(&now, idx->dir_fd, s->dev, idx->today, e) < 0)
			err_ctx(e, "index cache is built anew");
		index_file_close(&s->file);
		s->file = now;
		clear_overlay(s);
	}
	for (size_t i = 0; i < s->count; i++)
		*u64map_put(&s->by_ino, s->rows[i].ino, NULL) = i;
	close(lock);
	return rc;
}

static void make_room(struct index_cache *idx, struct shard *s)
{
	struct err e = {0};

	if (s->count < OVERLAY_MAX || s->full)
		return;
	s->full = idx->dir_fd < 0 || save(idx, s, &e) < 0;
	if (e.code != ERR_NONE)
		note_fault(idx, &e);
}

static bool older_than(struct entry_time t, int64_t limit_ns)
{
	int64_t sec = limit_ns / 1000000000;
	int64_t nsec = limit_ns % 1000000000;

	return t.sec < sec || (t.sec == sec && (int64_t)t.nsec < nsec);
}

void index_store(struct index_cache *idx, const struct index_key *key,
	const uint8_t digest[ENTRY_DIGEST_BYTES], int64_t hashed_at_ns)
{
	int64_t limit_ns = hashed_at_ns - INDEX_RACY_NS;

	if (!older_than(key->mtime, limit_ns) || !older_than(key->ctime, limit_ns))
		return;
	struct shard *s = get_shard(idx, key->dev);
	pthread_rwlock_wrlock(&s->lock);
	make_room(idx, s);
	bool added = false;
	uint64_t *at = NULL;
	if (s->count < OVERLAY_MAX || u64map_get(&s->by_ino, key->ino, NULL))
		at = u64map_put(&s->by_ino, key->ino, &added);
	if (added) {
		if (s->count == s->cap) {
			s->cap = s->cap ? s->cap * 2 : 256;
			s->rows = xreallocarray(s->rows, s->cap, sizeof(*s->rows));
		}
		*at = s->count++;
	}
	if (at) {
		struct index_row *row = &s->rows[*at];
		*row = (struct index_row){.ino = key->ino,
			.fingerprint = index_file_fingerprint(s->file.seed, key),
			.day = idx->today};
		memcpy(row->digest, digest, ENTRY_DIGEST_BYTES);
	}
	pthread_rwlock_unlock(&s->lock);
}

static void free_shard(struct shard *s)
{
	index_file_close(&s->file);
	free(s->rows);
	u64map_release(&s->by_ino);
	pthread_rwlock_destroy(&s->lock);
	free(s);
}

static void save_if_needed(struct index_cache *idx, struct shard *s)
{
	struct err e = {0};

	if (idx->dir_fd < 0 || !(s->count || s->file.stale || s->file.damaged))
		return;
	save(idx, s, &e);
	index_dir_sweep(idx->dir_fd);
	if (e.code != ERR_NONE)
		note_fault(idx, &e);
}

int index_close(struct index_cache *idx, struct err *e)
{
	if (!idx)
		return 0;
	for (struct shard *s = idx->shards, *next; s; s = next) {
		next = s->next;
		save_if_needed(idx, s);
		free_shard(s);
	}
	bool fault = index_warning(idx, e);
	if (idx->dir_fd >= 0)
		close(idx->dir_fd);
	pthread_mutex_destroy(&idx->lock);
	free(idx);
	return fault ? -1 : 0;
}
