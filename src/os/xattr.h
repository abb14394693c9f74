/*
 * Extended attributes and POSIX ACLs of one entry as a canonical blob, read and applied beneath a directory
 * fd.
 * Role      OS.
 * Blob      for each attribute, sorted by name: varint name length, name, varint value
 * length, value. An empty set is an empty blob. ACLs are the attributes system.posix_acl_access and
 * system.posix_acl_default in Linux's binary form.
 * Errors    -1 with errno; a file system without xattrs
 * reads as an empty set.
 */
#ifndef WHERRY_OS_XATTR_H
#define WHERRY_OS_XATTR_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum xattr_which {
	XATTR_USER = 1,
	XATTR_ACL = 2
}; /* XATTR_USER: all but ACLs that this process may copy (root: user., trusted.,
      security.; others: user.) */

/* Append the blob of dir_fd/name (not following a symlink) to out. One system call when there are none
 * (listxattrat where the kernel has it, else /proc/self/fd/N/name). 0 or -1. */
int xattr_read(int dir_fd, const char *name, unsigned which, struct buf *out);
int xattr_read_fd(int fd, unsigned which, struct buf *out);

/* Make the set of dir_fd/name equal to the blob: sets what differs, removes what is extra (only of kinds in
 * `which`). 0, or -1 with errno of the first failure after trying all; *failed (may be NULL) receives the
 * name of it, at most 255 bytes. */
int xattr_apply(int dir_fd, const char *name, unsigned which, const uint8_t *blob, size_t len, char *failed);
int xattr_apply_fd(int fd, unsigned which, const uint8_t *blob, size_t len, char *failed);

/* Is this a well-formed canonical blob (sorted, no duplicates, lengths right, only allowed namespaces)? For
 * data from a peer. */
bool xattr_blob_ok(const uint8_t *blob, size_t len);

/* Rewrite the user and group ids inside the ACLs of a blob through map(ctx, is_group, id). out receives the
 * new blob. Malformed ACL values are copied unchanged. */
void xattr_map_acl_ids(const uint8_t *blob, size_t len,
	uint32_t (*map)(void *ctx, bool is_group, uint32_t id), void *ctx, struct buf *out);

#endif
