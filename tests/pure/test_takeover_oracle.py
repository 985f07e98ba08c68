"""`takeover.decide` against the claim that it replaces: equal in every world, whatever is known in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_resources.core.answer import Answer
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark, compose
from flow_resources.core.takeover import Reason, Wanted, decide
from flow_resources.providers import claiming, session

NOW = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
MINE, OTHER = Mark("aaaaaa", "bbbbbbbb"), Mark("aaaaaa", "cccccccc")
IDS = [f"bid_{number}" for number in range(4)]


@dataclass
class World:
    """All facts about four bids; None stands for what is not known."""

    bids: list[Bid]
    ages: Mapping[str, timedelta | None]
    recorded: frozenset[str] | None
    newest_recorded: str
    whole: frozenset[str] | None
    elsewhere: frozenset[str]
    adopted: frozenset[str]
    shared: bool | None
    user: str = "me"
    asked: list[str] = field(default_factory=list)

    # -- as a view ----------------------------------------------------------------------------------------------------
    @property
    def owner_is_shared(self) -> Answer:
        return Answer.of(self.shared)

    def is_recorded(self, id_: str) -> Answer:
        return Answer.of(None if self.recorded is None else id_ in self.recorded)

    def is_in_own_state(self, id_: str) -> Answer:
        self.asked.append("own")
        return Answer.of(None if self.whole is None else id_ in self.whole)

    def is_in_other_stack(self, bid: Bid) -> Answer:
        self.asked.append("others")
        return Answer.of(bid.id in self.elsewhere)

    def is_adopted_by_another(self, id_: str) -> Answer:
        return Answer.of(id_ in self.adopted)

    def is_of_another_user(self, bid: Bid) -> Answer:
        self.asked.append("user")
        return Answer.of(bid.created_by != self.user if bid.created_by else None)

    def age(self, bid: Bid) -> timedelta | None:
        return self.ages[bid.id]


@st.composite
def worlds(draw: Any) -> World:
    ages = {
        id_: draw(st.sampled_from([None, *(timedelta(minutes=one) for one in (-90, -1, 5, 59, 61, 300, 1439, 1441))]))
        for id_ in IDS
    }
    bids = [
        Bid(
            id=id_,
            name=compose(
                "it",
                draw(st.sampled_from([MINE, MINE, MINE, OTHER])),
                draw(st.sampled_from(["111111", "222222"])),
                draw(st.integers(1, 3)),
            ),
            project="p",
            status="Allocated",
            price=Decimal(1),
            quantity=draw(st.sampled_from([1, 1, 1, 2])),
            instance_type="it_a",
            region="r",
            instances=(),
            volumes=(),
            created_at="unreadable" if ages[id_] is None else (NOW - ages[id_]).isoformat(),
            created_by=draw(st.sampled_from(["", "me", "you"])),
        )
        for id_ in IDS
    ]
    some = st.frozensets(st.sampled_from(IDS), max_size=4)
    few = st.one_of(st.just(frozenset()), some)
    return World(
        bids,
        ages,
        draw(st.one_of(st.none(), few, few)),
        draw(
            st.sampled_from(
                ["", (NOW - timedelta(minutes=60)).isoformat(), (NOW - timedelta(minutes=1440)).isoformat()]
            )
        ),
        draw(st.one_of(st.none(), few, few)),
        draw(few),
        draw(few),
        draw(st.sampled_from([None, False, False, True])),
    )


def by_claim(world: World, patch: pytest.MonkeyPatch) -> tuple[Any, ...]:
    """Do what the code before did: claim, then what its caller refused."""
    memory = session.fresh(lambda _: None)
    memory.recorded[str(MINE)] = {"?"} if world.recorded is None else set(world.recorded)
    memory.adopted = dict.fromkeys(world.adopted, str(OTHER))
    memory.owner = {None: "", False: "acme/p/s", True: "organization/p/s"}[world.shared]
    patch.setattr(claiming, "whole_state", lambda: world.whole)
    patch.setattr(claiming, "is_elsewhere", lambda one: one.id in world.elsewhere)
    patch.setattr(claiming, "last_recorded", lambda _: world.newest_recorded)
    patch.setattr(
        claiming,
        "age_of",
        lambda created_at, _now: None if created_at == "unreadable" else NOW - datetime.fromisoformat(created_at),
    )
    found = claiming.claim(world.bids, MINE, "111111")
    refuse = None
    for bid in found.clear:
        if refuse is None and (not claiming.is_young(bid, claiming.CLEAR_WITHIN) or claiming.owner_is_shared()):
            refuse = (bid.id, Reason.UNSURE)
    if found.take and refuse is None:
        if found.take.quantity != 1:
            refuse = (found.take.id, Reason.DIFFERS)
        elif claiming.too_old(found.take, claiming.TAKE_OVER_WITHIN) or (
            claiming.owner_is_shared() and found.take.created_by not in ("", world.user)
        ):
            refuse = (found.take.id, Reason.UNSURE)
    ids = tuple(bid.id for bid in found.clear)
    return found.generation, found.take and found.take.id, ids, {bid.id for bid in found.unsure}, refuse


@settings(max_examples=3000)
@given(world=worlds())
def test_a_decision_is_what_the_claim_was(world: World) -> None:
    """Take over, cancel, leave, refuse and the generation, in every world."""
    with pytest.MonkeyPatch.context() as patch:
        expected = by_claim(world, patch)
    decision = decide(world.bids, Wanted(MINE, "111111", True, lambda bid: bid.quantity != 1), world)
    named = {one.thing.id for one in decision.leave if one.reason is Reason.SURPLUS}
    refuse = decision.refuse and (decision.refuse.thing.id, decision.refuse.reason)
    actual = (
        decision.generation,
        decision.take_over and decision.take_over.id,
        tuple(bid.id for bid in decision.cancel),
        named,
        refuse,
    )
    assert actual == expected
