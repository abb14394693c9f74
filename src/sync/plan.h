/*
 * The plan: what has to be done to one entry so that the destination equals the source, and rsync's letters
 * for it.
 * Role      pure computation.
 * Threads   no state.
 */
#ifndef WHERRY_SYNC_PLAN_H
#define WHERRY_SYNC_PLAN_H

#include "base/buf.h"
#include "tree/entry.h"

#include <stdbool.h>
#include <stdint.h>

/* Bits of what differs; rsync's iflags (same numbers as its protocol), plus what kind of update it is. */
enum item_flag {
	ITEM_ATIME = 1 << 0,
	ITEM_CHANGE = 1 << 1, /* content (checksum) or value (symlink target, device numbers) differs */
	ITEM_SIZE = 1 << 2,
	ITEM_TIME = 1 << 3,
	ITEM_PERMS = 1 << 4,
	ITEM_OWNER = 1 << 5,
	ITEM_GROUP = 1 << 6,
	ITEM_ACL = 1 << 7,
	ITEM_XATTR = 1 << 8,
	ITEM_TIME_NOW = 1 << 9, /* T: the time will be that of the transfer (times not kept) */
	ITEM_IS_NEW = 1 << 13,
	ITEM_LOCAL_CHANGE = 1 << 14, /* created or changed here without content from the source: c, or h for a
	                                hard link with ITEM_HLINK */
	ITEM_TRANSFER = 1 << 15,     /* content travels: > on the receiving side */
	ITEM_HLINK = 1 << 16,
	ITEM_SENT = 1 << 17, /* shown as '<' (pushed to a remote) instead of '>' */
};

/* The 11 characters of rsync's %i for an entry of this mode, NUL-terminated. */
void item_letters(uint32_t iflags, uint32_t mode, char out[12]);

/* What the planner has to know of the options and of this host; filled once per run. */
struct plan_rules {
	bool perms, times, dir_times, link_times, owner, group, xattrs, acls; /* compare and keep these */
	bool checksum, size_only, ignore_times, update, existing, ignore_existing,
		append /* only files that have grown */;
	int64_t modify_window;               /* seconds */
	uint64_t max_size, min_size;         /* regular files outside are left alone; max_size 0 = none */
	bool (*may_set_group)(uint32_t gid); /* NULL = any */
};

enum plan_action {
	PLAN_NONE, /* nothing to do */
	PLAN_SKIP, /* an option says to leave it alone */
	PLAN_META, /* only attributes */
	PLAN_FILE, /* a regular file's content */
	PLAN_MKDIR,
	PLAN_SYMLINK,
	PLAN_NODE, /* device, fifo, socket */
};

struct plan_item {
	enum plan_action action;
	uint32_t iflags;
	bool replaces; /* something of another type is in the way */
};

/* src: the source's entry with ids already mapped to this host's and --chmod applied; dst: the destination's, or NULL when absent. */
struct plan_item plan_entry(const struct plan_rules *r, const struct entry *src, const struct entry *dst);

/* Is this a regular file of a size that is not wanted? */
bool plan_skips_size(const struct plan_rules *r, const struct entry *src);

/* Would the quick check (or digest) take their contents for equal? Both regular files. */
bool plan_same_content(const struct plan_rules *r, const struct entry *src, const struct entry *dst);

/* ITEM_TIME, PERMS, OWNER, GROUP, ACL, XATTR of two entries of one type. */
uint32_t plan_attribute_flags(const struct plan_rules *r, const struct entry *src, const struct entry *dst);

/* Are the ACLs (acl) or the other attributes (!acl) in the two blobs equal? */
bool plan_same_attributes(const struct entry *a, const struct entry *b, bool acl);

#endif
