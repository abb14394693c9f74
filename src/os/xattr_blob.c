#include "os/xattr_blob.h"

#include "os/xattr.h"

#include <string.h>

bool xattr_name_is_acl(const char *name)
{
	return strcmp(name, XATTR_ACL_ACCESS) == 0 || strcmp(name, XATTR_ACL_DEFAULT) == 0;
}

bool xattr_item_next(struct cursor *c, struct xattr_item *it)
{
	if (!cur_left(c))
		return false;
	const uint8_t *name = cur_blob(c, XATTR_NAME_BYTES, &it->name_len);
	it->value = cur_blob(c, XATTR_VALUE_MAX_BYTES, &it->len);
	if (c->bad || !it->name_len || memchr(name, 0, it->name_len)) {
		c->bad = true;
		return false;
	}
	memcpy(it->name, name, it->name_len);
	it->name[it->name_len] = '\0';
	return true;
}

static size_t varint_bytes(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

static bool name_ok(const char *name)
{
	static const char *const spaces[] = {"user.", "trusted.", "security."};

	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		size_t n = strlen(spaces[i]);
		if (strncmp(name, spaces[i], n) == 0)
			return name[n] != '\0';
	}
	return xattr_name_is_acl(name);
}

bool xattr_blob_ok(const uint8_t *blob, size_t len)
{
	struct cursor c = cur_make(blob, len);
	char last[XATTR_NAME_BYTES + 1] = "";
	struct xattr_item it;

	for (size_t before = cur_left(&c); xattr_item_next(&c, &it); before = cur_left(&c)) {
		size_t shortest = varint_bytes(it.name_len) + it.name_len + varint_bytes(it.len) + it.len;
		if (before - cur_left(&c) != shortest || !name_ok(it.name) || strcmp(last, it.name) >= 0)
			return false;
		memcpy(last, it.name, it.name_len + 1);
	}
	return !c.bad;
}

/* Linux's binary ACL: le32 version, then for each entry le16 tag, le16 permissions, le32 id. */
enum { ACL_VERSION = 2, ACL_HEADER = 4, ACL_ENTRY = 8, ACL_TAG_USER = 2, ACL_TAG_GROUP = 8 };

static bool acl_ok(const struct xattr_item *it)
{
	struct cursor c = cur_make(it->value, it->len);

	return it->len >= ACL_HEADER && (it->len - ACL_HEADER) % ACL_ENTRY == 0 && cur_u32(&c) == ACL_VERSION;
}

static void map_acl(
	struct cursor c, uint32_t (*map)(void *ctx, bool is_group, uint32_t id), void *ctx, struct buf *out)
{
	buf_put_u32(out, cur_u32(&c));
	while (cur_left(&c)) {
		uint32_t tag_perm = cur_u32(&c);
		uint32_t tag = tag_perm & 0xffff;
		uint32_t id = cur_u32(&c);
		if (tag == ACL_TAG_USER || tag == ACL_TAG_GROUP)
			id = map(ctx, tag == ACL_TAG_GROUP, id);
		buf_put_u32(out, tag_perm);
		buf_put_u32(out, id);
	}
}

void xattr_map_acl_ids(const uint8_t *blob, size_t len,
	uint32_t (*map)(void *ctx, bool is_group, uint32_t id), void *ctx, struct buf *out)
{
	struct cursor c = cur_make(blob, len);
	struct xattr_item it;
	const uint8_t *rest = blob;

	while (xattr_item_next(&c, &it)) {
		buf_put_str(out, it.name);
		if (xattr_name_is_acl(it.name) && acl_ok(&it)) {
			buf_put_varint(out, it.len);
			map_acl(cur_make(it.value, it.len), map, ctx, out);
		} else {
			buf_put_blob(out, it.value, it.len);
		}
		rest = c.p;
	}
	if (c.bad)
		buf_put(out, rest, (size_t)(blob + len - rest));
}
