"""A stack whose cluster `trainer` was replaced with the new one made first, and the old one could not be ended."""

from __future__ import annotations

from flow_resources.testing import FakeMithril
from support.engine import Project


def leave_two(project: Project, cloud: FakeMithril) -> tuple[str, str]:
    """Replace the cluster, whose delete is refused; return its id, which is still to be deleted, and the new one.

    The program says `"one"` as its command, and `"two"` from then on.
    """
    project.up().ok()
    first = project.id_of("trainer")
    cloud.faults.add(method="DELETE", path="/v2/spot/bids", status=500, times=None)
    project.edit('"one"', '"two"')
    project.up().failed()
    cloud.faults.clear()
    (second,) = (one["fid"] for one in cloud.live_bids if one["fid"] != first)
    return first, second


def leave_pending_deletion(project: Project, cloud: FakeMithril) -> str:
    """End the replacement besides, and let the program be as it was; return the id of what is still to be deleted."""
    first, second = leave_two(project, cloud)
    cloud.terminate(second)
    project.edit('"two"', '"one"')
    return first
