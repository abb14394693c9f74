/*
 * What rows of the option table do beyond storing a value: see opt_hook in opt/opt.h. Only for
 * sync_option_table.c.
 * Role      pure data, but for *_from, which read the file that the user named.
 */
#ifndef WHERRY_SYNC_OPTION_HOOKS_H
#define WHERRY_SYNC_OPTION_HOOKS_H

#include "opt/opt.h"

#define SYNC_HOOK(name)                                                                                      \
	int name(const struct opt_row *row, void *target, const char *value, bool negated, struct err *e)

SYNC_HOOK(sync_hook_none);      /* accepted, changes nothing */
SYNC_HOOK(sync_hook_archive);   /* -a */
SYNC_HOOK(sync_hook_recursive); /* notes that -r or --no-r was said */
SYNC_HOOK(sync_hook_dirs);      /* -d */
SYNC_HOOK(sync_hook_special);   /* -D */
SYNC_HOOK(sync_hook_idmap);     /* --usermap, --groupmap: splits at commas and validates the last element */
SYNC_HOOK(sync_hook_chown);
SYNC_HOOK(sync_hook_chmod); /* validates */
SYNC_HOOK(sync_hook_exclude);
SYNC_HOOK(sync_hook_include);
SYNC_HOOK(sync_hook_exclude_from);
SYNC_HOOK(sync_hook_include_from);
SYNC_HOOK(sync_hook_dir_filter); /* -F */
SYNC_HOOK(sync_hook_compress);
SYNC_HOOK(sync_hook_progress);
SYNC_HOOK(sync_hook_not_empty); /* validates a string, or the last element of a list */

#endif
