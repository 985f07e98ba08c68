"""The format of what a stack exports for the stacks of other projects.

A mapping with the key `flow`, which names kind and version ("volume/1"), and the properties. Stacks store it: a later
version of this package may add properties but never removes one or changes its meaning, so that every reader of version
1 can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEY = "flow"
ELIDED: Mapping[str, Any] = {}
"""What the engine gives for a secret that it cannot decrypt."""
_UNREADABLE = "is a secret that cannot be decrypted with this passphrase"
_ONE_PROVIDER = (
    "give both stacks the same passphrase or secrets provider (`pulumi stack change-secrets-provider`), or let the "
    "other project export it without a secret"
)


class ForeignError(ValueError):
    """An output is not the export that is read; `why` continues the sentence "the output NAME of STACK"."""

    def __init__(self, kind: Kind, why: str, absent: bool = False, remedy: str = "") -> None:
        super().__init__(why)
        self.kind, self.why, self.absent, self.remedy = kind, why, absent, remedy

    def message(self, name: str, stack: str, there: Mapping[str, str]) -> str:
        """Return the error message; `there` has the kind of each output of the other stack, by name."""
        others = ", ".join(f"{output!r} ({kind})" for output, kind in sorted(there.items()))
        listed = f"there is {others}" if others else "there are no outputs at all"
        why = f"is missing; {listed}" if self.absent else self.why
        remedy = (
            self.remedy
            or f"add `{self.kind.exporter}({name!r}, ...)` to that project's program and run `pulumi up` there"
        )
        return f"the output {name!r} of the stack {stack} {why}: {remedy}"


@dataclass(frozen=True)
class Kind:
    """A kind of resource that can be exported."""

    word: str
    exporter: str
    """The function that exports it."""
    reader: str
    """The reference class that reads it."""
    keys: tuple[str, ...]
    version: int = 1

    def shape(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the mapping to export."""
        return {KEY: f"{self.word}/{self.version}", **parts}

    def parts(self, value: Any) -> dict[str, Any]:
        """Return the properties in an exported mapping. Raises ForeignError where it is something else."""
        if value is None:
            raise ForeignError(self, "is missing", absent=True)
        if value == ELIDED:
            raise ForeignError(self, f"{_UNREADABLE}, or empty", remedy=_ONE_PROVIDER)
        word = _word_of(value)
        if word != self.word:
            reader = f", which {_BY_WORD[word].reader} reads" if word in _BY_WORD else ""
            raise ForeignError(self, f"is {kind_of(value)}{reader}, not a {self.word} as {self.exporter} writes it")
        absent = [key for key in self.keys if value.get(key) is None]
        if absent:
            raise ForeignError(self, f"is a {self.word} without {', '.join(absent)}")
        if elided := [key for key in self.keys if _is_elided(value[key])]:
            raise ForeignError(self, f"is a {word} whose {', '.join(elided)} {_UNREADABLE}", remedy=_ONE_PROVIDER)
        return {key: _integral(value[key]) for key in self.keys}


CLUSTER = Kind("cluster", "export_cluster", "ClusterReference", ("task_id", "region", "public_ips", "volume_ids"))
VOLUME = Kind("volume", "export_volume", "VolumeReference", ("volume_id", "region", "interface", "size_gb"))
KINDS = (CLUSTER, VOLUME)
_BY_WORD = {kind.word: kind for kind in KINDS}


def no_stack(stack: str, kind: Kind, name: str, why: str) -> str:
    """Return the error message for a stack that cannot be read at all; `why` is the engine's message."""
    reason = why.rpartition("returned an error: ")[2]
    remedy = (
        f"`pulumi stack ls --all` lists what is there; its program needs `{kind.exporter}({name!r}, ...)` and an `up`"
    )
    return f"the stack {stack}, of which the output {name!r} is read, cannot be read: {reason}: {remedy}"


def kinds_of(outputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the kind of each output of a stack, without its value, which may be secret."""
    return {name: kind_of(value) for name, value in outputs.items()}


def kind_of(value: Any) -> str:
    """Return the kind of a value, without the value itself."""
    word = _word_of(value)
    if word:
        return f"a {word}"
    for types, kind in (((bool,), "a boolean"), ((int, float), "a number"), ((str,), "a string"), ((list,), "a list")):
        if isinstance(value, types):
            return kind
    return "a mapping"


def _integral(value: Any) -> Any:
    """Return an integer for an integral float: Pulumi carries every number as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_elided(value: Any) -> bool:
    return value == ELIDED or (isinstance(value, list) and any(map(_is_elided, value)))


def _word_of(value: Any) -> str:
    """Return the word of the kind of an exported mapping; empty where the value is not one."""
    header = value.get(KEY) if isinstance(value, Mapping) else None
    word, _, version = header.partition("/") if isinstance(header, str) else ("", "", "")
    return word if word in _BY_WORD and version.isdecimal() else ""
