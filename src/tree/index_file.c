/*
 * The index file of one device, native byte order:
 *
 *   header   64 bytes
 *   rows     count x 56 bytes, ascending by ino
 *   fence    one u64 per block of 64 rows: the ino of its first row
 *
 * 1. A file is never changed: a new one is renamed over it. Who has the old one open keeps reading the old one.
 * 2. Header and fence carry check sums, verified when opening; every row carries its own, verified when it
 *    answers and when it is copied. So opening reads an eighth of a byte per row, not 56.
 * 3. Nothing in the file is believed before its check: wrong counts, orders and sizes lead to misses at most.
 * 4. No fsync: after a power loss a file with holes fails its check sums and is built anew.
 * 5. The seed is random and secret (mode 0600), so that nobody can choose times and sizes that collide.
 */
#include "tree/index_file.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_ROWS = 64, CACHE_SLOTS = 8, RENEW_DAYS = 7, VERSION = 1, COUNT_LIMIT = 1 << 28 };

struct header {
	char magic[8];
	uint32_t version;
	uint32_t row_bytes;
	uint64_t dev;
	uint64_t count;
	uint64_t seed;
	uint64_t fence_check;
	uint64_t reserved;
	uint64_t check; /* of the 56 bytes before */
};
_Static_assert(sizeof(struct header) == 64, "header");

static const char magic[8] = {'w', 'h', 'e', 'r', 'r', 'y', 'i', 'x'};

/* The blocks a thread has read last, each in its slot: neighbours in a directory are neighbours in here. */
struct block {
	uint64_t generation;
	size_t number;
	size_t count;
	struct index_row rows[BLOCK_ROWS];
};
static _Thread_local struct block cache[CACHE_SLOTS];

static _Atomic uint64_t last_generation;

void index_file_name(uint64_t dev, char name[INDEX_NAME_BYTES])
{
	snprintf(name, INDEX_NAME_BYTES, "index-%016" PRIx64, dev);
}

uint64_t index_file_fingerprint(uint64_t seed, const struct index_key *key)
{
	const uint64_t fields[] = {key->size, (uint64_t)key->mtime.sec, key->mtime.nsec,
		(uint64_t)key->ctime.sec, key->ctime.nsec, key->dev};

	return hash64(fields, sizeof(fields), seed);
}

static uint32_t row_check(const struct index_row *row, uint64_t seed)
{
	uint64_t h = hash64(row, offsetof(struct index_row, check), seed);

	return (uint32_t)(h ^ h >> 32);
}

static uint64_t header_check(const struct header *h)
{
	return hash64(h, offsetof(struct header, check), VERSION);
}

static bool pread_all(int fd, void *data, size_t n, uint64_t offset)
{
	uint8_t *p = data;

	while (n) {
		ssize_t got = pread(fd, p, n, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
		offset += (uint64_t)got;
	}
	return true;
}

static uint64_t row_offset(size_t i)
{
	return sizeof(struct header) + (uint64_t)i * sizeof(struct index_row);
}

static void make_empty(struct index_file *f, uint32_t today)
{
	*f = (struct index_file){.fd = -1, .today = today, .generation = ++last_generation};
	if (getrandom(&f->seed, sizeof(f->seed), 0) != (ssize_t)sizeof(f->seed))
		BUG("no random numbers");
}

/* Header, sizes and fence of the open file; false when anything is not as we wrote it. */
static bool load(struct index_file *f, uint64_t dev, uint64_t size)
{
	struct header h;

	if (size < sizeof(h) || !pread_all(f->fd, &h, sizeof(h), 0))
		return false;
	if (memcmp(h.magic, magic, sizeof(magic)) != 0 || h.version != VERSION || h.check != header_check(&h))
		return false;
	if (h.row_bytes != sizeof(struct index_row) || h.dev != dev || h.count > COUNT_LIMIT)
		return false;
	f->count = (size_t)h.count;
	f->seed = h.seed;
	f->blocks = (f->count + BLOCK_ROWS - 1) / BLOCK_ROWS;
	size_t fence_bytes = f->blocks * sizeof(uint64_t);
	if (size != row_offset(f->count) + fence_bytes)
		return false;
	f->fence = xmalloc(fence_bytes);
	if (!pread_all(f->fd, f->fence, fence_bytes, row_offset(f->count)) ||
		hash64(f->fence, fence_bytes, f->seed) != h.fence_check)
		return false;
	f->used = xcalloc(f->count / 8 + 1, 1);
	return true;
}

static int open_checked(struct index_file *f, int dir_fd, const char *name, uint64_t dev, struct err *e)
{
	struct stat st;

	f->fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (f->fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, ERR_IO, "open %s", name);
	if (fstat(f->fd, &st) < 0)
		return err_sys(e, ERR_IO, "stat %s", name);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(e, ERR_IO, "%s is not ours alone", name);
	if (!load(f, dev, (uint64_t)st.st_size))
		return err_set(e, ERR_IO, "%s is damaged or no index", name);
	f->ino = st.st_ino;
	f->changed = st.st_mtim;
	return 1;
}

int index_file_open(struct index_file *f, int dir_fd, uint64_t dev, uint32_t today, struct err *e)
{
	char name[INDEX_NAME_BYTES];

	make_empty(f, today);
	if (dir_fd < 0)
		return 0;
	index_file_name(dev, name);
	int rc = open_checked(f, dir_fd, name, dev, e);
	if (rc <= 0) {
		index_file_close(f);
		make_empty(f, today);
	}
	return rc;
}

void index_file_close(struct index_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->fence);
	free((void *)f->used);
	*f = (struct index_file){.fd = -1};
}

