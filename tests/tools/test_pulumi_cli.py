"""Finding the Pulumi CLI, or building it, with a `go` that only writes down what it is asked."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "pulumi_cli.py"
FOUR = {"pulumi", "pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-pulumi-python"}

FAKE_GO = """
import os, pathlib, sys, time
here = pathlib.Path(__file__).resolve().parent
with (here / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "env":
    print(os.environ.get("FAKE_VERSION", "go1.25.11"))
elif sys.argv[1] == "list":
    print(here / "sdk")
else:
    print("go: downloading example.com/one v1.0.0", file=sys.stderr)
    if os.environ.get("FAKE_FAILS"):
        print("main.go:1: it does not compile", file=sys.stderr)
        sys.exit(2)
    output = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
    output.write_text("half")
    (here / "building").touch()
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    while "FAKE_UNTIL" in os.environ and not os.path.exists(os.environ["FAKE_UNTIL"]):
        time.sleep(0.02)
    output.write_text("whole")
    output.chmod(0o755)
"""


class Machine:
    """A machine with a PATH, a home and a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin with a space"
        self.cache = folder / "cache with a space"
        self.bin.mkdir()
        self.env = {"PATH": str(self.bin), "HOME": str(folder), "FLOW_RESOURCES_CACHE": str(self.cache)}

    def put(self, name: str, text: str = "#!/bin/sh\n", folder: Path | None = None) -> Path:
        """Put a program on PATH, or into another folder."""
        file = (folder or self.bin) / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
        return file

    def put_go(self) -> None:
        """Put a `go` on PATH that records its calls, and the module that holds the two scripts."""
        script = self.put("go.py", FAKE_GO)
        # A path with a space may stand in no `#!` line.
        self.put("go", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(script))} "$@"\n')
        for name in ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python"):
            script = self.bin / "sdk" / name
            script.parent.mkdir(parents=True)
            script.write_text("#!/bin/sh\n")
            script.chmod(0o444)

    def start(self, **env: str) -> subprocess.Popen[str]:
        """Start the script."""
        command = [sys.executable, str(SCRIPT)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.env | env, stdout=pipe, stderr=pipe, text=True)

    def run(self, **env: str) -> tuple[int, str, str]:
        """Run the script; return its exit code and what it prints."""
        process = self.start(**env)
        out, err = process.communicate(timeout=600)
        return process.returncode, out, err

    def builds(self) -> int:
        """Count how often the CLI was built."""
        calls = self.bin / "calls"
        return 0 if not calls.exists() else calls.read_text().count("pkg/v3/cmd/pulumi")

    def wait_until_building(self) -> None:
        """Wait until `go` is in the middle of its work."""
        limit = time.monotonic() + 300
        while not (self.bin / "building").exists():
            assert time.monotonic() < limit
            time.sleep(0.02)


@pytest.fixture
def machine(tmp_path):
    """A machine with nothing on PATH."""
    return Machine(tmp_path)


def is_whole(folder):
    """Say whether a folder holds all four programs, each finished and ready to run."""
    files = {file.name: file for file in Path(folder).iterdir()}
    ready = all(file.stat().st_mode & stat.S_IXUSR and file.read_text() != "half" for file in files.values())
    return set(files) == FOUR and ready


def test_a_pulumi_on_path_is_used(machine):
    """Who has Pulumi needs neither Go nor a cache."""
    machine.put("pulumi")
    machine.put("pulumi-language-python")
    machine.put_go()
    assert machine.run() == (0, f"{machine.bin}\n", "")
    assert not machine.cache.exists()


def test_a_linked_pulumi_is_used_where_its_language_hosts_are(machine, tmp_path):
    """Some packagers leave only a link in the folder that is on PATH."""
    cellar = tmp_path / "cellar"
    real = machine.put("pulumi", folder=cellar)
    machine.put("pulumi-language-python", folder=cellar)
    (machine.bin / "pulumi").symlink_to(real)
    assert machine.run()[:2] == (0, f"{cellar}\n")


def test_a_pulumi_without_a_language_host_is_not_used(machine):
    """It could not run a Python program; that is said, and one is built."""
    machine.put("pulumi")
    machine.put_go()
    code, out, err = machine.run()
    assert code == 0
    assert Path(out.strip()).parent == machine.cache
    assert "has no pulumi-language-python beside it" in err


def test_with_neither_pulumi_nor_go_one_line_says_how_to_install(machine):
    """One line, exit 1, and nothing that a shell would evaluate."""
    code, out, err = machine.run()
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "neither `pulumi` nor `go` on PATH" in err
    assert "https://www.pulumi.com/docs/install/" in err


