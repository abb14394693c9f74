/*
 * Shared by the dest_*.c files only.
 */
#ifndef WHERRY_SYNC_DEST_INTERNAL_H
#define WHERRY_SYNC_DEST_INTERNAL_H

#include "base/map.h"
#include "sync/chmod.h"
#include "sync/dest.h"

#include <pthread.h>

struct dest_counts {
	_Atomic uint64_t entries, files, total_bytes, created, updated, metadata, deleted, moved, linked,
		sent_files, sent_bytes, literal, matched, skipped_nodes, retried;
};

/* A finished temporary file or directory that waits for its rename. */
struct commit {
	struct dest_dir *dir;   /* referenced; for a directory: the directory itself */
	struct dest_file *file; /* owned copy; NULL when the directory is to be published */
};

/* An entry at the destination that the source does not have, or that is in the way of another type. */
struct doomed {
	struct filter_dir *filter; /* context of its directory, referenced; may be NULL */
	char *dir;
	char *name;
	uint32_t mode;
	uint64_t size;
	struct entry_time mtime;
	uint64_t tree_fp[2];
	bool gone; /* moved to a new place meanwhile */
};

/* A hard link still to be made. */
struct late_link {
	char *path;
	uint64_t group;
	uint32_t mode;
	uint64_t dev, ino; /* of the destination's entry, ino 0 = absent */
	struct plan_item item;
	struct entry en; /* only its numbers are used later */
	uint64_t token;
	size_t index;
	struct filter_dir
		*filter; /* of a directory in the way: context of the one it is in, referenced; may be NULL */
	bool over_directory;
	bool done; /* or given up */
};

struct link_group {
	char *leader;      /* path of the first member seen */
	uint64_t dev, ino; /* of the destination's entry when the leader stays as it is, else ino 0 */
};

/* A directory whose time has to be set again after links and deletions. */
struct late_dir {
	char *path;
	uint32_t mode; /* 0 = leave */
	struct entry_time mtime;
	bool set_time;
};

/* Something that is to replace a directory, once deletions are allowed (dest_swap.c). */
struct swap {
	char *dir;
	char *name;
	char temp
		[DEST_TEMP_BYTES]; /* it is there, whole ("" in a dry run); a link is made there when its turn comes */
	const struct late_link *link; /* it is a hard link, or NULL */
	struct filter_dir *filter;    /* context of `dir`, referenced; may be NULL */
	uint32_t mode;
	uint64_t size;
	char *target; /* of a symlink, or NULL */
	struct plan_item item;
	size_t first, count; /* what goes: part of dest.swapped */
	bool blocked;        /* something in the directory has to stay */
};

/* One planned deletion, in the order in which it is carried out (a directory after what is in it). */
struct removal {
	char *path;
	uint32_t mode;
};
struct removals {
	struct removal *v;
	size_t count, cap;
};

struct dest {
	struct dest_params p;
	const struct sync_options *opts;
	struct plan_rules rules;
	struct plan_rules
		strict_rules; /* for what an interrupted run left: only the full quick check proves it */
	struct scan_options scan;
	struct chmod_rules *chmod;
	bool root;    /* may change owners */
	bool durable; /* renames wait for syncfs */
	bool strict;  /* fsync every file and directory */
	uint32_t umask, euid, egid;
	int backup_fd, temp_fd;
	struct guard {
		uint64_t dev, ino;
	} * guards; /* directories that are never deleted: the source, backups, references inside the destination */
	size_t guard_count;
	int *basis_dirs; /* fds of --link-dest, --copy-dest, --compare-dest */
	size_t basis_dir_count;
	_Atomic bool stop;
	struct dest_counts counts;

	pthread_mutex_t lock; /* everything below */
	struct err fatal;
	struct doomed *doomed;
	size_t doomed_count, doomed_cap;
	struct late_link *links;
	size_t link_count, link_cap;
	struct u64map groups; /* link group -> struct link_group */
	struct late_dir *late_dirs;
	size_t late_dir_count, late_dir_cap;
	struct u64map moved_away; /* hashes of old paths below doomed directories */
	struct swap *swaps;
	size_t swap_count, swap_cap;
	struct removals swapped;
	_Atomic bool source_has_entries;

	struct committer *committer;
};

struct dest_dir {
	struct dest *d;
	struct dest_dir *parent;
	_Atomic int refs;
	_Atomic int unfinished; /* files in work, plus one while it is planned; at zero it can be published */
	int fd;                 /* -1 in a dry run where it does not exist */
	char *path;
	const char *name;   /* last component of path */
	struct arena arena; /* strings of self */
	struct entry self;
	bool has_self;
	bool announced; /* its creation was told already */
	bool bare;      /* its contents are not wanted */
	bool opened;    /* dest_dir_open() succeeded */
	bool created;   /* did not exist before */
	bool fresh; /* created empty by us; while it is not published, files may be made under their own names */
	bool left_over; /* made by an interrupted run, or below such a one: nothing in it is anybody's */
	_Atomic bool published;
	_Atomic bool changed; /* its time has moved */
	_Atomic bool late;    /* links or deletions will happen in it later */
	bool loosened;        /* u+rwx was added for our work */
	bool default_acl;     /* new files inherit an ACL */
	uint32_t
		had_mode; /* of an existing directory; of a new one, as it was made: set-gid when that is inherited */
	struct entry_time
		had_mtime; /* of an existing directory: put back when its time is not kept by options */
	uint32_t new_gid;  /* group that new files get */
	uint32_t iflags;
	char stage[DEST_TEMP_BYTES];
	struct dirlist src;
	struct dirlist dst;
	struct filter_dir *filter;
	void *user;
	uint64_t token;
};

