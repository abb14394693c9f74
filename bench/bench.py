#!/usr/bin/python3
"""
bench.py [--quick] [--only NAME[,NAME]] [--runs N] [--list]: the table of DESIGN 5.

Every workload runs wherry and its peers in turn, on the same trees in tmpfs, in the same session; the figures are medians.
Beside wall time: CPU seconds (of all processes, the far side and sshd's included), peak memory of the largest process
(either side; ssh and the relay left out; polled, so runs under 30 ms show little), bytes on the line (counted by bench/relay.py in a run of their own). A peer that needs more than 25 seconds is run once.

rsync is measured twice where it matters: -a (no xattrs, ACLs, hard links: compared with wherry told the same) and -aHAX
(compared with wherry's default). Ratios are peer / wherry: above 1 wherry is faster.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import grow  # noqa: E402

WHERRY = os.environ.get("WHERRY_BIN") or os.path.join(HERE, "../build/wherry")
RELAY = os.path.join(HERE, "relay.py")
GIB = 1 << 30
SLOW_SECONDS = 25
TIMEOUT = 300


class Place:
    """Working directory, private sshd, kept ssh connection, environment of the programs measured."""

    def __init__(self):
        root = os.environ.get("BENCH_DIR", "/dev/shm")
        self.base = tempfile.mkdtemp(prefix="wherry-bench.", dir=root)
        self.src, self.dst = self.base + "/src", self.base + "/dst"
        os.makedirs(self.base + "/bin")
        shutil.copy(WHERRY, self.base + "/bin/wherry")
        self.env = dict(os.environ, HOME=self.base, XDG_STATE_HOME=self.base + "/state", LC_ALL="C.UTF-8",
                        PATH=self.base + "/bin:/usr/local/bin:/usr/bin:/bin", UNISON=self.base + "/unison")
        self.sshd = self.master = None
        self.start_sshd()

    def start_sshd(self):
        b = self.base
        for k in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", b + "/" + k], check=True)
        shutil.copy(b + "/user.pub", b + "/authorized")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        with open(b + "/sshd_config", "w") as f:
            f.write("ListenAddress 127.0.0.1\nPort %d\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nPidFile none\n"
                    "StrictModes no\nUsePAM no\nPermitRootLogin yes\nLogLevel ERROR\n"
                    'SetEnv "PATH=%s" "XDG_STATE_HOME=%s/remote"\n' % (port, b, b, self.env["PATH"], b))
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", b + "/sshd_config"], stderr=subprocess.DEVNULL)
        options = ("-p %d -i %s/user -F /dev/null -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR "
                   "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null" % (port, b))
        self.ssh = "ssh " + options
        self.ssh_kept = "ssh -o ControlPath=%s/control %s" % (b, options)
        self.pipe = b + "/bin/pipe-rsh"
        with open(self.pipe, "w") as f:
            f.write('#!/bin/sh\nshift\nexec sh -c "$*"\n')
        os.chmod(self.pipe, 0o755)
        for _ in range(50):
            if subprocess.run([*self.ssh.split(), "127.0.0.1", "true"], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        self.master = subprocess.Popen([*self.ssh_kept.split(), "-MN", "127.0.0.1"], stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def sshd_cpu(self):
        """CPU seconds of the daemon and of the master connection, their finished children included."""
        total = 0.0
        for p in (self.sshd, self.master):
            total += _cpu_below(p.pid)
        return total

    def close(self):
        for p in (self.master, self.sshd):
            p.terminate()
            p.wait()
        shutil.rmtree(self.base, ignore_errors=True)


def _cpu_below(pid):
    """utime+stime+cutime+cstime of pid and all processes beneath it, in seconds."""
    kids, own = {}, {}
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                with open("/proc/%s/stat" % p) as f:
                    w = f.read().rsplit(")", 1)[1].split()
                kids.setdefault(int(w[1]), []).append(int(p))
                own[int(p)] = sum(map(int, w[11:15]))
            except OSError:
                pass
    total, queue = 0, [pid]
    while queue:
        one = queue.pop()
        total += own.get(one, 0)
        queue += kids.get(one, [])
    return total / os.sysconf("SC_CLK_TCK")


class Sample:
    def __init__(self, wall, cpu, rss, status):
        self.wall, self.cpu, self.rss, self.status = wall, cpu, rss, status


# Processes that are the line, not the program.
LINE = {"ssh", "sshd", "sh", "python3", "relay.py", "dash", "bash"}


class Watch:
    """Highest memory seen of any process beneath some. (ru_maxrss will not do: a child begins with ours.)"""

    def __init__(self, *roots):
        self.roots, self.peak_mb, self.next = roots, 0.0, 0.0

    def look(self):
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + 0.025
        queue = list(self.roots)
        while queue:
            pid = queue.pop()
            try:
                for tid in os.listdir("/proc/%d/task" % pid):
                    with open("/proc/%d/task/%s/children" % (pid, tid)) as f:
                        queue += map(int, f.read().split())
                with open("/proc/%d/status" % pid) as f:
                    status = dict(line.split(":", 1) for line in f)
            except OSError:
                continue
            if status["Name"].strip() not in LINE and "VmHWM" in status:
                self.peak_mb = max(self.peak_mb, int(status["VmHWM"].split()[0]) / 1000)


def measure(place, argv, shell=False, env=None):
    """Run once. CPU covers our child, all it waited for, and the daemon's side."""
    before = place.sshd_cpu()
    t = time.monotonic()
    with open(place.base + "/said", "wb") as said:
        p = subprocess.Popen(argv, shell=shell, env=dict(place.env, **(env or {})), stdin=subprocess.DEVNULL, stdout=said,
                             stderr=said, cwd=place.base)
        watch = Watch(p.pid, place.sshd.pid)
        status, use = _wait(p, watch)
    wall = time.monotonic() - t
    time.sleep(0.05)
    return Sample(wall, use.ru_utime + use.ru_stime + place.sshd_cpu() - before, watch.peak_mb, status)


