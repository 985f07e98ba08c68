"""References in a user's program: typed, secret where the export is, and mountable like a volume."""

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
    "unreadable": {},
    "half": {"flow": "volume/1", "volume_id": {}, "region": {}},
    "ips": {"flow": "cluster/1", "public_ips": ["198.51.100.7", {}]},
}


class SecretMocks(FlowMocks):
    """Mocks of another stack whose output `data` is secret."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        id_, outputs = super().new_resource(args)
        return id_, {**outputs, "secretOutputNames": ["data"]}


def run(program: Callable[[], Any], mocks: FlowMocks | None = None) -> FlowMocks:
    """Run a program under mocks that contain the stack."""
    mocks = mocks or FlowMocks(stacks={STACK: EXPORTED})
    pulumi.runtime.set_mocks(mocks, project="training", stack="dev", preview=False)
    pulumi.runtime.test(program)()
    return mocks


def test_the_outputs_of_a_reference_are_typed() -> None:
    """Numbers as integers, lists as lists."""

    def program() -> Any:
        data, hub = VolumeReference(STACK, "data"), ClusterReference(STACK, "hub")
        parts = (data.volume_id, data.region, data.interface, data.size_gb, hub.task_id, hub.public_ips, hub.volume_ids)

        def check(values: list[Any]) -> None:
            volume_id, region, interface, size_gb, task_id, public_ips, volume_ids = values
            assert volume_id.startswith("vol_")
            assert task_id.startswith("bid_")
            assert (region, interface, size_gb, len(public_ips), volume_ids) == ("eu-central1-a", "file", 500, 1, [])
            assert type(size_gb) is int

        return pulumi.Output.all(*parts).apply(check)

    run(program)


def test_a_reference_mounts_like_a_volume_and_its_stack_is_read_once() -> None:
    """Also next to a StackReference of the program, and through it."""

    def program() -> Any:
        own = pulumi.StackReference(STACK)
        data, same_data = VolumeReference(STACK, "data"), VolumeReference(own, "data")
        mounts = [VolumeMount(data, "/data"), VolumeMount(same_data, "/mnt/same")]
        cluster = GpuCluster(
            "trainer", instance_type="8xa100", max_price_per_hour=1.0, region=data.region, volumes=mounts
        )
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
def test_a_secret_export_stays_secret_and_makes_no_other_secret(name: str, secret: bool) -> None:
    """All outputs of the reference."""

    async def program() -> None:
        data, hub = VolumeReference(STACK, "data"), ClusterReference(STACK, "hub")
        parts = {"data": (data.volume_id, data.size_gb), "hub": (hub.task_id, hub.public_ips)}[name]
        assert [await part.is_secret() for part in parts] == [secret, secret]

    run(program, SecretMocks(stacks={STACK: EXPORTED}))


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
def test_a_missing_or_wrong_export_fails_with_one_line(read: Callable[[], Any], why: str) -> None:
    """Pulumi prints a RunError without a traceback."""
    with pytest.raises(pulumi.RunError) as failed:
        run(lambda: read().region)
    assert why in str(failed.value)
    assert "to that project's program and run `pulumi up` there" in str(failed.value)


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (
            lambda: VolumeReference(STACK, "unreadable").region,
            "'unreadable' of the stack acme/infra/prod is a secret that",
        ),
        (lambda: VolumeReference(STACK, "half").size_gb, "is a volume whose volume_id, region is a secret that"),
        (lambda: ClusterReference(STACK, "ips").region, "is a cluster whose public_ips is a secret that"),
    ],
)
def test_a_secret_under_another_passphrase_is_called_so(read: Callable[[], Any], why: str) -> None:
    """The engine gives an empty mapping for it, whole or in its parts: neither is a volume without an id."""
    with pytest.raises(pulumi.RunError) as failed:
        run(read)
    assert f"{why} cannot be decrypted with this passphrase" in str(failed.value)
    assert str(failed.value).endswith("or let the other project export it without a secret")
    assert "pulumi stack change-secrets-provider" in str(failed.value)


def test_an_export_has_the_frozen_shape(mocker: Any) -> None:
    """For a volume and a cluster."""
    exported: dict[str, Any] = {}
    mocker.patch("pulumi.export", exported.__setitem__)

    def program() -> Any:
        data = Volume("training-data", size_gb=500)
        export_volume("data", data)
        export_cluster("hub", GpuCluster("hub", instance_type="8xa100", max_price_per_hour=1.0, num_instances=2))

        def check(values: dict[str, Any]) -> None:
            assert sorted(values["data"]) == ["flow", "interface", "region", "size_gb", "volume_id"]
            assert (values["data"]["flow"], values["data"]["size_gb"]) == ("volume/1", 500)
            assert sorted(values["hub"]) == ["flow", "public_ips", "region", "task_id", "volume_ids"]
            assert (values["hub"]["flow"], len(values["hub"]["public_ips"])) == ("cluster/1", 2)

        return pulumi.Output.from_input(exported).apply(check)

    run(program)
