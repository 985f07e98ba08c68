"""A checked cluster against what the service has: types, offers, regions, volumes."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from flow_resources.core import cluster_fields, placement_fields, volume_fields
from flow_resources.core.inputs import UNKNOWN, Checked
from flow_resources.core.market import (
    Market,
    RegionSources,
    check_market,
    check_regions,
    drop_hints,
    named,
    near,
    resolve_region,
)
from flow_resources.core.models import InstanceType, Offer

CENTRAL, EAST, NORTH = "us-central5-a", "us-east1-a", "eu-north1-a"
GOOD = {"instance_type": "8xa100", "max_price_per_hour": 50.0, "region": CENTRAL}


def judged(market: Market, olds: Any = None, /, **changes: Any) -> Checked:
    """Judge as check does: a cluster that stays as it is, is not judged again."""
    found = cluster_fields.check_cluster({**GOOD, **changes})
    cluster_fields.pin_run_on(found, olds or {})
    if not placement_fields.is_unchanged(cluster_fields.FIELDS, found, olds or {}):
        check_market(found, market)
    return found


def lines(found: Checked) -> dict[str, str]:
    return {failure.path: failure.text for failure in found.failures}


def mount(volume_id: Any = "vol_a", path: str = "/data", **hints: str) -> dict[str, Any]:
    return {"volume_id": volume_id, "mount_path": path, **{f"__{name}": value for name, value in hints.items()}}


def settled(
    market: Market,
    mounts: Any = None,
    pinned: str | None = None,
    default: str | None = None,
    *,
    may_move: bool = False,
    **said: Any,
) -> Checked:
    news = {"instance_type": "8xa100", "max_price_per_hour": 50.0, "volumes": mounts, **said}
    found = cluster_fields.check_cluster(news)
    resolve_region(found, RegionSources(pinned, default), market, may_move=may_move)
    return found


# -- the region --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "pinned", "default", "mounts", "region"),
    [
        (CENTRAL, EAST, NORTH, [mount("vol_east")], CENTRAL),
        (None, EAST, NORTH, [mount()], EAST),
        (None, None, NORTH, [mount()], NORTH),
        (None, None, None, [mount("vol_east")], EAST),
        (None, None, None, [mount("vol_gone"), mount("vol_east", "/mnt/x")], EAST),
        (None, None, None, [mount(UNKNOWN, region=NORTH)], NORTH),
        (None, None, None, [mount(UNKNOWN), mount("vol_east", "/mnt/x")], EAST),
        (None, None, None, [mount("vol_east", region=NORTH)], EAST),
    ],
    ids=[
        "program",
        "pinned",
        "settings",
        "volume",
        "second-volume",
        "hint",
        "known-beside-unknown",
        "stored-over-hint",
    ],
)
def test_the_region_is_the_first_that_anyone_names(
    market: Market, said: Any, pinned: Any, default: Any, mounts: Any, region: Any
) -> None:
    """The program, then what was pinned, then the settings, then the volumes."""
    found = settled(market, mounts, pinned, default, region=said)
    assert not found.failures
    assert found.inputs["region"] == region


def test_a_region_that_nobody_names_fails_and_lists_the_regions(market: Market) -> None:
    """Also beside volumes that the project does not have."""
    for mounts in (None, [], [mount("vol_gone")]):
        found = settled(market, mounts)
        assert "region" not in found.inputs
        text = lines(found)["region"]
        assert text == (
            "region is not set: pass region=..., or `pulumi config set flow:region ...`"
            ": one of us-central5-a, us-east1-a, eu-north1-a"
        )


def test_a_region_that_nobody_names_fails_without_a_market_too() -> None:
    """There is no list, but the same advice."""
    assert lines(settled(None))["region"].endswith("`pulumi config set flow:region ...`")


def test_a_bad_region_is_not_replaced_by_a_default(market: Market) -> None:
    """What the program says wrong is reported, not overruled."""
    found = settled(market, pinned=EAST, default=EAST, region=5.0)
    assert found.inputs["region"] == 5.0
    assert list(lines(found)) == ["region"]


def test_a_volumes_region_is_settled_and_checked_alike(market: Market) -> None:
    """The program, then what was pinned, then the settings, else a failure that lists the regions."""
    for news, pinned, default, region in (
        ({"region": NORTH}, EAST, CENTRAL, NORTH),
        ({}, EAST, CENTRAL, EAST),
        ({}, None, CENTRAL, CENTRAL),
    ):
        found = volume_fields.check_volume({"size_gb": 1.0, **news})
        volume_fields.resolve_region(found, RegionSources(pinned, default), market.regions)
        check_regions(found, market.regions)
        assert not found.failures
        assert found.inputs["region"] == region
    found = volume_fields.check_volume({"size_gb": 1.0})
    volume_fields.resolve_region(found, RegionSources(), market.regions)
    assert lines(found)["region"].endswith(": one of us-central5-a, us-east1-a, eu-north1-a")


def test_a_region_that_is_none_lists_the_near_ones(market: Market) -> None:
    """And then neither the type nor a volume is said not to be there."""
    found = judged(market, region="us-central5", instance_type="8xh100", volumes=[mount("vol_east")])
    assert list(lines(found)) == ["region"]
    text = lines(found)["region"]
    assert text.startswith("region is not a region of the service, got 'us-central5': there is us-central5-a")
    assert "eu-north1-a" not in text


def test_without_a_list_of_regions_every_region_passes(market: Market) -> None:
    """A service that does not say its regions refuses none."""
    silent = replace(market, regions=())
    assert not judged(silent, region=EAST).failures
    volume = volume_fields.check_volume({"size_gb": 1.0, "region": "mars"})
    check_regions(volume, ())
    assert not volume.failures


# -- the type ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["8xa100", "a100:8", "a100-80gb.sxm.8x", "A100-80GB.SXM.8X", "it_a100_central"])
def test_every_spelling_of_a_type_on_offer_passes(market: Market, typed: Any) -> None:
    """Short, with a colon, the catalogue's full name, the id."""
    assert not judged(market, instance_type=typed).failures


