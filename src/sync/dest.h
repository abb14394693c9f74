/*
 * The destination: the only code that changes files. Takes source listings directory by directory, plans, and applies.
 * Role      OS (through os/), threads.
 * Lifetime  dest_new() .. dest_free(), one run. A dest_dir is reference counted; the last reference gives the directory its final
 *           attributes. All dest_dirs must be gone before dest_finish().
 * Threads   everything may be called from any worker; one directory is planned by one thread.
 *
 * The way of a directory: dest_dir_new() -> (dest_dir_open() -> dest_dir_plan()) -> files arrive -> dest_dir_unref() ... published, finished.
 *
 * Invariants
 *   1. A name in the destination only ever changes by rename(2), link(2) or the creation of something that is whole at once (symlink,
 *      device, fifo): content is written to a temporary name, or inside a directory that is itself still under a temporary name.
 *   2. Temporary names are derived from the final name, so that a later run finds what an interrupted one left: ".wherry.<hash>.t" for
 *      files, ".wherry.<hash>.d" for directories. While a file is being written its temporary file is flock()ed; what is not locked
 *      is a left-over and may be continued or removed.
 *   3. A file's time is set after its content: an unfinished file inside a left-over directory never passes the quick check.
 *   4. With fsync=batch a rename happens only after a syncfs() that came after the last write to the file (dest_commit.c).
 *   5. Deletions wait for dest_finish(): they need the complete source listing.
 *   6. A file is in work at most once at a time.
 */
#ifndef WHERRY_SYNC_DEST_H
#define WHERRY_SYNC_DEST_H

#include "os/pool.h"
#include "sync/plan.h"
#include "sync/report.h"
#include "sync/sync_options.h"
#include "tree/entry.h"
#include "tree/filter.h"
#include "tree/scan.h"

#include <stdatomic.h>

struct dest;
struct dest_dir;
struct idmap;

/* How a file's content is to be got; handed to want(). */
struct dest_need {
	struct plan_item item;
	uint64_t basis_size; /* size of the file that is at the destination now, 0 = none */
	bool has_basis;      /* a regular file is there */
	bool in_place;       /* --inplace: write into that file */
	bool over_directory; /* a directory is in the way; it goes when deletions are allowed */
};

/* Who supplies contents and subdirectories: the local or the remote source. */
struct dest_source {
	void *ctx;
	/* Content of dir's source entry `index` is wanted: sooner or later dest_file_open() .. dest_file_commit() or dest_file_failed(). The callee
	 * holds a reference to dir (dest_dir_ref) until then. */
	void (*want)(void *ctx, struct dest_dir *dir, size_t index, const struct dest_need *need);
	/* A new file that may be one that is here already under another name: true = the callee decides later (dest_file_move(), or want() by
	 * itself, or with --dry-run dest_predict()); it holds a reference to dir. May be NULL. */
	bool (*hold)(void *ctx, struct dest_dir *dir, size_t index, const struct dest_need *need);
	/* The source's entry at `path` (no directory) is the same here now; token: dest_dir_set_token() of its directory. Only called with
	 * --remove-source-files. */
	void (*safe)(void *ctx, const char *path, const struct entry *en, uint64_t token, size_t index);
	/* dir's source entry `index` is a directory to go down into (exists: it is already at the destination). */
	void (*enter)(void *ctx, struct dest_dir *dir, size_t index, bool exists);
	/* All of dir has been planned: flush what was collected. */
	void (*planned)(void *ctx, struct dest_dir *dir);
};

struct dest_params {
	const struct sync_options *opts;
	struct report *report;
	struct pool *pool;
	const struct filter *filter;
	struct filter_dir *filter_root; /* receiver-side context of the root; borrowed */
	struct idmap *ids;
	struct index_cache *index; /* digest cache for --checksum, or NULL */
	struct dest_source source;
	int source_fd; /* the source when it is on this host (it may be inside the destination), else -1 */
	int root_fd;   /* the destination directory; -1: it does not exist (dry run) */
	bool root_created; /* it was made for this run, or would be */
	bool want_items;   /* events for every change are wanted */
	bool sent;         /* items are shown as '<' (we push to a remote) */
};

struct dest *dest_new(const struct dest_params *p, struct err *e); /* NULL with *e */
void dest_free(struct dest *d);

/* How the receiving side scans (the same options as the plan compares). */
const struct scan_options *dest_scan_options(const struct dest *d);
const struct plan_rules *dest_rules(const struct dest *d);

/* Stop everything soon: first fault wins. */
void dest_fail(struct dest *d, const struct err *e);
bool dest_stopped(const struct dest *d);
void dest_fault(struct dest *d, struct err *e); /* why it was stopped */
const _Atomic bool *dest_stop_flag(const struct dest *d);

/* A directory: `path` relative to the root; parent may be NULL (root, or parent not in work). `self`: its wanted attributes (copied), NULL = leave
 * them alone. Takes no file descriptor yet. */
struct dest_dir *dest_dir_new(
	struct dest *d, struct dest_dir *parent, const char *path, const struct entry *self);
struct dest_dir *dest_dir_ref(struct dest_dir *dir);
void dest_dir_unref(struct dest_dir *dir);

/* Open it, or create it (under a temporary name). Faults are reported; false = nothing can be done in it. */
bool dest_dir_open(struct dest_dir *dir);

