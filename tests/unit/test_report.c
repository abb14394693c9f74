/* What a run says: captured through files and a pseudo-terminal. */
#include "base/alloc.h"
#include "sync/plan.h"
#include "sync/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One report whose stdout and stderr are memory files. */
struct capture {
	struct sync_options opts;
	struct report *r;
	int out, err;
	char *out_text, *err_text;
};

static void capture_open(struct capture *c)
{
	struct err e = {0};

	c->out = memfd_create("out", MFD_CLOEXEC);
	c->err = memfd_create("err", MFD_CLOEXEC);
	assert_true(c->out >= 0 && c->err >= 0);
	c->r = report_new_fds(&c->opts, c->out, c->err, NULL, NULL, &e);
	assert_non_null(c->r);
}

static char *slurp(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	char *text = xcalloc(1, (size_t)st.st_size + 1);
	assert_int_equal(pread(fd, text, (size_t)st.st_size, 0), st.st_size);
	return text;
}

/* Frees the report; what it had printed is in out_text and err_text. */
static void capture_finish(struct capture *c)
{
	report_free(c->r);
	c->out_text = slurp(c->out);
	c->err_text = slurp(c->err);
	close(c->out);
	close(c->err);
}

static void capture_release(struct capture *c)
{
	free(c->out_text);
	free(c->err_text);
}

static struct msg_event event(
	enum event_kind kind, uint32_t iflags, uint32_t mode, const char *path, const char *extra)
{
	return (struct msg_event){.kind = kind,
		.iflags = iflags,
		.mode = mode,
		.size = 5,
		.path = path,
		.path_len = strlen(path),
		.extra = extra,
		.extra_len = extra ? strlen(extra) : 0};
}

static void send_samples(struct report *r)
{
	const struct msg_event events[] = {
		event(EVENT_ITEM, ITEM_LOCAL_CHANGE | ITEM_IS_NEW, S_IFDIR | 0755, "dir", NULL),
		event(EVENT_ITEM, ITEM_TRANSFER | ITEM_IS_NEW, S_IFREG | 0644, "dir/file", NULL),
		event(EVENT_ITEM, ITEM_LOCAL_CHANGE | ITEM_IS_NEW, S_IFLNK | 0777, "l", "target"),
		event(EVENT_ITEM, ITEM_LOCAL_CHANGE | ITEM_HLINK | ITEM_IS_NEW, S_IFREG | 0644, "b", "a"),
		event(EVENT_ITEM, ITEM_TIME, S_IFDIR | 0755, "", NULL),
		event(EVENT_ITEM, 0, S_IFREG | 0644, "same", NULL),
		event(EVENT_DELETE, 0, S_IFREG, "old", NULL),
		event(EVENT_DELETE, 0, S_IFDIR, "olddir", NULL),
		event(EVENT_MOVE, 0, S_IFREG | 0644, "new", "old2"),
		event(EVENT_MOVE, 0, S_IFDIR | 0755, "newdir", "olddir2"),
		event(EVENT_ITEM, ITEM_TRANSFER | ITEM_IS_NEW, S_IFREG | 0644, "bad\nname\033\xff", NULL),
	};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		report_event(r, &events[i]);
}

static void send_error(struct report *r, const char *path, enum err_code code, const char *text)
{
	struct err e;

	err_set(&e, code, "%s", text);
	report_entry_error(r, path, &e);
}

static void itemize_prints_what_rsync_prints(void **state)
{
	struct capture c = {.opts = {.itemize = true}};

	(void)state;
	capture_open(&c);
	send_samples(c.r);
	capture_finish(&c);
	assert_string_equal(c.out_text, "cd+++++++++ dir/\n"
					">f+++++++++ dir/file\n"
					"cL+++++++++ l -> target\n"
					"hf+++++++++ b => a\n"
					".d..t...... ./\n"
					"*deleting   old\n"
					"*deleting   olddir/\n"
					"mv          old2 -> new\n"
					"mv          olddir2/ -> newdir/\n"
					">f+++++++++ bad\\#012name\\#033\\#377\n");
	assert_string_equal(c.err_text, "");
	capture_release(&c);
}

static void verbose_prints_names(void **state)
{
	struct capture c = {.opts = {.verbose = 1}};

	(void)state;
	capture_open(&c);
	send_samples(c.r);
	capture_finish(&c);
	assert_string_equal(c.out_text,
		"dir/\ndir/file\nl -> target\nb => a\n./\ndeleting old\ndeleting olddir/\n"
		"moving old2 -> new\nmoving olddir2/ -> newdir/\n"
		"bad\\#012name\\#033\\#377\n");
	capture_release(&c);
}

