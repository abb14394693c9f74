"""
Deletion is earned (DESIGN 3.6): only when asked for, only after a complete and error-free scan of the source, never past
a limit, never the whole destination by accident.
"""

import os

import pytest

from harness import EMPTY, MAX_DELETE, OK, PARTIAL, SOURCE, STANDIN, UNREACHABLE, set_file
from oracle import assert_same, contents, snapshot
from test_sync_property import everywhere


def fill(s, where, *names):
    for n in names:
        s.write(where + "/" + n, n.encode())


@everywhere
def test_delete_makes_equal(wherry, s, mode):
    s.sample()
    wherry.copy(mode, s.src + "/", s.dst)
    fill(s, "dst", "extra", "dir/extra", "gone/deep/er/x", "-rf", "new\nline")
    os.symlink("/etc", s.dst + "/link-to-etc")
    os.chmod(s.dst + "/gone/deep", 0o500)
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)
    assert os.path.isdir("/etc")


@everywhere
def test_a_symlink_to_a_directory_is_deleted_not_what_it_points_to(wherry, s, mode):
    fill(s, "src", "a")
    fill(s, "outside", "x/y")
    fill(s, "dst", "a")
    os.symlink(s / "outside", s.dst + "/l")
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert os.listdir(s.dst) == ["a"] and s.read("outside/x/y")


@everywhere
def test_nothing_is_deleted_unasked(wherry, s, mode):
    fill(s, "src", "a")
    fill(s, "dst", "b", "c/d")
    wherry.copy(mode, s.src + "/", s.dst)
    assert sorted(os.listdir(s.dst)) == ["a", "b", "c"]


@pytest.mark.native
@everywhere
def test_deleting_a_deep_tree(wherry, s, mode):
    """Deeper than PATH_MAX: no recursion in memory, no path longer than a name."""
    fill(s, "src", "a")
    os.makedirs(s.dst)
    here = os.open(s.dst, os.O_RDONLY)
    for _ in range(120):
        os.mkdir("d" * 60, dir_fd=here)
        child = os.open("d" * 60, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = child
    os.close(here)
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert os.listdir(s.dst) == ["a"]


# --- max-delete ---------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("limit,left", [(0, 5), (2, 3), (5, 0), (100, 0)])
def test_max_delete(wherry, s, mode, limit, left):
    fill(s, "src", "a")
    fill(s, "dst", "a", *["x%d" % i for i in range(5)])
    r = wherry.copy(mode, s.src + "/", s.dst, "--delete", "--max-delete=%d" % limit, status=MAX_DELETE if left else OK)
    found = [n for n in os.listdir(s.dst) if n.startswith("x")]
    if STANDIN or limit >= 5:
        assert len(found) == left
    else:
        assert len(found) >= left, "deleted more than allowed"
    if left:
        assert r.says("max-delete|limit"), repr(r)
    assert s.read("dst/a") == b"a"


@everywhere
def test_everything_else_is_done_when_the_limit_stops_deletions(wherry, s, mode):
    fill(s, "src", "a", "new")
    fill(s, "dst", "x1", "x2", "x3")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "--max-delete=1", status=MAX_DELETE)
    assert s.read("dst/new") == b"new"


# --- an empty source --------------------------------------------------------------------------------------------


@pytest.mark.native
@everywhere
def test_an_empty_source_does_not_empty_the_destination(wherry, s, mode):
    os.mkdir(s.src)
    fill(s, "dst", "a", "b/c")
    before = contents(s.dst)
    r = wherry.copy(mode, s.src + "/", s.dst, "--delete", status=EMPTY)
    assert r.says("force-empty"), repr(r)
    assert contents(s.dst) == before


@pytest.mark.native
@everywhere
def test_dry_run_tells_of_the_refusal_too(wherry, s, mode):
    os.mkdir(s.src)
    fill(s, "dst", "a")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "-n", status=EMPTY)


@everywhere
def test_force_empty(wherry, s, mode):
    os.mkdir(s.src)
    fill(s, "dst", "a", "b/c")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", *([] if STANDIN else ["--force-empty"]))
    assert os.listdir(s.dst) == []


@everywhere
def test_empty_to_empty_is_no_refusal(wherry, s, mode):
    os.mkdir(s.src)
    os.mkdir(s.dst)
    wherry.copy(mode, s.src + "/", s.dst, "--delete")


@everywhere
def test_missing_source_deletes_nothing(wherry, s, mode):
    fill(s, "dst", "a")
    wherry.copy(mode, s / "missing/", s.dst, "--delete", status=PARTIAL if STANDIN else SOURCE)
    assert os.listdir(s.dst) == ["a"]