@pytest.mark.parametrize(
    ("typed", "near_one"), [("8xa10", "8xa100"), ("8xh10", "8xh100"), ("8xh200", "8xh100"), ("2xa100", "1xa100")]
)
def test_a_type_that_is_not_in_the_catalogue_lists_near_ones(market: Market, typed: Any, near_one: Any) -> None:
    """Each spelling once, though there are several ids of it; nothing that nobody offers."""
    text = lines(judged(market, instance_type=typed))["instance_type"]
    assert f"is not in the service's catalogue, got '{typed}'" in text
    proposed = text.partition(": there")[2]
    assert near_one in proposed
    assert proposed.count("8xa100") <= 1
    assert "v100" not in proposed


def test_a_type_with_nothing_near_lists_all_that_is_on_offer(market: Market) -> None:
    """Better a whole list than none."""
    text = lines(judged(market, instance_type="4xtpu"))["instance_type"]
    assert text.endswith(": there are 1xa100, 8xa100, 8xh100")


def test_a_market_without_offers_refuses_only_what_the_catalogue_does_not_have(market: Market) -> None:
    """No list of offers is no proof that nothing is on offer."""
    silent = replace(market, offers=())
    assert not judged(silent, instance_type="4xv100").failures
    assert "4xv100" in lines(judged(silent, instance_type="4xv10"))["instance_type"]


def test_a_type_on_offer_elsewhere_says_where(market: Market) -> None:
    """Both regions by name."""
    text = lines(judged(market, instance_type="h100:8"))["instance_type"]
    assert text == "instance_type is not on offer in us-central5-a, got '8xh100': it is in us-east1-a"


def test_an_id_is_that_region_s_type_alone(market: Market) -> None:
    """The same machine has another id in another region."""
    text = lines(judged(market, instance_type="it_a100_central", region=EAST))["instance_type"]
    assert "it is in us-central5-a" in text


def test_a_type_that_nobody_offers_says_so(market: Market) -> None:
    """It is in the catalogue, but nowhere to be had."""
    assert "on offer nowhere now" in lines(judged(market, instance_type="v100:4"))["instance_type"]


def test_a_name_with_an_id_in_every_region_is_resolved_by_the_region(market: Market) -> None:
    """Names are not unique: the offer decides which id is meant."""
    assert len(named("8xa100", market.types)) == 3
    central, east = market.offer("8xa100", CENTRAL), market.offer("8xa100", EAST)
    assert central == Offer("it_a100_central", CENTRAL, Decimal("12.00"))
    assert east == Offer("it_a100_east", EAST, Decimal("11.00"))
    assert market.offer("8xa100", NORTH) is None


