/* The index cache: what is remembered, what must not be, and what happens to a file that is not sound. */
#include "base/alloc.h"
#include "tree/digest.h"
#include "tree/index.h"
#include "tree/index_dir.h"
#include "tree/index_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int64_t hashed_at = INT64_C(1700000000) * 1000000000;
static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/wherry-test-index-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char *const argv[] = {"rm", "-rf", dir, NULL};
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static struct index_key key_of(uint64_t ino)
{
	return (struct index_key){.dev = 7,
		.ino = ino,
		.size = ino * 10,
		.mtime = {1600000000 + (int64_t)ino, 5},
		.ctime = {1600000001, (uint32_t)(ino % 1000)}};
}

static void fill_digest(uint8_t digest[32], uint64_t v)
{
	memset(digest, (int)(v * 31 + 1), 32);
	memcpy(digest, &v, sizeof(v));
}

static void store(struct index_cache *idx, uint64_t ino)
{
	uint8_t digest[32];
	struct index_key key = key_of(ino);

	fill_digest(digest, ino);
	index_store(idx, &key, digest, hashed_at);
}

/* Is inode `ino` known, with the right digest? */
static bool known(struct index_cache *idx, uint64_t ino)
{
	uint8_t want[32], got[32] = {0};
	struct index_key key = key_of(ino);

	if (!index_lookup(idx, &key, got))
		return false;
	fill_digest(want, ino);
	assert_memory_equal(got, want, 32);
	return true;
}

static void close_clean(struct index_cache *idx)
{
	struct err e = {0};

	if (index_close(idx, &e) != 0)
		fail_msg("%s", e.text);
}

static void fill(uint64_t from, uint64_t to, uint64_t step)
{
	struct index_cache *idx = index_open(dir);

	for (uint64_t i = from; i < to; i += step)
		store(idx, i);
	close_clean(idx);
}

static char *path_of_file(void)
{
	char name[INDEX_NAME_BYTES];

	index_file_name(7, name);
	return xasprintf("%s/%s", dir, name);
}

static off_t size_of_file(void)
{
	char *path = path_of_file();
	struct stat st;
	off_t size = stat(path, &st) == 0 ? st.st_size : -1;

	free(path);
	return size;
}

static void what_was_stored_is_found_in_the_next_run(void **state)
{
	(void)state;
	fill(1, 1000, 3);
	struct index_cache *idx = index_open(dir);
	for (uint64_t i = 0; i < 1100; i++)
		assert_int_equal(known(idx, i), i >= 1 && i < 1000 && i % 3 == 1);
	close_clean(idx);
}

static void what_was_stored_is_found_in_the_same_run(void **state)
{
	struct index_cache *idx = index_open(dir);

	(void)state;
	assert_false(known(idx, 4));
	store(idx, 4);
	assert_true(known(idx, 4));
	assert_false(known(idx, 5));
	close_clean(idx);
}

static void any_other_attribute_is_a_miss(void **state)
{
	uint8_t digest[32];

	(void)state;
	fill(1, 10, 1);
	for (int in_overlay = 0; in_overlay < 2; in_overlay++) {
		struct index_cache *idx = index_open(dir);
		if (in_overlay)
			store(idx, 5);
		struct index_key keys[] = {
			key_of(5), key_of(5), key_of(5), key_of(5), key_of(5), key_of(5), key_of(5)};
		keys[0].dev++;
		keys[1].ino = 50;
		keys[2].size++;
		keys[3].mtime.sec--;
		keys[4].mtime.nsec++;
		keys[5].ctime.sec--;
		keys[6].ctime.nsec++;
		for (size_t i = 0; i < 7; i++)
			assert_false(index_lookup(idx, &keys[i], digest));
		assert_true(known(idx, 5));
		close_clean(idx);
	}
}

static void a_changed_file_replaces_its_row(void **state)
{
	uint8_t digest[32], got[32];
	struct index_key key = key_of(5);

	(void)state;
	fill(1, 10, 1);
	off_t size = size_of_file();
	struct index_cache *idx = index_open(dir);
	key.size = 99999;
	fill_digest(digest, 42);
	index_store(idx, &key, digest, hashed_at);
	close_clean(idx);
	idx = index_open(dir);
	assert_false(known(idx, 5));
	assert_true(index_lookup(idx, &key, got));
	assert_memory_equal(got, digest, 32);
	close_clean(idx);
	assert_int_equal(size_of_file(), size);
}

