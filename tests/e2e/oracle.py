"""
An independent judge of trees: takes a snapshot of a tree down to the last attribute and tells how two differ.

It shares no code and no idea with wherry. Everything goes through directory descriptors, so that trees deeper than
PATH_MAX can be judged too. Paths are bytes relative to the root; the root itself is b"".

    a = snapshot(src); b = snapshot(dst)
    assert diff(a, b) == []                      # or assert_same(src, dst, ignore={"atime"})

What can be left out of a comparison (`ignore`): type content mode uid gid mtime dir_mtime link_mtime target rdev xattrs
acls hardlinks holes litter root. A left-over temporary name (".wherry.*") is always a difference unless "litter" is
ignored.
"""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field

ACL_NAMES = (b"system.posix_acl_access", b"system.posix_acl_default")
# Allocated blocks may differ by what a file system rounds up to; more than this is a lost hole.
HOLE_TOLERANCE = 128 * 1024


@dataclass
class Entry:
    """One entry as found on disk."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    digest: str = ""
    target: bytes = b""
    rdev: int = 0
    allocated: int = 0
    inode: tuple = ()
    nlink: int = 1
    xattrs: dict = field(default_factory=dict)
    acls: dict = field(default_factory=dict)


_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "chr",
    stat.S_IFBLK: "blk",
}


def _read_xattrs(dir_fd, name):
    """(ordinary attributes, ACLs) of one entry, not following symlinks."""
    path = b"/proc/self/fd/%d/%s" % (dir_fd, name)
    plain, acls = {}, {}
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as e:
        if e.errno in (errno.ENOTSUP, errno.EPERM, errno.EACCES):
            return plain, acls
        raise
    for n in map(os.fsencode, names):
        try:
            value = os.getxattr(path, n, follow_symlinks=False)
        except OSError as e:
            if e.errno in (errno.ENODATA, errno.ENOTSUP, errno.EPERM, errno.EACCES):
                continue
            raise
        (acls if n in ACL_NAMES else plain)[n] = value
    return plain, acls


def _digest(dir_fd, name):
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=dir_fd)
    except PermissionError:
        return "unreadable"
    h = hashlib.sha256()
    try:
        while chunk := os.read(fd, 1 << 20):
            h.update(chunk)
    finally:
        os.close(fd)
    return h.hexdigest()


def _entry(dir_fd, name, content):
    st = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    kind = _KINDS[stat.S_IFMT(st.st_mode)]
    e = Entry(kind, stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns, inode=(st.st_dev, st.st_ino),
              nlink=st.st_nlink)
    if kind == "file":
        e.size = st.st_size
        e.allocated = st.st_blocks * 512
        if content:
            e.digest = _digest(dir_fd, name)
    elif kind == "symlink":
        e.target = os.readlink(name, dir_fd=dir_fd)
    elif kind in ("chr", "blk"):
        e.rdev = st.st_rdev
    e.xattrs, e.acls = _read_xattrs(dir_fd, name)
    return e


def snapshot(root, content=True):
    """Every entry beneath root (and root itself as b""), as {relative path: Entry}. A root that is no directory
    yields just b"". A directory that may not be opened is listed without its inside."""
    root = os.fsencode(root)
    found = {}
    parent, last = os.path.split(os.path.abspath(root))
    top = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _walk(top, last, b"", found, content)
    finally:
        os.close(top)
    return found


def _walk(dir_fd, name, rel, found, content):
    found[rel] = e = _entry(dir_fd, name, content)
    if e.kind != "dir":
        return
    try:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)
    except PermissionError:
        return
    try:
        for child in sorted(os.fsencode(n) for n in os.listdir(fd)):
            _walk(fd, child, rel + b"/" + child if rel else child, found, content)
    finally:
        os.close(fd)


def _partition(snap, paths):
    """Hard-link groups among `paths` as a set of frozensets (only groups of two and more)."""
    groups = {}
    for p in paths:
        e = snap[p]
        if e.kind != "dir" and e.nlink > 1:
            groups.setdefault(e.inode, set()).add(p)
    return {frozenset(g) for g in groups.values() if len(g) > 1}


def _diff_entry(path, a, b, ignore, out):
    def differs(what, x, y):
        if what not in ignore and x != y:
            out.append("%r: %s %r, wanted %r" % (path, what, y, x))

    if a.kind != b.kind:
        differs("type", a.kind, b.kind)
        return
    if a.kind == "file":
        differs("content", (a.size, a.digest), (b.size, b.digest))
        sparse = a.allocated + 4096 < a.size
        if "holes" not in ignore and sparse and b.allocated > a.allocated + HOLE_TOLERANCE:
            out.append("%r: holes lost, %d bytes allocated, wanted %d" % (path, b.allocated, a.allocated))
    if a.kind == "symlink":
        differs("target", a.target, b.target)
    else:
        differs("mode", oct(a.mode), oct(b.mode))
    if a.kind in ("chr", "blk"):
        differs("rdev", a.rdev, b.rdev)
    differs("uid", a.uid, b.uid)
    differs("gid", a.gid, b.gid)
    differs("xattrs", a.xattrs, b.xattrs)
    differs("acls", a.acls, b.acls)
    kind_time = {"dir": "dir_mtime", "symlink": "link_mtime"}.get(a.kind)
    if kind_time not in ignore:
        differs("mtime", a.mtime_ns, b.mtime_ns)


def litter(snap):
    """Temporary names of wherry that are left in a snapshot."""
    return [p for p in snap if any(c.startswith(b".wherry.") for c in p.split(b"/"))]


def diff(a, b, ignore=(), extra_ok=False):
    """Lines telling how snapshot b differs from a, the wanted one; [] when it does not. With extra_ok, entries that
    only b has are no difference."""
    ignore = set(ignore)
    out = []
    if "litter" not in ignore:
        out += ["%r: left-over temporary name" % p for p in litter(b)]
    for p in sorted(a.keys() | b.keys()):
        if p == b"" and "root" in ignore:
            continue
        if p not in b:
            out.append("%r: missing (%s)" % (p, a[p].kind))
        elif p not in a:
            if not extra_ok:
                out.append("%r: should not be there (%s)" % (p, b[p].kind))
        else:
            _diff_entry(p, a[p], b[p], ignore, out)
    if "hardlinks" not in ignore:
        common = a.keys() & b.keys()
        want, got = _partition(a, common), _partition(b, common)
        out += ["hard links lost: %s" % sorted(g) for g in want - got]
        out += ["hard links that should not be: %s" % sorted(g) for g in got - want]
    return out


def assert_same(src, dst, ignore=(), extra_ok=False):
    """Fail with a readable list when tree dst is not the same as tree src."""
    lines = diff(snapshot(src), snapshot(dst), ignore, extra_ok)
    assert not lines, "%d differences between %s and %s:\n  %s" % (len(lines), src, dst, "\n  ".join(lines[:40]))


def contents(root):
    """{path: (kind, size, digest or target)}: for 'nothing outside was touched' and 'old or new' checks."""
    return {p: (e.kind, e.size, e.digest or e.target) for p, e in snapshot(root).items()}


if __name__ == "__main__":  # oracle.py SRC DST: exit 0 when the same
    import sys

    found = diff(snapshot(sys.argv[1]), snapshot(sys.argv[2]), sys.argv[3:])
    print("\n".join(found) if found else "identical: %d entries" % len(snapshot(sys.argv[1], content=False)))
    sys.exit(1 if found else 0)
