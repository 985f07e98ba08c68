"""The bid behind a resource: placed, brought to what the program says, waited for, cancelled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from flow_resources.cloud import Boot, Cloud, Launch, Placed
from flow_resources.core import money, naming
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import Record
from flow_resources.core.market import NO_INTERFACE, Market
from flow_resources.core.models import Bid, Offer
from flow_resources.core.spec import PlacementSpec
from flow_resources.core.status import ClusterSnapshot
from flow_resources.errors import (
    FlowResourcesError,
    NotReadyError,
    OwnershipError,
    RejectedError,
    TerminatedError,
)
from flow_resources.lifecycle.holders import describe_holders
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.resource import Update, Words

UNREADY_SECONDS = 10.0
"""How old an answer may be that is recorded for a bid that is not ready."""
_FIRST_LOSS = 60.0
"""No bid loses its instances sooner, in seconds: auctions are minutes apart, and a loss has a notice of minutes."""
_AWAITED = frozenset({"paused", "wait_for"})
"""The inputs whose change is waited for. A price alone is set, and the auction takes its course."""


@dataclass(frozen=True)
class FreeName:
    """A name that no bid ever had, and what had the one before it."""

    name: str
    generation: int
    before: tuple[Bid, ...] = ()
    """The bids of the generation before, if it was looked at."""


def place(op: Operation, spec: PlacementSpec, words: Words, generation: int) -> Placed:
    """Place a bid under a name that was never used."""
    return send(op, prepare(op, spec, find_free_name(op, spec, words, generation).name))


def prepare(op: Operation, spec: PlacementSpec, name: str) -> Launch:
    """Return what is needed to place a bid, once nothing holds its block volumes any more."""
    _wait_for_block_volumes(op, spec)
    return _launch(op, name, spec)


def send(op: Operation, launch: Launch) -> Placed:
    """Place a bid."""
    placed = op.cloud.place(launch)
    for key in placed.new_keys:
        op.report.progress(f"the Flow SDK made the platform SSH key {key.name!r}; its private half is {key}", keep=True)
    return placed


def _wait_for_block_volumes(op: Operation, spec: PlacementSpec) -> None:
    """Wait until nothing holds the block volumes: the service releases one some time after its bid has ended.

    Raises NotReadyError at the limit, saying what holds them; nothing is placed then.
    """
    if not spec.volumes:
        return
    market, held = op.cloud.market(volumes=True), ""
    for mount in spec.volumes:
        volume = market.volumes.get(mount.volume_id)
        if volume and volume.interface is None:
            raise RejectedError(f"nothing was placed: {volume.id} {NO_INTERFACE}", "run the same command again")
    block = {mount.volume_id for mount in spec.volumes if market.interface(mount.volume_id) == "block"}
    holding = {bid: id_ for id_ in sorted(block) for bid in market.volumes[id_].bids or ()}
    if not holding:
        return
    for bid_id, id_ in holding.items():
        if op.ledger.is_recorded(bid_id, spec.mark) is Answer.YES:
            raise RejectedError(
                f"nothing was placed: the block volume {id_} attaches to one machine, that of {bid_id}, which this "
                "replacement ends only afterwards",
                "leave delete_before_replace=False out, or make a volume with interface='file'",
            )
    for volumes in op.deadline.watch(op.cloud.volumes):
        holders = {volume.id: volume.bids for volume in volumes if volume.id in block and volume.bids}
        if not holders:
            return
        described = (f"{id_} by {describe_holders(op, bids, own=spec.mark)}" for id_, bids in holders.items())
        held = f"a block volume attaches to one machine, and is held: {', '.join(described)}"
        op.report.progress(f"waiting: {held}")
    raise NotReadyError(f"nothing was placed: {held}", "end what holds it, then run the same command again")


def find_free_name(op: Operation, spec: PlacementSpec, words: Words, generation: int) -> FreeName:
    """Find a name that no bid ever had, from this generation on. Raises OwnershipError where a stranger has it now."""
    name_of, looked_at = _names(op, spec), dict[int, tuple[Bid, ...]]()

    def is_used(generation: int) -> bool:
        looked_at[generation] = tuple(op.cloud.bids_named(name_of(generation)))
        for bid in (namesakes := looked_at[generation]):
            if not bid.ended and op.ledger.is_recorded(bid.id, spec.mark) is not Answer.YES:
                raise OwnershipError(
                    f"the bid {bid.id} has the name {bid.name!r} already and is not ours",
                    words.conflict_remedy.format(id=bid.id),
                )
        return bool(namesakes)

    unused = _first_unused(generation, is_used)
    return FreeName(name_of(unused), unused, looked_at.get(unused - 1, ()))


def find_last_named(op: Operation, spec: PlacementSpec) -> tuple[Bid, ...]:
    """Return the bids that had the last name of a specification, live or ended; none where it had none."""
    name_of, looked_at = _names(op, spec), dict[int, tuple[Bid, ...]]()

    def is_used(generation: int) -> bool:
        looked_at[generation] = tuple(op.cloud.bids_named(name_of(generation)))
        return bool(looked_at[generation])

    return looked_at.get(_first_unused(1, is_used) - 1, ())


def _names(op: Operation, spec: PlacementSpec) -> Callable[[int], str]:
    """Return the names of a specification's bids, by generation."""
    prefix = spec.name_prefix or naming.fit(naming.logical_name(op.urn or "cluster"))
    digest = spec.digest(op.settings.api_key)
    return lambda generation: naming.compose(prefix, spec.mark, digest, generation)