/* Times that a change right after hashing could repeat. */
static void racy_files_are_not_remembered(void **state)
{
	const struct {
		int64_t mtime_ns, ctime_ns;
		bool kept;
	} cases[] = {
		{-2000000001, -2000000001, true},
		{-2000000000, -3000000000, false},
		{-3000000000, -2000000000, false},
		{-3000000000, 0, false},
		{0, -3000000000, false},
		{5000000000, -3000000000, false},
		{-3000000000, 5000000000, false},
		{-4000000000000, -4000000000000, true},
	};
	struct index_cache *idx = index_open(dir);
	uint8_t digest[32] = {1};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t m = hashed_at + cases[i].mtime_ns;
		int64_t c = hashed_at + cases[i].ctime_ns;
		struct index_key key = {.dev = 7,
			.ino = 100 + i,
			.size = 1,
			.mtime = {m / 1000000000, (uint32_t)(m % 1000000000)},
			.ctime = {c / 1000000000, (uint32_t)(c % 1000000000)}};
		index_store(idx, &key, digest, hashed_at);
		assert_int_equal(index_lookup(idx, &key, digest), cases[i].kept);
	}
	close_clean(idx);
}

static void a_run_that_learns_nothing_writes_nothing(void **state)
{
	struct stat before, after;

	(void)state;
	fill(1, 100, 1);
	char *path = path_of_file();
	assert_int_equal(stat(path, &before), 0);
	struct index_cache *idx = index_open(dir);
	assert_true(known(idx, 7));
	close_clean(idx);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(after.st_mode & 0777, 0600);
	free(path);
}

static void two_runs_at_once_lose_nothing(void **state)
{
	(void)state;
	fill(1, 100, 1);
	struct index_cache *a = index_open(dir);
	struct index_cache *b = index_open(dir);
	assert_true(known(a, 1) && known(b, 1));
	for (uint64_t i = 0; i < 50; i++) {
		store(a, 1000 + i);
		store(b, 2000 + i);
	}
	close_clean(a);
	close_clean(b);
	struct index_cache *idx = index_open(dir);
	for (uint64_t i = 0; i < 50; i++)
		assert_true(known(idx, 1 + i) && known(idx, 1000 + i) && known(idx, 2000 + i));
	close_clean(idx);
}

static void devices_are_kept_apart(void **state)
{
	struct index_key a = key_of(1), b = key_of(1);
	uint8_t one[32] = {1}, two[32] = {2}, got[32];

	(void)state;
	b.dev = 8;
	for (int run = 0; run < 2; run++) {
		struct index_cache *idx = index_open(dir);
		if (run == 0) {
			index_store(idx, &a, one, hashed_at);
			index_store(idx, &b, two, hashed_at);
		}
		assert_true(index_lookup(idx, &a, got));
		assert_memory_equal(got, one, 32);
		assert_true(index_lookup(idx, &b, got));
		assert_memory_equal(got, two, 32);
		close_clean(idx);
	}
}

/* Overwrites bytes of the file. */
static void damage(off_t offset, const void *bytes, size_t n)
{
	char *path = path_of_file();
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, offset), (ssize_t)n);
	close(fd);
	free(path);
}

static void truncate_file(off_t size)
{
	char *path = path_of_file();

	assert_int_equal(truncate(path, size), 0);
	free(path);
}

/* After one warning the cache works again and holds what this run learned. */
static void expect_rebuilt(void)
{
	struct err e = {0};
	struct index_cache *idx = index_open(dir);

	for (uint64_t i = 1; i < 200; i++)
		if (!known(idx, i))
			store(idx, i);
	index_warning(idx, &e);
	if (e.code == ERR_NONE)
		assert_int_equal(index_close(idx, &e), -1);
	else
		close_clean(idx);
	assert_non_null(strstr(e.text, "built anew"));
	idx = index_open(dir);
	for (uint64_t i = 1; i < 200; i++)
		assert_true(known(idx, i));
	close_clean(idx);
}

static void a_damaged_or_foreign_file_is_built_anew(void **state)
{
	uint64_t junk = UINT64_C(0xdeadbeefcafef00d);

	(void)state;
	fill(1, 200, 1);
	off_t size = size_of_file();
	for (off_t at = 0; at + 8 <= size; at += at < 64 ? 8 : 8 * 97) {
		damage(at, &junk, sizeof(junk));
		expect_rebuilt();
	}
	damage(size - 8, &junk, sizeof(junk));
	expect_rebuilt();
	const off_t lengths[] = {0, 1, 63, 64, 65, size - 1, size + 1, size * 2};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		truncate_file(lengths[i]);
		expect_rebuilt();
	}
}

static void a_file_of_another_kind_or_owner_is_not_read(void **state)
{
	char *path = path_of_file();

	(void)state;
	fill(1, 200, 1);
	assert_int_equal(chmod(path, 0666), 0);
	expect_rebuilt();
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	expect_rebuilt();
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_rebuilt();
	free(path);
}

