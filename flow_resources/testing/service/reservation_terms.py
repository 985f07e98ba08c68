"""On which terms machines are reserved: when, how long, how many, at what price. This room changes nothing.

The stock is this room's own invention, and apart from the auction's machines.
"""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.catalog import BY_FID, InstanceType
from flow_resources.testing.service.errors import BadRequestError, InvalidError, problem
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.notation import write_price, write_time
from flow_resources.testing.service.orders import QUANTITY_MAX
from flow_resources.testing.service.periods import Period, free, latest_end, slots
from flow_resources.testing.service.query import Query
from flow_resources.testing.service.store import Row, Store

STOCK = 16
"""Machines of one type in one region that can be reserved."""
LONGEST = 14 * 86_400.0
"""How many seconds a reservation may last, extensions included."""
_AHEAD = 365 * 86_400.0
_LATE = 300.0
"""How far in the past a start may lie: clients that want machines now name the second in which they asked."""
_OFFER = "standard"
_MODES = ("latest_end_time", "slots", "check")


class Terms:
    """What can be reserved, in the light of what is."""

    def __init__(self, store: Store) -> None:
        """Read the tables of `store`."""
        self._store = store

    def check_start(self, start: float, end: float, now: float) -> None:
        """Raise BadRequestError for a time that nothing can be reserved for."""
        reason = None
        if start < now - _LATE:
            reason = "start_time is in the past"
        elif start > now + _AHEAD:
            reason = "start_time is more than 1 year from now"
        elif end <= max(start, now):
            reason = "end_time must be in the future, and after start_time"
        if reason is not None:
            raise BadRequestError(reason)
        check_length(start, end)

    def check_room(self, wanted: Row | dict[str, Any], start: float, end: float) -> None:
        """Raise BadRequestError when too few machines are free at some time from `start` until `end`."""
        left = free(STOCK, self._taken(wanted["instance_type"], wanted["region"]), start, end)
        if left < wanted["quantity"]:
            msg = f"Only {left} machines can be reserved from {write_time(start)} until {write_time(end)}"
            raise BadRequestError(msg)

    def availability(self, query: Query, now: float) -> object:
        """Answer GET /v2/reservation/availability in the mode that the query names."""
        kind, region = _read_place(query)
        taken = self._taken(kind.fid, region)
        mode = query.choice("mode", _MODES) or _MODES[0]
        if mode == "slots":
            start, end = _required(query, "earliest_start_time"), _required(query, "latest_end_time")
            least = query.whole("quantity", most=QUANTITY_MAX) or 1
            # Outside of these bounds nothing can be reserved, whoever asks.
            start, end = max(start, now - _LATE), min(end, now + _AHEAD)
            return [_slot_row(slot) for slot in slots(STOCK, taken, start, end) if slot.quantity >= least]
        start, quantity = _required(query, "start_time"), _quantity(query)
        if mode == "check":
            return {"available": self._fits(taken, start, _required(query, "end_time"), quantity, now)}
        start = min(max(start, now - _LATE), now + _AHEAD)
        end = latest_end(STOCK, taken, start, quantity, start + LONGEST)
        return {"latest_end_time": write_time(end), "available": end > start}

    def extension(self, row: Row) -> dict[str, Any]:
        """Answer GET /v2/reservation/{fid}/extension-availability."""
        taken = self._taken(row["instance_type"], row["region"])
        end = latest_end(STOCK, taken, row["end_at"], row["quantity"], row["start_at"] + LONGEST)
        return {"latest_extension_time": write_time(end), "available": end > row["end_at"] and row["status"] != "Ended"}

    def quote(self, query: Query) -> dict[str, Any]:
        """Answer GET /v2/reservation/quote: there is one offer, which gives nothing back."""
        kind, _ = _read_place(query)
        start, end, quantity = _required(query, "start_time"), _required(query, "end_time"), _quantity(query)
        if end <= start:
            raise InvalidError([problem(("query", "end_time"), "end_time must be after start_time")])
        cents = unit_price(kind)
        nothing = ("return_buyback_price", "pause_buyback_price", "total_etbp_value", "total_fubp_value")
        offer = {
            "key": _OFFER,
            "display_name": "Standard",
            "unit_price": write_price(cents),
            "total_price": write_price(total_price(cents, quantity, end - start)),
            "option_premium": write_price(0),
            **dict.fromkeys(nothing, write_price(0)),
        }
        return {"offers": [offer]}

    def _fits(self, taken: list[Period], start: float, end: float, quantity: int, now: float) -> bool:
        try:
            self.check_start(start, end, now)
        except BadRequestError:
            return False
        return free(STOCK, taken, start, end) >= quantity

    def _taken(self, instance_type: str, region: str) -> list[Period]:
        rows = self._store.rows(
            "SELECT start_at, end_at, quantity FROM reservations WHERE instance_type = ? AND region = ?"
            " AND status != 'Ended' AND NOT hidden",
            *(instance_type, region),
        )
        return [Period(row["start_at"], row["end_at"], row["quantity"]) for row in rows]


def unit_price(kind: InstanceType) -> int:
    """Return the cents that a reserved machine costs an hour: twice what the spot price starts at."""
    return 2 * kind.spot_cents


def total_price(unit_cents: int, quantity: int, seconds: float) -> int:
    """Return the cents of so many machines for so long."""
    return round(unit_cents * quantity * seconds / 3600)


def check_length(start: float, end: float) -> None:
    """Raise BadRequestError for a reservation that is too long."""
    if end - start > LONGEST:
        msg = f"A reservation lasts {LONGEST / 3600:.0f} hours at most"
        raise BadRequestError(msg)


def check_price(unit_cents: int, most: int | None) -> None:
    """Raise BadRequestError when a machine costs more an hour than the client wants to pay."""
    if most is not None and unit_cents > most:
        msg = f"The unit price is {write_price(unit_cents)}, above the max_unit_price"
        raise BadRequestError(msg)


def read_price(body: Body) -> int | None:
    """Return the most that a machine may cost an hour, in cents, if the client says so."""
    if not body.has("price_specification"):
        return None
    price = body.inner("price_specification")
    if price.sent("offer_key"):
        price.choice("offer_key", (_OFFER,))
    return price.whole("max_unit_price", least=0) if price.has("max_unit_price") else None


def _read_place(query: Query) -> tuple[InstanceType, str]:
    instance_type, region = query.required("instance_type"), query.required("region")
    kind = BY_FID.get(instance_type)
    if kind is None:
        raise InvalidError([problem(("query", "instance_type"), f"Instance type {instance_type} does not exist")])
    if region not in kind.regions:
        raise InvalidError([problem(("query", "region"), f"{kind.name} is not on offer in {region}")])
    return kind, region


def _required(query: Query, name: str) -> float:
    query.required(name)
    return query.moment(name) or 0.0


def _quantity(query: Query) -> int:
    query.required("quantity")
    return query.whole("quantity", most=QUANTITY_MAX) or 1


def _slot_row(slot: Period) -> dict[str, Any]:
    return {"start_time": write_time(slot.start), "end_time": write_time(slot.end), "quantity": slot.quantity}
