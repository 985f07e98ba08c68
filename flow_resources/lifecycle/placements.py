"""Settles which of its placements a resource uses: chosen when it is placed, kept from then on, told on its row.

The chosen machines, region and bid go into the inputs as if the program had written them. What is in use and still
listed stays: only a replacement chooses anew, and a wait in the auction that has lasted too long. What is not known
replaces nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flow_resources.core import money, placements
from flow_resources.core.answer import Answer
from flow_resources.core.bid_policy import BID_POLICY
from flow_resources.core.inputs import UNKNOWN, Checked, changed
from flow_resources.core.market import Market, has_unknown_volume, region_of_mount
from flow_resources.core.models import WAITING
from flow_resources.core.moments import minutes_since
from flow_resources.core.naming import Mark
from flow_resources.core.placement_fields import SETUP, is_unchanged
from flow_resources.core.placements import CHOOSE, MAX_WAIT, PLACEMENTS, PRICE, REGION, TYPE, Candidate, Choice
from flow_resources.core.preemption import read_record, write_record
from flow_resources.lifecycle.bid_price import AnyBidKind, settle_bid
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.spelling import live_bid

_MOUNTS = [one for one in SETUP if one.name == "volumes"]


@dataclass(frozen=True)
class Settled:
    """The placement that a resource uses, and those that it can move to."""

    in_use: Candidate
    candidates: Sequence[Candidate]
    how: str
    """How one is chosen: first or cheapest."""
    key: str
    """What the checks of one operation share a choice under."""


def settle_placement(
    op: Operation, found: Checked, olds: Mapping[str, Any], market: Market | None, mark: Mark
) -> Settled | None:
    """Set instance_type, region and bid to those of the placement that is used; None where there is none to move from.

    What is in use stays as long as it is listed, and where that is not known. Else one is chosen, the same by both
    checks of a replacement. Where none can be, all three are unknown: the `up` settles them.
    """
    if op.ignores("*") and TYPE in found.inputs and REGION in found.inputs:
        return None  # the engine passes the recorded inputs in the place of the program's
    is_ignored = PLACEMENTS in found.inputs and _drop_ignored(op, found)
    placements.check_placements(found)
    has_failed = any(map(found.has_failed, (PLACEMENTS, TYPE, REGION)))
    if PLACEMENTS not in found.inputs and not found.has_failed(PLACEMENTS):
        return None
    if has_failed or not isinstance(found.inputs[PLACEMENTS], list):
        if market:
            placements.check_listed(found, market)
        _leave_open(found)
        return None
    placements.fill_bids(found)
    return _Settlement(op, found, olds, market, mark).settle(is_ignored=is_ignored)


def _drop_ignored(op: Operation, found: Checked) -> bool:
    """Remove type and region where they stand there because the program ignores their changes; return whether it does.

    The engine puts the recorded ones in the place of the program's, which has none.
    """
    ignored = [name for name in (TYPE, REGION) if op.ignores(name)]
    for name in ignored:
        found.inputs.pop(name, None)
    return bool(ignored)


def _leave_open(found: Checked) -> None:
    """Leave it to the `up`."""
    for name in (TYPE, REGION):
        found.inputs.setdefault(name, UNKNOWN)
    listed = found.inputs.get(PLACEMENTS)
    own = {name: found.inputs[name] for name in (PRICE, BID_POLICY) if name in found.inputs}
    bids = [_bid_of(one) for one in listed] if isinstance(listed, list) else []
    if not own or any(bid != own for bid in bids):
        found.inputs.pop(BID_POLICY, None)
        found.inputs[PRICE] = UNKNOWN


def _bid_of(listed: Any) -> dict[str, Any]:
    """Return the bid of a placement as the inputs of a resource."""
    return {name: listed[name] for name in (PRICE, BID_POLICY) if name in listed} if isinstance(listed, Mapping) else {}


class _Settlement:
    """The settlement of one check."""

    def __init__(
        self, op: Operation, found: Checked, olds: Mapping[str, Any], market: Market | None, mark: Mark
    ) -> None:
        self._op, self._found, self._olds, self._market, self._mark = op, found, olds, market, mark
        self._listed = found.inputs[PLACEMENTS]
        self._how = str(found.known(CHOOSE) or "first")
        self._candidates = placements.read_candidates(self._listed, market)
        # Without the bids: with ignore_changes the check of the old bid is told another one than that of the new.
        places = [one.place for one in self._candidates]
        self._key = f"the placement of {op.urn} by {self._how} among {places!r}"
        mounts = found.inputs.get("volumes") or []
        self._mounts = mounts if isinstance(mounts, list) else [mounts]
        self._volume_regions = {region for mount in self._mounts if (region := region_of_mount(mount, market))}
        self._allowed = [one for one in self._candidates if self._is_beside_volumes(one)]

    def settle(self, *, is_ignored: bool) -> Settled | None:
        """Keep what is in use, or choose. `is_ignored`: the program ignores changes of the machines or the region."""
        if not self._olds:
            return self._choose()
        place = self._find_place()
        if place is None:
            return None
        is_moved = any(changed(_MOUNTS, self._olds, self._found.inputs))  # a cluster goes with its volumes
        answer, one = placements.find_in_use(self._allowed if is_moved else self._candidates, *place, self._market)
        if answer is Answer.YES and one:
            return self._use(one, *place)
        if is_ignored or self._must_stay(answer, one, place):
            _put(self._found, *place, _recorded_bid(self._olds))
            return None
        return self._choose()

    def _is_beside_volumes(self, one: Candidate) -> bool:
        return not self._volume_regions or one.region is None or one.region in self._volume_regions

    # -- what is in use -----------------------------------------------------------------------------------------------

    def _find_place(self) -> tuple[str, str] | None:
        """Return the machines and the region that the state records; where it has lost one, as the live bid has them.

        Of a bid that is not one of the placements, or not known, it is a failure: it could be taken for a new choice.
        """
        recorded_type, recorded_region = self._olds.get(TYPE), self._olds.get(REGION)
        if recorded_type and recorded_region:
            return str(recorded_type), str(recorded_region)
        bid = None
        with self._op.collecting_failures(self._found):
            bid = live_bid(self._op, self._mark)
        if bid and bid.instance_type and bid.region:
            answer, one = placements.find_in_use(self._candidates, bid.instance_type, bid.region, self._market)
            if answer is Answer.YES and one:
                return str(recorded_type or one.instance_type), str(recorded_region or one.region)
        self._found.fail(
            PLACEMENTS,
            "cannot be settled: the state does not record which one is in use, and that could not be found out",
            remedy="for one `up`, set instance_type and region instead, as the machines have them",
        )
        _leave_open(self._found)
        return None

    def _must_stay(self, answer: Answer, one: Candidate | None, place: tuple[str, str]) -> bool:
        """Whether what is in use stays because a fact is missing: whether it is listed, or what else is on offer."""
        if answer is Answer.NOT_KNOWN and one and one.has_place:
            why = f"whether the placement {one} is what is in use could not be found out"
        elif answer is Answer.NO and self._market is None:
            why = "what is in use is not among placements, and what is on offer could not be found out"
        else:
            return False
        self._op.warn_once(
            f"{why}, so nothing is replaced: it stays {place[0]} in {place[1]}; if it is to be: "
            "`pulumi up --target-replace` with the URN"
        )
        return True

    # -- the choice ---------------------------------------------------------------------------------------------------

    def _choose(self) -> Settled | None:
        market, found = self._market, self._found
        if market is None:
            return self._choose_without_market()
        if self._is_new():
            placements.check_listed(found, market)
        where = ", ".join(sorted(self._volume_regions))
        if not self._allowed:
            found.fail(PLACEMENTS, f"has none in {where}, where the volumes are", remedy="add one")
        if found.has_failed(PLACEMENTS):
            _leave_open(found)
            return None
        if not all(one.is_known for one in self._allowed) or self._may_depend_on_volumes():
            self._op.report.progress("its placement is settled by `up`: it depends on what is not known yet")
            _leave_open(found)
            return None
        left_out = [
            f"{one} is left out, because the volumes are in {where}"
            for one in self._candidates
            if one not in self._allowed
        ]
        choice = self._left_by_earlier() or placements.choose(self._allowed, market, self._how, left_out)
        choice = _share(self._op, self._key, choice)
        if choice is None:
            remedy = placements.where_on_offer(self._allowed, market)
            found.fail(PLACEMENTS, "has none that is on offer now", remedy=remedy)
            _leave_open(found)
            return None
        _tell(self._op, choice)
        return self._use(choice.candidate, *choice.candidate.place)

    def _left_by_earlier(self) -> Choice | None:
        """Return the placement of a bid with machines that an `up` left whose answer was lost: this one takes it over.

        Another choice, because the market has moved since, would end it. One that waits has nothing to lose.
        """
        if self._op.own_record.exists is not Answer.NO:
            return None
        bid = None
        with self._op.collecting_failures(self._found):
            bid = live_bid(self._op, self._mark)
        if bid is None or bid.status == WAITING or not bid.instance_type or not bid.region:
            return None
        answer, one = placements.find_in_use(self._allowed, bid.instance_type, bid.region, self._market)
        if answer is not Answer.YES or one is None:
            return None
        return Choice(one, f"placed as {one} at {one.bid_in_words}: {bid.name} ({bid.id}) is there already")

    def _is_new(self) -> bool:
        """Whether the program says something new, and does not only replace."""
        if self._olds:
            return bool(self._olds.get(PLACEMENTS) != self._listed)
        return self._op.own_record.exists is not Answer.YES

    def _may_depend_on_volumes(self) -> bool:
        is_open = not self._volume_regions and any(map(has_unknown_volume, self._mounts))
        return is_open and len({one.region for one in self._allowed}) > 1

    def _choose_without_market(self) -> Settled | None:
        """Let a replacement stay where it was; what is new is settled by the `up`."""
        own = self._op.own_record
        beside = [one for one in self._allowed if one.is_known and one.region == own.region]
        if own.exists is Answer.YES and beside:
            same = [one for one in beside if one.instance_type == own.instance_type]
            chosen = (same or beside)[0]
            return self._use(chosen, *chosen.place)
        self._op.warn_once(
            "its placement is not settled, because what is on offer is not known now: an `up` stops here as long as "
            "that is so, and ends nothing"
        )
        _leave_open(self._found)
        return None

    def _use(self, one: Candidate, instance_type: str, region: str) -> Settled:
        """Put a placement into the inputs; the spelling of what is in use stays."""
        bid = _bid_of(self._listed[one.index])
        if self._olds and self._op.ignores(PRICE):  # it stays, and with it the policy that it is of
            bid = _bid_of(self._olds) if BID_POLICY in self._olds else {}
        _put(self._found, instance_type, region, bid)
        return Settled(
            replace(one, instance_type=instance_type, region=region), self._allowed, self._how, self._key
        )  # fmt: skip


def _recorded_bid(olds: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bid of the recorded inputs; of one that was raised, the number that it was raised from."""
    record, bid = read_record(olds), _bid_of(olds)
    if BID_POLICY not in bid and record.base and record.raised == money.known_price(bid.get(PRICE)):
        bid[PRICE] = float(record.base)
    return bid


