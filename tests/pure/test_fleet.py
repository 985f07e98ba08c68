"""The pure part of a fleet: which members there are, what the listings say of them, who should go in a shrink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_resources.core.answer import Answer
from flow_resources.core.fleet import MEMBER_STATUSES, Fleet, Member, read_members, unlucky_shrink
from flow_resources.core.fleet_fields import FIELDS, guard_data, left_out, member_indices
from flow_resources.core.inputs import UNKNOWN, Checked, check
from flow_resources.core.models import Bid, Instance
from flow_resources.core.status import ClusterSnapshot

INDICES = st.integers(0, 20)
STATUSES = ("running", "waiting", "unknown", "starting")


def snapshot(status: str, machine: str | None = None, *, address: str | None = "198.18.0.1") -> ClusterSnapshot:
    """Return a bid of a status of the service, with a machine of a status if one is given."""
    instances = (Instance("inst_1", "bid_1", machine, address, 22, "10.0.0.1"),) if machine else ()
    ids = tuple(instance.id for instance in instances)
    bid = Bid("bid_1", "trainer-0", "proj_1", status, None, 1, "it_1", "r", ids, (), "")
    return ClusterSnapshot(bid, instances)


def member(index: int, status: str) -> Member:
    """Return a member of one of STATUSES."""
    seen = {
        "running": snapshot("Allocated", "running"),
        "waiting": snapshot("Open"),
        "starting": snapshot("Allocated", "starting"),
    }
    return Member(index, f"bid_{index}", seen.get(status))


@given(st.integers(1, 40), st.sets(INDICES))
def test_the_members_are_the_first_indices_that_are_not_skipped(size: int, skip: set[int]) -> None:
    """Exactly `size`, ascending; and every index between that is missing is skipped."""
    indices = member_indices(size, skip)
    assert len(indices) == size
    assert list(indices) == sorted(set(indices) - skip)
    assert set(range(max(indices))) - set(indices) <= skip


@given(st.integers(1, 40), st.integers(1, 40), st.sets(INDICES))
def test_a_shrink_keeps_the_lowest_indices(size: int, other: int, skip: set[int]) -> None:
    """One of two sizes is the beginning of the other."""
    short, long = sorted((size, other))
    assert member_indices(long, skip)[:short] == member_indices(short, skip)


@pytest.mark.parametrize(
    ("seen", "status", "runs", "waits"),
    [
        (None, "unknown", Answer.NOT_KNOWN, Answer.NOT_KNOWN),
        (snapshot("Open"), "waiting", Answer.NO, Answer.YES),
        (snapshot("Open", "preempted"), "waiting", Answer.NO, Answer.YES),
        (snapshot("Allocated"), "starting", Answer.NO, Answer.NO),
        (snapshot("Allocated", "starting"), "starting", Answer.NO, Answer.NO),
        (snapshot("Allocated", "running", address=None), "starting", Answer.NO, Answer.NO),
        (snapshot("Allocated", "running"), "running", Answer.YES, Answer.NO),
        (snapshot("Allocated", "error"), "failed", Answer.NO, Answer.NO),
        (snapshot("Preempting", "running"), "preempting", Answer.NO, Answer.NO),
        (snapshot("Paused"), "paused", Answer.NO, Answer.NO),
        (snapshot("Terminated"), "unknown", Answer.NOT_KNOWN, Answer.NOT_KNOWN),
        (snapshot("Hibernating"), "unknown", Answer.NOT_KNOWN, Answer.NOT_KNOWN),
    ],
)
def test_the_status_of_a_member(seen: ClusterSnapshot | None, status: str, runs: Answer, waits: Answer) -> None:
    """What no listing shows, and what is called something new, neither runs nor waits: it is not known."""
    one = Member(3, "bid_1", seen)
    assert (one.status, one.runs, one.waits) == (status, runs, waits)
    assert status in MEMBER_STATUSES
    assert one.as_output()["index"] == 3


def test_a_member_that_does_not_run_is_not_among_the_running_ones() -> None:
    """Nor its address among the fleet's."""
    fleet = Fleet("fleet_1", tuple(member(index, status) for index, status in enumerate(STATUSES)))
    assert [one.index for one in fleet.running] == [0]
    assert fleet.message == "1 of 4 members run (member 1 in the auction, member 3 starting, member 2 not seen)"
    assert Fleet("fleet_1", (member(0, "running"),)).message == "1 of 1 members run"
    many = Fleet("fleet_1", tuple(member(index, "waiting") for index in range(12)))
    assert "members 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more in the auction" in many.message


def test_members_are_read_in_the_order_of_their_numbers() -> None:
    """Not of their texts, in which 10 comes before 2."""
    assert [one.index for one in read_members({"10": "bid_a", "2": "bid_b"})] == [2, 10]


