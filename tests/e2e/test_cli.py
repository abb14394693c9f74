"""The command line as a user meets it: help, suggestions, exit statuses; and that help, manual and completion agree."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
WHERRY = os.environ.get("WHERRY_BIN") or str(REPO / "build" / "wherry")


def run(*args, env=None, stdin=None):
    full = {k: v for k, v in os.environ.items() if k not in ("SSH_ORIGINAL_COMMAND", "WHERRY_RSH")}
    full.update(env or {})
    return subprocess.run([WHERRY, *args], capture_output=True, text=True, env=full, input=stdin, timeout=60)


def shown(*args):
    r = run(*args)
    assert r.returncode == 0, r.stderr
    assert r.stderr == ""
    return r.stdout


def options_in_help(command):
    """Every spelling that `wherry help COMMAND` offers."""
    found = set()
    for line in shown("help", command).splitlines():
        m = re.match(r"^  (?:-(\S)(?:, )?|    )(?:--(\[no-\])?([a-z0-9-]+))?", line)
        if not m or line.startswith("   " + " " * 4):
            continue
        letter, negatable, name = m.groups()
        if letter:
            found.add("-" + letter)
        if name:
            found.add("--" + name)
            if negatable:
                found.add("--no-" + name)
    return found


def options_in_manual(command):
    found = set()
    in_options = False
    for line in shown("manual", command).splitlines():
        if line.startswith(".Sh"):
            in_options = line == ".Sh DESCRIPTION"
        if in_options and line.startswith(".It Fl"):
            for word in re.findall(r"Fl (\S+)", line):
                found.add("-" + word.replace("\\-", "-"))
    return found


def options_in_bash(command):
    text = shown("completion", "bash")
    body = text[text.index(f"_wherry_{command}()"):]
    body = body[:body.index("\n}\n")]
    return set(re.findall(r"-W '(-[^']*)'", body)[-1].split())


def options_in_zsh(command):
    text = shown("completion", "zsh")
    body = text[text.index(f"_wherry_{command}()"):]
    body = body[:body.index("\n}\n")]
    return set(re.findall(r"^\t\t'\*?(--?[A-Za-z0-9@-]+?)(?:=-?|\+)?\[", body, re.M))


def options_in_fish(command):
    found = set()
    for line in shown("completion", "fish").splitlines():
        if f"-n '__fish_seen_subcommand_from {command}'" not in line:
            continue
        line = line.split(" -d '")[0]
        found.update("-" + x for x in re.findall(r" -s (\S)", line))
        found.update("--" + x for x in re.findall(r" -l (\S+)", line))
    return found


@pytest.mark.parametrize("command", ["sync", "serve"])
@pytest.mark.parametrize("where", [options_in_manual, options_in_bash, options_in_zsh, options_in_fish])
def test_help_manual_and_completion_offer_the_same_options(command, where):
    helped = options_in_help(command)
    assert len(helped) > (60 if command == "sync" else 4)
    assert where(command) == helped


def test_every_option_in_help_is_accepted():
    for option in sorted(options_in_help("sync")):
        # a missing value or missing paths are told; an unknown option would be another text
        assert "unknown option" not in run("sync", option).stderr, option


def test_version_and_overview():
    assert re.fullmatch(r"wherry \d+\.\d+\.\d+\n", shown("--version"))
    assert shown("--help") == shown("help") == shown("-h")
    for command in ("sync", "serve", "help", "completion"):
        assert re.search(rf"^  {command} ", shown("--help"), re.M)
    assert "manual" not in re.findall(r"^  (\w+) ", shown("--help"), re.M)


def test_help_of_a_command():
    assert shown("sync", "--help") == shown("sync", "-h") == shown("help", "sync")
    assert shown("sync", "-h").startswith("Usage: wherry sync [OPTIONS] SRC DST\n")
    assert all(len(line) <= 80 for line in shown("help", "sync").splitlines() if line.startswith("   "))
    for command in ("serve", "help", "completion"):
        assert shown(command, "--help") == shown("help", command)


@pytest.mark.parametrize("args,status,text", [
    ([], 1, "wherry: say what to do"),
    (["snyc"], 1, 'did you mean "sync"?'),
    (["help", "srve"], 1, 'did you mean "serve"?'),
    (["-a", "x", "y"], 1, "a command comes first"),
    (["sync"], 1, "SRC and DST are missing"),
    (["sync", "a"], 1, "DST is missing"),
    (["sync", "a", "b", "c"], 1, "there are 3 paths"),
    (["sync", "--delte", "a", "b"], 1, "did you mean --delete?"),
    (["sync", "--max-delete=many", "a", "b"], 1, "--max-delete=many: a whole number is needed"),
    (["sync", "--fsync=sometimes", "a", "b"], 1, "must be none, batch or strict"),
    (["sync", "--max-size=12Q", "a", "b"], 1, "a size is needed"),
    (["sync", "--chmod=zz", "a", "b"], 1, "not a mode change"),
    (["sync", "--link-dest=a", "--copy-dest=b", "a", "b"], 1, "only one of"),
    (["sync", "", "b"], 1, "an empty path"),
    (["sync", ":a", "b"], 1, "no host name before the colon"),
    (["sync", "--", "-x:a", "b"], 1, "no host name"),
    (["sync", "host::mod", "b"], 4, "the rsync protocol is not spoken yet"),
    (["sync", "a", "rsync://host/mod"], 4, "the rsync protocol is not spoken yet"),
    (["sync", "--exclude-from=/nonexistent", "a", "b"], 3, "No such file"),
    (["sync", "--files-from=/nonexistent", "a", "b"], 3, "No such file"),
    (["serve"], 1, "--stdio must be given"),
    (["serve", "--stdio", "--read-only", "--write-only"], 1, "leave nothing to do"),
    (["serve", "--stdio", "x"], 1, "takes no paths"),
    (["completion"], 1, "bash, zsh or fish"),
    (["completion", "tcsh"], 1, "bash, zsh or fish"),
    (["manual", "nothing"], 1, "manual pages"),
    (["help", "a", "b"], 1, "too many arguments"),
])
def test_mistakes_are_told(args, status, text):
    r = run(*args)
    assert text in r.stderr
    assert r.returncode == status
    assert r.stdout == ""


def test_dotdot_in_a_list_is_refused():
    r = run("sync", "--files-from=-", "a", "b", stdin="ok\nx/../../etc/passwd\n")
    assert r.returncode == 1
    assert "--files-from: x/../../etc/passwd: names in the list" in r.stderr


def test_control_characters_never_reach_the_terminal():
    for args in (["\x1b[31m"], ["sync", "--\x1b[31m"], ["sync", "\x1b]0;x\x07:a", "b"], ["sync", "--fsync=\x1b", "a", "b"]):
        r = run(*args)
        assert r.returncode == 1
        assert "\x1b" not in r.stderr and "\\#033" in r.stderr


def test_a_forced_command_serves_wherry_only(tmp_path):
    victim = tmp_path / "victim"
    for command in ("sh", f"touch {victim}", f"wherry serve --stdio $(touch {victim})x\\", "rsync --server . /"):
        r = run("serve", "--stdio", "--root", str(tmp_path), env={"SSH_ORIGINAL_COMMAND": command})
        assert r.returncode == 43, command
        assert "only for wherry" in r.stderr
        assert not victim.exists()


def test_output_that_cannot_be_written_is_an_error():
    with open("/dev/full", "w") as full:
        r = subprocess.run([WHERRY, "help", "sync"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 40
    assert "No space left" in r.stderr


@pytest.mark.parametrize("topic", ["wherry", "sync", "serve"])
def test_manual_is_clean_mdoc(topic, tmp_path):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    page = tmp_path / "page.1"
    page.write_text(shown("manual", topic))
    r = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)], capture_output=True, text=True)
    assert (r.stdout + r.stderr, r.returncode) == ("", 0)
    for section in ("SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES", "FILES", "ENVIRONMENT", "SEE ALSO"):
        assert f".Sh {section}\n" in page.read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_valid_for_its_shell(shell, tmp_path):
    script = tmp_path / "completion"
    script.write_text(shown("completion", shell))
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    r = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True)
    assert (r.stderr, r.returncode) == ("", 0)


def complete(words, tmp_path):
    """What bash offers for the last of `words`."""
    script = tmp_path / "completion"
    script.write_text(shown("completion", "bash"))
    quoted = " ".join("'" + w + "'" for w in words)
    r = subprocess.run(["bash", "--norc", "-c", f". {script}; compopt() {{ :; }}; COMP_WORDS=({quoted}); "
                        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _wherry; printf '%s\\n' \"${COMPREPLY[@]}\""],
                       capture_output=True, text=True, cwd=tmp_path)
    assert r.stderr == ""
    return sorted(r.stdout.split("\n")[:-1])


def test_bash_completes(tmp_path):
    (tmp_path / "a dir").mkdir()
    (tmp_path / "file").write_text("")
    assert complete(["wherry", "s"], tmp_path) == ["serve", "sync"]
    assert complete(["wherry", "help", "s"], tmp_path) == ["serve", "sync"]
    assert complete(["wherry", "completion", ""], tmp_path) == ["bash", "fish", "zsh"]
    assert complete(["wherry", "sync", "--no-owne"], tmp_path) == ["--no-owner"]
    assert complete(["wherry", "sync", "--fsync", "=", "s"], tmp_path) == ["strict"]
    assert complete(["wherry", "sync", "--fsync", "="], tmp_path) == ["batch", "none", "strict"]
    assert complete(["wherry", "sync", "--fsync", "fi"], tmp_path) == ["file"]
    assert complete(["wherry", "sync", "-T", "a"], tmp_path) == ["a dir"]
    assert complete(["wherry", "sync", "--temp-dir", "=", ""], tmp_path) == ["a dir"]
    assert complete(["wherry", "sync", "a"], tmp_path) == ["a dir"]
    assert complete(["wherry", "sync", "--exclude", "f"], tmp_path) == [""]
