"""The calls of the provider protocol: what goes over the wire, and what a plugin finds out that no program tells it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from google.protobuf import empty_pb2, json_format
from pulumi.runtime import rpc
from pulumi.runtime.proto import plugin_pb2, provider_pb2
from support.plugin_host import configured
from support.stack import Aborted, Context, FakeClock, SkippingClock, cluster, settings_of, volume

from flow_resources.clock import Clock, InterruptibleClock
from flow_resources.core.inputs import UNKNOWN
from flow_resources.core.naming import Mark
from flow_resources.host import EngineLink
from flow_resources.plugin import servicer as servicer_module
from flow_resources.plugin import wire
from flow_resources.plugin.servicer import FlowServicer
from flow_resources.testing import MANUAL, FakeMithril

STACK = "urn:pulumi:dev::training::"
PROVIDER = f"{STACK}pulumi:providers:flow::default"
CLUSTER = f"{STACK}flow:index:GpuCluster::trainer"
VOLUME = f"{STACK}flow:index:Volume::data"
CANARY = "canary-of-a-secret"


def urn_of(kind: str, name: str) -> str:
    return f"{STACK}flow:index:{kind}::{name}"


class Backend:
    """The backend of a stack, with what it is asked."""

    def __init__(self, *rows: dict[str, Any], names: list[str] | None = None) -> None:
        self.names: list[str] | None = ["acme/training/dev"] if names is None else names
        self.rows, self.making, self.asked = list(rows), list[str](), list[str]()
        self.is_readable = True

    def stack_names(self, report: Any) -> list[str] | None:
        self.asked.append("names")
        return self.names

    def state(self, stack: str, report: Any) -> Any | None:
        self.asked.append(stack)
        pending = [{"type": "creating", "resource": {"urn": urn}} for urn in self.making]
        return {"deployment": {"resources": self.rows, "pending_operations": pending}} if self.is_readable else None

    def history(self, stack: str, report: Any) -> Any | None:
        return None


class Plugin:
    """A plugin that an engine has configured, and the calls of that engine."""

    started: ClassVar[list[FlowServicer]] = []

    def __init__(
        self,
        cloud: FakeMithril,
        backend: Backend | None = None,
        clock: Clock | None = None,
        urn: str = PROVIDER,
        **config: Any,
    ) -> None:
        self.id, self.cloud = str(uuid.uuid4()), cloud
        self.backend = backend or Backend()
        self.backend.rows.append({"urn": urn, "id": self.id})
        settings = {**settings_of(cloud), **{f"flow:{key}": value for key, value in config.items()}}
        self.servicer = configured(settings, self.backend, clock or SkippingClock(), urn, self.id, Context())
        self.started.append(self.servicer)

    def check(self, urn: str, news: dict[str, Any], olds: dict[str, Any] | None = None) -> Any:
        request = provider_pb2.CheckRequest(urn=urn, news=sent(news), olds=sent(olds or {}))
        return self.servicer.Check(request, Context())

    def inputs(self, urn: str, news: dict[str, Any], olds: dict[str, Any] | None = None) -> Any:
        response = self.check(urn, news, olds)
        assert not response.failures, response.failures
        return response.inputs

    def create(self, urn: str, inputs: Any, context: Context | None = None, **fields: Any) -> Any:
        self.backend.making.append(urn)
        request = provider_pb2.CreateRequest(urn=urn, properties=inputs, **fields)
        try:
            return self.servicer.Create(request, context or Context())
        finally:
            self.backend.making.remove(urn)

    def made(self, urn: str, news: dict[str, Any]) -> tuple[str, Any, Any]:
        """Return id, inputs and outputs of what is made."""
        inputs = self.inputs(urn, news)
        response = self.create(urn, inputs)
        return response.id, inputs, response.properties


def sent(values: dict[str, Any]) -> Any:
    """Return a Struct, with what is marked secret as it is."""
    return json_format.ParseDict(values, wire.write({}))


def secret(value: Any) -> dict[str, Any]:
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}


def told(struct: Any) -> dict[str, Any]:
    return wire.read(struct).values


def partial(context: Context) -> Any:
    """Return what "made, but not ready" tells the engine."""
    found = provider_pb2.ErrorResourceInitFailed()
    (detail,) = context.status().details
    assert detail.Unpack(found)
    return found


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    """Close the connections of all plugins."""
    yield
    while Plugin.started:
        Plugin.started.pop().deployment.close()


@pytest.fixture
def plugin(cloud: FakeMithril) -> Plugin:
    """A plugin on the fake."""
    return Plugin(cloud)


WANTED = cluster().inputs


# -- secrets and unknown values ----------------------------------------------------------------------------------------


def test_what_comes_in_secret_leaves_secret(plugin: Plugin, cloud: FakeMithril) -> None:
    """In the inputs and outputs of every verb; `env` always, whichever way it came. The service gets it in clear."""
    news = {**WANTED, "command": secret(f"train {CANARY}"), "env": {"TOKEN": "x"}}
    id_, inputs, outputs = plugin.made(CLUSTER, news)
    assert wire.read(inputs).secrets == wire.read(outputs).secrets == {"command", "env"}
    assert wire.read(outputs).values["env"] == {"TOKEN": "x"}
    request = provider_pb2.ReadRequest(urn=CLUSTER, id=id_, properties=outputs, inputs=inputs)
    live = plugin.servicer.Read(request, Context())
    assert wire.read(live.properties).secrets == wire.read(live.inputs).secrets == {"command", "env"}
    new = plugin.inputs(CLUSTER, {**news, "max_price_per_hour": 45.0}, json_format.MessageToDict(inputs))
    update = provider_pb2.UpdateRequest(urn=CLUSTER, id=id_, olds=outputs, news=new, old_inputs=inputs)
    assert wire.read(plugin.servicer.Update(update, Context()).properties).secrets == {"command", "env"}
    assert cloud.bid(id_)["limit_price"] == "$45.00"


def test_an_output_that_the_program_makes_secret_stays_it(plugin: Plugin) -> None:
    """`additional_secret_outputs`: a refresh and a preview return it as it was."""
    id_, inputs, outputs = plugin.made(CLUSTER, WANTED)
    recorded = json_format.MessageToDict(outputs)
    recorded["task_id"] = secret(recorded["task_id"])
    request = provider_pb2.ReadRequest(urn=CLUSTER, id=id_, properties=sent(recorded), inputs=inputs)
    assert "task_id" in wire.read(plugin.servicer.Read(request, Context()).properties).secrets
    update = provider_pb2.UpdateRequest(
        urn=CLUSTER, id=id_, olds=sent(recorded), news=inputs, old_inputs=inputs, preview=True
    )
    assert "task_id" in wire.read(plugin.servicer.Update(update, Context()).properties).secrets


def test_a_secret_that_the_service_echoes_is_not_repeated(plugin: Plugin, cloud: FakeMithril) -> None:
    """Also one that no field is known to hold."""
    image = f"docker.io/{CANARY}/it:1"
    cloud.faults.add(method="POST", path=r"/v2/spot/bids$", status=422, body={"detail": f"bad image {image}"})
    inputs = plugin.inputs(CLUSTER, {**WANTED, "image": secret(image)})
    with pytest.raises(Aborted) as failed:
        plugin.create(CLUSTER, inputs)
    assert "bad image" in str(failed.value)
    assert CANARY not in str(failed.value)


def test_a_failure_shows_no_secret(plugin: Plugin) -> None:
    """Nor its path, whose value the engine would show."""
    news = {**WANTED, "image": secret(CANARY), "ports": [secret(99999)]}
    failures = {one.reason.partition(" ")[0]: one for one in plugin.check(CLUSTER, news).failures}
    assert set(failures) == {"image", "ports[0]"}
    assert not any(one.property for one in failures.values())
    assert CANARY not in str(failures)


def test_unknown_inputs_pass_a_check_and_stay_unknown(plugin: Plugin) -> None:
    """However deep."""
    mounts = [{"volume_id": rpc.UNKNOWN, "mount_path": "/data"}]
    inputs = told(plugin.inputs(CLUSTER, {**WANTED, "image": rpc.UNKNOWN, "volumes": mounts}))
    assert inputs["image"] is UNKNOWN
    assert inputs["volumes"][0]["volume_id"] is UNKNOWN


# -- previews ----------------------------------------------------------------------------------------------------------


def test_the_preview_of_a_create_returns_what_is_known_and_sends_nothing_that_changes(
    plugin: Plugin, cloud: FakeMithril
) -> None:
    """The inputs, and what they cost at most."""
    inputs = plugin.inputs(CLUSTER, {**WANTED, "num_instances": 2, "env": {"A": "x"}})
    response = plugin.create(CLUSTER, inputs, preview=True)
    known = wire.read(response.properties)
    assert (response.id, known.secrets) == ("", {"env"})
    expected = {"region": "us-central5-a", "max_price_per_hour": 50.0, "max_cost_per_hour": 100.0, "num_instances": 2}
    assert expected.items() <= known.values.items()
    for name in ("task_id", "task_name", "status", "public_ips", "created_at"):
        assert known.values[name] is UNKNOWN
    assert not cloud.mutations


def test_the_preview_of_an_update_keeps_what_no_update_changes(plugin: Plugin, cloud: FakeMithril) -> None:
    """Its id is known to who depends on it; its status is not."""
    id_, inputs, outputs = plugin.made(CLUSTER, WANTED)
    cloud.clear_requests()
    new = plugin.inputs(CLUSTER, {**WANTED, "max_price_per_hour": 45.0}, json_format.MessageToDict(inputs))
    request = provider_pb2.UpdateRequest(urn=CLUSTER, id=id_, olds=outputs, news=new, old_inputs=inputs, preview=True)
    known = told(plugin.servicer.Update(request, Context()).properties)
    assert (known["task_id"], known["project"], known["max_price_per_hour"]) == (id_, told(outputs)["project"], 45.0)
    assert known["status"] is known["instances"] is UNKNOWN
    assert not cloud.mutations


@pytest.mark.parametrize("kind", ["GpuCluster", "Volume", "Job", "SshKey", "FleetStatus"])
def test_a_preview_of_each_kind_needs_no_service(kind: str, cloud: FakeMithril) -> None:
    """Nor any input."""
    plugin = Plugin(cloud)
    plugin.create(urn_of(kind, "it"), wire.write({}), preview=True)
    request = provider_pb2.UpdateRequest(urn=urn_of(kind, "it"), id="x", preview=True)
    plugin.servicer.Update(request, Context())
    assert not cloud.requests


# -- how a verb ends ---------------------------------------------------------------------------------------------------


def test_what_is_made_but_not_ready_is_recorded_whole(cloud: FakeMithril) -> None:
    """With its id, inputs and outputs, and the reason in one line; the next update goes on."""
    plugin = Plugin(cloud, clock=FakeClock())
    cloud.set_options(boot_seconds=MANUAL)
    inputs, context = plugin.inputs(CLUSTER, {**WANTED, "env": {"A": "x"}}), Context()
    with pytest.raises(Aborted, match="0/1 machines running"):
        plugin.create(CLUSTER, inputs, context, timeout=60.0)
    found = partial(context)
    assert found.id == cloud.live_bids[0]["fid"]
    assert (found.inputs, wire.read(found.properties).secrets) == (inputs, {"env"})
    assert list(found.reasons) == [context.status().message]
    cloud.finish("boot")
    update = provider_pb2.UpdateRequest(
        urn=CLUSTER, id=found.id, olds=found.properties, news=inputs, old_inputs=found.inputs
    )
    assert told(plugin.servicer.Update(update, Context()).properties)["status"] == "running"


def test_custom_timeouts_reach_the_verb(cloud: FakeMithril) -> None:
    """In seconds."""
    clock = FakeClock()
    plugin = Plugin(cloud, clock=clock)
    cloud.set_options(boot_seconds=MANUAL)
    inputs, begun = plugin.inputs(CLUSTER, WANTED), clock.time
    with pytest.raises(Aborted):
        plugin.create(CLUSTER, inputs, timeout=90.0)
    assert 90.0 <= clock.time - begun < 100.0


def test_a_mistake_of_ours_is_one_line_without_a_secret(plugin: Plugin, mocker: Any) -> None:
    """It says where more is to be had."""
    inputs, context = plugin.inputs(CLUSTER, {**WANTED, "env": {"TOKEN": CANARY}}), Context()
    mocker.patch.object(servicer_module.verbs, "create", side_effect=KeyError(f"{CANARY}\nline"))
    plugin.servicer._read(inputs)
    with pytest.raises(Aborted, match="internal error of flow_resources, please report it with what `--debug` prints"):
        plugin.create(CLUSTER, inputs, context)
    assert context.status() is None


@pytest.mark.parametrize("type_", ["flow:index:Cluster", "flow:GpuCluster", "aws:s3:Bucket"])
def test_another_type_is_refused_with_those_that_exist(plugin: Plugin, type_: str) -> None:
    """By every verb: it is asked for in the first place."""
    with pytest.raises(Aborted, match=f"there is no resource {type_}: there are .*flow:index:GpuCluster"):
        plugin.check(f"{STACK}{type_}::it", {})


def test_all_failures_come_with_their_paths(plugin: Plugin) -> None:
    """A misspelt property is named, with the one that it looks like; no value of a sensitive one is shown."""
    news = {**WANTED, "num_instance": 2, "ports": [8080, 99999], "env": {"bad name": CANARY}}
    failures = {one.property: one.reason for one in plugin.check(CLUSTER, news).failures}
    assert set(failures) == {"num_instance", "ports[1]", "env.bad name"}
    assert "num_instances" in failures["num_instance"]
    assert CANARY not in str(failures)


# -- interruption ------------------------------------------------------------------------------------------------------


def wait_until(is_true: Callable[[], bool]) -> None:
    """Wait for what another thread does, looking often."""
    for _ in range(6000):
        if is_true():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came to be")


def test_an_interrupted_wait_ends_at_once_and_what_was_made_is_recorded(cloud: FakeMithril) -> None:
    """Machines boot for an hour: nobody waits for them, nothing is ended, nothing is sent twice."""
    plugin, context = Plugin(cloud, clock=InterruptibleClock()), Context()
    cloud.set_options(boot_seconds=MANUAL)
    inputs = plugin.inputs(CLUSTER, WANTED)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(plugin.create, CLUSTER, inputs, context, timeout=60.0)
        wait_until(lambda: any(one.path.endswith("/v2/instances") for one in cloud.requests))
        plugin.servicer.Cancel(empty_pb2.Empty(), Context())
        with pytest.raises(Aborted, match="interrupted: 0/1 machines running"):
            waiting.result(timeout=10)
    assert partial(context).id == cloud.live_bids[0]["fid"]
    assert [one.method for one in cloud.mutations if one.path.endswith("/bids")] == ["POST"]


def test_an_interrupted_delete_ends_at_once_and_the_state_keeps_it(cloud: FakeMithril) -> None:
    """It waits for who holds the volume."""
    plugin = Plugin(cloud, clock=InterruptibleClock())
    id_, _, outputs = plugin.made(VOLUME, volume().inputs)
    cloud.add_bid("somebody-else", volumes=[id_])
    with ThreadPoolExecutor() as pool:
        request = provider_pb2.DeleteRequest(urn=VOLUME, id=id_, properties=outputs, timeout=60.0)
        waiting = pool.submit(plugin.servicer.Delete, request, Context())
        wait_until(lambda: sum(one.path.endswith("/v2/volumes") for one in cloud.requests) > 3)
        plugin.servicer.Cancel(empty_pb2.Empty(), Context())
        with pytest.raises(Aborted, match="could not be deleted"):
            waiting.result(timeout=10)
    assert [one["fid"] for one in cloud.volumes] == [id_]


def test_an_interrupted_retry_is_the_last(cloud: FakeMithril) -> None:
    """A service that is away is not waited for, either; what a lost answer may have made the next `up` finds."""
    plugin = Plugin(cloud, clock=InterruptibleClock())
    inputs = plugin.inputs(CLUSTER, WANTED)
    cloud.faults.add(status=503, times=None)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(plugin.create, CLUSTER, inputs, timeout=60.0)
        wait_until(lambda: len(cloud.requests) > 8)
        plugin.servicer.Cancel(empty_pb2.Empty(), Context())
        with pytest.raises(Aborted):
            waiting.result(timeout=10)
    assert not cloud.live_bids


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
def test_after_an_interruption_nothing_is_begun(plugin: Plugin, cloud: FakeMithril, verb: str) -> None:
    """A call that comes with it."""
    id_, inputs, outputs = plugin.made(VOLUME, volume().inputs)
    other = plugin.inputs(urn_of("Volume", "other"), volume().inputs)
    cloud.clear_requests()
    plugin.servicer.Cancel(empty_pb2.Empty(), Context())
    update = provider_pb2.UpdateRequest(urn=VOLUME, id=id_, olds=outputs, news=inputs, old_inputs=inputs)
    delete = provider_pb2.DeleteRequest(urn=VOLUME, id=id_, properties=outputs)
    calls = {
        "create": lambda: plugin.create(urn_of("Volume", "other"), other),
        "update": lambda: plugin.servicer.Update(update, Context()),
        "delete": lambda: plugin.servicer.Delete(delete, Context()),
    }
    with pytest.raises(Aborted, match="interrupted before it began: nothing was touched"):
        calls[verb]()
    assert not cloud.requests


# -- what is known -----------------------------------------------------------------------------------------------------


def owner_in(inputs: Any) -> str:
    return str(told(inputs)["__mark"])


def test_the_owner_is_the_stack_by_the_list_of_the_backend(plugin: Plugin) -> None:
    """Its organization stands in no URN."""
    assert owner_in(plugin.inputs(CLUSTER, WANTED)) == str(Mark.of("acme/training/dev", CLUSTER))


def test_a_configured_owner_needs_no_backend_to_be_known(cloud: FakeMithril) -> None:
    """Nor one that answers."""
    backend = Backend()
    backend.names, backend.is_readable = None, False
    plugin = Plugin(cloud, backend, owner="team")
    assert owner_in(plugin.inputs(CLUSTER, WANTED)) == str(Mark.of("team", CLUSTER))


@pytest.mark.parametrize("case", ["no answer", "another stack", "two organizations", "no state", "another backend"])
def test_without_a_known_owner_nothing_is_made(cloud: FakeMithril, case: str) -> None:
    """The failure says what to do."""
    plugin = Plugin(cloud)
    backend = plugin.backend
    backend.names = {
        "no answer": None,
        "another stack": ["acme/training/prod"],
        "two organizations": ["acme/training/dev", "other/training/dev"],
    }.get(case, backend.names)
    backend.is_readable = case != "no state"
    if case == "another backend":  # a stack of the name, without the provider that the engine has made
        backend.rows[:] = [{"urn": PROVIDER, "id": str(uuid.uuid4())}]
    (failure,) = plugin.check(CLUSTER, WANTED).failures
    assert failure.reason.startswith("whose resource this is is not known")
    assert "set flow:owner" in failure.reason


def test_a_preview_of_a_new_stack_takes_the_stack_of_the_name(cloud: FakeMithril) -> None:
    """Its provider has no id yet, which is how a plugin knows that it is one."""
    plugin = Plugin(cloud)
    plugin.backend.rows.clear()
    request = provider_pb2.ConfigureRequest(urn=PROVIDER, id=rpc.UNKNOWN, args=wire.write(plain(cloud)))
    fresh = FlowServicer(EngineLink(), plugin.backend, SkippingClock())
    Plugin.started.append(fresh)
    fresh.Configure(request, Context())
    assert fresh.deployment.ledger.is_preview
    response = fresh.Check(provider_pb2.CheckRequest(urn=CLUSTER, news=wire.write(WANTED)), Context())
    assert owner_in(response.inputs) == str(Mark.of("acme/training/dev", CLUSTER))


def plain(cloud: FakeMithril) -> dict[str, str]:
    return {key.removeprefix("flow:"): value for key, value in settings_of(cloud).items()}


def test_a_recorded_mark_needs_no_owner_and_no_backend(plugin: Plugin) -> None:
    """An unchanged stack is not read: it would take a second."""
    _, inputs, _ = plugin.made(CLUSTER, WANTED)
    plugin.backend.asked.clear()
    again = Plugin(plugin.cloud, plugin.backend).inputs(CLUSTER, WANTED, json_format.MessageToDict(inputs))
    assert again == inputs
    assert not plugin.backend.asked


def test_the_backend_is_asked_once_for_all_that_is_new(plugin: Plugin) -> None:
    """Each question takes a second."""
    for number in range(5):
        plugin.inputs(urn_of("GpuCluster", f"it-{number}"), WANTED)
    assert plugin.backend.asked == ["names", "acme/training/dev"]


@pytest.mark.parametrize("is_told", [True, False])
def test_a_volume_is_new_only_where_the_state_is_certainly_this_stacks(cloud: FakeMithril, is_told: bool) -> None:
    """Pulumi asks for a forced replacement as for a first create: a state that may be another's proves nothing."""
    plugin = Plugin(cloud, owner="team")
    if not is_told:
        plugin.backend.rows.clear()
    failures = [one.property for one in plugin.check(VOLUME, volume().inputs).failures]
    assert failures == ([] if is_told else ["allow_replace"])


