"""examples/09-watch through the real engine: the CronJob's command line heals it, up to its limit, and no further."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs.pages import EXAMPLES
from support.engine import Project, copy_example, environment

from flow_resources.testing import FakeMithril

EXAMPLE = EXAMPLES / "09-watch"
SPOT = {"instance_type": "8xa100", "region": "us-central5-a"}


def cronjob_round(project: Project) -> tuple[int, list[dict[str, Any]]]:
    """Run the container's command line in the project's folder; return its exit code and what it prints.

    Without `tini`, which this machine may lack, it is the watcher's own exit code.
    """
    manifest = yaml.safe_load((EXAMPLE / "cronjob.yaml").read_text())
    (container,) = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][0] == "flow-resources"
    watch = [sys.executable, "-m", "flow_resources.cli", *container["args"][1:]]
    init, *options = container["command"]
    command = [init, "-s", *options, *watch] if shutil.which(init) else watch
    done = subprocess.run(
        command, cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    code = 0 if command is watch and done.returncode == 3 else done.returncode
    return code, [json.loads(line) for line in done.stdout.splitlines()]


# A defect of the watcher or of the policy fails tests/engine/test_watch.py, too; that the arguments are right, and what
# tini makes of its exit code, tests/examples/test_watch_manifests.py holds.
@pytest.mark.faults
def test_a_spike_raises_the_bid_up_to_its_limit(tmp_path: Path, cloud: FakeMithril) -> None:
    """Each preemption once: to 5 % above the market, then to the limit, then nothing; every round ends with 0."""
    project = Project(copy_example(EXAMPLE, tmp_path / EXAMPLE.name), environment(tmp_path, cloud), stack="prod")
    project.run("stack", "init", "prod").ok()
    project.up().ok()
    (bid,) = cloud.live_bids
    cloud.clear_requests()

    for price, limit_price, healed in ((18.20, "$19.11", 1), (40.0, "$24.00", 1), (41.0, "$24.00", 0)):
        cloud.set_price(**SPOT, price=price)
        code, events = cronjob_round(project)
        assert code == 0, events
        assert [one["event"] for one in events].count("healed") == healed
        assert [(one["fid"], one["limit_price"]) for one in cloud.live_bids] == [(bid["fid"], limit_price)]
    assert len(cloud.mutations) == 2

    cloud.set_price(**SPOT, price=12.0)
    assert "3 unchanged" in project.up().ok().text
    project.destroy().ok()
    assert not cloud.live_bids
