"""
fuzz.py TARGETS CORPUS NAME|all SECONDS: fuzz with libFuzzer from the seeds in CORPUS/<name>/. New inputs are kept beside
the targets (TARGETS/corpus/<name>/); what breaks a target is left there as crash-*: put it into CORPUS with the mend.
"""

import os
import subprocess
import sys


def main():
    targets, corpus, wanted, seconds = sys.argv[1:]
    names = sorted(n[5:] for n in os.listdir(targets) if n.startswith("fuzz_") and os.path.isfile(os.path.join(targets, n)))
    if wanted != "all" and wanted not in names:
        print("no such target: %s (there are: %s)" % (wanted, " ".join(names)))
        return 1
    status = 0
    for name in names if wanted == "all" else [wanted]:
        grown = os.path.join(targets, "corpus", name)
        seeds = os.path.join(corpus, name)
        os.makedirs(grown, exist_ok=True)
        os.makedirs(seeds, exist_ok=True)
        r = subprocess.run([os.path.join(targets, "fuzz_" + name), "-max_total_time=" + seconds, "-timeout=20",
                            "-rss_limit_mb=2048", "-print_final_stats=1", "-artifact_prefix=%s/" % targets, grown, seeds])
        print("%s: %s" % (name, "clean" if r.returncode == 0 else "FAILED, see crash-* in " + targets))
        status |= r.returncode != 0
    return status


sys.exit(main())
