"""
The order of the house (DESIGN 2): a folder of src/ may include only folders on its own floor or above it in the list.
Also: includes are written from src/, no two folders include each other, folders of pure computation do not reach for
the system, and every folder with code has a README.md of at most 40 lines.
"""

import os
import re
import sys

FLOORS = [
    ["base"],
    ["opt"],
    ["os", "codec", "delta"],
    ["tree", "chan"],
    ["proto", "rsync"],
    ["replica", "sync"],
    ["job"],
    ["dist", "chain", "mail", "mirror", "backup", "node"],
    ["server"],
    ["cmd", "compat"],
]
FLOOR = {folder: i for i, row in enumerate(FLOORS) for folder in row}
PURE = {"base", "codec", "delta", "proto", "rsync"}
SYSTEM_HEADERS = {"dirent.h", "fcntl.h", "unistd.h", "sys/socket.h", "sys/wait.h", "poll.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def check_file(path, folder, edges, faults):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for m in INCLUDE.finditer(text):
        line = "%s:%d" % (path, text.count("\n", 0, m.start()) + 1)
        if m[1] == "<":
            if folder in PURE and m[2] in SYSTEM_HEADERS:
                faults.append("%s: %s/ computes only; <%s> belongs to os/ or chan/" % (line, folder, m[2]))
            continue
        target = m[2].split("/")[0]
        if m[2] == "config.h":
            continue
        if "/" not in m[2] or target not in FLOOR:
            faults.append('%s: write includes from src/: "%s"' % (line, m[2]))
        elif target != folder:
            edges.setdefault((folder, target), line)
            if FLOOR[target] > FLOOR[folder]:
                faults.append("%s: %s/ may not include %s/, which is above it" % (line, folder, target))


def check_readme(where, faults):
    path = os.path.join(where, "README.md")
    if not os.path.exists(path):
        faults.append("%s: no README.md" % where)
        return
    with open(path, encoding="utf-8") as f:
        if len(f.readlines()) > 40:
            faults.append("%s: over 40 lines" % path)


def main():
    faults, edges = [], {}
    for folder in sorted(os.listdir("src")):
        where = os.path.join("src", folder)
        if not os.path.isdir(where):
            continue
        code = sorted(n for n in os.listdir(where) if n.endswith((".c", ".h")))
        if not code:
            continue
        if folder not in FLOOR:
            faults.append("%s: not in the list of floors (tools/layering.py, DESIGN 2)" % where)
            continue
        check_readme(where, faults)
        for name in code:
            check_file(os.path.join(where, name), folder, edges, faults)
    for (a, b), line in sorted(edges.items()):
        if a < b and (b, a) in edges:
            faults.append("%s: %s/ and %s/ include each other" % (line, a, b))
    print("\n".join(faults) if faults else "layers: clean")
    return 1 if faults else 0


sys.exit(main())
