"""What a program says in other words changes nothing, and programs of one process do not meet; the real engine."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pulumi import automation
from support.engine import Project, environment

from flow_resources import GpuCluster, VolumeMount, VolumeReference
from flow_resources.testing import FakeMithril

PROGRAM = """
    from flow_resources import GpuCluster, Volume, VolumeMount

    class TeamVolume(Volume):
        pass

    class TeamCluster(GpuCluster):
        pass

    data = Volume("data", size_gb=1, region="us-central5-a", volume_name="first")
    GpuCluster("hub", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
               volumes=[VolumeMount(data.volume_id, "/data")])
    GpuCluster("other", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
               volumes=[{"volume_id": data.volume_id, "mount_path": "/data"}])
"""
INFRA = """
    from flow_resources import Volume, export_volume

    for name in ("data", "models"):
        export_volume(name, Volume(name, size_gb=1, region="us-central5-a"))
"""


def test_a_subclass_and_a_rename_replace_nothing(tmp_path: Path, cloud: FakeMithril) -> None:
    """A subclass swapped in is the same resource; a renamed volume stays under each spelling of its mounts."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    project.up().ok()
    project.edit('data = Volume("', 'data = TeamVolume("')
    project.edit('GpuCluster("hub"', 'TeamCluster("hub"')
    project.run("preview", "--expect-no-changes").ok()
    project.edit('"first"', '"second"')
    text = project.preview().ok().text
    assert "~ 1 to update\n    3 unchanged" in text


def test_inline_programs_run_at_the_same_time(tmp_path: Path, cloud: FakeMithril) -> None:
    """Two of them in one process, with the Automation API: each reads another stack twice, in turns, and comes up."""
    Project.make(tmp_path, cloud, INFRA, name="infra").up().ok()
    turns = threading.Barrier(2, timeout=120)

    def program() -> None:
        mounts = []
        for name, path in (("data", "/data"), ("models", "/mnt/models")):
            turns.wait()
            mounts.append(VolumeMount(VolumeReference("organization/infra/dev", name), path))
        GpuCluster("hub", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a", volumes=mounts)

    def up(project: str) -> str:
        options = automation.LocalWorkspaceOptions(env_vars=environment(tmp_path, cloud))
        stack = automation.create_or_select_stack("dev", project, program=program, opts=options)
        return stack.up().summary.result

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(up, ("one", "two"))) == ["succeeded", "succeeded"]
    assert len(cloud.live_bids) == 2
