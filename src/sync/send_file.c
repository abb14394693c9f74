/*
 * Contents: small files packed, large ones in chunks. A file that changes while it is read is read again, a bounded number of times, and
 * then given up with an error: what is sent as good was one state of the file.
 */
#include "sync/send_internal.h"

#include "os/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTEMPTS = 3, PACK_BYTES = 1 << 20, BATCH_BYTES = 8 << 20 };

struct files_task {
	struct sender *x;
	struct sent_dir *d;
	uint64_t *indexes;
	size_t count;
};

struct unless_task {
	struct sender *x;
	struct sent_dir *d;
	uint64_t index;
	uint8_t tag[VERIFY_TAG_BYTES];
};

struct large_task {
	struct sender *x;
	struct sent_dir *d;
	uint64_t index;
};

int send_status(struct sender *x, const struct sent_dir *d, uint64_t index, enum file_status status)
{
	struct msg_chunk m = {
		.dir_id = d->id, .index = index, .flags = CHUNK_FIRST | CHUNK_LAST, .status = status};
	struct buf b;

	buf_init(&b, 4096);
	msg_chunk_begin(&b, &m);
	int r = session_send(x->s, MSG_CHUNK, &b);
	buf_release(&b);
	return r;
}

static void gone(struct sender *x, const struct sent_dir *d, const struct entry *en, const char *what)
{
	struct err e;

	err_sys(&e, errno == ENOENT ? ERR_VANISHED : ERR_PARTIAL, "%s", what);
	send_fault(x, d->path, en->name, &e);
	source_set_incomplete(x->source);
}

static void unstable(struct sender *x, const struct sent_dir *d, const struct entry *en)
{
	struct err e;

	err_set(&e, ERR_VANISHED, "kept changing while it was read; not sent");
	send_fault(x, d->path, en->name, &e);
}

int send_open(struct sender *x, const struct sent_dir *d, struct source_dir *dir, struct entry *en)
{
	struct source_dir *own = dir ? NULL : source_dir_open_path(x->source, d->path);
	struct stat st;
	int fd = -1;

	if (!dir && !own)
		return -1;
	fd = source_open_file(dir ? dir : own, en);
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
		errno = ENOENT; /* it became something else: the file that was listed is gone */
	}
	if (fd < 0)
		gone(x, d, en, "open");
	source_dir_unref(own);
	return fd;
}

/* Read one small file whole. 1 = done, 0 = it keeps changing, -1 = errno. */
static int read_stable(int fd, struct entry *en, uint8_t *data, size_t room, bool *refreshed)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		if (attempt || en->size > room) {
			if (!source_file_refresh(fd, en))
				return 0;
			*refreshed = true;
		}
		if (en->size > room)
			return 0;
		int64_t n = pread_full(fd, data, (size_t)en->size + 1, 0);
		if (n < 0)
			return -1;
		if ((uint64_t)n == en->size && !source_file_changed(fd, en))
			return 1;
	}
	return 0;
}

static void tag_bytes(struct session_worker *w, uint64_t dir_id, uint64_t index, const void *data, size_t n,
	uint8_t tag[VERIFY_TAG_BYTES])
{
	verifier_begin(w->verifier, dir_id, index);
	verifier_update(w->verifier, data, n);
	verifier_end(w->verifier, tag);
}

static void pack_one(
	struct sender *x, struct sent_dir *d, uint64_t index, int fd, struct entry *en, struct buf *pack)
{
	struct session_worker *w = session_worker(x->s);
	struct progress *progress = report_progress(x->s->report);
	struct pack_file f = {.index = index, .status = FILE_ERROR};
	bool refreshed = false;
	int r = read_stable(fd, en, w->io, PACK_FILE_MAX, &refreshed);

	if (r > 0) {
		f.status = refreshed ? FILE_REFRESHED : FILE_OK;
		f.mtime = en->mtime;
		f.data = w->io;
		f.size = (size_t)en->size;
		tag_bytes(w, d->id, index, f.data, f.size, f.tag);
		atomic_fetch_add_explicit(&progress->bytes_done, en->size, memory_order_relaxed);
	} else if (r < 0) {
		gone(x, d, en, "read");
	} else {
		unstable(x, d, en);
	}
	msg_pack_file(pack, &f);
	atomic_fetch_add_explicit(&progress->files_done, 1, memory_order_relaxed);
}

static void flush_pack(struct sender *x, const struct sent_dir *d, struct buf *pack, bool again)
{
	if (pack->len)
		session_send(x->s, MSG_PACK, pack);
	buf_clear(pack);
	if (again)
		msg_pack_begin(pack, d->id);
}

static void run_large(void *arg)
{
	struct large_task *t = arg;
	struct entry en = t->d->list.entries[t->index];
	int fd = session_stopped(t->x->s) ? -1 : send_open(t->x, t->d, NULL, &en);

	if (fd >= 0) {
		send_large(t->x, t->d, t->index, fd, &en);
		close(fd);
	} else if (!session_stopped(t->x->s)) {
		send_status(t->x, t->d, t->index, FILE_ERROR);
	}
	sent_dir_unref(t->d);
	free(t);
}