def test_a_running_member_that_goes_while_another_waits_is_named_with_the_remedy() -> None:
    """And nothing is said where none of both is certain."""
    going, kept = [member(3, "running"), member(4, "waiting")], [member(index, "running") for index in (0, 2)]
    advice = unlucky_shrink(going, [*kept[:1], member(1, "waiting"), *kept[1:]])
    assert advice == (
        "member 3, which runs, is ended, and member 1, which waits in the auction, stays: "
        "skip=[1] ends what waits first"
    )
    plural = unlucky_shrink([member(2, "running"), member(3, "running")], [member(0, "waiting"), member(1, "waiting")])
    assert plural.startswith("members 2, 3, which run, are ended, and members 0, 1, which wait in the auction, stay: ")
    assert unlucky_shrink([member(3, "unknown")], [member(1, "waiting")]) == ""
    assert unlucky_shrink([member(3, "running")], [member(1, "unknown")]) == ""
    assert unlucky_shrink([member(3, "running")], [member(1, "starting")]) == ""


@given(st.lists(st.sampled_from(STATUSES), min_size=2, max_size=9), st.data())
def test_who_follows_the_advice_loses_no_running_member_that_a_waiting_one_could_spare(
    statuses: Sequence[str], data: st.DataObject
) -> None:
    """The `skip` of the message gives a fleet of the same size, in which a member waits only if all that run stay."""
    size = data.draw(st.integers(1, len(statuses) - 1))
    members = [member(index, status) for index, status in enumerate(statuses)]
    advice = unlucky_shrink(members[size:], members[:size])
    if not advice:
        going = any(one.runs is Answer.YES for one in members[size:])
        assert not (going and any(one.waits is Answer.YES for one in members[:size]))
        return
    skip = [int(index) for index in advice.partition("skip=[")[2].partition("]")[0].split(", ") if index]
    chosen = member_indices(size, skip)
    assert set(chosen) <= set(range(len(statuses)))
    spared = [index for index, status in enumerate(statuses) if status == "running" and index not in chosen]
    assert not spared or all(statuses[index] != "waiting" for index in chosen)


def checked(**inputs: Any) -> Checked:
    return check(FIELDS, {"task_ids": {"0": "bid_1"}, "min_running": 1.0, **inputs})


OLDS = {"volume_ids": {"0": "vol_1", "10": "vol_3", "2": "vol_2"}}


@pytest.mark.parametrize("allowed", [False, None])
def test_a_volume_that_the_program_does_not_declare_any_more_is_not_lost_by_accident(allowed: bool | None) -> None:
    """Each one is named, with its member."""
    found = checked(volume_ids={"0": "vol_1"}, allow_data_loss=allowed)
    guard_data(found, OLDS)
    (failure,) = found.failures
    assert failure.path == "allow_data_loss"
    assert "vol_2 of member 2, vol_3 of member 10" in failure.text
    assert "vol_1" not in failure.text


@pytest.mark.parametrize(
    "inputs",
    [
        {"volume_ids": {"0": "vol_1"}, "allow_data_loss": True},
        {"volume_ids": {"0": "vol_1"}, "allow_data_loss": UNKNOWN},
        {"volume_ids": {"0": UNKNOWN, "2": UNKNOWN, "10": "vol_3"}},
        {"volume_ids": UNKNOWN},
        {"allow_data_loss": True},
    ],
)
def test_what_is_allowed_or_not_known_yet_is_not_refused(inputs: dict[str, Any]) -> None:
    """A later check knows, before anything is changed. A volume of the same member is there, whatever its id."""
    found = checked(**inputs)
    guard_data(found, OLDS)
    assert not found.failures


def test_no_volumes_at_all_is_a_loss_of_all_of_them() -> None:
    """`volume_per_member` was removed from the program."""
    found = checked()
    guard_data(found, OLDS)
    assert len(found.failures) == 1
    assert left_out("volume_ids", found, OLDS) == {"0": "vol_1", "2": "vol_2", "10": "vol_3"}
    assert not left_out("volume_ids", found, {})


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"task_ids": {"0": "vol_1"}}, "task_ids.0"),
        ({"task_ids": {"first": "bid_1"}}, "task_ids.first"),
        ({"task_ids": ["bid_1"]}, "task_ids"),
        ({"min_running": -1}, "min_running"),
        ({"min_running": 1.5}, "min_running"),
        ({"volume_ids": {"0": "bid_1"}}, "volume_ids.0"),
        ({"size": 3}, "size"),
    ],
)
def test_bad_inputs_fail_with_their_path(inputs: dict[str, Any], path: str) -> None:
    """As of every resource."""
    assert [failure.path for failure in checked(**inputs).failures] == [path]
