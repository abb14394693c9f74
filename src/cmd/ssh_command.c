#include "cmd/ssh_command.h"

#include "base/buf.h"
#include "base/escape.h"
#include "opt/opt.h"

#include <stdbool.h>
#include <string.h>

enum { COMMAND_MAX = 64 << 10 };

/* Copy up to the closing quote; the position behind it, or NULL when it is missing. */
static const char *quoted(const char *p, struct buf *word)
{
	char quote = *p++;

	for (; *p && *p != quote; p++) {
		if (quote == '"' && *p == '\\' && p[1] && strchr("\"\\$`", p[1]))
			p++;
		buf_put_u8(word, (uint8_t)*p);
	}
	return *p ? p + 1 : NULL;
}

/* One word from p on into *word; the position behind it, or NULL when quoting is broken. */
static const char *next_word(const char *p, struct buf *word)
{
	buf_clear(word);
	while (p && *p && !strchr(" \t\n", *p)) {
		if (*p == '\'' || *p == '"') {
			p = quoted(p, word);
		} else if (*p == '\\') {
			if (!*++p)
				return NULL;
			buf_put_u8(word, (uint8_t)*p++);
		} else {
			buf_put_u8(word, (uint8_t)*p++);
		}
	}
	return p;
}

static bool split(const char *text, struct opt_strings *words)
{
	struct buf word;
	const char *p = text;

	if (strnlen(text, COMMAND_MAX) == COMMAND_MAX)
		return false;
	buf_init(&word, COMMAND_MAX);
	while (p && *(p += strspn(p, " \t\n"))) {
		p = next_word(p, &word);
		if (p)
			opt_strings_add(words, buf_cstr(&word));
	}
	buf_release(&word);
	return p != NULL;
}

static bool is_wherry(const char *word)
{
	const char *slash = strrchr(word, '/');

	return strncmp(slash ? slash + 1 : word, "wherry", 6) == 0;
}

static bool asks_for_us(const struct opt_strings *words)
{
	for (size_t i = 0; i + 1 < words->count; i++) {
		if (!is_wherry(words->v[i]))
			continue;
		if (strcmp(words->v[i + 1], "sync") == 0)
			return true;
		if (strcmp(words->v[i + 1], "serve") != 0)
			return false;
		for (size_t k = i + 2; k < words->count; k++)
			if (strcmp(words->v[k], "--stdio") == 0)
				return true;
		return false;
	}
	return false;
}

int ssh_command_check(const char *text, struct err *e)
{
	struct opt_strings words = {0};
	struct buf shown;
	bool ok = split(text, &words) && asks_for_us(&words);

	opt_strings_release(&words);
	if (ok)
		return 0;
	buf_init(&shown, 4096);
	escape_name(&shown, text, strnlen(text, 200));
	err_set(e, ERR_REFUSED, "this key is only for wherry, not for: %s", buf_cstr(&shown));
	buf_release(&shown);
	return -1;
}
