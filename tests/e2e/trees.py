"""
Random and fixed trees for tests, and random edits to them.

A tree is a list of Node values, parents before children; build() makes it on disk, and the same list always makes the
same tree to the byte. Random ones come from the hypothesis strategies tree() and edits(); apply_edits() changes a tree
on disk in one of the ways people and programs do. sample() is a fixed tree that holds one of everything.
"""

import os
import random
import shutil
import socket
import stat
import struct
import subprocess
from dataclasses import dataclass

from hypothesis import strategies as st

IS_ROOT = os.geteuid() == 0
DEFAULT_NS = 1_600_000_000_123_456_789

ODD_NAMES = [
    b"new\nline", b"-rf", b"--delete", b"$(touch pwned)", b"`id`", b"it's", b'say "hi"', b"two  blanks", b"\xff\xfe\x80",
    b"\x01\x1b[31mred", b"\xc3\xbc\xc3\xb1\xc3\xaf", b"*", b"[a-z]", b"?", b"~", b"#x", b" lead", b"trail ", b"...",
    b".hidden", b"a;b", b"a|b", b"a&b", b"host:path", b"\x7f", b"tab\there", b"\r", b"{a,b}", b"!", b"%s%n",
    b"n" * 255, b"\xe2\x80\xae" + b"rtl", b"CON", b"..x", b"\\", b"\\#012", b"a -> b",
]


@dataclass(frozen=True)
class Node:
    """One entry to be made. `data` is (seed, size) of a file, the target of a symlink, the path a hard link joins, or
    the device number."""

    path: bytes
    kind: str
    data: object = None
    mode: int = 0o644
    mtime_ns: int = DEFAULT_NS
    uid: int = 0
    gid: int = 0
    xattrs: tuple = ()
    acl: tuple = ()
    holes: tuple = ()


def content(seed, size):
    """Bytes that depend on the seed only; compressible in part, as real files are."""
    rnd = random.Random(seed)
    if size <= 64:
        return rnd.randbytes(size)
    block = rnd.randbytes(min(size, 8192))
    text = (b"line %d of a text that repeats itself\n" % seed) * 64
    unit = block + text
    out = bytearray()
    n = 0
    while len(out) < size:
        out += b"%08d" % n + unit
        n += 1
    return bytes(out[:size])


def acl_bytes(user_id=None, group_id=None, mode=0o644):
    """A POSIX ACL in Linux's xattr form (include/uapi/linux/posix_acl_xattr.h), with the mode's own three classes."""
    u, g, o = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    rows = [(0x01, u, 0xFFFFFFFF)]
    if user_id is not None:
        rows.append((0x02, 6, user_id))
    rows.append((0x04, g, 0xFFFFFFFF))
    if group_id is not None:
        rows.append((0x08, 5, group_id))
    if user_id is not None or group_id is not None:
        rows.append((0x10, 7, 0xFFFFFFFF))
    rows.append((0x20, o, 0xFFFFFFFF))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *r) for r in rows)


def _write_file(path, node):
    seed, size = node.data
    data = content(seed, size)
    with open(path, "wb") as f:
        if not node.holes:
            f.write(data)
            return
        f.truncate(size)
        at = 0
        for start, length in node.holes:
            f.seek(at)
            f.write(data[at:start])
            at = start + length
        f.seek(min(at, size))
        f.write(data[at:])


def _make(path, node, root):
    if node.kind == "dir":
        os.mkdir(path, 0o700)
    elif node.kind == "file":
        _write_file(path, node)
    elif node.kind == "symlink":
        os.symlink(node.data, path)
    elif node.kind == "hardlink":
        os.link(os.path.join(root, node.data), path, follow_symlinks=False)
    elif node.kind == "fifo":
        os.mkfifo(path)
    elif node.kind == "socket":
        _make_socket(path)
    else:
        os.mknod(path, {"chr": stat.S_IFCHR, "blk": stat.S_IFBLK}[node.kind] | 0o600, node.data)


def _make_socket(path):
    """A bound socket leaves its name behind; sun_path is short, so bind beneath the parent's descriptor."""
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    s = socket.socket(socket.AF_UNIX)
    try:
        name = os.path.basename(path)
        if len(name) < 70:
            s.bind(b"/proc/self/fd/%d/" % fd + name)
        else:
            os.mknod(path, stat.S_IFSOCK | 0o644)
    finally:
        s.close()
        os.close(fd)


