/*
 * The prose of the manual pages. Option lists and exit statuses are put in by cmd_manual.c.
 */
#include "cmd/manual.h"

#include <stddef.h>

#define SECTION(t)                                                                                           \
	{                                                                                                    \
		.kind = MANUAL_SECTION, .text = t                                                            \
	}
#define PART(t)                                                                                              \
	{                                                                                                    \
		.kind = MANUAL_PART, .text = t                                                               \
	}
#define PARA(t)                                                                                              \
	{                                                                                                    \
		.kind = MANUAL_PARA, .text = t                                                               \
	}
#define CODE(t)                                                                                              \
	{                                                                                                    \
		.kind = MANUAL_CODE, .text = t                                                               \
	}
#define MDOC(t)                                                                                              \
	{                                                                                                    \
		.kind = MANUAL_MDOC, .text = t                                                               \
	}
#define TERM(m, word, t)                                                                                     \
	{                                                                                                    \
		.kind = MANUAL_TERM, .macro = m, .term = word, .text = t                                     \
	}
#define END                                                                                                  \
	{                                                                                                    \
		.kind = MANUAL_END                                                                           \
	}

const char manual_date[] = "November 21, 2026";

/* --- wherry(1) */

static const struct manual_piece wherry_description[] = {
	PARA("wherry keeps files on many machines the same. "
	     "It is one program; what it does is chosen by its first word."),
	PARA("Its rules are the same everywhere: a reader never sees half a file, an interrupted run can "
	     "simply be "
	     "started again, and nothing is deleted that was not asked for."),
	END,
};

static const struct manual_piece wherry_context[] = {
	PART("Options"),
	TERM("Fl", "-help", "Show the list of commands."),
	TERM("Fl", "-version", "Show the version."),
	SECTION("ENVIRONMENT"),
	TERM("Ev", "WHERRY_RSH", "The command that logs in to other hosts, in place of ssh."),
	TERM("Ev", "XDG_STATE_HOME", "Where wherry keeps what it remembers (default: ~/.local/state)."),
	SECTION("FILES"),
	TERM("Pa", "$XDG_STATE_HOME/wherry/", "What wherry remembers: the index cache."),
	TERM("Pa", "/var/lib/wherry/", "The same for root."),
	END,
};

static const struct manual_piece wherry_conclusion[] = {
	SECTION("EXAMPLES"),
	PARA("Make /srv/copy equal to /srv/data:"),
	CODE("wherry sync --delete /srv/data/ /srv/copy/"),
	PARA("What can sync do?"),
	CODE("wherry help sync"),
	MDOC(".Sh SEE ALSO\n"
	     ".Xr ssh 1 ,\n"
	     ".Xr wherry-serve 1 ,\n"
	     ".Xr wherry-sync 1\n"),
	END,
};

/* --- wherry-sync(1) */

static const struct manual_piece sync_description[] = {
	PARA("Makes DST equal to SRC: what is new or changed is copied, what is equal is left alone. "
	     "Only differences travel. "
	     "Each is a path on this machine, or HOST:PATH for one that is reached by ssh, where wherry must "
	     "be "
	     "installed too. "
	     "Both may be on other hosts: then the source's host sends to the destination's host directly, "
	     "where it can log in to it without being asked for a password, and through this one where not."),
	PARA("Without any option everything is kept that rsync -aHAX keeps: directories and all below them, "
	     "symbolic and "
	     "hard links, devices, permissions, owners, times, access control lists, extended attributes, "
	     "and holes. "
	     "As a user other than root, what only root may set is left as it is; a note counts the device "
	     "nodes that could not be made. "
	     "Nothing is deleted unless --delete is given."),
	PART("Paths"),
	TERM("Ar", "PATH",
		"A path on this machine. "
		"A colon in front of the first slash would mark a host: write ./a:b for a file a:b."),
	TERM("Ar", "[USER@]HOST:PATH",
		"A path on another host, relative to the home directory there unless it begins with a "
		"slash. "
		"HOST may be a name from ssh_config(5)."),
	TERM("Ar", "[USER@][ADDRESS]:PATH", "The same with an IPv6 address: backup@[2001:db8::7]:/srv."),
	PART("The slash at the end of SRC"),
	PARA("A SRC without a slash at its end means the directory itself: it appears in DST under its own "
	     "name. "
	     "A SRC with a slash means what is in it. "
	     "These two do the same:"),
	CODE("wherry sync /srv/data /backup\n"
	     "wherry sync /srv/data/ /backup/data"),
	PARA("A path that is . or .. or ends in /. counts as if it had the slash. "
	     "A slash at the end of DST says that it is a directory, and changes nothing else. "
	     "Mind the slash with --delete: with SRC/ everything in DST that is not in SRC goes."),
	END,
};

