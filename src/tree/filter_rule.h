/*
 * Inside of tree/filter: rules as data, their parser, and the sets that are compiled from them. For filter*.c only.
 * Role      see each part. Threads: a finished list, chunk or set is read-only.
 */
#ifndef WHERRY_TREE_FILTER_RULE_H
#define WHERRY_TREE_FILTER_RULE_H

#include "base/alloc.h"
#include "base/map.h"
#include "tree/filter.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum rule_flag {
	RULE_INCLUDE = 1 << 0,
	RULE_DIRECTORY = 1 << 1, /* pattern ended with '/' */
	RULE_NEGATE = 1 << 2,
	RULE_ABSOLUTE = 1 << 3, /* '/' modifier: match the path from the file system's root */
	RULE_PERISHABLE = 1 << 4,
	RULE_XATTR = 1 << 5,
	RULE_SENDER = 1 << 6,
	RULE_RECEIVER = 1 << 7,
	RULE_MERGE = 1 << 8,       /* merge or dir-merge */
	RULE_PERDIR = 1 << 9,      /* dir-merge */
	RULE_NO_PREFIX = 1 << 10,  /* merge: its file holds bare patterns */
	RULE_WORD_SPLIT = 1 << 11, /* merge: its file is split at white space */
	RULE_NO_INHERIT = 1 << 12, /* dir-merge: not for subdirectories */
	RULE_CVS = 1 << 13,
	RULE_EXCLUDE_SELF = 1 << 14,
	RULE_CLEAR = 1 << 15,
	RULE_OLD_PREFIX = 1 << 16, /* template of --exclude, --include and their -from files */
	/* found in the pattern */
	RULE_ANCHORED = 1 << 17, /* begins with '/' */
	RULE_WILD = 1 << 18,
	RULE_WILD2 = 1 << 19,        /* has a "**" */
	RULE_WILD2_PREFIX = 1 << 20, /* begins with "**" */
	RULE_WILD3_SUFFIX = 1 << 21, /* has a "**" and ends with "***" */
	RULE_SIDES = RULE_SENDER | RULE_RECEIVER,
	/* what the rules of a merge file take over from the merge rule */
	RULE_INHERITED =
		RULE_INCLUDE | RULE_DIRECTORY | RULE_NEGATE | RULE_ABSOLUTE | RULE_PERISHABLE | RULE_XATTR,
};

struct rule {
	const char *pattern; /* as written, without the trailing '/' that RULE_DIRECTORY stands for */
	uint32_t len;
	uint32_t flags;
	uint32_t slashes;
	uint32_t last;     /* offset of the pattern's last component */
	uint32_t base_len; /* anchored: bytes of the transfer path before the directory it is anchored to */
};

/* Rules in order; patterns live in the arena. */
struct rule_list {
	struct arena arena;
	struct rule *rules;
	size_t count;
	size_t cap;
	size_t xattr_count; /* rules for xattr names */
};

void rule_list_init(struct rule_list *l);
void rule_list_release(struct rule_list *l);
void rule_list_clear(struct rule_list *l);
void rule_list_add(struct rule_list *l, const char *pattern, size_t len, uint32_t flags, uint32_t base_len);

/* True when l has a dir-merge rule for the file `name`. */
bool rule_list_merges(const struct rule_list *l, const char *name, size_t len);

/* True when the rule can only be judged with the entry's path, not by its name alone. */
static inline bool rule_needs_path(const struct rule *r)
{
	return r->slashes != 0 || (r->flags & RULE_WILD2);
}

void rule_text(const struct rule *r, struct buf *out);

/* Where rules come from and what they may do. Zero it, then set list, dir_fd and e. */
struct rule_parse {
	struct rule_list *list;
	struct err *e;
	const char *file; /* file being read, NULL for a rule of the command line or the wire */
	size_t line;
	int dir_fd; /* per-directory file: its directory; -1 = the user's own rules */
	uint32_t base_len;
	unsigned depth; /* merge files within merge files */
	bool from_peer;
	bool from0;
	bool cleared; /* out: a "!" was met: inherited rules go as well */
	/* Whether the file name is already merged per directory (then the rule is dropped); may be NULL. */
	bool (*merges)(const void *arg, const char *name, size_t len);
	const void *merges_arg;
};

