/* From the text of a rule to a rule: prefixes, modifiers, patterns. Merge rules are followed (filter_file.c). */
#include "tree/filter_rule.h"

#include "base/escape.h"

#include <limits.h>
#include <string.h>

enum { MERGE_DEPTH_MAX = 20 };

struct token {
	uint32_t flags;
	const char *text; /* the rule as it was given */
	const char *pattern;
	const char *end;
};

void rule_list_init(struct rule_list *l)
{
	*l = (struct rule_list){0};
	arena_init(&l->arena);
}

void rule_list_release(struct rule_list *l)
{
	arena_release(&l->arena);
	free(l->rules);
	*l = (struct rule_list){0};
}

void rule_list_clear(struct rule_list *l)
{
	l->count = 0;
	l->xattr_count = 0;
}

static uint32_t wild_flags(const char *pattern, size_t len)
{
	if (!strpbrk(pattern, "*[?"))
		return 0;
	const char *wide = strstr(pattern, "**");
	if (!wide)
		return RULE_WILD;
	uint32_t flags = RULE_WILD | RULE_WILD2;
	if (wide == pattern)
		flags |= RULE_WILD2_PREFIX;
	if (len >= 3 && memcmp(pattern + len - 3, "***", 3) == 0)
		flags |= RULE_WILD3_SUFFIX;
	return flags;
}

void rule_list_add(struct rule_list *l, const char *pattern, size_t len, uint32_t flags, uint32_t base_len)
{
	if (len > 1 && pattern[len - 1] == '/') {
		len--;
		flags |= RULE_DIRECTORY;
	}
	if (l->count == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 8;
		l->rules = xreallocarray(l->rules, l->cap, sizeof(*l->rules));
	}
	struct rule *r = &l->rules[l->count++];
	*r = (struct rule){.flags = flags, .len = (uint32_t)len};
	r->pattern = arena_memdupz(&l->arena, pattern, len);
	for (uint32_t i = 0; i < r->len; i++) {
		if (r->pattern[i] == '/') {
			r->slashes++;
			r->last = i + 1;
		}
	}
	r->flags |= wild_flags(r->pattern, len);
	l->xattr_count += (flags & (RULE_XATTR | RULE_MERGE)) == RULE_XATTR;
	if (len && r->pattern[0] == '/') {
		r->flags |= RULE_ANCHORED;
		r->base_len = base_len;
	}
}

bool rule_list_merges(const struct rule_list *l, const char *name, size_t len)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct rule *r = &l->rules[i];
		if ((r->flags & RULE_PERDIR) && r->len == len && memcmp(r->pattern, name, len) == 0)
			return true;
	}
	return false;
}

void rule_text(const struct rule *r, struct buf *out)
{
	static const struct {
		uint32_t flag;
		char letter;
	} letters[] = {{RULE_ABSOLUTE, '/'}, {RULE_NEGATE, '!'}, {RULE_PERISHABLE, 'p'}, {RULE_SENDER, 's'},
		{RULE_RECEIVER, 'r'}, {RULE_XATTR, 'x'}, {RULE_NO_INHERIT, 'n'}, {RULE_WORD_SPLIT, 'w'}};
	bool include = r->flags & RULE_INCLUDE;

	buf_put_u8(out, r->flags & RULE_PERDIR ? ':' : include ? '+' : '-');
	if (r->flags & RULE_CVS)
		buf_put_u8(out, 'C');
	else if (r->flags & RULE_NO_PREFIX)
		buf_put_u8(out, include ? '+' : '-');
	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (r->flags & letters[i].flag)
			buf_put_u8(out, (uint8_t)letters[i].letter);
	buf_put_u8(out, ' ');
	buf_put(out, r->pattern, r->len);
	if (r->flags & RULE_DIRECTORY)
		buf_put_u8(out, '/');
}

int rule_parse_fail(const struct rule_parse *p, const char *s, size_t len, const char *why)
{
	enum err_code code = p->from_peer ? ERR_PROTOCOL : ERR_USAGE;
	struct buf name;

	buf_init(&name, PATH_MAX * 4);
	escape_name(&name, p->file ? p->file : s, p->file ? strlen(p->file) : len < 256 ? len : 256);
	if (p->file && p->line)
		err_set(p->e, code, "%s line %zu: filter rule: %s", buf_cstr(&name), p->line, why);
	else if (p->file)
		err_set(p->e, code, "%s: filter rule: %s", buf_cstr(&name), why);
	else
		err_set(p->e, code, "filter rule '%s': %s", buf_cstr(&name), why);
	buf_release(&name);
	return -1;
}

