"""
What each option of `wherry sync` does, as its line in --help promises.
"""

import os
import pwd
import stat
import time

import pytest

import trees
from harness import OK, PARTIAL, STANDIN, USAGE, set_file, touch
from oracle import assert_same, contents, diff, snapshot
from test_sync_property import everywhere
from trees import Node, build



def files(where):
    return sorted(os.fsdecode(p) for p, e in snapshot(where).items() if e.kind == "file")


def change(s):
    """A source and an older destination that share some files."""
    for n in ("same", "changed", "new", "dir/changed"):
        set_file(s.write("src/" + n), b"new " + n.encode(), 1_600_000_000)
    for n in ("same", "changed", "dir/changed", "gone", "dir/gone"):
        set_file(s.write("dst/" + n), b"old " + n.encode(), 1_500_000_000)
    set_file(s.dst + "/same", b"new same", 1_600_000_000)


# --- backups ----------------------------------------------------------------------------------------------------


@everywhere
def test_backup_keeps_old_versions_beside(wherry, s, mode):
    change(s)
    wherry.copy(mode, s.src + "/", s.dst, "--backup", "--delete")
    assert files(s.dst) == ["changed", "changed~", "dir/changed", "dir/changed~", "dir/gone~", "gone~", "new", "same"]
    assert s.read("dst/changed~") == b"old changed" and s.read("dst/gone~") == b"old gone"


@everywhere
def test_backups_survive_the_next_delete(wherry, s, mode):
    change(s)
    for _ in range(2):
        wherry.copy(mode, s.src + "/", s.dst, "--backup", "--delete")
    assert s.read("dst/gone~") == b"old gone" and not os.path.exists(s.dst + "/gone~~")


@everywhere
def test_backup_suffix(wherry, s, mode):
    change(s)
    wherry.copy(mode, s.src + "/", s.dst, "--backup", "--suffix=.old")
    assert s.read("dst/changed.old") == b"old changed"


@everywhere
@pytest.mark.parametrize("where", ["inside", "beside"])
def test_backup_dir(wherry, s, mode, where):
    change(s)
    path = ".backup" if where == "inside" else s / "backup"
    wherry.copy(mode, s.src + "/", s.dst, "--backup-dir=" + path, "--delete")
    kept = s.dst + "/.backup" if where == "inside" else s / "backup"
    assert files(kept) == ["changed", "dir/changed", "dir/gone", "gone"]
    with open(kept + "/dir/gone", "rb") as f:
        assert f.read() == b"old dir/gone"
    assert s.read("dst/changed") == b"new changed" and not os.path.exists(s.dst + "/gone")


@everywhere
def test_backup_keeps_attributes_and_other_kinds(wherry, s, mode):
    set_file(s.write("src/f"), b"new", 1_600_000_000)
    set_file(s.write("src/l"), b"a file now", 1_600_000_000)
    set_file(s.write("dst/f", b"", 0o640), b"old!", 1_500_000_000)
    os.symlink("target", s.dst + "/l")
    before = snapshot(s.dst)
    wherry.copy(mode, s.src + "/", s.dst, "--backup-dir=" + (s / "b"))
    after = snapshot(s / "b")
    pick = (b"f", b"l")
    assert diff({p: before[p] for p in pick}, {p: after[p] for p in pick}) == []


# --- reference directories -------------------------------------------------------------------------------------


@everywhere
def test_link_dest(wherry, s, mode):
    s.sample()
    wherry.copy(mode, s.src + "/", s / "day1")
    set_file(s.src + "/small.txt", b"changed", 1_700_000_000)
    os.unlink(s.src + "/page")
    wherry.copy(mode, s.src + "/", s / "day2", "--link-dest=" + (s / "day1"))
    lines = [x for x in diff(snapshot(s.src), snapshot(s / "day2")) if "hard link" not in x]
    assert lines == []
    assert os.stat(s / "day2/middle").st_ino == os.stat(s / "day1/middle").st_ino
    assert os.stat(s / "day2/small.txt").st_ino != os.stat(s / "day1/small.txt").st_ino
    assert s.read("day1/small.txt") != b"changed" and os.path.exists(s / "day1/page")


