"""
Trees to measure with: deterministic, made fast. Sizes of small files follow a distribution as in source trees and mail
(0.5 to 64 KB, mean about 6.8 KB); contents are half text, half noise, so that compression has something to do.
"""

import os
import random

PER_DIR = 100
NS = 1_600_000_000_000_000_000


def _blob():
    """1 MiB to cut contents from."""
    rnd = random.Random(7)
    words = [bytes(rnd.choices(b"abcdefghijklmnopqrstuvwxyz", k=rnd.randrange(2, 10))) for _ in range(2000)]
    text = b" ".join(rnd.choices(words, k=100_000))[:1 << 19]
    return text + rnd.randbytes((1 << 20) - len(text))


def small_files(root, count, size_low=512, size_high=65_536, mean=6_840):
    """count files beneath root, 100 to a directory, directories in two levels."""
    rnd = random.Random(count)
    blob = _blob()
    made = total = 0
    for top in range((count + PER_DIR * 50 - 1) // (PER_DIR * 50)):
        for sub in range(50):
            if made >= count:
                break
            where = "%s/%03d/%02d" % (root, top, sub)
            os.makedirs(where)
            fd = os.open(where, os.O_RDONLY)
            for _ in range(min(PER_DIR, count - made)):
                size = max(size_low, min(size_high, int(rnd.expovariate(1 / mean)))) if size_high else 0
                _file(fd, "f%06d" % made, blob, rnd.randrange(len(blob) - size_high) if size_high else 0, size, made)
                made += 1
                total += size
            os.close(fd)
    return total


def _file(dir_fd, name, blob, start, size, number):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=dir_fd)
    if size:
        os.write(fd, b"%010d" % number + blob[start:start + size - 10])
    os.utime(fd, ns=(NS + number * 1000, NS + number * 1000))
    os.close(fd)


def empty_files(root, count):
    """count files of nothing: for what it costs to look at names."""
    return small_files(root, count, 0, 0)


def big_file(path, size):
    """Noise, in pieces of 1 MiB that differ."""
    blob = random.Random(11).randbytes(1 << 20)
    with open(path, "wb") as f:
        n = 0
        while n < size:
            f.write(b"%016d" % n + blob[16:min(1 << 20, size - n)])
            n += 1 << 20


def touch_blocks(path, share, block=4096, seed=3):
    """Change 16 bytes in `share` of all blocks, scattered."""
    rnd = random.Random(seed)
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        for b in sorted(rnd.sample(range(size // block), int(size // block * share))):
            f.seek(b * block + rnd.randrange(block - 16))
            f.write(rnd.randbytes(16))


def insert_head(path, data):
    """data before everything else, in a new file."""
    with open(path, "rb") as f, open(path + ".new", "wb") as out:
        out.write(data)
        while piece := f.read(1 << 20):
            out.write(piece)
    os.rename(path + ".new", path)


def rewrite_some(root, count):
    """Change `count` files beneath root (every n-th), same sizes or not, new times."""
    files = sorted(os.path.join(d, n) for d, _, names in os.walk(root) for n in names)
    step = max(1, len(files) // count)
    for i, path in enumerate(files[::step][:count]):
        with open(path, "r+b") as f:
            f.write(b"changed %06d" % i)
        os.utime(path, ns=(NS + 10**9 * 86_400 + i,) * 2)
