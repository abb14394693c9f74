#!/usr/bin/python3
"""
relay.py: a remote shell with a long line. `relay.py HOST COMMAND...` runs COMMAND here, as ssh would there, and passes
both directions through a delay line: what is written now comes out RELAY_RTT_MS / 2 milliseconds later. Bandwidth is not
limited; at most 64 MiB are under way (a generous window). Bytes of both directions are added to the file RELAY_COUNT.
"""

import collections
import os
import selectors
import subprocess
import sys
import time

WINDOW = 64 << 20
PIECE = 1 << 18


class Lane:
    """One direction: bytes wait in `held` until their time has come."""

    def __init__(self, source, sink, delay):
        self.source, self.sink, self.delay = source, sink, delay
        self.held = collections.deque()
        self.bytes = self.total = 0
        self.ended = self.closed = False

    def take(self):
        try:
            data = os.read(self.source, PIECE)
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return
        self.total += len(data)
        self.bytes += len(data)
        self.held.append((time.monotonic() + self.delay, data))

    def give(self):
        """Write what is due; seconds until the next piece is, or None."""
        while self.held:
            due, data = self.held[0]
            left = due - time.monotonic()
            if left > 0:
                return left
            try:
                n = os.write(self.sink, data)
            except BlockingIOError:
                return 0.001
            except OSError:
                self.held.clear()
                self.ended = self.closed = True
                return None
            self.bytes -= n
            if n == len(data):
                self.held.popleft()
            else:
                self.held[0] = (due, data[n:])
        if self.ended and not self.closed:
            self.closed = True
            os.close(self.sink)
        return None


def run(lanes):
    for lane in lanes:
        os.set_blocking(lane.sink, False)
    watch = selectors.DefaultSelector()
    watched = set()
    while not lanes[1].closed:
        waits = [w for w in (lane.give() for lane in lanes) if w is not None]
        for lane in lanes:
            wanted = not lane.ended and lane.bytes < WINDOW
            if wanted and lane not in watched:
                watch.register(lane.source, selectors.EVENT_READ, lane)
                watched.add(lane)
            elif not wanted and lane in watched:
                watch.unregister(lane.source)
                watched.discard(lane)
        for key, _ in watch.select(min(waits) if waits else (0.5 if watched else 0.01)):
            key.data.take()


def main():
    args = sys.argv[1:]
    while args and args[0].startswith("-"):
        args = args[2:] if args[0] in ("-l", "-o", "-p") else args[1:]
    delay = float(os.environ.get("RELAY_RTT_MS", "100")) / 2000
    p = subprocess.Popen(["sh", "-c", " ".join(args[1:])], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lanes = [Lane(0, p.stdin.fileno(), delay), Lane(p.stdout.fileno(), 1, delay)]
    run(lanes)
    status = p.wait()
    if os.environ.get("RELAY_COUNT"):
        with open(os.environ["RELAY_COUNT"], "a") as f:
            f.write("%d\n" % (lanes[0].total + lanes[1].total))
    return status


sys.exit(main())
