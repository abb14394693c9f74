#include "tree/entry.h"

#include <stdlib.h>
#include <string.h>

static const char temp_prefix[] = ".wherry.";
enum { TEMP_PREFIX_LEN = sizeof(temp_prefix) - 1, TEMP_NAME_LEN = TEMP_PREFIX_LEN + 16 + 2 };

void dirlist_init(struct dirlist *l)
{
	*l = (struct dirlist){0};
}

void dirlist_release(struct dirlist *l)
{
	arena_release(&l->arena);
	free(l->entries);
	free(l->stale);
	*l = (struct dirlist){0};
}

struct entry *dirlist_add(struct dirlist *l, const char *name, size_t name_len)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->entries = xreallocarray(l->entries, l->cap, sizeof(*l->entries));
	}
	struct entry *en = &l->entries[l->count++];
	*en = (struct entry){0};
	en->name = arena_memdupz(&l->arena, name, name_len);
	en->name_len = (uint16_t)name_len;
	return en;
}

int entry_name_cmp(const struct entry *a, const struct entry *b)
{
	return strcmp(a->name, b->name);
}

static int compare(const void *a, const void *b)
{
	return entry_name_cmp(a, b);
}

void dirlist_sort(struct dirlist *l)
{
	if (l->count > 1)
		qsort(l->entries, l->count, sizeof(*l->entries), compare);
}

struct entry *dirlist_find(const struct dirlist *l, const char *name)
{
	size_t lo = 0;
	size_t hi = l->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(l->entries[mid].name, name);
		if (c == 0)
			return &l->entries[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

bool entry_name_is_temp(const char *name, size_t len)
{
	if (len != TEMP_NAME_LEN || memcmp(name, temp_prefix, TEMP_PREFIX_LEN) != 0)
		return false;
	for (size_t i = TEMP_PREFIX_LEN; i < TEMP_PREFIX_LEN + 16; i++)
		if (!((name[i] >= '0' && name[i] <= '9') || (name[i] >= 'a' && name[i] <= 'f')))
			return false;
	return name[len - 2] == '.' && (name[len - 1] == 't' || name[len - 1] == 'd');
}

bool entry_name_ok(const char *name, size_t len)
{
	if (len == 0 || len > ENTRY_NAME_MAX || memchr(name, '/', len) || memchr(name, '\0', len))
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return !entry_name_is_temp(name, len);
}
