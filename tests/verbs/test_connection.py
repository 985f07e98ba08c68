"""One connection per process, one view with its own retry budget per verb, also for what the SDK sends by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest
from support.stack import FakeClock, settings_of

from flow_resources.cloud import Cloud, Connection, Launch, RetryBudget
from flow_resources.cloud.settings import resolve
from flow_resources.errors import RejectedError, UnavailableError
from flow_resources.redaction import Redactor
from flow_resources.testing import FakeMithril

BIDS = "/v2/spot/bids$"


@pytest.fixture
def connection(cloud: FakeMithril, clock: FakeClock) -> Iterator[Connection]:
    """A connection to the fake, whose time passes by sleeping alone."""
    connection = Connection(resolve(settings_of(cloud).get), clock, Redactor())
    yield connection
    connection.close()


@dataclass
class Verb:
    """A verb's view and what was reported to it."""

    connection: Connection
    seconds: float = 30.0
    reports: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        budget = RetryBudget(self.seconds, clock=self.connection.clock, report=self.reports.append)
        self.cloud = Cloud(self.connection, budget)


def launch(name: str) -> Launch:
    return Launch(name, name, "8xa100", 1, Decimal(50), "us-central5-a", "true")


def test_nothing_is_sent_before_the_first_request(connection: Connection, cloud: FakeMithril) -> None:
    """The SDK is opened when it is needed; a view costs nothing."""
    Verb(connection)
    assert connection._sdk is None
    assert not cloud.requests


READ_ALONE = """
import json, sys
from flow_resources.clock import Clock
from flow_resources.cloud import Cloud, Connection, RetryBudget
from flow_resources.cloud.settings import resolve
from flow_resources.redaction import Redactor
connection = Connection(resolve(json.loads(sys.argv[1]).get), Clock(), Redactor())
cloud = Cloud(connection, RetryBudget(30.0))
assert cloud.observe(sys.argv[2], 0.0)
cloud.cancel(sys.argv[2])
assert "flow.adapters.http.client" in sys.modules
assert "flow.sdk.client" not in sys.modules, "the public client is imported"
connection._sdk.flow
assert "flow.sdk.client" in sys.modules
connection.close()
"""


def test_what_only_reads_and_ends_does_not_import_the_public_client(connection: Connection, cloud: FakeMithril) -> None:
    """A refresh and a destroy start sooner, in less memory."""
    placed = Verb(connection).cloud.place(launch("it"))
    command = [sys.executable, "-c", READ_ALONE, json.dumps(settings_of(cloud)), placed.bid.id]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not cloud.live_bids


def test_views_share_what_the_connection_knows(connection: Connection, cloud: FakeMithril) -> None:
    """The proven project and every reading."""
    first, second = Verb(connection).cloud, Verb(connection).cloud
    assert first.known_project is None
    moment = connection.clock.now()
    assert first.live_bids(moment) == second.live_bids(moment)
    assert first.project() == second.known_project
    assert sum(request.path == "/v2/projects" for request in cloud.requests) == 1
    assert sum(request.path == "/v2/spot/bids" for request in cloud.requests) == 4


def test_the_verb_that_reads_pays_for_the_retries(connection: Connection, cloud: FakeMithril) -> None:
    """And is the one that reports them, also where others share the reading."""
    reader, other = Verb(connection), Verb(connection)
    cloud.faults.add(method="GET", path=BIDS, status=503, times=2)
    reader.cloud.live_bids(1_000.0)
    other.cloud.live_bids(1_000.0)
    assert reader.cloud.budget.spent > 0
    assert len(reader.reports) == 2
    assert (other.cloud.budget.spent, other.reports) == (0, [])


def test_requests_that_the_sdk_sends_are_retried_within_the_budget_of_the_verb(
    connection: Connection, cloud: FakeMithril
) -> None:
    """`Flow.run` takes no budget of ours; a verb without one does not retry."""
    Verb(connection).cloud.place(launch("first"))
    cloud.faults.add(method="POST", path=BIDS, when="before", status=429, times=2)
    patient, impatient = Verb(connection), Verb(connection, seconds=0.0)
    with pytest.raises(UnavailableError, match="answered 429"):
        impatient.cloud.place(launch("second"))
    patient.cloud.place(launch("third"))
    assert len(patient.reports) == 1
    assert patient.cloud.budget.spent > 0
    assert impatient.cloud.budget.spent == 0


