/* The options of `wherry sync`: table, implications, wire, chmod, endpoints, lists from files; and the words of
 * SSH_ORIGINAL_COMMAND. */
#include "base/alloc.h"
#include "cmd/ssh_command.h"
#include "sync/chmod.h"
#include "sync/endpoint.h"
#include "sync/sync_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct err e;

/* Options from the words given, NULL-terminated, after check(). */
static int parse(struct sync_options *o, ...)
{
	char *words[64] = {(char *)"sync"};
	int n = 1, count;
	char **args = NULL;
	va_list ap;

	va_start(ap, o);
	while ((words[n] = va_arg(ap, char *)))
		n++;
	va_end(ap);
	sync_options_init(o);
	err_clear(&e);
	int ret = opt_parse(sync_option_table, o, n, words, &args, &count, &e);
	free(args);
	return ret < 0 ? ret : sync_options_check(o, &e);
}

#define PARSE(o, ...) assert_int_equal(parse(o, __VA_ARGS__, NULL), 0)

static void refused(const char *a, const char *b, const char *text)
{
	struct sync_options o;

	assert_int_equal(parse(&o, a, b, NULL), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_string_equal(e.text, text);
	sync_options_release(&o);
}

static char *temp_file(const char *content, size_t len)
{
	char *path = xstrdup("/tmp/test_options.XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), len);
	close(fd);
	return path;
}

static void drop_file(char *path)
{
	unlink(path);
	free(path);
}

static void test_table_is_sound(void **state)
{
	(void)state;
	for (const struct opt_row *a = sync_option_table; a->name; a++) {
		assert_true(a->type == OPT_GROUP || a->text);
		assert_true(*a->name || a->letter);
		assert_false(a->type == OPT_CUSTOM && (!a->hook || (a->flags & OPT_WIRE)));
		assert_false((a->flags & OPT_WIRE) && !*a->name);
		assert_false(a->type == OPT_ENUM && !a->values);
		for (const struct opt_row *b = a + 1; b->name; b++) {
			if (*a->name && strcmp(a->name, b->name) == 0)
				fail_msg("--%s is there twice", a->name);
			if (a->letter && a->letter == b->letter)
				fail_msg("-%c is there twice", a->letter);
		}
	}
}

/* What is on by default says so, and what says so is on. */
static void test_defaults_are_told(void **state)
{
	struct sync_options o;

	(void)state;
	sync_options_init(&o);
	for (const struct opt_row *r = sync_option_table; r->name; r++) {
		if (r->type != OPT_BOOL || (r->flags & OPT_HIDDEN))
			continue;
		bool on = *(const bool *)((const char *)&o + r->offset);
		if (on != (strstr(r->text, "(default") != NULL))
			fail_msg("--%s is %s by default, but its text is: %s", r->name, on ? "on" : "off",
				r->text);
		if (on)
			assert_true(r->flags & OPT_NEGATABLE);
	}
	sync_options_release(&o);
}

static void test_rsync_habits(void **state)
{
	struct sync_options o;

	(void)state;
	PARSE(&o, "-avzPHAXS", "-rlptgoD", "--partial", "-e", "ssh -p 22", "--del", "-h", "--no-o", "--no-g",
		"--no-D");
	assert_true(o.del && o.progress && o.human_readable && o.links && o.times);
	assert_false(o.owner || o.group || o.devices || o.specials);
	assert_int_equal(o.compress, COMPRESS_ZSTD);
	assert_string_equal(o.rsh, "ssh -p 22");
	sync_options_release(&o);
	PARSE(&o, "--no-owner", "-a", "--no-progress", "--fsync", "-qq", "-@", "-1");
	assert_true(o.owner && o.no_progress && !o.progress);
	assert_int_equal(o.fsync, FSYNC_STRICT);
	assert_int_equal(o.modify_window, 0);
	assert_int_equal(o.quiet, 2);
	sync_options_release(&o);
	PARSE(&o, "--no-perms", "-O");
	assert_false(o.acls || o.dir_times);
	assert_true(o.link_times);
	sync_options_release(&o);
}

static void test_implications(void **state)
{
	struct sync_options o;

	(void)state;
	PARSE(&o, "--backup-dir=old", "--delete-excluded", "--append-verify");
	assert_true(o.backup && o.del && o.inplace);
	assert_string_equal(o.suffix, "");
	sync_options_release(&o);
	PARSE(&o, "-b", "--delete", "--exclude=x", "-C", "-FF");
	assert_string_equal(o.suffix, "~");
	assert_int_equal(sync_options_check(&o, &e), 0); /* again: nothing is added twice */
	static const char *const rules[] = {"- x", ": /.rsync-filter", "- .rsync-filter", ":C", "-C", "P *~"};
	assert_int_equal(o.rules.count, 6);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(o.rules.v[i], rules[i]);
	sync_options_release(&o);
	PARSE(&o, "--files-from=x");
	assert_false(o.recursive);
	sync_options_release(&o);
	PARSE(&o, "--files-from=x", "-r");
	assert_true(o.recursive);
	sync_options_release(&o);
}

static void test_compress(void **state)
{
	struct sync_options o;

	(void)state;
	PARSE(&o, "--compress=lz4:3");
	assert_int_equal(o.compress, COMPRESS_LZ4);
	assert_int_equal(o.compress_level, 3);
	sync_options_release(&o);
	PARSE(&o, "--compress=:9");
	assert_int_equal(o.compress, COMPRESS_ZSTD);
	assert_int_equal(o.compress_level, 9);
	sync_options_release(&o);
	PARSE(&o, "-z", "--no-z");
	assert_int_equal(o.compress, COMPRESS_NONE);
	sync_options_release(&o);
	refused("--compress=gzip", NULL, "--compress-choice=gzip: must be auto, none, zstd or lz4");
	refused("--compress=zstd:99", NULL, "--compress-level=99: must be from -7 to 22");
	refused("--compress=", NULL, "--compress-choice=: must be auto, none, zstd or lz4");
}

static void test_ids(void **state)
{
	struct sync_options o;

	(void)state;
	PARSE(&o, "--usermap=a*:b,0-99:nobody,:7,5:root", "--groupmap=x:y", "--chown=u:g", "--chown=:h");
	assert_int_equal(o.usermap.count, 5);
	assert_string_equal(o.usermap.v[1], "0-99:nobody");
	assert_string_equal(o.usermap.v[4], "*:u");
	assert_int_equal(o.groupmap.count, 3);
	assert_string_equal(o.groupmap.v[2], "*:h");
	sync_options_release(&o);
	refused("--usermap=a", NULL, "--usermap=a: must be FROM:TO");
	refused("--usermap=a:b,c:", NULL, "--usermap=c:: one name or number must follow the colon");
	refused("--usermap=9-1:b", NULL, "--usermap=9-1:b: the range before the colon must be LOW-HIGH");
	refused("--groupmap=a:4294967295", NULL,
		"--groupmap=a:4294967295: the part behind the colon is no user or group number");
	refused("--usermap=1x:b", NULL, "--usermap=1x:b: the part before the colon is no number");
	refused("--chown=:", NULL, "--chown=:: must be USER, USER:GROUP or :GROUP");
	refused("--chown=a,b", NULL, "--chown=*:a,b: must be USER:GROUP");
}

static void test_conflicts(void **state)
{
	(void)state;
	refused("--link-dest=a", "--copy-dest=b",
		"only one of --link-dest, --compare-dest and --copy-dest can be used at a time");
	refused("--min-size=2", "--max-size=1", "--min-size is larger than --max-size: no file could match");
	refused("--max-size=0", NULL, "--max-size=0: must be 1 bytes or more");
	refused("-b", "--suffix=", "--suffix must not be empty without --backup-dir");
	refused("-b", "--suffix=/x", "--suffix must not contain a slash");
	refused("-W", "--append-verify", "--append-verify and --whole-file exclude each other");
	refused("--max-delete=-2", NULL, "--max-delete=-2: must be 0 or more");
	refused("--link-dest=", NULL, "--link-dest needs a name, not an empty one");
	refused("--chmod=rwx", NULL, "--chmod: rwx: not a mode change such as D755,F644 or ug+rwX,o-w");
}

static void test_rules(void **state)
{
	static const char text[] = "; comment\n# another\n\n*.o\r\n+ keep.o\n!\nlast";
	static const char zero[] = "a\nb\0c\0";
	static const char *const want[] = {
		"+ *.c", "- *.o", "+ keep.o", "!", "- last", ". m", "- a\nb", "- c", "- *"};
	char *lines = temp_file(text, sizeof(text) - 1), *zeros = temp_file(zero, sizeof(zero) - 1);
	struct sync_options o;

	(void)state;
	PARSE(&o, "--include=*.c", "--exclude=", "--exclude-from", lines, "-f", ". m", "-0", "--exclude-from",
		zeros, "--exclude", "*");
	assert_int_equal(o.rules.count, sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < o.rules.count; i++)
		assert_string_equal(o.rules.v[i], want[i]);
	sync_options_release(&o);
	assert_int_equal(parse(&o, "--exclude-from=/nonexistent/x", NULL), -1);
	assert_int_equal(e.code, ERR_SOURCE);
	assert_string_equal(e.text, "--exclude-from: read /nonexistent/x: No such file or directory");
	sync_options_release(&o);
	drop_file(lines);
	drop_file(zeros);
}

/* The list read from `content`, NULs shown as '|'. */
static const char *list_of(const char *content, size_t len, bool from0)
{
	static char shown[2048];
	char *path = temp_file(content, len);
	struct sync_options o;

	PARSE(&o, "--files-from", path);
	o.from0 = from0;
	if (sync_options_read_files_from(&o, &e) < 0) {
		snprintf(shown, sizeof(shown), "%s", e.text);
	} else {
		assert_true(o.files_list_len < sizeof(shown));
		memcpy(shown, o.files_list, o.files_list_len + 1);
		for (size_t i = 0; i < o.files_list_len; i++)
			if (!shown[i])
				shown[i] = '|';
	}
	sync_options_release(&o);
	drop_file(path);
	return shown;
}

#define LIST_OF(text, from0) list_of(text, sizeof(text) - 1, from0)

static void test_files_from(void **state)
{
	(void)state;
	assert_string_equal(LIST_OF("b\n./a//x/\n/a\na.b\n#no\n\na/./x\n", false), "a|a/x|a.b|b|");
	assert_string_equal(LIST_OF("z\n./\n", false), ".|z|");
	assert_string_equal(LIST_OF("#x\0a\nb\0last", true), "#x|a\nb|last|");
	assert_string_equal(LIST_OF("", false), "");
	assert_string_equal(LIST_OF("..a\na..\n", false), "..a|a..|");
	assert_string_equal(LIST_OF("a/../b\n", false),
		"--files-from: a/../b: names in the list must not contain \"..\" as a component");
	assert_string_equal(LIST_OF("a\0b\0", false),
		"--files-from: the list holds NUL bytes: with a list made by find -print0, add -0");
}

static void test_wire(void **state)
{
	struct sync_options a, b, defaults;
	struct buf out, again;

	(void)state;
	sync_options_init(&defaults);
	PARSE(&a, "--no-owner", "--exclude=x y", "-f", "P z", "--max-size=1.5M", "--modify-window=2",
		"--delete", "-b", "--max-delete=0", "--link-dest=../a", "--link-dest=../b", "--bwlimit=100",
		"--compress=zstd:19", "--fsync=none", "--timeout=9", "--chmod=D755", "--chmod=F644",
		"--chown=u:g", "-n", "--rsh=x", "-v");
	buf_init(&out, 1 << 16);
	buf_init(&again, 1 << 16);
	opt_encode(sync_option_table, &a, &defaults, &out);
	sync_options_init(&b);
	struct cursor c = cur_make(out.data, out.len);
	assert_int_equal(sync_options_decode(&b, &c, &e), 0);
	opt_encode(sync_option_table, &b, &defaults, &again);
	assert_int_equal(out.len, again.len);
	assert_memory_equal(out.data, again.data, out.len);
	assert_false(b.owner);
	assert_int_equal(b.bwlimit, 102400);
	assert_int_equal(b.max_delete, 0);
	assert_int_equal(b.compress, COMPRESS_ZSTD);
	assert_int_equal(b.compress_level, 19);
	assert_string_equal(b.chmod, "D755,F644");
	assert_string_equal(b.rules.v[0], "- x y");
	assert_true(b.dry_run && b.backup);
	assert_null(b.rsh);
	assert_int_equal(b.verbose, 0);
	buf_release(&out);
	buf_release(&again);
	sync_options_release(&a);
	sync_options_release(&b);
}

static enum err_code decode_rule(const char *rule)
{
	struct sync_options o;
	struct buf out;

	buf_init(&out, 4096);
	buf_put_varint(&out, 1);
	buf_put_str(&out, "filter");
	buf_put_str(&out, rule);
	sync_options_init(&o);
	err_clear(&e);
	struct cursor c = cur_make(out.data, out.len);
	sync_options_decode(&o, &c, &e);
	sync_options_release(&o);
	buf_release(&out);
	return e.code;
}

static void test_peer_cannot_read_files(void **state)
{
	(void)state;
	assert_int_equal(decode_rule("- x"), ERR_NONE);
	assert_int_equal(decode_rule(": .rsync-filter"), ERR_NONE);
	assert_int_equal(decode_rule("dir-merge .f"), ERR_NONE);
	assert_int_equal(decode_rule(". /etc/shadow"), ERR_REFUSED);
	assert_int_equal(decode_rule(".- /etc/shadow"), ERR_REFUSED);
	assert_int_equal(decode_rule("merge /etc/shadow"), ERR_REFUSED);
	assert_int_equal(decode_rule("merge,- /etc/shadow"), ERR_REFUSED);
	assert_int_equal(decode_rule(" merge_/etc/shadow"), ERR_REFUSED);
}

static uint32_t changed(const char *spec, uint32_t mode)
{
	struct chmod_rules *r = chmod_parse(spec, 022, &e);

	assert_non_null(r);
	mode = chmod_apply(r, mode);
	chmod_free(r);
	return mode;
}

/* Expected values are what rsync 3.5.0 made of the same modes with umask 022. */
static void test_chmod(void **state)
{
	static const char *const bad[] = {
		"", "u", "8", "10000", "D", "755,", ",755", "DF755", "u+q", "u755", "rwx", "u+r g+w"};

	(void)state;
	assert_int_equal(changed("D755,F644", 0100600), 0100644);
	assert_int_equal(changed("D755,F644", 0042770), 0040755);
	assert_int_equal(changed("ug+rwX,o-w", 0100600), 0100660);
	assert_int_equal(changed("ug+rwX,o-w", 0104711), 0104771);
	assert_int_equal(changed("ug+rwX,o-w", 0041777), 0041775);
	assert_int_equal(changed("ug+rwX,o-w", 0100000), 0100660);
	assert_int_equal(changed("Fgo-rwx", 0100755), 0100700);
	assert_int_equal(changed("Fgo-rwx", 0040755), 0040755);
	assert_int_equal(changed("a=s", 0100644), 0106000);
	assert_int_equal(changed("o=s", 0100644), 0104640);
	assert_int_equal(changed("u=s", 0042770), 0044070 | 0002000);
	assert_int_equal(changed("g=s", 0100755), 0102705);
	assert_int_equal(changed("+w", 0100444), 0100644);
	assert_int_equal(changed("=rw", 0100755), 0100644);
	assert_int_equal(changed("+", 0100640), 0100640);
	assert_int_equal(changed("D2775", 0040700), 0042775);
	assert_int_equal(changed("F644", 0010777), 0010644);
	assert_int_equal(chmod_apply(NULL, 0100640), 0100640);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (chmod_parse(bad[i], 0, &e))
			fail_msg("\"%s\" was taken for a mode change", bad[i]);
}

static void endpoint_is(const char *text, const char *user, const char *host, const char *path, bool contents)
{
	struct endpoint ep;

	assert_int_equal(endpoint_parse(&ep, text, &e), 0);
	assert_int_equal(ep.remote, host != NULL);
	assert_string_equal(ep.user ? ep.user : "-", user ? user : "-");
	assert_string_equal(ep.host ? ep.host : "-", host ? host : "-");
	assert_string_equal(ep.path, path);
	assert_int_equal(ep.contents, contents);
	endpoint_release(&ep);
}

static void endpoint_fails(const char *text, enum err_code code)
{
	struct endpoint ep;

	if (endpoint_parse(&ep, text, &e) == 0)
		fail_msg("%s was taken for an endpoint", text);
	assert_int_equal(e.code, code);
}

static void test_endpoints(void **state)
{
	(void)state;
	endpoint_is("/srv/data", NULL, NULL, "/srv/data", false);
	endpoint_is("/srv/data/", NULL, NULL, "/srv/data/", true);
	endpoint_is(".", NULL, NULL, ".", true);
	endpoint_is("..", NULL, NULL, "..", true);
	endpoint_is("a/.", NULL, NULL, "a/.", true);
	endpoint_is("a/..b", NULL, NULL, "a/..b", false);
	endpoint_is("./a:b", NULL, NULL, "./a:b", false);
	endpoint_is("/x/y:z", NULL, NULL, "/x/y:z", false);
	endpoint_is("@x", NULL, NULL, "@x", false);
	endpoint_is("host:/p", NULL, "host", "/p", false);
	endpoint_is("host:p/", NULL, "host", "p/", true);
	endpoint_is("host:", NULL, "host", ".", true);
	endpoint_is("u@host:a:b", "u", "host", "a:b", false);
	endpoint_is("u@ad@host:p", "u@ad", "host", "p", false);
	endpoint_is("[2001:db8::7]:/p", NULL, "2001:db8::7", "/p", false);
	endpoint_is("u@[::1]:", "u", "::1", ".", true);
	endpoint_is("u@[fe80::1%eth0]:x", "u", "fe80::1%eth0", "x", false);
	endpoint_is("[x", NULL, NULL, "[x", false);
	endpoint_fails("", ERR_USAGE);
	endpoint_fails(":p", ERR_USAGE);
	endpoint_fails("u@:p", ERR_USAGE);
	endpoint_fails("@h:p", ERR_USAGE);
	endpoint_fails("-oProxyCommand=x:p", ERR_USAGE);
	endpoint_fails("u@-x:p", ERR_USAGE);
	endpoint_fails("-u@h:p", ERR_USAGE);
	endpoint_fails("a b:p", ERR_USAGE);
	endpoint_fails("[]:p", ERR_USAGE);
	endpoint_fails("[::1:p", ERR_USAGE);
	endpoint_fails("host::module/p", ERR_UNSUPPORTED);
	endpoint_fails("rsync://host/module", ERR_UNSUPPORTED);
	endpoint_fails("RSYNC://host/module", ERR_UNSUPPORTED);
}

static void test_ssh_command(void **state)
{
	static const char *const good[] = {"wherry serve --stdio", "/opt/w/bin/wherry serve --stdio --root /",
		"sudo wherry serve --stdio", "'/opt/my wherry/wherry' \"serve\" --std\\io",
		"wherry sync a b"};
	static const char *const bad[] = {"", "sh", "wherry", "wherry serve", "wherry help",
		"rsync --server . wherry", "wherry 'serve --stdio", "wherry serve --stdio\\", "wherry-x\0",
		"wherry manual sync"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(ssh_command_check(good[i], &e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (ssh_command_check(bad[i], &e) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(e.code, ERR_REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_sound),
		cmocka_unit_test(test_defaults_are_told),
		cmocka_unit_test(test_rsync_habits),
		cmocka_unit_test(test_implications),
		cmocka_unit_test(test_compress),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_files_from),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_peer_cannot_read_files),
		cmocka_unit_test(test_chmod),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_ssh_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
