"""What a cluster's rows mean."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_resources.core.cluster_fields import WAIT_FOR
from flow_resources.core.models import Bid, Instance
from flow_resources.core.status import STATUSES, ClusterSnapshot, outputs

PLACED, WON, LOST, PAUSED, RESUMED = "Placed", "Allocated", "Preempted", "Paused", "Resumed"


def bid(status: str = "Allocated", quantity: int = 2, price: str | None = "50.00") -> Bid:
    amount = None if price is None else Decimal(price)
    ids = tuple(f"inst_{place}" for place in range(quantity))
    return Bid(
        "bid_1", "trainer-1", "proj_1", status, amount, quantity, "it_1", "us-central5-a", ids, ("vol_1",), "2025"
    )


def machine(place: int, status: str = "running", ip: str | None = "203.0.113.1", port: int | None = 22) -> Instance:
    return Instance(f"inst_{place}", "bid_1", status, ip, None if ip is None else port, f"10.0.0.{place}")


def seen(status: str, *statuses: str, history: tuple[str, ...] | None = None) -> ClusterSnapshot:
    return ClusterSnapshot(bid(status), tuple(machine(place, word) for place, word in enumerate(statuses)), history)


def held(ids: tuple[str, ...], *statuses: str) -> ClusterSnapshot:
    """See an allocated bid that holds these machines."""
    sighting = seen("Allocated", *statuses)
    return replace(sighting, bid=replace(sighting.bid, instances=ids))


UP_AGAIN, ONE_OF_TWO = ("preempted", "running", "running"), "1/2 machines running"
TABLE = [
    ("new", seen("Open", history=(PLACED,)), "pending", "waiting in the auction"),
    ("new-without-history", seen("Open"), "pending", "waiting in the auction"),
    ("empty-history", seen("Open", "preempted", history=()), "pending", "waiting in the auction"),
    ("won", seen("Allocated"), "starting", "0/2 machines running"),
    ("booting", seen("Allocated", "running", "starting"), "starting", "1/2 machines running"),
    ("up", seen("Allocated", "running", "running"), "running", "2/2 machines running"),
    ("up-with-an-old-one", held(("inst_1", "inst_2"), *UP_AGAIN), "running", "2/2 machines running"),
    ("up-with-a-strange-one", held(("inst_0", "inst_2"), *UP_AGAIN), "starting", "1/2 machines running"),
    ("booting-with-a-strange-one", seen("Allocated", "running", "starting", "running"), "starting", ONE_OF_TWO),
    ("a-strange-one-broken", seen("Allocated", "running", "running", "error"), "running", "2/2 machines running"),
    ("nothing-listed", held((), "running", "running"), "running", "2/2 machines running"),
    ("nothing-listed-one-broken", held((), "running", "error"), "failed", f"a machine is in error, {ONE_OF_TWO}"),
    ("one-replaced", seen("Allocated", "running", "replaced"), "starting", "1/2 machines running"),
    ("broken", seen("Allocated", "running", "error"), "failed", "a machine is in error, 1/2 machines running"),
    ("notice", seen("Preempting", "running", "preempting"), "preempting", "losing its machines, 1/2 machines running"),
    ("moving", seen("Relocating", "running", "running"), "preempting", "losing its machines, 2/2 machines running"),
    ("lost", seen("Open", history=(PLACED, WON, LOST)), "preempted", "preempted, waiting in the auction"),
    ("lost-by-machines", seen("Open", "preempted"), "preempted", "preempted, waiting in the auction"),
    (
        "lost-and-repriced",
        seen("Open", history=(WON, LOST, "Limit Price Changed")),
        "preempted",
        "preempted, waiting in the auction",
    ),
    (
        "lost-then-paused-then-resumed",
        seen("Open", history=(WON, LOST, PAUSED, RESUMED)),
        "pending",
        "waiting in the auction",
    ),
    ("history-over-machines", seen("Open", "preempted", history=(PLACED,)), "pending", "waiting in the auction"),
    ("lost-twice", seen("Open", history=(WON, LOST, WON, LOST)), "preempted", "preempted, waiting in the auction"),
    ("won-again", seen("Allocated", "running", "running", history=(WON, LOST, WON)), "running", "2/2 machines running"),
    ("paused", seen("Paused", "paused", "paused"), "paused", "paused"),
    ("ended", seen("Terminated", "terminated"), "terminated", "terminated"),
    ("later-word", seen("Hibernated", "running"), "unknown", "the service calls it 'Hibernated'"),
    ("no-word", seen(""), "unknown", "the service calls it ''"),
]


@pytest.mark.parametrize(("sighting", "status", "message"), [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_a_sighting_has_a_status_and_a_sentence(sighting: Any, status: Any, message: Any) -> None:
    """One word of the promised ones, and what it means in numbers."""
    assert (sighting.status, sighting.message) == (status, message)


def test_the_table_has_every_status_and_the_words_are_frozen() -> None:
    """These words are a promise of the public surface."""
    assert {row[2] for row in TABLE} == set(STATUSES)
    promised = "pending, starting, running, preempting, preempted, paused, terminated, failed"
    assert (*promised.split(", "), "unknown") == STATUSES


def test_a_machine_that_has_no_address_runs_but_is_not_up() -> None:
    """The status is the service's; what waits for addresses waits on."""
    one = ClusterSnapshot(bid(quantity=1), (machine(0, ip=None),))
    assert one.status == "running"
    assert one.up == 0
    assert one.message == "0/1 machines running"
    assert not one.reached("running")


