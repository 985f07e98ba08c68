"""A destroy after a crash, instead of another `up`: `sweep` finds all orphans and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import httpx
import pytest
from faults import matrix
from faults.matrix import CRASHES, CREATE_FIRST, SCENARIOS
from support.stack import FakeClock, cluster, volume

from flow_resources.cli.job_key import JOB_KEYS, ListedKey
from flow_resources.core.models import Bid, JobKey, StoredVolume
from flow_resources.core.naming import key_name_of
from flow_resources.core.orphans import Owners, find_orphans
from flow_resources.core.stack_state import read_state
from flow_resources.testing import FakeMithril

BOTH = {"v": volume(), "c": cluster()}
LARGER_CLUSTER = {"v": volume(), "c": cluster(num_instances=2, create_first=True)}
LARGER_VOLUME = {"v": volume(size_gb=200, allow_replace=True)}
CREATES = {name: SCENARIOS[name] for name in SCENARIOS if name.startswith(("create", "replace"))} | {
    "create both": matrix.Scenario({}, matrix.up(BOTH), BOTH),
    f"replace next to a volume, {CREATE_FIRST}": matrix.Scenario(BOTH, matrix.up(LARGER_CLUSTER), LARGER_CLUSTER),
    f"replace a volume, {CREATE_FIRST}": matrix.Scenario(matrix.DATA, matrix.up(LARGER_VOLUME), LARGER_VOLUME),
}
SAMPLE = {"create a cluster", "create a volume", f"replace a cluster, {CREATE_FIRST}", "create a job"}
CELLS = [
    pytest.param(name, crash, marks=[] if name in SAMPLE and crash == CRASHES[1] else [pytest.mark.faults])
    for name in CREATES
    for crash in CRASHES
]


def export_of(stack):
    """Return what `pulumi stack export` would print, including the resources pending deletion."""
    saved = [*stack.state.items(), *stack.pending_deletes]
    rows = [
        {"urn": stack.urn(name, resource.type), "id": resource.id, "outputs": resource.outputs}
        for name, resource in saved
    ]
    return {"version": 3, "deployment": {"resources": rows}}


def live_keys(cloud):
    """Return the API keys that the service lists as live."""
    rows = httpx.get(f"{cloud.url}/v2/api-keys", headers={"Authorization": f"Bearer {cloud.key}"}).json()
    return [key for key in map(JobKey.read, rows) if not key.is_revoked]


def listed_keys(cloud):
    """Return the keys as `sweep` lists them, each with its live bid."""
    bids = {key_name_of(bid.name, bid.project): bid for bid in map(Bid.read, cloud.live_bids)}
    return [ListedKey(key, bids.get(key.name)) for key in live_keys(cloud)]


def sweep_ids(cloud, stack):
    """Return the ids that `sweep` finds, by its function `find_orphans`."""
    own, now = read_state(export_of(stack)), datetime.now(timezone.utc)
    owners = Owners.of(stack.owner, stack.owner, own)
    bids, volumes = map(Bid.read, cloud.live_bids), map(StoredVolume.read, cloud.volumes)
    orphans = [
        *find_orphans(bids, owners, own, (), now, timedelta(0)),
        *find_orphans(volumes, owners, own, (), now, timedelta(0)),
        *find_orphans(listed_keys(cloud), owners, own, (), now, timedelta(0), JOB_KEYS.recorded_as),
    ]
    assert all(orphan.note == "" for orphan in orphans)
    return sorted(orphan.thing.id for orphan in orphans)


def live_ids(cloud):
    """Return the ids of all live bids, volumes and keys."""
    return sorted(
        [*(item["fid"] for item in (*cloud.live_bids, *cloud.volumes)), *(key.id for key in live_keys(cloud))]
    )


@pytest.mark.parametrize(("name", "crash"), CELLS)
def test_sweep_finds_what_a_destroy_after_a_crash_leaves(clean_environment, name, crash):
    """At every request: before the destroy all that is live and not recorded, after it all that is live."""
    scenario, orphans, nth = CREATES[name], [], 0
    while True:
        nth += 1
        with FakeMithril() as cloud:
            stack = matrix.open_stack(cloud, FakeClock())
            matrix.prepare(cloud, stack, scenario)
            foreign = cloud.add_bid("by-hand")["fid"]
            cloud.clear_requests()
            error_line = matrix.run_with_fault(cloud, stack, scenario, nth, crash)
            recorded = {saved.id for saved in stack.state.values()} | {saved.id for _, saved in stack.pending_deletes}
            recorded |= {key.id for key in listed_keys(cloud) if key.bid and key.bid.id in recorded}
            assert sweep_ids(cloud, stack) == sorted(set(live_ids(cloud)) - recorded - {foreign})
            stack.destroy()
            swept = sweep_ids(cloud, stack)
            assert swept == sorted(set(live_ids(cloud)) - {foreign}), f"request {nth}"
            orphans += swept
            matrix.close_clients()
        if error_line != "killed":
            break
    assert nth > 3, "no request crashed"
    assert orphans or crash == CRASHES[0], "no crash left an orphan: the test checks nothing"
