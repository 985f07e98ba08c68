"""How this cloud behaves where a test may choose: how long things take, and what is a guess about the real service.

Each switch is declared once, with its rule and what it means; `docs/fake-cloud-contract.md` lists the guesses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from flow_resources.testing.service.errors import FieldError
from flow_resources.testing.service.notation import is_number
from flow_resources.testing.service.query import PAGE_MAX

MANUAL = math.inf
"""A duration that never ends by itself: `finish` ends it. Written as "manual" where JSON is spoken."""
Idempotency = Literal["dedupe", "ignore", "terminated"]
NameFilter = Literal["exact", "prefix"]
AttachedStatus = Literal[400, 409, 422]
LIVING: Mapping[str, float] = {"auction_seconds": 120.0, "boot_seconds": 90.0, "preemption_notice_seconds": 300.0}
"""How long things take where nothing else is said and a seed makes the market live: the auction and the notice as
Mithril's documentation tells them, the boot a guess."""
_LONGEST = 1e9
"""Thirty years."""


def _duration(name: str, value: Any) -> float:
    given = MANUAL if value == "manual" else value
    if not is_number(given) or not (0 <= given <= _LONGEST or given == MANUAL):
        raise FieldError(name, 'not negative, in seconds, or "manual"', value)
    return float(given)


def _rhythm(name: str, value: Any) -> float:
    given = _duration(name, value)
    if 0 < given < 1:
        raise FieldError(name, 'in seconds: 0, or at least 1, or "manual"', value)
    return given


def _rate(name: str, value: Any) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        raise FieldError(name, "from 0 to 1", value)
    return float(value)


def _page(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= PAGE_MAX:
        raise FieldError(name, f"from 1 to {PAGE_MAX}", value)
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise FieldError(name, "true or false", value)
    return value


def _one_of(words: Any) -> Callable[[str, Any], Any]:
    allowed = get_args(words)

    def check(name: str, value: Any) -> Any:
        if value not in allowed:
            raise FieldError(name, f"one of {', '.join(map(str, allowed))}", value)
        return value

    return check


def _option(default: Any, rule: Callable[[str, Any], Any]) -> Any:
    return field(default=default, metadata={"rule": rule})


@dataclass
class Options:
    """Switches of one cloud. One that is changed while it runs counts from then on; what is under way ends as it began.

    A duration is a number of seconds of the cloud's clock; 0 means at once, and MANUAL that only `finish` ends it.
    Setting what means nothing raises ValueError, naming the switch.
    """

    auction_seconds: float = _option(0.0, _rhythm)
    """The time from one auction to the next; 0 holds one whenever something changes."""
    boot_seconds: float = _option(0.0, _duration)
    """From the win to STATUS_RUNNING, for machines that start to boot from now on."""
    preemption_notice_seconds: float = _option(0.0, _duration)
    """How long a bid that lost is Preempting before it is Open."""
    cancel_seconds: float = _option(0.0, _duration)
    """How long a cancelled bid stays listed as it was."""
    detach_seconds: float = _option(0.0, _duration)
    """How long the volumes of a bid stay attached to it after it has ended."""
    boot_failure_rate: float = _option(0.0, _rate)
    """How many of the machines that boot end in STATUS_ERROR, from 0 to 1; which ones, the seed says."""
    page_limit: int = _option(100, _page)
    """The longest page of a list, and the length of one where the client names none."""
    idempotency: Idempotency = _option("dedupe", _one_of(Idempotency))
    """What an Idempotency-Key that was seen before does. dedupe: it gives back what it made, as that is now, and is
    free again once that ended. terminated: the same, and the key stays bound for ever, so that a bid which ended is
    answered as if it had just been made. ignore: nothing, the key is not read."""
    name_filter: NameFilter = _option("exact", _one_of(NameFilter))
    """Whether `?name=` of the list of bids means the whole name or how it begins."""
    unique_bid_names: bool = _option(default=False, rule=_flag)
    """Refuse a name that a live bid of the project has."""
    keep_instance_ids: bool = _option(default=False, rule=_flag)
    """After a preemption, win back the same machines instead of new ones."""
    volumes_need_pause: bool = _option(default=False, rule=_flag)
    """Refuse to change the volumes of a bid that is not paused."""
    attached_volume_status: AttachedStatus = _option(400, _one_of(AttachedStatus))
    """The status that refuses to delete a volume which a live bid holds."""

    def __post_init__(self) -> None:
        """Begin with nothing that somebody has said; what is said from now on is noted, and nothing encloses it."""
        self.__dict__.update(_said=set(), _around=nullcontext)

    def only_through(self, around: Callable[[], AbstractContextManager[None]]) -> None:
        """Enclose each change: a running cloud lets it count from now on."""
        self.__dict__["_around"] = around

    @classmethod
    def of(cls, *, living: bool, given: Mapping[str, Any]) -> Options:
        """Return the switches that were given, and the usual ones of a market that lives or stands still."""
        options = cls()
        for name, value in given.items():
            setattr(options, name, value)
        options.follow(living=living)
        return options

    def follow(self, *, living: bool) -> None:
        """Let things take the time that they take in a market that lives or stands still, unless somebody said else."""
        for name, usual in LIVING.items():
            if name not in self.__dict__["_said"]:
                self.__dict__[name] = usual if living else 0.0

    def __setattr__(self, name: str, value: object) -> None:
        """Set one switch, if the value means something. Raises FieldError if it does not."""
        checked = _RULES[name](name, value) if name in _RULES else _unknown(name)
        with self.__dict__.get("_around", nullcontext)():
            self.__dict__[name] = checked
        self.__dict__.get("_said", set()).add(name)

    def wire(self) -> dict[str, Any]:
        """Return all switches as JSON can say them."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: "manual" if value == MANUAL else value for name, value in values.items()}


_RULES: Mapping[str, Callable[[str, Any], Any]] = {one.name: one.metadata["rule"] for one in fields(Options)}


def _unknown(name: str) -> object:
    raise FieldError(name, f"one of {', '.join(_RULES)}", name)
