"""Reading what runs, for `adopt`: the live bids and volumes of the project, and what of them some stack has already.

As in `looking` the service is asked first, and Pulumi after it: what an `up` makes and records in between is that
stack's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flow_resources.cli.adopt_program import Account, Adoption, LeftOut, Task, adoption
from flow_resources.cli.stacks import SelectedStack
from flow_resources.cli.sweep_find import guard
from flow_resources.cloud import Cloud
from flow_resources.core.models import Bid, StoredVolume
from flow_resources.core.naming import take_apart
from flow_resources.core.stack_state import StackState, recorded_by
from flow_resources.errors import AccountMismatchError, NotFoundError, OwnershipError, RejectedError, TerminatedError
from flow_resources.lifecycle.operation import Operation

MARKED = "its name carries a mark of this package: another stack has it, or a crash left it; --all prints it"


def read(op: Operation, stack: SelectedStack | None, wanted: Sequence[str], *, everything: bool) -> Adoption:
    """Return the program for what lives, or for the wanted ids alone.

    Raises an error that names the first wanted id that cannot be adopted, and AccountMismatchError where the stack's
    state records another service or project than the settings point at.
    """
    cloud = op.cloud
    live = _Live.of(op)
    for id_ in wanted:
        _refuse_unknown(cloud, live, id_)
    states = _states(cloud, stack)
    chosen, left_out = list[str](), list[LeftOut]()
    for one in live.all:
        if wanted and one.id not in wanted:
            continue
        if why := _why_not(one, states, everything=everything or bool(wanted)):
            if wanted:
                raise OwnershipError(f"{one.id} is not printed: {why}", "`pulumi state delete` it there first")
            left_out.append(LeftOut(one.id, one.name, why))
        else:
            chosen.append(one.id)
    return _written(cloud, live, chosen, left_out)


@dataclass(frozen=True)
class _Live:
    """What is live in the project, by id."""

    moment: float
    bids: Mapping[str, Bid]
    volumes: Mapping[str, StoredVolume]

    @classmethod
    def of(cls, op: Operation) -> _Live:
        moment = op.clock.now()
        volumes = {volume.id: volume for volume in op.cloud.volumes(moment)}
        return cls(moment, op.cloud.live_bids(moment), volumes)

    @property
    def all(self) -> list[Bid | StoredVolume]:
        return [*self.volumes.values(), *self.bids.values()]


def _refuse_unknown(cloud: Cloud, live: _Live, id_: str) -> None:
    if id_ in live.bids or id_ in live.volumes:
        return
    project = cloud.project()
    if id_.startswith("vol_"):
        raise NotFoundError(f"there is no volume {id_} in project {project.name}", "`flow volume list` shows them")
    if not id_.startswith("bid_"):
        raise RejectedError(f"{id_} is the id of no task and of no volume", "they are like bid_... and vol_...")
    bid = cloud.bid(id_)
    if bid is None:
        raise NotFoundError(f"there is no task {id_} in project {project.name}", "`flow status` shows them")
    if bid.ended:
        raise TerminatedError(f"the bid {id_} has ended", "there is nothing left to adopt: take the id out")
    if bid.project != project.id:
        raise AccountMismatchError(
            f"the bid {id_} is in project {bid.project}, but the settings point at {project.name} ({project.id})",
            "set flow:project or MITHRIL_PROJECT to its project",
        )
    raise RejectedError(f"the service calls the bid {id_} {bid.status!r} and does not list it", "run it again")


def _states(cloud: Cloud, stack: SelectedStack | None) -> dict[str, StackState]:
    """Return what the states of all stacks of the backend record, by name; nothing outside a Pulumi project."""
    if stack is None:
        return {}
    own = stack.records()
    guard(cloud, own)
    return {stack.name: own, **stack.beside()}


def _why_not(one: Bid | StoredVolume, states: Mapping[str, StackState], *, everything: bool) -> str:
    """Say why something is not printed; empty where it is."""
    if stack := recorded_by(states, one):
        return f"recorded by {stack}"
    return MARKED if take_apart(one.name) and not everything else ""


def _written(cloud: Cloud, live: _Live, chosen: Sequence[str], left_out: Sequence[LeftOut]) -> Adoption:
    tasks, bids = list[Task](), [live.bids[id_] for id_ in chosen if id_ in live.bids]
    for bid in bids:
        seen = cloud.observe(bid.id, live.moment)
        if seen is not None and not seen.bid.ended:
            tasks.append(Task(seen.bid, seen.status, cloud.mount_paths(bid.id) if bid.volumes else {}))
    account = Account(
        cloud.market().types if bids else (),
        _key_names(cloud) if any(bid.ssh_keys for bid in bids) else {},
        frozenset(live.volumes),
    )
    return adoption(tasks, [live.volumes[id_] for id_ in chosen if id_ in live.volumes], account, left_out)


def _key_names(cloud: Cloud) -> dict[str, str]:
    """Return what a program calls each key, by id: its name, where it has one and no other key has it."""
    keys = cloud.ssh_keys()
    names = {id_: name for name, id_ in keys.items() if name != id_ and name.strip()}
    return {id_: names.get(id_, id_) for id_ in keys.values()}
