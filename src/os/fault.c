#include "os/fault.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fault_plan {
	uint64_t crash_at; /* 0 = never */
	uint64_t fail_at;
	bool fail_on; /* also every later one */
	int fail_errno;
	const char *count_file;
};

static struct fault_plan plan;
static pthread_once_t plan_once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t changes;

static int errno_by_name(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} known[] = {
		{"ENOSPC", ENOSPC},
		{"EIO", EIO},
		{"EDQUOT", EDQUOT},
		{"EACCES", EACCES},
		{"EPERM", EPERM},
		{"EROFS", EROFS},
		{"EMFILE", EMFILE},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].number;
	BUG("WHERRY_FAIL_AT: unknown errno name");
}

static void write_count(void)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)atomic_load(&changes));
	int fd = open(plan.count_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		return;
	(void)!write(fd, text, (size_t)n);
	close(fd);
}

static void read_plan(void)
{
	const char *crash = getenv("WHERRY_CRASH_AT");
	const char *fail = getenv("WHERRY_FAIL_AT");

	if (crash)
		plan.crash_at = strtoull(crash, NULL, 10);
	if (fail) {
		char *end;
		plan.fail_at = strtoull(fail, &end, 10);
		plan.fail_on = *end == '+';
		end += plan.fail_on;
		if (*end != ':')
			BUG("WHERRY_FAIL_AT is not N:ERRNO_NAME");
		plan.fail_errno = errno_by_name(end + 1);
	}
	plan.count_file = getenv("WHERRY_FAULT_COUNT");
	if (plan.count_file)
		atexit(write_count);
}

/* Also where nothing is ever changed, the count is written. */
__attribute__((constructor)) static void read_plan_at_start(void)
{
	pthread_once(&plan_once, read_plan);
}

int fault_point(const char *what)
{
	(void)what;
	pthread_once(&plan_once, read_plan);
	uint64_t n = atomic_fetch_add(&changes, 1) + 1;
	if (n == plan.crash_at) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause(); /* other threads may be scheduled before the signal ends us all */
	}
	if (plan.fail_at && (n == plan.fail_at || (plan.fail_on && n > plan.fail_at))) {
		errno = plan.fail_errno;
		return -1;
	}
	return 0;
}
