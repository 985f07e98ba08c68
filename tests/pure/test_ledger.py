"""The ledger: facts by id, mark and URN, from five sides, answered with yes, no or not known."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.stack import FakeClock, Reports

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import NOT_KNOWN, RECORDED, HiddenInputs, Identity, RecordedId, read_hidden_inputs
from flow_resources.core.inputs import UNKNOWN
from flow_resources.core.naming import Mark, compose
from flow_resources.core.takeover import Wanted, decide
from flow_resources.lifecycle.ledger import Ledger, ResourceView

OWNER, URN = "acme/training/dev", "urn:pulumi:dev::training::flow::it"
MARK = Mark.of(OWNER, URN)
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


class States:
    """A backend whose states the test says, and which counts how often it is read."""

    def __init__(self, own: Any = None, others: dict[str, Any] | None = None) -> None:
        self.own, self.others, self.reads = own, others or {}, 0

    def stack_names(self, report: Any) -> list[str]:
        self.reads += 1
        return ["acme/infra/dev", OWNER]

    def own_state(self, urn: str, report: Any) -> Any:
        self.reads += 1
        return self.own

    def other_states(self, urn: str, report: Any) -> Iterator[tuple[str, Any]]:
        self.reads += 1
        yield from self.others.items()


def export(*ids: str) -> dict[str, Any]:
    return {"deployment": {"resources": [{"urn": f"{URN}-{id_}", "id": id_, "outputs": {}} for id_ in ids]}}


def ledger(states: States | None = None) -> Ledger:
    return Ledger(states or States(), FakeClock())


def learn(book: Ledger, *recorded: RecordedId, known: bool = True, **options: Any) -> Identity:
    hidden = HiddenInputs(OWNER, options.pop("urn_of_program", URN), recorded if known else None)
    return book.learn(URN, hidden, options.pop("pinned", None), has_olds=options.pop("has_olds", False))


class Thing:
    """Something live with our mark."""

    id, name, created_at = "bid_1", compose("it", MARK, "111111", 1), EARLY


def test_what_the_program_read_is_recorded() -> None:
    """And what it did not read is not."""
    book = ledger()
    learn(book, RecordedId("bid_1", EARLY), RecordedId("bid_2", LATE))
    assert book.is_recorded("bid_1", MARK) is Answer.YES
    assert book.is_recorded("bid_3", MARK) is Answer.NO
    assert book.newest_recorded(MARK) == LATE


@pytest.mark.parametrize(
    "options",
    [{"known": False}, {"has_olds": True}, {"urn_of_program": f"{URN}-alias"}],
    ids=["it could not read", "it read nothing of what is there", "it looked under another URN"],
)
def test_what_the_program_could_not_read_is_not_known(options: dict[str, Any]) -> None:
    """Three ways not to know."""
    book = ledger()
    learn(book, **options)
    assert book.is_recorded("bid_1", MARK) is Answer.NOT_KNOWN


@pytest.mark.parametrize(
    ("props", "recorded"),
    [
        ({}, None),
        ({RECORDED: NOT_KNOWN}, None),
        ({RECORDED: UNKNOWN}, None),
        ({RECORDED: ""}, ()),
        ({RECORDED: f"bid_1@{EARLY}@own,bid_2@"}, (RecordedId("bid_1", EARLY, is_own=True), RecordedId("bid_2"))),
    ],
    ids=["absent", "could not be read", "unknown", "nothing", "two"],
)
def test_what_the_program_does_not_pass_along_is_not_known(props: dict[str, Any], recorded: Any) -> None:
    """Only the program's own word that the state holds nothing is one."""
    assert read_hidden_inputs(props).recorded == recorded


def test_what_this_operation_deleted_is_not_recorded_any_more() -> None:
    """The state still goes on from it."""
    book = ledger()
    learn(book, RecordedId("bid_1", LATE))
    book.add_deleted("bid_1")
    assert book.is_recorded("bid_1", MARK) is Answer.NO
    assert book.newest_recorded(MARK) == LATE


@pytest.mark.parametrize(
    ("own", "taken"),
    [(None, None), (export("bid_1"), "bid_1")],
    ids=["nor the stored one", "the stored one can"],
)
def test_where_the_state_cannot_be_read_what_was_deleted_is_in_doubt_as_well(own: Any, taken: str | None) -> None:
    """A listing can still have it; nothing is known of its mark then."""
    book = ledger(States(own))
    identity = learn(book, known=False)
    book.add_deleted("bid_1")
    view = ResourceView(book, identity, URN, Reports(), lambda _: Answer.NO, lambda _: timedelta(minutes=5))
    decision = decide([Thing()], Wanted(MARK, "111111", True, lambda _: False), view)
    assert (decision.take_over.id if decision.take_over else None) == taken


