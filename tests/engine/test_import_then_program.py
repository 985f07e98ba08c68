"""`pulumi import` with the real engine and the YAML host: what is printed changes nothing, and neither does the up."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.engine import Project
from support.languages import install_plugin
from support.program import rent

from flow_resources.testing import FakeMithril

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not shutil.which("pulumi-language-yaml"), reason="this `pulumi` has no language host for YAML"),
]
HEAD = "name: proj\nruntime: yaml\n"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN+noB6se0KHOVaZ5tG10kVc0usqscTHdo83NboI+mF6"


@pytest.fixture
def project(tmp_path: Path, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project in YAML, in a project of Mithril in which a script has started a task."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    made = Project.make(tmp_path, cloud, "")
    (made.folder / "__main__.py").unlink()
    (made.folder / "Pulumi.yaml").write_text(HEAD)
    install_plugin(made)
    return made


def imported(project: Project, type_: str, name: str, id_: str) -> str:
    """Import; return the resource of the printed program."""
    printed = project.run("import", f"flow:index:{type_}", name, id_, "--yes").ok().text
    # Pulumi warns where it has found the plugin, if that is not the folder of plugins.
    printed = "".join(line for line in printed.splitlines(keepends=True) if "pulumi-resource-flow" not in line)
    assert "warning:" not in printed
    return printed.partition("\nresources:\n")[2]


def write(project: Project, resources: str) -> None:
    (project.folder / "Pulumi.yaml").write_text(f"{HEAD}resources:\n{resources}")


def test_what_is_imported_is_in_the_printed_program(project: Project, cloud: FakeMithril) -> None:
    """L4: no change; what a person adds to it changes nothing either, until it is another value."""
    data, key = cloud.add_volume("data", size_gb=300), cloud.add_ssh_key("laptop", PUBLIC_KEY)
    mount = {"volume_id": data["fid"], "mount_path": "/data", "interface": "file"}
    rent(name="train", max_price_per_hour=20.0, region=cloud.region, env={"TOKEN": "canary-8812"}, volumes=[mount])
    (bid,) = cloud.live_bids
    cloud.clear_requests()

    cluster = imported(project, "GpuCluster", "trainer", bid["fid"])
    resources = [
        cluster,
        imported(project, "Volume", "data", data["fid"]),
        imported(project, "SshKey", "laptop", key["fid"]),
    ]
    printed = "".join(one.rstrip() + "\n" for one in resources)
    assert "instance_type: 8xa100" in cluster
    assert "mount_path: /data" in cluster
    assert not [name for name in ("command", "env", "image", "__") if name in cluster]

    write(project, printed)
    project.preview("--expect-no-changes").ok()
    assert "4 unchanged" in project.up().ok().text
    project.refresh("--expect-no-changes").ok()
    assert "canary-8812" not in project.export()

    typed = "      command: python train.py\n      env: {TOKEN: canary-8812}\n"
    written = printed.replace("      instance_type: 8xa100\n", f"      instance_type: 8xa100\n{typed}")
    write(project, written)
    told = project.preview("--expect-no-changes").ok().text
    assert "the state does not record command, env of bid_" in told
    project.up("--expect-no-changes").ok()
    assert "does not record" not in project.preview("--expect-no-changes").ok().text
    project.refresh("--expect-no-changes").ok()
    assert "canary-8812" not in project.export()
    written = written.replace("protect: true", "protect: false")
    write(project, written)
    project.up("--expect-no-changes").ok()
    write(project, written.replace("python train.py", "python other.py"))
    shown = "".join(project.preview("--diff").ok().text.split())
    assert 'command:"pythontrain.py"=>"pythonother.py"' in shown
    assert "+-1toreplace" in shown
    assert not cloud.mutations

    project.destroy().ok()
    assert not cloud.live_bids
    assert not cloud.volumes
    assert [one["fid"] for one in cloud.ssh_keys if one["name"] == "laptop"] == [key["fid"]]


@pytest.mark.faults  # tests/verbs/test_import.py fails for the same
def test_what_cannot_be_imported_is_one_line(project: Project, cloud: FakeMithril) -> None:
    """With what to do about it; the state stays as it was."""
    rent(name="train", max_price_per_hour=20.0, region=cloud.region)
    id_ = cloud.live_bids[0]["fid"]
    cloud.clear_requests()
    told = project.run("import", "flow:index:GpuCluster", "trainer", "bid_nowhere", "--yes").failed().text
    assert "error: Preview failed: there is no task bid_nowhere in project demo: `flow status` shows them" in told
    told = project.run("import", "flow:index:Job", "trainer", id_, "--yes").failed().text
    assert "it is not the bid of a Job, because its machines do not end it: import it as a GpuCluster" in told
    imported(project, "GpuCluster", "trainer", id_)
    told = project.run("import", "flow:index:GpuCluster", "again", id_, "--yes").failed().text
    assert f"{id_} is not imported: the state of this stack records it already" in told
    assert "again" not in project.resources()
    assert not cloud.mutations


def test_a_python_program_imports_by_an_option(project: Project, cloud: FakeMithril) -> None:
    """`import_` of the plugin's resources, which the dynamic host has not."""
    rent(name="train", max_price_per_hour=20.0, region=cloud.region)
    id_ = cloud.live_bids[0]["fid"]
    cloud.clear_requests()
    (project.folder / "Pulumi.yaml").write_text("name: proj\nruntime: python\n")
    project.write(
        f"""
        import pulumi
        from flow_resources import GpuCluster

        GpuCluster(
            "trainer", instance_type="8xa100", max_price_per_hour=20, region="{cloud.region}",
            command="python train.py", opts=pulumi.ResourceOptions(import_="{id_}"),
        )
        """
    )
    project.run("config", "set", "flow:host", "plugin").ok()
    assert "import" in project.up().ok().text
    assert project.id_of("trainer") == id_
    project.preview("--expect-no-changes").ok()
    project.edit("max_price_per_hour=20", "max_price_per_hour=20.5")
    project.edit("python train.py", "python other.py")
    assert "replace" in project.preview().ok().text
    assert not cloud.mutations
