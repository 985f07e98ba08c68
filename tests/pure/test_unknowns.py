"""What is not known yet: it passes every check, fails nothing, and comes back as unknown (R10)."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_resources.core import cluster_fields, volume_fields
from flow_resources.core.diff import Diff, diff_inputs, fields_to_update
from flow_resources.core.inputs import UNKNOWN, Checked, changed, has_unknown
from flow_resources.core.market import Market, RegionSources, check_market, check_regions, drop_hints, resolve_region

REGION = "us-central5-a"
CLUSTER = {
    "instance_type": "8xa100",
    "num_instances": 2.0,
    "max_price_per_hour": 50.0,
    "bid_policy": {"kind": "uptime", "target": 0.9, "days": 7, "cap": 60.0},
    "region": REGION,
    "placements": [
        {"instance_type": "8xa100", "region": REGION, "max_price_per_hour": 50.0},
        {"instance_type": "8xh100", "region": REGION, "max_price_per_hour": 60.0},
    ],
    "choose": "cheapest",
    "max_wait_minutes": 30,
    "command": ["python", "train.py"],
    "image": "pytorch",
    "env": {"TOKEN": "s3cret", "RANK": "0"},
    "ports": [8080.0, 9090.0],
    "volumes": [
        {"volume_id": "vol_a", "mount_path": "/data"},
        {"volume_id": "vol_b", "mount_path": "/mnt/b"},
    ],
    "ssh_keys": ["me", "you"],
    "run_on": "every_boot",
    "restart": "never",
    "preemption_signal": "SIGUSR1",
    "paused": False,
    "wait_for": "placed",
    "on_preemption": "raise_bid",
    "raise_up_to_per_hour": 60.0,
    "name_prefix": "trainer",
    "adopt_task_id": "bid_1",
}
VOLUME = {
    "size_gb": 100.0,
    "interface": "file",
    "region": REGION,
    "volume_name": "data",
    "adopt_volume_id": "vol_1",
    "allow_replace": False,
}
NESTED = [
    {"bid_policy": {"kind": "uptime", "target": UNKNOWN, "days": 7, "cap": UNKNOWN}},
    {"placements": [UNKNOWN]},
    {"placements": [{"instance_type": UNKNOWN, "region": REGION}, {"instance_type": "8xa100", "region": UNKNOWN}]},
    {"placements": [{"instance_type": "8xa100", "region": REGION, "max_price_per_hour": UNKNOWN}]},
    {"command": ["sleep", UNKNOWN]},
    {"env": {"TOKEN": UNKNOWN, "RANK": "0"}},
    {"ports": [UNKNOWN, 8080.0, UNKNOWN]},
    {"ssh_keys": [UNKNOWN, UNKNOWN]},
    {"volumes": [UNKNOWN]},
    {"volumes": [UNKNOWN, {"volume_id": "vol_a", "mount_path": "/data"}, UNKNOWN]},
    {"volumes": [{"volume_id": UNKNOWN, "mount_path": "/data"}, {"volume_id": UNKNOWN, "mount_path": "/mnt/b"}]},
    {"volumes": [{"volume_id": "vol_a", "mount_path": UNKNOWN}, {"volume_id": "vol_b", "mount_path": UNKNOWN}]},
    {"volumes": [{"volume_id": UNKNOWN, "mount_path": UNKNOWN}, {"volume_id": UNKNOWN, "mount_path": UNKNOWN}]},
    {"volumes": [{"volume_id": UNKNOWN, "mount_path": "/data", "__region": UNKNOWN, "__interface": UNKNOWN}]},
]


def judge_cluster(market: Market | None, news: dict[str, Any], *, default: str | None = None) -> Checked:
    found = cluster_fields.check_cluster(news)
    resolve_region(found, RegionSources(None, default), market, may_move=True)
    if market:
        check_market(found, market)
    drop_hints(found.inputs)
    return found


def judge_volume(market: Market | None, olds: dict[str, Any], news: dict[str, Any]) -> Checked:
    regions = market.regions if market else []
    found = volume_fields.check_volume(news)
    volume_fields.resolve_region(found, RegionSources(), regions)
    check_regions(found, regions)
    volume_fields.guard_data(found, olds)
    return found


@pytest.fixture(params=["market", "unreachable"])
def maybe_market(request: pytest.FixtureRequest, market: Market) -> Market | None:
    """The market, or none where the service cannot be reached."""
    return market if request.param == "market" else None


def test_the_programs_of_these_tests_name_every_input() -> None:
    """A new input is met here as an unknown, too."""
    assert set(CLUSTER) == {one.name for one in cluster_fields.FIELDS}
    assert set(VOLUME) == {one.name for one in volume_fields.FIELDS}


@pytest.mark.parametrize("name", CLUSTER)
def test_any_input_of_a_cluster_may_be_unknown(maybe_market: Market | None, name: str) -> None:
    """It fails nothing, stays unknown, and all the others keep their values."""
    found = judge_cluster(maybe_market, {**CLUSTER, name: UNKNOWN})
    assert not found.failures
    assert found.inputs == {**CLUSTER, name: UNKNOWN}
    assert found.known(name) is None


@pytest.mark.parametrize("name", VOLUME)
def test_any_input_of_a_volume_may_be_unknown(maybe_market: Market | None, name: str) -> None:
    """It fails nothing, and is no loss of data before it is known."""
    for olds in ({}, VOLUME):
        found = judge_volume(maybe_market, olds, {**VOLUME, name: UNKNOWN})
        assert not found.failures
        assert found.inputs == {**VOLUME, name: UNKNOWN}


def test_all_inputs_may_be_unknown_together(maybe_market: Market | None) -> None:
    """A program whose every value is another resource's output passes."""
    for fields, judge in (
        (CLUSTER, lambda news: judge_cluster(maybe_market, news)),
        (VOLUME, lambda news: judge_volume(maybe_market, VOLUME, news)),
    ):
        news = dict.fromkeys(fields, UNKNOWN)
        found = judge(news)
        assert not found.failures
        assert found.inputs == news


