"""
Stock rsync as the oracle for everything it shares with wherry: on the same two trees and with the same options,
`rsync -n -i` and `wherry sync -n -i` must tell the same set of lines, and a real run of each must make equal trees.

rsync compares whole seconds unless told --modify-window=-1; wherry compares nanoseconds by default.
Not drawn here, because rsync's own answer is no standard: ACLs whose mask and group class differ (rsync never settles),
renames (wherry tells one move where rsync tells a deletion and a new entry), which name of a hard-link group leads.
"""

import os
import re
import subprocess
import time
import zlib

import pytest
from hypothesis import assume, given, seed, settings
from hypothesis import strategies as st

import trees
from harness import Result, need_tool, set_file
from oracle import diff, snapshot
from test_sync_property import ENDPOINTS, Room, everywhere

EDITS = [k for k in trees.EDIT_KINDS if k not in ("rename", "move", "unlink_hard")]
KINDS = ["file"] * 5 + ["dir"] * 3 + ["symlink", "fifo"] + (["chr"] if trees.IS_ROOT else [])

OPTION_SETS = [
    (), ("--delete",), ("--checksum",), ("--size-only",), ("--ignore-times",), ("--update",), ("--existing",),
    ("--ignore-existing",), ("--delete", "--existing"), ("--max-size=4096",), ("--min-size=100",),
    ("--max-size=1M", "--min-size=1"), ("--no-perms", "--no-acls"), ("--no-times",), ("--no-owner",), ("--no-group",),
    ("--no-xattrs",), ("--no-links",), ("--no-devices",), ("--no-specials",), ("--numeric-ids",), ("--omit-dir-times",),
    ("--omit-link-times",), ("--exclude=*.o",), ("--exclude=*.o", "--delete"), ("--exclude=*.o", "--delete-excluded"),
    ("--include=*/", "--include=*.txt", "--exclude=*"), ("--filter=- /a", "--filter=P b", "--delete"),
    ("--exclude=/lib/", "--delete"), ("--prune-empty-dirs", "--exclude=*.txt"), ("--modify-window=2",),
    ("--chmod=D755,F644",), ("--chmod=go-w,a+r",), ("--delete", "--checksum", "--no-times"), ("--copy-links",),
    ("--safe-links",), ("--one-file-system",), ("--delete", "--max-size=1000"), ("--backup", "--omit-dir-times"),
    ("--backup", "--delete", "--omit-dir-times"),
    ("--inplace",), ("--whole-file",), ("--no-hard-links",),
]


def rsync(src, dst, *opts, rsh=None, mode="local"):
    need_tool("rsync")
    ends = {"local": (src, dst), "push": (src, "x:" + dst), "pull": ("x:" + src, dst)}[mode]
    argv = ["rsync", "-aHAX", "--modify-window=-1", "-i", *(["-e", rsh] if mode != "local" else []), *opts, *ends]
    env = dict(os.environ, LC_ALL="C.UTF-8", HOME=os.path.dirname(dst), REMOTE_HOME=os.path.dirname(dst))
    p = subprocess.run(argv, capture_output=True, env=env, timeout=60)
    return Result(argv, p.returncode, p.stdout, p.stderr, 0)


def same_lines(wherry, mode, room, opts):
    r = rsync(room.src + "/", room.dst, "-n", *opts, rsh=wherry.rsh, mode=mode)
    w = wherry.copy(mode, room.src + "/", room.dst, "-n", "-i", *opts, status=(0, 23, 24, 25))
    assert r.status == w.status, "%r\n%r" % (r, w)
    ours, theirs = set(w.items), set(r.items)
    for letters, name in w.items:
        if letters.startswith("mv "):  # told as a deletion and new entries by rsync: leave both places out
            places = [os.fsencode(letters[3:]).rstrip(b"/"), name.rstrip(b"/")]
            ours = {i for i in ours if not i[1].startswith(tuple(places))}
            theirs = {i for i in theirs if not i[1].startswith(tuple(places))}
    assert ours == theirs, "only wherry: %s\nonly rsync: %s\n%r" % (sorted(ours - theirs), sorted(theirs - ours), w)


def same_result(wherry, mode, room, opts):
    """Both for real, from the same start. Times that are 'now' in both count as equal."""
    start = time.time_ns() - 10**9
    twin = room.base + "/twin"
    subprocess.run(["cp", "-a", room.dst, twin], check=True)
    rsync(room.src + "/", twin, *opts)
    wherry.copy(mode, room.src + "/", room.dst, *opts, status=(0, 23, 24, 25))
    theirs, ours = snapshot(twin), snapshot(room.dst)
    for p in theirs.keys() & ours.keys():
        if start < theirs[p].mtime_ns < time.time_ns() and start < ours[p].mtime_ns < time.time_ns():
            ours[p].mtime_ns = theirs[p].mtime_ns
    lines = diff(theirs, ours, {"holes"})
    assert lines == [], "\n".join(lines)


