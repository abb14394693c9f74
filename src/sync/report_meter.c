#include "sync/report_impl.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S  UINT64_C(1000000000)
#define TICK_NS   (NS_PER_S / 10)
#define SMOOTH_NS (3 * NS_PER_S) /* the rate forgets the past with this time constant */

/* a * b / c without overflow; c is not 0. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
	__extension__ unsigned __int128 wide = (unsigned __int128)a * b / c;

	return wide > UINT64_MAX ? UINT64_MAX : (uint64_t)wide;
}

static void measure_rate(struct report *r, uint64_t now, uint64_t bytes)
{
	struct report_meter *m = &r->meter;

	if (!m->last_ns) {
		if (!bytes)
			return;
		m->rate_bps = scale(bytes, NS_PER_S, now > r->started_ns ? now - r->started_ns : 1);
	} else if (now >= m->last_ns + TICK_NS / 2) {
		uint64_t gone = now - m->last_ns;
		uint64_t latest = bytes > m->last_bytes ? scale(bytes - m->last_bytes, NS_PER_S, gone) : 0;
		m->rate_bps = scale(latest, gone, gone + SMOOTH_NS) +
			      scale(m->rate_bps, SMOOTH_NS, gone + SMOOTH_NS);
	} else {
		return;
	}
	m->last_ns = now;
	m->last_bytes = bytes;
}

static int percent_of(uint64_t done, uint64_t total)
{
	return done >= total ? 100 : (int)scale(done, 100, total);
}

void report_meter_read(struct report *r, uint64_t now, struct report_state *s)
{
	const struct progress *p = &r->progress;

	*s = (struct report_state){
		.bytes = p->bytes_done,
		.bytes_total = p->bytes_total,
		.files = p->files_done,
		.files_total = p->files_total,
		.dirs = p->dirs_scanned,
		.entries = p->entries_scanned,
		.phase = (enum progress_phase)p->phase,
		.left_seconds = UINT64_MAX,
		.percent = -1,
	};
	measure_rate(r, now, s->bytes);
	s->rate_bps = r->meter.rate_bps;
	if (s->bytes_total)
		s->percent = percent_of(s->bytes, s->bytes_total);
	else if (s->files_total)
		s->percent = percent_of(s->files, s->files_total);
	if (s->rate_bps && s->bytes_total && s->phase == PHASE_TRANSFER)
		s->left_seconds =
			s->bytes < s->bytes_total ? (s->bytes_total - s->bytes) / s->rate_bps + 1 : 0;
}

/* Parts of the line from left to right; when room is short the highest rank gives way first. */
enum { PART_MAX = 8 };
struct part {
	char text[64];
	int rank;
};
struct line {
	struct part parts[PART_MAX];
	unsigned count;
};

static void add_part(struct line *l, int rank, struct buf *text)
{
	if (text->len && l->count < PART_MAX) {
		struct part *p = &l->parts[l->count++];
		p->rank = rank;
		snprintf(p->text, sizeof(p->text), "%s", buf_cstr(text));
	}
	buf_clear(text);
}

static size_t line_length(const struct line *l)
{
	size_t n = 0;

	for (unsigned i = 0; i < l->count; i++)
		n += strlen(l->parts[i].text) + (i ? 2 : 0);
	return n;
}

static void drop_least(struct line *l)
{
	unsigned worst = 0;

	for (unsigned i = 1; i < l->count; i++)
		if (l->parts[i].rank > l->parts[worst].rank)
			worst = i;
	l->count--;
	memmove(&l->parts[worst], &l->parts[worst + 1], (l->count - worst) * sizeof(l->parts[0]));
}

static void scan_parts(struct line *l, const struct report_state *s, struct buf *b)
{
	if (!s->entries && !s->dirs)
		return;
	report_put_count(b, s->entries);
	buf_printf(b, " entries");
	add_part(l, 1, b);
	report_put_count(b, s->dirs);
	buf_printf(b, " directories");
	add_part(l, 2, b);
}

static void time_left(struct buf *b, uint64_t s)
{
	if (s >= 100 * 3600)
		buf_printf(b, "over 99 hours left");
	else if (s >= 3600)
		buf_printf(b, "%u:%02u:%02u left", (unsigned)(s / 3600), (unsigned)(s / 60 % 60),
			(unsigned)(s % 60));
	else
		buf_printf(b, "%u:%02u left", (unsigned)(s / 60), (unsigned)(s % 60));
}

