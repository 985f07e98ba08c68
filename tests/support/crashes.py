"""Resources that are live and in no state, on the model: after a killed plugin, and by `retain_on_delete`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flow_resources.testing import FakeMithril
from support.stack import Declared, Stack, VerbError

CREATES = r"/v2/(spot/bids|volumes)$"


def live(cloud: FakeMithril) -> list[str]:
    """Return the ids of all live bids and volumes."""
    return sorted(item["fid"] for item in [*cloud.live_bids, *cloud.volumes])


def crash_after_create(
    stack: Stack, cloud: FakeMithril, program: Mapping[str, Declared], *, force: set[str] | None = None
) -> str:
    """Kill the plugin after the service has accepted a creating request; return the id of the orphan."""
    before = set(live(cloud))
    reset_all: dict[str, Any] = {"kind": "reset", "when": "before", "times": None}
    cloud.faults.add(
        method="POST", path=CREATES, kind="reset", when="after", then=lambda _: cloud.faults.add(**reset_all)
    )
    with pytest.raises(VerbError):
        stack.up(program, force=force)
    cloud.faults.clear()
    (orphan,) = set(live(cloud)) - before
    return orphan


def up_with_retain_on_delete(stack: Stack, program: Mapping[str, Declared], force: set[str] | None = None) -> str:
    """Run an `up` with `retain_on_delete`: the engine drops the old resource and calls no delete; return the new id."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "_delete_saved", lambda *_: None)  # before the create
        patch.setattr(stack, "_delete_pending", lambda **_: stack.pending_deletes.clear())  # after the create
        stack.up(program, force=force)
    return stack.state["it"].id
