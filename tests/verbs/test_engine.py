"""What depends on internals of Pulumi: each with the internal present, and with it missing."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from pulumi.dynamic import CreateResult
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2
from support.stack import CheckError, Context, Create, Stack, cluster, settings_of, volume

from flow_resources import engine, program
from flow_resources.core.inputs import UNKNOWN
from flow_resources.errors import RejectedError
from flow_resources.host import EngineLink, EngineReport
from flow_resources.lifecycle.verbs import Result
from flow_resources.providers.base import _operation, _record_if_not_ready
from flow_resources.providers.cluster import GpuClusterProvider
from flow_resources.testing import FakeMithril


class Listener(engine_pb2_grpc.EngineServicer):
    """An engine that records logs."""

    def __init__(self) -> None:
        self.logs: list[Any] = []
        self.stop: Callable[[], Any] = lambda: None

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802
        from google.protobuf import empty_pb2

        self.logs.append(request)
        return empty_pb2.Empty()


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An engine at an address, as the host gets it in argv."""
    server, engine_double = grpc.server(ThreadPoolExecutor(2)), Listener()
    engine_pb2_grpc.add_EngineServicer_to_server(engine_double, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    engine_double.stop = lambda: server.stop(0).wait()
    monkeypatch.setattr(sys, "argv", ["plugin", f"127.0.0.1:{port}"])
    clear_engine_caches()
    yield engine_double
    clear_engine_caches()
    engine_double.stop()


def clear_engine_caches() -> None:
    for cached in (engine.link, engine.end_with_the_engine):
        cached.cache_clear()


def in_a_verb(function: Any, *, timeout: float = 0.0, context: Any = None, **fields: Any) -> Any:
    """Call a function with the operation and the call of a verb, as a method of a provider does."""
    request = SimpleNamespace(urn="urn:pulumi:s::p::t::trainer", timeout=timeout, **fields)

    def verb(_: Any) -> Any:
        with _operation("create") as (op, call):
            return function(op, call)

    return Create(None, verb, request, context or Context())


def return_not_ready(id_: str, outputs: dict[str, Any], props: dict[str, Any], reason: str) -> Any:
    """Return a create that ends with a resource that is not ready."""

    def verb(op: Any, call: Any) -> Any:
        result = Result(id_, outputs, reason)
        _record_if_not_ready(op, call, result, props)
        return CreateResult(result.id, result.outputs)

    return verb


def test_progress_and_warnings_reach_the_row_of_the_resource(listener: Listener) -> None:
    """Progress is ephemeral, a warning is not; both have the URN."""

    def send_report(op: Any, _call: Any) -> None:
        op.report.progress("2/4 machines running")
        op.report.progress("2/4 machines running")  # as each poll does; shown once
        op.report.warn("under the market")

    in_a_verb(send_report)
    assert [(log.message, log.urn, log.ephemeral) for log in listener.logs] == [
        ("2/4 machines running", "urn:pulumi:s::p::t::trainer", True),
        ("under the market", "urn:pulumi:s::p::t::trainer", False),
    ]


@pytest.mark.parametrize("argv", [["plugin"], ["plugin", "nonsense"], ["plugin", "127.0.0.1:1"]])
def test_without_an_engine_that_listens_warnings_go_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    """And nothing fails."""
    monkeypatch.setattr(sys, "argv", argv)
    clear_engine_caches()
    report = EngineReport(None, engine.link())
    report.progress("lost")
    report.warn("kept")
    clear_engine_caches()
    captured = capsys.readouterr()
    assert captured.err == "warning: kept\n"
    assert captured.out == ""


def test_the_call_is_found_in_the_hosts_frame() -> None:
    """The URN and the custom timeout; zero means none."""
    assert in_a_verb(lambda op, _: op.timeout, timeout=90.0) == 90.0
    assert in_a_verb(lambda op, _: op.timeout) is None
    assert in_a_verb(lambda op, _: op.urn) == "urn:pulumi:s::p::t::trainer"


def test_without_the_hosts_frame_a_verb_runs_with_the_defaults() -> None:
    """Without a URN and a time limit."""
    with _operation("create") as (op, call):
        assert (op.urn, op.timeout, call) == (None, None, engine.Call())


def test_what_the_program_ignores_is_found_in_the_hosts_frame() -> None:
    """By the path of a property, or all of them; an engine that does not say it ignores nothing."""
    for paths, ignored in (
        (("paused",), {"paused"}),
        (("env.A", "volumes[0]"), {"env", "volumes"}),
        (("*",), {"env", "paused"}),
    ):
        names = in_a_verb(
            lambda op, _: {name for name in ("env", "paused", "volumes", "volume_name") if op.ignores(name)},
            ignoreChanges=paths,
        )
        assert names >= ignored
        assert "*" in paths or names == ignored
    assert in_a_verb(lambda op, _: op.ignore_changes) == ()


def test_an_error_is_one_line_with_its_remedy() -> None:
    """The Status replaces the traceback of the host."""
    context = Context()

    def fail(*_: Any) -> None:
        raise RejectedError("could not\n  place it", "pay")

    with pytest.raises(RejectedError):
        in_a_verb(fail, context=context)
    assert context.status().message == "could not place it: pay"


def test_an_internal_error_is_one_line_too(listener: Listener) -> None:
    """The traceback goes to the debug log."""
    context = Context()
    with pytest.raises(ZeroDivisionError):
        in_a_verb(lambda *_: 1 // 0, context=context)
    assert "please report it" in context.status().message
    assert "\n" not in context.status().message
    assert "Traceback" in listener.logs[0].message


def test_without_a_context_the_error_goes_to_the_host() -> None:
    """As in plain Pulumi."""

    def fail(*_: Any) -> None:
        raise RejectedError("no")

    with pytest.raises(RejectedError):
        in_a_verb(fail, context=SimpleNamespace())


def test_a_failed_initialisation_records_the_id() -> None:
    """The id, the outputs with the token of the provider, the inputs and the reason."""
    context = Context()
    props = {"a": 1, "__provider": "token"}
    with pytest.raises(engine.InitialisationFailed):
        in_a_verb(return_not_ready("bid_1", {"x": 2}, props, "not yet: wait"), context=context)
    partial = provider_pb2.ErrorResourceInitFailed()
    assert context.status().details[0].Unpack(partial)
    assert (partial.id, list(partial.reasons)) == ("bid_1", ["not yet: wait"])
    assert json_format.MessageToDict(partial.properties) == {"x": 2.0, "__provider": "token"}


def test_without_details_the_id_is_recorded_by_a_success_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """Without its id, a paid cluster would be an orphan."""
    result = in_a_verb(return_not_ready("bid_1", {"x": 2}, {}, "not yet"), context=SimpleNamespace())
    assert isinstance(result, CreateResult)
    assert (result.id, result.outs) == ("bid_1", {"x": 2})
    assert "not yet (recorded as bid_1)" in capsys.readouterr().err


def test_a_create_that_is_not_ready_records_its_id_without_details_too(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End to end through the verbs."""
    monkeypatch.setattr(engine, "_send_details", lambda *_: False)
    cloud.set_price("8xa100", "us-central5-a", 61.0)
    stack.up({"trainer": cluster(timeout=0.3)})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id]
    assert stack.state["trainer"].outputs["status"] == "pending"


def test_a_plugin_exits_when_its_engine_is_gone(listener: Listener) -> None:
    """Nothing listens at the address any more. In a process of its own, which it ends."""
    script = (
        "import grpc, threading\n"
        "from flow_resources import engine\n"
        "engine.end_with_the_engine()\n"
        "grpc.channel_ready_future(engine.link().channel).result(60)\n"
        "print('connected', flush=True)\n"
        "threading.Event().wait()\n"
    )
    plugin = subprocess.Popen([sys.executable, "-c", script, sys.argv[1]], stdout=subprocess.PIPE, text=True)
    with plugin:
        assert plugin.stdout
        assert plugin.stdout.readline() == "connected\n"
        assert plugin.poll() is None
        listener.stop()
        assert plugin.wait(60) == 1


def test_a_plugin_exits_when_its_engine_was_gone_before_it_connected(listener: Listener) -> None:
    """As one that was started for its schema alone."""
    listener.stop()
    script = (
        "import sys, threading\n"
        "from flow_resources.host import EngineLink\n"
        "EngineLink(sys.argv[1]).end_with_the_engine()\n"
        "threading.Event().wait()\n"
    )
    assert subprocess.run([sys.executable, "-c", script, sys.argv[1]], timeout=60, check=False).returncode == 1


def test_a_plugin_reconnects_while_its_engine_listens(listener: Listener, mocker: Any) -> None:
    """An idle connection is closed by gRPC itself."""
    exit_process, channel = mocker.patch("os._exit"), mocker.Mock()
    mocker.patch("grpc.insecure_channel", return_value=channel)
    reconnect = mocker.patch("grpc.channel_ready_future")
    EngineLink(sys.argv[1]).end_with_the_engine()
    ((watch,), _) = channel.subscribe.call_args
    for state in (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE):
        watch(state)
    reconnect.assert_called_once_with(channel)
    assert not exit_process.called


def test_without_the_address_of_an_engine_nothing_is_watched(mocker: Any) -> None:
    """As in a command or a test."""
    clear_engine_caches()
    connect = mocker.spy(grpc, "insecure_channel")
    engine.end_with_the_engine()
    assert not connect.called


def test_the_thread_pool_of_the_host_is_widened() -> None:
    """From four workers to as many as the engine asks for."""
    with ThreadPoolExecutor(4) as pool:
        assert pool.submit(engine.widen_pool, 16).result()
        barrier = threading.Barrier(16, timeout=60)
        futures = [pool.submit(barrier.wait) for _ in range(16)]
        assert sorted(future.result() for future in futures) == list(range(16))


@pytest.mark.parametrize("earlier", [0, 40])
def test_calls_that_came_before_the_pool_was_widened_run_at_once(earlier: int) -> None:
    """And those that follow them, as many as before: the engine sends the next call when one has ended.

    Also where more workers count as idle than there are, because earlier calls have waited in the queue.
    """
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(int) for _ in range(earlier)]:
            future.result()
        has_come = threading.Event()
        first = pool.submit(lambda: has_come.wait(60) and engine.widen_pool(64))
        for turn in range(3):
            barrier = threading.Barrier(16, timeout=10)
            futures = [pool.submit(barrier.wait) for _ in range(16)]
            has_come.set()
            assert sorted(future.result() for future in futures) == list(range(16)), turn
        assert first.result()
        assert len(pool._threads) <= 21  # few more threads than that


def test_the_pool_is_widened_for_what_only_reads_and_further_for_what_changes(stack: Stack, mocker: Any) -> None:
    """A preview and a refresh share their requests; what changes something waits for the service."""
    engine.widen_pool_for_changes.cache_clear()
    widen = mocker.patch.object(engine, "widen_pool")
    stack.preview({"it": cluster()})
    stack.refresh()
    assert not widen.called
    stack.up({"it": cluster()})
    stack.up({"it": cluster(max_price_per_hour=60.0)})
    stack.destroy()
    widen.assert_called_once_with()


def test_outside_of_a_pool_thread_nothing_is_widened() -> None:
    """As in plain Pulumi: four at a time."""
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(engine.widen_pool()))
    thread.start()
    thread.join()
    assert results == [False]


def test_a_provider_is_serialised_once_per_class(mocker: Any) -> None:
    """The token is a name."""
    program._tokens.clear()
    spy = mocker.spy(program, "serialize_provider")
    assert len({program.token(GpuClusterProvider) for _ in range(10)}) == 1
    assert spy.call_count == 1
    assert len(program.token(GpuClusterProvider)) <= 128


def test_unknown_values_are_converted_at_every_depth() -> None:
    """In both directions."""
    from pulumi.output import Unknown
    from pulumi.runtime import rpc

    assert engine.unknowns_in({"a": [{"b": Unknown()}], "c": rpc.UNKNOWN}) == {"a": [{"b": UNKNOWN}], "c": UNKNOWN}
    assert engine.unknowns_out({"a": [UNKNOWN]}) == {"a": [rpc.UNKNOWN]}


def test_env_leaves_check_as_a_secret_whichever_way_it_came(cloud: FakeMithril) -> None:
    """Plain from a transform, in parts unknown, or unknown as a whole; nothing else is marked."""
    from pulumi.output import Unknown
    from pulumi.runtime import rpc

    stack = Stack(settings_of(cloud))
    stack.operation()
    marked = {rpc._special_sig_key: rpc._special_secret_sig}
    for env, leaves in (
        ({"TOKEN": "canary"}, marked | {"value": {"TOKEN": "canary"}}),
        ({"TOKEN": Unknown()}, marked | {"value": {"TOKEN": rpc.UNKNOWN}}),
        (Unknown(), rpc.UNKNOWN),
    ):
        news = {**cluster(env=env, command="echo plain").inputs, "__owner": stack.owner, "__urn": stack.urn("a", "x")}
        result = GpuClusterProvider().check({}, news)
        assert (result.inputs["env"], result.failures) == (leaves, [])
        assert [name for name, value in result.inputs.items() if rpc.is_rpc_secret(value)] == (
            ["env"] if isinstance(env, dict) else []
        )


def test_a_secret_env_makes_no_difference_to_the_verbs(cloud: FakeMithril) -> None:
    """They see plain values, and an unchanged program has no change."""
    stack, program_ = Stack(settings_of(cloud)), {"a": cluster(env={"TOKEN": "canary"})}
    stack.up(program_)
    assert stack.preview(program_) == {"a": "same"}
    stack.refresh()
    assert stack.preview(program_) == {"a": "same"}
    assert stack.preview({"a": cluster(env={"TOKEN": "other"})}) == {"a": "replace"}
    assert stack.state["a"].inputs["env"] == stack.state["a"].outputs["env"] == {"TOKEN": "canary"}
    (bid,) = cloud.live_bids
    assert "canary" in str(bid)


def test_a_volume_that_is_replaced_with_another_is_refused_by_check(stack: Stack, cloud: FakeMithril) -> None:
    """Before the state has the option: the engine deletes it then without a check. A cluster holds no data."""
    with pytest.raises(CheckError, match="allow_replace must be True with the option replace_with") as failed:
        stack.up({"it": volume(__replaced_with=True)})
    assert set(failed.value.failures) == {"allow_replace"}
    assert not cloud.volumes
    stack.up({"it": volume(__replaced_with=True, allow_replace=True), "trainer": cluster(__replaced_with=True)})


def test_what_is_deleted_with_another_is_refused_by_check(cloud: FakeMithril) -> None:
    """Where the program's side has seen it only after the constructor: from the parent, or by a transform."""
    stack = Stack(settings_of(cloud))
    for declared in (cluster(__deleted_with=True), volume(__deleted_with=True)):
        with pytest.raises(CheckError, match="the option deleted_with cannot be used"):
            stack.up({"a": declared})
    assert not cloud.bids
    assert not cloud.volumes
