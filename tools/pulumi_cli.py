"""Print the folder that holds a working `pulumi`; build one where there is none.

A `pulumi` on PATH is used as it is. Where there is none, the CLI, the language hosts for Python and YAML, and the
two launch scripts are built from their Go modules, once per machine, into a cache outside the checkout:
`$FLOW_RESOURCES_CACHE`, else `$XDG_CACHE_HOME/flow-resources`, else `~/.cache/flow-resources`. With `--languages` the
folder also has the language hosts for Node and Go.

Why from source: no package registry holds the binary, and the vendor's installer is not reachable from
every build machine. The `go.mod` files beside this script pin every module by checksum. The language hosts for
Python, Node and Go come from older releases because later ones are not published as modules of their own; they speak
to CLI 3.259 and to every SDK since.

Only the folder goes to standard output; progress and errors go to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

VERSION = "3.259.0"
SDK = "github.com/pulumi/pulumi/sdk/v3"


@dataclass(frozen=True)
class Program:
    """A program that is built: the folder of its go.mod, its package, and what the build takes on 2 cores."""

    name: str
    recipe: str
    package: str
    minutes: float
    gigabytes: float


PYTHON_HOST = Program("pulumi-language-python", "language-python", f"{SDK}/python/cmd/pulumi-language-python", 0.5, 0.5)
YAML_HOST = Program(
    "pulumi-language-yaml", "language-yaml", "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml", 1, 1
)
CLI = Program("pulumi", "cli", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", 5.5, 3)
NODE_HOST = Program("pulumi-language-nodejs", "languages", f"{SDK}/nodejs/cmd/pulumi-language-nodejs", 1, 0.5)
GO_HOST = Program("pulumi-language-go", "languages", f"{SDK}/go/pulumi-language-go", 0.5, 0.5)
PROGRAMS = (PYTHON_HOST, YAML_HOST, CLI)
LANGUAGES = (NODE_HOST, GO_HOST)
SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
RECIPE = Path(__file__).resolve().parent / "pulumi-cli"
INSTALL_HINT = (
    "Install Pulumi (https://www.pulumi.com/docs/install/) so that `pulumi` is on PATH, "
    "or install Go 1.25 or newer (https://go.dev/doc/install) and run this again."
)
SELF_UPDATING_GO = (1, 21)  # from here on `go` fetches the version that go.mod asks for
PROGRESS_SECONDS = 10.0


def say(text: str) -> None:
    """Tell the person who waits, without touching standard output."""
    print(f"pulumi-cli: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Find or build, print the folder, return the exit code."""
    parser = argparse.ArgumentParser(description="Print the folder that holds a working `pulumi`; build one if needed.")
    parser.add_argument("--languages", action="store_true", help="with the language hosts for Node and Go")
    found = folder(languages=parser.parse_args().languages)
    if found is None:
        return 1
    print(found)
    return 0