def test_a_forced_replacement_of_a_volume_is_refused(cloud: FakeMithril) -> None:
    """The stored state holds it, and the check is told of nothing."""
    plugin = Plugin(cloud)
    id_, _, outputs = plugin.made(VOLUME, volume().inputs)
    plugin.backend.rows.append({"urn": VOLUME, "id": id_, "outputs": json_format.MessageToDict(outputs)})
    plugin.servicer.deployment.ledger.stored._own.clear()
    later = Plugin(cloud, plugin.backend)
    (failure,) = later.check(VOLUME, volume().inputs).failures
    assert (failure.property, id_ in failure.reason) == ("allow_replace", True)


def test_hidden_inputs_of_a_program_are_not_believed(plugin: Plugin) -> None:
    """Whose a resource is, no property of a program says."""
    news = {**WANTED, "__owner": "somebody/else/dev", "__urn": "urn:other", "__recorded": "bid_9@"}
    assert owner_in(plugin.inputs(CLUSTER, news)) == str(Mark.of("acme/training/dev", CLUSTER))
    plugin.backend.names = None
    (failure,) = Plugin(plugin.cloud, plugin.backend).check(CLUSTER, news).failures
    assert failure.reason.startswith("whose resource this is is not known")


def test_what_a_program_ignores_is_compared_as_it_is_recorded(plugin: Plugin, cloud: FakeMithril) -> None:
    """Whatever check has made of it, of which the engine tells it nothing; nothing is sent."""
    id_, inputs, outputs = plugin.made(CLUSTER, WANTED)
    changed = sent({**json_format.MessageToDict(inputs), "max_price_per_hour": 45.0})
    common = {"urn": CLUSTER, "id": id_, "olds": outputs, "news": changed, "old_inputs": inputs}
    ignored = {"ignoreChanges": ["max_price_per_hour"]}
    diff = plugin.servicer.Diff(provider_pb2.DiffRequest(**common), Context())
    assert diff.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(diff.detailedDiff) == list(diff.diffs) == ["max_price_per_hour"]
    diff = plugin.servicer.Diff(provider_pb2.DiffRequest(**common, **ignored), Context())
    assert diff.changes == provider_pb2.DiffResponse.DIFF_NONE
    cloud.clear_requests()
    plugin.servicer.Update(provider_pb2.UpdateRequest(**common, **ignored), Context())
    assert not cloud.mutations


