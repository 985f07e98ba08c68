"""What is an orphan, whose it is, and what `sweep` prints about it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from flow_resources.cli.cluster import CLUSTERS
from flow_resources.cli.kinds import HOLDERS_FIRST
from flow_resources.cli.sweep_report import Found, Report, format_age, table
from flow_resources.core.models import Bid, StoredVolume
from flow_resources.core.moments import age_of
from flow_resources.core.naming import Mark, compose
from flow_resources.core.orphans import OTHER_OWNER, Owners, find_marked, find_orphans
from flow_resources.core.stack_state import StackState, read_state

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=timezone.utc)
STACK, OWNER, URN = "acme/training/dev", "ada", "urn:pulumi:dev::training::flow:GpuCluster::trainer"
QUARTER = timedelta(minutes=15)


def name(owner=OWNER, urn=URN):
    return compose("trainer", Mark.of(owner, urn), "9c01d2", 1)


def bid(id_="bid_1", called=None, hours=1.0, price="50.00", quantity=4):
    born = (NOW - timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
    cents = None if price is None else Decimal(price)
    return Bid(id_, called or name(), "proj_1", "Allocated", cents, quantity, "it_1", "r", (), (), born)


def stored(id_="vol_1", called=None, bids=()):
    return StoredVolume(id_, called or name(), "proj_1", 100, "file", "r", bids, "2026-01-02T11:00:00Z", deleted=False)


def orphans(*live, own=StackState(), others=(), owner=OWNER):  # noqa: B008 - frozen
    return find_orphans(live, Owners.of(owner, STACK, own), own, others, NOW, QUARTER)


def ids(orphans):
    return [orphan.thing.id for orphan in orphans]


def notes(orphans):
    return [(orphan.thing.id, orphan.note) for orphan in orphans]


def found(*by_kind):
    """Bids, then volumes."""
    return Found(dict(zip(HOLDERS_FIRST, by_kind, strict=False)))


def resource(**more):
    return {"urn": URN, "type": "t", **more}


def state(*resources, pending=()):
    return {"version": 3, "deployment": {"resources": list(resources), "pending_operations": list(pending)}}


# -- judging -----------------------------------------------------------------------------------------------------------


def test_a_live_bid_with_the_mark_in_no_state_is_an_orphan():
    """Whatever its resource is called, also one whose URN nobody knows any more."""
    assert notes(orphans(bid("bid_1"), bid("bid_2", name(urn="another")))) == [("bid_1", ""), ("bid_2", "")]


@pytest.mark.parametrize("called", ["trainer", name("bob"), f"{name()}-x", "3f9a1c5d08b67be02d4d-9c01d2-1", ""])
def test_what_does_not_carry_the_owners_mark_is_none(called):
    """No mark, a stranger's, or a name that only looks like one."""
    assert orphans(bid(called=called or "x")) == []


def test_what_the_state_has_is_none_whatever_the_resource_waits_for():
    """A recorded bid, one that is pending delete, one behind an output only, a volume."""
    own = read_state(
        state(
            resource(id="bid_1"),
            resource(id="bid_2", delete=True),
            resource(outputs={"task_id": "bid_3"}),
            resource(id="vol_1"),
            pending=[{"type": "deleting", "resource": resource(id="bid_4")}],
        )
    )
    assert ids(orphans(*(bid(f"bid_{n}") for n in range(1, 6)), own=own)) == ["bid_5"]
    assert orphans(stored(), own=own) == []


def test_what_another_stack_records_is_none():
    """Stacks with one `flow:owner` share its mark, and a renamed stack leaves its own to the next of that name."""
    assert orphans(bid(), others=[StackState(), StackState(ids=frozenset({"bid_1"}))]) == []


def test_what_another_stack_is_making_is_none_and_what_this_one_was_making_is():
    """An `up` elsewhere has not recorded its bid yet; this stack's died."""
    making = read_state(state(pending=[{"type": "creating", "resource": resource()}]))
    assert orphans(bid(), others=[making]) == []
    assert ids(orphans(bid(), own=making)) == ["bid_1"]
    updating = read_state(state(pending=[{"type": "updating", "resource": resource(id="bid_9")}]))
    assert ids(orphans(bid(), others=[updating])) == ["bid_1"]


