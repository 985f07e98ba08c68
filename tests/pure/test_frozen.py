"""What users' states, configurations and the service hold of us: `tests/frozen.json` lists it, and it never changes."""

from __future__ import annotations

import base64
import inspect
import json
import pickletools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import ResourceProvider
from support import golden

import flow_resources
from flow_resources.cli import main
from flow_resources.cloud.launch import idempotency_key
from flow_resources.cloud.settings import resolve
from flow_resources.cluster import TYPE as TYPE_OF_CLUSTER
from flow_resources.cluster import GpuCluster, Instance, VolumeMountDict
from flow_resources.core import cluster_fields, exports, fleet_fields, job_fields, naming, ssh_key_fields, volume_fields
from flow_resources.core.config_keys import SETTINGS
from flow_resources.core.fleet import MEMBER_STATUSES
from flow_resources.core.job_status import JOB_STATUSES
from flow_resources.core.status import STATUSES
from flow_resources.job import TYPE as TYPE_OF_JOB
from flow_resources.job import Job
from flow_resources.placement import PlacementDict
from flow_resources.plugin.schema import schema
from flow_resources.program import token
from flow_resources.providers.cluster import GpuClusterProvider
from flow_resources.providers.fleet_status import FleetStatusProvider
from flow_resources.providers.job import JobProvider
from flow_resources.providers.ssh_key import SshKeyProvider
from flow_resources.providers.volume import VolumeProvider
from flow_resources.resilient import STATUS_TYPE as TYPE_OF_FLEET_STATUS
from flow_resources.resilient import TYPE as TYPE_OF_FLEET
from flow_resources.resilient import FleetMember, FleetStatus, MemberVolumeDict, ResilientCluster
from flow_resources.ssh_key import TYPE as TYPE_OF_SSH_KEY
from flow_resources.ssh_key import SshKey
from flow_resources.volume import TYPE as TYPE_OF_VOLUME
from flow_resources.volume import Volume

FILE = Path(__file__).parents[1] / "frozen.json"
FROZEN: dict[str, Any] = json.loads(FILE.read_text())
RULE = (
    "what is written into users' states, configurations and into the service is never renamed, removed or changed; "
    f"what is new is added to {FILE.parent.name}/{FILE.name}"
)
ROOT = Path(flow_resources.__file__).parent
# Properties that a program passes along or Pulumi adds, and names of Python's own: none of ours in a state.
NOT_OURS = {"__provider", "__init_subclass__", "__version__", "__main__"}
PROVIDERS: dict[str, type[ResourceProvider]] = {
    "FleetStatus": FleetStatusProvider,
    "GpuCluster": GpuClusterProvider,
    "Job": JobProvider,
    "SshKey": SshKeyProvider,
    "Volume": VolumeProvider,
}
SCHEMA = schema()
OWNER = "acme/training/dev"
URN = "urn:pulumi:dev::training::pulumi-python:dynamic/flow:GpuCluster::trainer"


def source() -> str:
    """Return the source of the package, but for the fake."""
    return "\n".join(path.read_text() for path in ROOT.rglob("*.py") if "testing" not in path.parts)


def class_path(provider: type[Any]) -> str:
    """Return what the state's pickle names, read without running it."""
    pickled = base64.b64decode(token(provider))
    words = [argument for _, argument, _ in pickletools.genops(pickled) if isinstance(argument, str)]
    assert len(words) == 2, f"the provider pickles as more than a name: {words}"
    return ".".join(words)


def example_name() -> str:
    """Compose a name of a cluster, every part of it as it is made."""
    spec = naming.spec_digest({"instance_type": "8xa100", "num_instances": 4, "ports": None}, {"env": {"A": "b"}}, "k")
    return naming.compose(naming.fit("My Trainer"), naming.Mark.of(OWNER, URN), spec, 3)


