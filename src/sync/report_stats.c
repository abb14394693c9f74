/* The --stats block. Where rsync has the same figure it stands under rsync's words, for scripts that read it. */
#include "sync/report_impl.h"

#include <sys/resource.h>

static void count_line(struct buf *b, const char *label, uint64_t n)
{
	buf_printf(b, "%s: ", label);
	report_put_count(b, n);
	buf_put_u8(b, '\n');
}

static void bytes_line(struct buf *b, const char *label, uint64_t n, bool human)
{
	buf_printf(b, "%s: ", label);
	if (human) {
		report_put_bytes(b, n);
	} else {
		report_put_count(b, n);
		buf_printf(b, n == 1 ? " byte" : " bytes");
	}
	buf_put_u8(b, '\n');
}

static void cpu_seconds(struct buf *b, const struct timeval *t)
{
	buf_printf(b, "%lld.%02u s", (long long)t->tv_sec, (unsigned)(t->tv_usec / 10000));
}

static void own_cost(struct buf *b, uint64_t elapsed_ns)
{
	struct rusage use;

	buf_printf(b, "Elapsed time: ");
	report_put_seconds(b, elapsed_ns);
	buf_put_u8(b, '\n');
	if (getrusage(RUSAGE_SELF, &use) != 0)
		return;
	buf_printf(b, "CPU time: ");
	cpu_seconds(b, &use.ru_utime);
	buf_printf(b, " user, ");
	cpu_seconds(b, &use.ru_stime);
	buf_printf(b, " system\nPeak memory: ");
	report_put_bytes(b, (uint64_t)use.ru_maxrss * 1024);
	buf_put_u8(b, '\n');
}

void report_text_stats(struct buf *b, const struct report *r, const struct report_totals *t)
{
	const struct sync_counts *c = &t->counts;
	bool human = r->opts->human_readable;

	buf_printf(b, "Number of files: ");
	report_put_count(b, c->entries);
	buf_printf(b, " (reg: ");
	report_put_count(b, c->files);
	buf_printf(b, ", other: ");
	report_put_count(b, c->entries > c->files ? c->entries - c->files : 0);
	buf_printf(b, ")\n");
	count_line(b, "Number of created files", c->created);
	count_line(b, "Number of updated files", c->updated);
	count_line(b, "Number of files with new attributes only", c->metadata);
	count_line(b, "Number of hard links made", c->linked);
	count_line(b, "Number of moved files", c->moved);
	count_line(b, "Number of deleted files", c->deleted);
	count_line(b, "Number of regular files transferred", c->sent_files);
	count_line(b, "Number of files sent again", c->retried);
	count_line(b, "Number of errors", r->errors);
	count_line(b, "Number of vanished files", r->vanished);
	bytes_line(b, "Total file size", c->total_bytes, human);
	bytes_line(b, "Total transferred file size", c->sent_bytes, human);
	bytes_line(b, "Literal data", c->literal_bytes, human);
	bytes_line(b, "Matched data", c->matched_bytes, human);
	bytes_line(b, "Total bytes sent", t->wire_out, human);
	bytes_line(b, "Total bytes received", t->wire_in, human);
	own_cost(b, t->elapsed_ns);
}
