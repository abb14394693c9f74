"""
What tests use to run the program under test: runners, endpoints, a private sshd, small file systems.

The program is $WHERRY_BIN. With WHERRY_STANDIN=rsync, stock rsync plays its part: that proves the tests themselves
(tests of what only wherry has are skipped then).

Three kinds of endpoint: "local" (both sides here), "push" and "pull" (the other side behind a remote shell). The remote
shell is a small script that runs the command here with its own environment, as sshd would, but without a login's
0.2 s; tests of the real thing take the fixture `sshd`.
"""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

import trees

STANDIN = os.environ.get("WHERRY_STANDIN", "")
STRICT = bool(os.environ.get("CI") or os.environ.get("WHERRY_STRICT"))
IS_ROOT = os.geteuid() == 0
USER_ID = 65534

# Exit statuses (src/base/err.c)
OK, USAGE, SOURCE, UNSUPPORTED, CLOSED, IO, PROTOCOL, PARTIAL, VANISHED = 0, 1, 3, 4, 10, 11, 12, 23, 24
MAX_DELETE, TIMEOUT, CONNECT_TIMEOUT, NO_SPACE, UNREACHABLE, NO_REMOTE = 25, 30, 35, 40, 41, 42
REFUSED, EMPTY, LOCKED = 43, 44, 45

FAULT_VARIABLES = ("WHERRY_CRASH_AT", "WHERRY_FAIL_AT", "WHERRY_FAULT_COUNT", "WHERRY_CUT_AT")

RSH = """#!/bin/sh
# A remote shell that stays here: HOST COMMAND... runs COMMAND with an environment of its own.
unset WHERRY_CRASH_AT WHERRY_FAIL_AT WHERRY_FAULT_COUNT WHERRY_CUT_AT
while :; do
	case $1 in
	-l|-o) shift 2 ;;
	--) shift; break ;;
	-*) shift ;;
	*) break ;;
	esac
done
shift
[ -n "$REMOTE_HOME" ] && export HOME="$REMOTE_HOME" XDG_STATE_HOME="$REMOTE_HOME/state"
# A served process may write nowhere but beneath its root: its sanitizer reports come by way of stderr.
ASAN_OPTIONS=${ASAN_OPTIONS#log_path=*:} UBSAN_OPTIONS=${UBSAN_OPTIONS#log_path=*:} TSAN_OPTIONS=${TSAN_OPTIONS#log_path=*:}
[ -n "$REMOTE_ENV" ] && eval "export $REMOTE_ENV"
cd "$HOME" && exec sh -c "$*"
"""


def need(condition, why):
    """Skip when something is missing; in CI that is a failure, for a test that never runs proves nothing."""
    if condition:
        return
    if STRICT:
        pytest.fail("not here: " + why)
    pytest.skip(why)


def need_tool(name):
    need(shutil.which(name), name + " is not installed")


ITEM = re.compile(rb"^([<>ch.*][fdLDS][.+?cstTpoguaxbnf ]{9}) (.*)$", re.S)
MOVE = re.compile(rb"^mv {10}(.*) -> (.*)$", re.S)
DELETING = re.compile(rb"^\*(\w+) +(.*)$", re.S)


def unescape(name):
    """rsync's and wherry's \\#ooo back to the byte."""
    return re.sub(rb"\\#([0-7]{3})", lambda m: bytes([int(m[1], 8)]), name)


class Result:
    """How a run ended and what it said."""

    def __init__(self, argv, status, out, err, seconds):
        self.argv, self.status, self.out, self.err, self.seconds = argv, status, out, err, seconds

    def __repr__(self):
        words = " ".join(a if isinstance(a, str) else repr(a) for a in self.argv)
        return "%s\n  exit %s\n  stdout: %s\n  stderr: %s" % (
            words, self.status, self.out[-3000:].decode("utf-8", "backslashreplace"),
            self.err[-3000:].decode("utf-8", "backslashreplace"))

    @property
    def items(self):
        """The itemized lines as a list of (letters, name): ("*deleting", path) for deletions, ("mv OLD", new) for
        moves; names as bytes, without the arrow part of links."""
        found = []
        for line in self.out.split(b"\n"):
            m = ITEM.match(line)
            if m:
                letters, name = m[1].decode(), m[2]
                if letters[1] == "L":
                    name = name.split(b" -> ")[0]
                if letters[0] == "h" or b" => " in name:
                    name = name.split(b" => ")[0]
                found.append((letters, unescape(name)))
                continue
            m = MOVE.match(line)
            if m:
                found.append(("mv " + os.fsdecode(unescape(m[1])), unescape(m[2])))
            m = DELETING.match(line)
            if m:
                found.append(("*" + m[1].decode(), unescape(m[2])))
        return found

    @property
    def json(self):
        return [json.loads(line, strict=False) for line in self.out.splitlines() if line.strip()]

    def says(self, pattern):
        return re.search(pattern.encode(), self.err + b"\n" + self.out, re.I | re.S) is not None


