"""
Properties over random trees and random edits, for every pair of endpoint kinds and sets of options:

- after a run the destination is the source, to the last attribute (oracle.py judges);
- a second run finds nothing to do;
- --dry-run -i tells exactly the lines of the real run, and changes nothing.
"""

import os
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trees
from harness import STANDIN
from oracle import assert_same, diff, snapshot

ENDPOINTS = ["local", "push", "pull"]
everywhere = pytest.mark.parametrize("mode", ENDPOINTS)
OPTIONS = [(), ("--checksum",), ("--inplace",), ("--whole-file",), ("--ignore-times",), ("--numeric-ids",),
           ("--compress",), ("--checksum", "--inplace")]


class Room:
    """src and dst for one example, removed at its end."""

    def __init__(self, base):
        self.base = tempfile.mkdtemp(dir=base)
        self.src, self.dst = self.base + "/src", self.base + "/dst"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        trees.remove(self.base)


def state(where):
    return snapshot(where) if os.path.lexists(where) else None


def scattered_groups(src):
    """{path: group} of hard-link groups with members in several directories: which of them leads is a matter of which
    directory is compared first, and directories are compared in parallel."""
    groups = {}
    for path, e in snapshot(src, content=False).items():
        if e.kind != "dir" and e.nlink > 1:
            groups.setdefault(e.inode, set()).add(path)
    return {p: frozenset(g) for g in groups.values() if len({os.path.dirname(p) for p in g}) > 1 for p in g}


def lines(result, scattered):
    """What a run told, as a set; of a scattered group only that something happened to it."""
    return {(None, scattered[name]) if name in scattered else (letters, name) for letters, name in result.items}


def force_if_empty(src):
    """Edits may end with nothing left: that nothing is to be copied has to be said."""
    return () if os.listdir(src) else ("--force-empty",)


def converge(wherry, mode, room, *opts):
    """Dry run, real run, second run; the three claims above."""
    before = state(room.dst)
    told = wherry.copy(mode, room.src + "/", room.dst, "-i", "--dry-run", *opts)
    if not STANDIN:
        assert state(room.dst) == before, "the dry run changed something"
    done = wherry.copy(mode, room.src + "/", room.dst, "-i", *opts)
    if not STANDIN:  # rsync's own dry run does not foresee everything about hard links and devices
        scattered = scattered_groups(room.src)
        assert lines(told, scattered) == lines(done, scattered), "%r\n%r" % (told, done)
    again = wherry.copy(mode, room.src + "/", room.dst, "-i", *opts)
    if "--ignore-times" not in opts:
        assert again.items == [], repr(again)


@everywhere
@given(nodes=trees.tree(), opts=st.sampled_from(OPTIONS))
def test_a_random_tree_arrives(wherry, base, mode, nodes, opts):
    with Room(base) as room:
        trees.build(room.src, nodes)
        converge(wherry, mode, room, *opts)
        assert_same(room.src, room.dst, {"holes"} if "--inplace" in opts else ())


@everywhere
@given(nodes=trees.tree(), ops=trees.edits(), opts=st.sampled_from(OPTIONS))
def test_random_edits_follow(wherry, base, mode, nodes, ops, opts):
    with Room(base) as room:
        trees.build(room.src, nodes)
        wherry.copy(mode, room.src + "/", room.dst)
        trees.apply_edits(room.src, ops)
        converge(wherry, mode, room, "--delete", *force_if_empty(room.src), *opts)
        assert_same(room.src, room.dst, {"holes"} if "--inplace" in opts else ())


@everywhere
@given(old=trees.tree(), new=trees.tree())
def test_any_tree_becomes_any_other(wherry, base, mode, old, new):
    """Not edits of one tree but two that know nothing of each other: every clash of kinds under the same names."""
    with Room(base) as room:
        trees.build(room.src, new)
        trees.build(room.dst, old)
        opts = ["--delete", "--ignore-times"] + (["--force-empty"] if not new and old and not STANDIN else [])
        wherry.copy(mode, room.src + "/", room.dst, *opts)
        assert_same(room.src, room.dst)


