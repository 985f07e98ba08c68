"""Made-up lives of jobs: what a machine, its power, the network, the service and people can do to one.

A life is made of a seed. It is lived on a fake cloud with a clock that waits for nobody, by the real end_job.py, and
looked at when it is over: what may be wrong is what `find_violations` says.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from support.job_machine import JobMachine

from flow_resources.core import money
from flow_resources.core.job_outcome import Outcome, is_mark, mark, told
from flow_resources.testing import FakeMithril
from flow_resources.testing.service.accounts import OPERATOR

NAME, KEY_NAME = "trainer-3f9a1c5d08b67be02d4d-9c01d2-1", "flow-job-3f9a1c5d08b67be02d4d-9c01d2-1"
PLACED = Decimal("50.00")
HOUR, DAY = 3600.0, 86_400.0
BOOTS = 60
"""More than any life needs: one that takes more never ends."""
BIDS, BID, KEYS, KEY = r"^/v2/spot/bids$", r"^/v2/spot/bids/", r"^/v2/api-keys$", r"^/v2/api-keys/"
EMPTY = {"data": [], "next_cursor": None}
FAULTS: dict[str, dict[str, Any]] = {
    "the answer to the PATCH is lost": {"method": "PATCH", "path": BID, "kind": "reset", "when": "after", "times": 2},
    "the PATCH is lost": {"method": "PATCH", "path": BID, "kind": "reset", "when": "before", "times": 3},
    "the PATCH fails": {"method": "PATCH", "path": BID, "status": 503, "times": 4},
    "the PATCH fails after its effect": {"method": "PATCH", "path": BID, "status": 500, "when": "after", "times": 2},
    "the PATCH is held for approval": {"method": "PATCH", "path": BID, "status": 202, "times": 2},
    "the service refuses the price": {"method": "PATCH", "path": BID, "status": 400, "times": 1},
    "the answer to the DELETE is lost": {"method": "DELETE", "path": BID, "kind": "reset", "when": "after"},
    "the DELETE is lost": {"method": "DELETE", "path": BID, "kind": "reset", "when": "before", "times": 3},
    "the DELETE fails after its effect": {"method": "DELETE", "path": BID, "status": 504, "when": "after"},
    "the DELETE fails": {"method": "DELETE", "path": BID, "status": 500, "times": 5},
    "the list is cut": {"method": "GET", "path": BIDS, "kind": "truncate", "times": 3},
    "the list is no JSON": {"method": "GET", "path": BIDS, "kind": "malformed", "times": 2},
    "the list fails": {"method": "GET", "path": BIDS, "status": 502, "times": 4},
    "the list is empty": {"method": "GET", "path": BIDS, "status": 200, "body": EMPTY, "times": 3},
    "the list has no prices": {"method": "GET", "path": BIDS, "kind": "alter", "body": {"data": None}, "times": 2},
    "the key is refused": {"status": 401, "times": 3},
    "too many requests": {"status": 429, "times": 5, "headers": {"Retry-After": "1"}},
    "the keys cannot be listed": {"method": "GET", "path": KEYS, "status": 500, "times": 1},
    "the answer to a revocation is lost": {"method": "DELETE", "path": KEY, "kind": "reset", "when": "after"},
    "a revocation fails": {"method": "DELETE", "path": KEY, "status": 503, "times": 2},
    "the answer to a new key is lost": {"method": "POST", "path": KEYS, "kind": "reset", "when": "after"},
    "ten minutes without the API": {"status": 503, "lasts": 600.0},
    "ten hours without the API": {"kind": "reset", "when": "before", "lasts": 36_000.0},
}
UNTOLD, LONG_OUTAGE = "the service refuses the price", "ten hours without the API"


@dataclass(frozen=True)
class Life:
    """What happens to one job. Times are hours of the cloud's clock."""

    seed: int
    code: int
    """The exit code of its command."""
    on_failure: str
    runs: tuple[float, ...]
    """How long each boot runs: a preemption ends all but the last, in which the command ends."""
    limit: float | None
    """max_run_time_hours."""
    cuts: tuple[int | None, ...]
    """After how many lines of end_job.py the power is cut, boot after boot; None for not."""
    last_requests: int
    """How many requests the machine still sends when it has lost its bid."""
    fault: str | None
    """What happens to requests from the job's end on."""
    preempted_at: str | None
    """The method of the request during which the bid is preempted."""
    new_price: Decimal | None
    """What somebody sets while the job runs."""
    cancelled: bool
    """Whether somebody cancels the bid in the first run."""
    double_hours: float | None
    """How long another live bid has the job's name."""
    key_days: float
    """Days from the start until the key expires."""
    clock_error: float
    """Seconds by which the machine's clock is ahead at its first boot; later it is right."""
    renews_late: bool
    """Whether the last boot ends before the script looks after the key."""
    cancel_seconds: float
    """How long the service takes to end a bid."""

    @classmethod
    def of(cls, seed: int) -> Life:
        """Return the life of a seed."""
        random = Random(seed)

        def seldom(value: Any, otherwise: Any = None, share: float = 0.2) -> Any:
            return value if random.random() < share else otherwise

        return cls(
            seed=seed,
            code=random.choice([0, 0, 1, 3, 137]),
            on_failure=random.choice(["release", "keep"]),
            runs=tuple(round(random.uniform(0.1, 20), 2) for _ in range(random.choice([1, 1, 2, 3, 5]))),
            limit=seldom(round(random.uniform(0.5, 60), 2), share=0.4),
            cuts=tuple(seldom(random.randrange(1, 260), share=0.6) for _ in range(random.choice([0, 2, 4, 8]))),
            last_requests=random.choice([0, 1, 2, 3, 50, 50]),
            fault=seldom(random.choice(list(FAULTS)), share=0.7),
            preempted_at=seldom(random.choice(["GET", "PATCH", "DELETE"])),
            new_price=seldom(PLACED + random.choice([-1, -2, -3, 10, 900]) * money.CENT, share=0.3),
            cancelled=seldom(True, False, share=0.05),
            double_hours=seldom(round(random.uniform(0.1, 5), 2), share=0.1),
            key_days=seldom(round(random.uniform(2, 9), 1), 37.0, share=0.4),
            clock_error=random.choice([0.0, 0.0, 5 * HOUR, -5 * HOUR]),
            renews_late=seldom(True, False),
            cancel_seconds=random.choice([0.0, 0.0, 30.0]),
        )


