#include "base/map.h"

#include "base/alloc.h"

#include <stdlib.h>

/* Open addressing with linear probing; removal shifts back, so there are no tombstones. */
struct u64map_slot {
	uint64_t key;
	uint64_t value;
	bool used;
};

static size_t home(const struct u64map *m, uint64_t key)
{
	key ^= key >> 32;
	key *= 0x9e3779b97f4a7c15u;
	key ^= key >> 29;
	return (size_t)key & (m->cap - 1);
}

void u64map_init(struct u64map *m)
{
	*m = (struct u64map){0};
}

void u64map_release(struct u64map *m)
{
	free(m->slots);
	*m = (struct u64map){0};
}

static struct u64map_slot *find(const struct u64map *m, uint64_t key)
{
	size_t i = home(m, key);

	while (m->slots[i].used && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static void grow(struct u64map *m)
{
	struct u64map old = *m;

	m->cap = old.cap ? old.cap * 2 : 16;
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].used)
			*find(m, old.slots[i].key) = old.slots[i];
	free(old.slots);
}

bool u64map_get(const struct u64map *m, uint64_t key, uint64_t *value)
{
	if (!m->count)
		return false;
	const struct u64map_slot *s = find(m, key);
	if (!s->used)
		return false;
	if (value)
		*value = s->value;
	return true;
}

uint64_t *u64map_put(struct u64map *m, uint64_t key, bool *added)
{
	if (m->count * 4 >= m->cap * 3)
		grow(m);
	struct u64map_slot *s = find(m, key);
	if (added)
		*added = !s->used;
	if (!s->used) {
		*s = (struct u64map_slot){.key = key, .used = true};
		m->count++;
	}
	return &s->value;
}

bool u64map_remove(struct u64map *m, uint64_t key)
{
	if (!m->count)
		return false;
	struct u64map_slot *s = find(m, key);
	if (!s->used)
		return false;
	size_t hole = (size_t)(s - m->slots);
	size_t i = hole;
	for (;;) {
		i = (i + 1) & (m->cap - 1);
		if (!m->slots[i].used)
			break;
		size_t want = home(m, m->slots[i].key);
		if (((i - want) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole].used = false;
	m->count--;
	return true;
}

void u64map_each_value(const struct u64map *m, void (*fn)(void *value))
{
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].used)
			fn((void *)(uintptr_t)m->slots[i].value);
}
