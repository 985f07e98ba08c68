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

from flow_resources import GpuCluster, Volume, VolumeMount, VolumeReference
from flow_resources import program as program_module
from flow_resources.program import urns_of
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
            lambda values: values[1].startswith("bid_") or pytest.fail(values[1])
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


class Deeper(TeamCluster):
    """A subclass of a subclass."""

    num_instances: pulumi.Output[int]


@pytest.mark.parametrize("kind", [TeamCluster, Deeper])
def test_the_outputs_of_a_subclass_are_typed(kind: type[TeamCluster]) -> None:
    """As those of the class: numbers that are whole, and machines with attributes."""

    def program() -> Any:
        hub = kind("hub", 2.0)
        return pulumi.Output.all(
            hub.num_instances.apply(lambda count: type(count) is int or pytest.fail(str(type(count)))),
            hub.instances.apply(lambda machines: machines[0].public_ip),
        )

    run(program)


def aliases() -> list[Any]:
    """Return each kind of alias that a program can give."""
    return [
        pulumi.Alias(name="old"),
        pulumi.Alias(type_="team:index:Cluster"),
        pulumi.Alias(name="old", type_="team:index:Cluster"),
        pulumi.Alias(name="old", stack="prod"),
        pulumi.Alias(project="other"),
        pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE),
        pulumi.Alias(name=pulumi.Output.from_input("old")),  # type: ignore[arg-type]
        pulumi.Output.from_input(pulumi.Alias(name="old")),
        "urn:pulumi:dev::training::team:index:Cluster::old",
    ]


@pytest.mark.parametrize("chosen", [[], *([index] for index in range(9)), [0, 1, 2], [0, 8]])
@pytest.mark.parametrize("has_parent", [False, True])
def test_the_urns_of_a_resource_are_those_that_pulumi_gives_it(chosen: list[int], has_parent: bool) -> None:
    """By its aliases, and those of its parent."""

    def program() -> Any:
        given = [aliases()[index] for index in chosen]
        parent = None
        if has_parent:
            of_parent = pulumi.ResourceOptions(aliases=[pulumi.Alias(name="elder")])
            parent = pulumi.ComponentResource("team:index:Lab", "lab", opts=of_parent)
        opts = pulumi.ResourceOptions(aliases=given, parent=parent)
        urns = urns_of("a:index:B", "it", opts)
        theirs = [
            pulumi.create_urn("it", "a:index:B", parent),
            *pulumi.runtime.resource.all_aliases(given, "it", "a:index:B", parent),
        ]

        def check(both: list[list[str]]) -> None:
            assert both[0] == both[1]
            assert len(both[0]) == (len(given) + 1) * (2 if has_parent else 1)

        return pulumi.Output.all(pulumi.Output.all(*urns), pulumi.Output.all(*theirs)).apply(check)

    run(program)


def test_a_program_waits_for_few_outputs_of_each_resource() -> None:
    """The id, the URN, and what is made of its alias: whenever one is known, Pulumi waits for all others anew."""
    waited_for: list[int] = []

    def program() -> Any:
        for name in ("first", "second"):
            before = len(settings.SETTINGS.outputs)
            made = GpuCluster(name, instance_type="8xa100", max_price_per_hour=1.0)
            waited_for.append(len(settings.SETTINGS.outputs) - before)
        assert not hasattr(made, "image"), "an input that is not set and is no output"
        return made.region.apply(lambda region: region or pytest.fail("the region is an output"))

    run(program)
    assert waited_for[1] <= 8