class Wherry:
    """Runs the program with an environment of its own beneath `home`."""

    def __init__(self, program, home, rsh, sanitizer_dir):
        self.program, self.home, self.rsh, self.sanitizer_dir = program, home, rsh, sanitizer_dir
        self.host = "there"
        for sub in ("", "/state", "/remote", "/remote/state"):
            os.makedirs(home + sub, exist_ok=True)
            os.chmod(home + sub, 0o777)

    def env(self, extra=None):
        env = {
            "HOME": self.home, "XDG_STATE_HOME": self.home + "/state", "REMOTE_HOME": self.home + "/remote",
            "PATH": os.path.dirname(self.program) + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb",
        }
        env.update(sanitizer_env(self.sanitizer_dir))
        env.update(extra or {})
        return env

    def argv(self, args):
        args = [os.fspath(a) for a in args]
        if not STANDIN:
            return [self.program] + args
        assert args[0] == "sync", "the stand-in can only sync"
        out = []
        for a in args[1:]:
            if a == "--itemize":
                a = "-i"
            elif isinstance(a, str) and a.startswith("--remote-command"):
                continue
            out.append(a)
        return ["rsync", "-aHAX", "--sparse", "--modify-window=-1"] + out

    def start(self, *args, env=None, user=None, cwd=None, stdin=subprocess.DEVNULL, **more):
        argv = self.argv(args)
        if user is not None:
            argv = ["setpriv", "--reuid=%d" % user, "--regid=%d" % user, "--clear-groups", "--"] + argv
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(argv, env=self.env(env), cwd=cwd or self.home, stdin=stdin, start_new_session=True, **more)

    def run(self, *args, status=OK, timeout=90, **more):
        """Run to the end. `status`: the wanted exit status, several, or None for any."""
        t = time.monotonic()
        given = more.pop("input", None)
        if given is not None:
            more["stdin"] = subprocess.PIPE
        p = self.start(*args, **more)
        try:
            out, err = p.communicate(given, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            pytest.fail("still running after %d s: %r" % (timeout, Result(self.argv(args), "none", out, err, timeout)))
        r = Result(p.args, p.returncode, out, err, time.monotonic() - t)
        if status is not None:
            wanted = (status,) if isinstance(status, int) else tuple(status)
            assert r.status in wanted, "wanted exit status %s: %r" % (wanted, r)
        for trouble in (b"Sanitizer", b"runtime error:", self.sanitizer_dir.encode()):
            assert trouble not in r.err, repr(r)
        assert b"BUG at" not in r.err, repr(r)
        return r

    def sync(self, *args, **more):
        return self.run("sync", *args, **more)

    def through(self, sshd):
        """From now on remote endpoints are behind a real ssh."""
        self.rsh, self.host = sshd.rsh, "127.0.0.1"

    def remote(self, path, host=None):
        """path on the other side of the remote shell."""
        path = os.fspath(path)
        host = host or self.host
        return host.encode() + b":" + path if isinstance(path, bytes) else host + ":" + path

    def words(self, mode, src, dst, *opts):
        """Arguments of `sync` for an endpoint kind."""
        if mode == "local":
            return [*opts, src, dst]
        far = ["-e", self.rsh, "--remote-command", self.program]
        if STANDIN:
            far = ["-e", self.rsh]
        if mode == "push":
            return [*far, *opts, src, self.remote(dst)]
        if mode == "pull":
            return [*far, *opts, self.remote(src), dst]
        if mode == "relay":
            return [*far, "--relay", *opts, self.remote(src, "one"), self.remote(dst, "two")]
        if mode == "between":
            return [*far, *opts, self.remote(src, "one"), self.remote(dst, "two")]
        raise AssertionError(mode)

    def copy(self, mode, src, dst, *opts, **more):
        """One sync over an endpoint kind."""
        return self.sync(*self.words(mode, src, dst, *opts), **more)


def sanitizer_env(where):
    """Reports of sanitizers go to files, so that those of remote and killed processes are seen too."""
    common = "log_path=%s/report:exitcode=99:" % where
    return {
        "ASAN_OPTIONS": common + "detect_leaks=1:abort_on_error=0:allocator_may_return_null=0",
        "UBSAN_OPTIONS": common + "print_stacktrace=1:halt_on_error=1",
        "TSAN_OPTIONS": common + "halt_on_error=0:second_deadlock_stack=1",
    }


class Sshd:
    """A real sshd on a port of the loopback, with keys of its own."""

    def __init__(self, base, path_dir, environment):
        self.base = base
        os.makedirs(base)
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "%s/%s" % (base, key)], check=True)
        self.authorized = base + "/authorized_keys"
        self.set_forced_command(None)
        if IS_ROOT:
            os.makedirs("/run/sshd", exist_ok=True)
        self.port = free_port()
        env = dict(environment, PATH=path_dir + ":/usr/bin:/bin")
        config = """
ListenAddress 127.0.0.1
Port %d
HostKey %s/host
AuthorizedKeysFile %s
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
UseDNS no
PrintMotd no
MaxStartups 200
MaxSessions 200
LogLevel ERROR
SetEnv %s
""" % (self.port, base, self.authorized, " ".join('"%s=%s"' % kv for kv in env.items()))
        with open(base + "/sshd_config", "w") as f:
            f.write(config)
        self.log = open(base + "/log", "w")
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", base + "/sshd_config"], stderr=self.log,
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        wait_for_port(self.port, self.process)

    def set_forced_command(self, command):
        """None: any command may be run; else the text of command="..." in authorized_keys."""
        with open(self.base + "/user.pub") as f:
            key = f.read()
        options = 'restrict,command="%s" ' % command.replace('"', '\\"') if command else ""
        with open(self.authorized, "w") as f:
            f.write(options + key)
        os.chmod(self.authorized, 0o644)

    @property
    def rsh(self):
        return ("ssh -p %d -i %s/user -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
                "-o BatchMode=yes -o IdentitiesOnly=yes -o LogLevel=ERROR" % (self.port, self.base))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, "sshd ended with %s" % process.returncode
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("nothing listens on port %d" % port)


