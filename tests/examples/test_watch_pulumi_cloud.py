"""examples/09-watch/pulumi_cloud: the program under Pulumi's mocks, with the real package of the provider."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[2] / "examples" / "09-watch" / "pulumi_cloud" / "__main__.py"
KEY = "canary-93aa"
# Declares what the program declares, and prints it with what each of them waits for.
RUN = """
import json, runpy, sys
import pulumi
from pulumi.runtime.mocks import MockMonitor

declared = {}

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        declared[args.name] |= {"type": args.typ, "inputs": args.inputs}
        return f"{args.name}-id", args.inputs

    def call(self, args):
        raise AssertionError(args.token)

class Monitor(MockMonitor):
    def RegisterResource(self, request):
        declared[request.name] = {"after": [urn.rpartition("::")[2] for urn in request.dependencies]}
        return super().RegisterResource(request)

config = {f"flow-watch-schedules:{key}": value for key, value in json.loads(sys.argv[2]).items()}
where = {"project": "flow-watch-schedules", "stack": "prod", "organization": "acme", "preview": False}
pulumi.runtime.set_mocks(Mocks(), monitor=Monitor(Mocks()), **where)
pulumi.runtime.set_all_config(config, ["flow-watch-schedules:mithrilApiKey"])

@pulumi.runtime.test
def program():
    runpy.run_path(sys.argv[1])

program()
declared.pop("flow-watch-schedules-prod", None)
print(json.dumps(declared))
"""


def declared_with(**config: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, str(PROGRAM)]
    return subprocess.run([*command, json.dumps(config)], capture_output=True, text=True, timeout=600, check=False)


def resources(**config: str) -> dict[str, Any]:
    done = declared_with(**config)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


STACK = {"organization": "acme", "project": "flow-watch", "stack": "prod"}


def test_drift_is_looked_for_and_remedied() -> None:
    """Settings of the watched stack, then a schedule that remedies; nothing ends the stack unless a time is given."""
    declared = resources(mithrilApiKey=KEY)
    assert set(declared) == {"settings", "heal"}
    assert declared["heal"]["type"] == "pulumiservice:index:DriftSchedule"
    assert declared["heal"]["inputs"] == {**STACK, "scheduleCron": "*/15 * * * *", "autoRemediate": True}
    assert declared["heal"]["after"] == ["settings"]


def test_the_settings_name_the_branch_and_hold_the_key_as_a_secret() -> None:
    """The watched project is the example's; the key is one of the configuration's secrets."""
    inputs = resources(mithrilApiKey=KEY)["settings"]["inputs"]
    assert {key: inputs[key] for key in STACK} == STACK
    assert f"name: {STACK['project']}\n" in (PROGRAM.parents[1] / "Pulumi.yaml").read_text()
    assert inputs["sourceContext"]["git"]["branch"] == "main"
    secret = inputs["operationContext"]
    assert (secret["4dabf18193072939515e22adb298388d"], secret["value"]) == (
        "1b47061264138c4ac30d75fd1eb44270",  # how Pulumi says "a secret" on the wire
        {"environmentVariables": {"MITHRIL_API_KEY": KEY}},
    )


def test_a_time_ends_the_stack_and_keeps_its_history() -> None:
    """A destroy at that time."""
    declared = resources(mithrilApiKey=KEY, endsAt="2027-01-31T18:00:00Z")
    assert declared["end"]["type"] == "pulumiservice:index:TtlSchedule"
    timestamp = {"timestamp": "2027-01-31T18:00:00Z", "deleteAfterDestroy": False}
    assert declared["end"]["inputs"] == STACK | timestamp
    assert declared["end"]["after"] == ["settings"]


def test_without_the_key_nothing_is_declared() -> None:
    """The message says what to set."""
    done = declared_with()
    assert done.returncode != 0
    assert "pulumi config set --secret flow-watch-schedules:mithrilApiKey" in done.stderr


@pytest.mark.parametrize("file", ["Pulumi.yaml", "requirements.txt"])
def test_the_folder_is_a_project(file: str) -> None:
    """That `pulumi up` can install and run."""
    text = (PROGRAM.parent / file).read_text()
    assert text.startswith({"Pulumi.yaml": "name: flow-watch-schedules\n"}.get(file, "pulumi-pulumiservice"))