def _first_unused(generation: int, is_used: Callable[[int], bool]) -> int:
    """Return the first generation that is not used, in a number of questions that grows with its logarithm.

    Where unused ones lie between used ones it can be a later one, never one that is used.
    """
    last_used, step = generation - 1, 1
    while is_used(last_used + step):
        last_used, step = last_used + step, 2 * step
    unused = last_used + step
    while unused - last_used > 1:
        middle = (last_used + unused) // 2
        last_used, unused = (middle, unused) if is_used(middle) else (last_used, middle)
    return unused


def _launch(op: Operation, name: str, spec: PlacementSpec) -> Launch:
    market, offer = find_offer(op, spec)
    going = offer.price if op.settings.shows_market() else None
    op.report.progress(f"placing: {describe_bid(spec.max_price_per_hour, spec.num_instances, spec.region, going)}")
    return launch_of(name, naming.sending(op.cloud.project().id, name), spec, offer, market, find_key_ids(op, spec))


def find_offer(op: Operation, spec: PlacementSpec) -> tuple[Market, Offer]:
    """Return the market, and what it offers for a bid. Raises RejectedError where that is nothing."""
    market = op.cloud.market(volumes=bool(spec.volumes))
    offer = market.offer(spec.instance_type, spec.region or "")
    if offer is None:
        raise RejectedError(
            f"{spec.instance_type} is not on offer in {spec.region} now", "choose another region or instance type"
        )
    return market, offer


def find_key_ids(op: Operation, spec: PlacementSpec) -> tuple[str, ...]:
    """Return the ids of the keys that the program names, each once. Raises RejectedError where one is none."""
    ids = op.cloud.ssh_keys() if spec.ssh_keys else {}
    if missing := [key for key in spec.ssh_keys if key not in ids]:
        raise RejectedError(
            f"{', '.join(missing)} is not a platform SSH key of the project any more", "`flow ssh-key list` shows them"
        )
    return tuple(dict.fromkeys(ids[key] for key in spec.ssh_keys))


def launch_of(
    name: str, key: str, spec: PlacementSpec, offer: Offer, market: Market, ssh_keys: tuple[str, ...] = ()
) -> Launch:
    """Return what the SDK needs for a bid."""
    command = spec.launch_command
    return Launch(
        name=name,
        key=key,
        instance_type=offer.instance_type,
        num_instances=spec.num_instances,
        price=spec.max_price_per_hour,
        region=spec.region or "",
        command=command if isinstance(command, str) else list(command),
        image=spec.image,
        env=spec.env,
        ports=spec.ports,
        volumes=tuple((mount.volume_id, mount.path, market.interface(mount.volume_id)) for mount in spec.volumes),
        ssh_keys=ssh_keys,
        boot=_boot(spec),
    )


def _boot(spec: PlacementSpec) -> Boot | None:
    """Return how the command runs at every boot; None where it does not."""
    return Boot(spec.restart, spec.preemption_signal) if spec.runs_at_every_boot else None


def converge(
    op: Operation, seen: ClusterSnapshot, spec: PlacementSpec, record: Record, update: Update | None
) -> ClusterSnapshot:
    """Set price and pause, as far as the update carries them out and they differ, then wait as `wait_for` asks.

    A create, whose `update` is None, carries out both.
    """
    bid, is_paused, is_just_read = seen.bid, seen.bid.status == "Paused", update is None
    sets_price = update is None or "max_price_per_hour" in update.inputs
    if is_repriced := sets_price and bid.price != spec.max_price_per_hour:
        changed, is_just_read = op.cloud.set_price(bid.id, spec.max_price_per_hour), False
    if (update is None or "paused" in update.inputs) and is_paused != spec.paused:
        op.cloud.set_paused(bid.id, paused=spec.paused)
        is_paused, is_just_read = spec.paused, False
    if not (update is None or update.is_resumed or update.inputs & _AWAITED):
        seen = _with_change(op, seen, changed) if is_repriced else seen
        return with_history(op.cloud, seen, record)
    if is_paused != spec.paused:  # somebody else's doing, which this update leaves as it is
        state = "paused" if is_paused else "not paused"
        op.report.progress(
            f"{state}, though the program does not say so, and not waited for: `pulumi up --refresh` shows it",
            keep=True,
        )
        seen = _poll(op.cloud, bid, op.clock.now())
    else:
        seen = _wait(op, bid, spec, is_just_read=is_just_read)
    return with_history(op.cloud, seen, record)


