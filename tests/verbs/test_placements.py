"""Placements against the fake's market: which one is chosen, that it stays, and what settles it anew."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from support.crashes import crash_after_create
from support.stack import CheckError, Declared, Reports, Stack, VerbError, cluster, job, volume

from flow_resources.core import placements
from flow_resources.core.inputs import UNKNOWN
from flow_resources.testing import FakeMithril
from flow_resources.testing.service.catalog import find_types

pytestmark = pytest.mark.both_hosts(plugin="languages")

HERE, THERE, ELSEWHERE = "us-central5-a", "us-central1-b", "eu-central1-a"
A100, H100 = "8xa100", "8xh100"
OWN = {"instance_type": None, "region": None}


def at(instance_type: str, region: str, price: float | None = None) -> dict[str, Any]:
    """Write a placement as the program does."""
    bid = {} if price is None else {"max_price_per_hour": price}
    return {"instance_type": instance_type, "region": region, **bid}


BOTH = [at(H100, HERE, 40.0), at(A100, THERE)]


def it(placements: Any = None, declare: Callable[..., Declared] = cluster, **inputs: Any) -> dict[str, Declared]:
    """Declare one resource with placements, at 24 USD."""
    return {"it": declare(**OWN, **{"max_price_per_hour": 24.0, "placements": placements or BOTH, **inputs})}


def prices(cloud: FakeMithril, h100: float = 20.0, a100: float = 12.0) -> None:
    """Set what the machines of BOTH cost."""
    cloud.set_price(H100, HERE, h100)
    cloud.set_price(A100, THERE, a100)


def place(stack: Stack, name: str = "it") -> tuple[str, str, float]:
    """Return where it is, as its inputs say: machines, region, bid."""
    inputs = stack.state[name].inputs
    return inputs["instance_type"], inputs["region"], inputs["max_price_per_hour"]


def rows(reports: Reports) -> list[str]:
    """Return what the rows say of choices."""
    return [line for line in reports.kept if line.startswith("placed as")]


# -- the choice --------------------------------------------------------------------------------------------------------


def test_the_first_under_its_bid_is_placed_and_the_row_says_why(
    stack: Stack, cloud: FakeMithril, reports: Reports
) -> None:
    """The inputs, the bid and the row agree."""
    prices(cloud, h100=52.10)
    stack.up(it())
    assert place(stack) == (A100, THERE, 24.0)
    (bid,) = cloud.live_bids
    assert (bid["region"], bid["limit_price"]) == (THERE, "$24.00")
    assert rows(reports) == [
        "placed as 8xa100 in us-central1-b at $24.00/h: 8xh100 in us-central5-a asks $52.10/h, over its bid of $40.00/h"
    ]
    assert stack.preview(it()) == {"it": "same"}


@pytest.mark.parametrize("declare", [cluster, job], ids=["cluster", "job"])
def test_a_bid_of_a_placement_comes_before_that_of_the_resource(
    stack: Stack, cloud: FakeMithril, declare: Callable[..., Declared]
) -> None:
    """And the resource's can be left out where each placement has one."""
    prices(cloud)
    stack.up(it(declare=declare))
    assert place(stack) == (H100, HERE, 40.0)
    assert {bid["limit_price"] for bid in cloud.live_bids} == {"$40.00"}
    stack.destroy()
    stack.up(it([at(A100, HERE, 31.0)], declare=declare, max_price_per_hour=None))
    assert place(stack) == (A100, HERE, 31.0)


