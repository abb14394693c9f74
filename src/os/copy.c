/*
 * The ways to copy, tried in this order:
 *
 *   small (<= 64 KiB)   pread once, pwrite once
 *   clone               FICLONE shares the blocks: no data moves
 *   extents             with COPY_SPARSE: SEEK_DATA/SEEK_HOLE name what is to be copied, the rest stays a hole
 *   ranges              copy_file_range inside the kernel, 8 MiB at a time
 *   read and write      where the kernel refuses the above for this pair of files
 *
 * 1. Every way goes on to the real end of the file, whatever size was promised: the one who called compares the
 *    file's times before and after.
 * 2. A way that is refused leaves the output as it was; the next one starts at the same offset.
 */
#include "os/copy.h"

#include "base/alloc.h"
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SMALL_BYTES = 64 << 10, BUFFER_BYTES = 256 << 10, CHUNK_BYTES = 8 << 20, ZERO_BLOCK = 4096 };

struct copy {
	int in;
	int out;
	unsigned flags;
	uint64_t off;     /* copied so far, holes included */
	bool ends_in_gap; /* the output must be extended to `off` at the end */
	bool no_ranges;   /* copy_file_range was refused for this pair */
	_Atomic uint64_t *progress;
	const _Atomic bool *stop;
};

/* Every thread's own, freed when it ends. */
static _Thread_local uint8_t *buffer;
static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void make_buffer_key(void)
{
	pthread_key_create(&buffer_key, free);
}

static void need_buffer(void)
{
	if (buffer)
		return;
	pthread_once(&buffer_once, make_buffer_key);
	buffer = xmalloc(BUFFER_BYTES);
	pthread_setspecific(buffer_key, buffer);
}

int write_all(int fd, const void *data, size_t n)
{
	const uint8_t *p = data;

	if (fault_point("write") != 0)
		return -1;
	while (n) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno != EINTR)
			return -1;
		if (w > 0) {
			p += w;
			n -= (size_t)w;
		}
	}
	return 0;
}

int pwrite_all(int fd, const void *data, size_t n, uint64_t offset)
{
	const uint8_t *p = data;

	if (fault_point("write") != 0)
		return -1;
	while (n) {
		ssize_t w = pwrite(fd, p, n, (off_t)offset);
		if (w < 0 && errno != EINTR)
			return -1;
		if (w > 0) {
			p += w;
			n -= (size_t)w;
			offset += (uint64_t)w;
		}
	}
	return 0;
}

int64_t read_full(int fd, void *data, size_t n)
{
	uint8_t *p = data;
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(fd, p + got, n - got);
		if (r < 0 && errno != EINTR)
			return -1;
		if (r == 0)
			break;
		if (r > 0)
			got += (size_t)r;
	}
	return (int64_t)got;
}

int64_t pread_full(int fd, void *data, size_t n, uint64_t offset)
{
	uint8_t *p = data;
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, p + got, n - got, (off_t)(offset + got));
		if (r < 0 && errno != EINTR)
			return -1;
		if (r == 0)
			break;
		if (r > 0)
			got += (size_t)r;
	}
	return (int64_t)got;
}

static bool is_zero_block(const uint8_t *p)
{
	return p[0] == 0 && memcmp(p, p + 1, ZERO_BLOCK - 1) == 0;
}

/* Length of the run of zero blocks that starts at p (with zero = true), or of what is none. */
static size_t run_length(const uint8_t *p, size_t n, bool zero)
{
	size_t len = 0;

	while (n - len >= ZERO_BLOCK && is_zero_block(p + len) == zero)
		len += ZERO_BLOCK;
	if (!zero && n - len < ZERO_BLOCK)
		len = n;
	return len;
}

int pwrite_sparse(int fd, const void *data, size_t n, uint64_t offset)
{
	const uint8_t *p = data;
	size_t head = (size_t)(-offset & (ZERO_BLOCK - 1));

	head = head < n ? head : n;
	if (head && pwrite_all(fd, p, head, offset) != 0)
		return -1;
	for (size_t at = head; at < n;) {
		at += run_length(p + at, n - at, true);
		size_t len = run_length(p + at, n - at, false);
		if (len && pwrite_all(fd, p + at, len, offset + at) != 0)
			return -1;
		at += len;
	}
	return 0;
}

