#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>

static const char shells[] = "bash zsh fish";

static void put(struct buf *out, const char *s)
{
	buf_put(out, s, strlen(s));
}

/* The names of all commands that are shown, separated by spaces. */
static void put_commands(struct buf *out)
{
	for (const struct cmd *c = cmd_table; c->name; c++)
		if (!c->hidden)
			buf_printf(out, "%s%s", c == cmd_table ? "" : " ", c->name);
}

/* Words that may stand behind command c, or nothing. */
static void put_operands(const struct cmd *c, struct buf *out)
{
	if (c->operands == CMD_OPERANDS_COMMANDS)
		put_commands(out);
	else if (c->operands == CMD_OPERANDS_SHELLS)
		put(out, shells);
}

static bool has_words(const struct cmd *c)
{
	return c->operands == CMD_OPERANDS_COMMANDS || c->operands == CMD_OPERANDS_SHELLS;
}

/* One completion function per command whose operands are no mere words. */
static void put_functions(const char *shell, struct buf *out)
{
	char name[64] = "wherry ";

	for (const struct cmd *c = cmd_table; c->name; c++) {
		if (c->hidden || has_words(c))
			continue;
		size_t n = strlen(c->name);
		if (n > sizeof(name) - 8)
			BUG("a command with a very long name");
		memcpy(name + 7, c->name, n + 1);
		opt_complete(c->options, shell, name, out);
		put(out, "\n");
	}
}

static void complete_bash(struct buf *out)
{
	put(out, "# bash completion for wherry; made by `wherry completion bash`\n\n");
	put_functions("bash", out);
	put(out, "_wherry()\n{\n"
		 "\tlocal IFS=$' \\t\\n' cur=${COMP_WORDS[COMP_CWORD]}\n"
		 "\tif ((COMP_CWORD == 1)); then\n"
		 "\t\tCOMPREPLY=($(compgen -W '");
	put_commands(out);
	put(out, " --help --version' -- \"$cur\"))\n"
		 "\t\treturn\n"
		 "\tfi\n"
		 "\tcase ${COMP_WORDS[1]} in\n");
	for (const struct cmd *c = cmd_table; c->name; c++) {
		if (c->hidden)
			continue;
		buf_printf(out, "\t%s) ", c->name);
		if (has_words(c)) {
			put(out, "COMPREPLY=($(compgen -W '");
			put_operands(c, out);
			put(out, "' -- \"$cur\")) ;;\n");
		} else {
			buf_printf(out, "_wherry_%s ;;\n", c->name);
		}
	}
	put(out, "\tesac\n}\n\ncomplete -F _wherry wherry\n");
}

static void complete_zsh(struct buf *out)
{
	put(out, "#compdef wherry\n# zsh completion for wherry; made by `wherry completion zsh`\n\n");
	put_functions("zsh", out);
	put(out, "_wherry()\n{\n"
		 "\tlocal -a commands\n"
		 "\tcommands=(");
	for (const struct cmd *c = cmd_table; c->name; c++)
		if (!c->hidden)
			buf_printf(out, "\n\t\t'%s:%s'", c->name, c->text);
	put(out, "\n\t)\n"
		 "\tif ((CURRENT == 2)); then\n"
		 "\t\t_describe command commands\n"
		 "\t\treturn\n"
		 "\tfi\n"
		 "\tlocal command=$words[2]\n"
		 "\tshift words\n"
		 "\t((CURRENT--))\n"
		 "\tcase $command in\n");
	for (const struct cmd *c = cmd_table; c->name; c++) {
		if (c->hidden)
			continue;
		buf_printf(out, "\t%s) ", c->name);
		if (has_words(c)) {
			put(out, "compadd ");
			put_operands(c, out);
			put(out, " ;;\n");
		} else {
			buf_printf(out, "_wherry_%s ;;\n", c->name);
		}
	}
	put(out, "\tesac\n}\n\n"
		 "if [[ $funcstack[1] == _wherry ]]; then\n"
		 "\t_wherry \"$@\"\n"
		 "else\n"
		 "\tcompdef _wherry wherry\n"
		 "fi\n");
}

static void complete_fish(struct buf *out)
{
	put(out, "# fish completion for wherry; made by `wherry completion fish`\n\n");
	for (const struct cmd *c = cmd_table; c->name; c++) {
		if (c->hidden)
			continue;
		buf_printf(out, "complete -c wherry -n __fish_use_subcommand -f -a %s -d '%s'\n", c->name,
			c->text);
		if (has_words(c)) {
			buf_printf(out, "complete -c wherry -n '__fish_seen_subcommand_from %s' -f -a '",
				c->name);
			put_operands(c, out);
			put(out, "'\n");
		} else if (c->operands == CMD_OPERANDS_NONE) {
			buf_printf(
				out, "complete -c wherry -n '__fish_seen_subcommand_from %s' -f\n", c->name);
		}
	}
	put(out, "\n");
	put_functions("fish", out);
}

int cmd_completion_run(const struct cmd *self, int argc, char **argv)
{
	struct err e = {0};
	struct buf out;
	char **args;
	int count, status;

	if (!cmd_parse_plain(self, argc, argv, 1, &args, &count, &status))
		return status;
	const char *shell = count ? args[0] : "";
	buf_init(&out, 1 << 20);
	if (strcmp(shell, "bash") == 0)
		complete_bash(&out);
	else if (strcmp(shell, "zsh") == 0)
		complete_zsh(&out);
	else if (strcmp(shell, "fish") == 0)
		complete_fish(&out);
	else
		err_set(&e, ERR_USAGE, "say for which shell: bash, zsh or fish");
	status = e.code ? cmd_fail(self->name, &e) : cmd_print(&out);
	buf_release(&out);
	free(args);
	return status;
}
