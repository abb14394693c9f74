/*
 * Wherry's own protocol: frames and messages, encoded and decoded. docs/PROTOCOL.md is the normative text.
 * Role      pure computation: buffers in, buffers out; works byte for byte the same over any channel.
 * Lifetime  decoded messages borrow from the payload unless the text says otherwise.
 * Threads   no state; struct entry_coder belongs to one thread at a time.
 * Units     bytes; integers are varints (base/buf.h) unless stated.
 * Errors    every decoder gives 0, or -1 with ERR_PROTOCOL ("malformed DIR: ..."); nothing a peer sends makes
 *           one assert. Messages with a fixed shape must be used up to the last byte, except START, HELLO,
 *           EVENT, FATAL and SUMMARY, which later versions may extend; where the caller walks a list (TABLE,
 *           DIR, WANT) it calls msg_finish() behind the last item.
 *
 * A connection is a sequence of frames. Between the two ends one is the SENDER (has the source tree), the
 * other the RECEIVER (has the destination). A client first tells a server its part with START; then the sender says
 * HELLO, and the receiver answers with its own.
 */
#ifndef WHERRY_PROTO_MSG_H
#define WHERRY_PROTO_MSG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "codec/codec.h"
#include "delta/verify.h"
#include "tree/entry.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	PROTO_VERSION = 1,
	FRAME_HEADER_BYTES = 10,   /* u8 type, u8 codec, u32 payload length on the wire, u32 raw length (equal
	                              when codec is none) */
	FRAME_MAX = 4 << 20,       /* raw payload limit */
	PACK_FILE_MAX = 256 << 10, /* a file up to this size travels whole in a PACK */
	CHUNK_BYTES = 1 << 20,     /* data in one CHUNK at most */
	DIR_FRAME_BYTES = 256 << 10, /* a DIR is cut into several frames at about this size (flag MORE) */
	PATH_BYTES_MAX = 64 << 10,
	OPTIONS_BYTES_MAX = 3 << 20,    /* START: the options */
	DIR_ENTRIES_MAX = 1 << 17,      /* entries in one DIR frame */
	ENTRY_TARGET_MAX = 4095,        /* symlink target */
	ENTRY_XATTRS_MAX = 1 << 20,     /* xattr blob of one entry */
	WANT_DATA_MAX = FRAME_MAX - 64, /* a signature in WANT; DELTA_MAX_BLOCKS keeps every one below it */
	REFINE_PIECES_MAX = (1 << 19) - 1024, /* DELTA_MAX_PIECES: the answer fits into one frame */
	MSG_OPTIONAL_FIRST = 128, /* frame types 128..159: a receiver that does not know one skips it */
	MSG_OPTIONAL_LAST = 159,
};

enum msg_type {
	MSG_START = 1,     /* client -> server */
	MSG_HELLO = 2,     /* both, first in each direction of the session */
	MSG_PING = 3,      /* both: nothing, keeps the line awake */
	MSG_FATAL = 4,     /* both: the session ends with this error */
	MSG_EVENT = 5,     /* both, towards the client: something for people (see struct msg_event) */
	MSG_IDMAP = 10,    /* S->R: name of a user or group id, before its first use */
	MSG_ROOT_FP = 11,  /* S->R: fingerprint of the whole source */
	MSG_TABLE = 12,    /* R->S: fingerprints of the receiver's directories, in pieces; the last has END */
	MSG_DIR = 13,      /* S->R: listing of one directory (or a piece of it) */
	MSG_LIST_END = 14, /* S->R: every directory that differs has been listed */
	MSG_WANT = 15,     /* R->S: which files of one listed directory to send, and how */
	MSG_PACK = 16,     /* S->R: several whole small files of one directory */
	MSG_CHUNK = 17,    /* S->R: a piece of one large file */
	MSG_REFINE_REQ = 18, /* S->R: fine hashes of basis ranges, please */
	MSG_REFINE = 19,     /* R->S: the fine hashes */
	MSG_LIST_PATH = 20,  /* R->S: list this directory (and below) after all */
	MSG_DONE = 21,       /* R->S: these files are safe at the destination (for --remove-source-files) */
	MSG_SUMMARY = 22,    /* R->S: counts and result; the session is over for the receiver */
	MSG_BYE = 23,        /* S->R: seen; close */
};

/* --- frames --- */

struct frame {
	enum msg_type type;
	enum codec_id codec;
	uint32_t wire_len;
	uint32_t raw_len;
};

/* Encode a header into 10 bytes. Decode checks type, codec and lengths; 0 or -1 with ERR_PROTOCOL. Types
 * 128..159 pass (frames.c skips them), other unknown ones do not. */