static void twice_verbose_shows_unchanged_items(void **state)
{
	struct capture c = {.opts = {.verbose = 2, .itemize = true}};
	struct msg_event ev = event(EVENT_ITEM, 0, S_IFREG | 0644, "same", NULL);

	(void)state;
	capture_open(&c);
	report_event(c.r, &ev);
	capture_finish(&c);
	assert_string_equal(c.out_text, ".f          same\n");
	capture_release(&c);
}

static void by_default_only_faults_are_printed(void **state)
{
	struct capture c = {0};

	(void)state;
	capture_open(&c);
	assert_false(report_wants_items(c.r));
	send_samples(c.r);
	send_error(c.r, "dir/secret", ERR_IO, "open: Permission denied");
	send_error(c.r, "gone", ERR_VANISHED, "vanished while it was read");
	report_note(c.r, "owners of %d entries cannot be set", 3);
	assert_int_equal(report_error_count(c.r), 1);
	assert_int_equal(report_vanished_count(c.r), 1);
	capture_finish(&c);
	assert_string_equal(c.out_text, "");
	assert_string_equal(c.err_text, "wherry: dir/secret: open: Permission denied\n"
					"wherry: gone: vanished while it was read\n"
					"wherry: note: owners of 3 entries cannot be set\n");
	capture_release(&c);
}

static void quiet_leaves_only_errors(void **state)
{
	struct capture c = {
		.opts = {.quiet = 1, .verbose = 2, .itemize = true, .stats = true, .progress = true}};
	struct sync_counts counts = {.entries = 3, .created = 3};

	(void)state;
	capture_open(&c);
	assert_false(report_wants_items(c.r));
	send_samples(c.r);
	report_note(c.r, "hush");
	send_error(c.r, "a\tb", ERR_IO, "read: Input/output error");
	report_end(c.r, &counts, 10, 20, NULL, ERR_PARTIAL);
	capture_finish(&c);
	assert_string_equal(c.out_text, "");
	assert_string_equal(c.err_text,
		"wherry: a\\#011b: read: Input/output error\n"
		"wherry: ended with status 23 (partial): some entries could not be transferred\n");
	capture_release(&c);
}

/* Cuts "in 0.00 s (1.2 MB/s)" out of the second line, which depends on the clock. */
static void cut_time(char *text)
{
	char *from = strstr(text, " in ");
	char *to = from ? strstr(from, "/s)") : NULL;

	if (to)
		memmove(from, to + 3, strlen(to + 3) + 1);
}

static void expect_summary(struct capture *c, const struct sync_counts *counts, uint64_t in, uint64_t out,
	enum err_code result, const char *text)
{
	capture_open(c);
	report_end(c->r, counts, in, out, NULL, result);
	capture_finish(c);
	cut_time(c->out_text);
	assert_string_equal(c->out_text, text);
	capture_release(c);
}

static const struct sync_counts busy = {.entries = 1204,
	.total_bytes = 34200000,
	.created = 12,
	.updated = 3,
	.deleted = 1,
	.moved = 2,
	.sent_bytes = 34200000};

static void summary_over_a_wire(void **state)
{
	struct capture c = {0};

	(void)state;
	expect_summary(&c, &busy, 3400, 1200000, ERR_NONE,
		"12 created, 3 updated, 1 deleted, 2 moved of 1,204 entries (34.2 MB)\n"
		"sent 1.2 MB, received 3.4 kB; 28x less than the 34.2 MB changed\n");
}

static void summary_of_a_local_run(void **state)
{
	struct capture c = {0};
	struct sync_counts counts = {.entries = 1, .total_bytes = 1, .metadata = 1, .linked = 2000};

	(void)state;
	expect_summary(&c, &busy, 0, 0, ERR_NONE,
		"12 created, 3 updated, 1 deleted, 2 moved of 1,204 entries (34.2 MB)\ncopied 34.2 MB\n");
	capture_open(&c);
	report_end(c.r, &counts, 0, 0, NULL, ERR_NONE);
	capture_finish(&c);
	assert_non_null(
		strstr(c.out_text, "1 with new attributes, 2,000 hard-linked of 1 entry (1 byte)\ntook 0.0"));
	capture_release(&c);
}

