#include "os/xattr.h"

#include "base/alloc.h"
#include "os/beneath.h"
#include "os/fault.h"
#include "os/xattr_blob.h"
#include "os/xattr_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIST_STACK_BYTES = 1024 };

/* The names that a file has, sorted; they point into text. */
struct names {
	char small[LIST_STACK_BYTES];
	char *text; /* small or malloc'ed */
	const char **name;
	size_t count;
};

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Is `name` of the kinds asked for, as far as this process may see and set them all? */
static bool is_wanted(const char *name, unsigned which, bool root)
{
	if (xattr_name_is_acl(name))
		return (which & XATTR_ACL) != 0;
	if (!(which & XATTR_USER) || has_prefix(name, "system."))
		return false;
	return root || has_prefix(name, "user.");
}

/* Names that may be copied but are never removed for being extra. */
static bool is_local_policy(const char *name)
{
	return strcmp(name, "security.selinux") == 0 || has_prefix(name, "security.SMACK64") ||
	       strcmp(name, "security.evm") == 0 || strcmp(name, "security.ima") == 0;
}

/* A hash that the kernel itself keeps of a file, good for no other; a signature may travel. The first byte is
 * enum evm_ima_xattr_type of the kernel's security/integrity/integrity.h. */
static bool is_kernel_hash(const char *name, const uint8_t *value, size_t len)
{
	enum { IMA_SIGNATURE = 3, EVM_PORTABLE_SIGNATURE = 5, VERITY_SIGNATURE = 6 };

	if (strcmp(name, "security.evm") != 0 && strcmp(name, "security.ima") != 0)
		return false;
	return len == 0 || (value[0] != IMA_SIGNATURE && value[0] != EVM_PORTABLE_SIGNATURE &&
				   value[0] != VERITY_SIGNATURE);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Bytes of the raw list in n->text, 0 where there are no attributes, or -1. */
static ssize_t list_raw(const struct xattr_target *t, struct names *n)
{
	n->text = n->small;
	ssize_t len = xattr_sys_list(t, n->text, sizeof(n->small));
	if (len < 0 && errno == ERANGE) {
		n->text = xmalloc(XATTR_LIST_MAX);
		len = xattr_sys_list(t, n->text, XATTR_LIST_MAX);
	}
	if (len < 0 && errno == EOPNOTSUPP)
		return 0;
	return len;
}

/* All names that a file has. 0 or -1; names_release() in either case. */
static int names_list(const struct xattr_target *t, struct names *n)
{
	n->name = NULL;
	n->count = 0;
	ssize_t len = list_raw(t, n);
	if (len <= 0)
		return len < 0 ? -1 : 0;
	size_t cap = 0;
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(n->text + at) + 1) {
		if (n->count == cap) {
			cap = cap ? cap * 2 : 16;
			n->name = xreallocarray(n->name, cap, sizeof(*n->name));
		}
		n->name[n->count++] = n->text + at;
	}
	qsort(n->name, n->count, sizeof(*n->name), by_name);
	return 0;
}

static void names_release(struct names *n)
{
	free(n->name);
	if (n->text != n->small)
		free(n->text);
}

/* Room for any one value. */
struct value {
	uint8_t small[512];
	uint8_t *big;
	const uint8_t *data;
	size_t len;
};

static void value_init(struct value *v)
{
	v->big = NULL;
	v->data = v->small;
	v->len = 0;
}

static void value_release(struct value *v)
{
	free(v->big);
}

static int value_get(const struct xattr_target *t, const char *attr, struct value *v)
{
	v->data = v->small;
	ssize_t n = xattr_sys_get(t, attr, v->small, sizeof(v->small));
	if (n < 0 && errno == ERANGE) {
		if (!v->big)
			v->big = xmalloc(XATTR_SIZE_MAX);
		v->data = v->big;
		n = xattr_sys_get(t, attr, v->big, XATTR_SIZE_MAX);
	}
	v->len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? -1 : 0;
}

static int read_target(const struct xattr_target *t, unsigned which, struct buf *out)
{
	struct names n;
	struct value v;
	const size_t before = out->len;
	const bool overflowed = out->overflow;
	int r = names_list(t, &n);
	bool root = n.count && geteuid() == 0;

	value_init(&v);
	for (size_t i = 0; i < n.count && r == 0; i++) {
		if (!is_wanted(n.name[i], which, root))
			continue;
		if (value_get(t, n.name[i], &v) != 0) {
			r = errno == ENODATA || errno == EOPNOTSUPP ? 0
								    : -1; /* removed since it was listed */
		} else if (!is_kernel_hash(n.name[i], v.data, v.len)) {
			buf_put_str(out, n.name[i]);
			buf_put_blob(out, v.data, v.len);
		}
	}
	if (r == 0 && out->overflow) {
		errno = EOVERFLOW;
		r = -1;
	}
	int saved = errno;
	if (r != 0) {
		out->len = before;
		out->overflow = overflowed;
	}
	value_release(&v);
	names_release(&n);
	errno = saved;
	return r;
}

