"""Gone needs proof: what refresh and destroy do for each answer of the service, cell by cell.

Only a 404 or a Terminated bid (for a volume: absence from a complete listing) proves absence, and only from the service
and the project that the state records, with a key that sees them. With every other answer the operation fails, or the
resource exists.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.stack import FakeClock, Stack, VerbError, cluster, settings_of, volume

from flow_resources.providers import base
from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts(plugin="languages")

PROGRAM = {"volume": volume(), "cluster": cluster()}
Prepare = Callable[[FakeMithril, Stack, str], None]


def answer(**rule: Any) -> Prepare:
    """Answer every request like this."""
    return lambda cloud, _stack, _name: cloud.faults.add(times=None, **rule) and None


def unknown(_cloud: FakeMithril, stack: Stack, name: str) -> None:
    """Record an id for which the service answers 404 or lists no volume."""
    stack.state[name].id = f"{stack.state[name].id[:4]}999999"


def terminated(cloud: FakeMithril, stack: Stack, name: str) -> None:
    """Cancel the bid or delete the volume."""
    (cloud.terminate if name == "cluster" else cloud.delete_volume)(stack.state[name].id)


def hang(cloud: FakeMithril, _stack: Stack, _name: str) -> None:
    """Let every request hang for longer than the timeout of the client."""
    cloud.faults.add(kind="hang", times=None, seconds=30)


def cut_listing(cloud: FakeMithril, _stack: Stack, _name: str) -> None:
    """Let no listing reach its last page."""
    page = {"data": [], "next_cursor": "more"}
    cloud.faults.add(method="GET", path="/v2/(spot/bids|instances|volumes)$", status=200, body=page, times=None)


def preempted(cloud: FakeMithril, stack: Stack, name: str) -> None:
    """Preempt the bid."""
    cloud.preempt(stack.state[name].id)


def paused(cloud: FakeMithril, stack: Stack, name: str) -> None:
    """Pause it in the console."""
    cloud.update_bid(stack.state[name].id, paused=True)


def renamed(cloud: FakeMithril, stack: Stack, name: str) -> None:
    """Make the live name differ from the recorded one; a bid cannot be renamed in the service."""
    if name == "volume":
        cloud.update_volume(stack.state[name].id, name="another-name")
    else:
        stack.state[name].outputs["task_name"] = "another-name"


def other_account(cloud: FakeMithril, stack: Stack, _name: str) -> None:
    """Use key and project of another account."""
    cloud.add_project("theirs")
    cloud.add_key("their-key", ["theirs"])
    stack.config |= {"flow:apiKey": "their-key", "flow:project": "theirs"}


def other_account_same_setting(cloud: FakeMithril, stack: Stack, _name: str) -> None:
    """Change only the key."""
    cloud.add_project("theirs")
    cloud.add_key("their-key", ["theirs"])
    stack.config["flow:apiKey"] = "their-key"


def other_project(cloud: FakeMithril, stack: Stack, _name: str) -> None:
    """Use the second project of the account."""
    cloud.add_project("second", keys=[cloud.key])
    stack.config["flow:project"] = "second"


def other_url(_cloud: FakeMithril, stack: Stack, _name: str) -> None:
    """Point at another fake."""
    stack.config["flow:apiUrl"] = stack.config["other:apiUrl"]


def unknown_key(_cloud: FakeMithril, stack: Stack, _name: str) -> None:
    """Use a key that does not exist."""
    stack.config["flow:apiKey"] = "no-such-key"


def no_key(_cloud: FakeMithril, stack: Stack, _name: str) -> None:
    """Use no key."""
    del stack.config["flow:apiKey"]


# dropped: the refresh removes it from the state; kept: the refresh succeeds and keeps it; fails: in one line, and the
# state keeps it; ended: the destroy deletes it; absent: the destroy succeeds and sends nothing.
FAILS = ("fails", "fails", "fails", "fails")
TABLE: dict[str, tuple[Prepare, tuple[str | None, ...]]] = {
    # case: (prepare, (cluster: refresh, destroy, volume: refresh, destroy))
    "404": (unknown, ("dropped", "absent", "dropped", "absent")),
    "terminated": (terminated, ("dropped", "absent", "dropped", "absent")),
    "preempted": (preempted, ("kept", "ended", None, None)),
    "paused": (paused, ("kept", "ended", None, None)),
    "renamed": (renamed, ("kept", "fails", "kept", "fails")),
    # A destroy reads a single bid, not a listing.
    "cut listing": (cut_listing, ("fails", "ended", "fails", "fails")),
    "401": (answer(status=401), FAILS),
    "403": (answer(status=403), FAILS),
    "429": (answer(status=429), FAILS),
    "500": (answer(status=500), FAILS),
    "503": (answer(status=503), FAILS),
    "reset": (answer(kind="reset"), FAILS),
    "truncated": (answer(kind="truncate", method="GET"), FAILS),
    "malformed": (answer(kind="malformed", method="GET"), FAILS),
    "time-out": (hang, FAILS),
    "key of another account": (other_account, FAILS),
    "key of another account, the same setting": (other_account_same_setting, FAILS),
    "other project": (other_project, FAILS),
    "other API URL": (other_url, FAILS),
    "unknown key": (unknown_key, FAILS),
    "no key": (no_key, FAILS),
}
CELLS = [
    pytest.param(case, name, operation, outcomes[2 * row + column], id=f"{case}-{name}-{operation}")
    for case, (_, outcomes) in TABLE.items()
    for row, name in enumerate(("cluster", "volume"))
    for column, operation in enumerate(("refresh", "destroy"))
    if outcomes[2 * row + column]
]


@pytest.fixture
def elsewhere(stack: Stack) -> Iterator[FakeMithril]:
    """Another service, which knows the same key."""
    with FakeMithril() as other:
        stack.config["other:apiUrl"] = other.url
        yield other


def live(cloud: FakeMithril) -> list[str]:
    return [item["fid"] for item in [*cloud.live_bids, *cloud.volumes]]


@pytest.mark.parametrize(("case", "name", "operation", "outcome"), CELLS)
def test_gone_needs_proof(
    stack: Stack,
    cloud: FakeMithril,
    elsewhere: FakeMithril,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    name: str,
    operation: str,
    outcome: str,
) -> None:
    """Each resource alone, so that no failure of the other comes first."""
    stack.up({name: PROGRAM[name]})
    created = stack.state[name].id
    if case == "time-out":
        monkeypatch.setenv("FLOW_RESOURCES_HTTP_SECONDS", "0.1")
    prepare, _ = TABLE[case]
    prepare(cloud, stack, name)
    before, recorded = live(cloud), stack.state[name].id
    cloud.clear_requests()
    error_line = ""
    try:
        getattr(stack, operation)()
    except VerbError as error:
        error_line = str(error)
    assert bool(error_line) == (outcome == "fails"), error_line
    assert "\n" not in error_line
    assert "Traceback" not in error_line
    assert cloud.key not in error_line
    assert [saved.id for saved in stack.state.values()] == ([recorded] if outcome in ("kept", "fails") else [])
    assert live(cloud) == ([id_ for id_ in before if id_ != created] if outcome == "ended" else before)
    if outcome != "ended":
        assert not [request for request in cloud.mutations if request.effect]
    assert not elsewhere.mutations


@pytest.mark.parametrize("operation", ["refresh", "destroy"])
@pytest.mark.parametrize("name", PROGRAM)
@pytest.mark.parametrize("case", ["other API URL", "other project", "key of another account"])
def test_a_wrong_service_or_project_is_reported_with_the_recorded_one(
    stack: Stack, cloud: FakeMithril, elsewhere: FakeMithril, case: str, name: str, operation: str
) -> None:
    """What the state records, and what the settings point at."""
    stack.up({name: PROGRAM[name]})
    TABLE[case][0](cloud, stack, name)
    with pytest.raises(VerbError) as failed:
        getattr(stack, operation)()
    sides = (cloud.url, elsewhere.url) if case == "other API URL" else (cloud.project_id, stack.config["flow:project"])
    assert all(side in str(failed.value) for side in sides)


# -- what a delete sends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROGRAM)
def test_a_live_resource_is_deleted_and_nothing_else(stack: Stack, cloud: FakeMithril, name: str) -> None:
    """With one DELETE; foreign resources of the same kind are left."""
    foreign = [cloud.add_bid("cluster")["fid"], cloud.add_volume("volume")["fid"]]
    stack.up({name: PROGRAM[name]})
    cloud.clear_requests()
    stack.destroy()
    assert [request.method for request in cloud.mutations] == ["DELETE"]
    assert sorted(live(cloud)) == sorted(foreign)


@pytest.mark.parametrize("name", PROGRAM)
def test_a_delete_that_is_called_twice_succeeds_twice(stack: Stack, cloud: FakeMithril, name: str) -> None:
    """The engine may have lost the first answer."""
    stack.up({name: PROGRAM[name]})
    saved = dict(stack.state)
    stack.destroy()
    stack.state = saved
    cloud.clear_requests()
    stack.destroy()
    assert not cloud.mutations


@pytest.mark.parametrize("name", PROGRAM)
def test_a_404_after_an_error_counts_as_deleted(stack: Stack, cloud: FakeMithril, name: str) -> None:
    """The first DELETE had its effect and failed, the second one finds nothing."""
    stack.up({name: PROGRAM[name]})
    cloud.faults.add(method="DELETE", status=500, when="after")
    cloud.faults.add(method="DELETE", status=404, nth=2)
    stack.destroy()
    assert not stack.state
    assert not live(cloud)
    assert [request.status for request in cloud.mutations if request.method == "DELETE"] == [500, 404]


def test_a_delete_that_was_accepted_without_effect_is_retried(cloud: FakeMithril, clock: FakeClock) -> None:
    """An answer is no proof: a volume that is still listed is deleted again."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"volume": volume()})
    cloud.faults.add(method="DELETE", path="/v2/volumes/", status=204, body="", when="before")
    stack.destroy()
    assert not cloud.volumes
    assert not stack.state


