/*
 * SHA-256 of a file's content (OpenSSL; FIPS 180-4).
 * Role      OS; blocks.
 * Threads   every function from any thread; each thread keeps one buffer of 1 MiB until it ends.
 */
#ifndef WHERRY_TREE_DIGEST_H
#define WHERRY_TREE_DIGEST_H

#include "tree/entry.h"

#include <stdbool.h>
#include <stdint.h>

/* Digest of everything in fd from offset 0 to its end as it is met (the file offset is neither used nor moved).
 * *bytes (may be NULL) receives the length that was read: a caller compares it and a second stat with what it
 * saw before. `progress` (may be NULL) is increased as bytes are read. `stop` (may be NULL): when it becomes
 * true, -1 with ECANCELED. 0, or -1 with errno. */
int digest_file(int fd, uint8_t out[ENTRY_DIGEST_BYTES], uint64_t *bytes, _Atomic uint64_t *progress,
	const _Atomic bool *stop);

#endif
