/*
 * The sending end of a session: lists what differs, answers what is wanted.
 * Role      network, OS, threads.
 */
#ifndef WHERRY_SYNC_SEND_H
#define WHERRY_SYNC_SEND_H

#include "sync/session.h"
#include "sync/source.h"

/*
 * Run the session to its end. `s` is initialised and has a pool. With --dry-run nothing is read but metadata. *counts and *result are what the receiver
 * says at the end. 0, or -1 with *e (the peer has been told).
 */
int send_run(struct session *s, struct source *source, struct sync_counts *counts, enum err_code *result,
	struct err *e);

#endif
