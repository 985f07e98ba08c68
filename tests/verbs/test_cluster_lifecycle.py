"""The lifecycle of a cluster through the verbs, against the fake over loopback."""

from __future__ import annotations

import pytest
from support.stack import CheckError, Stack, VerbError, cluster, volume

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts


def sent(cloud: FakeMithril) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in cloud.mutations if "ssh-keys" not in request.path]


def test_up_places_one_bid_with_all_inputs(stack: Stack, cloud: FakeMithril) -> None:
    """One POST per volume and one for the bid, with price, quantity and both volumes."""
    stack.up({"data": volume(), "models": volume(size_gb=50)})
    data, models = stack.state["data"].id, stack.state["models"].id
    mounts = [{"volume_id": data, "mount_path": "/data"}, {"volume_id": models, "mount_path": "/mnt/models"}]
    stack.up({"data": volume(), "models": volume(size_gb=50), "trainer": cluster(num_instances=4, volumes=mounts)})
    assert sent(cloud) == [("POST", "/v2/volumes")] * 2 + [("POST", "/v2/spot/bids")]
    body = cloud.mutations[-1].body
    assert (body["limit_price"], body["instance_quantity"], body["region"]) == ("$50.00", 4, "us-central5-a")
    assert body["launch_specification"]["volumes"] == [data, models]
    outputs = stack.state["trainer"].outputs
    assert outputs["status"] == "running"
    assert len(outputs["public_ips"]) == 4
    assert outputs["max_cost_per_hour"] == 200.0
    assert outputs["preemptions"] == 0


def test_a_second_up_sends_no_mutation(stack: Stack, cloud: FakeMithril) -> None:
    """The program is the same."""
    program = {"trainer": cluster()}
    stack.up(program)
    cloud.clear_requests()
    assert stack.preview(program) == {"trainer": "same"}
    stack.up(program)
    assert not cloud.mutations


def test_a_price_change_is_one_patch_with_the_same_id(stack: Stack, cloud: FakeMithril) -> None:
    """From 50 to 60, in place."""
    stack.up({"trainer": cluster()})
    id_ = stack.state["trainer"].id
    cloud.clear_requests()
    stack.up({"trainer": cluster(max_price_per_hour=60.0)})
    assert [(request.method, request.path, request.body) for request in cloud.mutations] == [
        ("PATCH", f"/v2/spot/bids/{id_}", {"limit_price": "$60.00"})
    ]
    assert stack.state["trainer"].outputs["max_price_per_hour"] == 60.0


def test_num_instances_replaces_and_the_old_bid_is_cancelled_first(stack: Stack, cloud: FakeMithril) -> None:
    """So that two clusters are never paid for by accident."""
    stack.up({"trainer": cluster()})
    cloud.clear_requests()
    stack.up({"trainer": cluster(num_instances=2)})
    assert [request.method for request in cloud.mutations] == ["DELETE", "POST"]
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id]


def test_destroy_leaves_nothing_live(stack: Stack, cloud: FakeMithril) -> None:
    """Clusters first, then the volumes that they mount."""
    stack.up({"data": volume()})
    mounts = [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]
    stack.up({"data": volume(), "trainer": cluster(volumes=mounts)})
    stack.destroy()
    assert not cloud.live_bids
    assert not cloud.volumes
    assert not stack.state


def test_pause_and_resume_are_in_place(stack: Stack, cloud: FakeMithril) -> None:
    """One PATCH each; the bid stays the same."""
    stack.up({"trainer": cluster()})
    id_ = stack.state["trainer"].id
    cloud.clear_requests()
    stack.up({"trainer": cluster(paused=True)})
    assert stack.state["trainer"].outputs["status"] == "paused"
    stack.up({"trainer": cluster()})
    assert stack.state["trainer"].outputs["status"] == "running"
    assert [request.body for request in cloud.mutations] == [{"paused": True}, {"paused": False}]
    assert stack.state["trainer"].id == id_


def test_a_cluster_declared_paused_is_placed_and_paused_at_once(stack: Stack, cloud: FakeMithril) -> None:
    """It is ready when the service reports Paused."""
    stack.up({"trainer": cluster(paused=True)})
    assert cloud.live_bids[0]["status"] == "Paused"
    assert stack.state["trainer"].outputs["status"] == "paused"