@pytest.mark.parametrize(
    ("urn", "inputs", "is_first"),
    [
        (CLUSTER, WANTED, True),
        (VOLUME, volume().inputs, False),
        (VOLUME, volume(volume_name="corpus").inputs, True),  # two cannot have one name
    ],
)
def test_a_replacement_deletes_first_what_must_not_stand_twice(
    plugin: Plugin, urn: str, inputs: dict[str, Any], is_first: bool
) -> None:
    """Where the program does not say: two paid clusters are never wanted by accident, and data can be copied."""
    id_, news, outputs = plugin.made(urn, inputs)
    request = provider_pb2.DiffRequest(urn=urn, id=id_, olds=outputs, news=news, old_inputs=news)
    assert plugin.servicer.Diff(request, Context()).deleteBeforeReplace is is_first


def test_a_state_from_the_dynamic_host_is_read_without_its_provider(plugin: Plugin) -> None:
    """The pickled provider is no property of the resource."""
    id_, inputs, outputs = plugin.made(CLUSTER, WANTED)
    moved = {**json_format.MessageToDict(outputs), "__provider": "gASVx"}
    request = provider_pb2.ReadRequest(urn=CLUSTER, id=id_, properties=sent(moved), inputs=inputs)
    live = plugin.servicer.Read(request, Context())
    assert "__provider" not in told(live.properties)
    assert told(live.properties) == told(outputs)


