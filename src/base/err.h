/*
 * Errors: one small value, filled where a fault is first seen, given context on the way up, printed once at
 * the top.
 * Role      pure computation; no allocation.
 * Lifetime  caller's storage; `struct err e = {0};` is
 * "no error".
 * Threads   a struct err belongs to one thread at a time.
 *
 * Exit statuses follow rsync's where the meaning is the same, so that scripts keep working; see err_table[]
 * in err.c, which also yields the manual's EXIT STATUS section and the codes on the wire.
 */
#ifndef WHERRY_BASE_ERR_H
#define WHERRY_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

enum err_code {
	ERR_NONE = 0,
	ERR_USAGE,       /* bad command line or configuration */
	ERR_VERSION,     /* peer speaks no protocol version we know */
	ERR_SOURCE,      /* source does not exist or cannot be opened at all */
	ERR_UNSUPPORTED, /* the peer or this host cannot do what was asked */
	ERR_IO,          /* local file I/O */
	ERR_PROTOCOL,    /* peer broke the protocol */
	ERR_CLOSED,      /* connection ended early */
	ERR_SIGNAL,      /* stopped by a signal */
	ERR_PARTIAL,     /* some entries could not be transferred */
	ERR_VANISHED,    /* some source entries vanished or kept changing */
	ERR_MAX_DELETE,  /* --max-delete stopped deletions */
	ERR_TIMEOUT,     /* no progress within --timeout */
	ERR_CONNECT_TIMEOUT,
	ERR_NO_SPACE,    /* disk full or quota reached */
	ERR_UNREACHABLE, /* host unknown, refused, or login failed */
	ERR_NO_REMOTE,   /* no wherry command on the remote host */
	ERR_REFUSED,     /* the server's policy forbids it */
	ERR_EMPTY,       /* refused to empty a destination */
	ERR_LOCKED,      /* another run is at work there */
	ERR_CONFLICT,    /* two sides changed the same thing */
	ERR_INTERNAL,    /* a bug in wherry */
	ERR_CODES,
};

enum err_retry { ERR_RETRY_NEVER, ERR_RETRY_SOON, ERR_RETRY_LATER };

struct err_info {
	enum err_code code;
	const char *name; /* stable short name used in JSON and logs, e.g. "no-space" */
	int exit_status;
	enum err_retry retry;
	const char *text; /* one line for the manual */
};

struct err {
	enum err_code code;
	int sys; /* errno at the place of the fault, or 0 */
	char text[1024];
};

/* Row of the table for `code`; never NULL. */
const struct err_info *err_info(enum err_code code);

/* Row with this exit status, or NULL. */
const struct err_info *err_info_by_status(int exit_status);

/* Record a fault. Returns -1 always, so that callers can `return err_set(...)`. An earlier fault in *e is
 * replaced. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, adding ": " and strerror(errno). ENOSPC and EDQUOT turn ERR_IO into ERR_NO_SPACE. */
int err_sys(struct err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "context: " before the text of an existing fault. Returns -1 always. */
int err_ctx(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void err_clear(struct err *e);

/* Impossible state: prints file:line to stderr and aborts, in release builds too. */
#define BUG(msg) err_bug(__FILE__, __LINE__, (msg))
_Noreturn void err_bug(const char *file, int line, const char *msg);

#endif
