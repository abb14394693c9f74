/*
 * rsync's filter rules: include, exclude, hide, show, protect, risk, clear, merge and dir-merge, with
 * anchors, *, **, ***, ?, [..], trailing '/', and the modifiers / ! C e n w s r p x -. Meaning as in
 * rsync(1), "FILTER RULES".
 * Role      parsing and matching are pure; filter_enter() reads per-directory merge
 * files through a directory fd.
 * Lifetime  filter: filter_new() .. filter_free(), not changed after the first
 * filter_root(). A filter_dir is the context of one directory: reference counted (atomic), it keeps its
 * parents alive; the filter must outlive it.
 * Threads   a finished filter and filter_dirs are read-only and
 * may be shared.
 */
#ifndef WHERRY_TREE_FILTER_H
#define WHERRY_TREE_FILTER_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct filter;
struct filter_dir;

enum filter_side { FILTER_SENDER = 1, FILTER_RECEIVER = 2 };

struct filter *filter_new(void);
void filter_free(struct filter *f);

/* One rule in the language of --filter ("- *.o", "P cache/", ": .rsync-filter", ". FILE", "!", "hide,! */
", ...). A merge rule reads its
		* file here .0 or
	-1 with ERR_USAGE naming the rule(and FILE
					  : LINE inside a merge file).*
		/ int filter_add(struct filter *f, const char *rule, struct err *e);

/* Rules for the wire: text, one per rule, as filter_add() takes them (merge files already expanded). count
 * and get. */
size_t filter_count(const struct filter *f);
void filter_rule_text(const struct filter *f, size_t i, struct buf *out);

/* True when no rule at all is there: callers skip matching. */
bool filter_empty(const struct filter *f);

/* Context of the transfer's root. delete_excluded: receiver side protects nothing merely excluded. dir_fd as
 * below. */
struct filter_dir *filter_root(const struct filter *f, int dir_fd, struct err *e);

/* Context of a subdirectory: parent's rules plus those in its own merge files (read through dir_fd, an open
 * fd of the subdirectory, O_NOFOLLOW, at most 1 MiB each; a missing file is no error). `name` is its name in
 * the parent. NULL with *e on a bad rule or unreadable file. */
struct filter_dir *filter_enter(struct filter_dir *parent, const char *name, int dir_fd, struct err *e);
struct filter_dir *filter_ref(struct filter_dir *d);
void filter_unref(struct filter_dir *d);

/* First matching rule decides. True: the entry `name` of directory d is excluded on that side (sender: not in
 * the list; receiver: protected from deletion). */
bool filter_excludes(const struct filter_dir *d, const char *name, bool is_dir, enum filter_side side);

/* As filter_excludes(FILTER_RECEIVER), but with --delete-excluded: plain exclude rules do not protect, only
 * protect rules do. */
bool filter_protects(const struct filter_dir *d, const char *name, bool is_dir, bool delete_excluded);

/* rsync's wildmatch with its dowild semantics: true when text matches pattern. */
bool filter_wildmatch(const char *pattern, const char *text);

#endif