@pytest.mark.parametrize("name", PROGRAM)
def test_a_foreign_resource_with_a_recorded_id_is_not_deleted(stack: Stack, cloud: FakeMithril, name: str) -> None:
    """Its name is not the recorded one."""
    stack.up({name: PROGRAM[name]})
    foreign = cloud.add_bid("their-bid") if name == "cluster" else cloud.add_volume("their-data")
    stack.state[name].id = foreign["fid"]
    cloud.clear_requests()
    with pytest.raises(VerbError, match=foreign["name"]):
        stack.destroy()
    assert not cloud.mutations
    assert foreign["fid"] in live(cloud)


@pytest.mark.parametrize("status", [400, 409, 422])
def test_the_delete_of_an_attached_volume_waits_for_its_bid(
    clean_environment: None, clock: FakeClock, status: Any
) -> None:
    """Whatever the status of the refusal is, and also while a cancelled bid is still attached."""
    from flow_resources.testing import Clock

    time = Clock(speed=0)
    with FakeMithril(clock=time, cancel_seconds=2.0, detach_seconds=3.0, attached_volume_status=status) as cloud:
        clock.on_sleep = lambda: time.advance(clock.slept[-1])
        stack = Stack(settings_of(cloud), clock=clock)
        stack.up({"volume": volume()})
        mounts = [{"volume_id": stack.state["volume"].id, "mount_path": "/data"}]
        stack.up({"volume": volume(), "cluster": cluster(volumes=mounts)})
        stack.destroy()
        assert not live(cloud)
        assert sum(clock.slept) >= 5
        base.current().close()


