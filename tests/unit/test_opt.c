/* The option machinery over a small table of its own: what a user types, and what comes of it. */
#include "opt/opt.h"
#include "opt/opt_size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct target {
	bool links, stats;
	int verbose, port, mode;
	int64_t window;
	uint64_t size, rate;
	char *suffix, *chmod;
	struct opt_strings dirs;
	int hooked;
};

static int hook_custom(
	const struct opt_row *row, void *target, const char *value, bool negated, struct err *e)
{
	struct target *t = target;

	(void)row;
	if (value && strcmp(value, "bad") == 0)
		return err_set(e, ERR_USAGE, "bad indeed");
	t->hooked = negated ? -1 : value ? (int)strlen(value) : 100;
	return 0;
}

static const char *const modes[] = {"slow", "fast", "instant", NULL};

#define AT(field) .offset = offsetof(struct target, field)

static const struct opt_row table[] = {
	{.name = "First", .type = OPT_GROUP},
	{.name = "links",
		.letter = 'l',
		.type = OPT_BOOL,
		AT(links),
		.flags = OPT_NEGATABLE | OPT_WIRE,
		.text = "l"},
	{.name = "stats", .type = OPT_BOOL, AT(stats), .text = "s"},
	{.name = "verbose", .letter = 'v', .type = OPT_COUNT, AT(verbose), .text = "v"},
	{.name = "port",
		.letter = 'p',
		.type = OPT_INT,
		AT(port),
		.min = 1,
		.max = 65535,
		.arg = "N",
		.flags = OPT_WIRE,
		.text = "p"},
	{.name = "window", .type = OPT_INT64, AT(window), .arg = "S", .flags = OPT_WIRE, .text = "w"},
	{.name = "size",
		.letter = 's',
		.type = OPT_SIZE,
		AT(size),
		.arg = "SIZE",
		.flags = OPT_WIRE,
		.text = "z"},
	{.name = "rate", .type = OPT_RATE, AT(rate), .arg = "RATE", .flags = OPT_WIRE, .text = "r"},
	{.name = "Second", .type = OPT_GROUP},
	{.name = "suffix",
		.type = OPT_STRING,
		AT(suffix),
		.arg = "TEXT",
		.flags = OPT_WIRE | OPT_NEGATABLE,
		.text = "x"},
	{.name = "chmod",
		.type = OPT_STRING,
		AT(chmod),
		.arg = "TEXT",
		.flags = OPT_WIRE | OPT_JOIN,
		.text = "c"},
	{.name = "dir",
		.letter = 'd',
		.type = OPT_LIST,
		AT(dirs),
		.arg = "DIR",
		.flags = OPT_WIRE | OPT_NEGATABLE,
		.text = "d"},
	{.name = "mode",
		.type = OPT_ENUM,
		AT(mode),
		.values = modes,
		.min = 0,
		.max = 2,
		.flags = OPT_WIRE | OPT_OPTIONAL_ARG | OPT_NEGATABLE,
		.text = "m"},
	{.name = "custom",
		.letter = 'z',
		.type = OPT_CUSTOM,
		.arg = "X",
		.hook = hook_custom,
		.flags = OPT_OPTIONAL_ARG | OPT_NEGATABLE,
		.text = "cu"},
	{.name = "",
		.letter = 'D',
		.type = OPT_CUSTOM,
		.hook = hook_custom,
		.flags = OPT_NEGATABLE,
		.text = "D"},
	{.name = "secret", .type = OPT_BOOL, AT(stats), .flags = OPT_HIDDEN, .text = "h"},
	{.name = NULL},
};

static struct err e;
static char **args;
static int arg_count;

/* Parses the words of `line`, split at single spaces. */
static int parse(struct target *t, const char *line)
{
	char *words[16] = {(char *)"prog"};
	int n = 1;
	static char copy[512];

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *rest = copy, *w; (w = strsep(&rest, " "));)
		words[n++] = w;
	free(args);
	err_clear(&e);
	return opt_parse(table, t, n, words, &args, &arg_count, &e);
}

