/*
 * Both trees on this host: the source is listed and its files are copied directly, by all workers at once.
 * Role      OS, threads.
 */
#ifndef WHERRY_SYNC_LOCAL_H
#define WHERRY_SYNC_LOCAL_H

#include "sync/report.h"
#include "sync/sync_options.h"

/* Run it to the end. *counts is filled in any case. 0, or -1 with *e. Entry faults are in the report. */
int local_sync(const struct sync_options *o, const char *src, bool contents, const char *dst,
	struct report *report, struct sync_counts *counts, struct err *e);

#endif
