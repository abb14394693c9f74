/* The words of a remote shell command. */
#include "chan/chan.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX_BYTES = 64 << 10 };

struct words {
	char **v;
	size_t count;
};

static void add_word(struct words *w, const char *data, size_t n)
{
	w->v = xreallocarray(w->v, w->count + 2, sizeof(*w->v));
	w->v[w->count++] = xmemdupz(data, n);
	w->v[w->count] = NULL;
}

static void add_str(struct words *w, const char *s)
{
	add_word(w, s, strlen(s));
}

void chan_argv_free(char **argv)
{
	for (size_t i = 0; argv && argv[i]; i++)
		free(argv[i]);
	free(argv);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* One word at *text (not blank) into out, without its quotes: '...' as it is; in "..." and outside, a backslash
 * takes the next character. False when a quote is not closed. */
static bool take_word(const char **text, struct buf *out)
{
	const char *p = *text;
	char quote = 0;

	buf_clear(out);
	for (; *p && (quote || !is_blank(*p)); p++) {
		if (*p == quote)
			quote = 0;
		else if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (*p == '\\' && quote != '\'' && p[1])
			buf_put_u8(out, (uint8_t) * ++p);
		else
			buf_put_u8(out, (uint8_t)*p);
	}
	*text = p;
	return quote == 0 && !out->overflow;
}

static bool split(const char *text, struct words *w)
{
	struct buf word;
	bool good = true;

	buf_init(&word, WORDS_MAX_BYTES);
	for (;;) {
		while (is_blank(*text))
			text++;
		if (!*text || !good)
			break;
		good = take_word(&text, &word);
		add_word(w, word.data ? (const char *)word.data : "", word.len);
	}
	buf_release(&word);
	return good && w->count > 0 && w->v[0][0] != '\0';
}

static bool is_ssh(const char *program)
{
	const char *slash = strrchr(program, '/');

	return strcmp(slash ? slash + 1 : program, "ssh") == 0;
}

char **chan_rsh_argv(const char *rsh, const char *user, const char *host, const char *command, int contimeout)
{
	struct words w = {0};
	char option[64];

	if (!split(rsh, &w)) {
		chan_argv_free(w.v);
		return NULL;
	}
	if (contimeout > 0 && is_ssh(w.v[0])) {
		snprintf(option, sizeof(option), "ConnectTimeout=%d", contimeout);
		add_str(&w, "-o");
		add_str(&w, option);
	}
	if (user && *user) {
		add_str(&w, "-l");
		add_str(&w, user);
	}
	if (host[0] == '-')
		add_str(&w, "--");
	add_str(&w, host);
	add_str(&w, command);
	return w.v;
}
