"""FleetStatus: it waits for as many members as the program asks for, tells what they do, and guards their volumes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi.output import Unknown
from support.stack import CheckError, Declared, FakeClock, Reports, Stack, VerbError, cluster, settings_of

from flow_resources.core.fleet_fields import RECORDED_VOLUMES
from flow_resources.core.hidden import NOT_KNOWN, UNREADY
from flow_resources.providers import base
from flow_resources.testing import Clock, FakeMithril


@pytest.fixture
def time() -> Clock:
    """The clock of the cloud, which advances as the waiter sleeps."""
    return Clock(speed=0)


@pytest.fixture
def slow(clean_environment: None, time: Clock) -> Iterator[FakeMithril]:
    """A cloud whose machines take 20 s to boot."""
    with FakeMithril(boot_seconds=20.0, clock=time) as fake:
        yield fake


@pytest.fixture
def fleet(slow: FakeMithril, time: Clock, clock: FakeClock) -> Iterator[Stack]:
    """A stack with three placed members, without a status."""
    clock.on_sleep = lambda: time.advance(clock.slept[-1])
    stack = Stack(settings_of(slow), clock=clock)
    stack.up(members(3))
    slow.clear_requests()
    clock.slept.clear()
    yield stack
    base.current().close()


def members(size: int, **inputs: Any) -> dict[str, Declared]:
    return {f"t-{index}": cluster(wait_for="placed", **inputs) for index in range(size)}


def status(stack: Stack, size: int = 3, *, timeout: float = 0.0, **inputs: Any) -> dict[str, Declared]:
    """Declare the members and the status of them that a ResilientCluster declares."""
    task_ids = {str(index): stack.state[f"t-{index}"].id for index in range(size)}
    inputs = {"task_ids": task_ids, "min_running": size, RECORDED_VOLUMES: "", **inputs}
    return {**members(size), "t-status": Declared("FleetStatus", inputs, timeout=timeout)}


def outputs(stack: Stack) -> dict[str, Any]:
    return stack.state["t-status"].outputs


def statuses(stack: Stack) -> list[str]:
    return [one["status"] for one in outputs(stack)["members"]]


def listings(cloud: FakeMithril) -> list[str]:
    """Return what was asked of bids and instances, in order."""
    return [
        f"{request.path} {request.query.get('status', '')}".strip()
        for request in cloud.requests
        if request.path.startswith(("/v2/spot/bids", "/v2/instances"))
    ]


def test_it_waits_until_all_run_and_tells_their_addresses(fleet: Stack, slow: FakeMithril, clock: FakeClock) -> None:
    """It changes nothing in the service."""
    fleet.up(status(fleet))
    assert 20 <= sum(clock.slept) < 25
    assert statuses(fleet) == ["running"] * 3
    assert outputs(fleet)["running"] == 3
    assert outputs(fleet)["public_ips"] == [one["public_ip"] for one in outputs(fleet)["members"]]
    assert [one["task_id"] for one in outputs(fleet)["members"]] == [fleet.state[f"t-{index}"].id for index in range(3)]
    assert not slow.mutations
    assert fleet.preview(status(fleet)) == dict.fromkeys([*members(3), "t-status"], "same")


def test_it_is_content_with_min_running_members(fleet: Stack, slow: FakeMithril, clock: FakeClock) -> None:
    """The others may wait."""
    slow.preempt(fleet.state["t-1"].id, notice_seconds=0)
    slow.set_price("8xa100", "us-central5-a", 51.0)
    with pytest.raises(VerbError, match="0 of 3 members run"):
        fleet.up(status(fleet, min_running=2, timeout=60.0))
    slow.set_price("8xa100", "us-central5-a", 12.0)
    for index in (0, 2):
        slow.release(fleet.state[f"t-{index}"].id)
    fleet.up(status(fleet, min_running=2))
    assert statuses(fleet).count("running") >= 2


def test_nothing_is_waited_for_where_none_has_to_run(fleet: Stack, clock: FakeClock) -> None:
    """min_running=0."""
    fleet.up(status(fleet, min_running=0))
    assert statuses(fleet) == ["starting"] * 3
    assert outputs(fleet)["public_ips"] == []
    assert sum(clock.slept) == 0


def test_paused_members_are_not_waited_for(fleet: Stack, slow: FakeMithril, clock: FakeClock) -> None:
    """They run again when the program says so, and are waited for then."""
    slept = sum(clock.slept)
    program = {**status(fleet, paused=True), **members(3, paused=True)}
    fleet.up(program)
    assert statuses(fleet) == ["paused"] * 3
    assert sum(clock.slept) - slept < 20
    fleet.up(status(fleet))
    assert statuses(fleet) == ["running"] * 3


def test_at_the_time_limit_it_is_recorded_and_the_next_up_goes_on(
    fleet: Stack, slow: FakeMithril, clock: FakeClock
) -> None:
    """With what the members do then; the message names those that wait."""
    waiting = fleet.state["t-1"].id
    slow.preempt(waiting, notice_seconds=0)
    with pytest.raises(VerbError) as failed:
        fleet.up(status(fleet, timeout=90.0))
    assert str(failed.value) == (
        "2 of 3 members run (member 1 in the auction), and min_running is 3: raise the bid, lower min_running or wait; "
        "run `pulumi up` again to go on"
    )
    assert round(sum(clock.slept)) == 90
    assert statuses(fleet) == ["running", "waiting", "running"]
    assert len(outputs(fleet)["public_ips"]) == 2
    id_ = fleet.state["t-status"].id
    assert fleet.preview(status(fleet))["t-status"] == "update"
    slow.release(waiting)
    fleet.up(status(fleet))
    assert fleet.state["t-status"].id == id_
    assert statuses(fleet) == ["running"] * 3
    assert not slow.mutations
    assert fleet.preview(status(fleet))["t-status"] == "same"


def test_a_refresh_that_finds_enough_members_ends_the_wait(fleet: Stack, slow: FakeMithril) -> None:
    """The next `up` has nothing to go on with."""
    waiting = fleet.state["t-1"].id
    slow.preempt(waiting, notice_seconds=0)
    with pytest.raises(VerbError, match="2 of 3"):
        fleet.up(status(fleet, timeout=90.0))
    fleet.refresh()
    assert outputs(fleet)[UNREADY]
    slow.release(waiting)
    slow.finish("boot", waiting)
    fleet.refresh()
    assert UNREADY not in outputs(fleet)


@pytest.mark.parametrize("size", [2, 40])
def test_the_requests_of_the_wait_do_not_depend_on_the_number_of_members(
    clean_environment: None, clock: FakeClock, size: int
) -> None:
    """Two listings per poll, and none per member."""
    time = Clock(speed=0)
    clock.on_sleep = lambda: time.advance(clock.slept[-1])
    with FakeMithril(boot_seconds=20.0, clock=time) as cloud:
        stack = Stack(settings_of(cloud), clock=clock)
        stack.up(members(size))
        program = status(stack, size)
        stack.operation()
        news = stack.check("t-status", program["t-status"], None)
        cloud.clear_requests()
        clock.slept.clear()
        stack._create("t-status", program["t-status"], news)
        polls = len(clock.slept) + 1
        asked = listings(cloud)
        assert asked == ["/v2/spot/bids", "/v2/instances"] * polls
        base.current().close()


def test_a_refresh_of_the_status_costs_no_request_of_its_own(fleet: Stack, slow: FakeMithril) -> None:
    """It reads the listings that the members' refresh reads."""
    fleet.up(status(fleet))
    slow.clear_requests()
    fleet.refresh()
    asked = [one for one in listings(slow) if "history" not in one]  # each member reads its own
    assert sorted(set(asked)) == sorted(asked), "a listing was read twice"
    assert len(asked) == 5  # a status each, and the instances


