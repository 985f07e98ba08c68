"""A preview names what an `up` would end or take over, and what would stop it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from support.crashes import crash_after_create, live
from support.stack import CheckError, Declared, Reports, Stack, cluster, volume

from flow_resources.core.inputs import UNKNOWN
from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts(plugin="languages")

Printed = Callable[[], str]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """What was warned of since the last call."""
    return lambda: capsys.readouterr().err


def let_go(stack: Stack, declared: Declared) -> str:
    """Make it and forget it, as `retain_on_delete` does; return its id."""
    stack.up({"it": declared})
    return stack.state.pop("it").id


def test_a_retained_cluster_that_an_up_would_end_is_named(stack: Stack, cloud: FakeMithril, printed: Printed) -> None:
    """The same name again with another specification, within the hour: the preview says what the `up` then does."""
    retained = let_go(stack, cluster(num_instances=2))
    printed()
    stack.preview({"it": cluster(num_instances=3)})
    warned = printed()
    assert "an `up` ends it-" in warned
    assert f"({retained}, up to $100.00/h) first" in warned
    assert live(cloud) == [retained]
    stack.up({"it": cluster(num_instances=3)})
    assert live(cloud) == [stack.state["it"].id] != [retained]


@pytest.mark.parametrize("declared", [cluster(), volume()], ids=["cluster", "volume"])
def test_what_an_up_would_take_over_is_named(
    stack: Stack, cloud: FakeMithril, reports: Reports, declared: Declared
) -> None:
    """The same specification; nothing is ended."""
    orphan = let_go(stack, declared)
    reports.kept.clear()
    stack.preview({"it": declared})
    (said,) = reports.kept
    assert said.startswith("an `up` takes over it-")
    assert f"({orphan}, " in said
    stack.up({"it": declared})
    assert live(cloud) == [stack.state["it"].id] == [orphan]


def test_what_an_up_would_refuse_because_of_is_named(
    stack: Stack, cloud: FakeMithril, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is too old to be ended by itself."""
    retained = let_go(stack, cluster())
    monkeypatch.setattr("flow_resources.core.takeover.CANCEL_WITHIN", timedelta(seconds=-1))
    printed()
    stack.preview({"it": cluster(num_instances=2)})
    assert f"an `up` stops here: the bid {retained} " in printed()


def test_with_inputs_that_are_not_known_yet_it_is_named_all_the_same(stack: Stack, printed: Printed) -> None:
    """Whether it is taken over or ended depends on them."""
    retained = let_go(stack, cluster())
    printed()
    stack.preview({"it": cluster(command=UNKNOWN)})
    warned = printed()
    assert f"({retained}, up to $50.00/h) carries this resource's mark" in warned
    assert "depends on inputs that are not known yet" in warned


@pytest.mark.parametrize(("command", "words"), [("2", "an `up` takes over it-"), ("3", "an `up` ends it-")])
def test_what_an_interrupted_replacement_left_is_named(
    stack: Stack, cloud: FakeMithril, printed: Printed, reports: Reports, command: str, words: str
) -> None:
    """It has ended the old one, which the state still records; the engine then checks twice."""
    stack.up({"it": cluster()})
    orphan = crash_after_create(stack, cloud, {"it": cluster(command="2")})
    reports.kept.clear()
    printed()
    declared = cluster(command=command)
    stack.operation()
    stack.check("it", declared, stack.state["it"])
    stack.check("it", declared, None)
    said = [*printed().splitlines(), *reports.kept]
    assert [line for line in said if words in line and f"({orphan}, " in line]
    stack.up({"it": declared})
    assert live(cloud) == [stack.state["it"].id]
    assert (stack.state["it"].id == orphan) is (command == "2")


def test_a_replacement_tells_nothing_of_what_the_state_records(
    stack: Stack, printed: Printed, reports: Reports
) -> None:
    """The row says it."""
    stack.up({"it": cluster()})
    reports.kept.clear()
    printed()
    assert stack.preview({"it": cluster(command="echo 2")}) == {"it": "replace"}
    assert printed().splitlines() == [
        "warning: replaced because of command: what is on the machines' own disks is lost"
    ]
    assert not reports.kept