class Mounts:
    """Small file systems; root only. All are unmounted at the end of the test."""

    def __init__(self, base):
        self.base, self.made = base, []

    def tmpfs(self, size, name="fs", inodes=None):
        where = os.path.join(self.base, name)
        os.makedirs(where, exist_ok=True)
        opts = "size=%s,mode=755" % size + (",nr_inodes=%d" % inodes if inodes else "")
        subprocess.run(["mount", "-t", "tmpfs", "-o", opts, "wherry-test", where], check=True)
        self.made.append(where)
        return where

    def read_only(self, path):
        """The tree at path, seen read-only at the same place."""
        subprocess.run(["mount", "--bind", path, path], check=True)
        self.made.append(path)
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        return path

    def release(self):
        for where in reversed(self.made):
            subprocess.run(["umount", "-l", where], check=False)
        self.made = []


class Space:
    """A directory for one test: s.src and s.dst, and names for more."""

    def __init__(self, base):
        self.base = base
        self.src, self.dst = base + "/src", base + "/dst"

    def __truediv__(self, name):
        return os.path.join(self.base, name)

    def write(self, name, data=b"", mode=None):
        path = os.path.join(self.base, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def read(self, name):
        with open(os.path.join(self.base, name), "rb") as f:
            return f.read()

    def sample(self, name="src", **more):
        path = os.path.join(self.base, name)
        trees.build(path, trees.sample(**more))
        return path

    def give(self, name, user=USER_ID):
        """Make everything beneath name the user's own."""
        path = os.path.join(self.base, name)
        for d, dirs, files in os.walk(os.fsencode(path)):
            for x in dirs + files:
                p = os.path.join(d, x)
                mode = os.lstat(p).st_mode
                os.chown(p, user, user, follow_symlinks=False)
                if not stat.S_ISLNK(mode):
                    os.chmod(p, stat.S_IMODE(mode))
        os.chown(path, user, user)
        return path


def touch(path, seconds):
    """Give path a whole second of time, so that the quick check sees a change or none, as wanted."""
    os.utime(path, ns=(int(seconds * 10**9),) * 2, follow_symlinks=False)


def set_file(path, data, seconds=None):
    with open(path, "wb") as f:
        f.write(data)
    if seconds is not None:
        touch(path, seconds)


def children_of(pid):
    """All processes beneath pid, youngest last."""
    parent = {}
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                with open("/proc/%s/stat" % p, "rb") as f:
                    parent[int(p)] = int(f.read().rsplit(b")", 1)[1].split()[1])
            except (OSError, IndexError):
                pass
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        kids = [p for p, up in parent.items() if up == one and words_of(p) != words_of(one)]
        found += kids
        queue += kids
    return found


def words_of(pid):
    """The command line; a sanitizer's helper has that of the process it looks at, which waits for it."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read() or pid
    except OSError:
        return pid