def test_a_young_one_is_noted():
    """Younger than asked for; one whose age nobody can read counts as young."""
    young, ripe, odd = bid(hours=0.2), bid("bid_2", hours=0.25), Bid(**{**vars(bid("bid_3")), "created_at": "noon"})
    assert dict(notes(orphans(young, ripe, odd))) == {
        "bid_1": "too young", "bid_2": "", "bid_3": "its age is not known"
    }  # fmt: skip


def test_what_was_made_under_an_earlier_owner_is_listed_and_noted():
    """The stack's name before `flow:owner` was set, and what the state's own marks say; nobody else's."""
    own = StackState(created_at={str(Mark.of("before the rename", URN)): (None,)})
    earlier = orphans(
        bid("bid_1", name(STACK)), bid("bid_2", name("before the rename")), bid("bid_3", name("bob")), own=own
    )
    assert notes(earlier) == [("bid_1", OTHER_OWNER), ("bid_2", OTHER_OWNER)]
    assert orphans(bid(called=name(STACK)), owner=STACK)[0].note == ""


def test_all_marks_are_listed_with_the_stack_that_records_them():
    """Whoever's; a name without a mark is not."""
    states = {STACK: StackState(ids=frozenset({"bid_1"})), "acme/x/y": StackState(making=frozenset({"urn"}))}
    marked = find_marked(
        [bid(), bid("bid_2", name("bob", "urn")), bid("bid_3", name("c")), bid("bid_4", "by-hand")], states, NOW
    )
    assert notes(marked) == [
        ("bid_1", f"recorded by {STACK}"), ("bid_2", "recorded by acme/x/y"), ("bid_3", "")
    ]  # fmt: skip


def test_orphans_are_listed_oldest_first():
    """Whatever the service's order."""
    assert ids(orphans(bid("bid_1", hours=1), bid("bid_2", hours=30), bid("bid_3", hours=2))) == [
        "bid_2",
        "bid_3",
        "bid_1",
    ]


# -- what is printed ---------------------------------------------------------------------------------------------------


def report(found, **more):
    options = {"statuses": {"bid_1": "running", "bid_2": "pending"}, "stack": STACK, "project": "demo", "owner": OWNER}
    options |= {"service": "http://fake"}
    return Report(found, **{"owner_is_shared": False, **options, **more})


def test_the_tables_say_what_it_costs_and_what_to_do():
    """Bids with their greatest cost, volumes with what holds them, a sum, and the commands."""
    bids = orphans(bid(hours=51), bid("bid_2", hours=0.1, price="1000.00"))
    assert list(report(found(bids, orphans(stored(bids=("bid_1",))))).lines()) == [
        "BID    NAME                                   MACHINES  MAX USD/H    AGE  STATUS   NOTE",
        f"bid_1  {name()}         4     200.00  2d 3h  running",
        f"bid_2  {name()}         4   4,000.00     6m  pending  too young",
        "",
        "VOLUME  NAME                                    GB    AGE  ATTACHED TO",
        f"vol_1   {name()}  100  1h 0m  bid_1",
        "",
        f"In project demo with the mark of {STACK} and in no state: 2 bids and 1 volume, at most $4,200.00/h.",
        "What is too young --yes leaves alone, since an `up` may be making it: wait, or add `--min-age 0`.",
        "`flow-resources sweep --yes` ends the bids.",
        "`flow-resources sweep --yes --volumes` also deletes the volumes, with the data on them.",
    ]


def test_what_yes_would_leave_alone_is_not_offered():
    """Too young, another owner's, or everybody's."""
    young, earlier = orphans(bid(hours=0.1)), orphans(bid(called=name(STACK)))
    assert not [line for line in report(found(young)).lines() if "--yes` ends" in line]
    assert list(report(found(earlier)).lines())[-1].startswith("What was made under another owner --yes leaves alone")
    shared_owner = report(found(orphans(bid())), owner_is_shared=True, owner="organization/p/dev")
    assert list(shared_owner.lines())[-1].startswith("Their owner, 'organization/p/dev', can be another person's too")