def test_the_cheapest_offer_is_taken_and_an_unpriced_one_last() -> None:
    """Among equals the id decides, so that two previews never differ."""
    types = [InstanceType(id_, "x", 8, "A100") for id_ in ("it_1", "it_2", "it_3")]
    none, dear, cheap = (
        Offer("it_1", CENTRAL, None),
        Offer("it_2", CENTRAL, Decimal(9)),
        Offer("it_3", CENTRAL, Decimal(5)),
    )
    for offers in ((none, dear, cheap), (cheap, dear, none), (dear, none, cheap)):
        assert Market(types, offers, (), {}).offer("8xa100", CENTRAL) == cheap
    assert Market(types, (none,), (), {}).offer("8xa100", CENTRAL) == none
    equal = replace(dear, instance_type="it_3")
    assert Market(types, (equal, dear), (), {}).offer("8xa100", CENTRAL) == dear
    free = replace(none, price=Decimal(0))
    assert Market(types, (dear, free), (), {}).offer("8xa100", CENTRAL) == free


@pytest.mark.parametrize(
    ("typed", "known", "text"),
    [
        ("a", ["a"], "there is a"),
        ("x", ["only-one"], "there is only-one"),
        ("x", ["b", "a"], "there are a, b"),
        ("abcd", ["abce", "zzzz"], "there is abce"),
    ],
)
def test_near_lists_what_is_close_or_all(typed: Any, known: Any, text: Any) -> None:
    """In words that fit the number."""
    assert near(typed, known) == text


# -- the volumes -------------------------------------------------------------------------------------------------------


def test_volumes_of_the_clusters_region_pass(market: Market) -> None:
    """On many machines, too: they are file volumes."""
    assert not judged(market, num_instances=4.0, volumes=[mount(), mount("vol_b", "/mnt/b")]).failures


def test_a_volume_that_the_project_does_not_have_is_refused(market: Market) -> None:
    """Its path, its id, and where to look."""
    text = lines(judged(market, volumes=[mount(), mount("vol_gone", "/mnt/b")]))["volumes[1].volume_id"]
    assert text == "volumes[1].volume_id is not a volume of the project, got 'vol_gone': `flow volume list` shows them"


@pytest.mark.parametrize("where", [mount("vol_east"), mount(UNKNOWN, region=EAST)], ids=["stored", "hint"])
def test_a_volume_in_another_region_is_refused(market: Market, where: Any) -> None:
    """Whether it exists or the same preview makes it; both regions by name."""
    text = lines(judged(market, volumes=[where]))["volumes[0].volume_id"]
    assert "is a volume in us-east1-a, the cluster is in us-central5-a" in text


@pytest.mark.parametrize("which", [mount("vol_block"), mount(UNKNOWN, interface="block")], ids=["stored", "hint"])
def test_a_block_volume_attaches_to_one_machine_only(market: Market, which: Any) -> None:
    """One machine passes, two are refused; the way out is named."""
    assert not judged(market, volumes=[which]).failures
    text = lines(judged(market, num_instances=2.0, volumes=[which]))["volumes[0].volume_id"]
    assert "attaches to one machine; the cluster has 2" in text
    assert "interface='file'" in text


def test_what_the_service_holds_overrules_a_hint(market: Market) -> None:
    """A hint is for a volume that does not exist yet."""
    assert not judged(market, num_instances=2.0, volumes=[mount("vol_a", region=EAST, interface="block")]).failures


def test_every_volume_that_does_not_fit_is_reported(market: Market) -> None:
    """One by one, with its place; and a volume can be wrong in two ways."""
    mounts = [mount("vol_east"), mount("vol_gone", "/mnt/a"), mount(UNKNOWN, "/mnt/b", region=NORTH, interface="block")]
    found = judged(market, num_instances=2.0, volumes=mounts)
    assert [one.path for one in found.failures] == [f"volumes[{place}].volume_id" for place in (0, 1, 2, 2)]


# -- what is there already ---------------------------------------------------------------------------------------------

