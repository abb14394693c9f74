/* Frames: whole, in single bytes, compressed, cut at every byte, relayed, kept awake, and mistaken for a shell. */
#include "chan/chan_fault.h"
#include "proto/frames.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void pair(struct chan **a, struct chan **b)
{
	struct err e = {0};

	assert_int_equal(chan_pair_new(a, b, &e), 0);
}

static struct buf text_buf(const char *text)
{
	struct buf b;

	buf_init(&b, FRAME_MAX);
	buf_put(&b, text, strlen(text));
	return b;
}

static void send_text(struct frames *f, enum msg_type type, const char *text)
{
	struct err e = {0};
	struct buf b = text_buf(text);

	assert_int_equal(frames_send(f, type, &b, NULL, &e), 0);
	buf_release(&b);
}

static void expect_text(struct frames *f, enum msg_type type, const char *text)
{
	struct err e = {0};
	struct buf got;
	enum msg_type t;

	buf_init(&got, FRAME_MAX);
	assert_int_equal(frames_recv(f, &t, &got, &e), 1);
	assert_int_equal(t, type);
	assert_int_equal(got.len, strlen(text));
	assert_memory_equal(got.data ? got.data : (uint8_t *)"", text, got.len);
	buf_release(&got);
}

static void session_over(struct chan *a, struct chan *b)
{
	struct frames *fa = frames_new(a, 0);
	struct frames *fb = frames_new(b, 0);
	struct err e = {0};
	struct buf got;
	enum msg_type t;

	buf_init(&got, FRAME_MAX);
	send_text(fa, MSG_START, "start");
	send_text(fa, MSG_HELLO, "hello there");
	assert_int_equal(frames_send(fa, MSG_PING, NULL, NULL, &e), 0);
	send_text(fb, MSG_HELLO, "hello");
	assert_int_equal(frames_send(fa, MSG_BYE, NULL, NULL, &e), 0);
	expect_text(fb, MSG_START, "start");
	expect_text(fb, MSG_HELLO, "hello there");
	expect_text(fb, MSG_BYE, "");
	expect_text(fa, MSG_HELLO, "hello");
	assert_int_equal(frames_raw_out(fa), 16);
	frames_free(fa);
	chan_free(a);
	assert_int_equal(frames_recv(fb, &t, &got, &e), 0);
	frames_free(fb);
	chan_free(b);
	buf_release(&got);
}

static void whole_frames(void **state)
{
	struct chan *a;
	struct chan *b;

	(void)state;
	pair(&a, &b);
	session_over(a, b);
}

static void byte_by_byte(void **state)
{
	struct chan *a;
	struct chan *b;

	(void)state;
	pair(&a, &b);
	struct chan_fault_params p = {.piece_bytes = 1};
	session_over(chan_fault_new(a, &p), chan_fault_new(b, &p));
	pair(&a, &b);
	p = (struct chan_fault_params){.piece_bytes = 9, .seed = 7};
	session_over(chan_fault_new(a, &p), chan_fault_new(b, &p));
}

enum { BIG = FRAME_MAX };

static void *send_big(void *arg)
{
	struct codec_enc *enc = codec_enc_new();
	struct err e = {0};
	struct buf b;

	buf_init(&b, FRAME_MAX);
	for (size_t i = 0; i < BIG / 4; i++)
		buf_put_u32(&b, (uint32_t)(i % 1000));
	frames_set_codec(arg, CODEC_ZSTD, 0);
	long r = frames_send(arg, MSG_PACK, &b, enc, &e);
	frames_set_codec(arg, CODEC_LZ4, 0);
	r |= frames_send(arg, MSG_CHUNK, &b, enc, &e);
	r |= frames_send(arg, MSG_CHUNK, &b, NULL, &e);
	buf_clear(&b);
	for (uint32_t i = 0, x = 1; i < 5000; i++) {
		x = x * 1664525 + 1013904223;
		buf_put_u8(&b, (uint8_t)(x >> 24));
	}
	r |= frames_send(arg, MSG_CHUNK, &b, enc, &e); /* does not shrink */
	buf_release(&b);
	codec_enc_free(enc);
	return (void *)r;
}

static void compressed_frames(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	struct buf got;
	enum msg_type t;
	pthread_t thread;

	(void)state;
	pair(&a, &b);
	struct frames *fa = frames_new(a, 0);
	struct frames *fb = frames_new(b, 0);
	pthread_create(&thread, NULL, send_big, fa);
	buf_init(&got, FRAME_MAX);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(frames_recv(fb, &t, &got, &e), 1);
		assert_int_equal(t, i ? MSG_CHUNK : MSG_PACK);
		assert_int_equal(got.len, BIG);
		struct cursor c = cur_make(got.data, got.len);
		for (size_t k = 0; k < BIG / 4; k++)
			if (cur_u32(&c) != k % 1000)
				fail_msg("frame %d differs at %zu", i, k);
		if (i == 1)
			assert_true(chan_bytes_in(b) < BIG / 4);
	}
	assert_int_equal(frames_recv(fb, &t, &got, &e), 1);
	assert_int_equal(got.len, 5000);
	void *r;
	pthread_join(thread, &r);
	assert_null(r);
	assert_int_equal(frames_raw_out(fa), (uint64_t)BIG * 3 + 5000);
	frames_free(fa);
	frames_free(fb);
	chan_free(a);
	chan_free(b);
	buf_release(&got);
}

