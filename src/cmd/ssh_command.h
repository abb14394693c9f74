/*
 * The command a client asked sshd for when a forced command runs instead (SSH_ORIGINAL_COMMAND).
 * Role      pure computation: the text is taken apart, never executed, and nothing in it changes what the
 *           server does.
 */
#ifndef WHERRY_CMD_SSH_COMMAND_H
#define WHERRY_CMD_SSH_COMMAND_H

#include "base/err.h"

/*
 * 0 when text asks for `wherry serve --stdio ...` or `wherry sync ...`, whatever stands in front (a path,
 * sudo), else -1 with ERR_REFUSED. Words are split as a POSIX shell splits them: quotes and backslashes;
 * nothing is expanded.
 */
int ssh_command_check(const char *text, struct err *e);

#endif
