/*
 * Signatures of what is here already, and the fine hashes that a sender asks for. Only so many bytes of signatures are out at a time.
 */
#include "sync/recv_internal.h"

#include "os/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIG_BYTES_OUT = 32 << 20, SIG_BYTES_PER_BLOCK = 12 };

struct sig_task {
	struct receiver *r;
	struct delta_want w;
};

struct refine_task {
	struct recv_dir *rd; /* referenced */
	uint64_t index;
	enum basis_kind basis;
	struct delta_range *ranges;
	size_t count;
};

static uint64_t sig_bytes(uint64_t basis_size)
{
	return (basis_size / sig_block_len(basis_size) + 1) * SIG_BYTES_PER_BLOCK;
}

static int open_basis(struct recv_dir *rd, uint64_t index, enum basis_kind basis)
{
	if (basis == BASIS_PARTIAL)
		return dest_open_partial(rd->dst, (size_t)index);
	if (basis == BASIS_GATHERED)
		return dest_open_aside(rd->dst, (size_t)index);
	return dest_open_basis(rd->dst, (size_t)index);
}

/* The blocks of one signature, shared by as many workers as are free; the caller is one of them. */
struct hashing {
	_Atomic int refs;
	struct receiver *r;
	struct sig *sig;
	int fd;
	_Atomic uint64_t next; /* first block of the next stretch */
	_Atomic uint64_t left; /* blocks not hashed yet */
	_Atomic bool bad;
	uint64_t end; /* sig->count, and block_len: a late helper must not look at the signature any more */
	size_t block_len;
	pthread_mutex_t lock;
	pthread_cond_t idle;
};

enum { STRETCH_BLOCKS = 64 };

static void hash_one(struct hashing *h, uint64_t i, uint8_t *block)
{
	struct sig *sig = h->sig;
	uint64_t at = i * sig->block_len;
	size_t n = sig->basis_size - at < sig->block_len ? (size_t)(sig->basis_size - at) : sig->block_len;

	if (!h->bad && !session_stopped(h->r->s) && pread_full(h->fd, block, n, at) == (int64_t)n)
		sig_set_block(sig, (uint32_t)i, block, n);
	else
		h->bad = true;
}

static void hash_stretches(struct hashing *h)
{
	uint64_t count = h->end;
	uint8_t *block = xmalloc(h->block_len);
	uint64_t first;

	while ((first = atomic_fetch_add(&h->next, STRETCH_BLOCKS)) < count) {
		uint64_t end = first + STRETCH_BLOCKS < count ? first + STRETCH_BLOCKS : count;
		for (uint64_t i = first; i < end; i++)
			hash_one(h, i, block);
		pthread_mutex_lock(&h->lock);
		h->left -= end - first;
		pthread_cond_signal(&h->idle);
		pthread_mutex_unlock(&h->lock);
	}
	free(block);
}

static void hashing_unref(struct hashing *h)
{
	if (atomic_fetch_sub(&h->refs, 1) != 1)
		return;
	pthread_cond_destroy(&h->idle);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static void run_hashing(void *arg)
{
	struct hashing *h = arg;

	if (h->next < h->end)
		hash_stretches(h);
	hashing_unref(h);
}

static int hash_blocks(struct receiver *r, int fd, struct sig *sig)
{
	struct hashing *h = xcalloc(1, sizeof(*h));

	*h = (struct hashing){.refs = 1,
		.r = r,
		.sig = sig,
		.fd = fd,
		.left = sig->count,
		.end = sig->count,
		.block_len = sig->block_len};
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->idle, NULL);
	if (sig->count >= 2 * STRETCH_BLOCKS) {
		atomic_fetch_add(&h->refs, 1);
		pool_push(r->s->pool, run_hashing, h);
	}
	hash_stretches(h);
	pthread_mutex_lock(&h->lock);
	while (h->left)
		pthread_cond_wait(&h->idle, &h->lock);
	pthread_mutex_unlock(&h->lock);
	bool bad = h->bad;
	hashing_unref(h);
	return bad ? -1 : 0;
}

static int make_sig(struct recv_dir *rd, const struct delta_want *w, struct sig *sig)
{
	struct receiver *r = rd->r;
	struct stat st;
	int fd = w->basis == BASIS_GATHERED ? dest_gather(rd->dst, (size_t)w->index)
					    : open_basis(rd, w->index, w->basis);
	int bad = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0) {
		sig_init(sig, (uint64_t)st.st_size, r->s->keys.sig_seed);
		bad = hash_blocks(r, fd, sig);
		if (bad != 0)
			sig_release(sig);
	}
	close(fd);
	return bad;
}

static void ask_whole(struct recv_dir *rd, uint64_t index)
{
	struct receiver *r = rd->r;

	pthread_mutex_lock(&r->lock);
	struct recv_need *n = recv_find_need(rd, index);
	if (n->basis == BASIS_DEST || n->basis == BASIS_GATHERED)
		n->basis = BASIS_NONE;
	pthread_mutex_unlock(&r->lock);
}

