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
SCRIPTS = {"pulumi-language-python-exec", "pulumi-resource-pulumi-python"}
FILES = {"pulumi", "pulumi-language-python", "pulumi-language-yaml", *SCRIPTS}
LANGUAGES = {"pulumi-language-nodejs", "pulumi-language-go"}

FAKE_GO = """
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).resolve().parent
with (here / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "env":
    print(os.environ.get("FAKE_VERSION", "go1.25.11"))
elif sys.argv[1:3] == ["mod", "download"]:
    print(json.dumps({"Dir": str(here / "sdk")}))
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

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Start the script."""
        command = [sys.executable, str(SCRIPT), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.env | env, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        """Run the script; return its exit code and what it prints."""
        process = self.start(*arguments, **env)
        out, err = process.communicate(timeout=600)
        return process.returncode, out, err

    def builds(self) -> list[str]:
        """Return the names of the programs that were built, in order."""
        calls = self.bin / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line.rpartition("/")[2] for line in lines if line.startswith("build ")]

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


def is_whole(folder, names=FILES):
    """Say whether a folder holds all programs, each finished and ready to run."""
    files = {file.name: file for file in Path(folder).iterdir()}
    ready = all(file.stat().st_mode & stat.S_IXUSR and file.read_text() != "half" for file in files.values())
    return set(files) == names and ready


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
    """What is printed on standard output is the folder, and it holds all programs."""
    machine.put_go()
    code, out, err = machine.run()
    assert code == 0
    assert len(out.splitlines()) == 1
    assert is_whole(out.strip())
    assert "about 7 minutes on 2 cores, once per machine" in err
    assert all(f"{name}: done in" in err for name in FILES - SCRIPTS)


def test_a_second_run_builds_nothing_and_says_nothing(machine):
    """Once per machine."""
    machine.put_go()
    first = machine.run()[1]
    built = machine.builds()
    assert machine.run() == (0, first, "")
    assert machine.builds() == built
    assert set(built) == FILES - SCRIPTS


def test_what_an_older_checkout_did_not_build_is_added(machine):
    """Also where its folder is on PATH: the CLI itself is not built again."""
    machine.put_go()
    folder = Path(machine.run()[1].strip())
    (folder / "pulumi-language-yaml").unlink()
    before = machine.builds()
    code, out, err = machine.run(PATH=f"{folder}{os.pathsep}{machine.bin}")
    assert (code, Path(out.strip())) == (0, folder)
    assert machine.builds()[len(before) :] == ["pulumi-language-yaml"]
    assert "pulumi-language-yaml: about 1 minute on 2 cores" in err
    assert "no usable `pulumi`" not in err
    assert is_whole(folder)


def test_the_hosts_for_node_and_go_are_built_only_when_asked_for(machine):
    """They serve the tests of other languages; a `pulumi` on PATH that has them is used."""
    machine.put_go()
    folder = Path(machine.run()[1].strip())
    assert is_whole(folder)
    assert machine.run("--languages")[:2] == (0, f"{folder}\n")
    assert is_whole(folder, FILES | LANGUAGES)
    for name in ("pulumi", "pulumi-language-python"):
        machine.put(name)
    code, out, err = machine.run("--languages")
    assert (code, out) == (0, f"{folder}\n")
    assert "has no pulumi-language-nodejs and no pulumi-language-go beside it; not used" in err
    for name in LANGUAGES:
        machine.put(name)
    assert machine.run("--languages") == (0, f"{machine.bin}\n", "")


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
    assert machine.builds().count("pulumi") == 1


def test_a_killed_build_is_never_taken_for_a_whole_one(machine):
    """After kill -9 the next run waits for the compiler left behind, then goes on and leaves no rubbish."""
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
    """A cache that lost a file, to a cleaner of old files say, is no Pulumi: what is lost is made again."""
    machine.put_go()
    folder = Path(machine.run()[1].strip())
    for name in FILES:
        (folder / name).unlink()
        before = machine.builds()
        assert machine.run()[0] == 0
        assert is_whole(folder)
        assert machine.builds()[len(before) :] == ([] if name in SCRIPTS else [name])


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
    assert machine.builds() == []


def test_too_little_space_is_said_before_the_work(machine, monkeypatch, capsys):
    """Not after five minutes of it."""
    machine.put_go()
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import pulumi_cli

    usage = type(shutil.disk_usage("/"))(10**12, 10**12, 10**9)
    monkeypatch.setattr(pulumi_cli.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert pulumi_cli.main() == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    out, err = capsys.readouterr()
    assert out == ""
    assert "building needs 4.5 GB" in err
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