def _wait(p, watch):
    end = time.monotonic() + TIMEOUT
    while True:
        pid, status, use = os.wait4(p.pid, os.WNOHANG)
        if pid:
            p.returncode = os.waitstatus_to_exitcode(status)
            return p.returncode, use
        if time.monotonic() > end:
            p.kill()
            _, status, use = os.wait4(p.pid, 0)
            p.returncode = -9
            return "timeout", use
        watch.look()
        time.sleep(0.002)


class Row:
    """Median of the runs of one program in one workload."""

    def __init__(self, name, samples, wire=None):
        self.name, self.samples, self.wire = name, samples, wire
        self.wall = statistics.median(x.wall for x in samples)
        self.cpu = statistics.median(x.cpu for x in samples)
        self.rss = max(x.rss for x in samples)
        self.bad = next((x.status for x in samples if x.status != 0), None)


class Bench:
    def __init__(self, place, runs, quick):
        self.place, self.runs, self.quick = place, runs, quick
        self.results = []
        self.tree = None

    def wherry(self, *args):
        return [self.place.base + "/bin/wherry", "sync", "-q", *args]

    def run(self, title, target, programs, reset=None, after=None, wire=(), env=None, runs=None):
        """programs: {name: argv or shell text}; reset() before each run, outside the clock. The first program is wherry
        (or wherry told to do as the peer does); ratios are against names that begin with it."""
        runs = runs or self.runs
        samples = {name: [] for name in programs}
        for i in range(runs):
            for name, argv in programs.items():
                done = samples[name]
                if done and (done[0].wall > SLOW_SECONDS or done[0].status != 0):
                    continue
                if reset:
                    reset(name)
                done.append(measure(self.place, argv, isinstance(argv, str), env))
                if after:
                    after(name)
                if i == 0 and done[0].status != 0:
                    print("  %s: exit status %s: %s" % (name, done[0].status, self.said()), file=sys.stderr)
        rows = []
        for name, argv in programs.items():
            rows.append(Row(name, samples[name], self.wire_bytes(name, programs[name], reset) if name in wire else None))
        self.results.append((title, target, rows))
        print(table([self.results[-1]]), flush=True)

    def said(self):
        with open(self.place.base + "/said", errors="replace") as f:
            return f.read()[-300:].strip().replace("\n", " | ")

    def wire_bytes(self, name, argv, reset):
        """The same run once more through a counting line without delay."""
        count = self.place.base + "/count"
        if os.path.exists(count):
            os.unlink(count)
        if reset:
            reset(name)
        plain = [RELAY if a in (self.place.ssh, self.place.ssh_kept, self.place.pipe) else a for a in argv]
        measure(self.place, plain, env={"RELAY_RTT_MS": "0", "RELAY_COUNT": count})
        try:
            with open(count) as f:
                return sum(map(int, f))
        except OSError:
            return None

    # --- trees -----------------------------------------------------------------------------------------------------

    def need(self, name, make):
        """The source tree `name`; kept while workloads in a row use it."""
        if self.tree == name:
            return
        for path in (self.place.src, self.place.dst, self.place.base + "/spare"):
            clear(path)
        self.tree = name
        os.makedirs(self.place.src)
        make()

    def small(self):
        count = 20_000 if self.quick else 100_000
        self.need("small", lambda: grow.small_files(self.place.src, count))
        return count

    def one_big(self):
        size = GIB // 4 if self.quick else GIB
        self.need("big", lambda: grow.big_file(self.place.src + "/big", size))

    def emptied(self, *_):
        clear(self.place.dst)

    def synced(self):
        """dst = src, so exactly that every program finds nothing to do."""
        clear(self.place.dst)
        subprocess.run(["cp", "-a", self.place.src, self.place.dst], check=True)

    # --- workloads ---------------------------------------------------------------------------------------------------

    def first_local(self):
        n = self.small()
        src, dst = self.place.src + "/", self.place.dst
        self.run("first copy, %s small files, local" % f"{n:,}", "2.5x rsync, faster than cp -a", {
            "wherry": self.wherry(src, dst),
            "wherry --no-acls --no-xattrs": self.wherry("--no-acls", "--no-xattrs", "--no-hard-links", src, dst),
            "rsync -aHAX": ["rsync", "-aHAX", src, dst],
            "rsync -a": ["rsync", "-a", src, dst],
            "cp -a": ["cp", "-a", src, dst],
            "tar | tar": "mkdir %s && tar -C %s -cf - . | tar -C %s -xf -" % (dst, src, dst),
            "rclone": ["rclone", "-q", "copy", "--transfers", "8", src, dst],
            "unison": ["unison", "-batch", "-silent", "-auto", "-confirmbigdel=false", src, dst],
        }, self.reset_with_unison)

    def reset_with_unison(self, name):
        self.emptied()
        clear(self.place.base + "/unison")
        clear(self.place.base + "/state")

    def first_ssh(self):
        n = self.small()
        src, dst = self.place.src + "/", self.place.dst
        far = "127.0.0.1:" + dst
        self.run("first copy, %s small files, over ssh" % f"{n:,}", "1.5x rsync, 1.1x of tar | ssh tar", {
            "wherry": self.wherry("-e", self.place.ssh, src, far),
            "rsync -aHAX": ["rsync", "-aHAX", "-e", self.place.ssh, src, far],
            "rsync -a": ["rsync", "-a", "-e", self.place.ssh, src, far],
            "rsync -az": ["rsync", "-az", "-e", self.place.ssh, src, far],
            "tar | ssh tar": "tar -C %s -cf - . | %s 127.0.0.1 'mkdir %s && tar -C %s -xf -'" % (
                src, self.place.ssh, dst, dst),
        }, self.emptied, wire=("wherry", "rsync -aHAX", "rsync -az"))

    def unchanged_local(self):
        n = self.small()
        self.unchanged("unchanged, %s files, local" % f"{n:,}", "2.5x rsync, two parallel finds")

    def unchanged_million(self):
        count = 1_000_000
        self.need("million", lambda: grow.empty_files(self.place.src, count))
        self.unchanged("unchanged, 1,000,000 files, local", "2.5x rsync, at most 100 MB", runs=3)

    def unchanged(self, title, target, runs=None):
        src, dst = self.place.src + "/", self.place.dst
        self.synced()
        finds = "find %s -printf '%%p %%s %%T@ %%m\\n' >%s/f1 & find %s -printf '%%p %%s %%T@ %%m\\n' >%s/f2; wait" % (
            src, self.place.base, dst, self.place.base)
        programs = {
            "wherry": self.wherry(src, dst),
            "wherry --no-acls --no-xattrs": self.wherry("--no-acls", "--no-xattrs", "--no-hard-links", src, dst),
            "rsync -aHAX": ["rsync", "-aHAX", src, dst],
            "rsync -a": ["rsync", "-a", src, dst],
            "two finds": finds,
        }
        if self.tree != "million":
            programs["rclone"] = ["rclone", "-q", "copy", src, dst]
        self.run(title, target, programs, runs=runs)

    def unchanged_ssh(self):
        n = self.small()
        self.synced()
        src, far = self.place.src + "/", "127.0.0.1:" + self.place.dst
        kept = self.place.ssh_kept
        self.run("unchanged, %s files, over ssh (kept connection)" % f"{n:,}", "5x rsync", {
            "wherry": self.wherry("-e", kept, src, far),
            "rsync -aHAX": ["rsync", "-aHAX", "-e", kept, src, far],
            "rsync -a": ["rsync", "-a", "-e", kept, src, far],
        }, wire=("wherry", "rsync -aHAX"))

    def delta(self):
        self.one_big()
        self.change_big("1 GiB, 1 % of blocks changed", "3x rsync, no more bytes", lambda p: grow.touch_blocks(p, 0.01))

    def insert(self):
        self.one_big()
        self.change_big("1 GiB, 1,000 bytes inserted at the head", "2x rsync, no more bytes",
                        lambda p: grow.insert_head(p, os.urandom(1000)))

    def change_big(self, title, target, change):
        """Over ssh, as people do, and through a bare pipe, where the programs are all that costs."""
        spare = self.place.base + "/spare"
        clear(spare)
        os.makedirs(spare)
        shutil.copy2(self.place.src + "/big", spare + "/old")
        if self.quick:
            title = title.replace("1 GiB", "256 MiB")
        change(self.place.src + "/big")
        self.tree = None

        def reset(_):
            clear(self.place.dst)
            os.makedirs(self.place.dst)
            shutil.copyfile(spare + "/old", self.place.dst + "/big")

        src, far = self.place.src + "/", "127.0.0.1:" + self.place.dst
        for way, rsh, wire in (("over ssh", self.place.ssh_kept, ("wherry", "rsync -aHAX")), ("through a pipe", self.place.pipe, ())):
            self.run("%s, %s" % (title, way), target, {
                "wherry": self.wherry("-e", rsh, src, far),
                "wherry --inplace": self.wherry("--inplace", "-e", rsh, src, far),
                "rsync -aHAX": ["rsync", "-aHAX", "-e", rsh, src, far],
                "rsync -aHAX --inplace": ["rsync", "-aHAX", "--inplace", "-e", rsh, src, far],
            }, reset, wire=wire)

    def one_file(self):
        self.one_big()
        self.run("one file of %s, local" % ("256 MiB" if self.quick else "1 GiB"), "as cp", {
            "wherry": self.wherry(self.place.src + "/", self.place.dst),
            "cp -a": ["cp", "-a", self.place.src, self.place.dst],
            "rsync -aHAX": ["rsync", "-aHAX", self.place.src + "/", self.place.dst],
        }, self.emptied)

    def renamed(self):
        def make():
            os.makedirs(self.place.src + "/tree")
            grow.small_files(self.place.src + "/tree", 20_000 if self.quick else 60_000)
            grow.big_file(self.place.src + "/tree/big", GIB // 8 if self.quick else GIB // 2)

        self.need("renamed", make)
        spare = self.place.base + "/spare"
        clear(spare)
        subprocess.run(["cp", "-a", self.place.src, spare], check=True)
        os.rename(self.place.src + "/tree", self.place.src + "/renamed")
        self.tree = None

        def reset(_):
            clear(self.place.dst)
            subprocess.run(["cp", "-a", spare, self.place.dst], check=True)

        src, far, kept = self.place.src + "/", "127.0.0.1:" + self.place.dst, self.place.ssh_kept
        self.run("tree of %s renamed, over ssh" % ("256 MB" if self.quick else "1 GB"), "20x rsync, < 1 % of its bytes", {
            "wherry": self.wherry("--delete", "-e", kept, src, far),
            "rsync -aHAX": ["rsync", "-aHAX", "--delete", "-e", kept, src, far],
        }, reset, wire=("wherry", "rsync -aHAX"), runs=3)

    def far_unchanged(self):
        n = self.small()
        self.synced()
        src, far = self.place.src + "/", "far:" + self.place.dst
        self.run("unchanged, %s files, 100 ms round trip" % f"{n:,}", "3 round trips + scan", {
            "wherry": self.wherry("-e", RELAY, src, far),
            "rsync -aHAX": ["rsync", "-aHAX", "-e", RELAY, src, far],
        }, runs=3)
        src, far = "far:" + self.place.src + "/", self.place.dst
        self.run("unchanged, %s files, pulled, 100 ms round trip" % f"{n:,}", "3 round trips + scan", {
            "wherry": self.wherry("-e", RELAY, src, far),
            "rsync -aHAX": ["rsync", "-aHAX", "-e", RELAY, src, far],
        }, runs=3)

    def far_changed(self):
        self.small()
        spare = self.place.base + "/spare"
        clear(spare)
        subprocess.run(["cp", "-a", self.place.src, spare], check=True)
        grow.rewrite_some(self.place.src, 2_000 if self.quick else 10_000)
        self.tree = None

        def reset(_):
            clear(self.place.dst)
            subprocess.run(["cp", "-a", spare, self.place.dst], check=True)

        src, far = self.place.src + "/", "far:" + self.place.dst
        self.run("%s small changed files, 100 ms round trip" % ("2,000" if self.quick else "10,000"),
                 "5 round trips + transfer", {
                     "wherry": self.wherry("-e", RELAY, src, far),
                     "rsync -aHAX": ["rsync", "-aHAX", "-e", RELAY, src, far],
                 }, reset, wire=(), runs=3)

    def memory_million(self):
        count = 1_000_000
        self.need("million", lambda: grow.empty_files(self.place.src, count))
        src, far = self.place.src + "/", "far:" + self.place.dst
        self.run("first copy of 1,000,000 empty files, both sides' memory", "at most 100 MB a side", {
            "wherry": self.wherry("-e", RELAY, src, far),
            "rsync -a": ["rsync", "-a", "-e", RELAY, src, far],
        }, self.emptied, env={"RELAY_RTT_MS": "0"}, runs=1)


WORKLOADS = ["first_local", "first_ssh", "unchanged_local", "unchanged_ssh", "far_unchanged", "far_changed", "one_file",
             "delta", "insert", "renamed", "unchanged_million", "memory_million"]
NOT_QUICK = {"unchanged_million", "memory_million"}


def clear(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def size_text(n):
    if n is None:
        return ""
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return "%.3g %s" % (n, unit)
        n /= 1000
    return "%.3g GB" % n


def table(results):
    out = []
    for title, target, rows in results:
        out += ["", "**%s** (target: %s)" % (title, target), "",
                "| program | wall s | peer / wherry | CPU s | peak MB | on the line | runs |", "|---|---|---|---|---|---|---|"]
        base = rows[0].wall
        for r in rows:
            ratio = "" if r is rows[0] else "%.2f" % (r.wall / base)
            note = " (exit %s)" % r.bad if r.bad is not None else ""
            out.append("| %s%s | %.3f | %s | %.2f | %.0f | %s | %d |" % (
                r.name, note, r.wall, ratio, r.cpu, r.rss, size_text(r.wire), len(r.samples)))
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="smaller trees, three runs: under four minutes")
    p.add_argument("--only", help="workloads, comma separated")
    p.add_argument("--runs", type=int, help="runs of each program (default 5; 3 with --quick)")
    p.add_argument("--list", action="store_true", help="names of the workloads")
    args = p.parse_args()
    names = args.only.split(",") if args.only else [w for w in WORKLOADS if not (args.quick and w in NOT_QUICK)]
    if args.list or not set(names) <= set(WORKLOADS):
        print("\n".join(WORKLOADS))
        return 0 if args.list else 1
    start = time.monotonic()
    place = Place()
    bench = Bench(place, args.runs or (3 if args.quick else 5), args.quick)
    try:
        for name in names:
            getattr(bench, name)()
    finally:
        place.close()
    print("\n%d workloads in %.0f s on %d cores, %s" % (len(names), time.monotonic() - start, os.cpu_count(), rsync_version()))
    return 0


def rsync_version():
    r = subprocess.run(["rsync", "--version"], capture_output=True, text=True)
    return " ".join(r.stdout.split("\n")[0].split()[:3])


sys.exit(main())
