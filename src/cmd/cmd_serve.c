#include "cmd/cmd.h"

#include "cmd/ssh_command.h"
#include "sync/serve.h"

#include <stdlib.h>

#define AT(field) .offset = offsetof(struct serve_options, field)

const struct opt_row cmd_serve_options[] = {
	{.name = "stdio",
		.type = OPT_BOOL,
		AT(stdio),
		.text = "the client is at standard input and output",
		.detail = "Nothing else is served yet, so this must be given."},
	{.name = "root",
		.type = OPT_STRING,
		AT(root),
		.arg = "DIR",
		.text = "serve only what is in DIR (default: everything)",
		.detail = "Paths of the client are taken relative to DIR, a leading slash included.  "
			  "Neither \"..\" nor a symbolic link leads out of it."},
	{.name = "read-only", .type = OPT_BOOL, AT(read_only), .text = "let the client read, not write"},
	{.name = "write-only", .type = OPT_BOOL, AT(write_only), .text = "let the client write, not read"},
	{.name = "help", .letter = 'h', .type = OPT_BOOL, AT(help), .text = "show this list"},
	{.name = NULL},
};

static int check(const struct serve_options *o, int arg_count, struct err *e)
{
	const char *asked = getenv("SSH_ORIGINAL_COMMAND");

	if (arg_count)
		return err_set(e, ERR_USAGE, "serve takes no paths; --root=DIR limits what is served");
	if (!o->stdio)
		return err_set(e, ERR_USAGE, "--stdio must be given: nothing else is served yet");
	if (o->read_only && o->write_only)
		return err_set(e, ERR_USAGE, "--read-only and --write-only together leave nothing to do");
	if (o->root && !*o->root)
		return err_set(e, ERR_USAGE, "--root needs a directory, not an empty name");
	return asked ? ssh_command_check(asked, e) : 0;
}

int cmd_serve_run(const struct cmd *self, int argc, char **argv)
{
	struct serve_options o = {0};
	struct err e = {0};
	char **args = NULL;
	int count, status;

	int ret = opt_parse(self->options, &o, argc, argv, &args, &count, &e);
	if (ret == 0 && o.help)
		status = cmd_print_help(self);
	else if (ret < 0 || check(&o, count, &e) < 0)
		status = cmd_fail(self->name, &e);
	else
		status = serve_main(&o);
	free(args);
	opt_release(self->options, &o);
	return status;
}
