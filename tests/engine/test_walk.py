"""One made-up walk through the real engine: ten operations in an order that a seed decides, each held to the promises.

The seed stands in every failure; FLOW_RESOURCES_SEED=7 walks that way again. `tests/faults/test_machine.py` is the long
form, on the engine's model.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.engine import Project, Result, kill, plugin_pids

from flow_resources.testing import FakeMithril

SEED = int(os.environ.get("FLOW_RESOURCES_SEED", "16"))
PROGRAM = """
    from flow_resources import GpuCluster, Volume, VolumeMount

    data = Volume("data", size_gb=100, region="us-central5-a")
    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
               num_instances=1, volumes=[VolumeMount(data, "/data")])
"""


class Walk:
    """A project, its cloud, and what can happen to them."""

    def __init__(self, project: Project, cloud: FakeMithril, chance: random.Random) -> None:
        self.project, self.cloud, self.chance = project, cloud, chance
        self.said: list[str] = []
        self.price, self.machines = 50, 1

    def __str__(self) -> str:
        return f"FLOW_RESOURCES_SEED={SEED}: {', '.join(self.said)}"

    @property
    def trainer(self) -> str:
        """The id of the live cluster."""
        return self.cloud.live_bids[0]["fid"]

    def run(self, result: Result) -> None:
        """Let the operation succeed, or tell the way to the failure."""
        assert result.code == 0, f"{self}\n{result.text}"

    # -- the operations ---------------------------------------------------------------------------------------------

    def another_price(self) -> None:
        """In place."""
        self.price += 1
        self.project.edit(f"hour={self.price - 1}.0", f"hour={self.price}.0")
        before = self.trainer
        self.run(self.project.up())
        assert self.trainer == before, self

    def replacement(self) -> None:
        """By diff: another number of machines."""
        self.machines += 1
        self.project.edit(f"num_instances={self.machines - 1}", f"num_instances={self.machines}")
        before = self.trainer
        self.run(self.project.up())
        assert self.trainer != before, self

    def preemption(self) -> None:
        """A refresh tells it, and keeps the cluster."""
        self.cloud.preempt(self.trainer)
        self.run(self.project.refresh())
        assert self.project.resources()["trainer"]["outputs"]["status"] == "preempted", self
        self.cloud.release(self.trainer)
        self.run(self.project.refresh())

    def termination(self) -> None:
        """Behind its back; `up --refresh` places another one."""
        before = self.trainer
        self.cloud.terminate(before)
        self.run(self.project.up("--refresh"))
        assert self.trainer != before, self

    def crash(self) -> None:
        """The plugin is killed after the service has accepted the bid; one more `up` finds it."""
        self.cloud.terminate(self.trainer)
        self.run(self.project.refresh())
        started, engines = threading.Event(), list[int]()

        def strike(_request: object) -> None:
            assert started.wait(30)
            kill(*plugin_pids(engines[0]))

        self.cloud.faults.add(method="POST", path=r"/v2/spot/bids$", kind="reset", when="after", then=strike)
        running = self.project.start("up", "--yes", "--skip-preview")
        engines.append(running.pid)
        started.set()
        output, _ = running.communicate(timeout=600)
        assert running.returncode != 0, f"{self}\n{output}"
        accepted = self.trainer
        self.run(self.project.up())
        assert self.trainer == accepted, self

    # -- the promises -----------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """One live bid and one volume, both in the state, and nothing more to do."""
        recorded = self.project.resources()
        assert [bid["fid"] for bid in self.cloud.live_bids] == [recorded["trainer"]["id"]], self
        assert [one["fid"] for one in self.cloud.volumes] == [recorded["data"]["id"]], self
        self.cloud.clear_requests()
        again = self.project.preview("--expect-no-changes")
        assert again.code == 0, f"{self}\n{again.text}"
        assert not self.cloud.mutations, self


@pytest.mark.both_hosts
@pytest.mark.faults
def test_a_walk_in_any_order_keeps_every_promise(tmp_path: Path, cloud: FakeMithril) -> None:
    """Everything once, in the order of the seed; then nothing is left."""
    walk = Walk(Project.make(tmp_path, cloud, PROGRAM), cloud, random.Random(SEED))
    walk.run(walk.project.up())
    deeds: list[Callable[[], None]] = [
        walk.another_price, walk.replacement, walk.preemption, walk.termination, walk.crash,
    ]  # fmt: skip
    walk.chance.shuffle(deeds)
    for deed in deeds:
        walk.said.append(deed.__name__)
        deed()
        walk.hold()
    walk.run(walk.project.destroy())
    assert not cloud.live_bids, walk
    assert not cloud.volumes, walk
