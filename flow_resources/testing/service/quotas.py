"""The quotas of projects: machines of each type in the spot market, and storage.

That a request beyond a quota is rejected with 400 is an assumption about the service.
"""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.catalog import BY_FID, TYPES
from flow_resources.testing.service.errors import BadRequestError
from flow_resources.testing.service.store import Store

STORAGE = "storage"
MACHINES_TOTAL, STORAGE_TOTAL_GB = 1_000, 1_000_000
"""The default quotas of a project."""


class Quotas:
    """The quotas of all projects, and their use."""

    def __init__(self, store: Store) -> None:
        """Use the tables of `store`."""
        self._store = store

    def set_total(self, project: str, product: str, total: int) -> None:
        """Set how many machines of a type (its id), or how many GB of STORAGE, a project may hold."""
        self._store.run("INSERT OR REPLACE INTO quotas VALUES (?, ?, ?)", project, product, total)

    def check_machines(self, project: str, instance_type: str, quantity: int) -> None:
        """Raise BadRequestError if `quantity` more machines exceed the quota of the project."""
        total, used = self._total(project, instance_type, MACHINES_TOTAL), self._machines(project, instance_type)
        if used + quantity > total:
            name = BY_FID[instance_type].short
            msg = f"Quota exceeded for {name}: {quantity} more than {used} in use, of {total} instances"
            raise BadRequestError(msg)

    def check_storage(self, project: str, gigabytes: int) -> None:
        """Raise BadRequestError if `gigabytes` more storage exceed the quota of the project."""
        total, used = self._total(project, STORAGE, STORAGE_TOTAL_GB), self._gigabytes(project)
        if used + gigabytes > total:
            msg = f"Quota exceeded for storage: {gigabytes} GB more than {used} GB in use, of {total} GB"
            raise BadRequestError(msg)

    def rows(self, project: str) -> list[dict[str, Any]]:
        """Return the response of GET /v2/quotas."""
        rows = []
        for instance_type in TYPES:
            fid = instance_type.fid
            total, used = self._total(project, fid, MACHINES_TOTAL), self._machines(project, fid)
            rows.append(_row(project, fid, instance_type.short, "Spot", total, used))
        total = self._total(project, STORAGE, STORAGE_TOTAL_GB)
        return [*rows, _row(project, None, "Storage", "Storage", total, self._gigabytes(project))]

    def _total(self, project: str, product: str, default: int) -> int:
        total = self._store.value("SELECT total FROM quotas WHERE project = ? AND product = ?", project, product)
        return default if total is None else int(total)

    def _machines(self, project: str, instance_type: str) -> int:
        return int(
            self._store.value(
                "SELECT coalesce(sum(quantity), 0) FROM bids WHERE status != 'Terminated'"
                " AND instance_type = ? AND project = ?",
                *(instance_type, project),
            )
        )

    def _gigabytes(self, project: str) -> int:
        sql = "SELECT coalesce(sum(capacity_gb), 0) FROM volumes WHERE deleted_at IS NULL AND project = ?"
        return int(self._store.value(sql, project))


def _row(project: str, instance_type: str | None, name: str, product: str, total: int, used: int) -> dict[str, Any]:
    return {
        "fid": f"quota_{project[5:]}_{(instance_type or 'it_storage')[3:]}",
        "project": project,
        "instance_type": instance_type,
        "product_type": product,
        "total_quantity": total,
        "used_quantity": used,
        "units": "GB" if instance_type is None else "instances",
        "name": name,
    }
