#include "sync/relay.h"

#include "base/alloc.h"
#include "proto/frames.h"
#include "sync/setup.h"

#include <pthread.h>
#include <stdlib.h>

/* One direction: everything `from` says goes to `to`, except what is meant for people. */
struct leg {
	struct frames *from, *to;
	struct chan *from_chan, *to_chan;
	struct report *report;
	struct sync_counts *counts; /* filled when a SUMMARY passes */
	enum err_code result;
	bool over; /* the last message of this direction has passed */
	struct err e;
};

static void look(struct leg *l, const struct frame *h, const struct buf *wire)
{
	struct buf raw;
	struct msg_event ev;
	struct msg_summary m;
	struct msg_fatal f;
	struct err e = {0};

	if (h->type == MSG_BYE)
		l->over = true;
	if (h->type != MSG_EVENT && h->type != MSG_SUMMARY && h->type != MSG_FATAL)
		return;
	buf_init(&raw, FRAME_MAX);
	if (frames_inflate(l->from, h, wire, &raw, &e) == 0) {
		struct cursor c = cur_make(raw.data, raw.len);
		if (h->type == MSG_EVENT && msg_event_decode(&ev, &c, &e) == 0)
			report_event(l->report, &ev);
		if (h->type == MSG_SUMMARY && msg_summary_decode(&m, &c, &e) == 0) {
			*l->counts = m.counts;
			l->result = m.result;
			l->over = true;
		}
		if (h->type == MSG_FATAL && msg_fatal_decode(&f, &c, &e) == 0)
			err_set(&l->e, f.code, "%s", f.text);
	}
	buf_release(&raw);
}

static void *run_leg(void *arg)
{
	struct leg *l = arg;
	struct frame h;
	struct buf wire;
	struct err e = {0};
	int r;

	buf_init(&wire, FRAME_MAX);
	while ((r = frames_relay(l->from, l->to, &h, &wire, &e)) == 1)
		look(l, &h, &wire);
	if (r == 0 && !l->over)
		chan_explain_end(l->from_chan, &e);
	if (!l->over && l->e.code == ERR_NONE)
		l->e = e;
	buf_release(&wire);
	if (!l->over)
		chan_shutdown(l->to_chan);
	return NULL;
}

static int run_both(struct leg *a, struct leg *b, struct err *e)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_leg, a) != 0)
		return err_set(e, ERR_INTERNAL, "cannot start a thread");
	run_leg(b);
	pthread_join(thread, NULL);
	/* when one end fails the other only sees its line close: the first cause is the one that is not "closed" */
	if (a->e.code != ERR_NONE && (a->e.code != ERR_CLOSED || b->e.code == ERR_NONE))
		*e = a->e;
	else if (b->e.code != ERR_NONE)
		*e = b->e;
	return e->code == ERR_NONE ? 0 : -1;
}

static int pass_through(const struct sync_options *o, const struct endpoint *src, const struct endpoint *dst,
	struct report *report, struct sync_counts *counts, struct remote_traffic *traffic, struct err *e)
{
	struct chan *a = remote_connect(o, src, e);
	struct chan *b = a ? remote_connect(o, dst, e) : NULL;
	struct frames *fa = a ? frames_new(a, setup_keepalive_ms(o)) : NULL;
	struct frames *fb = b ? frames_new(b, setup_keepalive_ms(o)) : NULL;
	bool items = report_wants_items(report);
	int r = -1;

	if (fb && remote_start(fa, o, START_SEND, src, NULL, items, e) == 0 &&
		remote_start(fb, o, START_RECEIVE, dst, NULL, items, e) == 0) {
		struct leg there = {.from = fa,
			.to = fb,
			.from_chan = a,
			.to_chan = b,
			.report = report,
			.counts = counts};
		struct leg back = {.from = fb,
			.to = fa,
			.from_chan = b,
			.to_chan = a,
			.report = report,
			.counts = counts};
		r = run_both(&there, &back, e);
		if (r == 0 && back.result != ERR_NONE && back.result != ERR_PARTIAL &&
			back.result != ERR_VANISHED)
			r = err_set(e, back.result, "the receiver refused part of the work, see above");
		traffic->result = r == 0 ? back.result : ERR_NONE;
	}
	frames_free(fa);
	frames_free(fb);
	traffic->in = (a ? chan_bytes_in(a) : 0) + (b ? chan_bytes_in(b) : 0);
	traffic->out = (a ? chan_bytes_out(a) : 0) + (b ? chan_bytes_out(b) : 0);
	chan_free(a);
	chan_free(b);
	return r;
}

/* Listen to a server that works for us elsewhere, to its end. */
static int follow(struct frames *f, struct chan *c, struct report *report, struct sync_counts *counts,
	enum err_code *result, struct err *e)
{
	struct buf payload;
	bool over = false;
	int r = 0;

	buf_init(&payload, FRAME_MAX);
	while (r == 0 && !over) {
		enum msg_type type;
		struct msg_event ev;
		struct msg_summary m;
		struct msg_fatal fatal;
		int got = frames_recv(f, &type, &payload, e);
		struct cursor cur = cur_make(payload.data, payload.len);
		if (got <= 0) {
			r = got < 0 ? -1 : chan_explain_end(c, e);
		} else if (type == MSG_EVENT) {
			r = msg_event_decode(&ev, &cur, e);
			if (r == 0)
				report_event(report, &ev);
		} else if (type == MSG_SUMMARY) {
			r = msg_summary_decode(&m, &cur, e);
			*counts = m.counts;
			*result = m.result;
			over = true;
		} else if (type == MSG_FATAL) {
			r = msg_fatal_decode(&fatal, &cur, e);
			if (r == 0)
				r = err_set(e, fatal.code, "%s", fatal.text);
		} else {
			r = err_set(e, ERR_PROTOCOL, "unexpected %s", msg_type_name(type));
		}
	}
	buf_release(&payload);
	return r;
}

/* The source's host pushes by itself: nothing but events comes this way. */
static int direct(const struct sync_options *o, const struct endpoint *src, const struct endpoint *dst,
	struct report *report, struct sync_counts *counts, struct remote_traffic *traffic, struct err *e)
{
	struct chan *c = remote_connect(o, src, e);
	struct frames *f = c ? frames_new(c, setup_keepalive_ms(o)) : NULL;
	int r = -1;

	if (f && remote_start(f, o, START_PUSH, src, dst, report_wants_items(report), e) == 0)
		r = follow(f, c, report, counts, &traffic->result, e);
	frames_free(f);
	traffic->in = c ? chan_bytes_in(c) : 0;
	traffic->out = c ? chan_bytes_out(c) : 0;
	chan_free(c);
	return r;
}

/* Is this a reason to pass the data through here instead? Nothing has been changed yet in these cases. */
static bool cannot_reach(const struct err *e)
{
	switch (e->code) {
	case ERR_UNREACHABLE:
	case ERR_CONNECT_TIMEOUT:
	case ERR_NO_REMOTE:
	case ERR_REFUSED:
	case ERR_PROTOCOL:
		return true;
	default:
		return false;
	}
}

int relay_sync(const struct sync_options *o, const struct endpoint *src, const struct endpoint *dst,
	struct report *report, struct sync_counts *counts, struct remote_traffic *traffic, struct err *e)
{
	if (!o->relay) {
		int r = direct(o, src, dst, report, counts, traffic, e);
		if (r == 0 || !cannot_reach(e))
			return r;
		report_note(report, "%s cannot push to %s itself; the data goes through here (%s)", src->host,
			dst->host, e->text);
		err_clear(e);
	}
	return pass_through(o, src, dst, report, counts, traffic, e);
}
