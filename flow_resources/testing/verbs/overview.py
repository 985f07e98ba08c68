"""Everything that the page in the browser shows, in one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flow_resources.testing.service.accounts import OPERATOR, project_row
from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.catalog import BY_FID, REGIONS, TYPES
from flow_resources.testing.service.errors import UnauthorizedError
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.machines import instance_row
from flow_resources.testing.service.market import Place
from flow_resources.testing.service.notation import write_time
from flow_resources.testing.service.options import MANUAL
from flow_resources.testing.service.store import Row
from flow_resources.testing.verbs.looking import HOURS_MAX, market
from flow_resources.testing.verbs.operator import Operator, reads
from flow_resources.testing.web.journal import Request

_ENDED, _REQUESTS, _POINTS = 20, 50, 180
_CHARTS = 6
DEFAULT_KEY = "test-key"


@reads
def overview(operator: Operator, ask: Body, now: float) -> Any:
    """Return the state of the cloud; `place` names the price lines that are wanted, `hours` how far they go back."""
    asked, hours = _asked(ask), ask.decimal("hours", most=HOURS_MAX) if ask.has("hours") else 6.0
    ask.nothing_else()
    backend = operator.backend
    rows, spent = _bids(backend), backend.billing.spent(now)
    shown = zip(rows, backend.bids.wire(rows), strict=True)
    return {
        "clock": {"now": write_time(now), "speed": backend.clock.speed},
        "story": None if backend.market.seed is None else {"seed": backend.market.seed},
        "auction": _auction(backend, now),
        "project": project_row(backend.accounts.find_project(operator.project)),
        "region": operator.region,
        "default_key": _knows_the_default_key(backend, now),
        "spend": {"total_usd": round(sum(spent.values()), 2), "per_hour_usd": backend.billing.per_hour()},
        "markets": market(operator, now),
        "charts": [_chart(backend, place, rows, hours, now) for place in asked or _worth_showing(rows)],
        "bids": [_bid(backend, row, wire, spent, now) for row, wire in shown],
        "volumes": backend.volumes.listing(),
        "requests": [_request(request) for request in operator.journal.latest(_REQUESTS)],
        "faults": [rule.wire() for rule in operator.faults.all()],
    }


def _auction(backend: Backend, now: float) -> dict[str, Any]:
    """Return the time from one auction to the next, None by hand, and when the next is, None when no clock says."""
    seconds, due = backend.options.auction_seconds, backend.lifecycle.next_auction(now)
    return {"seconds": None if seconds == MANUAL else seconds, "next": None if due is None else write_time(due)}


def _knows_the_default_key(backend: Backend, now: float) -> bool:
    try:
        backend.accounts.identify(f"Bearer {DEFAULT_KEY}", now)
    except UnauthorizedError:
        return False
    return True


def _bids(backend: Backend) -> list[Row]:
    """Return the live bids and the last that ended, the newest first."""
    return backend.store.rows(
        "SELECT * FROM bids WHERE status != 'Terminated' OR seq IN"
        " (SELECT seq FROM bids WHERE status = 'Terminated' ORDER BY deactivated_at DESC LIMIT ?) ORDER BY seq DESC",
        _ENDED,
    )


def _asked(ask: Body) -> list[Place]:
    """Read `type:region,...`."""
    places = [Place(*one.partition(":")[::2]) for one in (ask.text_or_none("place") or "").split(",") if one]
    for place in places:
        if place.instance_type not in BY_FID or place.region not in REGIONS:
            ask.wrong("place", f"no market {':'.join(place)!r}")
    return places


def _worth_showing(bids: Sequence[Row]) -> list[Place]:
    """Return the places with live bids, else one that everybody knows."""
    lively = dict.fromkeys(Place(row["instance_type"], row["region"]) for row in bids if row["status"] != "Terminated")
    usual = next(kind for kind in TYPES if kind.short == "8xa100")
    return list(lively)[:_CHARTS] or [Place(usual.fid, "us-central5-a")]


def _chart(backend: Backend, place: Place, bids: Sequence[Row], hours: float, now: float) -> dict[str, Any]:
    points = backend.histories.points(place, now - 3600 * hours, now, _POINTS)
    return {
        "instance_type": place.instance_type,
        "region": place.region,
        "points": [[write_time(at), cents / 100] for at, cents in points],
        "bids": [row["fid"] for row in bids if (row["instance_type"], row["region"]) == place],
    }


def _bid(backend: Backend, row: Row, wire: dict[str, Any], spent: dict[str, float], now: float) -> dict[str, Any]:
    held = wire["instances"]
    machines = backend.store.rows_in("SELECT * FROM instances WHERE fid IN ({}) ORDER BY seq", held)
    shown = ("fid", "name", "status", "ssh_destination")
    place = Place(row["instance_type"], row["region"])
    return {
        **{name: wire[name] for name in wire if name != "launch_specification"},
        "type": BY_FID[row["instance_type"]].short,
        "held": bool(row["held"]),
        "price": backend.market.price(place, now) / 100,
        "spent_usd": round(spent.get(row["fid"], 0.0), 2),
        "volumes": wire["launch_specification"]["volumes"],
        "instances": [{name: one[name] for name in shown} for one in map(instance_row, machines)],
        "events": backend.bids.history(OPERATOR, row["fid"])["events"],
    }


def _request(request: Request) -> dict[str, Any]:
    names = ("method", "path", "status", "effect", "fault")
    return {"at": write_time(request.at), **{name: getattr(request, name) for name in names}}
