"""
Kill it anywhere (DESIGN 3.3, 3.4, 3.6): the program is stopped at every change it makes to a file system, fails there
with ENOSPC and EIO, loses the line at any byte, or is killed at any moment. After each:

- every file at the destination is wholly the old or wholly the new version;
- nothing outside the destination changed, and the source did not;
- a rerun converges to the source and leaves no temporary names behind.

Needs a build with -Dfault=true (src/os/fault.h): WHERRY_FAULT_COUNT tells how many steps a run has, WHERRY_CRASH_AT=k and
WHERRY_FAIL_AT=k:ENOSPC stop at the k-th. REMOTE_ENV gives them to the far side only (harness.RSH).
"""

import os
import random
import signal
import subprocess
import time

import pytest

import trees
from harness import NO_SPACE, OK, PARTIAL, children_of, set_file
from oracle import assert_same, litter, snapshot
from trees import Node, build

pytestmark = [pytest.mark.native, pytest.mark.fault, pytest.mark.usefixtures("has_fault")]

STEPS = int(os.environ.get("WHERRY_STEPS", "40"))


def scene(s):
    """A source and an older destination that differ in every way a run can change."""
    build(s.src, [
        Node(b"same", "file", (1, 1000)), Node(b"changed", "file", (2, 20_000)), Node(b"big", "file", (3, 1_500_000)),
        Node(b"new", "file", (4, 300)), Node(b"newdir", "dir", mode=0o750), Node(b"newdir/a", "file", (5, 5000)),
        Node(b"newdir/deep", "dir", mode=0o755), Node(b"newdir/deep/b", "file", (6, 70_000)),
        Node(b"link", "symlink", b"new-target"), Node(b"h1", "file", (7, 600)), Node(b"h2", "hardlink", b"h1"),
        Node(b"to-dir", "dir", mode=0o755), Node(b"to-dir/x", "file", (8, 10)), Node(b"to-file", "file", (9, 10)),
        Node(b"moved", "dir", mode=0o755), Node(b"moved/m1", "file", (10, 40_000)), Node(b"moved/m2", "file", (11, 40_000)),
        Node(b"mode", "file", (12, 10), mode=0o600, xattrs=((b"user.a", b"new"),)),
        Node(b"pipe", "fifo"), Node(b"hole", "file", (13, 900_000), holes=((8192, 800_000),)),
    ])
    build(s.dst, [
        Node(b"same", "file", (1, 1000)), Node(b"changed", "file", (22, 19_000), mtime_ns=1), Node(b"extra", "file", (23, 9)),
        Node(b"big", "file", (24, 1_400_000), mtime_ns=1), Node(b"link", "symlink", b"old-target"),
        Node(b"to-dir", "file", (25, 5)), Node(b"to-file", "dir", mode=0o755), Node(b"to-file/y", "file", (26, 5)),
        Node(b"old", "dir", mode=0o755), Node(b"old/m1", "file", (10, 40_000)), Node(b"old/m2", "file", (11, 40_000)),
        Node(b"gone", "dir", mode=0o755), Node(b"gone/z", "file", (27, 5)),
        Node(b"mode", "file", (12, 10), mode=0o644, xattrs=((b"user.a", b"old"), (b"user.b", b"old"))),
    ])
    s.write("outside/keep", b"sentinel")


