"""`flow-resources plugin`: let Pulumi find the provider plugin, and print the schema of the package."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow_resources.core.config_keys import NAMESPACE
from flow_resources.errors import FlowResourcesError

if TYPE_CHECKING:
    from flow_resources.pulumi_command import PulumiCommand

DESCRIPTION = (
    "The provider plugin, which programs in YAML, TypeScript and Go need, and Python programs with a "
    "`flow_resources.Provider` or with `flow:host` set to `plugin`. `install` lets Pulumi find the plugin of this "
    "installation, also where it is not on PATH. `schema` prints the package schema, of which `pulumi package gen-sdk` "
    "makes an SDK."
)
EPILOG = "Exit code: 0 when it was done, 2 when it could not be done."
_NEEDS = "flow-resources plugin install"
_START = """\
import sys
sys.path[:] = [folder for folder in sys.path if folder]
try:
    from flow_resources.plugin.__main__ import main
except ImportError as error:
    sys.exit(f"the plugin of flow_resources cannot be started with {sys.executable} ({error}): run `%s` again")
main()
"""
"""What the executable runs. Not the folder in which Pulumi starts it: there can be a module of any name."""


class PluginError(FlowResourcesError):
    """The plugin cannot be installed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("what", choices=("install", "schema"), help="install the plugin, or print the package schema")


def run(arguments: argparse.Namespace) -> int:
    """Install or print, and return the exit code."""
    if arguments.what == "schema":
        from flow_resources.plugin.schema import schema

        sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
    else:
        _install()
    return 0


def _install() -> None:
    """Install an executable that starts this Python. Raises an error where another plugin would be started."""
    from flow_resources.cli.stacks import translating_errors
    from flow_resources.plugin.settings import plugin_version
    from flow_resources.pulumi_command import PulumiCommand

    if os.name == "nt":
        raise PluginError(
            "on Windows the plugin is not installed by this command",
            f"put the folder of pulumi-resource-flow.exe on PATH: {Path(sys.executable).parent}",
        )
    version = plugin_version()
    with translating_errors("start `pulumi`"):
        pulumi = PulumiCommand()
    with translating_errors("list the plugins that Pulumi has"):
        others = [one for one in _installed_versions(pulumi) if one != version]
    if newer := [one for one in others if _order(one) > _order(version)]:
        raise PluginError(
            f"the plugin {NAMESPACE} {newer[0]} is installed, which Pulumi would start instead of {version}",
            f"`pulumi plugin rm resource {NAMESPACE} {newer[0]}`, then run this again; or upgrade flow-resources",
        )
    with tempfile.TemporaryDirectory() as folder, translating_errors("install the plugin"):
        _write_executable(Path(folder) / f"pulumi-resource-{NAMESPACE}")
        command = ["plugin", "install", "resource", NAMESPACE, f"v{version}", "--file", folder, "--reinstall"]
        pulumi.run(command, ".", {})
    sys.stdout.write(f"The plugin {NAMESPACE} {version} is installed. Pulumi starts it with {sys.executable}.\n")
    for other in others:
        sys.stdout.write(
            f"The plugin {NAMESPACE} {other} is installed, too; Pulumi starts {version}, unless a program asks for "
            f"{other}: `pulumi plugin rm resource {NAMESPACE} {other}` removes it.\n"
        )


def _installed_versions(pulumi: PulumiCommand) -> list[str]:
    rows: list[dict[str, Any]] = json.loads(pulumi.run(["plugin", "ls", "--json"], ".", {}).stdout)
    versions = {
        str(row.get("version")) for row in rows if (row.get("kind"), row.get("name")) == ("resource", NAMESPACE)
    }
    return sorted(versions, key=_order, reverse=True)


def _order(version: str) -> tuple[tuple[int, ...], bool]:
    """Return what versions are compared by: a pre-release comes before its release."""
    from flow_resources.plugin.settings import numbers_of

    return numbers_of(version.removeprefix("v")), "-" not in version


def _write_executable(path: Path) -> None:
    python = shlex.quote(sys.executable)
    gone = shlex.quote(f"{sys.executable} is gone: run `{_NEEDS}` again, where flow-resources is installed now")
    path.write_text(
        "#!/bin/sh\n"
        f"if [ ! -x {python} ]; then echo {gone} >&2; exit 1; fi\n"
        f'exec {python} -c {shlex.quote(_START % _NEEDS)} "$@"\n'
    )
    path.chmod(0o755)
