"""A plugin process without an engine: Pulumi's host for dynamic providers, its verbs called as the engine calls them.

The engine of a thousand clusters spends minutes on its own state, and its share hides ours. Here the same host runs the
same verbs, and what it costs is its own: memory (what the kernel says), CPU seconds, wall seconds.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.engine import environment
from support.stack import settings_of

from flow_resources.core.hidden import write_recorded
from flow_resources.program import token
from flow_resources.providers.cluster import GpuClusterProvider
from flow_resources.testing import FakeMithril

AT_ONCE = 64
OWNER, TYPE = "acme/soak/dev", "pulumi-python:dynamic/flow:GpuCluster"
_OPTIONS = [("grpc.max_receive_message_length", 400 * 1024 * 1024)]


@dataclass
class Resource:
    """A resource of the stack: what its program says, and what its state holds."""

    urn: str
    declared: struct_pb2.Struct
    inputs: struct_pb2.Struct = field(default_factory=struct_pb2.Struct)
    outputs: struct_pb2.Struct = field(default_factory=struct_pb2.Struct)
    id: str = ""


@dataclass(frozen=True)
class Cost:
    """What a plugin process has cost so far."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    resident_mb: float
    threads: int
    open_files: int


class Engine(engine_pb2_grpc.EngineServicer):
    """The part of the engine that a plugin talks to: it takes the rows, and shows none."""

    def Log(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        return empty_pb2.Empty()


class Plugin:
    """A running plugin process."""

    def __init__(self, process: subprocess.Popen[bytes], stub: Any) -> None:
        self._process, self._stub, self._began = process, stub, time.perf_counter()

    # -- the operations of the engine, on many resources at once ------------------------------------------------------

    def preview(self, stack: list[Resource]) -> None:
        """Check and diff what stands."""
        self._each(stack, self._check_and_diff)

    def up(self, stack: list[Resource]) -> None:
        """Create what is not there, check and diff the rest."""
        self._each(stack, lambda one: self._check_and_diff(one) if one.id else self._create(one))

    def refresh(self, stack: list[Resource]) -> None:
        """Read and diff."""
        self._each(stack, self._read)

    def destroy(self, stack: list[Resource]) -> None:
        """Delete."""
        self._each(stack, self._delete)

    def _each(self, stack: list[Resource], verb: Callable[[Resource], None]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(verb, stack))

    def _check(self, one: Resource) -> struct_pb2.Struct:
        request = provider_pb2.CheckRequest(urn=one.urn, olds=one.inputs, news=one.declared)
        answer = self._stub.Check(request)
        assert not answer.failures, answer.failures
        return answer.inputs

    def _check_and_diff(self, one: Resource) -> None:
        news = self._check(one)
        request = provider_pb2.DiffRequest(id=one.id, urn=one.urn, olds=one.outputs, news=news)
        answer = self._stub.Diff(request)
        assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE, answer
        one.inputs = news

    def _create(self, one: Resource) -> None:
        one.inputs = self._check(one)
        answer = self._stub.Create(provider_pb2.CreateRequest(urn=one.urn, properties=one.inputs))
        one.id, one.outputs = answer.id, answer.properties

    def _read(self, one: Resource) -> None:
        request = provider_pb2.ReadRequest(id=one.id, urn=one.urn, properties=one.outputs, inputs=one.inputs)
        answer = self._stub.Read(request)
        assert answer.id == one.id, answer
        one.outputs, one.inputs = answer.properties, answer.inputs if answer.HasField("inputs") else one.inputs
        self._stub.Diff(provider_pb2.DiffRequest(id=one.id, urn=one.urn, olds=one.outputs, news=one.inputs))

    def _delete(self, one: Resource) -> None:
        self._stub.Delete(provider_pb2.DeleteRequest(id=one.id, urn=one.urn, properties=one.outputs))
        one.id, one.inputs, one.outputs = "", struct_pb2.Struct(), struct_pb2.Struct()

    # -- what it costs ------------------------------------------------------------------------------------------------

    def cost(self) -> Cost:
        """Measure it now; the peak is the kernel's."""
        place = Path(f"/proc/{self._process.pid}")
        status = (place / "status").read_text()
        peak, resident, threads = (
            int(match[1]) for name in ("VmHWM", "VmRSS", "Threads") if (match := re.search(rf"{name}:\s+(\d+)", status))
        )
        ticks = (place / "stat").read_text().rpartition(")")[2].split()
        return Cost(
            round(time.perf_counter() - self._began, 2),
            round((int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK"), 2),
            round(peak * 1024 / 1e6, 1),
            round(resident * 1024 / 1e6, 1),
            threads,
            len(list((place / "fd").iterdir())),
        )


@contextmanager
def plugin(env: Mapping[str, str], config: Mapping[str, str], code: str = "") -> Iterator[Plugin]:
    """Start a plugin process, as an operation of the engine does; `code` runs in it before the host."""
    engine = grpc.server(ThreadPoolExecutor(8))
    engine_pb2_grpc.add_EngineServicer_to_server(Engine(), engine)
    address = f"127.0.0.1:{engine.add_insecure_port('127.0.0.1:0')}"
    engine.start()
    start = ["-c", f"{code}\nimport runpy; runpy.run_module('pulumi.dynamic', run_name='__main__', alter_sys=True)"]
    process = subprocess.Popen([sys.executable, "-u", *start, address], env=dict(env), stdout=subprocess.PIPE)
    try:
        assert process.stdout
        channel = grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}", _OPTIONS)
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        stub.Configure(provider_pb2.ConfigureRequest(args=struct(config)))
        yield Plugin(process, stub)
        channel.close()
    finally:
        process.terminate()
        process.wait()
        engine.stop(None)


@contextmanager
def user(cloud: FakeMithril) -> Iterator[dict[str, str]]:
    """Return the environment of a user with an own machine."""
    with tempfile.TemporaryDirectory() as folder:
        yield environment(Path(folder), cloud)


def config_of(cloud: FakeMithril) -> dict[str, str]:
    """Return the stack's config."""
    return settings_of(cloud)


def clusters(size: int) -> list[Resource]:
    """Declare so many clusters, as the program of `programs.OURS` does."""
    resources = []
    for number in range(size):
        urn = f"urn:pulumi:dev::soak::{TYPE}::c{number}"
        inputs = {
            "instance_type": "8xa100", "max_price_per_hour": 20.0, "region": "us-central5-a", "num_instances": 1,
            "command": "sleep infinity", "run_on": "every_boot", "restart": "never", "paused": False,
            "wait_for": "running", "on_preemption": "keep",
            "__owner": OWNER, "__urn": urn, "__recorded": write_recorded([]), "__provider": token(GpuClusterProvider),
        }  # fmt: skip
        resources.append(Resource(urn, struct(inputs)))
    return resources


def struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return properties as they travel."""
    return asyncio.run(rpc.serialize_properties(dict(properties), {}))
