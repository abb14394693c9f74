/*
 * DIR: the listing of one directory, each entry written as its difference to the one before it.
 *
 *   head   varint id, varint parent id, varint flags, unless CONTINUED {blob path, attributes}, varint count
 *   entry  varint bits, [u8 shared name prefix], u8 name rest length, rest, attributes
 *   attributes, each only when its bit is set or the type asks for it, in this order:
 *          varint mode, varint uid, varint gid, svarint seconds (difference), u32 nanoseconds,
 *          regular file: varint size; symlink: blob target; device: varint rdev,
 *          varint link group, 16 bytes tree fingerprint, 32 bytes digest, blob xattrs
 *
 * Invariants
 *  1. The first entry of a frame differs from an entry of zeros, so every frame can be decoded alone.
 *  2. Names ascend strictly, also from frame to frame of one directory; hence the rest of a name is never
 *     empty, and no name comes twice.
 *  3. A decoder adds an entry to the list only when all of it was good.
 */
#include "proto/msg.h"

#include "os/xattr.h"
#include "proto/wire.h"

#include <string.h>
#include <sys/stat.h>

enum entry_bit {
	BIT_MODE = 1 << 0, /* this field differs from the entry before */
	BIT_UID = 1 << 1,
	BIT_GID = 1 << 2,
	BIT_SEC = 1 << 3,
	BIT_NSEC = 1 << 4,
	BIT_PREFIX = 1 << 5, /* the name begins as the one before */
	BIT_LISTED = 1 << 6,
	BIT_TREE_FP = 1 << 7,
	BIT_XATTRS = 1 << 8,
	BIT_SAME_XATTRS = 1 << 9, /* the entry before has the same ones */
	BIT_DIGEST = 1 << 10,
	BIT_LINK_GROUP = 1 << 11,
	BIT_HIDDEN = 1 << 12,
	BIT_PROTECTED = 1 << 13,
	BIT_UNREADABLE = 1 << 14,
	BITS_ALL = (1 << 15) - 1,
	BITS_DIR_ONLY = BIT_LISTED | BIT_TREE_FP,
};

enum {
	DIR_FLAGS_ALL = DIR_MORE | DIR_CONTINUED | DIR_INCOMPLETE | DIR_PARTIAL | DIR_IMPLIED | DIR_FAILED,
	MODE_MAX = 0177777,
	NSEC_MAX = 999999999,
	ENTRY_BYTES_MIN = 3, /* bits, length, one byte of name */
	PREFIX_MIN = 2,      /* a shorter shared prefix saves nothing */
};

static const struct {
	uint16_t flag;
	uint16_t bit;
} flag_bits[] = {
	{ENTRY_LISTED, BIT_LISTED},
	{ENTRY_HAS_TREE_FP, BIT_TREE_FP},
	{ENTRY_HIDDEN, BIT_HIDDEN},
	{ENTRY_PROTECTED, BIT_PROTECTED},
	{ENTRY_UNREADABLE, BIT_UNREADABLE},
};
enum { FLAG_BITS = sizeof(flag_bits) / sizeof(flag_bits[0]) };

/* --- encoding --- */

static bool same_xattrs(const struct entry *a, const struct entry *b)
{
	if (a->xattrs_len != b->xattrs_len)
		return false;
	return a->xattrs == b->xattrs || memcmp(a->xattrs, b->xattrs, a->xattrs_len) == 0;
}

static bool fits(const struct entry *en)
{
	if (S_ISLNK(en->mode) && (!en->target || !en->target[0] || strlen(en->target) > ENTRY_TARGET_MAX))
		return false;
	return en->xattrs_len <= ENTRY_XATTRS_MAX;
}

static unsigned attr_bits(const struct entry *prev, const struct entry *en)
{
	unsigned bits = 0;

	bits |= en->mode != prev->mode ? BIT_MODE : 0;
	bits |= en->uid != prev->uid ? BIT_UID : 0;
	bits |= en->gid != prev->gid ? BIT_GID : 0;
	bits |= en->mtime.sec != prev->mtime.sec ? BIT_SEC : 0;
	bits |= en->mtime.nsec != prev->mtime.nsec ? BIT_NSEC : 0;
	bits |= en->link_group ? BIT_LINK_GROUP : 0;
	bits |= en->digest ? BIT_DIGEST : 0;
	if (en->xattrs_len && en->xattrs_len <= ENTRY_XATTRS_MAX)
		bits |= same_xattrs(prev, en) ? BIT_SAME_XATTRS : BIT_XATTRS;
	for (size_t i = 0; en->flags && i < FLAG_BITS; i++)
		bits |= en->flags & flag_bits[i].flag ? flag_bits[i].bit : 0;
	if (!fits(en))
		bits |= BIT_UNREADABLE;
	return bits;
}

