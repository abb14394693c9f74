"""Do these Python files compile? Writes nothing."""

import sys

status = 0
for path in sys.argv[1:]:
    try:
        with open(path, "rb") as f:
            compile(f.read(), path, "exec")
    except SyntaxError as e:
        print("%s:%s: %s" % (path, e.lineno, e.msg))
        status = 1
sys.exit(status)
