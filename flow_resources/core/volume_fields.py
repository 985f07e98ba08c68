"""What a Volume takes, and what each change does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flow_resources.core.cluster_fields import near
from flow_resources.core.inputs import (
    Change,
    Checked,
    Field,
    Invalid,
    Unknown,
    changed,
    check,
    flag,
    show,
    text,
    whole,
    word,
)

MAX_SIZE_GB = 16_384  # flow.domain.models.volume.VolumeSpec.size_gb
# What both the SDK and the service accept (the SDK alone lets a digit stand first, the service answers 422).
_NAME = re.compile(r"[a-z][a-z0-9-]{1,62}[a-z0-9]")


def volume_name(value: Any) -> str:
    """A name that both the SDK and the service accept."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Invalid("must have 3 to 64 of a-z, 0-9 and -, start with a letter and not end with -")
    return value


def volume_id(value: Any) -> str:
    """The id of a volume."""
    if not isinstance(value, str) or not value.startswith("vol_"):
        raise Invalid("must be the id of a volume, 'vol_...'", "`flow volume list` shows it")
    return value


FIELDS: tuple[Field, ...] = (
    Field("size_gb", whole(1, MAX_SIZE_GB), Change.GUARDED, required=True),
    Field("interface", word("file", "block"), Change.GUARDED, default="file"),
    Field("region", text, Change.GUARDED),
    Field("volume_name", volume_name, Change.UPDATE),
    Field("adopt_volume_id", volume_id, Change.CREATE_ONLY),
    Field("allow_replace", flag, Change.STATE, default=False),
)
SPEC = tuple(one for one in FIELDS if one.change is Change.GUARDED)


def check_volume(news: Mapping[str, Any]) -> Checked:
    """Check all that needs no service."""
    return check(FIELDS, news)


def resolve_region(found: Checked, pinned: str | None, default: str | None, regions: Sequence[str]) -> None:
    """Give the volume its region: the program's, the pinned one, the settings'."""
    if "region" not in found.inputs:
        if region := pinned or default:
            found.inputs["region"] = region
        else:
            known = f": one of {', '.join(regions)}" if regions else ""
            found.fail("region", "is not set", remedy=f"pass region=..., or `pulumi config set flow:region ...`{known}")


def check_regions(found: Checked, regions: Sequence[str]) -> None:
    """Hold a checked volume against the service's regions."""
    region = found.known("region")
    if region and regions and region not in regions:
        found.fail("region", "is no region of the service", region, near(region, regions))


def guard_data(found: Checked, olds: Mapping[str, Any]) -> None:
    """Refuse a replacement, which loses what is on the volume, unless the program allows it.

    What is not known yet is not refused yet: the check that knows it, before anything is changed, judges it.
    """
    allowed = found.inputs.get("allow_replace")
    if not olds or allowed is True or isinstance(allowed, Unknown):
        return
    for one in changed(SPEC, olds, found.inputs):
        value = found.known(one.name)
        if value is None:
            continue  # not known yet, or its own rule has failed already
        found.fail(
            one.name,
            f"cannot change from {show(olds.get(one.name))} without a new volume, which loses the data",
            value,
            "change it back, or say allow_replace=True on the volume",
        )
