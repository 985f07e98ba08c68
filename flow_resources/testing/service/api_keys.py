"""API keys that users create themselves: shown once, and valid until they expire or are revoked.

Only hashes are stored. This module creates, lists and revokes keys; `Accounts.identify` accepts them.
"""

from __future__ import annotations

import secrets
from typing import Any

from flow_resources.testing.service.accounts import User, digest_of
from flow_resources.testing.service.body import Body
from flow_resources.testing.service.clock import HORIZON
from flow_resources.testing.service.errors import BadRequestError, NotFoundError
from flow_resources.testing.service.formats import write_time
from flow_resources.testing.service.store import Row, Store

_NAME_MAX = 59
_LIFE_MAX = 365 * 86_400.0
_SNIPPET = len("fkey_abc1")


class ApiKeys:
    """The API keys that users created; the key that a cloud is started with is not among them."""

    def __init__(self, store: Store) -> None:
        """Use the tables of `store`."""
        self._store = store

    def listing(self, user: User, until: float = HORIZON) -> list[dict[str, Any]]:
        """Return the API keys of a user that were created by a time, including revoked and expired ones."""
        sql = "SELECT * FROM api_keys WHERE user = ? AND created_at <= ? ORDER BY seq"
        return [_key_row(row) for row in self._store.rows(sql, user.fid, until)]

    def create(self, user: User, raw: object, now: float) -> dict[str, Any]:
        """Create an API key and return it with its secret, this once."""
        body = Body(raw)
        name, expires_at = body.text("name"), body.time("expires_at")
        body.raise_problems()
        if len(name) > _NAME_MAX:
            msg = f"API key name must be less than {_NAME_MAX + 1} characters"
            raise BadRequestError(msg)
        if not now < expires_at <= now + _LIFE_MAX:
            msg = "API key must expire between now and 1 year from now"
            raise BadRequestError(msg)
        fid, secret = self._store.next_fid("apikey"), f"fkey_{secrets.token_urlsafe(24)}"
        columns = {"key_hash": digest_of(secret), "snippet": f"{secret[:_SNIPPET]}..."}
        self._store.insert(
            "api_keys", fid=fid, user=user.fid, name=name, created_at=now, expires_at=expires_at, **columns
        )
        return {**_key_row(self._get(user, fid)), "secret": secret}

    def revoke(self, user: User, fid: str, now: float) -> None:
        """Revoke an API key; no effect on one that is revoked already."""
        if self._get(user, fid)["deactivated_at"] is None:
            self._store.run("UPDATE api_keys SET deactivated_at = ? WHERE fid = ?", now, fid)

    def _get(self, user: User, fid: str) -> Row:
        row = self._store.row("SELECT * FROM api_keys WHERE fid = ? AND user = ?", fid, user.fid)
        if row is None:
            msg = f"API key {fid} not found"
            raise NotFoundError(msg)
        return row


def _key_row(row: Row) -> dict[str, Any]:
    """Return an ApiKeyModel."""
    ended = row["deactivated_at"]
    return {
        "fid": row["fid"],
        "name": row["name"],
        "created_at": write_time(row["created_at"]),
        "expires_at": write_time(row["expires_at"]),
        "deactivated_at": None if ended is None else write_time(ended),
        "snippet": row["snippet"],
    }
