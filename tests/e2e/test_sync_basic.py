"""
What everybody expects of `wherry sync SRC DST`: the trailing-slash rule, every kind of entry with every attribute,
every pair of endpoint kinds, and a second run that finds nothing to do.
"""

import os
import stat

import pytest

import trees
from harness import IO, OK, PARTIAL, SOURCE, STANDIN, set_file, touch
from oracle import assert_same, diff, snapshot
from trees import Node, build

ENDPOINTS = ["local", "push", "pull"]
everywhere = pytest.mark.parametrize("mode", ENDPOINTS)


def nothing_to_do(wherry, mode, src, dst, *opts):
    r = wherry.copy(mode, src, dst, "-i", *opts)
    assert r.items == [], repr(r)


@everywhere
@pytest.mark.parallel
def test_one_of_everything(wherry, s, mode):
    s.sample()
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)
    nothing_to_do(wherry, mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_one_of_everything_through_real_ssh(wherry, sshd, s, mode):
    s.sample()
    wherry.through(sshd)
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)


def ssh_ends(mode, s):
    if mode == "push":
        return s.src + "/", "127.0.0.1:" + s.dst
    return "127.0.0.1:" + s.src + "/", s.dst


@pytest.mark.native
@pytest.mark.parametrize("mode", ["push", "pull"])
def test_remote_wherry_is_found_in_path(wherry, sshd, s, mode):
    s.sample()
    wherry.sync("-e", sshd.rsh, *ssh_ends(mode, s))
    assert_same(s.src, s.dst)


@pytest.mark.native
def test_rsh_from_environment(wherry, sshd, s):
    s.sample()
    wherry.sync(s.src + "/", "127.0.0.1:" + s.dst, env={"WHERRY_RSH": sshd.rsh})
    assert_same(s.src, s.dst)


@pytest.mark.native
@pytest.mark.parametrize("mode", ["relay", "between"])
def test_both_ends_remote(wherry, s, mode):
    s.sample()
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)
    nothing_to_do(wherry, mode, s.src + "/", s.dst)


# --- what a path means ---------------------------------------------------------------------------------------------


@everywhere
def test_without_slash_the_directory_itself_is_copied(wherry, s, mode):
    s.sample()
    wherry.copy(mode, s.src, s.dst)
    assert os.listdir(s.dst) == ["src"]
    assert_same(s.src, s.dst + "/src")
    nothing_to_do(wherry, mode, s.src, s.dst)


@everywhere
def test_slash_on_the_destination_means_nothing(wherry, s, mode):
    build(s.src, [Node(b"f", "file", (1, 10))])
    wherry.copy(mode, s.src + "/", s.dst + "/")
    assert_same(s.src, s.dst)


@everywhere
def test_dot_means_contents(wherry, s, mode):
    build(s.src, [Node(b"f", "file", (1, 10))])
    wherry.copy(mode, s.src + "/.", s.dst)
    assert_same(s.src, s.dst)


@everywhere
def test_single_file_to_a_new_name(wherry, s, mode):
    s.write("one", b"content", 0o640)
    wherry.copy(mode, s / "one", s / "two")
    assert_same(s / "one", s / "two")
    nothing_to_do(wherry, mode, s / "one", s / "two")


@everywhere
def test_single_file_into_a_directory(wherry, s, mode):
    s.write("one", b"content")
    os.mkdir(s.dst)
    wherry.copy(mode, s / "one", s.dst)
    assert_same(s / "one", s / "dst/one")


@everywhere
def test_single_file_into_a_directory_named_with_slash(wherry, s, mode):
    s.write("one", b"content")
    wherry.copy(mode, s / "one", s.dst + "/")
    assert_same(s / "one", s / "dst/one")


@everywhere
def test_single_file_over_an_old_one(wherry, s, mode):
    set_file(s / "one", b"new content", 1_600_000_000)
    set_file(s / "two", b"old", 1_500_000_000)
    wherry.copy(mode, s / "one", s / "two")
    assert_same(s / "one", s / "two")