@dataclass
class Lived:
    """A life that is over, and what it left."""

    life: Life
    cloud: FakeMithril
    machine: JobMachine
    bid: str
    started_at: float
    boots: int = 0
    is_over: bool = False
    is_complete: bool = False
    """Whether the last boot ran to its end: the machine could do all that it has to do."""
    double: str | None = None
    """The other live bid of the job's name."""
    is_prepared: bool = False
    clock_error_at_exit: float = 0.0

    @property
    def row(self) -> Any:
        """The bid as the service shows it."""
        return self.cloud.bid(self.bid)

    @property
    def exit(self) -> Any:
        """How the command ended, as the machine noted it."""
        return self.machine.read("job-exit")

    @property
    def live_keys(self) -> list[str]:
        """The job's keys that were not revoked."""
        return [
            key["fid"]
            for key in request(self.cloud, "GET", "/v2/api-keys")
            if key["name"] == KEY_NAME and not key["deactivated_at"]
        ]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The history of the bid."""
        return list(request(self.cloud, "GET", f"/v2/spot/bids/{self.bid}/history")["events"])


def request(cloud: FakeMithril, method: str, path: str, body: Any = None) -> Any:
    """Send a request as the user."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {cloud.key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(cloud.url + path, data, headers, method=method)) as answer:
        return json.loads(answer.read() or "null")


def place_bid(cloud: FakeMithril) -> str:
    """Place a bid with the job's name and return its id."""
    body = {
        "project": cloud.project_id,
        "region": cloud.region,
        "name": NAME,
        "instance_type": "it_Sg1nDx1I8NFep60J",
        "instance_quantity": 1,
        "limit_price": money.to_wire(PLACED),
        "launch_specification": {"volumes": [], "ssh_keys": []},
    }
    return str(request(cloud, "POST", "/v2/spot/bids", body)["fid"])


