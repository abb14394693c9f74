/*
 * What people and programs see of a run: events, progress, log file, JSON lines, summary.
 * Role      OS (terminal); everything else in sync/ only calls in here.
 * Lifetime  report_new() .. report_end() .. report_free(). A thread of its own draws the progress line, writes
 *           out what is buffered, and ends in report_end() or report_free(); in forward mode there is none.
 * Threads   every function from any thread, except report_end() and report_free(): owner only, last.
 * Streams   item lines, JSON, --stats and the summary go to stdout; errors, notes and the progress line to
 *           stderr. Lines are never mixed, in each stream they keep their order, and stdout is brought up to
 *           date before a line goes to stderr. On a pipe or file lines may wait up to 0.1 s.
 * Formats   docs/JSON.md for --json; item lines are rsync's `%i %n%L`, to which wherry adds
 *           `mv          old -> new`. Control characters and bytes that are no UTF-8 are escaped here.
 */
#ifndef WHERRY_SYNC_REPORT_H
#define WHERRY_SYNC_REPORT_H

#include "proto/msg.h"
#include "sync/sync_options.h"

#include <stdatomic.h>

struct report;

enum progress_phase { PHASE_CONNECT, PHASE_SCAN, PHASE_TRANSFER, PHASE_DELETE, PHASE_FINISH };

/* Counters that workers increase as they go; the progress line reads them. Totals are 0 while unknown. */
struct progress {
	_Atomic uint64_t files_done, bytes_done, files_total, bytes_total, dirs_scanned, entries_scanned;
	_Atomic int phase; /* enum progress_phase */
};

/* A report on the process's stdout and stderr. Opens the log file; NULL with *e when that fails. `opts` must
 * outlive the report. forward (may be NULL): events are counted and go there instead of to people (a server
 * passes them to its client); it is called by the thread that reports, several at once; nothing is printed and
 * no log file is opened. */
struct report *report_new(const struct sync_options *opts,
	void (*forward)(void *ctx, const struct msg_event *ev), void *ctx, struct err *e);

/* The same on other descriptors (borrowed), for tests. */
struct report *report_new_fds(const struct sync_options *opts, int out_fd, int err_fd,
	void (*forward)(void *ctx, const struct msg_event *ev), void *ctx, struct err *e);

/* The first words: the endpoints as the user wrote them, for the log file and the JSON "start" object.
 * Optional; without it the JSON output begins with a "start" object that does not name them. */
void report_start(struct report *r, const char *source, const char *destination);

struct progress *report_progress(struct report *r);

/* True when someone reads item, delete and move events (-v, -i, --json, --log-file, forward): without it they
 * need not be made at all. */
bool report_wants_items(const struct report *r);

/* One thing that happened (or, with --dry-run, would happen). Counts errors. Strings are escaped here; they may
 * hold any byte. Items that do not differ (no flag set) are shown only from -vv on. */
void report_event(struct report *r, const struct msg_event *ev);

/* Convenience: fault of one entry (severity "entry": the run goes on and ends with partial). path as bytes
 * with NUL; "" for a fault that belongs to no entry. */
void report_entry_error(struct report *r, const char *path, const struct err *e);
void report_note(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Entry errors so far; those with ERR_VANISHED are counted apart from all others. */
uint64_t report_error_count(const struct report *r);
uint64_t report_vanished_count(const struct report *r);

/* Last words: clears the progress line, prints fatal (to stderr), the --stats block, the summary (two lines
 * unless quiet), the JSON "end" object, and for a result other than ERR_NONE one line on stderr that says so.
 * wire bytes as measured at this end, both 0 for a local run. counts and fatal may be NULL. With fatal, result
 * is fatal->code. */
void report_end(struct report *r, const struct sync_counts *counts, uint64_t wire_in, uint64_t wire_out,
	const struct err *fatal, enum err_code result);
void report_free(struct report *r);

#endif