@pytest.mark.parametrize(
    ("h100", "a100", "how", "chosen", "words"),
    [
        (20.0, 12.0, "first", H100, "placed as 8xh100 in us-central5-a at $40.00/h"),
        (40.0, 12.0, "first", H100, "placed as 8xh100 in us-central5-a at $40.00/h"),
        (40.01, 12.0, "first", A100, ": 8xh100 in us-central5-a asks $40.01/h, over its bid of $40.00/h"),
        (20.0, 12.0, "cheapest", A100, "at $24.00/h, the cheapest: 8xa100 in us-central1-b asks $12.00/h; 8xh100 in"),
        (20.0, 24.0, "cheapest", H100, "at $40.00/h, the cheapest: 8xh100 in us-central5-a asks $20.00/h; 8xa100 in"),
        (39.0, 24.01, "cheapest", H100, "8xa100 in us-central1-b asks $24.01/h, over its bid of $24.00/h"),
        (50.0, 30.0, "first", H100, "where it waits in the auction: 8xh100 in us-central5-a asks $50.00/h, over"),
        (50.0, 30.0, "cheapest", H100, "where it waits in the auction: 8xh100 in us-central5-a asks $50.00/h, over"),
    ],
)
def test_the_choice(
    stack: Stack, cloud: FakeMithril, reports: Reports, h100: float, a100: float, how: str, chosen: str, words: str
) -> None:
    """The first, or the cheapest, under its bid; where none is, the first."""
    prices(cloud, h100, a100)
    stack.up(it(choose=how, wait_for="placed"))
    assert place(stack)[0] == chosen
    (row,) = rows(reports)
    assert words in row


def test_what_is_not_on_offer_is_passed_over(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """Named on the row; where nothing is on offer, the check fails and says what is."""
    leave_out(cloud, H100, HERE)
    stack.up(it())
    assert place(stack)[0] == A100
    assert rows(reports)[0].endswith(": 8xh100 in us-central5-a is not on offer")
    with pytest.raises(CheckError, match="has none that is on offer now: 8xh100 is in eu-central1-a, "):
        Stack(stack.config).preview(it([at(H100, HERE)]))


def leave_out(cloud: FakeMithril, instance_type: str, region: str) -> None:
    """Let the offers be as they are, without those of machines in a region."""
    ids = {type_.fid for type_ in find_types(instance_type)}
    offers = httpx.get(f"{cloud.url}/v2/spot/availability", headers={"Authorization": f"Bearer {cloud.key}"}).json()
    left = [one for one in offers if one["instance_type"] not in ids or one["region"] != region]
    assert len(left) < len(offers)
    cloud.faults.add(path="/v2/spot/availability", times=None, status=200, body=left)


# -- it stays ----------------------------------------------------------------------------------------------------------


def test_a_moving_market_moves_nothing_that_is_placed(stack: Stack, cloud: FakeMithril) -> None:
    """Neither the first being cheap again, nor the used one being dear, nor another order or more placements."""
    prices(cloud, h100=52.10)
    stack.up(it())
    cloud.clear_requests()
    prices(cloud, h100=1.0, a100=99.0)
    assert stack.preview(it()) == {"it": "same"}
    assert stack.preview(it(choose="cheapest")) == {"it": "update"}
    stack.up(it([*BOTH[::-1], at(A100, ELSEWHERE)]))
    stack.refresh()
    stack.up(it())
    assert stack.preview(it()) == {"it": "same"}
    assert place(stack) == (A100, THERE, 24.0)
    assert not cloud.mutations


def test_the_bid_of_the_used_placement_changes_in_place(stack: Stack, cloud: FakeMithril) -> None:
    """Its own, or that of the resource; those of the others send nothing."""
    stack.up(it())
    (id_,) = [bid["fid"] for bid in cloud.live_bids]
    stack.up(it([at(H100, HERE, 41.0), at(A100, THERE)]))
    assert cloud.bid(id_)["limit_price"] == "$41.00"
    cloud.clear_requests()
    stack.up(it([at(H100, HERE, 41.0), at(A100, THERE, 1.0)], max_price_per_hour=30.0))
    assert not cloud.mutations
    stack.up(it([at(H100, HERE), at(A100, THERE)], max_price_per_hour=33.0))
    assert cloud.bid(id_)["limit_price"] == "$33.00"
    assert [bid["fid"] for bid in cloud.live_bids] == [id_]


def test_other_words_for_the_used_machines_change_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """Such as the full name of the catalogue; and so does a change from instance_type to placements, and back."""
    stack.up({"it": cluster(instance_type=A100, region=THERE, max_price_per_hour=24.0)})
    cloud.clear_requests()
    stack.up(it([at(H100, HERE, 40.0), at("a100-80gb.sxm.8x", THERE)]))
    assert place(stack) == (A100, THERE, 24.0)
    stack.up({"it": cluster(instance_type=A100, region=THERE, max_price_per_hour=24.0)})
    assert not cloud.mutations


def test_of_two_words_for_the_same_machines_the_one_in_use_stays(stack: Stack, cloud: FakeMithril) -> None:
    """With its own bid: that of the other is lower, and would lose the machines."""
    cloud.set_price(A100, HERE, 30.0)
    program = it([at(A100, HERE, 24.0), at("a100-80gb.sxm.8x", HERE, 40.0)])
    stack.up(program)
    assert place(stack) == ("a100-80gb.sxm.8x", HERE, 40.0)
    assert stack.preview(program) == {"it": "same"}


@pytest.mark.parametrize("declare", [cluster, job], ids=["cluster", "job"])
def test_what_a_lost_answer_left_is_taken_over_where_it_is(
    stack: Stack, cloud: FakeMithril, reports: Reports, declare: Callable[..., Declared]
) -> None:
    """Though the market has moved, and another one would be chosen: what runs is not ended for that."""
    prices(cloud, h100=10.0)
    program = it(declare=declare, choose="cheapest")
    orphan = crash_after_create(stack, cloud, program)
    prices(cloud, h100=30.0)
    assert stack.preview(program) == {"it": "create"}
    assert rows(reports)[-1].startswith("placed as 8xh100 in us-central5-a at $40.00/h: it-")
    stack.up(program)
    assert (stack.state["it"].id, place(stack)) == (orphan, (H100, HERE, 40.0))
    assert [bid["fid"] for bid in cloud.bids] == [orphan]
    assert stack.preview(program) == {"it": "same"}


def test_what_a_lost_answer_left_in_the_auction_is_placed_where_it_wins(stack: Stack, cloud: FakeMithril) -> None:
    """It has nothing to lose, and ends first."""
    prices(cloud)
    orphan = crash_after_create(stack, cloud, it())
    prices(cloud, h100=52.10)
    stack.up(it())
    assert place(stack) == (A100, THERE, 24.0)
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["it"].id] != [orphan]