int xattr_read(int dir_fd, const char *name, unsigned which, struct buf *out)
{
	return read_target(&(struct xattr_target){dir_fd, name}, which, out);
}

int xattr_read_fd(int fd, unsigned which, struct buf *out)
{
	return read_target(&(struct xattr_target){fd, ""}, which, out);
}

/* A run of xattr_apply. */
struct change {
	const struct xattr_target *target;
	unsigned which;
	bool root;
	int error; /* errno of the first failure */
	char *failed;
	bool opened; /* u+w was added to mode */
	mode_t mode;
};

static void fail(struct change *c, const char *name)
{
	if (c->error)
		return;
	c->error = errno;
	if (c->failed)
		snprintf(c->failed, XATTR_FAILED_BYTES, "%s", name);
}

static int target_chmod(const struct xattr_target *t, mode_t mode)
{
	if (t->name[0])
		return beneath_chmod(t->dir_fd, t->name, mode);
	return fault_point("chmod") != 0 ? -1 : fchmod(t->dir_fd, mode);
}

/* The owner may set user. attributes only of what it may write: give it u+w. Was that possible? */
static bool make_writable(struct change *c, const char *name)
{
	const struct xattr_target *t = c->target;
	int flags = t->name[0] ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
	struct stat st;

	if (c->opened || errno != EACCES || !has_prefix(name, "user."))
		return false;
	if (fstatat(t->dir_fd, t->name, &st, flags) == 0 && st.st_uid == geteuid() &&
		!(st.st_mode & S_IWUSR) && !S_ISLNK(st.st_mode)) {
		c->mode = st.st_mode & 07777;
		c->opened = target_chmod(t, c->mode | S_IWUSR) == 0;
	}
	errno = EACCES;
	return c->opened;
}

/* value NULL = remove. */
static int change_one(const struct change *c, const char *name, const void *value, size_t len)
{
	return value ? xattr_sys_set(c->target, name, value, len) : xattr_sys_remove(c->target, name);
}

static void try_change(struct change *c, const char *name, const void *value, size_t len)
{
	if (fault_point("xattr") == 0) {
		int r = change_one(c, name, value, len);
		if (r != 0 && make_writable(c, name))
			r = change_one(c, name, value, len);
		if (r == 0 || (!value && errno == ENODATA))
			return;
	}
	fail(c, name);
}

static void remove_extra(struct change *c, const char *name)
{
	if (is_wanted(name, c->which, c->root) && !is_local_policy(name))
		try_change(c, name, NULL, 0);
}

static bool same_value(struct change *c, const struct xattr_item *it, struct value *v)
{
	return value_get(c->target, it->name, v) == 0 && v->len == it->len &&
	       memcmp(v->data, it->value, it->len) == 0;
}

/* Walk both sorted lists at once. */
static void merge(struct change *c, const struct names *now, struct cursor *blob)
{
	struct value v;
	struct xattr_item it;
	size_t i = 0;

	value_init(&v);
	while (xattr_item_next(blob, &it)) {
		if (!is_wanted(it.name, c->which, true))
			continue;
		while (i < now->count && strcmp(now->name[i], it.name) < 0)
			remove_extra(c, now->name[i++]);
		bool there = i < now->count && strcmp(now->name[i], it.name) == 0;
		i += there;
		if (!there || !same_value(c, &it, &v))
			try_change(c, it.name, it.value, it.len);
	}
	while (i < now->count)
		remove_extra(c, now->name[i++]);
	value_release(&v);
}

static int apply_target(
	const struct xattr_target *t, unsigned which, const uint8_t *blob, size_t len, char *failed)
{
	struct change c = {.target = t, .which = which, .failed = failed};
	struct cursor cur = cur_make(blob, len);
	struct names now;

	if (failed)
		failed[0] = '\0';
	if (!xattr_blob_ok(blob, len)) {
		errno = EINVAL;
		return -1;
	}
	if (names_list(t, &now) != 0) {
		fail(&c, "");
	} else if (len || now.count) {
		c.root = geteuid() == 0;
		merge(&c, &now, &cur);
		if (c.opened && target_chmod(t, c.mode) != 0)
			fail(&c, "");
	}
	names_release(&now);
	errno = c.error;
	return c.error ? -1 : 0;
}

int xattr_apply(int dir_fd, const char *name, unsigned which, const uint8_t *blob, size_t len, char *failed)
{
	return apply_target(&(struct xattr_target){dir_fd, name}, which, blob, len, failed);
}

int xattr_apply_fd(int fd, unsigned which, const uint8_t *blob, size_t len, char *failed)
{
	return apply_target(&(struct xattr_target){fd, ""}, which, blob, len, failed);
}
