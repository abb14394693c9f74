"""
What goes wrong in life, one by one: each a clear line, its documented exit status, and nothing done that should not be.
"""

import os
import subprocess
import threading
import time

import pytest

import trees
from harness import (CLOSED, CONNECT_TIMEOUT, IO, NO_REMOTE, NO_SPACE, OK, PARTIAL, PROTOCOL, SOURCE, STANDIN, TIMEOUT,
                     UNREACHABLE, USAGE, VANISHED, free_port, need_tool, set_file)
from oracle import assert_same, contents, diff, litter, snapshot
from test_sync_property import everywhere
from trees import Node, build

native = pytest.mark.native


def some(s, where="src", n=3):
    for i in range(n):
        set_file(s.write("%s/f%d" % (where, i)), b"data %d" % i, 1_600_000_000)


# --- the other host ---------------------------------------------------------------------------------------------------


@native
def test_unknown_host(wherry, sshd, s):
    some(s)
    r = wherry.sync("-e", sshd.rsh, s.src + "/", "no-such-host.invalid:/x", status=UNREACHABLE)
    assert r.says("no-such-host.invalid"), repr(r)


@native
def test_refused_port(wherry, sshd, s):
    some(s)
    rsh = sshd.rsh.replace("-p %d" % sshd.port, "-p %d" % free_port())
    r = wherry.sync("-e", rsh, s.src + "/", "127.0.0.1:" + s.dst, status=UNREACHABLE)
    assert r.says("refused"), repr(r)


@native
def test_login_fails(wherry, sshd, s):
    some(s)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s / "wrong"], check=True)
    rsh = sshd.rsh.replace(sshd.base + "/user", s / "wrong")
    r = wherry.sync("-e", rsh, s.src + "/", "127.0.0.1:" + s.dst, status=UNREACHABLE)
    assert r.says("denied"), repr(r)


@native
def test_remote_wherry_missing(wherry, sshd, s):
    some(s)
    r = wherry.sync("-e", sshd.rsh, "--remote-command=no-such-wherry", s.src + "/", "127.0.0.1:" + s.dst, status=NO_REMOTE)
    assert r.says("no-such-wherry") and r.says("install|PATH"), repr(r)


@native
def test_rsh_program_missing(wherry, s):
    some(s)
    r = wherry.sync("-e", "no-such-rsh", s.src + "/", "there:" + s.dst, status=UNREACHABLE)
    assert r.says("no-such-rsh"), repr(r)


@native
@pytest.mark.parametrize("mode", ["push", "pull"])
def test_noise_before_the_protocol(wherry, s, mode):
    """A start-up file of the remote shell that prints something: say so and show it."""
    some(s)
    s.write("noisy", b"#!/bin/sh\necho 'Welcome to this host!'\nexec %s \"$@\"\n" % wherry.program.encode(), 0o755)
    words = wherry.words(mode, s.src + "/", s.dst)
    words[words.index("--remote-command") + 1] = s / "noisy"
    r = wherry.sync(*words, status=(PROTOCOL, CLOSED))
    assert r.says("Welcome to this host"), repr(r)


@native
@pytest.mark.parametrize("mode", ["push", "pull"])
def test_noise_on_stderr_is_shown_and_harmless(wherry, s, mode):
    some(s)
    s.write("noisy", b"#!/bin/sh\necho 'a banner' >&2\nexec %s \"$@\"\n" % wherry.program.encode(), 0o755)
    words = wherry.words(mode, s.src + "/", s.dst)
    words[words.index("--remote-command") + 1] = s / "noisy"
    r = wherry.sync(*words)
    assert b"a banner" in r.err
    assert_same(s.src, s.dst)


@native
def test_the_far_side_is_something_else(wherry, s):
    some(s)
    r = wherry.sync("-e", wherry.rsh, "--remote-command=cat", s.src + "/", "there:" + s.dst, status=None, timeout=20)
    assert r.status in (PROTOCOL, CLOSED, NO_REMOTE, UNREACHABLE) and r.err.strip(), repr(r)