@everywhere
def test_an_unmounted_disk_is_not_an_empty_source(wherry, s, mode):
    """A mount point whose disk is not there: the subdirectory is empty, and that alone is no accident to stop; but a
    whole source is (above). Only what is in that directory goes."""
    fill(s, "src", "a", "disk/b")
    wherry.copy(mode, s.src + "/", s.dst)
    os.unlink(s.src + "/disk/b")
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)


# --- errors ---------------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.root
def test_unreadable_directory_deletes_nothing_anywhere(wherry, s, user, mode):
    fill(s, "src", "a", "closed/b", "open/c")
    fill(s, "dst", "a", "closed/b", "closed/old", "open/c", "open/old", "old")
    for top in ("src", "dst"):
        s.give(top, user)
    os.chmod(s.src + "/closed", 0o000)
    r = wherry.copy(mode, s.src + "/", s.dst, "--delete", user=user, status=PARTIAL)
    assert r.says("closed"), repr(r)
    found = contents(s.dst)
    assert b"closed/b" in found and b"closed/old" in found
    assert b"open/old" in found and b"old" in found, "deleted although the source could not be read whole"


@pytest.mark.native
@everywhere
@pytest.mark.root
def test_ignore_errors_deletes_elsewhere_but_not_there(wherry, s, user, mode):
    fill(s, "src", "a", "closed/b", "open/c")
    fill(s, "dst", "a", "closed/b", "open/c", "open/old")
    for top in ("src", "dst"):
        s.give(top, user)
    os.chmod(s.src + "/closed", 0o000)
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "--ignore-errors", user=user, status=PARTIAL)
    found = contents(s.dst)
    assert b"open/old" not in found and b"closed/b" in found


@everywhere
@pytest.mark.root
def test_unreadable_file_keeps_its_counterpart(wherry, s, user, mode):
    fill(s, "src", "a", "secret")
    fill(s, "dst", "a", "secret")
    set_file(s.dst + "/secret", b"old version", 1_000_000_000)
    for top in ("src", "dst"):
        s.give(top, user)
    os.chmod(s.src + "/secret", 0o000)
    r = wherry.copy(mode, s.src + "/", s.dst, "--delete", user=user, status=PARTIAL)
    assert r.says("secret")
    assert s.read("dst/secret") == b"old version"


@everywhere
@pytest.mark.root
def test_undeletable_is_partial(wherry, s, user, mode):
    fill(s, "src", "a")
    fill(s, "dst", "a", "locked/x", "other")
    for top in ("src", "dst"):
        s.give(top, user)
    os.chown(s.dst + "/locked", 0, 0)
    os.chmod(s.dst + "/locked", 0o755)
    r = wherry.copy(mode, s.src + "/", s.dst, "--delete", user=user, status=PARTIAL)
    assert r.says("locked"), repr(r)
    assert not os.path.exists(s.dst + "/other")


def test_lost_line_deletes_nothing(wherry, s):
    fill(s, "dst", "a", "b")
    wherry.sync("-e", "false", "there:/x/", s.dst, "--delete", status=(UNREACHABLE, 10, 12, 42, 1))
    assert sorted(os.listdir(s.dst)) == ["a", "b"]


# --- a file where a directory is, and the reverse -------------------------------------------------------------------


@everywhere
def test_full_directory_is_not_replaced_without_leave(wherry, s, mode):
    fill(s, "src", "x")
    fill(s, "dst", "x/inside")
    r = wherry.copy(mode, s.src + "/", s.dst, status=PARTIAL)
    assert r.says("x")
    assert s.read("dst/x/inside")


@everywhere
@pytest.mark.parametrize("option", ["--force", "--delete"])
def test_full_directory_is_replaced_with_leave(wherry, s, mode, option):
    fill(s, "src", "x")
    fill(s, "dst", "x/inside")
    wherry.copy(mode, s.src + "/", s.dst, option)
    assert s.read("dst/x") == b"x"


@everywhere
def test_delete_excluded_where_nothing_else_differs(wherry, s, mode):
    """Equal but for what the rules hide: equal fingerprints of what is seen must not end the run."""
    fill(s, "src", "a", "d/b")
    wherry.copy(mode, s.src + "/", s.dst)
    fill(s, "dst", "x.o", "d/y.o")
    for d in ("", "/d"):
        os.utime(s.dst + d, ns=(0, os.stat(s.src + d).st_mtime_ns))
    wherry.copy(mode, s.src + "/", s.dst, "--delete-excluded", "--exclude=*.o")
    assert_same(s.src, s.dst)


REPLACING = ["file", "symlink", "leader", "follower"]


