"""What a program may give as an argument, turned into the values that Pulumi carries.

Pulumi carries strings, booleans, floats, lists and mappings, and stops at all else with lines about its own code. The
types of the constructors allow more: any `Sequence` and `Mapping`, an exact `Decimal`, a path. The rules about the
values themselves are those of check, and a message names the same path.
"""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Protocol

import pulumi

from flow_resources.bid_policy import Bid
from flow_resources.core.inputs import PROBLEM, REMEDY, show

_TEXTS = (str, bytes, bytearray, memoryview)  # sequences, but not of values


class Described(Protocol):
    """What is known of an argument: an input of a resource, or a setting of a provider."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def sensitive(self) -> bool: ...  # noqa: D102
    @property
    def public(self) -> bool: ...  # noqa: D102


def carried_properties(resource: str, fields: Sequence[Described], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a resource as Pulumi carries them; `resource` says which one it is.

    Raises pulumi.RunError, which is printed as one line, with all that cannot be carried. What is known only later
    (an `Output`, an awaitable) is looked at when it is known.
    """
    sensitive, public = ({one.name for one in fields if one.sensitive}, {one.name for one in fields if one.public})
    readers = {name: _Reader(resource, is_shown=name not in sensitive, is_public=name in public) for name in values}
    properties = {name: readers[name].carried(value, name) for name, value in values.items()}
    _refuse(resource, [one for reader in readers.values() for one in reader.bad])
    return properties


def is_list(value: Any) -> bool:
    """Whether a value is a sequence of values, and not a text."""
    return isinstance(value, Sequence) and not isinstance(value, _TEXTS)


@dataclass
class _Reader:
    """Reads one argument, and notes what cannot be carried."""

    resource: str
    is_shown: bool
    """Whether a message may show its values."""
    is_public: bool = False
    """Whether it may hold no secret."""
    bad: list[str] = field(default_factory=list)

    def carried(self, value: Any, path: str) -> Any:
        """Return a value as Pulumi carries it; what it cannot carry is noted, and its value is None."""
        if isinstance(value, pulumi.Output) or inspect.isawaitable(value):
            output = value if isinstance(value, pulumi.Output) else pulumi.Output.from_input(value)
            carried = output.apply(lambda known: self._carried_later(known, path))
            return _withhold_secret(carried) if self.is_public else carried
        if isinstance(value, Mapping):
            return {self._name(key, path): self.carried(value[key], f"{path}.{_shown_name(key)}") for key in value}
        if is_list(value):
            return [self.carried(one, f"{path}[{index}]") for index, one in enumerate(value)]
        return self._single(value, path)

    def _carried_later(self, known: Any, path: str) -> Any:
        later = _Reader(self.resource, is_shown=False)  # it may be secret
        carried = later.carried(known, path)
        _refuse(self.resource, later.bad)
        return carried

    def _single(self, value: Any, path: str) -> Any:
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, (str, bool)):
            return value
        if isinstance(value, numbers.Number):
            return self._number(value, path)
        if isinstance(value, PurePath):
            return value.as_posix()
        if isinstance(value, Bid):
            why = "is a Bid inside an Output: pass the Bid itself, whose arguments can be Outputs"
        elif isinstance(value, pulumi.Resource):
            why = f"is a {type(value).__name__}, and not a value: pass one of its outputs"
        elif isinstance(value, (AbstractSet, Iterator)):
            why = f"cannot be a {type(value).__name__}{self._shown(value)}: pass a list, such as sorted(...) makes"
        else:
            why = f"cannot be of the type {type(value).__name__}{self._shown(value)}: convert it"
        self.bad.append(f"{path} {why}")
        return None

    def _number(self, value: Any, path: str) -> int | float | None:
        """Return a number that is equal to the given one."""
        try:
            number = float(value)
        except (OverflowError, TypeError, ValueError):
            self.bad.append(f"{path} is no number that Pulumi can carry{self._shown(value)}: write another one")
            return None
        if isinstance(value, Decimal) and math.isfinite(number) and Decimal(repr(number)) != value:
            self.bad.append(f"{path} has more digits than Pulumi can carry{self._shown(value)}: round it to the cent")
        return int(value) if isinstance(value, numbers.Integral) else number

    def _name(self, key: Any, path: str) -> str:
        if not isinstance(key, str):
            self.bad.append(f"{path} has a name of the type {type(key).__name__}: put the name in quotes")
        return str(key)

    def _shown(self, value: Any) -> str:
        return f", got {show(value)}" if self.is_shown else ""


def _withhold_secret(output: pulumi.Output[Any]) -> pulumi.Output[Any]:
    """Return an output that is not secret; in the place of one that is, what check reports, with its path."""

    async def withheld() -> Any:
        return _SECRET if await output.is_secret() else output

    return pulumi.Output.from_input(withheld())


_SECRET = {
    PROBLEM: "is a secret",
    REMEDY: "rows, names and other values of the state are made from it, in clear: pass pulumi.Output.unsecret(...) of "
    "it, or, of what must stay secret, a hash",
}


def _shown_name(key: Any) -> str:
    return str(key).partition("=")[0]  # after a stray "=" comes a value


def _refuse(resource: str, bad: Sequence[str]) -> None:
    if bad:
        raise pulumi.RunError(f"{resource}: {'; '.join(bad)}")
