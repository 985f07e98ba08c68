"""Which host a resource has, and what a provider resource registers; under mocks, where every program can be run."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pulumi
import pytest

from flow_resources import (
    GpuCluster,
    Job,
    MemberVolume,
    Provider,
    ResilientCluster,
    SshKey,
    Volume,
    VolumeMount,
    program,
)
from flow_resources.testing import FlowMocks

CLUSTER = {"instance_type": "8xa100", "max_price_per_hour": 1.0, "region": "us-central5-a"}
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8sfDi0hlz5Y0hKXPRh3iG0mXh0X6OVmMHBYIsMM0Zt"
DYNAMIC, PLUGIN = "pulumi-python:dynamic/flow", "flow:index"
Declare = Callable[[pulumi.ResourceOptions | None], Any]
KINDS: dict[str, Declare] = {
    "GpuCluster": lambda opts: GpuCluster("one", **CLUSTER, opts=opts),
    "Job": lambda opts: Job("one", command="true", **CLUSTER, opts=opts),
    "SshKey": lambda opts: SshKey("one", public_key=PUBLIC_KEY, opts=opts),
    "Volume": lambda opts: Volume("one", size_gb=1, region="us-central5-a", opts=opts),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


class Mocks(FlowMocks):
    """Mocks that keep what arrives, the hidden inputs and the provider included."""

    def __init__(self) -> None:
        super().__init__()
        self.registered: list[pulumi.runtime.MockResourceArgs] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.registered.append(args)
        return super().new_resource(args)

    def of(self, name: str) -> pulumi.runtime.MockResourceArgs:
        """Return what was registered under a name."""
        (found,) = (one for one in self.registered if one.name == name)
        return found


class OtherProvider(pulumi.ProviderResource):
    """A provider of another package."""

    def __init__(self, name: str) -> None:
        super().__init__("aws", name)


class Group(pulumi.ComponentResource):
    """A component of the program's own."""

    def __init__(self, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("team:index:Group", "group", None, opts)


def run(declare: Callable[[], Any], **config: str) -> Mocks:
    """Run a program with settings of the stack."""
    mocks = Mocks()
    pulumi.runtime.set_mocks(mocks, project="training", stack="dev", preview=False)
    pulumi.runtime.set_all_config({f"flow:{name}": value for name, value in config.items()})
    try:
        pulumi.runtime.test(declare)()
    finally:
        pulumi.runtime.set_all_config({})
    return mocks


def hidden(args: pulumi.runtime.MockResourceArgs) -> set[str]:
    """Return the names of the hidden inputs that arrived."""
    return {name for name in args.inputs if name.startswith("__")}


# -- which host --------------------------------------------------------------------------------------------------------


@each_kind
def test_the_dynamic_host_is_the_default(kind: str) -> None:
    """Nothing is said, and nothing changes: the type, the provider class and the facts are as ever."""
    one = run(lambda: KINDS[kind](None).id).of("one")
    assert one.typ == f"{DYNAMIC}:{kind}"
    assert hidden(one) >= {"__provider", "__owner", "__urn", "__recorded"}


@each_kind
def test_flow_host_chooses_the_plugin_for_a_stack(kind: str) -> None:
    """With no provider class and no fact that the engine tells a plugin by itself."""
    one = run(lambda: KINDS[kind](None).id, host="plugin").of("one")
    assert one.typ == f"{PLUGIN}:{kind}"
    assert not hidden(one)
    assert not one.provider


def test_flow_host_can_name_the_default() -> None:
    """As if it were not set."""
    assert run(lambda: KINDS["Volume"](None).id, host="dynamic").of("one").typ == f"{DYNAMIC}:Volume"


@pytest.mark.parametrize("word", ["Plugin", "plug-in", "true", " plugin"])
def test_another_word_is_one_line_with_the_two_that_exist(word: str) -> None:
    """Also where only the case is another one: it is never guessed."""
    with pytest.raises(pulumi.RunError) as refused:
        run(lambda: KINDS["Volume"](None), host=word)
    text = str(refused.value)
    assert repr(word) in text
    assert "'dynamic' or 'plugin'" in text
    assert "\n" not in text


OPTIONS: dict[str, Callable[[Provider], pulumi.ResourceOptions]] = {
    "provider": lambda west: pulumi.ResourceOptions(provider=west),
    "a list of providers": lambda west: pulumi.ResourceOptions(providers=[west]),
    "a mapping of providers": lambda west: pulumi.ResourceOptions(providers={"flow": west}),
    "the parent's provider": lambda west: pulumi.ResourceOptions(
        parent=Group(pulumi.ResourceOptions(providers=[west]))
    ),
    "the provider of a parent that is a resource": lambda west: pulumi.ResourceOptions(
        parent=SshKey("parent", public_key=PUBLIC_KEY, opts=pulumi.ResourceOptions(provider=west))
    ),
}


@each_kind
@pytest.mark.parametrize("how", OPTIONS)
def test_a_provider_of_ours_chooses_the_plugin(kind: str, how: str) -> None:
    """In every way in which a resource can have one; the resource is that provider's."""
    mocks = run(lambda: KINDS[kind](OPTIONS[how](Provider("west", project="west"))).id)
    one = mocks.of("one")
    assert one.typ == f"{PLUGIN}:{kind}"
    assert not hidden(one)
    assert "pulumi:providers:flow::west::" in one.provider


def test_a_provider_chooses_for_its_resources_alone() -> None:
    """Beside them a resource without one has the default host."""

    def declare() -> Any:
        west = Provider("west")
        return pulumi.Output.all(
            Volume("hers", size_gb=1, opts=pulumi.ResourceOptions(provider=west)).id, Volume("mine", size_gb=1).id
        )

    mocks = run(declare)
    assert mocks.of("hers").typ == f"{PLUGIN}:Volume"
    assert mocks.of("mine").typ == f"{DYNAMIC}:Volume"


@pytest.mark.parametrize(("host", "type_"), [("dynamic", DYNAMIC), ("plugin", PLUGIN)])
def test_a_provider_of_another_package_decides_nothing(host: str, type_: str) -> None:
    """As Pulumi does: it goes to the children, if any."""
    mocks = run(lambda: KINDS["Volume"](pulumi.ResourceOptions(provider=OtherProvider("aws"))).id, host=host)
    assert mocks.of("one").typ == f"{type_}:Volume"
    assert not mocks.of("one").provider


def test_a_provider_that_a_transformation_sets_ends_the_program() -> None:
    """The type is chosen by then, and the cluster would be placed in another account."""

    def declare() -> Any:
        west = Provider("west")

        def with_provider(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
            changed = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(provider=west))
            return pulumi.ResourceTransformationResult(args.props, changed)

        return GpuCluster("one", **CLUSTER, opts=pulumi.ResourceOptions(transformations=[with_provider]))

    with pytest.raises(pulumi.RunError, match="GpuCluster 'one': a transformation sets its provider"):
        run(declare)


def test_inside_the_plugin_all_resources_are_its_own() -> None:
    """Those of a component that it constructs, whatever the stack says, and no others after it."""

    def declare() -> Any:
        with program.inside_the_plugin():
            inside = Volume("inside", size_gb=1)
        return pulumi.Output.all(inside.id, Volume("outside", size_gb=1).id)

    mocks = run(declare)
    assert mocks.of("inside").typ == f"{PLUGIN}:Volume"
    assert mocks.of("outside").typ == f"{DYNAMIC}:Volume"


@pytest.mark.parametrize("is_plugin", [False, True])
def test_all_of_a_fleet_has_one_host(is_plugin: bool) -> None:
    """Its clusters, their volumes and its status; the component itself has the same type in both."""

    def declare() -> Any:
        opts = pulumi.ResourceOptions(provider=Provider("west")) if is_plugin else None
        fleet = ResilientCluster(
            "fleet", size=2, volume_per_member=MemberVolume(size_gb=1, mount_path="/data"), **CLUSTER, opts=opts
        )
        return pulumi.Output.all(fleet.running, fleet.task_ids).apply(
            lambda known: known[0] == 2 or pytest.fail(str(known))
        )

    mocks = run(declare)
    types = {one.name: one.typ for one in mocks.registered if not one.typ.startswith("pulumi:providers")}
    prefix = PLUGIN if is_plugin else DYNAMIC
    assert types == {
        "fleet": "flow:index:ResilientCluster",
        **{f"fleet-{index}": f"{prefix}:GpuCluster" for index in range(2)},
        **{f"fleet-{index}-data": f"{prefix}:Volume" for index in range(2)},
        "fleet-status": f"{prefix}:FleetStatus",
    }


@pytest.mark.parametrize(
    "where", ["nowhere", "on PATH", "installed", "in the project", "another plugin", "another project"]
)
def test_a_plugin_is_found_where_pulumi_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Else the program warns, with the command that installs it: what Pulumi says then is about a download."""
    executable = {
        "on PATH": tmp_path / "bin" / "pulumi-resource-flow",
        "installed": tmp_path / "home" / "plugins" / "resource-flow-v0.1.0" / "pulumi-resource-flow",
        "another plugin": tmp_path / "home" / "plugins" / "resource-aws-v0.1.0" / "pulumi-resource-aws",
    }.get(where)
    if executable:
        executable.parent.mkdir(parents=True)
        executable.write_text("#!/bin/sh\n")
        executable.chmod(0o755)
    project = tmp_path / "project" / "below"
    project.mkdir(parents=True)
    settings = "plugins:\n  providers:\n    - name: flow\n      path: bin\n" if where == "in the project" else ""
    (tmp_path / "project" / "Pulumi.yaml").write_text(f"name: training\nruntime: python\n{settings}")
    if where == "another project":
        (tmp_path / "Pulumi.yaml").write_text("name: other\nplugins:\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    assert program.is_plugin_installed(project) == (where in ("on PATH", "installed", "in the project"))


# -- the same classes --------------------------------------------------------------------------------------------------


def test_the_outputs_are_the_same_in_both_hosts() -> None:
    """With the same types, from the same mocks."""
    seen: dict[str, Any] = {}

    def declare() -> Any:
        data = Volume("data", size_gb=1)
        hub = GpuCluster("hub", **CLUSTER, num_instances=2, volumes=[VolumeMount(data, "/data")])
        return pulumi.Output.all(
            hub.task_id, hub.num_instances, hub.instances.apply(lambda all_: [one.public_ip for one in all_]),
            hub.volume_ids, data.volume_id, data.size_gb,
        ).apply(lambda known: seen.setdefault(host, known))  # fmt: skip

    for host in ("dynamic", "plugin"):
        run(declare, host=host)
    assert seen["dynamic"] == seen["plugin"]
    assert type(seen["plugin"][1]) is int


def test_a_subclass_is_the_same_resource_of_the_plugin() -> None:
    """Its type is not that of the class."""

    class TeamVolume(Volume):
        """What a team makes of it."""

    assert run(lambda: TeamVolume("one", size_gb=1).id, host="plugin").of("one").typ == f"{PLUGIN}:Volume"


@pytest.mark.parametrize(
    ("kind", "id_"), [(GpuCluster, "bid_1"), (Job, "bid_1"), (Volume, "vol_1"), (SshKey, "sshkey_1")]
)
@pytest.mark.parametrize("explicit", [False, True])
def test_get_reads_from_the_host_that_is_chosen(kind: Any, id_: str, explicit: bool) -> None:
    """By the setting or by a provider; with the id."""

    def declare() -> Any:
        opts = pulumi.ResourceOptions(provider=Provider("west")) if explicit else None
        return kind.get("one", id_, opts).id.apply(lambda known: known == id_ or pytest.fail(known))

    one = run(declare, host="dynamic" if explicit else "plugin").of("one")
    assert one.typ == f"{PLUGIN}:{kind.__name__}"
    assert one.resource_id == id_
    assert not hidden(one)
    assert bool(one.provider) == explicit


def test_options_that_no_provider_is_told_of_are_passed_along() -> None:
    """Each of them can lose something, and the plugin cannot ask."""

    def declare() -> Any:
        other = Volume("other", size_gb=1)
        options = pulumi.ResourceOptions(retain_on_delete=True, replace_with=[other])
        return GpuCluster("one", **CLUSTER, opts=options).id

    assert hidden(run(declare, host="plugin").of("one")) == {"__retained", "__replaced_with"}


def test_deleted_with_is_refused_in_the_plugin_too() -> None:
    """Pulumi would forget the cluster, which would go on costing money."""

    def declare() -> Any:
        other = Volume("other", size_gb=1)
        return GpuCluster("one", **CLUSTER, opts=pulumi.ResourceOptions(deleted_with=other))

    with pytest.raises(pulumi.RunError, match="deleted_with cannot be used"):
        run(declare, host="plugin")


# -- the provider ------------------------------------------------------------------------------------------------------


def test_a_provider_registers_what_it_is_given_and_no_more() -> None:
    """What is left out is not there, so that the plugin reads it where it reads everything."""
    given = {
        "api_key": "a-key",
        "project": "west",
        "region": "us-central5-a",
        "api_url": "https://host",
        "owner": "ada",
        "max_cost_per_hour": Decimal("200.50"),
        "allow_job_keys": True,
        "market_lines": False,
    }
    one = run(lambda: Provider("west", **given).id).of("west")
    assert one.typ == "pulumi:providers:flow"
    assert one.inputs.pop("api_key")["value"] == given.pop("api_key")  # with the mark of a secret around it
    assert one.inputs == {**given, "max_cost_per_hour": 200.5}
    assert run(lambda: Provider("west").id).of("west").inputs == {}


def test_the_key_of_a_provider_is_secret_however_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain text, too, and no other setting."""
    registered: dict[str, Any] = {}
    monkeypatch.setattr(
        pulumi.ProviderResource, "__init__", lambda _self, _package, _name, props, _opts: registered.update(props)
    )

    def declare() -> Any:
        Provider("west", api_key="a-key", owner="ada")
        assert not isinstance(registered["owner"], pulumi.Output)
        return pulumi.Output.from_input(registered["api_key"].is_secret()).apply(
            lambda secret: secret or pytest.fail("the key is in clear")
        )

    run(declare)


def test_what_cannot_be_carried_is_one_line_without_the_key() -> None:
    """Each argument by its name; a key that is none is not shown."""
    with pytest.raises(pulumi.RunError) as refused:
        run(lambda: Provider("west", api_key={"fkey_secret"}, project=object()))  # type: ignore[arg-type]
    text = str(refused.value)
    assert text.startswith("Provider 'west': api_key ")
    assert "project" in text
    assert "fkey_secret" not in text


def test_two_accounts_in_one_program() -> None:
    """Each resource goes to its own provider."""

    def declare() -> Any:
        ids = []
        for name in ("east", "west"):
            opts = pulumi.ResourceOptions(provider=Provider(name, project=name))
            ids.append(Volume(f"data-{name}", size_gb=1, opts=opts).id)
        return pulumi.Output.all(*ids)

    mocks = run(declare)
    for name in ("east", "west"):
        assert f"::{name}::" in mocks.of(f"data-{name}").provider