def test_progress_goes_to_stderr_and_only_the_folder_to_stdout(machine):
    """What is printed on standard output is the folder, and it holds all four programs."""
    machine.put_go()
    code, out, err = machine.run()
    assert code == 0
    assert len(out.splitlines()) == 1
    assert is_whole(out.strip())
    assert "about 6 minutes" in err
    assert "pulumi: done in" in err


def test_a_second_run_builds_nothing_and_says_nothing(machine):
    """Once per machine."""
    machine.put_go()
    first = machine.run()[1]
    assert machine.run() == (0, first, "")
    assert machine.builds() == 1


def test_a_relative_cache_is_one_folder_wherever_the_compiler_runs(machine, tmp_path, monkeypatch):
    """The compiler runs beside its go.mod."""
    monkeypatch.chdir(tmp_path)
    machine.put_go()
    code, out, _ = machine.run(FLOW_RESOURCES_CACHE="near")
    assert code == 0
    assert Path(out.strip()).parent == tmp_path / "near"
    assert is_whole(out.strip())


def test_two_at_once_build_once(machine, tmp_path):
    """The second waits, says so, and finds the work done."""
    machine.put_go()
    waits = tmp_path / "the second one waits"
    first = machine.start(FAKE_UNTIL=str(waits))
    machine.wait_until_building()
    second = machine.start()
    assert "another process is building" in second.stderr.readline()
    waits.touch()
    built, found = (one.communicate(timeout=600)[0] for one in (first, second))
    assert built == found != ""
    assert (first.returncode, second.returncode) == (0, 0)
    assert machine.builds() == 1


def test_a_killed_build_is_never_taken_for_a_whole_one(machine):
    """After kill -9 the next run waits for the compiler left behind, then builds anew and leaves no rubbish."""
    machine.put_go()
    first = machine.start(FAKE_SECONDS="1")
    machine.wait_until_building()
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=600)
    code, out, _ = machine.run()
    assert code == 0
    assert is_whole(out.strip())
    assert {file.name for file in machine.cache.iterdir()} == {"build.lock", Path(out.strip()).name}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_told_to_stop_stops_its_compiler(machine, number):
    """Within the second, and without a traceback."""
    machine.put_go()
    process = machine.start(FAKE_SECONDS="120")
    machine.wait_until_building()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)  # sooner than the compiler would be done
    assert (process.returncode, out) == (128 + number, "")
    assert "Traceback" not in err
    assert machine.run()[0] == 0  # it would wait for a compiler that still runs


def test_a_damaged_build_is_built_again(machine):
    """A cache that lost a file, to a cleaner of old files say, is no Pulumi."""
    machine.put_go()
    folder = Path(machine.run()[1].strip())
    (folder / "pulumi-resource-pulumi-python").unlink()
    assert machine.run()[0] == 0
    assert is_whole(folder)


def test_a_failing_go_gives_its_last_lines(machine):
    """What the compiler said, and what to do instead; the next run starts from a clean folder."""
    machine.put_go()
    code, out, err = machine.run(FAKE_FAILS="1")
    assert (code, out) == (1, "")
    assert "main.go:1: it does not compile" in err
    assert "go exited with 2" in err
    assert "https://www.pulumi.com/docs/install/" in err
    assert "Traceback" not in err
    assert machine.run()[0] == 0


def test_a_go_that_cannot_update_itself_is_refused_at_once(machine):
    """Before 1.21 `go` does not understand the go.mod and says so in words that help nobody."""
    machine.put_go()
    code, out, err = machine.run(FAKE_VERSION="go1.19.8")
    assert (code, out) == (1, "")
    assert "is too old (go1.19.8)" in err
    assert machine.builds() == 0


def test_too_little_space_is_said_before_the_work(machine, monkeypatch, capsys):
    """Not after five minutes of it."""
    machine.put_go()
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import pulumi_cli

    usage = type(shutil.disk_usage("/"))(10**12, 10**12, 10**9)
    monkeypatch.setattr(pulumi_cli.shutil, "disk_usage", lambda _: usage)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert pulumi_cli.main() == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    out, err = capsys.readouterr()
    assert out == ""
    assert "building needs 4.0 GB" in err
    assert "FLOW_RESOURCES_CACHE" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_is_one_line(machine, tmp_path):
    """The operating system's reason, with the folder."""
    machine.put_go()
    tmp_path.chmod(0o500)
    code, out, err = machine.run()
    tmp_path.chmod(0o700)
    assert (code, out) == (1, "")
    assert "Permission denied" in err
    assert len(err.splitlines()) == 1
