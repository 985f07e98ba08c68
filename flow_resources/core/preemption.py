"""What a cluster's policy does about a preemption: decided here, from what a refresh saw, and at most once for each.

A refresh writes what it saw into the inputs and outputs of the state (`PolicyRecord`), because a check is told of the
old inputs alone. `decide` is the check's part; an update and a delete read the bid again before they act (see
`lifecycle/policy`). Without a sighting nothing is done. A preemption is one bid's, and is known by its time in the
bid's history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_UP, Decimal
from enum import Enum
from typing import Any

from flow_resources.core import money
from flow_resources.core.answer import Answer
from flow_resources.core.cluster_fields import FIELDS
from flow_resources.core.hidden import MARK, PREEMPTION
from flow_resources.core.inputs import changed, has_unknown
from flow_resources.core.moments import is_older, minutes_since, moment_of

PRICE, LIMIT, POLICY = "max_price_per_hour", "raise_up_to_per_hour", "on_preemption"
_ABOVE_MARKET = Decimal("1.05")
"""By how many seconds a preemption may lie in the future, by the service's clock, before its age is not known."""


class Action(Enum):
    """What is done about a preemption, or what is told of it."""

    NONE = "none"
    RAISE = "raise"
    REPLACE = "replace"
    FAIL = "fail"
    """Nothing is done for it: the check fails, unless the bid runs again."""


@dataclass(frozen=True)
class Sighting:
    """A preemption of a bid that a refresh saw waiting in the auction."""

    bid_id: str
    at: str
    """When the bid lost its machines, as its history tells it."""

    @classmethod
    def of(cls, bid_id: str, at: str | None) -> Sighting | None:
        """Return the sighting; None where the time is not told, or is no time."""
        return cls(bid_id, at) if at and moment_of(at) and not at.split()[1:] else None

    def is_covered_by(self, handled: Sighting | None) -> bool:
        """Whether it is the handled one, or an earlier one of the same bid, however their times are written."""
        if handled is None or handled.bid_id != self.bid_id:
            return False
        return self == handled or is_older(handled.at, self.at) is not Answer.YES

    def __str__(self) -> str:
        return f"{self.bid_id}@{self.at}"


@dataclass(frozen=True)
class PolicyRecord:
    """What a state tells of the preemptions of a cluster, in one text: what is lost is lost together."""

    seen: Sighting | None = None
    """The preemption after which the bid waits, as the last refresh saw it."""
    handled: Sighting | None = None
    """The last one for which a policy has acted, whichever policy it was."""
    action: Action = Action.NONE
    """What was done for that one."""
    base: Decimal | None = None
    """The program's number when the bid was raised: the raised bid stands as long as this is the program's number."""
    raised: Decimal | None = None
    """The bid to which it was raised, in USD per instance-hour; None where it was not."""
    is_alone: bool = False
    """Whether the check that acted found nothing else to change."""
    is_lost: bool = False
    """Whether what was done before is not known, and no preemption was seen since: the next one counts as handled."""
    waits: Sighting | None = None
    """Of a bid with `max_wait_minutes` that is in the auction: since when, as the last refresh saw it."""
    moved: Sighting | None = None
    """The wait after which a bid for another placement takes its place; its check alone writes it."""

    @classmethod
    def parse(cls, text: Any) -> PolicyRecord | None:
        """Read what `str` wrote; None for every other value."""
        if not isinstance(text, str):
            return None
        words = text.split(" ")
        parts = dict(word.partition("=")[::2] for word in words)
        try:
            record = cls(
                _read_sighting(parts.get("seen")),
                _read_sighting(parts.get("handled")),
                Action(parts.get("action", Action.NONE.value)),
                _read_price(parts.get("base")),
                _read_price(parts.get("raised")),
                "alone" in words,
                "lost" in words,
                _read_sighting(parts.get("waits")),
                _read_sighting(parts.get("moved")),
            )
        except ValueError:
            return None
        return record if str(record) == text and text else None

    def __str__(self) -> str:
        parts = {
            "seen": self.seen,
            "handled": self.handled,
            "action": None if self.action is Action.NONE else self.action.value,
            "base": self.base,
            "raised": self.raised,
            "waits": self.waits,
            "moved": self.moved,
        }
        words = [f"{name}={value}" for name, value in parts.items() if value is not None]
        flags = {"alone": self.is_alone, "lost": self.is_lost}
        return " ".join([*words, *(name for name, is_set in flags.items() if is_set)])

    @property
    def is_unhandled(self) -> bool:
        """Whether a preemption was seen for which nothing was done.

        An earlier one of the same bid than the handled one counts as handled: a history that lags tells of it again.
        """
        return self.seen is not None and not self.seen.is_covered_by(self.handled)

    def without_raise(self) -> PolicyRecord:
        """Return it with the program's number in force again; what was handled stays handled."""
        return replace(self, base=None, raised=None)


