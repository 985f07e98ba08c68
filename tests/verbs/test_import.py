"""`pulumi import` through the plugin: what is recorded, what the program may say afterwards, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2
from support.program import rent
from support.stack import Aborted, Context, ModelBackend, SkippingClock, Stack, cluster, job, settings_of

from flow_resources.host import EngineLink, EngineReport
from flow_resources.plugin import wire
from flow_resources.plugin.servicer import FlowServicer
from flow_resources.testing import FakeMithril

OWNER = "acme/training/dev"
REGION = "us-central5-a"
SECRETS = ("canary-env-9d1e", "canary-command-52ab")


@dataclass
class Imports:
    """A stack in the plugin host, as the engine calls it for an import and the `up`s after it."""

    settings: Mapping[str, Any]
    states: ModelBackend
    kind: str = "GpuCluster"
    name: str = "trainer"
    id: str = ""
    inputs: Any = field(default_factory=struct_pb2.Struct)
    outputs: Any = field(default_factory=struct_pb2.Struct)
    servicer: FlowServicer | None = None

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start a plugin process."""
        self.end()
        self.servicer = FlowServicer(EngineLink(), self.states, SkippingClock())  # type: ignore[arg-type]
        self.servicer.Configure(provider_pb2.ConfigureRequest(args=wire.write(self.settings)), Context())

    def end(self) -> None:
        """End it."""
        if self.servicer:
            self.servicer.deployment.close()

    @property
    def _of(self) -> dict[str, Any]:
        type_ = f"flow:index:{self.kind}"
        return {"urn": f"urn:pulumi:dev::training::{type_}::{self.name}", "type": type_, "name": self.name}

    def take(self, id_: str) -> dict[str, Any]:
        """Import; return the inputs that a program is printed from."""
        answer = self.servicer.Read(provider_pb2.ReadRequest(id=id_, **self._of), Context())
        self.id, self.inputs, self.outputs = answer.id, answer.inputs, answer.properties
        checked = self.check(answer.inputs)  # as the engine does with what it prints
        assert not checked.failures
        return {name: value for name, value in self.recorded_inputs.items() if not name.startswith("__")}

    @property
    def recorded_inputs(self) -> dict[str, Any]:
        return wire.read(self.inputs).values

    @property
    def recorded_outputs(self) -> dict[str, Any]:
        return wire.read(self.outputs).values

    def check(self, news: Any) -> Any:
        return self.servicer.Check(provider_pb2.CheckRequest(olds=self.inputs, news=news, **self._of), Context())

    def diff(self, program: Mapping[str, Any]) -> tuple[Any, Any]:
        """Begin an operation; return the checked inputs and what they change."""
        self.begin()
        checked = self.check(wire.write(program))
        assert not checked.failures, [failure.reason for failure in checked.failures]
        request = provider_pb2.DiffRequest(
            id=self.id, olds=self.outputs, news=checked.inputs, old_inputs=self.inputs, **self._of
        )
        return checked.inputs, self.servicer.Diff(request, Context())

    def plan(self, program: Mapping[str, Any]) -> str:
        """Return what an `up` would do: same, update or replace."""
        _, diff = self.diff(program)
        return _step(diff)

    def up(self, program: Mapping[str, Any]) -> str:
        """Do it, but for a replacement; return what it was."""
        inputs, diff = self.diff(program)
        if (step := _step(diff)) == "update":
            request = provider_pb2.UpdateRequest(
                id=self.id, olds=self.outputs, news=inputs, old_inputs=self.inputs, **self._of
            )
            self.outputs = self.servicer.Update(request, Context()).properties
        self.inputs = inputs
        return step

    def refresh(self) -> str:
        """Read it; return what the engine shows: same or update."""
        self.begin()
        request = provider_pb2.ReadRequest(id=self.id, properties=self.outputs, inputs=self.inputs, **self._of)
        answer = self.servicer.Read(request, Context())
        back = provider_pb2.DiffRequest(
            id=self.id, olds=answer.properties, news=self.inputs, old_inputs=answer.inputs, **self._of
        )
        shown = _step(self.servicer.Diff(back, Context()))
        self.inputs, self.outputs = answer.inputs, answer.properties
        return shown

    def destroy(self) -> None:
        """Delete it."""
        self.begin()
        request = provider_pb2.DeleteRequest(id=self.id, properties=self.outputs, **self._of)
        self.servicer.Delete(request, Context())


