"""The terms of reservations: start, duration, quantity and price. This module changes nothing.

The stock of machines for reservations is separate from those of the auction; its size is an assumption.
"""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.body import Body
from flow_resources.testing.service.catalog import BY_FID, InstanceType
from flow_resources.testing.service.errors import BadRequestError, InvalidError, problem
from flow_resources.testing.service.formats import write_price, write_time
from flow_resources.testing.service.orders import QUANTITY_MAX
from flow_resources.testing.service.periods import Period, free, latest_end, slots
from flow_resources.testing.service.query import Query
from flow_resources.testing.service.store import Row, Store

STOCK = 16
"""The number of machines of one type in one region that can be reserved."""
DURATION_MAX = 14 * 86_400.0
"""The maximum duration of a reservation in seconds, extensions included."""
_AHEAD_MAX = 365 * 86_400.0
_PAST_MAX = 300.0
"""How far in the past a start may be: a client that starts a reservation now sends the time of the request."""
_OFFER = "standard"
_MODES = ("latest_end_time", "slots", "check")


class Terms:
    """What can be reserved beside the existing reservations."""

    def __init__(self, store: Store) -> None:
        """Use the tables of `store`."""
        self._store = store

    def check_start(self, start: float, end: float, now: float) -> None:
        """Raise BadRequestError for a start or an end that no reservation can have."""
        reason = None
        if start < now - _PAST_MAX:
            reason = "start_time is in the past"
        elif start > now + _AHEAD_MAX:
            reason = "start_time is more than 1 year from now"
        elif end <= max(start, now):
            reason = "end_time must be in the future, and after start_time"
        if reason is not None:
            raise BadRequestError(reason)
        check_length(start, end)

    def check_available(self, order: Row | dict[str, Any], start: float, end: float) -> None:
        """Raise BadRequestError if too few machines are free at any time from `start` until `end`."""
        available = free(STOCK, self._reserved(order["instance_type"], order["region"]), start, end)
        if available < order["quantity"]:
            msg = f"Only {available} machines can be reserved from {write_time(start)} until {write_time(end)}"
            raise BadRequestError(msg)

    def availability(self, query: Query, now: float) -> object:
        """Return the response of GET /v2/reservation/availability, in the mode of the query."""
        instance_type, region = _read_type_and_region(query)
        reserved = self._reserved(instance_type.fid, region)
        mode = query.choice("mode", _MODES) or _MODES[0]
        if mode == "slots":
            start, end = _required_time(query, "earliest_start_time"), _required_time(query, "latest_end_time")
            minimum = query.integer("quantity", maximum=QUANTITY_MAX) or 1
            # Nothing can be reserved outside of these bounds.
            start, end = max(start, now - _PAST_MAX), min(end, now + _AHEAD_MAX)
            return [_slot_row(slot) for slot in slots(STOCK, reserved, start, end) if slot.quantity >= minimum]
        start, quantity = _required_time(query, "start_time"), _required_quantity(query)
        if mode == "check":
            return {"available": self._is_available(reserved, start, _required_time(query, "end_time"), quantity, now)}
        start = min(max(start, now - _PAST_MAX), now + _AHEAD_MAX)
        end = latest_end(STOCK, reserved, start, quantity, start + DURATION_MAX)
        return {"latest_end_time": write_time(end), "available": end > start}

    def extension(self, row: Row) -> dict[str, Any]:
        """Return the response of GET /v2/reservation/{fid}/extension-availability."""
        reserved = self._reserved(row["instance_type"], row["region"])
        end = latest_end(STOCK, reserved, row["end_at"], row["quantity"], row["start_at"] + DURATION_MAX)
        return {"latest_extension_time": write_time(end), "available": end > row["end_at"] and row["status"] != "Ended"}

    def quote(self, query: Query) -> dict[str, Any]:
        """Return the response of GET /v2/reservation/quote: one offer, without buyback."""
        instance_type, _ = _read_type_and_region(query)
        start, end, quantity = (
            _required_time(query, "start_time"),
            _required_time(query, "end_time"),
            _required_quantity(query),
        )
        if end <= start:
            raise InvalidError([problem(("query", "end_time"), "end_time must be after start_time")])
        cents = unit_price(instance_type)
        zero_prices = ("return_buyback_price", "pause_buyback_price", "total_etbp_value", "total_fubp_value")
        offer = {
            "key": _OFFER,
            "display_name": "Standard",
            "unit_price": write_price(cents),
            "total_price": write_price(total_price(cents, quantity, end - start)),
            "option_premium": write_price(0),
            **dict.fromkeys(zero_prices, write_price(0)),
        }
        return {"offers": [offer]}

    def _is_available(self, reserved: list[Period], start: float, end: float, quantity: int, now: float) -> bool:
        try:
            self.check_start(start, end, now)
        except BadRequestError:
            return False
        return free(STOCK, reserved, start, end) >= quantity

    def _reserved(self, instance_type: str, region: str) -> list[Period]:
        rows = self._store.rows(
            "SELECT start_at, end_at, quantity FROM reservations WHERE instance_type = ? AND region = ?"
            " AND status != 'Ended' AND NOT hidden",
            *(instance_type, region),
        )
        return [Period(row["start_at"], row["end_at"], row["quantity"]) for row in rows]


def unit_price(instance_type: InstanceType) -> int:
    """Return the price of a reserved machine per hour, in cents: twice the base spot price."""
    return 2 * instance_type.spot_cents


def total_price(unit_cents: int, quantity: int, seconds: float) -> int:
    """Return the price of `quantity` machines for a duration, in cents."""
    return round(unit_cents * quantity * seconds / 3600)


def check_length(start: float, end: float) -> None:
    """Raise BadRequestError for a reservation that is too long."""
    if end - start > DURATION_MAX:
        msg = f"A reservation lasts {DURATION_MAX / 3600:.0f} hours at most"
        raise BadRequestError(msg)


def check_price(unit_cents: int, max_cents: int | None) -> None:
    """Raise BadRequestError if the price per machine and hour is above the maximum of the request."""
    if max_cents is not None and unit_cents > max_cents:
        msg = f"The unit price is {write_price(unit_cents)}, above the max_unit_price"
        raise BadRequestError(msg)


def read_max_price(body: Body) -> int | None:
    """Return the maximum price per machine and hour of a request, in cents; None if it has none."""
    if not body.has("price_specification"):
        return None
    price = body.nested("price_specification")
    if price.sent("offer_key"):
        price.choice("offer_key", (_OFFER,))
    return price.integer("max_unit_price", minimum=0) if price.has("max_unit_price") else None


def _read_type_and_region(query: Query) -> tuple[InstanceType, str]:
    fid, region = query.required("instance_type"), query.required("region")
    instance_type = BY_FID.get(fid)
    if instance_type is None:
        raise InvalidError([problem(("query", "instance_type"), f"Instance type {fid} does not exist")])
    if region not in instance_type.regions:
        raise InvalidError([problem(("query", "region"), f"{instance_type.name} is not on offer in {region}")])
    return instance_type, region


def _required_time(query: Query, name: str) -> float:
    query.required(name)
    return query.time(name) or 0.0


def _required_quantity(query: Query) -> int:
    query.required("quantity")
    return query.integer("quantity", maximum=QUANTITY_MAX) or 1


def _slot_row(slot: Period) -> dict[str, Any]:
    return {"start_time": write_time(slot.start), "end_time": write_time(slot.end), "quantity": slot.quantity}