def comparable(opts, room):
    """rsync goes round in circles of followed symlinks until the kernel stops it, and gives what they point to their own
    attributes; and below something that is no
    directory and is to be left alone it lists what it then cannot make."""
    for path, e in snapshot(room.src, content=False).items():
        full = os.path.join(os.fsencode(room.src), path)
        if "--copy-links" in opts and e.kind == "symlink" and (e.xattrs or os.path.isdir(full)):
            return False
        over = os.path.join(os.fsencode(room.dst), path)
        if "--ignore-existing" in opts and e.kind == "dir" and os.path.lexists(over) and (
                os.path.islink(over) or not os.path.isdir(over)):
            return False
    return True


@pytest.mark.parametrize("opts", OPTION_SETS, ids=" ".join)
def test_same_lines_and_same_result(wherry, base, opts):
    @settings(max_examples=max(5, settings().max_examples // 3))
    @given(mode=st.sampled_from(ENDPOINTS), nodes=trees.tree(max_entries=16, kinds=KINDS, odd=False, acls=False),
           ops=trees.edits(kinds=EDITS))
    def check(mode, nodes, ops):
        with Room(base) as room:
            trees.build(room.src, nodes)
            trees.build(room.dst, nodes)
            trees.apply_edits(room.src, ops)
            assume(comparable(opts, room))
            if not os.listdir(room.src):
                set_file(room.src + "/one", b"1", 1_600_000_000)
            same_lines(wherry, mode, room, opts)
            same_result(wherry, mode, room, opts)

    if settings().derandomize:  # repeatable, but other trees for each set of options
        check = seed(zlib.crc32(" ".join(opts).encode()))(check)
    check()


@everywhere
@given(old=trees.tree(max_entries=12, kinds=KINDS, odd=False, acls=False), new=trees.tree(max_entries=12, kinds=KINDS, odd=False, acls=False))
@settings(max_examples=8)
def test_unrelated_trees(wherry, base, mode, old, new):
    with Room(base) as room:
        trees.build(room.src, new)
        trees.build(room.dst, old)
        set_file(room.src + "/one", b"1", 1_600_000_000)
        same_lines(wherry, mode, room, ("--delete",))
        same_lines(wherry, mode, room, ("--update",))
        same_result(wherry, mode, room, ("--delete",))


def leaders_aside(result):
    """The lines, with followers of hard-link groups told as the leader is."""
    return {(re.sub("^h", "<" if b":" in os.fsencode(result.argv[-1]) else ">", letters), name)
            for letters, name in result.items}


@everywhere
def test_new_destination(wherry, s, mode):
    s.sample(special=False)
    r = rsync(s.src + "/", s.dst, "-n", rsh=wherry.rsh, mode=mode)
    w = wherry.copy(mode, s.src + "/", s.dst, "-n", "-i")
    assert leaders_aside(r) == leaders_aside(w)
    assert not os.path.exists(s.dst)


@everywhere
def test_hard_link_lines(wherry, s, mode):
    trees.build(s.src, [trees.Node(b"a", "file", (1, 9)), trees.Node(b"b", "hardlink", b"a"),
                        trees.Node(b"c", "file", (2, 10)), trees.Node(b"d", "hardlink", b"c")])
    wherry.copy(mode, s.src + "/", s.dst)
    os.unlink(s.dst + "/d")
    r = rsync(s.src + "/", s.dst, "-n", rsh=wherry.rsh, mode=mode)
    w = wherry.copy(mode, s.src + "/", s.dst, "-n", "-i")
    assert set(r.items) == set(w.items), "%r\n%r" % (r, w)


@everywhere
@pytest.mark.parametrize("zero", [False, True])
def test_files_from(wherry, s, mode, zero):
    s.sample(special=False)
    end = b"\0" if zero else b"\n"
    s.write("list", end.join([b"small.txt", b"dir/inner", b"empty-dir", b"link", b"dir/deep/er/leaf", b"hard1"]) + end)
    opts = ["--files-from=" + (s / "list")] + (["--from0"] if zero else [])
    os.mkdir(s.dst)
    same_lines(wherry, mode, s, opts)
    same_result(wherry, mode, s, opts)


@everywhere
def test_files_from_recursive(wherry, s, mode):
    """With -r a named directory goes whole, also when something inside it is named too."""
    s.sample(special=False)
    s.write("list", b"dir\ndir/inner\nsmall.txt\n")
    opts = ["-r", "--files-from=" + (s / "list")]
    os.mkdir(s.dst)
    same_lines(wherry, mode, s, opts)
    same_result(wherry, mode, s, opts)
