#include "sync/setup.h"

#include "os/pool.h"

enum { KEEPALIVE_MS = 20000 };

struct filter *setup_filter(const struct sync_options *o, bool from_peer, struct err *e)
{
	struct filter *f = filter_new();

	filter_set_from0(f, o->from0);

	for (size_t i = 0; i < o->rules.count; i++) {
		int r = from_peer ? filter_add_peer(f, o->rules.v[i], e) : filter_add(f, o->rules.v[i], e);
		if (r != 0) {
			filter_free(f);
			return NULL;
		}
	}
	return f;
}

int setup_expand_rules(struct sync_options *o, struct err *e)
{
	struct opt_strings expanded = {0};
	struct filter *f = setup_filter(o, false, e);
	struct buf text;

	if (!f)
		return -1;
	buf_init(&text, 64 * 1024);
	for (size_t i = 0; i < filter_count(f); i++) {
		buf_clear(&text);
		filter_rule_text(f, i, &text);
		opt_strings_add(&expanded, buf_cstr(&text));
	}
	buf_release(&text);
	filter_free(f);
	opt_strings_release(&o->rules);
	o->rules = expanded;
	return 0;
}

struct index_cache *setup_index(struct report *report)
{
	struct index_cache *index = index_open(NULL);
	struct err e = {0};

	if (index_warning(index, &e))
		report_note(report, "%s", e.text);
	return index;
}

unsigned setup_threads(const struct sync_options *o)
{
	unsigned n = pool_cpus();

	if (o->threads > 0)
		return (unsigned)o->threads;
	return n < 2 ? 2 : n > 8 ? 8 : n;
}

int setup_keepalive_ms(const struct sync_options *o)
{
	int third = o->timeout * 1000 / 3;

	return third > 0 && third < KEEPALIVE_MS ? third : KEEPALIVE_MS;
}
