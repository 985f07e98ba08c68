"""examples/05-production through the real engine: two stacks, a secret, a budget, data that is not lost, a job."""

from __future__ import annotations

from pathlib import Path

from docs.pages import EXAMPLES, blocks, missing
from support.engine import Project, copy_example, environment
from support.jobs import live_keys

from flow_resources.testing import FakeMithril

EXAMPLE = EXAMPLES / "05-production"
DEV = ["$20.00", "$13.00"]
"""The bids of dev, in the order in which they are placed: what has to stay comes first."""
SECRETS = {"dev": "canary-93aa-dev", "prod": "canary-93aa-prod"}
REFUSED, PROTECTED, TAKEN = blocks(EXAMPLE / "README.md", "text")


def is_said(shown: str, printed: str) -> None:
    """Fail unless the lines that the page shows were printed, in their order."""
    line = missing(shown.splitlines(), printed)
    assert line is None, f"{line}\nis not in\n{printed}"


def test_two_stacks_of_one_program_live_side_by_side_and_prod_keeps_its_data(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """Sizes and prices of each stack's file; what the page says that is refused, is; in the end nothing is left."""
    project = Project(copy_example(EXAMPLE, tmp_path / EXAMPLE.name), environment(tmp_path, cloud))
    printed = ""
    for stack, secret in SECRETS.items():
        project.run("stack", "init", stack).ok()
        project.run("config", "set", "--secret", "wandbKey", secret).ok()
        printed += project.run("up", "--yes", "--diff").ok().text
    bids = sorted((one["limit_price"], one["instance_quantity"]) for one in cloud.live_bids)
    assert bids == [("$13.00", 1), ("$13.00", 1), ("$20.00", 1), ("$50.00", 4)]
    sizes = sorted((one["name"].partition("-")[0], one["capacity_gb"]) for one in cloud.volumes)
    assert sizes == [("checkpoints", 500), ("checkpoints", 500), ("corpus", 100), ("corpus", 2000)]
    assert {one["name"] for one in cloud.volumes} > {"corpus-dev", "corpus-prod"}

    assert printed.count(": [secret]") == 4  # the preview's and the update's, of both stacks
    everything = printed + project.export() + project.run("stack", "output").ok().text
    config = "".join(path.read_text() for path in project.folder.glob("Pulumi.*.yaml"))
    assert config.count("secure: v1:") == 2
    assert not any(secret in everything + config for secret in SECRETS.values())

    cloud.clear_requests()
    assert "5 unchanged" in project.up().ok().text
    project.run("config", "set", "bid", "70").ok()
    is_said(REFUSED, project.preview().failed().text)
    project.run("config", "set", "bid", "50").ok()
    is_said(PROTECTED, project.run("destroy", "--yes").failed().text)
    assert not cloud.mutations
    assert len(cloud.live_bids) == 4

    checkpoints, corpus = project.id_of("checkpoints"), project.id_of("corpus")
    project.destroy("--exclude-protected").ok()
    assert [one["limit_price"] for one in cloud.live_bids] == DEV
    assert {checkpoints, corpus} < {one["fid"] for one in cloud.volumes}
    assert "corpus" not in project.resources()

    cloud.set_options(idempotency="ignore")  # the service has forgotten by now how that volume was made
    is_said(TAKEN, project.up().failed().text)
    project.edit("    volume_name=f", f'    adopt_volume_id="{corpus}",\n    volume_name=f')
    project.up().ok()
    assert project.outputs()["volumes"] == {"checkpoints": checkpoints, "corpus": corpus}

    project.run("config", "set", "keepData", "false").ok()
    project.up().ok()
    project.destroy().ok()
    assert [one["limit_price"] for one in cloud.live_bids] == DEV
    project.run("stack", "select", "dev").ok()
    project.destroy().ok()
    assert not cloud.live_bids
    assert not cloud.volumes
    assert not live_keys(cloud)
