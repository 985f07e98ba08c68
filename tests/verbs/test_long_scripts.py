"""A start-up script that the service would not take: told at preview, before a replacement ends what runs."""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.stack import CheckError, Stack, VerbError, cluster, volume

from flow_resources.lifecycle import cluster_check
from flow_resources.testing import FakeMithril

SEVERAL = 300  # characters: as much too early may be told that it does not fit
VOLUMES = 8


def noise(length: int) -> str:
    """Return text that nothing compresses much, the same each time."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return "".join(random.Random(length).choices(letters, k=length))


def as_command(length: int) -> dict[str, Any]:
    return {"command": f"echo {noise(length)}"}


def as_env(length: int) -> dict[str, Any]:
    return {"env": {"MODEL": noise(length)}}


def as_arguments(length: int) -> dict[str, Any]:
    return {"command": ["echo", *(noise(length // 4 + n) for n in range(4))]}


each_way = pytest.mark.parametrize("way", [as_command, as_env, as_arguments])


def fits(stack: Stack, inputs: dict[str, Any]) -> bool:
    """Whether a preview lets it pass."""
    try:
        stack.preview({"it": cluster(**inputs)})
    except CheckError:
        return False
    return True


@each_way
def test_what_is_too_long_fails_the_preview_and_the_old_machines_stay(stack: Stack, cloud: FakeMithril, way) -> None:
    """A replacement that ends the old ones first would be left with none."""
    stack.up({"it": cluster()})
    (before,) = cloud.live_bids
    long = way(20_000)
    with pytest.raises(CheckError, match=r"command makes the start-up script too large \(the most are 10,000") as no:
        stack.up({"it": cluster(**long)})
    assert "put what is long on a volume or into an image" in str(no.value)
    assert noise(20_000)[:40] not in str(no.value)
    assert cloud.live_bids == [before]


def shapes(stack: Stack, what: str) -> dict[str, Any]:
    """Return inputs that make a script longer, and make the volumes that they need."""
    mounts = [
        {"volume_id": stack.state[f"v{n}"].id, "mount_path": f"/mnt/{n}x{noise(3)}"}
        for n in range(VOLUMES)
        if f"v{n}" in stack.state
    ]
    longer: dict[str, dict[str, Any]] = {
        "a bare cluster": {},
        "several machines": {"num_instances": 4},
        "an image": {"image": f"registry.example.com/{noise(60).lower().replace('+', 'a').replace('/', 'b')}"},
        "all volumes": {"volumes": mounts},
    }
    return longer[what]


@pytest.mark.parametrize(
    ("way", "what"),
    [
        (as_env, "a bare cluster"),
        (as_arguments, "a bare cluster"),
        (as_command, "a bare cluster"),
        (as_command, "several machines"),
        (as_command, "an image"),
        (as_command, "all volumes"),
    ],
)
def test_what_passes_the_preview_is_placed(stack: Stack, cloud: FakeMithril, way, what: str, monkeypatch: Any) -> None:
    """Right at the limit, and hardly anything is told too early."""
    volumes = {f"v{n}": volume(interface="block") for n in range(VOLUMES)}
    stack.up(volumes)
    more = shapes(stack, what)
    low, high = 500, 12_000
    while high - low > 5:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(stack, {**way(middle), **more}) else (low, middle)
    stack.up({**volumes, "it": cluster(**way(low), **more)})
    assert len(cloud.live_bids) == 1
    monkeypatch.setattr(cluster_check, "SHORT", 100_000)  # nobody looks
    monkeypatch.setattr(cluster_check, "FEW", 100)
    with pytest.raises(VerbError, match="Startup script too large"):
        stack.up({**volumes, "it": cluster(**way(high + SEVERAL), **more)})


def test_what_is_not_looked_at_fits(stack: Stack, cloud: FakeMithril) -> None:
    """With everything else that makes a script longer."""
    some = {f"v{n}": volume() for n in range(cluster_check.FEW)}
    stack.up(some)
    more = {**shapes(stack, "an image"), "num_instances": 4, "volumes": shapes(stack, "all volumes")["volumes"]}
    stack.up({**some, "it": cluster(command=noise(cluster_check.SHORT), **more)})
    assert len(cloud.live_bids) == 1


def test_whatever_is_looked_at_and_short_passes(stack: Stack, cloud: FakeMithril) -> None:
    """Many machines with file volumes, and everything at once."""
    volumes = {f"v{n}": volume() for n in range(VOLUMES)}
    stack.up(volumes)
    more = {**shapes(stack, "all volumes"), "image": "example.com/image", "ports": [8000], "env": {"N": "1"}}
    stack.up({**volumes, "it": cluster(command=["echo", "1"], num_instances=2, **more)})
    assert len(cloud.live_bids) == 1


def test_what_compresses_well_may_be_long(stack: Stack, cloud: FakeMithril) -> None:
    """Nobody counts characters of a script that becomes small."""
    stack.up({"it": cluster(command="echo one more line of a long script\n" * 3_000)})
    assert len(cloud.live_bids) == 1


def test_a_cluster_that_stays_is_not_judged_by_its_script(stack: Stack, cloud: FakeMithril, monkeypatch: Any) -> None:
    """Also where the limit has fallen since."""
    program = {"it": cluster(command=noise(3_500))}
    stack.up(program)
    monkeypatch.setenv("MITHRIL_MAX_SCRIPT_SIZE", "100")
    stack.up(program)
    assert len(cloud.live_bids) == 1
