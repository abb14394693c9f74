"""
`wherry serve --stdio` as a forced command in authorized_keys, through a real sshd: what the key may do is what the line
says, whatever the client asks for.
"""

import os
import subprocess

import pytest

import peer
import trees
from harness import CLOSED, OK, PARTIAL, REFUSED, SOURCE, USAGE
from oracle import assert_same, contents
from test_sync_errors import Writer

pytestmark = pytest.mark.native
NOT_DONE = {REFUSED, SOURCE, PARTIAL, CLOSED, 4, 11, 12}


@pytest.fixture
def key(sshd, wherry):
    """Sets what the key may do; afterwards everything again."""
    wherry.through(sshd)

    def allow(*args):
        sshd.set_forced_command(" ".join([wherry.program, "serve", "--stdio", *args]))

    yield allow
    sshd.set_forced_command(None)


def far(path):
    return "127.0.0.1:" + os.fspath(path)


def push(wherry, src, dst, *opts, **more):
    return wherry.sync("-e", wherry.rsh, *opts, src, far(dst), **more)


def pull(wherry, src, dst, *opts, **more):
    return wherry.sync("-e", wherry.rsh, *opts, far(src), dst, **more)


def test_paths_are_beneath_the_root(wherry, key, s):
    s.sample()
    os.mkdir(s / "root")
    key("--root", s / "root")
    push(wherry, s.src + "/", "/backup")
    assert_same(s.src, s / "root/backup")
    push(wherry, s.src + "/", "again")
    assert_same(s.src, s / "root/again")
    pull(wherry, "/backup/", s.dst)
    assert_same(s.src, s.dst)


def test_the_root_itself(wherry, key, s):
    s.sample()
    os.mkdir(s / "root")
    key("--root", s / "root")
    push(wherry, s.src + "/", "/")
    assert_same(s.src, s / "root")
    pull(wherry, "./", s.dst)
    assert_same(s.src, s.dst)


@pytest.mark.parametrize("path", ["../outside", "/../outside", "a/../../outside", "link", "link/", "link/sub", "abs", "abs/sub"])
def test_no_way_out(wherry, key, s, path):
    s.write("outside/secret", b"secret")
    s.write("root/a/f", b"1")
    os.symlink("../outside", s / "root/link")
    os.symlink(s / "outside", s / "root/abs")
    s.write("src/pwned", b"1")
    before = contents(s / "outside")
    key("--root", s / "root")
    push(wherry, s.src + "/", path, "--delete", "--mkpath", status=NOT_DONE | {OK})
    assert contents(s / "outside") == before
    pull(wherry, path + "/", s.dst, status=NOT_DONE | {OK})
    assert not os.path.exists(s.dst + "/secret")


def test_read_only(wherry, key, s):
    s.write("root/f", b"1")
    s.write("src/g", b"1")
    key("--root", s / "root", "--read-only")
    r = push(wherry, s.src + "/", "/", status=REFUSED)
    assert r.says("read-only|refused"), repr(r)
    assert os.listdir(s / "root") == ["f"]
    pull(wherry, "/", s.dst)
    assert s.read("dst/f") == b"1"
    pull(wherry, "/", s / "dst2", "--remove-source-files", status=REFUSED)
    assert s.read("root/f") == b"1"


def test_write_only(wherry, key, s):
    s.write("root/f", b"1")
    s.write("src/g", b"1")
    key("--root", s / "root", "--write-only")
    pull(wherry, "/", s.dst, status=REFUSED)
    assert not os.path.exists(s.dst + "/f")
    push(wherry, s.src + "/", "/")
    assert s.read("root/g") == b"1"


@pytest.mark.parametrize("command", ["touch pwned", "sh -c 'touch pwned'", "wherry serve --stdio; touch pwned",
                                     "wherry serve --stdio $(touch pwned)", "", "wherry serve --stdio --root /",
                                     "wherry\nserve\ntouch pwned", "scp -t /tmp", "rsync --server . /"])
