/*
 * Inside of the report: its state, and what its files offer each other. Only sync/report*.c include this.
 * report.c       life, events, dispatch
 * report_out.c   descriptors: buffers of whole lines, the terminal's one changing line
 * report_meter.c progress: rate, time left, the text of the line, the ticking thread
 * report_text.c  words for people: items, errors, summary, --stats
 * report_json.c  one object per event
 * Threads   functions that take a struct report need r->lock unless they say otherwise.
 * Units     _ns of the monotonic clock.
 */
#ifndef WHERRY_SYNC_REPORT_IMPL_H
#define WHERRY_SYNC_REPORT_IMPL_H

#include "base/buf.h"
#include "sync/report.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { BAR_MAX = 512 };

struct report_out {
	int fd; /* -1 = none */
	bool tty;
	dev_t device;       /* of the terminal */
	bool failed;        /* writing failed: nothing more is tried */
	struct buf pending; /* whole lines not yet written */
	size_t line_start;  /* of the line being made */
};

struct report_meter {
	uint64_t last_ns; /* 0 = no byte seen yet */
	uint64_t last_bytes;
	uint64_t rate_bps;
};

enum report_progress_kind {
	REPORT_PROGRESS_NONE,
	REPORT_PROGRESS_BAR,   /* one changing line on a terminal */
	REPORT_PROGRESS_LINES, /* a line per second */
	REPORT_PROGRESS_JSON,  /* an object per second */
};

struct report {
	const struct sync_options *opts;
	void (*forward)(void *ctx, const struct msg_event *ev);
	void *ctx;
	struct progress progress;
	_Atomic uint64_t errors, vanished;
	uint64_t started_ns;
	enum report_progress_kind progress_kind;

	pthread_mutex_t lock;
	pthread_cond_t wake; /* the ticker should end */
	pthread_t ticker;
	bool ticking, stopping;

	struct report_out out, err, log;
	bool json_started;
	char bar[BAR_MAX]; /* what the terminal shows now; "" = nothing */
	struct report_meter meter;
	uint64_t next_line_ns; /* LINES and JSON */
	time_t stamp_second;   /* the log's time stamp is made once a second */
	char stamp[64];
};

/* What one finished run came to, for the last words. */
struct report_totals {
	struct sync_counts counts;
	uint64_t wire_in, wire_out;
	uint64_t elapsed_ns;
	const struct err *fatal; /* may be NULL */
	enum err_code result;
};

uint64_t report_now_ns(void);

/* --- report_out.c --- */

void report_out_init(struct report_out *o, int fd);
void report_out_release(struct report_out *o);

/* Begin a line: the buffer to append it to. End it: adds the newline; a line that passes the buffer's limit is
 * dropped. */
struct buf *report_line_begin(struct report_out *o);
void report_line_end(struct report *r, struct report_out *o);

/* Write out what is pending; on the terminal that shows the bar, erases and redraws it in the same write. */
void report_flush(struct report *r, struct report_out *o);
void report_flush_all(struct report *r);

/* Make the terminal's last line show text ("" = nothing); writes only when it differs. */
void report_bar_show(struct report *r, const char *text);

/* Columns of the terminal at fd, 80 when unknown. False in *foreground: this process may not draw there now. */
unsigned report_tty_columns(int fd, bool *foreground);

/* --- report_meter.c --- */

/* Start and end the ticking thread. Without r->lock. */
void report_ticker_start(struct report *r);
void report_ticker_stop(struct report *r);

struct report_state {
	uint64_t bytes, bytes_total, files, files_total, dirs, entries;
	uint64_t rate_bps;     /* 0 = unknown */
	uint64_t left_seconds; /* UINT64_MAX = unknown */
	int percent;           /* -1 = unknown */
	enum progress_phase phase;
};
void report_meter_read(struct report *r, uint64_t now_ns, struct report_state *s);

/* The progress line in at most `columns` columns (0 = no limit); the less important parts give way. */
void report_meter_text(const struct report_state *s, unsigned columns, char out[BAR_MAX]);

/* --- report_text.c: appends to b; no newline at the end unless it says lines --- */

void report_put_count(struct buf *b, uint64_t n);            /* 1,204 */
void report_put_bytes(struct buf *b, uint64_t n);            /* 34.2 MB */
void report_put_seconds(struct buf *b, uint64_t elapsed_ns); /* 0.84 s */
void report_put_name(struct buf *b, const char *name, size_t len);

/* -i and the log; -v. */
void report_text_item(struct buf *b, const struct msg_event *ev);
void report_text_name(struct buf *b, const struct msg_event *ev);

/* "path: text" of an error or note. */
void report_text_fault(struct buf *b, const struct msg_event *ev);

/* The two lines of the summary, each without newline; either may stay empty. */
void report_text_changes(struct buf *b, const struct report *r, const struct report_totals *t);
void report_text_traffic(struct buf *b, const struct report *r, const struct report_totals *t);

/* The --stats block, lines. */
void report_text_stats(struct buf *b, const struct report *r, const struct report_totals *t);

/* "ended with status 23 (partial): some entries could not be transferred" */
void report_text_result(struct buf *b, enum err_code result);

/* --- report_json.c: one object without newline --- */

void report_json_start(struct buf *b, const struct report *r, const char *source, const char *destination);
void report_json_event(struct buf *b, const struct msg_event *ev);
void report_json_progress(struct buf *b, const struct report_state *s, uint64_t elapsed_ns);
void report_json_end(struct buf *b, const struct report *r, const struct report_totals *t);

#endif
