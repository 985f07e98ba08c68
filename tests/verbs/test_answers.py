"""2xx answers that are no answer, at every creating call: a lost answer, after which exactly one is live.

The table is generated: each answer, for each kind of thing, on a service that knows the Idempotency-Key and on one that
ignores it, with listings that lag by more and less than is waited for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.stack import Declared, FakeClock, Reports, Stack, VerbError, cluster, settings_of, volume

from flow_resources.providers import base
from flow_resources.testing import Clock, FakeMithril

PATHS = {"bid": r"/v2/spot/bids$", "volume": r"/v2/volumes$", "named volume": r"/v2/volumes$"}
DECLARED: dict[str, Declared] = {
    "bid": cluster(),
    "volume": volume(),
    "named volume": volume(volume_name="corpus"),
}
ANSWERS: dict[str, dict[str, Any]] = {
    "empty object": {"status": 200, "body": {}},
    "empty list": {"status": 200, "body": []},
    "null": {"status": 200, "body": "null"},
    "no content": {"status": 204, "body": ""},
    "text": {"status": 200, "body": '"created"'},
    "another shape": {"status": 201, "body": {"data": {"fid": "x_000001", "name": "x"}}},
    "null for an id": {"kind": "alter", "body": {"fid": None}},
    "an unknown id": {"kind": "alter", "body": {"fid": "x_999999"}},
    "an unknown id and name": {"kind": "alter", "body": {"fid": "x_999999", "name": "theirs"}},
    "another's id": {"kind": "alter", "body": {"fid": "THEIRS"}},
    "another's row": {"kind": "alter", "body": {"fid": "THEIRS", "name": "theirs"}},
    "another name": {"kind": "alter", "body": {"name": "theirs"}},
    "nulls": {"kind": "alter", "body": {"name": None, "region": None, "project": None}},
}
LAGS = (0.0, 3.0, 8.0)
KEYS = ("dedupe", "ignore")
CELLS = [
    pytest.param(kind, answer, when, key, lag, id=f"{kind}-{answer}-{when}-{key}-{lag:g} s")
    for kind, answer, when, key, lag in itertools.product(DECLARED, ANSWERS, ("after", "before"), KEYS, LAGS)
    if when == "after" or "kind" not in ANSWERS[answer]
]


class World:
    """A fake whose clock goes on when the plugin sleeps, and a stack on it."""

    def __init__(self, **options: Any) -> None:
        self.time = Clock(speed=0)
        self.cloud = FakeMithril(clock=self.time, **options).start()
        self.clock = FakeClock()
        self.clock.on_sleep = lambda: self.time.advance(self.clock.slept[-1])
        self.stack = Stack(settings_of(self.cloud), clock=self.clock)
        self.theirs = {
            "bid": self.cloud.add_bid("theirs")["fid"],
            "volume": self.cloud.add_volume("theirs")["fid"],
        }
        self.pass_time(60)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, here and there."""
        self.clock.time += seconds
        self.time.advance(seconds)

    def live(self, kind: str) -> list[str]:
        """Return the ids of what is live of a kind, without the stranger's."""
        rows = self.cloud.live_bids if kind == "bid" else self.cloud.volumes
        return [row["fid"] for row in rows if row["fid"] not in self.theirs.values()]

    def up(self, kind: str) -> str:
        """Run an `up` of one thing; return the line that it fails with."""
        try:
            self.stack.up({"thing": DECLARED[kind]})
        except VerbError as error:
            return str(error)
        return ""


@pytest.fixture
def worlds(clean_environment: None) -> Iterator[list[World]]:
    """The worlds of a test, which end with it."""
    made: list[World] = []
    yield made
    base.current().close()
    for world in made:
        world.cloud.close()


@pytest.mark.parametrize(("kind", "answer", "when", "key", "lag"), CELLS)
def test_an_answer_that_is_none_leaves_exactly_one(
    worlds: list[World], kind: str, answer: str, when: str, key: str, lag: float
) -> None:
    """The `up` finds it; or says what may exist, and the next one finds it. Nobody else's is touched."""
    world = World(idempotency=key, list_lag_seconds=lag)
    worlds.append(world)
    rule = dict(ANSWERS[answer])
    if isinstance(rule["body"], dict) and rule["body"].get("fid") == "THEIRS":
        rule["body"] = {**rule["body"], "fid": world.theirs[kind.removeprefix("named ")]}
    fault = world.cloud.faults.add(method="POST", path=PATHS[kind], when=when, **rule)
    error = world.up(kind)
    assert fault.fired == 1
    assert "Error:" not in error
    assert not error or "may exist" in error or "has a volume" in error, error
    if error:
        world.pass_time(60)
        error = world.up(kind)
    assert len(world.live(kind)) == 1
    assert not error or "adopt_volume_id" in error, error
    assert error or [saved.id for saved in world.stack.state.values()] == world.live(kind)
    assert not [
        one for one in world.cloud.mutations if one.effect and any(id_ in one.path for id_ in world.theirs.values())
    ]