def test_a_live_bid_that_cannot_be_listed_is_no_reason_for_a_placement(stack: Stack, cloud: FakeMithril) -> None:
    """The preview chooses by the market, and warns of what it could not find out."""
    prices(cloud)
    cloud.faults.add(method="GET", path="/v2/spot/bids$", times=None, status=503)
    assert stack.preview(it()) == {"it": "create"}


# -- it is settled anew ------------------------------------------------------------------------------------------------


def test_a_placement_that_is_not_listed_any_more_is_replaced(stack: Stack, cloud: FakeMithril) -> None:
    """By one of those that are, chosen once for both checks of the replacement."""
    stack.up(it())
    (old,) = [bid["fid"] for bid in cloud.live_bids]
    program = it([at(A100, ELSEWHERE), at(A100, THERE)])
    assert stack.preview(program) == {"it": "replace"}
    stack.up(program)
    assert place(stack) == (A100, ELSEWHERE, 24.0)
    assert [bid["region"] for bid in cloud.live_bids] == [ELSEWHERE]
    assert cloud.bid(old)["status"] == "Terminated"
    assert stack.preview(program) == {"it": "same"}


def test_both_checks_of_a_replacement_choose_the_same(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the market moves between them."""
    stack.up(it())
    choose, calls = placements.choose, list[Any]()

    def moving(candidates: Any, *others: Any) -> Any:
        calls.append(candidates)
        return choose(candidates[::-1] if len(calls) > 1 else candidates, *others)

    monkeypatch.setattr(placements, "choose", moving)
    stack.up(it([at(A100, ELSEWHERE), at(A100, THERE)]))
    assert len(calls) == 2
    assert place(stack) == (A100, ELSEWHERE, 24.0)


@pytest.mark.parametrize("forced", [False, True], ids=["by an input", "by --replace"])
def test_a_replacement_settles_anew(stack: Stack, cloud: FakeMithril, *, forced: bool) -> None:
    """By what the market asks then."""
    prices(cloud, h100=52.10)
    stack.up(it())
    prices(cloud, h100=20.0)
    stack.up(it(command="python train.py"), force={"it"} if forced else None)
    assert place(stack) == (H100, HERE, 40.0)
    assert len(cloud.live_bids) == 1


def test_the_placement_in_use_with_the_same_name_stays_also_in_a_list_of_one(stack: Stack, cloud: FakeMithril) -> None:
    """A list that loses the others replaces nothing."""
    stack.up(it())
    cloud.clear_requests()
    assert stack.preview(it(BOTH[:1])) == {"it": "update"}
    stack.up(it(BOTH[:1]))
    assert not cloud.mutations


# -- volumes -----------------------------------------------------------------------------------------------------------


def test_placements_outside_the_region_of_the_volumes_are_left_out(
    stack: Stack, cloud: FakeMithril, reports: Reports
) -> None:
    """The row says so; where none is left, the check fails and names the region."""
    stack.up({"data": volume(region=THERE)})
    mounts = [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]
    stack.up({"data": volume(region=THERE), **it(volumes=mounts)})
    assert place(stack) == (A100, THERE, 24.0)
    assert rows(reports)[-1].endswith(": 8xh100 in us-central5-a is left out, because the volumes are in us-central1-b")
    with pytest.raises(CheckError) as error:
        Stack(stack.config).preview(it(BOTH[:1], volumes=mounts))
    assert error.value.failures == {
        "placements": "placements has none in us-central1-b, where the volumes are: add one"
    }


def test_a_volume_that_does_not_exist_yet_limits_them_by_what_the_program_says(stack: Stack, reports: Reports) -> None:
    """By its region; without one, the preview leaves the placement open."""
    mount = {"volume_id": UNKNOWN, "mount_path": "/data"}
    stack.preview(it(volumes=[{**mount, "__region": THERE}]))
    assert rows(reports)[0].startswith("placed as 8xa100 in us-central1-b")
    checked = stack.check("it", it(volumes=[mount])["it"], None)
    assert len(rows(reports)) == 1
    assert not {"8xa100", "8xh100"} & set(map(str, checked.values()))


def test_new_mounts_move_it_to_the_region_of_the_volumes(stack: Stack, cloud: FakeMithril) -> None:
    """They replace it anyway, and what was in use is not beside them."""
    data = volume(region=THERE)
    stack.up({"data": data, **it()})
    mounts = [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]
    stack.up({"data": data, **it(volumes=mounts)})
    assert place(stack) == (A100, THERE, 24.0)
    assert [bid["region"] for bid in cloud.live_bids] == [THERE]


def silence(cloud: FakeMithril) -> None:
    """Let the service not tell what is on offer."""
    cloud.faults.add(path=r"/v2/(spot/availability|instance-types)", times=None, status=503)


# -- what is not known -------------------------------------------------------------------------------------------------


def test_a_silent_market_leaves_a_new_one_open_and_the_up_refuses(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """The preview does not fail; nothing is placed anywhere."""
    silence(cloud)
    assert stack.preview(it()) == {"it": "create"}
    assert "an `up` stops here as long as that is so" in capsys.readouterr().err
    with pytest.raises(VerbError, match="unexpected unknown property value"):
        stack.up(it())
    cloud.faults.clear()
    assert not cloud.bids
    stack.up(it())
    assert place(stack)[0] == H100


def test_a_silent_market_replaces_nothing(stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]) -> None:
    """Not what the list has no more, not what it spells in another way; what is listed as before is no doubt."""
    stack.up(it())
    before = copy.deepcopy(stack.state["it"])
    cloud.clear_requests()
    silence(cloud)
    stack.up(it())
    assert "nothing is replaced" not in capsys.readouterr().err
    for listed in ([at(A100, THERE), at(A100, ELSEWHERE)], [at("it_5ECSoHQjLBzrp5YM", HERE)]):
        assert stack.preview(it(listed))["it"] in ("same", "update")
        stack.up(it(listed))
        assert "nothing is replaced" in capsys.readouterr().err
    assert not cloud.mutations
    cloud.faults.clear()
    assert place(stack)[:2] == (before.inputs["instance_type"], before.inputs["region"])
    stack.up(it([at("it_5ECSoHQjLBzrp5YM", HERE, 40.0), at(A100, THERE)]))
    assert not cloud.mutations
    assert stack.preview(it([at(A100, THERE)])) == {"it": "replace"}


@pytest.mark.parametrize("why", ["silence", "ignore_changes"])
def test_a_raise_outlasts_that_its_placement_is_not_listed(stack: Stack, cloud: FakeMithril, why: str) -> None:
    """What is in use stays as it is; when it is listed again, the raised bid is not taken back."""
    raising = {"on_preemption": "raise_bid", "raise_up_to_per_hour": 60.0, "wait_for": "placed"}
    ignored = {"ignore_changes": ("region",), "__ignored": ["region"]} if why == "ignore_changes" else {}
    stack.up(it(**raising, **ignored))
    prices(cloud, h100=50.0)
    stack.up(it(**raising, **ignored), refresh=True)
    assert place(stack) == (H100, HERE, 52.5)
    if why == "silence":
        silence(cloud)
    stack.up(it([at(A100, THERE)], **raising, **ignored))
    assert place(stack) == (H100, HERE, 52.5)
    cloud.faults.clear()
    cloud.clear_requests()
    stack.up(it(**raising, **ignored))
    assert place(stack) == (H100, HERE, 52.5)
    assert not cloud.mutations


def test_a_replacement_while_the_market_is_silent_stays_where_it_was(stack: Stack, cloud: FakeMithril) -> None:
    """Its check is not told what was before: the region and the machines of the check before it are."""
    prices(cloud, h100=52.10)
    listed = [*BOTH, at("4xa100", THERE)]
    stack.up(it(listed))
    prices(cloud, h100=1.0)
    silence(cloud)
    stack.operation()
    declared = it(listed, command="python train.py")["it"]
    stack.check("it", declared, stack.state["it"])
    again = stack.check("it", declared, None)
    assert (again["instance_type"], again["region"]) == (A100, THERE)


@pytest.mark.parametrize("lost", ["instance_type", "region"])
def test_a_state_that_lost_where_it_is_replaces_nothing(stack: Stack, cloud: FakeMithril, lost: str) -> None:
    """The live bid tells which placement is in use; where it is not one of them, the check refuses."""
    prices(cloud, h100=52.10)
    stack.up(it())
    for bag in (stack.state["it"].inputs, stack.state["it"].outputs):
        del bag[lost]
    cloud.clear_requests()
    prices(cloud, h100=1.0)
    with pytest.raises(CheckError, match="does not record which one is in use"):
        stack.up(it(BOTH[:1]))
    stack.up(it())
    assert place(stack) == (A100, THERE, 24.0)
    assert not cloud.mutations


@pytest.mark.parametrize(
    "placements", [UNKNOWN, [UNKNOWN], [at(UNKNOWN, HERE)], [at(A100, UNKNOWN)], [at(A100, HERE, UNKNOWN)]], ids=repr
)
@pytest.mark.parametrize("price", [24.0, UNKNOWN])
def test_unknown_parts_never_fail_a_preview(stack: Stack, placements: Any, price: Any) -> None:
    """Of a new one, and of one that is there."""
    assert stack.preview(it(placements, max_price_per_hour=price)) == {"it": "create"}
    stack.up(it())
    assert stack.preview(it(placements, max_price_per_hour=price))["it"] in ("update", "replace")


# -- a policy in the place of a number ---------------------------------------------------------------------------------

PER_GPU = {"kind": "per_gpu", "usd": 3.0}
WORKLOAD = {"kind": "workload", "margin": 0.1, "cap": 40.0}


def test_a_policy_of_a_placement_is_resolved_for_its_market_and_kept(
    stack: Stack, cloud: FakeMithril, reports: Reports
) -> None:
    """The cap is what the choice compares with; a market that moves moves nothing."""
    prices(cloud, h100=40.01, a100=20.0)
    program = it([{**at(H100, HERE), "bid_policy": WORKLOAD}, {**at(A100, THERE), "bid_policy": WORKLOAD}])
    stack.up(program)
    assert place(stack) == (A100, THERE, 22.0)
    (row,) = rows(reports)
    assert row.startswith("placed as 8xa100 in us-central1-b at up to $40.00/h (workload 0.1): 8xh100 in us-central5-a")
    assert row.endswith("asks $40.01/h, over its bid of up to $40.00/h (workload 0.1)")
    cloud.clear_requests()
    prices(cloud, h100=1.0, a100=30.0)
    assert stack.preview(program) == {"it": "same"}
    stack.up(program, refresh=True)
    assert place(stack) == (A100, THERE, 22.0)
    assert not cloud.mutations


def test_a_number_of_a_placement_comes_before_the_policy_of_the_resource(stack: Stack, cloud: FakeMithril) -> None:
    """And the policy holds for those without one."""
    inputs = {"max_price_per_hour": None, "bid_policy": PER_GPU}
    prices(cloud)
    stack.up(it(**inputs))
    assert place(stack) == (H100, HERE, 40.0)
    assert "bid_policy" not in stack.state["it"].inputs
    stack.destroy()
    prices(cloud, a100=24.0)
    program = it([{**at(H100, THERE), "bid_policy": {"kind": "per_gpu", "usd": 2.49}}, *BOTH[1:]], **inputs)
    stack.up(program)
    assert place(stack) == (A100, THERE, 24.0)  # the others ask $20.00 for 8 GPUs, over $19.92
    assert stack.state["it"].inputs["bid_policy"] == PER_GPU
    assert stack.preview(program) == {"it": "same"}
    assert stack.preview(it([at(A100, THERE, 24.0)], max_price_per_hour=None)) == {"it": "update"}


def test_a_bad_policy_of_a_placement_has_its_path(stack: Stack) -> None:
    """As that of a resource."""
    bad = {**at(A100, THERE, 24.0), "bid_policy": PER_GPU}
    with pytest.raises(CheckError) as error:
        stack.preview(it([bad, {**at(A100, HERE), "bid_policy": {"kind": "uptime", "target": 1.0, "cap": 40.0}}]))
    assert error.value.failures.keys() == {"placements[0].bid_policy", "placements[1].bid_policy.target"}
    assert "less than 1, got 1: " in error.value.failures["placements[1].bid_policy.target"]


# -- ignore_changes ----------------------------------------------------------------------------------------------------


@pytest.mark.dynamic_host
@pytest.mark.parametrize("ignored", ["placements", "instance_type", "region", "max_price_per_hour", "*"])
def test_ignored_changes_replace_nothing(stack: Stack, cloud: FakeMithril, ignored: str) -> None:
    """The engine puts the recorded value in the place of the program's, which has none for two of them."""
    stack.up(it())
    program = it([at(H100, HERE, 45.0), *BOTH[1:]], ignore_changes=(ignored,), __ignored=[ignored])
    assert stack.preview(program)["it"] in ("same", "update")
    stack.up(program)
    assert place(stack) == (H100, HERE, 45.0 if ignored in ("instance_type", "region") else 40.0)
    assert len(cloud.bids) == 1


def test_an_ignored_price_keeps_the_policy_that_it_is_of(stack: Stack, cloud: FakeMithril) -> None:
    """Nothing changes for that, and nothing later, when it is ignored no more."""
    listed, ignored = [{**at(A100, THERE), "bid_policy": WORKLOAD}], ["max_price_per_hour"]
    prices(cloud, a100=20.0)
    program = it(listed, max_price_per_hour=None, ignore_changes=tuple(ignored), __ignored=ignored)
    stack.up(program)
    prices(cloud, a100=10.0)
    assert stack.preview(program) == {"it": "same"}
    stack.up(program)
    assert stack.preview(it(listed, max_price_per_hour=None)) == {"it": "same"}
    assert place(stack) == (A100, THERE, 22.0)


@pytest.mark.parametrize("ignored", ["placements", "instance_type", "*"])
def test_what_is_in_use_stays_where_its_change_is_ignored(stack: Stack, cloud: FakeMithril, ignored: str) -> None:
    """Though the list has it no more."""
    stack.up(it())
    cloud.clear_requests()
    program = it([at(A100, THERE)], ignore_changes=(ignored,), __ignored=[ignored])
    stack.up(program)
    assert place(stack) == (H100, HERE, 40.0)
    assert not cloud.mutations


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "failures"),
    [
        ({"instance_type": A100}, {"instance_type": "cannot be set beside placements, got '8xa100'"}),
        ({"region": HERE}, {"region": "cannot be set beside placements, got 'us-central5-a'"}),
        ({"adopt_task_id": "bid_1"}, {"adopt_task_id": "cannot be set beside placements, got 'bid_1': set inst"}),
        ({"max_wait_minutes": 5, "placements": BOTH[:1]}, {"max_wait_minutes": "needs at least two placements, got 5"}),
        (
            {"placements": None, "instance_type": A100, "region": HERE, "choose": "first"},
            {"choose": "needs placements, got 'first'"},
        ),
        ({"placements": None, "region": HERE}, {"instance_type": "is required, or placements"}),
        (
            {"max_price_per_hour": None},
            {"placements[1].max_price_per_hour": "is required where the resource has no max_price_per_hour: it is the"},
        ),
        ({"placements": None, "max_price_per_hour": None, "instance_type": A100, "region": HERE},
         {"max_price_per_hour": "is required, or bid_policy or placements"}),
        ({"placements": []}, {"placements": "must be a list of 1 to 20 Placements"}),
        ({"placements": [at("8xb9", HERE), at(A100, "us-central9-a")]}, {
            "placements[0].instance_type": "is not in the service's catalogue, got '8xb9'",
            "placements[1].region": "is not a region of the service, got 'us-central9-a': there are us-central",
        }),
        ({"placements": [at(A100, HERE, -1.0), at("8xb9", HERE), at("a100:8", "us-central9-a")], "region": HERE}, {
            "placements[0].max_price_per_hour": "must be greater than 0, got -1",
            "placements[1].instance_type": "is not in the service's catalogue, got '8xb9'",
            "placements[2].region": "is not a region of the service, got 'us-central9-a': there are us-central",
            "region": "cannot be set beside placements, got 'us-central5-a'",
        }),
    ],
    ids=lambda one: "-".join(one)[:40] if isinstance(one, dict) else None,
)  # fmt: skip
def test_bad_input_is_a_failure_with_its_path(
    stack: Stack, inputs: dict[str, Any], failures: Mapping[str, str]
) -> None:
    """All at once, at preview."""
    declared = cluster(**{**OWN, "max_price_per_hour": 24.0, "placements": BOTH, **inputs})
    with pytest.raises(CheckError) as error:
        stack.preview({"it": declared})
    assert error.value.failures.keys() == failures.keys()
    for path, text in failures.items():
        assert error.value.failures[path].startswith(f"{path} {text}")


def test_a_limit_of_a_policy_is_compared_with_the_bid_of_the_placement(stack: Stack) -> None:
    """Which is not known before it is settled."""
    with pytest.raises(CheckError, match=re.escape("is under the bid, max_price_per_hour=40, got 30")):
        stack.preview(it(on_preemption="raise_bid", raise_up_to_per_hour=30.0))


def test_the_budget_counts_the_bid_of_the_placement(stack: Stack, cloud: FakeMithril) -> None:
    """To the cent."""
    prices(cloud)
    stack.config["flow:maxCostPerHour"] = "40"
    assert stack.preview(it()) == {"it": "create"}
    stack.config["flow:maxCostPerHour"] = "39.99"
    with pytest.raises(CheckError, match="maxCostPerHour"):
        stack.preview(it())