@pytest.mark.dynamic_host
def test_no_state_is_read_where_nothing_carries_the_mark(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export takes a second."""
    stack.up({"other": cluster()})
    monkeypatch.setattr(stack, "export", None)  # reading it would fail
    monkeypatch.setattr(stack, "other_states", None)
    stack.preview({"other": cluster(), "it": cluster(), "data": volume()})


def test_an_adoption_is_no_take_over(stack: Stack, cloud: FakeMithril, printed: Printed, reports: Reports) -> None:
    """The program names it."""
    orphan = let_go(stack, cluster(max_price_per_hour=30.0))
    reports.kept.clear()
    printed()
    stack.preview({"it": cluster(max_price_per_hour=30.0, adopt_task_id=orphan)})
    assert not reports.kept
    assert not printed()


# -- quotas ----------------------------------------------------------------------------------------------------------


def test_more_machines_than_the_quota_fail_at_preview(stack: Stack, cloud: FakeMithril) -> None:
    """Each cluster counts, and those that others have."""
    cloud.add_bid("somebody-elses", instance_quantity=3)
    cloud.set_quota("8xa100", 8)
    stack.preview({"a": cluster(num_instances=3), "b": cluster(num_instances=2)})
    cloud.clear_requests()
    with pytest.raises(CheckError) as failed:
        stack.preview({"a": cluster(num_instances=3), "b": cluster(num_instances=3)})
    assert failed.value.failures == {
        "num_instances": "num_instances exceeds the project's quota of 8 instances of 8xa100: 3 are in use, and this "
        "operation needs 6 more, got 3: lower it, release something, or ask the service for a higher quota"
    }
    assert [request.path for request in cloud.requests].count("/v2/quotas") == 1


@pytest.mark.parametrize("forced", [False, True])
def test_what_a_replacement_gives_back_does_not_count(stack: Stack, cloud: FakeMithril, forced: bool) -> None:
    """It ends the old machines first; what it needs beyond them is refused before they are ended."""
    program = {"it": cluster(num_instances=2, command="echo 1")}
    stack.up(program)
    cloud.set_quota("8xa100", 2)
    changed = program if forced else {"it": cluster(num_instances=2, command="echo 2")}
    stack.up(changed, force={"it"} if forced else None)
    before = live(cloud)
    with pytest.raises(CheckError, match="exceeds the project's quota of 2"):
        stack.up({"it": cluster(num_instances=3)}, force={"it"} if forced else None)
    assert live(cloud) == before


def test_what_gives_back_a_type_that_is_not_said_is_a_warning(
    stack: Stack, cloud: FakeMithril, printed: Printed
) -> None:
    """It can be all that is needed; the service still refuses what is too much."""
    stack.up({"it": cluster(num_instances=2)})
    cloud.set_quota("8xa100", 2)
    cloud.faults.add(method="GET", path="/v2/spot/bids", kind="alter", body={"instance_type": None}, times=None)
    stack.up({"it": cluster(num_instances=2, command="echo 2")})
    assert "unless what it gives back is enough, which could not be found out" in printed()


def test_what_is_taken_over_needs_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """It is in use already."""
    orphan = let_go(stack, cluster())
    cloud.set_quota("8xa100", 1)
    stack.up({"it": cluster()})
    assert stack.state["it"].id == orphan


def test_more_storage_than_the_quota_fails_at_preview(stack: Stack, cloud: FakeMithril) -> None:
    """Gigabytes."""
    cloud.set_quota("storage", 150)
    with pytest.raises(CheckError, match="size_gb exceeds the project's quota of 150 GB of storage: 0 are in use"):
        stack.preview({"a": volume(), "b": volume()})
    stack.preview({"a": volume()})


UNREADABLE = {
    "an error": {"status": 500},
    "nothing": {"body": {}},
    "no rows": {"body": ["quota"]},
    "not said": {"body": [{"instance_type": "IT", "product_type": "Spot", "total_quantity": None, "used_quantity": 0}]},
}


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE)
def test_quotas_that_cannot_be_read_are_one_warning(
    stack: Stack, cloud: FakeMithril, printed: Printed, answer: dict[str, Any]
) -> None:
    """The service still refuses what is too much."""
    stack.up({"a": cluster()})
    type_ = cloud.live_bids[0]["instance_type"]
    fault = json.loads(json.dumps(answer).replace('"IT"', json.dumps(type_)))
    cloud.faults.add(**{"path": "/v2/quotas", "status": 200, "times": None, **fault})
    stack.up({name: cluster() for name in "abc"})
    assert printed().count("the quotas are not checked") == 1
    assert len(cloud.live_bids) == 3


def test_what_stands_unchanged_asks_for_no_quota(stack: Stack, cloud: FakeMithril) -> None:
    """Nor does a new price."""
    stack.up({"a": cluster()})
    cloud.clear_requests()
    stack.preview({"a": cluster(max_price_per_hour=60.0)})
    assert not [request for request in cloud.requests if request.path == "/v2/quotas"]
