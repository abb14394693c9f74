#include "sync/serve.h"
int serve_main(const struct serve_options *opts)
{
	return (void)opts, 0;
}
