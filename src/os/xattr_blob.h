/*
 * Reading the canonical blob of os/xattr.h item by item.
 * Role      pure computation.
 */
#ifndef WHERRY_OS_XATTR_BLOB_H
#define WHERRY_OS_XATTR_BLOB_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XATTR_ACL_ACCESS  "system.posix_acl_access"
#define XATTR_ACL_DEFAULT "system.posix_acl_default"

enum { XATTR_NAME_BYTES = 255 };

struct xattr_item {
	char name[XATTR_NAME_BYTES + 1];
	size_t name_len;
	const uint8_t *value; /* in the blob; never NULL */
	size_t len;
};

/* The next item of the blob under the cursor; false at its end, or with c->bad when it is malformed (only
 * lengths are checked, and that the name is a C string). */
bool xattr_item_next(struct cursor *c, struct xattr_item *it);

/* Is this the name of one of the two ACLs? */
bool xattr_name_is_acl(const char *name);

#endif