static void put_type(const struct entry *en, struct buf *out)
{
	switch (en->mode & S_IFMT) {
	case S_IFREG:
		buf_put_varint(out, en->size);
		break;
	case S_IFLNK:
		buf_put_str(out, fits(en) ? en->target : "?");
		break;
	case S_IFCHR:
	case S_IFBLK:
		buf_put_varint(out, en->rdev);
		break;
	default:
		break;
	}
}

static void put_attrs(unsigned bits, const struct entry *prev, const struct entry *en, struct buf *out)
{
	if (bits & BIT_MODE)
		buf_put_varint(out, en->mode);
	if (bits & BIT_UID)
		buf_put_varint(out, en->uid);
	if (bits & BIT_GID)
		buf_put_varint(out, en->gid);
	if (bits & BIT_SEC)
		buf_put_svarint(out, (int64_t)((uint64_t)en->mtime.sec - (uint64_t)prev->mtime.sec));
	if (bits & BIT_NSEC)
		buf_put_u32(out, en->mtime.nsec);
	put_type(en, out);
	if (bits & BIT_LINK_GROUP)
		buf_put_varint(out, en->link_group);
	if (bits & BIT_TREE_FP) {
		buf_put_u64(out, en->tree_fp[0]);
		buf_put_u64(out, en->tree_fp[1]);
	}
	if (bits & BIT_DIGEST)
		buf_put(out, en->digest, ENTRY_DIGEST_BYTES);
	if (bits & BIT_XATTRS)
		buf_put_blob(out, en->xattrs, en->xattrs_len);
}

void msg_dir_encode_head(const struct msg_dir *m, struct buf *out)
{
	static const struct entry zero;

	buf_put_varint(out, m->id);
	buf_put_varint(out, m->parent_id);
	buf_put_varint(out, m->flags);
	if (!(m->flags & DIR_CONTINUED)) {
		const struct entry *self = m->self.mode ? &m->self : &zero;
		unsigned bits = m->self.mode ? attr_bits(&zero, self) : 0;
		buf_put_blob(out, m->path, m->path_len);
		buf_put_varint(out, bits);
		put_attrs(bits, &zero, self, out);
	}
	buf_put_varint(out, m->count);
}

static size_t shared_prefix(const struct entry_coder *k, const struct entry *en)
{
	size_t max = k->prev.name_len < en->name_len ? k->prev.name_len : en->name_len;
	size_t n = 0;

	while (n < max && k->prev_name[n] == en->name[n])
		n++;
	return n < PREFIX_MIN ? 0 : n;
}

static void put_name(const struct entry *en, size_t prefix, struct buf *out)
{
	size_t rest = en->name_len - prefix;
	uint8_t *p = buf_reserve(out, rest + 2);

	if (!p)
		return;
	if (prefix)
		*p++ = (uint8_t)prefix;
	*p++ = (uint8_t)rest;
	memcpy(p, en->name + prefix, rest);
	out->len += rest + (prefix ? 2 : 1);
}

/* What the next entry is compared with. The name is kept in the coder, from `prefix` on it is new. */
static void remember(struct entry_coder *k, const struct entry *en, size_t prefix)
{
	k->prev.mode = en->mode;
	k->prev.uid = en->uid;
	k->prev.gid = en->gid;
	k->prev.mtime = en->mtime;
	k->prev.xattrs = en->xattrs_len <= ENTRY_XATTRS_MAX ? en->xattrs : NULL;
	k->prev.xattrs_len = en->xattrs_len <= ENTRY_XATTRS_MAX ? en->xattrs_len : 0;
	k->prev.name_len = en->name_len;
	memcpy(k->prev_name + prefix, en->name + prefix, en->name_len - prefix);
}

