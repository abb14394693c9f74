/*
 * One entry of a directory, and the sorted list of a whole directory: what is scanned, sent, compared and
 * planned.
 * Role      pure data.
 * Lifetime  a dirlist owns its entries and all their strings (one arena);
 * dirlist_init() .. dirlist_release().
 * Threads   one at a time; read-only lists may be shared. Units bytes;
 * times are seconds since 1970 plus nanoseconds.
 */
#ifndef WHERRY_TREE_ENTRY_H
#define WHERRY_TREE_ENTRY_H

#include "base/alloc.h"

#include <stdbool.h>
#include <stdint.h>

enum { ENTRY_NAME_MAX = 255, ENTRY_DIGEST_BYTES = 32 };

struct entry_time {
	int64_t sec;
	uint32_t nsec;
};

enum entry_flag {
	ENTRY_HIDDEN = 1,       /* filtered out on this side: not transferred, and protected from deletion */
	ENTRY_PROTECTED = 2,    /* visible, but a protect rule forbids deleting it */
	ENTRY_UNREADABLE = 4,   /* could not be fully described (a read error was reported) */
	ENTRY_LISTED = 8,       /* directory: its own listing follows (wire and pipeline) */
	ENTRY_HAS_TREE_FP = 16, /* directory: tree_fp is filled */
	ENTRY_MAPPED = 64,      /* ids and mode already translated for this host */
	ENTRY_OLD_MODE = 128,   /* without --perms: the mode is the one of the file it replaces here */
	ENTRY_FOLLOW = 32,      /* local scans: a symlink whose target is taken instead (--copy-links) */
};

struct entry {
	const char *name;      /* bytes, NUL-terminated, no '/' */
	const char *target;    /* symlink target, else NULL */
	const uint8_t *xattrs; /* canonical blob (os/xattr.h), NULL when there are none */
	const uint8_t *digest; /* SHA-256 of the content (only with --checksum), else NULL */
	struct entry_time mtime;
	struct entry_time ctime; /* local scans only */
	uint64_t size;           /* regular files and symlinks */
	uint64_t dev;            /* local scans only: file system */
	uint64_t ino;            /* local scans only */
	uint64_t rdev;           /* device nodes */
	uint64_t link_group;     /* hard-link group on the sending side, 0 = none */
	uint64_t tree_fp[2];     /* directories: fingerprint of the whole subtree, when ENTRY_HAS_TREE_FP */
	uint32_t xattrs_len;
	uint32_t mode; /* type and permission bits */
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink; /* local scans only */
	uint16_t name_len;
	uint16_t flags; /* enum entry_flag */
};

struct dirlist {
	struct arena arena;
	struct entry *entries; /* sorted by name, unsigned bytes; no duplicates */
	size_t count;
	size_t cap;
	char **stale; /* wherry's own temporary names found here, from interrupted runs */
	size_t stale_count;
	bool incomplete; /* some entries could not be read: nothing may be deleted on the word of this list */
	bool partial;    /* lists only some names by choice (a selection): others are not absent */
};

void dirlist_init(struct dirlist *l);
void dirlist_release(struct dirlist *l);

/* Append a zeroed entry whose name is copied; valid until the next append. */
struct entry *dirlist_add(struct dirlist *l, const char *name, size_t name_len);
void dirlist_sort(struct dirlist *l);

/* Binary search in a sorted list; NULL when absent. */
struct entry *dirlist_find(const struct dirlist *l, const char *name);

/* Unsigned byte order, the canonical order everywhere. */
int entry_name_cmp(const struct entry *a, const struct entry *b);

/* A name that a peer may use: 1..255 bytes, no '/', no NUL, not "." or "..", not one of wherry's temporary
 * names. */
bool entry_name_ok(const char *name, size_t len);

/* One of wherry's own temporary names: ".wherry." 16 hex digits "." and one of "t" (file) "d" (directory). */
bool entry_name_is_temp(const char *name, size_t len);

#endif
