/*
 * The names of --files-from as a tree, so that only they and the directories above them are visited.
 * Role      pure computation.
 * Lifetime  selection_new() .. selection_free(); nodes are borrowed. Read-only after creation.
 */
#ifndef WHERRY_SYNC_SELECTION_H
#define WHERRY_SYNC_SELECTION_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct selection;
struct selection_node;

/* list: NUL-separated relative paths (sync_options_read_files_from() made them clean). NULL with *e. */
struct selection *selection_new(const char *list, size_t len, struct err *e);
void selection_free(struct selection *s);

/* Node of a directory's path ("" = root), or NULL when nothing below it was chosen by name. */
const struct selection_node *selection_find(const struct selection *s, const char *path);

/* Names chosen directly in this directory, sorted. */
size_t selection_count(const struct selection_node *n);
const char *selection_name(const struct selection_node *n, size_t i);

/* Was this directory, or one above it, chosen itself? With -r that means everything in it. */
bool selection_covers(const struct selection *s, const char *path);

/* Is something below this name chosen as well, so that the directory has to be entered? */
bool selection_enters(const struct selection_node *n, const char *name);

#endif
