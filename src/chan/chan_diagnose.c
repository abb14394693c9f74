#include "chan/chan_diagnose.h"

#include "base/buf.h"
#include "base/escape.h"

#include <string.h>

enum {
	EXIT_SSH_FAILED = 255,
	EXIT_NOT_FOUND = 127,
	EXIT_NOT_RUNNABLE = 126,
	EXIT_SIGNAL = 128,
	SIGNALS = 64
};
enum { LINE_SHOWN = 300 };

/* What ssh says, and what helps. The first row that fits counts. */
static const struct {
	const char *says;
	enum err_code code;
	const char *advice;
} ssh_faults[] = {
	{"IDENTIFICATION HAS CHANGED", ERR_UNREACHABLE,
		"the host's key is another than before: make sure that it is the right host, then forget the "
		"old "
		"key with ssh-keygen -R"},
	{"Host key verification failed", ERR_UNREACHABLE,
		"log in once with ssh to check and accept the host's key"},
	{"Could not resolve hostname", ERR_UNREACHABLE, "the host is unknown: check its name"},
	{"Too many authentication failures", ERR_UNREACHABLE,
		"the login was refused: name one key with IdentityFile and IdentitiesOnly in ~/.ssh/config"},
	{"Permission denied", ERR_UNREACHABLE,
		"the login was refused: check the user's name, and that your key is in authorized_keys "
		"there"},
	{"Connection refused", ERR_UNREACHABLE,
		"no ssh server listens there: check the host's name and port, and that sshd runs"},
	{"timed out", ERR_CONNECT_TIMEOUT,
		"the host does not answer: check that it is up, and the firewalls on the way"},
	{"No route to host", ERR_UNREACHABLE, "check that the host is up, and the network"},
	{"Network is unreachable", ERR_UNREACHABLE, "check this machine's network"},
	{"Bad configuration option", ERR_UNREACHABLE, "mend ~/.ssh/config or --rsh"},
	{"Connection closed by", ERR_UNREACHABLE,
		"the host hung up before the login: look into the log of its sshd"},
	{"Connection reset by", ERR_UNREACHABLE,
		"the host hung up before the login: look into the log of its sshd"},
};

/* The last line with something in it, escaped, into out. */
static const char *last_line(const char *words, struct buf *out)
{
	size_t end = strlen(words);

	while (end && (words[end - 1] == '\n' || words[end - 1] == '\r' || words[end - 1] == ' '))
		end--;
	size_t begin = end;
	while (begin && words[begin - 1] != '\n' && end - begin < LINE_SHOWN)
		begin--;
	buf_clear(out);
	escape_name(out, words + begin, end - begin);
	return buf_cstr(out);
}

static bool is_not_found(const struct chan_end *end)
{
	if (!end->ended || end->status == 0 || end->status == EXIT_SSH_FAILED)
		return false;
	if (end->status == EXIT_NOT_FOUND)
		return true;
	if (end->heard || end->status > EXIT_NOT_FOUND)
		return false;
	return strcasestr(end->words, "command not found") || strstr(end->words, ": not found") ||
	       strstr(end->words, "Unknown command");
}

static void diagnose_ssh(const struct chan_end *end, const char *line, struct err *e)
{
	size_t n = sizeof(ssh_faults) / sizeof(ssh_faults[0]);
	size_t i = 0;

	while (i < n && !strstr(end->words, ssh_faults[i].says))
		i++;
	if (i < n)
		err_set(e, ssh_faults[i].code, "cannot reach %s: %s (%s)", end->host, line,
			ssh_faults[i].advice);
	else
		err_set(e, ERR_UNREACHABLE, "cannot reach %s%s%s (see whether a plain ssh to it works)",
			end->host, *line ? ": " : "", line);
}

static void diagnose_other(const struct chan_end *end, const char *line, struct err *e)
{
	const char *colon = *line ? ": " : "";

	if (!end->ended)
		err_set(e, ERR_CLOSED, "%s closed the connection%s%s", end->host, colon, line);
	else if (end->status == EXIT_SSH_FAILED)
		err_set(e, ERR_CLOSED, "the connection to %s broke%s%s", end->host, colon, line);
	else if (end->status == EXIT_NOT_RUNNABLE)
		err_set(e, ERR_CLOSED, "%s cannot run the wherry command%s%s", end->host, colon, line);
	else if (end->status > EXIT_SIGNAL && end->status < EXIT_SIGNAL + SIGNALS)
		err_set(e, ERR_CLOSED, "the command on %s was stopped by signal %d%s%s", end->host,
			end->status - EXIT_SIGNAL, colon, line);
	else
		err_set(e, ERR_CLOSED, "the command on %s ended with status %d%s%s", end->host, end->status,
			colon, line);
}

void chan_diagnose(const struct chan_end *end, struct err *e)
{
	struct buf out;

	buf_init(&out, LINE_SHOWN * 4 + 1);
	const char *line = last_line(end->words, &out);
	if (is_not_found(end))
		err_set(e, ERR_NO_REMOTE,
			"%s has no 'wherry' command in its PATH; install it there, or give its place with "
			"--remote-command",
			end->host);
	else if (end->ended && end->status == EXIT_SSH_FAILED && !end->heard)
		diagnose_ssh(end, line, e);
	else
		diagnose_other(end, line, e);
	buf_release(&out);
}
