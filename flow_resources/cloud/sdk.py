"""Opening the SDK, and the places inside it that this package uses."""

from __future__ import annotations

import functools
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow_resources.clock import Clock
from flow_resources.cloud.footprint import importing_sdk
from flow_resources.cloud.launch import Launch, task_config
from flow_resources.cloud.service_clock import ServiceClock
from flow_resources.cloud.settings import Settings

if TYPE_CHECKING:
    from flow.adapters.providers.builtin.mithril.provider.provider import MithrilProvider
    from flow.application.config.config import Config
    from flow.sdk.client import Flow

    from flow_resources.cloud.ssh_keys import ExactKeys
    from flow_resources.cloud.transport import Transport


class Sdk:
    """The opened SDK; all threads of a process share one."""

    def __init__(self, provider: MithrilProvider, config: Config) -> None:
        self._provider, self._config = provider, config

    @functools.cached_property
    def flow(self) -> Flow:
        """Its public client, which changes things. What only reads does not wait for its import."""
        with importing_sdk():
            from flow import Flow

        return Flow(config=self._config, provider_factory=_Factory(self._provider))

    @property
    def api(self) -> Any:
        """Its methods for single endpoints, which return rows as the service sends them."""
        return self._provider.ctx.api

    @property
    def transport(self) -> Transport:
        """Our HTTP client."""
        transport: Transport = self._provider.ctx.http
        return transport

    @property
    def ssh_key_folder(self) -> Path:
        """Where it keeps the private halves of the platform keys that it makes."""
        return Path(self._provider.ctx.ssh_key_mgr._key_dir)  # noqa: SLF001 - there is no public name for it

    @property
    def keys(self) -> ExactKeys:
        """Our SSH key service."""
        keys: ExactKeys = self._provider.ctx.ssh_keys_svc
        return keys

    @property
    def regions(self) -> list[str]:
        """The regions that it knows without a request."""
        from flow.domain.models.regions import BASE_VALID_REGIONS

        return list(BASE_VALID_REGIONS)

    def place(self, launch: Launch) -> None:
        """Place a bid."""
        from flow_resources.cloud.machine.sections import writing_for

        with writing_for(launch):
            self.flow.run(task_config(launch))

    def write_script(self, launch: Launch) -> str:
        """Return the start-up script of a launch, as it is sent.

        Raises flow's ScriptTooLargeError where the service would not take it.
        """
        from flow_resources.cloud.machine.sections import writing_for

        with writing_for(launch):
            return str(self._provider.ctx.script_prep.build_and_prepare(task_config(launch)).content)

    def select_project(self, project_id: str) -> None:
        """Use a project for everything from now on."""
        self._provider.ctx.select_project(project_id)

    def close(self) -> None:
        """Close it; nothing can be called any more."""
        self._provider.close()


class _Factory:
    """Hands the public client our provider (the SDK's `ProviderFactoryProtocol`)."""

    def __init__(self, provider: MithrilProvider) -> None:
        self._provider = provider

    def create(self, config: Any, substrate: Any = None) -> MithrilProvider:  # noqa: ARG002 - the protocol's
        return self._provider

    def get_facets(self, provider: MithrilProvider) -> Any:
        return provider.get_facets()


def open_sdk(settings: Settings, clock: Clock, service_clock: ServiceClock) -> Sdk:
    """Open the SDK with our transport and our SSH key service, whatever its own environment says.

    `service_clock` is told the time of each answer.
    """
    with importing_sdk():
        from flow.adapters.providers.builtin.mithril.provider.provider import MithrilProvider
        from flow.application.config.config import Config

    from flow_resources.cloud.machine.sections import install as install_sections
    from flow_resources.cloud.ssh_keys import ExactKeys
    from flow_resources.cloud.transport import Transport

    # The SDK logs each failed attempt, which would reach the user between our own lines about the retries.
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

    transport = Transport(settings, config.get_headers(), config.auth_token_source, clock, service_clock)
    provider = MithrilProvider(config, http_client=transport)
    context = provider.ctx
    context.ssh_keys_svc = ExactKeys(context.ssh_key_mgr, context.mithril_config)
    install_sections(context)
    return Sdk(provider, config)


def why_not_writable(folder: Path) -> str:
    """Say why nothing can be written in a folder, or why it cannot be made; empty where it can. Leaves no file."""
    existing = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            return ""
    except OSError as error:
        return f"{folder} cannot be written ({error.strerror})"
