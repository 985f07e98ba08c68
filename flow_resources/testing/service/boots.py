"""The boots of machines, and what runs at each: the start-up script at the first boot of a boot disk alone.

The service keeps the boot disk of a machine until its bid or reservation ends. A later boot of the disk, after a
preemption, a pause or a relocation, runs the units that are installed on it, and not the start-up script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.testing.service.formats import write_time
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.startup_script import installed_units
from flow_resources.testing.service.store import Row, Store

STARTUP_SCRIPT = "start-up script"
_BOOTING = ("STATUS_NEW", "STATUS_CONFIRMED", "STATUS_INITIALIZING", "STATUS_STARTING")
_UP = ("STATUS_RUNNING", "STATUS_PREEMPTING")


@dataclass(frozen=True)
class Boot:
    """One finished boot."""

    order: str
    instance: str
    name: str
    at: float
    number: int
    """1 for the first boot of the boot disk."""


class Boots:
    """The boots of all orders, from the phases of their instances.

    An instance of the same order and name has the same boot disk, also where a preemption gave it another id.
    """

    def __init__(self, store: Store, options: Options) -> None:
        """Use the tables of `store`."""
        self._store = store
        self._options = options

    def history(self, order: Row) -> list[dict[str, Any]]:
        """Return each finished boot of an order, oldest first, with what ran at it."""
        script = order["startup_script"]
        return [
            {
                "bid": boot.order,
                "instance": boot.instance,
                "name": boot.name,
                "at": write_time(boot.at),
                "number": boot.number,
                "runs": self._runs(script, boot.number),
            }
            for boot in _boots(self._phases([order["fid"]]))
        ]

    def present(self, order: Row, instances: Sequence[Row]) -> dict[str, dict[str, Any]]:
        """Return for each instance, by id, the number of its latest boot and what runs at it.

        `runs` is None for a machine that is off, or that was given notice before it had booted.
        """
        phases = self._phases([order["fid"]])
        numbers = Counter(boot.name for boot in _boots(phases))
        before_notice = {phase["fid"]: phase["phase"] for phase in phases if phase["phase"] != "STATUS_PREEMPTING"}
        return {
            row["fid"]: self._present(
                row["status"], before_notice.get(row["fid"]), numbers[row["name"]], order["startup_script"]
            )
            for row in instances
        }

    def _present(self, status: str, before_notice: str | None, booted: int, script: str | None) -> dict[str, Any]:
        if status in _BOOTING:
            return {"boot": booted + 1, "runs": self._runs(script, booted + 1)}
        is_up = status in _UP and before_notice == "STATUS_RUNNING"
        return {"boot": booted, "runs": self._runs(script, booted) if is_up else None}

    def _runs(self, script: str | None, number: int) -> list[str]:
        """Return what runs at a boot: the start-up script, the units that it has installed, or nothing."""
        if script is None:
            return []
        if number == 1:
            return [STARTUP_SCRIPT]
        again = [STARTUP_SCRIPT] if self._options.startup_script_runs == "every_boot" else []
        return [*again, *installed_units(script)]

    def _phases(self, orders: Sequence[str]) -> list[Row]:
        sql = (
            "SELECT instances.bid, instances.fid, instances.name, phases.at, phases.status AS phase FROM phases"
            " JOIN instances ON instances.seq = phases.instance WHERE instances.bid IN ({}) ORDER BY phases.rowid"
        )
        return self._store.rows_in(sql, orders)


def _boots(phases: Iterable[Row]) -> Iterator[Boot]:
    """Yield the boots among the phases of one order: an instance that runs has booted."""
    numbers: Counter[str] = Counter()
    for phase in phases:
        if phase["phase"] == "STATUS_RUNNING":
            numbers[phase["name"]] += 1
            yield Boot(phase["bid"], phase["fid"], phase["name"], phase["at"], numbers[phase["name"]])
