/*
 * Where a run's destination is: rsync's rules for the last component, and creating it.
 * Role      OS.
 */
#ifndef WHERRY_SYNC_DEST_ROOT_H
#define WHERRY_SYNC_DEST_ROOT_H

#include "sync/sync_options.h"

struct dest_root {
	int fd;          /* the directory, or -1: it does not exist (dry run) */
	bool created;    /* it was made now, or would be */
	bool empty;      /* nothing is in it */
	char *rename_to; /* single file: its name at the destination, malloc'ed, or NULL for the source's own */
};

/*
 * source_is_file: the source is one entry that is no directory: `path` may then name a file,
 * whose directory has to be there (or --mkpath makes it). Otherwise `path` names a directory, made when
 * it is missing (its parent too with --mkpath). restrict_fd >= 0: resolve beneath it, following no symlinks. 0 or -1.
 */
int dest_root_open(struct dest_root *r, const struct sync_options *o, const char *path, bool source_is_file,
	int restrict_fd, struct err *e);
void dest_root_close(struct dest_root *r);

#endif
