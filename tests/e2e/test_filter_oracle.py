"""
The filter rules against stock rsync: on random trees with random rules, `filter_tool` (tests/tools) must list, and
delete, exactly the paths that rsync does, and refuse the rules that rsync refuses.

Left out on purpose, because src/tree/filter.h says that we differ: merge rules and the e modifier inside per-directory
files, sides and paths of nested dir-merge rules, the x modifier on merge rules, "- word" in word-split files, more than
one "-C", directories whose names contain wildcards.

FILTER_TOOL        the program (default: beside $WHERRY_BIN, or in build/)
WHERRY_EXAMPLES    examples per test
"""

import os
import shutil
import subprocess
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = int(os.environ.get("WHERRY_EXAMPLES", "60"))
RUN = settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize="WHERRY_EXAMPLES" not in os.environ,
               suppress_health_check=list(HealthCheck))
ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/nonexistent"}


def find_tool():
    build = os.path.dirname(os.environ.get("WHERRY_BIN") or os.path.join(HERE, "../../build/wherry"))
    return os.environ.get("FILTER_TOOL") or os.path.join(build, "tests/unit/filter_tool")


TOOL = os.path.abspath(find_tool())
pytestmark = [pytest.mark.skipif(not shutil.which("rsync"), reason="no rsync here"),
              pytest.mark.skipif(not os.path.exists(TOOL), reason="filter_tool is not built")]

# A tree is a dict: path -> None (directory), bytes (file), str (target of a symlink).
DIRS = ["a", "b", "foo", "a/b", "a/foo", "a/b/foo", "foo/bar", "foo/bar/a", "b/x.d", "a b", "a b/b", "CVS"]
NAMES = ["a", "foo", "bar", "x.o", "x.c", "f[o]", "f\\o", "core", "*", "a b", ".hid", "~", "foobar", "\u00e4"]
MERGE_NAMES = [".f", ".g", ".cvsignore"]

piece = st.sampled_from(["a", "b", "foo", "bar", "o", "x", "*", "**", "***", "?", "[a-f]", "[!a]", "[^a-]", "[]a]",
                         "[[:alpha:]]", "[[:digit:].]", "[a", "[[:no:]]", "[\\]a]", "\\", "\\*", ".", ".o", "/", "/",
                         "/", "/", "//", " ", "f*", "*o", "*.?", "\u00e4", "~", "["])
pattern = st.one_of(
    st.sampled_from(["foo", "*.o", "/a", "a/", "*", "*/", "/foo/**", "foo/***", "**/foo", "a/**/foo", "/a/b", "b/foo",
                     "f\\o", "f\\\\o*", "f[[]o]", "*o*", "**", "***", "/*", "/*/", "/**/", "a b", "[a-f]*", "CVS", "**b",
                     "a**foo", "/a b/b", "foo/bar/", "/", "b*/", "*/*/*"]),
    st.lists(piece, min_size=1, max_size=5).map("".join))
modifiers = st.sampled_from(["", "", "", "", "", "/", "!", "s", "r", "sr", "p", "x", "!p", "/!", "C"])
separator = st.sampled_from([" ", " ", " ", "_"])


@st.composite
def simple_rule(draw):
    name = draw(st.sampled_from(["-", "-", "-", "+", "H", "S", "P", "R", "exclude", "include", "hide", "show",
                                 "protect", "risk"]))
    mods = draw(modifiers)
    side = name not in "-+" and name not in ("exclude", "include")
    if side:
        mods = mods.replace("s", "").replace("r", "").replace("C", "")
    if "C" in mods:
        return name + ("," if len(name) > 1 else "") + mods
    comma = "," if mods and (len(name) > 1 or draw(st.booleans())) else ""
    return name + comma + mods + draw(separator) + draw(pattern)