@native
def test_timeout_when_the_peer_is_silent(wherry, s):
    some(s)
    s.write("silent", b"#!/bin/sh\nexec sleep 60\n", 0o755)
    r = wherry.sync("-e", wherry.rsh, "--remote-command", s / "silent", "--timeout=2", s.src + "/", "there:" + s.dst,
                    status=TIMEOUT, timeout=20)
    assert 1.5 < r.seconds < 10, repr(r)


@native
def test_contimeout_with_ssh(wherry, sshd, s):
    """A port that takes the connection and says nothing."""
    import socket
    some(s)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(5)
        rsh = sshd.rsh.replace("-p %d" % sshd.port, "-p %d" % mute.getsockname()[1])
        r = wherry.sync("-e", rsh, "--contimeout=2", s.src + "/", "127.0.0.1:" + s.dst,
                        status=(CONNECT_TIMEOUT, UNREACHABLE, TIMEOUT), timeout=30)
        assert r.seconds < 15, repr(r)


@native
def test_host_that_looks_like_an_option(wherry, s):
    some(s)
    wherry.sync(s.src + "/", "-oProxyCommand=touch%s/pwned:%s" % (s.base, s.dst), status=None)
    wherry.sync("--", s.src + "/", "-oProxyCommand=touch %s/pwned:%s" % (s.base, s.dst), status=None)
    assert not os.path.exists(s / "pwned")


# --- paths that cannot be used --------------------------------------------------------------------------------------


@everywhere
def test_destination_is_below_a_file(wherry, s, mode):
    some(s)
    s.write("file", b"1")
    r = wherry.copy(mode, s.src + "/", s / "file/dst", status=(SOURCE, IO, 3, 11, 12, 20, 23))
    assert r.says("file"), repr(r)
    assert s.read("file") == b"1"


@everywhere
def test_directory_onto_a_file(wherry, s, mode):
    some(s)
    s.write("dst", b"1")
    r = wherry.copy(mode, s.src + "/", s.dst, status=(SOURCE, IO, PARTIAL))
    assert r.says("dst|directory"), repr(r)
    assert s.read("dst") == b"1"


@native
@everywhere
def test_file_with_slash_as_source(wherry, s, mode):
    s.write("f", b"1")
    wherry.copy(mode, s / "f/", s.dst, status=SOURCE)
    assert not os.path.exists(s.dst)


@native
@everywhere
def test_missing_parent_of_the_destination(wherry, s, mode):
    some(s)
    r = wherry.copy(mode, s.src + "/", s / "no/such/parent", status=SOURCE)
    assert r.says("parent|mkpath"), repr(r)


@native
def test_same_directory_on_both_sides(wherry, s):
    some(s)
    before = contents(s.src)
    wherry.sync(s.src + "/", s.src, "--delete", status=None)
    assert contents(s.src) == before


@native
@pytest.mark.parametrize("args", [[], ["only-one"], ["one", "two", "three"], ["", "x"], ["x", ""]])
def test_wrong_number_of_operands(wherry, args):
    r = wherry.sync(*args, status=(USAGE, SOURCE))
    assert r.err.strip()


# --- permissions -------------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.root
def test_unreadable_entries_are_skipped_and_reported(wherry, s, user, mode):
    some(s)
    s.write("src/secret", b"1")
    s.write("src/closed/inside", b"1")
    s.give("src", user)
    os.mkdir(s.dst)
    os.chown(s.dst, user, user)
    os.chmod(s.src + "/secret", 0)
    os.chmod(s.src + "/closed", 0)
    r = wherry.copy(mode, s.src + "/", s.dst, user=user, status=PARTIAL)
    assert r.says("secret") and r.says("closed"), repr(r)
    for i in range(3):
        assert s.read("dst/f%d" % i) == b"data %d" % i
    assert not os.path.exists(s.dst + "/secret")


