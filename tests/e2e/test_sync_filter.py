"""
rsync's rule language as a user writes it: which entries of a known tree arrive, and which are safe from --delete.
test_sync_rsync_oracle.py compares whole random runs with rsync; here stands what each rule means.
"""

import os

import pytest

from oracle import snapshot
from test_sync_property import everywhere

TREE = ["a.txt", "b.o", "keep.o", "core", "lib/core", "lib/x.o", "lib/deep/y.o", "lib/deep/z.txt", "src/main.c", "src/main.o",
        "src/core/inside", "tmp/1", "tmp/2", "tmp/sub/3", "foo/bar/baz", "x/foo/bar/qux", "we ird/na'me", "[x]/y"]


def make(s, names=TREE, top="src"):
    for n in names:
        s.write(top + "/" + n, n.encode())


def arrived(s):
    return sorted(os.fsdecode(p) for p, e in snapshot(s.dst).items() if e.kind == "file")


def without(*gone):
    return sorted(n for n in TREE if not any(n == g or n.startswith(g + "/") for g in gone))


def only(*kept):
    return sorted(kept)


RULES = {
    "name anywhere": (["--exclude=*.o"], without("b.o", "keep.o", "lib/x.o", "lib/deep/y.o", "src/main.o")),
    "anchored": (["--exclude=/core"], without("core")),
    "not anchored": (["--exclude=core"], without("core", "lib/core", "src/core")),
    "directories only": (["--exclude=core/"], without("src/core")),
    "path of two names matches at the end": (["--exclude=foo/bar"], without("foo/bar", "x/foo/bar")),
    "anchored path": (["--exclude=/foo/bar"], without("foo/bar")),
    "star stops at slash": (["--exclude=/lib/*.o"], without("lib/x.o")),
    "two stars do not": (["--exclude=/lib/**.o"], without("lib/x.o", "lib/deep/y.o")),
    "three stars: the directory and all below": (["--exclude=/lib/***"], without("lib")),
    "dir/** leaves the directory": (["--exclude=/tmp/**"], without("tmp/1", "tmp/2", "tmp/sub")),
    "question mark": (["--exclude=/tmp/?"], without("tmp/1", "tmp/2")),
    "set": (["--exclude=[bk]*.o"], without("b.o", "keep.o")),
    "negated set": (["--exclude=[!b]*.o"], without("keep.o", "lib/x.o", "lib/deep/y.o", "src/main.o")),
    "class": (["--exclude=/tmp/[[:digit:]]"], without("tmp/1", "tmp/2")),
    "escaped": ([r"--exclude=\[x\]"], without("[x]")),
    "blanks and quotes": (["--exclude=na'me"], without("we ird/na'me")),
    "first match wins": (["--include=keep.o", "--exclude=*.o"], without("b.o", "lib/x.o", "lib/deep/y.o", "src/main.o")),
    "first match wins, other way": (["--exclude=*.o", "--include=keep.o"],
                                    without("b.o", "keep.o", "lib/x.o", "lib/deep/y.o", "src/main.o")),
    "only some": (["--include=*/", "--include=*.txt", "--exclude=*"], only("a.txt", "lib/deep/z.txt")),
    "an excluded parent hides what is included": (["--include=/lib/core", "--exclude=/lib"], without("lib")),
    "filter, short": (["--filter=- *.o"], without("b.o", "keep.o", "lib/x.o", "lib/deep/y.o", "src/main.o")),
    "filter, long": (["--filter=exclude *.o"], without("b.o", "keep.o", "lib/x.o", "lib/deep/y.o", "src/main.o")),
    "filter, + and -": (["-f", "+ /lib/***", "-f", "- *"], only(*[n for n in TREE if n.startswith("lib/")])),
    "filter, hide": (["-f", "H core"], without("core", "lib/core", "src/core")),
    "filter, show": (["-f", "S /core", "-f", "H core"], without("lib/core", "src/core")),
    "filter, negated": (["-f", "-! */", "--include=none"], only()),
    "filter, anchored by modifier": (["-f", "-/ /nowhere/lib"], without()),
    "list cleared": (["--exclude=*.o", "-f", "!"], without()),
    "cvs": (["-C"], without("b.o", "keep.o", "lib/x.o", "lib/deep/y.o", "src/main.o", "core", "lib/core", "src/core")),
}


@pytest.mark.parametrize("mode", ["local", "push", "pull"])
@pytest.mark.parametrize("rule", RULES)
def test_rule(wherry, s, mode, rule):
    opts, wanted = RULES[rule]
    make(s)
    wherry.copy(mode, s.src + "/", s.dst, *opts)
    assert arrived(s) == wanted


@everywhere
def test_rules_from_files(wherry, s, mode):
    make(s)
    s.write("exclude", b"# a comment\n; another\n\n*.o\n+ /core\n/tmp/\n")
    wherry.copy(mode, s.src + "/", s.dst, "--exclude-from=" + (s / "exclude"), "--exclude=core")
    assert arrived(s) == without("b.o", "keep.o", "lib/x.o", "lib/deep/y.o", "src/main.o", "tmp", "lib/core", "src/core")


@everywhere
def test_rules_from_standard_input(wherry, s, mode):
    make(s)
    wherry.copy(mode, s.src + "/", s.dst, "--exclude-from=-", input=b"/lib\n/tmp\n")
    assert arrived(s) == without("lib", "tmp")


