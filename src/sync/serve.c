/*
 * The serving end: one session on stdin and stdout. What the client may do is decided here, before anything of the file system is touched;
 * then the process shuts itself in.
 */
#include "sync/serve.h"

#include "base/alloc.h"
#include "os/confine.h"
#include "os/ids.h"
#include "sync/client.h"
#include "sync/recv.h"
#include "sync/remote.h"
#include "sync/send.h"
#include "sync/session.h"
#include "sync/setup.h"
#include "sync/source.h"
#include "sync/sync.h"
#include "tree/index_dir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATHS_MAX = 64 };

struct served {
	const struct serve_options *so;
	struct sync_options o;
	struct msg_start start;
	struct endpoint target; /* of a PUSH */
	struct chan *chan;
	struct frames *frames;
	struct session s;
	int root_fd;
};

static void forward(void *ctx, const struct msg_event *ev)
{
	struct served *v = ctx;
	struct buf b;
	struct err ignored = {0};
	bool item = ev->kind == EVENT_ITEM || ev->kind == EVENT_DELETE || ev->kind == EVENT_MOVE;

	if (item && !(v->start.flags & START_WANT_ITEMS))
		return;
	buf_init(&b, FRAME_MAX);
	msg_event_encode(ev, &b);
	frames_send(v->frames, MSG_EVENT, &b, NULL, &ignored);
	buf_release(&b);
}

/* The channel takes stdin and stdout for itself; nothing else may ever write there. */
static struct chan *take_stdio(struct err *e)
{
	int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (in < 0 || out < 0 || null < 0) {
		err_sys(e, ERR_IO, "take stdin and stdout");
		return NULL;
	}
	dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	close(null);
	return chan_fd_new(in, out);
}

static int read_start(struct served *v, struct err *e)
{
	enum msg_type type;
	struct buf b;

	buf_init(&b, FRAME_MAX);
	int got = frames_recv(v->frames, &type, &b, e);
	int r = got == 0 ? err_set(e, ERR_CLOSED, "the client said nothing") : got < 0 ? -1 : 0;
	if (r == 0 && type != MSG_START)
		r = err_set(e, ERR_PROTOCOL, "expected START, got %s", msg_type_name(type));
	if (r == 0) {
		struct cursor c = cur_make(b.data, b.len);
		r = msg_start_decode(&v->start, &c, e);
	}
	if (r == 0)
		r = start_options(&v->start, &v->o, &v->target, e);
	if (r == 0)
		frames_set_keepalive(v->frames, setup_keepalive_ms(&v->o));
	buf_release(&b);
	return r;
}

static int allowed(const struct served *v, struct err *e)
{
	const struct sync_options *o = &v->o;

	if (v->start.role == START_PUSH && (v->so->root || v->so->read_only || v->so->write_only))
		return err_set(e, ERR_REFUSED, "this server does not push to other hosts");
	if (v->so->read_only && (v->start.role == START_RECEIVE || o->remove_source_files))
		return err_set(e, ERR_REFUSED, "this server is read-only");
	if (v->so->write_only && v->start.role == START_SEND)
		return err_set(e, ERR_REFUSED, "this server only receives");
	if (v->so->root && (o->copy_links || o->copy_unsafe_links || o->copy_dirlinks))
		return err_set(e, ERR_REFUSED, "this server does not follow symlinks out of its root");
	if (v->so->root && (o->backup_dir || o->temp_dir || o->link_dest.count || o->copy_dest.count ||
				   o->compare_dest.count))
		return err_set(e, ERR_REFUSED,
			"this server is limited to its root: options that name other directories are not "
			"allowed");
	return 0;
}

static void add_path(struct confine_path *paths, size_t *count, int at, const char *path, bool writable)
{
	int fd = path && *count < PATHS_MAX ? openat(at, path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0)
		paths[(*count)++] = (struct confine_path){fd, writable};
}

static void add_paths(struct confine_path *paths, size_t *count, int at, const struct opt_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		add_path(paths, count, at, list->v[i],
			true); /* links from a tree need the right to change it */
}

static void add_state_dir(const struct served *v, struct confine_path *paths, size_t *count)
{
	struct err ignored = {0};
	int fd = v->o.checksum && *count < PATHS_MAX ? index_dir_open(NULL, &ignored) : -1;

	if (fd >= 0)
		paths[(*count)++] = (struct confine_path){fd, true};
}

static int shut_in(struct served *v, struct confine_path *paths, size_t count, struct err *e)
{
	ids_preload();
	int r = confine_to(paths, count);
	for (size_t i = 1; i < count; i++)
		close(paths[i].fd);
	(void)v;
	return r < 0 ? err_sys(e, ERR_INTERNAL, "shut the server in (Landlock)") : 0;
}

