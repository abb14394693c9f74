#include "sync/session.h"

#include "config.h"
#include "os/ids.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	RATE_SAMPLE_BYTES = 4 << 20,
	SLOW_BYTES_PER_S = 150 << 20, /* below this the line is worth a compressor's time */
	PLAIN_BELOW = 512,
};

void session_init(struct session *s, const struct sync_options *o, struct chan *chan, struct frames *frames,
	struct report *report)
{
	memset(s, 0, sizeof(*s));
	s->o = o;
	s->chan = chan;
	s->frames = frames;
	s->report = report;
	pthread_mutex_init(&s->lock, NULL);
	if (pthread_key_create(&s->worker_key, NULL) != 0)
		BUG("no thread-specific key");
}

void session_release(struct session *s)
{
	while (s->workers) {
		struct session_worker *w = s->workers;
		s->workers = w->next;
		codec_enc_free(w->enc);
		verifier_free(w->verifier);
		buf_release(&w->out);
		free(w->io);
		free(w);
	}
	pthread_key_delete(s->worker_key);
	pthread_mutex_destroy(&s->lock);
}

void session_prepare_hello(struct session *s, uint32_t flags)
{
	struct msg_hello *h = &s->mine;
	enum verify_kind kinds[3];

	*h = (struct msg_hello){
		.version = PROTO_VERSION, .flags = flags | (ids_may_chown() ? HELLO_ROOT : 0)};
	if (RAND_bytes(h->nonce, sizeof(h->nonce)) != 1)
		BUG("no random numbers");
	size_t n = verify_kinds(kinds);
	for (size_t i = 0; i < n; i++)
		h->verify[i] = (uint8_t)kinds[i];
	h->codecs = 1 << CODEC_NONE | 1 << CODEC_ZSTD | 1 << CODEC_LZ4;
	snprintf(h->software, sizeof(h->software), "wherry %s", WHERRY_VERSION);
}

int session_send_hello(struct session *s, struct err *e)
{
	struct session_worker *w = session_worker(s);

	buf_clear(&w->out);
	msg_hello_encode(&s->mine, &w->out);
	return frames_send(s->frames, MSG_HELLO, &w->out, NULL, e);
}

int session_recv_hello(struct session *s, struct err *e)
{
	enum msg_type type;
	struct buf payload;
	int r;

	buf_init(&payload, FRAME_MAX);
	r = session_recv(s, &type, &payload, e);
	if (r == 0)
		r = chan_explain_end(s->chan, e);
	if (r > 0) {
		struct cursor c = cur_make(payload.data, payload.len);
		r = type == MSG_HELLO
			    ? msg_hello_decode(&s->peer, &c, e)
			    : err_set(e, ERR_PROTOCOL, "expected HELLO, got %s", msg_type_name(type));
	}
	buf_release(&payload);
	return r < 0 ? -1 : 0;
}

static void choose_codec(struct session *s)
{
	enum codec_id codec = s->o->compress == COMPRESS_LZ4 ? CODEC_LZ4 : CODEC_ZSTD;

	if (s->o->compress == COMPRESS_NONE || !(s->peer.codecs & 1 << codec))
		codec = CODEC_NONE;
	frames_set_codec(s->frames, codec, s->o->compress_level);
	atomic_store(&s->squeeze, s->o->compress == COMPRESS_ZSTD || s->o->compress == COMPRESS_LZ4);
}

int session_agree(struct session *s, bool we_send, struct err *e)
{
	const struct msg_hello *sender = we_send ? &s->mine : &s->peer;
	const struct msg_hello *receiver = we_send ? &s->peer : &s->mine;

	choose_codec(s);
	return proto_session_keys(&s->keys, sender, receiver, e);
}

struct session_worker *session_worker(struct session *s)
{
	struct session_worker *w = pthread_getspecific(s->worker_key);

