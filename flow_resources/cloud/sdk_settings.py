"""What the Flow SDK itself would use: its environment over its config file, and what can stand in its way.

A file of the SDK's that is damaged, a home directory that is not there, a file of the user's that has the SDK's name:
each ends in one ConfigError that names it. No content of a file is repeated, since it can be the key.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flow_resources.cloud.footprint import importing_sdk
from flow_resources.errors import ConfigError

_CANNOT_READ = "the Flow SDK's settings cannot be read"
_CORRECT = "make it readable and correct, or move it away"
REINSTALL = (
    "a file beside the program may have the name of a module that it uses; "
    "else `pip install --force-reinstall flow-compute`"
)


def read_sdk_settings() -> dict[str, Any]:
    """Return the SDK's settings for the service, and `api_key`.

    Raises ConfigError where a file of the SDK's cannot be read, or where the SDK cannot be imported.
    """
    _require_sdk()
    _require_homes()
    with _naming_the_cause():
        return _read()


def _require_sdk() -> None:
    """Raise ConfigError where Python would import something else as the SDK's package. Nothing of it is run here."""
    try:
        spec = importlib.util.find_spec("flow")
    except ValueError:  # somebody has put something into sys.modules
        spec = None
    if spec is None or spec.origin is None:
        raise ConfigError("the Flow SDK is not installed", "`pip install flow-compute`")
    found = Path(spec.origin)
    if not (found.parent / "adapters" / "providers").is_dir():
        raise ConfigError(f"Python imports {found} in place of the Flow SDK's package, `flow`", "rename it")


def _require_homes() -> None:
    """Raise ConfigError where a home directory is needed that there is not."""
    for variable in ("FLOW_DIR", "FLOW_CONFIG_PATH"):
        value = os.environ.get(variable, "").strip()
        if not value and variable == "FLOW_CONFIG_PATH":
            continue
        try:
            Path(value or "~").expanduser()
        except RuntimeError as error:
            if value:
                raise ConfigError(f"{variable} is {value!r}, which names no home directory", "write a path") from error
            raise ConfigError(
                "there is no home directory for the Flow SDK's files",
                "set HOME, or set FLOW_DIR to a folder that can be written",
            ) from error


@contextmanager
def _naming_the_cause() -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the Flow SDK cannot be imported: {error}", REINSTALL) from error
    except Exception as error:
        # The text of any but the SDK's own errors can quote what is in the file.
        message = getattr(error, "message", None) or f"{_config_file()} ({type(error).__name__})"
        raise ConfigError(f"{_CANNOT_READ}: {message}", _CORRECT) from error


def _read() -> dict[str, Any]:
    with importing_sdk():
        import flow.adapters.providers.builtin.mithril.config_defaults  # noqa: F401 - registers the default API URL
        from flow.application.config import defaults_registry
        from flow.application.config.loader import ConfigLoader
        from flow.state.config_paths import staging_flow_config_path

    is_staging = not os.environ.get("FLOW_CONFIG_PATH") and _environment() == "staging"
    path = staging_flow_config_path() if is_staging else _config_file()
    if path.is_symlink() and not path.exists():  # the SDK would take it for a file that is not there
        raise ConfigError(f"{_CANNOT_READ}: {path} is a link that leads nowhere", _CORRECT)
    sources = ConfigLoader(config_path=path).load_all_sources()
    # A variable that is empty (a missing CI secret) counts as not set; the SDK would fail.
    sources.env_vars = {name: value for name, value in sources.env_vars.items() if value.strip()}
    config: dict[str, Any] = sources.get_mithril_config()
    config["api_key"] = sources.api_key
    if is_staging and not os.environ.get("MITHRIL_API_URL"):
        config["api_url"] = defaults_registry.require("mithril").default_api_url("staging")
    return config


def _environment() -> str:
    """Return which of the service's environments the SDK's marker names."""
    from flow.errors import FlowError
    from flow.state.config_paths import current_environment_path, read_current_environment

    try:
        return str(read_current_environment())
    except FlowError as error:
        cause, path = error.__cause__, current_environment_path()
        reason = f"cannot be read ({cause.strerror})" if isinstance(cause, OSError) else "names no environment"
        remedy = f"{_CORRECT}: it says `production` or `staging`, and where there is none it is `production`"
        raise ConfigError(f"{_CANNOT_READ}: {path} {reason}", remedy) from error


def _config_file() -> Path:
    from flow.state.config_paths import resolve_flow_config_path

    path: Path = resolve_flow_config_path()
    return path
