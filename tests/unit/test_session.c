/* Whole sessions between two threads: everything arrives, in whatever pieces the line delivers; a cut line ends both ends at once. */
#include "os_scratch.h"

#include "chan/chan.h"
#include "chan/chan_fault.h"
#include "sync/recv.h"
#include "sync/send.h"
#include "tree/entry.h"

#include <pthread.h>

enum { HANG_SECONDS = 30, BIG_BYTES = 300000, PATH_BYTES = 1024 };

struct end {
	struct sync_options o;
	struct chan *chan;
	const char *path;
	int result;
	struct err e;
	struct sync_counts counts;
	enum err_code told; /* sender: what the receiver said */
	uint64_t in, out;
};

static void swallow(void *ctx, const struct msg_event *ev)
{
	(void)ctx;
	(void)ev;
}

static void source_fault(void *ctx, const char *path, const struct err *e)
{
	report_entry_error(ctx, path, e);
}

static int send_tree(struct end *end, struct session *s)
{
	struct source *source = source_open(&end->o, end->path, true, -1, NULL, &end->e);
	int r = -1;

	if (source) {
		source_set_reporter(source, source_fault, s->report);
		s->pool = pool_new(2);
		r = send_run(s, source, &end->counts, &end->told, &end->e);
		pool_free(s->pool);
	}
	source_free(source);
	return r;
}

static int receive_tree(struct end *end, struct session *s)
{
	const struct recv_params p = {.path = end->path, .restrict_fd = -1, .pushed = true};

	return recv_run(s, &p, &end->counts, &end->e);
}

static void run_end(struct end *end, int (*work)(struct end *end, struct session *s))
{
	struct report *report = report_new(&end->o, swallow, NULL, &end->e);
	struct frames *frames = frames_new(end->chan, 0);
	struct session s;

	session_init(&s, &end->o, end->chan, frames, report);
	end->result = work(end, &s);
	session_release(&s);
	frames_free(frames);
	end->in = chan_bytes_in(end->chan);
	end->out = chan_bytes_out(end->chan);
	chan_free(end->chan); /* as a process does that ends */
	report_free(report);
}

static void *run_sender(void *arg)
{
	run_end(arg, send_tree);
	return NULL;
}

static void *run_receiver(void *arg)
{
	run_end(arg, receive_tree);
	return NULL;
}

static void init_end(struct end *end, const char *path)
{
	*end = (struct end){.path = path};
	sync_options_init(&end->o);
	end->o.fsync = FSYNC_NONE;
	end->o.threads = 2;
	end->o.del = true;
}

/* One session from src to dst; the sender's side of the line is as `line` says. */
static void sync_over(struct end *from, struct end *to, const struct chan_fault_params *line)
{
	struct err e = {0};
	pthread_t a;
	pthread_t b;

	assert_int_equal(chan_pair_new(&from->chan, &to->chan, &e), 0);
	if (line)
		from->chan = chan_fault_new(from->chan, line);
	alarm(HANG_SECONDS);
	assert_int_equal(pthread_create(&a, NULL, run_sender, from), 0);
	assert_int_equal(pthread_create(&b, NULL, run_receiver, to), 0);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	alarm(0);
}

static void release(struct end *from, struct end *to)
{
	sync_options_release(&from->o);
	sync_options_release(&to->o);
}

static void expect_done(const struct end *from, const struct end *to)
{
	if (from->result != 0)
		fail_msg("sender: %s", from->e.text);
	if (to->result != 0)
		fail_msg("receiver: %s", to->e.text);
	assert_int_equal(from->told, ERR_NONE);
}

static void sync_well(const char *src, const char *dst, const struct chan_fault_params *line, struct end *to)
{
	struct end from;

	init_end(&from, src);
	init_end(to, dst);
	sync_over(&from, to, line);
	expect_done(&from, to);
	release(&from, to);
}

/* --- trees ------------------------------------------------------------------------------------------------------------------ */

static char src_path[PATH_BYTES];
static char dst_path[PATH_BYTES];

static void put_big(int dir_fd, const char *name, unsigned seed)
{
	static char data[BIG_BYTES + 1];

	for (size_t i = 0; i < BIG_BYTES; i++) {
		seed = seed * 1103515245 + 12345;
		data[i] = (char)('!' + (seed >> 16) % 90);
	}
	put_file_at(dir_fd, name, data);
}

