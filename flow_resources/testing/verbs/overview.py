"""The verb `overview`: everything that the page in the browser shows, in one response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flow_resources.testing.service.accounts import OPERATOR, project_row
from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.body import Body
from flow_resources.testing.service.catalog import BY_FID, REGIONS, TYPES
from flow_resources.testing.service.errors import UnauthorizedError
from flow_resources.testing.service.formats import write_time
from flow_resources.testing.service.instances import instance_row
from flow_resources.testing.service.market import Pool
from flow_resources.testing.service.options import MANUAL
from flow_resources.testing.service.store import Row
from flow_resources.testing.verbs.operator import Operator, query
from flow_resources.testing.verbs.queries import HOURS_MAX, market
from flow_resources.testing.web.journal import Request

_ENDED_BIDS_MAX, _REQUESTS_MAX, _CHARTS_MAX = 20, 50, 6
_CHART_POINTS = 180
DEFAULT_KEY = "test-key"


@query
def overview(operator: Operator, arguments: Body, now: float) -> Any:
    """Return the state of the cloud; `place` lists the pools to chart, `hours` how far back the charts reach."""
    requested, hours = (
        _read_charted_pools(arguments),
        arguments.number("hours", maximum=HOURS_MAX) if arguments.has("hours") else 6.0,
    )
    arguments.reject_others()
    backend = operator.backend
    rows, spent = _recent_bids(backend), backend.billing.spent(now)
    bids = zip(rows, backend.bids.wire(rows), strict=True)
    return {
        "clock": {"now": write_time(now), "speed": backend.clock.speed},
        "story": None if backend.market.seed is None else {"seed": backend.market.seed},
        "auction": _auction(backend, now),
        "project": project_row(backend.accounts.find_project(operator.project)),
        "region": operator.region,
        "flow_dir": operator.flow_dir(),
        "default_key": _accepts_default_key(backend, now),
        "spend": {"total_usd": round(sum(spent.values()), 2), "per_hour_usd": backend.billing.per_hour()},
        "markets": market(operator, now),
        "charts": [_chart(backend, pool, rows, hours, now) for pool in requested or _default_charts(rows)],
        "bids": [_bid(backend, row, wire, spent, now) for row, wire in bids],
        "volumes": backend.volumes.listing(),
        "requests": [_request(request) for request in operator.journal.latest(_REQUESTS_MAX)],
        "faults": [rule.wire() for rule in operator.faults.all()],
    }


def _auction(backend: Backend, now: float) -> dict[str, Any]:
    """Return the time between auctions (None if MANUAL), and the next one (None if it is not scheduled)."""
    seconds, due = backend.options.auction_seconds, backend.lifecycle.next_auction(now)
    return {"seconds": None if seconds == MANUAL else seconds, "next": None if due is None else write_time(due)}


def _accepts_default_key(backend: Backend, now: float) -> bool:
    try:
        backend.accounts.identify(f"Bearer {DEFAULT_KEY}", now)
    except UnauthorizedError:
        return False
    return True


def _recent_bids(backend: Backend) -> list[Row]:
    """Return the live bids and those that ended last, newest first."""
    return backend.store.rows(
        "SELECT * FROM bids WHERE status != 'Terminated' OR seq IN"
        " (SELECT seq FROM bids WHERE status = 'Terminated' ORDER BY deactivated_at DESC LIMIT ?) ORDER BY seq DESC",
        _ENDED_BIDS_MAX,
    )


def _read_charted_pools(arguments: Body) -> list[Pool]:
    """Return the capacity pools in `place`, a list such as `type:region,type:region`."""
    names = (arguments.text_or_none("place") or "").split(",")
    pools = [Pool(*name.partition(":")[::2]) for name in names if name]
    for pool in pools:
        if pool.instance_type not in BY_FID or pool.region not in REGIONS:
            arguments.add_problem("place", f"no market {':'.join(pool)!r}")
    return pools


def _default_charts(bids: Sequence[Row]) -> list[Pool]:
    """Return the pools with live bids, or one of 8xa100 if there are none."""
    active = dict.fromkeys(Pool(row["instance_type"], row["region"]) for row in bids if row["status"] != "Terminated")
    default = next(instance_type for instance_type in TYPES if instance_type.short == "8xa100")
    return list(active)[:_CHARTS_MAX] or [Pool(default.fid, "us-central5-a")]


def _chart(backend: Backend, pool: Pool, bids: Sequence[Row], hours: float, now: float) -> dict[str, Any]:
    points = backend.histories.points(pool, now - 3600 * hours, now, _CHART_POINTS)
    return {
        "instance_type": pool.instance_type,
        "region": pool.region,
        "points": [[write_time(at), cents / 100] for at, cents in points],
        "bids": [row["fid"] for row in bids if (row["instance_type"], row["region"]) == pool],
    }


def _bid(backend: Backend, row: Row, wire: dict[str, Any], spent: dict[str, float], now: float) -> dict[str, Any]:
    rows = backend.store.rows_in("SELECT * FROM instances WHERE fid IN ({}) ORDER BY seq", wire["instances"])
    shown = ("fid", "name", "status", "ssh_destination")
    boots = backend.boots.present(row, rows)
    pool = Pool(row["instance_type"], row["region"])
    return {
        **{name: wire[name] for name in wire if name != "launch_specification"},
        "type": BY_FID[row["instance_type"]].short,
        "held": bool(row["held"]),
        "price": backend.market.price(pool, now) / 100,
        "spent_usd": round(spent.get(row["fid"], 0.0), 2),
        "volumes": wire["launch_specification"]["volumes"],
        "instances": [
            {**{name: instance[name] for name in shown}, **boots[instance["fid"]]}
            for instance in map(instance_row, rows)
        ],
        "events": backend.bids.history(OPERATOR, row["fid"])["events"],
    }


def _request(request: Request) -> dict[str, Any]:
    names = ("method", "path", "status", "effect", "fault")
    return {"at": write_time(request.at), **{name: getattr(request, name) for name in names}}