@st.composite
def dir_merge(draw, top=True):
    mods = draw(st.sampled_from(["", "", "", "e", "n", "-", "+", "w-", "s", "r", "p-", "n-", "C", "sC", "/", "en-", "w+"]))
    if not top:  # rsync drops a nested dir-merge for the other side unread; we read it and then ignore its rules
        mods = mods.translate(str.maketrans("", "", "esr"))
    name = draw(st.sampled_from(MERGE_NAMES + (["/.f", "sub/.g", "./.f"] if top else [])))
    return draw(st.sampled_from([":", "dir-merge,"])) + mods + " " + name


def asks_cvs(text):
    return text.rstrip("/!srpx").endswith("C") and not text.startswith((":", "dir-merge"))


rule = st.one_of(simple_rule(), simple_rule(), simple_rule(), dir_merge(), st.just("!"))
rules = st.lists(rule, min_size=1, max_size=6)
file_line = st.one_of(simple_rule().filter(lambda r: not asks_cvs(r)), dir_merge(False),
                      pattern.map(lambda p: "- " + p), st.sampled_from(["!", "", "# comment", "; other"]))
@st.composite
def trees(draw):
    tree = {}
    for d in draw(st.sets(st.sampled_from(DIRS), min_size=2, max_size=8)):
        parts = d.split("/")
        for i in range(len(parts)):
            tree["/".join(parts[:i + 1])] = None
    for d in [""] + sorted(tree):
        for name in draw(st.sets(st.sampled_from(NAMES), max_size=4)):
            tree.setdefault(d + "/" + name if d else name, b"")
        if draw(st.booleans()):
            tree.setdefault(d + "/lnk" if d else "lnk", "a")
    return tree


@st.composite
def merge_files(draw, tree):
    """Per-directory files in some directories of the tree."""
    for d in [""] + sorted(p for p in tree if tree[p] is None):
        for name in draw(st.sets(st.sampled_from(MERGE_NAMES), max_size=2)):
            lines = draw(st.lists(file_line, max_size=4))
            tree[d + "/" + name if d else name] = "\n".join(lines).encode() + draw(st.sampled_from([b"\n", b""]))
    return tree


def make(tree, root):
    for path in sorted(tree):
        what = tree[path]
        full = os.path.join(root, path)
        if what is None:
            os.makedirs(full, exist_ok=True)
        elif isinstance(what, bytes):
            with open(full, "wb") as f:
                f.write(what)
        else:
            os.symlink(what, full)


def rsync(args):
    p = subprocess.run(["rsync", "-8"] + args, capture_output=True, stdin=subprocess.DEVNULL, env=ENV, check=False)
    return p.returncode, os.fsdecode(p.stdout), os.fsdecode(p.stderr)


def rsync_lists(root, filters, empty):
    rc, out, _ = rsync(["-rln", "--out-format=%n", *filters, root + "/", empty + "/"])
    names = {n.rstrip("/").partition(" -> ")[0] for n in out.split("\n")} - {"", "."}
    return rc, names


def rsync_deletes(root, filters, empty):
    rc, out, err = rsync(["-rlni", "--delete", *filters, empty + "/", root + "/"])
    names, kept = set(), set()
    for line in (out + "\n" + err).split("\n"):
        if line.startswith("*deleting   "):
            names.add(line[12:].rstrip("/"))
        elif line.startswith("cannot delete non-empty directory: "):
            kept.add(line.partition(": ")[2])
    return rc, names - kept


def ours(root, args):
    p = subprocess.run([TOOL, *args, root], capture_output=True, stdin=subprocess.DEVNULL, env=ENV, check=False)
    assert p.returncode in (0, 1), p.stderr.decode(errors="replace")
    return p.returncode, {os.fsdecode(n) for n in p.stdout.split(b"\0")} - {""}, p.stderr.decode(errors="replace")


def one_cvs(given_rules):
    """rsync reads the CVS patterns once, with the modifiers of the first rule that asks for them: leave one."""
    seen = False
    for r in given_rules:
        if not (asks_cvs(r) and seen):
            yield r
        seen |= asks_cvs(r)


