#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>

void cmd_overview(struct buf *out)
{
	buf_printf(out, "wherry keeps files on many machines the same.\n\n"
			"Usage: wherry COMMAND [OPTIONS] ...\n"
			"       wherry --help | --version\n\n"
			"Commands:\n");
	for (const struct cmd *c = cmd_table; c->name; c++)
		if (!c->hidden)
			buf_printf(out, "  %-12s%s\n", c->name, c->text);
	buf_printf(out, "\n\"wherry help COMMAND\" tells more, \"man wherry\" tells all.\n");
}

void cmd_describe(const struct cmd *c, struct buf *out)
{
	buf_printf(out, "Usage: wherry %s %s\n\nIn short: %s.\n\n", c->name, c->synopsis, c->text);
	opt_help(c->options, out);
	if (c->more)
		buf_printf(out, "\n%s", c->more);
}

int cmd_help_run(const struct cmd *self, int argc, char **argv)
{
	struct err e = {0};
	char **args;
	int count, status;
	struct buf out;

	if (!cmd_parse_plain(self, argc, argv, 1, &args, &count, &status))
		return status;
	const struct cmd *topic = count ? cmd_find(args[0]) : NULL;
	buf_init(&out, 1 << 20);
	if (count == 0) {
		cmd_overview(&out);
		status = cmd_print(&out);
	} else if (topic) {
		status = cmd_print_help(topic);
	} else {
		cmd_unknown(args[0], &e);
		status = cmd_fail(self->name, &e);
	}
	buf_release(&out);
	free(args);
	return status;
}
