"""Idempotency-Key: the response to a request that is sent more than once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.errors import ConflictError
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.store import Store


class IdempotencyKeys:
    """The keys that were used, and what each created; the option `idempotency` sets the effect of a known key."""

    def __init__(self, store: Store, options: Options) -> None:
        """Use the tables of `store`."""
        self._store = store
        self._options = options

    def create_once(
        self,
        user: User,
        path: str,
        key: str | None,
        body: object,
        create: Callable[[], str],
        is_live: Callable[[str], bool],
    ) -> str:
        """Return the id that `create` returns, or that of what the same key and body created before.

        Raises ConflictError for a key that was used with another body.
        """
        if key is None or self._options.idempotency == "ignore":
            return create()
        # A header may contain bytes that are not valid text.
        key = key.encode(errors="surrogateescape").decode("latin-1")
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        used = self._store.row(
            "SELECT body, fid FROM replays WHERE user = ? AND path = ? AND key = ?", user.fid, path, key
        )
        if used is not None and (self._options.idempotency == "terminated" or is_live(used["fid"])):
            if used["body"] != digest:
                msg = "Idempotency-Key was already used with a different request body"
                raise ConflictError(msg)
            return str(used["fid"])
        fid = create()
        self._store.run("INSERT OR REPLACE INTO replays VALUES (?, ?, ?, ?, ?)", user.fid, path, key, digest, fid)
        return fid
