"""
What was only renamed is renamed, not sent: files, directories as a whole, moves with changes, swaps, and all the ways in
which believing a name would be wrong. Bytes on the line are counted by the test itself.
"""

import os
import subprocess

import pytest

import trees
from harness import set_file
from oracle import assert_same
from test_sync_property import everywhere
from test_sync_resume import counter  # noqa: F401  (a fixture)
from trees import Node, build

pytestmark = pytest.mark.native
remote = pytest.mark.parametrize("mode", ["push", "pull"])


def synced(wherry, mode, s, nodes=None):
    if nodes is None:
        nodes = [Node(b"tree", "dir", mode=0o755)] + trees.many(120, dirs=5, size_max=60_000, prefix=b"tree/")
        for i in range(4):
            nodes.append(Node(b"tree/big%d" % i, "file", (1000 + i, 1_500_000)))
    build(s.src, nodes)
    # no two files alike, and nothing that compresses: what is sent shows on the line
    for d, _, names in os.walk(s.src):
        for n in names:
            st = os.lstat(os.path.join(d, n))
            set_file(os.path.join(d, n), os.urandom(st.st_size))
    wherry.copy(mode, s.src + "/", s.dst)
    return sum(n.data[1] for n in nodes if n.kind == "file")


@remote
@pytest.mark.parametrize("what", ["directory", "deeper directory", "into another", "several"])
def test_renamed_directories_cost_nothing(wherry, s, counter, mode, what):  # noqa: F811
    total = synced(wherry, mode, s)
    inode = os.stat(s.dst + "/tree/big0").st_ino
    if what == "directory":
        os.rename(s.src + "/tree", s.src + "/renamed")
    elif what == "deeper directory":
        os.rename(s.src + "/tree/d001", s.src + "/tree/zzz")
    elif what == "into another":
        os.rename(s.src + "/tree/d001", s.src + "/tree/d002/inside")
    else:
        os.rename(s.src + "/tree/d001", s.src + "/x")
        os.rename(s.src + "/tree/d002", s.src + "/tree/d001")
        os.rename(s.src + "/x", s.src + "/tree/d002")
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)
    assert counter() < total // 20, "sent %d of %d bytes" % (counter(), total)
    if what == "directory":
        assert os.stat(s.dst + "/renamed/big0").st_ino == inode, "copied, not renamed"


@remote
def test_renamed_files_cost_nothing(wherry, s, counter, mode):  # noqa: F811
    synced(wherry, mode, s)
    for i in range(4):
        os.rename(s.src + "/tree/big%d" % i, s.src + "/tree/d%03d/moved%d" % (i, i))
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)
    assert counter() < 600_000, "sent %d bytes" % counter()


@everywhere
def test_swapped_names(wherry, s, mode):
    synced(wherry, mode, s)
    a, b = s.src + "/tree/big0", s.src + "/tree/big1"
    os.rename(a, s.src + "/x")
    os.rename(b, a)
    os.rename(s.src + "/x", b)
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)


@everywhere
def test_moved_and_changed(wherry, s, mode):
    synced(wherry, mode, s)
    os.rename(s.src + "/tree", s.src + "/other")
    set_file(s.src + "/other/big0", os.urandom(1_500_000), 1_700_000_000)
    os.unlink(s.src + "/other/big1")
    s.write("src/other/new", b"new")
    s.write("src/tree/in-the-old-place", b"new")
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)


@everywhere
def test_moved_with_other_attributes(wherry, s, mode):
    synced(wherry, mode, s)
    os.rename(s.src + "/tree/big0", s.src + "/elsewhere")
    os.chmod(s.src + "/elsewhere", 0o600)
    os.rename(s.src + "/tree/d001", s.src + "/dir-elsewhere")
    os.chmod(s.src + "/dir-elsewhere", 0o711)
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)


@everywhere
def test_without_delete_the_old_place_stays(wherry, s, mode):
    synced(wherry, mode, s)
    before = s.read("dst/tree/big0")
    os.rename(s.src + "/tree", s.src + "/renamed")
    wherry.copy(mode, s.src + "/", s.dst)
    assert s.read("dst/tree/big0") == before and s.read("dst/renamed/big0") == before


@everywhere
def test_an_extra_file_in_the_old_directory_at_the_destination(wherry, s, mode):
    """The destination's own directory is not exactly the source's old one any more."""
    synced(wherry, mode, s)
    s.write("dst/tree/d001/mine", b"mine")
    os.rename(s.src + "/tree", s.src + "/renamed")
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)


@everywhere
def test_the_destination_changed_what_is_moved(wherry, s, mode):
    synced(wherry, mode, s)
    set_file(s.dst + "/tree/big0", b"changed at the destination", 1_650_000_000)
    os.rename(s.src + "/tree", s.src + "/renamed")
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)


@everywhere
def test_a_copy_is_not_a_move(wherry, s, mode):
    synced(wherry, mode, s)
    subprocess.run(["cp", "-a", s.src + "/tree", s.src + "/copy"], check=True)
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)


@everywhere
def test_inode_reused_by_another_file(wherry, s, mode):
    """A new file with the inode of a deleted one is a new file."""
    synced(wherry, mode, s)
    size = os.stat(s.src + "/tree/big0").st_size
    os.unlink(s.src + "/tree/big0")
    set_file(s.src + "/tree/fresh", os.urandom(size), 1_600_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)


@everywhere
def test_protected_places_are_not_moved_away(wherry, s, mode):
    synced(wherry, mode, s)
    os.rename(s.src + "/tree/big0", s.src + "/elsewhere")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "-f", "P /tree/big0")
    assert os.path.exists(s.dst + "/tree/big0")
    assert s.read("dst/elsewhere") == s.read("src/elsewhere")


@everywhere
def test_max_delete_and_moves(wherry, s, mode):
    """A move takes a name away; but it is not a deletion, for nothing is lost."""
    synced(wherry, mode, s)
    os.rename(s.src + "/tree", s.src + "/renamed")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "--max-delete=0", status=(0, 25))
    assert s.read("dst/renamed/big0") == s.read("src/renamed/big0")


@everywhere
def test_dry_run_tells_the_same(wherry, s, mode):
    synced(wherry, mode, s)
    os.rename(s.src + "/tree", s.src + "/renamed")
    told = wherry.copy(mode, s.src + "/", s.dst, "--delete", "-n", "-i")
    assert os.path.exists(s.dst + "/tree")
    done = wherry.copy(mode, s.src + "/", s.dst, "--delete", "-i")
    assert sorted(told.items) == sorted(done.items)
    assert_same(s.src, s.dst)
