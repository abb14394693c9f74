/*
 * Life of a report and the way of an event: counted; forwarded, or made into a line of each sink that wants it
 * (log file, stdout, stderr) under one lock. Lines wait in the sink's buffer until it holds 32 KiB, the ticker
 * comes by (10 times a second), or an error is printed; on a terminal without progress line they do not wait.
 */
#include "sync/report_impl.h"

#include "base/alloc.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t report_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static enum report_progress_kind choose_progress(const struct report *r)
{
	const struct sync_options *o = r->opts;
	const char *term = getenv("TERM");

	if (o->quiet || o->no_progress)
		return REPORT_PROGRESS_NONE;
	if (o->json)
		return REPORT_PROGRESS_JSON;
	if (r->err.tty && !(term && strcmp(term, "dumb") == 0))
		return REPORT_PROGRESS_BAR;
	return o->progress ? REPORT_PROGRESS_LINES : REPORT_PROGRESS_NONE;
}

static int open_log(struct report *r, struct err *e)
{
	const char *path = r->opts->log_file;
	int fd = -1;

	if (path) {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
		if (fd < 0)
			return err_sys(e, ERR_IO, "open log file %s", path);
	}
	report_out_init(&r->log, fd);
	return 0;
}

static void init_lock(struct report *r)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &attr);
	pthread_condattr_destroy(&attr);
}

struct report *report_new_fds(const struct sync_options *opts, int out_fd, int err_fd,
	void (*forward)(void *ctx, const struct msg_event *ev), void *ctx, struct err *e)
{
	struct report *r = xcalloc(1, sizeof(*r));

	r->opts = opts;
	r->forward = forward;
	r->ctx = ctx;
	r->started_ns = report_now_ns();
	r->next_line_ns = r->started_ns + UINT64_C(1000000000);
	init_lock(r);
	report_out_init(&r->out, forward ? -1 : out_fd);
	report_out_init(&r->err, forward ? -1 : err_fd);
	report_out_init(&r->log, -1);
	if (forward)
		return r;
	if (open_log(r, e) < 0) {
		report_free(r);
		return NULL;
	}
	r->progress_kind = choose_progress(r);
	report_ticker_start(r);
	return r;
}

struct report *report_new(const struct sync_options *opts,
	void (*forward)(void *ctx, const struct msg_event *ev), void *ctx, struct err *e)
{
	return report_new_fds(opts, STDOUT_FILENO, STDERR_FILENO, forward, ctx, e);
}