static const struct manual_piece sync_context[] = {
	SECTION("FILTER RULES"),
	PARA("Rules are rsync's. "
	     "For each entry they are tried in the order given, and the first that matches decides; where "
	     "none "
	     "matches, the entry is taken. "
	     "When a directory is left out, nothing below it is looked at."),
	TERM("Ic", "- PATTERN",
		"Exclude: not sent, and not deleted at the destination. "
		"--exclude=PATTERN is the same."),
	TERM("Ic", "+ PATTERN",
		"Include. "
		"--include=PATTERN is the same."),
	TERM("Ic", "H PATTERN", "Hide: not sent, but may be deleted at the destination."),
	TERM("Ic", "S PATTERN", "Show: sent after all."),
	TERM("Ic", "P PATTERN", "Protect: not deleted at the destination."),
	TERM("Ic", "R PATTERN", "Risk: may be deleted after all."),
	TERM("Ic", ". FILE", "Merge: read rules from FILE, one a line."),
	TERM("Ic", ": NAME",
		"Dir-merge: in every directory read rules from the file NAME there; they hold in it and "
		"below."),
	TERM("Ic", "!", "Forget all rules so far."),
	PARA("The long words exclude, include, hide, show, protect, risk, merge, dir-merge and clear may be "
	     "written in "
	     "place of the signs. "
	     "Modifiers may stand directly behind a sign: ! (what does not match), / (match the whole path), "
	     "s (when "
	     "sending), r (when deleting), p (does not keep a directory from being deleted), and for merges "
	     "e, n, w, -, + "
	     "and C."),
	PARA("In a pattern * matches anything but a slash, ** anything, ? one character but a slash, and "
	     "[a-z] one of a set. "
	     "A slash at the beginning ties the pattern to the top of the transfer, or to the directory of "
	     "its merge "
	     "file; without one it matches at any depth. "
	     "A slash at the end matches only directories. "
	     "NAME/*** matches a directory and all below it."),
	PARA("Only the C sources below src, and no empty directories:"),
	CODE("wherry sync -m -f '+ /src/' -f '+ /src/**/' -f '+ /src/**.c' -f '- *' host:project/ ."),
	SECTION("ENVIRONMENT"),
	TERM("Ev", "WHERRY_RSH",
		"The command that logs in to other hosts, in place of ssh; --rsh goes before it."),
	TERM("Ev", "XDG_STATE_HOME", "Where the index cache is kept (default: ~/.local/state)."),
	SECTION("FILES"),
	TERM("Pa", ".rsync-filter", "Rules of one directory, obeyed with -F."),
	TERM("Pa", ".cvsignore", "Patterns of one directory, obeyed with -C."),
	TERM("Pa", ".wherry.*",
		"Unfinished files and directories at the destination. "
		"The next run goes on with them and removes what it cannot use."),
	TERM("Pa", "$XDG_STATE_HOME/wherry/",
		"The index cache; it may be deleted at any time. "
		"For root it is in /var/lib/wherry/."),
	END,
};

static const struct manual_piece sync_conclusion[] = {
	SECTION("EXAMPLES"),
	PARA("Show what would happen, then do it:"),
	CODE("wherry sync -n -i --delete /srv/www/ web1:/srv/www/\n"
	     "wherry sync --delete /srv/www/ web1:/srv/www/"),
	PARA("Fetch a directory from a host, as another user, at no more than 2 MiB a second:"),
	CODE("wherry sync --bwlimit=2M backup@db1:/var/backups/pg ."),
	PARA("A snapshot a day, sharing unchanged files with yesterday's:"),
	CODE("wherry sync --link-dest=../2026-11-20 /home/ nas:/snapshots/2026-11-21/"),
	PARA("Only what a list names:"),
	CODE("find . -newer stamp -type f -print0 | wherry sync --files-from=- -0 . mirror:/pub"),
	PARA("Files readable by everyone at the destination, owned by the web server:"),
	CODE("wherry sync --chmod=D755,F644 --chown=www-data:www-data site/ web1:/srv/www/"),
	PARA("A host behind another one, and a wherry that is not in PATH:"),
	CODE("wherry sync -e 'ssh -J gate' --remote-command=/opt/wherry/bin/wherry data/ inner:/srv/data/"),
	MDOC(".Sh DIAGNOSTICS\n"
	     "With\n"
	     ".Fl i\n"
	     "every changed entry is shown behind eleven characters, as rsync does:\n"
	     ".Ql YXcstpoguax .\n"
	     "Y is\n"
	     ".Ql <\n"
	     "or\n"
	     ".Ql >\n"
	     "for content sent or received,\n"
	     ".Ql c\n"
	     "for something created or changed here,\n"
	     ".Ql h\n"
	     "for a hard link, and\n"
	     ".Ql \\&.\n"
	     "where only attributes change.\n"
	     ".Ql *deleting\n"
	     "and\n"
	     ".Ql mv\n"
	     "stand in their place for what is deleted, and for what was there under another name.\n"
	     "X is f, d, L, D or S: file, directory, symbolic link, device, special file.\n"
	     "The letters behind stand for content, size, time, permissions, owner, group, access time, ACL "
	     "and\n"
	     "extended attributes; a new entry shows plus signs.\n"
	     ".Sh SEE ALSO\n"
	     ".Xr rsync 1 ,\n"
	     ".Xr ssh 1 ,\n"
	     ".Xr wherry 1 ,\n"
	     ".Xr wherry-serve 1\n"),
	END,
};