def test_a_member_that_no_listing_shows_does_not_run_and_is_not_gone(fleet: Stack, slow: FakeMithril) -> None:
    """A row that is missing proves nothing."""
    fleet.up(status(fleet))
    saved = fleet.state["t-status"]
    slow.terminate(fleet.state["t-1"].id)
    fleet.state = {"t-status": saved}
    fleet.refresh()
    assert statuses(fleet) == ["running", "unknown", "running"]
    assert outputs(fleet)["running"] == 2
    assert len(outputs(fleet)["public_ips"]) == 2


def test_a_member_that_has_ended_for_good_ends_the_wait(fleet: Stack, slow: FakeMithril, clock: FakeClock) -> None:
    """Half an hour would not bring it back; what it takes to place it anew is said."""
    slow.terminate(fleet.state["t-2"].id)
    with pytest.raises(VerbError) as failed:
        fleet.up(status(fleet))
    assert "has ended: `pulumi up --refresh` places a new bid for it" in str(failed.value)
    assert fleet.state["t-2"].id in str(failed.value)
    assert sum(clock.slept) < 30


def test_a_member_that_has_ended_is_not_needed_where_enough_others_run(fleet: Stack, slow: FakeMithril) -> None:
    """min_running is met by the others; the next refresh places it anew."""
    slow.terminate(fleet.state["t-2"].id)
    fleet.up(status(fleet, min_running=2))
    assert statuses(fleet) == ["running", "running", "unknown"]