def _with_change(op: Operation, seen: ClusterSnapshot, changed: Bid | None) -> ClusterSnapshot:
    """Return a bid after its change; its instances are read anew only where it has others."""
    if changed is None:
        return _poll(op.cloud, seen.bid, op.clock.now())
    if (changed.status, changed.instances) == (seen.bid.status, seen.bid.instances):
        return replace(seen, bid=changed)
    return op.cloud.observe_new(changed)


def _wait(op: Operation, bid: Bid, spec: PlacementSpec, *, is_just_read: bool) -> ClusterSnapshot:
    """Wait as `wait_for` asks. Of a bid that was just read, the first poll asks for the instances alone."""
    seen: ClusterSnapshot | None = None
    just_read = [bid] if is_just_read else []

    def poll(moment: float) -> ClusterSnapshot:
        return op.cloud.observe_new(just_read.pop()) if just_read else _poll(op.cloud, bid, moment)

    never_preempted, first = op.ledger.is_placed_here(bid.id), list[str]()
    for seen in op.deadline.watch(poll, op.cloud.waiting_for([bid.id])):
        instances = [instance.id for instance in seen.present]
        first = first or instances
        never_preempted = never_preempted and instances == first and op.deadline.spent < _FIRST_LOSS
        if seen.status == "paused" if spec.paused else seen.reached(spec.wait_for):
            op.report.progress(seen.message if spec.paused else f"{seen.message}, max {money.usd(spec.max_cost)}/h")
            return replace(seen, known_preemptions=0) if never_preempted else seen
        in_auction = seen.status in ("pending", "preempted")
        op.report.progress(f"{seen.message}: {op.deadline.minute()}" if in_auction else seen.message)
    raise NotReadyError(
        _describe_unready(op.cloud, bid, seen, spec), "raise the bid or wait; run `pulumi up` again to go on"
    )


def _poll(cloud: Cloud, bid: Bid, moment: float) -> ClusterSnapshot:
    seen = cloud.observe_while_waiting(bid.id, moment)
    if seen is None or seen.bid.ended:
        raise TerminatedError(
            f"the bid {bid.id} ended while it was waited for", "`pulumi up --refresh` places a new one"
        )
    return seen


def with_history(cloud: Cloud, seen: ClusterSnapshot, record: Record) -> ClusterSnapshot:
    """Add how often it was preempted; its history is asked for only where it can have gone on since the record."""
    if seen.known_preemptions is not None:
        return seen
    recorded = record.outputs or {}
    if "preemptions" in recorded and seen.is_same_run_as(recorded):
        return replace(seen, known_preemptions=int(recorded["preemptions"]))
    events = cloud.events(seen.bid.id)
    if events is None:
        return seen
    preempted_at = [event.at for event in events if event.type == "Preempted"] or [None]
    return replace(seen, history=tuple(event.type for event in events), last_preempted_at=preempted_at[-1])


def _describe_unready(cloud: Cloud, bid: Bid, seen: ClusterSnapshot | None, spec: PlacementSpec) -> str:
    running, quantity = seen.up if seen else 0, "?" if bid.quantity is None else bid.quantity
    market = ""
    with contextlib.suppress(FlowResourcesError):  # without the market the message is still useful
        offer = cloud.market().offer(spec.instance_type, bid.region or "")
        market = f", market {money.usd(offer.price)}" if offer and offer.price else ""
    return f"{running}/{quantity} machines running, bid {money.usd(spec.max_price_per_hour)}{market}"


def cancel(op: Operation, bid_id: str, *, is_seen: bool = True) -> None:
    """Cancel a bid and see it ended.

    `is_seen`: False where the service answers 404 for it and no listing shows it; a 404 to the request then ends it.
    """
    is_known = op.cloud.cancel(bid_id)
    if not (is_known or is_seen):
        return

    def look(moment: float) -> Bid | None:
        nonlocal is_known
        bid = op.cloud.find_bid(bid_id, moment)
        if bid and not bid.ended and not is_known:
            is_known = op.cloud.cancel(bid_id)  # a 404 for what is live has cancelled nothing
        return bid

    for now in op.deadline.watch(look):
        if now is None or now.ended:
            return
        op.report.progress(f"ending: the service still calls it {now.status}")
    raise NotReadyError(f"the bid {bid_id} was cancelled but is not ended yet", "run the same command again to go on")


def warn_of_detached(op: Operation, seen: ClusterSnapshot, record: Record) -> None:
    """Warn of volumes that the state records and the bid does not have."""
    mounts = (record.outputs or {}).get("volumes") or []
    mounted = {str(mount.get("volume_id")) for mount in mounts}
    attached = mounted if seen.bid.volumes is None else set(seen.bid.volumes)
    for detached in sorted(mounted - attached):
        op.warn_once(
            f"the volume {detached} is not attached to {seen.bid.id} any more; nothing is replaced because of that"
        )


def describe_bid(price: Decimal, instances: int, region: str | None, market: Decimal | None = None) -> str:
    """Return what is bid, what it can cost at most, and what the market asks (USD per hour)."""
    where = f" in {region}" if region else ""
    going = f", market {money.usd(market)}/h" if market is not None else ""
    return f"bid {money.usd(price)}/h x {instances} (max {money.usd(price * instances)}/h){where}{going}"
