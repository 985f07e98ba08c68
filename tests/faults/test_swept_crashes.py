"""Who destroys after a crash instead of running `up` again: `sweep` finds all that is left, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from faults import matrix
from faults.matrix import CRASHES, SCENARIOS
from support.stack import FakeClock, cluster, volume

from flow_resources.core.models import Bid, StoredVolume
from flow_resources.core.orphans import Owners, find_orphans
from flow_resources.core.stack_state import read_state
from flow_resources.testing import FakeMithril

BEFORE, AFTER = {"v": volume(), "c": cluster()}, {"v": volume(), "c": cluster(num_instances=2, create_first=True)}
NEW_ONE = {"v": volume(size_gb=200, allow_replace=True)}
CREATES = {name: SCENARIOS[name] for name in SCENARIOS if name.startswith(("create", "replace"))} | {
    "create both": matrix.Scenario({}, matrix.up(BEFORE), BEFORE),
    "replace beside a volume, the new one first": matrix.Scenario(BEFORE, matrix.up(AFTER), AFTER),
    "replace a volume, the new one first": matrix.Scenario(matrix.DATA, matrix.up(NEW_ONE), NEW_ONE),
}
SAMPLE = {"create a cluster", "create a volume", "replace a cluster, the new one first"}
CELLS = [
    pytest.param(name, crash, marks=[] if name in SAMPLE and crash == CRASHES[1] else [pytest.mark.faults])
    for name in CREATES
    for crash in CRASHES
]


def export_of(stack):
    """Return what `pulumi stack export` would print: what is still to be deleted is in it, too."""
    saved = [*stack.state.items(), *stack.doomed]
    rows = [{"urn": stack.urn(name, one.type), "id": one.id, "outputs": one.outputs} for name, one in saved]
    return {"version": 3, "deployment": {"resources": rows}}


def swept(cloud, stack):
    """Return the ids that `sweep` finds, by the part of it that judges."""
    own, now = read_state(export_of(stack)), datetime.now(timezone.utc)
    owners = Owners.of(stack.owner, stack.owner, own)
    bids, volumes = map(Bid.read, cloud.live_bids), map(StoredVolume.read, cloud.volumes)
    orphans = [
        *find_orphans(bids, owners, own, (), now, timedelta(0)),
        *find_orphans(volumes, owners, own, (), now, timedelta(0)),
    ]
    assert all(orphan.note == "" for orphan in orphans)
    return sorted(orphan.thing.id for orphan in orphans)


def live(cloud):
    """Return the ids of all that is live."""
    return sorted(one["fid"] for one in (*cloud.live_bids, *cloud.volumes))


@pytest.mark.parametrize(("name", "crash"), CELLS)
def test_destroying_after_a_crash_leaves_what_sweep_finds(clean_environment, name, crash):
    """At every call: before the destroy nothing that the state records, after it everything that is live."""
    scenario, orphans, nth = CREATES[name], [], 0
    while True:
        nth += 1
        with FakeMithril() as cloud:
            stack = matrix.open_stack(cloud, FakeClock())
            matrix.set_the_scene(stack, scenario)
            stranger = cloud.add_bid("by-hand")["fid"]
            cloud.clear_requests()
            said = matrix.suffer(cloud, stack, scenario, nth, crash)
            recorded = {one.id for one in stack.state.values()} | {one.id for _, one in stack.doomed}
            assert swept(cloud, stack) == sorted(set(live(cloud)) - recorded - {stranger})
            stack.destroy()
            left = swept(cloud, stack)
            assert left == sorted(set(live(cloud)) - {stranger}), f"call {nth}"
            orphans += left
            matrix.close_stack()
        if said != "killed":
            break
    assert nth > 3, "the crash struck nothing"
    assert orphans or crash == CRASHES[0], "no crash left anything: the test is blind"
