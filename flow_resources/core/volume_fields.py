"""The inputs of a Volume."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.inputs import (
    Change,
    Checked,
    Field,
    Invalid,
    Unknown,
    boolean,
    changed,
    check,
    integer,
    is_recorded,
    one_of,
    show,
    string,
)
from flow_resources.core.market import RegionSources, set_region

MAX_SIZE_GB = 16_384  # flow.domain.models.volume.VolumeSpec.size_gb
# What both the SDK and the service accept (the SDK alone accepts a leading digit, the service answers 422).
_NAME = re.compile(r"[a-z][a-z0-9-]{1,62}[a-z0-9]")


def volume_name(value: Any) -> str:
    """A name that both the SDK and the service accept."""
    if not isinstance(value, str) or not is_name(value):
        raise Invalid("must have 3 to 64 of a-z, 0-9 and -, start with a letter and not end with -")
    return value


def is_name(text: str) -> bool:
    """Whether a program can choose a name."""
    return _NAME.fullmatch(text) is not None


def volume_id(value: Any) -> str:
    """The id of a volume."""
    if not isinstance(value, str) or not value.startswith("vol_"):
        raise Invalid("must be the id of a volume, 'vol_...'", "`flow volume list` shows it")
    return value


FIELDS: tuple[Field, ...] = (
    Field(
        "size_gb", "integer", integer(1, MAX_SIZE_GB), Change.GUARDED, required=True,
        doc="The size in GB, 1 to 16,384.",
    ),
    Field(
        "interface", "string", one_of("file", "block"), Change.GUARDED, default="file",
        doc="`file` attaches to many machines, `block` to one.",
    ),
    Field(
        "region", "string", string, Change.GUARDED, resolved=True,
        doc="The region; only machines there can mount it. Default: `flow:region`, else the Flow SDK's own setting. "
        "It is resolved once: a default that changes later has no effect.",
    ),
    Field(
        "volume_name", "string", volume_name, Change.UPDATE,
        doc="The name in the service, 3 to 64 of a-z, 0-9 and -. Default: made from the resource's name, unique. "
        "A change renames the volume.",
    ),
    Field(
        "adopt_volume_id", "string", volume_id, Change.CREATE_ONLY,
        doc="The id of an existing volume, `vol_...`, which the first `up` takes over instead of creating one.",
    ),
    Field(
        "allow_replace", "boolean", boolean, Change.STATE, default=False,
        doc="Whether a change may replace the volume, which loses the data.",
    ),
)  # fmt: skip
SPEC = tuple(field for field in FIELDS if field.change is Change.GUARDED)
"""The inputs in the digest of a volume's name."""


def check_volume(news: Mapping[str, Any]) -> Checked:
    """Check all that needs no service."""
    return check(FIELDS, news)


def resolve_region(checked: Checked, sources: RegionSources, regions: Sequence[str]) -> None:
    """Set the region where the program has none: the one that was resolved before, else the default."""
    if "region" not in checked.inputs:
        set_region(checked, sources.settled or sources.default, regions, sources.missing)


def guard_data(checked: Checked, olds: Mapping[str, Any]) -> None:
    """Refuse a replacement, which loses the data, unless the program allows it.

    An unknown value is not refused: the check that knows it runs before anything is changed, and decides.
    """
    allowed = checked.inputs.get("allow_replace")
    if not olds or allowed is True or isinstance(allowed, Unknown):
        return
    for field in changed(SPEC, olds, checked.inputs):
        value = checked.known(field.name)
        if value is None or not is_recorded(field, olds):
            continue  # unknown, or its own rule has failed already; or it is not known whether it has changed
        checked.fail(
            field.name,
            f"cannot change from {show(olds.get(field.name))} without a new volume, which loses the data",
            value,
            "change it back, or set allow_replace=True on the volume",
        )


def guard_forced_replacement(checked: Checked, exists: Answer, id_: str | None) -> None:
    """Refuse a replacement that Pulumi is asked for, unless the program allows it: no diff is asked about it.

    `exists`: whether the state holds a volume that a create would replace, where the engine says that there is none.
    """
    allowed = checked.inputs.get("allow_replace")
    if exists is Answer.NO or allowed is True or isinstance(allowed, Unknown):
        return
    if exists is Answer.YES:
        checked.fail(
            "allow_replace",
            f"must be True for a replacement that Pulumi is asked for, which loses the data on {id_ or 'the volume'}",
            allowed,
            "set it, or take back what asks for it: --replace, a taint (`pulumi state untaint`), a trigger, "
            "replace_on_changes, replace_with",
        )
        return
    checked.fail(
        "allow_replace",
        "must be True where it cannot be found out whether the state holds this volume already: a new one would "
        "replace it, which loses the data",
        allowed,
        "where `pulumi stack export` shows no such volume, set it for this `up` alone",
    )


def guard_replace_with(checked: Checked) -> None:
    """Refuse the option replace_with, unless the program allows replacements.

    The engine deletes a volume together with what it is replaced with, before it checks the volume. So it is refused
    before the state has the option, at the first `up`.
    """
    allowed = checked.inputs.get("allow_replace")
    if allowed is not True and not isinstance(allowed, Unknown):
        checked.fail(
            "allow_replace",
            "must be True with the option replace_with, which loses the data each time that the other resource is "
            "replaced",
            allowed,
            "set it, or remove the option",
        )
