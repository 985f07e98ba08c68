"""The names of bids and volumes, and the mark in them, which says whose they are; the types of kinds in Pulumi.

The service has no labels, so a bid whose create answer was lost can only be found by its name:

    trainer-3f9a1c5d08b67be02d4d-9c01d2-1
    prefix  owner+urn      spec   generation

* owner and URN, which together are the mark: 12 hex digits of the owner (`flow:owner`, else
  organization/project/stack), which all resources of a stack share, then 8 of the URN, which each resource has alone;
* spec: 6 hex digits of the inputs that only a replacement can change, which differ for an older program's orphan;
* generation: a count that goes up until a name was never used. No name is used twice, because other tools of the
  service address bids by name and take the first row (https://docs.mithril.ai: names are not unique).

The API key of a job carries the same mark, specification and generation as its bid, and 6 digits of the project: the
service lists a user's keys of all projects together, and bids of two projects can have one name.

    flow-job-5c1e07-3f9a1c5d08b67be02d4d-9c01d2-1

The formats are written into users' states and into the service, and never change.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Any

PREFIX_LENGTH = 30  # with the 29 characters that follow and a generation of four digits a name has 63
_NAME_LENGTH = 63  # of a host name; a volume's may have 64
_OWNER_DIGITS = 12  # 48 bits: no two owners of an account share them by chance
_KEY_PREFIX = "flow-job"
_PROJECT_DIGITS = 6
_KEY_PREFIXED = re.compile(rf"{_KEY_PREFIX}-(?P<project>[0-9a-f]{{{_PROJECT_DIGITS}}})")
_MARKED = re.compile(
    r"(?P<prefix>.+)-(?P<owner>[0-9a-f]{12})(?P<urn>[0-9a-f]{8})-(?P<spec>[0-9a-f]{6})-(?P<gen>[0-9]+)"
)


@dataclass(frozen=True)
class Mark:
    """The digits that say whose a bid or volume is: of its owner (a stack) and of its resource."""

    owner: str
    urn: str

    @classmethod
    def of(cls, owner: str, urn: str) -> Mark:
        """Return the mark of the resource `urn` of `owner`: the same in both hosts, which write other types into URNs.

        So what a crash left in one of them is found in the other one.
        """
        return cls(_hex(owner, _OWNER_DIGITS), _hex(_urn_in_dynamic_host(urn), 8))

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Parse a mark from a state."""
        return cls(text[:_OWNER_DIGITS], text[_OWNER_DIGITS:])

    def __str__(self) -> str:
        return self.owner + self.urn


@dataclass(frozen=True)
class MarkedName:
    """The parts of a name with a mark."""

    mark: Mark
    spec: str
    generation: int


def compose(prefix: str, mark: Mark, spec: str, generation: int) -> str:
    """Return a name made of its parts; where a generation has more than four digits, the prefix is cut."""
    rest = f"-{mark}-{spec}-{generation}"
    return prefix[: _NAME_LENGTH - len(rest)].rstrip("-") + rest


def key_name(mark: Mark, spec: str, generation: int, project: str) -> str:
    """Return the name of a job's API key, made of the parts of its bid's name and the id of their project.

    It has at most 59 characters, the most that the service takes, with a generation of up to fifteen digits.
    """
    return f"{_KEY_PREFIX}-{_hex(project, _PROJECT_DIGITS)}-{mark}-{spec}-{generation}"


def key_name_of(bid_name: str, project: str) -> str | None:
    """Return the name that the API key of a bid has, if the bid is a job's; None for a name without a mark."""
    name = take_apart(bid_name)
    return key_name(name.mark, name.spec, name.generation, project) if name else None


def is_key_name(name: str, project: str | None = None) -> bool:
    """Whether a name is one of a job's API key, in a project where one is given."""
    match = _KEY_PREFIXED.fullmatch(prefix_of(name)) if take_apart(name) else None
    return match is not None and (project is None or match["project"] == _hex(project, _PROJECT_DIGITS))


def sending(project: str, name: str) -> str:
    """Return the text of a create's idempotency key: a name is used for one create, but is unique only in a project."""
    return f"{_hex(project, _PROJECT_DIGITS)}:{name}"


def take_apart(name: str) -> MarkedName | None:
    """Return the parts of a name; None where it has no mark."""
    match = _MARKED.fullmatch(name)
    if not match:
        return None
    return MarkedName(Mark(match["owner"], match["urn"]), match["spec"], int(match["gen"]))


def prefix_of(name: str) -> str:
    """Return the prefix of a name with a mark, or the whole of any other name."""
    return name.rsplit("-", 3)[0] if take_apart(name) else name


def fit(logical_name: str) -> str:
    """Return a prefix for any logical name: lower case, allowed characters only, a letter first, cut to length."""
    text = re.sub(r"[^a-z0-9]+", "-", logical_name.lower()).strip("-")
    if not text or not text[0].isalpha():
        text = f"r-{text}" if text else "r"
    return text[:PREFIX_LENGTH].rstrip("-")


def logical_name(urn: str) -> str:
    """Return the logical name in a URN: what follows the last `::`."""
    return urn.rpartition("::")[2]


def spec_digest(spec: dict[str, Any], secrets: dict[str, Any], key: str) -> str:
    """Return the digest of the inputs that only a replacement can change.

    Secret values enter only as a keyed hash. The key is the API key, which is stored nowhere: who reads the name cannot
    test guesses against it, and a changed value still changes the digest.
    """
    sealed = hmac.new(key.encode(), _canonical(secrets).encode(), hashlib.sha256).hexdigest() if secrets else ""
    return _hex(_canonical(spec) + sealed, 6)


def _canonical(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """Return integers for integral floats: Pulumi carries every number as a float, and 4.0 and 4 are the same input."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _hex(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


# -- what kinds are called in Pulumi: states hold the types of both hosts ----------------------------------------------

_OF_DYNAMIC_HOST, _OF_PLUGIN = "pulumi-python:dynamic/flow:", "flow:index:"
_KINDS = ("FleetStatus", "GpuCluster", "Job", "SshKey", "Volume")
"""The kinds that have a type in each host."""


def dynamic_type(kind: str) -> str:
    """Return the type of a kind in the dynamic host."""
    return f"{_OF_DYNAMIC_HOST}{kind}"


def plugin_type(kind: str) -> str:
    """Return the type of a kind, or of a component, in the plugin."""
    return f"{_OF_PLUGIN}{kind}"


def _urn_in_dynamic_host(urn: str) -> str:
    """Return the URN that a resource has in the dynamic host; a component has one type in both hosts."""
    parts = urn.split("::", 3)
    parts[2:3] = ["$".join(map(_type_in_dynamic_host, types.split("$"))) for types in parts[2:3]]
    return "::".join(parts)


def _type_in_dynamic_host(type_: str) -> str:
    kind = kind_of(type_)
    return dynamic_type(kind) if kind in _KINDS else type_


def kind_of(type_: str) -> str:
    """Return the kind that a type is of, such as `GpuCluster`, in either host; empty for a type of another package."""
    found = next((prefix for prefix in (_OF_DYNAMIC_HOST, _OF_PLUGIN) if type_.startswith(prefix)), type_)
    return type_[len(found) :]