@pytest.mark.parametrize("inside", NESTED, ids=repr)
def test_an_unknown_inside_a_list_or_a_mapping_passes(maybe_market: Market | None, inside: Any) -> None:
    """It stays where it stands."""
    found = judge_cluster(maybe_market, {**CLUSTER, **inside})
    assert not found.failures
    (name, value), *_ = inside.items()
    kept = [
        {key: one for key, one in item.items() if not key.startswith("__")} if isinstance(item, dict) else item
        for item in value
    ]
    assert found.inputs[name] == (value if isinstance(value, dict) else kept)
    assert has_unknown(found.inputs[name])


@pytest.mark.parametrize("inside", NESTED, ids=repr)
def test_what_is_known_beside_an_unknown_is_still_checked(inside: Any) -> None:
    """An unknown hides no failure of its neighbours."""
    (name, value), *_ = inside.items()
    bad = {**value, "1": "x"} if isinstance(value, dict) else [*value, 5.0]
    found = cluster_fields.check_cluster({**CLUSTER, name: bad})
    path = f"{name}.1" if isinstance(value, dict) else f"{name}[{len(value)}]"
    assert [failure.path for failure in found.failures] == [path]


def test_two_unknown_ids_and_paths_are_not_taken_for_the_same() -> None:
    """Unknown is not equal to unknown: no volume is mounted twice, no path overlaps."""
    mounts = [{"volume_id": UNKNOWN, "mount_path": UNKNOWN} for _ in range(3)]
    assert not cluster_fields.check_cluster({**CLUSTER, "volumes": mounts}).failures


def test_known_paths_overlap_even_when_the_volumes_are_not_made_yet() -> None:
    """Two new volumes at one place fail at the first preview."""
    mounts = [{"volume_id": UNKNOWN, "mount_path": "/data"}, {"volume_id": UNKNOWN, "mount_path": "/data/x"}]
    found = cluster_fields.check_cluster({**CLUSTER, "volumes": mounts})
    assert [failure.path for failure in found.failures] == ["volumes[1].mount_path"]


@pytest.mark.parametrize(
    "volumes",
    [UNKNOWN, [UNKNOWN], [{"volume_id": UNKNOWN, "mount_path": "/data"}]],
    ids=["all", "a-mount", "an-id"],
)
def test_a_region_that_an_unknown_volume_may_bring_is_unknown(maybe_market: Market | None, volumes: Any) -> None:
    """No failure for a region that may still come; a default comes first."""
    news = {**CLUSTER, "volumes": volumes}
    del news["region"]
    found = judge_cluster(maybe_market, news)
    assert not found.failures
    assert found.inputs["region"] is UNKNOWN
    assert judge_cluster(maybe_market, news, default=REGION).inputs["region"] == REGION


def test_a_pinned_region_stays_when_the_volumes_become_unknown(market: Market) -> None:
    """A volume that is replaced makes no new region."""
    news = {name: value for name, value in CLUSTER.items() if name != "region"} | {"volumes": UNKNOWN}
    found = cluster_fields.check_cluster(news)
    resolve_region(found, RegionSources("us-east1-a", REGION), market, may_move=True)
    assert found.inputs["region"] == "us-east1-a"