@everywhere
def test_a_symlink_as_source_is_copied_as_a_symlink(wherry, s, mode):
    s.write("real/f", b"x")
    os.symlink("real", s / "link")
    os.mkdir(s.dst)
    wherry.copy(mode, s / "link", s.dst)
    assert os.readlink(s.dst + "/link") == "real"


@everywhere
def test_a_symlink_with_slash_is_the_directory_it_points_to(wherry, s, mode):
    s.write("real/f", b"x")
    os.symlink("real", s / "link")
    wherry.copy(mode, (s / "link") + "/", s.dst)
    assert_same(s / "real", s.dst)


@everywhere
def test_destination_is_a_symlink_to_a_directory(wherry, s, mode):
    s.sample()
    os.mkdir(s / "real")
    os.symlink("real", s.dst)
    wherry.copy(mode, s.src + "/", s.dst + "/")
    assert_same(s.src, s / "real")
    assert os.path.islink(s.dst)


@everywhere
def test_missing_parents_of_the_destination(wherry, s, mode):
    build(s.src, [Node(b"f", "file", (1, 10))])
    wherry.copy(mode, s.src + "/", s / "x/y/z", "--mkpath")
    assert_same(s.src, s / "x/y/z")


@everywhere
def test_relative_paths(wherry, s, mode):
    build(s.src, [Node(b"f", "file", (1, 10))])
    if mode == "local":
        wherry.sync("src/", "dst", cwd=s.base)
        assert_same(s.src, s.dst)
        return
    # a remote relative path starts at the remote home
    home = wherry.home + "/remote"
    if mode == "push":
        wherry.sync(*wherry.words(mode, "src/", "far/dst", "--mkpath"), cwd=s.base)
        assert_same(s.src, home + "/far/dst")
    else:
        build(home + "/far", [Node(b"f", "file", (1, 10))])
        wherry.sync(*wherry.words(mode, "far/", "dst"), cwd=s.base)
        assert_same(home + "/far", s.dst)


@everywhere
def test_odd_names_at_the_top(wherry, s, mode):
    names = [b"two  blanks", b"it's $(touch pwned) `touch pwned`", b"-rf", b"new\nline", b"\xff\xfe", b"*"]
    if STANDIN:
        names.remove(b"new\nline")  # rsync loses it on the way through the shell
    for i, name in enumerate(names):
        src = os.path.join(os.fsencode(s.base), b"from", name)
        dst = os.path.join(os.fsencode(s.base), b"to%d" % i, name)
        build(src, [Node(b"f", "file", (1, 10))])
        wherry.copy(mode, src + b"/", dst, "--mkpath")
        assert_same(src, dst)
    assert not os.path.exists(s / "pwned") and not os.path.exists(wherry.home + "/pwned")
    assert not os.path.exists(wherry.home + "/remote/pwned")


@pytest.mark.native
def test_a_colon_after_a_slash_is_part_of_a_local_name(wherry, s):
    src = s / "a:b"
    build(src, [Node(b"f", "file", (1, 10))])
    wherry.sync("./a:b/", "./c:d", cwd=s.base)
    assert_same(src, s / "c:d")


# --- what is kept --------------------------------------------------------------------------------------------------