	if (!w) {
		w = xcalloc(1, sizeof(*w));
		w->enc = codec_enc_new();
		buf_init(&w->out, FRAME_MAX);
		w->io = xmalloc(SESSION_IO_BYTES);
		pthread_mutex_lock(&s->lock);
		w->next = s->workers;
		s->workers = w;
		pthread_mutex_unlock(&s->lock);
		pthread_setspecific(s->worker_key, w);
	}
	if (!w->verifier && s->keys.verify)
		w->verifier = verifier_new(s->keys.verify, s->keys.verify_key);
	return w;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool is_content(enum msg_type type)
{
	return type == MSG_PACK || type == MSG_CHUNK;
}

/* Is the line slow enough that squeezing is faster than sending? Looked at anew with every few megabytes sent plain. */
static void learn_rate(struct session *s, size_t bytes, uint64_t ns)
{
	uint64_t b = atomic_fetch_add(&s->rate_bytes, bytes) + bytes;
	uint64_t t = atomic_fetch_add(&s->rate_ns, ns) + ns;

	if (b < RATE_SAMPLE_BYTES || s->o->compress != COMPRESS_AUTO)
		return;
	atomic_store(&s->squeeze, t > b * 1000000000u / SLOW_BYTES_PER_S);
	atomic_store(&s->rate_bytes, 0);
	atomic_store(&s->rate_ns, 0);
}

/* The peer reads no more. It may have said why just before: the reader gets a moment to hear it. */
static void lost_writing(struct session *s, const struct err *e)
{
	const struct timespec moment = {.tv_nsec = 300000000};

	pthread_mutex_lock(&s->lock);
	if (s->fatal.code == ERR_NONE)
		s->fatal = *e;
	pthread_mutex_unlock(&s->lock);
	if (!atomic_exchange(&s->stop, true)) {
		nanosleep(&moment, NULL);
		chan_shutdown(s->chan);
	}
}

int session_send(struct session *s, enum msg_type type, const struct buf *payload)
{
	struct session_worker *w = session_worker(s);
	struct err e = {0};
	bool squeeze = payload && payload->len >= PLAIN_BELOW;
	uint64_t began = 0;

	if (squeeze && is_content(type)) {
		squeeze = atomic_load(&s->squeeze);
		if (!squeeze)
			began = now_ns();
		else
			squeeze = codec_worth_trying(payload->data, payload->len);
	}
	if (payload && payload->overflow)
		err_set(&e, ERR_INTERNAL, "a %s message grew over its limit", msg_type_name(type));
	else if (frames_send(s->frames, type, payload, squeeze ? w->enc : NULL, &e) == 0) {
		if (began)
			learn_rate(s, payload->len, now_ns() - began);
		return 0;
	}
	if (e.code == ERR_CLOSED)
		lost_writing(s, &e);
	else
		session_fail(s, &e);
	return -1;
}

static int peer_failed(struct session *s, struct cursor *c, struct err *e)
{
	struct msg_fatal f;

	if (msg_fatal_decode(&f, c, e) != 0)
		return -1;
	s->fatal_from_peer = true;
	return err_set(e, f.code, "%s", f.text);
}

static int report_peer_event(struct session *s, struct cursor *c, struct err *e)
{
	struct msg_event ev;

	if (msg_event_decode(&ev, c, e) != 0)
		return -1;
	report_event(s->report, &ev);
	return 0;
}

int session_recv(struct session *s, enum msg_type *type, struct buf *payload, struct err *e)
{
	for (;;) {
		int r = frames_recv(s->frames, type, payload, e);
		if (r <= 0)
			return r;
		struct cursor c = cur_make(payload->data, payload->len);
		if (*type == MSG_FATAL)
			return peer_failed(s, &c, e);
		if (*type != MSG_EVENT)
			return 1;
		if (report_peer_event(s, &c, e) != 0)
			return -1;
	}
}

void session_fail(struct session *s, const struct err *e)
{
	pthread_mutex_lock(&s->lock);
	/* a cause that can be named replaces the mere end of the line, which may be noticed first */
	if (s->fatal.code == ERR_NONE ||
		(s->fatal.code == ERR_CLOSED && e->code != ERR_CLOSED && e->code != ERR_NONE))
		s->fatal = *e;
	pthread_mutex_unlock(&s->lock);
	if (!atomic_exchange(&s->stop, true)) {
		session_send_fatal(s, e);
		chan_shutdown(s->chan);
	}
}

bool session_stopped(const struct session *s)
{
	return atomic_load_explicit(&s->stop, memory_order_relaxed);
}

void session_send_fatal(struct session *s, const struct err *e)
{
	struct buf b;
	struct err ignored = {0};

	if (s->fatal_from_peer || e->code == ERR_CLOSED || e->code == ERR_TIMEOUT || !chan_writable(s->chan))
		return;
	buf_init(&b, FRAME_MAX);
	msg_fatal_encode(e->code, e->text, &b);
	frames_send(s->frames, MSG_FATAL, &b, NULL, &ignored);
	buf_release(&b);
}

void session_fault(struct session *s, struct err *e)
{
	pthread_mutex_lock(&s->lock);
	if (s->fatal.code != ERR_NONE)
		*e = s->fatal;
	pthread_mutex_unlock(&s->lock);
}
