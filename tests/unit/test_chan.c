/* Channels: pairs, limits, timeouts, cut lines, and commands that end in every way a remote shell knows. */
#include "chan/chan.h"
#include "chan/chan_diagnose.h"
#include "chan/chan_fault.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct chan *shell(const char *script)
{
	struct err e = {0};
	char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};
	struct chan *c = chan_command_new(argv, "box", true, &e);

	assert_non_null(c);
	return c;
}

/* Read from a command that ends at once; its error. */
static struct err end_of(const char *script)
{
	struct err e = {0};
	struct chan *c = shell(script);
	char byte;

	assert_int_equal(chan_read(c, &byte, 1, &e), -1);
	chan_free(c);
	return e;
}

static void expect_end(const char *script, enum err_code code, const char *text)
{
	struct err e = end_of(script);

	if (!strstr(e.text, text))
		fail_msg("'%s' is not in: %s", text, e.text);
	assert_int_equal(e.code, code);
}

static void pair_carries_both_ways(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	char got[8];

	(void)state;
	assert_int_equal(chan_pair_new(&a, &b, &e), 0);
	assert_int_equal(chan_write(a, "hello", 5, &e), 0);
	struct iovec v[3] = {{"wo", 2}, {"", 0}, {"rld", 3}};
	assert_int_equal(chan_writev(b, v, 3, &e), 0);
	assert_int_equal(chan_read(b, got, 5, &e), 1);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(chan_read(a, got, 2, &e), 1);
	assert_int_equal(chan_read_buffered(a, got + 2, 6), 3);
	assert_memory_equal(got, "world", 5);
	assert_int_equal(chan_bytes_in(a), 5);
	assert_int_equal(chan_bytes_out(a), 5);
	assert_true(chan_writable(a));
	assert_null(chan_host(a));
	chan_free(a);
	assert_int_equal(chan_read(b, got, 1, &e), 0);
	assert_int_equal(chan_write(b, "x", 1, &e), -1);
	assert_int_equal(e.code, ERR_CLOSED);
	chan_free(b);
}

static void end_in_between_is_closed(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	char got[8];

	(void)state;
	assert_int_equal(chan_pair_new(&a, &b, &e), 0);
	assert_int_equal(chan_write(a, "abc", 3, &e), 0);
	chan_free(a);
	assert_int_equal(chan_read(b, got, 4, &e), -1);
	assert_int_equal(e.code, ERR_CLOSED);
	chan_free(b);
}

enum { BULK = 3 << 20 };

static void *write_bulk(void *arg)
{
	struct err e = {0};
	uint8_t *data = malloc(BULK);

	for (size_t i = 0; i < BULK; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	long r = chan_write(arg, data, BULK, &e);
	free(data);
	return (void *)r;
}

static void bulk_through(struct chan *a, struct chan *b)
{
	pthread_t t;
	struct err e = {0};
	size_t done = 0;
	uint8_t piece[70000];

	assert_int_equal(pthread_create(&t, NULL, write_bulk, a), 0);
	for (size_t n = 1; done < BULK; n = n * 3 % sizeof(piece) + 1) {
		if (n > BULK - done)
			n = BULK - done;
		assert_int_equal(chan_read(b, piece, n, &e), 1);
		for (size_t i = 0; i < n; i++)
			if (piece[i] != (uint8_t)((done + i) * 7 + (done + i) / 251))
				fail_msg("byte %zu differs", done + i);
		done += n;
	}
	void *r;
	pthread_join(t, &r);
	assert_null(r);
	chan_free(a);
	chan_free(b);
}

static void bulk_arrives_whole(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};

	(void)state;
	assert_int_equal(chan_pair_new(&a, &b, &e), 0);
	bulk_through(a, b);
	assert_int_equal(chan_pair_new(&a, &b, &e), 0);
	struct chan_fault_params p = {.piece_bytes = 5000, .seed = 42};
	bulk_through(chan_fault_new(a, &p), chan_fault_new(b, &p));
}

static void *shutdown_soon(void *arg)
{
	usleep(50 * 1000);
	chan_shutdown(arg);
	return NULL;
}

static void shutdown_wakes_reader_and_writer(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	pthread_t t;
	char got;
	static char big[8 << 20];

	(void)state;
	for (int writing = 0; writing < 2; writing++) {
		assert_int_equal(chan_pair_new(&a, &b, &e), 0);
		pthread_create(&t, NULL, shutdown_soon, a);
		int r = writing ? chan_write(a, big, sizeof(big), &e) : chan_read(a, &got, 1, &e);
		assert_int_equal(r, -1);
		assert_int_equal(e.code, ERR_CLOSED);
		pthread_join(t, NULL);
		assert_int_equal(chan_read(a, &got, 1, &e), -1);
		assert_int_equal(chan_write(a, &got, 1, &e), -1);
		chan_free(a);
		chan_free(b);
	}
}

