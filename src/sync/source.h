/*
 * The source of a run: a tree, one entry, or a chosen list of entries (--files-from) beneath an open root.
 * Role      OS.
 * Lifetime  source_open() .. source_free().
 * Threads   after opening, everything from any thread.
 */
#ifndef WHERRY_SYNC_SOURCE_H
#define WHERRY_SYNC_SOURCE_H

#include "sync/sync_options.h"
#include "tree/scan.h"

#include <stdatomic.h>

struct source;

/*
 * Open `path` as the user gave it. contents: it had a trailing slash, its contents are meant; otherwise the thing itself, as the only entry of its parent
 * directory. restrict_fd >= 0: resolve beneath this directory, following no symlinks (a confined server). NULL with *e (ERR_SOURCE).
 */
struct source *source_open(const struct sync_options *o, const char *path, bool contents, int restrict_fd,
	const struct filter *filter, struct err *e);
/* The destination as a tree to be scanned (single: only this entry of it, or NULL): root_fd is duplicated; hidden and protected entries are marked, nothing is left out. NULL with *e. */
struct source *source_open_here(const struct sync_options *o, int root_fd, const char *single,
	const struct filter *filter, struct err *e);

void source_free(struct source *s);

/* Faults of entries are told here from now on. */
void source_set_reporter(
	struct source *s, void (*error)(void *ctx, const char *path, const struct err *e), void *ctx);
void source_set_index(struct source *s, struct index_cache *index);
void source_avoid(struct source *s, uint64_t dev, uint64_t ino); /* a directory to leave out */

int source_root_fd(const struct source *s);
const char *source_single(const struct source *s); /* name of the only top entry, or NULL */
bool source_is_file(const struct source *s);       /* the only top entry is no directory */
const struct scan_options *source_scan_options(const struct source *s);
struct filter_dir *source_filter_root(const struct source *s); /* borrowed, NULL without rules */

/* Attributes of the root itself (only when its contents are meant, without --files-from); false otherwise. The strings go into list. */
bool source_root_entry(struct source *s, struct dirlist *list, struct entry *en);

/* One directory on the way through the source. */
struct source_dir {
	struct source_dir *parent;
	_Atomic int refs;
	int fd;
	uint64_t dev, ino; /* only while symlinks are followed */
	char *path;
	struct filter_dir *filter;
};

/* Open dir `name` of parent (NULL, "" = the root). NULL after reporting; the source then counts as incomplete. */
struct source_dir *source_dir_open(struct source *s, struct source_dir *parent, const struct entry *en);
struct source_dir *source_dir_open_path(struct source *s, const char *path); /* anywhere, by its path */
struct source_dir *source_dir_ref(struct source_dir *dir);
void source_dir_unref(struct source_dir *dir);

/* List it: filtered, hard-link groups numbered, directories that are to be entered marked ENTRY_LISTED. 0, or -1 after reporting. */
int source_list(struct source *s, struct source_dir *dir, struct dirlist *out);

/* Open a file of dir for reading; -1 with errno. */
int source_open_file(struct source_dir *dir, const struct entry *en);

/* --remove-source-files: unlink the entry at `path` if it is still the one described. 0; -1 with *e (ERR_VANISHED when it changed). */
int source_remove(struct source *s, const char *path, const struct entry *en, struct err *e);

/* Was everything readable so far? */
bool source_complete(const struct source *s);
void source_set_incomplete(struct source *s);

/* Has this file changed since it was described? Compares size, times and inode of the open file. */
bool source_file_changed(int fd, const struct entry *en);

/* Take the description of the open file as it is now (size, times); false when it is no regular file. */
bool source_file_refresh(int fd, struct entry *en);

#endif