static int confine_receiver(void *ctx, int root_fd, struct err *e)
{
	struct served *v = ctx;
	struct confine_path paths[PATHS_MAX] = {{root_fd, true}};
	size_t count = 1;

	if (root_fd < 0)
		return 0; /* dry run of a destination that is not there: nothing will be touched */
	add_paths(paths, &count, root_fd, &v->o.link_dest);
	add_paths(paths, &count, root_fd, &v->o.copy_dest);
	add_paths(paths, &count, root_fd, &v->o.compare_dest);
	if (v->o.backup_dir)
		mkdirat(root_fd, v->o.backup_dir, 0700);
	add_path(paths, &count, root_fd, v->o.backup_dir, true);
	add_path(paths, &count, root_fd, v->o.temp_dir, true);
	add_state_dir(v, paths, &count);
	return shut_in(v, paths, count, e);
}

static int confine_sender(struct served *v, struct source *source, struct err *e)
{
	struct confine_path paths[PATHS_MAX] = {{source_root_fd(source), v->o.remove_source_files}};
	size_t count = 1;

	if (v->o.copy_links || v->o.copy_unsafe_links || v->o.copy_dirlinks)
		return 0; /* what symlinks point to is wanted, wherever it is */
	add_state_dir(v, paths, &count);
	return shut_in(v, paths, count, e);
}

/* "~/x" and "~" mean what they mean to a shell; ssh starts us at home. */
static const char *served_path(const struct served *v)
{
	const char *path = v->start.path;

	if (v->root_fd >= 0 || path[0] != '~' || (path[1] != '/' && path[1] != '\0'))
		return path;
	return path[1] && path[2] ? path + 2 : ".";
}

static void source_fault(void *ctx, const char *path, const struct err *e)
{
	report_entry_error(ctx, path, e);
}

static int serve_source(struct served *v, struct err *e)
{
	struct session *s = &v->s;
	struct index_cache *index = NULL;
	struct filter *filter = setup_filter(&v->o, true, e);
	struct source *source = NULL;
	struct sync_counts counts;
	enum err_code result;
	int r = -1;

	if (filter)
		source = source_open(
			&v->o, served_path(v), v->start.flags & START_CONTENTS, v->root_fd, filter, e);
	if (source && confine_sender(v, source, e) == 0) {
		source_set_reporter(source, source_fault, s->report);
		if (v->o.checksum)
			source_set_index(source, index = setup_index(s->report));
		chan_limit_rate(v->chan, v->o.bwlimit);
		s->pool = pool_new(setup_threads(&v->o));
		r = send_run(s, source, &counts, &result, e);
		pool_free(s->pool);
	} else {
		session_fail(s, e);
	}
	index_close(index, NULL);
	source_free(source);
	filter_free(filter);
	return r;
}

static int serve_dest(struct served *v, struct err *e)
{
	struct recv_params p = {
		.path = served_path(v),
		.restrict_fd = v->root_fd,
		.want_items = v->start.flags & START_WANT_ITEMS,
		.pushed = true,
		.confine = confine_receiver,
		.ctx = v,
	};
	struct sync_counts counts;

	return recv_run(&v->s, &p, &counts, e);
}

/* Send to a third host as its client, with the ssh of this host's user; a question it might ask is an error. */
static int serve_push(struct served *v, struct err *e)
{
	struct endpoint src = {
		.path = (char *)(uintptr_t)served_path(v), .contents = v->start.flags & START_CONTENTS};
	struct msg_summary m = {0};
	struct remote_traffic traffic = {0};
	struct buf b;

	if (!v->o.rsh && !getenv("WHERRY_RSH"))
		v->o.rsh = xstrdup("ssh -o BatchMode=yes");
	if (remote_push(&v->o, &src, &v->target, v->s.report, &m.counts, &traffic, e) != 0) {
		session_fail(&v->s, e);
		return -1;
	}
	m.result = traffic.result;
	buf_init(&b, 64 * 1024);
	msg_summary_encode(&m, &b);
	int r = session_send(&v->s, MSG_SUMMARY, &b);
	buf_release(&b);
	return r;
}

static int run(struct served *v, struct err *e)
{
	int r = read_start(v, e);
	struct report *report = r == 0 ? report_new(&v->o, forward, v, e) : NULL;

	session_init(&v->s, &v->o, v->chan, v->frames, report);
	if (r == 0)
		r = allowed(v, e);
	if (r == 0 && v->so->root) {
		v->root_fd = open(v->so->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (v->root_fd < 0)
			r = err_sys(e, ERR_REFUSED, "the server's root %s", v->so->root);
	}
	if (r != 0)
		session_fail(&v->s, e);
	else
		r = v->start.role == START_SEND   ? serve_source(v, e)
		    : v->start.role == START_PUSH ? serve_push(v, e)
						  : serve_dest(v, e);
	session_release(&v->s);
	report_free(report);
	return r;
}

int serve_main(const struct serve_options *opts)
{
	struct served v = {.so = opts, .root_fd = -1};
	struct err e = {0};

	sync_process_init();
	sync_options_init(&v.o);
	v.chan = take_stdio(&e);
	if (!v.chan)
		return err_info(e.code)->exit_status;
	v.frames = frames_new(v.chan, setup_keepalive_ms(&v.o));
	run(&v, &e);
	frames_free(v.frames);
	chan_free(v.chan);
	msg_start_release(&v.start);
	sync_options_release(&v.o);
	endpoint_release(&v.target);
	if (v.root_fd >= 0)
		close(v.root_fd);
	return err_info(e.code)->exit_status;
}