def _step(diff: Any) -> str:
    if diff.replaces:
        return "replace"
    return "update" if diff.changes == provider_pb2.DiffResponse.DIFF_SOME else "same"


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the verbs warn of."""
    heard: list[str] = []
    monkeypatch.setattr(EngineReport, "warn", lambda _, message: heard.append(message))
    return heard


@pytest.fixture
def imports(cloud: FakeMithril, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Imports]:
    """A stack of the plugin host, in a backend with the states of a model stack; scripts start tasks beside it."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    begun = Imports({**_by_name(settings_of(cloud)), "owner": OWNER}, ModelBackend(stack))
    yield begun
    begun.end()


def _by_name(settings: Mapping[str, str]) -> dict[str, str]:
    return {key.removeprefix("flow:"): value for key, value in settings.items()}


def mount(volume: Mapping[str, Any], path: str) -> dict[str, Any]:
    return {"volume_id": volume["fid"], "mount_path": path, "interface": volume["interface"].lower()}


def a_task(cloud: FakeMithril, **options: Any) -> str:
    """Start a task as a script does; return its id."""
    rent(name="train", max_price_per_hour=20.0, region=REGION, env={"TOKEN": SECRETS[0]}, **options)
    cloud.clear_requests()
    return cloud.live_bids[-1]["fid"]


WRITTEN = {
    "instance_type": "a100:8",
    "max_price_per_hour": 20,
    "command": f"python train.py --token {SECRETS[1]}",
    "image": "docker.io/library/python:3.12",
    "env": {"TOKEN": SECRETS[0]},
    "ports": [8080],
    "name_prefix": "team",
    "restart": "never",
}
"""What a person writes from the documentation."""


# -- clusters ----------------------------------------------------------------------------------------------------------


def test_what_is_printed_after_an_import_changes_nothing(cloud: FakeMithril, imports: Imports) -> None:
    """Not at the first `up`, nor after a refresh; and nothing is sent that changes anything."""
    id_ = a_task(cloud)
    program = imports.take(id_)
    assert program["instance_type"] == "8xa100"
    assert (program["num_instances"], program["max_price_per_hour"], program["region"]) == (1, 20.0, REGION)
    assert not {"command", "env", "image", "ports", "paused"} & set(program)
    assert imports.plan(program) == imports.up(program) == "same"
    assert [imports.refresh() for _ in range(3)] == ["same"] * 3
    assert imports.plan(program) == "same"
    assert imports.id == id_
    assert imports.recorded_outputs["task_id"] == id_
    assert imports.recorded_outputs["status"] == "running"
    assert not cloud.mutations


def test_what_nobody_tells_is_taken_from_the_program(cloud: FakeMithril, imports: Imports, warnings: list[str]) -> None:
    """The first value that a program says of it plans no change, and is named; from then on it is compared."""
    imports.take(a_task(cloud))
    assert imports.plan(WRITTEN) == "same"
    (warning,) = [text for text in warnings if "does not record" in text]
    assert warning == (
        f"the state does not record command, image, env, ports, restart, name_prefix of {imports.id}: it is taken from "
        "the program, and nothing is replaced because of that"
    )
    assert imports.up(WRITTEN) == "same"
    warnings.clear()
    assert imports.plan(WRITTEN) == imports.refresh() == imports.plan(WRITTEN) == "same"
    assert not [text for text in warnings if "does not record" in text]
    assert imports.plan({**WRITTEN, "command": "python other.py"}) == "replace"
    assert imports.plan({name: value for name, value in WRITTEN.items() if name != "command"}) == "replace"
    assert imports.plan({**WRITTEN, "env": {"TOKEN": "another"}}) == "replace"
    assert not cloud.mutations


def test_a_program_may_say_it_later(cloud: FakeMithril, imports: Imports) -> None:
    """An input that no program has said is not at its default."""
    program = imports.take(a_task(cloud))
    imports.up(program)
    imports.refresh()
    assert imports.up({**program, "command": "python train.py"}) == "same"
    assert imports.up({**program, "command": "python train.py", "image": "a/b"}) == "same"
    assert imports.plan({**program, "command": "python train.py", "image": "a/c"}) == "replace"


