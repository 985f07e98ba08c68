"""One machine: a disk that is kept, and a systemd that boots from it."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from support.machines.room import Room

NOTICE = "/opt/mithril/MITHRIL_SIGNAL.yml"
STARTUP_SCRIPT = "/var/lib/foundry/startup_script.sh"
STARTUP_LOG = "/var/log/foundry/startup_script.log"
WORKLOAD_LOG = "/var/log/flow/user-workload.log"
VOLUMES_AWAY = "/srv/volumes-are-away"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "USER": "root"}
PATIENCE = 60.0
"""Seconds until something counts as hanging, on a busy machine."""
T = TypeVar("T")


class Machine:
    """A rented machine. `Room.rent` makes one; it does not run before `boot`."""

    def __init__(
        self, room: Room, name: str, number: int, address: str, volumes: Mapping[str, Path], log: Path
    ) -> None:
        self.room = room
        self.name = name
        self.address = address
        """Its address in the private network of the room, which `boot` may change."""
        self.boots = 0
        self._volumes = dict(volumes)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0
        room.perform("rent", name, str(number))

    # --- power ---

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def boot(self, hosts: Mapping[str, str] | None = None, *, wait: bool = True) -> Machine:
        """Switch it on and, unless told otherwise, wait until systemd has started everything but the start-up script.

        `hosts` are the machines of the cluster, name to address, in the order in which /etc/hosts lists them: the last
        is the head. By default it is alone.
        """
        assert not self.is_up, f"{self.name} runs already"
        listed = hosts or {self.name: self.address}
        self.address = listed[self.name]
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in listed.items())]
        self.write("/etc/hosts", "\n".join([*lines, ""]))
        self.write("/etc/hostname", f"{self.name}\n")
        binds = [f"--bind={folder}:/srv/volumes/{volume}" for volume, folder in self._volumes.items()]
        self.boots += 1
        with self._log.open("ab") as log:
            self._process = self.room.start("boot", self.name, self.address, *binds, log=log)
        self._leader = self._wait(self._find_leader, "has a first process")
        if wait:
            self._wait(lambda: "active" in self._try("systemctl is-active multi-user.target").split(), "has booted")
        return self

    def power_off(self) -> None:
        """Switch it off in order, as before a preemption: units are stopped, file systems synced."""
        assert self._process is not None
        self.room.signal_child(self._process.pid, "TERM")
        self._ended()

    def pull_the_plug(self) -> None:
        """End every process at once. What was written stays, also where nobody has synced it."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._leader, 9)  # the kernel ends the others of its namespace
        self._ended()

    def end(self) -> None:
        """Give it back: pull the plug if it runs, and lose the disk."""
        if self.is_up:
            self.pull_the_plug()
        self.room.give_back(self)

    def forget(self) -> None:
        """Wait for a process that has ended with the room."""
        if self._process is not None:
            self._ended()

    def _ended(self) -> None:
        assert self._process is not None
        self._process.wait(PATIENCE)
        self._leader = 0

    # --- what is on it ---

    def run(self, command: str, *, user: str | None = None, check: bool = True, timeout: float = PATIENCE) -> str:
        """Run a line of bash as root, or as `user`, on the running machine, and return what it prints."""
        assert self.is_up, f"{self.name} is off"
        inside = ["bash", "-c", command] if user is None else ["runuser", "-u", user, "--", "bash", "-c", command]
        return self._output(self._inside(inside), command, check=check, timeout=timeout)

    def read(self, path: str) -> str:
        """Return the text of a file, also of a machine that is off; "" where there is none."""
        quoted = shlex.quote(path)
        return self._anywhere(f"if [ -e {quoted} ]; then cat {quoted}; fi")

    def write(self, path: str, text: str) -> None:
        """Write a file, also on a machine that is off. It appears whole."""
        folder, new = shlex.quote(str(Path(path).parent)), shlex.quote(f"{path}.new")
        self._anywhere(f"mkdir -p {folder}; cat >{new}; mv {new} {shlex.quote(path)}", text)

    def remove(self, path: str) -> None:
        """Remove a file, also on a machine that is off."""
        self._anywhere(f"rm -f {shlex.quote(path)}")

    def run_on_disk(self, command: str, given: str = "") -> str:
        """Run a line of bash on the disk of a machine that is off."""
        inside = ["chroot", self.room.root_of(self.name), "bash", "-c", command]
        return self._output(self.room.inside(inside), command, given=given)

    def _anywhere(self, command: str, given: str = "") -> str:
        if self.is_up and self._leader:
            return self._output(self._inside(["bash", "-c", command]), command, given=given)
        return self.run_on_disk(command, given)

    def _inside(self, command: list[str]) -> list[str]:
        return ["nsenter", f"--target={self._leader}", "--all", *command]

    def _output(
        self, full: list[str], command: str, *, check: bool = True, timeout: float = PATIENCE, given: str = ""
    ) -> str:
        """Run a command with a text as its standard input, and return what it prints."""
        done = subprocess.run(
            full, input=given.encode(), capture_output=True, env=ENVIRONMENT, check=False, timeout=timeout
        )
        text = (done.stdout + (b"" if done.returncode == 0 else done.stderr)).decode(errors="replace")
        assert done.returncode == 0 or not check, f"{self.name}: `{command}` ended with {done.returncode}: {text}"
        return text

    def _try(self, command: str) -> str:
        """Run a command that may fail, also because the machine has gone meanwhile."""
        return self.run(command, check=False) if self.is_up else ""

    # --- the notice of a preemption ---

    def notice(self, end_time: dt.datetime | str | None = None) -> str:
        """Tell the machine that it will be preempted at `end_time`, by default in five minutes; return the time."""
        if not isinstance(end_time, str):
            end_time = (end_time or dt.datetime.now(dt.timezone.utc) + dt.timedelta(minutes=5)).isoformat()
        self.write(NOTICE, f"instance_status: STATUS_PREEMPTING\nend_time: {end_time}\n")
        return end_time

    def withdraw_notice(self) -> None:
        """The bid has won again: the service removes the file."""
        self.remove(NOTICE)

    # --- volumes ---

    def hold_volumes(self) -> None:
        """Let the volumes' server be away: what is not mounted yet cannot be."""
        self.write(VOLUMES_AWAY, "")

    def release_volumes(self) -> None:
        """Let the volumes' server answer again."""
        self.remove(VOLUMES_AWAY)

    # --- waiting ---

    def wait_for(self, what: Callable[[], T], timeout: float = PATIENCE, *, said: str = "") -> T:
        """Wait until `what` returns something true, and return it; else fail with what the machine has logged."""
        return self._wait(what, said or "does what the test waits for", timeout)

    def wait_for_text(self, path: str, text: str, timeout: float = PATIENCE) -> str:
        """Wait until a file contains a text, and return all of the file."""
        self._wait(lambda: text in self.read(path), f"has {text!r} in {path}", timeout)
        return self.read(path)

    def wait_for_startup(self, timeout: float = PATIENCE) -> None:
        """Wait until the start-up script has ended; fail with its log where it failed."""
        states = self._wait(
            lambda: re.search(r"ActiveState=(active|failed)", self._try("systemctl show cloud-final -p ActiveState")),
            "has run its start-up script", timeout,
        )  # fmt: skip
        assert states[1] == "active", self.story()

    def wait_until_off(self, timeout: float = PATIENCE) -> None:
        """Wait until it has gone off by itself."""
        self._wait(lambda: not self.is_up, "is off", timeout)

    def _wait(self, what: Callable[[], T], said: str, timeout: float = PATIENCE) -> T:
        deadline = time.monotonic() + timeout
        while not (found := what()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: after {timeout:.0f} s it is not so that it {said}\n{self.story()}")
            time.sleep(0.05)
        return found

    def story(self) -> str:
        """Return what the machine has logged, for a failure."""
        parts = {path: self.read(path) for path in (STARTUP_LOG, WORKLOAD_LOG)}
        parts["journal"] = self._anywhere("journalctl --no-pager --output=short-precise 2>&1 | tail -n 150 || :")
        return "\n".join(f"--- {what} of {self.name}, boot {self.boots} ---\n{text}" for what, text in parts.items())

    def _find_leader(self) -> int:
        assert self.is_up, f"{self.name} did not boot:\n{self._log.read_text(errors='replace')}"
        assert self._process is not None
        return self.room.leader(self._process.pid)