KINDS = {
    "file": [Node(b"x", "file", (1, 5000), mode=0o4711)],
    "empty file": [Node(b"x", "file", (1, 0))],
    "directory": [Node(b"x", "dir", mode=0o1770), Node(b"x/y", "dir", mode=0o2750, mtime_ns=1)],
    "symlink": [Node(b"x", "symlink", b"nowhere", mtime_ns=1_234_567_890_987_654_321)],
    "long symlink": [Node(b"x", "symlink", b"t/" * 2000)],
    "symlink loop": [Node(b"x", "symlink", b"y"), Node(b"y", "symlink", b"x")],
    "fifo": [Node(b"x", "fifo", mode=0o640)],
    "socket": [Node(b"x", "socket", mode=0o755)],
    "hard links": [Node(b"d", "dir", mode=0o755), Node(b"x", "file", (1, 9)), Node(b"d/y", "hardlink", b"x"),
                   Node(b"z", "hardlink", b"x")],
    "hard-linked symlinks": [Node(b"x", "symlink", b"t"), Node(b"y", "hardlink", b"x")],
    "hard-linked fifos": [Node(b"x", "fifo"), Node(b"y", "hardlink", b"x")],
    "hole": [Node(b"x", "file", (1, 8_000_000), holes=((4096, 7_000_000),))],
    "only a hole": [Node(b"x", "file", (1, 8_000_000), holes=((0, 8_000_000),))],
    "times": [Node(b"t%d" % i, "file", (i, 3), mtime_ns=t) for i, t in enumerate(trees.TIMES)],
    "xattrs": [Node(b"x", "file", (1, 3), xattrs=((b"user.a", b""), (b"user.b", bytes(200)), (b"user.c\xff", b"v")))],
    "many xattrs": [Node(b"x", "file", (1, 3), xattrs=tuple((b"user.n%02d" % i, b"v" * i) for i in range(40)))],
    "acl": [Node(b"x", "file", (1, 3), acl=((b"system.posix_acl_access", trees.acl_bytes(3, 4, 0o640)),))],
    "default acl": [Node(b"x", "dir", mode=0o750, acl=((b"system.posix_acl_default", trees.acl_bytes(3, 4, 0o640)),)),
                    Node(b"x/f", "file", (1, 3), mode=0o600), Node(b"x/d", "dir", mode=0o700)],
    "names": [Node(n, "file", (i, i)) for i, n in enumerate(trees.ODD_NAMES)],
    "deep": [Node(b"/".join([b"d"] * (i + 1)), "dir", mode=0o755) for i in range(60)],
}
ROOT_KINDS = {
    "owners": [Node(b"x", "file", (1, 3), uid=11, gid=22), Node(b"d", "dir", mode=0o700, uid=4_000_000_000, gid=1),
               Node(b"l", "symlink", b"x", uid=5, gid=6)],
    "devices": [Node(b"c", "chr", os.makedev(1, 5), mode=0o666), Node(b"b", "blk", os.makedev(4095, 1_000_000))],
    "setuid of another": [Node(b"x", "file", (1, 3), mode=0o6755, uid=7, gid=7)],
    "trusted xattrs": [Node(b"x", "file", (1, 3), xattrs=((b"trusted.q", b"z"),)),
                       Node(b"d", "dir", mode=0o700, xattrs=((b"trusted.overlay.opaque", b"y"),))],
    "capabilities": [Node(b"x", "file", (1, 3), mode=0o755,
                          xattrs=((b"security.capability", bytes.fromhex("0100000200040000000000000000000000000000")),))],
}


@everywhere
@pytest.mark.parametrize("kind", list(KINDS) + [pytest.param(k, marks=pytest.mark.root) for k in ROOT_KINDS])
def test_kept(wherry, s, mode, kind):
    build(s.src, (KINDS | ROOT_KINDS)[kind])
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)
    nothing_to_do(wherry, mode, s.src + "/", s.dst)


@everywhere
def test_attributes_alone_changed(wherry, s, mode):
    s.sample()
    wherry.copy(mode, s.src + "/", s.dst)
    os.chmod(s.src + "/small.txt", 0o611)
    touch(s.src + "/middle", 1_234_567_890)
    touch(s.src + "/link", 1_234_567_891)
    os.setxattr(s.src + "/page", b"user.new", b"1") if os.geteuid() == 0 else None
    os.removexattr(s.src + "/xattr", b"user.colour")
    os.removexattr(s.src + "/acl", b"system.posix_acl_access")
    os.chmod(s.src + "/dir/deep", 0o711)
    if os.geteuid() == 0:
        os.chown(s.src + "/run.sh", 77, 88)
        os.chown(s.src + "/dangling", 99, 99, follow_symlinks=False)
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)
    nothing_to_do(wherry, mode, s.src + "/", s.dst)


