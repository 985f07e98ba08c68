"""Where the key, the project, the region and the stack's limits come from; the first place that has one wins.

Stack config (`flow:apiKey`, ...), then the SDK's environment (`MITHRIL_API_KEY`, ...), then the SDK's config file.
`FLOW_PROVIDER` and `FLOW_DEMO_MODE` are ignored: a stack is never silently sent to a mock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from flow_resources.cloud.sdk_settings import read_sdk_settings
from flow_resources.core import money
from flow_resources.core.config_keys import API_URL_PLACES
from flow_resources.errors import ConfigError

KEY_PLACES = (
    "`pulumi config set --secret flow:apiKey ...` (or `api_key` of a provider), or set MITHRIL_API_KEY, or put api_key "
    "into ~/.flow/config.yaml"
)
HTTP_SECONDS_VARIABLE = "FLOW_RESOURCES_HTTP_SECONDS"
_HTTP_SECONDS = 30.0  # what the SDK waits for an answer (flow.adapters.http.client._DEFAULT_READ_SECONDS)
RETRY_SECONDS_VARIABLE = "FLOW_RESOURCES_RETRY_SECONDS"
_RETRY_SECONDS = 60.0
_MOST_SECONDS = 86_400  # a day; no time limit of Python takes much more, and none takes "inf"


@dataclass(frozen=True)
class Settings:
    """The settings of a stack. No repr shows the key, and it is pickled nowhere.

    Whoever resolves them registers the key with the process's Redactor.
    """

    api_key: str = field(repr=False)
    api_url: str
    project: str | None = None
    """Name or id; None for the account's only project."""
    region: str | None = None
    max_cost_per_hour: str | None = None
    """The stack's budget as it is written; `budget` reads it, since a bad one must not stop a destroy."""
    allow_job_keys: str | None = None
    """Whether the stack's jobs may have API keys of the user's, as it is written; `allows_job_keys` reads it."""
    market_lines: str | None = None
    """Whether the rows of a preview tell what the market asks, as it is written; `shows_market` reads it."""
    ssh_keys: tuple[str, ...] = ()
    """The SDK's own default keys, used where a cluster names none."""
    http_seconds: float = _HTTP_SECONDS
    """How long to wait for an answer."""
    retry_seconds: float = _RETRY_SECONDS
    """How long a verb may retry, over all of its requests."""

    def budget(self) -> Decimal | None:
        """Return the stack's budget in USD per hour over all its clusters; raise ConfigError where it is not one."""
        return _budget(self.max_cost_per_hour)

    def allows_job_keys(self) -> bool:
        """Return whether jobs may have API keys of the user's; raise ConfigError where that is neither yes nor no."""
        return _yes_or_no("allowJobKeys", self.allow_job_keys, default=False)

    def shows_market(self) -> bool:
        """Return whether rows tell what the market asks; raise ConfigError where that is neither yes nor no."""
        return _yes_or_no("marketLines", self.market_lines, default=True)


def resolve(stack_config: Callable[[str], Any]) -> Settings:
    """Read the settings of this process; raise ConfigError where there is no usable key."""
    api_key, sdk = _text(stack_config("flow:apiKey")), read_sdk_settings()
    api_key = api_key or _text(sdk.get("api_key"))
    if not api_key or api_key.startswith("YOUR_"):
        raise ConfigError("there is no API key", KEY_PLACES)
    return Settings(
        api_key=api_key,
        api_url=_url(_text(stack_config("flow:apiUrl")) or str(sdk["api_url"])),
        project=_text(stack_config("flow:project")) or _text(sdk.get("project")),
        region=_text(stack_config("flow:region")) or _text(sdk.get("region")),
        max_cost_per_hour=None if (cost := stack_config("flow:maxCostPerHour")) is None else str(cost).strip(),
        allow_job_keys=None if (allow := stack_config("flow:allowJobKeys")) is None else str(allow).strip(),
        market_lines=None if (lines := stack_config("flow:marketLines")) is None else str(lines).strip(),
        ssh_keys=tuple(sdk.get("ssh_keys") or ()),
        http_seconds=_seconds(HTTP_SECONDS_VARIABLE, _HTTP_SECONDS),
        retry_seconds=_seconds(RETRY_SECONDS_VARIABLE, _RETRY_SECONDS),
    )


def _text(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None


def _url(value: str) -> str:
    if "@" in value:  # states record the URL, and messages name it
        raise ConfigError(
            "the API URL holds a user or a password",
            f"remove it from {API_URL_PLACES}",
        )
    if not _is_address(value):  # retries there would only look like a service that is down
        raise ConfigError(  # not quoted: it can be the key, where two variables are mixed up
            "the API URL is not an address",
            f"{API_URL_PLACES} must be like https://HOST or http://127.0.0.1:8080",
        )
    return value.rstrip("/")


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number, half an IPv6 address
        return False


def _yes_or_no(name: str, value: str | None, *, default: bool) -> bool:
    if value is None:
        return default
    if value.lower() not in ("true", "false"):
        raise ConfigError(
            f"flow:{name} is {value!r}, which is neither true nor false",
            f"`pulumi config set flow:{name} true`, or `pulumi config rm flow:{name}`",
        )
    return value.lower() == "true"


def _budget(value: str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        return money.written(value)
    except ValueError as error:
        raise ConfigError(
            f"flow:maxCostPerHour is {value!r}, which is not a budget",
            "write dollars per hour with a point before the cents and no comma: "
            "`pulumi config set flow:maxCostPerHour 200.00`",
        ) from error


def _seconds(variable: str, default: float) -> float:
    value = os.environ.get(variable)
    if not value:
        return default
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= _MOST_SECONDS:
        raise ConfigError(
            f"{variable} is {value!r}", f"set it to a number of seconds greater than 0 and at most {_MOST_SECONDS}"
        )
    return seconds
