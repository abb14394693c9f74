/*
 * Frames over a channel.
 *
 * Invariants
 *  1. Header and payload of a frame leave in one chan_writev() under `lock`; compression happens before, in the
 *     caller's thread, into a scratch buffer that is lent out under the same lock.
 *  2. After a failed write `failed` keeps the reason; the stream may be in the middle of a frame then, so nothing
 *     is written any more.
 *  3. The keepalive thread writes only when the channel takes a short write at once: it can never block, so
 *     frames_free() never waits for the peer. When the channel is full the peer has something to read anyway.
 *  4. frames_recv() and its kin are used by one thread; they share nothing with the senders.
 */
#include "proto/frames.h"

#include "base/alloc.h"
#include "base/escape.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

enum {
	COMPRESS_MIN = 512,
	SAMPLE_MIN = 16 << 10, /* above it a sample decides whether compressing is worth trying */
	SCRATCH_MAX = 4,
	BANNER_BYTES = 60,
	NS_PER_SEC = 1000 * 1000 * 1000,
};

struct frames {
	struct chan *chan;
	_Atomic int codec;
	_Atomic int level;
	_Atomic uint64_t raw_out;

	pthread_mutex_t lock;
	struct err failed;
	struct buf scratch[SCRATCH_MAX]; /* lent to senders that compress */
	size_t scratch_count;

	int keepalive_ms;
	pthread_t keeper;
	pthread_cond_t wake;
	int64_t written_ns; /* time of the last write */
	bool stop;

	struct codec_dec *dec;
	struct buf wire; /* a compressed payload on its way in */
	bool received;   /* a good frame has come */
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

/* --- sending --- */

/* With the lock held. */
static int write_locked(struct frames *f, const struct frame *h, const uint8_t *payload, struct err *e)
{
	uint8_t head[FRAME_HEADER_BYTES];

	if (f->failed.code != ERR_NONE) {
		*e = f->failed;
		return -1;
	}
	frame_header_encode(h, head);
	struct iovec v[2] = {{head, sizeof(head)}, {(void *)payload, h->wire_len}};
	int r = chan_writev(f->chan, v, 2, e);
	if (r < 0)
		f->failed = *e;
	f->written_ns = now_ns();
	return r;
}

static int write_frame(struct frames *f, const struct frame *h, const uint8_t *payload, struct err *e)
{
	pthread_mutex_lock(&f->lock);
	int r = write_locked(f, h, payload, e);
	pthread_mutex_unlock(&f->lock);
	if (r == 0)
		atomic_fetch_add_explicit(&f->raw_out, h->raw_len, memory_order_relaxed);
	return r;
}

static struct buf scratch_take(struct frames *f)
{
	struct buf b;

	buf_init(&b, FRAME_MAX);
	pthread_mutex_lock(&f->lock);
	if (f->scratch_count)
		b = f->scratch[--f->scratch_count];
	pthread_mutex_unlock(&f->lock);
	buf_clear(&b);
	return b;
}

static void scratch_give(struct frames *f, struct buf *b)
{
	pthread_mutex_lock(&f->lock);
	if (f->scratch_count < SCRATCH_MAX)
		f->scratch[f->scratch_count++] = *b;
	else
		buf_release(b);
	pthread_mutex_unlock(&f->lock);
}

static bool try_compress(
	struct frames *f, const struct buf *p, struct codec_enc *enc, enum codec_id codec, struct buf *out)
{
	if (p->len >= SAMPLE_MIN && !codec_worth_trying(p->data, p->len))
		return false;
	int level = atomic_load_explicit(&f->level, memory_order_relaxed);
	return codec_compress(enc, codec, level, p->data, p->len, out) && out->len > 0 && out->len < p->len;
}

int frames_send(
	struct frames *f, enum msg_type type, const struct buf *payload, struct codec_enc *enc, struct err *e)
{
	static const struct buf nothing;
	const struct buf *p = payload ? payload : &nothing;

