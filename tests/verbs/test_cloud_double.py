"""The verbs with an in-process double of the client: what they call, in which order, and what they do when it fails.

The double is autospecced from the real client, so a method that it lacks, or that takes other arguments, fails here.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import call

import pytest
from pytest_mock import MockerFixture
from support.stack import CheckError, Declared, FakeClock, Reports, Stack, VerbError, cluster, job, volume

from flow_resources.cloud import Cloud, MadeVolume, Placed, Project, Settings
from flow_resources.core.market import Market
from flow_resources.core.models import Bid, BidEvent, Instance, InstanceType, Offer, StoredVolume
from flow_resources.core.prices import CurrentPrices
from flow_resources.core.status import ClusterSnapshot
from flow_resources.errors import ConfigError, RejectedError, UnavailableError
from flow_resources.lifecycle.operation import Deployment
from flow_resources.lifecycle.waiting import Alone

BID = Bid(
    "bid_1", "", "proj_1", "Allocated", Decimal("50.00"), 1, "it_a", "us-central5-a", ("inst_1",), (), "2026-01-01"
)
MACHINE = Instance("inst_1", "bid_1", "running", "198.51.100.1", 22, "10.0.0.1")
VOLUME = StoredVolume("vol_1", "", "proj_1", 100, "file", "us-central5-a", (), "2026-01-01", deleted=False)
MARKET = Market(
    [InstanceType("it_a", "a100-80gb.sxm.8x", 8, "A100")],
    [Offer("it_a", "us-central5-a", Decimal("12.00"))],
    ["us-central5-a"],
    {},
)


@pytest.fixture
def client(mocker: MockerFixture) -> Any:
    """A client of a service on which nothing else happens."""
    double = mocker.create_autospec(Cloud, instance=True)
    double.settings = Settings("key", "http://service", "demo")
    double.project.return_value = double.known_project = Project("proj_1", "demo")
    double.market.return_value = MARKET
    double.live_bids.return_value = {}
    double.live_bids_before_create.return_value = []
    double.bids_named.return_value = []
    double.events.return_value = (BidEvent("Placed", None), BidEvent("Allocated", None))
    double.bid.return_value = double.find_bid.return_value = None
    double.cancel.return_value = double.delete_volume.return_value = True
    double.quotas.return_value = {}
    double.current_prices.return_value = CurrentPrices.read({})
    double.key_folder_problem.return_value = double.too_large.return_value = ""
    double.volumes.return_value = []
    double.place.side_effect = lambda launch: Placed(replace(BID, name=launch.name))
    double.recently_allocated.return_value = None
    for observe in (double.observe, double.observe_while_waiting, double.observe_before_update):
        observe.side_effect = lambda *_: ClusterSnapshot(replace(BID, name="trainer"), (MACHINE,))
    double.observe_new.side_effect = lambda bid: ClusterSnapshot(bid, (MACHINE,))
    double.waiting_for.return_value, double.set_price.return_value = Alone(), None
    double.create_volume.side_effect = lambda name, *_: MadeVolume(replace(VOLUME, name=name))
    return double


@pytest.fixture
def stack(client: Any, clock: FakeClock, mocker: MockerFixture) -> Stack:
    """A stack whose every operation goes through the double."""
    mocker.patch.object(Deployment, "settings", return_value=client.settings)
    for module in ("operation", "market_prices"):
        mocker.patch(f"flow_resources.lifecycle.{module}.Cloud", return_value=client)
    return Stack({}, clock=clock)


def effects(client: Any) -> list[str]:
    """Return the names of the writing calls, in order."""
    writing = {"place", "set_price", "set_paused", "cancel", "create_volume", "rename_volume", "delete_volume"}
    return [name for name, *_ in client.method_calls if name in writing]


def test_create_looks_for_orphans_and_namesakes_before_it_places(stack: Stack, client: Any) -> None:
    """The order is the promise."""
    stack.up({"trainer": cluster()})
    calls = [name for name, *_ in client.method_calls]
    assert (
        calls.index("live_bids_before_create")
        < calls.index("bids_named")
        < calls.index("place")
        < calls.index("observe_new")
    )


def test_the_launch_says_what_the_program_says(stack: Stack, client: Any) -> None:
    """Type by id, region pinned, price as Decimal."""
    stack.up({"trainer": cluster(num_instances=1, command=["python", "x.py"], env={"A": "b"}, ports=[8080], image="i")})
    launch = client.place.call_args.args[0]
    assert (launch.instance_type, launch.region, launch.price) == ("it_a", "us-central5-a", Decimal("50.00"))
    assert (launch.command, launch.env, launch.ports, launch.image) == (["python", "x.py"], {"A": "b"}, (8080,), "i")


def test_a_refusal_to_place_leaves_nothing_in_the_state(stack: Stack, client: Any) -> None:
    """The bid is proven absent."""
    client.place.side_effect = RejectedError("quota")
    with pytest.raises(VerbError, match="quota"):
        stack.up({"trainer": cluster()})
    assert not stack.state


@pytest.mark.parametrize("step", ["observe_while_waiting", "events", "set_price", "set_paused"])
def test_whatever_fails_after_the_bid_is_placed_the_id_is_recorded(stack: Stack, client: Any, step: str) -> None:
    """Also where the error is internal."""
    if step == "events":  # it is read where an instance was lost while the create waited
        seen = ClusterSnapshot(BID, (MACHINE,))
        lost = ClusterSnapshot(replace(BID, instances=("inst_0",)), (replace(MACHINE, id="inst_0", status="starting"),))
        client.observe_while_waiting.side_effect = itertools.cycle([lost, seen])
    getattr(client, step).side_effect = UnavailableError("down")
    client.place.side_effect = lambda launch: Placed(replace(BID, name=launch.name, price=Decimal("49.00")))
    with pytest.raises(VerbError, match="down"):
        stack.up({"trainer": cluster(paused=True) if step == "set_paused" else cluster()})
    assert stack.state["trainer"].id == "bid_1"
    getattr(client, step).side_effect = ZeroDivisionError("ours")
    stack.state.clear()
    with pytest.raises(VerbError, match="ours"):
        stack.up({"trainer": cluster(paused=True) if step == "set_paused" else cluster()})
    assert stack.state["trainer"].id == "bid_1"


@pytest.mark.parametrize("declared", [cluster(), job(machine_api_key="key")], ids=["cluster", "job"])
def test_after_a_first_look_that_fails_the_bid_is_read_anew(stack: Stack, client: Any, declared: Declared) -> None:
    """An outage may have lasted for minutes: what the bid was when it was placed is told to nobody then."""
    client.observe_new.side_effect = UnavailableError("down")
    client.placed_price.return_value, client.job_keys.return_value = Decimal(50), []
    stack.up({"trainer": declared})
    assert client.observe_new.call_count == client.observe_while_waiting.call_count == 1


def test_a_new_platform_key_is_reported_with_the_path_of_its_private_half(
    stack: Stack, client: Any, reports: Reports
) -> None:
    """On the resource's row."""
    client.place.side_effect = lambda launch: Placed(replace(BID, name=launch.name), (Path("/keys/flow-auto-x"),))
    stack.up({"trainer": cluster()})
    said = "the Flow SDK made the platform SSH key 'flow-auto-x'; its private half is /keys/flow-auto-x"
    assert reports.kept == [said]


