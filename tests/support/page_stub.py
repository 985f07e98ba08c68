"""The page and its two kinds of request, served over a FakeMithril that does not serve them itself yet.

Everything that the page shows is read from the fake, and every verb that the fake has is carried out on it; what it
does not have (a market's own path, auctions, spend) is made up in the agreed form.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flow_resources.testing import FakeMithril, ManualClock
from flow_resources.testing.service.accounts import OPERATOR
from flow_resources.testing.service.catalog import BY_FID, TYPES
from flow_resources.testing.service.clock import wire_time
from flow_resources.testing.service.market import Place
from flow_resources.testing.web.page import asset

Wire = dict[str, Any]


class PageStub:
    """A site over one fake; `start` after `stop` listens on the same port again."""

    def __init__(self, mithril: FakeMithril, clock: ManualClock) -> None:
        self.mithril = mithril
        self.clock = clock
        self.port = 0
        self.speed = 0.0
        self.by_hand: dict[Place, list[tuple[float, float]]] = {}
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> PageStub:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), type("Handler", (_Handler,), {"site": self}))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    # --- what it shows ---

    def overview(self, places: list[str], hours: float) -> Wire:
        now = self.clock.now()
        bids = [self._bid(bid) for bid in reversed(self.mithril.bids)]
        live = [bid for bid in bids if bid["status"] != "Terminated"]
        wanted = places or sorted({f"{bid['instance_type']}:{bid['region']}" for bid in live})
        holding = [bid for bid in live if bid["status"] in ("Allocated", "Preempting")]
        return {
            "clock": {"now": wire_time(now), "speed": self.speed},
            "story": {"seed": 7},
            "auction": {"seconds": 120.0, "next": wire_time((now // 120 + 1) * 120)},
            "project": {"name": self.mithril.project, "fid": self.mithril.project_id},
            "spend": {
                "total_usd": sum(bid["spent_usd"] for bid in bids),
                "per_hour_usd": sum(bid["price"] * bid["instance_quantity"] for bid in holding),
            },
            "markets": [self._market(Place(kind.fid, region)) for kind in TYPES for region in kind.regions],
            "charts": [
                self._chart(Place(*place.split(":")), hours, bids)
                for place in wanted or ["it_Sg1nDx1I8NFep60J:us-central5-a"]
            ],
            "bids": bids,
            "volumes": [
                {**volume, "bids": [bid["fid"] for bid in live if volume["fid"] in bid["volumes"]]}
                for volume in self.mithril.volumes
            ],
            "requests": [
                {**vars(request), "at": wire_time(request.at), "fault": None}
                for request in self.mithril.requests[:-51:-1]
            ],
            "faults": [
                {"id": number, "rate": None, **{name: value for name, value in vars(rule).items() if name != "then"}}
                for number, rule in enumerate(self.mithril.faults._rules, 1)
            ],
        }

    def price(self, place: Place) -> float:
        with self.mithril._backend.session():
            return self.mithril._backend.market.price(BY_FID[place.instance_type], place.region) / 100

    def _market(self, place: Place) -> Wire:
        kind = BY_FID[place.instance_type]
        with self.mithril._backend.session():
            capacity = self.mithril._backend.market.capacity(kind, place.region)
            used = self.mithril._backend.market.used(place)
        sizes = {"capacity": capacity, "used": used, "free": max(0, capacity - used)}
        names = {"type": kind.short, "full_name": kind.name}
        return {**place._asdict(), **names, "price": self.price(place), "by_hand": place in self.by_hand, **sizes}

    def _chart(self, place: Place, hours: float, bids: list[Wire]) -> Wire:
        start = self.clock.now() - 3600 * hours
        points = [(start, BY_FID[place.instance_type].spot_cents / 100), *self.by_hand.get(place, [])]
        here = [bid["fid"] for bid in bids if (bid["instance_type"], bid["region"]) == place]
        return {**place._asdict(), "points": [[wire_time(at), price] for at, price in points], "bids": here}

    def _bid(self, bid: Wire) -> Wire:
        backend = self.mithril._backend
        with backend.session():
            events = backend.bids.history(OPERATOR, bid["fid"])["events"]
            held = bool(backend.bids.get(OPERATOR, bid["fid"])["held"])
        machines = [one for one in self.mithril.instances if one["fid"] in bid["instances"]]
        return {
            **bid,
            "type": BY_FID[bid["instance_type"]].short,
            "held": held,
            "price": self.price(Place(bid["instance_type"], bid["region"])),
            "spent_usd": 4.2,
            "volumes": bid["launch_specification"]["volumes"],
            "instances": machines,
            "events": events,
        }

    # --- what it does ---

    def act(self, verb: str, body: Wire) -> None:
        """Carry out a verb. Raises KeyError and ValueError as the fake does."""
        verbs: dict[str, Callable[..., object]] = {
            "preempt": self.mithril.preempt,
            "release": self.mithril.release,
            "terminate": self.mithril.terminate,
            "fail-boot": self.mithril.fail_boot,
            "set-price": self._set_price,
            "set-capacity": self.mithril.set_capacity,
            "hold-auction": lambda: None,
            "advance": self.clock.advance,
            "set-clock": self._set_clock,
            "add-fault": lambda rate, **rule: self.mithril.faults.add(**rule),
            "clear-faults": self.mithril.faults.clear,
            "reset": lambda: [self.mithril.terminate(bid["fid"]) for bid in self.mithril.live_bids],
        }
        verbs[verb](**body)

    def _set_price(self, instance_type: str, region: str, price: float | None) -> None:
        place = Place(instance_type, region)
        if price is None:
            self.mithril.set_price(instance_type, region, BY_FID[instance_type].spot_cents / 100)
            self.by_hand.pop(place, None)
            return
        self.mithril.set_price(instance_type, region, price)
        self.by_hand.setdefault(place, []).append((self.clock.now(), price))

    def _set_clock(self, speed: float) -> None:
        self.speed = speed


class _Handler(BaseHTTPRequestHandler):
    site: PageStub

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        found = asset(url.path)
        if found is not None:
            self._answer(200, *found)
        elif url.path == "/mithril-fake/overview":
            self._overview(query.get("place", []), float(query["hours"][0]))
        else:
            self._json(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.site.act(self.path.removeprefix("/mithril-fake/"), body)
        except KeyError as error:
            self._json(404, {"detail": str(error.args[0])})
        except (ValueError, TypeError) as error:
            self._json(400, {"detail": str(error)})
        else:
            self._json(200, {})

    def _overview(self, places: list[str], hours: float) -> None:
        try:
            self._json(200, self.site.overview(places, hours))
        except KeyError as error:
            self._json(404, {"detail": f"no market {error}"})

    def _json(self, status: int, body: Wire) -> None:
        self._answer(status, json.dumps(body, default=str).encode(), "application/json")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        # A browser that is closed does not wait for its answer.
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the page asks every second."""