@everywhere
def test_from_files_with_nul(wherry, s, mode):
    make(s, TREE + ["new\nline"])
    s.write("exclude", b"new\nline\0/lib\0")
    wherry.copy(mode, s.src + "/", s.dst, "-0", "--exclude-from=" + (s / "exclude"))
    assert arrived(s) == without("lib")


@everywhere
def test_merge_file(wherry, s, mode):
    make(s)
    s.write("rules", b"- /lib\n- /tmp\n")
    wherry.copy(mode, s.src + "/", s.dst, "--filter=. " + (s / "rules"))
    assert arrived(s) == without("lib", "tmp")


@everywhere
def test_per_directory_files(wherry, s, mode):
    make(s)
    s.write("src/.rules", b"- *.o\n")
    s.write("src/lib/.rules", b"+ x.o\n- z.txt\n")
    s.write("src/src/.rules", b"- /core\n")
    wherry.copy(mode, s.src + "/", s.dst, "--filter=: .rules")
    wanted = without("b.o", "keep.o", "lib/deep/y.o", "src/main.o", "lib/deep/z.txt", "src/core")
    assert arrived(s) == sorted(wanted + [".rules", "lib/.rules", "src/.rules"])


@everywhere
def test_F_obeys_rsync_filter_files_and_FF_leaves_them_out(wherry, s, mode):
    make(s)
    s.write("src/lib/.rsync-filter", b"- deep\n")
    wherry.copy(mode, s.src + "/", s.dst, "-F")
    assert arrived(s) == sorted(without("lib/deep") + ["lib/.rsync-filter"])
    wherry.copy(mode, s.src + "/", s.dst + "2", "-FF")
    assert sorted(os.fsdecode(p) for p, e in snapshot(s.dst + "2").items() if e.kind == "file") == without("lib/deep")


@everywhere
def test_per_directory_files_that_do_not_inherit(wherry, s, mode):
    make(s)
    s.write("src/lib/.rules", b"- y.o\n- x.o\n")
    wherry.copy(mode, s.src + "/", s.dst, "--filter=dir-merge,n .rules", "--exclude=.rules")
    assert arrived(s) == without("lib/x.o")


# --- and --delete ----------------------------------------------------------------------------------------------------


@everywhere
def test_excluded_entries_are_not_deleted(wherry, s, mode):
    make(s)
    s.write("dst/mine.o", b"1")
    s.write("dst/other", b"1")
    s.write("dst/olddir/x.o", b"1")
    s.write("dst/olddir/x", b"1")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "--exclude=*.o")
    found = arrived(s)
    assert "mine.o" in found and "olddir/x.o" in found
    assert "other" not in found and "olddir/x" not in found


@everywhere
def test_delete_excluded(wherry, s, mode):
    make(s)
    s.write("dst/mine.o", b"1")
    s.write("dst/lib/x.o", b"1")
    wherry.copy(mode, s.src + "/", s.dst, "--delete-excluded", "--exclude=*.o")
    assert arrived(s) == without("b.o", "keep.o", "lib/x.o", "lib/deep/y.o", "src/main.o")


@everywhere
def test_protect_and_risk(wherry, s, mode):
    make(s)
    for n in ("p1", "p2", "x/p1", "other"):
        s.write("dst/" + n, b"1")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "-f", "R /p2", "-f", "P p?")
    found = arrived(s)
    assert "p1" in found and "x/p1" in found and "p2" not in found and "other" not in found


@everywhere
def test_hidden_entries_are_deleted_unless_protected(wherry, s, mode):
    """'hide' speaks of the sending side only: what it hides is not there, so --delete takes it away."""
    make(s)
    s.write("dst/b.o", b"1")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "-f", "H *.o")
    assert "b.o" not in arrived(s)


@everywhere
def test_perishable_rules_do_not_keep_a_directory(wherry, s, mode):
    make(s)
    s.write("dst/gone/junk.o", b"1")
    s.write("dst/lib/junk.o", b"1")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "-f", "-p *.o")
    assert not os.path.exists(s.dst + "/gone")
    assert os.path.exists(s.dst + "/lib/junk.o")


@everywhere
def test_prune_empty_dirs(wherry, s, mode):
    make(s)
    os.makedirs(s.src + "/empty/empty")
    wherry.copy(mode, s.src + "/", s.dst, "-m", "--include=*/", "--include=*.txt", "--exclude=*")
    assert sorted(os.fsdecode(p) for p in snapshot(s.dst)) == ["", "a.txt", "lib", "lib/deep", "lib/deep/z.txt"]


@everywhere
@pytest.mark.native
@pytest.mark.parametrize("bad", ["x nonsense", "-", "merge", ". /no/such/file", "-Q x"])
def test_bad_rules_are_refused(wherry, s, mode, bad):
    make(s)
    wherry.copy(mode, s.src + "/", s.dst, "--filter=" + bad, status=(1, 11))
    assert not os.path.exists(s.dst)


@everywhere
@pytest.mark.root
def test_one_file_system(wherry, s, mounts, mode):
    make(s)
    os.makedirs(s.src + "/mnt")
    mounts.base = s.src
    mounts.tmpfs("1m", "mnt")
    s.write("src/mnt/inside", b"1")
    wherry.copy(mode, s.src + "/", s.dst, "-x")
    assert os.path.isdir(s.dst + "/mnt") and os.listdir(s.dst + "/mnt") == []
    wherry.copy(mode, s.src + "/", s.dst)
    assert os.listdir(s.dst + "/mnt") == ["inside"]