def test_a_known_difference_is_shown(cloud: FakeMithril, imports: Imports) -> None:
    """What the service tells is compared from the first `up` on."""
    program = imports.take(a_task(cloud, num_instances=2))
    assert imports.plan({**WRITTEN, "num_instances": 2}) == "same"
    assert imports.plan(WRITTEN) == "replace"
    assert imports.plan({**program, "instance_type": "8xh100", "region": "us-central5-a"}) == "replace"
    assert imports.plan({**program, "max_price_per_hour": 21}) == "update"
    assert imports.plan({**program, "paused": True}) == "update"
    assert not cloud.mutations


def test_a_price_changes_in_place(cloud: FakeMithril, imports: Imports) -> None:
    """By one request; what is not recorded stays so."""
    program = imports.take(a_task(cloud))
    assert imports.up({**program, "max_price_per_hour": 21}) == "update"
    assert [(one.method, one.body) for one in cloud.mutations] == [("PATCH", {"limit_price": "$21.00"})]
    assert imports.up({**program, "max_price_per_hour": 21, "command": "python train.py"}) == "same"
    assert imports.up({**program, "max_price_per_hour": 22, "command": "python train.py"}) == "update"
    assert imports.plan({**program, "max_price_per_hour": 22, "command": "python other.py"}) == "replace"


def test_mounts_that_can_be_read_back_are_inputs(cloud: FakeMithril, imports: Imports) -> None:
    """Those of the Flow SDK: another volume or path is a change."""
    data = cloud.add_volume("data")
    program = imports.take(a_task(cloud, volumes=[mount(data, "/data")]))
    assert program["volumes"] == [{"volume_id": data["fid"], "mount_path": "/data"}]
    assert imports.plan(program) == "same"
    assert imports.plan({**program, "volumes": [{"volume_id": data["fid"], "mount_path": "/mnt/data"}]}) == "replace"


def test_mounts_that_cannot_be_read_back_are_compared_by_volume(cloud: FakeMithril, imports: Imports) -> None:
    """The path is the program's; another volume is a known difference."""
    data, other = cloud.add_volume("data"), cloud.add_volume("other")
    bid = cloud.add_bid("console", limit_price="$20.00", volumes=[data["fid"]])
    cloud.clear_requests()
    program = imports.take(bid["fid"])
    assert "volumes" not in program
    assert imports.plan(program) == "same"
    mounted = {**program, "volumes": [{"volume_id": data["fid"], "mount_path": "/data"}]}
    assert imports.plan({**program, "volumes": [{"volume_id": other["fid"], "mount_path": "/data"}]}) == "replace"
    assert imports.up(mounted) == imports.refresh() == "same"
    assert imports.plan({**mounted, "volumes": [{"volume_id": data["fid"], "mount_path": "/mnt/x"}]}) == "replace"
    assert not cloud.mutations


def test_ssh_keys_may_be_left_out(cloud: FakeMithril, imports: Imports) -> None:
    """Whether the key of the machines is the Flow SDK's own, nobody tells; another key is a change."""
    key, _ = cloud.add_ssh_key("laptop"), cloud.add_ssh_key("desk")
    bid = cloud.add_bid("console", limit_price="$20.00", ssh_keys=[key["fid"]])
    program = imports.take(bid["fid"])
    assert program["ssh_keys"] == ["laptop"]
    without = {name: value for name, value in program.items() if name != "ssh_keys"}
    assert imports.up(without) == imports.up(program) == "same"
    assert imports.plan({**program, "ssh_keys": [key["fid"]]}) == "same"
    assert imports.plan({**program, "ssh_keys": ["desk"]}) == "replace"


def test_a_paused_or_waiting_task_is_imported_as_it_is(cloud: FakeMithril, imports: Imports) -> None:
    """Nothing is resumed, and nothing is waited for."""
    paused, waiting = cloud.add_bid("paused"), cloud.add_bid("waiting", limit_price="$1.00")
    cloud.update_bid(paused["fid"], paused=True)
    cloud.clear_requests()
    program = imports.take(paused["fid"])
    assert program["paused"] is True
    assert imports.up(program) == "same"
    assert imports.plan({**program, "paused": False}) == "update"
    program = imports.take(waiting["fid"])
    assert imports.up(program) == "same"
    assert imports.recorded_outputs["status"] == "pending"
    assert not cloud.mutations


