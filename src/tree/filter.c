/* Filters and the contexts of directories: what callers hold. */
#include "tree/filter_rule.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Longer paths are put together anew for each entry that needs one, so that a deep tree costs no square memory. */
enum { PATH_CACHE_MAX = 4096 };

struct filter *filter_new(void)
{
	struct filter *f = xcalloc(1, sizeof(*f));

	rule_list_init(&f->rules);
	return f;
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	rule_list_release(&f->rules);
	free(f);
}

void filter_set_from0(struct filter *f, bool on)
{
	f->from0 = on;
}

static struct rule_parse user_parse(struct filter *f, struct err *e)
{
	return (struct rule_parse){.list = &f->rules, .e = e, .dir_fd = -1, .from0 = f->from0};
}

int filter_add(struct filter *f, const char *rule, struct err *e)
{
	struct rule_parse p = user_parse(f, e);

	return rule_parse_text(&p, 0, rule, strlen(rule));
}

int filter_add_peer(struct filter *f, const char *rule, struct err *e)
{
	struct rule_parse p = user_parse(f, e);

	p.from_peer = true;
	return rule_parse_text(&p, 0, rule, strlen(rule));
}

static uint32_t old_template(bool include)
{
	return RULE_OLD_PREFIX | (include ? RULE_INCLUDE : 0);
}

int filter_add_pattern(struct filter *f, const char *pattern, bool include, struct err *e)
{
	struct rule_parse p = user_parse(f, e);

	return rule_parse_text(&p, old_template(include), pattern, strlen(pattern));
}

int filter_add_from(struct filter *f, const char *path, bool include, struct err *e)
{
	struct rule_parse p = user_parse(f, e);
	int rc = rule_file_read(&p, old_template(include), path);

	if (rc == 0)
		return err_set(e, ERR_IO, "open filter file %s: No such file or directory", path);
	return rc < 0 ? -1 : 0;
}

size_t filter_count(const struct filter *f)
{
	return f->rules.count;
}

void filter_rule_text(const struct filter *f, size_t i, struct buf *out)
{
	rule_text(&f->rules.rules[i], out);
}

bool filter_empty(const struct filter *f)
{
	return f->rules.count == 0;
}

bool filter_has_xattr_rules(const struct filter *f)
{
	return f->rules.xattr_count > 0;
}

/* Absolute path of an open directory, without the first '/'; "" when it is the root or cannot be told. */
static char *path_of(int dir_fd)
{
	char link[64];
	char path[PATH_MAX];

	if (dir_fd < 0)
		return xstrdup("");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	ssize_t n = readlink(link, path, sizeof(path));
	if (n <= 1 || path[0] != '/' || (size_t)n == sizeof(path))
		return xstrdup("");
	return xmemdupz(path + 1, (size_t)n - 1);
}

static struct filter_dir *dir_new(const struct filter *f, size_t path_len)
{
	struct filter_dir *d = xcalloc(1, sizeof(*d) + path_len);

	atomic_init(&d->refs, 1);
	d->filter = f;
	d->own_len = path_len;
	return d;
}

static struct filter_dir *root_new(const struct filter *f, int dir_fd, int files_fd, struct err *e)
{
	struct ruleset *base = ruleset_base(f, e);
	struct ruleset *set = base ? ruleset_enter(f, base, files_fd, 0, e) : NULL;

	ruleset_unref(base);
	if (!set)
		return NULL;
	struct filter_dir *d = dir_new(f, 0);
	d->set = set;
	d->top = d;
	d->path_cached = true;
	if (!filter_empty(f))
		d->root_path = path_of(dir_fd);
	return d;
}

struct filter_dir *filter_root(const struct filter *f, int dir_fd, struct err *e)
{
	return root_new(f, dir_fd, dir_fd, e);
}

struct filter_dir *filter_root_above(const struct filter *f, int dir_fd, struct err *e)
{
	return root_new(f, dir_fd, -1, e);
}

/* The path is kept whole when rules ask for it and it is short, else only this directory's part of it. */
static struct filter_dir *dir_below(
	struct filter_dir *parent, const char *name, size_t len, struct ruleset *set)
{
	size_t full = parent->prefix_len + len + 1;
	bool cache = parent->path_cached && set->needs_path && full <= PATH_CACHE_MAX;
	struct filter_dir *d = dir_new(parent->filter, cache ? full : len + 1);
	char *at = d->path;

	if (cache && parent->prefix_len) {
		memcpy(at, parent->path, parent->prefix_len);
		at += parent->prefix_len;
	}
	memcpy(at, name, len);
	at[len] = '/';
	d->prefix_len = full;
	d->path_cached = cache;
	d->parent = filter_ref(parent);
	d->top = parent->top;
	d->set = set;
	return d;
}

struct filter_dir *filter_enter(struct filter_dir *parent, const char *name, int dir_fd, struct err *e)
{
	const struct ruleset *old = parent->set;
	size_t len = strlen(name);

	if (old->slot_count == 0 && !old->needs_path)
		return filter_ref(parent); /* names alone decide, the same everywhere */
	if (parent->prefix_len + len + 1 > UINT32_MAX) {
		err_set(e, ERR_UNSUPPORTED, "directories are nested too deeply for filter rules");
		return NULL;
	}
	struct ruleset *set = ruleset_enter(
		parent->filter, parent->set, dir_fd, (uint32_t)(parent->prefix_len + len + 1), e);
	return set ? dir_below(parent, name, len, set) : NULL;
}

struct filter_dir *filter_ref(struct filter_dir *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return d;
}

void filter_unref(struct filter_dir *d)
{
	while (d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1) {
		struct filter_dir *parent = d->parent;
		ruleset_unref(d->set);
		free(d->root_path);
		free(d);
		d = parent;
	}
}
