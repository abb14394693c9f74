/*
 * Index cache: (device, inode, size, mtime, ctime) -> SHA-256 of the content, kept from run to run, so that
 * --checksum and move detection on an unchanged tree read no contents.
 * Role      OS; blocks on local files of its own only.
 * Lifetime  index_open() .. index_close(). What is stored is on disk after index_close(), and now and then
 *           before (a run that is killed loses little).
 * Threads   every function from any thread, except index_open() and index_close(). Many look-ups run at once.
 * Units     nanoseconds for _ns, seconds + nanoseconds in struct entry_time, days since 1970 inside.
 * Trust     a row answers only for exactly the same five values; a change of content always changes ctime. A row
 *           whose times are so young that a later change could have got the same ones is never stored. Nothing
 *           a peer says reaches this cache. It is only a cache: every failure costs time, never correctness.
 * Memory    rows on disk are read as they are asked for (one bit and an eighth of a byte each stay in memory);
 *           new rows take at most 16 MB, then they are written out.
 */
#ifndef WHERRY_TREE_INDEX_H
#define WHERRY_TREE_INDEX_H

#include "base/err.h"
#include "tree/entry.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	INDEX_KEEP_DAYS = 90,     /* rows and files not used for so long are dropped */
	INDEX_ROWS_MAX = 4 << 20, /* per file system (224 MiB); beyond, the longest unused rows are dropped */
	INDEX_RACY_NS = 2000000000, /* the coarsest time stamps among file systems (FAT) */
};

struct index_cache;

struct index_key {
	uint64_t dev, ino, size;
	struct entry_time mtime, ctime;
};

/* Key of a regular file from a local scan. */
struct index_key index_key_of(const struct entry *en);

/* The cache in directory `dir` (made when absent, mode 0700), or for NULL in the default one:
 * /var/lib/wherry for root, else $XDG_STATE_HOME/wherry, else ~/.local/state/wherry. Never NULL: when the
 * directory cannot be used, the cache works in memory for this run and index_warning() says why. */
struct index_cache *index_open(const char *dir);

/* True with the digest when the file with exactly this key was hashed before. */
bool index_lookup(struct index_cache *idx, const struct index_key *key, uint8_t digest[ENTRY_DIGEST_BYTES]);

/* Remember the digest of a file that had this key both before and after it was read. hashed_at_ns: wall clock
 * (CLOCK_REALTIME) when reading began. Ignored when mtime or ctime is not older than that by INDEX_RACY_NS. */
void index_store(struct index_cache *idx, const struct index_key *key,
	const uint8_t digest[ENTRY_DIGEST_BYTES], int64_t hashed_at_ns);

/* What went wrong so far, first fault only (corrupt or foreign cache that is being rebuilt, directory that
 * cannot be used, disk full); false when nothing did. Each fault is reported once: a second call is false. */
bool index_warning(struct index_cache *idx, struct err *e);

/* Saves and frees. 0, or -1 with the first fault not yet fetched by index_warning(). NULL is fine. */
int index_close(struct index_cache *idx, struct err *e);

#endif
