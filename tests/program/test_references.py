"""References in a user's program: typed, secret where the export is, usable where a volume is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from flow_resources import (
    ClusterReference,
    GpuCluster,
    Volume,
    VolumeMount,
    VolumeReference,
    export_cluster,
    export_volume,
)
from flow_resources.testing import FlowMocks

STACK = "acme/infra/prod"
EXPORTED = {
    "data": {"flow": "volume/1", "size_gb": 500, "region": "eu-central1-a"},
    "hub": {"flow": "cluster/1"},
    "n": 1,
}


class Secretive(FlowMocks):
    """Another stack whose output `data` is secret."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        id_, outputs = super().new_resource(args)
        return id_, {**outputs, "secretOutputNames": ["data"]}


def run(program: Callable[[], Any], mocks: FlowMocks | None = None) -> FlowMocks:
    """Run a program to its end under mocks that know the stack."""
    mocks = mocks or FlowMocks(stacks={STACK: EXPORTED})
    pulumi.runtime.set_mocks(mocks, project="training", stack="dev", preview=False)
    pulumi.runtime.test(program)()
    return mocks


def test_the_parts_come_back_typed() -> None:
    """Numbers as whole numbers, lists as lists."""

    def program() -> Any:
        data, hub = VolumeReference(STACK, "data"), ClusterReference(STACK, "hub")
        parts = (data.volume_id, data.region, data.interface, data.size_gb, hub.task_id, hub.public_ips, hub.volume_ids)

        def verdict(seen: list[Any]) -> None:
            volume_id, region, interface, size_gb, task_id, public_ips, volume_ids = seen
            assert volume_id.startswith("vol_")
            assert task_id.startswith("bid_")
            assert (region, interface, size_gb, len(public_ips), volume_ids) == ("eu-central1-a", "file", 500, 1, [])
            assert type(size_gb) is int

        return pulumi.Output.all(*parts).apply(verdict)

    run(program)


def test_a_reference_mounts_as_a_volume_does_and_one_stack_is_read_once() -> None:
    """Also beside a StackReference of the program's own, and through it."""

    def program() -> Any:
        own = pulumi.StackReference(STACK)
        data, same = VolumeReference(STACK, "data"), VolumeReference(own, "data")
        mounts = [VolumeMount(data, "/data"), VolumeMount(same, "/mnt/same")]
        cluster = GpuCluster("one", instance_type="8xa100", max_price_per_hour=1.0, region=data.region, volumes=mounts)
        return cluster.urn

    mocks = run(program)
    *stacks, (kind, _, inputs) = mocks.resources
    assert {name for _, name, _ in stacks} == {STACK, f"flow/{STACK}"}
    assert len(stacks) == 2
    assert kind == "pulumi-python:dynamic/flow:GpuCluster"
    first, second = inputs["volumes"]
    assert first["volume_id"] == second["volume_id"]
    assert first["volume_id"].startswith("vol_")
    assert (first["__region"], first["__interface"], inputs["region"]) == ("eu-central1-a", "file", "eu-central1-a")


@pytest.mark.parametrize(("name", "secret"), [("data", True), ("hub", False)])
def test_what_was_exported_as_a_secret_stays_one_and_makes_no_other_secret(name: str, secret: bool) -> None:
    """Every part of it."""

    async def program() -> None:
        data, hub = VolumeReference(STACK, "data"), ClusterReference(STACK, "hub")
        parts = {"data": (data.volume_id, data.size_gb), "hub": (hub.task_id, hub.public_ips)}[name]
        assert [await part.is_secret() for part in parts] == [secret, secret]

    run(program, Secretive(stacks={STACK: EXPORTED}))


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (
            lambda: VolumeReference(STACK, "dta"),
            "'dta' of the stack acme/infra/prod is missing; there is 'data'",
        ),
        (lambda: VolumeReference("acme/infra/empty", "data"), "is missing; there are no outputs at all"),
        (lambda: VolumeReference(STACK, "hub"), "is a cluster, which ClusterReference reads"),
        (lambda: ClusterReference(STACK, "n"), "is a number, not a cluster as export_cluster writes it"),
    ],
)
def test_what_is_not_there_or_something_else_ends_the_program_with_a_line(read: Callable[[], Any], why: str) -> None:
    """Pulumi prints a RunError as it is, without a traceback."""
    with pytest.raises(pulumi.RunError) as ended:
        run(lambda: read().region)
    assert why in str(ended.value)
    assert "to that project's program and run `pulumi up` there" in str(ended.value)


def test_what_is_exported_is_the_frozen_shape(mocker: Any) -> None:
    """The other side of the same file: a volume and a cluster."""
    exported: dict[str, Any] = {}
    mocker.patch("pulumi.export", exported.__setitem__)

    def program() -> Any:
        data = Volume("training-data", size_gb=500)
        export_volume("data", data)
        export_cluster("hub", GpuCluster("hub", instance_type="8xa100", max_price_per_hour=1.0, num_instances=2))

        def verdict(seen: dict[str, Any]) -> None:
            assert sorted(seen["data"]) == ["flow", "interface", "region", "size_gb", "volume_id"]
            assert (seen["data"]["flow"], seen["data"]["size_gb"]) == ("volume/1", 500)
            assert sorted(seen["hub"]) == ["flow", "public_ips", "region", "task_id", "volume_ids"]
            assert (seen["hub"]["flow"], len(seen["hub"]["public_ips"])) == ("cluster/1", 2)

        return pulumi.Output.from_input(exported).apply(verdict)

    run(program)
