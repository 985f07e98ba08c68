"""What a test does to jobs on a fake: it ends them as their machines would, and looks at their keys."""

from __future__ import annotations

from typing import Any

import httpx

from flow_resources.testing import FakeMithril

CENTS = {"succeeded": 1, "failed": 2, "untold": 0}


def live_keys(cloud: FakeMithril, key: str = "") -> list[str]:
    """Return the names of a user's API keys that are not revoked."""
    return [row["name"] for row in key_rows(cloud, key) if not row["deactivated_at"]]


def key_rows(cloud: FakeMithril, key: str = "") -> list[Any]:
    """Return all API keys of a user, as the service lists them; none of a user that it does not know."""
    with _client(cloud, key) as client:
        answer = client.get("/v2/api-keys")
    return list(answer.json()) if answer.is_success else []


def revoke_keys(cloud: FakeMithril) -> None:
    """Revoke all API keys of the user, as the machines do."""
    with _client(cloud) as client:
        for row in key_rows(cloud):
            client.delete(f"/v2/api-keys/{row['fid']}").raise_for_status()


def end_job(
    cloud: FakeMithril, bid_id: str, outcome: str, *, placed: float = 50.0, keep: bool = False, revoke: bool = True
) -> None:
    """Tell how a job ended, end or pause its bid, and revoke its key."""
    cloud.update_bid(bid_id, limit_price=f"${placed - CENTS[outcome] / 100:.2f}")
    if keep:
        cloud.update_bid(bid_id, paused=True)
    else:
        cloud.terminate(bid_id)
    if revoke:
        revoke_keys(cloud)


def _client(cloud: FakeMithril, key: str = "") -> httpx.Client:
    """Return a client for a fake on the loopback: it reads no certificates, which takes longer than the rest."""
    return httpx.Client(base_url=cloud.url, headers=_headers(cloud, key), verify=False)


def _headers(cloud: FakeMithril, key: str = "") -> dict[str, Any]:
    return {"Authorization": f"Bearer {key or cloud.key}"}
