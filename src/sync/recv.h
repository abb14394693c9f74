/*
 * The receiving end of a session: compares, asks for what it lacks, applies.
 * Role      network, OS, threads.
 */
#ifndef WHERRY_SYNC_RECV_H
#define WHERRY_SYNC_RECV_H

#include "sync/session.h"

struct recv_params {
	const char *path; /* the destination as the user gave it */
	int restrict_fd;  /* resolve beneath this directory, or -1 */
	bool want_items;  /* somebody reads events */
	bool pushed;      /* the client is the sender */
	/* Called when the destination is open, before any thread works in it: a server shuts itself in. 0 or -1. May be NULL. */
	int (*confine)(void *ctx, int root_fd, struct err *e);
	void *ctx;
};

/* Run the session to its end. `s` is initialised, without pool. *counts is filled as far as known. 0, or -1 with *e (the peer has been told). */
int recv_run(struct session *s, const struct recv_params *p, struct sync_counts *counts, struct err *e);

#endif