/* What a client hears when its line is cut after `cut` bytes: some of the frames, then an end or an error. */
static size_t frames_until_cut(uint64_t cut, struct err *e, int *last)
{
	struct chan *a;
	struct chan *b;
	struct codec_enc *enc = codec_enc_new();
	struct buf got;
	struct buf big = text_buf("");
	enum msg_type t;
	size_t n = 0;

	pair(&a, &b);
	struct frames *fa = frames_new(a, 0);
	struct chan *line = chan_fault_new(b, &(struct chan_fault_params){.cut_in_plus = cut + 1});
	struct frames *fb = frames_new(line, 0);
	send_text(fa, MSG_HELLO, "hello");
	frames_set_codec(fa, CODEC_ZSTD, 0);
	for (int i = 0; i < 3000; i++)
		buf_put_u8(&big, (uint8_t)(i % 10));
	assert_int_equal(frames_send(fa, MSG_PACK, &big, enc, e), 0);
	send_text(fa, MSG_BYE, "");
	frames_free(fa);
	chan_free(a);
	buf_init(&got, FRAME_MAX);
	while ((*last = frames_recv(fb, &t, &got, e)) == 1)
		n++;
	frames_free(fb);
	chan_free(line);
	buf_release(&got);
	buf_release(&big);
	codec_enc_free(enc);
	return n;
}

static void cut_at_every_byte(void **state)
{
	struct err e = {0};
	int last;
	size_t ends = 0;
	size_t before = 0;

	(void)state;
	for (uint64_t cut = 0; before < 3; cut++) {
		size_t n = frames_until_cut(cut, &e, &last);
		assert_true(n >= before);
		if (last == 0)
			ends++;
		else
			assert_int_equal(e.code, ERR_CLOSED);
		before = n;
	}
	/* A clean end only between frames: before the first one and after each of three. */
	assert_int_equal(ends, 4);
}

static void damaged_payload_is_refused(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	struct buf got;
	enum msg_type t;
	uint8_t head[FRAME_HEADER_BYTES];
	struct frame h = {MSG_DIR, CODEC_ZSTD, 6, 4000};

	(void)state;
	pair(&a, &b);
	struct frames *fb = frames_new(b, 0);
	frame_header_encode(&h, head);
	chan_write(a, head, sizeof(head), &e);
	chan_write(a, "rubble", 6, &e);
	buf_init(&got, FRAME_MAX);
	assert_int_equal(frames_recv(fb, &t, &got, &e), -1);
	assert_int_equal(e.code, ERR_PROTOCOL);
	assert_non_null(strstr(e.text, "DIR"));
	frames_free(fb);
	chan_free(a);
	chan_free(b);
	buf_release(&got);
}

static void unknown_optional_frames_are_skipped(void **state)
{
	struct chan *a;
	struct chan *b;

	(void)state;
	pair(&a, &b);
	struct frames *fa = frames_new(a, 0);
	struct frames *fb = frames_new(b, 0);
	send_text(fa, (enum msg_type)MSG_OPTIONAL_FIRST, "from the future");
	send_text(fa, (enum msg_type)MSG_OPTIONAL_LAST, "");
	send_text(fa, MSG_HELLO, "hello");
	expect_text(fb, MSG_HELLO, "hello");
	frames_free(fa);
	frames_free(fb);
	chan_free(a);
	chan_free(b);
}

static struct err first_words(struct chan *c)
{
	struct err e = {0};
	struct buf got;
	enum msg_type t;
	struct frames *f = frames_new(c, 0);

	buf_init(&got, FRAME_MAX);
	assert_int_equal(frames_recv(f, &t, &got, &e), -1);
	buf_release(&got);
	frames_free(f);
	chan_free(c);
	return e;
}

static void talkative_shell_is_named(void **state)
{
	char *argv[] = {"/bin/sh", "-c", "printf 'Welcome to \\033[1mbox\\n'; sleep 1", NULL};
	struct err e = {0};

	(void)state;
	e = first_words(chan_command_new(argv, "box", true, &e));
	assert_int_equal(e.code, ERR_PROTOCOL);
	assert_non_null(strstr(e.text, "the remote shell printed something before wherry started"));
	assert_non_null(strstr(e.text, "'Welcome to \\#033[1mbox'"));

	struct chan *a;
	struct chan *b;
	pair(&a, &b);
	chan_write(a, "GET / HTTP/1.1\r\n", 16, &e);
	e = first_words(b);
	assert_int_equal(e.code, ERR_PROTOCOL);
	assert_non_null(strstr(e.text, "GET / HTTP/1.1'"));
	chan_free(a);
}