@pytest.mark.parametrize(
    ("sighting", "reached"),
    [
        (seen("Open"), ["placed"]),
        (seen("Open", "preempted"), ["placed"]),
        (seen("Allocated", "running"), ["placed", "allocated"]),
        (seen("Allocated", "running", "running"), ["placed", "allocated", "running"]),
        (seen("Preempting", "running", "running"), ["placed"]),
        (seen("Paused"), ["placed"]),
        (seen("Hibernated", "running", "running"), ["placed"]),
        (seen("Terminated", "running", "running"), []),
    ],
    ids=lambda value: value.bid.status if isinstance(value, ClusterSnapshot) else "-".join(value),
)
def test_wait_for_is_reached_as_far_as_the_bid_is(sighting: Any, reached: Any) -> None:
    """A stronger word is never reached before a weaker one, and a bid that has ended reaches none."""
    assert [goal for goal in WAIT_FOR if sighting.reached(goal)] == reached


@pytest.mark.parametrize(
    ("history", "count"),
    [(None, None), ((), 0), ((PLACED, WON), 0), ((WON, LOST, WON, LOST, "Volumes Attached"), 2)],
    ids=repr,
)
def test_preemptions_are_counted_by_the_history_or_not_at_all(history: Any, count: Any) -> None:
    """Absent where it cannot be read, never invented."""
    sighting = seen("Allocated", "preempted", "running", history=history)
    assert sighting.preemptions == count
    assert outputs(sighting).get("preemptions", "absent") == ("absent" if count is None else count)


def test_machines_stand_in_the_bids_order_without_those_that_are_gone() -> None:
    """So that the first machine stays the first; a machine that the bid does not hold is not one of the cluster's."""
    shuffled = (machine(7), machine(1), machine(0), machine(2, "terminated"), machine(5))
    for ids, present in (
        (("inst_0", "inst_1"), ["inst_0", "inst_1"]),
        (("inst_7", "inst_2", "inst_0"), ["inst_7", "inst_0"]),
        (("inst_9",), []),
        (("inst_2",), []),
    ):
        sighting = ClusterSnapshot(replace(bid(), instances=ids), shuffled)
        assert [one.id for one in sighting.present] == present
        assert [one["id"] for one in outputs(sighting)["instances"]] == present
        assert sighting.up == len(outputs(sighting)["public_ips"]) == len(present)


def test_a_bid_that_lists_no_machines_has_all_that_are_not_gone() -> None:
    """By their ids: no list is no proof that there are none."""
    shuffled = (machine(7), machine(1), machine(0), machine(2, "terminated"), machine(5))
    sighting = ClusterSnapshot(replace(bid(), instances=()), shuffled)
    assert [one.id for one in sighting.present] == ["inst_0", "inst_1", "inst_5", "inst_7"]
    assert sighting.up == 4