def test_what_this_package_placed_runs_its_command_at_every_boot(
    cloud: FakeMithril, stack: Stack, imports: Imports
) -> None:
    """The script tells it; so the program need not say it, and the other value is a change."""
    stack.up({"trainer": cluster(command="python train.py")})
    id_ = stack.state.pop("trainer").id
    program = imports.take(id_)
    assert program["run_on"] == "every_boot"
    assert imports.plan({**program, "command": "python train.py"}) == "same"
    assert imports.plan({**program, "command": "python train.py", "run_on": "first_boot"}) == "replace"


def test_destroy_ends_what_was_imported(cloud: FakeMithril, imports: Imports) -> None:
    """It is the stack's own from then on."""
    imports.take(a_task(cloud))
    imports.destroy()
    assert not cloud.live_bids


def test_an_import_records_no_secret(cloud: FakeMithril, imports: Imports) -> None:
    """The start-up script is read for mounts, and holds the environment."""
    data = cloud.add_volume("data")
    imports.take(a_task(cloud, volumes=[mount(data, "/data")]))
    assert SECRETS[0] not in str(imports.outputs) + str(imports.inputs)


def test_changes_that_are_ignored_stay_ignored(cloud: FakeMithril, imports: Imports) -> None:
    """With `ignore_changes=["*"]` the engine checks the recorded inputs; nothing takes a default meanwhile."""
    program = imports.take(a_task(cloud))
    imports.up(program)
    checked = imports.check(imports.inputs)
    assert wire.read(checked.inputs).values == imports.recorded_inputs


# -- volumes, keys, jobs -----------------------------------------------------------------------------------------------


def test_a_volume_is_imported_whole(cloud: FakeMithril, imports: Imports) -> None:
    """With its name, which a change renames, and a program may leave out."""
    imports.kind = "Volume"
    volume = cloud.add_volume("shared-data", size_gb=300)
    cloud.clear_requests()
    program = imports.take(volume["fid"])
    assert program == {"size_gb": 300, "interface": "file", "region": REGION, "volume_name": "shared-data"}
    assert imports.plan(program) == imports.up(program) == imports.refresh() == "same"
    assert imports.plan({"size_gb": 300, "region": REGION}) == "same"
    assert imports.plan({**program, "volume_name": "renamed"}) == "update"
    assert not cloud.mutations
    with pytest.raises(AssertionError, match="cannot change from 300 without a new volume"):
        imports.plan({**program, "size_gb": 400})


def test_a_volume_whose_name_no_program_can_choose_is_imported_without(cloud: FakeMithril, imports: Imports) -> None:
    """So that its name is left as it is."""
    imports.kind = "Volume"
    program = imports.take(cloud.add_volume("d")["fid"])
    assert "volume_name" not in program
    assert imports.up(program) == imports.refresh() == "same"


def test_an_ssh_key_is_imported_and_never_deleted(cloud: FakeMithril, imports: Imports) -> None:
    """Whether this stack made it is not known."""
    imports.kind = "SshKey"
    key = cloud.add_ssh_key("laptop")
    program = imports.take(key["fid"])
    assert list(program) == ["public_key"]
    assert imports.up(program) == imports.refresh() == "same"
    assert imports.plan({"public_key": f"{program['public_key']} me@laptop", "key_name": "laptop"}) == "same"
    imports.destroy()
    assert [one["fid"] for one in cloud.ssh_keys] == [key["fid"]]


def test_a_job_is_imported_while_it_lives(cloud: FakeMithril, stack: Stack, imports: Imports) -> None:
    """What it runs nobody tells: the program need not say it, and what it says first is taken for it."""
    stack.up({"training": job()})
    id_ = stack.state.pop("training").id
    imports.kind = "Job"
    program = imports.take(id_)
    assert not {"command", "script"} & set(program)
    assert imports.up(program) == imports.refresh() == imports.plan(program) == "same"
    assert imports.up({**program, "command": "python train.py", "on_failure": "keep"}) == "same"
    assert imports.plan({**program, "command": "python other.py", "on_failure": "keep"}) == "replace"
    imports.destroy()
    assert not cloud.live_bids


