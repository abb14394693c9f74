#include "sync/sync.h"

#include "base/alloc.h"
#include "sync/client.h"
#include "sync/local.h"
#include "sync/remote.h"
#include "sync/report.h"
#include "sync/setup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Renames may wait for a flush with their directories open: ask for all the descriptors we may have. */
static void raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

void sync_process_init(void)
{
	raise_file_limit();
	signal(SIGPIPE, SIG_IGN);
}

static enum err_code sync_result(const struct report *r, const struct err *fatal)
{
	if (fatal && fatal->code != ERR_NONE)
		return fatal->code;
	if (report_error_count(r) > 0)
		return ERR_PARTIAL;
	return report_vanished_count(r) > 0 ? ERR_VANISHED : ERR_NONE;
}

/* Stopped from outside: everything is left so that the next run goes on from here, so there is nothing to do but to say so. */
static void on_signal(int number)
{
	static const char text[] = "\nwherry: stopped by a signal; run again to go on from here\n";

	(void)number;
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)ignored;
	_exit(20); /* ERR_SIGNAL */
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

int sync_main(struct sync_options *opts, const struct endpoint *src, const struct endpoint *dst)
{
	struct err e = {0};
	struct sync_counts counts = {0};
	struct remote_traffic traffic = {0};
	struct report *report = report_new(opts, NULL, NULL, &e);

	if (!report) {
		fprintf(stderr, "wherry: %s\n", e.text);
		return err_info(e.code)->exit_status;
	}
	sync_process_init();
	catch_signals();
	char *from = endpoint_text(src);
	char *to = endpoint_text(dst);
	report_start(report, from, to);
	free(from);
	free(to);
	if (setup_expand_rules(opts, &e) != 0)
		; /* said below */
	else if (!src->remote && !dst->remote)
		local_sync(opts, src->path, src->contents, dst->path, report, &counts, &e);
	else
		remote_sync(opts, src, dst, report, &counts, &traffic, &e);
	enum err_code result = sync_result(report, &e);
	if (result == ERR_NONE)
		result = traffic.result;
	report_end(report, &counts, traffic.in, traffic.out, e.code != ERR_NONE ? &e : NULL, result);
	report_free(report);
	return err_info(result)->exit_status;
}
