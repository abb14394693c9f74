/*
 * The index file from hostile bytes. First byte even: the rest is the file. Odd: the rest changes a sound file at
 * places of its choosing, after which header and fence get right check sums again, so that rows are reached.
 * Whatever the file holds: no row answers with another digest than was stored, and the next run works.
 */
#include "base/hash.h"
#include "tree/index.h"
#include "tree/index_file.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 150, HEADER = 64, DEV = 7 };

static char dir[] = "/dev/shm/wherry-fuzz-index-XXXXXX";
static int dir_fd = -1;
static uint8_t sound[16384];
static size_t sound_len;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct index_key key_of(uint64_t ino)
{
	return (struct index_key){
		.dev = DEV, .ino = ino, .size = ino, .mtime = {1000, 1}, .ctime = {1000, 2}};
}

static void fill_digest(uint8_t digest[32], uint64_t ino)
{
	memset(digest, (int)ino, 32);
}

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void store_all(void)
{
	struct index_cache *idx = index_open(dir);
	struct err e;
	uint8_t digest[32];

	for (uint64_t i = 1; i <= ROWS; i++) {
		struct index_key key = key_of(i * 3);
		fill_digest(digest, i * 3);
		if (!index_lookup(idx, &key, digest))
			index_store(idx, &key, digest, INT64_C(2000) * 1000000000);
	}
	index_close(idx, &e);
}

/* Digests that are found must be the right ones; how many are. */
static int check_all(void)
{
	struct index_cache *idx = index_open(dir);
	struct err e;
	uint8_t got[32], want[32];
	int found = 0;

	for (uint64_t i = 0; i <= ROWS * 3 + 3; i++) {
		struct index_key key = key_of(i);
		if (!index_lookup(idx, &key, got))
			continue;
		fill_digest(want, i);
		require(memcmp(got, want, 32) == 0);
		found++;
	}
	index_close(idx, &e);
	return found;
}

static void write_file(const uint8_t *bytes, size_t n)
{
	char name[INDEX_NAME_BYTES];

	index_file_name(DEV, name);
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	close(fd);
}

static void clean_up(void)
{
	char name[INDEX_NAME_BYTES];

	index_file_name(DEV, name);
	unlinkat(dir_fd, name, 0);
	unlinkat(dir_fd, "index.lock", 0);
	rmdir(dir);
}

static void prepare(void)
{
	char name[INDEX_NAME_BYTES];

	require(mkdtemp(dir) != NULL);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	require(dir_fd >= 0 && atexit(clean_up) == 0);
	store_all();
	require(check_all() == ROWS);
	index_file_name(DEV, name);
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, sound, sizeof(sound));
	require(n > HEADER && (size_t)n < sizeof(sound));
	sound_len = (size_t)n;
	close(fd);
}

/* Three bytes each: place (16 bits), value. Then the check sums that guard opening are made right. */
static void write_changed(const uint8_t *data, size_t size)
{
	uint8_t file[sizeof(sound)];
	uint64_t count, seed;

	memcpy(file, sound, sound_len);
	for (; size >= 3; data += 3, size -= 3)
		file[(size_t)(data[0] | data[1] << 8) % sound_len] ^= data[2];
	memcpy(&count, file + 24, sizeof(count));
	memcpy(&seed, file + 32, sizeof(seed));
	if (count <= ROWS) {
		size_t fence = (size_t)((count + 63) / 64) * 8;
		uint64_t check = hash64(file + HEADER + count * sizeof(struct index_row), fence, seed);
		memcpy(file + 40, &check, sizeof(check));
	}
	uint64_t check = hash64(file, 56, 1);
	memcpy(file + 56, &check, sizeof(check));
	write_file(file, sound_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (dir_fd < 0)
		prepare();
	if (size < 1)
		return 0;
	if (data[0] & 1)
		write_changed(data + 1, size - 1);
	else
		write_file(data + 1, size - 1);
	check_all();
	store_all();
	require(check_all() == ROWS);
	return 0;
}