	if (p->overflow || p->len > FRAME_MAX)
		return err_set(
			e, ERR_INTERNAL, "a %s message is larger than a frame may be", msg_type_name(type));
	enum codec_id codec = (enum codec_id)atomic_load_explicit(&f->codec, memory_order_relaxed);
	struct frame h = {type, CODEC_NONE, (uint32_t)p->len, (uint32_t)p->len};
	if (!enc || codec == CODEC_NONE || p->len <= COMPRESS_MIN)
		return write_frame(f, &h, p->data, e);
	struct buf out = scratch_take(f);
	const uint8_t *data = p->data;
	if (try_compress(f, p, enc, codec, &out)) {
		h.codec = codec;
		h.wire_len = (uint32_t)out.len;
		data = out.data;
	}
	int r = write_frame(f, &h, data, e);
	scratch_give(f, &out);
	return r;
}

int frames_send_raw(struct frames *f, const struct frame *h, const struct buf *payload, struct err *e)
{
	if (payload->len != h->wire_len)
		return err_set(e, ERR_INTERNAL, "a frame and its header do not fit together");
	return write_frame(f, h, payload->data, e);
}

/* --- keepalive --- */

static void ping_if_idle(struct frames *f)
{
	static const struct frame ping = {MSG_PING, CODEC_NONE, 0, 0};
	struct err e;

	if (f->failed.code == ERR_NONE && chan_writable(f->chan))
		write_locked(f, &ping, NULL, &e);
	else
		f->written_ns = now_ns(); /* look again after the same time */
}

static void *keeper_main(void *arg)
{
	struct frames *f = arg;

	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		int64_t due = f->written_ns + (int64_t)f->keepalive_ms * 1000 * 1000;
		if (now_ns() >= due) {
			ping_if_idle(f);
			continue;
		}
		struct timespec until = {due / NS_PER_SEC, due % NS_PER_SEC};
		pthread_cond_timedwait(&f->wake, &f->lock, &until);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static void keeper_start(struct frames *f)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->wake, &attr);
	pthread_condattr_destroy(&attr);
	f->written_ns = now_ns();
	if (f->keepalive_ms > 0 && pthread_create(&f->keeper, NULL, keeper_main, f) != 0)
		f->keepalive_ms = 0; /* no thread to be had: only less awake */
}

static void keeper_stop(struct frames *f)
{
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	if (f->keepalive_ms > 0)
		pthread_join(f->keeper, NULL);
	pthread_cond_destroy(&f->wake);
}

/* --- receiving --- */

/* The very first bytes are no frame: some shell start-up file was faster, or it is another program. */
static int not_wherry(struct frames *f, const uint8_t head[FRAME_HEADER_BYTES], struct err *e)
{
	char bytes[BANNER_BYTES];
	struct buf shown;
	size_t n = FRAME_HEADER_BYTES;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)head[i];
	n += chan_read_buffered(f->chan, bytes + n, sizeof(bytes) - n);
	while (n && (bytes[n - 1] == '\n' || bytes[n - 1] == '\r'))
		n--;
	buf_init(&shown, sizeof(bytes) * 4 + 1);
	escape_name(&shown, bytes, n);
	const char *text = buf_cstr(&shown);
	if (chan_host(f->chan))
		err_set(e, ERR_PROTOCOL,
			"the remote shell printed something before wherry started: '%s'; make its start-up "
			"files silent",
			text);
	else
		err_set(e, ERR_PROTOCOL, "the peer does not speak wherry's protocol; it sent '%s'", text);
	buf_release(&shown);
	return -1;
}

static int recv_header(struct frames *f, struct frame *h, struct err *e)
{
	uint8_t head[FRAME_HEADER_BYTES];
	int r = chan_read(f->chan, head, sizeof(head), e);

	if (r <= 0)
		return r;
	if (frame_header_decode(h, head, e) < 0)
		return f->received ? -1 : not_wherry(f, head, e);
	f->received = true;
	return 1;
}