def replacing(s, what):
    """dst/x is a full directory where the source has something else."""
    fill(s, "src", "a")
    if what == "file":
        fill(s, "src", "x")
    elif what == "symlink":
        os.symlink("a", s.src + "/x")
    else:
        os.makedirs(s.src + "/z")
        os.link(s.src + "/a", s.src + ("/z/x" if what == "follower" else "/0"))
        os.link(s.src + "/a", s.src + "/x")
    fill(s, "dst", "a", "x/inside", "x/deep/er")


@everywhere
@pytest.mark.parametrize("what", REPLACING)
def test_what_is_in_a_replaced_directory_is_told_and_counted(wherry, s, mode, what):
    replacing(s, what)
    gone = {("*deleting", b"x/inside"), ("*deleting", b"x/deep/"), ("*deleting", b"x/deep/er")}
    before = snapshot(s.dst)
    r = wherry.copy(mode, s.src + "/", s.dst, "--delete", "--max-delete=2", status=MAX_DELETE)
    assert all(snapshot(s.dst)[p].kind == before[p].kind for p in before), repr(r)
    told = wherry.copy(mode, s.src + "/", s.dst, "-n", "-i", "--delete", "--max-delete=3")
    done = wherry.copy(mode, s.src + "/", s.dst, "-i", "--delete", "--max-delete=3")
    assert gone <= set(told.items), repr(told)
    assert set(told.items) == set(done.items), "%r\n%r" % (told, done)
    assert_same(s.src, s.dst)


@everywhere
@pytest.mark.parametrize("what", REPLACING)
def test_a_directory_with_something_protected_is_not_replaced(wherry, s, mode, what):
    replacing(s, what)
    for more in (["-n"], []):
        r = wherry.copy(mode, s.src + "/", s.dst, "--delete", "--filter=P inside", *more, status=PARTIAL)
        assert r.says("not all in it may be deleted"), repr(r)
    assert s.read("dst/x/inside") == b"x/inside"


@everywhere
@pytest.mark.parametrize("what", REPLACING)
def test_what_was_in_a_replaced_directory_is_backed_up(wherry, s, mode, what):
    replacing(s, what)
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "--backup-dir=" + (s / "old"))
    assert s.read("old/x/inside") == b"x/inside" and s.read("old/x/deep/er") == b"x/deep/er"
    assert_same(s.src, s.dst)


@everywhere
def test_empty_directory_is_replaced(wherry, s, mode):
    fill(s, "src", "x")
    os.makedirs(s.dst + "/x")
    wherry.copy(mode, s.src + "/", s.dst)
    assert s.read("dst/x") == b"x"


@everywhere
def test_file_is_replaced_by_directory(wherry, s, mode):
    fill(s, "src", "x/y")
    fill(s, "dst", "x")
    wherry.copy(mode, s.src + "/", s.dst)
    assert s.read("dst/x/y") == b"x/y"


@everywhere
def test_deleted_lines(wherry, s, mode):
    fill(s, "src", "a")
    fill(s, "dst", "a", "b", "c/d")
    r = wherry.copy(mode, s.src + "/", s.dst, "--delete", "-i")
    gone = {n for letters, n in r.items if letters == "*deleting"}
    assert gone == {b"b", b"c/d", b"c/"}


@everywhere
def test_max_size_is_no_reason_to_delete(wherry, s, mode):
    """What the size limits skip is there all the same."""
    set_file(s.write("src/big"), b"x" * 5000, 1_600_000_000)
    fill(s, "src", "small")
    fill(s, "dst", "big", "gone")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "--max-size=1000")
    assert sorted(os.listdir(s.dst)) == ["big", "small"]


@everywhere
def test_only_big_files_is_not_an_empty_source(wherry, s, mode):
    set_file(s.write("src/big"), b"x" * 5000, 1_600_000_000)
    fill(s, "dst", "big")
    wherry.copy(mode, s.src + "/", s.dst, "--delete", "--max-size=1000")
    assert s.read("dst/big") == b"big"


def test_source_inside_destination_is_not_eaten(wherry, s):
    """sync dst/sub/ dst --delete would delete its own source while reading it."""
    fill(s, "dst", "sub/a", "other")
    wherry.sync(s.dst + "/sub/", s.dst, "--delete", status=None)
    if not STANDIN:
        assert os.path.exists(s.dst + "/sub/a"), "the source was deleted"


def test_destination_inside_source_ends(wherry, s):
    fill(s, "src", "a", "b/c")
    wherry.sync(s.src + "/", s.src + "/copy", status=None, timeout=30)
    assert len(snapshot(s.src)) < 40