def test_the_original_command_is_never_executed(wherry, key, s, sshd, command):
    s.write("root/f", b"1")
    key("--root", s / "root", "--read-only")
    r = subprocess.run([*sshd.rsh.split(), "127.0.0.1", command], capture_output=True, stdin=subprocess.DEVNULL, timeout=30,
                       env=wherry.env())
    assert r.returncode != 0
    for where in (s.base, s / "root", wherry.home, os.path.expanduser("~"), "/"):
        assert not os.path.exists(where + "/pwned")


def test_the_client_cannot_widen_the_root(wherry, key, s):
    """Options the client puts into its remote command are not the server's."""
    s.write("outside/secret", b"1")
    os.mkdir(s / "root")
    key("--root", s / "root", "--read-only")
    pull(wherry, s / "outside/", s.dst, "--remote-command", "wherry --root / ", status=NOT_DONE)
    assert not os.path.exists(s.dst + "/secret")


def test_symlinks_swapped_in_while_served(wherry, key, s):
    """Somebody with an account on the server swaps directories for links while the key's run is under way."""
    s.write("outside/d000/f00000", b"SECRET")
    before = contents(s / "outside")
    trees.build(s / "root", trees.many(100, dirs=4))
    trees.build(s.src, trees.many(100, seed=2, dirs=4))
    os.symlink(s / "outside/d000", s / "link")

    def change(_):
        try:
            os.rename(s / "root/d000", s / "aside")
            os.rename(s / "link", s / "root/d000")
            os.rename(s / "root/d000", s / "link")
            os.rename(s / "aside", s / "root/d000")
        except OSError:
            if not os.path.lexists(s / "link"):
                os.symlink(s / "outside/d000", s / "link")
            trees.remove(s / "aside")

    key("--root", s / "root")
    with Writer(change):
        for i in range(4):
            push(wherry, s.src + "/", "/", "--delete", status=None)
            pull(wherry, "/", s / ("got%d" % i), status=None)
    assert contents(s / "outside") == before
    for i in range(4):
        for d, _, names in os.walk(s / ("got%d" % i)):
            for n in names:
                with open(os.path.join(d, n), "rb") as f:
                    assert f.read() != b"SECRET"


def test_a_symlink_in_the_tree_is_served_as_a_symlink(wherry, key, s):
    s.write("outside/secret", b"1")
    s.write("root/tree/f", b"1")
    os.symlink(s / "outside", s / "root/tree/out")
    key("--root", s / "root", "--read-only")
    pull(wherry, "tree/", s.dst)
    assert os.path.islink(s.dst + "/out")
    pull(wherry, "tree/", s / "followed", "--copy-links", status=NOT_DONE | {OK})
    assert not os.path.exists(s / "followed/out/secret")


@pytest.mark.parametrize("args", [[], ["--stdio", "/path"], ["--stdio", "--read-only", "--write-only"], ["--stdio", "--root="]])
def test_wrong_use(wherry, args):
    wherry.run("serve", *args, status=USAGE)


def test_missing_root(wherry, s):
    r = wherry.run("serve", "--stdio", "--root", s / "nothing", input=peer.start(peer.SEND, b".") + peer.hello(), status=None)
    assert r.status not in (OK, -6, -11) and r.says("nothing"), repr(r)


def test_landlock_or_not_a_served_process_cannot_write_elsewhere(wherry, key, s):
    """Absolute link targets and hard links to the outside are made as they are, never resolved."""
    s.write("outside/keep", b"sentinel")
    before = contents(s / "outside")
    trees.build(s.src, [trees.Node(b"d", "symlink", os.fsencode(s / "outside")), trees.Node(b"f", "file", (1, 10))])
    os.mkdir(s / "root")
    key("--root", s / "root", "--write-only")
    push(wherry, s.src + "/", "/")
    os.unlink(s.src + "/d")
    s.write("src/d/keep", b"overwritten")
    push(wherry, s.src + "/", "/")
    assert contents(s / "outside") == before
    assert s.read("root/d/keep") == b"overwritten"