static void summary_of_a_dry_run(void **state)
{
	struct capture c = {.opts = {.dry_run = true}};

	(void)state;
	expect_summary(&c, &busy, 100, 200, ERR_NONE,
		"would create 12, update 3, delete 1, move 2 of 1,204 entries (34.2 MB)\n"
		"sent 200 bytes, received 100 bytes; would transfer 34.2 MB\n");
}

static void summary_when_nothing_differs(void **state)
{
	struct capture c = {0};
	struct sync_counts counts = {.entries = 1204, .total_bytes = 34200000};
	struct sync_counts none = {0};

	(void)state;
	expect_summary(&c, &counts, 300, 200, ERR_NONE,
		"nothing to do: 1,204 entries (34.2 MB) are up to date\nsent 200 bytes, received 300 "
		"bytes\n");
	expect_summary(&c, &none, 300, 200, ERR_NONE, "nothing to do\nsent 200 bytes, received 300 bytes\n");
	expect_summary(&c, &counts, 300, 200, ERR_PARTIAL,
		"nothing was changed of 1,204 entries (34.2 MB)\nsent 200 bytes, received 300 bytes\n");
}

static void a_fatal_error_is_the_last_word(void **state)
{
	struct capture c = {0};
	struct err fatal;

	(void)state;
	err_set(&fatal, ERR_NO_SPACE, "write dir/file: No space left on device");
	capture_open(&c);
	send_error(c.r, "x", ERR_IO, "odd");
	report_end(c.r, &busy, 5, 5, &fatal, ERR_NONE);
	capture_finish(&c);
	assert_string_equal(
		c.out_text, "12 created, 3 updated, 1 deleted, 2 moved before the run stopped; 1 error\n");
	assert_string_equal(c.err_text, "wherry: x: odd\nwherry: write dir/file: No space left on device\n");
	capture_release(&c);
}

static void numbers_are_rounded_for_reading(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{1, "copied 1 byte\n"},
		{999, "copied 999 bytes\n"},
		{1000, "copied 1.0 kB\n"},
		{999949, "copied 999.9 kB\n"},
		{999950, "copied 1.0 MB\n"},
		{UINT64_C(1234567890123), "copied 1.2 TB\n"},
		{UINT64_MAX, "copied 18.4 EB\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct capture c = {0};
		struct sync_counts counts = {.sent_bytes = cases[i].bytes};
		capture_open(&c);
		report_end(c.r, &counts, 0, 0, NULL, ERR_NONE);
		capture_finish(&c);
		cut_time(c.out_text);
		assert_string_equal(strchr(c.out_text, '\n') + 1, cases[i].text);
		capture_release(&c);
	}
}

static void stats_block(void **state)
{
	struct capture c = {.opts = {.stats = true}};

	(void)state;
	capture_open(&c);
	report_end(c.r, &busy, 3400, 1200000, NULL, ERR_NONE);
	capture_finish(&c);
	assert_non_null(strstr(c.out_text, "Number of files: 1,204 (reg: 0, other: 1,204)\n"));
	assert_non_null(strstr(c.out_text, "\nNumber of created files: 12\n"));
	assert_non_null(strstr(c.out_text, "\nTotal file size: 34,200,000 bytes\n"));
	assert_non_null(strstr(c.out_text, "\nTotal bytes sent: 1,200,000 bytes\n"));
	assert_non_null(strstr(c.out_text, "\n\n12 created, "));
	capture_release(&c);
}

/* The next line of *text as a JSON object; NULL at the end. */
static json_t *next_object(char **text)
{
	char *end = strchr(*text, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	json_error_t why;
	json_t *o = json_loads(*text, 0, &why);
	if (!o)
		fail_msg("%s in: %s", why.text, *text);
	*text = end + 1;
	return o;
}

static const char *string_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "(absent)";
}

static void expect_object(char **text, const char *event_name, const char *key, const char *value)
{
	json_t *o = next_object(text);

	assert_non_null(o);
	assert_string_equal(string_of(o, "event"), event_name);
	assert_string_equal(string_of(o, key), value);
	json_decref(o);
}

