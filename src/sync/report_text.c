#include "base/escape.h"
#include "sync/plan.h"
#include "sync/report_impl.h"

#include <ctype.h>
#include <inttypes.h>
#include <sys/stat.h>

#define NS_PER_S UINT64_C(1000000000)

void report_put_count(struct buf *b, uint64_t n)
{
	if (n >= 1000) {
		report_put_count(b, n / 1000);
		buf_printf(b, ",%03u", (unsigned)(n % 1000));
	} else {
		buf_printf(b, "%u", (unsigned)n);
	}
}

void report_put_bytes(struct buf *b, uint64_t n)
{
	static const char units[] = {'k', 'M', 'G', 'T', 'P', 'E'};
	uint64_t unit = 1000;
	size_t i = 0;

	if (n < 1000) {
		buf_printf(b, "%u %s", (unsigned)n, n == 1 ? "byte" : "bytes");
		return;
	}
	/* 999,950 is 1.0 MB, not 1000.0 kB */
	while (i + 1 < sizeof(units) && n >= unit * 1000 - unit / 20) {
		unit *= 1000;
		i++;
	}
	uint64_t whole = n / unit;
	uint64_t tenths = (n % unit + unit / 20) / (unit / 10);
	buf_printf(b, "%" PRIu64 ".%u %cB", whole + tenths / 10, (unsigned)(tenths % 10), units[i]);
}

void report_put_seconds(struct buf *b, uint64_t ns)
{
	uint64_t hundredths = (ns + NS_PER_S / 200) / (NS_PER_S / 100);
	uint64_t s = hundredths / 100;

	if (s >= 3600)
		buf_printf(b, "%" PRIu64 " h %02u min", s / 3600, (unsigned)(s / 60 % 60));
	else if (s >= 60)
		buf_printf(b, "%u min %02u s", (unsigned)(s / 60), (unsigned)(s % 60));
	else
		buf_printf(b, "%u.%02u s", (unsigned)s, (unsigned)(hundredths % 100));
}

/* Nearly all names are plain ASCII: those are copied in one piece. */
void report_put_name(struct buf *b, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] < ' ' || name[i] > '~' || name[i] == '\\') {
			escape_name(b, name, len);
			return;
		}
	buf_put(b, name, len);
}

/* rsync's %n%L: "dir/", "link -> target", "hard => leader". The root of the transfer is "./". */
static void put_entry(struct buf *b, const struct msg_event *ev)
{
	if (ev->path_len)
		report_put_name(b, ev->path, ev->path_len);
	else
		buf_put_u8(b, '.');
	if (S_ISDIR(ev->mode))
		buf_put_u8(b, '/');
	if (ev->kind != EVENT_ITEM || !ev->extra_len)
		return;
	if (ev->iflags & ITEM_HLINK)
		buf_put(b, " => ", 4);
	else if (S_ISLNK(ev->mode))
		buf_put(b, " -> ", 4);
	else
		return;
	report_put_name(b, ev->extra, ev->extra_len);
}

static void put_move(struct buf *b, const struct msg_event *ev)
{
	bool dir = S_ISDIR(ev->mode);

	report_put_name(b, ev->extra, ev->extra_len);
	buf_printf(b, "%s -> ", dir ? "/" : "");
	report_put_name(b, ev->path, ev->path_len);
	if (dir)
		buf_put_u8(b, '/');
}

void report_text_item(struct buf *b, const struct msg_event *ev)
{
	char letters[12];

	switch (ev->kind) {
	case EVENT_DELETE:
		buf_put(b, "*deleting   ", 12);
		put_entry(b, ev);
		break;
	case EVENT_MOVE:
		buf_put(b, "mv          ", 12);
		put_move(b, ev);
		break;
	default:
		item_letters(ev->iflags, ev->mode, letters);
		letters[11] = ' ';
		buf_put(b, letters, 12);
		put_entry(b, ev);
	}
}

void report_text_name(struct buf *b, const struct msg_event *ev)
{
	switch (ev->kind) {
	case EVENT_DELETE:
		buf_put(b, "deleting ", 9);
		put_entry(b, ev);
		break;
	case EVENT_MOVE:
		buf_put(b, "moving ", 7);
		put_move(b, ev);
		break;
	default:
		put_entry(b, ev);
	}
}

void report_text_fault(struct buf *b, const struct msg_event *ev)
{
	if (ev->path_len) {
		report_put_name(b, ev->path, ev->path_len);
		buf_put(b, ": ", 2);
	}
	report_put_name(b, ev->extra, ev->extra_len);
}

static uint64_t changes(const struct sync_counts *c)
{
	return c->created + c->updated + c->metadata + c->linked + c->deleted + c->moved;
}

