#include "sync/chmod.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/escape.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PERM_BITS = 07777, EXEC_BITS = 0111 };

struct change {
	bool dirs_only, files_only;
	bool exec_if_any; /* X: the execute bits only where the entry had one, or is a directory */
	uint32_t keep;    /* bits that stay */
	uint32_t set;     /* bits that are added */
	char copy; /* 'u', 'g', 'o': those of that class are added or taken, as far as copy_mask; 0 = none */
	bool copy_takes;
	uint32_t copy_mask;
};

struct chmod_rules {
	struct change *changes;
	size_t count;
};

/* One change while it is read. */
struct reader {
	const char *p;
	uint32_t umask_bits;
	struct change out;
	uint32_t who;       /* 0700 0070 0007 */
	uint32_t who_extra; /* setuid for u, setgid for g */
	uint32_t perms;     /* rwx as 0..7 */
	uint32_t extra;     /* setuid, setgid, sticky */
};

static bool read_kind(struct reader *r)
{
	for (; *r->p == 'D' || *r->p == 'F'; r->p++) {
		r->out.dirs_only |= *r->p == 'D';
		r->out.files_only |= *r->p == 'F';
	}
	return !(r->out.dirs_only && r->out.files_only);
}

static bool read_octal(struct reader *r)
{
	uint32_t mode = 0;

	for (; *r->p >= '0' && *r->p <= '7'; r->p++) {
		mode = mode * 8 + (uint32_t)(*r->p - '0');
		if (mode > PERM_BITS)
			return false;
	}
	r->out.keep = 0;
	r->out.set = mode;
	return true;
}

static void read_who(struct reader *r)
{
	for (;; r->p++) {
		switch (*r->p) {
		case 'u':
			r->who |= 0700;
			r->who_extra |= S_ISUID;
			break;
		case 'g':
			r->who |= 0070;
			r->who_extra |= S_ISGID;
			break;
		case 'o':
			r->who |= 0007;
			break;
		case 'a':
			r->who |= 0777;
			r->who_extra |= S_ISUID | S_ISGID;
			break;
		default:
			return;
		}
	}
}

static void read_perms(struct reader *r)
{
	for (;; r->p++) {
		switch (*r->p) {
		case 'r':
			r->perms |= 0444;
			break;
		case 'w':
			r->perms |= 0222;
			break;
		case 'X':
			r->out.exec_if_any = true;
			r->perms |= 0111;
			break;
		case 'x':
			r->perms |= 0111;
			break;
		case 's':
			r->extra |= r->who_extra ? r->who_extra : S_ISUID;
			break;
		case 't':
			r->extra |= S_ISVTX;
			break;
		default:
			return;
		}
	}
}

/* "g=u": one letter instead of rwxXst, the bits of that class as they are then. */
static bool read_copy(struct reader *r, char op)
{
	if (*r->p != 'u' && *r->p != 'g' && *r->p != 'o')
		return false;
	uint32_t who = r->who ? r->who : 0777;
	r->out.copy = *r->p++;
	r->out.copy_takes = op == '-';
	r->out.copy_mask = r->who ? who : who & ~r->umask_bits;
	r->out.keep = op == '=' ? PERM_BITS & ~who : PERM_BITS;
	return true;
}

static bool read_symbolic(struct reader *r)
{
	read_who(r);
	char op = *r->p;
	if (op != '+' && op != '-' && op != '=')
		return false;
	r->p++;
	if (read_copy(r, op))
		return true;
	read_perms(r);
	uint32_t who = r->who ? r->who : 0777;
	uint32_t bits = r->perms & who;
	if (!r->who)
		bits &= ~r->umask_bits;
	bits |= r->extra;
	if (op == '-') {
		r->out.keep = PERM_BITS & ~bits;
	} else {
		r->out.set = bits;
		r->out.keep = PERM_BITS;
		if (op == '=')
			r->out.keep &= ~(who | (r->extra ? r->who_extra : 0));
	}
	return true;
}

static bool read_change(struct reader *r)
{
	if (!read_kind(r))
		return false;
	bool ok = *r->p >= '0' && *r->p <= '7' ? read_octal(r) : read_symbolic(r);
	return ok && (*r->p == ',' || *r->p == '\0');
}

static int bad(const char *text, struct err *e)
{
	struct buf shown;

	buf_init(&shown, 1024);
	escape_name(&shown, text, strnlen(text, 200));
	err_set(e, ERR_USAGE, "%s: not a mode change such as D755,F644 or ug+rwX,o-w", buf_cstr(&shown));
	buf_release(&shown);
	return -1;
}

struct chmod_rules *chmod_parse(const char *text, uint32_t umask_bits, struct err *e)
{
	struct chmod_rules *rules = xcalloc(1, sizeof(*rules));
	const char *p = text;

	for (bool more = true; more;) {
		struct reader r = {.p = p, .umask_bits = umask_bits};
		if (!read_change(&r)) {
			bad(text, e);
			chmod_free(rules);
			return NULL;
		}
		rules->changes = xreallocarray(rules->changes, rules->count + 1, sizeof(*rules->changes));
		rules->changes[rules->count++] = r.out;
		more = *r.p == ',';
		p = r.p + 1;
	}
	return rules;
}

void chmod_free(struct chmod_rules *r)
{
	if (!r)
		return;
	free(r->changes);
	free(r);
}

static uint32_t copied_bits(const struct change *c, uint32_t perms)
{
	unsigned shift = c->copy == 'u' ? 6 : c->copy == 'g' ? 3 : 0;

	return c->copy ? ((perms >> shift & 7) * 0111) & c->copy_mask : 0;
}

uint32_t chmod_apply(const struct chmod_rules *r, uint32_t mode)
{
	uint32_t type = mode & ~(uint32_t)PERM_BITS;
	uint32_t perms = mode & PERM_BITS;
	bool is_dir = S_ISDIR(mode);
	bool any_exec = is_dir || (mode & EXEC_BITS);

	for (size_t i = 0; r && i < r->count; i++) {
		const struct change *c = &r->changes[i];
		if (is_dir ? c->files_only : c->dirs_only)
			continue;
		uint32_t set = c->exec_if_any && !any_exec ? c->set & ~(uint32_t)EXEC_BITS : c->set;
		uint32_t copied = copied_bits(c, perms);
		perms = (perms & c->keep) | set;
		perms = c->copy_takes ? perms & ~copied : perms | copied;
	}
	return type | perms;
}
