/*
 * The directory in which the index cache lives: found, made, locked, swept.
 * Role      OS.
 * Threads   no state.
 */
#ifndef WHERRY_TREE_INDEX_DIR_H
#define WHERRY_TREE_INDEX_DIR_H

#include "base/err.h"

/* Open dir (NULL: the default of index_open()), made with its parents when absent. Descriptor, or -1 with *e. */
int index_dir_open(const char *dir, struct err *e);

/* Take the lock for writing: waits at most 2 s for another run. A descriptor to close(), or -1. */
int index_dir_lock(int dir_fd);

/* Remove files of devices that no run has written for INDEX_KEEP_DAYS, temporary ones too. Skipped when another
 * run holds the lock. */
void index_dir_sweep(int dir_fd);

#endif
