"""The ledger: facts by id, mark and URN, from five sides, answered with yes, no or not known."""

from __future__ import annotations

import threading
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
from flow_resources.lifecycle.stored_states import StoredStates

OWNER, URN = "acme/training/dev", "urn:pulumi:dev::training::flow::it"
MARK = Mark.of(OWNER, URN)
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


class States:
    """A backend whose states the test says, and which counts how often it is read."""

    def __init__(self, own: Any = None, others: dict[str, Any] | None = None, names: Any = ()) -> None:
        self.states, self.names, self.reads = {OWNER: own, **(others or {})}, names, 0

    def stack_names(self, report: Any) -> list[str] | None:
        return list(self.states) if self.names == () else self.names

    def state(self, stack: str, report: Any) -> Any:
        self.reads += 1
        return self.states[stack]


def export(*ids: str, making: str | None = URN, mark: str | None = None) -> dict[str, Any]:
    outputs = {"__mark": mark, "created_at": EARLY} if mark else {}
    rows = [{"urn": f"{URN}-{id_}", "id": id_, "outputs": outputs} for id_ in ids]
    pending = [{"type": "creating", "resource": {"urn": making}}] if making else []
    return {"deployment": {"resources": rows, "pending_operations": pending}}


ELSEWHERE = export("bid_7", making=None)


def ledger(states: States | None = None) -> Ledger:
    return Ledger(StoredStates(states or States(), FakeClock()))


def learn(book: Ledger, *recorded: RecordedId, known: bool = True, **options: Any) -> Identity | None:
    owner, urn = options.pop("owner", OWNER), options.pop("urn_of_program", URN)
    hidden = HiddenInputs(owner, urn, recorded if known else None)
    return book.learn(
        options.pop("urn", URN), hidden, options.pop("pinned", None), has_record=options.pop("has_record", False)
    )


def is_first(book: Ledger, id_: str, mark: Mark = MARK) -> Answer:
    return book.is_first_create(id_, mark, URN, Reports())


def newest(book: Ledger) -> str | None:
    return book.newest_recorded(MARK, URN, Reports())


class Thing:
    """Something live with our mark."""

    id, name, created_at = "bid_1", compose("it", MARK, "111111", 1), EARLY
    name_is_known = True


def test_what_the_program_read_is_recorded() -> None:
    """And what it did not read is not."""
    book = ledger()
    learn(book, RecordedId("bid_1", EARLY), RecordedId("bid_2", LATE))
    assert book.is_recorded("bid_1", MARK) is Answer.YES
    assert book.is_recorded("bid_3", MARK) is Answer.NO
    assert newest(book) == LATE


@pytest.mark.parametrize(
    "options",
    [{"known": False}, {"has_record": True}, {"urn_of_program": f"{URN}-alias"}],
    ids=["it could not read", "it read nothing of what is there", "it looked under another URN"],
)
def test_what_the_program_could_not_read_is_not_known(options: dict[str, Any]) -> None:
    """Three ways not to know."""
    book = ledger()
    learn(book, **options)
    assert book.is_recorded("bid_1", MARK) is Answer.NOT_KNOWN
    assert newest(book) is None


def test_of_a_resource_that_nobody_has_told_of_nothing_is_known() -> None:
    """It was never checked here."""
    assert ledger().is_recorded("bid_1", MARK) is Answer.NOT_KNOWN


def test_what_one_call_has_told_another_one_does_not_take_back() -> None:
    """The engine drops what the program passes along where `ignore_changes` names it."""
    book = ledger()
    learn(book, RecordedId("bid_1", EARLY))
    learn(book, known=False, owner=None, urn_of_program=None, pinned=Identity(MARK, OWNER), has_record=True)
    assert book.is_recorded("bid_1", MARK) is Answer.YES


@pytest.mark.parametrize(("owner", "urn"), [(None, URN), (OWNER, None)], ids=["no owner", "no URN"])
def test_whose_a_resource_is_is_not_guessed(owner: str | None, urn: str | None) -> None:
    """A mark of an empty owner would be everybody's; what the state pinned is known."""
    assert learn(ledger(), owner=owner, urn=urn, urn_of_program=urn) is None
    pinned = Identity(MARK, OWNER)
    assert learn(ledger(), owner=owner, urn=urn, urn_of_program=urn, pinned=pinned) == pinned