void frame_header_encode(const struct frame *f, uint8_t out[FRAME_HEADER_BYTES]);
int frame_header_decode(struct frame *f, const uint8_t in[FRAME_HEADER_BYTES], struct err *e);

/* "DIR", "CHUNK", ... for messages to people; "?" for an unknown type. */
const char *msg_type_name(enum msg_type type);

/* Was the message used up exactly, without a fault? For callers that walk a list. `what` names it. */
int msg_finish(const struct cursor *c, const char *what, struct err *e);

/* A path as a peer may give it: "" (the root), or components separated by single slashes, each accepted by
 * entry_name_ok(); at most PATH_BYTES_MAX bytes. */
bool msg_path_ok(const char *path, size_t len);

/* --- START --- */

/* PUSH: send to a third host, named in the options, as that host's client; answer with EVENTs, then SUMMARY or FATAL. */
enum start_role { START_SEND = 1, START_RECEIVE = 2, START_PUSH = 3 };
enum start_flag {
	START_WANT_ITEMS = 1, /* events for every changed entry are wanted */
	START_CONTENTS = 2,   /* the path had a trailing slash: its contents, not itself */
};
struct msg_start {
	uint32_t version;
	enum start_role role;
	uint32_t flags;
	const char *path; /* bytes, path_len of them; NUL-terminated after decoding (own memory: xfree by
	                     msg_start_release) */
	const uint8_t *options; /* opt_encode() over sync_option_table */
	size_t options_len;
};
void msg_start_encode(const struct msg_start *m, struct buf *out);
int msg_start_decode(struct msg_start *m, struct cursor *c, struct err *e);
void msg_start_release(struct msg_start *m); /* frees path */

/* --- HELLO --- */

enum hello_flag {
	HELLO_ROOT = 1,  /* this end runs as root: may change owners */
	HELLO_EMPTY = 2, /* receiver: the destination does not exist or is empty: list and send everything, do
	                    not wait */
	HELLO_NO_FP = 4, /* receiver: no fingerprints wanted: list everything, send what is asked for */
	HELLO_SINGLE = 8, /* sender: the source is not a directory, or a directory without trailing slash: the
	                     list has one top entry */
	HELLO_FILE = 32,  /* sender, with SINGLE: the top entry is no directory */
};
struct msg_hello {
	uint32_t version; /* highest the end speaks; both use the lower one */
	uint32_t flags;
	uint8_t nonce[16]; /* session key and hash seeds are drawn from both: see proto_session_keys() */
	uint8_t verify[3]; /* enum verify_kind, best first, 0 = none */
	uint8_t codecs;    /* bit n = codec n is known */
	char software[32]; /* NUL-terminated, printable */
	char single[ENTRY_NAME_MAX + 1]; /* with SINGLE: the name of the top entry */
};
void msg_hello_encode(const struct msg_hello *m, struct buf *out);
int msg_hello_decode(struct msg_hello *m, struct cursor *c, struct err *e);

struct session_keys {
	uint8_t verify_key[VERIFY_KEY_BYTES];
	uint64_t fp_seed;
	uint64_t sig_seed;
	enum verify_kind verify;
};
/* Both ends compute the same: SHA-256 over the two nonces (sender's first) with a label; verify = first of
 * the sender's list that the receiver also has. ERR_VERSION when there is none. */
int proto_session_keys(struct session_keys *k, const struct msg_hello *sender,
	const struct msg_hello *receiver, struct err *e);

/* --- small ones --- */

struct msg_fatal {
	enum err_code code;
	char text[1024];
};
void msg_fatal_encode(
	enum err_code code, const char *text, struct buf *out); /* code travels as its table name */
int msg_fatal_decode(struct msg_fatal *m, struct cursor *c, struct err *e);

/* Something for people: an item that was (or would be) changed, or a fault of one entry. */
enum event_kind { EVENT_ITEM = 1, EVENT_DELETE = 2, EVENT_MOVE = 3, EVENT_ENTRY_ERROR = 4, EVENT_NOTE = 5 };
struct msg_event {
	enum event_kind kind;
	enum err_code code; /* ENTRY_ERROR */
	uint32_t iflags;    /* ITEM: enum item_flag of sync/plan.h */
	uint32_t mode;      /* type of the entry */
	uint64_t size;
	const char *path; /* relative to the destination, path_len bytes (borrowed, not NUL-terminated) */
	size_t path_len;
	const char *extra; /* MOVE: old path; ITEM: symlink target or hard-link leader; ERROR, NOTE: text */
	size_t extra_len;
};
void msg_event_encode(const struct msg_event *m, struct buf *out);
int msg_event_decode(struct msg_event *m, struct cursor *c, struct err *e);

