"""What `pulumi up` does: the real engine against a fake Mithril. Seconds per test; skipped if pulumi is missing."""

import os
import shutil
from pathlib import Path

import pytest
from pulumi import automation

pytestmark = pytest.mark.skipif(not shutil.which("pulumi"), reason="there is no pulumi on PATH")


@pytest.fixture
def stack(mithril, tmp_path):  # mithril: a new fake cloud, from the pytest plugin of flow_resources
    (tmp_path / "backend").mkdir()
    settings = automation.LocalWorkspaceOptions(
        work_dir=os.fspath(shutil.copytree(".", tmp_path / "project")),
        pulumi_home=os.fspath(tmp_path / "home"),
        env_vars={
            **mithril.environment,
            "PULUMI_BACKEND_URL": (tmp_path / "backend").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "only for this test",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
        },
    )
    return automation.create_stack("test", work_dir=settings.work_dir, opts=settings)


def test_a_higher_bid_brings_a_preempted_cluster_back(stack, mithril):
    stack.preview()
    assert mithril.live_bids == []  # a preview rents nothing

    stack.up()
    (bid,) = mithril.live_bids
    assert bid["limit_price"] == "$20.00"
    assert [volume["fid"] for volume in mithril.volumes] == bid["launch_specification"]["volumes"]

    mithril.set_price("8xa100", "us-central5-a", 25.0)
    assert mithril.bid(bid["fid"])["status"] == "Open"  # preempted, and waiting in the auction

    program = Path(stack.workspace.work_dir, "__main__.py")
    program.write_text(program.read_text().replace("max_price_per_hour=20.0", "max_price_per_hour=30.0"))
    changes = stack.up().summary.resource_changes
    assert (changes["update"], changes["same"]) == (1, 2)
    assert mithril.bid(bid["fid"])["status"] == "Allocated"  # the same bid: nothing was rented twice

    stack.destroy()
    assert mithril.live_bids == []
    assert mithril.volumes == []
