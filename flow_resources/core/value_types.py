"""The types of the values of inputs, so that languages with types, and the reference page, have them from one place.

A table of inputs names a type by a word, such as "list of VolumeMount"; `type_of` returns what the word means. The rule
of an input is stricter than its type: a type says what a program in any language writes, and check reports the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

from flow_resources.core.bid_policy import DEFAULT_DAYS, DEFAULT_MARGIN, KINDS, MAX_DAYS


@dataclass(frozen=True)
class Scalar:
    """A string, a number, an integer, a boolean; or any value."""

    name: str


@dataclass(frozen=True)
class ListOf:
    """A list whose items have one type."""

    item: ValueType


@dataclass(frozen=True)
class MapOf:
    """A mapping of names to values of one type."""

    value: ValueType


@dataclass(frozen=True)
class Either:
    """A value of one of several types."""

    types: tuple[ValueType, ...]


@dataclass(frozen=True)
class Part:
    """One value of an object."""

    name: str
    type: ValueType
    doc: str
    required: bool = False
    choices: tuple[str, ...] = ()
    """The strings that it can be, where only these are allowed."""


@dataclass(frozen=True)
class Object:
    """A mapping whose keys are known."""

    name: str
    doc: str
    parts: tuple[Part, ...]


ValueType = Union[Scalar, ListOf, MapOf, Either, Object]  # noqa: UP007 - its parts name it before it is made
STRING, NUMBER, INTEGER, BOOLEAN, ANY = map(Scalar, ("string", "number", "integer", "boolean", "any"))
STRINGS = ListOf(STRING)

# fmt: off
VOLUME_MOUNT = Object(
    "VolumeMount", "A volume and where it is mounted on every machine.", (
        Part("volume_id", STRING, "The id of the volume, `vol_...`: `volume_id` of a Volume.", required=True),
        Part(
            "mount_path", STRING, "Where: under /volumes, /mnt, /data, /dataN, /opt or /var, which is where the "
            "service mounts.", required=True,
        ),
    ),
)
BID_POLICY = Object(
    "BidPolicy", "A policy that decides a bid in place of a number. It is resolved once, and again by a change of "
    "it or a replacement: a market that moves has no effect.", (
        Part(
            "kind", STRING, "`per_gpu`: a price per GPU-hour (`usd`). `infrastructure`: not under the on-demand price, "
            "nor under the market (`cap`, `reference`). `workload`: a margin above the market (`margin`, `cap`). "
            "`market`: a multiple of the market (`multiplier`, `cap`). `uptime`: the lowest bid that would have held "
            "for a share of the last days (`target`, `days`, `cap`).", required=True, choices=KINDS,
        ),
        Part("usd", NUMBER, "Of `per_gpu`: USD per GPU-hour."),
        Part("cap", NUMBER, "The most that the bid may be, in USD per instance-hour. Required, but for `per_gpu`."),
        Part(
            "reference", NUMBER, "Of `infrastructure`: the price that the bid does not go under, in USD per "
            "instance-hour. Default: the on-demand price of the type.",
        ),
        Part("margin", NUMBER, f"Of `workload`: how far above the market; 0.1 is 10 %. Default: {DEFAULT_MARGIN}."),
        Part("multiplier", NUMBER, "Of `market`: 2 is twice the market."),
        Part("target", NUMBER, "Of `uptime`: the share of the time, more than 0 and less than 1; 0.97 is 97 %."),
        Part("days", INTEGER, f"Of `uptime`: how many days back, 1 to {MAX_DAYS}. Default: {DEFAULT_DAYS}."),
    ),
)
PLACEMENT = Object(
    "Placement", "Machines in a region, of which several are given to choose from.", (
        Part("instance_type", STRING, "The machine type, as of the resource.", required=True),
        Part("region", STRING, "The region.", required=True),
        Part(
            "max_price_per_hour", NUMBER, "The bid there, in USD per instance-hour, whole cents. Default: that of the "
            "resource.",
        ),
        Part("bid_policy", BID_POLICY, "A policy that decides the bid there, in place of a number."),
    ),
)
MEMBER_VOLUME = Object(
    "MemberVolume", "A volume of its own for each member of a ResilientCluster.", (
        Part("size_gb", INTEGER, "Its size in GB, 1 to 16,384.", required=True),
        Part(
            "mount_path", STRING, "Where the member mounts it: under /volumes, /mnt, /data, /dataN, /opt or /var.",
            required=True,
        ),
        Part("interface", STRING, "`file` or `block`. Default: `file`.", choices=("file", "block")),
    ),
)
# fmt: on
OBJECTS = (BID_POLICY, MEMBER_VOLUME, PLACEMENT, VOLUME_MOUNT)
_BY_WORD: Mapping[str, ValueType] = {
    "string": STRING,
    "number": NUMBER,
    "integer": INTEGER,
    "boolean": BOOLEAN,
    "string | list of strings": Either((STRING, STRINGS)),
    "list of strings": STRINGS,
    "list of integers": ListOf(INTEGER),
    "list of SshKey | string": STRINGS,  # a program in Python passes the key itself, others its id
    "list of VolumeMount": ListOf(VOLUME_MOUNT),
    "list of Placement": ListOf(PLACEMENT),
    "mapping of strings": MapOf(STRING),
    "mapping | list": ANY,
    "BidPolicy": BID_POLICY,
}


def type_of(word: str) -> ValueType:
    """Return what the word of a table of inputs means. Raises KeyError where a table has a word that is not known."""
    return _BY_WORD[word]