struct msg_idmap {
	bool is_group;
	uint32_t id;
	const char *name; /* borrowed, name_len bytes, 1..255 */
	size_t name_len;
};
void msg_idmap_encode(const struct msg_idmap *m, struct buf *out);
int msg_idmap_decode(struct msg_idmap *m, struct cursor *c, struct err *e);

struct msg_root_fp {
	struct hash128 fp;
	uint64_t entries, files, bytes; /* totals of the source, for people */
};
void msg_root_fp_encode(const struct msg_root_fp *m, struct buf *out);
int msg_root_fp_decode(struct msg_root_fp *m, struct cursor *c, struct err *e);

/* --- TABLE: rows of fixed size, little-endian: u64 path hash, 16 bytes subtree fingerprint */

struct table_row {
	uint64_t path_hash;
	struct hash128 tree;
};
enum { TABLE_ROW_BYTES = 24, TABLE_FLAG_END = 1 };
void msg_table_begin(struct buf *out, bool end, size_t rows);
void msg_table_row(struct buf *out, const struct table_row *row);
int msg_table_decode(
	struct cursor *c, bool *end, size_t *rows, struct err *e); /* then msg_table_next() rows times */
void msg_table_next(struct cursor *c, struct table_row *row);

/* --- DIR --- */

enum dir_flag {
	DIR_MORE = 1,       /* further pieces of the same directory follow directly */
	DIR_CONTINUED = 2,  /* a further piece: no path and attributes */
	DIR_INCOMPLETE = 4, /* read errors: nothing may be deleted in it */
	DIR_PARTIAL = 8,    /* a selection: entries not listed are not absent */
	DIR_IMPLIED = 16,   /* attributes of the directory itself are not to be applied */
	DIR_FAILED = 32,    /* could not be opened at all; no entries */
};
struct msg_dir {
	uint64_t id;        /* from 1, in no particular order, never reused */
	uint64_t parent_id; /* 0 when the parent is not listed in this session */
	uint32_t flags;
	const char *path; /* whole path relative to the root, "" for the root; borrowed, path_len bytes */
	size_t path_len;
	struct entry
		self; /* attributes of the directory itself (name empty), unless CONTINUED; xattrs borrowed */
	size_t count; /* entries in this piece */
};
/* Coder state: entries are written as differences to the previous one of the same frame. Zeroed at the start
 * of each frame. It borrows the previous entry's xattrs, which must live until the next call. */
struct entry_coder {
	struct entry prev;
	char prev_name[ENTRY_NAME_MAX + 1];
};
void msg_dir_encode_head(const struct msg_dir *m, struct buf *out); /* count must be known */
/* Names in ascending order. ctime, dev, ino and nlink do not travel. A target or xattr blob over its limit is
 * left out and the entry marked ENTRY_UNREADABLE: report that where it was scanned. */
void msg_dir_encode_entry(struct entry_coder *k, const struct entry *en, struct buf *out);
int msg_dir_decode_head(struct msg_dir *m, struct cursor *c, struct err *e);
/* Appends the entry to list (strings copied into its arena). Refuses names that entry_name_ok() refuses,
 * names not in strictly ascending order, unknown types, malformed xattr blobs, symlink targets over 4095
 * bytes or empty. */
int msg_dir_decode_entry(struct entry_coder *k, struct dirlist *list, struct cursor *c, struct err *e);

struct msg_list_end {
	bool errors;                 /* something in the source could not be read: delete nothing */
	uint64_t dirs, files, bytes; /* totals seen */
};
void msg_list_end_encode(const struct msg_list_end *m, struct buf *out);
int msg_list_end_decode(struct msg_list_end *m, struct cursor *c, struct err *e);

/* --- WANT --- */

enum want_kind {
	WANT_WHOLE = 0,
	WANT_DELTA = 1,         /* a signature (delta/delta.h wire form) follows as a blob */
	WANT_DELTA_INPLACE = 2, /* the same, aligned blocks only */
	WANT_UNLESS = 3, /* a verification tag follows: answer SAME when the source's content has it, else
	                    send the whole file (in a dry run: answer OTHER) */
};
struct want_item {
	uint64_t index; /* into the directory's entries as listed, over all pieces */
	enum want_kind kind;
	const uint8_t *data; /* signature or tag, borrowed */
	size_t data_len;
};
/* last: nothing more will be wanted of this directory. */
void msg_want_begin(struct buf *out, uint64_t dir_id, size_t items, bool last);
void msg_want_item(struct buf *out, const struct want_item *item);
int msg_want_decode(struct cursor *c, uint64_t *dir_id, size_t *items, bool *last, struct err *e);
int msg_want_next(struct cursor *c, struct want_item *item, struct err *e);

/* --- PACK and CHUNK --- */