def compare(tree, given_rules, wire=False, excluded=False):
    given_rules = list(one_cvs(given_rules))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as base:
        root, empty = base + "/src", base + "/empty"
        os.mkdir(root)
        os.mkdir(empty)
        make(tree, root)
        theirs_args = [a for r in given_rules for a in ("-f", r)]
        ours_args = (["-p"] if wire else []) + theirs_args
        rc, names = rsync_lists(root, theirs_args, empty)
        our_rc, our_names, err = ours(root, ours_args)
        if rc != 0:
            assert our_rc != 0, f"rsync refuses ({rc})"
            return
        assert our_rc == 0, err
        assert our_names == names
        rc, names = rsync_deletes(root, theirs_args + ["--delete-excluded"] * excluded, empty)
        our_rc, our_names, err = ours(root, ["-d"] + ["-x"] * excluded + ours_args)
        assert (rc != 0) == (our_rc != 0), err
        if rc == 0:
            assert our_names == names, "deletion" + " --delete-excluded" * excluded


@RUN
@given(trees(), rules, st.booleans(), st.booleans())
def test_rules_of_the_command_line(tree, given_rules, wire, excluded):
    compare(tree, [r for r in given_rules if not r.startswith((":", "dir-merge"))], wire, excluded)


@RUN
@given(st.data())
def test_per_directory_files(data):
    tree = data.draw(merge_files(data.draw(trees())))
    given_rules = data.draw(st.lists(dir_merge(), min_size=1, max_size=2)) + data.draw(rules)
    compare(tree, data.draw(st.permutations(given_rules)), data.draw(st.booleans()), data.draw(st.booleans()))


@RUN
@given(trees(), st.lists(file_line, max_size=6), st.sampled_from(["", "-", "+", "s", "p", "/", "w-", "C", "e"]),
       st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
def test_merge_file_of_the_user(tree, lines, mods, eol):
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/rules", "wb") as f:
            f.write(eol.join(lines).encode())
        compare(tree, ["." + mods + " " + d + "/rules", "- *.c"])


@RUN
@given(st.text(alphabet="!:.-+HSPRCenwsrpx/,_ fo*", max_size=8).filter(lambda r: "C" not in r and "." not in r and
                                                                     ":" not in r))
def test_refuses_what_rsync_refuses(text):
    compare({"foo": b"", "f": None, "f/o": b""}, [text])


@RUN
@given(trees(), st.lists(st.tuples(st.booleans(), st.one_of(pattern, pattern.map(lambda p: "- " + p),
                                                            pattern.map(lambda p: "+ " + p), st.just("!"))),
                         min_size=1, max_size=5))
def test_old_patterns(tree, patterns):
    with tempfile.TemporaryDirectory() as base:
        root, empty = base + "/src", base + "/empty"
        os.mkdir(root)
        os.mkdir(empty)
        make(tree, root)
        theirs = [("--include=" if inc else "--exclude=") + p for inc, p in patterns]
        rc, names = rsync_lists(root, theirs, empty)
        our_rc, our_names, err = ours(root, [a for inc, p in patterns for a in ("-i" if inc else "-e", p)])
        assert (rc != 0) == (our_rc != 0), err
        if rc == 0:
            assert our_names == names


WILD_TEXTS = ["", "a", "ab", "abc", "a/b", "a/b/c", "foo/bar", "-", "]", "a]", "\\", "[", "[a", "a-b", "\u00e4", "0", "!",
              "^", ":", "abcabc", "aXbXc", "a//b"]


@RUN
@given(st.lists(st.one_of(piece, st.text(alphabet="abc/-[]!^\\*?:", min_size=1, max_size=6)), min_size=1, max_size=5))
def test_wildcards_in_one_directory(pieces):
    """Many names against one pattern."""
    names = {t.replace("/", "_") for t in WILD_TEXTS} - {""}
    tree = {"d": None, "d/e": None}
    for n in names:
        tree[n] = tree["d/" + n] = tree["d/e/" + n] = b""
    compare(tree, ["- " + "".join(pieces)])
