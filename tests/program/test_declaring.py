"""What the constructors register: the frozen type, whoever subclasses; one memory for each program."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pulumi
import pytest
from pulumi.runtime import settings

from flow_resources import GpuCluster, Volume, VolumeReference
from flow_resources.testing import FlowMocks

STACK = "acme/infra/prod"
CLUSTER = {"instance_type": "8xa100", "max_price_per_hour": 1.0}


class TeamVolume(Volume):
    """What a team makes of it."""


class NamedVolume(Volume, module="team", name="NamedVolume"):
    """The same with a name of its own for Pulumi."""


class TeamCluster(GpuCluster):
    """A cluster with the team's defaults."""

    def __init__(self, name: str, price: float) -> None:
        super().__init__(name, instance_type="8xa100", max_price_per_hour=price)


def run(program: Callable[[], Any], mocks: FlowMocks | None = None, *, preview: bool = False) -> FlowMocks:
    """Run a program under mocks."""
    mocks = mocks or FlowMocks()
    pulumi.runtime.set_mocks(mocks, project="training", stack="dev", preview=preview)
    pulumi.runtime.test(program)()
    return mocks


@pytest.mark.parametrize("kind", [Volume, TeamVolume, NamedVolume])
def test_a_subclass_of_a_volume_is_a_volume(kind: type[Volume]) -> None:
    """The same type and URN, and the mocks answer it."""

    def program() -> Any:
        data = kind("data", size_gb=100)

        def check(values: list[str]) -> None:
            urn, id_, name = values
            assert urn.endswith("pulumi-python:dynamic/flow:Volume::data")
            assert id_.startswith("vol_")
            assert name == "data-mocked"

        return pulumi.Output.all(data.urn, data.id, data.volume_name).apply(check)

    mocks = run(program)
    ((type_, name, inputs),) = mocks.resources
    assert (type_, name, inputs["size_gb"]) == ("pulumi-python:dynamic/flow:Volume", "data", 100)


def test_a_subclass_of_a_cluster_is_a_cluster() -> None:
    """Also in the URN that it passes along, which is part of its mark."""

    def program() -> Any:
        hub = TeamCluster("hub", 2.0)
        return pulumi.Output.all(hub.urn, hub.task_id).apply(
            lambda values: values[1].startswith("bid_") or pytest.fail()
        )

    class Registered(FlowMocks):
        urn = ""

        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
            self.urn = args.inputs["__urn"]
            return super().new_resource(args)

    mocks = Registered()
    run(program, mocks)
    assert [type_ for type_, _, _ in mocks.resources] == ["pulumi-python:dynamic/flow:GpuCluster"]
    assert mocks.urn == "urn:pulumi:dev::training::pulumi-python:dynamic/flow:GpuCluster::hub"


class Engine(FlowMocks):
    """Mocks that refuse a second resource of one URN, as the engine does."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if (args.typ, args.name) in {(type_, name) for type_, name, _ in self.resources}:
            raise ValueError(f"Duplicate resource URN: {args.typ}::{args.name}")
        return super().new_resource(args)


def test_programs_at_the_same_time_share_nothing() -> None:
    """Two programs of one process, each of which reads another stack twice, in turns."""
    turns = threading.Barrier(2, timeout=60)
    exported = {"data": {"flow": "volume/1"}, "models": {"flow": "volume/1"}}

    def program() -> Any:
        ids = []
        for name in exported:
            turns.wait()
            ids.append(VolumeReference(STACK, name).volume_id)
            turns.wait()
        return pulumi.Output.all(*ids).apply(lambda got: len(set(got)) == 2 or pytest.fail(str(got)))

    def inline(mocks: FlowMocks) -> None:
        """Run it as the Automation API runs an inline program: in a thread, with a loop and a context of its own."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        # Mocks make a loop in each thread that has none, and close none.
        loop.set_default_executor(ThreadPoolExecutor(4, initializer=asyncio.set_event_loop, initargs=(loop,)))
        settings.SETTINGS.outputs = set()  # mocks leave it to be shared
        try:
            run(program, mocks)
        finally:
            loop.close()

    mocks = [Engine(stacks={STACK: exported}) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(contextvars.Context().run, inline, one) for one in mocks]:
            done.result()
    for one in mocks:
        assert [name for _, name, _ in one.resources] == [f"flow/{STACK}"]


def test_programs_in_turn_share_nothing() -> None:
    """Each one registers its own reference to the stack."""
    for _ in range(2):
        mocks = Engine(stacks={STACK: {"data": {"flow": "volume/1"}}})
        run(lambda: VolumeReference(STACK, "data").volume_id, mocks)
        assert [name for _, name, _ in mocks.resources] == [f"flow/{STACK}"]