@everywhere
def test_every_kind_becomes_every_other(wherry, s, mode):
    kinds = {
        "file": lambda p: set_file(p, b"data"),
        "dir": lambda p: (os.mkdir(p), set_file(p + "/in", b"side")),
        "empty-dir": os.mkdir,
        "symlink": lambda p: os.symlink("t", p),
        "fifo": os.mkfifo,
    }
    for old in kinds:
        for new in kinds:
            for top in (s.src, s.dst):
                os.makedirs(top, exist_ok=True)
            kinds[new]("%s/%s-to-%s" % (s.src, old, new))
            kinds[old]("%s/%s-to-%s" % (s.dst, old, new))
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)


@everywhere
def test_hard_links_change_shape(wherry, s, mode):
    build(s.src, [Node(b"a", "file", (1, 9)), Node(b"b", "hardlink", b"a"), Node(b"c", "file", (2, 10))])
    wherry.copy(mode, s.src + "/", s.dst)
    os.unlink(s.src + "/b")
    os.link(s.src + "/c", s.src + "/b")
    os.link(s.src + "/a", s.src + "/d")
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)
    nothing_to_do(wherry, mode, s.src + "/", s.dst)


@everywhere
@pytest.mark.parallel
def test_a_thousand_small_files_and_some_changes(wherry, s, mode):
    build(s.src, trees.many(1000))
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)
    for i in range(0, 1000, 37):
        set_file(s.src + "/d%03d/f%05d" % (i % 20, i), b"changed %d" % i)
    r = wherry.copy(mode, s.src + "/", s.dst, "-i")
    assert_same(s.src, s.dst)
    changed = [n for letters, n in r.items if letters[1] == "f"]
    assert len(changed) == len(range(0, 1000, 37)), repr(r)


@everywhere
@pytest.mark.parallel
def test_change_in_a_big_file(wherry, s, mode):
    build(s.src, [Node(b"big", "file", (5, 20_000_000))])
    wherry.copy(mode, s.src + "/", s.dst)
    for edit in ("middle", "insert", "cut", "append", "prepend"):
        with open(s.src + "/big", "r+b") as f:
            data = bytearray(f.read())
            if edit == "middle":
                data[7_000_000:7_000_100] = b"x" * 100
            elif edit == "insert":
                data[9_000_001:9_000_001] = b"inserted" * 10
            elif edit == "cut":
                del data[1_000_000:1_500_000]
            elif edit == "append":
                data += b"tail" * 1000
            else:
                data[0:0] = b"head" * 333
            f.seek(0)
            f.truncate()
            f.write(data)
        wherry.copy(mode, s.src + "/", s.dst)
        assert_same(s.src, s.dst)


@everywhere
def test_without_delete_extra_entries_stay(wherry, s, mode):
    s.sample()
    s.write("dst/extra/file", b"mine")
    wherry.copy(mode, s.src + "/", s.dst)
    assert diff(snapshot(s.src), snapshot(s.dst), ignore={"root"}, extra_ok=True) == []
    assert s.read("dst/extra/file") == b"mine"


# --- and what is not, when told ------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("option,ignore", [
    ("--no-perms", {"mode", "acls"}),
    ("--no-times", {"mtime", "dir_mtime"}),
    ("--no-owner", {"uid"}),
    ("--no-group", {"gid"}),
    ("--no-acls", {"acls", "mode"}),
    ("--no-xattrs", {"xattrs"}),
    ("--no-hard-links", {"hardlinks"}),
    ("--omit-dir-times", {"dir_mtime"}),
    ("--omit-link-times", {"link_mtime"}),
])
def test_left_out_but_nothing_else(wherry, s, mode, option, ignore):
    s.sample(special=False)
    opts = [option] + (["--no-acls"] if option == "--no-perms" else [])
    wherry.copy(mode, s.src + "/", s.dst, *opts)
    a, b = snapshot(s.src), snapshot(s.dst)
    more = {"link_mtime"} if option == "--no-times" else set()
    assert diff(a, b, ignore | more) == []
    if os.geteuid() == 0:
        assert diff(a, b) != []


@everywhere
@pytest.mark.root
def test_no_devices_no_specials(wherry, s, mode):
    s.sample()
    wherry.copy(mode, s.src + "/", s.dst, "--no-devices", "--no-specials")
    kinds = {e.kind for e in snapshot(s.dst).values()}
    assert kinds == {"file", "dir", "symlink"}


