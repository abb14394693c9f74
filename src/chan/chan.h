/*
 * Byte channels: two directions, blocking, one reading thread and one writing thread at a time. A channel is
 * a stack of filters: fd pair at the bottom; rate limit, fault injection above.
 * Role      OS / network.
 * Threads   chan_read() from one thread, chan_write() from one (other) thread; chan_shutdown() from any.
 * Units     bytes; time in milliseconds.
 */
#ifndef WHERRY_CHAN_CHAN_H
#define WHERRY_CHAN_CHAN_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chan;

/* Over a pair of descriptors (may be the same). Owned by the channel. */
struct chan *chan_fd_new(int in, int out);

/* Two ends joined in memory (socketpair). */
int chan_pair_new(struct chan **a, struct chan **b, struct err *e);

/* Start a command (ssh and its like) and speak through its stdin and stdout. Its stderr is read along and
 * kept (last 4 KiB), lines are passed on to our stderr prefixed "host: " unless quiet. `host` is for
 * messages. The child is reaped by chan_free(). */
struct chan *chan_command_new(char *const argv[], const char *host, bool quiet, struct err *e);

/* argv for `rsh` (split at blanks, quotes understood) to run `command` as user on host. NULL-terminated,
 * malloc'ed strings; for ssh adds nothing the user has not asked for but "-o ConnectTimeout=N" when
 * contimeout > 0 and the program is ssh. `--` guards a host that begins with '-'. */
char **chan_rsh_argv(
	const char *rsh, const char *user, const char *host, const char *command, int contimeout);
void chan_argv_free(char **argv);

/* Put a limit of bytes per second on writing (token bucket) under the same handle. 0 = none. */
void chan_limit_rate(struct chan *c, uint64_t bytes_per_second);

/* Reading gives up with ERR_TIMEOUT after so long without a byte. 0 = never. */
void chan_set_timeout(struct chan *c, int timeout_ms);

/* Read exactly n bytes. 1 = done, 0 = end of stream before the first byte, -1 = *e (ERR_CLOSED when it ends
 * in between, ERR_TIMEOUT, ERR_IO). When a command channel ends before anything was read, *e tells why from
 * its exit status and stderr: ERR_NO_REMOTE for 127 / "command not found", ERR_UNREACHABLE for 255, with what
 * to do about it. */
int chan_read(struct chan *c, void *data, size_t n, struct err *e);

/* Write it all. 0 or -1. */
int chan_write(struct chan *c, const void *data, size_t n, struct err *e);

/* Wake a reader or writer that is blocked; both then fail with ERR_CLOSED. */
void chan_shutdown(struct chan *c);

uint64_t chan_bytes_in(const struct chan *c);
uint64_t chan_bytes_out(const struct chan *c);

/* Close and reap; exit status of a command, or 0. */
int chan_free(struct chan *c);

#endif
