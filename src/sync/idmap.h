/*
 * Whose files these are here: translates the sender's user and group ids. By name unless --numeric-ids; then --usermap and --groupmap.
 * Role      OS (name service, through os/ids.h).
 * Threads   idmap_learn() before the first use of an id; looking up from any thread.
 */
#ifndef WHERRY_SYNC_IDMAP_H
#define WHERRY_SYNC_IDMAP_H

#include "sync/sync_options.h"

struct idmap;

/* local: both sides are this host, ids are the same. NULL with *e when a map names an unknown user or group. */
struct idmap *idmap_new(const struct sync_options *o, bool local, struct err *e);
void idmap_free(struct idmap *m);

/* The sender's name for an id. */
void idmap_learn(struct idmap *m, bool is_group, uint32_t id, const char *name, size_t name_len);

/* No translation at all is needed. */
bool idmap_is_identity(const struct idmap *m);

uint32_t idmap_uid(struct idmap *m, uint32_t uid);
uint32_t idmap_gid(struct idmap *m, uint32_t gid);

#endif
