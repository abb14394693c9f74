"""
Calls that have no place in this program: unbounded or shell-reaching ones anywhere, printing and exiting in library
folders, and bare path calls on names that come from a tree or a peer (os/ has safe ones). Comments and strings are
not looked at. A line that must differ says why:  /* allowed: reason */
"""

import os
import re
import sys

ANYWHERE = ["strcpy", "strcat", "strncpy", "strncat", "stpcpy", "sprintf", "vsprintf", "strtok", "atoi", "atol", "atoll",
            "gmtime", "localtime", "ctime", "mktemp", "tmpnam", "tempnam", "system", "popen", "gets", "alloca", "rand",
            "srand", "readdir_r", "chdir", "fchdir"]
# May print and exit: commands, and what speaks to people. base/alloc and base/err end the process on purpose.
LOUD = ("src/cmd/", "src/compat/", "src/main.c", "src/sync/report", "src/base/alloc.c", "src/base/err.c")
PRINT = ["printf", "puts", "putchar", "perror", "exit", "errx", "warn", "warnx"]
# Names of trees are opened beneath a directory fd; these take a path from wherever the process stands.
PATHS = ["open", "creat", "stat", "lstat", "rename", "unlink", "rmdir", "mkdir", "symlink", "link", "chmod", "chown",
         "lchown", "utimes", "truncate", "mknod", "mkfifo", "opendir", "readlink", "setxattr", "getxattr", "listxattr",
         "removexattr"]
PATHS_FREE = ("src/os/", "src/cmd/", "src/compat/", "src/opt/", "src/server/", "src/main.c",
              # these open what the user named, or wherry's own state, and work beneath its descriptor from there
              "src/sync/option_file.c", "src/sync/report.c", "src/sync/serve.c", "src/sync/source.c", "src/sync/dest.c",
              "src/sync/dest_root.c", "src/tree/index_dir.c")

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def strip(text):
    return TOKEN.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def calls(words):
    return re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(words))


def check(path, faults):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    lines = text.split("\n")
    code = strip(text).split("\n")
    rules = [(calls(ANYWHERE), "banned")]
    if not path.startswith(LOUD):
        rules.append((calls(PRINT), "library code neither prints nor exits"))
    if not path.startswith(PATHS_FREE):
        rules.append((calls(PATHS), "a bare path; use os/"))
    for i, line in enumerate(code):
        if line.lstrip().startswith("#") or "allowed:" in lines[i] or (i and "allowed:" in lines[i - 1]):
            continue
        for pattern, why in rules:
            m = pattern.search(line)
            if m and "/proc/self/fd" not in "".join(lines[max(0, i - 2):i + 1]):
                faults.append("%s:%d: %s(): %s" % (path, i + 1, m[1], why))


def main():
    faults = []
    for where, _, names in sorted(os.walk("src")):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                check(os.path.join(where, name), faults)
    print("\n".join(faults) if faults else "calls: clean")
    return 1 if faults else 0


sys.exit(main())
