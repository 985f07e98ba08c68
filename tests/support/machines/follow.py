"""Gives the bids of a fake cloud machines that boot, so that what a program rents runs."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow_resources.testing import FakeMithril
from support.machines.machine import PATIENCE, Machine
from support.machines.room import Room

if TYPE_CHECKING:
    from typing_extensions import Self

STEP_SECONDS = 0.1
NOTICE_SECONDS = 300.0
"""The notice of the service, where the cloud ends notices only when it is told to."""


class Follower:
    """Does to machines what happens to their bids.

    A bid that holds machines: they boot, from the disks that they had, the first time with its start-up script. One
    that loses them: the notice, then an orderly power-off. One that has ended: power-off, and the disks are gone.
    A machine that goes off by itself while its bid holds it is switched on again.
    """

    def __init__(self, cloud: FakeMithril, room: Room, volumes: Path) -> None:
        self._cloud = cloud
        self._room = room
        self._volumes = volumes
        self.container_image: str | None = None
        """The image that docker has on machines that are rented from now on."""
        self.prepare: Callable[[Machine], object] = lambda _machine: None
        """What is done to each new machine before its first boot."""
        self.head_moves = False
        """Whether the machines of a cluster stand in /etc/hosts the other way round at each later boot."""
        self.keeps_notice = False
        """Whether the file of a notice is still there when the bid holds machines again."""
        self.linger_seconds = 3.0
        """How long machines run on after their bid has ended."""
        self._machines: dict[str, list[Machine]] = {}
        self._instances: dict[str, list[str]] = {}
        self.told: dict[str, float] = {}
        """When the machines of a bid got the notice that stands."""
        self._end_at: dict[str, float] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def machines(self, bid: str) -> list[Machine]:
        """Return the machines of a bid, as they are numbered; none before it held any, and after it has ended."""
        with self._lock:
            self._check()
            return list(self._machines.get(bid, []))

    def wait_for(self, what: Callable[[], Any], said: str, timeout: float = PATIENCE) -> Any:
        """Wait until `what` returns something true, and return it; else fail with what the machines have logged."""
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:  # no machine boots or ends meanwhile
                self._check()
                if found := what():
                    return found
                if time.monotonic() > deadline:
                    bids = [(bid["name"], bid["status"], bid["limit_price"]) for bid in self._cloud.bids]
                    stories = [machine.story() for each in self._machines.values() for machine in each]
                    raise AssertionError("\n".join([f"after {timeout:.0f} s not so: {said}", str(bids), *stories]))
            time.sleep(0.05)

    def wait_until_up(self, bid: str, boots: int = 1) -> list[Machine]:
        """Wait until all machines of a bid run, and have booted so often; return them."""

        def up() -> list[Machine]:
            machines = self.machines(bid)
            return machines if machines and all(one.is_up and one.boots >= boots for one in machines) else []

        found: list[Machine] = self.wait_for(up, f"the machines of {bid} run for the {boots}. time")
        return found

    def power_off(self, bid: str) -> None:
        """Let a bid be preempted, without notice, and wait until its machines are off in order."""
        self._cloud.preempt(bid)
        self._cloud.finish("notice", bid)
        self.wait_for(lambda: not any(one.is_up for one in self.machines(bid)), "the machines are off")

    def power_on(self, bid: str) -> list[Machine]:
        """Give a preempted bid its machines back, and return them when they run."""
        boots = self.machines(bid)[0].boots
        self._cloud.release(bid)
        return self.wait_until_up(bid, boots + 1)

    def pull_the_plug(self, bid: str) -> list[Machine]:
        """Pull the plug of all machines of a bid, and return them when they run again."""
        with self._lock:
            machines = self.machines(bid)
            for machine in machines:
                machine.pull_the_plug()
        return self.wait_until_up(bid, machines[0].boots + 1)

    # --- following ---

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if kind is None:
            self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise AssertionError("following the bids failed") from self._failure

    def _follow(self) -> None:
        while not self._stop.wait(STEP_SECONDS):
            try:
                with self._lock:
                    self.step()
            except BaseException as error:  # noqa: BLE001 - raised again by whoever looks next
                self._failure = error
                return

    def step(self) -> None:
        """Look at every bid once, and do what has to be done."""
        for bid in self._cloud.bids:
            id_ = bid["fid"]
            match bid["status"]:
                case "Allocated":
                    self._run(bid)
                case "Preempting" if id_ not in self.told:
                    self._give_notice(id_)
                case "Open" | "Paused":
                    self._power_off(id_)
                case "Terminated" if id_ in self._machines:
                    self._end(id_)

    def _run(self, bid: Any) -> None:
        id_ = bid["fid"]
        if id_ not in self._machines:
            self._machines[id_] = [self._rent(bid, number) for number in range(len(bid["instances"]))]
        machines = self._machines[id_]
        if id_ in self.told and not self.keeps_notice:
            for machine in machines:
                machine.withdraw_notice()
        self.told.pop(id_, None)
        if self._instances.setdefault(id_, bid["instances"]) != bid["instances"]:
            self._power_off(id_)  # other instances: it lost its machines and won again since the last look
            self._instances[id_] = bid["instances"]
        off = [machine for machine in machines if not machine.is_up]
        if not off:
            return
        hosts = {one.name: _address(instance) for one, instance in zip(machines, bid["instances"], strict=True)}
        if self.head_moves and off[0].boots % 2:
            hosts = dict(reversed(hosts.items()))
        for machine in off:
            machine.boot(hosts)
        self._cloud.finish("boot", id_)

    def _rent(self, bid: Any, number: int) -> Machine:
        launch = bid["launch_specification"]
        machine = self._room.rent(
            launch["startup_script"] or "#!/bin/bash\n",
            name=f"{bid['fid'].replace('_', '-')}-{number}",
            volumes={volume: self._volumes / volume for volume in launch["volumes"]},
            container_image=self.container_image,
        )
        self.prepare(machine)
        return machine

    def _give_notice(self, bid: str) -> None:
        seconds = self._cloud.options.preemption_notice_seconds
        seconds = NOTICE_SECONDS if math.isinf(seconds) else seconds
        end_time = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=seconds)
        for machine in self._machines.get(bid, []):
            machine.notice(end_time)
        self.told.setdefault(bid, time.time())

    def _power_off(self, bid: str) -> None:
        for machine in self._machines.get(bid, []):
            if machine.is_up:
                machine.power_off()

    def _end(self, bid: str) -> None:
        if time.monotonic() < self._end_at.setdefault(bid, time.monotonic() + self.linger_seconds):
            return
        self._power_off(bid)
        for machine in self._machines.pop(bid):
            machine.end()


@contextlib.contextmanager
def follow(cloud: FakeMithril, room: Room, volumes: Path) -> Iterator[Follower]:
    """Follow the bids of a cloud while the block runs. File volumes are folders below `volumes`, by their ids."""
    with Follower(cloud, room, volumes) as follower:
        yield follower


def _address(instance: str) -> str:
    """Return the private address that the cloud gives an instance."""
    number = int(instance.rpartition("_")[2])
    return f"10.{(number >> 16) % 2}.{number >> 8 & 255}.{number & 255}"