static void transfer_parts(struct line *l, const struct report_state *s, struct buf *b)
{
	if (s->percent >= 0)
		buf_printf(b, "%3d%%", s->percent);
	add_part(l, 0, b);
	report_put_bytes(b, s->bytes);
	add_part(l, 2, b);
	if (s->bytes_total) {
		buf_printf(b, "of ");
		report_put_bytes(b, s->bytes_total);
	}
	add_part(l, 6, b);
	report_put_count(b, s->files);
	buf_printf(b, s->files == 1 && !s->files_total ? " file" : " files");
	if (s->files_total) {
		buf_clear(b);
		report_put_count(b, s->files);
		buf_put_u8(b, '/');
		report_put_count(b, s->files_total);
		buf_printf(b, " files");
	}
	add_part(l, 5, b);
	if (s->rate_bps) {
		report_put_bytes(b, s->rate_bps);
		buf_printf(b, "/s");
	}
	add_part(l, 3, b);
	if (s->left_seconds != UINT64_MAX)
		time_left(b, s->left_seconds);
	add_part(l, 1, b);
}

void report_meter_text(const struct report_state *s, unsigned columns, char out[BAR_MAX])
{
	static const char *const phases[] = {[PHASE_CONNECT] = "connecting",
		[PHASE_SCAN] = "scanning",
		[PHASE_TRANSFER] = "transferring",
		[PHASE_DELETE] = "deleting",
		[PHASE_FINISH] = "finishing"};
	size_t room = columns && columns < BAR_MAX ? columns : BAR_MAX - 1;
	struct line l = {.count = 0};
	struct buf b;

	buf_init(&b, 256);
	bool known = (unsigned)s->phase < sizeof(phases) / sizeof(phases[0]);
	buf_printf(&b, "%s", known ? phases[s->phase] : "working");
	add_part(&l, s->phase == PHASE_TRANSFER ? 4 : 0, &b);
	if (s->phase == PHASE_SCAN)
		scan_parts(&l, s, &b);
	else if (s->phase != PHASE_CONNECT)
		transfer_parts(&l, s, &b);
	while (l.count > 1 && line_length(&l) > room)
		drop_least(&l);
	for (unsigned i = 0; i < l.count; i++)
		buf_printf(&b, "%s%s", i ? "  " : "", l.parts[i].text);
	snprintf(out, room + 1, "%s", buf_cstr(&b));
	buf_release(&b);
}

static void draw_bar(struct report *r, uint64_t now)
{
	struct report_state s;
	char text[BAR_MAX];
	bool foreground;
	unsigned columns = report_tty_columns(r->err.fd, &foreground);

	report_meter_read(r, now, &s);
	if (!foreground)
		return;
	report_meter_text(&s, columns > 1 ? columns - 1 : 1, text);
	report_bar_show(r, text);
}

/* One line or object a second, for those who read no terminal. */
static void say_progress(struct report *r, uint64_t now)
{
	struct report_state s;

	report_meter_read(r, now, &s);
	if (now < r->next_line_ns)
		return;
	r->next_line_ns += NS_PER_S;
	if (r->next_line_ns < now)
		r->next_line_ns = now + NS_PER_S;
	if (r->progress_kind == REPORT_PROGRESS_JSON) {
		report_json_progress(report_line_begin(&r->out), &s, now - r->started_ns);
		report_line_end(r, &r->out);
		return;
	}
	char text[BAR_MAX];
	report_meter_text(&s, 0, text);
	buf_printf(report_line_begin(&r->err), "%s", text);
	report_line_end(r, &r->err);
}

static void tick(struct report *r)
{
	uint64_t now = report_now_ns();

	if (r->progress_kind == REPORT_PROGRESS_LINES || r->progress_kind == REPORT_PROGRESS_JSON)
		say_progress(r, now);
	report_flush_all(r);
	if (r->progress_kind == REPORT_PROGRESS_BAR)
		draw_bar(r, now);
}

/* The first tick comes late, so that a short run shows no progress line at all. */
static void *ticker_main(void *arg)
{
	struct report *r = arg;
	uint64_t next = r->started_ns + 2 * TICK_NS;

	pthread_mutex_lock(&r->lock);
	while (!r->stopping) {
		struct timespec until = {
			.tv_sec = (time_t)(next / NS_PER_S), .tv_nsec = (long)(next % NS_PER_S)};
		pthread_cond_timedwait(&r->wake, &r->lock, &until);
		uint64_t now = report_now_ns();
		if (r->stopping || now < next)
			continue;
		tick(r);
		next = now + TICK_NS;
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

void report_ticker_start(struct report *r)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r->ticking = pthread_create(&r->ticker, NULL, ticker_main, r) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void report_ticker_stop(struct report *r)
{
	if (!r->ticking)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->ticker, NULL);
	r->ticking = false;
}