static void silence_times_out(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	char got[4];

	(void)state;
	assert_int_equal(chan_pair_new(&a, &b, &e), 0);
	chan_set_timeout(a, 80);
	assert_int_equal(chan_write(b, "x", 1, &e), 0);
	double begin = seconds();
	assert_int_equal(chan_read(a, got, 2, &e), -1);
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_true(seconds() - begin >= 0.07);
	chan_free(a);
	chan_free(b);

	struct chan *c = shell("sleep 20");
	chan_set_timeout(c, 80);
	assert_int_equal(chan_read(c, got, 1, &e), -1);
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_non_null(strstr(e.text, "box"));
	chan_shutdown(c);
	begin = seconds();
	assert_int_equal(chan_free(c), 128 + 15);
	assert_true(seconds() - begin < 10);
}

static void rate_is_kept(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	static char data[60000];

	(void)state;
	assert_int_equal(chan_pair_new(&a, &b, &e), 0);
	chan_limit_rate(a, 200000);
	double begin = seconds();
	assert_int_equal(chan_write(a, data, sizeof(data), &e), 0);
	double took = seconds() - begin;
	assert_true(took > 0.25 && took < 2);
	assert_int_equal(chan_read(b, data, sizeof(data), &e), 1);
	chan_free(a);
	chan_free(b);
}

static void fault_cuts_the_line(void **state)
{
	struct err e = {0};
	char got[16];

	(void)state;
	for (uint64_t cut = 0; cut <= 10; cut++) {
		struct chan *a;
		struct chan *b;
		assert_int_equal(chan_pair_new(&a, &b, &e), 0);
		struct chan *f = chan_fault_new(
			b, &(struct chan_fault_params){.piece_bytes = 1, .cut_in_plus = cut + 1});
		assert_int_equal(chan_write(a, "0123456789", 10, &e), 0);
		int r = chan_read(f, got, 10, &e);
		assert_int_equal(r, cut == 10 ? 1 : cut == 0 ? 0 : -1);
		if (cut == 10)
			assert_int_equal(chan_read(f, got, 1, &e), 0);
		assert_int_equal(chan_write(f, "x", 1, &e), -1);
		assert_int_equal(e.code, ERR_CLOSED);
		assert_false(chan_writable(f));
		chan_free(f);
		chan_free(a);
	}
}

static void fault_cuts_writes(void **state)
{
	struct err e = {0};
	struct chan *a;
	struct chan *b;
	char got[16];

	(void)state;
	assert_int_equal(chan_pair_new(&a, &b, &e), 0);
	struct chan *f = chan_fault_new(a, &(struct chan_fault_params){.cut_out_plus = 4 + 1});
	assert_int_equal(chan_write(f, "0123456789", 10, &e), -1);
	assert_int_equal(e.code, ERR_CLOSED);
	chan_free(f);
	assert_int_equal(chan_read(b, got, 4, &e), 1);
	assert_int_equal(chan_read(b, got, 1, &e), 0);
	chan_free(b);
}

static void command_speaks_through_its_pipes(void **state)
{
	struct chan *c = shell("echo greeting >&2; cat; exit 7");
	struct err e = {0};
	char got[6];

	(void)state;
	assert_string_equal(chan_host(c), "box");
	assert_int_equal(chan_write(c, "abcdef", 6, &e), 0);
	assert_int_equal(chan_read(c, got, 6, &e), 1);
	assert_memory_equal(got, "abcdef", 6);
	assert_int_equal(chan_free(c), 7);
}

static void command_that_cannot_start(void **state)
{
	struct err e = {0};
	char *argv[] = {"/nonexistent/rsh", NULL};

	(void)state;
	assert_null(chan_command_new(argv, "box", true, &e));
	assert_int_equal(e.code, ERR_UNREACHABLE);
	assert_non_null(strstr(e.text, "/nonexistent/rsh"));
}

static void missing_remote_command(void **state)
{
	(void)state;
	expect_end("exit 127", ERR_NO_REMOTE, "box has no 'wherry' command in its PATH");
	expect_end("/nonexistent/wherry", ERR_NO_REMOTE, "--remote-command");
	expect_end("echo 'wherry: Command not found.' >&2; exit 1", ERR_NO_REMOTE, "install it there");
	expect_end("echo 'sh: 1: wherry: not found' >&2; exit 2", ERR_NO_REMOTE, "install it there");
}

