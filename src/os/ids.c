/*
 * Four caches of one make: a fixed table of buckets, each a list of nodes that are never changed or freed.
 * A look-up walks the list without a lock; a new node is put before it under one lock for all, after asking the
 * name service outside of it. Two threads may ask the same at once: both nodes then say the same, the first
 * one found wins.
 *
 * Names and numbers that do not exist may come from a peer without end: past MAX_UNKNOWN they are no longer kept.
 */
#include "os/ids.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	BUCKETS = 1024,
	MAX_UNKNOWN = 65536,
	MAX_NAME_BYTES = 255,
	SCRATCH_BYTES = 4096,
	SCRATCH_MAX_BYTES = 16 << 20
};

struct node {
	const struct node *next;
	uint32_t id;
	bool known;  /* else there is no such user or group */
	char name[]; /* "" when it was a number that has no name */
};

struct cache {
	_Atomic(const struct node *) bucket[BUCKETS];
};

static struct cache users_by_id;
static struct cache groups_by_id;
static struct cache users_by_name;
static struct cache groups_by_name;
static pthread_mutex_t insert_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t unknown_count; /* under insert_lock */

static size_t bucket_of_id(uint32_t id)
{
	return (id * 2654435761u) >> 22;
}

static size_t bucket_of_name(const char *name)
{
	return hash64(name, strlen(name), 0) % BUCKETS;
}

/* Keep an answer. NULL when it is one that is not worth it. */
static const struct node *keep(struct cache *c, size_t bucket, uint32_t id, const char *name, bool known)
{
	const size_t len = strlen(name) + 1;
	struct node *n = NULL;

	pthread_mutex_lock(&insert_lock);
	if (known || unknown_count < MAX_UNKNOWN) {
		unknown_count += !known;
		n = xmalloc(sizeof(*n) + len);
		n->next = atomic_load_explicit(&c->bucket[bucket], memory_order_relaxed);
		n->id = id;
		n->known = known;
		memcpy(n->name, name, len);
		atomic_store_explicit(&c->bucket[bucket], n, memory_order_release);
	}
	pthread_mutex_unlock(&insert_lock);
	return n;
}

/* A question to the name service, and its answer. */
struct query {
	bool group;
	const char *name; /* asked for, or NULL to ask for id */
	uint32_t id;
	char *scratch; /* holds the answered name */
	size_t room;
	const char *answer; /* NULL: there is none */
};

/* One of the four calls; 0, or an errno. */
static int ask_group(struct query *q)
{
	struct group entry;
	struct group *found = NULL;
	int e = q->name ? getgrnam_r(q->name, &entry, q->scratch, q->room, &found)
			: getgrgid_r(q->id, &entry, q->scratch, q->room, &found);

	q->answer = found ? entry.gr_name : NULL;
	q->id = found ? entry.gr_gid : q->id;
	return e;
}

static int ask_user(struct query *q)
{
	struct passwd entry;
	struct passwd *found = NULL;
	int e = q->name ? getpwnam_r(q->name, &entry, q->scratch, q->room, &found)
			: getpwuid_r(q->id, &entry, q->scratch, q->room, &found);

	q->answer = found ? entry.pw_name : NULL;
	q->id = found ? entry.pw_uid : q->id;
	return e;
}

/* Does getpwnam(3)'s list of errno values say "no such name", rather than "could not find out"? */
static bool means_none(int e)
{
	return e == 0 || e == ENOENT || e == ESRCH || e == EBADF || e == EPERM;
}

/* False when the name service could not tell. Free q->scratch afterwards. */
static bool ask(struct query *q)
{
	int e;

	for (q->room = SCRATCH_BYTES;; q->room *= 2) {
		q->scratch = xrealloc(q->scratch, q->room);
		do
			e = q->group ? ask_group(q) : ask_user(q);
		while (e == EINTR);
		if (e != ERANGE || q->room >= SCRATCH_MAX_BYTES)
			return means_none(e);
	}
}

