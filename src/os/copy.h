/*
 * Copy the content of one local file to another: reflink where the file system has it, copy_file_range, or
 * read/write; holes are kept.
 * Role      OS; blocks.
 * Threads   every function may be called from any thread. Each thread that copies owns a 256 KiB buffer.
 */
#ifndef WHERRY_OS_COPY_H
#define WHERRY_OS_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum copy_flag {
	COPY_SPARSE =
		1, /* keep holes, and make holes of zero runs of 4 KiB and more where bytes pass through us */
	COPY_NO_REFLINK =
		2, /* own blocks for the copy: neither FICLONE nor copy_file_range, which may share */
};

/* Copy everything from in (offset 0) to out (empty, offset 0; not O_APPEND). `size_hint` is the size seen by
 * stat; copying goes to the real end of the file. *copied receives the bytes of the file's length that was
 * copied, holes included. 0 or -1 with errno (of reading as of writing). Small files (at most 64 KiB): one
 * read, one write. `progress` (may be NULL) is atomically increased by bytes as they are copied, holes
 * included. `stop` (may be NULL): when it becomes true, -1 with ECANCELED after at most 8 MiB more. The file
 * offsets of both fds are not to be relied on afterwards. */
int copy_file_content(int in, int out, uint64_t size_hint, unsigned flags, uint64_t *copied,
	_Atomic uint64_t *progress, const _Atomic bool *stop);

/* write/pwrite it all: retries short writes and EINTR. 0 or -1 with errno. A fault point each (os/fault.h): for
 * files, not for pipes and sockets. */
int write_all(int fd, const void *data, size_t n);
int pwrite_all(int fd, const void *data, size_t n, uint64_t offset);

/* As pwrite_all, but runs of zeros that fill aligned blocks of 4 KiB are left out: the file must have had no
 * data there. When the data ends in such a run the file is not extended: the caller ends with ftruncate(). */
int pwrite_sparse(int fd, const void *data, size_t n, uint64_t offset);

/* Make [offset, offset + n) read as zeros and take no room, where the file system can; the file does not become longer. 0 or -1 with
 * errno. A fault point. */
int punch_hole(int fd, uint64_t offset, uint64_t n);

/* read/pread until n bytes or end of file. Bytes read or -1. */
int64_t read_full(int fd, void *data, size_t n);
int64_t pread_full(int fd, void *data, size_t n, uint64_t offset);

#endif
