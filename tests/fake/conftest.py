"""A cloud under a clock that stands still, and a client that holds every answer against the API's own schemas."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from flow_resources.testing import FakeMithril, ManualClock

_A100 = "it_Sg1nDx1I8NFep60J"
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"


class Contract:
    """The OpenAPI document that flow-compute carries, made strict: every declared key is there, and no other."""

    def __init__(self) -> None:
        spec = find_spec("flow")
        assert spec is not None
        assert spec.origin is not None
        path = Path(spec.origin).parent / "adapters/providers/builtin/mithril/api/openapi.json"
        self.document: dict[str, Any] = json.loads(path.read_text())
        # The service has these two, the document does not.
        self._add("/marketplace/v1/regions", {"type": "array", "items": {"$ref": "#/components/schemas/RegionDTO"}})
        self._add("/v2/users/{user_fid}", {"$ref": "#/components/schemas/MeResponse"})
        # It has schemas for all three modes of this path, and names that of one.
        modes = ("CheckAvailabilityResponse", "GetLatestEndTimeResponse")
        content = self.document["paths"]["/v2/reservation/availability"]["get"]["responses"]["200"]["content"]
        answer = content["application/json"]
        answer["schema"] = {"anyOf": [answer["schema"], *({"$ref": f"#/components/schemas/{mode}"} for mode in modes)]}
        self._components = {"schemas": _strict(self.document["components"]["schemas"])}
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), operations)
            for path, operations in sorted(self.document["paths"].items(), key=lambda item: "{" in item[0])
        ]

    def _add(self, path: str, schema: dict[str, Any]) -> None:
        answer = {"200": {"content": {"application/json": {"schema": schema}}}}
        self.document["paths"][path] = {"get": {"responses": answer}}

    def check(self, response: httpx.Response) -> None:
        """Fail unless the answer is one that the document allows."""
        method, path, status = response.request.method.lower(), response.request.url.path, response.status_code
        operation = next((ops.get(method) for pattern, ops in self._paths if pattern.fullmatch(path)), None)
        if status == 204:
            assert response.content == b""
            return
        assert response.headers["content-type"].startswith("application/json")
        body = response.json()
        declared = (operation or {}).get("responses", {}).get(str(status), {})
        schema = declared.get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            assert status >= 400, f"{method} {path} answered {status}, which is not declared"
            assert list(body) == ["detail"]
            assert isinstance(body["detail"], str)
            return
        problems = [
            f"{error.json_path}: {error.message}"
            for error in Draft202012Validator({**_strict(schema), "components": self._components}).iter_errors(body)
        ]
        assert problems == []


def _strict(schema: Any) -> Any:
    """Translate OpenAPI's nullable, and close every object."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _strict(value) for name, value in schema.items() if name != "nullable"}
    if made.get("format") == "datetime":
        made["pattern"] = _TIME
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made["required"] = sorted(made["properties"])
        made.setdefault("additionalProperties", False)
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made


class Client(httpx.Client):
    """An httpx client with a key, whose every answer is held against the contract."""

    def __init__(self, mithril: FakeMithril, contract: Contract, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key or mithril.key}"}
        super().__init__(base_url=mithril.url, headers=headers, trust_env=False, timeout=5.0)
        self.mithril = mithril
        self.contract = contract

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send, and check the answer."""
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
        """Read a bid again."""
        row: dict[str, Any] = self.get(f"/v2/spot/bids/{bid['fid']}").json()
        return row

    def machines(self, bid: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
        """Return the machines of a bid, in the order of their names."""
        asked = {"project": self.mithril.project_id, "bid_fid_in": bid["fid"], "sort_dir": "asc", **query}
        rows: list[dict[str, Any]] = self.get("/v2/instances", params=asked).json()["data"]
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
        """Make a volume and return its row."""
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
    """Read the API's document once."""
    return Contract()


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock(1_800_000_000.0)


@pytest.fixture
def cloud(clock: ManualClock) -> Iterator[Callable[..., FakeMithril]]:
    """Return a function that starts clouds with switches of their own."""
    started: list[FakeMithril] = []

    def start(**options: Any) -> FakeMithril:
        started.append(FakeMithril(**{"clock": clock, **options}).start())
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def mithril(cloud: Callable[..., FakeMithril]) -> FakeMithril:
    """Return a cloud as it is by default."""
    return cloud()


@pytest.fixture
def connect(contract: Contract) -> Iterator[Callable[..., Client]]:
    """Return a function that makes clients of a cloud."""
    made: list[Client] = []

    def make(mithril: FakeMithril, key: str | None = None) -> Client:
        made.append(Client(mithril, contract, key))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client(mithril: FakeMithril, connect: Callable[..., Client]) -> Client:
    """Return a client of the default cloud."""
    return connect(mithril)


@pytest.fixture
def document(contract: Contract) -> dict[str, Any]:
    """Return a copy of the API's document."""
    return copy.deepcopy(contract.document)