/* --- wherry-serve(1) */

static const struct manual_piece serve_description[] = {
	PARA("The other end of wherry sync. "
	     "It is started by the client over ssh and speaks wherry's own protocol on standard input and "
	     "output; "
	     "people only write it into authorized_keys, to say what a key may do."),
	PARA("The process confines itself to the tree that a client asks for, and the kernel enforces it "
	     "where "
	     "it has Landlock. "
	     "With --root nothing outside of DIR can be asked for or reached, be it by links the client "
	     "made. "
	     "Options that name or follow something else are refused then: --backup-dir, --temp-dir, "
	     "--link-dest, --copy-dest, --compare-dest, --copy-links, --copy-unsafe-links, --copy-dirlinks."),
	PARA("Without --root, --read-only and --write-only it also sends to another host when the client "
	     "asks for "
	     "that, with the ssh and the keys of its own user."),
	PART("As a forced command"),
	PARA("A line in ~/.ssh/authorized_keys that lets a key deliver files to one directory, and do "
	     "nothing else:"),
	CODE("restrict,command=\"wherry serve --stdio --root /srv/backup --write-only\" ssh-ed25519 AAAA... "
	     "user@client"),
	PARA("The client then runs"),
	CODE("wherry sync --delete /home/ server:/home/"),
	PARA("which writes to /srv/backup/home. "
	     "The command that the client asked for is read only to see that it is wherry's; it is never "
	     "executed, "
	     "and its options count for nothing against those in the forced command. "
	     "Deleting, as --delete does, is writing."),
	END,
};

static const struct manual_piece serve_context[] = {
	SECTION("ENVIRONMENT"),
	TERM("Ev", "SSH_ORIGINAL_COMMAND",
		"Set by sshd(8) when a forced command runs: what the client asked for. "
		"Anything but wherry serve or wherry sync is refused."),
	SECTION("FILES"),
	TERM("Pa", "~/.ssh/authorized_keys", "See sshd(8), AUTHORIZED_KEYS FILE FORMAT."),
	END,
};

static const struct manual_piece serve_conclusion[] = {
	SECTION("EXAMPLES"),
	PARA("A key that may only fetch what is in /pub:"),
	CODE("restrict,command=\"wherry serve --stdio --root /pub --read-only\" ssh-ed25519 AAAA... "
	     "mirror@client"),
	MDOC(".Sh SEE ALSO\n"
	     ".Xr wherry 1 ,\n"
	     ".Xr wherry-sync 1 ,\n"
	     ".Xr sshd 8\n"),
	END,
};

const struct manual_page manual_pages[] = {
	{.topic = "wherry",
		.name = "wherry",
		.title = "WHERRY",
		.text = "keep files on many machines the same",
		.synopsis =
			".Nm\n.Ar command\n.Op Ar options\n.Op Ar operands\n.Nm\n.Fl \\-help | \\-version\n",
		.description = wherry_description,
		.context = wherry_context,
		.conclusion = wherry_conclusion},
	{.topic = "sync",
		.name = "wherry-sync",
		.title = "WHERRY-SYNC",
		.text = "make one tree of files equal to another, here or over ssh",
		.synopsis = ".Nm wherry\n.Cm sync\n.Op Ar options\n.Ar SRC DST\n",
		.description = sync_description,
		.context = sync_context,
		.conclusion = sync_conclusion},
	{.topic = "serve",
		.name = "wherry-serve",
		.title = "WHERRY-SERVE",
		.text = "the other end of wherry sync",
		.synopsis = ".Nm wherry\n.Cm serve\n.Fl \\-stdio\n.Op Ar options\n",
		.description = serve_description,
		.context = serve_context,
		.conclusion = serve_conclusion},
	{.topic = NULL},
};
