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

/* The options' rules, in order; from_peer: those of another host, which may not name files here. NULL with *e. */
struct filter *setup_filter(const struct sync_options *o, bool from_peer, struct err *e);

/* Replace the user's rules by what they come to: merge files read, "!" applied, so that another host can be told. 0 or -1. */
int setup_expand_rules(struct sync_options *o, struct err *e);

/* The digest cache, or NULL (with a note) when it cannot be used: then everything is read. */
struct index_cache *setup_index(struct report *report);

/* --threads, or two to eight by the number of CPUs. */
unsigned setup_threads(const struct sync_options *o);

/* How often this end has to say something, so that the other does not run into its --timeout. */
int setup_keepalive_ms(const struct sync_options *o);

#endif
