"""The options of a cloud: durations of transitions, and behaviour that is an assumption about the real service.

Each option is declared once, with its check and its meaning; `docs/fake-cloud-contract.md` lists the assumptions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from flow_resources.testing.service.errors import FieldError
from flow_resources.testing.service.formats import is_number
from flow_resources.testing.service.query import PAGE_MAX

MANUAL = math.inf
"""The duration, in seconds, of a transition that only `finish` completes: infinite. It is "manual" in JSON."""
Idempotency = Literal["dedupe", "ignore", "terminated"]
NameFilter = Literal["exact", "prefix"]
AttachedStatus = Literal[400, 409, 422]
ScriptRuns = Literal["first_boot", "every_boot"]
MOVING_MARKET_DURATIONS: Mapping[str, float] = {
    "auction_seconds": 120.0,
    "boot_seconds": 90.0,
    "preemption_notice_seconds": 300.0,
}
"""The default durations of a cloud with a seed: auctions and notices as in Mithril's documentation, boots assumed."""
_DURATION_MAX = 1e9
"""About thirty years."""


def _check_duration(name: str, value: Any) -> float:
    seconds = MANUAL if value == "manual" else value
    if not is_number(seconds) or not (0 <= seconds <= _DURATION_MAX or seconds == MANUAL):
        raise FieldError(name, 'not negative, in seconds, or "manual"', value)
    return float(seconds)


def _check_interval(name: str, value: Any) -> float:
    seconds = _check_duration(name, value)
    if 0 < seconds < 1:
        raise FieldError(name, 'in seconds: 0, or at least 1, or "manual"', value)
    return seconds


def _check_rate(name: str, value: Any) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        raise FieldError(name, "from 0 to 1", value)
    return float(value)


def _check_page_limit(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= PAGE_MAX:
        raise FieldError(name, f"from 1 to {PAGE_MAX}", value)
    return value


def _check_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise FieldError(name, "true or false", value)
    return value


def _check_literal(literal: Any) -> Callable[[str, Any], Any]:
    allowed = get_args(literal)

    def check(name: str, value: Any) -> Any:
        if value not in allowed:
            raise FieldError(name, f"one of {', '.join(map(str, allowed))}", value)
        return value

    return check


def _option(default: Any, check: Callable[[str, Any], Any]) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass
class Options:
    """The options of one cloud. A change applies from then on, not to transitions that have begun.

    A duration is in seconds of the cloud's clock; 0 means at once, and MANUAL that only `finish` ends it. Setting an
    unknown option or an invalid value raises ValueError, naming the option.
    """

    auction_seconds: float = _option(0.0, _check_interval)
    """The time between auctions; 0 holds one after each change."""
    boot_seconds: float = _option(0.0, _check_duration)
    """The time from winning to STATUS_RUNNING, for machines that start to boot from now on."""
    preemption_notice_seconds: float = _option(0.0, _check_duration)
    """The time that a losing bid is Preempting before it is Open."""
    cancel_seconds: float = _option(0.0, _check_duration)
    """The time that a cancelled bid is still listed with its previous status."""
    detach_seconds: float = _option(0.0, _check_duration)
    """The time that volumes stay attached to a bid after it has terminated."""
    boot_failure_rate: float = _option(0.0, _check_rate)
    """The share of the machines that boot into STATUS_ERROR, from 0 to 1; the seed decides which ones."""
    page_limit: int = _option(100, _check_page_limit)
    """The maximum number of rows per page of a list, and the default."""
    list_lag_seconds: float = _option(0.0, _check_duration)
    """The time for which the lists of bids, volumes and keys do not show what was created; a read by id does."""
    idempotency: Idempotency = _option("dedupe", _check_literal(Idempotency))
    """The effect of an Idempotency-Key that was used before. dedupe: return the present state of what it created; the
    key is free again once that has ended. terminated: the same, but the key is never free again, so that a terminated
    bid is returned as if it had just been created. ignore: keys are not read."""
    name_filter: NameFilter = _option("exact", _check_literal(NameFilter))
    """Whether `?name=` in the list of bids matches the exact name or a prefix."""
    unique_bid_names: bool = _option(default=False, check=_check_flag)
    """Reject the name of a live bid of the same project."""
    keep_instance_ids: bool = _option(default=False, check=_check_flag)
    """After a preemption, a bid gets the same machines again instead of new ones."""
    startup_script_runs: ScriptRuns = _option("first_boot", _check_literal(ScriptRuns))
    """Whether a machine runs its start-up script at the first boot of its boot disk alone, or at every boot as an
    image may do. It says what boots run, also those that are over."""
    volumes_need_pause: bool = _option(default=False, check=_check_flag)
    """Reject changes to the volumes of a bid that is not paused."""
    refuse_below_minimum: bool = _option(default=False, check=_check_flag)
    """Reject a limit price below the lowest that can win at present, of a new bid and of a live one."""
    attached_volume_status: AttachedStatus = _option(400, _check_literal(AttachedStatus))
    """The HTTP status that rejects deleting a volume that a live bid uses."""

    def __post_init__(self) -> None:
        """Treat the initial values as defaults: only later changes count as explicit."""
        self.__dict__.update(_explicit=set(), _context=nullcontext)

    def apply_within(self, context: Callable[[], AbstractContextManager[None]]) -> None:
        """Make each change inside this context manager, so that a running cloud applies it from now on."""
        self.__dict__["_context"] = context

    @classmethod
    def for_market(cls, *, moving: bool, explicit: Mapping[str, Any]) -> Options:
        """Return the explicit options, and the defaults of a moving or a static market for all others."""
        options = cls()
        for name, value in explicit.items():
            setattr(options, name, value)
        options.apply_defaults(moving=moving)
        return options

    def apply_defaults(self, *, moving: bool) -> None:
        """Set the default durations of a moving or a static market, except those that were set explicitly."""
        for name, seconds in MOVING_MARKET_DURATIONS.items():
            if name not in self.__dict__["_explicit"]:
                self.__dict__[name] = seconds if moving else 0.0

    def __setattr__(self, name: str, value: object) -> None:
        """Set one option. Raises FieldError for an unknown name or an invalid value."""
        checked = _CHECKS[name](name, value) if name in _CHECKS else _reject_name(name)
        with self.__dict__.get("_context", nullcontext)():
            self.__dict__[name] = checked
        self.__dict__.get("_explicit", set()).add(name)

    def listed_until(self, now: float) -> float:
        """Return the time of creation of the newest things that lists show."""
        return now - self.list_lag_seconds

    def wire(self) -> dict[str, Any]:
        """Return all options as JSON values."""
        values = {option.name: getattr(self, option.name) for option in fields(self)}
        return {name: "manual" if value == MANUAL else value for name, value in values.items()}


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {option.name: option.metadata["check"] for option in fields(Options)}


def _reject_name(name: str) -> object:
    raise FieldError(name, f"one of {', '.join(_CHECKS)}", name)