/* Did an interrupted run leave unfinished files in it? Known after it was planned. */
bool dest_dir_has_left_overs(const struct dest_dir *dir);

/* Compare with the source's listing (taken over) and act: everything but contents at once, contents through source->want(). */
void dest_dir_plan(struct dest_dir *dir, struct dirlist *src);

struct dest *dest_dir_dest(const struct dest_dir *dir);
const char *dest_dir_path(const struct dest_dir *dir);
const struct dirlist *dest_dir_source(const struct dest_dir *dir);
int dest_dir_fd(const struct dest_dir *dir);
void *dest_dir_user(const struct dest_dir *dir); /* for the source's own use */
void dest_dir_set_user(struct dest_dir *dir, void *user);
void dest_dir_set_token(struct dest_dir *dir, uint64_t token); /* for safe(); before it is planned */

/* --- contents ------------------------------------------------------------------------------------------------------------ */

enum { DEST_TEMP_BYTES = 32 };

struct dest_file {
	struct dest_dir *dir;
	size_t index;
	struct dest_need need;
	int fd; /* write here */
	bool in_place; /* fd already holds old bytes: the file itself (--inplace) or an unfinished one from a former run */
	bool direct;   /* fd is the final name inside an unpublished directory */
	uint32_t mode; /* permission bits it was created with */
	char temp[DEST_TEMP_BYTES];
};

/* Begin to write. in_place is filled when a basis is continued in place. 0; -1 = reported (*e too), call dest_file_failed(). */
int dest_file_open(struct dest_file *f, struct dest_dir *dir, size_t index, const struct dest_need *need,
	bool continue_partial, struct err *e);

/* All bytes are there and verified: attributes, durability, rename, event. Closes, and drops the file's count in its directory. 0, or -1 after reporting. */
int dest_file_commit(struct dest_file *f);

/* The source's file was described anew while it was read: take its size and times. */
void dest_file_update_entry(struct dest_dir *dir, size_t index, const struct entry *en);

/* Report errno of an operation on the file; a full disk stops the run. */
void dest_file_errno(struct dest_file *f, const char *what);

/* Give up; keep = leave the unfinished file for a later run to continue. The fault must have been reported. */
void dest_file_abort(struct dest_file *f, bool keep);

/* The content will not come (source unreadable, vanished): reported by the caller; releases dest_dir's count. */
void dest_file_failed(struct dest_dir *dir, size_t index);

/* Open the file that is at the destination now, for reading as a basis. fd or -1 with errno. */
int dest_open_basis(struct dest_dir *dir, size_t index);

/* Is there an unfinished file of a former run for this entry? Its fd, opened for reading and writing and locked, or -1. */
int dest_open_partial(struct dest_dir *dir, size_t index);

/* Unfinished files together with the older version that is there, put aside to be a basis: its fd or -1. It stays until dest_drop_aside(), or for a
 * later run. dest_open_aside() opens it again. Not in a directory without a name of its own. */
int dest_gather(struct dest_dir *dir, size_t index);
int dest_open_aside(struct dest_dir *dir, size_t index);
void dest_drop_aside(struct dest_dir *dir, size_t index);

/* --- moves ----------------------------------------------------------------------------------------------------------------- */

/* All regular files that are to be deleted, alone or with a directory: calls found() for each. For use when everything has been planned. */
void dest_each_doomed_file(
	struct dest *d, void (*found)(void *ctx, const char *path, const struct entry *en), void *ctx);

/* Is this path, or a directory above it, going to be deleted? */
bool dest_is_doomed(struct dest *d, const char *path);

/* Open a doomed file for reading; -1 with errno. */
int dest_open_doomed(struct dest *d, const char *path);

/* Rename the doomed file `from` to be dir's source entry `index`, with the entry's attributes; its content is known to be right. True when done; false: it has to be
 * fetched after all (nothing was reported). Also for --dry-run. */
bool dest_file_move(struct dest_dir *dir, size_t index, const struct dest_need *need, const char *from);

/* The same for a whole directory, whose entries are known to be what the source has. */
bool dest_dir_move(struct dest_dir *dir, size_t index, const char *from);

/* --dry-run: a file that was held is not a move; a directory that enter() was told of as absent, and whose content has to come, is none. */
void dest_predict(struct dest_dir *dir, size_t index, const struct dest_need *need);
/* The same for a directory whose entering was left to source->enter() to decide. */
void dest_predict_dir(struct dest_dir *dir, size_t index);

/* --- the end --------------------------------------------------------------------------------------------------------------- */

/* After all directories: wait for renames, make hard links, delete (only when source_complete and options allow), set directory times. 0, or -1 with
 * *e: ERR_MAX_DELETE, ERR_EMPTY, or what dest_fail() was told. */
int dest_finish(struct dest *d, bool source_complete, struct err *e);

/* Tell whether the source has anything at all: an empty one does not empty the destination. */
void dest_set_source_empty(struct dest *d, bool empty);

void dest_counts(struct dest *d, struct sync_counts *out);
/* The source was found equal without being listed: this much of it. */
void dest_count_unchanged(struct dest *d, uint64_t entries, uint64_t files, uint64_t bytes);

/* A file changed while it was read and is read again. */
void dest_count_retry(struct dest *d);

/* Bytes that came over the line, and bytes taken from a basis. */
void dest_count_content(struct dest *d, uint64_t literal, uint64_t matched);

#endif
