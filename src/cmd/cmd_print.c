#include "cmd/cmd.h"

#include <stdio.h>
#include <stdlib.h>

int cmd_print(const struct buf *out)
{
	struct err e = {0};

	if (out->overflow)
		BUG("a help text larger than its buffer");
	if (fwrite(out->data, 1, out->len, stdout) == out->len && fflush(stdout) == 0)
		return 0;
	err_sys(&e, ERR_IO, "write to standard output");
	return cmd_fail(NULL, &e);
}

int cmd_print_help(const struct cmd *c)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	cmd_describe(c, &out);
	int status = cmd_print(&out);
	buf_release(&out);
	return status;
}

int cmd_fail(const char *name, const struct err *e)
{
	const char *space = name ? " " : "";

	name = name ? name : "";
	fprintf(stderr, "wherry%s%s: %s\n", space, name, e->text);
	if (e->code == ERR_USAGE)
		fprintf(stderr, "\"wherry help%s%s\" shows how it is used.\n", space, name);
	return err_info(e->code)->exit_status;
}

bool cmd_parse_plain(const struct cmd *self, int argc, char **argv, int max_args, char ***args,
	int *arg_count, int *status)
{
	struct cmd_plain o = {0};
	struct err e = {0};

	if (opt_parse(self->options, &o, argc, argv, args, arg_count, &e) < 0) {
		*status = cmd_fail(self->name, &e);
		return false;
	}
	if (!o.help && *arg_count <= max_args)
		return true;
	if (o.help) {
		*status = cmd_print_help(self);
	} else {
		err_set(&e, ERR_USAGE, "too many arguments; usage: wherry %s %s", self->name, self->synopsis);
		*status = cmd_fail(self->name, &e);
	}
	free(*args);
	return false;
}
