/*
 * Byte channels: two directions, blocking, one reading thread and one writing thread at a time. A channel is
 * a stack of filters (chan_ops.h): fd pair at the bottom; command, fault injection above.
 * Role      OS / network.
 * Lifetime  chan_*_new() .. chan_free(), when no thread reads or writes any more.
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
struct iovec;

enum { CHAN_IOV_MAX = 8 };

/* Once per process, first thing in main(): a write to a closed pipe is an error, not a signal (SIGPIPE is
 * ignored; spawned children get the default back). */
void chan_global_init(void);

/* Over a pair of descriptors (may be the same). Owned by the channel, which makes them non-blocking until
 * chan_free() and pipes as large as allowed (1 MiB). */
struct chan *chan_fd_new(int in, int out);

/* Two ends joined in memory (socketpair). */
int chan_pair_new(struct chan **a, struct chan **b, struct err *e);

/* Start a command (ssh and its like) and speak through its stdin and stdout. Its stderr is read along and
 * kept (last 4 KiB), lines are passed on to our stderr, escaped and prefixed "host: ", unless quiet. `host` is
 * for messages. The child is reaped by chan_free(). NULL with *e when it cannot be started. In -Dfault builds
 * WHERRY_CUT_AT=N and WHERRY_CUT_OUT_AT=N cut the line after N bytes read or written. */
struct chan *chan_command_new(char *const argv[], const char *host, bool quiet, struct err *e);

/* argv for `rsh` (split at blanks, quotes understood) to run `command` as user on host. NULL-terminated,
 * malloc'ed strings; for ssh adds nothing the user has not asked for but "-o ConnectTimeout=N" when
 * contimeout > 0 and the program is ssh. `--` guards a host that begins with '-'. user may be NULL (or ""). NULL
 * when rsh is blank or a quote in it is not closed. */
char **chan_rsh_argv(
	const char *rsh, const char *user, const char *host, const char *command, int contimeout);
void chan_argv_free(char **argv);

/* Put a limit of bytes per second on writing (token bucket of a tenth of a second). 0 = none. Before the first
 * write, or by the writing thread. */
void chan_limit_rate(struct chan *c, uint64_t bytes_per_second);

/* Reading gives up with ERR_TIMEOUT after so long without a byte. 0 = never. By the reading thread. */
void chan_set_timeout(struct chan *c, int timeout_ms);

/* Read exactly n bytes. 1 = done, 0 = end of stream before the first byte, -1 = *e (ERR_CLOSED when it ends
 * in between, ERR_TIMEOUT, ERR_IO). When a command channel ends before anything at all was read, the result is
 * -1 and *e as by chan_explain_end(). */
int chan_read(struct chan *c, void *data, size_t n, struct err *e);

/* What has been received and not yet read, at most n bytes; never blocks. */
size_t chan_read_buffered(struct chan *c, void *data, size_t n);

/* Write it all. 0 or -1 (ERR_CLOSED when the other side is gone, ERR_IO). */
int chan_write(struct chan *c, const void *data, size_t n, struct err *e);

/* The same for n pieces (at most CHAN_IOV_MAX), in as few system calls as it takes. */
int chan_writev(struct chan *c, const struct iovec *pieces, int n, struct err *e);

/* Would a short write go through at once? False also means: the peer has something to read anyway. */
bool chan_writable(struct chan *c);

/* Why did the stream end? Always fills *e and returns -1. For a command it waits up to a few seconds for the
 * exit status and the last words on stderr. Nothing read so far: ERR_NO_REMOTE for 127 / "command not found",
 * ERR_UNREACHABLE for 255 (ERR_CONNECT_TIMEOUT when that was the reason), with what to do about it. Else
 * ERR_CLOSED with the last words. Any thread. */
int chan_explain_end(struct chan *c, struct err *e);

/* Host of a command channel, else NULL. */
const char *chan_host(const struct chan *c);

/* Wake a reader or writer that is blocked; both then fail with ERR_CLOSED. */
void chan_shutdown(struct chan *c);

uint64_t chan_bytes_in(const struct chan *c);
uint64_t chan_bytes_out(const struct chan *c);

/* Close and reap; exit status of a command (a child that does not end is sent SIGTERM, then SIGKILL), or 0.
 * NULL is fine. */
int chan_free(struct chan *c);

#endif
