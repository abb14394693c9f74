/*
 * The rules in force in a directory. Invariants:
 * 1. A set is finished before anybody else sees it; then it is read-only and shared.
 * 2. A slot stands for one dir-merge rule that can be reached from the filter's own rules through the chunks of the
 *    other slots, so every slot's rule is alive as long as the set.
 * 3. The order of the rules: the filter's own; where a dir-merge rule stands, its chunk here, then those inherited.
 */
#include "tree/filter_rule.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { SLOTS_MAX = 256 };

static void chunk_unref(struct chunk *c)
{
	while (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
		struct chunk *next = c->next;
		rule_list_release(&c->list);
		free(c);
		c = next;
	}
}

static struct chunk *chunk_ref(struct chunk *c)
{
	if (c)
		atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void ruleset_unref(struct ruleset *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < s->slot_count; i++)
		chunk_unref(s->slots[i].head);
	free(s->slots);
	free(s->scan);
	free(s->literals);
	u64map_release(&s->literal_map);
	free(s);
}

static struct ruleset *ruleset_ref(struct ruleset *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

/* Takes one reference to head. */
static void add_slot(struct ruleset *s, const struct rule *def, struct chunk *head)
{
	s->slots = xreallocarray(s->slots, s->slot_count + 1, sizeof(*s->slots));
	s->slots[s->slot_count++] = (struct slot){def, head};
}

static int add_slots(struct ruleset *s, const struct rule_list *l, struct err *e)
{
	for (size_t i = 0; i < l->count; i++) {
		if (!(l->rules[i].flags & RULE_PERDIR))
			continue;
		if (s->slot_count == SLOTS_MAX)
			return err_set(e, ERR_USAGE, "more than %d dir-merge filter rules", SLOTS_MAX);
		add_slot(s, &l->rules[i], NULL);
	}
	return 0;
}

static bool slots_merge(const void *arg, const char *name, size_t len)
{
	const struct ruleset *s = arg;

	for (size_t i = 0; i < s->slot_count; i++)
		if (s->slots[i].def->len == len && memcmp(s->slots[i].def->pattern, name, len) == 0)
			return true;
	return false;
}

/* The rules in force, in order. */
struct flat {
	const struct rule **rules;
	size_t count;
	size_t cap;
	uint64_t reached[SLOTS_MAX / 64];
};

static int flatten(struct flat *out, const struct ruleset *s, const struct rule_list *l, struct err *e);

static int flatten_slot(struct flat *out, const struct ruleset *s, const struct rule *def, struct err *e)
{
	for (size_t i = 0; i < s->slot_count; i++) {
		if (s->slots[i].def != def)
			continue;
		out->reached[i / 64] |= UINT64_C(1) << (i % 64);
		for (const struct chunk *c = s->slots[i].head; c; c = c->next)
			if (flatten(out, s, &c->list, e))
				return -1;
	}
	return 0;
}

static int flatten(struct flat *out, const struct ruleset *s, const struct rule_list *l, struct err *e)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct rule *r = &l->rules[i];
		if (r->flags & RULE_PERDIR) {
			if (flatten_slot(out, s, r, e))
				return -1;
			continue;
		}
		if (out->count == FILTER_RULES_MAX)
			return err_set(e, ERR_USAGE, "more than %d filter rules", FILTER_RULES_MAX);
		if (out->count == out->cap) {
			out->cap = out->cap ? out->cap * 2 : 32;
			out->rules = xreallocarray(out->rules, out->cap, sizeof(const struct rule *));
		}
		out->rules[out->count++] = r;
	}
	return 0;
}

/* A slot that no rule leads to any more (its merge rule was cleared or is not inherited) is dropped. */
static void prune(struct ruleset *s, const struct flat *flat)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->slot_count; i++) {
		if (flat->reached[i / 64] >> (i % 64) & 1)
			s->slots[kept++] = s->slots[i];
		else
			chunk_unref(s->slots[i].head);
	}
	s->slot_count = kept;
}

static int finish(struct ruleset *s, const struct filter *f, struct err *e)
{
	struct flat flat = {0};
	int rc = flatten(&flat, s, &f->rules, e);

	if (rc == 0) {
		prune(s, &flat);
		ruleset_index(s, flat.rules, flat.count);
	}
	free(flat.rules);
	return rc;
}

static struct ruleset *ruleset_new(void)
{
	struct ruleset *s = xcalloc(1, sizeof(*s));

	atomic_init(&s->refs, 1);
	u64map_init(&s->literal_map);
	return s;
}

struct ruleset *ruleset_base(const struct filter *f, struct err *e)
{
	struct ruleset *s = ruleset_new();

	if (add_slots(s, &f->rules, e) == 0 && finish(s, f, e) == 0)
		return s;
	ruleset_unref(s);
	return NULL;
}

/* Where a merge file of a directory is read into. */
struct visit {
	const struct filter *filter;
	struct ruleset *set;
	int dir_fd;
	uint32_t base_len;
	bool changed;
	struct err *e;
};

/* Read one slot's file and put its rules before the inherited ones. */
static int visit_slot(struct visit *v, size_t i)
{
	const struct rule *def = v->set->slots[i].def;
	struct chunk *inherited = v->set->slots[i].head;
	struct chunk *c = xcalloc(1, sizeof(*c));
	struct rule_parse p = {.list = &c->list,
		.e = v->e,
		.dir_fd = v->dir_fd,
		.base_len = v->base_len,
		.from0 = v->filter->from0,
		.merges = slots_merge,
		.merges_arg = v->set};

	if (inherited && (def->flags & RULE_NO_INHERIT)) {
		chunk_unref(inherited);
		v->set->slots[i].head = inherited = NULL;
		v->changed = true;
	}
	atomic_init(&c->refs, 1);
	rule_list_init(&c->list);
	int rc = v->dir_fd < 0 ? 0 : rule_file_read(&p, def->flags, def->pattern);
	if (rc <= 0 || (c->list.count == 0 && !p.cleared)) {
		chunk_unref(c);
		return rc < 0 ? -1 : 0;
	}
	v->changed = true;
	v->set->slots[i].head = c;
	if (p.cleared)
		chunk_unref(inherited);
	else
		c->next = inherited;
	return add_slots(v->set, &c->list, v->e);
}

/* Most directories have no merge files: find that out before building anything. */
static bool nothing_new(const struct ruleset *from, int dir_fd)
{
	struct stat st;

	for (size_t i = 0; i < from->slot_count; i++) {
		const struct slot *s = &from->slots[i];
		if (s->head && (s->def->flags & RULE_NO_INHERIT))
			return false;
		if (dir_fd >= 0 &&
			(fstatat(dir_fd, s->def->pattern, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT))
			return false;
	}
	return true;
}

struct ruleset *ruleset_enter(
	const struct filter *f, struct ruleset *from, int dir_fd, uint32_t base_len, struct err *e)
{
	struct visit v = {f, NULL, dir_fd, base_len, false, e};
	int rc = 0;

	if (nothing_new(from, dir_fd))
		return ruleset_ref(from);
	v.set = ruleset_new();
	for (size_t i = 0; i < from->slot_count; i++)
		add_slot(v.set, from->slots[i].def, chunk_ref(from->slots[i].head));
	for (size_t i = 0; i < v.set->slot_count && rc == 0; i++)
		rc = visit_slot(&v, i); /* may add slots */
	if (rc == 0 && v.changed)
		rc = finish(v.set, f, e);
	if (rc == 0 && v.changed)
		return v.set;
	ruleset_unref(v.set);
	return rc ? NULL : ruleset_ref(from);
}
