"""What bad input gets: a failure with its property path, the value, the rule and the remedy, all of them at once."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_resources.core import cluster_fields, volume_fields
from flow_resources.core.inputs import Checked
from flow_resources.core.market import Market, RegionSources, check_market, check_regions, drop_hints, resolve_region
from flow_resources.core.placement_fields import instance_type, ssh_keys, volumes

CLUSTER = {"instance_type": "8xa100", "max_price_per_hour": 50.0, "region": "us-central5-a"}
VOLUME = {"size_gb": 100.0, "region": "us-central5-a"}
CANARY = "hunter2-canary"
SENSITIVE = ("command", "env")
ABSENT = object()


def mount(volume_id: Any = "vol_a", mount_path: Any = "/data", **more: Any) -> dict[str, Any]:
    return {"volume_id": volume_id, "mount_path": mount_path, **more}


def said(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**base, **changes}.items() if value is not ABSENT}


def judge_cluster(market: Market, /, **changes: Any) -> Checked:
    """Check a cluster as the preview does, with a good program but for the changes."""
    found = cluster_fields.check_cluster(said(CLUSTER, changes))
    resolve_region(found, RegionSources(), market, may_move=True)
    check_market(found, market)
    drop_hints(found.inputs)
    return found


def judge_volume(market: Market, olds: dict[str, Any] | None = None, /, **changes: Any) -> Checked:
    """Check a volume as the preview does."""
    found = volume_fields.check_volume(said(VOLUME, changes))
    volume_fields.resolve_region(found, RegionSources(), market.regions)
    check_regions(found, market.regions)
    volume_fields.guard_data(found, olds or {})
    return found


def texts(found: Checked, path: str) -> list[str]:
    return [failure.text for failure in found.failures if failure.path == path]


def row(id_: str, inputs: dict[str, Any], path: str, *parts: str) -> Any:
    return pytest.param(inputs, path, parts, id=id_)


_PRICE = "it is the bid, in USD per instance-hour"
_TYPE = "write it like '8xa100', 'a100:8', 'a100-80gb.sxm.8x' or 'it_...'"
_COUNT = "must be a whole number from 1 to 100"
_ROOTS = "it mounts under /volumes/, /mnt/, /data, /dataN, /opt/ or /var/"
_PATH = "must be an absolute path of letters, digits, - and _"
_BESIDE = "mount volumes beside each other, not inside each other"
_PREFIX = "must start with a letter, have at most 30 of a-z, 0-9 and -, and not end with -"

BAD_CLUSTERS = [
    row("type-missing", {"instance_type": ABSENT}, "instance_type", "is required"),
    row("type-none", {"instance_type": None}, "instance_type", "is required"),
    row("type-empty", {"instance_type": " "}, "instance_type", "must not be empty", "got ' '"),
    row("type-number", {"instance_type": 8.0}, "instance_type", "must be a string", "got 8"),
    row(
        "type-without-count",
        {"instance_type": "a100"},
        "instance_type",
        "how many GPUs",
        "'a100'",
        "'8xa100' or '1xa100'",
    ),
    row(
        "type-ends-in-digits",
        {"instance_type": "rtx4090"},
        "instance_type",
        "how many GPUs",
        "'rtx4090'",
        "'8xrtx4090'",
    ),
    row("type-of-no-gpu", {"instance_type": "0xa100"}, "instance_type", "is not an instance type", "'0xa100'", _TYPE),
    row(
        "type-nonsense", {"instance_type": "8 a100s!"}, "instance_type", "is not an instance type", "'8 a100s!'", _TYPE
    ),
    row(
        "type-unknown",
        {"instance_type": "8xa10"},
        "instance_type",
        "is not in the service's catalogue",
        "'8xa10'",
        "8xa100",
    ),
    row(
        "type-unknown-id",
        {"instance_type": "it_gone"},
        "instance_type",
        "is not in the service's catalogue",
        "'it_gone'",
    ),
    row(
        "type-elsewhere",
        {"instance_type": "8xh100"},
        "instance_type",
        "is not on offer in us-central5-a",
        "'8xh100'",
        "it is in us-east1-a",
    ),
    row(
        "type-nowhere",
        {"instance_type": "4xv100"},
        "instance_type",
        "is not on offer in us-central5-a",
        "it is on offer nowhere now",
    ),
    row("price-missing", {"max_price_per_hour": ABSENT}, "max_price_per_hour", "is required"),
    row("price-zero", {"max_price_per_hour": 0.0}, "max_price_per_hour", "must be greater than 0", "got 0", _PRICE),
    row(
        "price-negative", {"max_price_per_hour": -1.0}, "max_price_per_hour", "must be greater than 0", "got -1", _PRICE
    ),
    row(
        "price-finer-than-a-cent",
        {"max_price_per_hour": 50.005},
        "max_price_per_hour",
        "finer than a cent",
        "got 50.005",
        "write 50.0",
    ),
    row(
        "price-under-a-cent",
        {"max_price_per_hour": 0.001},
        "max_price_per_hour",
        "finer than a cent",
        "got 0.001",
        "write 0.01",
    ),
    row(
        "price-nan",
        {"max_price_per_hour": float("nan")},
        "max_price_per_hour",
        "must be a finite number",
        "got nan",
        _PRICE,
    ),
    row(
        "price-infinite",
        {"max_price_per_hour": float("inf")},
        "max_price_per_hour",
        "must be a finite number",
        "got inf",
        _PRICE,
    ),
    row(
        "price-decimal-nan",
        {"max_price_per_hour": Decimal("NaN")},
        "max_price_per_hour",
        "must be a finite number",
        "NaN",
    ),
    row(
        "price-astronomic",
        {"max_price_per_hour": 1e30},
        "max_price_per_hour",
        "must be less than 1,000,000,000",
        _PRICE,
    ),
    row(
        "price-beyond-floats",
        {"max_price_per_hour": 10**400},
        "max_price_per_hour",
        "must be less than",
        "got 1000",
        _PRICE,
    ),
    row("price-text", {"max_price_per_hour": "$50"}, "max_price_per_hour", "must be a number", "got '$50'", _PRICE),
    row("price-flag", {"max_price_per_hour": True}, "max_price_per_hour", "must be a number", "got True", _PRICE),
    row("count-zero", {"num_instances": 0.0}, "num_instances", "must be from 1 to 100", "got 0"),
    row("count-too-many", {"num_instances": 101.0}, "num_instances", "must be from 1 to 100", "got 101"),
    row("count-negative", {"num_instances": -4}, "num_instances", "must be from 1 to 100", "got -4"),
    row("count-half", {"num_instances": 2.5}, "num_instances", _COUNT, "got 2.5"),
    row("count-text", {"num_instances": "4"}, "num_instances", _COUNT, "got '4'"),
    row("count-flag", {"num_instances": True}, "num_instances", _COUNT, "got True"),
    row("count-nan", {"num_instances": float("nan")}, "num_instances", _COUNT, "got nan"),
    row("count-infinite", {"num_instances": float("inf")}, "num_instances", _COUNT, "got inf"),
    row("region-none-left", {"region": ABSENT}, "region", "is not set", "flow:region", "us-central5-a, us-east1-a"),
    row(
        "region-unknown",
        {"region": "us-central5"},
        "region",
        "is not a region of the service",
        "'us-central5'",
        "us-central5-a",
    ),
    row("region-number", {"region": 5.0}, "region", "must be a string", "got 5"),
    row("region-empty", {"region": ""}, "region", "must not be empty", "got ''", "leave it out for the default"),
    row("command-empty", {"command": ""}, "command", "must not be empty", "leave it out"),
    row("command-no-arguments", {"command": []}, "command", "at least one argument", "leave it out"),
    row("command-argument-number", {"command": [CANARY, 5.0]}, "command[1]", "must be a string", "put it in quotes"),
    row("command-argument-list", {"command": ["sh", [CANARY]]}, "command[1]", "must be a string", "put it in quotes"),
    row("command-number", {"command": 5.0}, "command", "must be a string"),
    row("command-mapping", {"command": {"run": CANARY}}, "command", "must be a string"),
    row("image-empty", {"image": "  "}, "image", "must not be empty"),
    row("image-list", {"image": ["a"]}, "image", "must be a string", "got ['a']"),
    row("env-list", {"env": [CANARY]}, "env", "must be a mapping of names to strings"),
    row("env-text", {"env": CANARY}, "env", "must be a mapping of names to strings"),
    row(
        "env-value-number", {"env": {"RANK": 5.0, "TOKEN": CANARY}}, "env.RANK", "must be a string", "put it in quotes"
    ),
    row("env-value-none", {"env": {"RANK": None}}, "env.RANK", "must be a string", "put it in quotes"),
    row(
        "env-name-digit",
        {"env": {"1ST": CANARY}},
        "env.1ST",
        "is not a name for an environment variable",
        "letters, digits",
    ),
    row("env-name-equals", {"env": {f"A={CANARY}": ""}}, "env.A", "is not a name for an environment variable"),
    row("env-of-bash", {"env": {"UID": CANARY}}, "env.UID", "is a variable that bash lets no script set"),
    row("env-path", {"env": {"PATH": f"/{CANARY}:$PATH"}}, "env.PATH", "must have /usr/bin, where the start-up script"),
    row("env-name-dash", {"env": {"MY-KEY": CANARY}}, "env.MY-KEY", "is not a name for an environment variable"),
    row("env-name-line-break", {"env": {"A\nB": CANARY}}, "env.A B", "is not a name for an environment variable"),
    row("ports-number", {"ports": 8080.0}, "ports", "must be a list of port numbers", "got 8080"),
    row("ports-low", {"ports": [8080.0, 80.0]}, "ports[1]", "must be from 1024 to 65535", "got 80"),
    row("ports-high", {"ports": [65536.0]}, "ports[0]", "must be from 1024 to 65535", "got 65536"),
    row("ports-text", {"ports": ["8080"]}, "ports[0]", "must be a whole number from 1024 to 65535", "got '8080'"),
    row("ports-none", {"ports": [None]}, "ports[0]", "must be a whole number from 1024 to 65535", "got None"),
    row(
        "ports-twice",
        {"ports": [8080.0, 9090.0, 8080.0]},
        "ports[2]",
        "is in the list twice",
        "got 8080",
        "write it once",
    ),
    row("volumes-text", {"volumes": "vol_a"}, "volumes", "must be a list of VolumeMount", "got 'vol_a'"),
    row("volumes-mapping", {"volumes": mount()}, "volumes", "must be a list of VolumeMount", "'/data'"),
    row("volumes-number", {"volumes": 5.0}, "volumes", "must be a list of VolumeMount", "got 5"),
    row(
        "mount-number",
        {"volumes": [mount(), 5.0]},
        "volumes[1]",
        "must be a VolumeMount",
        "got 5",
        "volume_id and mount_path",
    ),
    row("mount-text", {"volumes": ["vol_a"]}, "volumes[0]", "must be a VolumeMount", "got 'vol_a'"),
    row("mount-none", {"volumes": [None]}, "volumes[0]", "must be a VolumeMount", "got None"),
    row(
        "mount-other-key",
        {"volumes": [mount(size=5.0)]},
        "volumes[0].size",
        "is not a key of a volume mount",
        "got 5",
        "it has volume_id and mount_path",
    ),
    row(
        "mount-no-volume",
        {"volumes": [{"mount_path": "/data"}]},
        "volumes[0].volume_id",
        "must be a Volume or the id of one, 'vol_...'",
    ),
    row(
        "mount-no-path",
        {"volumes": [{"volume_id": "vol_a"}]},
        "volumes[0].mount_path",
        "must be a path",
        "under /volumes/, /mnt/",
    ),
    row(
        "mount-id-of-a-task",
        {"volumes": [mount("bid_1")]},
        "volumes[0].volume_id",
        "must be a Volume or the id of one",
        "got 'bid_1'",
    ),
    row(
        "mount-id-undecryptable",
        {"volumes": [mount({})]},
        "volumes[0].volume_id",
        "must be a Volume or the id of one",
        "got {}: a secret of another stack reads so where its passphrase is another one",
    ),
    row("mount-path-number", {"volumes": [mount(mount_path=5.0)]}, "volumes[0].mount_path", "must be a path", "got 5"),
    row("mount-path-relative", {"volumes": [mount(mount_path="data")]}, "volumes[0].mount_path", _PATH, "got 'data'"),
    row(
        "mount-path-refused-root",
        {"volumes": [mount(mount_path="/etc/x")]},
        "volumes[0].mount_path",
        "is not a place where the service mounts",
        "got '/etc/x'",
        _ROOTS,
    ),
    row(
        "mount-path-bare-mnt",
        {"volumes": [mount(mount_path="/mnt")]},
        "volumes[0].mount_path",
        "is not a place",
        "got '/mnt'",
        _ROOTS,
    ),
    row(
        "mount-path-data-word",
        {"volumes": [mount(mount_path="/database")]},
        "volumes[0].mount_path",
        "is not a place",
        "got '/database'",
        _ROOTS,
    ),
    row(
        "mount-path-slash-at-end",
        {"volumes": [mount(mount_path="/data/")]},
        "volumes[0].mount_path",
        "without / at its end",
        "got '/data/'",
    ),
    row(
        "mount-path-two-slashes",
        {"volumes": [mount(mount_path="/mnt//x")]},
        "volumes[0].mount_path",
        "without //",
        "got '/mnt//x'",
    ),
    row(
        "mount-path-dots",
        {"volumes": [mount(mount_path="/data/../x")]},
        "volumes[0].mount_path",
        _PATH,
        "got '/data/../x'",
    ),
    row(
        "mount-path-space",
        {"volumes": [mount(mount_path="/mnt/my data")]},
        "volumes[0].mount_path",
        _PATH,
        "got '/mnt/my data'",
    ),
    row(
        "mount-path-line-break",
        {"volumes": [mount(mount_path="/mnt/x\n")]},
        "volumes[0].mount_path",
        _PATH,
        r"got '/mnt/x\n'",
    ),
    row(
        "mount-path-twice",
        {"volumes": [mount(), mount("vol_b")]},
        "volumes[1].mount_path",
        "overlaps /data",
        "got '/data'",
        _BESIDE,
    ),
    row(
        "mount-path-inside",
        {"volumes": [mount(), mount("vol_b", "/data/sub")]},
        "volumes[1].mount_path",
        "overlaps /data",
        "'/data/sub'",
        _BESIDE,
    ),
    row(
        "mount-path-around",
        {"volumes": [mount("vol_b", "/mnt/a/b"), mount(mount_path="/mnt/a")]},
        "volumes[1].mount_path",
        "overlaps /mnt/a/b",
        "got '/mnt/a'",
        _BESIDE,
    ),
    row(
        "mount-volume-twice",
        {"volumes": [mount(), mount(mount_path="/mnt/x")]},
        "volumes[1].volume_id",
        "is mounted twice",
        "got 'vol_a'",
        "mount a volume once",
    ),
    row(
        "mount-unknown-volume",
        {"volumes": [mount("vol_gone")]},
        "volumes[0].volume_id",
        "is not a volume of the project",
        "got 'vol_gone'",
        "flow volume list",
    ),
    row(
        "mount-other-region",
        {"volumes": [mount("vol_east")]},
        "volumes[0].volume_id",
        "is a volume in us-east1-a, the cluster is in us-central5-a",
        "both must be in one region",
    ),
    row(
        "mount-block-on-many",
        {"num_instances": 2.0, "volumes": [mount("vol_block")]},
        "volumes[0].volume_id",
        "block volume",
        "the cluster has 2",
        "interface='file'",
    ),
    row("ssh-keys-text", {"ssh_keys": "me"}, "ssh_keys", "must be a list of names or ids of platform keys", "got 'me'"),
    row(
        "ssh-keys-none-named", {"ssh_keys": []}, "ssh_keys", "must name at least one key", "got []", "SDK's default key"
    ),
    row("ssh-keys-empty-name", {"ssh_keys": ["me", ""]}, "ssh_keys[1]", "must not be empty", "got ''"),
    row("ssh-keys-number", {"ssh_keys": [1.0]}, "ssh_keys[0]", "must be a string", "got 1"),
    row(
        "ssh-keys-twice",
        {"ssh_keys": ["me", "me"]},
        "ssh_keys[1]",
        "is in the list twice",
        "got 'me'",
        "write it once",
    ),
    row("paused-text", {"paused": "yes"}, "paused", "must be True or False", "got 'yes'"),
    row("paused-number", {"paused": 1.0}, "paused", "must be True or False", "got 1"),
    row(
        "wait-for-unknown-word",
        {"wait_for": "ready"},
        "wait_for",
        "must be 'placed' or 'allocated' or 'running'",
        "got 'ready'",
    ),
    row("wait-for-flag", {"wait_for": False}, "wait_for", "must be 'placed'", "got False"),
    row("on-preemption-unknown-word", {"on_preemption": "respawn"}, "on_preemption", "must be 'keep'", "got 'respawn'"),
    row("prefix-long", {"name_prefix": "a" * 31}, "name_prefix", _PREFIX, f"got '{'a' * 31}'"),
    row("prefix-upper", {"name_prefix": "Trainer"}, "name_prefix", _PREFIX, "got 'Trainer'"),
    row("prefix-dash-at-end", {"name_prefix": "trainer-"}, "name_prefix", _PREFIX, "got 'trainer-'"),
    row("prefix-line-break", {"name_prefix": "trainer\n"}, "name_prefix", _PREFIX, r"got 'trainer\n'"),
    row("prefix-number", {"name_prefix": 5.0}, "name_prefix", _PREFIX, "got 5"),
    row(
        "adopt-no-task",
        {"adopt_task_id": "vol_1"},
        "adopt_task_id",
        "must be the id of a task, 'bid_...'",
        "got 'vol_1'",
        "flow status",
    ),
    row("adopt-number", {"adopt_task_id": 7.0}, "adopt_task_id", "must be the id of a task", "got 7"),
    row(
        "no-such-input",
        {"gpu_count": 8.0},
        "gpu_count",
        "is not an input of this resource",
        "it has adopt_task_id",
        "num_instances",
    ),
]
_NAME = "must have 3 to 64 of a-z, 0-9 and -, start with a letter and not end with -"
BAD_VOLUMES = [
    row("size-missing", {"size_gb": ABSENT}, "size_gb", "is required"),
    row("size-zero", {"size_gb": 0.0}, "size_gb", "must be from 1 to 16384", "got 0"),
    row("size-too-large", {"size_gb": 16385.0}, "size_gb", "must be from 1 to 16384", "got 16385"),
    row("size-half", {"size_gb": 0.5}, "size_gb", "must be a whole number from 1 to 16384", "got 0.5"),
    row("size-text", {"size_gb": "1TB"}, "size_gb", "must be a whole number", "got '1TB'"),
    row("interface-unknown-word", {"interface": "nfs"}, "interface", "must be 'file' or 'block'", "got 'nfs'"),
    row("interface-upper", {"interface": "File"}, "interface", "must be 'file' or 'block'", "got 'File'"),
    row("interface-list", {"interface": ["file"]}, "interface", "must be 'file' or 'block'", "got ['file']"),
    row("region-none-left", {"region": ABSENT}, "region", "is not set", "flow:region", "us-central5-a, us-east1-a"),
    row(
        "region-unknown",
        {"region": "mars-1"},
        "region",
        "is not a region of the service",
        "got 'mars-1'",
        "eu-north1-a, us-central5-a",
    ),
    row("region-flag", {"region": True}, "region", "must be a string", "got True"),
    row("name-short", {"volume_name": "ab"}, "volume_name", _NAME, "got 'ab'"),
    row("name-long", {"volume_name": "a" * 65}, "volume_name", _NAME, f"got '{'a' * 65}'"),
    row("name-digit-first", {"volume_name": "1data"}, "volume_name", _NAME, "got '1data'"),
    row("name-underscore", {"volume_name": "my_data"}, "volume_name", _NAME, "got 'my_data'"),
    row("name-dash-at-end", {"volume_name": "data-"}, "volume_name", _NAME, "got 'data-'"),
    row("name-upper", {"volume_name": "Data"}, "volume_name", _NAME, "got 'Data'"),
    row("name-line-break", {"volume_name": "data\n"}, "volume_name", _NAME, r"got 'data\n'"),
    row("name-number", {"volume_name": 12345.0}, "volume_name", _NAME, "got 12345"),
    row(
        "adopt-no-volume",
        {"adopt_volume_id": "bid_1"},
        "adopt_volume_id",
        "must be the id of a volume, 'vol_...'",
        "got 'bid_1'",
        "flow volume list",
    ),
    row("allow-replace-text", {"allow_replace": "true"}, "allow_replace", "must be True or False", "got 'true'"),
    row(
        "no-such-input",
        {"size": 5.0},
        "size",
        "is not an input of this resource",
        "did you mean size_gb? it has adopt_volume_id",
    ),
]
_LOSS = "without a new volume, which loses the data"
_BACK = "change it back, or set allow_replace=True on the volume"
LOSSES = [
    row("size", {"size_gb": 200.0}, "size_gb", "cannot change from 100", _LOSS, "got 200", _BACK),
    row("interface", {"interface": "block"}, "interface", "cannot change from 'file'", _LOSS, "got 'block'", _BACK),
    row(
        "region",
        {"region": "us-east1-a"},
        "region",
        "cannot change from 'us-central5-a'",
        _LOSS,
        "got 'us-east1-a'",
        _BACK,
    ),
]


def shows(found: Checked, path: str, parts: tuple[str, ...]) -> None:
    """Assert that one failure of this path has all the parts, in their order of a message, and that it is a line."""
    assert any(all(part in text for part in parts) for text in texts(found, path)), found.failures
    for failure in found.failures:
        assert failure.text.startswith(f"{failure.path} ")
        assert CANARY not in failure.text
        assert not failure.path.startswith(SENSITIVE) or ", got " not in failure.text
        assert len(failure.text) < 600


@pytest.mark.parametrize(("inputs", "path", "parts"), BAD_CLUSTERS)
def test_a_bad_input_of_a_cluster_is_named_by_its_path(
    market: Market, inputs: dict[str, Any], path: str, parts: tuple[str, ...]
) -> None:
    """The failure stands at the path of the property, and says the value, the rule and the remedy."""
    found = judge_cluster(market, **inputs)
    shows(found, path, parts)
    assert [failure.path for failure in found.failures] == [path]


@pytest.mark.parametrize(("inputs", "path", "parts"), BAD_VOLUMES)
def test_a_bad_input_of_a_volume_is_named_by_its_path(
    market: Market, inputs: dict[str, Any], path: str, parts: tuple[str, ...]
) -> None:
    """The failure stands at the path of the property, and says the value, the rule and the remedy."""
    found = judge_volume(market, **inputs)
    shows(found, path, parts)
    assert {failure.path for failure in found.failures} == {path}


@pytest.mark.parametrize(("inputs", "path", "parts"), LOSSES)
def test_a_change_that_loses_data_is_refused(
    market: Market, inputs: dict[str, Any], path: str, parts: tuple[str, ...]
) -> None:
    """What needs a new volume is a failure of the preview, and allow_replace=True is the way past it."""
    olds = {"size_gb": 100.0, "interface": "file", "region": "us-central5-a"}
    shows(judge_volume(market, olds, **inputs), path, parts)
    assert not judge_volume(market, olds, allow_replace=True, **inputs).failures
    assert judge_volume(market, olds, allow_replace=False, **inputs).failures


def test_a_bad_value_is_not_called_a_loss_of_data_too(market: Market) -> None:
    """A size that is no size fails once, by its own rule."""
    found = judge_volume(market, {"size_gb": 100.0, "region": "us-central5-a"}, size_gb=0.0)
    assert [failure.path for failure in found.failures] == ["size_gb"]
    assert "from 1 to 16384" in found.failures[0].text


def test_a_good_program_has_no_failure_and_comes_back_in_its_normal_form(market: Market) -> None:
    """Floats become whole numbers, defaults are filled in, hints are taken out."""
    found = judge_cluster(
        market,
        instance_type=" A100:8 ",
        num_instances=4.0,
        ports=[8080.0],
        volumes=[{**mount(), "__region": "us-central5-a", "__interface": "file"}, mount("vol_b", "/data2")],
        env={"TOKEN": CANARY},
    )
    assert not found.failures
    assert found.inputs == {
        "instance_type": "8xa100",
        "max_price_per_hour": 50.0,
        "num_instances": 4,
        "region": "us-central5-a",
        "command": "sleep infinity",
        "ports": [8080],
        "volumes": [mount(), mount("vol_b", "/data2")],
        "env": {"TOKEN": CANARY},
        "run_on": "every_boot",
        "restart": "never",
        "paused": False,
        "wait_for": "running",
        "on_preemption": "keep",
    }
    assert all(isinstance(number, int) for number in (found.inputs["num_instances"], *found.inputs["ports"]))


def test_a_good_volume_comes_back_in_its_normal_form(market: Market) -> None:
    """A whole size, and the defaults."""
    found = judge_volume(market, volume_name="data-1")
    assert not found.failures
    assert found.inputs == {
        "size_gb": 100,
        "region": "us-central5-a",
        "interface": "file",
        "volume_name": "data-1",
        "allow_replace": False,
    }


@pytest.mark.parametrize(
    "path", ["/data", "/data2", "/data/x", "/volumes/x", "/mnt/a-b_c", "/opt/x/y", "/var/x", "/data10/x"]
)
def test_the_places_where_the_service_mounts_are_accepted(market: Market, path: str) -> None:
    """Every root of the service, and what is under it."""
    assert not judge_cluster(market, volumes=[mount(mount_path=path)]).failures


@pytest.mark.parametrize(
    ("spelling", "normal"),
    [
        ("8xa100", "8xa100"),
        ("8xA100", "8xa100"),
        ("a100:8", "8xa100"),
        ("a100x8", "8xa100"),
        ("A100-80GB.SXM.8x", "a100-80gb.sxm.8x"),
        ("rtx4090x2", "2xrtx4090"),
        ("gh200:1", "1xgh200"),
        ("it_Sg1nDx1I8NFep60J", "it_Sg1nDx1I8NFep60J"),
    ],
)
def test_every_spelling_of_a_type_has_one_normal_form(spelling: Any, normal: Any) -> None:
    """However it is typed, the state holds one spelling, so that another spelling is no change; ids keep their case."""
    assert instance_type(spelling) == normal
    assert instance_type(normal) == normal


def test_all_bad_inputs_of_a_cluster_are_reported_together(market: Market) -> None:
    """One preview is enough to mend a whole program."""
    found = judge_cluster(
        market,
        instance_type="a100",
        max_price_per_hour=-1.0,
        num_instances=0.0,
        region="mars",
        command="",
        env={"1": CANARY, "OK": 5.0},
        ports=[1.0, 2.0],
        volumes=[mount("x", "/etc/x"), mount("vol_b", "relative")],
        ssh_keys=[],
        paused="no",
        wait_for="ready",
        on_preemption="die",
        name_prefix="-",
        adopt_task_id="x",
        typo=1.0,
    )
    paths = "typo instance_type max_price_per_hour num_instances region command env.1 env.OK ports[0] ports[1]"
    paths += " volumes[0].volume_id volumes[0].mount_path volumes[1].mount_path ssh_keys paused wait_for"
    paths += " on_preemption name_prefix adopt_task_id"
    assert sorted(failure.path for failure in found.failures) == sorted(paths.split())
    assert CANARY not in str(found.failures)


def test_all_bad_inputs_of_a_volume_are_reported_together(market: Market) -> None:
    """Own rules, the service's regions and the loss of data, in one preview."""
    olds = {"size_gb": 50.0, "interface": "file", "region": "us-central5-a"}
    found = judge_volume(market, olds, volume_name="X", interface="nfs", region="mars", typo=1.0)
    paths = [failure.path for failure in found.failures]
    assert sorted(paths) == ["interface", "region", "size_gb", "typo", "volume_name"]