def _dress(path, node):
    if node.kind == "hardlink":
        return
    if IS_ROOT:
        os.chown(path, node.uid, node.gid, follow_symlinks=False)
    if node.kind != "symlink":
        os.chmod(path, node.mode)
    for name, value in node.xattrs:
        os.setxattr(path, name, value, follow_symlinks=False)
    for name, value in node.acl:
        os.setxattr(path, name, value, follow_symlinks=False)
    os.utime(path, ns=(node.mtime_ns, node.mtime_ns), follow_symlinks=False)


def build(root, nodes, root_mtime_ns=DEFAULT_NS):
    """Make the tree beneath root (created when missing)."""
    root = os.fsencode(root)
    os.makedirs(root, exist_ok=True)
    for n in nodes:
        _make(os.path.join(root, n.path), n, root)
    for n in reversed(nodes):
        _dress(os.path.join(root, n.path), n)
    os.utime(root, ns=(root_mtime_ns, root_mtime_ns))


def remove(root):
    """rm -rf that does not mind modes."""
    root = os.fsencode(root)
    if not os.path.lexists(root):
        return
    if os.path.islink(root) or not os.path.isdir(root):
        os.unlink(root)
        return
    if not IS_ROOT:
        for d, dirs, _ in os.walk(root):
            for x in dirs:
                p = os.path.join(d, x)
                if not os.path.islink(p):
                    os.chmod(p, 0o700)
    try:
        shutil.rmtree(root)
    except (OSError, RecursionError):  # a tree deeper than PATH_MAX
        subprocess.run(["rm", "-rf", "--", root], check=True)


# --- fixed trees ---------------------------------------------------------------------------------------------------


def sample(special=True, xattrs=True):
    """One of everything (what this user may make), in a small tree."""
    nodes = [
        Node(b"empty", "file", (1, 0)),
        Node(b"small.txt", "file", (2, 100), mode=0o600, mtime_ns=1_500_000_000_000_000_001),
        Node(b"run.sh", "file", (3, 5000), mode=0o755),
        Node(b"page", "file", (4, 4096), mode=0o444),
        Node(b"middle", "file", (5, 300_000)),
        Node(b"big", "file", (6, 2_500_000), mode=0o640),
        Node(b"sparse", "file", (7, 4_000_000), holes=((65536, 2_000_000), (2_200_000, 1_800_000))),
        Node(b"all-hole", "file", (8, 1_000_000), holes=((0, 1_000_000),)),
        Node(b"epoch", "file", (9, 10), mtime_ns=0),
        Node(b"future", "file", (10, 10), mtime_ns=4_400_000_000_999_999_999),
        Node(b"dir", "dir", mode=0o750, mtime_ns=1_400_000_000_000_000_007),
        Node(b"dir/inner", "file", (11, 777)),
        Node(b"dir/deep", "dir", mode=0o2755),
        Node(b"dir/deep/er", "dir", mode=0o1777),
        Node(b"dir/deep/er/leaf", "file", (12, 70_000)),
        Node(b"empty-dir", "dir", mode=0o700),
        Node(b"link", "symlink", b"dir/inner", mtime_ns=1_300_000_000_000_000_003),
        Node(b"dangling", "symlink", b"no/such/thing"),
        Node(b"abs", "symlink", b"/etc/passwd"),
        Node(b"up", "symlink", b"../../../.."),
        Node(b"loop", "symlink", b"loop"),
        Node(b"hard1", "file", (13, 1234)),
        Node(b"hard2", "hardlink", b"hard1"),
        Node(b"dir/hard3", "hardlink", b"hard1"),
        Node(b"pipe", "fifo", mode=0o620),
        Node(b"sock", "socket", mode=0o755),
        Node(b"odd", "dir", mode=0o755),
    ]
    nodes += [Node(b"odd/" + n, "file", (100 + i, 10 + i)) for i, n in enumerate(ODD_NAMES)]
    if xattrs:
        nodes += [
            Node(b"xattr", "file", (20, 50), xattrs=((b"user.colour", b"blue"), (b"user.empty", b""),
                                                     (b"user.bin", bytes(range(256))))),
            Node(b"xattr-dir", "dir", mode=0o755, xattrs=((b"user.d", b"1"),)),
            Node(b"acl", "file", (21, 50), acl=((b"system.posix_acl_access", acl_bytes(1, 2, 0o640)),)),
            Node(b"acl-dir", "dir", mode=0o755,
                 acl=((b"system.posix_acl_access", acl_bytes(65534, None, 0o755)),
                      (b"system.posix_acl_default", acl_bytes(7, 8, 0o750)))),
        ]
    if IS_ROOT:
        nodes += [
            Node(b"owned", "file", (30, 60), uid=12345, gid=54321),
            Node(b"setuid", "file", (31, 60), mode=0o4755, uid=1, gid=1),
            Node(b"owned-link", "symlink", b"owned", uid=65534, gid=65534),
            Node(b"big-id", "file", (32, 1), uid=4_000_000_000, gid=4_000_000_001),
        ]
        if special:
            nodes += [
                Node(b"null", "chr", os.makedev(1, 3), mode=0o666),
                Node(b"disk", "blk", os.makedev(259, 70_000), mode=0o660, gid=6),
            ]
        if xattrs:
            nodes.append(Node(b"trusted", "file", (33, 5), xattrs=((b"trusted.t", b"x"),)))
    return nodes