static void json_is_one_object_per_event(void **state)
{
	struct capture c = {.opts = {.json = true, .progress = true}};

	(void)state;
	capture_open(&c);
	assert_true(report_wants_items(c.r));
	report_start(c.r, "/a \"b\"/", "host:/c");
	send_samples(c.r);
	send_error(c.r, "f", ERR_NO_SPACE, "No space left on device");
	report_note(c.r, "well");
	report_end(c.r, &busy, 3, 4, NULL, ERR_PARTIAL);
	capture_finish(&c);
	assert_string_equal(c.err_text, "");
	char *at = c.out_text;
	expect_object(&at, "start", "source", "/a \"b\"/");
	expect_object(&at, "item", "letters", "cd+++++++++");
	expect_object(&at, "item", "path", "dir/file");
	expect_object(&at, "item", "target", "target");
	expect_object(&at, "item", "leader", "a");
	expect_object(&at, "item", "change", "metadata");
	expect_object(&at, "delete", "path", "old");
	expect_object(&at, "delete", "type", "dir");
	expect_object(&at, "move", "from", "old2");
	expect_object(&at, "move", "path", "newdir");
	char *odd = strchr(at, '\n') + 1; /* not Unicode: jansson refuses it, Python reads it */
	assert_non_null(strstr(at, "\"path\":\"bad\\u000aname\\u001b\\udcff\""));
	at = odd;
	expect_object(&at, "error", "code", "no-space");
	expect_object(&at, "note", "text", "well");
	json_t *end = next_object(&at);
	assert_string_equal(string_of(end, "event"), "end");
	assert_string_equal(string_of(end, "result"), "partial");
	assert_int_equal(json_integer_value(json_object_get(end, "status")), 23);
	assert_int_equal(json_integer_value(json_object_get(end, "wire_received")), 3);
	assert_int_equal(json_integer_value(json_object_get(end, "errors")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(end, "counts"), "created")), 12);
	json_decref(end);
	assert_string_equal(at, "");
	capture_release(&c);
}

static void json_says_fatal_and_begins_even_so(void **state)
{
	struct capture c = {.opts = {.json = true}};
	struct err fatal;

	(void)state;
	err_set(&fatal, ERR_UNREACHABLE, "ssh: no route");
	capture_open(&c);
	report_end(c.r, NULL, 0, 0, &fatal, ERR_NONE);
	capture_finish(&c);
	char *at = c.out_text;
	expect_object(&at, "start", "source", "(absent)");
	expect_object(&at, "end", "text", "ssh: no route");
	capture_release(&c);
}

static void log_file_has_it_all_with_time(void **state)
{
	char path[] = "/tmp/wherry-test-log-XXXXXX";
	int fd = mkstemp(path);
	struct capture c = {.opts = {.quiet = 1, .log_file = path}};

	(void)state;
	assert_true(fd >= 0);
	capture_open(&c);
	assert_true(report_wants_items(c.r));
	report_start(c.r, "src/", "dst");
	send_samples(c.r);
	send_error(c.r, "x", ERR_IO, "odd");
	report_end(c.r, &busy, 0, 0, NULL, ERR_PARTIAL);
	capture_finish(&c);
	char *log = slurp(fd);
	int year, month, day, n = 0;
	assert_int_equal(sscanf(log, "%d-%d-%dT%*d:%*d:%*d%*d [%*d] %n", &year, &month, &day, &n), 3);
	assert_true(n > 0);
	assert_memory_equal(log + n, "start: src/ to dst\n", 19);
	assert_non_null(strstr(log, "] >f+++++++++ dir/file\n"));
	assert_non_null(strstr(log, "] error: x: odd\n"));
	assert_non_null(strstr(log, "] 12 created, 3 updated, "));
	assert_non_null(strstr(log, "] ended with status 23 (partial): "));
	free(log);
	close(fd);
	unlink(path);
	capture_release(&c);
}

static void log_file_that_cannot_be_opened(void **state)
{
	char path[] = "/nonexistent/log";
	struct sync_options opts = {.log_file = path};
	struct err e = {0};

	(void)state;
	assert_null(report_new_fds(&opts, 1, 2, NULL, NULL, &e));
	assert_int_equal(e.code, ERR_IO);
	assert_non_null(strstr(e.text, "/nonexistent/log"));
}

static void count_forwarded(void *ctx, const struct msg_event *ev)
{
	int *counts = ctx;

	counts[ev->kind]++;
}

static void forward_prints_nothing(void **state)
{
	int counts[8] = {0};
	int out = memfd_create("out", MFD_CLOEXEC);
	char path[] = "/nonexistent/log";
	struct sync_options opts = {.json = true, .progress = true, .log_file = path};
	struct err e = {0};

	(void)state;
	struct report *r = report_new_fds(&opts, out, out, count_forwarded, counts, &e);
	assert_non_null(r);
	assert_true(report_wants_items(r));
	send_samples(r);
	send_error(r, "x", ERR_IO, "odd");
	report_note(r, "well");
	report_end(r, &busy, 0, 0, NULL, ERR_PARTIAL);
	assert_int_equal(report_error_count(r), 1);
	report_free(r);
	assert_int_equal(counts[EVENT_ITEM], 7);
	assert_int_equal(counts[EVENT_DELETE], 2);
	assert_int_equal(counts[EVENT_MOVE], 2);
	assert_int_equal(counts[EVENT_ENTRY_ERROR], 1);
	assert_int_equal(counts[EVENT_NOTE], 1);
	assert_int_equal(lseek(out, 0, SEEK_END), 0);
	close(out);
}

