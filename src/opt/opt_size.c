/*
 * Sizes as rsync writes them: digits[.digits][suffix][+1|-1]. Suffix B = 1, K M G T P or KiB MiB .. = powers
 * of 1024, KB MB .. = powers of 1000; either case.
 */
#include "opt/opt_size.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { FRACTION_SCALE = 1000000 };

static const char *scan_whole(const char *p, uint64_t *whole, bool *overflow)
{
	*whole = 0;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(*whole, 10u, whole) ||
			__builtin_add_overflow(*whole, (uint64_t)(*p - '0'), whole))
			*overflow = true;
	return p;
}

/* Digits behind the point in millionths; further digits are dropped. */
static const char *scan_fraction(const char *p, uint64_t *fraction)
{
	uint64_t unit = FRACTION_SCALE / 10;

	*fraction = 0;
	for (; isdigit((unsigned char)*p); p++, unit /= 10)
		*fraction += unit * (uint64_t)(*p - '0');
	return p;
}

/* Consume the suffix; 0 when it is none we know. */
static uint64_t scan_suffix(const char **p, char default_suffix)
{
	static const char letters[] = "bkmgtp";
	bool given = **p && **p != '+' && **p != '-';
	int letter = tolower((unsigned char)(given ? **p : default_suffix));
	const char *found = strchr(letters, letter);
	uint64_t base = 1024, factor = 1;

	if (!found || letter == '\0')
		return 0;
	if (given)
		(*p)++;
	if (letter != 'b' && strncasecmp(*p, "ib", 2) == 0) {
		*p += 2;
	} else if (letter != 'b' && (**p == 'b' || **p == 'B')) {
		base = 1000;
		(*p)++;
	}
	for (; found > letters; found--)
		factor *= base;
	return factor;
}

enum opt_size_result opt_size_parse(const char *text, char default_suffix, uint64_t *out)
{
	uint64_t whole, fraction = 0, value;
	bool overflow = false;
	const char *p = scan_whole(text, &whole, &overflow);

	if (*p == '.')
		p = scan_fraction(p + 1, &fraction);
	if (p == text || !strpbrk(text, "0123456789"))
		return OPT_SIZE_MALFORMED;
	uint64_t factor = scan_suffix(&p, default_suffix);
	if (factor == 0)
		return OPT_SIZE_MALFORMED;
	int step = 0;
	if ((p[0] == '+' || p[0] == '-') && p[1] == '1') {
		step = p[0] == '+' ? 1 : -1;
		p += 2;
	}
	if (*p)
		return OPT_SIZE_MALFORMED;
	/* fraction * factor / scale without passing 64 bits: both parts are below the factor */
	uint64_t part =
		factor / FRACTION_SCALE * fraction + factor % FRACTION_SCALE * fraction / FRACTION_SCALE;
	if (overflow || __builtin_mul_overflow(whole, factor, &value) ||
		__builtin_add_overflow(value, part, &value) || value > (uint64_t)INT64_MAX - 1)
		return OPT_SIZE_TOO_LARGE;
	if (step < 0 && value == 0)
		return OPT_SIZE_MALFORMED;
	*out = step < 0 ? value - 1 : value + (uint64_t)step;
	return OPT_SIZE_OK;
}
