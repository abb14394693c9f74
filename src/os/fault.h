/*
 * Fault points for tests: only in builds with -Dfault=true; otherwise these are nothing.
 * WHERRY_CRASH_AT=N   kill -9 this process just before its N-th change to a file system (counted from 1).
 * WHERRY_FAIL_AT=N:ERRNO_NAME  the N-th change fails with that errno (ENOSPC, EIO, EDQUOT, EACCES, EPERM, EROFS,
 * EMFILE); "N+:ERRNO_NAME" = the N-th and every one after it, as a disk that stays full.
 * WHERRY_FAULT_COUNT=FILE  at exit, write there how many changes there were.
 * Every function in os/ and sync/ that changes a file system calls fault_point() first.
 * Role      OS (tests only).
 * Threads   may be called from any thread; changes are counted across all of them.
 */
#ifndef WHERRY_OS_FAULT_H
#define WHERRY_OS_FAULT_H

#ifdef WHERRY_FAULT
/* 0 = go on; -1 with errno set = pretend the change failed so. `what` is for debuggers. */
int fault_point(const char *what);
#else
static inline int fault_point(const char *what)
{
	(void)what;
	return 0;
}
#endif

#endif
