#include "os_scratch.h"

#include "os/copy.h"

enum { KIB = 1024, MIB = 1024 * 1024, CALL_COPY_FILE_RANGE = 326 };

/* A file of `size` bytes that have no two blocks alike. */
static int make_source(struct scratch *s, size_t size)
{
	int fd = openat(s->fd, "in", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	uint32_t *data = malloc(size + 4);

	assert_true(fd >= 0);
	assert_non_null(data);
	for (size_t i = 0; i < size / 4 + 1; i++)
		data[i] = (uint32_t)i * 2654435761u + 1;
	assert_int_equal(write_all(fd, data, size), 0);
	free(data);
	return fd;
}

static int make_target(struct scratch *s)
{
	int fd = openat(s->fd, "out", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	return fd;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static uint64_t disk_use(int fd)
{
	struct stat st;

	assert_int_equal(fsync(fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void assert_same_content(int a, int b)
{
	static uint8_t one[MIB];
	static uint8_t two[MIB];

	assert_int_equal(size_of(a), size_of(b));
	for (uint64_t off = 0;; off += MIB) {
		int64_t n = pread_full(a, one, MIB, off);
		assert_true(n >= 0);
		assert_int_equal(pread_full(b, two, MIB, off), n);
		assert_memory_equal(one, two, (size_t)n);
		if (n < MIB)
			break;
	}
}

static void copy_and_compare(struct scratch *s, int in, uint64_t hint, unsigned flags)
{
	_Atomic uint64_t progress = 0;
	uint64_t copied = 0;
	int out = make_target(s);

	assert_int_equal(copy_file_content(in, out, hint, flags, &copied, &progress, NULL), 0);
	assert_int_equal(copied, size_of(in));
	assert_int_equal(progress, copied);
	assert_same_content(in, out);
	close(out);
}

static void every_size(struct scratch *s)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1,
		256 * KIB, MIB + 17, 9 * MIB + 5};
	static const unsigned flags[] = {0, COPY_SPARSE, COPY_NO_REFLINK, COPY_SPARSE | COPY_NO_REFLINK};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int in = make_source(s, sizes[i]);
		for (size_t f = 0; f < 4; f++) {
			copy_and_compare(s, in, sizes[i], flags[f]);
			copy_and_compare(s, in, sizes[i] / 2, flags[f]); /* has grown since */
			copy_and_compare(s, in, 0, flags[f]);
			copy_and_compare(s, in, sizes[i] * 2 + 1, flags[f]); /* has shrunk since */
		}
		close(in);
	}
}

static void copies_every_size(void **state)
{
	every_size(*state);
}

static void old_kernel(struct scratch *s)
{
	if (lose_syscalls(CALL_COPY_FILE_RANGE, CALL_COPY_FILE_RANGE))
		every_size(s);
}

static void copies_without_copy_file_range(void **state)
{
	run_in_child(old_kernel, *state);
}

static void copies_across_file_systems(void **state)
{
	struct scratch *s = *state;
	int in = make_source(s, 3 * MIB + 1);
	char path[] = "/dev/shm/wherry-test-XXXXXX";
	int out = mkstemp(path);
	uint64_t copied;

	if (out < 0)
		skip();
	unlink(path);
	assert_int_equal(copy_file_content(in, out, 3 * MIB + 1, COPY_SPARSE, &copied, NULL, NULL), 0);
	assert_same_content(in, out);
	close(out);
	out = make_target(s);
	int proc = open("/proc/self/status", O_RDONLY | O_CLOEXEC); /* says it is empty, is not */
	assert_true(proc >= 0);
	assert_int_equal(copy_file_content(proc, out, 0, 0, &copied, NULL, NULL), 0);
	assert_true(copied > 100);
	assert_int_equal(size_of(out), copied);
	close(proc);
	close(out);
	close(in);
}

struct layout {
	uint64_t at; /* 4 KiB of data there */
	uint64_t size;
};

static int make_sparse(struct scratch *s, const struct layout *l)
{
	uint8_t block[4096];
	int fd = openat(s->fd, "in", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	memset(block, 'x', sizeof(block));
	assert_int_equal(ftruncate(fd, (off_t)l->size), 0);
	if (l->at < l->size)
		assert_int_equal(pwrite_all(fd, block, sizeof(block), l->at), 0);
	return fd;
}

static void holes_stay_holes(void **state)
{
	static const struct layout layouts[] = {
		{0, 4096}, {UINT64_MAX, 32 * KIB}, /* one hole */
		{0, 48 * KIB},                     /* hole at the end */
		{44 * KIB, 48 * KIB},              /* and at the head */
		{16 * KIB, 50001},                 /* around */
		{UINT64_MAX, 1 * MIB},             /* the same, big */
		{0, 20 * MIB + 1}, {19 * MIB, 19 * MIB + 4096}, {8 * MIB - 4096, 30 * MIB},
		{UINT64_MAX, (uint64_t)3 << 30}, {(uint64_t)2 << 40, (uint64_t)3 << 40}, /* 3 TiB */
	};
	struct scratch *s = *state;

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		int in = make_sparse(s, &layouts[i]);
		int out = make_target(s);
		_Atomic uint64_t progress = 0;
		uint64_t copied;
		assert_int_equal(
			copy_file_content(in, out, layouts[i].size, COPY_SPARSE, &copied, &progress, NULL),
			0);
		assert_int_equal(copied, layouts[i].size);
		assert_int_equal(progress, layouts[i].size);
		assert_int_equal(size_of(out), layouts[i].size);
		if (layouts[i].size <= 32 * MIB)
			assert_same_content(in, out);
		assert_true(disk_use(out) <= disk_use(in) + 64 * KIB);
		close(in);
		close(out);
	}
}

static void zeros_become_holes(void **state)
{
	struct scratch *s = *state;
	int out = make_target(s);
	uint8_t *data = calloc(1, 60000);
	uint8_t *got = malloc(60000);
	uint64_t copied;

	memset(data, 'a', 5000);
	memset(data + 40000, 'b', 100);
	int in = openat(s->fd, "in", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_int_equal(write_all(in, data, 60000), 0);
	assert_int_equal(copy_file_content(in, out, 60000, COPY_SPARSE, &copied, NULL, NULL), 0);
	assert_same_content(in, out);
	assert_true(disk_use(out) < disk_use(in));
	assert_int_equal(ftruncate(out, 0), 0);
	for (size_t at = 0; at < 60000; at += 7777) {
		size_t n = 60000 - at < 7777 ? 60000 - at : 7777;
		assert_int_equal(pwrite_sparse(out, data + at, n, at), 0);
	}
	assert_int_equal(ftruncate(out, 60000), 0);
	assert_int_equal(pread_full(out, got, 60000, 0), 60000);
	assert_memory_equal(data, got, 60000);
	free(data);
	free(got);
	close(in);
	close(out);
}

static void stops_when_told(void **state)
{
	struct scratch *s = *state;
	int in = make_source(s, 2 * MIB);
	int out = make_target(s);
	_Atomic bool stop = true;
	uint64_t copied;

	for (unsigned flags = 0; flags < 4; flags++) {
		assert_int_equal(copy_file_content(in, out, 2 * MIB, flags, &copied, NULL, &stop), -1);
		assert_int_equal(errno, ECANCELED);
		assert_int_equal(copied, 0);
	}
	close(in);
	close(out);
}

static void errors_are_told(void **state)
{
	struct scratch *s = *state;
	int in = make_source(s, MIB);
	int full = open("/dev/full", O_RDWR | O_CLOEXEC);
	uint64_t copied;

	if (full < 0)
		skip();
	assert_int_equal(copy_file_content(in, full, MIB, 0, &copied, NULL, NULL), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(write_all(full, "x", 1), -1);
	assert_int_equal(errno, ENOSPC);
	close(full);
	assert_int_equal(copy_file_content(s->fd, in, MIB, 0, &copied, NULL, NULL), -1);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(copy_file_content(s->fd, in, 1, 0, &copied, NULL, NULL), -1);
	assert_int_equal(errno, EISDIR);
	close(in);
}

static void read_and_write_all(void **state)
{
	int ends[2];
	char got[300000];
	char *data = malloc(300000);

	(void)state;
	memset(data, 'z', 300000);
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		_exit(write_all(ends[1], data, 300000) != 0);
	}
	close(ends[1]);
	assert_int_equal(read_full(ends[0], got, 5), 5);
	assert_int_equal(read_full(ends[0], got, sizeof(got)), 299995);
	assert_memory_equal(got, data, 299995);
	assert_int_equal(read_full(ends[0], got, 1), 0);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read_full(-1, got, 1), -1);
	assert_int_equal(errno, EBADF);
	close(ends[0]);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copies_every_size, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			copies_without_copy_file_range, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(copies_across_file_systems, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(holes_stay_holes, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(zeros_become_holes, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(stops_when_told, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(errors_are_told, scratch_setup, scratch_teardown),
		cmocka_unit_test(read_and_write_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