@pytest.mark.parametrize(
    "bad",
    [mount("nonsense", "/mnt/x"), mount("vol_c", "/etc"), 5.0, {}, mount("vol_c", None)],
    ids=["bad-id", "bad-path", "number", "empty", "no-path"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_overlapping_paths_are_reported_even_beside_another_bad_mount(market: Market, bad: Any, place: Any) -> None:
    """What breaks one mount hides nothing of the others."""
    mounts: list[Any] = [mount(), mount("vol_b", "/data/sub")]
    mounts.insert(place, bad)
    found = judge_cluster(market, volumes=mounts)
    later = 1 if place == 2 else 2
    assert any("overlaps /data" in text for text in texts(found, f"volumes[{later}].mount_path"))
    assert any(failure.path.startswith(f"volumes[{place}]") for failure in found.failures)


def test_a_path_that_is_no_path_is_not_said_to_overlap(market: Market) -> None:
    """Two wrong paths are wrong, not on top of each other; one with a wrong volume still takes its place."""
    found = judge_cluster(
        market, volumes=[mount(mount_path="/etc"), mount("vol_b", "/etc"), mount("nonsense"), mount("vol_b")]
    )
    assert [len(texts(found, f"volumes[{place}].mount_path")) for place in range(4)] == [1, 1, 0, 1]
    assert "overlaps /data" in texts(found, "volumes[3].mount_path")[0]
    assert "mounted twice" in texts(found, "volumes[3].volume_id")[0]


def test_a_port_that_stands_twice_is_reported_beside_a_bad_one(market: Market) -> None:
    """What breaks one item hides nothing of the others, and no place fails twice."""
    found = judge_cluster(market, ports=[80.0, 8080.0, 80.0, 8080.0])
    assert [failure.path for failure in found.failures] == ["ports[0]", "ports[2]", "ports[3]"]
    assert "is in the list twice, got 8080" in found.failures[-1].text


def test_of_thousands_of_bad_items_the_first_are_reported(market: Market) -> None:
    """A range that begins too low: the message stays one that a person reads, and says how many more there are."""
    found = judge_cluster(market, ports=[float(port) for port in range(300)])
    assert [failure.path for failure in found.failures] == [*(f"ports[{place}]" for place in range(100)), "ports"]
    assert found.failures[-1].text == "ports has 200 more items that break a rule: correct the first ones"


class Compared(str):
    """A string that counts how often it is compared."""

    __slots__ = ()
    __hash__ = str.__hash__
    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)


@pytest.mark.parametrize(
    ("rule", "item"), [(ssh_keys, Compared), (volumes, lambda text: mount(Compared(f"vol_{text}"), f"/mnt/{text}"))]
)
def test_a_check_of_a_long_list_compares_each_item_a_few_times(rule: Any, item: Any, monkeypatch: Any) -> None:
    """Not with every other one: 64,000 ports took seconds."""
    monkeypatch.setattr(Compared, "times", 0)
    assert len(rule([item(f"key-{number}") for number in range(2_000)])) == 2_000
    assert Compared.times < 4 * 2_000


@pytest.mark.parametrize("paths", [["/mnt/a", "/mnt/a/b/c"], ["/mnt/a/b/c", "/mnt/a"], ["/mnt/a", "/mnt/ab", "/mnt/a"]])
def test_overlapping_paths_are_found_in_either_order(market: Market, paths: list[str]) -> None:
    """And a path that only begins with the same letters does not overlap."""
    mounts = [mount(f"vol_{place}", path) for place, path in enumerate(paths)]
    (failure,) = cluster_fields.check_cluster({**CLUSTER, "volumes": mounts}).failures
    assert failure.path == f"volumes[{len(paths) - 1}].mount_path"
    assert f"overlaps {paths[0]}" in failure.text


def test_a_key_that_looks_like_a_path_is_shown_with_its_own_value(market: Market) -> None:
    """The value at `volume_id.x` is not looked for inside `volume_id`."""
    found = judge_cluster(market, volumes=[{**mount(["x"]), "volume_id.x": 1.0}])
    assert "got 1" in texts(found, "volumes[0].volume_id.x")[0]
    assert "got ['x']" in texts(found, "volumes[0].volume_id")[0]


def test_a_volume_mounted_three_times_is_reported_once_a_mount() -> None:
    """Every surplus mount has one failure."""
    found = cluster_fields.check_cluster(
        {**CLUSTER, "volumes": [mount(mount_path=f"/mnt/{place}") for place in range(3)]}
    )
    assert [failure.path for failure in found.failures] == ["volumes[1].volume_id", "volumes[2].volume_id"]


def test_a_volume_of_another_region_is_reported_beside_a_bad_path(market: Market) -> None:
    """The rules that need the service are held against every mount whose volume is not refused already."""
    found = judge_cluster(market, volumes=[mount(mount_path="/etc"), mount("vol_east", "/mnt/x")])
    assert texts(found, "volumes[0].mount_path")
    assert "us-east1-a" in texts(found, "volumes[1].volume_id")[0]


@pytest.mark.parametrize("volumes", [[5.0], 5.0, "abc", {"a": 1.0}, [None], [[]], [{1: 2}]], ids=repr)
def test_no_shape_of_volumes_breaks_the_check_of_a_missing_region(market: Market, volumes: Any) -> None:
    """The failure of the volumes stands beside the failure of the region."""
    found = judge_cluster(market, volumes=volumes, region=ABSENT)
    paths = {failure.path for failure in found.failures}
    assert "region" in paths
    assert any(path.startswith("volumes") for path in paths)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("env", CANARY),
        ("env", [CANARY]),
        ("env", {"1": CANARY}),
        ("env", {"A": [CANARY]}),
        ("env", {"A": {"B": CANARY}}),
        ("command", [CANARY, 5.0]),
        ("command", [5.0, CANARY]),
        ("command", [[CANARY]]),
        ("command", ["sh", {"A": CANARY}]),
        ("command", {"run": CANARY}),
        ("command", {CANARY: 5.0}),
    ],
    ids=repr,
)
def test_a_value_that_can_be_secret_stands_in_no_failure(market: Market, name: str, secret: Any) -> None:
    """Whatever is wrong with env or with the command, its values are not shown, nor what is beside them."""
    found = judge_cluster(market, **{name: secret})
    assert found.failures
    assert CANARY not in str(found.failures)
    assert ", got " not in str(found.failures)


