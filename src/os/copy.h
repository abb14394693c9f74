/*
 * Copy the content of one local file to another: reflink where the file system has it, copy_file_range, or
 * read/write; holes are kept.
 * Role      OS; blocks.
 */
#ifndef WHERRY_OS_COPY_H
#define WHERRY_OS_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum copy_flag {
	COPY_SPARSE = 1 /* keep holes, and make holes of zero runs of 4 KiB and more in small reads */,
	COPY_NO_REFLINK = 2
};

/* Copy everything from in (offset 0) to out (empty, offset 0). `size_hint` is the size seen by stat; copying
 * goes to the real end of the file. *copied receives the bytes of the file's length that was copied. 0 or -1
 * with errno. Small files (at most 64 KiB): one read, one write. `progress` (may be NULL) is atomically
 * increased by bytes as they are copied. `stop` (may be NULL): when it becomes true, -1 with ECANCELED. */
int copy_file_content(int in, int out, uint64_t size_hint, unsigned flags, uint64_t *copied,
	_Atomic uint64_t *progress, const _Atomic bool *stop);

/* write/pwrite it all: retries short writes and EINTR. 0 or -1 with errno. */
int write_all(int fd, const void *data, size_t n);
int pwrite_all(int fd, const void *data, size_t n, uint64_t offset);

/* read/pread until n bytes or end of file. Bytes read or -1. */
int64_t read_full(int fd, void *data, size_t n);
int64_t pread_full(int fd, void *data, size_t n, uint64_t offset);

#endif
