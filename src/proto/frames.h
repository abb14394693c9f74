/*
 * Frames over a channel: whole messages out, whole messages in, compressed where it helps; keeps the line
 * awake.
 * Role      network (through chan/).
 * Threads   frames_send() from any thread (a lock keeps each frame
 * whole; it may block); frames_recv() from one thread.
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

/* Which codec and level payloads over 512 bytes are tried with (after HELLO). */
void frames_set_codec(struct frames *f, enum codec_id codec, int level);

/* Send one frame. `enc` belongs to the calling thread (NULL = never compress). A payload that does not shrink
 * goes raw. 0 or -1; after a failure every later call fails with the same error. */
int frames_send(struct frames *f, enum msg_type type, const struct buf *payload, struct codec_enc *enc,
	struct err *e);

/* Receive the next frame, decompressed, into *payload (cleared first; max must be FRAME_MAX). PINGs are
 * swallowed. 1, 0 = clean end of stream, -1. */
int frames_recv(struct frames *f, enum msg_type *type, struct buf *payload, struct err *e);

/* Pass one frame from `from` to `to` without decompressing (relay). *type tells what it was; payload holds
 * its raw (still compressed) bytes, *h its header. 1, 0, -1. */
int frames_relay(struct frames *from, struct frames *to, struct frame *h, struct buf *payload, struct err *e);

uint64_t frames_raw_out(const struct frames *f); /* payload bytes before compression */

#endif
