"""`flow-resources watch` beside the real `pulumi`: it heals what policies heal, once, and nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from support.engine import Project, Result, end_session, kill

from flow_resources.testing import FakeMithril

KEY, PASSPHRASE = "canary-key-77a1", "canary-passphrase-19fd"
FIVE = """
    from flow_resources import GpuCluster

    def cluster(name, price, **policy):
        GpuCluster(name, instance_type="8xa100", max_price_per_hour=price, region="us-central5-a", wait_for="placed",
                   env={"TOKEN": "canary-token-c0de"}, **policy)

    cluster("raised", 20.0, on_preemption="raise_bid", raise_up_to_per_hour=70.0)
    cluster("replaced", 21.0, on_preemption="replace")
    for number in range(3):
        cluster(f"safe-{number}", 100.0, on_preemption="raise_bid", raise_up_to_per_hour=120.0)
"""
FLEET = """
    import pulumi
    from flow_resources import ResilientCluster

    fleet = ResilientCluster("fleet", size=5, min_running=0, instance_type="8xa100", max_price_per_hour=50.0,
                             region="us-central5-a", on_preemption="replace")
    pulumi.export("task_ids", fleet.task_ids)
"""
MARKET = ("8xa100", "us-central5-a")


def watch(project: Project, *arguments: str, **env: str) -> Result:
    """Run the command once, in the project's folder."""
    return ended(start(project, "--once", *arguments, **env))


