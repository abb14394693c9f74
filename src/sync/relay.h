/*
 * Remote to remote, when the two hosts cannot reach each other: frames pass through here.
 * Role      network, threads.
 */
#ifndef WHERRY_SYNC_RELAY_H
#define WHERRY_SYNC_RELAY_H

#include "sync/remote.h"

int relay_sync(const struct sync_options *o, const struct endpoint *src, const struct endpoint *dst,
	struct report *report, struct sync_counts *counts, struct remote_traffic *traffic, struct err *e);

#endif