def test_an_outage_in_the_wait_does_not_end_it(fleet: Stack, slow: FakeMithril, clock: FakeClock) -> None:
    """As of a cluster."""
    slow.faults.add(method="GET", path="/v2/spot/bids$", status=503, times=4)
    fleet.up(status(fleet))
    assert statuses(fleet) == ["running"] * 3


def test_a_larger_min_running_is_waited_for_and_a_note_in_the_state_is_not(
    fleet: Stack, slow: FakeMithril, clock: FakeClock
) -> None:
    """allow_data_loss changes the state alone."""
    fleet.up(status(fleet, min_running=0))
    fleet.up(status(fleet, min_running=0, allow_data_loss=True))
    assert sum(clock.slept) == 0
    fleet.up(status(fleet))
    assert sum(clock.slept) >= 20


def test_ids_that_are_not_known_yet_pass_the_preview(fleet: Stack) -> None:
    """The first preview, and that of a replacement."""
    program = status(fleet)
    unknown = {"0": Unknown(), "1": fleet.state["t-1"].id, "2": Unknown()}
    fleet.up(program)
    program["t-status"].inputs["task_ids"] = unknown
    assert fleet.preview(program)["t-status"] == "update"
    program["t-status"].inputs["task_ids"] = Unknown()
    assert fleet.preview(program)["t-status"] == "update"
    del fleet.state["t-status"]
    assert fleet.preview(program)["t-status"] == "create"


def test_destroy_ends_nothing_by_it(fleet: Stack, slow: FakeMithril) -> None:
    """It stands for nothing in the service."""
    fleet.up(status(fleet))
    slow.clear_requests()
    fleet.up({name: declared for name, declared in status(fleet).items() if name != "t-status"})
    assert not slow.mutations
    assert "t-status" not in fleet.state
    assert len(slow.live_bids) == 3


