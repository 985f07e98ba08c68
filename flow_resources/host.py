"""What the hosts of the verbs share: the engine's side of a verb, its errors as one line, "made, but not ready".

There are two hosts, Pulumi's dynamic provider (`engine`, `providers`) and the provider plugin (`plugin`). Each knows
how a call reaches it and how its properties are written; neither decides anything.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from typing import Any

import grpc
from google.protobuf import any_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, status_pb2

from flow_resources.errors import FlowResourcesError, one_line
from flow_resources.redaction import Redactor

STATUS_DETAILS = "grpc-status-details-bin"
"""The trailing metadata of an RPC that carry a Status."""
_UNKNOWN: int = grpc.StatusCode.UNKNOWN.value[0]


# -- the engine --------------------------------------------------------------------------------------------------------


class EngineLink:
    """The connection to the engine that started this process; without an address there is none."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        host, _, port = address.rpartition(":")
        self._place = (host, int(port)) if host and port.isdigit() else None
        self._channel = grpc.insecure_channel(address) if self._place else None
        self._stub = engine_pb2_grpc.EngineStub(self._channel) if self._channel else None

    @property
    def channel(self) -> grpc.Channel | None:
        """The channel to the engine; None where there is none."""
        return self._channel

    def log(self, severity: Any, message: str, urn: str, *, ephemeral: bool) -> bool:
        """Let the engine show a message; return whether it has."""
        if self._stub is None:
            return False
        try:
            self._stub.Log(engine_pb2.LogRequest(severity=severity, message=message, urn=urn, ephemeral=ephemeral))
        except grpc.RpcError:
            return False  # an engine that does not listen any more must not fail the verb
        return True

    def end_with_the_engine(self) -> None:
        """End this process when the engine is gone: killed, it ends no plugin, and a plugin goes on by itself.

        Nothing would record what it still does. It exits as if it were killed: the next `up` takes over what it left.
        An engine that has gone before the first connection is gone, too.
        """
        channel, place = self._channel, self._place
        if channel is None or place is None:
            return
        seen: set[grpc.ChannelConnectivity] = set()

        def look(state: grpc.ChannelConnectivity) -> None:
            seen.add(state)
            is_lost = state is grpc.ChannelConnectivity.IDLE and grpc.ChannelConnectivity.READY in seen
            if not is_lost and state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                return
            try:
                socket.create_connection(place).close()
            except ConnectionRefusedError:
                os._exit(1)  # the connection is lost, and the engine does not listen any more
            else:
                grpc.channel_ready_future(channel)  # it was idle for long: connected anew, it tells again

        channel.subscribe(look, try_to_connect=True)


class EngineReport:
    """Reports on the resource's own row, for one verb."""

    def __init__(self, urn: str | None, link: EngineLink) -> None:
        self._urn, self._link = urn or "", link
        self._row: str | None = None

    def progress(self, message: str, *, keep: bool = False) -> None:
        """Show a message on the row while the verb runs, or keep it in the diagnostics."""
        if keep:
            self._link.log(engine_pb2.INFO, message, self._urn, ephemeral=False)
        elif message != self._row:  # a poll that saw nothing new is not shown again
            self._row = message
            self._link.log(engine_pb2.INFO, message, self._urn, ephemeral=True)

    def warn(self, message: str) -> None:
        """Warn; it stays in the diagnostics."""
        if not self._link.log(engine_pb2.WARNING, message, self._urn, ephemeral=False):
            print(f"warning: {message}", file=sys.stderr)  # noqa: T201 - the host passes it on; never standard output

    def debug(self, message: str) -> None:
        """Tell those who run Pulumi with `--debug`."""
        self._link.log(engine_pb2.DEBUG, message, self._urn, ephemeral=False)


# -- how a verb fails --------------------------------------------------------------------------------------------------


def error_line(error: Exception, redactor: Redactor, report: EngineReport) -> str:
    """Return the line that the user reads of an error that ended a verb.

    The traceback of an error that is not one of ours goes to those who run Pulumi with `--debug`.
    """
    if isinstance(error, FlowResourcesError):
        return str(error)
    report.debug(redactor.redact(traceback.format_exc()))
    reason = one_line(redactor.redact(repr(error)))
    return f"internal error of flow_resources, please report it with what `--debug` prints: {reason}"


def error_status(line: str) -> Any:
    """Return the Status of a verb that failed."""
    return status_pb2.Status(code=_UNKNOWN, message=line)


def not_ready_status(id_: str, outputs: Any, inputs: Any, reason: str) -> Any:
    """Return the Status of "made, but not ready": the engine records the id, and the next `up` calls update for it.

    `outputs` and `inputs` are as they are sent, in a Struct.
    """
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(id=id_, properties=outputs, inputs=inputs, reasons=[one_line(reason)])
    )
    return status_pb2.Status(code=_UNKNOWN, message=one_line(reason), details=[detail])
