"""The base image of the machines in tests: Debian with systemd and what the machines of the service have.

It is made once per machine, in a minute, and kept in the cache of this project (`FLOW_RESOURCES_CACHE`). The name of
its folder holds a digest of the recipe, so a changed recipe makes another one. What is ours in it lies in `rootfs/`
and is laid over it at each boot: a change there needs no new image.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SUITE = "bookworm"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "sudo", "curl", "ca-certificates", "procps", "iproute2", "hostname"),
    *("python3", "docker.io"),
)
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
HOOKS = (
    'chroot "$1" useradd --create-home --shell /bin/bash --uid 1000 ubuntu',
    'echo "ubuntu ALL=(ALL) NOPASSWD:ALL" >"$1/etc/sudoers.d/ubuntu"',
    # Nothing of the maker's machine, and docker only where a test asks for it.
    ': >"$1/etc/resolv.conf"; : >"$1/etc/fstab"',
    'chroot "$1" systemctl disable docker.service docker.socket containerd.service',
    # No terminals, and no work in the background.
    'chroot "$1" systemctl mask console-getty.service getty.target systemd-logind.service',
    'chroot "$1" systemctl disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer',
)
RECIPE = (
    *("--variant=minbase", f"--include={','.join(PACKAGES)}"),
    *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
    *(f"--customize-hook={hook}" for hook in HOOKS),
)
TOOLS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    **dict.fromkeys(("unshare", "nsenter", "flock"), "util-linux"),
}
PROGRESS_SECONDS = 10.0
MINUTES = 15
UNUSED_DAYS = 30

# Runs a command as long as somebody holds the other end of the standard input.
_WHILE_WATCHED = '"$@" </dev/null & child=$!; { read -r _; kill -9 "$child"; } <&0 & wait "$child"'
_NO_NETWORK = ("Temporary failure", "Could not resolve", "Could not connect", "Failed to fetch", "Cannot initiate")


class NoMachinesError(Exception):
    """Machines cannot be booted here; the message says why."""


def base_image(say: Callable[[str], None] | None = None) -> Path:
    """Return the folder of the base image, made first if it is not there. `say` gets lines of progress.

    When two processes start at once, the second waits for the first and uses its work.

    Raises:
        NoMachinesError: it cannot be made on this machine: the system, the user, a missing package, or no network.

    """
    check_machine()
    digest = hashlib.sha256(repr((SUITE, RECIPE)).encode()).hexdigest()[:12]
    target = CACHE / f"machine-{digest}"
    tell = say or _say
    if not target.exists():
        with _only_one(target, tell):
            if not target.exists():
                _make(target, tell)
    os.utime(target)
    return target


def check_machine() -> None:
    """Raise NoMachinesError with the reason why no machine can be booted here."""
    if platform.system() != "Linux":
        raise NoMachinesError("machines boot on Linux only")
    if os.geteuid() != 0:
        raise NoMachinesError("only root can boot machines")
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        raise NoMachinesError(f"needs Debian's packages: apt-get install {' '.join(missing)}")
    namespaces = ("unshare", "--mount", "--net", "--pid", "--cgroup", "--ipc", "--uts", "--fork", "--mount-proc")
    mounts = "mount -t tmpfs none /mnt && mount -t cgroup2 none /mnt && ip link add switch type bridge"
    probe = subprocess.run([*namespaces, "sh", "-ec", mounts], capture_output=True, text=True, check=False)
    if probe.returncode:
        raise NoMachinesError(f"this system gives no namespaces to root: {_last_line(probe.stderr)}")


def _cache_root() -> Path:
    if own := os.environ.get("FLOW_RESOURCES_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).absolute() if base else Path.home() / ".cache") / "flow-resources"


CACHE = _cache_root()
"""The folder of this machine that outlives a checkout, as in tools/pulumi_cli.py; tests change HOME later."""


@contextlib.contextmanager
def _only_one(target: Path, say: Callable[[str], None]) -> Iterator[None]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name("machine.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is making {target.name}: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _make(target: Path, say: Callable[[str], None]) -> None:
    """Make the image; it appears by one rename, so half of one is never used."""
    say(f"making the base image of the machines in tests, about a minute, once per machine: {target}")
    started, half = time.monotonic(), target.with_name(f"{target.name}.half")
    _remove(half)
    # A mount namespace and a process namespace of its own: whatever happens, nothing stays mounted or running.
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", _WHILE_WATCHED]
    command += ["make-image", "mmdebstrap", *RECIPE, SUITE, str(half)]
    lines: list[str] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        reader = threading.Thread(target=lines.extend, args=(process.stderr,), daemon=True)
        reader.start()
        try:
            while process.poll() is None and time.monotonic() - started < MINUTES * 60:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(PROGRESS_SECONDS)
                    break
                say(f"{time.monotonic() - started:3.0f} s, {_last_line(''.join(lines))}")
        finally:
            process.kill()  # what it started goes with it
            process.wait()
            reader.join()
    if process.returncode:
        _remove(half)
        if any(word in line for line in lines for word in _NO_NETWORK):
            raise NoMachinesError("the base image cannot be made without a mirror of Debian in reach")
        raise RuntimeError(f"mmdebstrap failed with {process.returncode}:\n{''.join(lines[-20:])}")
    half.rename(target)
    for other in target.parent.glob("machine-*"):  # those of other recipes may be in use by other checkouts
        if other.is_dir() and time.time() - other.stat().st_mtime > UNUSED_DAYS * 86400:
            _remove(other)
    say(f"made in {time.monotonic() - started:.0f} s")


def _remove(folder: Path) -> None:
    subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _say(text: str) -> None:
    sys.stderr.write(f"machines: {text}\n")


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{base_image()}\n")
    except NoMachinesError as reason:
        sys.exit(f"no machines: {reason}")
