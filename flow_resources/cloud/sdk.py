"""Opening the SDK: one client for all threads of an operation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flow_resources.clock import Clock
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.cloud.settings import Settings

if TYPE_CHECKING:
    from flow.sdk.client import Flow


def open_client(settings: Settings, clock: Clock, patience: Callable[[], RetryBudget]) -> Flow:
    """Open the SDK with our transport and our way with SSH keys, whatever its own environment says."""
    from flow import Flow
    from flow.adapters.providers.builtin.mithril.provider.provider import MithrilProvider
    from flow.application.config.config import Config

    from flow_resources.cloud.ssh_keys import ExactKeys
    from flow_resources.cloud.transport import Transport

    # What the SDK logs of each failed try would reach the user between the lines that say what is done about it.
    logging.getLogger("flow").addHandler(logging.NullHandler())
    config = Config(
        provider="mithril",
        auth_token=settings.api_key,
        provider_config={
            "api_url": settings.api_url,
            "project": settings.project,
            "region": settings.region,
            "ssh_keys": list(settings.ssh_keys) or None,
        },
    )

    class Factory:
        def create(self, config: Any, substrate: Any = None) -> MithrilProvider:  # noqa: ARG002 - the SDK's protocol
            transport = Transport(settings, config.get_headers(), config.auth_token_source, clock, patience)
            provider = MithrilProvider(config, http_client=transport)
            context = provider.ctx
            context.ssh_keys_svc = ExactKeys(context.ssh_key_mgr, context.mithril_config)
            return provider

        def get_facets(self, provider: MithrilProvider) -> Any:
            return provider.get_facets()

    return Flow(config=config, provider_factory=Factory())
