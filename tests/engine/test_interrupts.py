"""Ctrl-C while machines boot: the bid is recorded, or the next `up` takes it over; never a second one, never an orphan.

A terminal interrupts the engine's process group. Plugins have groups of their own, so the verbs go on; the engine waits
for them, until a second Ctrl-C. It tells the provider plugin of the first one, whose verbs then end; the dynamic host
drops what it is told.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from support.engine import Project, end_session, kill, plugin_pids

from flow_resources.testing import MANUAL, FakeMithril

ONE = """
    from flow_resources import GpuCluster

    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a")
"""


PLUGIN = pytest.mark.parametrize("host_of_verbs", ["plugin"], indirect=True)


@pytest.fixture
def booting(tmp_path: Path, cloud: FakeMithril):
    """A project, and its `up` at the moment at which it waits for machines that do not boot by themselves."""
    cloud.set_options(boot_seconds=MANUAL)
    waits = threading.Event()
    cloud.faults.add(method="GET", path="/v2/instances$", then=lambda _: waits.set())
    project = Project.make(tmp_path, cloud, ONE)
    process = project.start("up", "--yes", "--skip-preview")
    assert waits.wait(600)
    yield project, process
    end_session(process)
    process.communicate()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what is printed up to the line with these words, or to the end."""
    assert process.stdout
    text = ""
    for line in process.stdout:
        text += line
        if words in line:
            break
    return text


def is_alive(pid: int) -> bool:
    """Whether it runs: what is dead, and whose parent has not picked it up, is gone too."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip() != "" and not told.stdout.startswith("Z")


def assert_all_end(pids: list[int]) -> None:
    """Wait until none of the processes is there."""
    deadline = time.monotonic() + 600
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"still there: {alive}"
        time.sleep(0.05)


def assert_nothing_new_after_another_up(project: Project, cloud: FakeMithril) -> str:
    """Let the machines boot and do one more `up`: still one bid, the recorded one. Return what it printed."""
    cloud.set_options(boot_seconds=0)
    cloud.finish("boot")
    text = project.up().ok().text
    assert [one["fid"] for one in cloud.bids] == [project.id_of("trainer")]
    assert project.resources()["trainer"]["outputs"]["status"] == "running"
    return text


def test_a_ctrl_c_waits_for_the_machines_and_records_them(booting, cloud: FakeMithril) -> None:
    """The plugin, in a group of its own, does not hear it; the next `up` finds nothing to do."""
    project, process = booting
    (plugin,) = plugin_pids(process.pid)
    assert os.getpgid(plugin) != os.getpgid(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    read_until(process, "^C received; cancelling")
    cloud.set_options(boot_seconds=0)
    cloud.finish("boot")
    rest = read_until(process, "that is never printed")
    assert process.wait(600) != 0
    assert "update canceled" in rest
    assert "Traceback" not in rest
    assert [one["fid"] for one in cloud.live_bids] == [project.id_of("trainer")]
    assert "2 unchanged" in assert_nothing_new_after_another_up(project, cloud)


@PLUGIN
def test_in_the_plugin_a_ctrl_c_ends_the_wait_and_records_the_bid(booting, cloud: FakeMithril) -> None:
    """In less than two seconds, whenever the machines would boot; the next `up` goes on with the same bid.

    The command ends then, or five seconds later: so long Pulumi waits for a program that did not see its end come.
    """
    project, process = booting
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    text = read_until(process, "creating failed")
    seconds = time.monotonic() - began
    assert "creating failed" in text
    text += read_until(process, "that is never printed")
    assert process.wait(600) != 0
    assert "Traceback" not in text
    assert "^C received; terminating" not in text  # which is what a second one does
    (bid,) = cloud.live_bids
    assert bid["fid"] == project.id_of("trainer")
    assert "pending_operations" not in project.deployment()
    assert seconds < 2.0
    assert_nothing_new_after_another_up(project, cloud)


def test_a_second_ctrl_c_ends_at_once_and_the_next_up_takes_the_bid_over(booting, cloud: FakeMithril) -> None:
    """The state then has a pending operation and no id; `refresh --clear-pending-creates` ends the engine's warning."""
    project, process = booting
    os.kill(process.pid, signal.SIGINT)
    read_until(process, "^C received; cancelling")
    os.kill(process.pid, signal.SIGINT)
    rest = read_until(process, "that is never printed")
    assert process.wait(600) != 0
    assert "^C received; terminating" in rest
    assert "Traceback" not in rest
    assert "trainer" not in project.resources()
    assert "taking over" in assert_nothing_new_after_another_up(project, cloud)
    project.refresh("--clear-pending-creates").ok()
    assert "pending_operations" not in project.deployment()
    assert [one["fid"] for one in cloud.live_bids] == [project.id_of("trainer")]


@pytest.mark.both_hosts
@pytest.mark.faults
def test_an_interrupt_of_the_plugin_too_leaves_a_bid_that_the_next_up_takes_over(booting, cloud: FakeMithril) -> None:
    """As from a supervisor that signals every process; Python's own last words are then in the output."""
    project, process = booting
    victims = [*plugin_pids(process.pid), process.pid]
    for pid in victims:
        os.kill(pid, signal.SIGINT)
    assert process.wait(600) != 0  # not the end of what it prints: a plugin that lives on holds the pipe open
    end_session(process)
    assert "trainer" not in project.resources()
    assert len(cloud.live_bids) == 1
    assert "taking over" in assert_nothing_new_after_another_up(project, cloud)


@pytest.mark.both_hosts(plugin="languages")
def test_a_plugin_ends_with_its_killed_engine_and_sends_nothing_more(booting, cloud: FakeMithril) -> None:
    """It would go on with nobody to record what it does; the next `up` takes over what it left."""
    project, process = booting
    plugins = plugin_pids(process.pid)
    assert plugins
    kill(process.pid)
    process.wait(600)
    assert_all_end(plugins)
    cloud.clear_requests()
    project.run("cancel", "--yes").ok()
    assert "taking over" in assert_nothing_new_after_another_up(project, cloud)
