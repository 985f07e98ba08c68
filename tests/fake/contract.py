"""The OpenAPI document that flow-compute contains, to validate responses and requests."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator

_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"


class Contract:
    """The document and its omissions. Responses are validated strictly: with every declared key, and no others."""

    def __init__(self) -> None:
        spec = find_spec("flow")
        assert spec is not None
        assert spec.origin is not None
        path = Path(spec.origin).parent / "adapters/providers/builtin/mithril/api/openapi.json"
        self.document: dict[str, Any] = json.loads(path.read_text())
        # The service has these two routes, the document does not.
        self._add("/marketplace/v1/regions", {"type": "array", "items": {"$ref": "#/components/schemas/RegionDTO"}})
        self._add("/v2/users/{user_fid}", {"$ref": "#/components/schemas/MeResponse"}, "user_fid")
        # The document has schemas for all three modes of this route, but refers to one of them.
        modes = ("CheckAvailabilityResponse", "GetLatestEndTimeResponse")
        content = self.document["paths"]["/v2/reservation/availability"]["get"]["responses"]["200"]["content"]
        answer = content["application/json"]
        answer["schema"] = {"anyOf": [answer["schema"], *({"$ref": f"#/components/schemas/{mode}"} for mode in modes)]}
        schemas = self.document["components"]["schemas"]
        self._closed = {"schemas": _translated(schemas, closed=True)}
        self._open = {"schemas": _translated(schemas, closed=False)}
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), operations)
            for path, operations in sorted(self.document["paths"].items(), key=lambda item: "{" in item[0])
        ]

    def check(self, response: httpx.Response) -> None:
        """Fail unless the document allows the response."""
        method, path, status = response.request.method, response.request.url.path, response.status_code
        declared = self.operation(method, path).get("responses", {}).get(str(status))
        assert declared is not None or status >= 400, f"{method} {path} answered {status}, which is not declared"
        if status == 204:
            assert response.content == b""
            return
        assert response.headers["content-type"].startswith("application/json")
        body = response.json()
        schema = (declared or {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            assert list(body) == ["detail"]
            assert isinstance(body["detail"], str)
            return
        whole = {**_translated(schema, closed=True), "components": self._closed}
        assert [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(body)] == []

    def takes(self, method: str, path: str, body: Any) -> bool:
        """Return whether the document allows a request body."""
        schema = self.operation(method, path)["requestBody"]["content"]["application/json"]["schema"]
        whole = {**_translated(schema, closed=False), "components": self._open}
        return Draft202012Validator(whole).is_valid(body)

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """Return the operation of a method and a path; empty if the document has none."""
        matches = (operations for pattern, operations in self._paths if pattern.fullmatch(path))
        operation: dict[str, Any] = next(matches, {}).get(method.lower(), {})
        return operation

    def _add(self, path: str, schema: dict[str, Any], *names: str) -> None:
        parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
        answer = {"200": {"description": "", "content": {"application/json": {"schema": schema}}}}
        self.document["paths"][path] = {"get": {"parameters": parameters, "responses": answer}}


def _translated(schema: Any, *, closed: bool) -> Any:
    """Translate `nullable` of OpenAPI, and with `closed` forbid additional properties."""
    if isinstance(schema, list):
        return [_translated(item, closed=closed) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _translated(value, closed=closed) for name, value in schema.items() if name != "nullable"}
    if made.get("format") == "datetime":
        made["pattern"] = _TIME
    if closed and isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made["required"] = sorted(made["properties"])
        made.setdefault("additionalProperties", False)
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made
