"""A start-up script that is too large for the service fails the preview, before a replacement cancels a running bid."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from flow.adapters.providers.builtin.mithril.domain.script_prep import ScriptPreparationService
from support.stack import CheckError, Stack, VerbError, cluster, job, operation, volume

from flow_resources.cloud.launch import Launch
from flow_resources.cloud.startup_script import _least_size
from flow_resources.core.inputs import UNKNOWN
from flow_resources.lifecycle import placement_check
from flow_resources.testing import FakeMithril

TOLERANCE = 300  # characters: the preview may reject a script that is this much smaller than the limit
VOLUMES = 8


def noise(length: int) -> str:
    """Return text that hardly compresses, the same each time."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return "".join(random.Random(length).choices(letters, k=length))


def as_command(length: int) -> dict[str, Any]:
    return {"command": f"echo {noise(length)}"}


def as_env(length: int) -> dict[str, Any]:
    return {"env": {"MODEL": noise(length)}}


def as_arguments(length: int) -> dict[str, Any]:
    return {"command": ["echo", *(noise(length // 4 + n) for n in range(4))]}


each_input = pytest.mark.parametrize("make_inputs", [as_command, as_env, as_arguments])


def fits(stack: Stack, inputs: dict[str, Any]) -> bool:
    """Whether a preview accepts the inputs."""
    try:
        stack.preview({"it": cluster(**inputs)})
    except CheckError:
        return False
    return True


@each_input
def test_a_script_that_is_too_large_fails_the_preview_and_the_bid_stays(
    stack: Stack, cloud: FakeMithril, make_inputs
) -> None:
    """A replacement that deletes first would leave no machines."""
    stack.up({"it": cluster()})
    (before,) = cloud.live_bids
    too_long = make_inputs(20_000)
    with pytest.raises(
        CheckError, match=r"command makes the start-up script too large \(the most are 10,000"
    ) as failed:
        stack.up({"it": cluster(**too_long)})
    assert "put what is long on a volume or into an image" in str(failed.value)
    assert noise(20_000)[:40] not in str(failed.value)
    assert cloud.live_bids == [before]


@pytest.mark.parametrize("declare", [cluster, job])
def test_an_image_that_the_sdk_refuses_fails_the_preview_and_the_bid_stays(
    stack: Stack, cloud: FakeMithril, declare: Any
) -> None:
    """It refuses it when it writes the script, which may be short."""
    stack.up({"it": declare(command="python train.py", image="team/trainer")})
    (before,) = cloud.live_bids
    with pytest.raises(CheckError) as failed:
        stack.up({"it": declare(command="python train.py", image="trainer")})
    (said,) = failed.value.failures.items()
    assert said[0] == "image"
    assert "Docker image should include registry/namespace: trainer" in said[1]
    assert said[1].endswith("write it with its registry or namespace, such as 'docker.io/library/python:3.12'")
    assert cloud.live_bids == [before]


@pytest.mark.parametrize(
    "what",
    [
        {"command": UNKNOWN},
        {"command": ["python", UNKNOWN]},
        {"command": None, "script": UNKNOWN},
        {"script": "#!/bin/sh\ntrue\n", "args": [UNKNOWN]},
    ],
)
def test_a_job_whose_work_is_not_known_yet_can_be_previewed(stack: Stack, what: dict[str, Any]) -> None:
    """It names the output of another resource, for example."""
    assert stack.preview({"it": job(**what)}) == {"it": "create"}


@pytest.mark.parametrize(
    "what",
    [
        {"command": None, "script": {"__problem": "names a file that is not there", "__file": "x.py"}},
        {"command": ""},
        {"command": None},
        {"command": [1.0]},
    ],
)
def test_a_job_whose_work_is_wrong_has_one_failure(stack: Stack, what: dict[str, Any]) -> None:
    """Nothing is said of the script that it does not make."""
    operation(stack.config)
    with pytest.raises(CheckError) as failed:
        stack.preview({"it": job(**what)})
    assert len(failed.value.failures) == 1
    assert "start-up script" not in str(failed.value)


def test_64000_ports_are_refused_without_writing_the_script(stack: Stack, cloud: FakeMithril, monkeypatch: Any) -> None:
    """The SDK takes half a minute for that. What the script has to hold is too large alone, and ports are named."""
    written = []
    build = ScriptPreparationService.build_and_prepare
    monkeypatch.setattr(
        ScriptPreparationService,
        "build_and_prepare",
        lambda self, config, **more: written.append(len(config.ports)) or build(self, config, **more),
    )
    with pytest.raises(CheckError) as failed:
        stack.preview({"it": cluster(ports=list(range(1024, 65024)))})
    assert failed.value.failures == {
        "ports": "ports makes the start-up script too large (the most are 10,000 characters, compressed), got 64000: "
        "each port needs a service of its own in it: open fewer"
    }
    assert not written
    with pytest.raises(CheckError, match="ports makes the start-up script too large"):
        stack.preview({"it": cluster(ports=list(range(1024, 1624)))})
    assert written == [600, 600]  # the second tells what is left for the rest


@pytest.mark.parametrize(
    "inputs",
    [
        {"ports": tuple(range(1024, 1124))},
        {"command": "echo one more line\n" * 3_000},
        {"command": noise(3_000)},
        {"command": ["python", *("--flag",) * 500], "env": {f"N{n}": noise(40) for n in range(40)}},
        {"env": {"A": "x" * 9_000}},
    ],
    ids=" ".join,
)
def test_the_least_size_of_a_script_is_less_than_its_size(stack: Stack, cloud: FakeMithril, inputs: Any) -> None:
    """Else a script that fits would be refused."""
    launch = Launch("n-1", "k", "it_1", 1, Decimal(1), "us-central5-a", **{"command": "true", **inputs})
    stack.operation()
    with operation().cloud._sdk("write a script") as sdk:
        script = sdk.write_script(launch)
    assert 0 < _least_size(launch) < len(script) <= 10_000


def extra_inputs(stack: Stack, what: str) -> dict[str, Any]:
    """Return inputs that make a script longer."""
    mounts = [
        {"volume_id": stack.state[f"v{n}"].id, "mount_path": f"/mnt/{n}x{noise(3)}"}
        for n in range(VOLUMES)
        if f"v{n}" in stack.state
    ]
    inputs: dict[str, dict[str, Any]] = {
        "a bare cluster": {},
        "several machines": {"num_instances": 4},
        "an image": {"image": f"registry.example.com/{noise(60).lower().replace('+', 'a').replace('/', 'b')}"},
        "all volumes": {"volumes": mounts},
    }
    return inputs[what]


@pytest.mark.parametrize(
    ("make_inputs", "what"),
    [
        (as_env, "a bare cluster"),
        (as_arguments, "a bare cluster"),
        (as_command, "a bare cluster"),
        (as_command, "several machines"),
        (as_command, "an image"),
        (as_command, "all volumes"),
    ],
)
def test_a_script_that_passes_the_preview_is_placed(
    stack: Stack, cloud: FakeMithril, make_inputs, what: str, monkeypatch: Any
) -> None:
    """Up to the limit; the preview rejects hardly anything that fits."""
    volumes = {f"v{n}": volume(interface="block") for n in range(VOLUMES)}
    stack.up(volumes)
    extra = extra_inputs(stack, what)
    low, high = 500, 12_000
    while high - low > 5:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(stack, {**make_inputs(middle), **extra}) else (low, middle)
    stack.up({**volumes, "it": cluster(**make_inputs(low), **extra)})
    assert len(cloud.live_bids) == 1
    monkeypatch.setattr(placement_check, "SHORT", 100_000)  # turn the check off
    monkeypatch.setattr(placement_check, "FEW", 100)
    with pytest.raises(VerbError, match="Startup script too large"):
        stack.up({**volumes, "it": cluster(**make_inputs(high + TOLERANCE), **extra)})


def test_a_script_that_is_not_checked_fits(stack: Stack, cloud: FakeMithril) -> None:
    """With all other inputs that make a script longer."""
    volumes = {f"v{n}": volume() for n in range(placement_check.FEW)}
    stack.up(volumes)
    extra = {
        **extra_inputs(stack, "an image"),
        "num_instances": 4,
        "volumes": extra_inputs(stack, "all volumes")["volumes"],
    }
    stack.up({**volumes, "it": cluster(command=noise(placement_check.SHORT), **extra)})
    assert len(cloud.live_bids) == 1


def test_a_short_script_that_is_checked_passes(stack: Stack, cloud: FakeMithril) -> None:
    """Many machines with file volumes, and all other inputs."""
    volumes = {f"v{n}": volume() for n in range(VOLUMES)}
    stack.up(volumes)
    extra = {**extra_inputs(stack, "all volumes"), "image": "example.com/image", "ports": [8000], "env": {"N": "1"}}
    stack.up({**volumes, "it": cluster(command=["echo", "1"], num_instances=2, **extra)})
    assert len(cloud.live_bids) == 1


def test_a_long_script_that_compresses_well_passes(stack: Stack, cloud: FakeMithril) -> None:
    """The limit is for the compressed script."""
    stack.up({"it": cluster(command="echo one more line of a long script\n" * 3_000)})
    assert len(cloud.live_bids) == 1


def test_a_cluster_without_a_change_is_not_checked(stack: Stack, cloud: FakeMithril, monkeypatch: Any) -> None:
    """Even if the limit is lower now."""
    program = {"it": cluster(command=noise(3_500))}
    stack.up(program)
    monkeypatch.setenv("MITHRIL_MAX_SCRIPT_SIZE", "100")
    stack.up(program)
    assert len(cloud.live_bids) == 1
