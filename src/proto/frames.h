/*
 * Frames over a channel: whole messages out, whole messages in, compressed where it helps; keeps the line awake.
 * Role      network (through chan/).
 * Lifetime  frames_new() .. frames_free(), when no thread sends or receives any more.
 * Threads   frames_send() and frames_send_raw() from any thread (a lock keeps each frame whole; they may block);
 *           everything that receives from one thread.
 */
#ifndef WHERRY_PROTO_FRAMES_H
#define WHERRY_PROTO_FRAMES_H

#include "chan/chan.h"
#include "proto/msg.h"

struct frames;

/* Borrows the channel. keepalive_ms: send a PING when nothing was written for so long (a thread of its own);
 * 0 = never. */
struct frames *frames_new(struct chan *c, int keepalive_ms);
void frames_free(struct frames *f); /* stops the thread; does not close the channel */

/* From now on every so often instead; ignored when it was 0 so far. */
void frames_set_keepalive(struct frames *f, int keepalive_ms);

/* Which codec and level payloads over 512 bytes are tried with (after HELLO). */
void frames_set_codec(struct frames *f, enum codec_id codec, int level);

/* Send one frame. payload NULL = none. `enc` belongs to the calling thread (NULL = never compress). A payload that does not shrink
 * goes raw. 0 or -1; after a failure every later call fails with the same error. */
int frames_send(struct frames *f, enum msg_type type, const struct buf *payload, struct codec_enc *enc,
	struct err *e);

/* Receive the next frame, decompressed, into *payload (cleared first; max must be FRAME_MAX). PINGs and frames
 * of unknown optional types (128..159) are swallowed. 1, 0 = clean end of stream between two frames
 * (chan_explain_end() tells why), -1. When the very first bytes are no frame, *e shows them: a talkative shell. */
int frames_recv(struct frames *f, enum msg_type *type, struct buf *payload, struct err *e);

/* The two halves of a relay, without decompressing: payload holds the bytes of the wire, *h their header. recv: 1,
 * 0, -1; send: 0, -1. */
int frames_recv_raw(struct frames *f, struct frame *h, struct buf *payload, struct err *e);
int frames_send_raw(struct frames *f, const struct frame *h, const struct buf *payload, struct err *e);

/* Decompress what frames_recv_raw() of the same `f` gave. 0 or -1. */
int frames_inflate(
	struct frames *f, const struct frame *h, const struct buf *wire, struct buf *payload, struct err *e);

/* Pass one frame from `from` to `to` without decompressing. *h tells what it was; payload holds its bytes as on
 * the wire (frames_inflate() reads them). An EVENT is not passed on: it is meant for the client, which is the
 * caller. 1, 0, -1. */
int frames_relay(struct frames *from, struct frames *to, struct frame *h, struct buf *payload, struct err *e);

uint64_t frames_raw_out(const struct frames *f); /* payload bytes before compression */

#endif
