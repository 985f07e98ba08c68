"""What a test does to jobs on a fake: it ends them as their machines would, and looks at their keys."""

from __future__ import annotations

from typing import Any

import httpx

from flow_resources.testing import FakeMithril

CENTS = {"succeeded": 1, "failed": 2, "untold": 0}


def live_keys(cloud: FakeMithril, key: str = "") -> list[str]:
    """Return the names of a user's API keys that are not revoked."""
    rows = httpx.get(f"{cloud.url}/v2/api-keys", headers=_headers(cloud, key)).json()
    return [row["name"] for row in rows if not row["deactivated_at"]]


def revoke_keys(cloud: FakeMithril) -> None:
    """Revoke all API keys of the user, as the machines do."""
    for row in httpx.get(f"{cloud.url}/v2/api-keys", headers=_headers(cloud)).json():
        httpx.delete(f"{cloud.url}/v2/api-keys/{row['fid']}", headers=_headers(cloud)).raise_for_status()


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


def _headers(cloud: FakeMithril, key: str = "") -> dict[str, Any]:
    return {"Authorization": f"Bearer {key or cloud.key}"}