def many(count, seed=1, dirs=20, size_max=4000, prefix=b""):
    """`count` small files in `dirs` directories."""
    rnd = random.Random(seed)
    nodes = [Node(prefix + b"d%03d" % d, "dir", mode=0o755) for d in range(dirs)]
    for i in range(count):
        nodes.append(Node(prefix + b"d%03d/f%05d" % (i % dirs, i), "file", (seed * 1_000_003 + i, rnd.randrange(size_max)),
                          mtime_ns=DEFAULT_NS + i))
    return nodes


# --- random trees --------------------------------------------------------------------------------------------------

TIMES = [0, 1, 999_999_999, DEFAULT_NS, 1_700_000_000_000_000_000, 2_147_483_648_000_000_001,
         4_294_967_296_123_456_789, 5_000_000_000_000_000_000]
SIZES = [0, 1, 2, 63, 100, 700, 4095, 4096, 4097, 20_000, 65_536, 70_001, 262_144, 262_145, 300_000, 1_100_000]
IDS = [0, 1, 2, 100, 1000, 65534, 12345, 3_000_000_000]


def names(odd=True):
    plain = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f.txt", b"g.o", b"lib", b"src", b"core"])
    if not odd:
        return plain
    wild = st.binary(min_size=1, max_size=12).map(lambda b: b.replace(b"/", b"_").replace(b"\0", b"0")).filter(
        lambda b: b not in (b".", b"..") and not b.startswith(b".wherry."))
    return st.one_of(plain, plain, st.sampled_from(ODD_NAMES), wild)


def times():
    return st.one_of(st.sampled_from(TIMES), st.integers(0, 6_000_000_000_000_000_000))


@st.composite
def _xattrs(draw, kind):
    if kind == "file" or kind == "dir":
        spaces = [b"user."] + ([b"trusted."] if IS_ROOT else [])
    elif IS_ROOT:
        spaces = [b"trusted."]
    else:
        return ()
    if draw(st.integers(0, 3)) != 3:
        return ()
    found = draw(st.dictionaries(
        st.tuples(st.sampled_from(spaces), st.sampled_from([b"a", b"b", b"c.d", b"\xc3\xa4"])).map(b"".join),
        st.one_of(st.just(b""), st.binary(max_size=20), st.just(b"v" * 300)), max_size=3))
    return tuple(sorted(found.items()))


@st.composite
def _acls(draw, kind, mode):
    if kind not in ("file", "dir") or draw(st.integers(0, 5)) != 5 or os.environ.get("WHERRY_STANDIN"):
        return ()  # (rsync does not settle on an ACL whose mask and group differ)
    ids = st.sampled_from([None, 1, 2, 1000, 65534])
    out = [(b"system.posix_acl_access", acl_bytes(draw(ids), draw(ids), mode))]
    if kind == "dir" and draw(st.booleans()):
        out.append((b"system.posix_acl_default", acl_bytes(draw(ids), draw(ids), 0o750)))
    return tuple(out)