enum { WRITERS = 4, PER_WRITER = 5000 };

static void *write_many(void *arg)
{
	char path[64];

	for (int i = 0; i < PER_WRITER; i++) {
		snprintf(path, sizeof(path), "some/directory/file-%d", i);
		struct msg_event ev =
			event(EVENT_ITEM, ITEM_TRANSFER | ITEM_IS_NEW, S_IFREG | 0644, path, NULL);
		report_event(arg, &ev);
	}
	return NULL;
}

static void lines_of_many_threads_stay_whole(void **state)
{
	struct capture c = {.opts = {.itemize = true}};
	pthread_t threads[WRITERS];
	size_t lines = 0;

	(void)state;
	capture_open(&c);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, c.r), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	capture_finish(&c);
	for (char *line = c.out_text, *end; (end = strchr(line, '\n')); line = end + 1, lines++)
		assert_memory_equal(line, ">f+++++++++ some/directory/file-", 32);
	assert_int_equal(lines, WRITERS * PER_WRITER);
	capture_release(&c);
}

/* --- a terminal --- */

struct screen {
	int master, slave;
	char text[65536];
	size_t len;
};

static void screen_open(struct screen *s, unsigned short columns)
{
	struct winsize size = {.ws_col = columns, .ws_row = 24};

	assert_int_equal(openpty(&s->master, &s->slave, NULL, NULL, &size), 0);
	s->len = 0;
	s->text[0] = '\0';
	setenv("TERM", "xterm", 1);
}

/* Collects what comes within `ms` milliseconds of silence. */
static void screen_read(struct screen *s, int ms)
{
	struct pollfd p = {.fd = s->master, .events = POLLIN};

	while (s->len + 1 < sizeof(s->text) && poll(&p, 1, ms) > 0) {
		ssize_t n = read(s->master, s->text + s->len, sizeof(s->text) - 1 - s->len);
		if (n <= 0)
			break;
		s->len += (size_t)n;
		s->text[s->len] = '\0';
	}
}

static void screen_close(struct screen *s)
{
	close(s->master);
	close(s->slave);
}

static void set_progress(struct report *r)
{
	struct progress *p = report_progress(r);

	p->phase = PHASE_TRANSFER;
	p->files_total = 30000;
	p->files_done = 12345;
	p->bytes_total = 2000000000;
	p->bytes_done = 900000000;
}

static void a_terminal_shows_one_line_that_goes_away(void **state)
{
	struct screen s;
	struct sync_options opts = {.itemize = true};
	struct err e = {0};
	struct msg_event ev = event(EVENT_ITEM, ITEM_TRANSFER | ITEM_IS_NEW, S_IFREG | 0644, "f", NULL);

	(void)state;
	screen_open(&s, 100);
	struct report *r = report_new_fds(&opts, s.slave, s.slave, NULL, NULL, &e);
	set_progress(r);
	usleep(350000);
	report_event(r, &ev);
	usleep(150000);
	send_error(r, "x", ERR_IO, "odd");
	report_end(r, &busy, 0, 0, NULL, ERR_NONE);
	report_free(r);
	screen_read(&s, 50);
	assert_non_null(strstr(s.text, "\rtransferring   45%  900.0 MB  of 2.0 GB  12,345/30,000 files  "));
	assert_non_null(strstr(s.text, " left\033[K"));
	/* a line: erased, written, and the progress is there again, in one go */
	char *item = strstr(s.text, "\r\033[K>f+++++++++ f\r\ntransferring   45%");
	assert_non_null(item);
	char *error = strstr(item, "\r\033[Kwherry: x: odd\r\ntransferring   45%");
	assert_non_null(error);
	char *end = strstr(error, "\r\033[K12 created");
	assert_non_null(end);
	assert_null(strstr(end, "transferring"));
	screen_close(&s);
}