enum file_status {
	FILE_OK = 0,
	FILE_SAME = 1,
	FILE_ERROR = 2,
	FILE_CHANGED = 3, /* changed while it was read: forget it, another attempt follows */
	FILE_VANISHED = 4,
	FILE_REFRESHED = 5, /* as FILE_OK, but it had changed since it was listed: its time now follows */
	FILE_OTHER = 6,     /* CHUNK: answer to UNLESS in a dry run, which sends no contents */
};
struct pack_file {
	uint64_t index;
	enum file_status status;
	const uint8_t *data; /* FILE_OK, REFRESHED: the content, borrowed */
	size_t size;
	uint8_t tag[VERIFY_TAG_BYTES]; /* FILE_OK, REFRESHED */
	struct entry_time mtime;       /* REFRESHED */
};
void msg_pack_begin(struct buf *out, uint64_t dir_id);
void msg_pack_file(struct buf *out, const struct pack_file *f);
int msg_pack_decode(struct cursor *c, uint64_t *dir_id, struct err *e);
/* 1 = *f filled, 0 = end of the frame, -1 = *e */
int msg_pack_next(struct cursor *c, struct pack_file *f, struct err *e);

enum chunk_flag { CHUNK_FIRST = 1, CHUNK_LAST = 2 };
struct msg_chunk {
	uint64_t dir_id;
	uint64_t index;
	uint32_t flags;
	enum file_status status;       /* LAST */
	uint8_t tag[VERIFY_TAG_BYTES]; /* LAST and FILE_OK or REFRESHED */
	struct entry_time mtime;       /* LAST and REFRESHED */
};
void msg_chunk_begin(struct buf *out, const struct msg_chunk *m);
int msg_chunk_decode(struct msg_chunk *m, struct cursor *c, struct err *e);
enum chunk_op { CHUNK_DATA = 1, CHUNK_HOLE = 2, CHUNK_COPY = 3 };
struct chunk_record {
	enum chunk_op op;
	uint64_t len;
	uint64_t basis_offset; /* COPY */
	const uint8_t *data;   /* DATA, borrowed */
};
void msg_chunk_record(struct buf *out, const struct chunk_record *r);
int msg_chunk_next(struct cursor *c, struct chunk_record *r, struct err *e); /* 1, 0 at the end, -1 */

/* --- REFINE --- */

/* REFINE_REQ: varint dir_id, varint index, varint n, n x {varint basis_offset/4096, varint pieces}; REFINE:
 * dir_id, index, varint n, n x u64 hash. The pieces of one request must not exceed REFINE_PIECES_MAX. */
struct delta_range;
void msg_refine_req_encode(
	uint64_t dir_id, uint64_t index, const struct delta_range *ranges, size_t n, struct buf *out);
int msg_refine_req_decode(uint64_t *dir_id, uint64_t *index, struct delta_range **ranges, size_t *n,
	struct cursor *c, struct err *e); /* malloc'ed */
void msg_refine_encode(uint64_t dir_id, uint64_t index, const uint64_t *hashes, size_t n, struct buf *out);
int msg_refine_decode(uint64_t *dir_id, uint64_t *index, uint64_t **hashes, size_t *n, struct cursor *c,
	struct err *e); /* malloc'ed */

/* --- the end --- */

/* LIST_PATH: blob path. DONE: varint dir_id, varint n, n x varint index. */
void msg_list_path_encode(const char *path, size_t len, struct buf *out);
int msg_list_path_decode(const char **path, size_t *len, struct cursor *c, struct err *e); /* borrowed */
void msg_done_encode(uint64_t dir_id, const uint64_t *indexes, size_t n, struct buf *out);
/* Then msg_done_next() n times and msg_finish(). */
int msg_done_decode(uint64_t *dir_id, size_t *n, struct cursor *c, struct err *e);
uint64_t msg_done_next(struct cursor *c);

struct sync_counts {
	uint64_t entries;                                            /* seen in the source */
	uint64_t files;                                              /* regular files in the source */
	uint64_t total_bytes;                                        /* their size */
	uint64_t created, updated, metadata, deleted, moved, linked; /* entries */
	uint64_t sent_files; /* regular files whose content was transferred */
	uint64_t sent_bytes; /* size of those files */
	uint64_t literal_bytes, matched_bytes;
	uint64_t entry_errors; /* faults that were reported */
	uint64_t vanished;
	uint64_t retried; /* files sent again because they changed or did not verify */
};
struct msg_summary {
	struct sync_counts counts;
	enum err_code result; /* ERR_NONE, ERR_PARTIAL, ERR_VANISHED, ERR_MAX_DELETE, ... */
};
void msg_summary_encode(const struct msg_summary *m, struct buf *out);
int msg_summary_decode(struct msg_summary *m, struct cursor *c, struct err *e);

#endif