def _put(found: Checked, instance_type: str, region: str, bid: Mapping[str, Any]) -> None:
    """Put machines, region and bid into the inputs; without a bid, what stands there stays."""
    found.inputs |= {TYPE: instance_type, REGION: region}
    if bid:
        for name in (PRICE, BID_POLICY):
            found.inputs.pop(name, None)
        found.inputs |= bid


def _share(op: Operation, key: str, choice: Choice | None) -> Choice | None:
    """Return the choice of the first check of a resource in this operation."""
    return op.deployment.once(key, lambda: choice) if op.urn and choice else choice


def _tell(op: Operation, choice: Choice) -> None:
    if op.deployment.is_first_warning(op.urn or "", choice.words):  # check runs twice for a replacement
        op.report.progress(choice.words, keep=True)


# -- a wait that lasts too long ----------------------------------------------------------------------------------------


def move_on(
    op: Operation,
    kind: AnyBidKind,
    found: Checked,
    olds: Mapping[str, Any],
    market: Market | None,
    settled: Settled | None,
) -> None:
    """Let a bid that has waited in the auction for longer than `max_wait_minutes` move on to another placement.

    Decided from the wait that a refresh saw. Nothing is done for a bid that the program replaces or pauses, nor where
    the beginning of the wait, the service's time or the market is not known; nor where changes of the placement are
    ignored, because the engine tells this check the recorded placements, and that of the new bid the program's.
    """
    limit, record = found.known(MAX_WAIT), read_record(olds)
    if market is None or limit is None or record.waits is None or not op.urn:
        return
    minutes = minutes_since(record.waits.at, op.cloud.service_now())
    if minutes is None or minutes < limit or found.inputs.get("paused") is not False:
        return
    if not is_unchanged(kind.fields, found, olds):
        return
    if any(map(op.ignores, (TYPE, REGION, PLACEMENTS, CHOOSE))):
        said = f"it has waited {minutes} minutes in the auction, and stays: ignore_changes keeps its placement"
        op.report.progress(said, keep=True)
        return
    if settled is None:
        return
    to = placements.next_placement(settled.candidates, settled.in_use, market, settled.how)
    if to is None:
        op.report.progress(
            f"it has waited {minutes} minutes in the auction as {settled.in_use}, and stays: no other of its "
            "placements is on offer",
            keep=True,
        )
        return
    choice = Choice(to, placements.describe_move(settled.in_use, to, minutes, limit))
    op.deployment.once(settled.key, lambda: choice)
    _tell(op, choice)
    _put(found, *to.place, _bid_of(found.inputs[PLACEMENTS][to.index]))
    settle_bid(op, kind, found, olds, market)
    found.hidden |= write_record(replace(record, moved=record.waits))
