"""A storm: for a minute the service turns away a third of what it is asked, in the middle of a large `up`."""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from support.engine import Project

from flow_resources.testing import FakeMithril

CLUSTERS, LASTS = 100, 60.0  # seconds
SHARES = {1: 0.06, 2: 0.06, 3: 0.06}
"""By the seconds that a 429 asks for: the share of the requests that it answers. As many again get a 503."""
MANY = f"""
    from flow_resources import GpuCluster

    for number in range({CLUSTERS}):
        GpuCluster(f"c{{number}}", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a")
"""


def asked_by_an_up(folder: Path, cloud: FakeMithril) -> int:
    """Bring the stack up and return how many requests that took; one bid for each cluster, in the state."""
    folder.mkdir()
    cloud.set_capacity("8xa100", "us-central5-a", CLUSTERS)
    project = Project.make(folder, cloud, MANY)
    cloud.clear_requests()
    project.up("--parallel", str(CLUSTERS)).ok()
    recorded = sorted(one["id"] for name, one in project.resources().items() if name.startswith("c"))
    assert len(recorded) == len(cloud.bids) == CLUSTERS
    assert recorded == sorted(one["fid"] for one in cloud.live_bids)
    return len(cloud.requests)


@pytest.mark.both_hosts
@pytest.mark.faults
def test_a_large_up_goes_through_a_storm(
    tmp_path: Path, clean_environment: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """At most three times the requests of a calm run, no double, and nobody comes back before the time.

    `pytest -m '' -s tests/engine/test_storm.py` prints the numbers.
    """
    with FakeMithril() as calm:
        quietly = asked_by_an_up(tmp_path / "calm", calm)
    with FakeMithril() as cloud:
        cloud.faults.add(then=lambda _: storm(cloud))  # its minute begins with the first thing that is asked
        in_the_storm = asked_by_an_up(tmp_path / "storm", cloud)
        first, *others = cloud.requests
        meanwhile = [one for one in others if one.at < first.at + LASTS]
        struck = sum(one.fault is not None for one in meanwhile)
        early = come_back_early(cloud)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{CLUSTERS} clusters: {quietly} requests in the calm, {in_the_storm} in the storm "
            f"({in_the_storm / quietly:.2f}), {struck} of them struck\n"
        )
    assert struck > len(meanwhile) / 6
    assert len(meanwhile) > CLUSTERS / 4
    assert in_the_storm <= 3 * quietly
    assert early == []


def storm(cloud: FakeMithril) -> None:
    """Let a third of the answers be 429 or 503 from now on."""
    for seconds, share in SHARES.items():
        cloud.faults.add(status=429, rate=share, times=None, lasts=LASTS, headers={"Retry-After": str(seconds)})
    cloud.faults.add(status=503, rate=0.12, times=None, lasts=LASTS)


def come_back_early(cloud: FakeMithril) -> list[float]:
    """Return the pauses after a 429 to a bid that were shorter than the least it asked for."""
    sendings = defaultdict(list)
    for one in cloud.requests:
        if one.method == "POST" and one.path == "/v2/spot/bids":
            sendings[one.body["name"]].append(one)
    pairs = itertools.chain.from_iterable(map(itertools.pairwise, sendings.values()))
    pauses = [second.at - first.at for first, second in pairs if first.status == 429]
    assert pauses
    return [pause for pause in pauses if pause < min(SHARES)]