NOTHING = PolicyRecord()


def read_record(props: Mapping[str, Any]) -> PolicyRecord:
    """Return what a state tells; what is absent or cannot be read tells nothing, so that nothing is done."""
    return PolicyRecord.parse(props.get(PREEMPTION)) or NOTHING


def write_record(record: PolicyRecord) -> dict[str, Any]:
    """Return the hidden property, where there is something to tell."""
    return {PREEMPTION: str(record)} if record != NOTHING else {}


def _read_sighting(text: str | None) -> Sighting | None:
    if text is None:
        return None
    bid_id, _, at = text.partition("@")
    sighting = Sighting.of(bid_id, at)
    if sighting is None or not bid_id:
        raise ValueError("not a sighting")
    return sighting


def _read_price(text: str | None) -> Decimal | None:
    return None if text is None else money.written(text)


# -- refresh -----------------------------------------------------------------------------------------------------------


def sighted(recorded: Mapping[str, Any], bid_id: str, waits: Answer, at: str | None) -> PolicyRecord:
    """Return the record after a refresh, which saw a bid wait after a preemption, or run, or could not find out.

    `at`: when it was preempted last; None where that is not told, which leaves the sighting as it was. Where the record
    cannot be read, what was done is not known: this preemption counts as handled, and the next one is acted upon.
    """
    record, is_unreadable = (
        read_record(recorded),
        PREEMPTION in recorded and not PolicyRecord.parse(recorded[PREEMPTION]),
    )
    is_lost = record.is_lost or is_unreadable
    if record.seen and record.seen.bid_id != bid_id:
        record = replace(record, seen=None)
    if waits is Answer.NO:
        return replace(record, seen=None, is_lost=False)
    seen = Sighting.of(bid_id, at) if waits is Answer.YES else None
    record = replace(record, seen=seen or record.seen)
    if not is_lost:
        return record
    return replace(record, handled=record.seen, is_lost=record.seen is None)


def with_wait(record: PolicyRecord, bid_id: str, waits: Answer, since: str | None) -> PolicyRecord:
    """Return the record with the wait that a refresh saw; one whose beginning is not told is none.

    Where it could not find out whether the bid waits, what it saw before stays.
    """
    if waits is Answer.NOT_KNOWN and record.waits and record.waits.bid_id == bid_id:
        return record
    return replace(record, waits=Sighting.of(bid_id, since) if waits is Answer.YES else None)


def with_unrecorded_raise(
    record: PolicyRecord, policy: str, limit: Decimal | None, recorded_price: Decimal | None, live_price: Decimal | None
) -> PolicyRecord:
    """Return the record, before a refresh, of a bid that does not wait any more, with a raise that it does not have.

    An `up` that was cut off can have raised it. So a price above the recorded one, within the limit, stands for what
    the policy did: to take it back would lose the machines. Somebody who set it by hand did what the policy does.
    """
    if record.seen is None or not record.is_unhandled or policy != "raise_bid":
        return record
    if limit is None or recorded_price is None or live_price is None or not recorded_price < live_price <= limit:
        return record
    base = record.base if record.raised else recorded_price
    return replace(record, handled=record.seen, action=Action.RAISE, base=base, raised=live_price)


# -- check -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decision:
    """What a check makes of a preemption."""

    price: Decimal
    """The bid that the inputs say: the program's number, or the raised one."""
    record: PolicyRecord
    action: Action = Action.NONE
    words: str = field(default="", compare=False)
    """What stands on the row; of FAIL the failure. Empty where there is nothing to tell."""


def standing(record: PolicyRecord, policy: str, limit: Decimal | None, program_price: Decimal) -> PolicyRecord:
    """Return the record with the raised bid as it stands: capped by its limit, or gone with the program's number."""
    if policy != "raise_bid" or limit is None or record.raised is None or record.base != program_price:
        return record.without_raise()
    return replace(record, raised=min(record.raised, limit)) if limit > program_price else record.without_raise()


def decide(
    record: PolicyRecord,
    policy: str,
    limit: Decimal | None,
    program_price: Decimal,
    market_price: Decimal | None,
    now: datetime | None,
    refusal: Callable[[Decimal], str] = lambda _: "",
    live_price: Decimal | None = None,
) -> Decision:
    """Decide what the policy does about the preemption that a refresh saw: at most once for each.

    `limit`: `raise_up_to_per_hour`; `market_price`: None where it is not known; `now`: the service's time, or None;
    `refusal` says why a bid is not raised so far, and is empty where it may be; `live_price`: what the bid is in the
    service, which somebody else can have set; None: as it stands.
    """
    record = standing(record, policy, limit, program_price)
    bid = record.raised or program_price
    nothing = Decision(bid, record)
    if record.seen is None or not record.is_unhandled:
        return nothing
    when = _describe_time(record.seen, now)
    if policy == "replace":
        return Decision(
            bid,
            replace(record, handled=record.seen, action=Action.REPLACE),
            Action.REPLACE,
            f"the bid is replaced: {when}, and on_preemption='replace'",
        )
    if policy == "fail":
        return replace(nothing, action=Action.FAIL, words=f"is 'fail', and the bid waits in the auction: {when}")
    if policy != "raise_bid" or limit is None:
        return nothing
    return _raise(nothing, limit, program_price, market_price, when, refusal, live_price or bid)


