"""
A peer that lies. Whatever it says, nothing outside the destination (or the served root) changes, nothing is deleted on
its word alone, the program ends by itself with a documented status and a line that says why.
"""

import os
import subprocess
import sys

import pytest

import peer
from harness import CLOSED, EMPTY, IO, NO_SPACE, OK, PARTIAL, PROTOCOL, REFUSED, SOURCE, UNSUPPORTED, VANISHED, set_file
from oracle import contents

pytestmark = pytest.mark.native
ANY_FAULT = {PROTOCOL, CLOSED, PARTIAL, IO, REFUSED, UNSUPPORTED, VANISHED, NO_SPACE, SOURCE, EMPTY}
HARMLESS = {"event with control characters"}

GOOD = """
def play(line):
    line.send(directory(1, b"", [entry(b"f", REG, 5)]))
    line.send(line.pack(1, 0, b"hello"))
    line.finish()
"""

# Lies of a sender, one per line of thought. Each plays against a client that receives into s.dst.
SENDER_LIES = {
    "parent as directory path": 'line.send(directory(1, b"..", [entry(b"pwned", REG, 1)]), line.pack(1, 0, b"x"))',
    "path through parent": 'line.send(directory(1, b"", [entry(b"a", DIRECTORY, bits=LISTED)]), '
                           'directory(2, b"a/../../outside", [entry(b"pwned", REG, 1)], 1), line.pack(2, 0, b"x"))',
    "absolute path": 'line.send(directory(1, OUTSIDE, [entry(b"pwned", REG, 1)]), line.pack(1, 0, b"x"))',
    "path with empty component": 'line.send(directory(1, b"a//b", []))',
    "path with trailing slash": 'line.send(directory(1, b"a/", []))',
    "path with dot": 'line.send(directory(1, b"./a", []))',
    "path with NUL": 'line.send(directory(1, b"a\\0b", []))',
    "name ..": 'line.send(directory(1, b"", [entry(b"..", REG, 1)]), line.pack(1, 0, b"x"))',
    "name .": 'line.send(directory(1, b"", [entry(b".", DIRECTORY, bits=LISTED)]))',
    "empty name": 'line.send(directory(1, b"", [entry(b"", REG, 1)]))',
    "name with slash": 'line.send(directory(1, b"", [entry(b"../outside/pwned", REG, 1)]), line.pack(1, 0, b"x"))',
    "name with NUL": 'line.send(directory(1, b"", [entry(b"a\\0b", REG, 1)]))',
    "name of a temporary file": 'line.send(directory(1, b"", [entry(b".wherry.0123456789abcdef.t", REG, 1)]))',
    "same name twice": 'line.send(directory(1, b"", [entry(b"a", REG, 1), entry(b"a", LINK, target=OUTSIDE)]))',
    "names out of order": 'line.send(directory(1, b"", [entry(b"b", REG, 1), entry(b"a", REG, 1)]))',
    "name longer than told": 'line.send(directory(1, b"", [entry(b"abc", REG, 1, length=200)]))',
    "more entries than sent": 'line.send(directory(1, b"", [entry(b"a", REG, 1)], count=100000))',
    "count beyond limit": 'line.send(directory(1, b"", [], count=1 << 40))',
    "unknown type of entry": 'line.send(directory(1, b"", [entry(b"a", 0o170000, 1)]))',
    "symlink without target": 'line.send(directory(1, b"", [entry(b"a", LINK, target=b"")]))',
    "endless symlink target": 'line.send(directory(1, b"", [entry(b"a", LINK, target=b"x" * 70000)]))',
    "directory id zero": 'line.send(directory(0, b"", []))',
    "directory id twice": 'line.send(directory(1, b"", [entry(b"a", DIRECTORY, bits=LISTED)]), directory(1, b"a", []))',
    "own parent": 'line.send(directory(1, b"", [], parent=1))',
    "directory that is listed as a symlink":
        'line.send(directory(1, b"", [entry(b"evil", LINK, target=OUTSIDE)]), '
        'directory(2, b"evil", [entry(b"pwned", REG, 1)], 1), line.pack(2, 0, b"x"))',
    "directory that nobody listed": 'line.send(directory(1, b"", []), directory(2, b"x/y", [entry(b"f", REG, 1)], 1))',
    "content for an unknown directory": 'line.send(directory(1, b"", []), line.pack(77, 0, b"x"))',
    "content for an unknown index": 'line.send(directory(1, b"", [entry(b"a", REG, 1)]), line.pack(1, 5, b"x"))',
    "content for a symlink": 'line.send(directory(1, b"", [entry(b"a", LINK, target=OUTSIDE)]), line.pack(1, 0, b"x"))',
    "wrong tag": 'line.send(directory(1, b"", [entry(b"a", REG, 1)])); '
                 '[line.send(line.pack(1, 0, b"x", tag=b"w" * 16)) for _ in range(6)]',
    "copy from a basis that is not there":
        'line.send(directory(1, b"", [entry(b"a", REG, 300000)]), '
        'line.chunk(1, 0, bytes([3]) + varint(1000) + varint(1 << 50)))',
    "hole of 2^62 bytes": 'line.send(directory(1, b"", [entry(b"a", REG, 1 << 62)]), '
                          'line.chunk(1, 0, bytes([2]) + varint(1 << 62)))',
    "literal longer than the frame": 'line.send(directory(1, b"", [entry(b"a", REG, 300000)]), '
                                     'line.chunk(1, 0, bytes([1]) + varint(1 << 20) + b"short"))',
    "literal beyond limit": 'line.send(directory(1, b"", [entry(b"a", REG, 300000)]), '
                            'line.chunk(1, 0, bytes([1]) + varint(1 << 40) + b"short"))',
    "chunk of unknown record": 'line.send(directory(1, b"", [entry(b"a", REG, 300000)]), line.chunk(1, 0, bytes([9])))',
    "frame of 4 GiB": 'line.send(frame(PACK, b"", wire=0xffffffff, raw=0xffffffff))',
    "lengths that disagree": 'line.send(frame(PACK, b"abc", raw=5))',
    "codec nobody offered": 'line.send(frame(PACK, b"abc", codec=2, raw=500))',
    "unknown codec": 'line.send(frame(PACK, b"abc", codec=77, raw=500))',
    "unknown frame": 'line.send(frame(99, b"abc"))',
    "frame of the wrong side": 'line.send(frame(SUMMARY, blob(b"ok") + varint(0)))',
    "refine that nobody needs": 'line.send(frame(REFINE_REQ, varint(1) + varint(0) + varint(1) + varint(0) + varint(9)))',
    "refine beyond limit": 'line.send(directory(1, b"", [entry(b"a", REG, 300000)]), frame(REFINE_REQ, '
                           'varint(1) + varint(0) + varint(1 << 40)))',
    "empty message": 'line.send(frame(DIR, b""))',
    "message with a tail": 'line.send(frame(LIST_END, b"\\0\\0\\0\\0\\0\\0\\0"))',
    "varint without end": 'line.send(frame(DIR, b"\\xff" * 30))',
    "garbage": 'line.send(bytes(range(256)) * 50)',
    "second hello": 'line.send(hello())',
    "end inside a frame": 'line.send(directory(1, b"", [entry(b"a", REG, 1)])[:-4]); line.hang_up()',
    "end without a word": 'line.hang_up()',
    "end before the list ends": 'line.send(directory(1, b"", [])); line.hang_up()',
    "fatal with control characters": 'line.send(frame(FATAL, blob(b"io") + blob(b"\\x1b[2Jowned\\n\\x07")))',
    "event with control characters": 'line.send(frame(EVENT, bytes([5]) + blob(b"ok") + varint(0) * 3 + blob(b"") + '
                                     'blob(b"\\x1b]0;title\\x07")))',
}