# -- what is refused ---------------------------------------------------------------------------------------------------


def refusal(imports: Imports, id_: str) -> str:
    """Return the line with which an import ends."""
    with pytest.raises(Aborted) as aborted:
        imports.take(id_)
    assert "\n" not in str(aborted.value)
    return str(aborted.value)


def test_an_id_that_is_not_there(cloud: FakeMithril, imports: Imports) -> None:
    """With the command that shows those that are."""
    assert refusal(imports, "bid_nowhere").startswith("there is no task bid_nowhere in project ")
    assert refusal(imports, "bid_nowhere").endswith(": `flow status` shows them")
    assert refusal(imports, "vol_1") == "'vol_1' is not the id of a task: one is like bid_..."
    imports.kind = "Volume"
    assert refusal(imports, "vol_nowhere").endswith(": `flow volume list` shows them")
    imports.kind = "SshKey"
    assert refusal(imports, "sshkey_nowhere").endswith(": `flow ssh-key list` shows them")
    imports.kind = "FleetStatus"
    assert refusal(imports, "fleet_1").endswith(": import the members, which are GpuClusters")


def test_a_task_that_has_ended(cloud: FakeMithril, imports: Imports) -> None:
    """It is told apart from one that was never there."""
    bid = cloud.add_bid("ended")
    cloud.terminate(bid["fid"])
    assert refusal(imports, bid["fid"]).startswith(f"the bid {bid['fid']} has ended: ")


def test_a_task_of_another_project(cloud: FakeMithril, imports: Imports) -> None:
    """Both are named."""
    other = cloud.add_project("research", keys=[cloud.key])
    bid = cloud.add_bid("theirs", project=other["fid"])
    line = refusal(imports, bid["fid"])
    assert line.startswith(f"the bid {bid['fid']} is in project {other['fid']}, but the settings point at ")
    assert line.endswith("set flow:project (`project` of a provider) or MITHRIL_PROJECT to its project")


def test_what_a_state_records_already(cloud: FakeMithril, stack: Stack, imports: Imports) -> None:
    """In this stack or another one: two resources could end one bid."""
    stack.up({"trainer": cluster()})
    id_ = stack.state["trainer"].id
    line = refusal(imports, id_)
    assert line.startswith(f"{id_} is not imported: the state of this stack records it already")
    imports.begin()
    stack.other_states["acme/research/dev"], stack.state = stack.export(), {}
    assert "the state of the stack acme/research/dev records it already" in refusal(imports, id_)


def test_a_state_that_cannot_be_read_stops_an_import(
    cloud: FakeMithril, stack: Stack, imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of this stack or of another one: two resources could end one bid."""
    id_ = a_task(cloud)
    stack.other_states["acme/research/dev"] = None
    line = refusal(imports, id_)
    assert line.startswith(f"{id_} is not imported: whether the state of another stack records it already could not be")
    assert line.endswith("let `pulumi stack export` work for every stack of the backend")
    stack.other_states.clear()
    imports.begin()
    assert imports.take(id_)
    monkeypatch.setattr(ModelBackend, "stack_names", lambda *_: None)
    imports.begin()
    line = refusal(imports, id_)
    assert line.startswith(f"{id_} is not imported: whether this stack's state records it already could not be found")


def test_a_task_is_no_job_and_a_job_no_cluster(cloud: FakeMithril, stack: Stack, imports: Imports) -> None:
    """Each line names the other type."""
    stack.up({"training": job()})
    assert refusal(imports, _forget(stack, "training")).endswith("import it as a Job")
    imports.kind = "Job"
    assert refusal(imports, a_task(cloud)).endswith("import it as a GpuCluster")


def _forget(stack: Stack, name: str) -> str:
    return stack.state.pop(name).id


def test_a_stack_whose_owner_is_not_known_imports_nothing(cloud: FakeMithril, imports: Imports) -> None:
    """A mark of nobody would be recorded."""
    imports.settings = _by_name(settings_of(cloud))
    imports.states = ModelBackend(Stack({}, owner="acme/other/dev"))
    imports.begin()
    assert "is not imported: whose resource this is is not known" in refusal(imports, a_task(cloud))
