/*
 * What every run begins with: filter rules, digest cache, number of workers.
 * Role      OS.
 */
#ifndef WHERRY_SYNC_SETUP_H
#define WHERRY_SYNC_SETUP_H

#include "sync/report.h"
#include "sync/sync_options.h"
#include "tree/filter.h"
#include "tree/index.h"

/* The options' rules, in order. NULL with *e. */
struct filter *setup_filter(const struct sync_options *o, struct err *e);

/* The digest cache, or NULL (with a note) when it cannot be used: then everything is read. */
struct index_cache *setup_index(struct report *report);

/* --threads, or two to eight by the number of CPUs. */
unsigned setup_threads(const struct sync_options *o);

#endif
