"""
What a run says, to people and to programs: summary, quiet, verbose, itemized lines, statistics, JSON lines, log file,
progress on a terminal. Names never carry control characters to the terminal.
"""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pytest

import trees
from harness import PARTIAL, USAGE, set_file
from oracle import assert_same
from test_sync_property import everywhere
from trees import Node, build

pytestmark = pytest.mark.native


def some(s):
    build(s.src, trees.many(30) + [Node(b"l", "symlink", b"t"), Node(b"h", "file", (1, 5)), Node(b"i", "hardlink", b"h")])


@everywhere
def test_two_lines_of_summary(wherry, s, mode):
    some(s)
    r = wherry.copy(mode, s.src + "/", s.dst)
    lines = r.out.decode().splitlines()
    assert len(lines) == 2, repr(r)
    assert r.err == b""


@everywhere
def test_nothing_changed_is_said_in_words(wherry, s, mode):
    some(s)
    wherry.copy(mode, s.src + "/", s.dst)
    r = wherry.copy(mode, s.src + "/", s.dst)
    assert 1 <= len(r.out.splitlines()) <= 2 and r.err == b"", repr(r)


@everywhere
def test_quiet(wherry, s, mode):
    some(s)
    r = wherry.copy(mode, s.src + "/", s.dst, "-q")
    assert r.out == b"" and r.err == b"", repr(r)


@everywhere
def test_quiet_still_tells_errors(wherry, s, mode):
    some(s)
    s.write("dst/h/in-the-way", b"1")
    r = wherry.copy(mode, s.src + "/", s.dst, "-q", "--no-hard-links", status=PARTIAL)
    assert r.out == b"" and b"h" in r.err, repr(r)


@everywhere
def test_verbose_names_what_changes(wherry, s, mode):
    some(s)
    r = wherry.copy(mode, s.src + "/", s.dst, "-v")
    named = r.out.decode()
    assert "d003/f00003" in named and "l -> t" in named
    r = wherry.copy(mode, s.src + "/", s.dst, "-v")
    assert "d003" not in r.out.decode()


@everywhere
def test_stats(wherry, s, mode):
    some(s)
    r = wherry.copy(mode, s.src + "/", s.dst, "--stats")
    text = r.out.decode().lower()
    for word in ("files", "bytes", "sent", "received"):
        assert word in text, repr(r)


@everywhere
def test_dry_run_says_that_nothing_was_done(wherry, s, mode):
    some(s)
    r = wherry.copy(mode, s.src + "/", s.dst, "-n")
    assert r.says("would|dry"), repr(r)


# --- JSON ----------------------------------------------------------------------------------------------------------


@everywhere
def test_json_lines(wherry, s, mode):
    some(s)
    s.write("dst/gone", b"1")
    r = wherry.copy(mode, s.src + "/", s.dst, "--json", "--delete")
    events = r.json
    assert events[0]["event"] == "start" and events[-1]["event"] == "end"
    assert all("event" in e for e in events)
    end = events[-1]
    assert (end["result"], end["status"], end["errors"]) == ("ok", 0, 0)
    counts = end["counts"]
    assert counts["deleted"] == 1 and counts["sent_files"] + counts["linked"] >= 31, counts
    items = {e["path"]: e for e in events if e["event"] == "item"}
    assert items["l"]["target"] == "t" and items["l"]["type"] == "symlink" and items["l"]["change"] == "create"
    assert {e["type"]: e["mode"] for e in items.values() if e["change"] == "create"}["dir"] & 0o700 == 0o700, items
    assert any(e["event"] == "delete" and e["path"] == "gone" for e in events)
    assert r.err == b""
    if mode != "local":
        assert end["wire_sent"] + end["wire_received"] > 1000


@everywhere
def test_json_keeps_every_name_exact(wherry, s, mode):
    names = trees.ODD_NAMES
    build(s.src, [Node(n, "file", (i, 5)) for i, n in enumerate(names)])
    r = wherry.copy(mode, s.src + "/", s.dst, "--json")
    told = {e["path"].encode("utf-8", "surrogateescape") for e in r.json if e["event"] == "item" and e["type"] == "file"}
    assert told == set(names)


@everywhere
def test_json_and_an_entry_that_fails(wherry, s, mode):
    some(s)
    s.write("dst/h/in-the-way", b"1")
    r = wherry.copy(mode, s.src + "/", s.dst, "--json", "--no-hard-links", status=PARTIAL)
    errors = [e for e in r.json if e["event"] == "error"]
    assert errors and errors[0]["path"] == "h" and errors[0]["text"] and errors[0]["code"]
    end = r.json[-1]
    assert end["result"] == "partial" and end["status"] == PARTIAL and end["errors"] == len(errors)


@everywhere
def test_json_of_a_run_that_cannot_begin(wherry, s, mode):
    r = wherry.copy(mode, s / "nothing/", s.dst, "--json", status=None)
    assert r.status == 3, repr(r)
    end = r.json[-1]
    assert end["event"] == "end" and end["result"] == "source" and end["status"] == 3 and end["text"]


