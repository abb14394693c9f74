/*
 * SRC and DST of a command line: a local path, or a path on another host.
 * Role      pure computation: nothing is looked up or opened.
 * Lifetime  caller's storage: endpoint_parse() .. endpoint_release(); owns its strings.
 */
#ifndef WHERRY_SYNC_ENDPOINT_H
#define WHERRY_SYNC_ENDPOINT_H

#include "base/err.h"

#include <stdbool.h>

struct endpoint {
	char *user; /* NULL when not given */
	char *host; /* NULL for a local path; an IPv6 address without its brackets */
	char *path; /* as written, bytes; "." where "host:" gave none. Never empty */
	bool remote;
	bool contents; /* trailing slash, ".", "..", or ending in "/." or "/..": what is inside, not the directory itself */
};

/*
 * `path`, `[user@]host:path` or `[user@][v6-address]:path`. A colon behind the first slash belongs to a local
 * path, so "./a:b" is local. Host and user are refused when empty, when they begin with '-' (ssh would take
 * them for an option) or hold spaces or control characters: ERR_USAGE. rsync:// and host::module are
 * ERR_UNSUPPORTED. 0 or -1; *ep needs endpoint_release() only after 0.
 */
int endpoint_parse(struct endpoint *ep, const char *text, struct err *e);
void endpoint_release(struct endpoint *ep);

#endif
