/*
 * What both ends of a session share: the line, the agreed keys, per-thread tools, and how a session fails.
 * Role      network, threads.
 * Lifetime  session_init() .. session_release(); borrows frames, report, options.
 * Threads   session_send() and session_fail() from any thread, session_recv() from the session's own.
 */
#ifndef WHERRY_SYNC_SESSION_H
#define WHERRY_SYNC_SESSION_H

#include "os/pool.h"
#include "proto/frames.h"
#include "proto/msg.h"
#include "sync/report.h"
#include "sync/sync_options.h"

#include <pthread.h>

struct session {
	const struct sync_options *o;
	struct frames *frames;
	struct chan *chan;
	struct report *report;
	struct pool *pool;
	struct msg_hello mine, peer;
	struct session_keys keys;
	_Atomic bool stop;
	struct err fatal; /* first fault, under lock */
	bool fatal_from_peer;
	pthread_mutex_t lock;
	pthread_key_t worker_key;
	struct session_worker *workers;       /* all of them, for freeing; under lock */
	_Atomic uint64_t rate_bytes, rate_ns; /* how fast content went out uncompressed */
	_Atomic bool squeeze;                 /* the line is slower than the compressor */
};

/* Tools of one thread. */
struct session_worker {
	struct session_worker *next;
	struct codec_enc *enc;
	struct verifier *verifier; /* after the keys are known */
	struct buf out;            /* scratch for one message */
	uint8_t *io;               /* SESSION_IO_BYTES of scratch */
};
enum { SESSION_IO_BYTES = 1 << 20 };

void session_init(struct session *s, const struct sync_options *o, struct chan *chan, struct frames *frames,
	struct report *report);
void session_release(struct session *s);

/* Fill `mine` with what this host can do. */
void session_prepare_hello(struct session *s, uint32_t flags);
int session_send_hello(struct session *s, struct err *e);
int session_recv_hello(struct session *s, struct err *e);

/* With both HELLOs: draw the keys, choose the codec. */
int session_agree(struct session *s, bool we_send, struct err *e);

/* This thread's tools. */
struct session_worker *session_worker(struct session *s);

/* Send a message. Listings are compressed always, contents where it pays. A failure is the session's end: it is noted (session_fail). 0 or -1. */
int session_send(struct session *s, enum msg_type type, const struct buf *payload);

/* Next message. 1; 0 = the line was closed; -1 = *e. FATAL from the peer comes as -1 with its text. EVENTs are reported here and not returned. */
int session_recv(struct session *s, enum msg_type *type, struct buf *payload, struct err *e);

/* The session cannot go on: remembers the first fault, stops the workers, wakes the reader. */
void session_fail(struct session *s, const struct err *e);
bool session_stopped(const struct session *s);

/* Tell the peer why we stop, when it is still there. */
void session_send_fatal(struct session *s, const struct err *e);

/* The fault the session ended with, or `e` when there was none before. */
void session_fault(struct session *s, struct err *e);

#endif