static void send_want(struct recv_dir *rd, const struct delta_want *w, const struct buf *sig)
{
	struct want_item item = {.index = w->index, .kind = WANT_WHOLE};
	struct buf b;

	if (sig) {
		bool apart = w->basis == BASIS_DEST || w->basis == BASIS_GATHERED;
		item.kind = apart ? WANT_DELTA : WANT_DELTA_INPLACE;
		item.data = sig->data;
		item.data_len = sig->len;
	}
	buf_init(&b, FRAME_MAX);
	msg_want_begin(&b, rd->id, 1, false);
	msg_want_item(&b, &item);
	session_send(rd->r->s, MSG_WANT, &b);
	buf_release(&b);
}

static void run_sig(void *arg)
{
	struct sig_task *t = arg;
	struct recv_dir *rd = t->w.rd;
	struct receiver *r = t->r;
	struct sig sig = {0};
	struct buf b;

	buf_init(&b, WANT_DATA_MAX);
	bool made = make_sig(rd, &t->w, &sig) == 0;
	if (made)
		sig_encode(&sig, &b);
	made = made && !b.overflow;
	if (!made)
		ask_whole(rd, t->w.index);
	if (!session_stopped(r->s))
		send_want(rd, &t->w, made ? &b : NULL);
	sig_release(&sig);
	buf_release(&b);
	pthread_mutex_lock(&r->lock);
	rd->backlog--;
	pthread_mutex_unlock(&r->lock);
	recv_check_dir(rd);
	recv_dir_unref(rd);
	free(t);
}

/* With the lock held. */
void recv_start_deltas(struct receiver *r)
{
	while (r->delta_count && (r->sig_bytes < SIG_BYTES_OUT)) {
		struct delta_want w = r->deltas[--r->delta_count];
		if (!w.rd->planned) { /* its directory flushes its other wants first */
			r->delta_count++;
			break;
		}
		struct sig_task *t = xmalloc(sizeof(*t));
		struct recv_need *n = recv_find_need(w.rd, w.index);
		n->sig_bytes = sig_bytes(w.size);
		r->sig_bytes += n->sig_bytes;
		*t = (struct sig_task){.r = r, .w = w};
		pool_push(r->s->pool, run_sig, t);
	}
}

void recv_want_delta(struct recv_dir *rd, uint64_t index, enum basis_kind basis, uint64_t size)
{
	struct receiver *r = rd->r;

	pthread_mutex_lock(&r->lock);
	if (r->delta_count == r->delta_cap) {
		r->delta_cap = r->delta_cap ? r->delta_cap * 2 : 64;
		r->deltas = xreallocarray(r->deltas, r->delta_cap, sizeof(*r->deltas));
	}
	r->deltas[r->delta_count++] = (struct delta_want){recv_dir_ref(rd), index, basis, size};
	rd->backlog++;
	pthread_mutex_unlock(&r->lock);
}

/* --- fine hashes --------------------------------------------------------------------------------------------------------------- */

static size_t pieces_of(const struct refine_task *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->count; i++)
		n += t->ranges[i].pieces;
	return n;
}

/* A piece that cannot be read gets a hash that cannot match anything the sender computes, by way of its length. */
static void hash_pieces(const struct refine_task *t, int fd, uint64_t *hashes)
{
	uint64_t seed = t->rd->r->s->keys.sig_seed;
	uint8_t piece[DELTA_FINE_BYTES];
	size_t k = 0;

	for (size_t i = 0; i < t->count; i++) {
		for (uint32_t p = 0; p < t->ranges[i].pieces; p++) {
			uint64_t at = t->ranges[i].basis_offset + (uint64_t)p * DELTA_FINE_BYTES;
			int64_t n = fd < 0 ? 0 : pread_full(fd, piece, sizeof(piece), at);
			hashes[k++] = refine_hash(seed, piece, n > 0 ? (size_t)n : 0);
		}
	}
}

static void run_refine(void *arg)
{
	struct refine_task *t = arg;
	struct receiver *r = t->rd->r;
	size_t n = pieces_of(t);
	uint64_t *hashes = xreallocarray(NULL, n ? n : 1, sizeof(*hashes));
	int fd = open_basis(t->rd, t->index, t->basis);
	struct buf b;

	hash_pieces(t, fd, hashes);
	if (fd >= 0)
		close(fd);
	buf_init(&b, FRAME_MAX);
	msg_refine_encode(t->rd->id, t->index, hashes, n, &b);
	if (!session_stopped(r->s))
		session_send(r->s, MSG_REFINE, &b);
	buf_release(&b);
	free(hashes);
	free(t->ranges);
	recv_dir_unref(t->rd);
	free(t);
}

int recv_refine(struct receiver *r, struct cursor *c, struct err *e)
{
	struct refine_task *t = xcalloc(1, sizeof(*t));
	uint64_t dir_id;

	if (msg_refine_req_decode(&dir_id, &t->index, &t->ranges, &t->count, c, e) != 0) {
		free(t);
		return -1;
	}
	t->rd = recv_find_dir(r, dir_id);
	pthread_mutex_lock(&r->lock);
	struct recv_need *need =
		t->rd && t->rd->dst && t->rd->planned ? recv_find_need(t->rd, t->index) : NULL;
	bool asked = need != NULL;
	if (need)
		t->basis = need->basis;
	pthread_mutex_unlock(&r->lock);
	if (!asked) {
		recv_dir_unref(t->rd);
		free(t->ranges);
		free(t);
		return err_set(e, ERR_PROTOCOL, "REFINE_REQ for a file that was not wanted");
	}
	pool_push(r->s->pool, run_refine, t);
	return 0;
}
