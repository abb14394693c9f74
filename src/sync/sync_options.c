#include "sync/sync_options.h"

#include "base/alloc.h"
#include "base/escape.h"

#include <stdlib.h>
#include <string.h>

enum { BASIS_DIRS_MAX = 20 };

void sync_options_init(struct sync_options *o)
{
	*o = (struct sync_options){
		.recursive = true,
		.links = true,
		.perms = true,
		.times = true,
		.dir_times = true,
		.link_times = true,
		.owner = true,
		.group = true,
		.devices = true,
		.specials = true,
		.hard_links = true,
		.acls = true,
		.xattrs = true,
		.sparse = true,
		.max_delete = -1,
		.fsync = FSYNC_BATCH,
		.contimeout = 30,
	};
}

void sync_options_release(struct sync_options *o)
{
	opt_release(sync_option_table, o);
	free(o->files_list);
	o->files_list = NULL;
	o->files_list_len = 0;
}

static void derive(struct sync_options *o)
{
	if (o->modify_window < 0)
		o->modify_window = 0;
	if (o->files_from && !o->recursive_given)
		o->recursive = false;
	if (!o->perms)
		o->acls = false; /* an ACL says more than the mode it replaces */
	o->dir_times = o->times && !o->omit_dir_times;
	o->link_times = o->times && !o->omit_link_times;
	o->backup |= o->backup_dir != NULL;
	o->del |= o->delete_excluded;
	o->inplace |= o->append_verify;
	if (o->backup && !o->suffix)
		o->suffix = xstrdup(o->backup_dir ? "" : "~");
}

static int check_basis_dirs(const struct sync_options *o, struct err *e)
{
	int kinds = (o->link_dest.count > 0) + (o->compare_dest.count > 0) + (o->copy_dest.count > 0);

	if (kinds > 1)
		return err_set(e, ERR_USAGE,
			"only one of --link-dest, --compare-dest and --copy-dest can be used at a time");
	if (o->link_dest.count + o->compare_dest.count + o->copy_dest.count > BASIS_DIRS_MAX)
		return err_set(e, ERR_USAGE,
			"at most %d --link-dest, --compare-dest or --copy-dest directories", BASIS_DIRS_MAX);
	return 0;
}

static int check_backup(const struct sync_options *o, struct err *e)
{
	if (!o->backup)
		return 0;
	if (strchr(o->suffix, '/'))
		return err_set(e, ERR_USAGE, "--suffix must not contain a slash");
	if (!*o->suffix && !o->backup_dir)
		return err_set(e, ERR_USAGE, "--suffix must not be empty without --backup-dir");
	return 0;
}

static int check_conflicts(const struct sync_options *o, struct err *e)
{
	if (check_basis_dirs(o, e) < 0 || check_backup(o, e) < 0)
		return -1;
	if (o->max_size && o->min_size > o->max_size)
		return err_set(e, ERR_USAGE, "--min-size is larger than --max-size: no file could match");
	if (o->append_verify && o->whole_file)
		return err_set(e, ERR_USAGE, "--append-verify and --whole-file exclude each other");
	return 0;
}

static void add_rule_once(struct sync_options *o, const char *rule)
{
	for (size_t i = 0; i < o->rules.count; i++)
		if (strcmp(o->rules.v[i], rule) == 0)
			return;
	opt_strings_add(&o->rules, rule);
}

/* Rules that options imply stand behind the user's own, as in rsync. */
static void add_implied_rules(struct sync_options *o)
{
	if (o->cvs_exclude) {
		add_rule_once(o, ":C");
		add_rule_once(o, "-C");
	}
	if (o->backup && !o->backup_dir && o->del && !o->delete_excluded) {
		char *rule = xasprintf("P *%s", o->suffix);
		add_rule_once(o, rule);
		free(rule);
	}
}

int sync_options_check(struct sync_options *o, struct err *e)
{
	derive(o);
	if (check_conflicts(o, e) < 0)
		return -1;
	add_implied_rules(o);
	return 0;
}

/* ". FILE", ".n FILE", "merge FILE", "merge,n FILE": reads a file where the rule is evaluated. */
static bool is_merge_rule(const char *rule)
{
	rule += strspn(rule, " \t\n\r\v\f");
	if (*rule == '.')
		return true;
	return strncmp(rule, "merge", 5) == 0 && (rule[5] == '\0' || strchr(" ,_\t", rule[5]));
}

static int refuse_merge_rules(const struct sync_options *o, struct err *e)
{
	struct buf shown;

	for (size_t i = 0; i < o->rules.count; i++) {
		if (!is_merge_rule(o->rules.v[i]))
			continue;
		buf_init(&shown, 4096);
		escape_name(&shown, o->rules.v[i], strnlen(o->rules.v[i], 200));
		err_set(e, ERR_REFUSED, "the peer's filter rule would read a file here: %s",
			buf_cstr(&shown));
		buf_release(&shown);
		return -1;
	}
	return 0;
}

int sync_options_decode(struct sync_options *o, struct cursor *c, struct err *e)
{
	if (opt_decode(sync_option_table, o, c, e) < 0)
		return -1;
	derive(o);
	if (check_conflicts(o, e) < 0)
		return -1;
	return refuse_merge_rules(o, e);
}