@everywhere
@pytest.mark.root
def test_listable_but_not_enterable_directory(wherry, s, user, mode):
    some(s)
    s.write("src/r/inside", b"1")
    s.give("src", user)
    os.mkdir(s.dst)
    os.chown(s.dst, user, user)
    os.chmod(s.src + "/r", 0o400)
    wherry.copy(mode, s.src + "/", s.dst, user=user, status=PARTIAL)
    assert s.read("dst/f0") == b"data 0"


@everywhere
@pytest.mark.root
def test_unwritable_destination_directory(wherry, s, user, mode):
    some(s)
    some(s, "src/sub")
    os.makedirs(s.dst + "/sub")
    s.give("src", user)
    os.chown(s.dst, user, user)
    os.chmod(s.dst + "/sub", 0o755)  # root's
    r = wherry.copy(mode, s.src + "/", s.dst, user=user, status=PARTIAL)
    assert r.says("sub"), repr(r)
    assert s.read("dst/f0") == b"data 0"


@everywhere
@pytest.mark.root
def test_read_only_destination(wherry, s, mounts, mode):
    some(s)
    where = mounts.tmpfs("4m")
    os.mkdir(where + "/dst")
    mounts.read_only(where)
    r = wherry.copy(mode, s.src + "/", where + "/dst", status=(PARTIAL, IO, SOURCE, 3, 11))
    assert r.says("read-only"), repr(r)


# --- space ----------------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.root
@pytest.mark.parametrize("what", ["one big file", "many small files", "no inodes"])
def test_disk_full(wherry, s, mounts, mode, what):
    if what == "one big file":
        some(s)
        set_file(s.src + "/big", os.urandom(6_000_000), 1_600_000_000)
    else:
        build(s.src, trees.many(600, size_max=20_000))
    where = mounts.tmpfs("2m", inodes=None if what != "no inodes" else 100)
    if what == "no inodes":
        mounts.release()
        where = mounts.tmpfs("64m", inodes=100)
    r = wherry.copy(mode, s.src + "/", where + "/dst", status=(11, 23) if STANDIN else NO_SPACE)
    assert r.says("no space|full|quota"), repr(r)
    got = snapshot(where + "/dst")
    want = snapshot(s.src)
    halves = [p for p, e in got.items() if e.kind == "file" and p in want and e.digest != want[p].digest]
    assert halves == [], "half files under their names"
    # room again: the rerun finishes and leaves nothing behind
    subprocess.run(["mount", "-o", "remount,size=64m,nr_inodes=100000", where], check=True)
    wherry.copy(mode, s.src + "/", where + "/dst")
    assert_same(s.src, where + "/dst")


@everywhere
@pytest.mark.root
def test_disk_full_while_replacing(wherry, s, mounts, mode):
    where = mounts.tmpfs("3m")
    set_file(s.write("src/f"), os.urandom(2_000_000), 1_600_000_000)
    os.mkdir(where + "/dst")
    set_file(where + "/dst/f", b"o" * 1_900_000, 1_500_000_000)
    wherry.copy(mode, s.src + "/", where + "/dst", "--whole-file", status=(11, 23) if STANDIN else NO_SPACE)
    with open(where + "/dst/f", "rb") as f:
        assert f.read() == b"o" * 1_900_000


# --- names and paths -----------------------------------------------------------------------------------------------------


@everywhere
def test_names_of_255_bytes(wherry, s, mode):
    names = [b"x" * 255, b"\xff" * 255, (b"\xc3\xa4" * 127) + b"z"]
    build(s.src, [Node(n, "file", (i, 100)) for i, n in enumerate(names)] + [Node(b"d" * 255, "dir", mode=0o755),
                                                                            Node(b"d" * 255 + b"/" + b"e" * 255, "file", (9, 9))])
    for _ in range(2):
        wherry.copy(mode, s.src + "/", s.dst)
        assert_same(s.src, s.dst)
        set_file(os.path.join(os.fsencode(s.src), names[0]), b"changed", 1_700_000_000)


