/*
 * The client's side of a session. Push: we are the sender. Pull: we are the receiver. Remote to remote: the source's host runs the sync itself
 * when it can reach the other; else frames are passed between two servers here.
 */
#include "sync/remote.h"

#include "sync/client.h"
#include "sync/recv.h"
#include "sync/relay.h"
#include "sync/send.h"
#include "sync/session.h"
#include "sync/setup.h"
#include "sync/source.h"

#include <stdlib.h>
#include <string.h>

struct chan *remote_connect(const struct sync_options *o, const struct endpoint *ep, struct err *e)
{
	const char *env = getenv("WHERRY_RSH");
	const char *rsh = o->rsh ? o->rsh : env && *env ? env : "ssh";
	char *command = xasprintf("%s serve --stdio", o->remote_command ? o->remote_command : "wherry");
	char **argv = chan_rsh_argv(rsh, ep->user, ep->host, command, o->contimeout);
	struct chan *c = NULL;

	if (!argv)
		err_set(e, ERR_USAGE, "--rsh: \"%s\" is no command", rsh);
	else
		c = chan_command_new(argv, ep->host, o->quiet > 1, e);
	if (c) {
		chan_limit_rate(c, o->bwlimit);
		chan_set_timeout(c, o->timeout * 1000);
	}
	chan_argv_free(argv);
	free(command);
	return c;
}

int remote_start(struct frames *f, const struct sync_options *o, enum start_role role,
	const struct endpoint *ep, const struct endpoint *target, bool want_items, struct err *e)
{
	struct buf b;

	buf_init(&b, FRAME_MAX);
	start_encode(o, role, ep, target, want_items, &b);
	int r = b.overflow ? err_set(e, ERR_USAGE,
				     "the options or the list of --files-from are too long to send")
			   : frames_send(f, MSG_START, &b, NULL, e);
	buf_release(&b);
	return r;
}

static void source_fault(void *ctx, const char *path, const struct err *e)
{
	report_entry_error(ctx, path, e);
}

static int push(struct session *s, const struct endpoint *src, const struct endpoint *dst,
	struct sync_counts *counts, enum err_code *result, struct err *e)
{
	struct index_cache *index = NULL;
	struct filter *filter = setup_filter(s->o, false, e);
	struct source *source = filter ? source_open(s->o, src->path, src->contents, -1, filter, e) : NULL;
	int r = -1;

	if (source) {
		source_set_reporter(source, source_fault, s->report);
		if (s->o->checksum)
			source_set_index(source, index = setup_index(s->report));
		s->pool = pool_new(setup_threads(s->o));
		r = remote_start(s->frames, s->o, START_RECEIVE, dst, NULL, report_wants_items(s->report), e);
		if (r == 0)
			r = send_run(s, source, counts, result, e);
		else
			chan_explain_end(s->chan, e);
		pool_free(s->pool);
	}
	index_close(index, NULL);
	source_free(source);
	filter_free(filter);
	return r;
}

static int pull(struct session *s, const struct endpoint *src, const struct endpoint *dst,
	struct sync_counts *counts, struct err *e)
{
	struct recv_params p = {
		.path = dst->path, .restrict_fd = -1, .want_items = report_wants_items(s->report)};

	if (remote_start(s->frames, s->o, START_SEND, src, NULL, p.want_items, e) != 0)
		return chan_explain_end(s->chan, e);
	return recv_run(s, &p, counts, e);
}

static int one_remote(const struct sync_options *o, const struct endpoint *src, const struct endpoint *dst,
	struct report *report, struct sync_counts *counts, struct remote_traffic *traffic, struct err *e)
{
	struct chan *chan = remote_connect(o, src->remote ? src : dst, e);
	enum err_code result = ERR_NONE;
	struct session s;
	int r;

	if (!chan)
		return -1;
	struct frames *frames = frames_new(chan, setup_keepalive_ms(o));
	session_init(&s, o, chan, frames, report);
	if (src->remote)
		r = pull(&s, src, dst, counts, e);
	else
		r = push(&s, src, dst, counts, &result, e);
	if (r == 0 && result != ERR_NONE && result != ERR_PARTIAL && result != ERR_VANISHED)
		r = err_set(e, result, "the receiver refused part of the work, see above");
	else if (r == 0)
		traffic->result = result;
	session_release(&s);
	frames_free(frames);
	traffic->in = chan_bytes_in(chan);
	traffic->out = chan_bytes_out(chan);
	chan_free(chan);
	return r;
}

int remote_push(const struct sync_options *o, const struct endpoint *src, const struct endpoint *dst,
	struct report *report, struct sync_counts *counts, struct remote_traffic *traffic, struct err *e)
{
	return one_remote(o, src, dst, report, counts, traffic, e);
}

int remote_sync(const struct sync_options *o, const struct endpoint *src, const struct endpoint *dst,
	struct report *report, struct sync_counts *counts, struct remote_traffic *traffic, struct err *e)
{
	if (src->remote && dst->remote)
		return relay_sync(o, src, dst, report, counts, traffic, e);
	return one_remote(o, src, dst, report, counts, traffic, e);
}
