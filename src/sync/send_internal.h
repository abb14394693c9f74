/*
 * Shared by the send*.c files only.
 */
#ifndef WHERRY_SYNC_SEND_INTERNAL_H
#define WHERRY_SYNC_SEND_INTERNAL_H

#include "base/map.h"
#include "delta/delta.h"
#include "sync/fingerprint.h"
#include "sync/send.h"

/* A directory that was listed, kept while the receiver may want its files. */
struct sent_dir {
	_Atomic int refs;
	uint64_t id;
	char *path;
	struct dirlist list;
};

struct sender {
	struct session *s;
	struct source *source;
	struct plan_rules rules; /* what the receiver compares */
	bool eager;              /* the destination is empty: contents go without being asked for */
	bool have_table;
	bool find_moves;
	struct fp_tree mine;
	struct u64map table; /* path hash -> index into rows */
	struct u64map
		table_trees; /* low half of a tree fingerprint of a directory that we do not have -> index into rows */
	struct table_row *rows;
	size_t row_count, row_cap;
	_Atomic uint64_t next_id;
	_Atomic uint64_t listing; /* directories still to be listed; at zero LIST_END goes out */
	_Atomic uint64_t dirs, files, bytes;

	pthread_mutex_t lock;       /* below */
	struct u64map dirs_by_id;   /* id -> struct sent_dir */
	struct u64map announced[2]; /* user and group ids whose names were sent */
	struct u64map refining;     /* file key -> struct delta_job, waiting for fine hashes */
};

/* send.c */
struct sent_dir *sent_dir_ref(struct sent_dir *d);
void sent_dir_unref(struct sent_dir *d);
void send_fault(struct sender *x, const char *dir, const char *name, const struct err *e);
uint64_t send_file_key(uint64_t dir_id, uint64_t index);

/* send_list.c */
void send_list_start(struct sender *x);
void send_list_path(struct sender *x, const char *path);

/* send_file.c */
/* Send whole files of d; takes over `indexes` (malloc'ed) and a reference to d. dir: open, or NULL (opened by path). */
void send_files(
	struct sender *x, struct sent_dir *d, struct source_dir *dir, uint64_t *indexes, size_t count);
void send_files_later(struct sender *x, struct sent_dir *d, uint64_t *indexes, size_t count);
void send_unless(struct sender *x, struct sent_dir *d, uint64_t index, const uint8_t tag[VERIFY_TAG_BYTES]);
int send_status(struct sender *x, const struct sent_dir *d, uint64_t index, enum file_status status);
int send_open(struct sender *x, const struct sent_dir *d, struct source_dir *dir,
	struct entry *en); /* fd; -1 after telling */
void send_large(struct sender *x, struct sent_dir *d, uint64_t index, int fd, struct entry *en);
void send_remove_sources(struct sender *x, struct sent_dir *d, const uint64_t *indexes, size_t count);

/* send_delta.c */
void send_delta(struct sender *x, struct sent_dir *d, uint64_t index, struct sig *sig,
	bool in_place); /* takes sig over */
void send_refined(struct sender *x, uint64_t dir_id, uint64_t index, uint64_t *hashes,
	size_t count); /* takes hashes over */
void send_delta_drop(struct sender *x);

#endif