MOVED_ON = {
    "region": {"region": "mars-1"},
    "catalogue": {"instance_type": "8xgone"},
    "offer": {"instance_type": "8xh100"},
    "no-offer": {"instance_type": "4xv100"},
    "volume": {"volumes": [mount("vol_gone")]},
    "volume-moved": {"volumes": [mount(), mount("vol_east", "/mnt/x")]},
}


@pytest.mark.parametrize("said", MOVED_ON.values(), ids=MOVED_ON)
def test_what_a_cluster_has_already_is_not_judged_again(market: Market, said: Any) -> None:
    """A market that moves on fails no cluster that runs; without one, everything is judged."""
    assert not judged(market, {**GOOD, **said}, **said).failures
    assert not judged(market, {**GOOD, **said}, **said, max_price_per_hour=60.0, paused=True).failures
    first = judged(market, **said).failures
    assert first
    assert judged(market, None, **said).failures == judged(market, {}, **said).failures == first


@pytest.mark.parametrize("said", MOVED_ON.values(), ids=MOVED_ON)
@pytest.mark.parametrize("other", [{"region": EAST}, {"instance_type": "1xa100"}], ids=["region", "type"])
def test_a_cluster_that_moves_is_judged_whole(market: Market, said: Any, other: Any) -> None:
    """Another region or another type before is another place: nothing of it is taken for granted."""
    assert judged(market, {**GOOD, **said, **other}, **said).failures == judged(market, **said).failures


def test_a_new_type_or_region_beside_an_old_one_is_judged(market: Market) -> None:
    """The new one fails, though the state's is in the same market."""
    assert list(lines(judged(market, GOOD, instance_type="8xh100"))) == ["instance_type"]
    assert list(lines(judged(market, GOOD, region="mars-1"))) == ["region"]
    assert list(lines(judged(market, GOOD, region=NORTH))) == ["instance_type"]


@pytest.mark.parametrize("more", [{"num_instances": 2.0}, {"command": "sleep 1"}, {"name_prefix": "other"}])
def test_a_cluster_that_will_be_replaced_is_judged_whole(market: Market, more: Any) -> None:
    """A new bid is placed: a block volume on two machines, or a volume that is gone, is told before."""
    volumes = {"volumes": [mount("vol_gone")]}
    assert not judged(market, {**GOOD, **volumes}, **volumes).failures
    assert list(lines(judged(market, {**GOOD, **volumes}, **volumes, **more))) == ["volumes[0].volume_id"]


def test_the_order_of_mounts_and_their_hints_replace_nothing(market: Market) -> None:
    """Neither is a reason to judge a cluster that runs."""
    olds = {**GOOD, "volumes": [mount("vol_gone"), mount("vol_lost", "/mnt/b")]}
    turned = [mount("vol_lost", "/mnt/b", region=EAST), mount("vol_gone", interface="block")]
    assert not judged(market, olds, volumes=turned).failures


def test_hints_are_dropped_before_anything_is_recorded(market: Market) -> None:
    """The state holds what the program says, no more; a mount without hints is left as it is."""
    found = judged(
        market, volumes=[mount(UNKNOWN, region=CENTRAL, interface="file"), mount("vol_b", "/mnt/b"), UNKNOWN]
    )
    drop_hints(found.inputs)
    assert found.inputs["volumes"] == [mount(UNKNOWN), mount("vol_b", "/mnt/b"), UNKNOWN]


@pytest.mark.parametrize("volumes", [None, UNKNOWN, 5.0, "abc", [5.0, None]], ids=repr)
def test_dropping_hints_leaves_alone_what_is_no_list_of_mounts(volumes: Any) -> None:
    """Also what check has refused already."""
    inputs = {"volumes": volumes}
    drop_hints(inputs)
    assert inputs == {"volumes": volumes}


def test_a_volume_keeps_its_data_when_nothing_of_it_changes() -> None:
    """4.0 in the state and 4 in the program are one size; a first create has no data to lose."""
    olds = {"size_gb": 4.0, "interface": "file", "region": CENTRAL, "volume_name": "one"}
    news = {"size_gb": 4, "region": CENTRAL, "volume_name": "two"}
    for recorded in (olds, {}):
        found = volume_fields.check_volume(news)
        volume_fields.guard_data(found, recorded)
        assert not found.failures
