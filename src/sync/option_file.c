#include "sync/option_file.h"

#include "base/escape.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10 };

static int fail(const char *path, struct err *e)
{
	struct buf shown;
	int saved = errno;

	buf_init(&shown, 4096);
	escape_name(&shown, path, strnlen(path, 500));
	errno = saved;
	err_sys(e, ERR_SOURCE, "read %s", buf_cstr(&shown));
	buf_release(&shown);
	return -1;
}

static int read_all(int fd, const char *path, struct buf *out, struct err *e)
{
	for (;;) {
		size_t room = out->max - out->len;
		uint8_t *p = buf_reserve(out, room < READ_BYTES ? room : READ_BYTES);
		if (!p || room == 0)
			return err_set(e, ERR_USAGE, "the list is larger than %zu MiB", out->max >> 20);
		ssize_t n = read(fd, p, room < READ_BYTES ? room : READ_BYTES);
		if (n == 0)
			return 0;
		if (n > 0)
			out->len += (size_t)n;
		else if (errno != EINTR)
			return fail(path, e);
	}
}

int option_file_read(const char *path, struct buf *out, struct err *e)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail(path, e);
	int ret = read_all(fd, is_stdin ? "standard input" : path, out, e);
	if (!is_stdin)
		close(fd);
	return ret;
}

char *option_file_next(struct buf *content, size_t *at, bool from0, bool comments)
{
	char *text = (char *)content->data;

	while (*at < content->len) {
		size_t start = *at, end = start;
		while (end < content->len &&
			(from0 ? text[end] != '\0' : text[end] != '\n' && text[end] != '\r'))
			end++;
		*at = end + 1;
		if (end == start || (comments && (text[start] == ';' || text[start] == '#')))
			continue;
		if (end == content->len) { /* no separator behind the last one: make room for the NUL */
			buf_cstr(content);
			text = (char *)content->data;
		}
		text[end] = '\0';
		return text + start;
	}
	return NULL;
}