static int fail(const struct rule_parse *p, const struct token *t, const char *why)
{
	return rule_parse_fail(p, t->text, (size_t)(t->end - t->text), why);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static const struct kind {
	const char *word;
	char letter;
	uint32_t flags;
} kinds[] = {
	{"exclude", '-', 0},
	{"include", '+', RULE_INCLUDE},
	{"merge", '.', RULE_MERGE},
	{"dir-merge", ':', RULE_MERGE | RULE_PERDIR},
	{"hide", 'H', RULE_SENDER},
	{"show", 'S', RULE_SENDER | RULE_INCLUDE},
	{"protect", 'P', RULE_RECEIVER},
	{"risk", 'R', RULE_RECEIVER | RULE_INCLUDE},
	{"clear", '!', RULE_CLEAR},
};

/* The rule's name at s, short or long; *rest behind it and behind a comma. */
static const struct kind *find_kind(const char *s, const char *end, const char **rest)
{
	const struct kind *found = NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !found; i++) {
		size_t len = strlen(kinds[i].word);
		const char *after = s + len;
		if (*s == kinds[i].letter)
			*rest = s + 1;
		else if ((size_t)(end - s) >= len && memcmp(s, kinds[i].word, len) == 0 &&
			 (after == end || *after == '_' || *after == ',' || is_space(*after)))
			*rest = after;
		else
			continue;
		found = &kinds[i];
	}
	if (found && *rest < end && **rest == ',')
		++*rest;
	return found;
}

/* One modifier letter: the flags it sets, or 0 when it may not stand here. */
static uint32_t modifier(char c, uint32_t flags, bool kind_has_side)
{
	bool merge = flags & RULE_MERGE;

	switch (c) {
	case '/':
		return RULE_ABSOLUTE;
	case 'p':
		return RULE_PERISHABLE;
	case 'x':
		return RULE_XATTR;
	case '!': /* belongs to a pattern, so it is no default for a file */
		return merge ? 0 : RULE_NEGATE;
	case 's':
		return kind_has_side ? 0 : RULE_SENDER;
	case 'r':
		return kind_has_side ? 0 : RULE_RECEIVER;
	case 'e':
		return merge ? RULE_EXCLUDE_SELF : 0;
	case 'n':
		return merge ? RULE_NO_INHERIT : 0;
	case 'w':
		return merge ? RULE_WORD_SPLIT : 0;
	case '-':
		return merge && !(flags & RULE_NO_PREFIX) ? RULE_NO_PREFIX : 0;
	case '+':
		return merge && !(flags & RULE_NO_PREFIX) ? RULE_NO_PREFIX | RULE_INCLUDE : 0;
	case 'C':
		return (flags & RULE_NO_PREFIX) || kind_has_side
			       ? 0
			       : RULE_NO_PREFIX | RULE_WORD_SPLIT | RULE_NO_INHERIT | RULE_CVS;
	default:
		return 0;
	}
}

/* Name and modifiers; t->pattern moves behind them and the one separator. */
static int parse_prefix(const struct rule_parse *p, struct token *t, bool words)
{
	const char *s = t->text;
	const struct kind *kind = find_kind(s, t->end, &s);

	if (!kind)
		return fail(p, t, "it begins with no known rule name (include, exclude, merge, ...)");
	t->flags |= kind->flags;
	for (; !(kind->flags & RULE_CLEAR) && s < t->end && *s != ' ' && *s != '_'; s++) {
		if (words && is_space(*s))
			break;
		uint32_t add = modifier(*s, t->flags, kind->flags & RULE_SIDES);
		if (!add)
			return fail(p, t, "invalid modifier");
		t->flags |= add;
	}
	if (s < t->end && (*s == ' ' || *s == '_') && !(kind->flags & RULE_CLEAR))
		s++;
	t->pattern = s;
	return 0;
}

/* "+ " and "- " and "!" where patterns stand bare. */
static void parse_old_prefix(struct token *t, uint32_t template)
{
	size_t len = (size_t)(t->end - t->text);

	if (template & RULE_NO_PREFIX) {
		if (*t->text == '!' && (template & RULE_CVS))
			t->flags |= RULE_CLEAR;
	} else if (len >= 2 && t->text[0] == '-' && t->text[1] == ' ') {
		t->flags &= ~(uint32_t)RULE_INCLUDE;
		t->pattern += 2;
	} else if (len >= 2 && t->text[0] == '+' && t->text[1] == ' ') {
		t->flags |= RULE_INCLUDE;
		t->pattern += 2;
	} else if (*t->text == '!') {
		t->flags |= RULE_CLEAR;
	}
}

/* Cut one rule off text..end. */
static int parse_token(const struct rule_parse *p, uint32_t template, struct token *t)
{
	bool bare = template & (RULE_NO_PREFIX | RULE_OLD_PREFIX);
	bool words = template & RULE_WORD_SPLIT;

	t->flags = template & RULE_INHERITED;
	t->pattern = t->text;
	if (bare)
		parse_old_prefix(t, template);
	else if (parse_prefix(p, t, words))
		return -1;
	if (words) {
		const char *cut = t->pattern;
		while (cut < t->end && !is_space(*cut))
			cut++;
		t->end = cut;
	}
	if (template & RULE_SIDES) {
		if (t->flags & RULE_SIDES)
			return fail(p, t, "it names a side, but the merge rule of its file does so already");
		t->flags |= template & RULE_SIDES;
	}
	size_t len = (size_t)(t->end - t->pattern);
	if (t->flags & RULE_CLEAR) {
		if (len && !bare)
			return fail(p, t, "nothing may follow a '!' rule");
		if (len > 1)
			t->flags &= ~(uint32_t)RULE_CLEAR;
	} else if (!len && !(t->flags & RULE_CVS)) {
		return fail(p, t, "unexpected end");
	}
	if (len > FILTER_PATTERN_MAX)
		return fail(p, t, "the pattern is too long");
	if (memchr(t->pattern, '\0', len))
		return fail(p, t, "it contains a NUL byte");
	return 0;
}

