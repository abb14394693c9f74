/* Does a rule match an entry, and which rule does so first. */
#include "tree/filter_rule.h"

#include "base/hash.h"

#include <string.h>

enum { PATH_ON_STACK = 4096 };

/* The entry being judged. Its path is put together only when a rule asks for it:
 * root path, '/', transfer path, name, '/', of which a rule looks at a part. */
struct subject {
	const struct filter_dir *dir;
	const char *name;
	size_t name_len;
	bool is_dir;
	char *text; /* NULL until built */
	char *heap;
	size_t root_len;
	size_t end; /* behind the name */
	char stack[PATH_ON_STACK];
};

static void build_text(struct subject *s)
{
	const struct filter_dir *d = s->dir;
	size_t prefix = d->prefix_len;

	s->root_len = d->top->root_path ? strlen(d->top->root_path) : 0;
	s->end = s->root_len + 1 + prefix + s->name_len;
	s->text = s->stack;
	if (s->end + 1 > sizeof(s->stack))
		s->text = s->heap = xmalloc(s->end + 1);
	if (s->root_len)
		memcpy(s->text, d->top->root_path, s->root_len);
	s->text[s->root_len] = '/';
	char *at = s->text + s->root_len + 1 + prefix;
	memcpy(at, s->name, s->name_len);
	at[s->name_len] = '/';
	for (; d->own_len; d = d->parent) {
		at -= d->own_len;
		memcpy(at, d->path, d->own_len);
		if (d->path_cached)
			break;
	}
}

static bool match_text(const struct rule *r, const char *t, const char *end)
{
	const char *p = r->pattern + (r->flags & RULE_ANCHORED ? 1 : 0);
	const char *p_end = r->pattern + r->len;

	if (r->flags & RULE_WILD)
		return rule_wild(p, p_end, t, end);
	return p_end - p == end - t && memcmp(p, t, (size_t)(end - t)) == 0;
}

/* Start of the last n components of t..end, or NULL when there are fewer. */
static const char *last_components(const char *t, const char *end, size_t n)
{
	const char *p = end;

	while (p > t)
		if (*--p == '/' && --n == 0)
			return p + 1;
	return n == 1 ? t : NULL;
}

/* "foo**bar" may begin at any component. */
static bool match_anywhere(const struct rule *r, const char *t, const char *end)
{
	while (!match_text(r, t, end)) {
		t = memchr(t, '/', (size_t)(end - t));
		if (!t++)
			return false;
	}
	return true;
}

static bool match_path(const struct rule *r, struct subject *s)
{
	if (!s->text)
		build_text(s);
	const char *t = s->text + s->root_len + 1; /* the path in the transfer */
	const char *end = s->text + s->end;

	if ((r->flags & RULE_ABSOLUTE) && s->root_len)
		t = s->text;
	else if (r->flags & RULE_WILD2_PREFIX)
		t--; /* so that a leading double star and '/' matches at the top as well */
	else
		t += r->base_len;
	if (s->is_dir && (r->flags & RULE_WILD3_SUFFIX))
		end++; /* so that the directory itself matches a trailing '/' and triple star */
	if (r->flags & (RULE_ANCHORED | RULE_WILD2_PREFIX))
		return match_text(r, t, end);
	if (r->flags & RULE_WILD2)
		return match_anywhere(r, t, end);
	t = last_components(t, end, r->slashes + 1);
	return t && match_text(r, t, end);
}

static bool rule_matches(const struct rule *r, struct subject *s)
{
	bool hit;

	if (!s->is_dir && (r->flags & RULE_DIRECTORY))
		hit = false;
	else if (rule_needs_path(r))
		hit = match_path(r, s);
	else
		hit = match_text(r, s->name, s->name + s->name_len);
	return hit != !!(r->flags & RULE_NEGATE);
}

static bool may_match(const struct candidate *c, unsigned view, unsigned char first, unsigned char last)
{
	return (c->views >> view & 1) && (c->first == first || c->first == ANY_BYTE) &&
	       (c->last == last || c->last == ANY_BYTE);
}