@st.composite
def _holes(draw, size):
    if size < 65_536 or draw(st.booleans()):
        return ()
    start = draw(st.integers(0, size // 4096 // 2)) * 4096
    length = draw(st.integers(4, max(4, (size - start) // 4096))) * 4096
    return ((start, min(length, size - start)),)


@st.composite
def _node(draw, path, kind, earlier, attrs, acls):
    mode = draw(st.sampled_from([0o644, 0o600, 0o755, 0o444, 0o000, 0o777, 0o4755, 0o2711, 0o1777]))
    if kind == "dir":
        mode = draw(st.sampled_from([0o755, 0o700, 0o750, 0o2775, 0o1777, 0o500]))
    if not IS_ROOT:
        mode |= 0o500 if kind == "dir" else 0o400
        mode &= 0o777
    data, holes = None, ()
    if kind == "file":
        data = (draw(st.integers(0, 50)), draw(st.sampled_from(SIZES)))
        holes = draw(_holes(data[1]))
    elif kind == "symlink":
        data = draw(st.sampled_from([b"a", b"../b", b"/etc/passwd", b".", b"..", b"no where", b"t" * 1000, b"\xff\n"]))
    elif kind == "hardlink":
        data = draw(st.sampled_from(earlier))
    elif kind in ("chr", "blk"):
        data = os.makedev(draw(st.integers(1, 300)), draw(st.integers(0, 70_000)))
    who = {}
    if IS_ROOT and attrs:
        who = {"uid": draw(st.sampled_from(IDS)), "gid": draw(st.sampled_from(IDS))}
    if not IS_ROOT:
        who = {"uid": os.geteuid(), "gid": os.getegid()}
    extra = {}
    if attrs:
        extra = {"xattrs": draw(_xattrs(kind)), "acl": draw(_acls(kind, mode)) if acls else ()}
    return Node(path, kind, data, mode, draw(times()), holes=holes, **who, **extra)


@st.composite
def tree(draw, max_entries=24, odd=True, attrs=True, acls=True, kinds=None):
    """A random tree as a list of nodes."""
    if kinds is None:
        kinds = ["file"] * 5 + ["dir"] * 3 + ["symlink", "hardlink", "fifo", "socket"]
        if IS_ROOT:
            kinds += ["chr", "blk"]
    dirs, linkable, seen, out = [b""], [], set(), []
    for _ in range(draw(st.integers(0, max_entries))):
        parent = draw(st.sampled_from(dirs))
        name = draw(names(odd))
        path = parent + b"/" + name if parent else name
        kind = draw(st.sampled_from(kinds))
        if path in seen or len(path) > 3000 or (kind == "hardlink" and not linkable):
            continue
        seen.add(path)
        out.append(draw(_node(path, kind, linkable, attrs, acls)))
        if kind == "dir":
            dirs.append(path)
        elif kind == "file" or kind == "symlink":
            linkable.append(path)
    return out


# --- random edits --------------------------------------------------------------------------------------------------

EDIT_KINDS = ["rewrite", "append", "insert", "truncate", "touch", "chmod", "chown", "rename", "move", "swap", "delete",
              "add", "same_size", "xattr", "unlink_hard"]


def edits(max_edits=8, kinds=None):
    """A list of (kind, which, argument): numbers that apply_edits() reduces to what the tree holds."""
    one = st.tuples(st.sampled_from(kinds or EDIT_KINDS), st.integers(0, 10_000), st.integers(0, 10_000))
    return st.lists(one, max_size=max_edits)


def _listing(root):
    out = []
    for d, dirs, files in os.walk(root):
        dirs.sort()
        out += [os.path.join(d, x) for x in sorted(dirs + files)]
    return sorted(out)


def _kind_of(path):
    return stat.S_IFMT(os.lstat(path).st_mode)


class _keep_parent_time:
    """Half of all programs that write in place do not change the directory; keep its time so that edits stay small."""

    def __init__(self, path, keep):
        self.parent, self.keep = os.path.dirname(path), keep

    def __enter__(self):
        self.st = os.lstat(self.parent)

    def __exit__(self, *exc):
        if self.keep and os.path.isdir(self.parent):
            os.utime(self.parent, ns=(self.st.st_atime_ns, self.st.st_mtime_ns))


def _edit_file(kind, path, arg):
    size = os.lstat(path).st_size
    mode = os.lstat(path).st_mode
    if not IS_ROOT:
        os.chmod(path, 0o600)
    with open(path, "r+b") as f:
        if kind == "rewrite":
            f.truncate(0)
            f.write(content(arg, SIZES[arg % len(SIZES)]))
        elif kind == "append":
            f.seek(0, 2)
            f.write(content(arg, 1 + arg))
        elif kind == "insert":
            at = arg % (size + 1)
            f.seek(at)
            rest = f.read()
            f.seek(at)
            f.write(content(arg, 1 + arg % 500) + rest)
        elif kind == "truncate":
            f.truncate(arg % (size + 1))
        elif kind == "same_size" and size:
            f.seek(arg % size)
            old = f.read(1)
            f.seek(arg % size)
            f.write(bytes([old[0] ^ 0x55]))
    os.chmod(path, stat.S_IMODE(mode))
    # a change that the clock shows, as it is in life (the quick check sees size and time only)
    t = DEFAULT_NS + 7_000_000_000 + arg * 1_000_003
    os.utime(path, ns=(t, t))


def _free_name(root, arg):
    n = arg
    while os.path.lexists(os.path.join(root, b"n%d" % n)):
        n += 1
    return os.path.join(root, b"n%d" % n)


def _swap(path, arg):
    """Another kind of entry under the same name."""
    remove(path)
    which = arg % 3
    if which == 0:
        with open(path, "wb") as f:
            f.write(content(arg, arg % 3000))
    elif which == 1:
        os.mkdir(path)
        with open(path + b"/in", "wb") as f:
            f.write(content(arg, arg % 300))
    else:
        os.symlink(b"target%d" % arg, path)


def _add(into, arg):
    with open(_free_name(into, arg), "wb") as f:
        f.write(content(arg, SIZES[arg % len(SIZES)]))


def _edit(root, kind, path, dirs, arg):
    is_file = _kind_of(path) == stat.S_IFREG
    if kind in ("rewrite", "append", "insert", "truncate", "same_size"):
        if is_file:
            _edit_file(kind, path, arg)
    elif kind == "touch":
        t = TIMES[arg % len(TIMES)] + arg
        os.utime(path, ns=(t, t), follow_symlinks=False)
    elif kind == "chmod":
        if _kind_of(path) != stat.S_IFLNK:
            os.chmod(path, [0o640, 0o711, 0o750, 0o604][arg % 4] | 0o700 * (not IS_ROOT))
    elif kind == "chown":
        if IS_ROOT:
            os.chown(path, IDS[arg % len(IDS)], IDS[arg // 7 % len(IDS)], follow_symlinks=False)
    elif kind == "xattr":
        if is_file and (IS_ROOT or os.access(path, os.W_OK)):
            os.setxattr(path, b"user.e%d" % (arg % 3), b"%d" % arg)
    elif kind == "rename":
        os.rename(path, _free_name(os.path.dirname(path), arg))
    elif kind == "move":
        into = dirs[arg % len(dirs)]
        if not (into + b"/").startswith(path + b"/"):
            os.rename(path, _free_name(into, arg))
    elif kind == "swap":
        _swap(path, arg)
    elif kind == "delete":
        remove(path)
    elif kind == "unlink_hard":
        if is_file and os.lstat(path).st_nlink > 1:
            os.unlink(path)
    elif kind == "add":
        _add(dirs[arg % len(dirs)], arg)


def apply_edits(root, ops):
    """Change the tree beneath root. The same tree and the same list always end the same (but for times of now, which
    are those of new entries)."""
    root = os.fsencode(root)
    for kind, which, arg in ops:
        found = _listing(root)
        dirs = [root] + [p for p in found if _kind_of(p) == stat.S_IFDIR]
        if not found:
            _add(root, arg)
            continue
        path = found[which % len(found)]
        if not IS_ROOT:
            os.chmod(os.path.dirname(path), 0o700)
        with _keep_parent_time(path, arg % 2 == 0):
            _edit(root, kind, path, dirs, arg)
