"""The owner's mark: how a name tells whose a bid or volume is.

The service has no labels, so the name is the only handle on something whose answer was lost:

    trainer-3f9a1c7be02d4d-9c01d2-1
    prefix  owner+urn      spec   generation

* owner and URN: 6 hex digits of the owner (`flow:owner`, else organization/project/stack), so that everything of a
  stack can be found, then 8 of the URN, so that every resource has its own;
* spec: 6 hex digits over what only a replacement can change, so that a leftover of an older program is told apart;
* generation: counts up past every name that was used before. A name is never used twice, because other tools of the
  service address bids by name and take the first row (https://docs.mithril.ai: names are not unique).

The format is written into users' states and into the service: it never changes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Any

PREFIX_LENGTH = 30  # with the 31 characters of a mark the name fits a volume's 64 and a host name's 63
_MARKED = re.compile(r"(?P<prefix>.+)-(?P<owner>[0-9a-f]{6})(?P<urn>[0-9a-f]{8})-(?P<spec>[0-9a-f]{6})-(?P<gen>[0-9]+)")


@dataclass(frozen=True)
class Mark:
    """Whose something is: the owner (a stack) and the resource of it."""

    owner: str
    urn: str

    @classmethod
    def of(cls, owner: str, urn: str) -> Mark:
        """Return the mark of the resource `urn` of `owner`."""
        return cls(_hex(owner, 6), _hex(urn, 8))

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Read a mark as the state holds it."""
        return cls(text[:6], text[6:])

    def __str__(self) -> str:
        return self.owner + self.urn


@dataclass(frozen=True)
class MarkedName:
    """A name taken apart."""

    mark: Mark
    spec: str
    generation: int


def compose(prefix: str, mark: Mark, spec: str, generation: int) -> str:
    """Put a name together."""
    return f"{prefix}-{mark}-{spec}-{generation}"


def sending(project: str, name: str) -> str:
    """Return what tells the service that two sendings of a create are one: a name is used once, but in one project."""
    return f"{_hex(project, 6)}:{name}"


def take_apart(name: str) -> MarkedName | None:
    """Read a name; None when it carries no mark of ours."""
    found = _MARKED.fullmatch(name)
    if not found:
        return None
    return MarkedName(Mark(found["owner"], found["urn"]), found["spec"], int(found["gen"]))


def prefix_of(name: str) -> str:
    """Return what a name starts with, without the mark where it carries one."""
    return name.rsplit("-", 3)[0] if take_apart(name) else name


def fit(logical_name: str) -> str:
    """Make a prefix of any logical name: lower case, service characters, a letter first, cut, never refused."""
    text = re.sub(r"[^a-z0-9]+", "-", logical_name.lower()).strip("-")
    if not text or not text[0].isalpha():
        text = f"r-{text}" if text else "r"
    return text[:PREFIX_LENGTH].rstrip("-")


def logical_name(urn: str) -> str:
    """Return the name that the program gave: what follows the last `::` of a URN."""
    return urn.rpartition("::")[2]


def spec_digest(spec: dict[str, Any], secrets: dict[str, Any], key: str) -> str:
    """Digest what only a replacement can change.

    Secret values enter as a keyed hash alone (the key is the API key, which is written nowhere), so that nobody who
    reads the name can try values against it, and a changed value is still told apart.
    """
    sealed = hmac.new(key.encode(), _canonical(secrets).encode(), hashlib.sha256).hexdigest() if secrets else ""
    return _hex(_canonical(spec) + sealed, 6)


def _canonical(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """Make 4.0 and 4 one: Pulumi carries every whole number as a float, the inputs' normal form is an int."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _hex(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
