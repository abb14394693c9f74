#include "sync/idmap.h"

#include "base/alloc.h"
#include "base/map.h"
#include "os/ids.h"

#include <fnmatch.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One FROM:TO of --usermap or --groupmap. FROM is a name (with wildcards), an id, a range LOW-HIGH, or "*". */
struct map_rule {
	char *pattern; /* NULL: a range */
	uint32_t low, high;
	uint32_t to;
};

struct map_rules {
	struct map_rule *v;
	size_t count;
};

struct side {
	struct map_rules rules;
	struct u64map names; /* id -> name (char *) as the sender told */
	struct u64map cache; /* id -> id here */
};

struct idmap {
	bool identity;
	bool local;
	bool numeric;
	pthread_mutex_t lock;
	struct side side[2]; /* users, groups */
};

static bool parse_id(const char *s, size_t n, uint32_t *id)
{
	uint64_t v = 0;

	if (n == 0 || n > 10)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	*id = (uint32_t)v;
	return v <= UINT32_MAX;
}

static bool lookup_name(bool is_group, const char *name, uint32_t *id)
{
	return is_group ? ids_group_id(name, id) : ids_user_id(name, id);
}

static int add_rule(struct map_rules *rules, bool is_group, const char *text, size_t n, struct err *e)
{
	const char *colon = memchr(text, ':', n);
	struct map_rule r = {0};

	if (!colon)
		return err_set(e, ERR_USAGE, "--%s: \"%.*s\" is not FROM:TO",
			is_group ? "groupmap" : "usermap", (int)n, text);
	size_t from_len = (size_t)(colon - text);
	char *to = xmemdupz(colon + 1, n - from_len - 1);
	bool known = parse_id(to, strlen(to), &r.to) || lookup_name(is_group, to, &r.to);
	if (!known)
		err_set(e, ERR_USAGE, "--%s: no %s \"%s\" here", is_group ? "groupmap" : "usermap",
			is_group ? "group" : "user", to);
	free(to);
	if (!known)
		return -1;
	const char *dash = memchr(text, '-', from_len);
	if (parse_id(text, from_len, &r.low))
		r.high = r.low;
	else if (!dash || !parse_id(text, (size_t)(dash - text), &r.low) ||
		 !parse_id(dash + 1, from_len - (size_t)(dash - text) - 1, &r.high))
		r.pattern = xmemdupz(text, from_len);
	rules->v = xreallocarray(rules->v, rules->count + 1, sizeof(r));
	rules->v[rules->count++] = r;
	return 0;
}

static int add_rules(struct map_rules *rules, bool is_group, const struct opt_strings *list, struct err *e)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *p = list->v[i];
		while (*p) {
			size_t n = strcspn(p, ",");
			if (n && add_rule(rules, is_group, p, n, e) != 0)
				return -1;
			p += n + (p[n] == ',');
		}
	}
	return 0;
}

struct idmap *idmap_new(const struct sync_options *o, bool local, struct err *e)
{
	struct idmap *m = xcalloc(1, sizeof(*m));

	m->local = local;
	m->numeric = o->numeric_ids;
	pthread_mutex_init(&m->lock, NULL);
	for (int i = 0; i < 2; i++) {
		u64map_init(&m->side[i].names);
		u64map_init(&m->side[i].cache);
	}
	if (add_rules(&m->side[0].rules, false, &o->usermap, e) != 0 ||
		add_rules(&m->side[1].rules, true, &o->groupmap, e) != 0) {
		idmap_free(m);
		return NULL;
	}
	m->identity = (local || m->numeric) && !m->side[0].rules.count && !m->side[1].rules.count;
	return m;
}

static void release_side(struct side *s)
{
	for (size_t i = 0; i < s->rules.count; i++)
		free(s->rules.v[i].pattern);
	free(s->rules.v);
	u64map_each_value(&s->names, free);
	u64map_release(&s->names);
	u64map_release(&s->cache);
}

void idmap_free(struct idmap *m)
{
	if (!m)
		return;
	release_side(&m->side[0]);
	release_side(&m->side[1]);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void idmap_learn(struct idmap *m, bool is_group, uint32_t id, const char *name, size_t name_len)
{
	bool added;

	pthread_mutex_lock(&m->lock);
	uint64_t *slot = u64map_put(&m->side[is_group].names, id, &added);
	if (added)
		*slot = (uint64_t)(uintptr_t)xmemdupz(name, name_len);
	pthread_mutex_unlock(&m->lock);
}

bool idmap_is_identity(const struct idmap *m)
{
	return m->identity;
}

static bool rule_matches(const struct map_rule *r, uint32_t id, const char *name)
{
	if (!r->pattern)
		return id >= r->low && id <= r->high;
	if (!*r->pattern)
		return !name;
	return strcmp(r->pattern, "*") == 0 || (name && fnmatch(r->pattern, name, 0) == 0);
}

static uint32_t resolve(struct idmap *m, bool is_group, uint32_t id)
{
	const struct side *s = &m->side[is_group];
	const char *name = NULL;
	uint64_t value;
	uint32_t here;

	if (u64map_get(&s->names, id, &value))
		name = (const char *)(uintptr_t)value;
	else if (m->local)
		name = is_group ? ids_group_name(id) : ids_user_name(id);
	for (size_t i = 0; i < s->rules.count; i++)
		if (rule_matches(&s->rules.v[i], id, name))
			return s->rules.v[i].to;
	if (m->numeric || m->local || id == 0 || !name || !lookup_name(is_group, name, &here))
		return id;
	return here;
}

static uint32_t map_id(struct idmap *m, bool is_group, uint32_t id)
{
	bool added;

	if (m->identity)
		return id;
	pthread_mutex_lock(&m->lock);
	uint64_t *slot = u64map_put(&m->side[is_group].cache, id, &added);
	if (added)
		*slot = resolve(m, is_group, id);
	uint32_t here = (uint32_t)*slot;
	pthread_mutex_unlock(&m->lock);
	return here;
}

uint32_t idmap_uid(struct idmap *m, uint32_t uid)
{
	return map_id(m, false, uid);
}

uint32_t idmap_gid(struct idmap *m, uint32_t gid)
{
	return map_id(m, true, gid);
}
