/*
 * The serving end of a session.
 */
#ifndef WHERRY_SYNC_SERVE_H
#define WHERRY_SYNC_SERVE_H

#include <stdbool.h>

struct serve_options {
	bool help;
	bool stdio;      /* the client is at stdin and stdout */
	char *root;      /* nothing outside is reachable; NULL = no limit */
	bool read_only;  /* may only send */
	bool write_only; /* may only receive */
};

/* Serve one session; the exit status (base/err.h). */
int serve_main(const struct serve_options *opts);

#endif
