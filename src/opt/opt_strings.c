#include "opt/opt.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

void opt_strings_add(struct opt_strings *s, const char *text)
{
	/* Grown at every power of two, so no capacity has to be kept. */
	if ((s->count & (s->count - 1)) == 0)
		s->v = xreallocarray(s->v, s->count ? s->count * 2 : 1, sizeof(*s->v));
	s->v[s->count++] = xstrdup(text);
}

void opt_strings_release(struct opt_strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct opt_strings){0};
}

enum { WORD_MAX = 40 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment distance: insert, delete, replace, or swap two neighbours. Words of up to WORD_MAX. */
static unsigned distance(const char *a, size_t alen, const char *b, size_t blen)
{
	unsigned row[3][WORD_MAX + 1];
	unsigned *before = row[0], *prev = row[1], *cur = row[2];

	for (size_t j = 0; j <= blen; j++)
		prev[j] = (unsigned)j;
	for (size_t i = 1; i <= alen; i++) {
		cur[0] = (unsigned)i;
		for (size_t j = 1; j <= blen; j++) {
			cur[j] = min3(prev[j] + 1, cur[j - 1] + 1, prev[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < cur[j])
				cur[j] = before[j - 2] + 1;
		}
		unsigned *spare = before;
		before = prev;
		prev = cur;
		cur = spare;
	}
	return prev[blen];
}

const char *opt_nearest(const char *word, const char *const *words)
{
	const char *best = NULL;
	size_t len = strlen(word);
	unsigned best_distance;

	if (len == 0 || len > WORD_MAX)
		return NULL;
	best_distance = (unsigned)(len + 2) / 3 + 1; /* "near": about a third of the letters may be wrong */
	for (; *words; words++) {
		size_t wlen = strlen(*words);
		if (wlen == 0 || wlen > WORD_MAX)
			continue;
		unsigned d = distance(word, len, *words, wlen);
		if (d < best_distance && d < wlen) {
			best_distance = d;
			best = *words;
		}
	}
	return best;
}
