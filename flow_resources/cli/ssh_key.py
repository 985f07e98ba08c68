"""SSH keys, as `sweep` lists them: those with a mark, and the live bids that use each.

A key costs nothing. One that no state records was left by an `up` that was cut off; `adopt` writes none, because a
program that says its content uses it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flow_resources.cli.kind import SweptKind
from flow_resources.core.models import StoredKey
from flow_resources.core.naming import take_apart
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.ssh_key import SSH_KEY, with_users


class SshKeyKind(SweptKind[StoredKey]):
    """The kind; `SSH_KEYS` is its one instance."""

    noun, plural = "SSH key", "SSH keys"
    ending, ended = "deleting", "deleted"
    end_advice = "deletes the SSH keys that no live bid uses"
    number_titles = ()
    state_title = "USED BY"
    is_essential = False

    def list_all(self, op: Operation) -> Sequence[StoredKey]:
        """List the keys with a mark, and the bids after them."""
        return with_users(op, [key for key in SSH_KEY.list_all(op) if take_apart(key.name)])

    def find(self, op: Operation, id_: str) -> StoredKey | None:
        """Return one as it is now."""
        return next((key for key in self.list_all(op) if key.id == id_), None)

    def end(self, op: Operation, thing: StoredKey) -> None:
        """Delete it by what `pulumi destroy` uses."""
        SSH_KEY.cancel(op, thing)

    def reason_to_keep(self, thing: StoredKey) -> str:
        """Return which bids use it, or that the project requires it."""
        if thing.is_required:
            return "the project requires it of every bid"
        return f"used by {', '.join(thing.bids)}" if thing.bids else ""

    def numbers(self, thing: StoredKey) -> list[str]:  # noqa: ARG002
        """Return none."""
        return []

    def state(self, thing: StoredKey, status: str) -> str:  # noqa: ARG002
        """Return who uses it."""
        return ", ".join(thing.bids) or "-"

    def document(self, thing: StoredKey, status: str) -> dict[str, Any]:  # noqa: ARG002
        """Return the same for a script."""
        return {"used_by": list(thing.bids)}


SSH_KEYS = SshKeyKind()