static void advance(struct copy *c, uint64_t n)
{
	c->off += n;
	if (c->progress)
		atomic_fetch_add_explicit(c->progress, n, memory_order_relaxed);
}

static bool stopped(const struct copy *c)
{
	if (!c->stop || !atomic_load_explicit(c->stop, memory_order_relaxed))
		return false;
	errno = ECANCELED;
	return true;
}

/* Write the n bytes of the buffer at the current offset. */
static int put_buffer(struct copy *c, size_t n)
{
	bool sparse = (c->flags & COPY_SPARSE) && n >= ZERO_BLOCK;

	if (sparse ? pwrite_sparse(c->out, buffer, n, c->off) : pwrite_all(c->out, buffer, n, c->off))
		return -1;
	c->ends_in_gap = sparse && is_zero_block(buffer + n - ZERO_BLOCK);
	advance(c, n);
	return 0;
}

/* Read and write from the current offset to `end` or the end of the file. 1 = end of the file reached. */
static int copy_through(struct copy *c, uint64_t end)
{
	while (c->off < end) {
		uint64_t want = end - c->off < BUFFER_BYTES ? end - c->off : BUFFER_BYTES;
		if (stopped(c))
			return -1;
		int64_t n = pread_full(c->in, buffer, (size_t)want, c->off);
		if (n < 0 || (n > 0 && put_buffer(c, (size_t)n) != 0))
			return -1;
		if ((uint64_t)n < want)
			return 1;
	}
	return 0;
}

/* Errors that speak of the pair of files, not of the disk. */
static bool ranges_refused(int e)
{
	return e == EXDEV || e == EINVAL || e == EOPNOTSUPP || e == ENOSYS || e == EPERM || e == ETXTBSY ||
	       e == EBADF;
}

/* Copy from the current offset to `end` or the end of the file. 1 = end of the file reached. */
static int copy_range(struct copy *c, uint64_t end)
{
	while (c->off < end && !c->no_ranges) {
		off_t from = (off_t)c->off;
		off_t to = from;
		uint64_t want = end - c->off < CHUNK_BYTES ? end - c->off : CHUNK_BYTES;
		if (stopped(c) || fault_point("write") != 0)
			return -1;
		ssize_t n = copy_file_range(c->in, &from, c->out, &to, (size_t)want, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !ranges_refused(errno))
			return -1;
		c->ends_in_gap = c->ends_in_gap && n <= 0;
		if (n > 0)
			advance(c, (uint64_t)n);
		else if (n < 0)
			c->no_ranges = true;
		else
			break; /* the end, or a file system that says so falsely: reading tells */
	}
	return copy_through(c, end);
}

static int skip_hole(struct copy *c, uint64_t end)
{
	if (end > c->off) {
		c->ends_in_gap = true;
		advance(c, end - c->off);
	}
	return 0;
}

/* The rest of the file is a hole. */
static int skip_last_hole(struct copy *c)
{
	struct stat st;

	if (fstat(c->in, &st) != 0)
		return -1;
	return skip_hole(c, st.st_size > 0 ? (uint64_t)st.st_size : 0);
}

