#include "sync/plan.h"

#include "os/xattr.h"

#include <string.h>
#include <sys/stat.h>

static bool same_time(const struct plan_rules *r, struct entry_time a, struct entry_time b)
{
	if (r->modify_window <= 0)
		return a.sec == b.sec && a.nsec == b.nsec;
	int64_t diff = a.sec > b.sec ? a.sec - b.sec : b.sec - a.sec;
	return diff <= r->modify_window;
}

static bool newer(const struct plan_rules *r, struct entry_time a, struct entry_time b)
{
	if (same_time(r, a, b))
		return false;
	return a.sec > b.sec || (a.sec == b.sec && a.nsec > b.nsec);
}

bool plan_same_content(const struct plan_rules *r, const struct entry *src, const struct entry *dst)
{
	if (src->size != dst->size)
		return false;
	if (r->checksum)
		return src->digest && dst->digest &&
		       memcmp(src->digest, dst->digest, ENTRY_DIGEST_BYTES) == 0;
	if (r->size_only)
		return true;
	return !r->ignore_times && same_time(r, src->mtime, dst->mtime);
}

static bool keeps_time(const struct plan_rules *r, uint32_t mode)
{
	return r->times && (!S_ISDIR(mode) || r->dir_times) && (!S_ISLNK(mode) || r->link_times);
}

/* The two kinds of attributes inside the blobs are compared apart, for their letters (a and x). */
static uint32_t xattr_flags(const struct plan_rules *r, const struct entry *src, const struct entry *dst)
{
	if (!r->xattrs && !r->acls)
		return 0;
	if (src->xattrs_len == dst->xattrs_len &&
		(src->xattrs_len == 0 || memcmp(src->xattrs, dst->xattrs, src->xattrs_len) == 0))
		return 0;
	uint32_t flags = 0;
	if (r->acls && !S_ISLNK(src->mode) && !plan_same_attributes(src, dst, true))
		flags |= ITEM_ACL;
	if (r->xattrs && !plan_same_attributes(src, dst, false))
		flags |= ITEM_XATTR;
	return flags;
}

static bool is_acl(const uint8_t *name, size_t len)
{
	static const char prefix[] = "system.posix_acl_";

	return len > sizeof(prefix) - 1 && memcmp(name, prefix, sizeof(prefix) - 1) == 0;
}

/* Next attribute of the wanted kind, as the raw bytes of name and value; false at the end. */
static bool next_attribute(struct cursor *c, bool acl, const uint8_t **at, size_t *len)
{
	while (cur_left(c)) {
		size_t name_len;
		size_t value_len;
		*at = c->p;
		const uint8_t *name = cur_blob(c, SIZE_MAX, &name_len);
		cur_blob(c, SIZE_MAX, &value_len);
		if (c->bad)
			return false;
		*len = (size_t)(c->p - *at);
		if (is_acl(name, name_len) == acl)
			return true;
	}
	return false;
}

bool plan_same_attributes(const struct entry *a, const struct entry *b, bool acl)
{
	struct cursor ca = cur_make(a->xattrs, a->xattrs_len);
	struct cursor cb = cur_make(b->xattrs, b->xattrs_len);

	for (;;) {
		const uint8_t *pa;
		const uint8_t *pb;
		size_t na;
		size_t nb;
		bool more_a = next_attribute(&ca, acl, &pa, &na);
		bool more_b = next_attribute(&cb, acl, &pb, &nb);
		if (more_a != more_b)
			return false;
		if (!more_a)
			return true;
		if (na != nb || memcmp(pa, pb, na) != 0)
			return false;
	}
}

uint32_t plan_attribute_flags(const struct plan_rules *r, const struct entry *src, const struct entry *dst)
{
	uint32_t flags = 0;

	if (keeps_time(r, src->mode) && !same_time(r, src->mtime, dst->mtime))
		flags |= ITEM_TIME;
	if (r->perms && !S_ISLNK(src->mode) && ((src->mode ^ dst->mode) & 07777))
		flags |= ITEM_PERMS;
	if (r->owner && src->uid != dst->uid)
		flags |= ITEM_OWNER;
	if (r->group && src->gid != dst->gid && (!r->may_set_group || r->may_set_group(src->gid)))
		flags |= ITEM_GROUP;
	return flags | xattr_flags(r, src, dst);
}