class Judge:
    """Knows the old and the new state, and what may be between."""

    def __init__(self, s):
        self.s = s
        self.old, self.new = snapshot(s.dst), snapshot(s.src)
        self.outside = snapshot(s / "outside")
        subprocess.run(["cp", "-aT", s.dst, s / "saved"], check=True)

    def reset(self):
        trees.remove(self.s.dst)
        subprocess.run(["cp", "-aT", self.s / "saved", self.s.dst], check=True)

    def digests(self, path):
        return {snap[path].digest for snap in (self.old, self.new) if path in snap and snap[path].kind == "file"}

    def after_crash(self, why):
        now = snapshot(self.s.dst)
        known = {e.digest for snap in (self.old, self.new) for e in snap.values() if e.kind == "file"}
        for p, e in now.items():
            if any(c.startswith(b".wherry.") for c in p.split(b"/")) or e.kind != "file":
                continue
            wanted = self.digests(p)
            # below a directory that was moved or swapped as a whole, names may be new; contents may not
            assert e.digest in (wanted or known), "%s: %r is neither the old nor the new version" % (why, p)
        assert snapshot(self.s / "outside") == self.outside, why
        assert snapshot(self.s.src) == self.new, "%s: the source changed" % why

    def after_rerun(self, why):
        lines_of = "%s, then rerun" % why
        try:
            assert_same(self.s.src, self.s.dst)
        except AssertionError as e:
            raise AssertionError("%s: %s" % (lines_of, e)) from None
        assert litter(snapshot(self.s.base)) == [], lines_of
        assert snapshot(self.s / "outside") == self.outside, why


def fault_env(side, name, value):
    return {name: value} if side == "near" else {"REMOTE_ENV": "%s=%s" % (name, value)}


def count_steps(wherry, mode, side, judge, opts):
    """How many changes that side makes in a run that is left alone. (A serving process may write nowhere but in the
    destination.)"""
    path = judge.s.dst + "/.count"
    wherry.copy(mode, judge.s.src + "/", judge.s.dst, *opts, env=fault_env(side, "WHERRY_FAULT_COUNT", path))
    with open(path) as f:
        n = int(f.read().split()[0])
    os.unlink(path)
    os.utime(judge.s.dst, ns=(judge.new[b""].mtime_ns,) * 2)
    judge.after_rerun("undisturbed run")
    judge.reset()
    return n


