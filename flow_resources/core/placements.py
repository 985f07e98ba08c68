"""Placements to choose from: machine types and regions, each with a bid, of which one is settled by check and kept.

Pure: the inputs and the market in, a choice out. What the market does later moves nothing that is in use; only a list
that has it no more, a replacement, or a wait that lasted too long (`max_wait_minutes`) settles anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flow_resources.core import bid_policy, money
from flow_resources.core.answer import Answer
from flow_resources.core.bid_policy import BID_POLICY
from flow_resources.core.inputs import (
    Change,
    Checked,
    Field,
    Invalid,
    InvalidParts,
    Unknown,
    has_unknown,
    integer,
    one_of,
    show,
    string,
)
from flow_resources.core.market import Market, is_same_type, named, near, regions_offering
from flow_resources.core.placement_fields import bid, each_and_all, instance_type

if TYPE_CHECKING:
    from flow_resources.core.models import Offer

PLACEMENTS, CHOOSE, MAX_WAIT = "placements", "choose", "max_wait_minutes"
TYPE, REGION, PRICE = "instance_type", "region", "max_price_per_hour"
SETTLED = frozenset({TYPE, REGION, PRICE, BID_POLICY})
"""The inputs that are set to those of the placement that is used."""
MOST = 20
LONGEST_WAIT = 10_080
CHOICES = ("first", "cheapest")
_RULES: Mapping[str, Callable[[Any], Any]] = {
    TYPE: instance_type,
    REGION: string,
    PRICE: bid,
    BID_POLICY: bid_policy.bid_policy,
}
_REQUIRED = (TYPE, REGION)


def placements(value: Any) -> list[Any]:
    """From one to twenty placements, no two of the same machines in the same region."""
    if not isinstance(value, list) or not 1 <= len(value) <= MOST:
        raise Invalid(f"must be a list of 1 to {MOST} Placements", is_shown=not isinstance(value, list))
    return each_and_all(value, _placement, "Placement", _repeated)


def _placement(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid("must be a Placement, or a mapping with instance_type and region")
    keys = ", ".join(_RULES)
    bad = [Invalid("is not a key of a placement", f"it has {keys}", f".{key}") for key in value if key not in _RULES]
    normal = {key: part for key, rule in _RULES.items() if (part := _part(key, value.get(key), rule, bad)) is not None}
    if PRICE in normal and BID_POLICY in normal:
        bad.append(Invalid("cannot be set beside max_price_per_hour", "remove one of the two", f".{BID_POLICY}"))
    if bad:
        raise InvalidParts(bad)
    return normal


def _part(key: str, given: Any, rule: Callable[[Any], Any], bad: list[Invalid]) -> Any:
    """Return one part of a placement, checked; None for one that is left out, or breaks its rule."""
    if given is None and key in _REQUIRED:
        bad.append(Invalid("is required", at=f".{key}", is_shown=False))
    if given is None or isinstance(given, Unknown):
        return given
    try:
        return rule(given)
    except Invalid as invalid:
        bad.append(invalid.inside(f".{key}"))
    except InvalidParts as invalid_parts:
        bad += [one.inside(f".{key}") for one in invalid_parts.parts]
    return None


def _repeated(values: Sequence[Any]) -> Iterator[Invalid]:
    seen = set[Any]()
    for index, value in enumerate(values):
        place = (value.get(TYPE), value.get(REGION)) if isinstance(value, Mapping) else (None,)
        if not all(isinstance(part, str) for part in place):  # not known yet, or it breaks a rule of its own
            continue
        if place in seen:
            yield Invalid("is in the list twice", "write it once, with one bid", f"[{index}]")
        seen.add(place)


# fmt: off
FIELDS: tuple[Field, ...] = (
    Field(
        PLACEMENTS, "list of Placement", placements, Change.STATE, public=True,
        doc="Instead of `instance_type` and `region`: 1 to 20 placements to choose from, each with a machine type, a "
        "region and, where it has one of its own, a bid (`max_price_per_hour`). One that is on offer under its bid is "
        "chosen when the machines are placed, and kept, whatever the market does, as long as it is listed. A list that "
        "has it no more replaces. Placements outside the region of the volumes are left out.",
    ),
    Field(
        CHOOSE, "string", one_of(*CHOICES), Change.STATE,
        doc="Which of `placements` is chosen of those that are on offer under their bids: the `first`, or the "
        "`cheapest` now, per machine. Where none is, the first on offer, which waits in the auction. "
        "Default: `first`.",
    ),
)
WAIT_FIELDS: tuple[Field, ...] = (
    Field(
        MAX_WAIT, "integer", integer(1, LONGEST_WAIT), Change.STATE,
        doc="Of at least two `placements`: a number of minutes, 1 to 10,080. A bid that has been in the auction for so "
        "long, because it has not won or was preempted, ends, and one for the next placement that is on offer takes "
        "its place; with `choose='cheapest'` the cheapest of the others. A refresh sees since when it waits, and the "
        "`up` after it (`pulumi up --refresh`) acts; so does `flow-resources watch --heal`. Default: never.",
    ),
)
# fmt: on


# -- what a program says -----------------------------------------------------------------------------------------------


def check_placements(found: Checked) -> None:
    """Check what the placements need and exclude among the other inputs."""
    listed = found.inputs.get(PLACEMENTS)
    if listed is None and not found.has_failed(PLACEMENTS):
        for name in (CHOOSE, MAX_WAIT):
            if name in found.inputs:
                found.fail(name, "needs placements", found.inputs[name], "set them, or leave it out")
        return
    for name, remedy in (
        *((name, "remove it, or placements") for name in _REQUIRED),
        ("adopt_task_id", "set instance_type and region as the task has them; placements can follow when it is in use"),
    ):
        if name in found.inputs:
            found.fail(name, "cannot be set beside placements", found.inputs[name], remedy)
    if not isinstance(listed, list) or found.has_failed(PLACEMENTS):
        return
    if len(listed) == 1 and MAX_WAIT in found.inputs and not found.has_failed(MAX_WAIT):
        found.fail(MAX_WAIT, "needs at least two placements", found.inputs[MAX_WAIT], "add one, or leave it out")
    for index, one in enumerate(listed):
        if (
            not {PRICE, BID_POLICY} & found.inputs.keys()
            and isinstance(one, Mapping)
            and not {PRICE, BID_POLICY} & one.keys()
        ):
            found.fail(
                f"{PLACEMENTS}[{index}].{PRICE}",
                "is required where the resource has no max_price_per_hour",
                remedy="it is the bid, in USD per instance-hour",
            )


@dataclass(frozen=True)
class Candidate:
    """A placement that can be chosen."""

    index: int
    instance_type: str | None
    """None: only the coming `up` will know it."""
    region: str | None
    """None: only the coming `up` will know it."""
    bid: Decimal | None
    """Its own, else the resource's, in USD per instance-hour; of a policy the most that it can resolve to.

    None: only the coming `up` will know it, or the policy that decides it.
    """
    policy: str = ""
    """The policy that decides it, as messages call it; empty for a number."""

    @property
    def has_place(self) -> bool:
        """Whether machines and region are known."""
        return self.instance_type is not None and self.region is not None

    @property
    def is_known(self) -> bool:
        """Whether all of it is known."""
        return self.has_place and (self.bid is not None or bool(self.policy))

    @property
    def bid_in_words(self) -> str:
        """How messages call its bid: "$24.00/h", or "up to $40.00/h (uptime 0.97)"."""
        most = None if self.bid is None else f"{money.usd(self.bid)}/h"
        if not self.policy:
            return most or "a bid that is not known"
        return f"up to {most} ({self.policy})" if most else self.policy

    @property
    def place(self) -> tuple[str, str]:
        """The machines and the region, empty where not known."""
        return self.instance_type or "", self.region or ""

    def __str__(self) -> str:
        return f"{self.instance_type} in {self.region}"


def fill_bids(found: Checked) -> None:
    """Give each placement without a bid of its own that of the resource, so that the state tells what it would bid."""
    given = {name: found.inputs[name] for name in (BID_POLICY, PRICE) if name in found.inputs}
    bid_of_resource = dict([next(iter(given.items()))]) if given else {}
    found.inputs[PLACEMENTS] = [
        {**one, **bid_of_resource} if isinstance(one, Mapping) and not {PRICE, BID_POLICY} & one.keys() else one
        for one in found.inputs[PLACEMENTS]
    ]


def read_candidates(listed: Sequence[Any], market: Market | None) -> list[Candidate]:
    """Return the placements of the checked inputs. The catalogue tells what a price per GPU makes for a machine."""
    return [
        Candidate(index, _text(one.get(TYPE)), _text(one.get(REGION)), *_bid(one, market))
        if isinstance(one, Mapping)
        else Candidate(index, None, None, None)
        for index, one in enumerate(listed)
    ]


def _bid(one: Mapping[str, Any], market: Market | None) -> tuple[Decimal | None, str]:
    policy = one.get(BID_POLICY)
    if not isinstance(policy, Mapping) or has_unknown(policy):
        return money.known_price(one.get(PRICE)), ""
    parsed = bid_policy.parse(policy)
    if not isinstance(parsed, bid_policy.PerGpu):
        return parsed.cap, str(parsed)
    gpus = {type_.gpus for type_ in named(_text(one.get(TYPE)) or "", market.types)} if market else set()
    is_known = len(gpus) == 1 and 0 not in gpus
    return (parsed.resolve(gpus.pop()).price if is_known else None), str(parsed)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def check_listed(found: Checked, market: Market) -> None:
    """Fail for machines that are not in the catalogue, and for regions that the service does not have.

    Where some placements break a rule, the others are checked all the same: all failures are told at once.
    """
    for one in read_candidates(_sound_placements(found), market):
        path = f"{PLACEMENTS}[{one.index}]"
        if one.instance_type and not named(one.instance_type, market.types):
            known = sorted({type_.spelling for type_ in market.types})
            remedy = near(one.instance_type, known)
            found.fail(f"{path}.{TYPE}", "is not in the service's catalogue", one.instance_type, remedy)
        if one.region and market.regions and one.region not in market.regions:
            remedy = near(one.region, market.regions)
            found.fail(f"{path}.{REGION}", "is not a region of the service", one.region, remedy)


def _sound_placements(found: Checked) -> list[Any]:
    """Return the placements in their normal forms, with None in the place of each that breaks a rule."""
    listed = found.inputs.get(PLACEMENTS)
    return list(map(_sound, listed)) if isinstance(listed, list) else []


def _sound(value: Any) -> dict[str, Any] | None:
    try:
        return _placement(value)
    except (Invalid, InvalidParts):
        return None


def is_listed(inputs: Mapping[str, Any]) -> bool:
    """Whether machines, region and bid of checked inputs are those of one of their placements, in the same words.

    Of one with a policy, the number is what that was resolved to, which the policy limits.
    """
    listed = inputs.get(PLACEMENTS)
    places = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    compared = SETTLED - {PRICE} if BID_POLICY in inputs else SETTLED
    place = {name: inputs.get(name) for name in compared}
    return any({name: one.get(name) for name in compared} == place for one in places)


# -- which one is in use -----------------------------------------------------------------------------------------------


def find_in_use(
    candidates: Sequence[Candidate], instance_type: str, region: str, market: Market | None
) -> tuple[Answer, Candidate | None]:
    """Return whether what runs is one of the placements, and which; of NOT_KNOWN the first one that it may be.

    One in the same words comes before others of the same machines, which can have other bids.
    """
    doubtful: Candidate | None = None
    for one in sorted(candidates, key=lambda one: one.place != (instance_type, region)):
        answer = _is_in_use(one, instance_type, region, market)
        if answer is Answer.YES:
            return answer, one
        if answer is Answer.NOT_KNOWN:
            doubtful = doubtful or one
    return (Answer.NOT_KNOWN if doubtful else Answer.NO), doubtful


def _is_in_use(one: Candidate, instance_type: str, region: str, market: Market | None) -> Answer:
    if one.region not in (None, region):
        return Answer.NO
    if one.region is None or one.instance_type is None:
        return Answer.NOT_KNOWN
    if one.instance_type == instance_type:
        return Answer.YES
    return is_same_type(instance_type, one.instance_type, region, market) if market else Answer.NOT_KNOWN


# -- the choice --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """The placement that is chosen, and why."""

    candidate: Candidate
    words: str
    """What stands on the row."""


def choose(candidates: Sequence[Candidate], market: Market, how: str, left_out: Sequence[str] = ()) -> Choice | None:
    """Choose among placements that are known: the first, or the cheapest, that is on offer under its bid.

    Where none is under its bid, the first on offer; None where nothing is. A price that is not known is not under any
    bid. A service that tells of no offers at all refuses no placement, and so does this. `left_out`: what else the row
    says.
    """
    asks = {one.index: _Ask(one, market.offer(*one.place), is_listed=bool(market.offers)) for one in candidates}
    on_offer = [one for one in candidates if asks[one.index].is_on_offer]
    affordable = [one for one in on_offer if asks[one.index].is_under_bid]
    if not on_offer:
        return None
    chosen = (affordable or on_offer)[0]
    if affordable and how == "cheapest":
        chosen = min(affordable, key=lambda one: asks[one.index].price or 0)
    placed = f"placed as {chosen} at {chosen.bid_in_words}"
    is_first = bool(affordable) and how != "cheapest"
    passed = [one for one in candidates if one != chosen and (one.index < chosen.index or not is_first)]
    reasons = [*(str(asks[one.index]) for one in passed), *left_out]
    if not is_first:
        placed += ", the cheapest" if affordable else ", where it waits in the auction"
        reasons.insert(0, str(asks[chosen.index]))
    return Choice(chosen, f"{placed}: {'; '.join(reasons)}" if reasons else placed)


def next_placement(candidates: Sequence[Candidate], in_use: Candidate, market: Market, how: str) -> Candidate | None:
    """Return where a bid moves on to that has waited too long: the next on offer, or the cheapest of the others.

    None where no other machines are on offer.
    """
    others = [
        one
        for one in sorted(candidates, key=lambda one: (one.index <= in_use.index, one.index))
        if one.is_known and _is_elsewhere(one, in_use, market) and market.offer(*one.place)
    ]
    if how == "cheapest":
        prices = {one.index: offer.price for one in others if (offer := market.offer(*one.place))}
        return min(others, key=lambda one: (prices[one.index] is None, prices[one.index] or 0), default=None)
    return next(iter(others), None)


def _is_elsewhere(one: Candidate, in_use: Candidate, market: Market) -> bool:
    (instance_type, region), (other_type, other_region) = in_use.place, one.place
    return region != other_region or is_same_type(instance_type, other_type, region, market) is Answer.NO


@dataclass(frozen=True)
class _Ask:
    """What a placement asks now."""

    candidate: Candidate
    offer: Offer | None
    is_listed: bool
    """Whether the service tells of any offers."""

    @property
    def is_on_offer(self) -> bool:
        return self.offer is not None or not self.is_listed

    @property
    def price(self) -> Decimal | None:
        return self.offer.price if self.offer else None

    @property
    def is_under_bid(self) -> bool:
        return self.price is not None and self.candidate.bid is not None and self.price <= self.candidate.bid

    def __str__(self) -> str:
        if not self.is_on_offer:
            return f"{self.candidate} is not on offer"
        if self.price is None:
            return f"{self.candidate} has no price now"
        over = "" if self.is_under_bid else f", over its bid of {self.candidate.bid_in_words}"
        return f"{self.candidate} asks {money.usd(self.price)}/h{over}"


def where_on_offer(candidates: Sequence[Candidate], market: Market) -> str:
    """Return where the machines of the placements are on offer now, as the end of a sentence."""
    found = []
    for spelling in dict.fromkeys(one.instance_type for one in candidates if one.instance_type):
        regions = regions_offering(spelling, market)
        found.append(f"{spelling} is in {', '.join(regions)}" if regions else f"{spelling} is on offer nowhere now")
    return "; ".join(found)


def describe_move(in_use: Candidate, to: Candidate, minutes: int, limit: int) -> str:
    """Return what stands on the row of a bid that moves on."""
    return (
        f"moves on to {to} at {to.bid_in_words}: as {in_use} it has waited {minutes} minutes in the auction, and "
        f"max_wait_minutes is {show(limit)}"
    )
