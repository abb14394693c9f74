/*
 * A run in which at least one end is on another host: connects to it and drives the session.
 * Role      network.
 */
#ifndef WHERRY_SYNC_REMOTE_H
#define WHERRY_SYNC_REMOTE_H

#include "chan/chan.h"
#include "proto/msg.h"
#include "sync/endpoint.h"
#include "sync/report.h"
#include "sync/sync_options.h"

struct remote_traffic {
	uint64_t in, out;     /* bytes on the wire, seen from here */
	enum err_code result; /* what the other end thinks of it: ERR_NONE, ERR_PARTIAL or ERR_VANISHED */
};

/* Run it to the end. *counts and *traffic are filled as far as known. 0, or -1 with *e. */
int remote_sync(const struct sync_options *o, const struct endpoint *src, const struct endpoint *dst,
	struct report *report, struct sync_counts *counts, struct remote_traffic *traffic, struct err *e);

/* Start the server on ep's host; NULL with *e. */
struct chan *remote_connect(const struct sync_options *o, const struct endpoint *ep, struct err *e);

/* Tell a server its part (target: only for START_PUSH). 0 or -1. */
struct frames;
int remote_start(struct frames *f, const struct sync_options *o, enum start_role role,
	const struct endpoint *ep, const struct endpoint *target, bool want_items, struct err *e);

/* Push a tree of this host to a server, as its client. */
int remote_push(const struct sync_options *o, const struct endpoint *src, const struct endpoint *dst,
	struct report *report, struct sync_counts *counts, struct remote_traffic *traffic, struct err *e);

#endif