static void push_large(struct sender *x, struct sent_dir *d, uint64_t index)
{
	struct large_task *t = xmalloc(sizeof(*t));

	*t = (struct large_task){.x = x, .d = sent_dir_ref(d), .index = index};
	pool_push(x->s->pool, run_large, t);
}

static void send_one(
	struct sender *x, struct sent_dir *d, struct source_dir *dir, uint64_t index, struct buf *pack)
{
	struct entry en = d->list.entries[index];
	struct pack_file failed = {.index = index, .status = FILE_ERROR};

	if (en.size > PACK_FILE_MAX) {
		push_large(x, d, index);
		return;
	}
	int fd = send_open(x, d, dir, &en);
	if (fd < 0) {
		msg_pack_file(pack, &failed);
		return;
	}
	if (source_file_changed(fd, &en) && source_file_refresh(fd, &en) && en.size > PACK_FILE_MAX)
		push_large(x, d, index);
	else
		pack_one(x, d, index, fd, &en, pack);
	close(fd);
}

void send_files(struct sender *x, struct sent_dir *d, struct source_dir *dir, uint64_t *indexes, size_t count)
{
	struct source_dir *own = dir ? source_dir_ref(dir) : source_dir_open_path(x->source, d->path);
	struct buf pack;

	buf_init(&pack, FRAME_MAX);
	msg_pack_begin(&pack, d->id);
	for (size_t i = 0; i < count && !session_stopped(x->s); i++) {
		if (own) {
			send_one(x, d, own, indexes[i], &pack);
		} else {
			struct pack_file f = {.index = indexes[i], .status = FILE_ERROR};
			msg_pack_file(&pack, &f);
		}
		if (pack.len >= PACK_BYTES)
			flush_pack(x, d, &pack, i + 1 < count);
	}
	if (!session_stopped(x->s))
		flush_pack(x, d, &pack, false);
	buf_release(&pack);
	free(indexes);
	source_dir_unref(own);
	sent_dir_unref(d);
}

static void run_files(void *arg)
{
	struct files_task *t = arg;

	send_files(t->x, t->d, NULL, t->indexes, t->count);
	free(t);
}

/* Shared out among the workers in pieces of some megabytes. */
void send_files_later(struct sender *x, struct sent_dir *d, uint64_t *indexes, size_t count)
{
	size_t first = 0;
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		bytes += d->list.entries[indexes[i]].size;
		if (bytes < BATCH_BYTES && i + 1 < count)
			continue;
		struct files_task *t = xmalloc(sizeof(*t));
		size_t n = i + 1 - first;
		*t = (struct files_task){.x = x, .d = sent_dir_ref(d), .count = n};
		t->indexes = xreallocarray(NULL, n, sizeof(*t->indexes));
		memcpy(t->indexes, indexes + first, n * sizeof(*t->indexes));
		pool_push(x->s->pool, run_files, t);
		first = i + 1;
		bytes = 0;
	}
	free(indexes);
}

/* Next stretch of data or hole from `at`: its length, and whether it is a hole. */
static uint64_t next_extent(struct sender *x, int fd, uint64_t at, uint64_t size, bool *hole)
{
	*hole = false;
	if (!x->s->o->sparse)
		return size - at;
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);
	if (data < 0)
		*hole = errno == ENXIO;
	if (data < 0 || (uint64_t)data >= size)
		return size - at;
	if ((uint64_t)data > at) {
		*hole = true;
		return (uint64_t)data - at;
	}
	off_t end = lseek(fd, (off_t)at, SEEK_HOLE);
	return end > (off_t)at && (uint64_t)end < size ? (uint64_t)end - at : size - at;
}

static int send_data(struct sender *x, struct session_worker *w, struct msg_chunk *m, int fd, uint64_t at,
	uint64_t len, bool hole)
{
	struct chunk_record record = {.op = hole ? CHUNK_HOLE : CHUNK_DATA, .len = len, .data = w->io};

	buf_clear(&w->out);
	msg_chunk_begin(&w->out, m);
	m->flags &= ~(uint32_t)CHUNK_FIRST;
	if (hole) {
		verifier_hole(w->verifier, len);
	} else {
		int64_t n = pread_full(fd, w->io, (size_t)len, at);
		if (n != (int64_t)len)
			return n < 0 ? -1 : 1;
		verifier_update(w->verifier, w->io, (size_t)len);
	}
	msg_chunk_record(&w->out, &record);
	return session_send(x->s, MSG_CHUNK, &w->out) == 0 ? 0 : -2;
}

/* 0 = sent and it stood still; 1 = it changed; -1 = errno; -2 = the session is over. */
static int send_once(struct sender *x, struct sent_dir *d, uint64_t index, int fd, const struct entry *en,
	struct msg_chunk *m)
{
	struct session_worker *w = session_worker(x->s);
	struct progress *progress = report_progress(x->s->report);
	uint64_t at = 0;
	int r = 0;