void report_free(struct report *r)
{
	if (!r)
		return;
	report_ticker_stop(r);
	report_flush_all(r);
	if (r->err.fd >= 0)
		report_bar_show(r, "");
	if (r->log.fd >= 0)
		close(r->log.fd);
	report_out_release(&r->out);
	report_out_release(&r->err);
	report_out_release(&r->log);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

struct progress *report_progress(struct report *r)
{
	return &r->progress;
}

bool report_wants_items(const struct report *r)
{
	const struct sync_options *o = r->opts;

	return r->forward || o->log_file || (!o->quiet && (o->verbose || o->itemize || o->json));
}

uint64_t report_error_count(const struct report *r)
{
	return r->errors;
}

uint64_t report_vanished_count(const struct report *r)
{
	return r->vanished;
}

/* "2026-07-24T11:22:33+0200 [4711] " */
static struct buf *log_begin(struct report *r)
{
	struct buf *b = report_line_begin(&r->log);
	time_t now = time(NULL);
	struct tm tm;

	if (now != r->stamp_second && localtime_r(&now, &tm)) {
		size_t n = strftime(r->stamp, sizeof(r->stamp), "%Y-%m-%dT%H:%M:%S%z", &tm);
		snprintf(r->stamp + n, sizeof(r->stamp) - n, " [%d] ", (int)getpid());
		r->stamp_second = now;
	}
	buf_put(b, r->stamp, strlen(r->stamp));
	return b;
}

static bool is_error(const struct msg_event *ev)
{
	return ev->kind == EVENT_ENTRY_ERROR;
}

static bool is_fault(const struct msg_event *ev)
{
	return ev->kind == EVENT_ENTRY_ERROR || ev->kind == EVENT_NOTE;
}

static void log_event(struct report *r, const struct msg_event *ev)
{
	struct buf *b = log_begin(r);

	if (is_fault(ev)) {
		buf_printf(b, is_error(ev) ? "error: " : "note: ");
		report_text_fault(b, ev);
	} else {
		report_text_item(b, ev);
	}
	report_line_end(r, &r->log);
}

static void json_begin(struct report *r, const char *source, const char *destination)
{
	if (r->json_started)
		return;
	r->json_started = true;
	if (r->opts->quiet)
		return;
	report_json_start(report_line_begin(&r->out), r, source, destination);
	report_line_end(r, &r->out);
}

/* A line on stderr, after everything that was said before it. */
static void say_fault(struct report *r, const struct msg_event *ev)
{
	report_flush(r, &r->out);
	struct buf *b = report_line_begin(&r->err);
	buf_printf(b, is_error(ev) ? "wherry: " : "wherry: note: ");
	report_text_fault(b, ev);
	report_line_end(r, &r->err);
	report_flush(r, &r->err);
}

static void print_event(struct report *r, const struct msg_event *ev)
{
	const struct sync_options *o = r->opts;

	if (o->quiet && !is_error(ev))
		return;
	if (o->json) {
		json_begin(r, NULL, NULL);
		report_json_event(report_line_begin(&r->out), ev);
		report_line_end(r, &r->out);
	} else if (is_fault(ev)) {
		say_fault(r, ev);
	} else if (o->itemize) {
		report_text_item(report_line_begin(&r->out), ev);
		report_line_end(r, &r->out);
	} else if (o->verbose) {
		report_text_name(report_line_begin(&r->out), ev);
		report_line_end(r, &r->out);
	}
}

static void count_event(struct report *r, const struct msg_event *ev)
{
	if (!is_error(ev))
		return;
	if (ev->code == ERR_VANISHED)
		r->vanished++;
	else
		r->errors++;
}

void report_event(struct report *r, const struct msg_event *ev)
{
	count_event(r, ev);
	if (r->forward) {
		r->forward(r->ctx, ev);
		return;
	}
	if (!is_fault(ev) && !report_wants_items(r))
		return;
	if (ev->kind == EVENT_ITEM && !ev->iflags && r->opts->verbose < 2)
		return;
	pthread_mutex_lock(&r->lock);
	if (r->log.fd >= 0)
		log_event(r, ev);
	print_event(r, ev);
	pthread_mutex_unlock(&r->lock);
}

void report_entry_error(struct report *r, const char *path, const struct err *e)
{
	report_event(r, &(struct msg_event){
				.kind = EVENT_ENTRY_ERROR,
				.code = e->code,
				.path = path,
				.path_len = strlen(path),
				.extra = e->text,
				.extra_len = strlen(e->text),
			});
}

void report_note(struct report *r, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report_event(r, &(struct msg_event){
				.kind = EVENT_NOTE,
				.path = "",
				.extra = text,
				.extra_len = strlen(text),
			});
}

void report_start(struct report *r, const char *source, const char *destination)
{
	if (r->forward)
		return;
	pthread_mutex_lock(&r->lock);
	if (r->log.fd >= 0) {
		struct buf *b = log_begin(r);
		buf_printf(b, "start: ");
		report_put_name(b, source, strlen(source));
		buf_printf(b, " to ");
		report_put_name(b, destination, strlen(destination));
		report_line_end(r, &r->log);
	}
	if (r->opts->json)
		json_begin(r, source, destination);
	pthread_mutex_unlock(&r->lock);
}

/* The last words for people, by sink: `line` makes the text. */
static void say_line(struct report *r, struct report_out *o,
	void (*line)(struct buf *b, const struct report *r, const struct report_totals *t),
	const struct report_totals *t)
{
	struct buf *b = report_line_begin(o);

	line(b, r, t);
	if (b->len > o->line_start)
		report_line_end(r, o);
}

static void log_end(struct report *r, const struct report_totals *t)
{
	struct buf text;

	buf_init(&text, 4096);
	report_text_changes(&text, r, t);
	buf_printf(&text, text.len ? "; " : "");
	report_text_traffic(&text, r, t);
	buf_printf(log_begin(r), "%s", buf_cstr(&text));
	report_line_end(r, &r->log);
	if (t->fatal) {
		struct buf *b = log_begin(r);
		buf_printf(b, "error: ");
		report_put_name(b, t->fatal->text, strlen(t->fatal->text));
		report_line_end(r, &r->log);
	}
	report_text_result(log_begin(r), t->result);
	report_line_end(r, &r->log);
	buf_release(&text);
}

static void say_end(struct report *r, const struct report_totals *t)
{
	if (t->fatal) {
		struct msg_event ev = {.kind = EVENT_ENTRY_ERROR,
			.path = "",
			.extra = t->fatal->text,
			.extra_len = strlen(t->fatal->text)};
		say_fault(r, &ev);
	}
	if (!r->opts->quiet) {
		if (r->opts->stats) {
			report_text_stats(report_line_begin(&r->out), r, t);
			report_line_end(r, &r->out); /* and an empty line */
		}
		say_line(r, &r->out, report_text_changes, t);
		if (!t->fatal)
			say_line(r, &r->out, report_text_traffic, t);
	}
	if (t->result == ERR_NONE || t->fatal)
		return;
	report_flush(r, &r->out);
	struct buf *b = report_line_begin(&r->err);
	buf_printf(b, "wherry: ");
	report_text_result(b, t->result);
	report_line_end(r, &r->err);
}

void report_end(struct report *r, const struct sync_counts *counts, uint64_t wire_in, uint64_t wire_out,
	const struct err *fatal, enum err_code result)
{
	struct report_totals t = {.wire_in = wire_in,
		.wire_out = wire_out,
		.elapsed_ns = report_now_ns() - r->started_ns,
		.fatal = fatal && fatal->code != ERR_NONE ? fatal : NULL,
		.result = result};

	if (r->forward)
		return;
	if (counts)
		t.counts = *counts;
	if (t.fatal)
		t.result = t.fatal->code;
	report_ticker_stop(r);
	pthread_mutex_lock(&r->lock);
	report_flush_all(r);
	report_bar_show(r, "");
	if (r->log.fd >= 0)
		log_end(r, &t);
	if (r->opts->json) {
		json_begin(r, NULL, NULL);
		report_json_end(report_line_begin(&r->out), r, &t);
		report_line_end(r, &r->out);
	} else {
		say_end(r, &t);
	}
	report_flush_all(r);
	pthread_mutex_unlock(&r->lock);
}
