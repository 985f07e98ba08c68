"""SSH keys through the real engine: the order in which clusters and keys end, and a private key that is nowhere."""

from __future__ import annotations

from pathlib import Path

from support import keys
from support.engine import Project

from flow_resources.core.public_keys import normalise
from flow_resources.testing import FakeMithril

LOUD = ("-v=9", "--logtostderr", "--debug")
PROGRAM = """
    import pulumi
    from flow_resources import GpuCluster, SshKey

    key = SshKey("me", public_key_file="id.pub")
    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
               ssh_keys=[key, "team"])
    pulumi.export("key", key.ssh_key_id)
    pulumi.export("fingerprint", key.fingerprint)
"""
BAD = """
    import pulumi
    from flow_resources import SshKey

    SshKey("file", public_key_file="id")
    SshKey("text", public_key=open("id").read())
    SshKey("output", public_key=pulumi.Output.from_input(open("id").read()))
    SshKey("secret", public_key=pulumi.Output.secret(open("id").read()))
    SshKey("path", public_key_file=open("id").read())
    SshKey("name", public_key="ssh-ed25519 AAAA", key_name=open("id").read())
"""


def test_a_key_and_the_cluster_that_has_it(tmp_path: Path, cloud: FakeMithril) -> None:
    """Made before it, replaced with it, kept while it lives, deleted after it; unchanged when nothing changes."""
    cloud.add_ssh_key("team", keys.ed25519(3))
    project = Project.make(tmp_path, cloud, PROGRAM)
    file = project.folder / "id.pub"
    file.write_text(keys.ed25519(1))
    project.up().ok()
    team, mine = cloud.ssh_keys
    assert mine["public_key"] == normalise(keys.ed25519(1))
    (bid,) = cloud.live_bids
    assert sorted(bid["launch_specification"]["ssh_keys"]) == sorted([team["fid"], mine["fid"]])
    assert project.outputs()["key"] == mine["fid"]

    file.write_text(keys.ed25519(1, comment="another comment"))
    project.run("preview", "--refresh", "--expect-no-changes").ok()

    # Another key: the new one is there before the machines change, and the old one goes after them.
    file.write_text(keys.ed25519(2))
    cloud.clear_requests()
    project.up().ok()
    (new,) = cloud.live_bids
    assert new["fid"] != bid["fid"]
    assert [request.method for request in cloud.mutations] == ["POST", "DELETE", "POST", "DELETE"]
    assert [request.path.split("/")[2] for request in cloud.mutations] == ["ssh-keys", "spot", "spot", "ssh-keys"]

    # A cluster of others that has it: the destroy names it and goes on when it has ended.
    (_, mine) = cloud.ssh_keys
    theirs = cloud.add_bid("theirs", ssh_keys=[mine["fid"]])
    project.edit(
        '"id.pub")', '"id.pub", opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(delete="1s")))'
    )
    project.up().ok()
    refused = project.destroy().failed()
    assert f"could not be deleted: used by {theirs['fid']} (theirs)" in refused.text
    assert [bid["fid"] for bid in cloud.live_bids] == [theirs["fid"]]
    cloud.terminate(theirs["fid"])
    project.destroy().ok()
    assert [key["fid"] for key in cloud.ssh_keys] == [team["fid"]]


def test_a_private_key_is_in_no_line_no_state_and_no_file(tmp_path: Path, cloud: FakeMithril) -> None:
    """As loud as the engine can be: what a program is given by mistake does not leave it."""
    project = Project.make(tmp_path, cloud, BAD)
    (project.folder / "id").write_text(keys.PRIVATE["OpenSSH"])
    loud = project.up(*LOUD).failed()
    assert loud.text.count("is a private key, which nobody else may have") >= 5
    assert "public_key_file is a key and not the path of one" in loud.text
    for result in (loud, project.preview("--diff").failed()):
        assert keys.CANARY not in result.text
        assert "Traceback" not in result.text
    assert keys.CANARY not in project.export()
    for folder in (tmp_path / "backend", tmp_path / "home", tmp_path / "flow", tmp_path / "user", project.folder):
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "id":
                assert keys.CANARY not in path.read_bytes().decode(errors="replace"), path
    assert not cloud.mutations