def test_an_unfinished_up_is_mentioned():
    """What it makes is in no state yet."""
    assert any(
        "An `up` of the stack is under way, or died" in line
        for line in report(found(orphans(bid())), is_unfinished=True).lines()
    )
    assert not any("under way" in line for line in report(found(orphans(bid()))).lines())


def test_what_is_being_ended_is_not_advised():
    """Who typed --yes reads what is done; what --yes leaves alone is still said, once."""
    whole, young = found(orphans(bid()), orphans(stored())), found(orphans(bid(hours=0.1)))
    assert not [line for line in report(whole, yes=True).lines() if "`flow-resources" in line]
    assert not [line for line in report(whole, yes=True, owner_is_shared=True).lines() if "flow cancel" in line]
    assert list(report(young, yes=True).lines())[-1].endswith("wait, or add `--min-age 0`.")


def test_where_an_up_died_the_next_one_takes_over():
    """That needs no decision, also where nobody can tell whose it is."""
    lines = list(report(found(orphans(bid())), is_unfinished=True, owner_is_shared=True).lines())
    assert "Where it died, `pulumi cancel` and `pulumi up` take it over." in lines


def test_nothing_found_is_one_line():
    """For the stack, and for everyone."""
    assert list(report(Found()).lines()) == [
        f"Nothing is left over: every live bid and volume of {STACK} in project demo at http://fake is in a state."
    ]
    assert list(report(Found(), everyone=True).lines()) == [
        "Nothing that carries a mark is live in project demo at http://fake."
    ]


def test_the_document_says_the_same_in_json():
    """Numbers as numbers; what is not known is null."""
    bids = orphans(bid(), bid("bid_2", hours=0.1, price=None))
    swept = report(found(bids, orphans(stored(bids=("bid_1",)))))
    swept.outcomes["bid_1"] = "ended"
    document = json.loads(swept.document())
    assert document["bids"][0] == {
        "id": "bid_1", "name": name(), "machines": 4, "max_usd_per_hour": 200.0, "status": "running",
        "created_at": "2026-01-02T11:00:00Z", "age_seconds": 3600, "note": None, "outcome": "ended",
    }  # fmt: skip
    assert document["bids"][1]["max_usd_per_hour"] is None
    assert document["bids"][1]["note"] == "too young"
    assert document["volumes"][0]["attached_to"] == ["bid_1"]
    assert {key: document[key] for key in document if key not in ("bids", "volumes")} == {
        "api_keys": [], "ssh_keys": [],
        "version": 1, "stack": STACK, "owner": OWNER, "owner_is_shared": False, "service": "http://fake",
        "project": "demo", "max_usd_per_hour": 200.0,
    }  # fmt: skip


def test_cost_is_price_times_machines():
    """In whole cents; unknown where the service's price cannot be read."""
    assert CLUSTERS.max_cost(bid(price="12.34", quantity=3)) == Decimal("37.02")
    assert CLUSTERS.max_cost(bid(price=None)) is None
    assert found(orphans(bid(price="0.10", quantity=3), bid("bid_2", price=None))).cost == Decimal("0.30")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h 0m"),
        (86399, "23h 59m"),
        (97200, "1d 3h"),
        (-5, "0s"),
    ],
)
def test_an_age_is_printed_in_its_greatest_units(seconds, text):
    """A clock that is behind the service's makes nothing negative."""
    assert format_age(timedelta(seconds=seconds)) == text


def test_an_age_is_read_with_and_without_a_zone():
    """UTC where none is said; what is no time has no age."""
    hour = timedelta(hours=1)
    assert age_of("2026-01-02T11:00:00Z", NOW) == age_of("2026-01-02T11:00:00", NOW) == hour
    assert age_of("2026-01-02T13:00:00+02:00", NOW) == hour
    assert age_of("noon", NOW) is None
    assert format_age(None) == "?"


def test_a_table_without_rows_is_none():
    """And one without notes has no such column."""
    assert table(["ID", "NOTE"], []) == []
    assert table(["ID", "NOTE"], [["a", ""]]) == ["ID", "a"]
