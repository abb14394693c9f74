/*
 * File of one file system's index rows: read block by block for look-ups, rewritten as a whole by merging.
 * Role      OS.
 * Lifetime  index_file_open() .. index_file_close(); a plain value in the caller's storage.
 * Threads   index_file_find() from any number of threads; everything else alone.
 */
#ifndef WHERRY_TREE_INDEX_FILE_H
#define WHERRY_TREE_INDEX_FILE_H

#include "base/err.h"
#include "tree/index.h"

#include <stddef.h>
#include <time.h>

enum { INDEX_NAME_BYTES = 32 };

struct index_row {
	uint64_t ino;
	uint64_t fingerprint; /* of size, mtime and ctime, under the file's seed */
	uint8_t digest[ENTRY_DIGEST_BYTES];
	uint32_t day;   /* last used */
	uint32_t check; /* of all the above, under the file's seed */
};
_Static_assert(sizeof(struct index_row) == 56, "rows are on disk as they are in memory");

struct index_file {
	int fd; /* -1 = no rows */
	size_t count;
	uint64_t seed;
	uint64_t *fence; /* first ino of every block */
	size_t blocks;
	_Atomic uint8_t *used; /* bit per row: looked up in this run */
	uint64_t generation;   /* of this struct, for the threads' block caches */
	uint64_t ino;          /* of the file itself; with changed: has another run replaced it? */
	struct timespec changed;
	uint32_t today;
	_Atomic bool damaged; /* a row did not prove itself, or could not be read */
	_Atomic bool stale;   /* a row was used whose day should be renewed */
};

/* Name of the file for a device. */
void index_file_name(uint64_t dev, char name[INDEX_NAME_BYTES]);

/* Open dir_fd/name for look-ups. 1, or 0 when it is missing, or -1 with *e when it is foreign, damaged or
 * unreadable; in the latter two cases *f is an empty one with a fresh seed, fit for all the other calls. */
int index_file_open(struct index_file *f, int dir_fd, uint64_t dev, uint32_t today, struct err *e);
void index_file_close(struct index_file *f);

/* Do both stand for the same file on disk? */
bool index_file_same(const struct index_file *a, const struct index_file *b);

uint64_t index_file_fingerprint(uint64_t seed, const struct index_key *key);

/* The digest of the row with this inode and fingerprint, when it proves itself; marks it as used. */
bool index_file_find(
	struct index_file *f, uint64_t ino, uint64_t fingerprint, uint8_t digest[ENTRY_DIGEST_BYTES]);

/*
 * Write f's rows, overlaid by `fresh` (ascending by ino; made under f's seed; day and check are filled in here),
 * as the new file for dev: temporary name, then rename. f itself stays as it is. Used rows get today's day; left
 * out are rows unused for INDEX_KEEP_DAYS, rows that do not prove themselves, and the longest unused ones beyond
 * rows_max. The caller holds the directory's lock. 0 or -1 with *e.
 */
struct index_merge {
	struct index_file *f;
	struct index_row *fresh;
	size_t fresh_count;
	size_t rows_max;
};
int index_file_write(int dir_fd, uint64_t dev, const struct index_merge *m, struct err *e);

#endif