# The service refuses to launch with a key that it does not have, and the SDK asks it which ones it has.
KEY_ANSWERS = {name: rule for name, rule in ANSWERS.items() if name not in ("nulls", "an unknown id", "another's id")}


@pytest.mark.parametrize("answer", [*KEY_ANSWERS, "no private half"])
def test_an_answer_that_is_no_ssh_key_rents_nothing_and_the_next_up_one(worlds: list[World], answer: str) -> None:
    """Its private half is told once, so another key is made."""
    world = World()
    worlds.append(world)
    rule = ANSWERS.get(answer, {"kind": "alter", "body": {"private_key": None}})
    world.cloud.faults.add(method="POST", path="/v2/ssh-keys$", when="after", **rule)
    error = world.up("bid")
    assert "no readable answer to the request for the SSH key 'flow-auto" in error
    assert not world.live("bid")
    assert world.up("bid") == ""
    assert [saved.id for saved in world.stack.state.values()] == world.live("bid")


# -- what two requests made --------------------------------------------------------------------------------------------

LOST: dict[str, Any] = {"method": "POST", "status": 500, "when": "after"}


def test_the_younger_of_two_bids_is_ended_and_told(worlds: list[World], reports: Reports) -> None:
    """The service ignores the key, and its listing lagged for longer than was waited for."""
    world = World(idempotency="ignore", list_lag_seconds=8.0)
    worlds.append(world)
    world.cloud.faults.add(path=PATHS["bid"], **LOST)
    assert world.up("bid") == ""
    _, older, younger = (bid["fid"] for bid in world.cloud.bids)
    assert [saved.id for saved in world.stack.state.values()] == world.live("bid") == [older]
    assert [line for line in reports.kept if younger in line and "a request with a lost answer" in line]


def name_doubles_of_a_shared_owner(world: World) -> None:
    """Another person's stack can have made it."""
    world.stack.owner = "organization/training/dev"


def name_doubles_without_a_time(world: World) -> None:
    """When it was made cannot be read."""
    world.cloud.faults.add(kind="alter", method="GET", path="/v2/spot/bids", times=None, body={"created_at": None})


def name_doubles_of_nobody(world: World) -> None:
    """The service does not tell whose key placed it."""
    world.cloud.faults.add(kind="alter", method="GET", path="/v2/spot/bids", times=None, body={"created_by": None})


def name_doubles_without_the_services_time(world: World) -> None:
    """No answer of the service says what its time is."""
    world.cloud.faults.add(kind="alter", times=None, body={}, headers={"Date": "soon"})


@pytest.mark.parametrize(
    "doubt",
    [
        name_doubles_of_a_shared_owner,
        name_doubles_without_a_time,
        name_doubles_of_nobody,
        name_doubles_without_the_services_time,
    ],
)
def test_a_double_that_is_not_proven_to_be_ours_is_named_and_left(
    worlds: list[World], capfd: pytest.CaptureFixture[str], doubt: Callable[[World], None]
) -> None:
    """The id of the one is recorded all the same."""
    world = World(idempotency="ignore", list_lag_seconds=8.0)
    worlds.append(world)
    world.cloud.faults.add(path=PATHS["bid"], **LOST)
    doubt(world)
    assert world.up("bid") == ""
    live = world.live("bid")
    assert len(live) == 2
    (saved,) = world.stack.state.values()
    assert saved.id in live
    assert not [one for one in world.cloud.mutations if one.method == "DELETE"]
    warned = capfd.readouterr().err
    assert "is live as well: two requests for one bid took effect" in warned
    assert "`flow cancel bid_" in warned


def test_a_double_that_cannot_be_ended_is_named_and_the_other_recorded(
    worlds: list[World], capfd: pytest.CaptureFixture[str]
) -> None:
    """The one thing exists: an error would let its id get lost."""
    world = World(idempotency="ignore", list_lag_seconds=8.0)
    worlds.append(world)
    world.cloud.faults.add(path=PATHS["bid"], **LOST)
    world.cloud.faults.add(method="DELETE", status=500, times=None)
    assert world.up("bid") == ""
    assert len(world.live("bid")) == 2
    assert "could not cancel bid" in capfd.readouterr().err


# -- listings that do not end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cursors", ["AA", "ABAB", "ABCA", "ABCBC"])
@pytest.mark.parametrize("path", ["/v2/spot/bids$", "/v2/instances$"])
def test_a_listing_whose_pages_go_round_ends_in_an_error(worlds: list[World], path: str, cursors: str) -> None:
    """It proves nothing; the state keeps what it has."""
    world = World()
    worlds.append(world)
    assert world.up("bid") == ""
    world.pass_time(60)
    for number, cursor in enumerate(cursors, 1):
        page = {"data": [], "next_cursor": cursor}
        world.cloud.faults.add(method="GET", path=path, nth=number, status=200, body=page)
    with pytest.raises(VerbError, match="a listing of the service is cut: its pages go round"):
        world.stack.refresh()
    assert world.stack.state