void msg_dir_encode_entry(struct entry_coder *k, const struct entry *en, struct buf *out)
{
	size_t prefix = shared_prefix(k, en);
	unsigned bits = attr_bits(&k->prev, en) | (prefix ? BIT_PREFIX : 0);

	buf_put_varint(out, bits);
	put_name(en, prefix, out);
	put_attrs(bits, &k->prev, en, out);
	remember(k, en, prefix);
}

/* --- decoding --- */

static int get_type(struct entry *en, struct cursor *c, struct err *e)
{
	size_t len;

	switch (en->mode & S_IFMT) {
	case S_IFREG:
		en->size = cur_varint(c, WIRE_OFFSET_MAX);
		return 0;
	case S_IFLNK:
		en->target = wire_get_text(c, ENTRY_TARGET_MAX, &len);
		en->size = len;
		return len || c->bad ? 0 : wire_bad("DIR", "symlink without a target", e);
	case S_IFCHR:
	case S_IFBLK:
		en->rdev = cur_varint(c, UINT64_MAX);
		return 0;
	case S_IFDIR:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return c->bad ? 0 : wire_bad("DIR", "unknown type of entry", e);
	}
}

static int get_xattrs(
	unsigned bits, const struct entry *prev, struct entry *en, struct cursor *c, struct err *e)
{
	size_t len;

	if (bits & BIT_SAME_XATTRS) {
		en->xattrs = prev->xattrs;
		en->xattrs_len = prev->xattrs_len;
	}
	if (!(bits & BIT_XATTRS))
		return 0;
	en->xattrs = cur_blob(c, ENTRY_XATTRS_MAX, &len);
	en->xattrs_len = (uint32_t)len;
	if (!c->bad && (len == 0 || !xattr_blob_ok(en->xattrs, len)))
		return wire_bad("DIR", "extended attributes", e);
	return 0;
}

static int check_bits(unsigned bits, const struct entry *en, struct err *e)
{
	if ((bits & BITS_DIR_ONLY) && !S_ISDIR(en->mode))
		return wire_bad("DIR", "directory flags on something else", e);
	if ((bits & BIT_DIGEST) && !S_ISREG(en->mode))
		return wire_bad("DIR", "digest of something that is no file", e);
	if ((bits & BIT_LINK_GROUP) && S_ISDIR(en->mode))
		return wire_bad("DIR", "hard link to a directory", e);
	if (en->mtime.nsec > NSEC_MAX)
		return wire_bad("DIR", "nanoseconds out of range", e);
	return 0;
}

static void get_times(unsigned bits, const struct entry *prev, struct entry *en, struct cursor *c)
{
	en->mtime = prev->mtime;
	if (bits & BIT_SEC)
		en->mtime.sec = (int64_t)((uint64_t)prev->mtime.sec + (uint64_t)cur_svarint(c));
	if (bits & BIT_NSEC)
		en->mtime.nsec = cur_u32(c);
}

/* Attributes into *en; target, digest and xattrs are borrowed (or, SAME_XATTRS, those of prev). */
static int get_attrs(
	unsigned bits, const struct entry *prev, struct entry *en, struct cursor *c, struct err *e)
{
	en->mode = bits & BIT_MODE ? (uint32_t)cur_varint(c, MODE_MAX) : prev->mode;
	en->uid = bits & BIT_UID ? (uint32_t)cur_varint(c, UINT32_MAX) : prev->uid;
	en->gid = bits & BIT_GID ? (uint32_t)cur_varint(c, UINT32_MAX) : prev->gid;
	get_times(bits, prev, en, c);
	if (get_type(en, c, e) < 0)
		return -1;
	if (bits & BIT_LINK_GROUP)
		en->link_group = cur_varint(c, UINT64_MAX);
	if (bits & BIT_TREE_FP) {
		en->tree_fp[0] = cur_u64(c);
		en->tree_fp[1] = cur_u64(c);
	}
	if (bits & BIT_DIGEST)
		en->digest = cur_bytes(c, ENTRY_DIGEST_BYTES);
	if (get_xattrs(bits, prev, en, c, e) < 0 || wire_check(c, "DIR", e) < 0)
		return -1;
	for (size_t i = 0; i < FLAG_BITS; i++)
		if (bits & flag_bits[i].bit)
			en->flags |= flag_bits[i].flag;
	return check_bits(bits, en, e);
}