def outside_of(s):
    """Sentinels that must not change: a neighbour of the destination."""
    s.write("outside/keep", b"sentinel", 0o600)
    return contents(s / "outside")


def play(wherry, s, body, *opts, **more):
    """A pull from a server that follows the scenario."""
    text = "OUTSIDE = %r\n" % os.fsencode(s / "outside") + body
    s.write("scenario.py", text.encode())
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer.py")
    remote = "%s -B %s %s" % (sys.executable, here, s / "scenario.py")
    return wherry.sync("-e", wherry.rsh, "--remote-command", remote, *opts, "there:/anything/", s.dst, timeout=40, **more)


def lie(text):
    return "def play(line):\n    %s\n    line.finish()\n" % text.replace("; ", "\n    ")


def check_clean(s, r, before):
    assert contents(s / "outside") == before
    assert not os.path.exists(s / "pwned")
    assert r.err.strip(), "silent failure: %r" % r
    assert b"\x1b" not in r.err and b"\x07" not in r.err, "control characters reach the terminal: %r" % r


def test_an_honest_peer_is_believed(wherry, s):
    """The scenarios would prove nothing if their author could not speak."""
    outside_of(s)
    play(wherry, s, GOOD)
    assert s.read("dst/f") == b"hello"


@pytest.mark.parametrize("what", SENDER_LIES)
def test_lying_sender_into_nothing(wherry, s, what):
    before = outside_of(s)
    r = play(wherry, s, lie(SENDER_LIES[what]), status=ANY_FAULT | ({OK} if what in HARMLESS else set()))
    check_clean(s, r, before)