def sample_of(n):
    """All steps when they are few, else an even spread with both ends."""
    if n <= STEPS:
        return list(range(1, n + 1))
    return sorted({1 + i * (n - 1) // (STEPS - 1) for i in range(STEPS)})


SIDES = [("local", "near"), ("push", "far"), ("pull", "near")]
OPTIONS = {"plain": ["--delete"], "backup": ["--delete", "--backup-dir=../backup"], "inplace": ["--delete", "--inplace"],
           "strict": ["--delete", "--fsync=strict"]}


@pytest.mark.parametrize("opts", ["plain", "backup", "strict"])
@pytest.mark.parametrize("mode,side", SIDES)
def test_killed_at_every_step(wherry, s, mode, side, opts):
    scene(s)
    judge = Judge(s)
    options = OPTIONS[opts]
    n = count_steps(wherry, mode, side, judge, options)
    assert n > 20, "fault points are missing: only %d steps" % n
    steps = sample_of(n) if opts == "plain" else sample_of(n)[::4]
    for k in steps:
        trees.remove(s / "backup")
        wherry.copy(mode, s.src + "/", s.dst, *options, env=fault_env(side, "WHERRY_CRASH_AT", str(k)), status=None)
        judge.after_crash("killed at step %d of %d" % (k, n))
        wherry.copy(mode, s.src + "/", s.dst, *options)
        judge.after_rerun("killed at step %d of %d" % (k, n))
        judge.reset()


@pytest.mark.parametrize("opts", [[], ["--update"], ["--ignore-existing"], ["--backup"]])
@pytest.mark.parametrize("mode,side", SIDES)
def test_an_unpublished_directory_is_nobodys(wherry, s, mode, side, opts):
    """What a killed run left in a directory without a name proves nothing: neither new, nor a version, nor to be published."""
    names = ["a", "gone", "z"]
    for n in names:
        set_file(s.write("src/new/" + n), n.encode() * 300_000, 1_600_000_000)
    os.mkdir(s.dst)
    for k in range(2, 15, 2):
        wherry.copy(mode, s.src + "/", s.dst, env=fault_env(side, "WHERRY_CRASH_AT", str(k)), status=None)
        wait_until_quiet(s)
        os.unlink(s.src + "/new/gone")
        wherry.copy(mode, s.src + "/", s.dst, *opts)
        why = "killed at step %d" % k
        there = set(os.listdir(s.dst + "/new"))
        assert there <= set(names), why
        for n in there:
            assert s.read("dst/new/" + n) == n.encode() * 300_000, "%s: %s" % (why, n)
        assert litter(snapshot(s.base)) == [], why
        set_file(s.src + "/new/gone", b"gone" * 300_000, 1_600_000_000)
        trees.remove(s.dst)
        os.mkdir(s.dst)


@pytest.mark.parametrize("errno", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("mode,side", SIDES)
def test_failing_at_every_step(wherry, s, mode, side, errno):
    scene(s)
    judge = Judge(s)
    n = count_steps(wherry, mode, side, judge, ["--delete"])
    for k in sample_of(n)[::2]:
        why = "%s at step %d of %d" % (errno, k, n)
        r = wherry.copy(mode, s.src + "/", s.dst, "--delete", env=fault_env(side, "WHERRY_FAIL_AT", "%d:%s" % (k, errno)),
                        status=None)
        assert r.status > 0 or r.status == OK, "%s: %r" % (why, r)
        judge.after_crash(why)
        if r.status == OK:  # a step whose failure harms nothing (fsync of a hint, a cache)
            judge.after_rerun(why)
        else:
            assert r.err.strip(), why + ": failed without a word"
        wherry.copy(mode, s.src + "/", s.dst, "--delete")
        judge.after_rerun(why)
        judge.reset()


@pytest.mark.parametrize("variable", ["WHERRY_CUT_AT", "WHERRY_CUT_OUT_AT"])
@pytest.mark.parametrize("mode", ["push", "pull"])
@pytest.mark.parametrize("side", ["near", "far"])
def test_line_cut_at_any_byte(wherry, s, mode, side, variable):
    scene(s)
    set_file(s.src + "/noise", os.urandom(400_000), 1_600_000_000)
    judge = Judge(s)
    rnd = random.Random(mode + side + variable)
    cuts = [0, 1, 9, 10, 11, 60, 200] + sorted(int(10 ** rnd.uniform(2, 6.1)) for _ in range(STEPS // 3))
    for cut in cuts:
        why = "%s %s=%d" % (side, variable, cut)
        r = wherry.copy(mode, s.src + "/", s.dst, "--delete", env=fault_env(side, variable, str(cut)), status=None, timeout=30)
        assert r.status >= 0, why
        judge.after_crash(why)
        if r.status == OK:
            judge.after_rerun(why + " (not reached)")
        else:
            assert r.err.strip(), why + ": failed without a word"
        wherry.copy(mode, s.src + "/", s.dst, "--delete")
        judge.after_rerun(why)
        judge.reset()


@pytest.mark.parametrize("mode,victim", [("local", "near")] + [(m, v) for m in ("push", "pull")
                                                               for v in ("near", "far", "group")])
def test_kill_9_at_random_times(wherry, s, mode, victim):
    scene(s)
    build(s.src + "/many", trees.many(400))
    set_file(s.src + "/noise", os.urandom(4_000_000), 1_600_000_000)
    judge = Judge(s)
    rnd = random.Random(mode + victim)
    for _ in range(8):
        p = wherry.start("sync", *wherry.words(mode, s.src + "/", s.dst, "--delete"))
        time.sleep(rnd.uniform(0.005, 0.25))
        if victim == "near":
            os.kill(p.pid, signal.SIGKILL)
        elif victim == "group":
            os.killpg(p.pid, signal.SIGKILL)
        else:
            for child in children_of(p.pid):
                try:
                    os.kill(child, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        p.communicate(timeout=30)
        wait_until_quiet(s)
        judge.after_crash("kill -9 of %s" % victim)
        if rnd.random() < 0.5:
            continue  # the next run meets the leavings of several
        wherry.copy(mode, s.src + "/", s.dst, "--delete")
        judge.after_rerun("kill -9 of %s" % victim)
        judge.reset()
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    judge.after_rerun("kill -9 of %s" % victim)


def wait_until_quiet(s):
    """The far side notices the loss a moment later; wait until nobody works in the destination any more."""
    for _ in range(100):
        busy = False
        for p in os.listdir("/proc"):
            if not p.isdigit():
                continue
            try:
                with open("/proc/%s/cmdline" % p, "rb") as f:
                    words = f.read()
                busy |= b"serve" in words and os.readlink("/proc/%s/exe" % p).startswith(os.path.dirname(s.base))
            except OSError:
                pass
        if not busy:
            return
        time.sleep(0.05)


@pytest.mark.parametrize("mode,side", SIDES)
def test_inplace_killed_converges(wherry, s, mode, side):
    """--inplace gives up 'old or new' for the file it writes, and nothing else."""
    scene(s)
    judge = Judge(s)
    n = count_steps(wherry, mode, side, judge, OPTIONS["inplace"])
    for k in sample_of(n)[::4]:
        wherry.copy(mode, s.src + "/", s.dst, *OPTIONS["inplace"], env=fault_env(side, "WHERRY_CRASH_AT", str(k)), status=None)
        assert snapshot(s.src) == judge.new
        wherry.copy(mode, s.src + "/", s.dst, *OPTIONS["inplace"])
        lines_same(s, k)
        judge.reset()


def lines_same(s, k):
    try:
        assert_same(s.src, s.dst, {"holes"})
    except AssertionError as e:
        raise AssertionError("killed at step %d: %s" % (k, e)) from None


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_remove_source_files_never_loses_a_file(wherry, s, mode):
    """Killed anywhere, each file is at the source or, whole, at the destination."""
    nodes = trees.many(60, dirs=3)
    build(s.src, nodes)
    names = {n.path: e for n in nodes if n.kind == "file" for e in [snapshot(s.src)[n.path].digest]}
    for side in ("near", "far"):
        for k in (1, 7, 20, 45, 70, 95, 120, 150):
            trees.remove(s.src)
            trees.remove(s.dst)
            build(s.src, nodes)
            wherry.copy(mode, s.src + "/", s.dst, "--remove-source-files", env=fault_env(side, "WHERRY_CRASH_AT", str(k)),
                        status=None)
            wait_until_quiet(s)
            here = snapshot(s.src)
            there = snapshot(s.dst) if os.path.exists(s.dst) else {}
            for p, digest in names.items():
                kept = p in here and here[p].digest == digest
                arrived = p in there and there[p].digest == digest
                assert kept or arrived, "%s lost at step %d (%s)" % (p, k, side)


@pytest.mark.parametrize("mode,side", SIDES[1:])
def test_full_disk_ends_the_run_at_once(wherry, s, mode, side):
    """What cannot be kept is not sent to the end first."""
    for name in "abc":
        set_file(s.write("src/" + name), os.urandom(10_000_000))
    r = wherry.copy(mode, s.src + "/", s.dst, "--bwlimit=3M", env=fault_env(side, "WHERRY_FAIL_AT", "3+:ENOSPC"), status=NO_SPACE)
    assert r.seconds < 5, repr(r)


@pytest.mark.parametrize("mode,side", SIDES)
def test_disk_that_only_fails_spoils_no_session(wherry, s, mode, side):
    """Every entry is tried and complained of; the rest of a large file that was given up harms nobody."""
    for name in "abc":
        set_file(s.write("src/" + name), os.urandom(6_000_000), 1_600_000_000)
    os.makedirs(s.dst + "/keep")
    for k in (3, 6, 9):
        r = wherry.copy(mode, s.src + "/", s.dst, env=fault_env(side, "WHERRY_FAIL_AT", "%d+:EIO" % k), status=PARTIAL)
        assert r.says("Input/output error")
    wherry.copy(mode, s.src + "/", s.dst, "--delete")
    assert_same(s.src, s.dst)
    assert litter(snapshot(s.dst)) == []
