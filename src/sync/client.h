/*
 * The wire side of a run's beginning: what START carries besides the path.
 * Role      pure computation.
 */
#ifndef WHERRY_SYNC_CLIENT_H
#define WHERRY_SYNC_CLIENT_H

#include "proto/msg.h"
#include "sync/endpoint.h"
#include "sync/sync_options.h"

/* A START message for a server: its part, the path, the options, and for a sender the list of --files-from. PUSH: also where to. */
void start_encode(const struct sync_options *o, enum start_role role, const struct endpoint *ep,
	const struct endpoint *target, bool want_items, struct buf *out);

/* The options of a START into *o, and the target of a PUSH into *target (both initialised here, release them in any case). 0 or -1 with *e. */
int start_options(const struct msg_start *m, struct sync_options *o, struct endpoint *target, struct err *e);

/* An endpoint as the user would write it; malloc'ed. */
char *endpoint_text(const struct endpoint *ep);

#endif