def mint_key(cloud: FakeMithril, expires_at: float) -> dict[str, Any]:
    """Make a key of the job, as the provider does before it places the bid."""
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires_at))
    return dict(request(cloud, "POST", "/v2/api-keys", {"name": KEY_NAME, "expires_at": text}))


def job_file(cloud: FakeMithril, key: dict[str, Any], expires_at: float, **changes: Any) -> dict[str, Any]:
    """Return what the start-up script writes to job.json."""
    return {
        "api_url": cloud.url,
        "project": cloud.project_id,
        "task_name": NAME,
        "key": key["secret"],
        "key_id": key["fid"],
        "key_name": KEY_NAME,
        "key_expires_at": expires_at,
        "placed_cents": int(PLACED * 100),
        "on_failure": "release",
        "max_run_seconds": None,
        "machines": 1,
        **changes,
    }


def live(life: Life, cloud: FakeMithril, disk: Path, text: str | None = None) -> Lived:
    """Live a life to its end. `text` is the script, by default as in the source."""
    cloud.set_options(cancel_seconds=life.cancel_seconds)
    start = cloud.clock.now()
    expires_at = start + life.key_days * DAY
    key, bid = mint_key(cloud, expires_at), place_bid(cloud)
    limit = None if life.limit is None else int(life.limit * HOUR)
    job = job_file(cloud, key, expires_at, on_failure=life.on_failure, max_run_seconds=limit)
    lived = Lived(life, cloud, JobMachine(cloud, disk, job, text=text), bid, start)
    if life.fault and FAULTS[life.fault].get("method") == "POST":
        cloud.faults.add(**FAULTS[life.fault])
    while not lived.is_over and lived.boots < BOOTS:
        lived.boots += 1
        if lived.row["status"] == "Open":
            cloud.release(bid)
        if lived.row["status"] == "Allocated":
            had_ended = lived.exit
            _boot(lived)
            if lived.exit and not had_ended:
                lived.clock_error_at_exit = lived.machine.clock_error
        cloud.clock.advance(minutes=1)
        lived.is_over = lived.row["status"] in ("Terminated", "Paused")
    cloud.faults.clear()
    return lived


def _boot(lived: Lived) -> None:
    """Boot the machine, and let happen what happens until it is off."""
    life, cloud, machine = lived.life, lived.cloud, lived.machine
    index = lived.boots - 1
    is_last = index >= len(life.runs) - 1
    machine.clock_error = 0.0 if index else life.clock_error
    machine.lines_left = life.cuts[index] if index < len(life.cuts) else None
    machine.last_requests = life.last_requests
    if lived.exit:
        lived.is_complete = machine.run("report")
        return
    if index == 0:
        _let_people_act(lived)
    if life.cancelled or not ((is_last and life.renews_late) or machine.run("renew")):
        return
    seconds = life.runs[min(index, len(life.runs) - 1)] * HOUR
    if is_last:
        _prepare_end(lived, cloud.clock.now() + seconds)
    if life.limit is None:
        cloud.clock.advance(seconds)
    else:
        machine.cut_at = cloud.clock.now() + seconds
        lived.is_complete = machine.run("deadline")
        machine.cut_at = None
        if lived.exit or (machine.lines_left is not None and machine.lines_left < 0):
            return
    if is_last:
        lived.is_complete = machine.run("exited", str(life.code))
    elif lived.row["status"] == "Allocated":
        cloud.preempt(lived.bid)
        cloud.clock.advance(hours=2)


def _let_people_act(lived: Lived) -> None:
    if lived.life.cancelled:
        lived.cloud.terminate(lived.bid)
    elif lived.life.new_price is not None:
        lived.cloud.update_bid(lived.bid, limit_price=money.to_wire(lived.life.new_price))


