"""tally.py DIR: one closing line over all results that `./dev test` left in DIR (meson, pytest and replay)."""

import json
import os
import re
import sys
import xml.etree.ElementTree as xml


def unit(path):
    """meson's log, one JSON object per test program; cmocka tells how many tests each held."""
    passed = failed = skipped = 0
    with open(path) as f:
        for line in f:
            one = json.loads(line)
            said = (one.get("stdout") or "") + (one.get("stderr") or "")
            good = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", said))
            bad = sum(int(n) for n in re.findall(r"\[  FAILED  \] [^\n]*?(\d+) test", said))
            skipped += sum(int(n) for n in re.findall(r"\[  SKIPPED \] [^\n]*?(\d+) test", said))
            fine = one["result"] == "OK"
            passed += good if good or not fine else 1
            failed += bad if bad or fine else 1
    return passed, failed, skipped


def pytest(path):
    passed = failed = skipped = 0
    for suite in xml.parse(path).getroot().iter("testsuite"):
        total, bad = int(suite.get("tests")), int(suite.get("failures")) + int(suite.get("errors"))
        skipped += int(suite.get("skipped"))
        failed += bad
        passed += total - bad - int(suite.get("skipped"))
    return passed, failed, skipped


def replay(path):
    with open(path) as f:
        r = json.load(f)
    return r["passed"], r["failed"], r["skipped"]


def main():
    where = sys.argv[1]
    total = [0, 0, 0]
    for name, reader in (("unit.json", unit), ("e2e.xml", pytest), ("fuzz.json", replay), ("tsan.xml", pytest)):
        path = os.path.join(where, name)
        counts = reader(path) if os.path.exists(path) else (0, 1, 0)
        print("%-10s %5d passed %4d failed %4d skipped" % (name.split(".")[0], *counts))
        total = [a + b for a, b in zip(total, counts)]
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return 1 if total[1] or not total[0] else 0


sys.exit(main())
