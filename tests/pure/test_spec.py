"""What a program wants, parsed once: typed, defaults filled in, and with the digest that names always had."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flow_resources.core import naming
from flow_resources.core.cluster_fields import FIELDS, check_cluster
from flow_resources.core.hidden import MARK, OWNER, Identity
from flow_resources.core.naming import Mark
from flow_resources.core.spec import ClusterSpec, Mount, VolumeSpec, declared_inputs

MINE = Mark("3f9a1c5d08b6", "7be02d4d")
LEAST = {"instance_type": "8xa100", "max_price_per_hour": 50.0, "region": "us-central5-a", MARK: str(MINE)}
FULL: dict[str, Any] = {
    **LEAST,
    OWNER: "acme/training/dev",
    "num_instances": 4.0,
    "command": ["python", "train.py"],
    "image": "python:3.12",
    "env": {"TOKEN": "canary-token"},
    "ports": [8080.0, 9090.0],
    "volumes": [{"volume_id": "vol_2", "mount_path": "/mnt/b"}, {"volume_id": "vol_1", "mount_path": "/data"}],
    "ssh_keys": ["laptop"],
    "paused": True,
    "wait_for": "placed",
    "name_prefix": "my-trainer",
    "adopt_task_id": "bid_9",
}


def test_the_least_that_a_program_says_is_filled_in() -> None:
    """With the defaults of the table."""
    spec = ClusterSpec.parse(LEAST)
    assert (spec.num_instances, spec.command, spec.paused, spec.wait_for) == (1, "sleep infinity", False, "running")
    assert (spec.image, spec.env, spec.ports, spec.volumes, spec.ssh_keys) == (None, {}, (), (), ())
    assert spec.identity == Identity(MINE, None)


def test_all_that_it_says_is_typed() -> None:
    """Numbers are whole, money is Decimal, mounts are values, lists are tuples."""
    spec = ClusterSpec.parse(FULL)
    assert (spec.num_instances, spec.max_price_per_hour, spec.max_cost) == (4, Decimal("50.00"), Decimal("200.00"))
    assert (spec.command, spec.ports) == (("python", "train.py"), (8080, 9090))
    assert spec.volumes == (Mount("vol_2", "/mnt/b"), Mount("vol_1", "/data"))
    assert (spec.paused, spec.wait_for, spec.name_prefix, spec.adopt_task_id) == (True, "placed", "my-trainer", "bid_9")
    assert spec.identity == Identity(MINE, "acme/training/dev")


def test_the_inputs_stay_as_they_came() -> None:
    """They go into the state unchanged."""
    assert ClusterSpec.parse(FULL).inputs == {name: value for name, value in FULL.items() if not name.startswith("__")}
    assert declared_inputs(FIELDS, {"region": None, "task_id": "bid_1"}) == {}


def test_no_secret_shows_in_a_repr() -> None:
    """Env and command can hold one."""
    shown = repr(ClusterSpec.parse({**FULL, "command": "train --token canary-command"}))
    assert "canary" not in shown


def test_without_a_mark_nothing_is_made() -> None:
    """Check did not see the inputs."""
    with pytest.raises(ValueError, match="no mark"):
        _ = ClusterSpec.parse({name: value for name, value in LEAST.items() if name != MARK}).mark


def test_the_digest_is_the_one_that_names_always_had() -> None:
    """It is written into the service: over the replacing inputs, with secrets as a keyed hash."""
    public = dict.fromkeys(("instance_type", "num_instances", "region", "image", "ports", "volumes", "ssh_keys"))
    least = check_cluster({**LEAST, "run_on": "first_boot"}).inputs
    expected = {**public, "instance_type": "8xa100", "num_instances": 1, "region": "us-central5-a"}
    assert ClusterSpec.parse({**least, MARK: str(MINE)}).digest("key") == naming.spec_digest(expected, {}, "key")
    full = {
        **expected,
        "num_instances": 4,
        "image": "python:3.12",
        "ports": [8080, 9090],
        "volumes": [{"mount_path": "/data", "volume_id": "vol_1"}, {"mount_path": "/mnt/b", "volume_id": "vol_2"}],
        "ssh_keys": ["laptop"],
    }
    secret = {"command": ["python", "train.py"], "env": {"TOKEN": "canary-token"}}
    assert ClusterSpec.parse(FULL).digest("key") == naming.spec_digest(full, secret, "key")
    boots = {"run_on": "every_boot", "restart": "always", "preemption_signal": "SIGUSR1"}
    assert ClusterSpec.parse({**FULL, **boots}).digest("key") == naming.spec_digest({**full, **boots}, secret, "key")


def test_what_an_older_version_placed_is_not_what_runs_at_every_boot() -> None:
    """A bid that it left is not taken over for one: its machines run the command at the first boot alone."""
    old = ClusterSpec.parse(FULL)
    assert ClusterSpec.parse({**FULL, "run_on": "first_boot", "restart": "never"}).digest("key") == old.digest("key")
    assert ClusterSpec.parse({**FULL, "run_on": "every_boot"}).digest("key") != old.digest("key")
    assert old.run_on == "first_boot"


@pytest.mark.parametrize(
    "change",
    [
        {"ports": [9090.0, 8080.0]},
        {"volumes": FULL["volumes"][::-1]},
        {"num_instances": 4},
        {"max_price_per_hour": 60.0},
        {"paused": False},
        {"name_prefix": "other"},
        {"adopt_task_id": None},
    ],
)
def test_what_replaces_nothing_does_not_change_the_digest(change: dict[str, Any]) -> None:
    """Order, spelling of numbers, and what is changed in place."""
    assert ClusterSpec.parse({**FULL, **change}).digest("key") == ClusterSpec.parse(FULL).digest("key")


def test_a_volume() -> None:
    """Size, interface and region are its specification; its name is not."""
    props = {"size_gb": 1000.0, "interface": "file", "region": "us-central5-a", "volume_name": "data", MARK: str(MINE)}
    spec = VolumeSpec.parse(props)
    assert (spec.size_gb, spec.interface, spec.region, spec.volume_name) == (1000, "file", "us-central5-a", "data")
    assert spec.digest("key") == VolumeSpec.parse({**props, "volume_name": "other"}).digest("key")
    assert spec.digest("key") != VolumeSpec.parse({**props, "size_gb": 1001.0}).digest("key")
