"""`flow-resources watch` beside the real `pulumi`: it heals what policies heal, once, and nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support.engine import Project, Result, end_session, kill

from flow_resources.cli.watch.stack import PulumiStack, plan_file
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


@pytest.mark.both_hosts(plugin="languages")
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
    quiet = watch(project, "--heal", "--json", "--no-spent")  # what was paid is a request for each live bid more
    assert seen(quiet) == {
        "raised": "running",
        "replaced": "pending",
        "safe-0": "running",
        "safe-1": "running",
        "safe-2": "running",
    }
    assert told(quiet) == ["left_alone safe-1", "left_alone safe-2"]
    assert not cloud.mutations
    assert file.stat().st_mtime_ns == before
    assert len(cloud.requests) <= 14, [f"{one.method} {one.path}" for one in cloud.requests]
    assert "healed" not in project.preview("--refresh").ok().text


@pytest.mark.both_hosts(plugin="languages")
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
    assert sorted(written(cloud)) == sorted(
        [("DELETE", old[1]), ("DELETE", old[2]), ("POST", "bids"), ("POST", "bids")]
    )
    assert max(most) == 5, "never six"
    live = {one["fid"] for one in cloud.live_bids}
    assert len(live) == 5
    assert live >= {old[0], old[3], old[4]}
    now = project.outputs()["task_ids"]
    assert set(now if isinstance(now, list) else now.values()) == live
    cloud.clear_requests()
    assert " unchanged" in project.up("--refresh").ok().text
    assert not cloud.mutations


@pytest.mark.parametrize(
    ("method", "when"),
    [
        ("PATCH", "after"),
        # Another call of the same operation; the first one fails for the same defect.
        pytest.param("PATCH", "before", marks=pytest.mark.faults),
        pytest.param("DELETE", "before", marks=pytest.mark.faults),
        pytest.param("DELETE", "after", marks=pytest.mark.faults),
        pytest.param("POST", "before", marks=pytest.mark.faults),
        pytest.param("POST", "after", marks=pytest.mark.faults),
    ],
)
def test_a_watch_that_is_killed_in_the_middle_leaves_nothing_doubled(
    method: str, when: Any, tmp_path: Path, cloud: FakeMithril
) -> None:
    """Its engine finishes what it does and gives its lock back, and the next watch has nothing to do."""
    project = make(tmp_path, cloud)
    running: list[subprocess.Popen[str]] = []
    started = threading.Event()

    def strike(_request: object) -> None:
        started.wait(60)
        kill(running[0].pid)

    cloud.faults.add(method=method, path="/v2/spot/bids", when=when, then=strike)
    cloud.set_price(*MARKET, 55.0)
    running.append(start(project, "--once", "--heal"))
    started.set()
    running[0].communicate(timeout=600)
    assert running[0].returncode == -signal.SIGKILL
    after = watch(project, "--heal", "--json")
    assert after.code == 3, "the new bid of replaced waits"
    assert sorted(method for method, _ in written(cloud)) == ["DELETE", "PATCH", "POST"]
    assert_recorded(project, cloud)
    assert not list((tmp_path / "backend").rglob("locks/**/*.json")), "the engine has given its lock back"


def test_two_watches_and_a_persons_up_beside_them_do_one_thing_at_a_time(tmp_path: Path, cloud: FakeMithril) -> None:
    """The `up` holds the lock until a watch says that it waits for it; its edit is applied by nobody else."""
    project = make(tmp_path, cloud)
    project.edit('f"safe-{number}", 100.0', 'f"safe-{number}", 101.0')
    waits = threading.Event()
    cloud.faults.add(method="PATCH", path="/v2/spot/bids/", then=lambda _: waits.wait(300))
    safe = next(one["urn"] for name, one in project.resources().items() if name == "safe-0")
    person = project.start("up", "--yes", "--skip-preview", "--target", safe)
    while not list((tmp_path / "backend").rglob("locks/**/*.json")):
        assert person.poll() is None
    cloud.set_price(*MARKET, 55.0)
    watches = [start(project, "--once", "--heal", "--json") for _ in range(2)]
    first = watches[0].stdout
    assert first
    lines = [next(line for line in first if '"waiting_for_stack"' in line)]
    waits.set()
    text, _ = person.communicate(timeout=600)
    assert person.returncode == 0, text
    codes = [ended(one).code for one in watches]
    assert codes == [3, 3], lines
    patches = sorted(str((one.body or {}).get("limit_price")) for one in cloud.mutations if one.method == "PATCH")
    assert patches == ["$101.00", "$57.75"]
    assert sorted(method for method, _ in written(cloud)) == ["DELETE", "PATCH", "PATCH", "POST"]
    assert_recorded(project, cloud)
    end_session(person)


def test_sigterm_lets_what_is_under_way_end_and_begins_nothing_more(tmp_path: Path, cloud: FakeMithril) -> None:
    """Sent while the service raises the bid; the state then holds the raise, and the lock is given back."""
    project = make(tmp_path, cloud, FIVE.replace(', on_preemption="replace"', ""))
    running: list[subprocess.Popen[str]] = []
    started = threading.Event()

    def stop(_request: object) -> None:
        started.wait(60)
        running[0].send_signal(signal.SIGTERM)

    cloud.faults.add(method="PATCH", path="/v2/spot/bids/", when="after", then=stop)
    cloud.set_price(*MARKET, 55.0)
    running.append(start(project, "--heal", "--json", "--interval", "1"))
    started.set()
    stopped = ended(running[0])
    assert stopped.code == 0
    assert told(stopped) == ["healed raised", "preempted raised", "preempted replaced"]
    assert [method for method, _ in written(cloud)] == ["PATCH"]
    assert project.resources()["raised"]["outputs"]["max_price_per_hour"] == 57.75
    assert not list((tmp_path / "backend").rglob("locks/**/*.json"))


def test_outages_of_the_service_and_of_the_backend_are_told_and_outlived(tmp_path: Path, cloud: FakeMithril) -> None:
    """By one watch, in one line each; with `--once` the exit code is 1. Nothing is changed."""
    project = make(tmp_path, cloud)
    project.env["FLOW_RESOURCES_RETRY_SECONDS"] = "1"
    backend, away = tmp_path / "backend", tmp_path / "away"
    cloud.set_price(*MARKET, 55.0)
    process = start(project, "--json", "--interval", "1")
    assert process.stdout

    def next_line(word: str) -> dict[str, Any]:
        assert process.stdout
        return next(json.loads(line) for line in process.stdout if f'"event": "{word}"' in line)

    next_line("looked")
    cloud.stop()
    assert "gave no readable answer" in next_line("unreachable")["message"]
    once = watch(project, "--json")
    assert (once.code, told(once)) == (1, ["unreachable"])
    cloud.start()
    next_line("reachable")
    backend.rename(away)
    assert "\n" not in next_line("unreachable")["message"]
    away.rename(backend)
    next_line("reachable")
    process.send_signal(signal.SIGTERM)
    assert ended(process).code == 0
    assert not cloud.mutations


def test_what_is_done_is_what_was_previewed(
    tmp_path: Path, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit or another price between preview and `up` is refused by the plan, and nothing is sent."""
    project = make(tmp_path, cloud)
    for name, value in project.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MITHRIL_API_KEY", raising=False)
    stack = PulumiStack(str(project.folder), "organization/proj/dev")
    cloud.set_price(*MARKET, 55.0)
    (raised,) = (one.urn for one in stack.look().clusters if one.name == "raised")
    with plan_file() as plan:
        (step,) = stack.preview([raised], plan).changes
        assert step.changed == {"max_price_per_hour", "__preemption"}
        project.edit('wait_for="placed",', 'wait_for="placed", command="echo",')
        assert stack.up([raised], plan, "heal").is_outdated
    project.edit(' command="echo",', "")
    project.edit("}, **policy)", "}, **policy, opts=pulumi.ResourceOptions(protect=True))")
    project.edit("from flow_resources import", "import pulumi\nfrom flow_resources import")
    with plan_file() as plan:
        (step,) = stack.preview([raised], plan).changes
        assert step.changed == {"max_price_per_hour", "__preemption", "protect"}, "an option is an edit, too"
    project.edit("protect=True", "protect=False")
    with plan_file() as plan:
        assert stack.preview([raised], plan).changes
        cloud.set_price(*MARKET, 58.0)
        assert stack.up([raised], plan, "heal").is_outdated
    assert not cloud.mutations
    with plan_file() as plan:
        stack.preview([raised], plan)
        assert stack.up([raised], plan, "heal").done == {raised}
    assert [(one.method, one.body) for one in cloud.mutations] == [("PATCH", {"limit_price": "$60.90"})]


