#include "sync/endpoint.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/escape.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int refuse(struct err *e, enum err_code code, const char *text, const char *why)
{
	struct buf shown;

	buf_init(&shown, 4096);
	escape_name(&shown, text, strnlen(text, 500));
	err_set(e, code, "%s: %s", buf_cstr(&shown), why);
	buf_release(&shown);
	return -1;
}

static bool asks_for_contents(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;

	return *last == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0;
}

/* A word that may stand on ssh's command line. */
static bool plain_word(const char *s, size_t n)
{
	if (n == 0 || s[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f)
			return false;
	return true;
}

/* The colon that ends the host, or NULL for a local path. *host and *host_len: the part before it, less
 * "user@" and brackets. */
static const char *find_host(const char *text, const char **host, size_t *host_len)
{
	size_t before_slash = strcspn(text, "/");
	const char *open = memchr(text, '[', before_slash);
	const char *close;

	if (open && (open == text || open[-1] == '@') &&
		(close = memchr(open, ']', before_slash - (size_t)(open - text))) && close[1] == ':') {
		*host = open + 1;
		*host_len = (size_t)(close - open - 1);
		return close + 1;
	}
	const char *colon = memchr(text, ':', before_slash);
	if (!colon)
		return NULL;
	const char *at = memrchr(text, '@', (size_t)(colon - text));
	*host = at ? at + 1 : text;
	*host_len = (size_t)(colon - *host);
	return colon;
}

static int parse_remote(struct endpoint *ep, const char *text, const char *host, size_t host_len,
	const char *colon, struct err *e)
{
	const char *user_end = host > text && host[-1] == '[' ? host - 1 : host;
	size_t user_len = user_end > text ? (size_t)(user_end - text) - 1 : 0;
	bool bracketed = host > text && host[-1] == '[';

	if (!plain_word(host, host_len) || (!bracketed && memchr(host, '[', host_len)))
		return refuse(e, ERR_USAGE, text,
			"no host name before the colon (write ./NAME for a local name with a colon)");
	if (colon[1] == ':')
		return refuse(e, ERR_UNSUPPORTED, text,
			"the rsync protocol is not spoken yet; host:path (one colon) goes over ssh");
	if (user_end > text && !plain_word(text, user_len))
		return refuse(e, ERR_USAGE, text, "no user name before the @");
	ep->remote = true;
	ep->host = xmemdupz(host, host_len);
	ep->user = user_len ? xmemdupz(text, user_len) : NULL;
	ep->path = xstrdup(colon[1] ? colon + 1 : ".");
	return 0;
}

int endpoint_parse(struct endpoint *ep, const char *text, struct err *e)
{
	const char *host = NULL;
	size_t host_len = 0;

	*ep = (struct endpoint){0};
	if (!*text)
		return err_set(
			e, ERR_USAGE, "an empty path names nothing (write . for the current directory)");
	if (strncasecmp(text, "rsync://", 8) == 0)
		return refuse(e, ERR_UNSUPPORTED, text, "the rsync protocol is not spoken yet");
	const char *colon = find_host(text, &host, &host_len);
	if (!colon)
		ep->path = xstrdup(text);
	else if (parse_remote(ep, text, host, host_len, colon, e) < 0)
		return -1;
	ep->contents = asks_for_contents(ep->path);
	return 0;
}

void endpoint_release(struct endpoint *ep)
{
	free(ep->user);
	free(ep->host);
	free(ep->path);
	*ep = (struct endpoint){0};
}