def _prepare_end(lived: Lived, end: float) -> None:
    """Arm what happens at the end of the command, once."""
    life, cloud = lived.life, lived.cloud
    if lived.is_prepared:
        return
    lived.is_prepared = True
    if life.double_hours is not None:
        lived.double = double = place_bid(cloud)
        until = end + life.double_hours * HOUR

        def end_double() -> None:
            if cloud.clock.now() >= until:
                cloud.terminate(double)

        cloud.clock.listeners.append(end_double)
    if life.preempted_at:

        def preempt(_request: object) -> None:
            if lived.row["status"] == "Allocated":
                cloud.preempt(lived.bid)

        path = BIDS if life.preempted_at == "GET" else BID
        cloud.faults.add(method=life.preempted_at, path=path, then=preempt)
    if life.fault and FAULTS[life.fault].get("method") != "POST":
        cloud.faults.add(**FAULTS[life.fault])


def find_violations(lived: Lived) -> Iterator[str]:
    """Yield what is wrong with the end of a life."""
    life, row, how = lived.life, lived.row, lived.exit
    events = lived.events
    if not lived.is_over:
        yield f"not over after {lived.boots} boots: {row['status']}"
    if (how is None) is not life.cancelled:
        yield f"the machine noted {how}"
    truth = None if how is None else Outcome.SUCCEEDED if how["code"] == 0 else Outcome.FAILED
    yield from _wrong_exits(lived)
    status = "Paused" if truth is Outcome.FAILED and life.on_failure == "keep" else "Terminated"
    if row["status"] != status:
        yield f"the bid is {row['status']}, not {status}"
    outcome = told(PLACED, money.from_wire(row["limit_price"]))
    if outcome not in (None, truth) and not (life.fault == UNTOLD and is_mark(PLACED, life.new_price or PLACED)):
        yield f"told {outcome}, but it was {truth}"
    if outcome is None and truth is not None and not may_stay_untold(life, truth):
        yield f"told nothing, although nothing prevented it: {row['limit_price']}"
    ends = [event for event in events if event["event_type"] == status]
    if len(ends) != 1:
        yield f"{len(ends)} times {status}"
    yield from _wrong_prices(events, status)
    if lived.double and any(lived.double in sent.path for sent in lived.cloud.mutations):
        yield "another bid of the name was touched"
    if (keys := lived.live_keys) and lived.is_complete:
        yield f"keys that were not revoked: {keys}"
    secrets = [lived.machine.read("job.json")["key"]]
    if any(secret in line for secret in secrets for line in lived.machine.log):
        yield "the log has the key"


def may_stay_untold(life: Life, truth: Outcome) -> bool:
    """Return whether nothing can tell this outcome: the price is refused, or would be raised, or is the other mark."""
    price, wanted = life.new_price or PLACED, mark(PLACED, truth)
    assert wanted is not None
    return life.fault == UNTOLD or price < wanted or (price != wanted and is_mark(PLACED, price))


def _wrong_exits(lived: Lived) -> Iterator[str]:
    """Yield what is wrong with the exit that the machine noted."""
    life, how = lived.life, lived.exit
    if how is None:
        return
    seconds = how["at"] - lived.clock_error_at_exit - lived.started_at
    if how["code"] is None:
        if life.limit is None or seconds < int(life.limit * HOUR) - 1:
            yield f"the time limit ended it after {seconds / HOUR:.2f} hours"
        if not lived.machine.command_stops and lived.is_complete and not life.cuts:
            yield "the command was not stopped"
    elif how["code"] != life.code:
        yield f"exit code {how['code']}"
    elif life.limit is not None and seconds > (life.limit + (12 if life.fault == LONG_OUTAGE else 2)) * HOUR:
        yield f"the time limit did not end it: {seconds / HOUR:.2f} hours"


def _wrong_prices(events: list[dict[str, Any]], status: str) -> Iterator[str]:
    """Yield where the machine raised the price, or told something after the end."""
    price, is_at_end = Decimal(0), False
    for event in events:
        new = money.from_wire(event["limit_price"])
        if new is not None:
            is_machine = event["event_type"] != "Placed" and event["user_id"] != OPERATOR.fid
            if is_machine and new > price:
                yield f"the price was raised from {price} to {new}"
            if is_machine and is_at_end:
                yield "told after the end"
            price = new
        is_at_end = is_at_end or event["event_type"] == status
