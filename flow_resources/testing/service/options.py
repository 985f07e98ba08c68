"""How this cloud behaves where a test may choose; most fields stand for a guess about the real service."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from flow_resources.testing.service.inputs import PAGE_MAX

Idempotency = Literal["dedupe", "ignore", "terminated"]


@dataclass
class Options:
    """Switches of one cloud; they may be changed while it runs and count from the next transition on."""

    boot_seconds: float = 0.0
    """From the win to STATUS_RUNNING, for machines that start to boot from now on."""
    preemption_notice_seconds: float = 0.0
    """How long a bid that lost is Preempting before it is Open."""
    cancel_seconds: float = 0.0
    """How long a cancelled bid stays listed as it was."""
    page_limit: int = 100
    """The longest page of a list, and the length of one where the client names none."""
    idempotency: Idempotency = "dedupe"
    """What an Idempotency-Key that was seen before does. dedupe: it gives back what it made, as that is now, and is
    free again once that ended. terminated: the same, and the key stays bound for ever, so that a bid which ended is
    answered as if it had just been made. ignore: nothing, the key is not read."""
    unique_bid_names: bool = False
    """Refuse a name that a live bid of the project has."""
    keep_instance_ids: bool = False
    """After a preemption, win back the same machines instead of new ones."""
    volumes_need_pause: bool = False
    """Refuse to change the volumes of a bid that is not paused."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing, naming the field."""
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name.endswith("_seconds") and not 0 <= value < float("inf"):
                raise _wrong(one.name, "not negative", value)
        if not 1 <= self.page_limit <= PAGE_MAX:
            raise _wrong("page_limit", f"from 1 to {PAGE_MAX}", self.page_limit)
        if self.idempotency not in get_args(Idempotency):
            raise _wrong("idempotency", f"one of {', '.join(get_args(Idempotency))}", self.idempotency)


def _wrong(name: str, rule: str, got: object) -> ValueError:
    return ValueError(f"{name} must be {rule}, got {got!r}")