/* Parse s[0..len) as rules: one, or, with RULE_WORD_SPLIT in the template, any number of words. 0 or -1. */
int rule_parse_text(struct rule_parse *p, uint32_t template, const char *s, size_t len);

/* Record a fault with file and line, or with the rule's own text. -1 always. */
int rule_parse_fail(const struct rule_parse *p, const char *s, size_t len, const char *why);

/* Read the rules of a merge file: `name` is a path of the user ("-" = stdin) when p->dir_fd is -1, else a path
 * beneath that directory. 1, 0 when the file does not exist, -1. */
int rule_file_read(struct rule_parse *p, uint32_t template, const char *name);

/* Add what "-C" stands for. 0 or -1. */
int rule_file_cvs(struct rule_parse *p, uint32_t template);

bool rule_wild(const char *p, const char *p_end, const char *t, const char *t_end);

/* The rules of one merge file in one directory, and those inherited from the directories above. */
struct chunk {
	struct chunk *next;
	struct rule_list list;
	atomic_uint refs;
};

/* A dir-merge rule in force, and its rules here. */
struct slot {
	const struct rule *def;
	struct chunk *head;
};

/* Situations in which a rule may or may not count; times two for directories and others. */
enum view {
	VIEW_SEND,
	VIEW_RECEIVE,
	VIEW_RECEIVE_DX, /* --delete-excluded */
	VIEW_DOOMED,     /* inside a directory being deleted */
	VIEW_DOOMED_DX,
	VIEWS,
};

struct candidate {
	const struct rule *rule;
	uint32_t order;
	uint16_t views; /* bit (view * 2 + is_dir) */
	uint16_t first; /* first byte that a matching name has, or ANY_BYTE */
	uint16_t last;
	uint32_t next; /* literals: next with the same hash, 1-based */
};

enum { ANY_BYTE = 256, MASK_BITS = 64 };

/* All rules in force in a directory, in order and indexed; shared by directories that have no rules of their own. */
struct ruleset {
	atomic_uint refs;
	bool needs_path;
	struct slot *slots;
	size_t slot_count;
	struct candidate *scan; /* to be tried one after the other */
	size_t scan_count;
	struct candidate
		*literals; /* last component has no wildcard: found by hash; empty when there are few */
	size_t literal_count;
	struct u64map literal_map; /* hash of the last component -> 1-based index */
	/* Bit i (the last bit: that one and all that follow) is set when scan[i] may match a name with this first
	 * byte, with this last byte, in this view. */
	uint64_t by_first[256];
	uint64_t by_last[256];
	uint64_t by_view[VIEWS * 2];
};

struct filter {
	struct rule_list rules;
	bool from0;
};

struct filter_dir {
	atomic_uint refs;
	bool path_cached;
	const struct filter *filter;
	struct filter_dir *parent;
	const struct filter_dir *top;
	struct ruleset *set;
	char *root_path;   /* top only: absolute path without the first '/', "" when it is "/" or not known */
	size_t prefix_len; /* bytes of the transfer path of this directory, with its '/'; 0 for the root */
	size_t own_len;    /* bytes in path[] */
	char path[];       /* the prefix when path_cached, else this directory's own name and '/' */
};

/* Set of the filter's own rules. NULL with *e when there are too many. */
struct ruleset *ruleset_base(const struct filter *f, struct err *e);

/* Set for a directory: that of its parent (or the base set) plus its merge files. A new reference (maybe to `from`),
 * or NULL with *e. */
struct ruleset *ruleset_enter(
	const struct filter *f, struct ruleset *from, int dir_fd, uint32_t base_len, struct err *e);
void ruleset_unref(struct ruleset *s);

/* Fill in the indexes of s from the rules in force, given in order. */
void ruleset_index(struct ruleset *s, const struct rule **rules, size_t count);

#endif