@pytest.mark.parametrize("what", SENDER_LIES)
def test_lying_sender_into_a_tree_with_delete(wherry, s, what):
    before = outside_of(s)
    s.write("dst/mine", b"mine")
    s.write("dst/sub/too", b"too")
    os.symlink("../outside", s.dst + "/evil")
    os.symlink(s / "outside", s.dst + "/a")
    # a sender that was not asked to list everything waits for the table first
    body = lie("line.send(frame(ROOT_FP, b'f' * 16 + varint(1) * 3)); line.until(TABLE, FATAL); " + SENDER_LIES[what])
    r = play(wherry, s, body, "--delete", status=ANY_FAULT | {OK})
    if r.status != OK:
        check_clean(s, r, before)
        if r.status in (PROTOCOL, CLOSED):
            assert s.read("dst/mine") == b"mine" and s.read("dst/sub/too") == b"too"
    assert contents(s / "outside") == before


@pytest.mark.parametrize("how", ["errors", "incomplete", "no list end", "failed"])
def test_nothing_is_deleted_on_a_list_that_is_not_whole(wherry, s, how):
    s.write("dst/mine", b"mine")
    flags = {"incomplete": "INCOMPLETE", "failed": "FAILED"}.get(how, "0")
    end = "line.hang_up()" if how == "no list end" else "line.send(list_end(%d))" % (how == "errors")
    body = """
def play(line):
    line.send(frame(ROOT_FP, b'f' * 16 + varint(1) * 3))
    line.until(TABLE, WANT, FATAL)
    line.send(directory(1, b"", [], flags=%s))
    %s
    line.until(SUMMARY, FATAL)
    line.send(frame(BYE))
""" % (flags, end)
    play(wherry, s, body, "--delete", "--force-empty", status=ANY_FAULT | {OK})
    assert s.read("dst/mine") == b"mine"


def test_a_symlink_that_the_peer_made_itself_is_not_followed(wherry, s):
    """First run: the peer makes a link to the outside. Second run: it lists a directory of that name."""
    before = outside_of(s)
    play(wherry, s, lie('line.send(directory(1, b"", [entry(b"evil", LINK, target=OUTSIDE)]))'), status=ANY_FAULT | {OK})
    body = """
def play(line):
    line.send(frame(ROOT_FP, b'f' * 16 + varint(1) * 3))
    line.until(TABLE, WANT, FATAL)
    line.send(directory(1, b"", [entry(b"evil", DIRECTORY, bits=LISTED)]), directory(2, b"evil", [entry(b"pwned", REG, 1)], 1))
    line.send(line.pack(2, 0, b"x"))
    line.finish()
"""
    play(wherry, s, body, status=ANY_FAULT | {OK})
    assert contents(s / "outside") == before


