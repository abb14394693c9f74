#include "sync/sync_option_hooks.h"

#include "base/alloc.h"
#include "base/escape.h"
#include "sync/chmod.h"
#include "sync/option_file.h"
#include "sync/sync_options.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { RULE_FILE_MAX = 16 << 20 };

static const uint64_t ID_MAX = UINT32_MAX - 1; /* -1 means "leave it" to chown(2) */

static int refuse(const char *option, const char *value, const char *why, struct err *e)
{
	struct buf shown;

	buf_init(&shown, 4096);
	escape_name(&shown, value, strnlen(value, 200));
	err_set(e, ERR_USAGE, "--%s=%s: %s", option, buf_cstr(&shown), why);
	buf_release(&shown);
	return -1;
}

SYNC_HOOK(sync_hook_none)
{
	(void)row, (void)target, (void)value, (void)negated, (void)e;
	return 0;
}

SYNC_HOOK(sync_hook_archive)
{
	struct sync_options *o = target;

	(void)row, (void)value, (void)negated, (void)e;
	o->links = o->perms = o->times = o->owner = o->group = o->devices = o->specials = true;
	return 0;
}

SYNC_HOOK(sync_hook_recursive)
{
	(void)row, (void)value, (void)negated, (void)e;
	((struct sync_options *)target)->recursive_given = true;
	return 0;
}

SYNC_HOOK(sync_hook_dirs)
{
	struct sync_options *o = target;

	(void)row, (void)value, (void)e;
	o->recursive = negated;
	o->recursive_given = true;
	return 0;
}

SYNC_HOOK(sync_hook_special)
{
	struct sync_options *o = target;

	(void)row, (void)value, (void)e;
	o->devices = o->specials = !negated;
	return 0;
}

SYNC_HOOK(sync_hook_progress)
{
	struct sync_options *o = target;

	(void)row, (void)value, (void)e;
	o->progress = !negated;
	o->no_progress = negated;
	return 0;
}

SYNC_HOOK(sync_hook_not_empty)
{
	(void)target;
	if (!negated && value && !*value)
		return err_set(e, ERR_USAGE, "--%s needs a name, not an empty one", row->name);
	return 0;
}

/* --- ids */

/* Digits only, a number that can be an id. */
static bool is_id(const char *s, size_t n)
{
	uint64_t id = 0;

	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)s[i]))
			return false;
		id = id * 10 + (uint64_t)(s[i] - '0');
		if (id > ID_MAX)
			return false;
	}
	return n > 0;
}

static const char *idmap_fault(const char *piece)
{
	const char *colon = strchr(piece, ':');

	if (!colon)
		return "must be FROM:TO";
	const char *to = colon + 1;
	if (!*to || strchr(to, ':'))
		return "one name or number must follow the colon";
	if (isdigit((unsigned char)*to) && !is_id(to, strlen(to)))
		return "the part behind the colon is no user or group number";
	if (!isdigit((unsigned char)*piece))
		return NULL;
	size_t from_len = (size_t)(colon - piece);
	const char *dash = memchr(piece, '-', from_len);
	if (!dash)
		return is_id(piece, from_len) ? NULL : "the part before the colon is no number";
	size_t low_len = (size_t)(dash - piece);
	if (!is_id(piece, low_len) || !is_id(dash + 1, from_len - low_len - 1) ||
		strtoull(piece, NULL, 10) > strtoull(dash + 1, NULL, 10))
		return "the range before the colon must be LOW-HIGH";
	return NULL;
}

/* The element just stored may hold several: replace it by its parts. */
SYNC_HOOK(sync_hook_idmap)
{
	struct opt_strings *list = (struct opt_strings *)((char *)target + row->offset);
	int ret = 0;

	if (negated || !value)
		return 0;
	char *whole = list->v[--list->count];
	char *rest = whole;
	while (ret == 0 && rest) {
		char *piece = strsep(&rest, ",");
		const char *fault = idmap_fault(piece);
		if (fault)
			ret = refuse(row->name, piece, fault, e);
		else
			opt_strings_add(list, piece);
	}
	free(whole);
	return ret;
}

