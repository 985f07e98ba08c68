"""The unmodified Flow SDK against the fake."""

from __future__ import annotations

import pytest


@pytest.fixture
def flow(mithril, tmp_path, monkeypatch):
    """Return a client of the SDK in a home of its own."""
    from flow import Flow
    from flow.application.config.config import Config

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in mithril.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLOW_DIR", str(tmp_path / "flow"))
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = {"api_url": mithril.url, "project": mithril.project, "region": mithril.region}
    client = Flow(config=Config(provider="mithril", auth_token=mithril.key, provider_config=settings))
    yield client
    client.close()


@pytest.mark.filterwarnings("default")
def test_the_sdk_rents_changes_pauses_and_ends(mithril, flow):
    """volumes.create, run, update_limit_price, set_paused, cancel, volumes.delete."""
    from flow import TaskConfig
    from flow.domain.models.constraints import Constraints

    volume = flow.volumes.create(200, name="data", interface="file", region=mithril.region, idempotency_key="v1")
    assert mithril.volumes[0]["capacity_gb"] == 200
    task = flow.run(
        TaskConfig(
            command="sleep infinity",
            name="trainer",
            unique_name=False,
            idempotency_key="pulumi-trainer-1",
            instance_type="8xa100",
            num_instances=2,
            region=mithril.region,
            max_price_per_hour=50.0,
            constraints=Constraints(regions=[mithril.region]),
            upload_code=False,
            volumes=[{"volume_id": volume.volume_id, "mount_path": "/data", "interface": "file"}],
        )
    )
    (bid,) = mithril.live_bids
    assert (bid["fid"], bid["name"], bid["limit_price"]) == (task.task_id, "trainer", "$50.00")
    assert (bid["status"], bid["instance_quantity"]) == ("Allocated", 2)
    assert bid["launch_specification"]["volumes"] == [volume.volume_id]
    assert mithril.volumes[0]["bids"] == [bid["fid"]]
    assert flow.bids.resolve_bid("trainer")["fid"] == bid["fid"]
    (rented,) = [request for request in mithril.mutations if request.path == "/v2/spot/bids"]
    assert rented.idempotency_key == "pulumi-trainer-1"

    seen = flow.get_task(bid["fid"])
    assert seen.status.value == "running"
    assert seen.ssh_hosts == [machine["ssh_destination"] for machine in mithril.instances]

    flow.bids.update_limit_price(bid["fid"], "$60.00")
    assert mithril.bid(bid["fid"])["limit_price"] == "$60.00"
    flow.bids.set_paused(bid["fid"], paused=True)
    assert mithril.bid(bid["fid"])["status"] == "Paused"
    flow.bids.set_paused(bid["fid"], paused=False)
    assert mithril.bid(bid["fid"])["status"] == "Allocated"

    flow.cancel(bid["fid"])
    assert mithril.live_bids == []
    flow.volumes.delete(volume.volume_id)
    assert mithril.volumes == []
    assert [request for request in mithril.requests if request.status is None or request.status >= 400] == []


@pytest.mark.filterwarnings("default")
def test_the_sdk_waits_below_the_market(mithril, flow):
    """A low bid is accepted, stays pending, and wins when the price falls."""
    from flow import TaskConfig
    from flow.domain.models.constraints import Constraints

    mithril.set_price("8xh100", mithril.region, 61.00)
    task = flow.run(
        TaskConfig(
            command="true",
            name="patient",
            unique_name=False,
            instance_type="8xh100",
            region=mithril.region,
            max_price_per_hour=50.0,
            constraints=Constraints(regions=[mithril.region]),
            upload_code=False,
        )
    )
    assert mithril.bid(task.task_id)["status"] == "Open"
    mithril.set_price("8xh100", mithril.region, 49.00)
    assert mithril.bid(task.task_id)["status"] == "Allocated"
