/*
 * What people and programs see of a run: events, progress, log file, JSON lines, summary.
 * Role      OS (terminal); everything else in sync/ only calls in here.
 * Threads   every function from any thread.
 * Streams   item lines, JSON, --stats and the summary go to stdout; errors, notes and the progress line to
 * stderr.
 */
#ifndef WHERRY_SYNC_REPORT_H
#define WHERRY_SYNC_REPORT_H

#include "proto/msg.h"
#include "sync/sync_options.h"

struct report;

/* Counters that workers increase as they go; the progress line reads them. */
struct progress {
	_Atomic uint64_t files_done, bytes_done, files_total, bytes_total, dirs_scanned, entries_scanned;
	_Atomic int phase; /* enum progress_phase */
};
enum progress_phase { PHASE_CONNECT, PHASE_SCAN, PHASE_TRANSFER, PHASE_DELETE, PHASE_FINISH };

/* Opens the log file; 0 or -1. `opts` must outlive the report. forward (may be NULL): events go there instead
 * of to people (a server passes them to its client). */
struct report *report_new(const struct sync_options *opts,
	void (*forward)(void *ctx, const struct msg_event *ev), void *ctx, struct err *e);
struct progress *report_progress(struct report *r);

/* One thing that happened (or, with --dry-run, would happen). Counts errors. Strings are escaped here. */
void report_event(struct report *r, const struct msg_event *ev);

/* Convenience: fault of one entry (severity "entry": the run goes on and ends with partial). path as bytes
 * with NUL. */
void report_entry_error(struct report *r, const char *path, const struct err *e);
void report_note(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

uint64_t report_error_count(const struct report *r);
uint64_t report_vanished_count(const struct report *r);

/* Last words: clears the progress line, prints summary (two lines unless quiet), --stats block, JSON "end"
 * object. wire bytes as measured at this end. `fatal` may be NULL. */
void report_end(struct report *r, const struct sync_counts *counts, uint64_t wire_in, uint64_t wire_out,
	const struct err *fatal, enum err_code result);
void report_free(struct report *r);

#endif
