"""What an import records: the inputs that the service tells, and which ones nobody tells, such as the command.

The others are recorded by name under NOT_RECORDED, each with what is known of it all the same: of `volumes` the mount
path by volume id, empty where that is not known; of the rest nothing. They are not the defaults, so nothing is replaced
because of them. One that the program leaves out stays as it is; the first value that the program says is taken for what
there is, unless what is known contradicts it. From then on it is compared like every other input.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flow_resources.core import money
from flow_resources.core.hidden import read_not_recorded, write_not_recorded
from flow_resources.core.inputs import Checked
from flow_resources.core.market import named
from flow_resources.core.models import Bid, InstanceType
from flow_resources.core.placement_fields import instance_type


@dataclass(frozen=True)
class Imported:
    """The inputs of something live that Pulumi did not make."""

    inputs: Mapping[str, Any]
    not_recorded: Mapping[str, Any] = field(default_factory=dict)
    """The inputs that are not known, with what is known of each."""


# -- in check and diff -------------------------------------------------------------------------------------------------


def keep_not_recorded(found: Checked, olds: Mapping[str, Any], news: Mapping[str, Any], *, is_pinned: bool) -> None:
    """Leave as it is what is not recorded and the program does not say: no default takes its place.

    `is_pinned`: whether the new inputs are the recorded ones (`ignore_changes=["*"]`): the program says nothing then.
    """
    unsaid = {name: known for name, known in read_not_recorded(olds).items() if is_pinned or news.get(name) is None}
    for name in unsaid:
        if olds.get(name) is not None:
            found.inputs[name] = olds[name]
        else:
            found.inputs.pop(name, None)
    found.hidden |= write_not_recorded(unsaid)


def said_first(olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new inputs that are not recorded: the program says them for the first time.

    Not one that contradicts what is known of it, which is a change.
    """
    return {
        name: news[name]
        for name, known in read_not_recorded(olds).items()
        if olds.get(name) is None and news.get(name) is not None and not _contradicts(name, known, news[name])
    }


def said_since(outputs: Mapping[str, Any], old_inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the recorded inputs hold of the program, and the outputs do not: they are those of the import."""
    return {name: old_inputs[name] for name in read_not_recorded(outputs) if old_inputs.get(name) is not None}


def _contradicts(name: str, known: Any, said: Any) -> bool:
    """Whether the program says another thing than what is known of an input."""
    if name != "volumes" or not isinstance(known, Mapping):
        return False
    mounts = said if isinstance(said, list) else []
    if not all(isinstance(mount, Mapping) and isinstance(mount.get("volume_id"), str) for mount in mounts):
        return True  # a volume that the coming `up` makes is not one that is mounted
    paths = {mount["volume_id"]: mount.get("mount_path") for mount in mounts}
    return paths.keys() != known.keys() or any(path and paths[id_] != path for id_, path in known.items())


# -- what the service tells of a bid -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Account:
    """What the inputs of a bid are written with."""

    types: Sequence[InstanceType] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    """What the project's platform keys are called in a program, by id."""
    live: Collection[str] = frozenset()
    """The ids of the project's live volumes, and of what else is live."""


def inputs_of_bid(bid: Bid, account: Account) -> dict[str, Any]:
    """Return the inputs that a bid tells, without its volumes; None where the service does not say."""
    keys = [account.keys[id_] for id_ in dict.fromkeys(bid.ssh_keys or ()) if id_ in account.keys]
    return {
        "instance_type": spelling(bid.instance_type, account.types),
        "num_instances": bid.quantity,
        "max_price_per_hour": _price(bid),
        "region": bid.region,
        "ssh_keys": keys or None,
    }


def missing_facts(bid: Bid) -> str:
    """Return what the service does not say of a bid, and no program can leave out; empty where it says it all."""
    facts = {"region": bid.region, "number of machines": bid.quantity, "volumes": bid.volumes}
    return " and ".join(what for what, fact in facts.items() if fact is None)


def names_of_keys(ids: Mapping[str, str]) -> dict[str, str]:
    """Return what a program calls each key, by id: its name, where it has one and no other key has it.

    `ids`: the ids of keys by name and by id.
    """
    names = {id_: name for name, id_ in ids.items() if name != id_ and name.strip()}
    return {id_: names.get(id_, id_) for id_ in ids.values()}


def spelling(id_: str, types: Sequence[InstanceType]) -> str:
    """Return what a program calls a type: `8xa100` where that means no other, else the whole name, else the id."""
    type_ = next((type_ for type_ in types if type_.id == id_), None)
    for word in (type_.spelling, type_.name.lower()) if type_ else ():
        try:
            matching = named(instance_type(word), types)
        except ValueError:
            continue
        if type_ in matching and len({match.name for match in matching}) == 1:
            return word
    return id_


def _price(bid: Bid) -> float | None:
    try:
        return None if bid.price is None else float(money.price(bid.price))
    except ValueError:
        return None
