"""What `costs` prints: a table for a person, one JSON document for a script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.table import Table

from flow_resources.cli.tables import draw
from flow_resources.core import money
from flow_resources.core.costs import Spending

_HEADS = ("RESOURCE", "STATUS", "SPENT", "MACHINE-H", "PREEMPTED", "$/GPU-H", "ON-DEMAND", "SAVED")
_STYLES = {(1, "running"): "green", (1, "preempted"): "yellow", (1, "failed"): "red", (1, "not known"): "red"}
NOTHING = "no clusters, jobs or fleets, and no bids of earlier ones"


@dataclass(frozen=True)
class CostRow:
    """What was paid for one cluster or job, over all its bids."""

    name: str
    status: str
    spending: Spending
    bids: tuple[str, ...]
    """Their ids, newest first."""
    kind: str | None = None
    """"GpuCluster" or "Job"; None where no state records it."""
    urn: str | None = None
    """None where no state records it."""


@dataclass(frozen=True)
class CostReport:
    """What was paid for a stack."""

    stack: str
    owner: str
    owner_is_shared: bool
    service: str
    project: str
    at: datetime | None
    """The service's time up to which all is counted; None: not known."""
    since: datetime | None = None
    rows: Sequence[CostRow] = ()
    on_demand_sources: Sequence[str] = ()
    """Where the on-demand prices come from."""
    warnings: Sequence[str] = ()
    """What the person has to know beside the numbers."""

    @property
    def total(self) -> Spending:
        """The sum of the rows."""
        return Spending.total(row.spending for row in self.rows)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self.total.is_complete

    def table(self, width: int | None) -> Table:
        """Return the table, at most `width` wide; None: as wide as it is."""
        rows = [(row.name, row.status, *_cells(row.spending)) for row in self.rows]
        if len(rows) > 1:
            rows.append(("total", "", *_cells(self.total)))
        return draw(_HEADS, rows, right=_HEADS[2:], width=width, styles=_STYLES)

    def document(self) -> str:
        """Return all of it as JSON. The shape is a promise: keys may come, none changes its meaning."""
        content = {
            "version": 1,
            "stack": self.stack,
            "owner": self.owner,
            "owner_is_shared": self.owner_is_shared,
            "service": self.service,
            "project": self.project,
            "at": _stamp(self.at),
            "since": _stamp(self.since),
            "resources": [
                {
                    "name": row.name,
                    "kind": row.kind,
                    "urn": row.urn,
                    "status": row.status,
                    "bids": list(row.bids),
                    **spending_document(row.spending),
                }
                for row in self.rows
            ],
            "on_demand_sources": list(self.on_demand_sources),
            "total": spending_document(self.total),
        }
        return json.dumps(content, indent=2)


def spending_document(spending: Spending) -> dict[str, Any]:
    """Return what was spent as JSON values; null for what is not known."""
    return {
        "spent_usd": _number(spending.spent if spending.is_known else None),
        "is_complete": spending.is_complete,
        "hours": _number(spending.hours if spending.is_known else None),
        "machine_hours": _number(spending.instance_hours if spending.is_known else None),
        "preemptions": spending.preemptions,
        "usd_per_gpu_hour": _number(spending.per_gpu_hour),
        "on_demand_usd": _number(spending.on_demand),
        "saved_percent": _number(spending.saved_percent),
    }


def _cells(spending: Spending) -> tuple[str, ...]:
    saved = spending.saved_percent
    ran = bool(spending.ran) or not spending.is_complete
    return (
        spending.spent_text,
        f"{spending.instance_hours:,}" if spending.is_known else "?",
        "?" if spending.preemptions is None else str(spending.preemptions),
        _amount(spending.per_gpu_hour, ran),
        _amount(spending.on_demand, ran),
        ("?" if ran else "-") if saved is None else f"{saved:.0f} %",
    )


def _amount(amount: Decimal | None, ran: bool) -> str:
    if amount is None:
        return "?" if ran else "-"
    return money.usd(amount)


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
