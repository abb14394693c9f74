/*
 * Indexes of a rule set, so that most names are dismissed without looking at a single rule: by the first and last
 * byte that a matching name must have, by the situation (side, directory or not), and, when there are many rules
 * whose last component has no wildcards, by its hash.
 */
#include "tree/filter_rule.h"

#include "base/hash.h"

#include <string.h>

enum { LITERALS_MIN = 16 };

static uint16_t rule_views(const struct rule *r)
{
	uint32_t sides = r->flags & RULE_SIDES;
	bool both = sides == 0;
	unsigned situations = 0;
	uint16_t views = 0;

	if (both || (sides & RULE_SENDER))
		situations |= 1U << VIEW_SEND;
	if (both || (sides & RULE_RECEIVER))
		situations |= 1U << VIEW_RECEIVE | 1U << VIEW_DOOMED;
	if (sides & RULE_RECEIVER)
		situations |= 1U << VIEW_RECEIVE_DX | 1U << VIEW_DOOMED_DX;
	if (r->flags & RULE_PERISHABLE)
		situations &= ~(1U << VIEW_DOOMED | 1U << VIEW_DOOMED_DX);
	bool only_dirs = (r->flags & (RULE_DIRECTORY | RULE_NEGATE)) == RULE_DIRECTORY;
	for (unsigned v = 0; v < VIEWS; v++)
		if (situations >> v & 1)
			views |= (uint16_t)((only_dirs ? 2U : 3U) << (v * 2));
	return views;
}

/* First byte of every name that the pattern can match. With a "**" near, the name's start may be anywhere in the
 * pattern; a '/' in a class would make a wrong last component. */
static uint16_t first_byte(const struct rule *r)
{
	const char *tail = r->pattern + r->last;

	if (!(r->flags & RULE_WILD))
		return r->last < r->len ? (unsigned char)*tail : 0;
	if (strstr(tail, "**") || (r->slashes && strchr(r->pattern, '[')))
		return ANY_BYTE;
	return strchr("*?[\\", *tail) ? ANY_BYTE : (unsigned char)*tail;
}

static uint16_t last_byte(const struct rule *r)
{
	unsigned char c = r->len ? (unsigned char)r->pattern[r->len - 1] : 0;

	return (r->flags & RULE_WILD) && strchr("*?]\\", c) ? ANY_BYTE : c;
}

static struct candidate make_candidate(const struct rule *r, uint32_t order)
{
	struct candidate c = {.rule = r, .order = order, .views = rule_views(r)};

	c.first = r->flags & RULE_NEGATE ? ANY_BYTE : first_byte(r);
	c.last = r->flags & RULE_NEGATE ? ANY_BYTE : last_byte(r);
	return c;
}

static bool is_literal(const struct rule *r)
{
	return !(r->flags & (RULE_WILD | RULE_NEGATE));
}

static void index_byte(uint64_t *table, uint16_t byte, uint64_t bit)
{
	if (byte != ANY_BYTE) {
		table[byte] |= bit;
		return;
	}
	for (size_t i = 0; i < 256; i++)
		table[i] |= bit;
}

static void add_scan(struct ruleset *s, struct candidate c)
{
	size_t i = s->scan_count++;
	uint64_t bit = UINT64_C(1) << (i < MASK_BITS ? i : MASK_BITS - 1);

	s->scan[i] = c;
	index_byte(s->by_first, c.first, bit);
	index_byte(s->by_last, c.last, bit);
	for (size_t v = 0; v < (size_t)VIEWS * 2; v++)
		if (c.views >> v & 1)
			s->by_view[v] |= bit;
}

/* Backwards, so that each chain runs in the order of the rules. */
static void link_literals(struct ruleset *s)
{
	for (size_t i = s->literal_count; i > 0; i--) {
		struct candidate *c = &s->literals[i - 1];
		const struct rule *r = c->rule;
		uint64_t *head =
			u64map_put(&s->literal_map, hash64(r->pattern + r->last, r->len - r->last, 0), NULL);
		c->next = (uint32_t)*head;
		*head = i;
	}
}

void ruleset_index(struct ruleset *s, const struct rule **rules, size_t count)
{
	size_t literals = 0;

	for (size_t i = 0; i < count; i++)
		literals += is_literal(rules[i]) && !(rules[i]->flags & RULE_XATTR);
	if (literals < LITERALS_MIN)
		literals = 0;
	s->literals = xreallocarray(NULL, literals, sizeof(*s->literals));
	s->scan = xreallocarray(NULL, count - literals, sizeof(*s->scan));
	for (size_t i = 0; i < count; i++) {
		if (rules[i]->flags & RULE_XATTR)
			continue;
		struct candidate c = make_candidate(rules[i], (uint32_t)i);
		s->needs_path |= rule_needs_path(rules[i]);
		if (literals && is_literal(rules[i]))
			s->literals[s->literal_count++] = c;
		else
			add_scan(s, c);
	}
	link_literals(s);
}
