"""
Fixtures of the end-to-end tests. Run them with `./dev test`, or by hand:

    WHERRY_BIN=build/wherry /usr/bin/python3 -m pytest tests/e2e -n 2
    WHERRY_STANDIN=rsync    /usr/bin/python3 -m pytest tests/e2e     # proves the tests against stock rsync

WHERRY_TEST_DIR   where trees are made (default /dev/shm when it keeps user xattrs, else /tmp)
WHERRY_EXAMPLES   examples per property test (default 15); a number also makes them random instead of repeatable
WHERRY_KEEP       keep the trees of failed tests
CI                a test that cannot run here fails instead of being skipped
"""

import os
import shutil
import subprocess
import sys
import tempfile

import pytest
from hypothesis import HealthCheck, Phase, settings

sys.path.insert(0, os.path.dirname(__file__))

import harness  # noqa: E402
import trees  # noqa: E402

# Shrinking a failure can take minutes: for people, not for CI.
_phases = [Phase.explicit, Phase.generate] + ([] if harness.STRICT or harness.STANDIN else [Phase.shrink])
_examples = int(os.environ.get("WHERRY_EXAMPLES", "15"))
settings.register_profile(
    "wherry", max_examples=_examples, deadline=None, derandomize="WHERRY_EXAMPLES" not in os.environ, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
                           HealthCheck.filter_too_much],
    phases=_phases, print_blob=True)
settings.load_profile("wherry")


def pytest_configure(config):
    for line in ("native: only wherry has this; skipped with the stand-in",
                 "root: needs root (owners, devices, mounts)",
                 "fault: needs a build with -Dfault=true",
                 "parallel: exercises many threads; also run under ThreadSanitizer"):
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(config, items):
    for item in items:
        if harness.STANDIN and (item.get_closest_marker("native") or item.get_closest_marker("fault")):
            item.add_marker(pytest.mark.skip(reason="stand-in"))
        if item.get_closest_marker("root") and not harness.IS_ROOT:
            item.add_marker(pytest.mark.skip(reason="needs root"))


def _keeps_xattrs(where):
    try:
        with tempfile.NamedTemporaryFile(dir=where) as f:
            os.setxattr(f.name, b"user.t", b"1")
        return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def base():
    """Directory of this session; everybody may pass through it."""
    where = os.environ.get("WHERRY_TEST_DIR") or ("/dev/shm" if _keeps_xattrs("/dev/shm") else "/tmp")
    path = tempfile.mkdtemp(prefix="wherry-e2e.", dir=where)
    os.chmod(path, 0o755)
    yield path
    if not os.environ.get("WHERRY_KEEP"):
        trees.remove(path)


@pytest.fixture(scope="session")
def program(base):
    """The binary under test, copied to a place that every user may execute."""
    os.makedirs(base + "/bin")
    target = base + "/bin/wherry"
    if harness.STANDIN:
        shutil.copy(shutil.which("rsync"), target)
    else:
        given = os.environ.get("WHERRY_BIN") or os.path.join(os.path.dirname(__file__), "../../build/wherry")
        shutil.copy(given, target)
    os.chmod(target, 0o755)
    return target


@pytest.fixture(scope="session")
def rsh(base):
    path = base + "/rsh"
    with open(path, "w") as f:
        f.write(harness.RSH)
    os.chmod(path, 0o755)
    return path


@pytest.fixture(scope="session")
def sanitizer_dir(base):
    path = base + "/sanitizer"
    os.makedirs(path)
    os.chmod(path, 0o1777)
    return path


@pytest.fixture(autouse=True)
def _no_sanitizer_report(sanitizer_dir):
    """Any report of a sanitizer, by whichever process of the test, fails the test."""
    yield
    texts = []
    for name in os.listdir(sanitizer_dir):
        path = os.path.join(sanitizer_dir, name)
        with open(path, errors="replace") as f:
            texts.append(f.read()[:6000])
        os.unlink(path)
    if texts:
        pytest.fail("sanitizer: " + "\n".join(texts))


@pytest.fixture
def s(base, request):
    """A fresh directory with names for a source and a destination."""
    path = tempfile.mkdtemp(dir=base)
    os.chmod(path, 0o755)
    yield harness.Space(path)
    failed = getattr(request.node, "failed", False)
    if not (failed and os.environ.get("WHERRY_KEEP")):
        trees.remove(path)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture
def wherry(program, rsh, sanitizer_dir, base):
    """Runner of the program with a home of its own."""
    home = tempfile.mkdtemp(prefix="home.", dir=base)
    yield harness.Wherry(program, home, rsh, sanitizer_dir)
    trees.remove(home)


@pytest.fixture(scope="session")
def sshd(base, program, sanitizer_dir):
    harness.need_tool("ssh")
    harness.need(os.path.exists("/usr/sbin/sshd"), "openssh-server is not installed")
    server = harness.Sshd(base + "/sshd", os.path.dirname(program),
                          dict(harness.sanitizer_env(sanitizer_dir), XDG_STATE_HOME=base + "/sshd/state"))
    yield server
    server.stop()


@pytest.fixture
def mounts(s):
    m = harness.Mounts(s.base)
    yield m
    m.release()


@pytest.fixture
def user():
    """Uid of somebody without rights; only root can become him."""
    if not harness.IS_ROOT:
        return None
    harness.need_tool("setpriv")
    return harness.USER_ID


@pytest.fixture(scope="session")
def has_fault(program, base):
    """The build stops on demand (-Dfault=true)."""
    src, dst, count = base + "/fault-src", base + "/fault-dst", base + "/fault-count"
    trees.build(src, [trees.Node(b"f", "file", (1, 10))])
    subprocess.run([program, "sync", src + "/", dst], env=dict(os.environ, WHERRY_FAULT_COUNT=count, HOME=base),
                   capture_output=True)
    harness.need(os.path.exists(count), "a build with -Dfault=true")
    return True
