/*
 * Scan: read one directory into a sorted dirlist, with everything the options ask for and the filter rules applied.
 * Role      OS (through os/).
 * Lifetime  scan_options is the caller's and must outlive all scans that use it.
 * Threads   scan_dir() may run in many threads with the same options.
 * Errors    a fault of one entry is told to `error` and marks the list incomplete; the scan goes on.
 */
#ifndef WHERRY_TREE_SCAN_H
#define WHERRY_TREE_SCAN_H

#include "base/err.h"
#include "tree/entry.h"
#include "tree/filter.h"
#include "tree/index.h"

#include <stdbool.h>

struct scan_options {
	enum filter_side
		side; /* RECEIVER: hidden and protected entries stay in the list, marked; SENDER: they are left out */
	bool xattrs, acls;                      /* read them */
	bool digests;                           /* SHA-256 of every regular file */
	bool no_links, no_devices, no_specials; /* leave out these kinds (sender) */
	bool follow_links;                      /* take what symlinks point to (--copy-links) */
	bool follow_unsafe;                     /* only of those that point outside the tree */
	bool follow_dirs;                       /* only of those that point to directories */
	bool omit_unsafe; /* leave out symlinks that point outside the tree (--safe-links) */
	bool doomed; /* receiver: inside a directory that is to be deleted (perishable rules do not count there) */
	bool delete_excluded; /* receiver: exclude rules do not protect */
	bool one_file_system; /* other file systems' mount points are listed, but scan_may_enter() refuses them */
	uint64_t root_dev;
	uint64_t avoid_dev,
		avoid_ino; /* a directory to leave out: the destination inside its own source; avoid_ino 0 = none */
	struct index_cache *index; /* digest cache or NULL */
	void (*error)(void *ctx, const char *path, const struct err *e);
	void *ctx;
};

/* Read the directory open at fd (its offset must be at the start), whose path relative to the root is `path` ("" = root), into *out (initialised
 * here; release it in any case). filter may be NULL. 0, or -1 with *e when the directory itself cannot be read (out is then empty). */
int scan_dir(const struct scan_options *o, int fd, const char *path, struct filter_dir *filter,
	struct dirlist *out, struct err *e);

/* Describe one entry without filters (the root itself: name "."; or a single-file source). The strings go into list's arena. 0 or -1. */
int scan_entry(const struct scan_options *o, int dir_fd, const char *name, const char *path,
	struct dirlist *list, struct entry *en, struct err *e);

/* Do the options leave this entry out (kinds, sizes, unsafe symlinks, the directory to avoid)? */
bool scan_leaves_out(const struct scan_options *o, const char *path, const struct entry *en);

/* May a walk go down into this directory (mount points with one_file_system)? */
bool scan_may_enter(const struct scan_options *o, const struct entry *dir);

/* Would the target of a symlink at `path` (relative to the root) leave the tree? Absolute targets do. */
bool scan_link_unsafe(const char *path, const char *target);

/* Filter context of the directory at `path`, by way of its parents from the root's context. NULL with *e. */
struct filter_dir *filter_walk(struct filter_dir *root, int root_fd, const char *path, struct err *e);

/* Join "dir" and "name"; when one is empty it is the other. malloc'ed. */
char *path_join(const char *dir, const char *name);

#endif