static struct plan_item skip(enum plan_action action)
{
	return (struct plan_item){.action = action};
}

static struct plan_item plan_new(const struct entry *src)
{
	struct plan_item p = {.iflags = ITEM_IS_NEW | ITEM_LOCAL_CHANGE};

	switch (src->mode & S_IFMT) {
	case S_IFDIR:
		p.action = PLAN_MKDIR;
		break;
	case S_IFREG:
		p.action = PLAN_FILE;
		p.iflags = ITEM_IS_NEW | ITEM_TRANSFER;
		break;
	case S_IFLNK:
		p.action = PLAN_SYMLINK;
		break;
	default:
		p.action = PLAN_NODE;
		break;
	}
	return p;
}

static struct plan_item plan_file(
	const struct plan_rules *r, const struct entry *src, const struct entry *dst)
{
	struct plan_item p = {.iflags = plan_attribute_flags(r, src, dst)};

	if (plan_same_content(r, src, dst)) {
		p.action = p.iflags ? PLAN_META : PLAN_NONE;
		return p;
	}
	if (r->append && dst->size >= src->size)
		return skip(PLAN_SKIP);
	p.action = PLAN_FILE;
	p.iflags |= ITEM_TRANSFER;
	if (src->size != dst->size)
		p.iflags |= ITEM_SIZE;
	if (r->checksum)
		p.iflags |= ITEM_CHANGE;
	if (!r->times)
		p.iflags |= ITEM_TIME | ITEM_TIME_NOW;
	return p;
}

static struct plan_item plan_special(
	const struct plan_rules *r, const struct entry *src, const struct entry *dst)
{
	bool same = S_ISLNK(src->mode) ? strcmp(src->target, dst->target) == 0 : src->rdev == dst->rdev;
	struct plan_item p = {.iflags = plan_attribute_flags(r, src, dst)};

	if (same) {
		p.action = p.iflags ? PLAN_META : PLAN_NONE;
		return p;
	}
	p.action = S_ISLNK(src->mode) ? PLAN_SYMLINK : PLAN_NODE;
	p.iflags |= ITEM_CHANGE | ITEM_LOCAL_CHANGE;
	if (!keeps_time(r, src->mode))
		p.iflags |= ITEM_TIME | ITEM_TIME_NOW;
	return p;
}

bool plan_skips_size(const struct plan_rules *r, const struct entry *src)
{
	return S_ISREG(src->mode) && ((r->max_size && src->size > r->max_size) || src->size < r->min_size);
}

struct plan_item plan_entry(const struct plan_rules *r, const struct entry *src, const struct entry *dst)
{
	if (plan_skips_size(r, src))
		return skip(PLAN_SKIP);
	if (!dst)
		return r->existing ? skip(PLAN_SKIP) : plan_new(src);
	if (r->ignore_existing && !(S_ISDIR(src->mode) && S_ISDIR(dst->mode)))
		return skip(PLAN_SKIP);
	if (r->update && S_ISREG(dst->mode) && S_ISREG(src->mode) && newer(r, dst->mtime, src->mtime))
		return skip(PLAN_SKIP);
	if ((src->mode ^ dst->mode) & S_IFMT) {
		struct plan_item p = plan_new(src);
		p.replaces = true;
		return p;
	}
	if (S_ISDIR(src->mode)) {
		struct plan_item p = {.iflags = plan_attribute_flags(r, src, dst)};
		p.action = p.iflags ? PLAN_META : PLAN_NONE;
		return p;
	}
	return S_ISREG(src->mode) ? plan_file(r, src, dst) : plan_special(r, src, dst);
}