def test_what_is_gone_has_no_id(plugin: Plugin, cloud: FakeMithril) -> None:
    """So the engine drops it."""
    id_, inputs, outputs = plugin.made(CLUSTER, WANTED)
    cloud.terminate(id_)
    request = provider_pb2.ReadRequest(urn=CLUSTER, id=id_, properties=outputs, inputs=inputs)
    assert plugin.servicer.Read(request, Context()) == provider_pb2.ReadResponse()


# -- the plugin itself -------------------------------------------------------------------------------------------------


def test_two_providers_share_nothing(cloud: FakeMithril) -> None:
    """Each has its own settings, budget and memory; in one process too."""
    small, large = Plugin(cloud, maxCostPerHour="60"), Plugin(cloud, maxCostPerHour="500")
    two = {**WANTED, "num_instances": 2}
    assert not large.check(urn_of("GpuCluster", "a"), two).failures
    assert not large.check(urn_of("GpuCluster", "b"), two).failures
    assert not small.check(urn_of("GpuCluster", "c"), WANTED).failures
    (failure,) = small.check(urn_of("GpuCluster", "d"), WANTED).failures
    assert "exceeds the stack's budget flow:maxCostPerHour of $60.00/h" in failure.reason


def test_the_budget_of_an_explicit_provider_is_called_its_own(cloud: FakeMithril) -> None:
    """And the remedy is what its program says."""
    plugin = Plugin(cloud, urn=f"{STACK}pulumi:providers:flow::default-west", max_cost_per_hour="40")
    (failure,) = plugin.check(urn_of("GpuCluster", "a"), WANTED).failures
    assert "exceeds the provider's budget max_cost_per_hour of $40.00/h" in failure.reason
    assert "raise max_cost_per_hour of the provider" in failure.reason


