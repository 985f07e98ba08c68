"""What was paid, of a stack that the real engine has made: `costs`, and the column of `watch`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.engine import Project

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.engine
PROGRAM = """
    import pulumi
    from flow_resources import GpuCluster, ResilientCluster, get_costs_output

    place = {"instance_type": "8xa100", "max_price_per_hour": 20.0, "region": "us-central5-a"}
    trainer = GpuCluster("trainer", command="sleep 1", **place)
    fleet = ResilientCluster("fleet", size=2, **place)
    pulumi.export("paid", get_costs_output(trainer.task_id))
"""


def run(project: Project, *arguments: str, code: int = 0) -> str:
    """Run a command of this package in the project."""
    command = [sys.executable, "-m", "flow_resources.cli", *arguments]
    done = subprocess.run(
        command, cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def rows(project: Project) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(run(project, "costs", "--json"))["resources"]}


def test_what_a_stack_has_cost_through_a_replacement_a_preemption_and_a_destroy(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """By the real state, whose secret key is read too; the watch and the program tell the same."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    del project.env["MITHRIL_API_KEY"]
    project.run("config", "set", "--secret", "flow:apiKey", cloud.key).ok()
    project.run("config", "set", "flow:owner", "ada").ok()
    project.up().ok()
    cloud.clock.advance(hours=10)
    project.edit("sleep 1", "sleep 2")
    project.up().ok()
    cloud.clock.advance(hours=10)
    project.up().ok()
    assert project.outputs()["paid"]["spent"] == pytest.approx(120, abs=0.5)
    told = rows(project)
    assert {name: (row["kind"], len(row["bids"])) for name, row in told.items()} == {
        "trainer": ("GpuCluster", 2),
        "fleet-0": ("GpuCluster", 1),
        "fleet-1": ("GpuCluster", 1),
    }
    assert [told[name]["spent_usd"] for name in ("trainer", "fleet-0")] == pytest.approx([240, 240], abs=0.5)
    assert sum(row["spent_usd"] for row in told.values()) == pytest.approx(cloud.spend, abs=0.5)
    seen = json.loads(run(project, "watch", "--once", "--json").splitlines()[-1])["clusters"]
    assert {one["cluster"]: one["spent_usd"] for one in seen} == pytest.approx(
        {"trainer": 240, "fleet-0": 240, "fleet-1": 240}, abs=0.5
    )
    project.destroy().ok()
    ended = rows(project)
    assert {(name, row["kind"], row["status"]) for name, row in ended.items()} == {
        (name, None, "ended") for name in told
    }
    assert sum(row["spent_usd"] for row in ended.values()) == pytest.approx(cloud.spend, abs=0.05)