@everywhere
def test_link_dest_is_relative_to_the_destination(wherry, s, mode):
    build(s.src, [Node(b"f", "file", (1, 1000))])
    wherry.copy(mode, s.src + "/", s / "day1")
    wherry.copy(mode, s.src + "/", s / "day2", "--link-dest=../day1")
    assert os.stat(s / "day2/f").st_ino == os.stat(s / "day1/f").st_ino


@everywhere
def test_link_dest_does_not_touch_what_it_links(wherry, s, mode):
    """Other attributes: no link, for that would change the old copy."""
    build(s.src, [Node(b"f", "file", (1, 1000))])
    wherry.copy(mode, s.src + "/", s / "day1")
    os.chmod(s.src + "/f", 0o600)
    before = snapshot(s / "day1")
    wherry.copy(mode, s.src + "/", s / "day2", "--link-dest=" + (s / "day1"))
    assert_same(s.src, s / "day2")
    assert diff(before, snapshot(s / "day1")) == []


@everywhere
def test_copy_dest(wherry, s, mode):
    build(s.src, [Node(b"f", "file", (1, 100_000)), Node(b"g", "file", (2, 10))])
    wherry.copy(mode, s.src + "/", s / "other")
    set_file(s.src + "/g", b"changed", 1_700_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--copy-dest=" + (s / "other"))
    assert_same(s.src, s.dst)
    assert os.stat(s.dst + "/f").st_ino != os.stat(s / "other/f").st_ino


@everywhere
def test_compare_dest(wherry, s, mode):
    build(s.src, [Node(b"f", "file", (1, 100_000)), Node(b"g", "file", (2, 10))])
    wherry.copy(mode, s.src + "/", s / "other")
    set_file(s.src + "/g", b"changed", 1_700_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--compare-dest=" + (s / "other"))
    assert files(s.dst) == ["g"]


# --- ways of writing ------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("size", [0, 10, 5000, 300_000, 3_000_000])
def test_inplace_keeps_the_inode(wherry, s, mode, size):
    set_file(s.write("src/f"), trees.content(1, size), 1_600_000_000)
    set_file(s.write("dst/f"), trees.content(2, 400_000), 1_500_000_000)
    os.link(s.dst + "/f", s / "other-name")
    inode = os.stat(s.dst + "/f").st_ino
    wherry.copy(mode, s.src + "/", s.dst, "--inplace", "--no-hard-links")
    assert os.stat(s.dst + "/f").st_ino == inode
    assert s.read("dst/f") == s.read("src/f") == s.read("other-name")
    assert_same(s.src, s.dst)


@everywhere
def test_without_perms_new_content_leaves_the_mode(wherry, s, mode):
    set_file(s.write("src/f"), b"new", 1_600_000_000)
    set_file(s.write("dst/f"), b"old one", 1_500_000_000)
    os.chmod(s.src + "/f", 0o600)
    os.chmod(s.dst + "/f", 0o2751)
    wherry.copy(mode, s.src + "/", s.dst, "--no-perms", "--no-acls")
    assert s.read("dst/f") == b"new"
    assert os.stat(s.dst + "/f").st_mode & 0o7777 == 0o2751


@everywhere
def test_update_spares_newer_files_from_files_only(wherry, s, mode):
    """As rsync: another kind of thing is always news."""
    set_file(s.write("src/f"), b"old", 1_500_000_000)
    set_file(s.write("dst/f"), b"newer", 1_600_000_000)
    set_file(s.write("dst/l"), b"newer", 1_600_000_000)
    os.symlink("f", s.src + "/l")
    os.utime(s.src + "/l", (1_500_000_000, 1_500_000_000), follow_symlinks=False)
    wherry.copy(mode, s.src + "/", s.dst, "--update")
    assert s.read("dst/f") == b"newer" and os.readlink(s.dst + "/l") == "f"


@everywhere
def test_ignore_existing_leaves_a_file_where_the_source_has_a_directory(wherry, s, mode):
    s.write("src/x/inside", b"new")
    s.write("dst/x", b"old")
    wherry.copy(mode, s.src + "/", s.dst, "--ignore-existing")
    assert s.read("dst/x") == b"old"


@everywhere
@pytest.mark.parametrize("size", [20_000, 250_000, 3_000_000])
@pytest.mark.parametrize("more", [[], ["--whole-file"]])
def test_inplace_writes_zeros_over_what_was_there(wherry, s, mode, size, more):
    set_file(s.write("src/f"), trees.content(1, 5000) + bytes(size), 1_600_000_000)
    set_file(s.write("dst/f"), trees.content(2, size), 1_500_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--inplace", *more)
    assert s.read("dst/f") == s.read("src/f")


@everywhere
def test_inplace_leaves_other_names_alone(wherry, s, mode):
    """Hard links are kept as the source has them: what is one file at the destination and two in the source parts."""
    set_file(s.write("src/a"), trees.content(1, 5000), 1_600_000_000)
    set_file(s.write("src/b"), trees.content(2, 5000), 1_600_000_000)
    set_file(s.write("dst/a"), trees.content(3, 5000), 1_500_000_000)
    os.link(s.dst + "/a", s.dst + "/b")
    wherry.copy(mode, s.src + "/", s.dst, "--inplace")
    assert_same(s.src, s.dst)


@everywhere
def test_without_inplace_a_reader_keeps_the_old_file(wherry, s, mode):
    set_file(s.write("src/f"), b"new" * 1000, 1_600_000_000)
    set_file(s.write("dst/f"), b"old" * 1000, 1_500_000_000)
    os.link(s.dst + "/f", s / "other-name")
    with open(s.dst + "/f", "rb") as reader:
        wherry.copy(mode, s.src + "/", s.dst)
        assert reader.read() == b"old" * 1000
    assert s.read("other-name") == b"old" * 1000 and s.read("dst/f") == b"new" * 1000


@everywhere
def test_append_verify(wherry, s, mode):
    data = trees.content(3, 3_000_000)
    set_file(s.write("src/log"), data, 1_600_000_000)
    set_file(s.write("dst/log"), data[:2_000_000], 1_500_000_000)
    inode = os.stat(s.dst + "/log").st_ino
    wherry.copy(mode, s.src + "/", s.dst, "--append-verify")
    assert_same(s.src, s.dst)
    assert os.stat(s.dst + "/log").st_ino == inode


@everywhere
def test_append_verify_notices_that_the_beginning_differs(wherry, s, mode):
    data = trees.content(3, 3_000_000)
    set_file(s.write("src/log"), data, 1_600_000_000)
    set_file(s.write("dst/log"), b"X" + data[1:2_000_000], 1_500_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--append-verify")
    assert_same(s.src, s.dst)


@everywhere
def test_temp_dir(wherry, s, mode):
    s.sample()
    os.mkdir(s / "tmp")
    wherry.copy(mode, s.src + "/", s.dst, "--temp-dir=" + (s / "tmp"))
    assert_same(s.src, s.dst)
    assert os.listdir(s / "tmp") == []


@everywhere
@pytest.mark.root
def test_temp_dir_on_another_file_system(wherry, s, mounts, mode):
    """No rename leads from there to here: refused rather than letting readers see half a file."""
    s.sample()
    where = mounts.tmpfs("64m")
    r = wherry.copy(mode, s.src + "/", s.dst, "--temp-dir=" + where, status=(OK, USAGE))
    if r.status == OK:
        assert_same(s.src, s.dst, {"holes"} if STANDIN else ())
    else:
        assert r.says("another file system"), repr(r)
    assert os.listdir(where) == []


@everywhere
@pytest.mark.native
@pytest.mark.parametrize("policy", ["none", "batch", "strict"])
def test_fsync(wherry, s, mode, policy):
    s.sample()
    wherry.copy(mode, s.src + "/", s.dst, "--fsync=" + policy)
    assert_same(s.src, s.dst)


@everywhere
@pytest.mark.parallel
@pytest.mark.native
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_threads(wherry, s, mode, threads):
    build(s.src, trees.many(300) + [Node(b"big", "file", (9, 5_000_000))])
    wherry.copy(mode, s.src + "/", s.dst, "--threads=%d" % threads)
    assert_same(s.src, s.dst)


@everywhere
def test_remove_source_files(wherry, s, mode):
    s.sample()
    before = snapshot(s.src)
    wherry.copy(mode, s.src + "/", s.dst, "--remove-source-files")
    assert diff(before, snapshot(s.dst), {"dir_mtime"}) == []
    left = {e.kind for e in snapshot(s.src).values()}
    assert left == {"dir"}, left


@everywhere
def test_remove_source_files_keeps_what_did_not_arrive(wherry, s, mode):
    set_file(s.write("src/x"), b"1", 1_600_000_000)
    set_file(s.write("src/ok"), b"1", 1_600_000_000)
    s.write("dst/x/in-the-way", b"1")
    wherry.copy(mode, s.src + "/", s.dst, "--remove-source-files", status=PARTIAL)
    assert os.path.exists(s.src + "/x") and not os.path.exists(s.src + "/ok")


@everywhere
@pytest.mark.parametrize("how", ["-z", "--compress=zstd", "--compress=zstd:3", "--compress=lz4", "--compress=none"])
def test_compress(wherry, s, mode, how):
    if STANDIN and how != "-z":
        pytest.skip("stand-in")
    build(s.src, trees.many(100) + [Node(b"big", "file", (9, 3_000_000))])
    set_file(s.src + "/random", os.urandom(1_000_000), 1_600_000_000)
    wherry.copy(mode, s.src + "/", s.dst, how)
    assert_same(s.src, s.dst)


@everywhere
def test_bwlimit(wherry, s, mode):
    set_file(s.write("src/f"), os.urandom(2_000_000), 1_600_000_000)
    r = wherry.copy(mode, s.src + "/", s.dst, "--bwlimit=1M", "--compress=none" if not STANDIN else "-W")
    assert_same(s.src, s.dst)
    if mode != "local":
        assert r.seconds > 1.0, "not limited: %r" % r


# --- attributes on the way -------------------------------------------------------------------------------------


CHMODS = {
    "D700,F600": (0o700, 0o600), "u+rwX,go-rwx": (0o700, 0o600), "a+r": (0o755, 0o644), "Fa-w": (0o755, 0o444),
    "g=u": (0o775, 0o664), "Dg+s": (0o2755, 0o644), "F+x": (0o755, 0o755), "755": (0o755, 0o755), "o=": (0o750, 0o640),
}


@everywhere
@pytest.mark.parametrize("text", CHMODS)
def test_chmod(wherry, s, mode, text):
    build(s.src, [Node(b"d", "dir", mode=0o755), Node(b"f", "file", (1, 5), mode=0o644)])
    wherry.copy(mode, s.src + "/", s.dst, "--chmod=" + text)
    found = tuple(stat.S_IMODE(os.stat(s.dst + p).st_mode) for p in ("/d", "/f"))
    assert tuple(map(oct, found)) == tuple(map(oct, CHMODS[text]))
    assert wherry.copy(mode, s.src + "/", s.dst, "-i", "--chmod=" + text).items == []


@everywhere
@pytest.mark.root
@pytest.mark.parametrize("opts,wanted", [
    (["--usermap=1000:1", "--groupmap=1000:2"], (1, 2)),
    (["--usermap=*:nobody"], (65534, 1000)),
    (["--usermap=1-2000:3"], (3, 1000)),
    (["--chown=daemon:bin"], (1, 2)),
    (["--chown=:bin"], (1000, 2)),
    (["--usermap=5:6,1000:7"], (7, 1000)),
    (["--numeric-ids"], (1000, 1000)),
    ([], (1000, 1000)),
])
def test_owner_maps(wherry, s, mode, opts, wanted):
    build(s.src, [Node(b"f", "file", (1, 5), uid=1000, gid=1000)])
    wherry.copy(mode, s.src + "/", s.dst, *opts)
    st = os.stat(s.dst + "/f")
    assert (st.st_uid, st.st_gid) == wanted
    assert wherry.copy(mode, s.src + "/", s.dst, "-i", *opts).items == []


@everywhere
@pytest.mark.root
def test_names_of_owners(wherry, s, mode):
    who = pwd.getpwnam("daemon")
    build(s.src, [Node(b"f", "file", (1, 5), uid=who.pw_uid, gid=who.pw_gid)])
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)


# --- choosing ---------------------------------------------------------------------------------------------------


@everywhere
def test_update_leaves_newer_files_alone(wherry, s, mode):
    set_file(s.write("src/f"), b"source", 1_500_000_000)
    set_file(s.write("dst/f"), b"newer here", 1_600_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--update")
    assert s.read("dst/f") == b"newer here"
    touch(s.src + "/f", 1_700_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--update")
    assert s.read("dst/f") == b"source"


@everywhere
def test_checksum_sees_what_size_and_time_hide(wherry, s, mode):
    set_file(s.write("src/f"), b"AAAA", 1_600_000_000)
    set_file(s.write("dst/f"), b"BBBB", 1_600_000_000)
    wherry.copy(mode, s.src + "/", s.dst)
    assert s.read("dst/f") == b"BBBB"
    for _ in range(2):  # the second time through the index cache
        wherry.copy(mode, s.src + "/", s.dst, "--checksum")
        assert s.read("dst/f") == b"AAAA"
        set_file(s.src + "/f", b"CCCC", 1_600_000_000)
        wherry.copy(mode, s.src + "/", s.dst, "--checksum")
        assert s.read("dst/f") == b"CCCC"
        set_file(s.src + "/f", b"AAAA", 1_600_000_000)


@everywhere
@pytest.mark.parametrize("side", ["src", "dst"])
def test_checksum_after_a_change_that_puts_the_time_back(wherry, s, mode, side):
    """Same size, same mtime, same inode; only ctime tells. The index cache must not be fooled."""
    build(s.src, [Node(b"f%d" % i, "file", (i, 5000)) for i in range(5)])
    for _ in range(2):
        wherry.copy(mode, s.src + "/", s.dst, "--checksum")
    time.sleep(0.02)
    path = getattr(s, side) + "/f3"
    st = os.stat(path)
    with open(path, "r+b") as f:
        f.write(b"!")
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
    wherry.copy(mode, s.src + "/", s.dst, "--checksum")
    assert_same(s.src, s.dst)


@pytest.mark.native
@everywhere
def test_damaged_cache_is_rebuilt(wherry, s, mode):
    build(s.src, [Node(b"f%d" % i, "file", (i, 5000)) for i in range(5)])
    wherry.copy(mode, s.src + "/", s.dst, "--checksum")
    damaged = 0
    for d, _, names in os.walk(wherry.home):
        for n in names:
            with open(os.path.join(d, n), "r+b") as f:
                data = f.read()
                f.seek(0)
                f.write(bytes(b ^ 0xA5 for b in data[:4096]) + data[4096:])
            damaged += 1
    set_file(s.src + "/f1", b"x" * 5000, 1_600_000_000)
    r = wherry.copy(mode, s.src + "/", s.dst, "--checksum")
    assert_same(s.src, s.dst)
    assert r.err.count(b"\n") <= 2 * damaged + 2, repr(r)


@everywhere
def test_size_only(wherry, s, mode):
    set_file(s.write("src/f"), b"AAAA", 1_600_000_000)
    set_file(s.write("dst/f"), b"BBBB", 1_500_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--size-only")
    assert s.read("dst/f") == b"BBBB"


@everywhere
def test_ignore_times(wherry, s, mode):
    set_file(s.write("src/f"), b"AAAA", 1_600_000_000)
    set_file(s.write("dst/f"), b"BBBB", 1_600_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--ignore-times")
    assert s.read("dst/f") == b"AAAA"


@everywhere
def test_modify_window(wherry, s, mode):
    set_file(s.write("src/f"), b"AAAA", 1_600_000_002)
    set_file(s.write("dst/f"), b"BBBB", 1_600_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--modify-window=2")
    assert s.read("dst/f") == b"BBBB"
    wherry.copy(mode, s.src + "/", s.dst, "--modify-window=1")
    assert s.read("dst/f") == b"AAAA"


@everywhere
def test_existing_and_ignore_existing(wherry, s, mode):
    change(s)
    wherry.copy(mode, s.src + "/", s.dst, "--existing")
    assert not os.path.exists(s.dst + "/new") and s.read("dst/changed") == b"new changed"
    set_file(s.dst + "/changed", b"older", 1_400_000_000)
    wherry.copy(mode, s.src + "/", s.dst, "--ignore-existing")
    assert s.read("dst/new") == b"new new" and s.read("dst/changed") == b"older"


@everywhere
@pytest.mark.parametrize("limit,kept", [("--max-size=1000", [1, 999, 1000]), ("--max-size=1K", [1, 999, 1000, 1024]),
                                        ("--max-size=1K-1", [1, 999, 1000]), ("--max-size=1KB", [1, 999, 1000]),
                                        ("--min-size=1000", [1000, 1024, 5000]), ("--min-size=1K+1", [5000])])
def test_sizes(wherry, s, mode, limit, kept):
    for n in (1, 999, 1000, 1024, 5000):
        s.write("src/%d" % n, b"x" * n)
    wherry.copy(mode, s.src + "/", s.dst, limit)
    assert sorted(map(int, os.listdir(s.dst))) == kept


@everywhere
def test_files_from_takes_only_what_is_listed(wherry, s, mode):
    s.sample()
    s.write("list", b"small.txt\n\ndir/deep/er/leaf\nlink\n")
    wherry.copy(mode, s.src + "/", s.dst, "--files-from=" + (s / "list"))
    assert sorted(snapshot(s.dst)) == [b"", b"dir", b"dir/deep", b"dir/deep/er", b"dir/deep/er/leaf", b"link", b"small.txt"]
    for p in ("dir", "dir/deep", "dir/deep/er"):
        assert os.stat(s.dst + "/" + p).st_mode == os.stat(s.src + "/" + p).st_mode


@everywhere
def test_files_from_standard_input_and_missing_names(wherry, s, mode):
    s.sample()
    r = wherry.copy(mode, s.src + "/", s.dst, "-0", "--files-from=-", input=b"small.txt\0nothing\0odd/new\nline\0",
                    status=PARTIAL)
    assert r.says("nothing")
    assert files(s.dst) == ["odd/new\nline", "small.txt"]


@everywhere
def test_files_from_cannot_leave_the_source(wherry, s, mode):
    build(s.src, [Node(b"f", "file", (1, 5))])
    s.write("outside/secret", b"1")
    s.write("list", b"f\n../outside/secret\nx/../../outside/secret\n/f\n")
    wherry.copy(mode, s.src + "/", s.dst, "--files-from=" + (s / "list"), status=None)
    assert "secret" not in " ".join(map(repr, snapshot(s.base + "/dst"))) if os.path.exists(s.dst) else True
    assert sorted(os.listdir(s.base)) == sorted(["src", "outside", "list"] + (["dst"] if os.path.exists(s.dst) else []))


@everywhere
@pytest.mark.native
@pytest.mark.parametrize("opts", [
    ["--no-such-option"], ["--delete=maybe"], ["--max-size=lots"], ["--max-delete=many"], ["--timeout=soon"],
    ["--compress=fast"], ["--fsync=often"], ["--chmod=rubbish"], ["--usermap=x"], ["--bwlimit=-1"], ["--threads=many"],
    ["--modify-window=later"], ["--link-dest"],
])
def test_nonsense_is_refused_before_anything_happens(wherry, s, mode, opts):
    build(s.src, [Node(b"f", "file", (1, 5))])
    r = wherry.sync(*wherry.words(mode, s.src + "/", s.dst), *opts, status=USAGE)
    assert r.err.strip() and not os.path.exists(s.dst)


@everywhere
def test_dry_run_changes_nothing_at_all(wherry, s, mode):
    change(s)
    before, state = contents(s.dst), snapshot(s.dst)
    r = wherry.copy(mode, s.src + "/", s.dst, "-n", "-i", "--delete", "--backup", "--remove-source-files", "--checksum")
    assert contents(s.dst) == before and diff(state, snapshot(s.dst)) == []
    assert len(files(s.src)) == 4 and r.items


@everywhere
def test_keep_dirlinks(wherry, s, mode):
    s.write("src/d/f", b"1")
    s.write("dst/real/x", b"1")
    os.symlink("real", s.dst + "/d")
    wherry.copy(mode, s.src + "/", s.dst, "--keep-dirlinks")
    assert os.path.islink(s.dst + "/d") and s.read("dst/real/f") == b"1"


@everywhere
def test_without_keep_dirlinks_a_link_becomes_a_directory(wherry, s, mode):
    s.write("src/d/f", b"1")
    s.write("real/x", b"1")
    os.mkdir(s.dst)
    os.symlink("../real", s.dst + "/d")
    wherry.copy(mode, s.src + "/", s.dst)
    assert not os.path.islink(s.dst + "/d") and os.listdir(s / "real") == ["x"]
