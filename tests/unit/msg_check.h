/* What all tests of messages share: one buffer to encode into, and the check of every truncation. */
#ifndef WHERRY_TESTS_MSG_CHECK_H
#define WHERRY_TESTS_MSG_CHECK_H

#include "proto/msg.h"
#include "tests/fuzz/msg_walk.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct buf out;
static struct err err;

static inline int setup(void **state)
{
	(void)state;
	buf_init(&out, FRAME_MAX);
	err_clear(&err);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	buf_release(&out);
	return 0;
}

static inline struct cursor reader(void)
{
	assert_false(out.overflow);
	return cur_make(out.data, out.len);
}

/* Every proper prefix of the message is refused; so is a byte more, unless the message may grow. */
static inline void check_cuts(enum msg_type type, bool may_grow)
{
	for (size_t n = 0; n < out.len; n++) {
		uint8_t *copy = malloc(n ? n : 1); /* exact size: ASan sees every byte read behind it */
		memcpy(copy, out.data, n);
		struct err e = {0};
		int r = msg_walk(type, copy, n, &e);
		free(copy);
		if (r == 0)
			fail_msg("%s cut to %zu bytes was accepted", msg_type_name(type), n);
		assert_int_equal(e.code, ERR_PROTOCOL);
	}
	assert_int_equal(msg_walk(type, out.data, out.len, &err), 0);
	buf_put_u8(&out, 0);
	assert_int_equal(msg_walk(type, out.data, out.len, &err), may_grow ? 0 : -1);
	out.len--;
}

/* For messages that are lists up to their end: any prefix is good or an error, never a crash. */
static inline void check_stream_cuts(enum msg_type type)
{
	size_t good = 0;

	for (size_t n = 0; n <= out.len; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		memcpy(copy, out.data, n);
		struct err e = {0};
		if (msg_walk(type, copy, n, &e) == 0)
			good++;
		else
			assert_int_equal(e.code, ERR_PROTOCOL);
		free(copy);
	}
	assert_true(good > 0 && good < out.len);
	assert_int_equal(msg_walk(type, out.data, out.len, &err), 0);
}

static inline void refused(enum msg_type type)
{
	struct err e = {0};

	assert_int_equal(msg_walk(type, out.data, out.len, &e), -1);
	assert_int_equal(e.code, ERR_PROTOCOL);
	assert_true(strlen(e.text) > 10);
}

#endif
