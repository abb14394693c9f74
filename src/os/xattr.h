/*
 * Extended attributes and POSIX ACLs of one entry as a canonical blob, read and applied beneath a directory fd.
 * Role      OS.
 * Threads   every function may be called from any thread.
 * Blob      for each attribute, sorted by name (unsigned bytes): varint name length, name, varint value length,
 *           value; varints in their shortest form. An empty set is an empty blob. ACLs are the attributes
 *           system.posix_acl_access and system.posix_acl_default in Linux's binary form.
 * Left out  by reading, and never removed by applying: all other system.* names, and security.evm and
 *           security.ima when they are the kernel's own hashes (it makes them anew), not signatures. Security
 *           labels (security.selinux, security.SMACK64*) are read as root but never removed as extra: they are
 *           the local policy's.
 * Order     setting system.posix_acl_access changes the group bits of the mode (they become the ACL's mask), and
 *           a chmod changes the mask: chmod and chown first, then apply ACLs. chown and writing drop
 *           security.capability: apply attributes after both.
 * Errors    -1 with errno; a file system without xattrs reads as an empty set.
 */
#ifndef WHERRY_OS_XATTR_H
#define WHERRY_OS_XATTR_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum xattr_which {
	XATTR_USER =
		1, /* all but ACLs that this process may copy (root: user., trusted., security.; others: user.) */
	XATTR_ACL = 2,
};

enum { XATTR_FAILED_BYTES = 256, XATTR_VALUE_MAX_BYTES = 65536 };

/* Append the blob of dir_fd/name (not following a symlink) to out. One system call when there are none (listxattrat
 * where the kernel has it, else /proc/self/fd/N/name). 0, or -1 with errno (EOVERFLOW: out's maximum) and out as
 * before. The fd may also be an O_PATH one. */
int xattr_read(int dir_fd, const char *name, unsigned which, struct buf *out);
int xattr_read_fd(int fd, unsigned which, struct buf *out);

/* Make the set of dir_fd/name equal to the blob: sets what differs, removes what is extra (only of kinds in
 * `which`). One system call when the blob is empty and nothing is there. What the blob holds is tried whatever
 * this process may do; the kernel's refusal (EPERM; EOPNOTSUPP, e.g. user. attributes of a symlink or a device)
 * is returned. A file without u+w of a non-root owner is made writable for the moment it takes. 0, or -1 with
 * errno of the first failure after trying all; *failed (may be NULL, else XATTR_FAILED_BYTES of room) receives
 * the name of it, or "" when it was not a single attribute. EINVAL for a blob that is not well-formed. */
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
