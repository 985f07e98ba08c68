"""Fixtures: a cloud with a stopped clock, and a client that validates each response against the API's schemas."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from contract import Contract

from flow_resources.testing import Clock, FakeMithril

_A100 = "it_Sg1nDx1I8NFep60J"


class Client(httpx.Client):
    """An httpx client with an API key, which validates each response against the contract."""

    def __init__(self, mithril: FakeMithril, contract: Contract, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key or mithril.key}"}
        super().__init__(base_url=mithril.url, headers=headers, trust_env=False, timeout=60.0)
        self.mithril = mithril
        self.contract = contract

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request and validate the response."""
        response = super().send(request, **options)
        self.contract.check(response)
        return response

    def bid_body(self, **changes: Any) -> dict[str, Any]:
        """Return a body for POST /v2/spot/bids."""
        launch = {"volumes": changes.pop("volumes", []), "ssh_keys": changes.pop("ssh_keys", [])}
        body = {
            "project": self.mithril.project_id,
            "region": self.mithril.region,
            "name": "trainer",
            "instance_type": _A100,
            "instance_quantity": 1,
            "limit_price": "$50.00",
            "launch_specification": launch,
        }
        return {**body, **changes}

    def bid(self, **changes: Any) -> dict[str, Any]:
        """Place a bid and return its row."""
        response = self.post("/v2/spot/bids", json=self.bid_body(**changes))
        assert response.status_code == 201, response.text
        row: dict[str, Any] = response.json()
        return row

    def read(self, bid: dict[str, Any]) -> dict[str, Any]:
        """Return the present row of a bid."""
        row: dict[str, Any] = self.get(f"/v2/spot/bids/{bid['fid']}").json()
        return row

    def machines(self, bid: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
        """Return the machines of a bid, in the order of their names."""
        parameters = {"project": self.mithril.project_id, "bid_fid_in": bid["fid"], "sort_dir": "asc", **query}
        rows: list[dict[str, Any]] = self.get("/v2/instances", params=parameters).json()["data"]
        return rows

    def events(self, bid: dict[str, Any]) -> list[str]:
        """Return the kinds of events in the history of a bid."""
        answer = self.get(f"/v2/spot/bids/{bid['fid']}/history").json()
        return [event["event_type"] for event in answer["events"]]

    def volume_body(self, **changes: Any) -> dict[str, Any]:
        """Return a body for POST /v2/volumes."""
        body = {"name": "data", "disk_interface": "File", "size_gb": 100}
        return {**body, "project": self.mithril.project_id, "region": self.mithril.region, **changes}

    def volume(self, **changes: Any) -> dict[str, Any]:
        """Create a volume and return its row."""
        response = self.post("/v2/volumes", json=self.volume_body(**changes))
        assert response.status_code == 201, response.text
        row: dict[str, Any] = response.json()
        return row

    def volumes(self, **query: Any) -> list[dict[str, Any]]:
        """List the volumes of the project."""
        rows: list[dict[str, Any]] = self.get(
            "/v2/volumes", params={"project": self.mithril.project_id, **query}
        ).json()
        return rows


@pytest.fixture(scope="session")
def contract() -> Contract:
    """Return the contract, read once per session."""
    return Contract()


@pytest.fixture
def clock() -> Clock:
    """Return a stopped clock."""
    return Clock(1_800_000_000.0, speed=0)


@pytest.fixture
def cloud(clock: Clock) -> Iterator[Callable[..., FakeMithril]]:
    """Return a function that starts a cloud with the given options."""
    started: list[FakeMithril] = []

    def start(**options: Any) -> FakeMithril:
        started.append(FakeMithril(**{"clock": clock, **options}).start())
        return started[-1]

    yield start
    for mithril in started:
        mithril.close()


@pytest.fixture
def mithril(cloud: Callable[..., FakeMithril]) -> FakeMithril:
    """Return a cloud with the default options."""
    return cloud()


@pytest.fixture
def connect(contract: Contract) -> Iterator[Callable[..., Client]]:
    """Return a function that creates a client of a cloud."""
    made: list[Client] = []

    def make(mithril: FakeMithril, key: str | None = None) -> Client:
        made.append(Client(mithril, contract, key))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(mithril: FakeMithril, connect: Callable[..., Client]) -> Client:
    """Return a client of the default cloud."""
    return connect(mithril)


@pytest.fixture
def document(contract: Contract) -> dict[str, Any]:
    """Return a copy of the API's document."""
    return copy.deepcopy(contract.document)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the sweeps unless the marker expression names them."""
    if "sweep" not in config.getoption("markexpr"):
        left_out = [item for item in items if item.get_closest_marker("sweep")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
