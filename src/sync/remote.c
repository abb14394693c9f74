#include "sync/remote.h"
int remote_sync(const struct sync_options *o, const struct endpoint *src, const struct endpoint *dst, struct report *report,
	struct sync_counts *counts, struct remote_traffic *traffic, struct err *e)
{
	(void)o; (void)src; (void)dst; (void)report; (void)counts; (void)traffic;
	return err_set(e, ERR_UNSUPPORTED, "x");
}