def test_the_identity_is_pinned_once_it_is_in_the_state() -> None:
    """A stack that was renamed keeps its marks."""
    pinned = Identity(Mark("aaaaaaaaaaaa", "bbbbbbbb"), "acme/training/before")
    assert learn(ledger(), pinned=pinned, has_olds=True) == pinned
    assert learn(ledger()) == Identity(MARK, OWNER)


@pytest.mark.parametrize(
    ("owner", "answer"), [(OWNER, Answer.NO), ("organization/p/s", Answer.YES), (None, Answer.NOT_KNOWN)]
)
def test_an_owner_is_shared_on_self_managed_backends(owner: str | None, answer: Answer) -> None:
    """They all say "organization"; an owner that nobody said is not known."""
    assert Identity(MARK, owner).owner_is_shared is answer


# -- adoption ----------------------------------------------------------------------------------------------------------


def test_one_resource_adopts_and_a_second_is_told_so() -> None:
    """The first create alone."""
    book, other = ledger(), Mark("aaaaaaaaaaaa", "bbbbbbbb")
    learn(book)
    assert book.adopt("bid_9", MARK) is True
    assert book.adopt("bid_9", MARK) is True  # its check, then its create
    assert book.adopt("bid_9", other) is None
    assert book.is_adopted_by_another("bid_9", other) is Answer.YES
    assert book.is_adopted_by_another("bid_9", MARK) is Answer.NO


def test_a_replacement_adopts_nothing() -> None:
    """By diff, or forced, where the engine shows no olds."""
    by_diff, forced, own = ledger(), ledger(), RecordedId("bid_1", EARLY, is_own=True)
    learn(by_diff, own, has_olds=True)
    learn(forced, own)
    assert by_diff.adopt("bid_9", MARK) is False
    assert forced.adopt("bid_9", MARK) is False


def test_what_a_refresh_found_gone_does_not_make_a_replacement() -> None:
    """The program read of it before."""
    book = ledger()
    book.add_missing("bid_1")
    learn(book, RecordedId("bid_1", EARLY, is_own=True))
    assert book.adopt("bid_9", MARK) is True


def test_what_was_deleted_or_is_recorded_is_not_adopted() -> None:
    """It is on its way out, or ours already."""
    book = ledger()
    learn(book, RecordedId("bid_1"))
    book.add_deleted("bid_2")
    assert book.adopt("bid_1", MARK) is False
    assert book.adopt("bid_2", MARK) is False


# -- pending deletions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "kept"), [("one", False), ("two", True), (None, True)])
def test_a_record_of_another_create_keeps_an_id_from_its_deletion(own: str | None, kept: bool) -> None:
    """An unfinished replacement left the older record in the state."""
    book = ledger()
    assert not book.is_recorded_by_another_create("bid_1", own)
    book.declare("bid_1", "one")
    assert book.is_recorded_by_another_create("bid_1", own) is kept


# -- stored states -----------------------------------------------------------------------------------------------------


def test_the_stored_states_are_read_once_and_only_when_asked() -> None:
    """Each costs a second."""
    states = States(export("bid_1"), {"acme/training/prod": export("bid_1")})
    book, report = ledger(states), Reports()
    learn(book)
    assert states.reads == 0
    assert book.is_in_own_state("bid_1", URN, report) is Answer.YES
    assert book.is_in_own_state("bid_2", URN, report) is Answer.NO
    assert states.reads == 1
    assert [book.stack_that_records(Thing(), URN, report) for _ in range(3)] == ["acme/training/prod"] * 3
    assert states.reads == 2


@pytest.mark.parametrize("own", [None, "nonsense", {"deployment": None}])
def test_a_state_that_cannot_be_read_is_not_known(own: Any) -> None:
    """And never "no"."""
    assert ledger(States(own)).is_in_own_state("bid_1", URN, Reports()) is Answer.NOT_KNOWN


def test_without_a_urn_no_state_is_asked_for() -> None:
    """The host did not show it."""
    states = States(export("bid_1"))
    assert ledger(states).is_in_own_state("bid_1", None, Reports()) is Answer.NOT_KNOWN
    assert states.reads == 0


def test_the_stack_of_an_owner_is_found_by_its_name() -> None:
    """Or is nobody's on this backend."""
    book = ledger(states := States())
    assert book.stack_of_owner(Mark.of("acme/infra/dev", "").owner, Reports()) == "acme/infra/dev"
    assert book.stack_of_owner("000000", Reports()) is None
    assert states.reads == 1


def test_threads_read_the_states_once_and_share_a_turn() -> None:
    """Fifty creates of one operation."""
    states = States(export("bid_1"))
    book, answers = ledger(states), list[Answer]()
    threads = [
        threading.Thread(target=lambda: answers.append(book.is_in_own_state("bid_1", URN, Reports())))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [Answer.YES] * 50
    assert states.reads == 1
    assert book.turn(MARK) is book.turn(Mark.of(OWNER, URN)) is not book.turn(Mark("aaaaaaaaaaaa", "bbbbbbbb"))