static void the_line_fits_a_narrow_terminal(void **state)
{
	static const unsigned short widths[] = {1, 2, 10, 20, 40, 60};

	(void)state;
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		struct screen s;
		struct sync_options opts = {0};
		struct err e = {0};
		screen_open(&s, widths[i]);
		struct report *r = report_new_fds(&opts, s.slave, s.slave, NULL, NULL, &e);
		set_progress(r);
		usleep(250000);
		screen_read(&s, 10);
		report_free(r);
		assert_true(s.len > 0);
		char *end = strchr(s.text, '\033');
		assert_non_null(end);
		assert_true((size_t)(end - s.text) - 1 <= (widths[i] > 1 ? widths[i] - 1u : 1u));
		if (widths[i] >= 20)
			assert_non_null(strstr(s.text, "45%"));
		screen_close(&s);
	}
}

static void nothing_moves_when_nobody_should_see_it(void **state)
{
	const struct sync_options cases[] = {
		{.no_progress = true},
		{.quiet = 1},
		{.json = true, .no_progress = true},
		{.no_progress = true, .progress = true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct screen s;
		struct err e = {0};
		screen_open(&s, 80);
		struct report *r = report_new_fds(&cases[i], s.slave, s.slave, NULL, NULL, &e);
		set_progress(r);
		usleep(250000);
		screen_read(&s, 10);
		report_free(r);
		assert_int_equal(s.len, 0);
		screen_close(&s);
	}
}

static void forced_progress_is_a_line_a_second(void **state)
{
	struct capture c = {.opts = {.progress = true}};

	(void)state;
	capture_open(&c);
	set_progress(c.r);
	usleep(1300000);
	capture_finish(&c);
	assert_non_null(strstr(c.err_text, "transferring   45%  "));
	assert_null(strchr(c.err_text, '\r'));
	assert_null(strchr(c.err_text, '\033'));
	assert_ptr_equal(strchr(c.err_text, '\n') + 1, c.err_text + strlen(c.err_text));
	assert_string_equal(c.out_text, "");
	capture_release(&c);
}

static void json_progress_comes_every_second(void **state)
{
	struct capture c = {.opts = {.json = true}};

	(void)state;
	capture_open(&c);
	report_start(c.r, "a", "b");
	set_progress(c.r);
	usleep(1300000);
	capture_finish(&c);
	char *at = c.out_text;
	expect_object(&at, "start", "source", "a");
	expect_object(&at, "progress", "phase", "transfer");
	assert_string_equal(at, "");
	capture_release(&c);
}

static void a_full_disk_behind_stdout_is_said_once(void **state)
{
	struct capture c = {.opts = {.itemize = true}};
	struct err e = {0};
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	if (full < 0)
		skip();
	c.out = memfd_create("out", MFD_CLOEXEC);
	c.err = memfd_create("err", MFD_CLOEXEC);
	c.r = report_new_fds(&c.opts, full, c.err, NULL, NULL, &e);
	for (int i = 0; i < 3000; i++)
		send_samples(c.r);
	capture_finish(&c);
	assert_string_equal(c.err_text, "wherry: writing to stdout: No space left on device\n");
	close(full);
	capture_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(itemize_prints_what_rsync_prints),
		cmocka_unit_test(verbose_prints_names),
		cmocka_unit_test(twice_verbose_shows_unchanged_items),
		cmocka_unit_test(by_default_only_faults_are_printed),
		cmocka_unit_test(quiet_leaves_only_errors),
		cmocka_unit_test(summary_over_a_wire),
		cmocka_unit_test(summary_of_a_local_run),
		cmocka_unit_test(summary_of_a_dry_run),
		cmocka_unit_test(summary_when_nothing_differs),
		cmocka_unit_test(a_fatal_error_is_the_last_word),
		cmocka_unit_test(numbers_are_rounded_for_reading),
		cmocka_unit_test(stats_block),
		cmocka_unit_test(json_is_one_object_per_event),
		cmocka_unit_test(json_says_fatal_and_begins_even_so),
		cmocka_unit_test(log_file_has_it_all_with_time),
		cmocka_unit_test(log_file_that_cannot_be_opened),
		cmocka_unit_test(forward_prints_nothing),
		cmocka_unit_test(lines_of_many_threads_stay_whole),
		cmocka_unit_test(a_terminal_shows_one_line_that_goes_away),
		cmocka_unit_test(the_line_fits_a_narrow_terminal),
		cmocka_unit_test(nothing_moves_when_nobody_should_see_it),
		cmocka_unit_test(forced_progress_is_a_line_a_second),
		cmocka_unit_test(json_progress_comes_every_second),
		cmocka_unit_test(a_full_disk_behind_stdout_is_said_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
