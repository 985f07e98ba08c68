"""The console script `pulumi-resource-flow`, which Pulumi starts: serve, print the port, end with the engine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from flow_resources.heap import share_one_heap

VERBS_AT_ONCE = 1024  # the engine's own `--parallel` is the limit; a thread that was never needed costs nothing


def main() -> None:
    """Serve until the engine ends this process, or is gone."""
    share_one_heap()  # before the imports, while there are few threads
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, _exit)
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not addresses and sys.stdout.isatty():
        sys.exit("pulumi-resource-flow is started by Pulumi, with the address of its engine")
    asyncio.run(_serve(addresses[-1] if addresses else ""))


async def _serve(address: str) -> None:
    import grpc
    from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
    from pulumi.runtime.proto import provider_pb2_grpc

    from flow_resources.host import EngineLink
    from flow_resources.plugin.servicer import FlowServicer

    link = EngineLink(address)
    link.end_with_the_engine()
    pool = ThreadPoolExecutor(VERBS_AT_ONCE, thread_name_prefix="verb")
    server = grpc.aio.server(migration_thread_pool=pool, options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(FlowServicer(link), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


def _exit(*_signal: Any) -> NoReturn:
    """Exit at once: the engine sends a signal when it is done, and `Cancel` before."""
    os._exit(0)


if __name__ == "__main__":
    main()