@everywhere
def test_no_links_leaves_symlinks_out(wherry, s, mode):
    s.sample(special=False)
    wherry.copy(mode, s.src + "/", s.dst, "--no-links")
    assert "symlink" not in {e.kind for e in snapshot(s.dst).values()}
    assert s.read("dst/dir/inner") == s.read("src/dir/inner")


@everywhere
def test_copy_links(wherry, s, mode):
    s.write("src/real", b"r")
    os.symlink("real", s.src + "/l")
    wherry.copy(mode, s.src + "/", s.dst, "--copy-links")
    assert stat.S_ISREG(os.lstat(s.dst + "/l").st_mode) and s.read("dst/l") == b"r"


@everywhere
def test_safe_links(wherry, s, mode):
    s.write("src/d/real", b"r")
    os.symlink("d/real", s.src + "/inside")
    os.symlink("/etc/passwd", s.src + "/absolute")
    os.symlink("../outside", s.src + "/above")
    os.symlink("d/../../outside", s.src + "/hidden")
    wherry.copy(mode, s.src + "/", s.dst, "--safe-links")
    assert sorted(os.listdir(s.dst)) == ["d", "inside"]


# --- as somebody without rights -------------------------------------------------------------------------------------


@everywhere
@pytest.mark.root
def test_as_user_keeps_what_is_permitted(wherry, s, user, mode):
    s.sample(special=False)
    s.give("src")
    os.mkdir(s.dst)
    os.chown(s.dst, user, user)
    wherry.copy(mode, s.src + "/", s.dst, user=user)
    lines = diff(snapshot(s.src), snapshot(s.dst), {"xattrs"})
    assert lines == []
    assert snapshot(s.dst)[b"xattr"].xattrs == snapshot(s.src)[b"xattr"].xattrs


@everywhere
@pytest.mark.root
def test_as_user_owners_become_ones_own(wherry, s, user, mode):
    build(s.src, [Node(b"f", "file", (1, 10), uid=5, gid=6), Node(b"d", "dir", mode=0o755, uid=5, gid=6),
                  Node(b"d/g", "file", (2, 10), uid=7, gid=8)])
    os.mkdir(s.dst)
    os.chown(s.dst, user, user)
    wherry.copy(mode, s.src + "/", s.dst, user=user)
    assert diff(snapshot(s.src), snapshot(s.dst), {"uid", "gid", "root"}) == []
    assert {e.uid for e in snapshot(s.dst).values()} == {user}


@everywhere
@pytest.mark.root
def test_as_user_a_device_is_reported_or_skipped_never_faked(wherry, s, user, mode):
    build(s.src, [Node(b"null", "chr", os.makedev(1, 3)), Node(b"f", "file", (1, 10))])
    os.mkdir(s.dst)
    os.chown(s.dst, user, user)
    r = wherry.copy(mode, s.src + "/", s.dst, user=user, status=(OK, PARTIAL))
    assert not os.path.lexists(s.dst + "/null")
    assert r.says("null|device"), repr(r)
    assert s.read("dst/f") == s.read("src/f")


# --- on a disk file system too -------------------------------------------------------------------------------------


@everywhere
def test_one_of_everything_on_disk(wherry, mode, tmp_path):
    src, dst = str(tmp_path / "src"), str(tmp_path / "dst")
    trees.build(src, trees.sample())
    wherry.copy(mode, src + "/", dst)
    assert_same(src, dst)
    nothing_to_do(wherry, mode, src + "/", dst)
    trees.remove(src)
    trees.remove(dst)


@pytest.mark.parametrize("way", ["to disk", "from disk"])
def test_across_file_systems(wherry, s, tmp_path, way):
    disk = str(tmp_path / "t")
    src, dst = (s.src, disk) if way == "to disk" else (disk, s.dst)
    trees.build(src, trees.sample())
    wherry.sync(src + "/", dst)
    assert_same(src, dst)


def test_missing_source(wherry, s):
    r = wherry.sync(s / "nothing/", s.dst, status=(SOURCE, PARTIAL) if STANDIN else (SOURCE,))
    assert r.says("nothing")
    assert not os.path.exists(s.dst)
