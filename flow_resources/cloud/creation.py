"""Creating a named thing exactly once, also where the answer to the request is lost.

When the answer to a creating POST is lost, the stock client fails (500) or sends the request again (504, connection
reset, time-out), which rents twice where the service ignores the Idempotency-Key. Here, what the lost request may have
created is looked up by its exact name first, and the request is sent again only where there is nothing.

A new kind of named thing is one line in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flow_resources.cloud.listings import Page
from flow_resources.cloud.paths import BIDS, VOLUMES
from flow_resources.cloud.retries import call_with_retries, is_outcome_unknown, is_transient
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.errors import UnavailableError

Row = Mapping[str, Any]


@dataclass(frozen=True)
class NamedKind:
    """A kind of thing that is created under a name and can be found again by it."""

    path: str
    """Where it is created and listed."""
    query: Callable[[str], dict[str, Any]]
    """The parameters, besides the project, that list at least everything of a name."""
    is_live: Callable[[Row], bool]
    """Whether a row of the listing still exists."""
    is_name_new: bool = False
    """Whether every request has a name that was never used before, so that nothing of that name is there yet."""


_OLDEST_FIRST = {"sort_by": "created_at", "sort_dir": "asc", "limit": 100}
KINDS = {
    kind.path: kind
    for kind in (
        NamedKind(
            BIDS,
            lambda name: {"name": name, **_OLDEST_FIRST},
            lambda row: row.get("status") != "Terminated",
            is_name_new=True,
        ),
        NamedKind(VOLUMES, lambda _: {}, lambda row: not row.get("deleted_at")),
    )
}


def create_once(
    kind: NamedKind,
    body: Row,
    send: Callable[[], Any],
    get: Callable[[str, Mapping[str, Any]], Any],
    budget: RetryBudget,
) -> Any:
    """Send a creating request until it is answered, or until what a lost request created is found; return the row.

    What exists before the first request was not created by a lost one, whatever its name.
    """
    name, existing, outcome_unknown = body["name"], set[str](), False

    def list_named() -> list[Row]:
        rows = Page.read(get(kind.path, {"project": body["project"], **kind.query(name)})).whole(kind.path)
        return [row for row in rows if row.get("name") == name and kind.is_live(row)]

    if not kind.is_name_new:
        existing = {row["fid"] for row in call_with_retries(list_named, budget, is_transient)}

    def find_or_send() -> Any:
        nonlocal outcome_unknown
        if outcome_unknown:
            created = [row for row in list_named() if row["fid"] not in existing]
            if created:
                return min(created, key=lambda row: str(row.get("created_at")))
        try:
            return send()
        except Exception as error:
            outcome_unknown = outcome_unknown or is_outcome_unknown(error)
            raise

    try:
        return call_with_retries(find_or_send, budget, is_transient)
    except Exception as error:
        if not (outcome_unknown and is_transient(error)):
            raise  # the service refused it, after a look-up that found nothing
        # This must not be one of the SDK's own errors: its retry loop around this call would start over.
        raise UnavailableError(
            f"no readable answer to the request for {name!r}",
            "it may exist: run `pulumi up` again, which looks for it by that name before it makes another",
        ) from error
