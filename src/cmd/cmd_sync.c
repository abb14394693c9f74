#include "cmd/cmd.h"

#include "sync/endpoint.h"
#include "sync/sync.h"
#include "sync/sync_options.h"

#include <stdlib.h>
#include <string.h>

static int check_operands(int count, struct err *e)
{
	if (count == 2)
		return 0;
	if (count > 2)
		return err_set(e, ERR_USAGE,
			"one SRC and one DST are wanted, but there are %d paths (to choose several from one "
			"SRC "
			"use --files-from or filter rules)",
			count);
	return err_set(e, ERR_USAGE, count ? "DST is missing" : "SRC and DST are missing");
}

static int run(struct sync_options *o, char **args, int *status, struct err *e)
{
	struct endpoint src, dst;

	if (endpoint_parse(&src, args[0], e) < 0)
		return -1;
	if (endpoint_parse(&dst, args[1], e) < 0) {
		endpoint_release(&src);
		return -1;
	}
	*status = sync_main(o, &src, &dst);
	endpoint_release(&src);
	endpoint_release(&dst);
	return 0;
}

int cmd_sync_run(const struct cmd *self, int argc, char **argv)
{
	struct sync_options o;
	struct err e = {0};
	char **args = NULL;
	int count, status = 0;

	/* as in rsync -h is help only when it stands alone */
	if (argc == 2 && strcmp(argv[1], "-h") == 0)
		return cmd_print_help(self);
	sync_options_init(&o);
	int ret = opt_parse(self->options, &o, argc, argv, &args, &count, &e);
	if (ret == 0 && o.help)
		status = cmd_print_help(self);
	else if (ret == 0 && (ret = check_operands(count, &e)) == 0 &&
		 (ret = sync_options_check(&o, &e)) == 0 && (ret = sync_options_read_files_from(&o, &e)) == 0)
		ret = run(&o, args, &status, &e);
	if (ret < 0)
		status = cmd_fail(self->name, &e);
	free(args);
	sync_options_release(&o);
	return status;
}
