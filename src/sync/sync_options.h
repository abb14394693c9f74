/*
 * Every option of `wherry sync`, in one plain struct. The table that parses, prints, documents and sends them
 * is sync_option_table.c (one row per option, opt/opt.h).
 * Role      pure data, but for two that read files the user named: parsing (--exclude-from, --include-from)
 *           and sync_options_read_files_from().
 * Lifetime  caller's storage, sync_options_init() .. sync_options_release(); owns its strings.
 * Threads   read-only after sync_options_check().
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
	bool recursive; /* default true; false with --files-from unless -r was given */
	bool recursive_given;
	bool links; /* symlinks as symlinks */
	/* all default true */
	bool perms, times, owner, group, devices, specials, hard_links, acls, xattrs, sparse;
	/* derived by check and decode: times, and not omit_dir_times, omit_link_times */
	bool dir_times, link_times;
	bool numeric_ids;
	/* Each element is one FROM:TO, the first match wins. FROM is a name with * and ?, a number, LOW-HIGH, or
	 * empty (an id without a name); TO a name or a number. --chown USER:GROUP becomes *:USER and *:GROUP. */
	struct opt_strings usermap, groupmap;
	char *chmod; /* rsync's --chmod syntax (sync/chmod.h), applied by the receiver, or NULL */

	/* choosing */
	struct opt_strings rules; /* filter rules in command-line order: --include, --exclude, --filter,
	                             --exclude-from, --include-from, -C, -F, each stored as rsync filter-rule
	                             text; *-from files are read while parsing and become rules */
	bool cvs_exclude;         /* -C: check() appends ":C" and "-C" to rules */
	char *files_from;         /* path or "-", NULL when unset */
	char *files_list; /* content of files_from, see sync_options_read_files_from(); NULL when unset. Not in the
	                             table: the session sends it apart */
	size_t files_list_len;
	bool from0;
	uint64_t max_size, min_size; /* bytes; max_size 0 = none. Suffixes K M G T (1024) and KB MB .. (1000),
	                                +1/-1 as in rsync */
	bool one_file_system, existing, ignore_existing, update, checksum, size_only, ignore_times,
		prune_empty_dirs, safe_links, copy_links, copy_unsafe_links, copy_dirlinks, keep_dirlinks,
		omit_dir_times, omit_link_times, whole_file;
	int64_t modify_window; /* seconds; 0 = exact to the ns; -1 is accepted as 0 */

	/* changing */
	bool del, delete_excluded, force_empty, force, ignore_errors, backup, inplace, append_verify,
		remove_source_files, dry_run, mkpath;
	int64_t max_delete;                   /* entries; -1 = no limit */
	char *backup_dir, *suffix, *temp_dir; /* suffix: never NULL after check/decode when backup is set */
	struct opt_strings link_dest, compare_dest, copy_dest;
	uint64_t bwlimit;        /* bytes per second, 0 = none */
	int compress;            /* enum compress_kind */
	int compress_level;      /* 0 = the codec's default */
	int fsync;               /* enum fsync_policy, default batch */
	int timeout, contimeout; /* seconds, 0 = none; contimeout default 30 */
	int threads;             /* worker threads, 0 = by the number of cores (2..8) */

	/* people */
	bool help;
	bool itemize, stats, json, human_readable;
	bool progress, no_progress; /* neither: decide by the terminal */
	int quiet, verbose;         /* counts */
	char *log_file;

	/* how to get there */
	char *rsh;            /* -e; NULL = $WHERRY_RSH or "ssh" */
	char *remote_command; /* NULL = "wherry" */
	bool relay;           /* remote to remote: always through this host */
};

/* The table: rows for opt_parse(), opt_help(), opt_encode() over a struct sync_options. NULL-name row ends it. */
extern const struct opt_row sync_option_table[];

/* Defaults for every field. */
void sync_options_init(struct sync_options *o);
void sync_options_release(struct sync_options *o);

/*
 * After opt_parse(): what one row cannot say. Refuses combinations that exclude each other and fills in what
 * options imply: --backup-dir: --backup; --delete-excluded: --delete; --append-verify: --inplace; --no-perms:
 * --no-acls; --files-from: --no-recursive unless -r; -C: its rules; --backup with --delete: a rule that
 * protects the backups. May be called again. 0 or -1 with ERR_USAGE.
 */
int sync_options_check(struct sync_options *o, struct err *e);

/*
 * Options of a peer (opt_encode() over the table) into *o, which holds the defaults; then the derived fields
 * as by check. Refuses, besides what opt_decode() refuses, rules that would make this end read a file of the
 * peer's choice ("merge FILE"; dir-merge is fine) with ERR_REFUSED. 0 or -1.
 */
int sync_options_decode(struct sync_options *o, struct cursor *c, struct err *e);

/*
 * Read o->files_from ("-" is stdin; nothing happens when it is unset) into o->files_list: names relative to
 * the source, each NUL-terminated, without leading "/", "./", doubled or trailing slashes; "." is the source
 * itself. Sorted so that a directory stands directly before what is below it, duplicates dropped. ".." in a
 * name is ERR_USAGE, an unreadable file is ERR_SOURCE. May block on stdin. 0 or -1.
 */
int sync_options_read_files_from(struct sync_options *o, struct err *e);

#endif