/* First literal rule that matches. */
static const struct candidate *find_literal(const struct ruleset *set, unsigned view, struct subject *s)
{
	uint64_t at = 0;

	if (!set->literal_count || !u64map_get(&set->literal_map, hash64(s->name, s->name_len, 0), &at))
		return NULL;
	for (; at; at = set->literals[at - 1].next) {
		const struct candidate *c = &set->literals[at - 1];
		if ((c->views >> view & 1) && rule_matches(c->rule, s))
			return c;
	}
	return NULL;
}

/* First rule of scan[] that matches, among those before `order`. */
static const struct candidate *find_scan(
	const struct ruleset *set, unsigned view, uint64_t mask, uint32_t order, struct subject *s)
{
	unsigned char first = (unsigned char)s->name[0];
	unsigned char last = (unsigned char)s->name[s->name_len - 1];

	for (; mask; mask &= mask - 1) {
		size_t i = (size_t)__builtin_ctzll(mask);
		size_t stop = i == MASK_BITS - 1 ? set->scan_count : i + 1;
		for (; i < stop; i++) {
			const struct candidate *c = &set->scan[i];
			if (c->order > order)
				return NULL;
			if (may_match(c, view, first, last) && rule_matches(c->rule, s))
				return c;
		}
	}
	return NULL;
}

/* Kept out of excludes() so that its large frame is set up only for names that may match. */
static __attribute__((noinline)) bool search(
	const struct filter_dir *d, const char *name, size_t len, unsigned view, uint64_t mask)
{
	struct subject s;

	s.dir = d;
	s.name = name;
	s.name_len = len;
	s.is_dir = view & 1;
	s.text = s.heap = NULL;
	const struct candidate *best = find_literal(d->set, view, &s);
	const struct candidate *other = find_scan(d->set, view, mask, best ? best->order : UINT32_MAX, &s);
	free(s.heap);
	if (other)
		best = other;
	return best && !(best->rule->flags & RULE_INCLUDE);
}

static bool excludes(const struct filter_dir *d, const char *name, bool is_dir, enum view situation)
{
	const struct ruleset *set = d->set;
	unsigned view = (unsigned)situation * 2 + is_dir;
	uint64_t mask = set->by_view[view] & set->by_first[(unsigned char)name[0]];

	if (!mask && !set->literal_count)
		return false;
	size_t len = strlen(name);
	if (len == 0)
		return false;
	mask &= set->by_last[(unsigned char)name[len - 1]];
	if (!mask && !set->literal_count)
		return false;
	return search(d, name, len, view, mask);
}

bool filter_excludes(const struct filter_dir *d, const char *name, bool is_dir, enum filter_side side)
{
	return excludes(d, name, is_dir, side == FILTER_SENDER ? VIEW_SEND : VIEW_RECEIVE);
}

bool filter_protects(const struct filter_dir *d, const char *name, bool is_dir, bool delete_excluded)
{
	return excludes(d, name, is_dir, delete_excluded ? VIEW_RECEIVE_DX : VIEW_RECEIVE);
}

bool filter_protects_doomed(const struct filter_dir *d, const char *name, bool is_dir, bool delete_excluded)
{
	return excludes(d, name, is_dir, delete_excluded ? VIEW_DOOMED_DX : VIEW_DOOMED);
}

bool filter_excludes_xattr(const struct filter *f, const char *name, enum filter_side side)
{
	struct filter_dir top = {.filter = f, .top = &top};
	struct subject s = {.dir = &top, .name = name, .name_len = strlen(name)};
	uint32_t mine = side == FILTER_SENDER ? RULE_SENDER : RULE_RECEIVER;
	bool hit = false;
	size_t i = 0;

	for (; s.name_len && i < f->rules.count && !hit; i++) {
		const struct rule *r = &f->rules.rules[i];
		bool counts = (r->flags & RULE_XATTR) && !(r->flags & RULE_MERGE) &&
			      (!(r->flags & RULE_SIDES) || (r->flags & mine));
		hit = counts && rule_matches(r, &s);
	}
	free(s.heap);
	return hit && !(f->rules.rules[i - 1].flags & RULE_INCLUDE);
}
