/*
 * Users and groups: names and numbers through the name service, asked once each; and what this process may do
 * with owners.
 * Role      OS; the first look-up of a name or number may block (name service), later ones take nanoseconds.
 * Lifetime  answers are kept until the process ends: a change of /etc/passwd meanwhile is not seen. A name
 *           service that fails is asked again the next time.
 * Threads   every function may be called from any thread, without a lock when the answer is known;
 *           ids_refresh() while no other thread is asking.
 */
#ifndef WHERRY_OS_IDS_H
#define WHERRY_OS_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Name of a user or group, kept for the life of the process; NULL when it has none. */
const char *ids_user_name(uint32_t uid);
const char *ids_group_name(uint32_t gid);

/* Number of a user or group by its name, into *id; false (and *id as it was) when there is none. */
bool ids_user_id(const char *name, uint32_t *id);
bool ids_group_id(const char *name, uint32_t *id);

/* Is the effective user root? */
bool ids_is_root(void);

/* May this process give files to anybody (CAP_CHOWN in the effective set)? */
bool ids_may_chown(void);

/* Is gid one of the process' own groups (effective or supplementary), which an owner may give a file to? */
bool ids_own_group(uint32_t gid);

/* The process' own groups, without duplicates: *count and a borrowed array, valid for the life of the process. */
const gid_t *ids_own_groups(size_t *count);

/* Ask again what this process is and may do: call after every change of user, groups or capabilities. */
void ids_refresh(void);

/* Load the name service's modules now, before chroot or confine_to() put them out of reach. */
void ids_preload(void);

#endif
