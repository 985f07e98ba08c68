"""The service goes away: before an `up`, and in the middle of one. Short errors in bounded time, and one more `up`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.engine import Project, Result, end_session

from flow_resources.testing import MANUAL, FakeMithril

BIDS = r"/v2/spot/bids$"
NAMES = ("one", "two", "three")
THREE = f"""
    from flow_resources import GpuCluster, Volume

    Volume("data", size_gb=100, region="us-central5-a")
    for name in {NAMES}:
        GpuCluster(name, instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a")
"""
BUDGET = 5  # seconds for which a verb asks again
BOUND = 300  # seconds in which the whole `up` must have given up: on a busy machine, and far from the usual minutes


def assert_all_there(project: Project, cloud: FakeMithril) -> None:
    """What is live is what is declared and recorded; nothing was placed twice."""
    assert sorted(one["fid"] for one in cloud.live_bids) == sorted(map(project.id_of, NAMES))
    assert [one["fid"] for one in cloud.volumes] == [project.id_of("data")]
    assert len(cloud.bids) == len(NAMES)


def errors_of(text: str) -> dict[str, list[str]]:
    """Return the lines of each resource's diagnostics that belong to an error, from the heading `error:` on.

    Pulumi's own `1 error occurred:`, which it sets above what a failed initialisation says, is not counted.
    """
    text = text.replace("error: 1 error occurred:\n    \t* ", "error: ")
    blocks = re.findall(r"^  \S+ \((\S+)\):\n((?:    .*\n)+)", text.partition("Diagnostics:")[2], re.MULTILINE)
    return {name: block[block.index("error:") :].splitlines() for name, block in blocks if "error:" in block}


def refuse(cloud: FakeMithril) -> None:
    """Stop listening; what is on its way is cut, without effect."""
    cloud.faults.add(kind="reset", times=None)
    cloud.stop()


def hang(cloud: FakeMithril) -> None:
    """Take every request, and answer none."""
    cloud.faults.add(kind="hang", times=None)


@pytest.mark.both_hosts(plugin="languages")
@pytest.mark.parametrize(
    ("outage", "answer"),
    [
        (refuse, "lost"),
        pytest.param(hang, "lost", marks=pytest.mark.faults),
        pytest.param(refuse, "heard", marks=pytest.mark.faults),
        pytest.param(hang, "heard", marks=pytest.mark.faults),
    ],
)
def test_an_outage_in_the_middle_of_an_up_ends_in_one_line_each_and_one_more_up_converges(
    tmp_path: Path, cloud: FakeMithril, outage: Callable[[FakeMithril], None], answer: str
) -> None:
    """The first bid is accepted, and from then on nobody answers: neither the POST nor who waits for its machines."""
    short = {"FLOW_RESOURCES_HTTP_SECONDS": "1", "FLOW_RESOURCES_RETRY_SECONDS": str(BUDGET)}
    project = Project.make(tmp_path, cloud, THREE, **short)
    cloud.set_options(boot_seconds=MANUAL)
    if answer == "lost":
        cloud.faults.add(method="POST", path=BIDS, when="after", kind="reset", then=lambda _: outage(cloud))
    else:
        cloud.faults.add(method="GET", path="/v2/instances$", kind="reset", then=lambda _: outage(cloud))
    text = up_within(BOUND, project).failed().text
    said = {name: lines for name, lines in errors_of(text).items() if name in NAMES}
    assert said
    for name, lines in said.items():
        assert len(lines) == 1, (name, lines)
        assert "run the same command again" in lines[0] or "run `pulumi up` again" in lines[0]
    assert cloud.live_bids
    cloud.faults.clear()
    cloud.start()
    cloud.set_options(boot_seconds=0)
    cloud.finish("boot")
    for name in short:
        del project.env[name]
    project.up().ok()
    assert_all_there(project, cloud)


def up_within(seconds: float, project: Project) -> Result:
    """Do `pulumi up`; raises TimeoutExpired, and leaves nothing running, where it takes longer."""
    process = project.start("up", "--yes", "--skip-preview")
    try:
        text, _ = process.communicate(timeout=seconds)
    finally:
        end_session(process)
        process.communicate()
    return Result(process.returncode, text)


@pytest.mark.both_hosts(plugin="languages")
def test_a_service_that_is_down_from_the_start_warns_at_preview_and_fails_the_up(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """Preview goes on with a warning, `up` ends in bounded time without a traceback."""
    project = Project.make(tmp_path, cloud, THREE, FLOW_RESOURCES_RETRY_SECONDS=str(BUDGET))
    cloud.stop()
    assert "checked without the service" in project.preview().ok().text
    assert "run the same command again" in project.up().failed().text
    cloud.start()
    project.up().ok()
    assert_all_there(project, cloud)