def test_a_value_that_is_not_sensitive_is_shown(market: Market) -> None:
    """The tables say which values can be secret; all the others help to find the mistake."""
    assert tuple(one.name for one in cluster_fields.FIELDS if one.sensitive) == SENSITIVE
    assert not [one.name for one in volume_fields.FIELDS if one.sensitive]
    assert "got ['shown']" in texts(judge_cluster(market, image=["shown"]), "image")[0]


def test_a_long_value_is_cut_in_the_message(market: Market) -> None:
    """A value of a megabyte is shown in 80 characters."""
    (failure,) = judge_cluster(market, region="x" * 1_000_000).failures
    assert "…" in failure.text
    assert len(failure.text) < 300


@pytest.mark.parametrize("name", ["ports", "volumes", "env"])
def test_an_empty_list_says_what_leaving_it_out_says(market: Market, name: str) -> None:
    """`volumes=[]` instead of nothing must not replace a running cluster, nor change its name."""
    found = judge_cluster(market, **{name: {} if name == "env" else []})
    assert not found.failures
    assert found.inputs == judge_cluster(market).inputs


_anything = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text("ab1/_ -\n$.", max_size=8)
    | st.sampled_from(["vol_a", "/data", "8xa100"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["volume_id", "mount_path", "__region", "A", "a.b", "[0]"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.dictionaries(st.sampled_from([one.name for one in cluster_fields.FIELDS]), _anything, max_size=4))
def test_nothing_that_can_be_typed_breaks_the_check_of_a_cluster(changes: Any) -> None:
    """Whatever stands in a property, check answers; what passed is a fixed point of check."""
    market = Market((), (), ("us-central5-a",), {})
    found = judge_cluster(market, **changes)
    assert all(failure.text and failure.path for failure in found.failures)
    if not found.failures:
        assert judge_cluster(market, **found.inputs).inputs == found.inputs


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.dictionaries(st.sampled_from([one.name for one in volume_fields.FIELDS]), _anything, max_size=4))
def test_nothing_that_can_be_typed_breaks_the_check_of_a_volume(changes: Any) -> None:
    """Whatever stands in a property, check answers; what passed is a fixed point of check."""
    market = Market((), (), ("us-central5-a",), {})
    found = judge_volume(market, {"size_gb": 1.0}, **changes)
    assert all(failure.text and failure.path for failure in found.failures)
    if not found.failures:
        assert judge_volume(market, **found.inputs).inputs == found.inputs