@everywhere
@given(old=trees.tree(max_entries=14), new=trees.tree(max_entries=14))
def test_without_delete_nothing_is_lost(wherry, base, mode, old, new):
    with Room(base) as room:
        trees.build(room.src, new)
        trees.build(room.dst, [n for n in old if n.kind != "hardlink"])
        before = snapshot(room.dst)
        wherry.copy(mode, room.src + "/", room.dst, "--ignore-times", "--force", status=(0, 23))
        after = snapshot(room.dst)
        gone = [p for p in before if p not in after and not clash(p, new)]
        assert gone == []
        kept = {p: e for p, e in before.items() if p in after and p not in {n.path for n in new} and e.kind != "dir"}
        assert diff(kept, {p: after[p] for p in kept}, {"root"}) == []


def clash(path, nodes):
    """Some ancestor of path (or path itself) is another kind of thing in the new tree: it had to go."""
    return any(n.kind != "dir" and (path == n.path or path.startswith(n.path + b"/")) for n in nodes)


@pytest.mark.native
@settings(max_examples=8)
@pytest.mark.parametrize("mode", ["relay", "between"])
@given(nodes=trees.tree(), ops=trees.edits())
def test_both_ends_remote(wherry, base, mode, nodes, ops):
    with Room(base) as room:
        trees.build(room.src, nodes)
        wherry.copy(mode, room.src + "/", room.dst)
        assert_same(room.src, room.dst)
        trees.apply_edits(room.src, ops)
        converge(wherry, mode, room, "--delete", *force_if_empty(room.src))
        assert_same(room.src, room.dst)


@settings(max_examples=5)
@pytest.mark.parametrize("mode", ["push", "pull"])
@given(nodes=trees.tree(), ops=trees.edits())
def test_through_real_ssh(wherry, sshd, base, mode, nodes, ops):
    wherry.through(sshd)
    with Room(base) as room:
        trees.build(room.src, nodes)
        wherry.copy(mode, room.src + "/", room.dst)
        assert_same(room.src, room.dst)
        trees.apply_edits(room.src, ops)
        converge(wherry, mode, room, "--delete", *force_if_empty(room.src))
        assert_same(room.src, room.dst)


@pytest.mark.root
@everywhere
@given(nodes=trees.tree(kinds=["file", "file", "dir", "symlink", "hardlink", "fifo"]), ops=trees.edits())
def test_as_user(wherry, base, user, mode, nodes, ops):
    """Somebody without rights, whose own tree it is: everything but owners and trusted attributes is kept."""
    ignore = {"xattrs", "uid", "gid"}
    with Room(base) as room:
        trees.build(room.src, nodes)
        own(room, user)
        wherry.copy(mode, room.src + "/", room.dst, user=user, status=(0, 23))
        trees.apply_edits(room.src, ops)
        own(room, user)
        readable = is_readable(room.src)
        wherry.copy(mode, room.src + "/", room.dst, "--delete", *force_if_empty(room.src), user=user, status=0 if readable else (0, 23))
        if readable:
            assert_same(room.src, room.dst, ignore)


def is_readable(src):
    """By its owner, without rights. An empty directory can be read without being entered."""
    found = snapshot(src)
    filled = {os.path.dirname(p) for p in found if p}
    return all(e.mode & 0o400 and (e.kind == "file" or p not in filled or e.mode & 0o100)
               for p, e in found.items() if e.kind in ("file", "dir"))


def own(room, user):
    for where in (room.base, room.src):
        for d, dirs, files in os.walk(os.fsencode(where)):
            for p in [d] + [os.path.join(d, x) for x in dirs + files]:
                mode = os.lstat(p).st_mode
                os.chown(p, user, user, follow_symlinks=False)
                if not os.path.islink(p):
                    os.chmod(p, mode & 0o7777)
