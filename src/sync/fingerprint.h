/*
 * Fingerprints of a whole tree: for every directory one of everything in it and below it (names, kinds, sizes, times, modes, owners,
 * attributes, as far as the options compare them). Two trees whose root fingerprints are equal need nothing.
 * Role      OS (scans through sync/source.h), threads.
 * Lifetime  fp_scan() .. fp_release().
 * Seeded with a number of the session: a filter, not an identity that lasts.
 */
#ifndef WHERRY_SYNC_FINGERPRINT_H
#define WHERRY_SYNC_FINGERPRINT_H

#include "base/map.h"
#include "os/pool.h"
#include "proto/msg.h"
#include "sync/plan.h"
#include "sync/source.h"

struct fp_dir {
	struct table_row row;
	char *path;      /* relative to the root, "" for the root */
	uint32_t parent; /* index; the root's is 0 */
	uint64_t name_hash;
};

struct fp_tree {
	struct fp_dir *dirs; /* parents before children; dirs[0] is the root */
	size_t count;
	size_t cap;
	struct u64map by_path;   /* path hash -> index */
	struct u64map file_keys; /* receiver: hashes of size and time of every regular file (fp_file_key) */
	uint64_t entries, files, bytes;
	struct hash128 root; /* what MSG_ROOT_FP carries: the root's tree and its own attributes */
	bool complete;       /* nothing was unreadable */
};

struct fp_params {
	struct source *source;
	struct pool *pool;
	const struct plan_rules *rules; /* what is compared */
	bool numeric_ids;
	bool file_keys;     /* collect them */
	bool clean_only;    /* a directory with left-overs of an interrupted run is equal to nothing */
	bool delete_hidden; /* what filter rules hide is to be deleted: it counts as different */
	uint64_t seed;
	const _Atomic bool *stop; /* may be NULL */
	struct progress *progress;
};

/* Scan everything, in parallel; returns when it is done. */
void fp_scan(struct fp_tree *t, const struct fp_params *p);
void fp_release(struct fp_tree *t);

uint64_t fp_path_hash(const char *path, uint64_t seed);
uint64_t fp_file_key(const struct entry *en);

/* Index of a path, or SIZE_MAX. */
size_t fp_find(const struct fp_tree *t, uint64_t path_hash);

#endif