def test_an_unknown_permission_to_lose_data_refuses_nothing(market: Market) -> None:
    """It may turn out to be True; the check that knows it refuses, if it is not."""
    news = {**VOLUME, "size_gb": 200.0}
    assert not judge_volume(market, VOLUME, {**news, "allow_replace": UNKNOWN}).failures
    assert [one.path for one in judge_volume(market, VOLUME, news).failures] == ["size_gb"]


def test_an_unknown_machine_count_does_not_refuse_a_block_volume(market: Market) -> None:
    """It may turn out to be one."""
    mounts = [{"volume_id": "vol_block", "mount_path": "/data"}]
    assert not judge_cluster(market, {**CLUSTER, "num_instances": UNKNOWN, "volumes": mounts}).failures
    assert judge_cluster(market, {**CLUSTER, "volumes": mounts}).failures


def test_an_unknown_region_refuses_no_volume_and_no_type(market: Market) -> None:
    """Both may turn out to fit."""
    mounts = [{"volume_id": "vol_east", "mount_path": "/data"}]
    news = {**CLUSTER, "instance_type": "8xh100", "volumes": mounts, "region": UNKNOWN}
    assert not judge_cluster(market, news).failures


@pytest.mark.parametrize("fields", [cluster_fields.FIELDS, volume_fields.FIELDS], ids=["cluster", "volume"])
def test_an_unknown_counts_as_changing(fields: Any) -> None:
    """The preview shows what may happen: a possible replacement is shown as one, where the program allows it."""
    olds = CLUSTER if fields is cluster_fields.FIELDS else {**VOLUME, "allow_replace": True}
    for one in fields:
        news = {**olds, one.name: UNKNOWN}
        assert list(changed(fields, olds, news)) == [one]
        diff = diff_inputs(fields, olds, news)
        assert diff.changes == (one.change.name != "CREATE_ONLY")
        assert diff.replaces == ((one.name,) if one.change.name in ("REPLACE", "GUARDED") else ())
        assert fields_to_update(fields, olds, news) == ({one.name} if one.change.name == "UPDATE" else set())
    everything = dict.fromkeys(olds, UNKNOWN)
    assert list(changed(fields, olds, everything)) == list(fields)


@pytest.mark.parametrize("name", ["size_gb", "interface", "region"])
def test_an_unknown_that_could_lose_data_is_no_change_without_permission(name: str) -> None:
    """The check that knows it refuses it, if it differs."""
    news = {**VOLUME, name: UNKNOWN}
    assert [one.name for one in changed(volume_fields.FIELDS, VOLUME, news)] == [name]
    assert diff_inputs(volume_fields.FIELDS, VOLUME, news) == Diff(changes=False)


@pytest.mark.parametrize("inside", NESTED, ids=repr)
def test_an_unknown_deep_inside_counts_as_changing(inside: Any) -> None:
    """Also where the recorded value is compared as a whole."""
    (name, _), *_ = inside.items()
    assert [one.name for one in changed(cluster_fields.FIELDS, CLUSTER, {**CLUSTER, **inside})] == [name]


@pytest.mark.parametrize(
    ("value", "unknown"),
    [
        (UNKNOWN, True),
        ([UNKNOWN], True),
        ({"a": [{"b": UNKNOWN}]}, True),
        ([{"a": 1}, "x", None], False),
        ({}, False),
        ("UNKNOWN", False),
    ],
    ids=repr,
)
def test_an_unknown_is_found_however_deep(value: Any, unknown: Any) -> None:
    """In lists and mappings; a word that looks like one is none."""
    assert has_unknown(value) is unknown


@st.composite
def _sprinkled(draw: Any, value: Any = None) -> Any:
    """Draw a good cluster with unknowns in any of its places."""
    if draw(st.integers(0, 5)) == 0:
        return UNKNOWN
    if isinstance(value, dict):
        return {key: draw(_sprinkled(one)) for key, one in value.items()}
    if isinstance(value, list):
        return [draw(_sprinkled(one)) for one in value]
    return value


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_sprinkling_of_unknowns_makes_a_good_cluster_fail(data: Any) -> None:
    """Whatever is unknown, in whatever company, nothing fails and nothing known is lost."""
    news = {name: data.draw(_sprinkled(value)) for name, value in CLUSTER.items()}
    found = cluster_fields.check_cluster(news)
    resolve_region(found, RegionSources(), None, may_move=True)
    drop_hints(found.inputs)
    assert not found.failures
    assert found.inputs == news