@native
@everywhere
def test_paths_beyond_PATH_MAX(wherry, s, mode):
    os.makedirs(s.src)
    here = os.open(s.src, os.O_RDONLY)
    for i in range(40):
        name = "%03d" % i + "d" * 200
        os.mkdir(name, dir_fd=here)
        child = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = child
        with os.fdopen(os.open("file", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here), "wb") as f:
            f.write(b"at depth %d" % i)
    os.close(here)
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)
    assert wherry.copy(mode, s.src + "/", s.dst, "-i").items == []


@everywhere
def test_symlink_loops(wherry, s, mode):
    some(s)
    os.symlink(".", s.src + "/self")
    os.symlink("b", s.src + "/a")
    os.symlink("a", s.src + "/b")
    os.symlink("..", s.src + "/up")
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)


@everywhere
def test_symlink_loops_with_copy_links_end(wherry, s, mode):
    some(s)
    os.mkdir(s.src + "/d")
    os.symlink("..", s.src + "/d/up")
    os.symlink("b", s.src + "/a")
    os.symlink("a", s.src + "/b")
    r = wherry.copy(mode, s.src + "/", s.dst, "--copy-links", status=None, timeout=60)
    assert r.status in (PARTIAL, OK), repr(r)
    assert s.read("dst/f0") == b"data 0"
    assert not os.path.exists(s.dst + "/d/up" * 50), "went round and round"


@everywhere
def test_dangling_link_with_copy_links_is_reported(wherry, s, mode):
    some(s)
    os.symlink("nowhere", s.src + "/l")
    r = wherry.copy(mode, s.src + "/", s.dst, "--copy-links", status=PARTIAL)
    assert r.says("l"), repr(r)
    assert s.read("dst/f0") == b"data 0"


@everywhere
def test_directory_with_very_many_entries(wherry, s, mode):
    build(s.src, trees.many(8000, dirs=1, size_max=3))
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)


@everywhere
@pytest.mark.parametrize("what", ["immutable mode", "sticky others"])
def test_read_only_modes_are_no_obstacle_to_the_owner(wherry, s, mode, what):
    build(s.src, [Node(b"d", "dir", mode=0o555), Node(b"d/f", "file", (1, 10), mode=0o444)])
    wherry.copy(mode, s.src + "/", s.dst)
    os.chmod(s.src + "/d", 0o755)
    set_file(s.src + "/d/f", b"other data", 1_700_000_000)
    set_file(s.src + "/d/g", b"more", 1_700_000_000)
    os.chmod(s.src + "/d", 0o555)
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)


# --- a source that changes while it is read (DESIGN 3.5) ---------------------------------------------------------------


class Writer(threading.Thread):
    """Changes a file all the time until told to stop."""

    def __init__(self, change):
        super().__init__(daemon=True)
        self.change, self.done = change, threading.Event()

    def run(self):
        n = 0
        while not self.done.is_set():
            self.change(n)
            n += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.done.set()
        self.join()


@everywhere
@pytest.mark.parametrize("how", ["grow", "shrink", "rewrite"])
def test_a_file_that_changes_while_read_is_never_torn(wherry, s, mode, how):
    """Every version is one byte repeated; a mixture of two at the destination would be a lie."""
    size = 4_000_000
    path = s.write("src/f", b"a" * size)
    some(s)

    def change(n):
        if how == "grow":
            with open(path, "ab") as f:
                f.write(b"a" * 50_000)
            if os.path.getsize(path) > 40_000_000:
                os.truncate(path, size)
        elif how == "shrink":
            os.truncate(path, size - n % 100 * 10_000)
            with open(path, "ab") as f:
                f.write(b"a" * (size - f.tell()))
        else:
            with open(path, "r+b") as f:
                f.write(bytes([97 + n % 26]) * size)

    with Writer(change):
        for _ in range(3):
            wherry.copy(mode, s.src + "/", s.dst, status=(OK, PARTIAL, VANISHED))
            time.sleep(0.05)
    if how == "rewrite" and os.path.exists(s.dst + "/f") and mode != "local" and not STANDIN:
        data = s.read("dst/f")
        assert len(data) == size
    wherry.copy(mode, s.src + "/", s.dst)
    assert diff(snapshot(s.src), snapshot(s.dst)) == []