/* dest.c */
void dest_entry_fault(struct dest *d, const char *dir, const char *name, const struct err *e);
int dest_errno(struct dest *d, struct dest_dir *dir, const char *name,
	const char *what); /* report errno of an operation on an entry; disk full stops the run. -1 always */
void dest_item(struct dest *d, enum event_kind kind, const char *dir, const char *name, uint32_t iflags,
	uint32_t mode, uint64_t size, const char *extra);
void dest_temp_name(char out[DEST_TEMP_BYTES], const char *name, char kind);
bool dest_is_orphan(int dir_fd, const char *temp); /* a left-over that nobody is writing */

/* dest_dir.c */
void dest_dir_file_done(struct dest_dir *dir); /* one less unfinished */
void dest_dir_publish_now(struct dest_dir *dir);

/* dest_plan.c */
void dest_map_entry(
	struct dest *d, struct entry *en, struct arena *arena); /* ids and mode for this host, once */
void dest_placed(
	struct dest_dir *dir, const struct entry *src, const struct plan_item *item); /* count and tell */

void dest_safe(struct dest_dir *dir, const struct entry *src);
void dest_tell_safe(struct dest *d, const char *dir, const char *name, const struct entry *en, uint64_t token,
	size_t index);

/* Whatever is still there of an interrupted run, at the end of the directory's life. */
void dest_clear_left_overs(struct dest_dir *dir);
/* This temporary name is ours until dest_finish(). With d->lock held. */
void dest_claim_temp(struct dest_dir *dir, const char *temp);

/* dest_meta.c */
enum { META_ALL = ITEM_TIME | ITEM_PERMS | ITEM_OWNER | ITEM_GROUP | ITEM_ACL | ITEM_XATTR };
/* Give dir_fd/name (or fd, when >= 0) the attributes of `want` that are in iflags. Faults are reported; 0 or -1. */
int dest_set_attributes(struct dest *d, struct dest_dir *dir, int dir_fd, const char *name, int fd,
	const struct entry *want, uint32_t iflags);
uint32_t dest_new_mode(const struct dest *d, const struct entry *want); /* permission bits of something new */

/* dest_commit.c */
struct committer *committer_new(struct dest *d);
void committer_free(struct committer *c);
void committer_add(struct committer *c, struct commit item); /* blocks while too many wait */
void committer_drain(struct committer *c);

/* dest_partial.c */
void dest_file_temp_name(const struct dest_dir *dir, const char *name, char out[DEST_TEMP_BYTES]);
void dest_aside_name(const struct dest_dir *dir, const char *name, char out[DEST_TEMP_BYTES]);

/* dest_file.c */
int dest_file_rename(struct dest_file *f); /* the last step, called by commit */
int dest_backup(struct dest_dir *dir, const char *name, uint32_t mode, bool move);

/* dest_reference.c: --link-dest, --copy-dest, --compare-dest. True: it took care of the file. */
bool dest_from_reference(struct dest_dir *dir, size_t index, struct dest_need *need);

/* dest_moves.c */
bool dest_is_moved_away(struct dest *d, const char *path); /* in a dry run it is still there */

/* dest_delete.c */
void dest_doom(struct dest_dir *dir, const struct entry *en);
bool dest_is_guarded(const struct dest *d, const struct entry *en);
int dest_delete(struct dest *d, bool source_complete, struct err *e);
bool dest_remove_one(struct dest *d, const struct removal *x);
/* Everything below `path` that may go, deepest first; true when the directory itself may go too. parent: filter context of the directory it is
 * in, where it is called `name`. */
bool dest_collect(
	struct dest *d, const char *path, struct filter_dir *parent, const char *name, struct removals *out);
void dest_removals_release(struct removals *r);
void dest_late_dir(struct dest_dir *dir);
int dest_remove(struct dest *d, const char *dir_path, int dir_fd, const char *name, uint32_t mode);

/* dest_swap.c */
/* `src`, which is whole under the name `temp` (NULL in a dry run), is to replace the directory of its name. */
void dest_swap_later(
	struct dest_dir *dir, const struct entry *src, const char *temp, const struct plan_item *item);
void dest_swap_link(struct dest *d, const struct late_link *l);
void dest_swaps_collect(struct dest *d);
void dest_swaps_carry_out(struct dest *d, bool allowed);
void dest_swaps_free(struct dest *d);
bool dest_is_swapped(const struct dest *d,
	const char *path); /* does something wait to take the place of this directory? */

/* dest_links.c */
bool dest_link_later(struct dest_dir *dir, const struct entry *src, const struct entry *dst,
	const struct plan_item *item); /* true: a follower, noted */
/* before deletions: all but those that need a directory to make way; after them: those. */
void dest_make_links(struct dest *d, bool after);
/* Make the link under the name `temp` in the directory `dir`. 0, or -1 after reporting. */
int dest_link_temp(struct dest *d, const struct late_link *l, int dir, const char *temp);
void dest_link_made(struct dest *d, const struct late_link *l); /* tell of it */

#endif