@pytest.mark.parametrize("can_untrack", [True, False])
def test_a_program_waits_for_what_is_made_of_an_output(monkeypatch: pytest.MonkeyPatch, *, can_untrack: bool) -> None:
    """Also where nobody has it, and where a Pulumi does not let its list of outputs be shortened."""
    if not can_untrack:
        monkeypatch.setattr(program_module, "_UNTRACK", "not there")
    seen: list[str] = []

    def program() -> None:
        hub = GpuCluster("hub", instance_type="8xa100", max_price_per_hour=1.0)
        hub.status.apply(seen.append)

    run(program)
    assert seen == ["running"]


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
        loops = [loop]

        def make_loop() -> None:
            """Give a thread a loop of its own, which mocks run there; one that runs elsewhere hangs at times."""
            loops.append(asyncio.new_event_loop())
            asyncio.set_event_loop(loops[-1])

        asyncio.set_event_loop(loop)
        settings.SETTINGS.outputs = set()  # mocks leave it to be shared
        with ThreadPoolExecutor(4, initializer=make_loop) as threads:
            loop.set_default_executor(threads)
            run(program, mocks)
        for one in loops:
            one.close()

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


@pytest.mark.parametrize(
    "make", [lambda **it: GpuCluster("hub", **CLUSTER, **it), lambda **it: Volume("hub", size_gb=1, **it)]
)
def test_nothing_is_deleted_with_another(make: Callable[..., Any]) -> None:
    """Pulumi would forget it and never end it: refused in the constructor, with one line, before it is registered."""
    mocks = FlowMocks()

    def program() -> None:
        other = Volume("other", size_gb=1)
        make(opts=pulumi.ResourceOptions(deleted_with=other))

    with pytest.raises(
        pulumi.RunError, match=r"^(GpuCluster|Volume) 'hub': the option deleted_with cannot be used"
    ) as no:
        run(program, mocks)
    assert "\n" not in str(no.value)
    assert "hub" not in {name for _, name, _ in mocks.resources}


class Update(FlowMocks):
    """Mocks that answer as an engine does in the preview of an update: with the id, but with no output."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        id_, _ = super().new_resource(args)
        return id_, dict(args.inputs)


@pytest.mark.parametrize(
    "mount",
    [
        lambda data: VolumeMount(data, "/data"),
        lambda data: VolumeMount(data.volume_id, "/data"),
        lambda data: {"volume_id": data.volume_id, "mount_path": "/data"},
        lambda data: {"volume_id": data.id, "mount_path": "/data"},
    ],
)
def test_the_id_of_what_stays_is_known_in_a_preview(mount: Callable[[Volume], Any]) -> None:
    """In every spelling: an unknown id of a volume would show a replacement of each cluster that mounts it."""

    def program() -> None:
        data = Volume("data", size_gb=1, volume_name="renamed")
        hub = GpuCluster("hub", **CLUSTER, volumes=[mount(data)])
        GpuCluster("other", **CLUSTER, name_prefix=hub.task_id)

    mocks = run(program, Update(), preview=True)
    inputs = {name: inputs for _, name, inputs in mocks.resources}
    assert inputs["hub"]["volumes"][0]["volume_id"].startswith("vol_")
    assert inputs["other"]["name_prefix"].startswith("bid_")


def test_an_id_is_secret_where_its_output_is() -> None:
    """As the program asks with `additional_secret_outputs`; and it leads back to its resource."""

    class Secret(FlowMocks):
        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
            id_, outputs = super().new_resource(args)
            secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": id_}
            return id_, {**outputs, **({"volume_id": secret} if args.name == "secret" else {})}

    async def program() -> None:
        secret, plain = Volume("secret", size_gb=1), Volume("plain", size_gb=1)
        assert [await one.volume_id.is_secret() for one in (secret, plain)] == [True, False]
        assert await plain.volume_id.resources() == {plain}

    run(program, Secret())


def test_an_id_that_the_program_declares_secret_is_secret_in_a_preview() -> None:
    """Where its output is unknown, and does not say so."""

    async def program() -> None:
        options = pulumi.ResourceOptions(additional_secret_outputs=["volume_id"])
        secret, plain = Volume("secret", size_gb=1, opts=options), Volume("plain", size_gb=1)
        assert [await one.volume_id.is_secret() for one in (secret, plain)] == [True, False]
        assert [await one.volume_id.is_known() for one in (secret, plain)] == [True, True]

    run(program, Update(), preview=True)
