/* Rules from files: merge files of the user, per-directory files of a tree, and the CVS patterns. */
#include "tree/filter_rule.h"

#include "base/escape.h"
#include "os/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What CVS ignores by default, as rsync(1) lists it under --cvs-exclude. */
static const char cvs_patterns[] =
	"RCS SCCS CVS CVS.adm RCSLOG cvslog.* tags TAGS .make.state .nse_depinfo *~ #* .#* ,* _$* *$ *.old "
	"*.bak "
	"*.BAK *.orig *.rej .del-* *.a *.olb *.o *.obj *.so *.exe *.Z *.elc *.ln core .svn/ .git/ .hg/ .bzr/";

static int fail_sys(const struct rule_parse *p, const char *what, const char *name)
{
	int saved = errno;
	struct buf shown;

	buf_init(&shown, PATH_MAX * 4);
	escape_name(&shown, name, strlen(name));
	errno = saved;
	err_sys(p->e, ERR_IO, "%s filter file %s", what, buf_cstr(&shown));
	buf_release(&shown);
	return -1;
}

/* An fd, -1 with errno. A file of a tree is never followed out of it, and opening it never blocks. */
static int open_file(const struct rule_parse *p, const char *name)
{
	if (p->dir_fd >= 0 && strchr(name, '/'))
		return beneath_open(p->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (p->dir_fd >= 0)
		return openat(p->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (strcmp(name, "-") == 0)
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
}

static int read_all(const struct rule_parse *p, int fd, const char *name, struct buf *data)
{
	enum { STEP = 16384 };

	for (;;) {
		uint8_t *room = buf_reserve(data, STEP);
		if (!room) {
			errno = EFBIG;
			return fail_sys(p, "read", name);
		}
		ssize_t n = read(fd, room, STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_sys(p, "read", name);
		if (n == 0)
			return 0;
		data->len += (size_t)n;
	}
}

/* The whole file. 1, 0 when it does not exist, -1. */
static int slurp(const struct rule_parse *p, const char *name, struct buf *data)
{
	size_t max = p->dir_fd >= 0 ? FILTER_TREE_FILE_MAX : FILTER_USER_FILE_MAX;
	int fd = open_file(p, name);
	struct stat st;
	int rc = -1;

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_sys(p, "open", name);
	if (fstat(fd, &st)) {
		fail_sys(p, "stat", name);
	} else if (p->dir_fd >= 0 && !S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		fail_sys(p, "not a regular file:", name);
	} else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max) {
		errno = EFBIG;
		fail_sys(p, "read", name);
	} else {
		rc = read_all(p, fd, name, data);
	}
	close(fd);
	return rc ? -1 : 1;
}

static int parse_lines(struct rule_parse *p, uint32_t template, const char *s, const char *end)
{
	for (p->line = 1; s < end; p->line++) {
		const char *stop = s;
		while (stop < end && (p->from0 ? *stop != '\0' : *stop != '\n' && *stop != '\r'))
			stop++;
		bool comment = *s == '#' || *s == ';';
		if (stop > s && !comment && rule_parse_text(p, template, s, (size_t)(stop - s)))
			return -1;
		if (end - stop >= 2 && stop[0] == '\r' && stop[1] == '\n')
			stop++;
		s = stop + 1;
	}
	return 0;
}

int rule_file_read(struct rule_parse *p, uint32_t template, const char *name)
{
	struct rule_parse inner = *p;
	struct buf data;

	buf_init(&data, (p->dir_fd >= 0 ? FILTER_TREE_FILE_MAX : FILTER_USER_FILE_MAX) + 16384);
	int rc = slurp(p, name, &data);
	if (rc > 0) {
		const char *s = (const char *)data.data;
		inner.file = name;
		inner.line = 0;
		inner.depth++;
		int bad = template & RULE_WORD_SPLIT ? rule_parse_text(&inner, template, s, data.len)
						     : parse_lines(&inner, template, s, s + data.len);
		p->cleared |= inner.cleared;
		rc = bad ? -1 : 1;
	}
	buf_release(&data);
	return rc;
}

static int add_user_cvs(struct rule_parse *own, uint32_t template)
{
	const char *home = getenv("HOME");
	const char *words = getenv("CVSIGNORE");

	if (home && *home) {
		char *path = xasprintf("%s/.cvsignore", home);
		int rc = rule_file_read(own, template, path);
		free(path);
		if (rc < 0)
			return -1;
	}
	return words ? rule_parse_text(own, template, words, strlen(words)) : 0;
}

/* Built in a list of their own, since a "!" among them clears only them. */
int rule_file_cvs(struct rule_parse *p, uint32_t template)
{
	struct rule_list list;
	struct rule_parse own = *p;

	rule_list_init(&list);
	own.list = &list;
	own.depth++;
	int rc = rule_parse_text(&own, template | RULE_PERISHABLE, cvs_patterns, sizeof(cvs_patterns) - 1);
	if (rc == 0 && p->dir_fd < 0)
		rc = add_user_cvs(&own, template);
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		const struct rule *r = &list.rules[i];
		rule_list_add(p->list, r->pattern, r->len, r->flags, r->base_len);
	}
	rule_list_release(&list);
	return rc;
}
