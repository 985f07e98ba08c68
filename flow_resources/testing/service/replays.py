"""Idempotency-Key: what a request that is sent twice gives back the second time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.errors import ConflictError
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.store import Store


class Replays:
    """Remembers which key made what; see `Options.idempotency` for the three ways to treat a known key."""

    def __init__(self, store: Store, options: Options) -> None:
        """Work on the tables of `store`."""
        self._store = store
        self._options = options

    def once(
        self,
        user: User,
        path: str,
        key: str | None,
        body: object,
        make: Callable[[], str],
        lives: Callable[[str], bool],
    ) -> str:
        """Return what `make` makes, or the id of what the same key and body made before."""
        if key is None or self._options.idempotency == "ignore":
            return make()
        # The bytes of a header need not be text.
        key = key.encode(errors="surrogateescape").decode("latin-1")
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        known = self._store.row(
            "SELECT body, fid FROM replays WHERE user = ? AND path = ? AND key = ?", user.fid, path, key
        )
        if known is not None and (self._options.idempotency == "terminated" or lives(known["fid"])):
            if known["body"] != digest:
                msg = "Idempotency-Key was already used with a different request body"
                raise ConflictError(msg)
            return str(known["fid"])
        made = make()
        self._store.run("INSERT OR REPLACE INTO replays VALUES (?, ?, ?, ?, ?)", user.fid, path, key, digest, made)
        return made
