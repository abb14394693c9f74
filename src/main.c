/*
 * wherry COMMAND ...: finds the command in the table of cmd/ and runs it.
 */
#include "cmd/cmd.h"
#include "config.h"

#include <string.h>

static bool is_any(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* The overview, or the version, to stdout. */
static int about(bool version)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	if (version)
		buf_printf(&out, "wherry %s\n", WHERRY_VERSION);
	else
		cmd_overview(&out);
	int status = cmd_print(&out);
	buf_release(&out);
	return status;
}

int main(int argc, char **argv)
{
	struct err e = {0};
	const char *word = argc > 1 ? argv[1] : NULL;
	const struct cmd *c = word ? cmd_find(word) : NULL;

	if (c)
		return c->run(c, argc - 1, argv + 1);
	if (word && is_any(word, "--help", "-h"))
		return about(false);
	if (word && is_any(word, "--version", "-V"))
		return about(true);
	if (!word)
		err_set(&e, ERR_USAGE, "say what to do, for example: wherry sync SRC DST");
	else if (word[0] == '-')
		err_set(&e, ERR_USAGE,
			"a command comes first, options behind it: wherry sync [OPTIONS] SRC DST");
	else
		cmd_unknown(word, &e);
	return cmd_fail(NULL, &e);
}