	*m = (struct msg_chunk){.dir_id = d->id, .index = index, .flags = CHUNK_FIRST};
	verifier_begin(w->verifier, d->id, index);
	while (r == 0 && at < en->size) {
		bool hole;
		uint64_t extent = next_extent(x, fd, at, en->size, &hole);
		for (uint64_t done = 0; r == 0 && done < extent;) {
			uint64_t part = hole || extent - done < CHUNK_BYTES ? extent - done : CHUNK_BYTES;
			if (session_stopped(x->s))
				return -2;
			r = send_data(x, w, m, fd, at + done, part, hole);
			done += part;
			atomic_fetch_add_explicit(&progress->bytes_done, part, memory_order_relaxed);
		}
		at += extent;
	}
	if (r == 0 && source_file_changed(fd, en))
		r = 1;
	verifier_end(w->verifier, m->tag);
	return r;
}

static int finish_large(
	struct sender *x, struct msg_chunk *m, enum file_status status, struct entry_time mtime)
{
	struct session_worker *w = session_worker(x->s);

	m->flags |= CHUNK_LAST;
	m->status = status;
	m->mtime = mtime;
	buf_clear(&w->out);
	msg_chunk_begin(&w->out, m);
	return session_send(x->s, MSG_CHUNK, &w->out);
}

void send_large(struct sender *x, struct sent_dir *d, uint64_t index, int fd, struct entry *en)
{
	bool refreshed = source_file_changed(fd, en) && source_file_refresh(fd, en);
	struct msg_chunk m;
	int r = 1;

	for (int attempt = 0; r == 1 && attempt < ATTEMPTS; attempt++) {
		if (attempt) {
			if (finish_large(x, &m, FILE_CHANGED, en->mtime) != 0)
				return;
			if (!source_file_refresh(fd, en))
				break; /* the receiver waits for a last word all the same */
			refreshed = true;
		}
		r = send_once(x, d, index, fd, en, &m);
	}
	if (r == -2)
		return;
	if (r == -1)
		gone(x, d, en, "read");
	else if (r == 1)
		unstable(x, d, en);
	finish_large(x, &m, r != 0 ? FILE_ERROR : refreshed ? FILE_REFRESHED : FILE_OK, en->mtime);
	atomic_fetch_add_explicit(&report_progress(x->s->report)->files_done, 1, memory_order_relaxed);
}

/* Does the source's content have this tag? 1, 0, -1 = errno. */
static int has_tag(struct sender *x, const struct unless_task *t, int fd, const struct entry *en)
{
	struct session_worker *w = session_worker(x->s);
	uint8_t tag[VERIFY_TAG_BYTES];
	uint64_t at = 0;

	verifier_begin(w->verifier, t->d->id, t->index);
	for (;;) {
		int64_t n = pread_full(fd, w->io, SESSION_IO_BYTES, at);
		if (n < 0)
			return -1;
		verifier_update(w->verifier, w->io, (size_t)n);
		at += (uint64_t)n;
		if (n < SESSION_IO_BYTES || session_stopped(x->s))
			break;
	}
	verifier_end(w->verifier, tag);
	return verify_equal(tag, t->tag) && !source_file_changed(fd, en);
}

static void run_unless(void *arg)
{
	struct unless_task *t = arg;
	struct entry en = t->d->list.entries[t->index];
	int fd = session_stopped(t->x->s) ? -1 : send_open(t->x, t->d, NULL, &en);

	if (fd >= 0 && has_tag(t->x, t, fd, &en) == 1)
		send_status(t->x, t->d, t->index, FILE_SAME);
	else if (fd >= 0 && t->x->s->o->dry_run)
		send_status(t->x, t->d, t->index, FILE_OTHER);
	else if (fd >= 0)
		send_large(t->x, t->d, t->index, fd, &en);
	else if (!session_stopped(t->x->s))
		send_status(t->x, t->d, t->index, FILE_ERROR);
	if (fd >= 0)
		close(fd);
	sent_dir_unref(t->d);
	free(t);
}

void send_unless(struct sender *x, struct sent_dir *d, uint64_t index, const uint8_t tag[VERIFY_TAG_BYTES])
{
	struct unless_task *t = xmalloc(sizeof(*t));

	*t = (struct unless_task){.x = x, .d = sent_dir_ref(d), .index = index};
	memcpy(t->tag, tag, sizeof(t->tag));
	pool_push(x->s->pool, run_unless, t);
}

/* --remove-source-files: what arrived whole, and is still what was sent, goes. */
void send_remove_sources(struct sender *x, struct sent_dir *d, const uint64_t *indexes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (indexes[i] >= d->list.count || S_ISDIR(d->list.entries[indexes[i]].mode))
			continue;
		const struct entry *en = &d->list.entries[indexes[i]];
		char *path = path_join(d->path, en->name);
		struct err e = {0};
		if (source_remove(x->source, path, en, &e) != 0)
			report_entry_error(x->s->report, path, &e);
		free(path);
	}
}