FAULTS: dict[str, dict[str, Any]] = {
    "reset": {"kind": "reset", "when": "before"},
    "500": {"status": 500},
    "404": {"status": 404},
    "403": {"status": 403},
    "cut": {"kind": "truncate"},
    "malformed": {"kind": "malformed"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_request_leaves_it_to_the_next_up(fleet: Stack, slow: FakeMithril, fault: str) -> None:
    """It is recorded, or not there at all; nothing is changed in the service, and one more `up` brings it about."""
    for nth in range(1, 6):
        program = status(fleet)
        fleet.state.pop("t-status", None)
        slow.clear_requests()
        slow.faults.add(path="/v2/", nth=nth, times=1, **FAULTS[fault])
        fleet.operation()
        with contextlib.suppress(VerbError, CheckError):
            fleet._converge("t-status", program["t-status"], forced=False)
        slow.faults.clear()
        fleet.up(program)
        assert statuses(fleet) == ["running"] * 3
        assert fleet.preview(program)["t-status"] == "same"
        assert not slow.mutations


# -- shrinks -----------------------------------------------------------------------------------------------------------


VOLUMES = {"0": "vol_1", "1": "vol_2", "2": "vol_3"}


def test_a_shrink_that_would_lose_data_is_refused_and_touches_nothing(fleet: Stack, slow: FakeMithril) -> None:
    """Unless the program allows it."""
    fleet.up(status(fleet, volume_ids=VOLUMES))
    smaller = {"0": "vol_1", "1": "vol_2"}
    slow.clear_requests()
    for change in (fleet.preview, fleet.up):
        with pytest.raises(CheckError, match="vol_3 of member 2") as failed:
            change(status(fleet, 2, volume_ids=smaller))
        assert list(failed.value.failures) == ["allow_data_loss"]
    assert not slow.mutations
    fleet.up(status(fleet, 2, volume_ids=smaller, allow_data_loss=True))
    assert len(slow.live_bids) == 2


def test_a_volume_that_only_the_state_knows_is_guarded_too(fleet: Stack, slow: FakeMithril) -> None:
    """The `up` that made it ended before the status was recorded; what the state holds is never recorded here."""
    held = "0=vol_1,1=vol_2,2=vol_3"
    smaller = {"0": "vol_1", "1": "vol_2"}
    for _ in range(2):  # without a record of the status, and with an older one
        with pytest.raises(CheckError, match="which loses their data: vol_3 of member 2"):
            fleet.preview(status(fleet, 2, volume_ids=smaller, recorded_volumes=held))
        fleet.up(status(fleet, 2, volume_ids=smaller, allow_data_loss=True, recorded_volumes=held))
        assert RECORDED_VOLUMES not in fleet.state["t-status"].inputs
        fleet.up(members(3))
    fleet.up(status(fleet, volume_ids=VOLUMES, recorded_volumes=held))
    assert fleet.preview(status(fleet, volume_ids=VOLUMES, recorded_volumes=held))["t-status"] == "same"


def test_where_the_state_could_not_be_read_a_warning_says_so(fleet: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """What was recorded here is guarded all the same."""
    for not_known in (NOT_KNOWN, None):
        fleet.preview(status(fleet, volume_ids=VOLUMES, recorded_volumes=not_known))
        assert "could not be found out" in capsys.readouterr().err
    fleet.preview(status(fleet, volume_ids=VOLUMES))
    assert "could not be found out" not in capsys.readouterr().err
    fleet.up(status(fleet, volume_ids=VOLUMES))
    with pytest.raises(CheckError, match="vol_3 of member 2"):
        fleet.preview(status(fleet, 2, volume_ids={"0": "vol_1", "1": "vol_2"}, recorded_volumes=NOT_KNOWN))


def test_the_preview_warns_where_a_running_member_goes_and_a_waiting_one_stays(
    fleet: Stack, slow: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """And names the `skip` that ends what waits."""
    fleet.up(status(fleet))
    slow.preempt(fleet.state["t-0"].id, notice_seconds=0)
    fleet.preview(status(fleet, 2))
    warned = capsys.readouterr().err
    assert "member 2, which runs, is ended, and member 0, which waits in the auction, stays: " in warned
    assert "skip=[0] ends what waits first" in warned
    slow.preempt(fleet.state["t-2"].id, notice_seconds=0)
    fleet.preview(status(fleet, 2))
    assert "which runs" not in capsys.readouterr().err


def test_a_shrink_is_judged_without_the_service_where_that_is_out_of_reach(
    fleet: Stack, slow: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """One warning; the volumes are guarded all the same."""
    fleet.up(status(fleet, volume_ids=VOLUMES))
    smaller = status(fleet, 2, volume_ids={"0": "vol_1", "1": "vol_2"})["t-status"]
    slow.faults.add(path="/v2/", kind="reset", when="before", times=None)
    with pytest.raises(CheckError, match="vol_3 of member 2"):
        fleet.preview({"t-status": smaller})
    assert "without the service" in capsys.readouterr().err


def test_an_unchanged_fleet_asks_nothing_in_its_check(fleet: Stack, slow: FakeMithril) -> None:
    """Only a shrink does."""
    fleet.up(status(fleet))
    slow.clear_requests()
    fleet.preview({"t-status": status(fleet)["t-status"]})
    assert not slow.requests


def test_the_row_tells_how_many_run(fleet: Stack, reports: Reports) -> None:
    """While it waits, and at its end."""
    fleet.up(status(fleet))
    assert "0 of 3 members run (members 0, 1, 2 starting), waiting for 3: 1st minute" in reports.rows
    assert reports.rows[-1] == "3 of 3 members run"
