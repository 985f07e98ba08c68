"""What leaves something live that no state records, on the model: a killed plugin, and `retain_on_delete`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flow_resources.testing import FakeMithril
from support.stack import Declared, Stack, VerbError

CREATES = r"/v2/(spot/bids|volumes)$"


def live(cloud: FakeMithril) -> list[str]:
    """Return the ids of all live bids and volumes."""
    return sorted(one["fid"] for one in [*cloud.live_bids, *cloud.volumes])


def cut_off(stack: Stack, cloud: FakeMithril, program: Mapping[str, Declared], *, force: set[str] | None = None) -> str:
    """Kill the plugin after the service has accepted a creating request; return the id of what nobody knows."""
    before = set(live(cloud))
    dark: dict[str, Any] = {"kind": "reset", "when": "before", "times": None}
    cloud.faults.add(method="POST", path=CREATES, kind="reset", when="after", then=lambda _: cloud.faults.add(**dark))
    with pytest.raises(VerbError):
        stack.up(program, force=force)
    cloud.faults.clear()
    (left,) = set(live(cloud)) - before
    return left


def up_retaining(stack: Stack, program: Mapping[str, Declared], force: set[str] | None = None) -> str:
    """Do an `up` with `retain_on_delete`, where the engine forgets the old one and calls no delete; return the id."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "_delete_saved", lambda *_: None)  # before the new one is made
        patch.setattr(stack, "_delete_doomed", stack.doomed.clear)  # after it
        stack.up(program, force=force)
    return stack.state["it"].id
