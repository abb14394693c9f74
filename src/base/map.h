/*
 * Hash map from uint64_t keys to uint64_t values (indexes or pointers cast through uintptr_t).
 * Role      pure computation.
 * Lifetime  caller's storage: u64map_init() .. u64map_release(); does not own what values point to.
 * Threads   one at a time, or any number of readers.
 * Keys are mixed before use; callers hash strings themselves (base/hash.h).
 */
#ifndef WHERRY_BASE_MAP_H
#define WHERRY_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct u64map_slot;
struct u64map {
	struct u64map_slot *slots;
	size_t cap;
	size_t count;
};

void u64map_init(struct u64map *m);
void u64map_release(struct u64map *m);

/* Value of key in *value; false when it is absent. value may be NULL. */
bool u64map_get(const struct u64map *m, uint64_t key, uint64_t *value);

/* Pointer to the value of key, added as 0 when absent (*added tells; may be NULL). Valid until the next
 * insertion. */
uint64_t *u64map_put(struct u64map *m, uint64_t key, bool *added);

/* Remove key; false when it was absent. */
bool u64map_remove(struct u64map *m, uint64_t key);

/* Call fn for every value, as a pointer; in no particular order. */
void u64map_each_value(const struct u64map *m, void (*fn)(void *value));

#endif
