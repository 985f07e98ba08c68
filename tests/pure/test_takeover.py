"""The rules of `takeover.decide`, a case per row of the table in docs/explanation/safety.md, and what it never asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_resources.core.answer import Answer
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark, compose
from flow_resources.core.takeover import Decision, Reason, Wanted, decide

NOW = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
MINE, OTHER = Mark("aaaaaaaaaaaa", "bbbbbbbb"), Mark("aaaaaaaaaaaa", "cccccccc")
SAME, CHANGED = "111111", "222222"
YES, NO, NOT_KNOWN = Answer.YES, Answer.NO, Answer.NOT_KNOWN


def bid(id_: str = "bid_1", digest: str = SAME, minutes: float = 5, *, quantity: int = 1, generation: int = 1) -> Bid:
    """Make a live bid with our mark, so many minutes old."""
    return Bid(
        id=id_,
        name=compose("it", MINE, digest, generation),
        project="p",
        status="Allocated",
        price=Decimal(1),
        quantity=quantity,
        instance_type="it_a",
        region="r",
        instances=(),
        volumes=(),
        created_at=(NOW - timedelta(minutes=minutes)).isoformat(),
    )


@dataclass
class Facts:
    """A view of which everything that is not said is "no"."""

    recorded: Mapping[str, Answer] = field(default_factory=dict)
    own_state: Mapping[str, Answer] = field(default_factory=dict)
    other_stacks: Mapping[str, Answer] = field(default_factory=dict)
    adopted: Mapping[str, Answer] = field(default_factory=dict)
    another_provider: Answer = NO
    another_user: Answer = NO
    owner_is_shared: Answer = NO
    newest_recorded: str | None = ""
    unreadable_age: bool = False
    asked: list[str] = field(default_factory=list)

    def is_recorded(self, id_: str) -> Answer:
        return self.recorded.get(id_, self.recorded.get("*", NO))

    def is_in_own_state(self, id_: str) -> Answer:
        self.asked.append("own state")
        return self.own_state.get(id_, self.own_state.get("*", NO))

    def is_in_other_stack(self, thing: Bid) -> Answer:
        self.asked.append("other stacks")
        return self.other_stacks.get(thing.id, NO)

    def is_of_another_provider(self, id_: str) -> Answer:
        return self.another_provider

    def is_adopted_by_another(self, id_: str) -> Answer:
        return self.adopted.get(id_, NO)

    def is_of_another_user(self, thing: Bid) -> Answer:
        self.asked.append("user")
        return self.another_user

    def age(self, thing: Bid) -> timedelta | None:
        return None if self.unreadable_age else NOW - datetime.fromisoformat(thing.created_at)


def judge(live: list[Bid], facts: Facts, *, may_cancel: bool = True) -> Decision[Bid]:
    """Decide for a create of one machine."""
    return decide(live, Wanted(MINE, SAME, may_cancel, lambda one: one.quantity != 1), facts)


def said(decision: Decision[Bid]) -> str:
    """Return a decision in a few words."""
    if decision.refuse:
        return f"refuse {decision.refuse.thing.id}: {decision.refuse.reason.name}"
    words = [f"take over {decision.take_over.id}"] if decision.take_over else []
    words += [f"cancel {one.id}" for one in decision.cancel]
    words += [f"leave {one.thing.id}: {one.reason.name}" for one in decision.leave]
    return ", ".join(words) or "place"


OLD = bid("bid_0", minutes=60)
NAMELESS = Bid(**{**vars(bid()), "name": "", "name_is_known": False})
CASES: dict[str, tuple[list[Bid], Facts, str]] = {
    "nothing with our mark": ([], Facts(), "place"),
    "1 another resource of the program adopts it": ([bid()], Facts(adopted={"bid_1": YES}), "place"),
    "3 another stack records it": ([bid()], Facts(other_stacks={"bid_1": YES}), "leave bid_1: OTHER_STACK"),
    "2 the state records it for this resource": ([bid()], Facts(recorded={"bid_1": YES}), "place"),
    "4 beside a recorded one, the owner is shared": (
        [OLD, bid()],
        Facts(recorded={"bid_0": YES}, owner_is_shared=YES),
        "leave bid_1: SURPLUS",
    ),
    "5 beside a recorded one, whether it waits for its deletion is not known": (
        [OLD, bid()],
        Facts(recorded={"bid_0": YES}, own_state={"*": NOT_KNOWN}),
        "leave bid_1: SURPLUS",
    ),
    "5 beside a recorded one, it waits in the state for its deletion": (
        [OLD, bid()],
        Facts(recorded={"bid_0": YES}, own_state={"bid_1": YES}),
        "place",
    ),
    "6 beside a recorded one, of the same specification and younger": (
        [OLD, bid()],
        Facts(recorded={"bid_0": YES}),
        "take over bid_1",
    ),
    "7 beside a recorded one, of another specification": (
        [OLD, bid(digest=CHANGED)],
        Facts(recorded={"bid_0": YES}),
        "leave bid_1: SURPLUS",
    ),
    "7 beside a recorded one, older than it": (
        [bid("bid_0", minutes=5), bid(minutes=60)],
        Facts(recorded={"bid_0": YES}),
        "leave bid_1: SURPLUS",
    ),
    "7 beside a recorded one, older than a day": (
        [bid("bid_0", minutes=1500), bid(minutes=1441)],
        Facts(recorded={"bid_0": YES}),
        "leave bid_1: SURPLUS",
    ),
    "8 older than what the state went on from": (
        [bid(minutes=60)],
        Facts(newest_recorded=(NOW - timedelta(minutes=5)).isoformat()),
        "leave bid_1: SURPLUS",
    ),
    "8 the same, but it waits in the state for its deletion": (
        [bid(minutes=60)],
        Facts(newest_recorded=(NOW - timedelta(minutes=5)).isoformat(), own_state={"bid_1": YES}),
        "take over bid_1",
    ),
    "9 another provider has still to delete it": (
        [bid(minutes=60), bid("bid_2", digest=CHANGED)],
        Facts(another_provider=YES),
        "leave bid_1: OTHER_PROVIDER, leave bid_2: OTHER_PROVIDER",
    ),
    "9 whether another provider has it is not known": (
        [bid()],
        Facts(another_provider=NOT_KNOWN),
        "refuse bid_1: STATE_NOT_KNOWN",
    ),
    "10 same specification": ([bid()], Facts(), "take over bid_1"),
    "10 same specification, not what the program says": ([bid(quantity=2)], Facts(), "refuse bid_1: DIFFERS"),
    "10 same specification, older than a day": ([bid(minutes=1441)], Facts(), "refuse bid_1: TOO_OLD"),
    "10 same specification, the owner is shared and another user placed it": (
        [bid()],
        Facts(owner_is_shared=YES, another_user=YES),
        "refuse bid_1: OTHER_USER",
    ),
    "10 same specification, the owner is shared and we placed it": (
        [bid()],
        Facts(owner_is_shared=YES),
        "take over bid_1",
    ),
    "11 another specification, within the hour": ([bid(digest=CHANGED)], Facts(), "cancel bid_1"),
    "11 another specification, older than an hour": (
        [bid(digest=CHANGED, minutes=61)],
        Facts(),
        "refuse bid_1: TOO_OLD",
    ),
    "11 another specification, its age is not known": (
        [bid(digest=CHANGED)],
        Facts(unreadable_age=True),
        "refuse bid_1: AGE_NOT_KNOWN",
    ),
    "11 another specification, the owner is shared": (
        [bid(digest=CHANGED)],
        Facts(owner_is_shared=YES),
        "refuse bid_1: SHARED_OWNER",
    ),
    "4 beside a recorded one, whether the owner is shared is not known": (
        [bid("bid_0", minutes=60), bid()],
        Facts(recorded={"bid_0": YES}, owner_is_shared=NOT_KNOWN),
        "leave bid_1: SURPLUS",
    ),
    "10 same specification, neither the owner nor who placed it is certain": (
        [bid()],
        Facts(owner_is_shared=NOT_KNOWN, another_user=YES),
        "refuse bid_1: OTHER_USER",
    ),
    "11 another specification, whether the owner is shared is not known": (
        [bid(digest=CHANGED)],
        Facts(owner_is_shared=NOT_KNOWN),
        "refuse bid_1: SHARED_OWNER",
    ),
    "1 whether another resource adopts it is not known": (
        [bid()],
        Facts(adopted={"bid_1": NOT_KNOWN}),
        "refuse bid_1: STATE_NOT_KNOWN",
    ),
    "3 whether another stack records it is not known": (
        [bid()],
        Facts(other_stacks={"bid_1": NOT_KNOWN}),
        "refuse bid_1: OTHER_STATES_NOT_KNOWN",
    ),
    "2 whether the state records it is not known": (
        [bid()],
        Facts(recorded={"*": NOT_KNOWN}, own_state={"*": NOT_KNOWN}),
        "refuse bid_1: STATE_NOT_KNOWN",
    ),
    "6 beside a recorded one, whether another stack records it is not known": (
        [OLD, bid()],
        Facts(recorded={"bid_0": YES}, other_stacks={"bid_1": NOT_KNOWN}),
        "leave bid_1: SURPLUS",
    ),
    "6 beside a recorded one, its age is not known": (
        [OLD, bid()],
        Facts(recorded={"bid_0": YES}, unreadable_age=True),
        "leave bid_1: SURPLUS",
    ),
    "8 when what the state went on from was made is not known": (
        [bid()],
        Facts(newest_recorded=None),
        "refuse bid_1: AGE_NOT_KNOWN",
    ),
    "8 older than what the state went on from, whether the state still holds it is not known": (
        [bid(minutes=60)],
        Facts(newest_recorded=(NOW - timedelta(minutes=5)).isoformat(), own_state={"*": NOT_KNOWN}),
        "leave bid_1: SURPLUS",
    ),
    "0 the service does not say its name": ([NAMELESS], Facts(), "refuse bid_1: NAME_NOT_KNOWN"),
    "0 the service does not say its name, the state records it for another resource": (
        [NAMELESS],
        Facts(own_state={"bid_1": YES}),
        "place",
    ),
    "0 the service does not say its name, another stack records it": (
        [NAMELESS],
        Facts(other_stacks={"bid_1": YES}),
        "place",
    ),
    "10 same specification, its age is not known": (
        [bid()],
        Facts(unreadable_age=True),
        "refuse bid_1: AGE_NOT_KNOWN",
    ),
    "10 same specification, it lies in the future": ([bid(minutes=-90)], Facts(), "refuse bid_1: AGE_NOT_KNOWN"),
    "10 same specification, the owner is shared and who placed it is not known": (
        [bid()],
        Facts(owner_is_shared=YES, another_user=NOT_KNOWN),
        "refuse bid_1: USER_NOT_KNOWN",
    ),
    "11 a second one of the same specification": (
        [bid(), bid("bid_2", minutes=3)],
        Facts(),
        "take over bid_1, cancel bid_2",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_row_of_the_table(case: str) -> None:
    """What a create finds, and what it does."""
    live, facts, expected = CASES[case]
    assert said(judge(live, facts)) == expected


@pytest.mark.parametrize(
    ("digest", "expected"), [(SAME, "take over bid_1"), (CHANGED, "leave bid_1: OTHER_SPECIFICATION")]
)
def test_what_holds_data_is_never_cancelled(digest: str, expected: str) -> None:
    """It is named, and stays."""
    assert said(judge([bid(digest=digest)], Facts(), may_cancel=False)) == expected


def test_where_the_program_could_not_read_its_state_the_whole_state_is_asked() -> None:
    """What that holds is recorded; what it does not hold is judged."""
    unread = {"*": NOT_KNOWN}
    assert said(judge([bid()], Facts(recorded=unread))) == "take over bid_1"
    assert said(judge([bid()], Facts(recorded=unread, own_state={"bid_1": YES}))) == "place"
    assert said(judge([bid()], Facts(recorded=unread, own_state=unread))) == "refuse bid_1: STATE_NOT_KNOWN"


def test_the_generation_counts_past_every_live_name_of_the_specification() -> None:
    """Whosever it is by now: its name is taken."""
    live = [bid(generation=3), bid("bid_2", digest=CHANGED, generation=7)]
    assert judge(live, Facts(adopted={"bid_1": YES})).generation == 4


def test_the_oldest_of_several_is_taken_over() -> None:
    """Whatever the order of the listing."""
    assert said(judge([bid("bid_2", minutes=3), bid(minutes=9)], Facts())) == "take over bid_1, cancel bid_2"


def test_nothing_is_asked_where_nothing_carries_the_mark() -> None:
    """The stored states take seconds."""
    facts, stranger = Facts(), bid()
    judge([Bid(**{**vars(stranger), "name": compose("it", OTHER, SAME, 1)})], facts)
    judge([Bid(**{**vars(stranger), "name": "by-hand"})], facts)
    assert facts.asked == []


def test_the_other_stacks_are_not_asked_where_the_state_records_all() -> None:
    """Nor is the whole state."""
    facts = Facts(recorded={"bid_1": YES})
    judge([bid()], facts)
    assert facts.asked == []


answers = st.sampled_from(Answer)


@given(
    minutes=st.lists(st.sampled_from([-90, 5, 59, 61, 1439, 1441]), min_size=1, max_size=3),
    digests=st.lists(st.sampled_from([SAME, CHANGED]), min_size=3, max_size=3),
    recorded=answers,
    own=answers,
    other=answers,
    shared=answers,
    user=answers,
)
def test_a_thing_gets_one_verdict_and_what_a_state_records_is_not_touched(
    minutes: list[float], digests: list[str], recorded: Answer, own: Answer, other: Answer, shared: Answer, user: Answer
) -> None:
    """Whatever is known of it."""
    live = [bid(f"bid_{place}", digests[place], old) for place, old in enumerate(minutes)]
    facts = Facts(
        {"*": recorded}, {"*": own}, {one.id: other for one in live}, {}, another_user=user, owner_is_shared=shared
    )
    decision = judge(live, facts)
    acted = [*([decision.take_over] if decision.take_over else []), *decision.cancel]
    verdicts = [one.id for one in acted] + [one.thing.id for one in decision.leave]
    assert len(verdicts) == len(set(verdicts))
    if YES in (recorded, other):
        assert not acted
    settled = own if recorded is NOT_KNOWN else recorded
    if settled is NOT_KNOWN or (settled is NO and other is NOT_KNOWN):
        assert decision.refuse


@pytest.mark.parametrize("answer", Answer)
def test_an_answer_has_no_truth_value(answer: Answer) -> None:
    """Who writes `if answer:` has forgotten one of the three."""
    with pytest.raises(TypeError, match="NOT_KNOWN"):
        bool(answer)


def test_reasons_say_something() -> None:
    """Each one sentence of its own."""
    assert len({one.value for one in Reason}) == len(Reason)
