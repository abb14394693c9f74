/*
 * The controller of a run: connects the two ends, starts the session, reports.
 */
#ifndef WHERRY_SYNC_SYNC_H
#define WHERRY_SYNC_SYNC_H

#include "sync/endpoint.h"
#include "sync/sync_options.h"

/* Make dst equal to src. Everything is reported before it returns. The exit status (base/err.h). */
int sync_main(struct sync_options *opts, const struct endpoint *src, const struct endpoint *dst);

/* Once per process that syncs or serves: descriptor limit, signals. */
void sync_process_init(void);

#endif
