"""API keys that users make for themselves: shown once, and good until they expire or are revoked.

Only hashes are kept. `Accounts.identify` lets the keys in; this room makes, lists and revokes them.
"""

from __future__ import annotations

import secrets
from typing import Any

from flow_resources.testing.service.accounts import User, digest_of
from flow_resources.testing.service.errors import BadRequestError, NotFoundError
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.notation import write_time
from flow_resources.testing.service.store import Row, Store

_NAME_MAX = 59
_LIFE_MAX = 365 * 86_400.0
_SNIPPET = len("fkey_abc1")


class ApiKeys:
    """Keys, as rows of one table; the key that a cloud is started with is none of them."""

    def __init__(self, store: Store) -> None:
        """Work on the tables of `store`."""
        self._store = store

    def listing(self, user: User) -> list[dict[str, Any]]:
        """Return the keys of a user, dead ones too."""
        return [
            _key_row(row) for row in self._store.rows("SELECT * FROM api_keys WHERE user = ? ORDER BY seq", user.fid)
        ]

    def create(self, user: User, raw: object, now: float) -> dict[str, Any]:
        """Make a key and give its secret away, this once."""
        body = Body(raw)
        name, expires_at = body.text("name"), body.moment("expires_at")
        body.done()
        if len(name) > _NAME_MAX:
            msg = f"API key name must be less than {_NAME_MAX + 1} characters"
            raise BadRequestError(msg)
        if not now < expires_at <= now + _LIFE_MAX:
            msg = "API key must expire between now and 1 year from now"
            raise BadRequestError(msg)
        fid, secret = self._store.next_fid("apikey"), f"fkey_{secrets.token_urlsafe(24)}"
        kept = {"key_hash": digest_of(secret), "snippet": f"{secret[:_SNIPPET]}..."}
        self._store.insert("api_keys", fid=fid, user=user.fid, name=name, created_at=now, expires_at=expires_at, **kept)
        return {**_key_row(self._get(user, fid)), "secret": secret}

    def revoke(self, user: User, fid: str, now: float) -> None:
        """End a key; one that was revoked before stays so."""
        if self._get(user, fid)["deactivated_at"] is None:
            self._store.run("UPDATE api_keys SET deactivated_at = ? WHERE fid = ?", now, fid)

    def _get(self, user: User, fid: str) -> Row:
        found = self._store.row("SELECT * FROM api_keys WHERE fid = ? AND user = ?", fid, user.fid)
        if found is None:
            msg = f"API key {fid} not found"
            raise NotFoundError(msg)
        return found


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