def what_is() -> dict[str, Any]:
    """Return the same as the file, from the source."""
    text = source()
    return {
        "public names": sorted(flow_resources.__all__),
        "type tokens": {
            "FleetStatus": TYPE_OF_FLEET_STATUS,
            "GpuCluster": TYPE_OF_CLUSTER,
            "Job": TYPE_OF_JOB,
            "ResilientCluster": TYPE_OF_FLEET,
            "SshKey": TYPE_OF_SSH_KEY,
            "Volume": TYPE_OF_VOLUME,
        },
        "type tokens in the plugin": {token.rpartition(":")[2]: token for token in SCHEMA["resources"]},
        "functions in the plugin": sorted(SCHEMA["functions"]),
        "types of values in the plugin": sorted(SCHEMA["types"]),
        "words of inputs": {
            token.rpartition(":")[2]: sorted(word["value"] for word in one["enum"])
            for token, one in SCHEMA["types"].items()
            if "enum" in one
        },
        "settings of a provider": sorted(SCHEMA["provider"]["inputProperties"]),
        "provider classes": {name: class_path(provider) for name, provider in PROVIDERS.items()},
        "inputs": {
            "FleetStatus": sorted(one.name for one in fleet_fields.FIELDS),
            "GpuCluster": sorted(one.name for one in cluster_fields.FIELDS),
            "GpuCluster.placements": sorted(PlacementDict.__required_keys__ | PlacementDict.__optional_keys__),
            "GpuCluster.volumes": sorted(VolumeMountDict.__annotations__),
            "Job": sorted(one.name for one in job_fields.FIELDS),
            "ResilientCluster": sorted(set(inspect.signature(ResilientCluster).parameters) - {"name", "opts"}),
            "ResilientCluster.volume_per_member": sorted(
                MemberVolumeDict.__required_keys__ | MemberVolumeDict.__optional_keys__
            ),
            "SshKey": sorted(one.name for one in ssh_key_fields.FIELDS),
            "Volume": sorted(one.name for one in volume_fields.FIELDS),
        },
        "outputs": {
            "FleetStatus": outputs(FleetStatus),
            "FleetStatus.members": outputs(FleetMember),
            "GpuCluster": outputs(GpuCluster),
            "GpuCluster.instances": outputs(Instance),
            "Job": outputs(Job),
            "ResilientCluster": outputs(ResilientCluster),
            "SshKey": outputs(SshKey),
            "Volume": outputs(Volume),
        },
        "hidden properties": sorted(set(re.findall(r'"(__[a-z]\w*)"', text)) - NOT_OURS),
        "exports": {f"{one.word}/{one.version}": sorted(one.shape(dict.fromkeys(one.keys))) for one in exports.KINDS},
        "words of status": sorted(STATUSES),
        "words of a job's status": sorted(JOB_STATUSES),
        "words of a fleet member's status": sorted(MEMBER_STATUSES),
        "config keys": sorted(one.key for one in SETTINGS),
        "environment variables": sorted(
            {*re.findall(r"\bFLOW_RESOURCES_[A-Z_]+\b", text), *filter(is_heard, FROZEN["environment variables"])}
        ),
        "the mark of an owner and a resource": str(naming.Mark.of(OWNER, URN)),
        "a name in the service": example_name(),
        "the name of a job's API key": naming.key_name_of(example_name(), "proj_1"),
        "the longest prefix": naming.PREFIX_LENGTH,
        "an idempotency key": idempotency_key(example_name()),
        "exit codes": {"a wrong command line": exit_code("nonsense"), "help": exit_code("--help")},
    }


def outputs(resource: type[Any]) -> list[str]:
    """Return what is annotated, and what is a property."""
    properties = [name for name, one in vars(resource).items() if isinstance(one, property)]
    return sorted([*inspect.get_annotations(resource), *properties])


def is_heard(variable: str) -> bool:
    """Whether an environment variable makes a difference to the settings."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MITHRIL_API_KEY", "a-key")
        before = resolve({}.get)
        environment.setenv(variable, "http://17" if variable.endswith("_URL") else "17")
        return resolve({}.get) != before


def exit_code(*arguments: str) -> Any:
    """Return how `flow-resources` ends."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def differences(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """Say what was removed, changed or added."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}):
            yield from differences(was.get(key), now.get(key), f"{path}{' / ' if path else ''}{key}")
    elif isinstance(was, list) and isinstance(now, list):
        yield from (f"{path}: {one!r} was removed or renamed" for one in was if one not in now)
        yield from (f"{path}: {one!r} is new and not in the file" for one in now if one not in was)
    elif was is None:
        yield f"{path}: {now!r} is new and not in the file"
    elif was != now:
        yield f"{path}: was {was!r}, is {now!r}"


@pytest.mark.usefixtures("clean_environment", "capsys")
def test_what_is_frozen_has_not_changed() -> None:
    """Removals and changes never; additions by adding to the file."""
    found = list(differences(FROZEN, what_is()))
    assert not found, f"{RULE}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ({"a": ["x", "y"]}, {"a": ["x"]}, "a: 'y' was removed or renamed"),
        ({"a": ["x"]}, {"a": ["x", "y"]}, "a: 'y' is new and not in the file"),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, "a / b: was 'x', is 'y'"),
        ({"a": {"b": "x"}}, {"a": {}}, "a / b: was 'x', is None"),
        ({}, {"a": "x"}, "a: 'x' is new and not in the file"),
    ],
)
def test_every_kind_of_change_is_seen(was: Any, now: Any, said: str) -> None:
    """The comparison itself can fail."""
    assert list(differences(was, now)) == [said]
    assert not list(differences(was, was))


def test_the_file_knows_every_key_of_every_state_that_was_written() -> None:
    """So that nobody takes a line out of the file: the states of released versions still have it."""
    hidden = {*FROZEN["hidden properties"], "__provider"}
    for state in golden.list_states():
        for one in state.resources():
            kind = one["type"].rpartition(":")[2]
            if one["type"] in {FROZEN["type tokens"].get(kind), FROZEN["type tokens in the plugin"].get(kind)}:
                assert set(one.get("inputs", {})) <= {*FROZEN["inputs"][kind], *hidden}
                assert set(one["outputs"]) <= {*FROZEN["inputs"][kind], *FROZEN["outputs"][kind], *hidden}
                written = kind in PROVIDERS and state.host == "dynamic"  # a component and the plugin write none
                assert one["outputs"].get("__provider") == (token(PROVIDERS[kind]) if written else None)


def test_the_providers_pickle_as_a_name_and_hold_nothing() -> None:
    """No code, no value, and the same each time: nothing in a state depends on the machine that wrote it."""
    for provider in PROVIDERS.values():
        assert len(token(provider)) <= 128
        assert not vars(provider())