static int map_all(struct sync_options *o, const char *option, const char *to, size_t len, struct err *e)
{
	if (len == 0)
		return 0;
	char *rule = xasprintf("*:%.*s", (int)len, to);
	int ret = strchr(rule, ',') ? refuse("chown", rule, "must be USER:GROUP", e)
				    : opt_set(sync_option_table, o, option, rule, e);
	free(rule);
	return ret;
}

SYNC_HOOK(sync_hook_chown)
{
	struct sync_options *o = target;
	size_t user_len = strcspn(value, ":");
	const char *group = value[user_len] ? value + user_len + 1 : "";

	(void)row, (void)negated;
	if (strlen(value) > 4096 || (user_len == 0 && !*group))
		return refuse("chown", value, "must be USER, USER:GROUP or :GROUP", e);
	if (map_all(o, "usermap", value, user_len, e) < 0)
		return -1;
	return map_all(o, "groupmap", group, strlen(group), e);
}

SYNC_HOOK(sync_hook_chmod)
{
	(void)row, (void)target;
	if (negated || !value)
		return 0;
	struct chmod_rules *rules = chmod_parse(value, 0, e);
	if (!rules)
		return err_ctx(e, "--chmod");
	chmod_free(rules);
	return 0;
}

/* --- rules */

/* A pattern of --exclude and the like as a filter rule. As in rsync "- ", "+ " and a lone "!" keep their
 * meaning. */
static void add_pattern(struct sync_options *o, char sign, const char *pattern)
{
	if (!*pattern)
		return;
	if (strncmp(pattern, "+ ", 2) == 0 || strncmp(pattern, "- ", 2) == 0 || strcmp(pattern, "!") == 0) {
		opt_strings_add(&o->rules, pattern);
		return;
	}
	char *rule = xasprintf("%c %s", sign, pattern);
	opt_strings_add(&o->rules, rule);
	free(rule);
}

static int add_patterns_from(struct sync_options *o, char sign, const char *path, struct err *e)
{
	struct buf content;
	size_t at = 0;
	int ret;

	buf_init(&content, RULE_FILE_MAX);
	ret = option_file_read(path, &content, e);
	for (char *line; ret == 0 && (line = option_file_next(&content, &at, o->from0, true));)
		add_pattern(o, sign, line);
	buf_release(&content);
	return ret;
}

SYNC_HOOK(sync_hook_exclude)
{
	(void)row, (void)negated, (void)e;
	add_pattern(target, '-', value);
	return 0;
}

SYNC_HOOK(sync_hook_include)
{
	(void)row, (void)negated, (void)e;
	add_pattern(target, '+', value);
	return 0;
}

SYNC_HOOK(sync_hook_exclude_from)
{
	(void)negated;
	return add_patterns_from(target, '-', value, e) < 0 ? err_ctx(e, "--%s", row->name) : 0;
}

SYNC_HOOK(sync_hook_include_from)
{
	(void)negated;
	return add_patterns_from(target, '+', value, e) < 0 ? err_ctx(e, "--%s", row->name) : 0;
}

static bool has_rule(const struct sync_options *o, const char *rule)
{
	for (size_t i = 0; i < o->rules.count; i++)
		if (strcmp(o->rules.v[i], rule) == 0)
			return true;
	return false;
}

SYNC_HOOK(sync_hook_dir_filter)
{
	static const char *const rules[] = {": /.rsync-filter", "- .rsync-filter"};
	struct sync_options *o = target;

	(void)row, (void)value, (void)negated, (void)e;
	for (size_t i = 0; i < 2; i++)
		if (!has_rule(o, rules[i])) {
			opt_strings_add(&o->rules, rules[i]);
			break;
		}
	return 0;
}

/* --- compression */

/* [CHOICE][:LEVEL] */
SYNC_HOOK(sync_hook_compress)
{
	struct sync_options *o = target;
	int ret = 0;

	(void)row;
	o->compress = negated ? COMPRESS_NONE : COMPRESS_ZSTD;
	if (negated || !value)
		return 0;
	char *choice = xstrdup(value);
	char *level = strchr(choice, ':');
	if (level)
		*level++ = '\0';
	if (*choice || !level)
		ret = opt_set(sync_option_table, o, "compress-choice", choice, e);
	if (ret == 0 && level)
		ret = opt_set(sync_option_table, o, "compress-level", level, e);
	free(choice);
	return ret;
}