static void without_a_directory_it_works_in_memory(void **state)
{
	struct err e = {0};
	struct index_cache *idx = index_open("/proc/nowhere/at/all");

	(void)state;
	store(idx, 1);
	assert_true(known(idx, 1));
	assert_true(index_warning(idx, &e));
	assert_non_null(strstr(e.text, "/proc/nowhere/at/all"));
	assert_false(index_warning(idx, &e));
	close_clean(idx);
}

static void the_default_directory(void **state)
{
	char *home = xasprintf("%s/home/me", dir);
	struct stat st;
	uid_t me = geteuid();

	(void)state;
	unsetenv("XDG_STATE_HOME");
	setenv("HOME", home, 1);
	if (me == 0) {
		assert_int_equal(chown(dir, 65534, (gid_t)-1), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	close_clean(index_open(NULL));
	assert_int_equal(seteuid(me), 0);
	char *path = xasprintf("%s/.local/state/wherry", home);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	free(path);
	free(home);
}

/* --- the file by itself --- */

static int open_dir(void)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Adds rows from..to on the day `today`, looking up (and so using) every row below `use_below` before. */
static void write_rows(uint32_t today, uint64_t from, uint64_t to, uint64_t use_below, size_t rows_max)
{
	struct index_file f;
	struct err e = {0};
	int fd = open_dir();
	struct index_row *rows = xcalloc(to - from, sizeof(*rows));
	uint8_t digest[32];

	assert_true(index_file_open(&f, fd, 7, today, &e) >= 0);
	for (uint64_t i = 1; i < use_below; i++)
		index_file_find(&f, i, i, digest);
	for (uint64_t i = from; i < to; i++) {
		rows[i - from] = (struct index_row){.ino = i, .fingerprint = i};
		fill_digest(rows[i - from].digest, i);
	}
	struct index_merge m = {.f = &f, .fresh = rows, .fresh_count = to - from, .rows_max = rows_max};
	assert_int_equal(index_file_write(fd, 7, &m, &e), 0);
	index_file_close(&f);
	free(rows);
	close(fd);
}

static size_t count_rows(uint32_t today, uint64_t from, uint64_t to)
{
	struct index_file f;
	struct err e = {0};
	uint8_t digest[32], want[32];
	size_t n = 0;
	int fd = open_dir();

	assert_int_equal(index_file_open(&f, fd, 7, today, &e), 1);
	for (uint64_t i = from; i < to; i++)
		if (index_file_find(&f, i, i, digest)) {
			fill_digest(want, i);
			assert_memory_equal(digest, want, 32);
			n++;
		}
	index_file_close(&f);
	close(fd);
	return n;
}

static void rows_not_used_for_long_are_dropped(void **state)
{
	(void)state;
	write_rows(20000, 1, 101, 0, 1000);
	write_rows(20080, 101, 201, 51, 1000); /* half of the first rows are used */
	assert_int_equal(count_rows(20080, 1, 300), 200);
	write_rows(20000 + INDEX_KEEP_DAYS + 1, 201, 301, 0, 1000);
	assert_int_equal(count_rows(20100, 1, 51), 50);
	assert_int_equal(count_rows(20100, 51, 101), 0);
	assert_int_equal(count_rows(20100, 101, 301), 200);
}

static void beyond_the_limit_the_longest_unused_go(void **state)
{
	(void)state;
	write_rows(20000, 1, 101, 0, 250);
	write_rows(20001, 101, 201, 0, 250);
	write_rows(20002, 201, 301, 0, 250);
	assert_int_equal(count_rows(20002, 101, 301), 200);
	assert_int_equal(count_rows(20002, 1, 101), 50);
	write_rows(20003, 301, 701, 0, 250);
	assert_int_equal(count_rows(20003, 301, 701), 250);
	assert_int_equal(count_rows(20003, 1, 301), 0);
}

static void a_clock_set_back_drops_nothing(void **state)
{
	(void)state;
	write_rows(20500, 1, 101, 0, 1000);
	write_rows(20000, 101, 201, 0, 1000);
	assert_int_equal(count_rows(20000, 1, 201), 200);
}

static void rows_in_use_are_renewed_after_a_week(void **state)
{
	struct index_file f;
	struct err e = {0};
	uint8_t digest[32];
	int fd = open_dir();

	(void)state;
	write_rows(20000, 1, 101, 0, 1000);
	for (uint32_t day = 20000; day <= 20010; day += 5) {
		assert_int_equal(index_file_open(&f, fd, 7, day, &e), 1);
		assert_true(index_file_find(&f, 5, 5, digest));
		assert_int_equal(f.stale, day == 20010);
		index_file_close(&f);
	}
	close(fd);
}

static void many_rows_over_many_blocks(void **state)
{
	(void)state;
	write_rows(20000, 1, 40001, 0, INDEX_ROWS_MAX);
	write_rows(20000, 20001, 60001, 0, INDEX_ROWS_MAX);
	assert_int_equal(count_rows(20000, 0, 70000), 60000);
}

static void old_files_of_gone_devices_are_swept(void **state)
{
	const char *names[] = {
		"index-0000000000000009", "index-0000000000000009.tmp", "index-mine", "history.db"};
	const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	int fd = open_dir();

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		close(openat(fd, names[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		assert_int_equal(utimensat(fd, names[i], old, 0), 0);
	}
	fill(1, 10, 1);
	assert_true(faccessat(fd, names[0], F_OK, 0) < 0);
	assert_true(faccessat(fd, names[1], F_OK, 0) < 0);
	assert_int_equal(faccessat(fd, names[2], F_OK, 0), 0);
	assert_int_equal(faccessat(fd, names[3], F_OK, 0), 0);
	close(fd);
}

/* --- threads --- */

struct worker {
	struct index_cache *idx;
	uint64_t from, to;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = w->from; i < w->to; i++) {
		if (!known(w->idx, i))
			store(w->idx, i);
		assert_true(known(w->idx, i));
		known(w->idx, i / 2 + 1);
	}
	return NULL;
}

/* More rows than the overlay holds, so that it is written out in the middle. */
static void many_threads_and_a_full_overlay(void **state)
{
	enum { THREADS = 4, EACH = 50000 };
	struct worker workers[THREADS];
	pthread_t threads[THREADS];

	(void)state;
	struct index_cache *idx = index_open(dir);
	for (uint64_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){idx, 1 + i * EACH, 1 + (i + 1) * EACH};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(size_of_file() > 0);
	for (uint64_t i = 1; i <= THREADS * EACH; i++)
		assert_true(known(idx, i));
	close_clean(idx);
	idx = index_open(dir);
	for (uint64_t i = 1; i <= THREADS * EACH; i++)
		assert_true(known(idx, i));
	close_clean(idx);
}

/* --- digest_file --- */

static void expect_digest(const void *data, size_t n, const char *hex)
{
	int fd = memfd_create("digest", MFD_CLOEXEC);
	uint8_t out[32];
	char text[65];
	uint64_t bytes;
	_Atomic uint64_t progress = 5;

	assert_int_equal(write(fd, data, n), (ssize_t)n);
	assert_int_equal(digest_file(fd, out, &bytes, &progress, NULL), 0);
	for (size_t i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", out[i]);
	assert_string_equal(text, hex);
	assert_int_equal(bytes, n);
	assert_int_equal(progress, n + 5);
	close(fd);
}

static void digests_are_sha256(void **state)
{
	char *million = xmalloc(1000000 * 2 + 200000);

	(void)state;
	memset(million, 'a', 2200000);
	expect_digest("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect_digest("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect_digest(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	/* python3 -c 'import hashlib; print(hashlib.sha256(b"a" * 2200000).hexdigest())' */
	expect_digest(million, 2200000, "cbc320eeb1c3874567fcad676f102d6acdf386209aadba5b5e262fe2556c6805");
	free(million);
}

static void digest_faults(void **state)
{
	uint8_t out[32];
	_Atomic bool stop = true;
	int fd = open_dir();

	(void)state;
	assert_int_equal(digest_file(fd, out, NULL, NULL, NULL), -1);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(digest_file(fd, out, NULL, NULL, &stop), -1);
	assert_int_equal(errno, ECANCELED);
	close(fd);
}

int main(void)
{
#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		IN_DIR(what_was_stored_is_found_in_the_next_run),
		IN_DIR(what_was_stored_is_found_in_the_same_run),
		IN_DIR(any_other_attribute_is_a_miss),
		IN_DIR(a_changed_file_replaces_its_row),
		IN_DIR(racy_files_are_not_remembered),
		IN_DIR(a_run_that_learns_nothing_writes_nothing),
		IN_DIR(two_runs_at_once_lose_nothing),
		IN_DIR(devices_are_kept_apart),
		IN_DIR(a_damaged_or_foreign_file_is_built_anew),
		IN_DIR(a_file_of_another_kind_or_owner_is_not_read),
		IN_DIR(without_a_directory_it_works_in_memory),
		IN_DIR(the_default_directory),
		IN_DIR(rows_not_used_for_long_are_dropped),
		IN_DIR(beyond_the_limit_the_longest_unused_go),
		IN_DIR(a_clock_set_back_drops_nothing),
		IN_DIR(rows_in_use_are_renewed_after_a_week),
		IN_DIR(many_rows_over_many_blocks),
		IN_DIR(old_files_of_gone_devices_are_swept),
		IN_DIR(many_threads_and_a_full_overlay),
		IN_DIR(digests_are_sha256),
		IN_DIR(digest_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
