"""The settings of a provider resource: its inputs, and the configuration of the stack, which a default provider gets.

One table has them (`core.config_keys`), each in two spellings. What goes into the state has the spelling of all other
properties, `api_key`, and the version of the plugin that wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import flow_resources
from flow_resources.cloud.settings import resolve
from flow_resources.core.config_keys import OF_PROVIDERS, setting_of
from flow_resources.core.inputs import Failure, did_you_mean, has_unknown
from flow_resources.errors import ConfigError

WRITTEN_BY = "__written_by"
"""The version of the newest plugin that has written the state. It is no setting."""
SECRETS = frozenset(one.name for one in OF_PROVIDERS if one.secret)
_DEFAULT = re.compile(r"default(_\d[\w.]*)?")
"""Its name, with the version that a program asks for."""
_OF_ENGINE = frozenset({"version", "pluginDownloadURL", "pluginChecksums", "parameterization"})


def own_version() -> str:
    """Return the version of this package."""
    version: str = flow_resources.__version__
    return version


def plugin_version() -> str:
    """Return the version of this package as Pulumi writes versions: three numbers, and `-` before a pre-release."""
    numbers, rest = re.fullmatch(r"(\d+(?:\.\d+)*)(.*)", own_version()).groups()  # type: ignore[union-attr]
    release = ".".join([*numbers.split("."), "0", "0"][:3])
    before, plus, local = rest.lstrip(".").partition("+")
    return f"{release}{f'-{before}' if before else ''}{plus}{local}"


def config_of(inputs: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return what the inputs say of a key such as `flow:apiKey`; None where they do not, or it is not known yet."""
    values = {one.key: value for name, value in inputs.items() if (one := setting_of(name)) and not has_unknown(value)}
    return values.get


def check(urn: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> tuple[dict[str, Any], list[Failure]]:
    """Return the inputs of a provider as they go into the state, and what is wrong with them.

    The engine hands all of `flow:*` to the default provider, which takes no offence: a project can be called flow.
    """
    if failure := _check_version(olds):
        return {}, [failure]
    inputs: dict[str, Any] = {WRITTEN_BY: own_version()}
    failures = []
    names = [one.name for one in OF_PROVIDERS]
    for name, value in news.items():
        setting = setting_of(name)
        if setting is not None and not setting.of_program:
            inputs[setting.name] = value
        elif not (is_default(urn) or name in _OF_ENGINE or name.startswith("__")):
            hint = f"{did_you_mean(name, names)}it has {', '.join(names)}"
            failures.append(Failure(name, f"{name} is not a setting of a provider: {hint}"))
    if not any(map(has_unknown, inputs.values())):
        failures += _check_values(inputs)
    return inputs, failures


def require_readable(inputs: Mapping[str, Any]) -> None:
    """Raise ConfigError where a newer plugin wrote the state."""
    if failure := _check_version(inputs):
        raise ConfigError(failure.text)


def changed(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """Return the settings that differ. What a default provider has in the other spelling is the same setting."""
    before, after = _by_name(olds), _by_name(news)
    return [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]


def _by_name(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: value for name, value in inputs.items() if (one := setting_of(name))}


def _check_values(inputs: Mapping[str, Any]) -> list[Failure]:
    try:
        settings = resolve(config_of(inputs))
        settings.budget(), settings.allows_job_keys(), settings.shows_market()
    except ConfigError as error:
        return [Failure("", str(error))]
    return []


def _check_version(inputs: Mapping[str, Any]) -> Failure | None:
    written_by, own = str(inputs.get(WRITTEN_BY) or ""), own_version()
    if numbers_of(written_by) <= numbers_of(own):
        return None
    return Failure(
        "",
        f"the state was written by flow-resources {written_by}, and this is {own}, which may not understand it: "
        f"install flow-resources {written_by} or newer; nothing was touched",
    )


def numbers_of(version_text: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version; none, which is older than all, where there are none."""
    match = re.match(r"\d+(\.\d+)*", version_text)
    return tuple(map(int, match[0].split("."))) if match else ()


def is_default(urn: str) -> bool:
    """Whether a provider is the one that the engine makes for resources without one, by its name."""
    return bool(_DEFAULT.fullmatch(urn.rpartition("::")[2]))