static void ssh_failures(void **state)
{
	static const struct {
		const char *says;
		enum err_code code;
		const char *advice;
	} rows[] = {
		{"ssh: Could not resolve hostname box: Name or service not known", ERR_UNREACHABLE,
			"check its name"},
		{"ssh: connect to host box port 22: Connection refused", ERR_UNREACHABLE, "sshd runs"},
		{"Host key verification failed.", ERR_UNREACHABLE, "log in once with ssh"},
		{"me@box: Permission denied (publickey).", ERR_UNREACHABLE, "authorized_keys"},
		{"ssh: connect to host box port 22: Connection timed out", ERR_CONNECT_TIMEOUT,
			"does not answer"},
		{"something quite new", ERR_UNREACHABLE, "plain ssh"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char script[256];
		snprintf(script, sizeof(script), "echo first >&2; echo '%s' >&2; exit 255", rows[i].says);
		expect_end(script, rows[i].code, rows[i].advice);
		expect_end(script, rows[i].code, rows[i].says);
	}
	expect_end("exit 255", ERR_UNREACHABLE, "cannot reach box (");
}

static void other_ends(void **state)
{
	(void)state;
	expect_end("echo 'cannot execute: Permission denied' >&2; exit 126", ERR_CLOSED, "cannot execute");
	expect_end("echo out of luck >&2; exit 3", ERR_CLOSED, "status 3: out of luck");
	expect_end("kill -9 $$", ERR_CLOSED, "signal 9");
	expect_end("exit 0", ERR_CLOSED, "status 0");
	expect_end("printf 'a\\033[31mred' >&2; exit 1", ERR_CLOSED, "a\\#033[31mred");
}

static void end_after_bytes(void **state)
{
	struct err e = {0};
	struct chan *c = shell("printf abc; echo 'client_loop: send disconnect' >&2; exit 255");
	char got[4];

	(void)state;
	assert_int_equal(chan_read(c, got, 4, &e), -1);
	assert_int_equal(e.code, ERR_CLOSED);
	assert_non_null(strstr(e.text, "client_loop"));
	chan_free(c);
	c = shell("printf abc; exit 4");
	assert_int_equal(chan_read(c, got, 3, &e), 1);
	assert_int_equal(chan_read(c, got, 1, &e), 0);
	chan_explain_end(c, &e);
	assert_non_null(strstr(e.text, "status 4"));
	assert_int_equal(chan_free(c), 4);
}

/* The writer notices first: it must give the same reason as the reader would. */
static void writer_explains_too(void **state)
{
	struct err e = {0};
	struct chan *c = shell("exec <&-; echo 'sh: wherry: not found' >&2; exit 127");
	static char big[4 << 20];

	(void)state;
	usleep(100 * 1000);
	assert_int_equal(chan_write(c, big, sizeof(big), &e), -1);
	assert_int_equal(e.code, ERR_NO_REMOTE);
	chan_free(c);
}

static void stderr_held_open_does_not_hang(void **state)
{
	double begin = seconds();

	(void)state;
	expect_end("sleep 8 >/dev/null & echo gone >&2; exit 9", ERR_CLOSED, "status 9: gone");
	assert_true(seconds() - begin < 5);
}

static void expect_argv(char **argv, const char *joined)
{
	char text[512] = "";

	for (size_t i = 0; argv[i]; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "[%s]", argv[i]);
	assert_string_equal(text, joined);
	chan_argv_free(argv);
}

static void rsh_argv(void **state)
{
	(void)state;
	expect_argv(chan_rsh_argv("ssh", NULL, "h", "wherry serve", 0), "[ssh][h][wherry serve]");
	expect_argv(chan_rsh_argv("/usr/bin/ssh -p  22", "me", "h", "w", 7),
		"[/usr/bin/ssh][-p][22][-o][ConnectTimeout=7][-l][me][h][w]");
	expect_argv(chan_rsh_argv("sshx -i 'my key' \"a \\\"b\" c\\ d ''", "", "-oProxyCommand=x", "w", 7),
		"[sshx][-i][my key][a \"b][c d][][--][-oProxyCommand=x][w]");
	assert_null(chan_rsh_argv("ssh 'open", NULL, "h", "w", 0));
	assert_null(chan_rsh_argv("  ", NULL, "h", "w", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pair_carries_both_ways),
		cmocka_unit_test(end_in_between_is_closed),
		cmocka_unit_test(bulk_arrives_whole),
		cmocka_unit_test(shutdown_wakes_reader_and_writer),
		cmocka_unit_test(silence_times_out),
		cmocka_unit_test(rate_is_kept),
		cmocka_unit_test(fault_cuts_the_line),
		cmocka_unit_test(fault_cuts_writes),
		cmocka_unit_test(command_speaks_through_its_pipes),
		cmocka_unit_test(command_that_cannot_start),
		cmocka_unit_test(missing_remote_command),
		cmocka_unit_test(ssh_failures),
		cmocka_unit_test(other_ends),
		cmocka_unit_test(end_after_bytes),
		cmocka_unit_test(writer_explains_too),
		cmocka_unit_test(stderr_held_open_does_not_hang),
		cmocka_unit_test(rsh_argv),
	};

	chan_global_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
