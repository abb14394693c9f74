/*
 * rsync's filter rules: include, exclude, hide, show, protect, risk, clear, merge and dir-merge, with anchors, *,
 * **, ***, ?, [..], trailing '/', and the modifiers / ! C e n w s r p x + -. Meaning as in rsync(1), "FILTER RULES".
 * Role      parsing and matching are pure; filter_add() reads merge files that the user names, filter_root() and
 *           filter_enter() read per-directory merge files through a directory fd.
 * Lifetime  filter: filter_new() .. filter_free(), not changed after the first filter_root(). A filter_dir is the
 *           context of one directory: reference counted (atomic), it keeps its parents alive; the filter must
 *           outlive it.
 * Threads   a finished filter and filter_dirs are read-only and may be shared.
 *
 * Where it differs from rsync 3.5.0, on purpose:
 * - A dir-merge name with a path (": /.rsync-filter") looks in the transfer's root and below, never in the
 *   directories above (inside a per-directory file: in that directory and below); a name that climbs out ("../x")
 *   is refused.
 * - In a per-directory file an anchored pattern is matched relative to that directory even when a directory's own
 *   name contains wildcards, and a merge rule there (". FILE") is relative to that directory and cannot leave it.
 * - In a word-split file "- foo + bar" is two rules, and the x modifier of a merge rule is inherited by the rules of
 *   its file (both as the manual says and rsync does not do).
 * - With --delete-excluded the e modifier hides a merge file from the sender only, in per-directory files too.
 * - "-C" takes no argument; over-long patterns, NUL bytes, and merge files that are not regular files are errors.
 */
#ifndef WHERRY_TREE_FILTER_H
#define WHERRY_TREE_FILTER_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct filter;
struct filter_dir;

enum filter_side { FILTER_SENDER = 1, FILTER_RECEIVER = 2 };

enum {
	FILTER_PATTERN_MAX = 4095,       /* bytes of one pattern or file name */
	FILTER_TREE_FILE_MAX = 1 << 20,  /* bytes of a merge file found in a tree */
	FILTER_USER_FILE_MAX = 64 << 20, /* bytes of a merge file that the user names */
	FILTER_RULES_MAX = 1000000,      /* rules in one filter, or in force in one directory */
};

struct filter *filter_new(void);
void filter_free(struct filter *f);

/* Merge files read from now on end each rule with a NUL byte instead of a line end (--from0). */
void filter_set_from0(struct filter *f, bool on);

/* One rule in the language of --filter ("- *.o", "P cache/", ": .rsync-filter", ". FILE", "!", "hide,! x", ...). A
 * merge rule reads its file here ("-" is standard input), "-C" adds the CVS patterns, those of ~/.cvsignore and of
 * $CVSIGNORE. An empty rule is ignored. May block on files. 0, or -1 with ERR_USAGE naming the rule (inside a merge
 * file: file and line, but not its text), or ERR_IO for a file that cannot be read. On -1 the filter may hold part
 * of the rules of a file. */
int filter_add(struct filter *f, const char *rule, struct err *e);

/* One --include or --exclude pattern: no rule names, only the old prefixes "+ " and "- " and a lone "!". */
int filter_add_pattern(struct filter *f, const char *pattern, bool include, struct err *e);

/* --include-from or --exclude-from: a file ("-" is standard input) of such patterns, one a line, '#' and ';' begin
 * comment lines. */
int filter_add_from(struct filter *f, const char *path, bool include, struct err *e);

/* As filter_add() for a rule that a peer sent: merge rules and "-C" are refused (ERR_PROTOCOL), for they would read
 * this host's files and environment. A dir-merge rule is allowed: it reads beneath the transfer's root only. */
int filter_add_peer(struct filter *f, const char *rule, struct err *e);

/* Rules for the wire: text, one per rule, as filter_add_peer() takes them (merge files already expanded, "!" already
 * applied). The text is appended to `out` without a NUL. i < filter_count(). */
size_t filter_count(const struct filter *f);
void filter_rule_text(const struct filter *f, size_t i, struct buf *out);

/* True when no rule at all is there: callers skip matching. */
bool filter_empty(const struct filter *f);

/* Context of the transfer's root; dir_fd is an open fd of it, or -1 when there are no files to read (then only the
 * rules of the filter itself count, and rules with the '/' modifier see the root as "/"). NULL with *e as below. */
struct filter_dir *filter_root(const struct filter *f, int dir_fd, struct err *e);

/* The same when the root is only the directory above a source given without a trailing slash: its own merge files do
 * not count (as in rsync), those of the source, which is entered with filter_enter(), do. */
struct filter_dir *filter_root_above(const struct filter *f, int dir_fd, struct err *e);

/* Context of a subdirectory: parent's rules plus those in its own merge files (read through dir_fd, an open fd of
 * the subdirectory, O_NOFOLLOW, regular, at most 1 MiB each; a missing file is no error; -1 = no files). `name` is
 * its name in the parent, copied. May return another reference to `parent` when nothing could differ. NULL with *e
 * (ERR_USAGE or ERR_IO) on a bad rule or unreadable file: what the directory would hide is then not known. */
struct filter_dir *filter_enter(struct filter_dir *parent, const char *name, int dir_fd, struct err *e);
struct filter_dir *filter_ref(struct filter_dir *d);
void filter_unref(struct filter_dir *d); /* NULL is fine */

/* First matching rule decides. True: the entry `name` of directory d is excluded on that side (sender: not in
 * the list; receiver: protected from deletion). */
bool filter_excludes(const struct filter_dir *d, const char *name, bool is_dir, enum filter_side side);

/* As filter_excludes(FILTER_RECEIVER); with delete_excluded (--delete-excluded) rules that name no side do not
 * protect (or risk) anything, only those with the r modifier, protect and risk do. */
bool filter_protects(const struct filter_dir *d, const char *name, bool is_dir, bool delete_excluded);

/* As filter_protects(), for an entry of a directory that is itself being deleted: perishable rules are ignored. */
bool filter_protects_doomed(const struct filter_dir *d, const char *name, bool is_dir, bool delete_excluded);

/* Whether there are rules with the x modifier (else the caller's default for xattrs applies), and their verdict on
 * the xattr `name` ("user.foo"). Only the filter's own rules count, not those of per-directory files. */
bool filter_has_xattr_rules(const struct filter *f);
bool filter_excludes_xattr(const struct filter *f, const char *name, enum filter_side side);

/* rsync's wildmatch with its dowild semantics: true when text as a whole matches pattern. '*' and '?' and classes
 * do not match '/', "**" does; backslash escapes; '!' or '^' negate a class. A malformed class matches nothing. */
bool filter_wildmatch(const char *pattern, const char *text);

#endif
