"""The Flow SDK's caches do not outlive changes that a test makes to the cloud."""

from __future__ import annotations

from datetime import datetime, timezone

import flow
import pytest

from flow_resources.testing import Clock, mock_mithril


@pytest.fixture
def cloud():
    with mock_mithril(speed=0, boot_seconds=90) as mithril:
        yield mithril


def rent(client):
    return client.run(flow.TaskConfig(command="true", instance_type="8xa100", upload_code=False)).task_id


def test_a_loop_that_waits_by_the_clouds_clock_sees_the_machine_come_up(cloud):
    """Although the SDK repeats what it read of the machine for five real seconds."""
    with flow.Flow() as client:
        task = rent(client)
        seen = [client.status(task)]
        for _ in range(2):
            cloud.clock.advance(seconds=60)
            seen.append(client.status(task))
    assert seen == ["provisioning", "provisioning", "running"]


def test_what_a_verb_does_to_a_machine_is_seen_at_once(cloud):
    """Without a step of the clock."""
    cloud.boot_seconds = 0
    with flow.Flow() as client:
        task = rent(client)
        assert client.status(task) == "running"
        cloud.fail_boot(task)
        assert client.status(task) == "failed"


def test_looking_leaves_the_sdks_memory_alone(cloud):
    """A program asks as often as it would without a test that watches it."""
    with flow.Flow() as client:
        client.bids.list_bids()
        count = len(cloud.requests)
        assert cloud.live_bids == []
        client.bids.list_bids()
        assert len(cloud.requests) == count


def test_a_shared_clock_forgets_the_clouds_that_are_over():
    """Otherwise it would keep references to them."""
    clock = Clock(speed=0)
    with mock_mithril(clock=clock):
        assert len(clock.listeners) == 1
    assert clock.listeners == []


def test_a_program_that_looks_at_the_real_clock_is_given_a_past():
    """A cloud that begins a day ago is moved up to the present."""
    present = datetime.now(timezone.utc)
    clock = Clock(present.timestamp() - 86_400, speed=0)
    with mock_mithril(clock=clock), flow.Flow() as client:
        task = client.get_task(rent(client))
        clock.advance(hours=24)
        assert (present - task.created_at).total_seconds() == pytest.approx(86_400)