def test_preview_reads_at_most_four_things_whatever_the_number(stack: Stack, client: Any) -> None:
    """The client shares its readings; the verbs read nothing else and write nothing."""
    stack.preview({f"c{number}": cluster() for number in range(20)})
    shared, once = {"market", "project", "ssh_keys"}, {"live_bids", "quotas", "key_folder_problem", "current_prices"}
    called = [name for name, *_ in client.method_calls]
    assert set(called) <= shared | once
    assert all(called.count(name) <= 1 for name in once)


def test_an_unreachable_service_warns_once_and_passes(
    stack: Stack, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A preview does not need the service."""
    client.market.side_effect = UnavailableError("down")
    assert stack.preview({"a": cluster(), "b": cluster(), "v": volume()}) == dict.fromkeys(("a", "b", "v"), "create")
    err = capsys.readouterr().err
    assert err.count("checked without the service") == 1


def test_a_refused_key_is_a_failure_with_the_three_places(stack: Stack, client: Any) -> None:
    """It belongs to no single property and does not hide the other failures."""
    client.market.side_effect = ConfigError("refused the API key", "three places")
    with pytest.raises(CheckError) as failed:
        stack.preview({"a": cluster(max_price_per_hour=-1)})
    assert set(failed.value.failures) == {"", "max_price_per_hour"}


def test_update_sets_only_what_differs(stack: Stack, client: Any) -> None:
    """Price and pause are independent."""
    stack.up({"trainer": cluster()})
    client.reset_mock()
    stack.up({"trainer": cluster(max_price_per_hour=60)})
    assert effects(client) == ["set_price"]
    assert client.set_price.call_args == call("bid_1", Decimal("60.00"))


def test_delete_cancels_once_and_reads_until_the_bid_has_ended(stack: Stack, client: Any, clock: FakeClock) -> None:
    """Two reads find it live, the third ended."""
    stack.up({"trainer": cluster()})
    name = stack.state["trainer"].outputs["task_name"]
    live = replace(BID, name=name)
    client.reset_mock()
    client.find_bid.side_effect = [live, live, live, replace(live, status="Terminated")]
    stack.destroy()
    assert effects(client) == ["cancel"]
    assert len(clock.slept) == 2


def test_a_volume_is_looked_for_among_the_deleted_too(stack: Stack, client: Any) -> None:
    """No name is used twice."""
    stack.up({"data": volume()})
    first = client.create_volume.call_args.args[0]
    deleted = replace(VOLUME, id="vol_0", name=first, deleted=True)
    client.volumes.side_effect = lambda *_, with_deleted=False: [deleted] if with_deleted else []
    stack.state.clear()
    stack.up({"data": volume()})
    second = client.create_volume.call_args.args[0]
    assert (first[-2:], second[-2:]) == ("-1", "-2")


@pytest.mark.parametrize("named", [False, True])
def test_a_volume_that_two_requests_made_is_deleted_where_its_mark_proves_it(
    stack: Stack, client: Any, capfd: pytest.CaptureFixture[str], named: bool
) -> None:
    """A name that the user chose carries no mark: another person can have made that one."""
    made = list[StoredVolume]()

    def create(name: str, *_: object) -> MadeVolume:
        first = replace(VOLUME, name=name, created_at="2026-01-01T00:00:00Z")
        made.extend([first, replace(first, id="vol_2", created_at="2026-01-01T00:00:09Z")])
        return MadeVolume(first, (made[1],))

    client.create_volume.side_effect = create
    client.service_now.return_value = datetime(2026, 1, 1, tzinfo=timezone.utc)
    client.volumes.side_effect = lambda *_, **__: [
        one for one in made if call.delete_volume(one.id) not in sent(client)
    ]
    stack.up({"data": volume(**({"volume_name": "corpus"} if named else {}))})
    assert stack.state["data"].id == "vol_1"
    assert ("vol_2" in capfd.readouterr().err) is named
    assert [one for one in effects(client) if one == "delete_volume"] == ([] if named else ["delete_volume"])


def sent(client: Any) -> list[Any]:
    """Return the calls of the client so far."""
    return list(client.method_calls)
