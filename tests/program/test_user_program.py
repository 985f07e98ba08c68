"""A user's program under `pulumi.runtime.set_mocks`, without an engine and without network."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pulumi
import pytest

import flow_resources
from flow_resources.testing import FlowMocks

Load = Callable[..., tuple[ModuleType, FlowMocks]]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a function that runs the program under mocks."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    def run(**outputs: Any) -> tuple[ModuleType, FlowMocks]:
        mocks = FlowMocks(outputs)
        pulumi.runtime.set_mocks(mocks, project="training", stack="dev", preview=False)
        sys.modules.pop("infra", None)
        return importlib.import_module("infra"), mocks

    return run


@pulumi.runtime.test
def check(output: pulumi.Output[Any], assertion: Callable[[Any], None]) -> pulumi.Output[None]:
    """Run an assertion on the value of an output."""
    return output.apply(assertion)


def test_a_users_program_runs_in_plain_pytest(load: Load) -> None:
    """Four machines with addresses; the volumes are the declared ones."""
    infra, mocks = load()

    def check_outputs(values: list[Any]) -> None:
        ips, status, cost, count, first, volumes, data = values
        assert len(ips) == len(set(ips)) == 4
        assert (status, cost, count) == ("running", 200.0, 4)
        assert isinstance(count, int)
        assert first == ips[0]
        assert volumes == [data, "vol_shared"]

    cluster = infra.cluster
    outputs = (cluster.public_ips, cluster.status, cluster.max_cost_per_hour, cluster.num_instances)
    check(
        pulumi.Output.all(*outputs, cluster.instances[0].public_ip, cluster.volume_ids, infra.data.volume_id),
        check_outputs,
    )
    assert [(type_.rpartition(":")[2], name) for type_, name, _ in mocks.resources] == [
        ("Volume", "training-data"),
        ("GpuCluster", "trainer"),
    ]


def test_outputs_can_be_set_by_name(load: Load) -> None:
    """As in a test of what a program does with a preempted cluster."""
    infra, _ = load(trainer={"status": "preempted", "public_ips": []})
    check(
        pulumi.Output.all(infra.cluster.status, infra.cluster.public_ips),
        lambda both: _assert_equal(both, ["preempted", []]),
    )


def test_a_paused_cluster_comes_up_paused() -> None:
    """Without addresses, and with its machines: as the service has it."""
    pulumi.runtime.set_mocks(FlowMocks(), project="p", stack="s", preview=False)

    @pulumi.runtime.test
    def program() -> Any:
        inputs = {"instance_type": "8xa100", "max_price_per_hour": 1.0, "num_instances": 2}
        hub = flow_resources.GpuCluster("hub", **inputs, paused=True)
        parts = (hub.status, hub.status_message, hub.public_ips, hub.private_ips, hub.ssh_commands, hub.instances)

        def check_outputs(values: list[Any]) -> None:
            *words, machines = values
            assert words == ["paused", "paused", [], [], []]
            assert [(one["status"], one.get("public_ip")) for one in machines] == [("paused", None)] * 2

        return pulumi.Output.all(*parts).apply(check_outputs)

    program()


@pytest.mark.parametrize(
    ("kind", "output", "id_"), [("GpuCluster", "task_id", "bid_7"), ("Volume", "volume_id", "vol_7")]
)
def test_an_id_that_a_test_sets_is_the_resources_id(kind: str, output: str, id_: str) -> None:
    """Everywhere where the id is used."""
    pulumi.runtime.set_mocks(FlowMocks({"it": {output: id_}}), project="p", stack="s", preview=False)
    inputs = {"Volume": {"size_gb": 1}, "GpuCluster": {"instance_type": "8xa100", "max_price_per_hour": 1.0}}[kind]

    @pulumi.runtime.test
    def program() -> Any:
        made = getattr(flow_resources, kind)("it", **inputs)
        return pulumi.Output.all(made.id, getattr(made, output)).apply(lambda ids: _assert_equal(ids, [id_, id_]))

    program()


@pytest.mark.parametrize("preview", [True, False])
def test_get_and_every_order_work_under_the_mocks_of_a_user(preview: bool) -> None:
    """Mocks may reject every call: this package depends on none."""

    class BareMocks(pulumi.runtime.Mocks):
        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
            return f"{args.name}-id", dict(args.inputs)

        def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
            raise NotImplementedError(args.token)

    pulumi.runtime.set_mocks(BareMocks(), project="p", stack="s", preview=preview)

    @pulumi.runtime.test
    def program() -> Any:
        flow_resources.Volume("data", size_gb=1)
        flow_resources.Volume.get("theirs", "vol_1")
        got = flow_resources.GpuCluster.get("running", "bid_1")
        options = pulumi.ResourceOptions(delete_before_replace=False)
        flow_resources.GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=1, opts=options)
        return got.urn

    program()


@pytest.mark.parametrize("form", ["list", "output of a list", "list of outputs", "awaitable"])
def test_every_form_of_mounts_has_the_same_result(form: str) -> None:
    """A list, an output of one, a list of outputs, or an awaitable."""
    mocks = FlowMocks()
    pulumi.runtime.set_mocks(mocks, project="p", stack="s", preview=False)

    def mounts_of(data: flow_resources.Volume) -> Any:
        first, second = flow_resources.VolumeMount(data, "/data"), {"volume_id": "vol_2", "mount_path": "/mnt/two"}

        async def later() -> list[Any]:
            return [first, second]

        return {
            "list": [first, second],
            "output of a list": data.urn.apply(lambda _: [first, second]),
            "list of outputs": [data.urn.apply(lambda _: first), pulumi.Output.from_input(second)],
            "awaitable": later() if form == "awaitable" else None,
        }[form]

    @pulumi.runtime.test
    def program() -> None:
        data = flow_resources.Volume("data", size_gb=1)
        flow_resources.GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=1, volumes=mounts_of(data))

    program()
    (mounts,) = [inputs["volumes"] for _, name, inputs in mocks.resources if name == "trainer"]
    assert [(mount["volume_id"][:4], mount["mount_path"]) for mount in mounts] == [
        ("vol_", "/data"),
        ("vol_", "/mnt/two"),
    ]


def test_a_thousand_resources_of_a_class_can_be_declared() -> None:
    """The stock dynamic resource fails with RecursionError at the 981st."""
    mocks = FlowMocks()
    pulumi.runtime.set_mocks(mocks, project="p", stack="s", preview=False)

    @pulumi.runtime.test
    def program() -> None:
        for number in range(1_100):
            flow_resources.GpuCluster(f"c{number}", instance_type="8xa100", max_price_per_hour=1.0)

    program()
    assert len(mocks.resources) == 1_100


def _assert_equal(actual: Any, expected: Any) -> None:
    assert actual == expected