bool index_file_same(const struct index_file *a, const struct index_file *b)
{
	return a->fd >= 0 && b->fd >= 0 && a->ino == b->ino && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Index of the last element of keys[0..n) (apart by `stride` bytes) that is not above ino; n when none is. */
static size_t last_not_above(const uint64_t *keys, size_t stride, size_t n, uint64_t ino)
{
	size_t lo = 0;
	size_t hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		uint64_t at;
		memcpy(&at, (const uint8_t *)keys + mid * stride, sizeof(at));
		if (at <= ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? lo - 1 : n;
}

static const struct block *read_block(struct index_file *f, size_t number)
{
	struct block *b = &cache[number % CACHE_SLOTS];
	size_t first = number * BLOCK_ROWS;
	size_t n = f->count - first < BLOCK_ROWS ? f->count - first : BLOCK_ROWS;

	if (b->generation == f->generation && b->number == number)
		return b;
	b->generation = 0;
	if (!pread_all(f->fd, b->rows, n * sizeof(struct index_row), row_offset(first))) {
		f->damaged = true;
		return NULL;
	}
	b->generation = f->generation;
	b->number = number;
	b->count = n;
	return b;
}

static void mark_used(struct index_file *f, size_t i, uint32_t day)
{
	uint8_t bit = (uint8_t)(1u << (i & 7));

	if (!(atomic_load_explicit(&f->used[i >> 3], memory_order_relaxed) & bit))
		atomic_fetch_or_explicit(&f->used[i >> 3], bit, memory_order_relaxed);
	if (day + RENEW_DAYS < f->today)
		f->stale = true;
}

bool index_file_find(
	struct index_file *f, uint64_t ino, uint64_t fingerprint, uint8_t digest[ENTRY_DIGEST_BYTES])
{
	size_t number = last_not_above(f->fence, sizeof(uint64_t), f->blocks, ino);
	const struct block *b = number < f->blocks ? read_block(f, number) : NULL;
	size_t i = b ? last_not_above(&b->rows[0].ino, sizeof(struct index_row), b->count, ino) : 0;

	if (!b || i == b->count)
		return false;
	const struct index_row *row = &b->rows[i];
	if (row->ino != ino || row->fingerprint != fingerprint)
		return false;
	if (row->check != row_check(row, f->seed)) {
		f->damaged = true;
		return false;
	}
	mark_used(f, number * BLOCK_ROWS + i, row->day);
	memcpy(digest, row->digest, ENTRY_DIGEST_BYTES);
	return true;
}

/* --- writing --- */

enum { IO_ROWS = 256 * BLOCK_ROWS };

struct reader {
	struct index_file *f;
	struct index_row *rows; /* IO_ROWS */
	size_t base, count;     /* index in the file of rows[0]; rows that are there */
	size_t next;            /* index in the file */
};

struct writer {
	int fd;
	struct index_row *rows; /* IO_ROWS */
	size_t pending, count;
	uint64_t seed;
	uint64_t *fence;
	bool failed;
};

/* Which of the ages (days unused) are kept, so that no more than rows_max rows are. */
struct quota {
	uint32_t whole_below; /* all rows younger than this */
	size_t partly;        /* and so many of exactly this age */
};

static int write_full(int fd, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

/* The next row of the file that proves itself, its day renewed when it was used; NULL at the end. */
static struct index_row *next_row(struct reader *in)
{
	struct index_file *f = in->f;

	while (in->next < f->count) {
		if (in->next >= in->base + in->count) {
			size_t n = f->count - in->next < IO_ROWS ? f->count - in->next : IO_ROWS;
			in->base = in->next;
			in->count = n;
			if (!pread_all(f->fd, in->rows, n * sizeof(struct index_row), row_offset(in->next))) {
				f->damaged = true;
				return NULL;
			}
		}
		size_t i = in->next++;
		struct index_row *row = &in->rows[i - in->base];
		if (row->check != row_check(row, f->seed)) {
			f->damaged = true;
			continue;
		}
		if (f->used[i >> 3] & 1u << (i & 7) || row->day > f->today)
			row->day = f->today;
		return row;
	}
	return NULL;
}

static struct quota find_quota(const struct index_merge *m, struct index_row *scratch)
{
	size_t ages[INDEX_KEEP_DAYS + 1] = {m->fresh_count};
	struct quota q = {.whole_below = INDEX_KEEP_DAYS + 1};
	struct reader in = {.f = m->f, .rows = scratch};
	const struct index_row *row;
	size_t sum = 0;

	if (m->f->count + m->fresh_count <= m->rows_max)
		return q;
	while ((row = next_row(&in)))
		if (m->f->today - row->day <= INDEX_KEEP_DAYS)
			ages[m->f->today - row->day]++;
	for (uint32_t age = 0; age <= INDEX_KEEP_DAYS; age++) {
		if (sum + ages[age] > m->rows_max)
			return (struct quota){.whole_below = age, .partly = m->rows_max - sum};
		sum += ages[age];
	}
	return q;
}

static void put_pending(struct writer *out)
{
	if (!out->failed && write_full(out->fd, out->rows, out->pending * sizeof(struct index_row)) < 0)
		out->failed = true;
	out->pending = 0;
}

static void put_row(struct writer *out, struct quota *q, uint32_t today, const struct index_row *row)
{
	uint32_t age = today - row->day;

	if (age >= q->whole_below && !(age == q->whole_below && q->partly && q->partly--))
		return;
	if (out->count % BLOCK_ROWS == 0)
		out->fence[out->count / BLOCK_ROWS] = row->ino;
	struct index_row *copy = &out->rows[out->pending++];
	*copy = *row;
	copy->check = row_check(copy, out->seed);
	out->count++;
	if (out->pending == IO_ROWS)
		put_pending(out);
}

static void merge_rows(struct writer *out, const struct index_merge *m, struct quota q)
{
	struct index_row *scratch = xmalloc(IO_ROWS * sizeof(*scratch));
	struct reader in = {.f = m->f, .rows = scratch};
	uint32_t today = m->f->today;
	const struct index_row *old = next_row(&in);
	size_t i = 0;

	while (old || i < m->fresh_count) {
		if (!old || (i < m->fresh_count && m->fresh[i].ino <= old->ino)) {
			if (old && old->ino == m->fresh[i].ino)
				old = next_row(&in);
			m->fresh[i].day = today;
			put_row(out, &q, today, &m->fresh[i++]);
		} else {
			put_row(out, &q, today, old);
			old = next_row(&in);
		}
	}
	put_pending(out);
	free(scratch);
}

/* Fence and header; the header comes last, so that a half-written file has none. */
static int finish(struct writer *out, uint64_t dev)
{
	size_t fence_bytes = (out->count + BLOCK_ROWS - 1) / BLOCK_ROWS * sizeof(uint64_t);
	struct header h = {.version = VERSION,
		.row_bytes = sizeof(struct index_row),
		.dev = dev,
		.count = out->count,
		.seed = out->seed,
		.fence_check = hash64(out->fence, fence_bytes, out->seed)};

	memcpy(h.magic, magic, sizeof(magic));
	h.check = header_check(&h);
	if (out->failed || write_full(out->fd, out->fence, fence_bytes) < 0)
		return -1;
	if (lseek(out->fd, 0, SEEK_SET) != 0)
		return -1;
	return write_full(out->fd, &h, sizeof(h));
}

static int write_temp(int fd, uint64_t dev, const struct index_merge *m)
{
	size_t most = m->f->count + m->fresh_count;
	struct writer out = {.fd = fd,
		.seed = m->f->seed,
		.rows = xmalloc(IO_ROWS * sizeof(struct index_row)),
		.fence = xmalloc((most / BLOCK_ROWS + 1) * sizeof(uint64_t))};
	struct quota q = find_quota(m, out.rows);
	int rc = -1;

	if (lseek(fd, (off_t)sizeof(struct header), SEEK_SET) >= 0) {
		merge_rows(&out, m, q);
		rc = finish(&out, dev);
	}
	free(out.rows);
	free(out.fence);
	return rc;
}

int index_file_write(int dir_fd, uint64_t dev, const struct index_merge *m, struct err *e)
{
	char name[INDEX_NAME_BYTES];
	char temp[INDEX_NAME_BYTES + 4];

	index_file_name(dev, name);
	snprintf(temp, sizeof(temp), "%s.tmp", name);
	unlinkat(dir_fd, temp, 0); /* of a run that was killed: we hold the lock */
	int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, ERR_IO, "create %s", temp);
	int rc = write_temp(fd, dev, m);
	if (rc < 0)
		err_sys(e, ERR_IO, "write %s", temp);
	if (close(fd) < 0 && rc == 0)
		rc = err_sys(e, ERR_IO, "close %s", temp);
	if (rc == 0 && (fault_point("index rename") < 0 || renameat(dir_fd, temp, dir_fd, name) < 0))
		rc = err_sys(e, ERR_IO, "rename %s", temp);
	if (rc < 0)
		unlinkat(dir_fd, temp, 0);
	return rc;
}
