/*
 * Every option of `wherry sync`, in one plain struct. The table that parses, prints, documents and sends them
 * is in sync_options.c (one row per option, opt/opt.h); defaults are there too.
 * Role      pure data.
 */
#ifndef WHERRY_SYNC_OPTIONS_H
#define WHERRY_SYNC_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"
#include "opt/opt.h"

#include <stdbool.h>
#include <stdint.h>

enum fsync_policy { FSYNC_NONE, FSYNC_BATCH, FSYNC_STRICT };
enum compress_kind { COMPRESS_AUTO, COMPRESS_NONE, COMPRESS_ZSTD, COMPRESS_LZ4 };

struct sync_options {
	/* what is kept */
	bool recursive; /* default true */
	bool links;     /* symlinks as symlinks */
	bool perms, times, dir_times, link_times, owner, group, devices, specials, hard_links, acls, xattrs,
		sparse; /* all default true */
	bool numeric_ids;
	struct opt_strings usermap,
		groupmap; /* --usermap FROM:TO,... ; --groupmap; --chown USER:GROUP expands into both */
	char *chmod;      /* rsync's --chmod syntax, applied by the receiver, or NULL */

	/* choosing */
	struct opt_strings rules; /* filter rules in command-line order: --include, --exclude, --filter,
	                             --exclude-from, --include-from, -C, -F, each stored as rsync filter-rule
	                             text; *-from files are read while parsing and become rules */
	char *files_from;         /* path or "-", NULL when unset */
	bool from0;
	uint64_t max_size, min_size; /* bytes; max_size 0 = none. Suffixes K M G T (1024) and KB MB .. (1000),
	                                +1/-1 as in rsync */
	bool one_file_system, existing, ignore_existing, update, checksum, size_only, ignore_times,
		prune_empty_dirs, safe_links, copy_links, copy_unsafe_links, copy_dirlinks, keep_dirlinks,
		omit_dir_times, omit_link_times, whole_file;
	int64_t modify_window; /* seconds; 0 = exact to the ns; -1 is accepted as 0 */

	/* changing */
	bool del, delete_excluded, force_empty, force, ignore_errors, backup, inplace, append_verify,
		remove_source_files, dry_run, mkpath,
		fuzzy;      /* fuzzy: look for a similar basis; default true */
	int64_t max_delete; /* entries; -1 = no limit */
	char *backup_dir, *suffix, *temp_dir;
	struct opt_strings link_dest, compare_dest, copy_dest;
	uint64_t bwlimit;        /* bytes per second, 0 = none */
	int compress;            /* enum compress_kind */
	int compress_level;      /* 0 = the codec's default */
	int fsync;               /* enum fsync_policy, default batch */
	int timeout, contimeout; /* seconds, 0 = none; contimeout default 30 */
	int threads;             /* worker threads, 0 = by the number of cores (2..8) */

	/* people */
	bool itemize, stats, json, progress, no_progress, human_readable;
	int quiet, verbose; /* counts */
	char *log_file;

	/* how to get there */
	char *rsh;            /* -e; NULL = $WHERRY_RSH or "ssh" */
	char *remote_command; /* NULL = "wherry" */
	bool relay;           /* remote to remote: always through this host */
};

/* The table: rows for opt_parse(), opt_help(), opt_encode() over a struct sync_options. NULL-name row ends
 * it. */
extern const struct opt_row sync_option_table[];

/* Defaults for every field. */
void sync_options_init(struct sync_options *o);
void sync_options_release(struct sync_options *o);

/* What one row cannot say: combinations that exclude each other, option implications (-a, --no-...,
 * --backup-dir implies --backup,
 * --delete-excluded implies --delete, --append-verify implies --inplace, ...). 0 or -1 with ERR_USAGE. */
int sync_options_check(struct sync_options *o, struct err *e);

#endif
