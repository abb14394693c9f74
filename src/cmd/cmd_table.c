#include "cmd/cmd.h"

#include "base/escape.h"
#include "sync/sync_options.h"

#include <string.h>

const struct opt_row cmd_plain_options[] = {
	{.name = "help",
		.letter = 'h',
		.type = OPT_BOOL,
		.offset = offsetof(struct cmd_plain, help),
		.text = "show this help"},
	{.name = NULL},
};

const struct cmd cmd_table[] = {
	{.name = "sync",
		.text = "make DST equal to SRC, on this machine or over ssh",
		.synopsis = "[OPTIONS] SRC DST",
		.more = "SRC and DST are paths, or [USER@]HOST:PATH over ssh.  SRC/ with a slash at its end\n"
			"means what is in the directory, without one the directory itself.\n"
			"\"man wherry-sync\" tells all, filter rules and exit statuses included.\n",
		.options = sync_option_table,
		.run = cmd_sync_run,
		.operands = CMD_OPERANDS_FILES},
	{.name = "serve",
		.text = "the other end of a sync, started over ssh",
		.synopsis = "--stdio [OPTIONS]",
		.more = "As a forced command in authorized_keys:\n"
			"  restrict,command=\"wherry serve --stdio --root /srv/backup --write-only\" "
			"ssh-ed25519 AAAA...\n",
		.options = cmd_serve_options,
		.run = cmd_serve_run,
		.operands = CMD_OPERANDS_NONE},
	{.name = "help",
		.text = "show what there is, or what one command can do",
		.synopsis = "[COMMAND]",
		.options = cmd_plain_options,
		.run = cmd_help_run,
		.operands = CMD_OPERANDS_COMMANDS},
	{.name = "completion",
		.text = "print completion for a shell",
		.synopsis = "bash|zsh|fish",
		.more = "For example in ~/.bashrc:  . <(wherry completion bash)\n",
		.options = cmd_plain_options,
		.run = cmd_completion_run,
		.operands = CMD_OPERANDS_SHELLS},
	{.name = "manual",
		.text = "print a manual page in mdoc",
		.synopsis = "wherry|sync|serve",
		.options = cmd_plain_options,
		.run = cmd_manual_run,
		.operands = CMD_OPERANDS_NONE,
		.hidden = true},
	{.name = NULL},
};

const struct cmd *cmd_find(const char *name)
{
	for (const struct cmd *c = cmd_table; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

int cmd_unknown(const char *name, struct err *e)
{
	const char *words[16] = {NULL};
	size_t count = 0;
	struct buf shown;

	for (const struct cmd *c = cmd_table; c->name && count < 15; c++)
		if (!c->hidden)
			words[count++] = c->name;
	const char *near = opt_nearest(name, words);
	buf_init(&shown, 4096);
	escape_name(&shown, name, strnlen(name, 100));
	err_set(e, ERR_USAGE, "unknown command \"%s\"%s%s%s", buf_cstr(&shown),
		near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	buf_release(&shown);
	return -1;
}