@everywhere
def test_files_that_come_and_go(wherry, s, mode):
    build(s.src, trees.many(500))

    def change(n):
        path = s.src + "/d%03d/f%05d" % (n % 20, n % 500)
        if os.path.exists(path):
            os.unlink(path)
        else:
            set_file(path, b"again %d" % n)
        time.sleep(0.0005)

    with Writer(change):
        for _ in range(3):
            wherry.copy(mode, s.src + "/", s.dst, "--delete", status=(OK, PARTIAL, VANISHED))
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)


@everywhere
def test_directories_that_become_symlinks_while_read(wherry, s, mode):
    """The classic race: a directory is swapped for a link to the outside between listing and opening."""
    build(s.src, trees.many(200, dirs=4))
    s.write("outside/d000/f00000", b"SECRET")
    os.symlink(s / "outside/d000", s / "link")

    def change(n):
        try:
            os.rename(s.src + "/d000", s / "aside")
            os.rename(s / "link", s.src + "/d000")
            time.sleep(0.0003)
            os.rename(s.src + "/d000", s / "link")
            os.rename(s / "aside", s.src + "/d000")
        except OSError:
            pass
        time.sleep(0.0003)

    with Writer(change):
        for i in range(6):
            wherry.copy(mode, s.src + "/", s / ("dst%d" % i), status=(OK, PARTIAL, VANISHED))
    for i in range(6):
        for p, e in snapshot(s / ("dst%d" % i)).items():
            if e.kind == "file":
                with open(os.path.join(os.fsencode(s / ("dst%d" % i)), p), "rb") as f:
                    assert f.read() != b"SECRET", "followed a link that was swapped in"


@everywhere
def test_destination_directories_that_become_symlinks(wherry, s, mode):
    """The same at the other end: nothing may be written or deleted through the link."""
    build(s.src, trees.many(200, dirs=4))
    s.write("outside/keep", b"sentinel")
    os.symlink(s / "outside", s / "link")
    before = contents(s / "outside")
    wherry.copy(mode, s.src + "/", s.dst)

    def change(n):
        try:
            os.rename(s.dst + "/d000", s / "aside")
            os.rename(s / "link", s.dst + "/d000")
            time.sleep(0.0003)
            if not os.path.islink(s.dst + "/d000"):
                raise OSError
            os.rename(s.dst + "/d000", s / "link")
            os.rename(s / "aside", s.dst + "/d000")
        except OSError:
            if not os.path.lexists(s / "link"):
                os.symlink(s / "outside", s / "link")
            trees.remove(s / "aside")
        time.sleep(0.0003)

    with Writer(change):
        for i in range(6):
            for k in range(0, 200, 4):
                set_file(s.src + "/d000/f%05d" % k, b"round %d" % i)
            wherry.copy(mode, s.src + "/", s.dst, "--delete", status=None)
    assert contents(s / "outside") == before
    assert litter(snapshot(s / "outside")) == []


def test_two_runs_into_one_destination(wherry, s):
    """Either both work or one is told to wait (45); what is left is right."""
    build(s.src, trees.many(300))
    first = wherry.start("sync", s.src + "/", s.dst)
    second = wherry.start("sync", s.src + "/", s.dst)
    for p in (first, second):
        p.communicate(timeout=60)
        assert p.returncode in (OK, 45, PARTIAL, VANISHED)
    wherry.sync(s.src + "/", s.dst)
    assert_same(s.src, s.dst)


def test_signal_ends_cleanly(wherry, s):
    need_tool("sleep")
    set_file(s.write("src/f"), os.urandom(3_000_000), 1_600_000_000)
    p = wherry.start("sync", *wherry.words("push", s.src + "/", s.dst, "--bwlimit=300K"))
    time.sleep(0.7)
    p.terminate()
    p.communicate(timeout=20)
    assert p.returncode in (20, -15)
    assert not os.path.exists(s.dst + "/f")
    wherry.copy("push", s.src + "/", s.dst)
    assert_same(s.src, s.dst)