@pytest.mark.parametrize("what", ["directories", "entries", "pings", "events"])
def test_an_endless_peer_does_not_eat_the_memory(wherry, s, what):
    """A second of nonsense, then the line ends: the receiver must still be there, and small."""
    loops = {
        "directories": 'line.send(directory(n, b"d" + str(n).encode(), []))',
        "entries": 'line.send(directory(1, b"", [entry(b"%06d%03d" % (n, k), REG, 0) for k in range(200)], '
                   'flags=(MORE | (CONTINUED if n > 1 else 0))))',
        "pings": "line.send(frame(PING) * 1000)",
        "events": 'line.send(frame(EVENT, bytes([5]) + blob(b"ok") + varint(0) * 3 + blob(b"") + blob(b"x" * 1000)) * 50)',
    }
    body = """
import time
def play(line):
    end = time.monotonic() + 1
    n = 0
    while time.monotonic() < end:
        n += 1
        %s
    line.hang_up()
""" % loops[what]
    r = play(wherry, s, body, "-q", status=ANY_FAULT | {OK})
    assert r.status != OK, repr(r)


# --- a lying client against `wherry serve` --------------------------------------------------------------------------


class Served:
    """`wherry serve --stdio ARGS` with us as its client."""

    def __init__(self, wherry, *args, **more):
        self.process = wherry.start("serve", "--stdio", *args, stdin=subprocess.PIPE, **more)
        self.line = peer.Line(self.process.stdout, self.process.stdin)

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            status = self.process.wait(20)
        finally:
            self.process.kill()
        said = self.process.stderr.read()
        assert b"Sanitizer" not in said and b"runtime error" not in said, said.decode("utf-8", "replace")
        assert status >= 0, "killed by signal %d: %s" % (-status, said)
        return status


RECEIVER_PATHS = [b"../outside", b"/../outside", b"a/../../outside", b"evil", b"evil/sub", b"evil/../../outside", b"..",
                  b"\0", b"x\0y", b"n" * 300, b"d/" * 30000]


@pytest.mark.parametrize("path", RECEIVER_PATHS)
@pytest.mark.parametrize("role", [peer.SEND, peer.RECEIVE])
def test_client_cannot_name_its_way_out_of_the_root(wherry, s, path, role):
    before = outside_of(s)
    s.write("root/f", b"1")
    os.symlink("../outside", s / "root/evil")
    served = Served(wherry, "--root", s / "root")
    line = served.line
    line.send(peer.start(role, path), peer.hello())
    if role == peer.RECEIVE:
        line.send(peer.directory(1, b"", [peer.entry(b"pwned", peer.REG, 1)]))
        line.until(peer.HELLO, peer.FATAL)
        line.send(line.pack(1, 0, b"x"), peer.list_end())
        line.until(peer.SUMMARY, peer.FATAL)
    else:
        while (m := line.receive()) and m[0] not in (peer.LIST_END, peer.FATAL, peer.ROOT_FP):
            assert b"keep" not in m[1], "lists what is outside"
    served.end()
    assert contents(s / "outside") == before
    assert not os.path.exists(s / "outside/pwned")


@pytest.mark.parametrize("flag,role", [("--read-only", peer.RECEIVE), ("--write-only", peer.SEND)])
def test_direction_is_enforced(wherry, s, flag, role):
    s.write("root/f", b"1")
    before = contents(s / "root")
    served = Served(wherry, "--root", s / "root", flag)
    served.line.send(peer.start(role, b"."), peer.hello())
    m = served.line.until(peer.FATAL)
    assert m and b"refused" in m[1], m
    assert served.end() == REFUSED
    assert contents(s / "root") == before


@pytest.mark.parametrize("option", [(b"no-such-option", b"1"), (b"max-delete", b"many"), (b"rsh", b"touch /tmp/pwned"),
                                    (b"log-file", b"/tmp/pwned"), (b"files-from", b"/etc/passwd")])
def test_options_of_a_peer_are_not_obeyed_blindly(wherry, s, option):
    s.write("root/f", b"1")
    served = Served(wherry, "--root", s / "root")
    served.line.send(peer.start(peer.SEND, b".", options=[option]), peer.hello())
    m = served.line.until(peer.FATAL)
    assert m is not None, "no refusal"
    assert served.end() != OK
    assert not os.path.exists("/tmp/pwned")