static void make_source(struct scratch *s)
{
	snprintf(src_path, sizeof(src_path), "%s/src", s->path);
	snprintf(dst_path, sizeof(dst_path), "%s/dst", s->path);
	mkdirat(s->fd, "src", 0755);
	int fd = openat(s->fd, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(fd, "a", 0755);
	mkdirat(fd, "a/b", 0750);
	mkdirat(fd, "empty", 0700);
	put_file_at(fd, "one", "first file");
	put_file_at(fd, "a/two", "second file");
	put_file_at(fd, "a/b/three", "");
	put_file_at(fd, "new\nline", "odd name");
	put_big(fd, "a/big", 1);
	symlinkat("a/two", fd, "link");
	linkat(fd, "one", fd, "a/one-too", 0);
	mkfifoat(fd, "pipe", 0640);
	close(fd);
}

/* Is dst what src is? Asked of find and diff. */
static bool same_tree(void)
{
	static const char script[] =
		"list() { (cd \"$1\" && find . -printf '%P %y %m %n %l %T@\\n' | sort); }\n"
		"list \"$1\" >\"$1.list\" && list \"$2\" | diff \"$1.list\" - && "
		"diff -r --no-dereference -x pipe \"$1\" \"$2\"";
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", script, "sh", src_path, dst_path, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void forget_destination(void)
{
	if (access(dst_path, F_OK) == 0)
		nftw(dst_path, scratch_rm, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- tests ------------------------------------------------------------------------------------------------------------------- */

static void a_tree_arrives_and_a_second_run_has_nothing_to_do(void **state)
{
	struct end to;

	make_source(*state);
	sync_well(src_path, dst_path, NULL, &to);
	assert_true(same_tree());
	assert_int_equal(to.counts.files, 6);
	assert_true(to.counts.literal_bytes >= BIG_BYTES);
	sync_well(src_path, dst_path, NULL, &to);
	assert_true(same_tree());
	assert_int_equal(to.counts.sent_files, 0);
	assert_int_equal(to.counts.literal_bytes, 0);
	assert_int_equal(to.counts.created + to.counts.updated + to.counts.metadata + to.counts.deleted, 0);
	assert_true(to.in < 2000);
	assert_true(to.out < 2000);
}

/* Change, remove, rename and add things on both sides. */
static void disturb(struct scratch *s)
{
	put_file_at(s->fd, "src/one", "changed, and longer");
	unlinkat(s->fd, "src/a/two", 0);
	renameat(s->fd, "src/a/big", s->fd, "src/moved");
	put_file_at(s->fd, "src/empty/now not", "x");
	put_file_at(s->fd, "dst/extra", "to be deleted");
	mkdirat(s->fd, "dst/a/extra dir", 0700);
	put_file_at(s->fd, "dst/a/extra dir/file", "to be deleted");
	fchmodat(s->fd, "dst/a/b", 0777, 0);
	unlinkat(s->fd, "dst/pipe", 0);
	mkdirat(s->fd, "dst/pipe", 0700);
}

static void changes_on_both_sides_are_made_good(void **state)
{
	struct end to;

	make_source(*state);
	sync_well(src_path, dst_path, NULL, &to);
	disturb(*state);
	sync_well(src_path, dst_path, NULL, &to);
	assert_true(same_tree());
	assert_int_equal(to.counts.moved, 1);
	assert_true(to.counts.literal_bytes < 1000);
}

static void byte_by_byte(void **state)
{
	const struct chan_fault_params slow = {.piece_bytes = 1};
	const struct chan_fault_params uneven = {.piece_bytes = 700, .seed = 4711};
	struct scratch *s = *state;
	struct end to;

	make_source(s);
	sync_well(src_path, dst_path, &uneven, &to);
	assert_true(same_tree());
	unlinkat(s->fd, "src/a/big", 0);
	forget_destination();
	sync_well(src_path, dst_path, &slow, &to);
	assert_true(same_tree());
	disturb(s);
	put_file_at(s->fd, "src/empty/more", "y");
	sync_well(src_path, dst_path, &slow, &to);
	assert_true(same_tree());
}

/* Every file that has its name is whole; what is not has a temporary name. */
static int check_whole(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	const char *name = path + ftw->base;

	(void)kind;
	if (entry_name_is_temp(name, strlen(name)) || strstr(path, "/.wherry."))
		return 0;
	if (!S_ISREG(st->st_mode))
		return 0;
	char original[2 * PATH_BYTES];
	struct stat was;
	snprintf(original, sizeof(original), "%s%s", src_path, path + strlen(dst_path));
	return stat(original, &was) != 0 || was.st_size != st->st_size;
}

static void expect_no_half_file(void)
{
	if (access(dst_path, F_OK) == 0)
		assert_int_equal(nftw(dst_path, check_whole, 16, FTW_PHYS), 0);
}

static void cut(const struct chan_fault_params *line, bool sender_may_be_done)
{
	struct end from;
	struct end to;
	uint64_t at = line->cut_in_plus + line->cut_out_plus - 1;
	const char *way = line->cut_in_plus ? "answer" : "stream";

	init_end(&from, src_path);
	init_end(&to, dst_path);
	sync_over(&from, &to, line);
	if (to.result != -1 || (from.result != -1 && !sender_may_be_done))
		fail_msg("%s cut at %lu: sender %d, receiver %d", way, at, from.result, to.result);
	assert_int_not_equal(to.e.code, ERR_NONE);
	assert_true(strlen(to.e.text) > 0);
	if (from.result != 0 && from.e.code != ERR_CLOSED)
		fail_msg("%s cut at %lu: the sender says %s", way, at, from.e.text);
	if (to.e.code != ERR_CLOSED)
		fail_msg("%s cut at %lu: the receiver says %s", way, at, to.e.text);
	release(&from, &to);
	expect_no_half_file();
}

static void cut_all_over(void)
{
	enum { CUTS = 12, BYE_BYTES = 16 };
	struct end from;
	struct end to;

	init_end(&from, src_path);
	init_end(&to, dst_path);
	sync_over(&from, &to, NULL);
	expect_done(&from, &to);
	release(&from, &to);
	for (unsigned i = 0; i < 2 * CUTS; i++) {
		bool in = i % 2;
		uint64_t total = in ? from.in : from.out;
		uint64_t k = i / 2;
		/* thickly at the beginning, where the two get acquainted, and the very last byte */
		uint64_t at = k < 4 ? k * 13 : k == CUTS - 1 ? total - 1 : total * k / CUTS;
		struct chan_fault_params line = {
			.cut_in_plus = in ? at + 1 : 0, .cut_out_plus = in ? 0 : at + 1};
		forget_destination();
		cut(&line, !in && at + BYE_BYTES > total);
	}
}

static void a_cut_line_ends_both_and_leaves_no_half_file(void **state)
{
	struct end to;

	make_source(*state);
	cut_all_over();
	sync_well(src_path, dst_path, NULL, &to); /* and the next run goes on from whatever was left */
	assert_true(same_tree());
}

/* A destination whose filter file is broken cannot be worked in; the sender has to hear of it. */
static void a_receiver_that_cannot_begin_tells_the_sender(void **state)
{
	struct scratch *s = *state;
	struct end from;
	struct end to;

	make_source(s);
	mkdirat(s->fd, "dst", 0755);
	put_file_at(s->fd, "dst/.rules", "nonsense rule\n");
	init_end(&from, src_path);
	init_end(&to, dst_path);
	opt_strings_add(&to.o.rules, ": .rules");
	sync_over(&from, &to, NULL);
	assert_int_equal(to.result, -1);
	assert_int_equal(from.result, -1);
	assert_int_equal(to.e.code, ERR_USAGE);
	/* over a socket pair (not over the pipes of a child) a close with something unread may overtake the last words */
	if (from.e.code != ERR_CLOSED) {
		assert_int_equal(from.e.code, ERR_USAGE);
		assert_non_null(strstr(from.e.text, ".rules"));
	}
	release(&from, &to);
}

static void rules_hold_on_the_receiving_side(void **state)
{
	struct scratch *s = *state;
	struct end from;
	struct end to;

	make_source(s);
	mkdirat(s->fd, "dst", 0755);
	put_file_at(s->fd, "dst/kept", "");
	put_file_at(s->fd, "dst/not kept", "");
	init_end(&from, src_path);
	init_end(&to, dst_path);
	opt_strings_add(&to.o.rules, "P kept");
	sync_over(&from, &to, NULL);
	expect_done(&from, &to);
	assert_true(exists_at(s->fd, "dst/kept"));
	assert_false(exists_at(s->fd, "dst/not kept"));
	assert_true(exists_at(s->fd, "dst/a/big"));
	release(&from, &to);
}

static void a_destination_that_is_a_file_is_an_error_at_both_ends(void **state)
{
	struct scratch *s = *state;
	struct end from;
	struct end to;

	make_source(s);
	put_file_at(s->fd, "dst", "a file");
	init_end(&from, src_path);
	init_end(&to, dst_path);
	sync_over(&from, &to, NULL);
	assert_int_equal(from.result, -1);
	assert_int_equal(to.result, -1);
	assert_int_equal(from.e.code, ERR_SOURCE);
	assert_int_equal(to.e.code, ERR_SOURCE);
	release(&from, &to);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(a_tree_arrives_and_a_second_run_has_nothing_to_do),
		IN_SCRATCH(changes_on_both_sides_are_made_good),
		IN_SCRATCH(byte_by_byte),
		IN_SCRATCH(a_cut_line_ends_both_and_leaves_no_half_file),
		IN_SCRATCH(a_receiver_that_cannot_begin_tells_the_sender),
		IN_SCRATCH(rules_hold_on_the_receiving_side),
		IN_SCRATCH(a_destination_that_is_a_file_is_an_error_at_both_ends),
	};

	chan_global_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