def _raise(
    standing: Decision,
    limit: Decimal,
    program_price: Decimal,
    market_price: Decimal | None,
    when: str,
    refusal: Callable[[Decimal], str],
    live_price: Decimal,
) -> Decision:
    bid, record = standing.price, standing.record
    if bid >= limit:
        market = "" if market_price is None else f", market {money.usd(market_price)}"
        words = f"the bid stays at {money.usd(bid)}, which raise_up_to_per_hour allows at most: {when}{market}"
        return replace(standing, words=words)
    if market_price is None:
        return replace(standing, words=f"the bid stays at {money.usd(bid)}: {when}, and the market is not known now")
    raised = raised_bid(bid, market_price, limit)
    market = f"{when}, market {money.usd(market_price)}"
    if raised <= bid:
        return replace(standing, words=f"the bid stays at {money.usd(bid)}, which is enough: {market}")
    if problem := refusal(raised):
        return replace(standing, words=f"the bid stays at {money.usd(bid)}, because {problem}: {market}")
    return Decision(
        raised,
        replace(record, handled=record.seen, action=Action.RAISE, base=program_price, raised=raised),
        Action.RAISE,
        f"the bid goes from {money.usd(live_price)} to {money.usd(raised)}: {market}",
    )


def raised_bid(bid: Decimal, market_price: Decimal, limit: Decimal) -> Decimal:
    """Return the new bid: a twentieth above the market, in whole cents, not under the bid and never above the limit."""
    above_market = (market_price * _ABOVE_MARKET).quantize(money.CENT, rounding=ROUND_UP)
    return min(limit, max(bid, above_market))


def _describe_time(seen: Sighting, now: datetime | None) -> str:
    minutes = minutes_since(seen.at, now)
    if minutes is None:
        return f"preempted at {seen.at}"
    if minutes == 0:
        return "preempted less than a minute ago"
    return f"preempted {minutes} minute{'' if minutes == 1 else 's'} ago"


# -- after check -------------------------------------------------------------------------------------------------------


def is_pending(recorded: PolicyRecord, wanted: PolicyRecord, action: Action) -> bool:
    """Whether the inputs want something done for a preemption that the outputs do not record as handled."""
    return wanted.action is action and wanted.handled is not None and wanted.handled != recorded.handled


def is_withdrawn(recorded: PolicyRecord, wanted: PolicyRecord) -> bool:
    """Whether the raise that the inputs say was not made: the update found that the bid runs again.

    A raise only ever goes up; a lower one in the inputs is a lower limit.
    """
    if wanted.raised is None or wanted.handled != recorded.handled:
        return False
    return recorded.raised is None or recorded.raised < wanted.raised


def withdrawn(recorded: PolicyRecord, wanted: PolicyRecord) -> PolicyRecord:
    """Return what is recorded where a raise is not made: the preemption is handled, and what stood before stands."""
    if recorded.base != wanted.base:  # the program's number is another one by now
        return wanted.without_raise()
    return replace(wanted, base=recorded.base, raised=recorded.raised)


def is_policy_alone(olds: Mapping[str, Any], news: Mapping[str, Any]) -> Answer:
    """Whether all that differs is what the policy does for a preemption that was not handled before.

    `olds`: the inputs of the state after a refresh; `news`: the inputs after check. YES also where values are masked in
    both: the check itself, which saw them, must have found nothing else. Not known where a value is unknown, or either
    record cannot be read.
    """
    if PREEMPTION not in news:
        return Answer.NO
    recorded, wanted = PolicyRecord.parse(olds.get(PREEMPTION)), PolicyRecord.parse(news[PREEMPTION])
    if recorded is None or wanted is None or any(has_unknown(value) for value in news.values()):
        return Answer.NOT_KNOWN
    is_raise, is_replacement = (is_pending(recorded, wanted, one) for one in (Action.RAISE, Action.REPLACE))
    is_the_seen = recorded.seen is not None and wanted.handled == recorded.seen
    if not (is_raise or is_replacement) or not is_the_seen or not wanted.is_alone:
        return Answer.NO
    differing = {one.name for one in changed(FIELDS, olds, news)}
    expected = {PRICE} if is_raise else set[str]()
    is_raised_price = not is_raise or money.known_price(news.get(PRICE)) == wanted.raised
    return Answer.of(differing == expected and is_raised_price and olds.get(MARK) == news.get(MARK))