def test_json_schema_is_documented():
    """Every key that a run may tell stands in docs/JSON.md."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../docs/JSON.md")) as f:
        text = f.read()
    with open(os.path.join(here, "../../src/sync/report_json.c")) as f:
        keys = set(re.findall(r'put_(?:string|word|number|bool)\(b, "([a-z_]+)"', f.read()))
    assert keys and all(k in text for k in keys), sorted(k for k in keys if k not in text)


# --- log file ---------------------------------------------------------------------------------------------------------


@everywhere
def test_log_file(wherry, s, mode):
    some(s)
    log = s / "log"
    wherry.copy(mode, s.src + "/", s.dst, "-q", "--log-file=" + log)
    wherry.copy(mode, s.src + "/", s.dst, "-q", "--log-file=" + log)
    text = open(log).read()
    assert text.count("d003/f00003") == 1
    for line in text.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[\d+\] ", line), line


@everywhere
def test_log_file_that_cannot_be_written(wherry, s, mode):
    some(s)
    r = wherry.copy(mode, s.src + "/", s.dst, "--log-file=" + (s / "no/such/log"), status=None)
    assert r.status != 0 and r.says("log"), repr(r)


# --- names and terminals -----------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("opts", [["-i"], ["-v"], ["-n", "-i"], ["--log-file=LOG", "-v"], ["--json"]])
def test_no_control_character_reaches_the_terminal(wherry, s, mode, opts):
    evil = [b"\x1b]0;owned\x07", b"a\x1b[2J", b"\x9b31m", b"\xc2\x9b31m", b"cr\rlf", b"del\x7f", b"nl\n>f+++++++++ forged"]
    build(s.src, [Node(n, "file", (i, 5)) for i, n in enumerate(evil)] + [Node(b"l", "symlink", b"\x1b[31mtarget")])
    opts = [o.replace("LOG", s / "log") for o in opts]
    r = wherry.copy(mode, s.src + "/", s.dst, *opts)
    said = r.out + r.err + (s.read("log") if os.path.exists(s / "log") else b"")
    for bad in (b"\x1b", b"\x07", b"\r", b"\x7f", b"\xc2\x9b", b"\x9b"):
        assert bad not in said, repr(r)
    assert not re.search(rb"^>f\+\+\+\+\+\+\+\+\+ forged", said, re.M)


def on_terminal(argv, env, columns=80, seconds=30):
    """Run on a pseudo-terminal; everything it wrote there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    p = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
    os.close(slave)
    said = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ready, _, _ = select.select([master], [], [], 0.2)
        if ready:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            said += data
        elif p.poll() is not None:
            break
    os.close(master)
    return p.wait(10), said


@pytest.mark.parametrize("columns", [80, 30, 200])
def test_progress_line_on_a_terminal(wherry, s, columns):
    set_file(s.write("src/big"), os.urandom(6_000_000), 1_600_000_000)
    argv = wherry.argv(["sync", *wherry.words("push", s.src + "/", s.dst, "--bwlimit=3M", "--compress=none")])
    env = wherry.env({"TERM": "xterm"})
    status, said = on_terminal(argv, env, columns)
    assert status == 0
    assert b"%" in said or b"/s" in said, said
    assert columns < 80 or b"transferring" in said, said
    # it is rewritten in place, not scrolled: few newlines, and it is gone at the end
    assert said.count(b"\n") <= 4, said
    for frame in re.split(rb"[\r\n]", said):
        text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", frame).decode("utf-8", "replace")
        assert len(text) <= columns + 60 if frame.strip().startswith(b"copied") else len(text) <= max(columns, 120), text
    assert_same(s.src, s.dst)


def test_no_progress_in_cron(wherry, s):
    set_file(s.write("src/big"), os.urandom(2_000_000), 1_600_000_000)
    r = wherry.copy("push", s.src + "/", s.dst, "--bwlimit=2M", "--compress=none")
    assert r.err == b"", repr(r)
    assert b"\r" not in r.out


def test_dumb_terminal_gets_no_escapes(wherry, s):
    set_file(s.write("src/big"), os.urandom(2_000_000), 1_600_000_000)
    argv = wherry.argv(["sync", *wherry.words("push", s.src + "/", s.dst, "--bwlimit=2M", "--compress=none")])
    status, said = on_terminal(argv, wherry.env({"TERM": "dumb"}))
    assert status == 0 and b"\x1b" not in said


def test_closed_output_is_no_disaster(wherry, s):
    """`wherry sync -v ... | head -1` ends the output early; the run itself goes on or ends, but does not crash."""
    some(s)
    r, w = os.pipe()
    p = wherry.start("sync", "-v", s.src + "/", s.dst, stdout=w)
    os.close(w)
    os.close(r)
    _, err = p.communicate(timeout=30)
    assert p.returncode in (0, 11, 20, -13), err


def test_unknown_option_gets_a_suggestion(wherry):
    r = wherry.sync("--delte", "a", "b", status=USAGE)
    assert r.says("--delete"), repr(r)


def test_every_line_of_json_is_an_object_even_with_verbose(wherry, s):
    some(s)
    r = wherry.sync("-vv", "-i", "--stats", "--json", s.src + "/", s.dst)
    assert all(isinstance(json.loads(line), dict) for line in r.out.splitlines())