static int get_self(struct msg_dir *m, struct cursor *c, struct err *e)
{
	static const struct entry zero;

	m->path = wire_get_text(c, PATH_BYTES_MAX, &m->path_len);
	if (wire_check(c, "DIR", e) < 0)
		return -1;
	if (!msg_path_ok(m->path, m->path_len))
		return wire_bad("DIR", "path that is not allowed", e);
	unsigned bits = (unsigned)cur_varint(c, BITS_ALL & ~BIT_PREFIX);
	m->self.name = "";
	/* Nothing may be known of a directory that is only passed through or could not be opened. */
	if (bits == 0 && (m->flags & (DIR_IMPLIED | DIR_FAILED)))
		return wire_check(c, "DIR", e);
	if (get_attrs(bits, &zero, &m->self, c, e) < 0)
		return -1;
	return S_ISDIR(m->self.mode) ? 0 : wire_bad("DIR", "its subject is no directory", e);
}

int msg_dir_decode_head(struct msg_dir *m, struct cursor *c, struct err *e)
{
	*m = (struct msg_dir){0};
	m->id = cur_varint(c, WIRE_ID_MAX);
	m->parent_id = cur_varint(c, WIRE_ID_MAX);
	m->flags = (uint32_t)cur_varint(c, DIR_FLAGS_ALL);
	if (wire_check(c, "DIR", e) < 0)
		return -1;
	if (m->id == 0 || m->id == m->parent_id)
		return wire_bad("DIR", "number out of range", e);
	if (!(m->flags & DIR_CONTINUED) && get_self(m, c, e) < 0)
		return -1;
	m->count = (size_t)cur_varint(c, DIR_ENTRIES_MAX);
	if (wire_check(c, "DIR", e) < 0)
		return -1;
	return m->count <= cur_left(c) / ENTRY_BYTES_MIN ? 0 : wire_bad("DIR", "too many entries", e);
}

/* The name into k->prev_name; *prefix bytes of it stay from the entry before. */
static int get_name(struct entry_coder *k, unsigned bits, const struct dirlist *list, struct cursor *c,
	size_t *len, struct err *e)
{
	size_t prefix = bits & BIT_PREFIX ? cur_u8(c) : 0;
	size_t rest = cur_u8(c);
	const uint8_t *p = cur_bytes(c, rest);

	if (wire_check(c, "DIR", e) < 0)
		return -1;
	if (prefix > k->prev.name_len || prefix + rest > ENTRY_NAME_MAX)
		return wire_bad("DIR", "length of a name", e);
	memcpy(k->prev_name + prefix, p, rest);
	*len = prefix + rest;
	k->prev_name[*len] = '\0';
	if (!entry_name_ok(k->prev_name, *len))
		return wire_bad("DIR", "name that is not allowed", e);
	if (list->count && strcmp(list->entries[list->count - 1].name, k->prev_name) >= 0)
		return wire_bad("DIR", "names out of order", e);
	return 0;
}

/* Append what was decoded, with copies of all that is borrowed from the message. */
static void add_entry(struct dirlist *list, const char *name, size_t len, struct entry *en, unsigned bits)
{
	struct entry *added = dirlist_add(list, name, len);

	en->name = added->name;
	en->name_len = added->name_len;
	if (en->target)
		en->target = arena_memdupz(&list->arena, en->target, (size_t)en->size);
	if (en->digest)
		en->digest = (const uint8_t *)arena_memdupz(&list->arena, en->digest, ENTRY_DIGEST_BYTES);
	if (bits & BIT_XATTRS)
		en->xattrs = (const uint8_t *)arena_memdupz(&list->arena, en->xattrs, en->xattrs_len);
	*added = *en;
}

int msg_dir_decode_entry(struct entry_coder *k, struct dirlist *list, struct cursor *c, struct err *e)
{
	struct entry en = {0};
	size_t len = 0;
	unsigned bits = (unsigned)cur_varint(c, BITS_ALL);

	if (get_name(k, bits, list, c, &len, e) < 0 || get_attrs(bits, &k->prev, &en, c, e) < 0)
		return -1;
	add_entry(list, k->prev_name, len, &en, bits);
	remember(k, &en, len);
	return 0;
}