def test_threads_of_the_sdk_have_the_budget_of_their_call(connection: Connection, cloud: FakeMithril) -> None:
    """It starts them with its caller's context."""
    from flow.utils.threads import ContextThreadPoolExecutor

    verb = Verb(connection)
    cloud.faults.add(method="GET", path="/v2/me$", status=503)
    with connection.calling_sdk("ask", verb.cloud.budget) as sdk, ContextThreadPoolExecutor(1) as pool:
        assert pool.submit(sdk.api.get_me).result()
    assert len(verb.reports) == 1


def test_no_request_of_the_sdk_is_sent_outside_of_a_call(connection: Connection, cloud: FakeMithril) -> None:
    """It would have no budget, and its errors would not be ours."""
    with connection.calling_sdk("ask", RetryBudget(0.0)) as sdk:
        pass
    with pytest.raises(LookupError):
        sdk.api.get_me()
    assert not cloud.requests


def test_each_of_many_threads_gets_the_bid_that_it_placed(connection: Connection, cloud: FakeMithril) -> None:
    """What a call creates is collected for that call alone; one of them makes the SSH key."""
    with ThreadPoolExecutor(8) as pool:
        placed = list(pool.map(lambda name: Verb(connection).cloud.place(launch(name)), map(str, range(8))))
    assert [bid.bid.name for bid in placed] == [str(number) for number in range(8)]
    assert sum(len(bid.new_keys) for bid in placed) == len(cloud.ssh_keys) == 1


def test_errors_are_redacted_with_the_redactor_of_the_connection(connection: Connection, cloud: FakeMithril) -> None:
    """The settings register nothing by themselves."""
    cloud.faults.add(method="POST", path=BIDS, status=400, times=None, body={"detail": f"no: {cloud.key}"})
    verb = Verb(connection)
    with pytest.raises(RejectedError, match=f"no: {cloud.key}"):
        verb.cloud.place(launch("first"))
    connection.redactor.register(connection.settings.api_key)
    with pytest.raises(RejectedError, match="no: …"):
        verb.cloud.place(launch("second"))


def test_a_closed_connection_opens_again(connection: Connection, cloud: FakeMithril) -> None:
    """A second close does nothing."""
    verb = Verb(connection)
    verb.cloud.place(launch("first"))
    connection.close()
    connection.close()
    assert [bid.name for bid in verb.cloud.live_bids(1_000.0).values()] == ["first"]


def test_the_service_tells_its_time_with_every_answer(connection: Connection, cloud: FakeMithril) -> None:
    """Whatever the clock of this machine says; no request is sent for it, and it outlives the SDK's client."""
    verb = Verb(connection)
    assert verb.cloud.service_now() is None
    assert not cloud.requests
    cloud.clock.advance(hours=5)
    verb.cloud.project()
    told = verb.cloud.service_now()
    assert told is not None
    assert abs(told.timestamp() - cloud.clock.now()) < 30
    connection.close()
    connection.clock.sleep(3600)
    assert verb.cloud.service_now() == told + timedelta(hours=1)


@pytest.mark.parametrize("date", ["Thu, 01 Jan 1970 00:00:00 GMT", "yesterday"])
def test_a_time_that_is_not_the_services_is_not_believed(connection: Connection, cloud: FakeMithril, date: str) -> None:
    """An error page can come from a proxy, and a proxy can send a date that nobody can read."""
    verb = Verb(connection)
    cloud.faults.add(status=502, times=None, headers={"Date": date})
    with pytest.raises(UnavailableError):
        verb.cloud.projects()
    assert verb.cloud.service_now() is None
    cloud.faults.clear()
    cloud.faults.add(path="/v2/projects", status=200, body=[], headers={"Date": "yesterday"})
    assert verb.cloud.projects() == []
    assert verb.cloud.service_now() is None


def test_who_reads_on_does_not_move_the_page_that_others_share(connection: Connection, cloud: FakeMithril) -> None:
    """The first page of the newest is the first page for whoever comes next."""
    for number in range(250):
        cloud.add_bid(f"bid-{number}", limit_price="$1.00")
    budget = RetryBudget(30.0, clock=connection.clock)
    names = [[bid.name for bid in connection.list_newest_bids(100, budget)] for _ in range(2)]
    assert names[0][0] == "bid-249"
    assert names[1] == names[0]
    assert len(names[0]) == 250