def test_bad_inputs_are_one_line_each_and_exit_code_2(tmp_path: Path, cloud: FakeMithril) -> None:
    """With a remedy; nothing is asked of the service."""
    project = make(tmp_path, cloud, "import pulumi")
    nowhere = str(tmp_path / "user")

    def said(*arguments: str, **env: str) -> str:
        done = watch(project, *arguments, **env)
        assert done.code == 2, done.text
        (line,) = done.text.splitlines()
        return line.removeprefix("error: ")

    assert said("--cwd", nowhere).startswith(f"there is no Pulumi project in {nowhere} or above: go into the folder")
    assert said("nope").endswith("is named 'nope': there are organization/proj/dev")
    assert said("dev", "nope").endswith("is named 'nope': there are organization/proj/dev")
    assert said("--interval", "0") == "argument --interval: must be a number from 1 to 86400, got '0'"
    assert said("--interval", "nan").endswith("got 'nan'")
    assert said("--max-heals-per-hour", "0").endswith("must be a whole number from 1, got '0'")
    assert said("--apply-all") == "--apply-all says what --heal may do: give both, or neither"
    assert said(PULUMI_CONFIG_PASSPHRASE="wrong").endswith("incorrect passphrase: nothing was touched")
    assert said(PATH=nowhere) == "there is no `pulumi` on PATH: https://www.pulumi.com/docs/install/ has it"
    silent = said(PULUMI_BACKEND_URL=f"file://{tmp_path}/gone")
    assert silent.startswith("could not list the stacks of the project: ")
    assert "nothing was touched; `pulumi whoami --verbose` shows the backend" in silent
    project.run("stack", "unselect").ok()
    assert said().startswith("no stack is selected in ")
    assert said().endswith(": `pulumi stack select NAME`, or name it: flow-resources watch NAME")
    assert watch(project, "dev").code == 0
    assert said().startswith("no stack is selected in "), "a watch selects nothing for a person's next command"
    assert not cloud.requests


def assert_recorded(project: Project, cloud: FakeMithril) -> None:
    """Fail unless what is live is what the state records."""
    recorded = {one["id"] for one in project.resources().values() if "GpuCluster" in one["type"]}
    assert {one["fid"] for one in cloud.live_bids} == recorded
    assert len(recorded) == 5