static int read_into(struct frames *f, struct buf *b, size_t n, struct err *e)
{
	buf_clear(b);
	uint8_t *p = buf_reserve(b, n);
	if (n && !p)
		return err_set(e, ERR_INTERNAL, "a buffer for frames is too small");
	if (n && chan_read(f->chan, p, n, e) <= 0)
		return e->code != ERR_NONE ? -1 : chan_explain_end(f->chan, e);
	b->len = n;
	return 0;
}

static bool is_swallowed(enum msg_type type)
{
	return type == MSG_PING || (unsigned)type >= MSG_OPTIONAL_FIRST;
}

/* The next header that is not swallowed; its payload is still to be read. 1, 0, -1. */
static int next_header(struct frames *f, struct frame *h, struct err *e)
{
	for (;;) {
		int r = recv_header(f, h, e);
		if (r <= 0 || !is_swallowed(h->type))
			return r;
		if (read_into(f, &f->wire, h->wire_len, e) < 0)
			return -1;
	}
}

int frames_inflate(
	struct frames *f, const struct frame *h, const struct buf *wire, struct buf *payload, struct err *e)
{
	buf_clear(payload);
	if (h->codec == CODEC_NONE)
		buf_put(payload, wire->data, wire->len);
	else if (!codec_decompress(f->dec, h->codec, wire->data, wire->len, h->raw_len, payload))
		return err_set(e, ERR_PROTOCOL, "the peer sent a damaged %s message", msg_type_name(h->type));
	if (payload->overflow || payload->len != h->raw_len)
		return err_set(e, ERR_INTERNAL, "a buffer for frames is too small");
	return 0;
}

int frames_recv(struct frames *f, enum msg_type *type, struct buf *payload, struct err *e)
{
	struct frame h;

	err_clear(e);
	int r = next_header(f, &h, e);
	if (r <= 0)
		return r;
	*type = h.type;
	if (h.codec == CODEC_NONE)
		return read_into(f, payload, h.wire_len, e) < 0 ? -1 : 1;
	if (read_into(f, &f->wire, h.wire_len, e) < 0)
		return -1;
	return frames_inflate(f, &h, &f->wire, payload, e) < 0 ? -1 : 1;
}

int frames_recv_raw(struct frames *f, struct frame *h, struct buf *payload, struct err *e)
{
	err_clear(e);
	int r = next_header(f, h, e);
	if (r <= 0)
		return r;
	return read_into(f, payload, h->wire_len, e) < 0 ? -1 : 1;
}

int frames_relay(struct frames *from, struct frames *to, struct frame *h, struct buf *payload, struct err *e)
{
	int r = frames_recv_raw(from, h, payload, e);

	if (r <= 0 || h->type == MSG_EVENT)
		return r;
	return frames_send_raw(to, h, payload, e) < 0 ? -1 : 1;
}

/* --- the rest --- */

struct frames *frames_new(struct chan *c, int keepalive_ms)
{
	struct frames *f = xcalloc(1, sizeof(*f));

	f->chan = c;
	f->keepalive_ms = keepalive_ms;
	f->dec = codec_dec_new();
	buf_init(&f->wire, FRAME_MAX);
	pthread_mutex_init(&f->lock, NULL);
	keeper_start(f);
	return f;
}

void frames_free(struct frames *f)
{
	if (!f)
		return;
	keeper_stop(f);
	pthread_mutex_destroy(&f->lock);
	while (f->scratch_count)
		buf_release(&f->scratch[--f->scratch_count]);
	buf_release(&f->wire);
	codec_dec_free(f->dec);
	free(f);
}

void frames_set_keepalive(struct frames *f, int keepalive_ms)
{
	pthread_mutex_lock(&f->lock);
	if (f->keepalive_ms > 0 && keepalive_ms > 0)
		f->keepalive_ms = keepalive_ms;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
}

void frames_set_codec(struct frames *f, enum codec_id codec, int level)
{
	atomic_store_explicit(&f->codec, (int)codec, memory_order_relaxed);
	atomic_store_explicit(&f->level, level, memory_order_relaxed);
}

uint64_t frames_raw_out(const struct frames *f)
{
	return atomic_load_explicit(&f->raw_out, memory_order_relaxed);
}
