/*
 * What a layer of a channel is made of. Only files in chan/ include this.
 * Role      the contract between chan.c (buffering, counting, rate limit: the same for all) and the layers
 *           (fd, command, fault), each of which embeds struct chan as its first member.
 */
#ifndef WHERRY_CHAN_CHAN_OPS_H
#define WHERRY_CHAN_CHAN_OPS_H

#include "chan/chan.h"

#include <stdatomic.h>
#include <sys/types.h>
#include <sys/uio.h>

struct chan_ops {
	/* Some bytes: > 0, 0 = end of stream, -1 = *e. Blocks at most timeout_ms (0 = for ever). */
	ssize_t (*readv)(struct chan *c, const struct iovec *v, int n, int timeout_ms, struct err *e);
	/* Some bytes: > 0, or -1 = *e. Blocks. */
	ssize_t (*writev)(struct chan *c, const struct iovec *v, int n, struct err *e);
	bool (*writable)(struct chan *c);
	/* Any thread; c->stopped is set already. */
	void (*shutdown)(struct chan *c);
	/* Why the stream ended, into *e (always ERR_SOMETHING); NULL = nothing is known. */
	void (*explain)(struct chan *c, struct err *e);
	const char *(*host)(const struct chan *c); /* NULL = none */
	/* Close and free everything but the struct's own memory; exit status. */
	int (*close)(struct chan *c);
};

struct chan {
	const struct chan_ops *ops;
	uint8_t *buffer; /* received, not yet read: [begin, end) */
	size_t begin;
	size_t end;
	int timeout_ms;
	uint64_t rate; /* bytes per second, 0 = no limit */
	double tokens; /* bytes that may be written now */
	int64_t filled_ns;
	_Atomic uint64_t bytes_in;
	_Atomic uint64_t bytes_out;
	atomic_bool stopped;
};

void chan_init(struct chan *c, const struct chan_ops *ops);

/* ERR_CLOSED "stopped". Returns -1. */
int chan_set_stopped(struct err *e);

/* Let the system keep up to 1 MiB in a pipe; anything else is left alone. */
void chan_grow_pipe(int fd);

#endif