static const char *name_of(struct cache *c, bool group, uint32_t id)
{
	const size_t bucket = bucket_of_id(id);
	struct query q = {.group = group, .id = id};
	const struct node *n = atomic_load_explicit(&c->bucket[bucket], memory_order_acquire);

	while (n && n->id != id)
		n = n->next;
	if (!n && ask(&q))
		n = keep(c, bucket, id, q.answer ? q.answer : "", q.answer != NULL);
	free(q.scratch);
	return n && n->known ? n->name : NULL;
}

static bool id_of(struct cache *c, bool group, const char *name, uint32_t *id)
{
	const size_t bucket = bucket_of_name(name);
	struct query q = {.group = group, .name = name};
	const struct node *n = atomic_load_explicit(&c->bucket[bucket], memory_order_acquire);

	while (n && strcmp(n->name, name) != 0)
		n = n->next;
	if (!n && *name && strlen(name) <= MAX_NAME_BYTES && ask(&q))
		n = keep(c, bucket, q.id, name, q.answer != NULL);
	free(q.scratch);
	if (!n || !n->known)
		return false;
	*id = n->id;
	return true;
}

const char *ids_user_name(uint32_t uid)
{
	return name_of(&users_by_id, false, uid);
}

const char *ids_group_name(uint32_t gid)
{
	return name_of(&groups_by_id, true, gid);
}

bool ids_user_id(const char *name, uint32_t *id)
{
	return id_of(&users_by_name, false, name, id);
}

bool ids_group_id(const char *name, uint32_t *id)
{
	return id_of(&groups_by_name, true, name, id);
}

void ids_preload(void)
{
	uint32_t id;

	ids_user_name(0);
	ids_group_name(0);
	ids_user_id("root", &id);
	ids_group_id("root", &id);
}

/* What this process is; a newer one is put before the older, which borrowers may still hold. */
struct self {
	const struct self *older;
	bool root;
	bool may_chown;
	size_t count;
	gid_t groups[];
};

static _Atomic(const struct self *) self_now;

static bool has_cap_chown(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (syscall(SYS_capget, &head, data) != 0)
		return geteuid() == 0;
	return data[0].effective & (1u << CAP_CHOWN);
}

static int by_number(const void *a, const void *b)
{
	const gid_t x = *(const gid_t *)a;
	const gid_t y = *(const gid_t *)b;

	return (x > y) - (x < y);
}

static struct self *self_make(void)
{
	int n = getgroups(0, NULL);
	size_t room = (n > 0 ? (size_t)n : 0) + 1;
	struct self *s = xcalloc(1, sizeof(*s) + room * sizeof(s->groups[0]));

	s->root = geteuid() == 0;
	s->may_chown = has_cap_chown();
	n = getgroups((int)room - 1, s->groups);
	room = n > 0 ? (size_t)n : 0;
	s->groups[room++] = getegid();
	qsort(s->groups, room, sizeof(s->groups[0]), by_number);
	for (size_t i = 0; i < room; i++)
		if (!i || s->groups[i] != s->groups[i - 1])
			s->groups[s->count++] = s->groups[i];
	return s;
}

void ids_refresh(void)
{
	pthread_mutex_lock(&insert_lock);
	struct self *s = self_make();
	s->older = atomic_load_explicit(&self_now, memory_order_relaxed);
	atomic_store_explicit(&self_now, s, memory_order_release);
	pthread_mutex_unlock(&insert_lock);
}

static const struct self *self_get(void)
{
	const struct self *s = atomic_load_explicit(&self_now, memory_order_acquire);

	if (!s) {
		ids_refresh();
		s = atomic_load_explicit(&self_now, memory_order_acquire);
	}
	return s;
}

bool ids_is_root(void)
{
	return self_get()->root;
}

bool ids_may_chown(void)
{
	return self_get()->may_chown;
}

bool ids_own_group(uint32_t gid)
{
	const struct self *s = self_get();
	const gid_t key = gid;

	return bsearch(&key, s->groups, s->count, sizeof(key), by_number) != NULL;
}

const gid_t *ids_own_groups(size_t *count)
{
	const struct self *s = self_get();

	*count = s->count;
	return s->groups;
}