static void failed_send_stays_failed(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	struct err again = {0};

	(void)state;
	pair(&a, &b);
	struct frames *fa = frames_new(a, 5);
	chan_free(b);
	assert_int_equal(frames_send(fa, MSG_PING, NULL, NULL, &e), -1);
	assert_int_equal(frames_send(fa, MSG_BYE, NULL, NULL, &again), -1);
	assert_int_equal(e.code, ERR_CLOSED);
	assert_string_equal(e.text, again.text);
	usleep(30 * 1000);
	frames_free(fa);
	chan_free(a);
}

static void oversized_message_is_refused(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	struct buf big;

	(void)state;
	pair(&a, &b);
	struct frames *fa = frames_new(a, 0);
	buf_init(&big, FRAME_MAX + 1);
	big.len = FRAME_MAX + 1;
	assert_int_equal(frames_send(fa, MSG_DIR, &big, NULL, &e), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
	big = (struct buf){.overflow = true};
	assert_int_equal(frames_send(fa, MSG_DIR, &big, NULL, &e), -1);
	assert_int_equal(chan_bytes_out(a), 0);
	frames_free(fa);
	chan_free(a);
	chan_free(b);
}

static void keepalive_pings_when_idle(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	uint8_t head[FRAME_HEADER_BYTES];
	static char fill[4086];

	(void)state;
	pair(&a, &b);
	struct frames *fa = frames_new(a, 20);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(chan_read(b, head, sizeof(head), &e), 1);
		assert_int_equal(head[0], MSG_PING);
	}
	/* A full line: the keeper must not get stuck in it. */
	struct buf big = {.data = (uint8_t *)fill, .len = 4086};
	while (chan_writable(a))
		assert_int_equal(frames_send(fa, (enum msg_type)MSG_OPTIONAL_FIRST, &big, NULL, &e), 0);
	usleep(60 * 1000);
	frames_free(fa);
	chan_free(a);
	chan_free(b);
}

static void keepalive_can_become_shorter(void **state)
{
	struct chan *a;
	struct chan *b;
	struct err e = {0};
	uint8_t head[FRAME_HEADER_BYTES];

	(void)state;
	pair(&a, &b);
	struct frames *fa = frames_new(a, 3600 * 1000);
	frames_set_keepalive(fa, 20);
	assert_int_equal(chan_read(b, head, sizeof(head), &e), 1);
	assert_int_equal(head[0], MSG_PING);
	frames_free(fa);
	chan_free(a);
	chan_free(b);
}

static void relay_passes_frames_on(void **state)
{
	struct chan *a;
	struct chan *b;
	struct chan *c;
	struct chan *d;
	struct err e = {0};
	struct frame h;
	struct buf got;
	struct buf plain;
	struct buf big = text_buf("");
	struct codec_enc *enc = codec_enc_new();

	(void)state;
	pair(&a, &b);
	pair(&c, &d);
	struct frames *fa = frames_new(a, 0);
	struct frames *fb = frames_new(b, 0);
	struct frames *fc = frames_new(c, 0);
	struct frames *fd = frames_new(d, 0);
	buf_init(&got, FRAME_MAX);
	buf_init(&plain, FRAME_MAX);
	for (int i = 0; i < 2000; i++)
		buf_put_u8(&big, 'x');
	frames_set_codec(fa, CODEC_ZSTD, 0);
	send_text(fa, MSG_HELLO, "hello");
	assert_int_equal(frames_send(fa, MSG_EVENT, &big, enc, &e), 0);
	assert_int_equal(frames_send(fa, MSG_DIR, &big, enc, &e), 0);
	assert_int_equal(frames_relay(fb, fc, &h, &got, &e), 1);
	assert_int_equal(h.type, MSG_HELLO);
	assert_int_equal(frames_relay(fb, fc, &h, &got, &e), 1);
	assert_int_equal(h.type, MSG_EVENT);
	assert_int_equal(frames_inflate(fb, &h, &got, &plain, &e), 0);
	assert_int_equal(plain.len, 2000);
	assert_int_equal(frames_relay(fb, fc, &h, &got, &e), 1);
	assert_true(got.len < 200);
	expect_text(fd, MSG_HELLO, "hello");
	expect_text(fd, MSG_DIR, buf_cstr(&big));
	frames_free(fa);
	chan_free(a);
	assert_int_equal(frames_relay(fb, fc, &h, &got, &e), 0);
	frames_free(fb);
	frames_free(fc);
	frames_free(fd);
	chan_free(b);
	chan_free(c);
	chan_free(d);
	codec_enc_free(enc);
	buf_release(&got);
	buf_release(&plain);
	buf_release(&big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_frames),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(compressed_frames),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(damaged_payload_is_refused),
		cmocka_unit_test(unknown_optional_frames_are_skipped),
		cmocka_unit_test(talkative_shell_is_named),
		cmocka_unit_test(failed_send_stays_failed),
		cmocka_unit_test(oversized_message_is_refused),
		cmocka_unit_test(keepalive_pings_when_idle),
		cmocka_unit_test(keepalive_can_become_shorter),
		cmocka_unit_test(relay_passes_frames_on),
	};

	chan_global_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
