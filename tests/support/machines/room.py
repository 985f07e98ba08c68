"""A room of machines: namespaces that hold their disks, mounts, networks and processes, and end with the test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from support.machines.base_image import CACHE, base_image
from support.machines.machine import PATIENCE, STARTUP_SCRIPT, Machine
from support.machines.relay import Relay

HERE = Path(__file__).parent
_NAMESPACES = ("--mount", "--net", "--pid", "--cgroup", "--ipc", "--uts")


@contextlib.contextmanager
def machines(folder: Path, *, reach: tuple[int, ...] = ()) -> Iterator[Room]:
    """Open a room; when the block ends everything in it does.

    `folder` gets the consoles' logs. The machines reach the ports `reach` of the host's loopback, and nothing else.

    Raises:
        NoMachinesError: no machine can be booted here.

    """
    room = Room(folder, reach)
    try:
        yield room
    finally:
        room.close()


class Room:
    """Machines in namespaces of their own. Nothing of it is on the host but processes, which end with the room's first.

    Disks are in memory, in a file system that is mounted in the room alone.
    """

    def __init__(self, folder: Path, reach: tuple[int, ...] = ()) -> None:
        self.machines: dict[str, Machine] = {}
        self._folder = folder
        self._reach = reach
        self._relays: dict[str, list[Relay]] = {}
        self._count = 0
        image = base_image()
        self.place = CACHE / "room"
        self.place.mkdir(parents=True, exist_ok=True)
        self.name = f"machines-{uuid.uuid4().hex[:8]}"
        arguments = (image, HERE / "rootfs", self.place, self.name, CACHE / "room.lock")
        self._first = subprocess.Popen(
            ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--mount-proc", "bash", HERE / "room.sh", *arguments],
            stdin=subprocess.PIPE,  # its end is the end of the room
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the test, which then closes the room
        )
        assert self._first.stdout is not None
        if self._first.stdout.readline() != b"ready\n":
            self.close()
            raise RuntimeError("the room of the machines could not be made; the reason stands in what was printed")
        [self._init] = _children(self._first.pid)

    def close(self) -> None:
        """End every machine, and the room."""
        for relays in self._relays.values():
            for relay in relays:
                relay.close()
        self._relays.clear()
        assert self._first.stdin is not None
        assert self._first.stdout is not None
        self._first.stdin.close()
        self._first.stdout.close()
        try:
            self._first.wait(PATIENCE)
        finally:
            self._first.kill()  # and with it the first process of the room
            self._first.wait()
        for machine in self.machines.values():
            machine.forget()
        self.machines.clear()

    def rent(
        self,
        startup_script: str,
        *,
        name: str = "machine",
        address: str | None = None,
        volumes: Mapping[str, Path] | None = None,
        container_image: str | None = None,
    ) -> Machine:
        """Rent a machine, with an empty disk and the start-up script that its first boot will run.

        Args:
            startup_script: the text of the script.
            name: its host name.
            address: its address in the private network of the room.
            volumes: the folders of file volumes, by volume id. The start-up script mounts them, as from a server.
            container_image: the name of an image that docker has; it consists of what the machine has.

        """
        assert name not in self.machines, f"there is a machine {name} already"
        self._count += 1
        folders = {volume: folder.absolute() for volume, folder in (volumes or {}).items()}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{name}.console"
        machine = Machine(self, name, self._count, address or f"10.0.0.{self._count}", folders, log)
        self.machines[name] = machine
        machine.write(STARTUP_SCRIPT, startup_script)
        machine.run_on_disk(f"chmod 700 {STARTUP_SCRIPT}")
        if container_image:
            machine.write("/etc/container-image", container_image)
            machine.run_on_disk("systemctl enable docker.service docker.socket containerd.service 2>/dev/null")
        self._relays[name] = [Relay(self.path(f"namespaces/{name}"), port) for port in self._reach]
        return machine

    def give_back(self, machine: Machine) -> None:
        """Remove the disk and the network of a machine that is off."""
        for relay in self._relays.pop(machine.name):
            relay.close()
        self.perform("end", machine.name)
        del self.machines[machine.name]

    # --- for Machine ---

    def path(self, name: str) -> Path:
        """Return where a file of the room is seen from the host."""
        return Path(f"/proc/{self._init}/root{self.place}/{name}")

    def root_of(self, machine: str) -> str:
        """Return the mounted disk of a machine, as seen in the room."""
        return f"{self.place}/machines/{machine}/root"

    def inside(self, command: list[str]) -> list[str]:
        """Return a command that runs another in the room's namespaces."""
        return ["nsenter", f"--target={self._init}", *_NAMESPACES, *command]

    def perform(self, verb: str, machine: str, *arguments: str) -> None:
        """Run a verb of machine.sh to its end."""
        done = subprocess.run(self._verb(verb, machine, *arguments), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{verb} {machine}: {done.stderr}"

    def start(self, verb: str, machine: str, *arguments: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a verb of machine.sh that goes on."""
        return subprocess.Popen(
            self._verb(verb, machine, *arguments), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip

    def _verb(self, verb: str, machine: str, *arguments: str) -> list[str]:
        return self.inside(["bash", str(HERE / "machine.sh"), verb, str(self.place), machine, *arguments])

    def signal_child(self, pid: int, name: str) -> None:
        """Send a signal to the process that `nsenter` has started."""
        for child in _children(pid):
            os.kill(child, signal.Signals[f"SIG{name}"])

    def leader(self, pid: int) -> int:
        """Return the first process of the machine that `nsenter` has started, as seen from the host; 0 before it is."""
        for nspawn in _children(pid):
            for child in _children(nspawn):
                numbers = _numbers(child)
                if len(numbers) > len(_numbers(nspawn)) and numbers[-1] == 1:
                    return child
        return 0


def _children(pid: int) -> list[int]:
    """Return the children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _, _, rest = stat.read_text().rpartition(")")
            if int(rest.split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def _numbers(pid: int) -> list[int]:
    """Return the numbers of a process in the namespaces that see it, the host's first."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return [int(number) for number in line.split()[1:]]
    return []