/* Whether a relative path climbs above where it starts. */
static bool climbs(const char *path)
{
	int depth = 0;

	while (*path) {
		size_t len = strcspn(path, "/");
		if (len == 2 && memcmp(path, "..", 2) == 0)
			depth--;
		else if (len > 0 && !(len == 1 && *path == '.'))
			depth++;
		if (depth < 0)
			return true;
		path += len + (path[len] == '/');
	}
	return false;
}

/* A dir-merge rule counts by the last component of its name: that file is looked for in every directory. */
static int add_dir_merge(struct rule_parse *p, const struct token *t, const char *name, size_t len)
{
	uint32_t flags = t->flags;

	if (name[0] != '/' && climbs(name))
		return fail(p, t, "a per-directory file outside the transfer's root is not allowed");
	if (len > 1 && name[len - 1] == '/') {
		len--;
		flags |= RULE_DIRECTORY;
	}
	const char *base = memrchr(name, '/', len);
	base = base ? base + 1 : name;
	len -= (size_t)(base - name);
	if (len == 0 || len > NAME_MAX || (base[0] == '.' && (len == 1 || (len == 2 && base[1] == '.'))))
		return fail(p, t, "that is no usable file name");
	if (rule_list_merges(p->list, base, len) || (p->merges && p->merges(p->merges_arg, base, len)))
		return 0;
	rule_list_add(p->list, base, len, flags & ~(uint32_t)RULE_EXCLUDE_SELF, 0);
	return 0;
}

static int add_merge_file(struct rule_parse *p, const struct token *t, const char *name)
{
	if (p->from_peer)
		return fail(p, t, "a peer may not have merge files read");
	if (p->depth >= MERGE_DEPTH_MAX)
		return fail(p, t, "merge files are nested too deeply");
	if (p->dir_fd >= 0 && (name[0] == '/' || climbs(name)))
		return fail(
			p, t, "a merge file outside this directory is not allowed in a per-directory file");
	int got = rule_file_read(p, t->flags, name);
	if (got == 0) {
		rule_parse_fail(p, t->text, (size_t)(t->end - t->text), "its merge file does not exist");
		p->e->code = ERR_IO;
	}
	return got > 0 ? 0 : -1;
}

static int add_merge(struct rule_parse *p, const struct token *t)
{
	char name[FILTER_PATTERN_MAX + 1] = ".cvsignore";
	size_t len = (size_t)(t->end - t->pattern);

	if (len) {
		memcpy(name, t->pattern, len);
		name[len] = '\0';
	}
	len = strlen(name);
	if (t->flags & RULE_EXCLUDE_SELF) {
		const char *base = len > 1 ? memrchr(name, '/', len) : NULL;
		base = base ? base + 1 : name;
		if (*base)
			rule_list_add(p->list, base, len - (size_t)(base - name), 0, 0);
	}
	if (t->flags & RULE_PERDIR)
		return add_dir_merge(p, t, name, len);
	while (len > 1 && name[len - 1] == '/')
		name[--len] = '\0';
	return add_merge_file(p, t, name);
}

static int add_token(struct rule_parse *p, const struct token *t)
{
	size_t len = (size_t)(t->end - t->pattern);

	if (t->flags & RULE_CLEAR) {
		rule_list_clear(p->list);
		p->cleared = true;
		return 0;
	}
	if (p->list->count >= FILTER_RULES_MAX)
		return fail(p, t, "there are too many rules");
	if (t->flags & RULE_MERGE)
		return add_merge(p, t);
	if (t->flags & RULE_CVS) {
		if (p->from_peer)
			return fail(p, t, "a peer may not have this host's CVS patterns read");
		return len ? fail(p, t, "nothing may follow the C modifier") : rule_file_cvs(p, t->flags);
	}
	/* an anchored pattern with the '/' modifier is relative to the file system's root */
	rule_list_add(p->list, t->pattern, len, t->flags, t->flags & RULE_ABSOLUTE ? 0 : p->base_len);
	return 0;
}

int rule_parse_text(struct rule_parse *p, uint32_t template, const char *s, size_t len)
{
	const char *end = s + len;

	for (;;) {
		while ((template & RULE_WORD_SPLIT) && s < end && is_space(*s))
			s++;
		if (s == end)
			return 0;
		struct token t = {.text = s, .end = end};
		if (parse_token(p, template, &t) || add_token(p, &t))
			return -1;
		if (!(template & RULE_WORD_SPLIT))
			return 0;
		s = t.end;
	}
}