@pytest.mark.parametrize("option", [b"backup-dir", b"temp-dir", b"link-dest", b"compare-dest", b"copy-dest"])
@pytest.mark.parametrize("value", ["../outside", "OUTSIDE"])
def test_directories_named_in_options_stay_in_the_root(wherry, s, option, value):
    before = outside_of(s)
    value = os.fsencode(value.replace("OUTSIDE", s / "outside"))
    set_file(s.write("root/keep", b"old"), b"old", 1_000_000_000)
    served = Served(wherry, "--root", s / "root")
    line = served.line
    line.send(peer.start(peer.RECEIVE, b".", options=[(option, value)]), peer.hello())
    line.until(peer.HELLO, peer.FATAL)
    line.send(peer.frame(peer.ROOT_FP, b"f" * 16 + peer.varint(1) * 3))
    line.send(peer.directory(1, b"", [peer.entry(b"keep", peer.REG, 8)]))
    line.send(line.pack(1, 0, b"new data"), peer.list_end())
    line.until(peer.SUMMARY, peer.FATAL)
    served.end()
    assert contents(s / "outside") == before
    assert os.stat(s / "outside/keep").st_nlink == 1


CLIENT_LIES = {
    "garbage": b"GET / HTTP/1.0\r\n\r\n" * 20,
    "nothing": b"",
    "half a header": b"\x01\x00",
    "wrong magic": peer.frame(peer.START, b"NOPE" + bytes(40)),
    "hello first": peer.hello(),
    "start twice": peer.start(peer.SEND, b".") * 2,
    "unknown role": peer.start(9, b"."),
    "unknown flag": peer.start(peer.SEND, b".", flags=1 << 20),
    "version zero": peer.frame(peer.START, b"WHRY" + bytes([0, 1, 0, 1]) + b"." + bytes([1, 0])),
    "options without end": peer.frame(peer.START, b"WHRY" + bytes([1, 1, 0, 1]) + b"." + peer.blob(b"\xff" * 20)),
    "want of nothing listed": peer.start(peer.SEND, b".") + peer.hello(flags=peer.NO_FP) +
                              peer.frame(peer.WANT, peer.varint(99) + bytes([0]) + peer.varint(1) + peer.varint(0)),
    "want without end": peer.start(peer.SEND, b".") + peer.hello(flags=peer.NO_FP) +
                        peer.frame(peer.WANT, peer.varint(1) + bytes([0]) + peer.varint(1 << 50)),
    "list path outside": peer.start(peer.SEND, b".") + peer.hello(flags=peer.NO_FP) +
                         peer.frame(peer.LIST_PATH, peer.blob(b"../outside")),
    "list path through a link": peer.start(peer.SEND, b".") + peer.hello(flags=peer.NO_FP) +
                                peer.frame(peer.LIST_PATH, peer.blob(b"evil")),
    "done of what was never sent": peer.start(peer.SEND, b".", options=[(b"remove-source-files", b"1")]) +
                                   peer.hello(flags=peer.NO_FP) +
                                   peer.frame(peer.DONE, peer.varint(1) + peer.varint(1) + peer.varint(0)),
    "table of wrong length": peer.start(peer.SEND, b".") + peer.hello() +
                             peer.frame(peer.TABLE, bytes([1]) + peer.varint(1000) + bytes(40)),
    "frame of 4 GiB": peer.start(peer.SEND, b".") + peer.hello() + peer.frame(peer.WANT, wire=2**32 - 1, raw=2**32 - 1),
}


@pytest.mark.parametrize("what", CLIENT_LIES)
def test_lying_client(wherry, s, what):
    before = outside_of(s)
    s.write("root/f", b"1")
    os.symlink("../outside", s / "root/evil")
    served = Served(wherry, "--root", s / "root")
    served.line.send(CLIENT_LIES[what])
    try:
        served.process.stdin.close()
    except BrokenPipeError:
        pass
    said = served.process.stdout.read()
    assert b"keep" not in said, "tells what is outside"
    served.end()
    assert contents(s / "outside") == before
    assert s.read("root/f") == b"1"