@pytest.mark.parametrize("name", PROGRAM)
@pytest.mark.parametrize("prepare", [other_url, other_project, other_account])
def test_a_preview_at_another_service_or_project_fails(
    stack: Stack, cloud: FakeMithril, elsewhere: FakeMithril, name: str, prepare: Prepare
) -> None:
    """New resources would be created there, next to the recorded ones here."""
    stack.up({name: PROGRAM[name]})
    before = live(cloud)
    prepare(cloud, stack, name)
    for operation in (stack.preview, stack.up):
        with pytest.raises(VerbError, match=r"the state records .* but the settings point at .*; nothing was touched"):
            operation({name: PROGRAM[name]})
    assert (live(cloud), live(elsewhere)) == (before, [])


def test_a_preview_without_answers_of_the_service_succeeds(stack: Stack, cloud: FakeMithril) -> None:
    """It sends no request to identify the service."""
    stack.up(PROGRAM)
    cloud.faults.add(kind="reset", when="before", times=None)
    assert set(stack.preview(PROGRAM).values()) == {"same"}


# -- a 404 for what is live --------------------------------------------------------------------------------------------

ONE_404: dict[str, Any] = {"path": "/v2/spot/bids/bid_[^/]*$", "status": 404, "body": {"detail": "Bid not found"}}


