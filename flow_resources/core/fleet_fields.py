"""The inputs of FleetStatus, which a ResilientCluster declares: its members, and how many of them an `up` waits for.

A shrink is judged here from the recorded inputs: which members and which volumes the program does not declare any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import NOT_KNOWN
from flow_resources.core.inputs import (
    Change,
    Checked,
    Field,
    Invalid,
    InvalidParts,
    Unknown,
    boolean,
    integer,
)

MAX_MEMBERS = 1000
RECORDED_VOLUMES = "recorded_volumes"
SAID_BY_PROGRAM = ("size", "min_running", "skip")
"""The inputs of a fleet that say which members there are: the program has to know their values."""


def member_indices(size: int, skip: Collection[int] = ()) -> tuple[int, ...]:
    """Return the first `size` indices from 0 on that are not skipped: they follow from the program alone."""
    return tuple([index for index in range(size + len(skip)) if index not in skip][:size])


def ids_by_index(prefix: str, what: str) -> Any:
    """Return the rule for a mapping of member indices to ids."""

    def rule(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Invalid(f"must be a mapping of member indices to ids of {what}")
        bad = [
            Invalid(f"must be the id of one of {what}, '{prefix}...'", at=f".{index}")
            for index, id_ in value.items()
            if not isinstance(id_, Unknown) and not (isinstance(id_, str) and id_.startswith(prefix))
        ]
        bad += [
            Invalid("is not the index of a member", at=f".{index}") for index in value if not str(index).isdecimal()
        ]
        if bad:
            raise InvalidParts(bad)
        return dict(value)

    return rule


def write_ids(ids: Mapping[str, str] | None) -> str:
    """Write ids by index as a text, which can be empty; None: not known."""
    return NOT_KNOWN if ids is None else ",".join(f"{index}={id_}" for index, id_ in ids.items())


def read_ids(text: Any) -> dict[str, str] | None:
    """Read ids by index; None: not known."""
    if not isinstance(text, str) or text == NOT_KNOWN:
        return None
    return {index: id_ for index, _, id_ in (entry.partition("=") for entry in text.split(",") if entry)}


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else NOT_KNOWN


# fmt: off
FIELDS: tuple[Field, ...] = (
    Field(
        "task_ids", "mapping of strings", ids_by_index("bid_", "tasks"), Change.UPDATE, required=True,
        doc="The members: the ids of their tasks by index. A change waits for `min_running` members.",
    ),
    Field(
        "min_running", "integer", integer(0, MAX_MEMBERS), Change.UPDATE, required=True,
        doc="How many members must run before an `up` is content; 0 waits for none. A change waits for them.",
    ),
    Field(
        "paused", "boolean", boolean, Change.UPDATE, default=False,
        doc="Whether the members are paused: then none is waited for.",
    ),
    Field(
        "volume_ids", "mapping of strings", ids_by_index("vol_", "volumes"), Change.STATE,
        doc="The volumes of the members, by index. Default: none has one of its own.",
    ),
    Field(
        "allow_data_loss", "boolean", boolean, Change.STATE, default=False,
        doc="Whether members may go together with their volumes, which loses the data.",
    ),
    Field(
        RECORDED_VOLUMES, "string", _text, Change.CREATE_ONLY,
        doc="The volumes of members that the stack's state holds, by index, as the program has read it. Check takes it "
        "out again.",
    ),
)
# fmt: on
AWAITED = frozenset({"task_ids", "min_running", "paused"})
"""The inputs whose change is waited for."""


def left_out(name: str, found: Checked, olds: Mapping[str, Any]) -> dict[str, str]:
    """Return what the recorded inputs hold in a mapping by index, and the program does not declare any more."""
    recorded, declared = olds.get(name), found.inputs.get(name, {})
    if not isinstance(recorded, Mapping) or not isinstance(declared, Mapping):
        return {}
    gone = sorted(recorded.keys() - declared.keys(), key=int)
    return {index: str(recorded[index]) for index in gone}


def guard_data(found: Checked, olds: Mapping[str, Any]) -> Answer:
    """Refuse that members go whose volumes would go with them, unless the program allows it.

    The program declares neither any more, so no other check is called that could refuse it. The volumes are those of
    the recorded inputs, and those that the state holds though an `up` ended before it had recorded them here. Return
    whether these are known.
    """
    state = read_ids(found.inputs.pop(RECORDED_VOLUMES, None))
    known = Answer.of(None if state is None else True)
    allowed = found.inputs.get("allow_data_loss")
    lost = left_out("volume_ids", found, olds)
    lost |= left_out("volume_ids", found, {"volume_ids": state or {}})
    if not lost or allowed is True or isinstance(allowed, Unknown):
        return known
    volumes = ", ".join(f"{id_} of member {index}" for index, id_ in sorted(lost.items(), key=_by_number))
    found.fail(
        "allow_data_loss",
        f"must be True where members go whose volumes go with them, which loses their data: {volumes}",
        allowed,
        "set it, or keep these members: a larger size, other indices in skip, volume_per_member as it was",
    )
    return known


def _by_number(item: tuple[str, str]) -> int:
    return int(item[0])
