#include "sync/setup.h"

#include "os/pool.h"

struct filter *setup_filter(const struct sync_options *o, struct err *e)
{
	struct filter *f = filter_new();

	for (size_t i = 0; i < o->rules.count; i++) {
		if (filter_add(f, o->rules.v[i], e) != 0) {
			filter_free(f);
			return NULL;
		}
	}
	return f;
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
