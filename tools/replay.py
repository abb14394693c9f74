"""
replay.py TARGETS CORPUS RESULT: run every file of CORPUS/<name>/ once through TARGETS/fuzz_<name>. No fuzzing: this
proves that what once broke a parser does not again. RESULT gets {"passed": n, "failed": n, "skipped": 0}.
"""

import json
import os
import subprocess
import sys
import tempfile

BATCH = 200


def run(program, files):
    """True when the program survives all files; several go in one process, for each start costs."""
    with tempfile.TemporaryDirectory() as scratch:
        r = subprocess.run([program, "-timeout=20", "-rss_limit_mb=2048", *files], cwd=scratch, capture_output=True)
    return r.returncode == 0, r.stderr


def replay(program, files):
    """(passed, failed files)."""
    bad = []
    for i in range(0, len(files), BATCH):
        batch = files[i:i + BATCH]
        if run(program, batch)[0]:
            continue
        for one in batch:
            fine, said = run(program, [one])
            if not fine:
                bad.append(one)
                print("%s: %s\n%s" % (program, one, said[-3000:].decode("utf-8", "replace")))
    return len(files) - len(bad), bad


def main():
    targets, corpus, result = sys.argv[1:]
    passed = failed = 0
    names = sorted(n for n in os.listdir(targets) if n.startswith("fuzz_") and os.access(os.path.join(targets, n), os.X_OK)
                   and os.path.isfile(os.path.join(targets, n))) if os.path.isdir(targets) else []
    if not names:
        print("no fuzz targets in " + targets)
        failed = 1
    for name in names:
        where = os.path.join(corpus, name[len("fuzz_"):])
        files = sorted(os.path.abspath(os.path.join(where, f)) for f in os.listdir(where)) if os.path.isdir(where) else []
        if not files:
            print("%s: no corpus (%s)" % (name, where))
            failed += 1
            continue
        good, bad = replay(os.path.abspath(os.path.join(targets, name)), files)
        print("%s: %d inputs" % (name, good + len(bad)))
        passed += good
        failed += len(bad)
    with open(result, "w") as f:
        json.dump({"passed": passed, "failed": failed, "skipped": 0}, f)
    return 1 if failed else 0


sys.exit(main())
