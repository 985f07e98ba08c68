"""What the state holds under the URN of a resource that is checked: whether a create would replace something.

For a replacement the engine checks a resource as if there were nothing before it, and for one that a person asks for
(`--replace`, a taint, `replace_with`) it calls no diff. So who replaces what is known from the program, which has read
the state, from the check before this one, or else from the stored state.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import MARK, HiddenInputs
from flow_resources.core.price_lines import Terms
from flow_resources.lifecycle.ledger import Ledger
from flow_resources.lifecycle.report import Report


@dataclass(frozen=True)
class OwnRecord:
    """What the state holds under a resource's own URN, owned by Pulumi and not deleted yet."""

    exists: Answer
    id: str | None = None
    """None where there is nothing, or only its existence is known."""
    region: str | None = None
    """Where it was placed; also of what this operation has deleted to make it anew. None: not known."""
    instance_type: str | None = None
    """Its machines there, as far as a check was told."""
    has_ended: bool = False
    """Whether it is a job that has ended, as the state records it."""
    terms: Terms | None = None
    """Its bid and machines; None for a resource that places no bid, and where they are not known."""


class OwnRecords:
    """What the checks of an operation were told, by URN; what none was told is read from the stored state."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._lock = ledger, threading.Lock()
        self._told: dict[str, OwnRecord] = {}

    def learn(self, urn: str | None, hidden: HiddenInputs, olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
        """Remember what a check is told. With `ignore_changes=["*"]` the recorded inputs are in the program's place."""
        if not urn:
            return
        recorded = hidden.recorded if urn == hidden.urn else None  # under another URN the program read of another one
        own = next((entry for entry in recorded or () if entry.is_own), None)
        is_left = own is not None and not self._ledger.is_missing(own.id)
        with self._lock:
            if pinned := olds or (news if MARK in news else None):
                region = pinned.get("region") or (own.region if own else None)
                type_ = pinned.get("instance_type")
                has_ended = own is not None and self._ledger.has_ended(own)
                self._told[urn] = OwnRecord(
                    Answer.YES,
                    own.id if own else None,
                    str(region) if region else None,
                    str(type_) if type_ else None,
                    has_ended,
                    Terms.recorded(pinned),
                )
            elif own and is_left:
                before = self._told.get(urn)
                is_told = before is not None and before.id == own.id
                type_, terms = (before.instance_type, before.terms) if before and is_told else (None, own.terms)
                is_there = Answer.of(not self._ledger.is_deleted(own.id))
                self._told[urn] = OwnRecord(is_there, own.id, own.region or None, type_, terms=terms)
            elif recorded is not None:
                self._told.setdefault(urn, OwnRecord(Answer.NO))

    def of(self, urn: str | None, report: Report) -> OwnRecord:
        """Return what the state holds under a URN; the stored state is read where no check of it was told."""
        with self._lock:
            told = self._told.get(urn or "")
        if told:
            return told
        return OwnRecord(*self._ledger.own_record(urn, report))