static void put_changes(struct buf *b, const struct sync_counts *c, bool dry)
{
	const struct {
		uint64_t count;
		const char *done;  /* after the number */
		const char *would; /* before it */
	} parts[] = {
		{c->created, "created", "create"},
		{c->updated, "updated", "update"},
		{c->metadata, "with new attributes", "set attributes of"},
		{c->linked, "hard-linked", "hard-link"},
		{c->deleted, "deleted", "delete"},
		{c->moved, "moved", "move"},
	};
	const char *between = dry ? "would " : "";

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!parts[i].count)
			continue;
		buf_printf(b, "%s%s%s", between, dry ? parts[i].would : "", dry ? " " : "");
		report_put_count(b, parts[i].count);
		if (!dry)
			buf_printf(b, " %s", parts[i].done);
		between = ", ";
	}
}

/* "1,204 entries (34.2 MB)" */
static void put_tree(struct buf *b, const struct sync_counts *c)
{
	report_put_count(b, c->entries);
	buf_printf(b, c->entries == 1 ? " entry (" : " entries (");
	report_put_bytes(b, c->total_bytes);
	buf_put_u8(b, ')');
}

static void put_faults(struct buf *b, const struct report *r)
{
	uint64_t errors = r->errors;
	uint64_t vanished = r->vanished;

	if (errors) {
		buf_printf(b, "; ");
		report_put_count(b, errors);
		buf_printf(b, errors == 1 ? " error" : " errors");
	}
	if (vanished) {
		buf_printf(b, "; ");
		report_put_count(b, vanished);
		buf_printf(b, " vanished");
	}
}

void report_text_changes(struct buf *b, const struct report *r, const struct report_totals *t)
{
	const struct sync_counts *c = &t->counts;
	bool clean = !r->errors && !r->vanished && t->result == ERR_NONE;

	if (changes(c)) {
		put_changes(b, c, r->opts->dry_run);
		if (t->fatal) {
			buf_printf(b, " before the run stopped");
		} else if (c->entries) {
			buf_printf(b, " of ");
			put_tree(b, c);
		}
	} else if (t->fatal) {
		return;
	} else {
		buf_printf(b, clean ? "nothing to do" : "nothing was changed");
		if (c->entries) {
			buf_printf(b, clean ? ": " : " of ");
			put_tree(b, c);
		}
		if (clean && c->entries)
			buf_printf(b, c->entries == 1 ? " is up to date" : " are up to date");
	}
	put_faults(b, r);
}

static void put_rate(struct buf *b, uint64_t bytes, uint64_t ns)
{
	double per_second = (double)bytes * 1e9 / (double)(ns ? ns : 1);

	buf_printf(b, " in ");
	report_put_seconds(b, ns);
	buf_printf(b, " (");
	report_put_bytes(b, per_second < 1e18 ? (uint64_t)per_second : UINT64_C(1000000000000000000));
	buf_printf(b, "/s)");
}

/* How many times less went over the wire than the files that changed are long. */
static void put_saving(struct buf *b, uint64_t wire, uint64_t changed)
{
	uint64_t tenths = wire && changed < UINT64_MAX / 10 ? changed * 10 / wire : 0;

	buf_printf(b, "; ");
	if (tenths >= 100) {
		report_put_count(b, tenths / 10);
		buf_printf(b, "x less than the ");
	} else if (tenths > 10) {
		buf_printf(b, "%u.%ux less than the ", (unsigned)(tenths / 10), (unsigned)(tenths % 10));
	}
	report_put_bytes(b, changed);
	buf_printf(b, " changed");
}

static void put_wire(struct buf *b, const struct report_totals *t, bool dry)
{
	buf_printf(b, "sent ");
	report_put_bytes(b, t->wire_out);
	buf_printf(b, ", received ");
	report_put_bytes(b, t->wire_in);
	put_rate(b, t->wire_out + t->wire_in, t->elapsed_ns);
	if (!t->counts.sent_bytes)
		return;
	if (dry) {
		buf_printf(b, "; would transfer ");
		report_put_bytes(b, t->counts.sent_bytes);
	} else {
		put_saving(b, t->wire_out + t->wire_in, t->counts.sent_bytes);
	}
}

void report_text_traffic(struct buf *b, const struct report *r, const struct report_totals *t)
{
	bool dry = r->opts->dry_run;

	if (t->wire_in || t->wire_out) {
		put_wire(b, t, dry);
	} else if (!t->counts.sent_bytes) {
		buf_printf(b, "took ");
		report_put_seconds(b, t->elapsed_ns);
	} else if (dry) {
		buf_printf(b, "would copy ");
		report_put_bytes(b, t->counts.sent_bytes);
		buf_printf(b, "; took ");
		report_put_seconds(b, t->elapsed_ns);
	} else {
		buf_printf(b, "copied ");
		report_put_bytes(b, t->counts.sent_bytes);
		put_rate(b, t->counts.sent_bytes, t->elapsed_ns);
	}
}

void report_text_result(struct buf *b, enum err_code result)
{
	const struct err_info *info = err_info(result);
	size_t start = b->len;

	buf_printf(b, "ended with status %d (%s): ", info->exit_status, info->name);
	size_t text = b->len;
	buf_printf(b, "%s", info->text);
	if (b->len == start || b->len == text)
		return;
	b->data[text] = (uint8_t)tolower(b->data[text]);
	if (b->data[b->len - 1] == '.')
		b->len--;
}
