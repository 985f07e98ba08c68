"""The API keys of jobs, as `sweep` lists them: those of the user whose key it uses, made for jobs of the project.

A job's key is recorded in no state. It belongs to the bid whose name has the same mark, specification and generation:
while that bid lives, its machine ends the bid with it. A key without its bid is left over: a crash came before the bid,
or the bid ended and nobody could revoke the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.cli.kind import SweptKind
from flow_resources.core.models import Bid, JobKey, Named
from flow_resources.core.naming import is_key_name, key_name_of
from flow_resources.errors import UnavailableError
from flow_resources.lifecycle.job import JOB
from flow_resources.lifecycle.operation import Operation


@dataclass(frozen=True)
class ListedKey:
    """A live key, and whose it is."""

    key: JobKey
    bid: Bid | None = None
    """The live bid that it belongs to."""
    nameless: str = ""
    """The id of a live bid that it may belong to, where the service does not say its name."""

    @property
    def id(self) -> str:
        """Of the key."""
        return self.key.id

    @property
    def name(self) -> str:
        """Of the key."""
        return self.key.name

    @property
    def created_at(self) -> str:
        """Of the key."""
        return self.key.created_at

    @property
    def name_is_known(self) -> bool:
        """Of the key."""
        return self.key.name_is_known


class JobKeyKind(SweptKind[ListedKey]):
    """The kind; `JOB_KEYS` is its one instance."""

    noun, plural = "API key", "API keys"
    ending, ended = "revoking", "revoked"
    end_advice = "revokes the API keys whose bids have ended, or end with it"
    number_titles = ("EXPIRES (UTC)",)
    state_title = "BID"
    is_essential = False

    def list_all(self, op: Operation) -> Sequence[ListedKey]:
        """List the keys first and the bids after them: a bid is placed after its key is made."""
        project = op.cloud.project().id
        keys = [key for key in op.cloud.job_keys() if is_key_name(key.name, project)]
        bids = JOB.list_all(op) if keys else ()
        by_key = {key_name_of(bid.name, project): bid for bid in bids}
        nameless = next((bid.id for bid in bids if not bid.name_is_known), "")
        return [ListedKey(key, by_key.get(key.name), nameless) for key in keys]

    def find(self, op: Operation, id_: str) -> ListedKey | None:
        """Return one as it is now."""
        return next((key for key in self.list_all(op) if key.id == id_), None)

    def end(self, op: Operation, thing: ListedKey) -> None:
        """Revoke it. Raises UnavailableError where it is listed as live after that."""
        op.cloud.revoke_job_key(thing.id)
        if any(key.id == thing.id for key in op.cloud.job_keys()):
            raise UnavailableError(f"the API key {thing.id} was revoked and still works", "run the same command again")

    def recorded_as(self, thing: ListedKey) -> Named:
        """Return its bid, while that lives."""
        return thing.bid or thing

    def reason_to_keep(self, thing: ListedKey) -> str:
        """Return which bid it belongs to, or may belong to."""
        if thing.bid:
            return f"the bid {thing.bid.id} ends itself with it"
        if thing.nameless:
            return f"the service does not say the name of the bid {thing.nameless}, which may end itself with it"
        return ""

    def numbers(self, thing: ListedKey) -> list[str]:
        """Return its expiry."""
        return ["?" if thing.key.expires_at is None else f"{thing.key.expires_at:%Y-%m-%d %H:%M}"]

    def state(self, thing: ListedKey, status: str) -> str:  # noqa: ARG002
        """Return its bid."""
        return thing.bid.id if thing.bid else "?" if thing.nameless else "-"

    def document(self, thing: ListedKey, status: str) -> dict[str, Any]:  # noqa: ARG002
        """Return the same for a script."""
        expires_at = thing.key.expires_at
        return {
            "expires_at": expires_at.isoformat() if expires_at else None,
            "bid": thing.bid.id if thing.bid else None,
        }


JOB_KEYS = JobKeyKind()
