/*
 * Shared by the recv*.c files only.
 */
#ifndef WHERRY_SYNC_RECV_INTERNAL_H
#define WHERRY_SYNC_RECV_INTERNAL_H

#include "base/map.h"
#include "delta/delta.h"
#include "sync/dest.h"
#include "sync/fingerprint.h"
#include "sync/recv.h"

struct receiver;
struct recv_dir;
struct recv_file;

/* A content frame on its way to a worker. */
struct recv_frame {
	struct recv_frame *next;
	enum msg_type type;
	uint64_t index; /* CHUNK */
	struct buf payload;
};

struct frame_list {
	struct recv_frame *first, *last;
};

/* How a file's content was asked for. */
enum basis_kind {
	BASIS_NONE,
	BASIS_DEST,     /* the file that is there */
	BASIS_IN_PLACE, /* likewise, and it is changed itself */
	BASIS_PARTIAL,  /* an unfinished one, continued */
	BASIS_GATHERED, /* unfinished ones and the file that is there (dest_gather()) */
};

struct recv_need {
	uint64_t index;
	struct dest_need need;
	enum basis_kind basis;
	uint64_t sig_bytes; /* counted while its signature is out */
	bool taken;         /* its content is being worked on, or has been */
	char *moved_from;   /* a path here that may hold the content already (WANT_UNLESS) */
};

/*
 * One listed directory. It lives (in receiver.dirs, one reference) until it is planned, everything wanted of it has come, and all its listed
 * children have been heard of.
 */
struct recv_dir {
	struct receiver *r;
	_Atomic int refs;
	uint64_t id;
	struct recv_dir *parent; /* referenced; NULL for a top */
	struct dest_dir *dst;    /* referenced; NULL when void */
	struct dirlist list;     /* as received, until it is planned */
	bool failed;             /* the source could not list it */
	/* under receiver.lock */
	bool planned;
	bool over;   /* taken out of receiver.dirs */
	bool parked; /* only held files are left */
	bool said_last;
	uint8_t *entered;        /* per entry: may its DIR be applied? */
	struct recv_need *needs; /* ascending index */
	size_t need_count, need_cap;
	size_t pending;            /* wanted and not here yet */
	size_t held;               /* may turn out to be moves */
	size_t backlog;            /* signatures not sent yet */
	size_t children_left;      /* DIRs to come */
	struct frame_list waiting; /* contents that came before it was planned */
	struct recv_dir **kids;    /* children that came before it was planned */
	size_t kid_count;
	uint64_t *want; /* whole files to ask for, gathered while it is planned (planning thread only) */
	size_t want_count;
};

struct held_file {
	struct recv_dir *rd; /* referenced */
	uint64_t index;
	struct dest_need need;
};

struct held_dir {
	struct recv_dir *rd; /* referenced */
	uint64_t index;
};

struct requested {
	char *path;
	struct recv_dir *rd; /* referenced: the parent */
};

struct delta_want {
	struct recv_dir *rd; /* referenced */
	uint64_t index;
	enum basis_kind basis;
	uint64_t size;
};

struct safe_entry {
	uint64_t dir_id, index;
};

struct receiver {
	struct session *s;
	const struct recv_params *p;
	struct dest *dest;
	struct idmap *ids;
	struct source *here; /* the destination as something to scan; NULL when there is nothing to compare */
	struct fp_tree fp;
	bool have_fp;
	bool eager;
	bool find_moves;
	char *rename_to;

	struct recv_dir *growing; /* a DIR whose further pieces are to come (reading thread only) */

	pthread_mutex_t lock; /* below */
	pthread_cond_t room;
	struct u64map dirs;  /* id -> struct recv_dir */
	struct u64map seen;  /* every id that was listed */
	struct u64map files; /* key -> struct recv_file */
	size_t live;         /* directories that are not over or parked */
	size_t alive;        /* directories in memory: with the last one, its dest_dir is finished */
	size_t queued_bytes; /* contents waiting for workers */
	bool list_end;
	bool unwanted; /* a CHUNK came that nobody had asked for */
	bool source_errors;
	bool finishing; /* a worker is at it */
	bool ended;     /* the last steps have begun */
	struct held_file *held_files;
	size_t held_file_count, held_file_cap;
	struct held_dir *held_dirs;
	size_t held_dir_count, held_dir_cap;
	struct requested *requested;
	size_t requested_count;
	struct delta_want *deltas; /* not started yet */
	size_t delta_count, delta_cap;
	uint64_t sig_bytes; /* of signatures that are out */
	struct safe_entry *safe;
	size_t safe_count, safe_cap;
	struct err final; /* result of dest_finish() */
};

/* recv_dir.c */
int recv_dir_message(struct receiver *r, struct cursor *c, struct err *e);
struct recv_dir *recv_dir_ref(struct recv_dir *rd);
void recv_dir_unref(struct recv_dir *rd);
void recv_dir_drop(struct recv_dir *rd); /* at the end of a broken session: whatever it holds */
struct recv_dir *recv_find_dir(struct receiver *r, uint64_t id); /* referenced; NULL when unknown */
void recv_check_dir(struct recv_dir *rd);                        /* is it over now? Call without the lock. */
struct recv_need *recv_find_need(struct recv_dir *rd, uint64_t index);
void recv_need_done(struct recv_dir *rd, uint64_t index); /* its content has come, or never will */
const struct dest_source *recv_callbacks(void);
void recv_send_wants(struct recv_dir *rd, bool last);

/* recv_file.c */
int recv_content(struct receiver *r, enum msg_type type, struct buf *payload,
	struct err *e);                                        /* takes the payload's memory */
void recv_dispatch(struct recv_dir *rd, struct recv_frame *f); /* with the lock held, rd is planned */
void recv_files_drop(struct receiver *r);

/* recv_apply.c */
enum recv_zeros {
	ZEROS_WRITE,
	ZEROS_SKIP,
	ZEROS_PUNCH
}; /* blocks of zeros: left out where nothing is yet, punched into what is */
struct recv_target {
	int fd, basis_fd;
	bool in_place; /* fd holds old bytes: what stands where it belongs need not be written */
	enum recv_zeros zeros;
	bool basis_sparse; /* the basis has holes, so copies of it should */
	struct verifier *verifier;
};
struct recv_amounts {
	uint64_t literal, matched; /* bytes */
};
/* Write at an offset. 0 or -1 with errno. */
int recv_put_bytes(int fd, const uint8_t *data, size_t n, uint64_t offset, enum recv_zeros zeros);
/* Carry out the records of one CHUNK and feed the tag; *offset goes on. 0; -1 = errno (0: the basis ended early); -2 = protocol, *e. */
int recv_apply(struct receiver *r, const struct recv_target *t, struct cursor *c, uint64_t *offset,
	struct recv_amounts *sum, struct err *e);

/* recv_delta.c */
void recv_want_delta(struct recv_dir *rd, uint64_t index, enum basis_kind basis, uint64_t size);
void recv_start_deltas(struct receiver *r); /* with the lock held */
int recv_refine(struct receiver *r, struct cursor *c, struct err *e);

/* recv_moves.c */
bool recv_hold_file(struct recv_dir *rd, uint64_t index, const struct dest_need *need);
void recv_hold_dir(struct recv_dir *rd, uint64_t index);
void recv_resolve(struct receiver *r); /* decide all that is held */

/* recv.c */
void recv_maybe_finish(struct receiver *r); /* call without the lock whenever something has ended */

#endif