@pytest.mark.parametrize("change", [{"on_preemption": "keep"}, {"wait_for": "placed"}, {"adopt_task_id": "bid_0"}])
def test_a_change_of_the_state_alone_sends_no_mutation(
    stack: Stack, cloud: FakeMithril, change: dict[str, str]
) -> None:
    """A policy, a weaker goal and an adoption that is done are not stored in the service."""
    stack.up({"trainer": cluster()})
    cloud.clear_requests()
    stack.up({"trainer": cluster(**change)})
    assert not cloud.mutations


@pytest.mark.parametrize(
    "change",
    [
        {"instance_type": "8xh100"},
        {"num_instances": 2},
        {"region": "us-central1-a"},
        {"command": "python train.py"},
        {"image": "pytorch/pytorch:2.4.0"},
        {"env": {"A": "1"}},
        {"ports": [8080]},
        {"ssh_keys": ["team"]},
        {"name_prefix": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_service_cannot_change_is_replaced(
    stack: Stack, cloud: FakeMithril, change: dict[str, object]
) -> None:
    """The replace matrix, executed: one bid before, another bid after."""
    cloud.add_ssh_key("team", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 team")
    stack.up({"trainer": cluster()})
    before = stack.state["trainer"].id
    assert stack.preview({"trainer": cluster(**change)}) == {"trainer": "replace"}
    stack.up({"trainer": cluster(**change)})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] != [before]


def test_named_ssh_keys_are_used_and_none_is_created(stack: Stack, cloud: FakeMithril) -> None:
    """An empty home directory makes no `flow-auto-*` key if the user names keys."""
    key = cloud.add_ssh_key("team", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 team")
    stack.up({"trainer": cluster(ssh_keys=["team"])})
    assert cloud.live_bids[0]["launch_specification"]["ssh_keys"] == [key["fid"]]
    assert [key["name"] for key in cloud.ssh_keys] == ["team"]


def test_an_unknown_ssh_key_is_a_failure_of_the_preview(stack: Stack, cloud: FakeMithril) -> None:
    """It lists the existing keys."""
    cloud.add_ssh_key("team", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 team")
    with pytest.raises(CheckError, match=r"ssh_keys\[0\].*'tema'.*team"):
        stack.preview({"trainer": cluster(ssh_keys=["tema"])})


def test_a_command_can_be_a_list_of_arguments(stack: Stack, cloud: FakeMithril) -> None:
    """The SDK accepts both forms."""
    stack.up({"trainer": cluster(command=["python", "train.py", "--lr", "0.1"])})
    assert stack.state["trainer"].outputs["command"] == ["python", "train.py", "--lr", "0.1"]


def test_ports_and_env_reach_the_launch(stack: Stack, cloud: FakeMithril) -> None:
    """Ports are floats on the wire of Pulumi, which the SDK rejects."""
    stack.up({"trainer": cluster(ports=[8080], env={"WANDB": "x"})})
    assert stack.state["trainer"].outputs["status"] == "running"


def test_the_region_is_resolved_once(stack: Stack, cloud: FakeMithril) -> None:
    """A change of the default region makes no diff."""
    stack.config["flow:region"] = "us-central5-a"
    program = {"trainer": cluster(region=None)}
    stack.up(program)
    stack.config["flow:region"] = "us-central1-a"
    assert stack.preview(program) == {"trainer": "same"}


def test_an_update_of_a_bid_that_ended_says_what_to_do(stack: Stack, cloud: FakeMithril) -> None:
    """The remedy is a refresh."""
    stack.up({"trainer": cluster()})
    cloud.terminate(stack.state["trainer"].id)
    with pytest.raises(VerbError, match=r"has ended.*--refresh"):
        stack.up({"trainer": cluster(max_price_per_hour=60.0)})


def test_a_refused_cancel_fails_at_once_with_its_reason(stack: Stack, cloud: FakeMithril) -> None:
    """There is no wait: the bid is live, and the state keeps it."""
    stack.up({"trainer": cluster()})
    cloud.faults.add(method="DELETE", status=409, times=None)
    cloud.clear_requests()
    with pytest.raises(VerbError) as refused:
        stack.destroy()
    assert "not ended yet" not in str(refused.value)
    assert [request.method for request in cloud.mutations] == ["DELETE"]
    assert "trainer" in stack.state
