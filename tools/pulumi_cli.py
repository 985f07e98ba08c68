"""Print the folder that holds a working `pulumi`; build one where there is none.

A `pulumi` on PATH is used as it is. Where there is none, the CLI, the Python language host and the two
launch scripts are built from their Go modules, once per machine, into a cache outside the checkout:
`$FLOW_RESOURCES_CACHE`, else `$XDG_CACHE_HOME/flow-resources`, else `~/.cache/flow-resources`.

Why from source: no package registry holds the binary, and the vendor's installer is not reachable from
every build machine. The two `go.mod` files beside this script pin every module by checksum. The language
host comes from an older release because later ones are not published as a module of their own; it speaks
to CLI 3.259 and to every SDK since.

Only the folder goes to standard output; progress and errors go to standard error.
"""

from __future__ import annotations

import contextlib
import fcntl
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
from pathlib import Path
from typing import IO

VERSION = "3.259.0"
LANGUAGE_HOST = "pulumi-language-python"
SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
FILES = ("pulumi", LANGUAGE_HOST, *(Path(script).name for script in SCRIPTS))
RECIPE = Path(__file__).resolve().parent / "pulumi-cli"
INSTALL_HINT = (
    "Install Pulumi (https://www.pulumi.com/docs/install/) so that `pulumi` is on PATH, "
    "or install Go 1.25 or newer (https://go.dev/doc/install) and run this again."
)
SELF_UPDATING_GO = (1, 21)  # from here on `go` fetches the version that go.mod asks for
NEEDED_GB = 4
PROGRESS_SECONDS = 10.0


def say(text: str) -> None:
    """Tell the person who waits, without touching standard output."""
    print(f"pulumi-cli: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Find or build, print the folder, return the exit code."""
    found = folder()
    if found is None:
        return 1
    print(found)
    return 0


def folder() -> Path | None:
    """Find or build; where that fails say why and return None. Ends the process when it is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # unwinds: the compiler is stopped, too
    try:
        return find() or build(cache_root())
    except KeyboardInterrupt:
        say("interrupted; the next run goes on where this one was")
        sys.exit(128 + signal.SIGINT)
    except (RuntimeError, OSError) as error:
        say(str(error))
    return None


def find() -> Path | None:
    """Return the folder of a `pulumi` on PATH that can run Python programs."""
    found = shutil.which("pulumi")
    if not found:
        return None
    beside = Path(found).parent
    if (beside / LANGUAGE_HOST).exists() or shutil.which(LANGUAGE_HOST):
        return beside
    # Some packagers leave a link in bin/ and the language hosts beside the real file.
    real = Path(found).resolve().parent
    if (real / LANGUAGE_HOST).exists():
        return real
    say(f"{found} has no {LANGUAGE_HOST} beside it, so it cannot run Python programs; not used")
    return None


def cache_root() -> Path:
    """Return the folder of this machine that outlives a checkout."""
    if own := os.environ.get("FLOW_RESOURCES_CACHE"):
        return Path(own).expanduser().absolute()  # the compiler runs in another folder
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).absolute() if base else Path.home() / ".cache") / "flow-resources"


def build(root: Path) -> Path:
    """Return `root`'s build of the CLI, making it first if nobody has.

    Two of these at once: the second waits for the first, then finds its work done. The finished folder
    appears by one rename, so a build that was killed is never mistaken for a whole one.
    """
    target = root / f"pulumi-{VERSION}-{platform.system().lower()}-{platform.machine()}"
    half, work = target.with_name(f"{target.name}.half"), root / "go"
    with only_one(root / "build.lock", target) as lock:
        if all((target / name).exists() for name in FILES):
            return target
        go = find_go()
        work.mkdir(exist_ok=True)  # kept until the build succeeds: an interrupted one goes on where it was
        enough_space(root)
        say(f"no usable `pulumi` on PATH: building CLI {VERSION}, about 6 minutes on 2 cores, once per machine")
        say(f"needs about 3 GB in {work} while it builds and leaves 250 MB in {target}")
        for leftover in (half, target):
            shutil.rmtree(leftover, ignore_errors=True)
        half.mkdir()
        compile_into(half, go, work, lock)
        half.rename(target)
        shutil.rmtree(work, ignore_errors=True)
        say(f"built: {target}")
    return target


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


def enough_space(root: Path) -> None:
    """Refuse to start what would end minutes later with a full disk."""
    done = sum(file.stat().st_size for file in (root / "go").rglob("*") if file.is_file())
    free, needed = shutil.disk_usage(root).free / 1e9, NEEDED_GB - done / 1e9
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


def compile_into(place: Path, go: str, work: Path, lock: IO[str]) -> None:
    """Compile both programs and copy both scripts into `place`."""
    env = {
        **os.environ,
        "GOMODCACHE": str(work / "mod"),
        "GOCACHE": str(work / "build"),
        "GOFLAGS": "-modcacherw -mod=readonly -buildvcs=false",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    version = f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
    for name, module, package in (
        (LANGUAGE_HOST, "language-python", "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"),
        ("pulumi", "cli", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"),
    ):
        command = [go, "build", "-v", "-trimpath", "-ldflags", f"-s -w -X {version}", "-o", str(place / name), package]
        run_with_progress(command, cwd=RECIPE / module, env=env, label=name, lock=lock)
    listing = [go, "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3"]
    sdk = output(listing, cwd=RECIPE / "cli", env=env)
    for script in SCRIPTS:
        copy = place / Path(script).name
        shutil.copyfile(Path(sdk) / script, copy)
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
