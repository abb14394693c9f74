#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct err_info err_table[] = {
	{ERR_NONE, "ok", 0, ERR_RETRY_NEVER, "Everything that was asked for was done."},
	{ERR_USAGE, "usage", 1, ERR_RETRY_NEVER, "Error in the command line or a configuration file."},
	{ERR_VERSION, "version", 2, ERR_RETRY_NEVER, "The peer speaks no protocol version known here."},
	{ERR_SOURCE, "source", 3, ERR_RETRY_NEVER, "The source or destination path cannot be used at all."},
	{ERR_UNSUPPORTED, "unsupported", 4, ERR_RETRY_NEVER,
		"This host or the peer cannot do what was asked."},
	{ERR_IO, "io", 11, ERR_RETRY_LATER, "Error in file input or output."},
	{ERR_PROTOCOL, "protocol", 12, ERR_RETRY_LATER, "The peer broke the protocol."},
	{ERR_CLOSED, "closed", 10, ERR_RETRY_SOON, "The connection ended before the work was done."},
	{ERR_SIGNAL, "signal", 20, ERR_RETRY_NEVER, "Stopped by a signal."},
	{ERR_PARTIAL, "partial", 23, ERR_RETRY_LATER, "Some entries could not be transferred."},
	{ERR_VANISHED, "vanished", 24, ERR_RETRY_SOON,
		"Some source entries vanished or kept changing while they were read."},
	{ERR_MAX_DELETE, "max-delete", 25, ERR_RETRY_NEVER, "The --max-delete limit stopped deletions."},
	{ERR_TIMEOUT, "timeout", 30, ERR_RETRY_SOON, "Nothing was received for --timeout seconds."},
	{ERR_CONNECT_TIMEOUT, "connect-timeout", 35, ERR_RETRY_SOON,
		"No connection within --contimeout seconds."},
	{ERR_NO_SPACE, "no-space", 40, ERR_RETRY_LATER,
		"The destination's disk is full or its quota is used up."},
	{ERR_UNREACHABLE, "unreachable", 41, ERR_RETRY_SOON,
		"The host is unknown, refused the connection, or the login failed."},
	{ERR_NO_REMOTE, "no-remote", 42, ERR_RETRY_NEVER, "The remote host has no usable wherry command."},
	{ERR_REFUSED, "refused", 43, ERR_RETRY_NEVER, "The server's policy forbids what was asked."},
	{ERR_EMPTY, "empty", 44, ERR_RETRY_NEVER,
		"Refused to empty a destination because the source is empty."},
	{ERR_LOCKED, "locked", 45, ERR_RETRY_SOON, "Another run is at work in the same place."},
	{ERR_CONFLICT, "conflict", 46, ERR_RETRY_NEVER, "Two sides changed the same entry."},
	{ERR_INTERNAL, "internal", 70, ERR_RETRY_NEVER, "A bug in wherry; please report it."},
};

const struct err_info *err_info(enum err_code code)
{
	for (size_t i = 0; i < sizeof(err_table) / sizeof(err_table[0]); i++)
		if (err_table[i].code == code)
			return &err_table[i];
	return err_info(ERR_INTERNAL);
}

const struct err_info *err_info_by_status(int exit_status)
{
	for (size_t i = 0; i < sizeof(err_table) / sizeof(err_table[0]); i++)
		if (err_table[i].exit_status == exit_status)
			return &err_table[i];
	return NULL;
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	e->sys = 0;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct err *e, enum err_code code, const char *fmt, ...)
{
	int saved = errno;
	char msg[sizeof(e->text)];
	char why[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg) - sizeof(why), fmt, ap);
	va_end(ap);
	const char *text = strerror_r(saved, why, sizeof(why));
	if (code == ERR_IO && (saved == ENOSPC || saved == EDQUOT))
		code = ERR_NO_SPACE;
	e->code = code;
	e->sys = saved;
	snprintf(e->text, sizeof(e->text), "%.850s: %.128s", msg, text);
	return -1;
}

int err_ctx(struct err *e, const char *fmt, ...)
{
	char msg[sizeof(e->text)];
	char old[sizeof(e->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	memcpy(old, e->text, sizeof(old));
	snprintf(e->text, sizeof(e->text), "%.500s: %.500s", msg, old);
	return -1;
}

void err_clear(struct err *e)
{
	e->code = ERR_NONE;
	e->sys = 0;
	e->text[0] = '\0';
}

_Noreturn void err_bug(const char *file, int line, const char *msg)
{
	fprintf(stderr, "wherry: BUG at %s:%d: %s\n", file, line, msg);
	abort();
}