def folder(*, languages: bool = False) -> Path | None:
    """Find or build; where that fails say why and return None. Ends the process when it is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # unwinds: the compiler is stopped, too
    try:
        target = cache_root() / f"pulumi-{VERSION}-{platform.system().lower()}-{platform.machine()}"
        more = LANGUAGES if languages else ()
        return find([PYTHON_HOST.name, *(host.name for host in more)], target) or build(target, (*PROGRAMS, *more))
    except KeyboardInterrupt:
        say("interrupted; the next run goes on where this one was")
        sys.exit(128 + signal.SIGINT)
    except (RuntimeError, OSError) as error:
        say(str(error))
    return None


def find(hosts: list[str], own: Path) -> Path | None:
    """Return the folder of a `pulumi` on PATH with these language hosts; not `own`, which is built here."""
    found = shutil.which("pulumi")
    if not found:
        return None
    beside = Path(found).parent
    real = Path(found).resolve().parent  # some packagers leave a link in bin/ and the hosts beside the real file
    if real == own.resolve():
        return None  # it may lack what another version of this script did not build
    missing = [host for host in hosts if not (beside / host).exists() and not shutil.which(host)]
    if not missing:
        return beside
    if all((real / host).exists() for host in hosts):
        return real
    say(f"{found} has no {' and no '.join(missing)} beside it; not used")
    return None


def cache_root() -> Path:
    """Return the folder of this machine that outlives a checkout."""
    if own := os.environ.get("FLOW_RESOURCES_CACHE"):
        return Path(own).expanduser().absolute()  # the compiler runs in another folder
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).absolute() if base else Path.home() / ".cache") / "flow-resources"


def build(target: Path, programs: tuple[Program, ...]) -> Path:
    """Return the folder of our own build, making first what it lacks.

    Two of these at once: the second waits for the first, then finds its work done. Each finished file
    appears by one rename, so a build that was killed is never mistaken for a whole one.
    """
    root = target.parent
    half, work = target.with_name(f"{target.name}.half"), root / "go"
    with only_one(root / "build.lock", target) as lock:
        missing = [program for program in programs if not (target / program.name).exists()]
        scripts = [script for script in SCRIPTS if not (target / Path(script).name).exists()]
        if not missing and not scripts:
            return target
        go = find_go()
        work.mkdir(exist_ok=True)  # kept until the build succeeds: an interrupted one goes on where it was
        enough_space(root, sum(program.gigabytes for program in missing))
        announce(missing, work, target)
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        target.mkdir(exist_ok=True)
        env = go_environment(work)
        for program in missing:
            compile_program(program, half, go, env, lock)
            (half / program.name).rename(target / program.name)
        if scripts:
            copy_scripts(scripts, half, go, env)
            for script in scripts:
                (half / Path(script).name).rename(target / Path(script).name)
        half.rmdir()
        shutil.rmtree(work, ignore_errors=True)
        say(f"built: {target}")
    return target


def announce(missing: list[Program], work: Path, target: Path) -> None:
    """Say what is going to be built, and what that takes."""
    if CLI in missing:
        say(f"no usable `pulumi` on PATH: building CLI {VERSION} and its language hosts")
    names = ", ".join(program.name for program in missing) or "the launch scripts"
    minutes = max(1, round(sum(program.minutes for program in missing)))
    space = sum(program.gigabytes for program in missing)
    say(f"{names}: about {minutes} minute{'s' * (minutes > 1)} on 2 cores, once per machine")
    say(f"needs about {space:.1f} GB in {work} while it builds; what is built stays in {target}")


def find_go() -> str:
    """Return the path of a Go that can build it."""
    go = shutil.which("go")
    if not go:
        raise RuntimeError(f"there is neither `pulumi` nor `go` on PATH. {INSTALL_HINT}")
    version = output([go, "env", "GOVERSION"])
    numbers = re.match(r"go(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < SELF_UPDATING_GO:
        raise RuntimeError(f"there is no usable `pulumi` on PATH, and {go} is too old ({version}). {INSTALL_HINT}")
    return go


def enough_space(root: Path, gigabytes: float) -> None:
    """Refuse to start what would end minutes later with a full disk."""
    done = sum(file.stat().st_size for file in (root / "go").rglob("*") if file.is_file())
    free, needed = shutil.disk_usage(root).free / 1e9, gigabytes - done / 1e9
    if free < needed:
        raise RuntimeError(
            f"building needs {needed:.1f} GB in {root}, which has {free:.1f} GB free. "
            "Set FLOW_RESOURCES_CACHE to a folder with more space."
        )


@contextlib.contextmanager
def only_one(lock: Path, target: Path) -> Iterator[IO[str]]:
    """Hold the machine-wide lock and give it out; say so while another process holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is building {target.name}: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle


def go_environment(work: Path) -> dict[str, str]:
    """Return the environment in which Go builds without a trace outside `work`."""
    return {
        **os.environ,
        "GOMODCACHE": str(work / "mod"),
        "GOCACHE": str(work / "build"),
        "GOFLAGS": "-modcacherw -mod=readonly -buildvcs=false",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def compile_program(program: Program, place: Path, go: str, env: dict[str, str], lock: IO[str]) -> None:
    """Compile one program into `place`."""
    version = f"{SDK}/go/common/version.Version=v{VERSION}"
    command = [go, "build", "-v", "-trimpath", "-ldflags", f"-s -w -X {version}"]
    command += ["-o", str(place / program.name), program.package]
    run_with_progress(command, cwd=RECIPE / program.recipe, env=env, label=program.name, lock=lock)


def copy_scripts(scripts: list[str], place: Path, go: str, env: dict[str, str]) -> None:
    """Copy launch scripts of the Python SDK into `place`."""
    fetched = output([go, "mod", "download", "-json", SDK], cwd=RECIPE / "cli", env=env)
    for script in scripts:
        copy = place / Path(script).name
        shutil.copyfile(Path(json.loads(fetched)["Dir"]) / script, copy)
        copy.chmod(0o755)  # files in the module cache have no run bit


def output(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a short command and return what it prints."""
    done = subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()}\n{INSTALL_HINT}")
    return done.stdout.strip()


def run_with_progress(command: list[str], *, cwd: Path, env: dict[str, str], label: str, lock: IO[str]) -> None:
    """Run `go build -v`, reporting now and then how many packages it has been through.

    The compiler holds the lock, too: if this process is killed, nobody starts beside what still compiles.
    """
    started = time.monotonic()
    lines: list[str] = []
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=(lock.fileno(),),
        start_new_session=True,  # a group of its own, so that it can be stopped whole
    )

    def listen() -> None:
        assert process.stderr is not None
        lines.extend(process.stderr)  # list.extend takes them one by one: the count below is live

    reader = threading.Thread(target=listen, daemon=True)
    reader.start()
    try:
        while True:
            try:
                code = process.wait(PROGRESS_SECONDS)
                break
            except subprocess.TimeoutExpired:
                spent = time.monotonic() - started
                fetched = sum(line.startswith("go: downloading") for line in list(lines))
                say(f"{label}: {spent:3.0f} s, {fetched} modules fetched, {len(lines) - fetched} packages compiled")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    reader.join()
    if code:
        tail = "".join(lines[-20:])
        raise RuntimeError(f"building {label} failed (go exited with {code}):\n{tail}\n{INSTALL_HINT}")
    say(f"{label}: done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