def test_the_engines_word_for_the_urn_wins_over_the_programs() -> None:
    """A transformation or an alias can make them differ."""
    assert learn(ledger(), urn_of_program="urn:pulumi:dev::training::flow::other") == Identity(MARK, OWNER)


def test_when_the_youngest_was_made_is_read_from_the_stored_state_where_the_program_cannot() -> None:
    """Only from that of this operation."""
    book = ledger(States(export("bid_1", mark=str(MARK))))
    learn(book, known=False)
    assert newest(book) == EARLY
    book = ledger(States(export("bid_1")))
    learn(book, known=False)
    assert newest(book) == ""
    book = ledger(States(export("bid_1", mark=str(MARK), making=None)))
    learn(book, known=False)
    assert newest(book) is None


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
    assert newest(book) == LATE


@pytest.mark.parametrize(
    ("own", "taken"),
    [(None, None), (export("bid_1", mark=str(MARK)), "bid_1")],
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
    assert learn(ledger(), pinned=pinned, has_record=True) == pinned
    assert learn(ledger()) == Identity(MARK, OWNER)


@pytest.mark.parametrize(
    ("owner", "answer"), [(OWNER, Answer.NO), ("organization/p/s", Answer.YES), (None, Answer.NOT_KNOWN)]
)
def test_an_owner_is_shared_on_self_managed_backends(owner: str | None, answer: Answer) -> None:
    """They all say "organization"; an owner that nobody said is not known."""
    assert Identity(MARK, owner).owner_is_shared is answer


# -- adoption ----------------------------------------------------------------------------------------------------------


def test_one_resource_adopts_and_a_second_does_not() -> None:
    """The first create alone."""
    book, other = ledger(), Mark("aaaaaaaaaaaa", "bbbbbbbb")
    learn(book)
    assert is_first(book, "bid_9") is Answer.YES
    assert book.adopt("bid_9", MARK)
    assert book.adopt("bid_9", MARK)  # its check, then its create
    assert not book.adopt("bid_9", other)
    assert book.is_adopted_by_another("bid_9", other) is Answer.YES
    assert book.is_adopted_by_another("bid_9", MARK) is Answer.NO


def test_a_replacement_adopts_nothing() -> None:
    """By diff, or forced, where the engine shows no olds."""
    by_diff, forced, own = ledger(), ledger(), RecordedId("bid_1", EARLY, is_own=True)
    learn(by_diff, own, has_record=True)
    learn(forced, own)
    assert is_first(by_diff, "bid_9") is Answer.NO
    assert is_first(forced, "bid_9") is Answer.NO


def test_what_a_refresh_found_gone_does_not_make_a_replacement() -> None:
    """The program read of it before."""
    book = ledger()
    book.add_missing("bid_1")
    learn(book, RecordedId("bid_1", EARLY, is_own=True))
    assert is_first(book, "bid_9") is Answer.YES


def test_what_was_deleted_or_is_recorded_is_not_adopted() -> None:
    """It is on its way out, or ours already."""
    book = ledger()
    learn(book, RecordedId("bid_1"))
    book.add_deleted("bid_2")
    assert is_first(book, "bid_1") is Answer.NO
    assert is_first(book, "bid_2") is Answer.NO


@pytest.mark.parametrize(
    ("own", "answer"),
    [(None, Answer.NOT_KNOWN), (export("bid_9"), Answer.NO), (export("bid_1"), Answer.YES)],
    ids=["unreadable", "recorded", "not recorded"],
)
def test_where_the_program_cannot_read_its_state_the_stored_one_tells_whether_it_is_the_first(
    own: Any, answer: Answer
) -> None:
    """An adoption by a replacement would take what is about to be deleted."""
    book = ledger(States(own))
    learn(book, known=False)
    assert is_first(book, "bid_9") is answer


# -- pending deletions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "kept"), [("one", False), ("two", True), (None, True)])
def test_a_record_of_another_create_keeps_an_id_from_its_deletion(own: str | None, kept: bool) -> None:
    """An unfinished replacement left the older record in the state."""
    book = ledger()
    assert not book.is_recorded_by_another_create("bid_1", own)
    book.declare("bid_1", "one")
    assert book.is_recorded_by_another_create("bid_1", own) is kept


IN_DYNAMIC_HOST = "urn:pulumi:dev::training::pulumi:providers:pulumi-python::default::11"
EAST, WEST = (f"urn:pulumi:dev::training::pulumi:providers:flow::{name}::{name}-id" for name in ("east", "west"))


def held_by(*holders: tuple[str, str]) -> States:
    """Return a state that has one bid in several resources, each by its provider and the id of its create."""
    rows = [
        {"urn": f"{URN}-{number}", "id": "bid_1", "provider": provider, "outputs": {"__create_id": create}}
        for number, (provider, create) in enumerate(holders)
    ]
    return States({"deployment": {"resources": rows}})


@pytest.mark.parametrize(
    ("states", "own", "answer"),
    [
        (held_by(), "east-id", Answer.NO),
        (held_by((EAST, "a")), "east-id", Answer.NO),
        (held_by((WEST, "a")), "east-id", Answer.YES),
        (held_by((EAST, "a"), (WEST, "b")), "east-id", Answer.YES),
        (held_by((IN_DYNAMIC_HOST, "a")), "east-id", Answer.YES),
        (held_by((IN_DYNAMIC_HOST, "a")), None, Answer.NO),
        (held_by((EAST, "a")), None, Answer.YES),
        (held_by((EAST, "a")), "", Answer.NOT_KNOWN),
        (held_by(), "", Answer.NO),
        (States(), "east-id", Answer.NOT_KNOWN),
        (States(), None, Answer.NOT_KNOWN),
    ],
)
def test_what_another_provider_has_is_of_another_process(states: States, own: str | None, answer: Answer) -> None:
    """The dynamic host has one process (None) and each provider of the plugin another; "": which this is not known."""
    book = ledger(states)
    if own is not None:
        book.provider = own
    assert book.is_of_another_provider("bid_1", URN, Reports(), is_preview=False) is answer
    assert book.is_of_another_provider_by_now("bid_1", URN, Reports()) is answer


@pytest.mark.parametrize(
    ("states", "answer"),
    [
        (held_by((EAST, "new")), Answer.NO),
        (held_by((EAST, "new"), (WEST, "old")), Answer.NO),
        (held_by((EAST, "new"), (EAST, "old")), Answer.YES),
        (held_by((EAST, "new"), (IN_DYNAMIC_HOST, "old")), Answer.YES),
        (held_by(), Answer.NOT_KNOWN),
        (States(), Answer.NOT_KNOWN),
    ],
)
def test_a_second_record_is_deleted_by_the_process_of_its_provider(states: States, answer: Answer) -> None:
    """Here what was taken over comes to the provider west."""
    book = ledger(states)
    book.provider = "west-id"
    assert book.is_held_by_another_process("bid_1", "new", URN, Reports()) is answer


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
    assert [book.find_other_stack(Thing(), URN, report) for _ in range(3)] == [(Answer.YES, "acme/training/prod")] * 3
    assert states.reads == 2


@pytest.mark.parametrize("own", [None, "nonsense", {"deployment": None}])
def test_a_state_that_cannot_be_read_is_not_known(own: Any) -> None:
    """And never "no"."""
    book, reports = ledger(States(own)), Reports()
    assert book.is_in_own_state("bid_1", URN, reports) is Answer.NOT_KNOWN
    assert own is None or f"the state of the stack {OWNER} could not be read" in reports.kept[0]


def test_a_state_of_the_same_name_is_this_operations_where_it_holds_what_that_does() -> None:
    """The pending create, or an id that the program has read; a preview decides nothing and takes it for it."""
    elsewhere = ledger(States(export("bid_7", making=None)))
    learn(elsewhere, RecordedId("bid_1"))
    assert elsewhere.is_in_own_state("bid_7", URN, Reports()) is Answer.YES
    assert elsewhere.is_in_own_state("bid_2", URN, Reports()) is Answer.NOT_KNOWN
    assert elsewhere.is_in_own_state("bid_2", URN, Reports(), is_preview=True) is Answer.NO
    read = ledger(States(export("bid_1", making=None)))
    learn(read, RecordedId("bid_1"))
    assert read.is_in_own_state("bid_2", URN, Reports()) is Answer.NO


@pytest.mark.parametrize(
    ("others", "names", "own", "answer"),
    [
        ({}, (), export(), Answer.NO),
        ({"acme/training/prod": ELSEWHERE}, (), export(), Answer.NO),
        ({"acme/training/prod": None}, (), export(), Answer.NOT_KNOWN),
        ({"acme/training/prod": {"deployment": []}}, (), export(), Answer.NOT_KNOWN),
        ({}, None, export(), Answer.NOT_KNOWN),
        ({}, [], export(), Answer.NOT_KNOWN),
        ({"acme/training/prod": ELSEWHERE}, ["acme/training/prod"], export(), Answer.NOT_KNOWN),
        ({"other/training/dev": ELSEWHERE}, (), export(), Answer.NOT_KNOWN),
        ({}, (), None, Answer.NOT_KNOWN),
        ({}, (), export(making=None), Answer.NOT_KNOWN),
    ],
    ids=[
        "no others",
        "another reads no",
        "another is unreadable",
        "another is cut",
        "no listing",
        "an empty listing",
        "a listing without this stack",
        "two stacks of this name",
        "this state is unreadable",
        "this state is another backend's",
    ],
)
def test_that_no_other_stack_records_something_is_proven_by_a_whole_listing_of_this_backend(
    others: dict[str, Any], names: Any, own: Any, answer: Answer
) -> None:
    """Anything less is not known."""
    book = ledger(States(own, others, names))
    learn(book)
    assert book.find_other_stack(Thing(), URN, Reports())[0] is answer


def test_a_state_that_a_check_has_read_is_read_again_by_the_create_once() -> None:
    """The engine writes down what it is creating between the two."""
    states = States(export("bid_1", making=None))
    book, report = ledger(states), Reports()
    learn(book)
    assert book.is_in_own_state("bid_2", URN, report, is_preview=True) is Answer.NO
    assert book.is_in_own_state("bid_2", URN, report) is Answer.NOT_KNOWN
    assert book.is_in_own_state("bid_2", URN, report) is Answer.NOT_KNOWN
    assert states.reads == 2
    states.states[OWNER] = export("bid_1", "bid_2", making=f"{URN}-two")
    assert book.is_in_own_state("bid_3", f"{URN}-two", report) is Answer.NO
    assert book.is_in_own_state("bid_2", f"{URN}-two", report) is Answer.YES
    assert states.reads == 3


def test_in_the_old_layout_of_a_backend_a_stack_has_no_project() -> None:
    """Its state is this operation's where it holds what that is doing."""
    states = States()
    states.states = {"dev": export("bid_7"), "prod": export("bid_2", making=None)}
    book = ledger(states)
    learn(book, known=False)
    assert book.is_in_own_state("bid_2", URN, Reports()) is Answer.NO
    assert book.find_other_stack(Thing(), URN, Reports()) == (Answer.NO, "")


def test_without_a_urn_no_state_is_asked_for() -> None:
    """The host did not show it."""
    states = States(export("bid_1"))
    assert ledger(states).is_in_own_state("bid_1", None, Reports()) is Answer.NOT_KNOWN
    assert ledger(states).find_other_stack(Thing(), None, Reports()) == (Answer.NOT_KNOWN, "")
    assert states.reads == 0


def test_the_stack_of_an_owner_is_found_by_its_name() -> None:
    """Or is nobody's on this backend."""
    stored = ledger(States(None, {"acme/infra/dev": None})).stored
    assert stored.stack_of_owner(Mark.of("acme/infra/dev", "").owner, Reports()) == "acme/infra/dev"
    assert stored.stack_of_owner("000000", Reports()) is None


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


@pytest.mark.parametrize(("placed", "answer"), [(True, Answer.NO), (False, Answer.NOT_KNOWN)])
def test_what_this_process_placed_is_no_other_stacks(placed: bool, answer: Answer) -> None:
    """Whatever states can be read."""
    book = ledger()
    identity = learn(book)
    assert identity
    if placed:
        book.add_placed("bid_1")
    view = ResourceView(book, identity, URN, Reports(), lambda _: Answer.NO, lambda _: None)
    assert view.is_in_other_stack(Thing()) is answer