@pytest.mark.parametrize(
    ("unsaid", "without"),
    [
        ({"region": None}, {"region"}),
        ({"project": None}, {"project"}),
        ({"name": ""}, {"task_name"}),
        ({"volumes": None}, {"volume_ids"}),
        ({"created_at": ""}, {"created_at"}),
        ({"price": None}, {"max_price_per_hour", "max_cost_per_hour"}),
    ],
)
def test_what_the_service_does_not_say_is_none(unsaid: dict[str, Any], without: set[str]) -> None:
    """It stays what was recorded then, which an empty value would overwrite."""
    before = outputs(ClusterSnapshot(bid(), ()))
    assert outputs(ClusterSnapshot(replace(bid(), **unsaid), ())) == before | dict.fromkeys(without)


def test_a_bid_of_an_unknown_number_of_machines_is_never_said_to_run() -> None:
    """Nor to have reached what the program waits for."""
    sighting = ClusterSnapshot(replace(bid(), quantity=None), (machine(1), machine(2)))
    assert (sighting.status, sighting.reached("running")) == ("unknown", False)


def test_outputs_are_what_the_service_decides() -> None:
    """Every key, with its value; they are in users' states and never change."""
    machines = (machine(1, ip="203.0.113.2", port=2222), machine(0))
    assert outputs(ClusterSnapshot(bid(), machines, (PLACED, WON))) == {
        "task_id": "bid_1",
        "task_name": "trainer-1",
        "project": "proj_1",
        "status": "running",
        "status_message": "2/2 machines running",
        "region": "us-central5-a",
        "max_price_per_hour": 50.0,
        "paused": False,
        "max_cost_per_hour": 100.0,
        "instances": [
            {"id": "inst_0", "status": "running", "public_ip": "203.0.113.1", "private_ip": "10.0.0.0", "ssh_port": 22},
            {
                "id": "inst_1",
                "status": "running",
                "public_ip": "203.0.113.2",
                "private_ip": "10.0.0.1",
                "ssh_port": 2222,
            },
        ],
        "public_ips": ["203.0.113.1", "203.0.113.2"],
        "private_ips": ["10.0.0.0", "10.0.0.1"],
        "ssh_commands": ["ssh ubuntu@203.0.113.1", "ssh -p 2222 ubuntu@203.0.113.2"],
        "volume_ids": ["vol_1"],
        "preemptions": 0,
        "created_at": "2025",
        "last_preempted_at": None,
    }


def test_what_has_no_address_and_no_price_yet_is_left_out() -> None:
    """No empty addresses, no command that goes nowhere, no price out of the air."""
    result = outputs(ClusterSnapshot(bid(price=None), (machine(0, "starting", ip=None),)))
    assert result["public_ips"] == result["ssh_commands"] == []
    assert result["instances"][0]["public_ip"] is None
    assert result["max_price_per_hour"] is None
    assert result["max_cost_per_hour"] is None


def test_costs_are_exact() -> None:
    """Three times 0.10 is 0.30, which no float multiplication gives."""
    assert outputs(ClusterSnapshot(bid(quantity=3, price="0.10"), ()))["max_cost_per_hour"] == 0.3


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(
    status=st.sampled_from(["Open", "Allocated", "Preempting", "Terminated", "Paused", "Relocating"])
    | st.text(max_size=6),
    quantity=st.integers(0, 4),
    words=st.lists(st.sampled_from(["running", "preempted", "error", "starting", "odd", ""]), max_size=5),
    history=st.none() | st.lists(st.sampled_from([PLACED, WON, LOST, PAUSED, RESUMED, "Odd"]), max_size=5).map(tuple),
)
def test_no_rows_break_the_meaning(status: Any, quantity: Any, words: Any, history: Any) -> None:
    """A promised word always, weaker goals before stronger ones, and never up with more machines than are there."""
    sighting = ClusterSnapshot(
        bid(status, quantity), tuple(machine(place, word) for place, word in enumerate(words)), history
    )
    assert sighting.status in STATUSES
    assert sighting.message
    reached = [sighting.reached(goal) for goal in WAIT_FOR]
    assert reached == sorted(reached, reverse=True)
    assert sighting.up <= len(sighting.present) <= len(words)
    assert outputs(sighting)["status"] == sighting.status