def requests(cloud: FakeMithril) -> list[str]:
    """Return the requests since the last `clear_requests`, without the ids."""
    return [re.sub("/(bid|vol)_[^/]*", "/ID", f"{request.method} {request.path}") for request in cloud.requests]


@pytest.mark.parametrize("times", [1, 2, 3, None])
@pytest.mark.parametrize("method", ["GET", "DELETE", None])
def test_a_live_bid_for_which_the_service_answers_404_is_ended(
    cloud: FakeMithril, clock: FakeClock, method: str | None, times: int | None
) -> None:
    """The listing shows it. Where every DELETE answers 404, the destroy fails and the state keeps it."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"cluster": cluster(timeout=120.0)})
    clock.sleep(120)  # what was read for the create is old
    cloud.faults.add(**ONE_404, method=method, times=times)
    if times is None and method != "GET":
        with pytest.raises(VerbError, match="is not ended yet"):
            stack.destroy()
        assert stack.state
        cloud.faults.clear()
        return
    stack.destroy()
    assert not cloud.live_bids
    assert not stack.state


def test_a_bid_that_no_listing_shows_is_ended_all_the_same(stack: Stack, cloud: FakeMithril) -> None:
    """Both answers may be wrong: a DELETE is sent unless the bid was seen ended."""
    stack.up({"cluster": cluster()})
    cloud.faults.add(**ONE_404, method="GET")
    cloud.faults.add(method="GET", path="/v2/spot/bids$", status=200, body={"data": []}, times=5)
    stack.destroy()
    assert not cloud.live_bids


def test_the_delete_of_what_is_gone_costs_one_listing_for_all(stack: Stack, cloud: FakeMithril) -> None:
    """Beside a GET and a DELETE for each bid."""
    stack.up({f"c{number}": cluster() for number in range(5)})
    for saved in stack.state.values():
        saved.id = f"bid_99999{saved.id[-1]}"
    cloud.clear_requests()
    stack.destroy()
    assert Counter(requests(cloud)) == {
        "GET /v2/projects": 1,
        "GET /v2/spot/bids": 5,  # one status that a destroy always asks for, and all four
        "GET /v2/spot/bids/ID": 5,
        "DELETE /v2/spot/bids/ID": 5,
    }


@pytest.mark.parametrize(("operation", "listings"), [("refresh", 4), ("up", 2)])
def test_a_404_for_a_bid_that_moved_while_it_was_listed_is_no_proof(
    stack: Stack, cloud: FakeMithril, operation: str, listings: int
) -> None:
    """It lost its machines after the open bids were listed and before the allocated ones were."""
    stack.up({"cluster": cluster()})
    cloud.faults.add(method="GET", path="/v2/spot/bids$", status=200, body={"data": []}, times=listings)
    cloud.faults.add(**ONE_404)
    if operation == "refresh":
        stack.refresh()
    else:
        stack.up({"cluster": cluster(max_price_per_hour=51.0)})
    assert [saved.id for saved in stack.state.values()] == [bid["fid"] for bid in cloud.live_bids]
    assert len(cloud.bids) == 1


@pytest.mark.parametrize("status", ["Paused", "Preempting"])
def test_a_404_for_a_bid_that_is_neither_open_nor_allocated_is_no_proof(
    stack: Stack, cloud: FakeMithril, status: str
) -> None:
    """An update looks among those two first."""
    stack.up({"cluster": cluster()})
    if status == "Paused":
        cloud.update_bid(stack.state["cluster"].id, paused=True)
        program = {"cluster": cluster(max_price_per_hour=51.0, paused=True)}
    else:
        cloud.set_options(preemption_notice_seconds=300.0)
        cloud.preempt(stack.state["cluster"].id)
        program = {"cluster": cluster(max_price_per_hour=51.0, wait_for="placed")}
    cloud.faults.add(**ONE_404, method="GET")
    stack.up(program)
    assert [bid["limit_price"] for bid in cloud.live_bids] == ["$51.00"]


def test_a_volume_that_a_listing_lacks_is_deleted_all_the_same(stack: Stack, cloud: FakeMithril) -> None:
    """No listing says that it was deleted."""
    stack.up({"volume": volume()})
    cloud.faults.add(method="GET", path="/v2/volumes$", status=200, body=[], times=2)
    stack.destroy()
    assert not cloud.volumes


def test_a_volume_that_one_listing_lacks_stays_in_the_state(stack: Stack, cloud: FakeMithril) -> None:
    """A second one has it."""
    stack.up({"volume": volume()})
    cloud.faults.add(method="GET", path="/v2/volumes$", status=200, body=[])
    stack.refresh()
    assert [saved.id for saved in stack.state.values()] == [one["fid"] for one in cloud.volumes]


def test_the_delete_of_a_volume_that_is_gone_is_cheap(stack: Stack, cloud: FakeMithril) -> None:
    """Two listings where the second says that it was deleted; one DELETE more where nothing is known of it."""
    stack.up({"volume": volume()})
    cloud.delete_volume(stack.state["volume"].id)
    saved = dict(stack.state)
    cloud.clear_requests()
    stack.destroy()
    assert requests(cloud) == ["GET /v2/projects", "GET /v2/volumes", "GET /v2/volumes"]
    stack.state = saved
    stack.state["volume"].id = "vol_999999"
    cloud.clear_requests()
    stack.destroy()
    assert requests(cloud) == ["GET /v2/projects", "GET /v2/volumes", "GET /v2/volumes", "DELETE /v2/volumes/ID"]


@pytest.mark.parametrize("name", ["volume", "cluster"])
@pytest.mark.parametrize("said", [None, 5])
def test_what_has_no_name_now_is_not_deleted_and_not_to_be_forgotten(
    stack: Stack, cloud: FakeMithril, name: str, said: Any
) -> None:
    """It is compared with the recorded one; that the next answer has it is likelier than a stranger."""
    stack.up({name: PROGRAM[name]})
    cloud.faults.add(method="GET", path="/v2/(spot/bids|volumes)", kind="alter", body={"name": said}, times=None)
    with pytest.raises(VerbError, match=r"the service does not say the name of the .*: run the same command again$"):
        stack.destroy()
    assert list(stack.state) == [name]
    assert len([*cloud.live_bids, *cloud.volumes]) == 1
    cloud.faults.clear()
    stack.destroy()


@pytest.mark.parametrize(
    "odd", [{"instance_quantity": "one"}, {"launch_specification": "?"}, {"instances": 1}], ids=str
)
def test_what_an_odd_answer_is_about_is_recorded(stack: Stack, cloud: FakeMithril, odd: dict[str, Any]) -> None:
    """The bid exists: its id is in the state, whatever else the service says of it."""
    cloud.faults.add(path="/v2/spot/bids", kind="alter", body=odd, times=None)
    stack.up({"cluster": cluster(wait_for="placed")})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["cluster"].id]


def test_a_list_of_instances_that_is_missing_loses_no_addresses(stack: Stack, cloud: FakeMithril) -> None:
    """The listing of the instances says of which bid each is."""
    stack.up({"cluster": cluster()})
    before = dict(stack.state["cluster"].outputs)
    cloud.faults.add(path="/v2/spot/bids", kind="alter", body={"instances": None}, times=None)
    stack.refresh()
    assert stack.state["cluster"].outputs == before