static int copy_extents(struct copy *c)
{
	for (;;) {
		off_t data = lseek(c->in, (off_t)c->off, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return skip_last_hole(c);
		off_t hole = data < 0 ? -1 : lseek(c->in, data, SEEK_HOLE);
		if (data < 0 || (hole < 0 && errno != ENXIO))
			return copy_range(c, UINT64_MAX); /* no such seeking here */
		if (hole < 0)
			continue; /* cut short between the two calls */
		skip_hole(c, (uint64_t)data);
		if (copy_range(c, (uint64_t)hole) < 0)
			return -1;
		if (c->off < (uint64_t)hole)
			return 0; /* cut short while it was read */
	}
}

/* Pairs of file systems that cannot clone, remembered for the life of the process. */
static _Atomic uint64_t no_clone[16];

static uint64_t pair_key(dev_t a, dev_t b)
{
	uint64_t key = (uint64_t)a * 0x9e3779b97f4a7c15u ^ ((uint64_t)b + 0x7f4a7c15u) * 0xc2b2ae3d27d4eb4fu;

	return key ? key : 1;
}

static bool pair_is_known(uint64_t key)
{
	for (size_t i = 0; i < sizeof(no_clone) / sizeof(no_clone[0]); i++)
		if (atomic_load_explicit(&no_clone[i], memory_order_relaxed) == key)
			return true;
	return false;
}

static void pair_remember(uint64_t key)
{
	for (size_t i = 0; i < sizeof(no_clone) / sizeof(no_clone[0]); i++) {
		uint64_t empty = 0;
		if (atomic_compare_exchange_strong(&no_clone[i], &empty, key) || empty == key)
			return;
	}
}

/* 1 = cloned, 0 = not possible here, -1 = failed. */
static int try_clone(struct copy *c)
{
	struct stat in;
	struct stat out;

	if (c->flags & COPY_NO_REFLINK)
		return 0;
	if (fstat(c->in, &in) != 0 || fstat(c->out, &out) != 0)
		return -1;
	uint64_t key = pair_key(in.st_dev, out.st_dev);
	if (pair_is_known(key))
		return 0;
	if (fault_point("write") != 0)
		return -1;
	if (ioctl(c->out, FICLONE, c->in) != 0) {
		if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EXDEV || errno == ENOSYS)
			pair_remember(key);
		return errno == ENOSPC || errno == EDQUOT || errno == EIO ? -1 : 0;
	}
	if (fstat(c->out, &out) != 0)
		return -1;
	advance(c, (uint64_t)out.st_size);
	return 1;
}

static int copy_big(struct copy *c)
{
	int cloned = try_clone(c);

	if (cloned != 0)
		return cloned < 0 ? -1 : 0;
	c->no_ranges = (c->flags & COPY_NO_REFLINK) != 0;
	return c->flags & COPY_SPARSE ? copy_extents(c) : copy_range(c, UINT64_MAX);
}

/* A read that was given more room than it used, and brought just what was promised, has met the end. */
static int copy_small(struct copy *c, uint64_t size_hint)
{
	int64_t n;

	do
		n = pread(c->in, buffer, BUFFER_BYTES, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 || (n > 0 && put_buffer(c, (size_t)n) != 0))
		return -1;
	return n == 0 || (uint64_t)n == size_hint ? 0 : copy_through(c, UINT64_MAX);
}

int copy_file_content(int in, int out, uint64_t size_hint, unsigned flags, uint64_t *copied,
	_Atomic uint64_t *progress, const _Atomic bool *stop)
{
	struct copy c = {.in = in, .out = out, .flags = flags, .progress = progress, .stop = stop};
	int r = -1;

	need_buffer();
	if (!stopped(&c))
		r = size_hint <= SMALL_BYTES ? copy_small(&c, size_hint) : copy_big(&c);
	if (r >= 0 && c.ends_in_gap)
		r = fault_point("write") != 0 ? -1 : ftruncate(out, (off_t)c.off);
	if (copied)
		*copied = c.off;
	return r < 0 ? -1 : 0;
}

int punch_hole(int fd, uint64_t offset, uint64_t n)
{
	static const uint8_t zeros[64 * 1024];
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	if (offset >= (uint64_t)st.st_size)
		return 0;
	if (n > (uint64_t)st.st_size - offset)
		n = (uint64_t)st.st_size - offset;
	if (fault_point("punch hole") != 0)
		return -1;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return -1;
	for (uint64_t done = 0; done < n;) {
		size_t part = n - done < sizeof(zeros) ? (size_t)(n - done) : sizeof(zeros);
		if (pwrite_all(fd, zeros, part, offset + done) != 0)
			return -1;
		done += part;
	}
	return 0;
}
