"""
Enough of docs/PROTOCOL.md to lie with: frames and messages written from the text, not from the code. Used by
test_hostile.py in its own process (a lying client) and, run as a program, as a lying server at the far end of a remote shell:

    peer.py SCENARIO-FILE serve --stdio     (the scenario is a Python file that defines play(line))
"""

import hashlib
import os
import struct
import sys

START, HELLO, PING, FATAL, EVENT, IDMAP, ROOT_FP, TABLE, DIR, LIST_END, WANT, PACK, CHUNK = (
    1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 16, 17)
REFINE_REQ, REFINE, LIST_PATH, DONE, SUMMARY, BYE = 18, 19, 20, 21, 22, 23
SEND, RECEIVE = 1, 2
CONTENTS = 2
EMPTY, NO_FP = 2, 4
MORE, CONTINUED, INCOMPLETE, PARTIAL, IMPLIED, FAILED = 1, 2, 4, 8, 16, 32
LISTED, HIDDEN, UNREADABLE = 64, 4096, 16384
REG, DIRECTORY, LINK, FIFO = 0o100644, 0o040755, 0o120777, 0o010644


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def blob(data):
    return varint(len(data)) + data


def svarint(n):
    return varint((n << 1) ^ (n >> 63) & (1 << 64) - 1)


def frame(kind, payload=b"", codec=0, wire=None, raw=None):
    return struct.pack("<BBII", kind, codec, len(payload) if wire is None else wire,
                       len(payload) if raw is None else raw) + payload


def hello(nonce=b"n" * 16, flags=1):
    return frame(HELLO, b"WHRY" + varint(1) + varint(flags) + nonce + bytes([2, 3, 0]) + bytes([1]) + blob(b"liar"))


def start(role, path, flags=CONTENTS, options=()):
    words = varint(len(options)) + b"".join(blob(k) + blob(v) for k, v in options) + b"\0"
    return frame(START, b"WHRY" + varint(1) + bytes([role]) + varint(flags) + blob(path) + blob(words))


def attributes(mode, size=0, target=b"", bits=0, rdev=0):
    """(bits, bytes) of an entry by itself: every field is given."""
    out = varint(mode) + varint(os.getuid()) + varint(os.getgid()) + svarint(1_600_000_000) + struct.pack("<I", 0)
    kind = mode & 0o170000
    if kind == 0o100000:
        out += varint(size)
    elif kind == 0o120000:
        out += blob(target)
    elif kind in (0o020000, 0o060000):
        out += varint(rdev)
    return bits | 31, out


def entry(name, mode=REG, size=0, target=b"", bits=0, length=None):
    """One entry; each is written against a previous one with seconds 0, so use one per frame or accept odd times."""
    b, attrs = attributes(mode, size, target, bits)
    return varint(b) + bytes([len(name) & 255 if length is None else length]) + name + attrs


def directory(ident, path, entries, parent=0, flags=0, count=None):
    b, attrs = attributes(DIRECTORY)
    head = varint(ident) + varint(parent) + varint(flags)
    if not flags & CONTINUED:
        head += blob(path) + varint(b) + attrs
    return frame(DIR, head + varint(len(entries) if count is None else count) + b"".join(entries))


def list_end(errors=0):
    return frame(LIST_END, bytes([errors]) + varint(1) + varint(1) + varint(1))


class Line:
    """One end of a session."""

    def __init__(self, rfile, wfile):
        self.rfile, self.wfile = rfile, wfile
        self.nonce = b"n" * 16
        self.peer_nonce = b""
        self.peer_flags = 0
        self.start = b""

    def send(self, *frames):
        try:
            for f in frames:
                self.wfile.write(f)
            self.wfile.flush()
        except (BrokenPipeError, ValueError):
            pass

    def receive(self):
        """(type, payload) or None at the end; payloads are never compressed, for we name no codec."""
        head = self.rfile.read(10)
        if len(head) < 10:
            return None
        kind, _, wire, _ = struct.unpack("<BBII", head)
        data = self.rfile.read(wire)
        if kind == HELLO:
            at = 4
            while data[at] & 0x80:
                at += 1
            self.peer_flags = data[at + 1]
            self.peer_nonce = data[at + 2:at + 18]
        return kind, data

    def until(self, *kinds):
        """The first message of one of these types, or None."""
        while True:
            m = self.receive()
            if m is None or m[0] in kinds:
                return m

    def greet(self):
        """As a server: take START and HELLO, answer HELLO."""
        self.send(hello(self.nonce))
        self.start = (self.until(START) or (0, b""))[1]
        self.until(HELLO)

    def tag(self, ident, index, content, sender=True):
        """SHA-256 tag (PROTOCOL 6); we are the sender unless told."""
        s, r = (self.nonce, self.peer_nonce) if sender else (self.peer_nonce, self.nonce)
        key = hashlib.sha256(b"wherry verify key" + s + r).digest()
        return hashlib.sha256(key + struct.pack("<QQ", ident, index) + content).digest()[:16]

    def pack(self, ident, index, content, status=0, tag=None):
        body = varint(ident) + varint(index * 8 + status)
        if status == 0:
            body += blob(content) + (self.tag(ident, index, content) if tag is None else tag)
        return frame(PACK, body)

    def chunk(self, ident, index, records, flags=3, status=0, tag=b"t" * 16):
        body = varint(ident) + varint(index) + bytes([flags])
        if flags & 2:
            body += bytes([status]) + (tag if status == 0 else b"")
        return frame(CHUNK, body + records)

    def hang_up(self):
        """Be gone at once, as a killed process is."""
        try:
            self.wfile.flush()
        finally:
            os._exit(0)

    def finish(self):
        """Wait for the other side's last word, so that it can be judged by what it said of itself."""
        self.send(list_end())
        self.until(SUMMARY, FATAL)
        self.send(frame(BYE))


def main():
    scope = {}
    with open(sys.argv[1]) as f:
        exec(compile(f.read(), sys.argv[1], "exec"), globals() | {"__name__": "scenario"}, scope)
    line = Line(sys.stdin.buffer, sys.stdout.buffer)
    line.greet()
    scope["play"](line)
    line.wfile.flush()


if __name__ == "__main__":
    main()