static void fails(const char *line, const char *text)
{
	struct target t = {0};

	assert_int_equal(parse(&t, line), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_string_equal(e.text, text);
	assert_null(args);
	opt_release(table, &t);
}

static void test_long_and_short(void **state)
{
	struct target t = {0};

	(void)state;
	assert_int_equal(parse(&t, "a -lvvp 80 --window=-5 b --size 2K -d x -dy --dir=z -- -l"), 0);
	assert_true(t.links);
	assert_int_equal(t.verbose, 2);
	assert_int_equal(t.port, 80);
	assert_int_equal(t.window, -5);
	assert_int_equal(t.size, 2048);
	assert_int_equal(t.dirs.count, 3);
	assert_string_equal(t.dirs.v[1], "y");
	assert_int_equal(arg_count, 3);
	assert_string_equal(args[2], "-l");
	opt_release(table, &t);
	assert_int_equal(t.dirs.count, 0);
}

static void test_negation(void **state)
{
	struct target t = {.links = true};

	(void)state;
	assert_int_equal(
		parse(&t, "--suffix=x --dir=a --mode=fast --no-links --no-suffix --no-dir --no-mode"), 0);
	assert_false(t.links);
	assert_null(t.suffix);
	assert_int_equal(t.dirs.count, 0);
	assert_int_equal(t.mode, 0);
	assert_int_equal(parse(&t, "-l --no-l --no-D"), 0);
	assert_false(t.links);
	assert_int_equal(t.hooked, -1);
	fails("--no-stats", "unknown option --no-stats; did you mean --stats?");
	fails("--no-links=x", "option --no-links takes no value");
}

static void test_optional_values(void **state)
{
	struct target t = {0};

	(void)state;
	assert_int_equal(parse(&t, "--mode a"), 0);
	assert_int_equal(t.mode, 2);
	assert_int_equal(arg_count, 1);
	assert_int_equal(parse(&t, "--mode=fast -zv --chmod=a --chmod b"), 0);
	assert_int_equal(t.mode, 1);
	assert_int_equal(t.hooked, 100);
	assert_int_equal(t.verbose, 1);
	assert_string_equal(t.chmod, "a,b");
	assert_int_equal(parse(&t, "--custom=abc -"), 0);
	assert_int_equal(t.hooked, 3);
	assert_string_equal(args[0], "-");
	opt_release(table, &t);
}

static void test_faults(void **state)
{
	(void)state;
	fails("--stat", "unknown option --stat; did you mean --stats?");
	fails("--xyzzy-plugh", "unknown option --xyzzy-plugh");
	fails("--\x1b[31m", "unknown option --\\#033[31m");
	fails("-lQ", "unknown option -Q in -lQ");
	fails("-Q", "unknown option -Q");
	fails("--port", "option --port needs a value: N");
	fails("-p", "option -p needs a value: N");
	fails("--port=0", "--port=0: must be from 1 to 65535");
	fails("--port=99999999999999999999", "--port=99999999999999999999: must be from 1 to 65535");
	fails("--port=8x", "--port=8x: a whole number is needed");
	fails("--port=", "--port=: a whole number is needed");
	fails("--mode=quick", "--mode=quick: must be slow, fast or instant");
	fails("--stats=1", "option --stats takes no value");
	fails("--size=12Q", "--size=12Q: a size is needed, such as 500K, 1.5M or 2GB");
	fails("--size=99999P", "--size=99999P: too large");
	fails("--custom=bad", "bad indeed");
	fails("--Second", "unknown option --Second");
}

static void size_is(const char *text, uint64_t want)
{
	uint64_t got = 1;

	assert_int_equal(opt_size_parse(text, 'b', &got), OPT_SIZE_OK);
	assert_int_equal(got, want);
}

static void test_sizes(void **state)
{
	static const char *const bad[] = {"", "K", "-1", "1KK", "1.2.3", "1e3", "0x10", " 1", "1 ", "1+2",
		"1i", "0-1", ".", "1BB", "+1", "1Kib+"};
	uint64_t v;

	(void)state;
	size_is("0", 0);
	size_is("10", 10);
	size_is("10B", 10);
	size_is("1k", 1024);
	size_is("1KiB", 1024);
	size_is("1kb", 1000);
	size_is("1.5M", 1572864);
	size_is("1.5MB", 1500000);
	size_is(".5K", 512);
	size_is("3G", 3221225472);
	size_is("2T", 2199023255552);
	size_is("1PB", 1000000000000000);
	size_is("100K-1", 102399);
	size_is("100K+1", 102401);
	size_is("0.9999999P", 1125898780942717);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (opt_size_parse(bad[i], 'b', &v) != OPT_SIZE_MALFORMED)
			fail_msg("\"%s\" was taken for a size", bad[i]);
	assert_int_equal(opt_size_parse("99999999999999999999", 'b', &v), OPT_SIZE_TOO_LARGE);
	assert_int_equal(opt_size_parse("8192P", 'b', &v), OPT_SIZE_TOO_LARGE);
	assert_int_equal(opt_size_parse("5", 'k', &v), OPT_SIZE_OK);
	assert_int_equal(v, 5120);
	assert_int_equal(opt_size_parse("5B", 'k', &v), OPT_SIZE_OK);
	assert_int_equal(v, 5);
}

static void test_set(void **state)
{
	struct target t = {0};

	(void)state;
	assert_int_equal(opt_set(table, &t, "links", "Yes", &e), 0);
	assert_true(t.links);
	assert_int_equal(opt_set(table, &t, "links", "off", &e), 0);
	assert_false(t.links);
	assert_int_equal(opt_set(table, &t, "links", "maybe", &e), -1);
	assert_string_equal(e.text, "--links=maybe: say yes or no");
	assert_int_equal(opt_set(table, &t, "verbose", "3", &e), 0);
	assert_int_equal(t.verbose, 3);
	assert_int_equal(opt_set(table, &t, "prot", "3", &e), -1);
	assert_string_equal(e.text, "unknown option prot; did you mean port?");
	assert_int_equal(opt_set(table, &t, "", "3", &e), -1);
	assert_null(opt_find(table, "First"));
}

static void fill(struct target *t)
{
	assert_int_equal(
		parse(t, "--no-links --port=9 --window=-7 --size=1.5M-1 --rate=7 --suffix= --chmod=a,b "
			 "--dir=1 --dir= --dir=3 --mode=instant -vv --stats"),
		0);
}

static void test_wire_round_trip(void **state)
{
	const struct target defaults = {.links = true, .port = 1};
	struct target a = defaults, b = defaults;
	struct buf out;

	(void)state;
	fill(&a);
	buf_init(&out, 4096);
	opt_encode(table, &a, &defaults, &out);
	struct cursor c = cur_make(out.data, out.len);
	assert_int_equal(opt_decode(table, &b, &c, &e), 0);
	assert_int_equal(cur_left(&c), 0);
	assert_false(b.links);
	assert_int_equal(b.port, 9);
	assert_int_equal(b.window, -7);
	assert_int_equal(b.size, 1572863);
	assert_int_equal(b.rate, 7168);
	assert_string_equal(b.suffix, "");
	assert_string_equal(b.chmod, "a,b");
	assert_int_equal(b.dirs.count, 3);
	assert_string_equal(b.dirs.v[1], "");
	assert_int_equal(b.mode, 2);
	assert_int_equal(b.verbose, 0); /* not the peer's business */
	for (size_t cut = 0; cut < out.len; cut++) {
		struct target t = defaults;
		c = cur_make(out.data, cut);
		assert_int_equal(opt_decode(table, &t, &c, &e), -1);
		assert_int_equal(e.code, ERR_PROTOCOL);
		opt_release(table, &t);
	}
	buf_clear(&out);
	opt_encode(table, &defaults, &defaults, &out);
	assert_int_equal(out.len, 1);
	buf_release(&out);
	opt_release(table, &a);
	opt_release(table, &b);
}

static enum err_code decode_pair(const char *name, const char *value, size_t value_len)
{
	struct target t = {0};
	struct buf out;

	buf_init(&out, 4096);
	buf_put_varint(&out, 1);
	buf_put_str(&out, name);
	buf_put_blob(&out, value, value_len);
	struct cursor c = cur_make(out.data, out.len);
	err_clear(&e);
	int ret = opt_decode(table, &t, &c, &e);
	assert_int_equal(ret, e.code ? -1 : 0);
	buf_release(&out);
	opt_release(table, &t);
	return e.code;
}

static void test_wire_refusals(void **state)
{
	(void)state;
	assert_int_equal(decode_pair("port", "7", 1), ERR_NONE);
	assert_int_equal(decode_pair("warp", "1", 1), ERR_UNSUPPORTED);
	assert_int_equal(decode_pair("stats", "1", 1), ERR_UNSUPPORTED);
	assert_int_equal(decode_pair("custom", "1", 1), ERR_UNSUPPORTED);
	assert_int_equal(decode_pair("", "1", 1), ERR_UNSUPPORTED);
	assert_int_equal(decode_pair("First", "1", 1), ERR_UNSUPPORTED);
	assert_int_equal(decode_pair("mode", "warp", 4), ERR_UNSUPPORTED);
	assert_int_equal(decode_pair("port", "0", 1), ERR_UNSUPPORTED);
	assert_int_equal(decode_pair("suffix", "a\0b", 3), ERR_PROTOCOL);
}

static void test_to_args(void **state)
{
	static const char *const want[] = {"--no-links", "--port=9", "--window=-7", "--size=1572863B",
		"--rate=7168B", "--suffix=", "--chmod=a,b", "--dir=1", "--dir=", "--dir=3", "--mode=instant"};
	const struct target defaults = {.links = true, .port = 1};
	struct target a = defaults;
	struct opt_strings words = {0};

	(void)state;
	fill(&a);
	opt_to_args(table, &a, &defaults, &words);
	assert_int_equal(words.count, sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < words.count; i++)
		assert_string_equal(words.v[i], want[i]);
	opt_strings_release(&words);
	opt_release(table, &a);
}

static void test_help(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	opt_help(table, &out);
	assert_string_equal(buf_cstr(&out), "First:\n"
					    "  -l, --[no-]links            l\n"
					    "      --stats                 s\n"
					    "  -v, --verbose               v\n"
					    "  -p, --port=N                p\n"
					    "      --window=S              w\n"
					    "  -s, --size=SIZE             z\n"
					    "      --rate=RATE             r\n"
					    "\nSecond:\n"
					    "      --[no-]suffix=TEXT      x\n"
					    "      --chmod=TEXT            c\n"
					    "  -d, --[no-]dir=DIR          d\n"
					    "      --[no-]mode[=slow|fast|instant]\n"
					    "                              m\n"
					    "  -z, --[no-]custom[=X]       cu\n"
					    "  -D                          D\n");
	buf_release(&out);
}

static void mdoc_is(const char *text, const char *want)
{
	struct buf out;

	buf_init(&out, 4096);
	opt_mdoc_text(text, &out);
	assert_string_equal(buf_cstr(&out), want);
	buf_release(&out);
}

static void test_mdoc_text(void **state)
{
	(void)state;
	mdoc_is("One. Two, e.g. Three.", "One.\nTwo, e.g.\\& Three.\n");
	mdoc_is(".x and 'y", "\\&.x and 'y\n");
	mdoc_is("--delete a-b \\n ~", "\\-\\-delete a-b \\en \\(ti\n");
	mdoc_is("a path . or .. counts", "a path .\\& or ..\\& counts\n");
	mdoc_is("", "");
}

static void test_nearest(void **state)
{
	static const char *const words[] = {"sync", "serve", "help", "completion", NULL};

	(void)state;
	assert_string_equal(opt_nearest("snyc", words), "sync");
	assert_string_equal(opt_nearest("hlep", words), "help");
	assert_string_equal(opt_nearest("complete", words), "completion");
	assert_null(opt_nearest("frobnicate", words));
	assert_null(opt_nearest("", words));
	assert_null(opt_nearest(
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", words));
}

static int release_args(void **state)
{
	(void)state;
	free(args);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_and_short),
		cmocka_unit_test(test_negation),
		cmocka_unit_test(test_optional_values),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_wire_round_trip),
		cmocka_unit_test(test_wire_refusals),
		cmocka_unit_test(test_to_args),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_mdoc_text),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, release_args);
}
