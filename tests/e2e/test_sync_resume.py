"""
A run that was stopped is taken up where it was: what had arrived is not sent again, whatever changed meanwhile is noticed.
Resent bytes are counted by the test itself, on the line between both sides.
"""

import os
import signal
import time

import pytest

import trees
from harness import set_file
from oracle import assert_same, litter, snapshot
from trees import Node, build

pytestmark = pytest.mark.native
SIZE = 24_000_000

COUNTING = """#!/usr/bin/python3
# A remote shell that counts the bytes of both directions into a file.
import os, subprocess, sys, threading
args = sys.argv[1:]
p = subprocess.Popen(["%(rsh)s", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
total = [0, 0]
def pump(a, b, i):
    while True:
        data = os.read(a, 1 << 16)
        if not data:
            break
        total[i] += len(data)
        try:
            while data:
                data = data[os.write(b, data):]
        except OSError:
            break
    try:
        os.close(b)
    except OSError:
        pass
t = [threading.Thread(target=pump, args=(0, p.stdin.fileno(), 0), daemon=True),
     threading.Thread(target=pump, args=(p.stdout.fileno(), 1, 1), daemon=True)]
[x.start() for x in t]
t[1].join()
status = p.wait()
with open("%(count)s", "a") as f:
    f.write("%%d %%d\\n" %% tuple(total))
sys.exit(status)
"""


@pytest.fixture
def counter(wherry, s):
    """Makes the remote shell count; call it for the bytes of the last run."""
    path = s / "count"
    s.write("counting-rsh", (COUNTING % {"rsh": wherry.rsh, "count": path}).encode(), 0o755)
    wherry.rsh = s / "counting-rsh"

    def last():
        with open(path) as f:
            return sum(map(int, f.readlines()[-1].split()))

    return last


def interrupt(wherry, mode, s, *opts, after=0.35, seconds=30):
    """Stop a slow run when a good part of it has arrived. Returns how much lies at the destination."""
    p = wherry.start("sync", *wherry.words(mode, s.src + "/", s.dst, "--bwlimit=12M", "--compress=none", *opts))
    end = time.monotonic() + seconds
    arrived = 0
    while time.monotonic() < end and arrived < SIZE * after and p.poll() is None:
        time.sleep(0.05)
        arrived = allocated(s.dst)
    os.killpg(p.pid, signal.SIGKILL)
    p.communicate()
    time.sleep(0.3)
    return allocated(s.dst)


def allocated(where):
    total = 0
    for d, _, names in os.walk(where):
        for n in names:
            try:
                total += os.lstat(os.path.join(d, n)).st_blocks * 512
            except OSError:
                pass
    return total


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_big_file_is_resumed(wherry, s, counter, mode):
    set_file(s.write("src/big"), os.urandom(SIZE), 1_600_000_000)
    arrived = interrupt(wherry, mode, s)
    assert arrived > SIZE // 5, "nothing was kept of the interrupted run"
    assert not os.path.exists(s.dst + "/big")
    wherry.copy(mode, s.src + "/", s.dst, "--compress=none")
    assert_same(s.src, s.dst)
    assert counter() < SIZE - arrived + 4_000_000, "sent again what had arrived"


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_big_file_over_an_old_version_is_resumed(wherry, s, counter, mode):
    set_file(s.write("src/big"), os.urandom(SIZE), 1_600_000_000)
    set_file(s.write("dst/big"), os.urandom(SIZE // 2), 1_500_000_000)
    old = s.read("dst/big")
    arrived = interrupt(wherry, mode, s, after=0.9) - SIZE // 2
    assert s.read("dst/big") == old
    wherry.copy(mode, s.src + "/", s.dst, "--compress=none")
    assert_same(s.src, s.dst)
    assert counter() < SIZE - arrived + 4_000_000


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_over_an_old_version_interrupted_twice(wherry, s, counter, mode):
    """The old version still helps, though everything in it stands elsewhere now, and so does all that arrived."""
    old, new = os.urandom(SIZE // 4), os.urandom(SIZE // 2)
    set_file(s.write("src/big"), new + old + b"end", 1_600_000_000)
    set_file(s.write("dst/big"), old, 1_500_000_000)
    interrupt(wherry, mode, s, after=0.45)   # the old 6 MB and 4.8 MB of the new
    interrupt(wherry, mode, s, after=1.0)    # the same, the old again, 4.8 MB taken from here and more of the new
    assert s.read("dst/big") == old
    wherry.copy(mode, s.src + "/", s.dst, "--compress=none")
    assert_same(s.src, s.dst)
    assert litter(snapshot(s.dst)) == []
    assert counter() < SIZE // 2 - 4_000_000


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_many_small_files_are_resumed(wherry, s, counter, mode):
    for i in range(240):
        set_file(s.write("src/d%d/f%d" % (i % 7, i)), os.urandom(100_000), 1_600_000_000 + i)
    arrived = interrupt(wherry, mode, s)
    wherry.copy(mode, s.src + "/", s.dst, "--compress=none")
    assert_same(s.src, s.dst)
    assert counter() < SIZE - arrived + 6_000_000


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_a_source_that_changed_meanwhile_is_noticed(wherry, s, mode):
    set_file(s.write("src/big"), os.urandom(SIZE), 1_600_000_000)
    interrupt(wherry, mode, s)
    set_file(s.src + "/big", os.urandom(SIZE), 1_700_000_000)
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_a_damaged_partial_file_is_noticed(wherry, s, mode):
    """What lies there is never believed without proof."""
    set_file(s.write("src/big"), os.urandom(SIZE), 1_600_000_000)
    interrupt(wherry, mode, s)
    for d, _, names in os.walk(s.dst):
        for n in names:
            with open(os.path.join(d, n), "r+b") as f:
                f.seek(1_000_000)
                f.write(b"damage" * 1000)
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)


@pytest.mark.parametrize("mode", ["push", "pull", "local"])
def test_leavings_of_a_file_that_is_gone_are_cleared(wherry, s, mode):
    set_file(s.write("src/big"), os.urandom(SIZE), 1_600_000_000)
    set_file(s.write("src/other"), b"1", 1_600_000_000)
    interrupt(wherry, "push", s)
    os.unlink(s.src + "/big")
    wherry.copy(mode, s.src + "/", s.dst)
    assert litter(snapshot(s.dst)) == []
    assert_same(s.src, s.dst)


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_resume_goes_on_after_several_interruptions(wherry, s, mode):
    build(s.src, trees.many(100) + [Node(b"big", "file", (3, 9_000_000))])
    set_file(s.src + "/noise", os.urandom(SIZE // 2), 1_600_000_000)
    for part in (0.1, 0.2, 0.4):
        interrupt(wherry, mode, s, after=part, seconds=6)
    wherry.copy(mode, s.src + "/", s.dst)
    assert_same(s.src, s.dst)
