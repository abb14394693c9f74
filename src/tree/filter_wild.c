/*
 * Wildcard matching without recursion. Only the last '*' and the last "**" need to be remembered: a '*' cannot pass
 * a '/', and whatever an earlier star could still try, the later one can reach too (before it, no '/' may be
 * skipped, so the text it starts from is the same component); "**" reaches everything to its right. So a mismatch
 * lets the last '*' take one byte more, or, when that is a '/', the last "**".
 */
#include "tree/filter_rule.h"

#include <string.h>

static bool in_range(unsigned char c, unsigned char lo, unsigned char hi)
{
	return c >= lo && c <= hi;
}

static bool is_alpha(unsigned char c)
{
	return in_range(c | 0x20, 'a', 'z');
}

static bool is_digit(unsigned char c)
{
	return in_range(c, '0', '9');
}

static bool is_punct(unsigned char c)
{
	return in_range(c, 0x21, 0x7e) && !is_alpha(c) && !is_digit(c);
}

/* [:name:] on ASCII, whatever the locale. 1, 0, or -1 for an unknown name. */
static int named_class(const char *name, size_t len, unsigned char c)
{
	const struct {
		const char *name;
		bool in;
	} classes[] = {
		{"alnum", is_alpha(c) || is_digit(c)},
		{"alpha", is_alpha(c)},
		{"blank", c == ' ' || c == '\t'},
		{"cntrl", c < 0x20 || c == 0x7f},
		{"digit", is_digit(c)},
		{"graph", in_range(c, 0x21, 0x7e)},
		{"lower", in_range(c, 'a', 'z')},
		{"print", in_range(c, 0x20, 0x7e)},
		{"punct", is_punct(c)},
		{"space", c == ' ' || in_range(c, '\t', '\r')},
		{"upper", in_range(c, 'A', 'Z')},
		{"xdigit", is_digit(c) || in_range(c | 0x20, 'a', 'f')},
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (strlen(classes[i].name) == len && memcmp(classes[i].name, name, len) == 0)
			return classes[i].in;
	return -1;
}

/* At "[:" in a class. Returns what follows ":]" with *hit updated; p itself when there is no ":]" before the next
 * ']', so that the '[' stands for itself; NULL when the class is malformed. */
static const char *match_named(const char *p, const char *end, unsigned char c, bool *hit)
{
	const char *name = p + 2;
	const char *close = memchr(name, ']', (size_t)(end - name));

	if (!close)
		return NULL;
	if (close == name || close[-1] != ':')
		return p;
	int in = named_class(name, (size_t)(close - 1 - name), c);
	if (in < 0)
		return NULL;
	*hit |= in == 1;
	return close + 1;
}

/* "lo-hi" seen up to the '-' at p. Returns what follows hi, or NULL. */
static const char *match_span(const char *p, const char *end, unsigned char lo, unsigned char c, bool *hit)
{
	if (*++p == '\\' && ++p == end)
		return NULL;
	*hit |= in_range(c, lo, (unsigned char)*p);
	return p + 1;
}

/* *pp is behind a '['. Whether c belongs to the class; *pp is moved behind the ']'. */
static bool match_class(const char **pp, const char *end, unsigned char c)
{
	const char *p = *pp;
	bool hit = false;
	bool negated = p < end && (*p == '!' || *p == '^');
	unsigned char prev = 0; /* may begin a range */
	const char *after;

	p += negated;
	for (bool first = true; first || p >= end || *p != ']'; first = false) {
		if (p >= end)
			return false;
		if (*p == '-' && prev && p + 1 < end && p[1] != ']') {
			if (!(p = match_span(p, end, prev, c, &hit)))
				return false;
			prev = 0;
			continue;
		}
		if (*p == '[' && p + 1 < end && p[1] == ':') {
			if (!(after = match_named(p, end, c, &hit)))
				return false;
			if (after != p) {
				p = after;
				prev = 0;
				continue;
			}
		} else if (*p == '\\' && ++p == end) {
			return false;
		}
		prev = (unsigned char)*p++;
		hit |= prev == c;
	}
	*pp = p + 1;
	return hit != negated && c != '/';
}

/* Match the one element at *pp (not a star) against c and move behind it. */
static bool match_one(const char **pp, const char *end, char c)
{
	const char *p = (*pp)++;

	switch (*p) {
	case '?':
		return c != '/';
	case '[':
		return match_class(pp, end, (unsigned char)c);
	case '\\':
		return *pp < end && *(*pp)++ == c;
	default:
		return *p == c;
	}
}

bool rule_wild(const char *p, const char *p_end, const char *t, const char *t_end)
{
	const char *star = NULL;   /* pattern behind the last '*' */
	const char *star_t = NULL; /* where the text that it leaves begins */
	const char *wide = NULL;   /* the same for the last "**" */
	const char *wide_t = NULL;

	for (;;) {
		if (p < p_end && *p == '*') {
			const char *begin = p;
			while (p < p_end && *p == '*')
				p++;
			if (p - begin == 1) {
				star = p;
				star_t = t;
				continue;
			}
			if (p == p_end)
				return true;
			wide = p;
			wide_t = t;
			star = NULL;
			continue;
		}
		if (p == p_end && t == t_end)
			return true;
		if (p < p_end && t == t_end)
			return false; /* what is left of the pattern needs text */
		if (p < p_end && match_one(&p, p_end, *t)) {
			t++;
			continue;
		}
		if (star && star_t < t_end && *star_t != '/') {
			t = ++star_t;
			p = star;
		} else if (wide && wide_t < t_end) {
			t = ++wide_t;
			p = wide;
			star = NULL;
		} else {
			return false;
		}
	}
}

bool filter_wildmatch(const char *pattern, const char *text)
{
	return rule_wild(pattern, pattern + strlen(pattern), text, text + strlen(text));
}