def start(project: Project, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """Start the command in a session of its own, to be killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "flow_resources.cli", "watch", *arguments],
        cwd=project.folder, env=project.env | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> Result:
    """Wait for its end."""
    out, err = process.communicate(timeout=600)
    for secret in (KEY, PASSPHRASE, "canary-token-c0de", "Traceback"):
        assert secret not in out + err
    return Result(process.returncode, out + err)


def events(result: Result) -> list[dict[str, Any]]:
    """Return the events that `--json` printed, without what was seen."""
    documents = [json.loads(line) for line in result.text.splitlines()]
    return [one for one in documents if one["event"] != "looked"]


def told(result: Result) -> list[str]:
    """Return the events in words, in any order."""
    return sorted(f"{one['event']} {one.get('cluster', one.get('resource', ''))}".strip() for one in events(result))


def seen(result: Result) -> dict[str, str]:
    """Return the status of each cluster as it was seen last."""
    looks = [json.loads(line) for line in result.text.splitlines() if '"looked"' in line]
    return {one["cluster"]: one["status"] for one in looks[-1]["clusters"]}


def written(cloud: FakeMithril) -> list[tuple[str, str]]:
    """Return what was changed in the service."""
    return [(one.method, one.path.rpartition("/")[2]) for one in cloud.mutations]


def make(root: Path, cloud: FakeMithril, program: str = FIVE) -> Project:
    """Make a stack that runs, whose key is a secret of its config."""
    cloud.add_key(KEY, [cloud.project])
    project = Project.make(root, cloud, program, PULUMI_CONFIG_PASSPHRASE=PASSPHRASE)
    del project.env["MITHRIL_API_KEY"]
    project.run("config", "set", "--secret", "flow:apiKey", KEY).ok()
    project.up().ok()
    cloud.clear_requests()
    return project


def test_a_spike_takes_two_of_five_and_each_is_healed_by_its_policy(tmp_path: Path, cloud: FakeMithril) -> None:
    """A person's edit is named and left; the second run changes nothing, takes no lock and asks little."""
    project = make(tmp_path, cloud)
    ids = {name: one["id"] for name, one in project.resources().items() if name != "proj-dev"}
    project.edit('f"safe-{number}", 100.0', 'f"safe-{number}", 100.0 + number')  # two of three: not applied
    live_at_post: list[int] = []
    cloud.faults.add(method="POST", path="/v2/spot/bids$", then=lambda _: live_at_post.append(len(cloud.live_bids)))
    cloud.set_price(*MARKET, 55.0)
    hook = tmp_path / "events"
    healed = watch(project, "--heal", "--json", "--on-event", f"cat >>{hook}; exit 3")
    events_ = [json.loads(line) for line in healed.text.splitlines() if line.startswith("{")]
    healed.text = "\n".join(json.dumps(one) for one in events_)
    assert told(healed) == [
        "healed raised", "healed replaced", "left_alone safe-1", "left_alone safe-2", "preempted raised",
        "preempted replaced", "running_again raised", "status_changed replaced",
    ]  # fmt: skip
    assert [json.loads(line) for line in hook.read_text().splitlines()] == events(healed)
    assert sorted(written(cloud)) == [
        ("DELETE", ids["replaced"]), ("PATCH", ids["raised"]), ("POST", "bids"),
    ]  # fmt: skip
    assert live_at_post == [5], "the old bid is gone when the new one is placed"
    assert {one["fid"] for one in cloud.live_bids} >= {ids["raised"], *(ids[f"safe-{n}"] for n in range(3))}
    assert len(cloud.live_bids) == 5
    (action,) = (one for one in events(healed) if one["event"] == "healed" and one["cluster"] == "raised")
    assert (action["bid_before"], action["bid"], action["policy"]) == (20, 57.75, "raise_bid")
    assert healed.code == 3, "the new bid of replaced is under the market, and waits"

    cloud.clear_requests()
    state = (tmp_path / "backend").rglob("stacks/proj/dev.json")
    (file,) = state
    before = file.stat().st_mtime_ns
    quiet = watch(project, "--heal", "--json")
    assert seen(quiet) == {"raised": "running", "replaced": "pending", "safe-0": "running", "safe-1": "running", "safe-2": "running"}
    assert told(quiet) == ["left_alone safe-1", "left_alone safe-2"]
    assert not cloud.mutations
    assert file.stat().st_mtime_ns == before
    assert len(cloud.requests) <= 14, [f"{one.method} {one.path}" for one in cloud.requests]
    assert "healed" not in project.preview("--refresh").ok().text


def test_a_fleet_that_loses_two_of_five_has_five_again(tmp_path: Path, cloud: FakeMithril) -> None:
    """The three others are untouched, and the outputs of the fleet are those of the new members."""
    project = make(tmp_path, cloud, FLEET)
    ids = project.outputs()["task_ids"]
    old = ids if isinstance(ids, list) else list(ids.values())
    most: list[int] = []
    cloud.faults.add(method="POST", path="/v2/spot/bids$", times=9, then=lambda _: most.append(len(cloud.live_bids)))
    for lost in old[1:3]:
        cloud.preempt(lost)
    healed = watch(project, "--heal", "--json")
    assert told(healed) == [
        "healed fleet-1", "healed fleet-2", "preempted fleet-1", "preempted fleet-2", "running_again fleet-1",
        "running_again fleet-2",
    ]  # fmt: skip
    assert healed.code == 0
    assert sorted(written(cloud)) == sorted([("DELETE", old[1]), ("DELETE", old[2]), ("POST", "bids"), ("POST", "bids")])
    assert max(most) == 5, "never six"
    live = {one["fid"] for one in cloud.live_bids}
    assert len(live) == 5
    assert live >= {old[0], old[3], old[4]}
    now = project.outputs()["task_ids"]
    assert set(now if isinstance(now, list) else now.values()) == live
    cloud.clear_requests()
    assert " unchanged" in project.up("--refresh").ok().text
    assert not cloud.mutations


def test_a_watch_that_is_killed_in_the_middle_leaves_nothing_doubled(tmp_path: Path, cloud: FakeMithril) -> None:
    """Killed when the service has accepted the raise: its engine may die with it and leave the lock, which is told."""
    project = make(tmp_path, cloud)
    running: list[subprocess.Popen[str]] = []
    started = threading.Event()

    def strike(_request: object) -> None:
        started.wait(60)
        kill(running[0].pid)

    cloud.faults.add(method="PATCH", path="/v2/spot/bids/", when="after", then=strike)
    cloud.set_price(*MARKET, 55.0)
    running.append(start(project, "--once", "--heal"))
    started.set()
    running[0].communicate(timeout=600)
    assert running[0].returncode == -signal.SIGKILL
    print("STATE", project.run("stack").text[-300:], list((tmp_path/"backend").rglob("locks/**/*.json")))
    after = watch(project, "--heal", "--json")
    print(after.text, after.code, written(cloud))
    end_session(running[0])
    assert 0
