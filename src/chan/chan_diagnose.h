/*
 * From a dead child's exit status and last words to an error that says what to do.
 * Role      pure computation.
 */
#ifndef WHERRY_CHAN_CHAN_DIAGNOSE_H
#define WHERRY_CHAN_CHAN_DIAGNOSE_H

#include "base/err.h"

#include <stdbool.h>

struct chan_end {
	const char *host;
	const char *words; /* end of its stderr */
	bool heard;        /* it had sent something before */
	bool ended;        /* status is known */
	int status;        /* exit status, 128+signal */
};

/* Always fills *e: ERR_NO_REMOTE, ERR_UNREACHABLE, ERR_CONNECT_TIMEOUT or ERR_CLOSED. */
void chan_diagnose(const struct chan_end *end, struct err *e);

#endif