def test_hundreds_of_checks_run_at_once(plugin: Plugin) -> None:
    """Each in a thread; the budget and the mark are each one's own."""
    with ThreadPoolExecutor(200) as pool:
        urns = [urn_of("GpuCluster", f"it-{number}") for number in range(200)]
        marks = list(pool.map(lambda urn: owner_in(plugin.inputs(urn, WANTED)), urns))
    assert marks == [str(Mark.of("acme/training/dev", urn)) for urn in urns]


def test_it_says_what_it_is_and_understands(plugin: Plugin) -> None:
    """Secrets come as such; its version is that of the package; its schema is JSON."""
    handshake = plugin.servicer.Handshake(provider_pb2.ProviderHandshakeRequest(), Context())
    assert handshake.accept_secrets
    info = plugin.servicer.GetPluginInfo(empty_pb2.Empty(), Context())
    assert info.version == json.loads(plugin.servicer.GetSchema(provider_pb2.GetSchemaRequest(), Context()).schema).get(
        "version", info.version
    )


def test_it_can_be_attached_to_an_engine(plugin: Plugin, mocker: Any) -> None:
    """As a debugger wants it: the engine tells the address only then."""
    link = mocker.patch.object(servicer_module, "EngineLink")
    plugin.servicer.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"), Context())
    link.assert_called_once_with("127.0.0.1:1")
    link.return_value.end_with_the_engine.assert_called_once_with()
