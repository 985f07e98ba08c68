"""What a Job is for the commands: one bid, which `adopt` leaves out; its key goes with it."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from support.fake_backend import FakeStack
from support.stack import Stack, cluster, job, settings_of

from flow_resources.cli import main
from flow_resources.cli.stacks import SelectedStack
from flow_resources.core.job_status import BID_ENDED
from flow_resources.core.stack_state import read_state
from flow_resources.testing import FakeMithril

OLD = "http://old-name.example"
NOW = ("--yes", "--min-age", "0")


@pytest.fixture
def beside(cloud: FakeMithril, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """The stack that the commands open: its state is the model's."""
    opened = FakeStack(settings_of(cloud))
    monkeypatch.setattr(SelectedStack, "open", lambda *_: opened)
    monkeypatch.setattr(FakeStack, "recorded", property(lambda _: read_state(stack.export()), lambda *_: None))
    return opened


def export_of(stack: Stack) -> Any:
    """Return what `pulumi stack export` prints, at the address that the service had."""
    export = stack.export()
    for row in export["deployment"]["resources"]:
        row |= {"type": row["urn"].split("::")[2]}
        row["outputs"] = {**row["outputs"], "__service": OLD}
    return export


def live_keys(cloud: FakeMithril) -> list[str]:
    rows = httpx.get(f"{cloud.url}/v2/api-keys", headers={"Authorization": f"Bearer {cloud.key}"}).json()
    return [row["fid"] for row in rows if row["deactivated_at"] is None]


# -- sweep -------------------------------------------------------------------------------------------------------------


def test_a_recorded_job_and_its_key_are_not_listed(cloud: FakeMithril, stack: Stack, beside: FakeStack) -> None:
    """Neither its bid, nor the key that it ends itself with."""
    stack.up({"train": job(), "trainer": cluster()})
    assert len(live_keys(cloud)) == 1
    assert main(["sweep", *NOW]) == 0
    assert len(cloud.live_bids) == 2
    assert len(live_keys(cloud)) == 1


def test_an_orphaned_job_is_one_bid_and_goes_with_its_key(
    cloud: FakeMithril, stack: Stack, beside: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not listed once as a cluster and once as a job."""
    stack.up({"train": job(), "trainer": cluster()})
    orphan = stack.state.pop("train").id
    (key,) = live_keys(cloud)
    assert main(["sweep", *NOW, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["outcome"]) for row in document["bids"]] == [(orphan, "ended")]
    assert [(row["id"], row["bid"], row["outcome"]) for row in document["api_keys"]] == [(key, orphan, "revoked")]
    assert document["max_usd_per_hour"] == 50.0
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id]
    assert live_keys(cloud) == []


def test_the_key_that_an_ended_job_left_is_revoked_and_the_next_up_runs_nothing(
    cloud: FakeMithril, stack: Stack, beside: FakeStack
) -> None:
    """Its machine died between the end and the revocation."""
    stack.up({"train": job()})
    cloud.terminate(stack.state["train"].id)
    assert main(["sweep", *NOW]) == 1
    assert live_keys(cloud) == []
    stack.refresh()
    assert stack.state["train"].outputs["status"] == "ended"
    cloud.clear_requests()
    stack.up({"train": job()})
    assert not cloud.live_bids
    assert not cloud.mutations
    stack.destroy()
    assert main(["sweep", *NOW]) == 0


# -- adopt -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_id", [False, True])
def test_the_bid_of_a_job_is_not_adopted_as_a_cluster(
    cloud: FakeMithril, stack: Stack, beside: FakeStack, capsys: pytest.CaptureFixture[str], by_id: bool
) -> None:
    """Its machine would end the cluster: its start-up script says what it is."""
    stack.up({"train": job(), "trainer": cluster()})
    of_job, other = (stack.state.pop(name).id for name in ("train", "trainer"))
    assert main(["adopt", "--stack", "dev", *([of_job, other] if by_id else ["--all"])]) == 0
    printed = capsys.readouterr()
    assert re.findall(r'adopt_task_id="(\w+)"', printed.out) == [other]
    assert f"left out: {of_job} train-" in printed.err
    assert "it is the bid of a Job, which ends itself and which no program can adopt" in printed.err


def test_a_recorded_job_is_left_out_like_any_other_thing(
    cloud: FakeMithril, stack: Stack, beside: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is one thing, with one line."""
    stack.up({"train": job()})
    id_ = stack.state["train"].id
    assert main(["adopt", "--stack", "dev", "--all"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line for line in printed.err.splitlines() if id_ in line] == [
        f"left out: {id_} {stack.state['train'].outputs['task_name']}: recorded by acme/training/dev"
    ]


# -- change-api-url ----------------------------------------------------------------------------------------------------


def change(capsys: pytest.CaptureFixture[str], cloud: FakeMithril, *arguments: str) -> Any:
    """Run the command; return its document."""
    main(["change-api-url", cloud.url, "--json", *arguments])
    return json.loads(capsys.readouterr().out)


def test_a_job_that_runs_follows_and_its_machine_does_not(
    cloud: FakeMithril, stack: Stack, beside: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its machine has the old address in its script: nobody ends the job there."""
    stack.up({"train": job(), "trainer": cluster()})
    beside.exported = export_of(stack)
    document = change(capsys, cloud, "--yes")
    assert document["written"]
    assert {row["kind"]: (row["problem"], row["note"]) for row in document["resources"]} == {
        "Job": (None, "its machine ends it at the old address"),
        "GpuCluster": (None, None),
    }
    assert main(["change-api-url", cloud.url]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if stack.state["train"].id in line]
    assert line.endswith("found: its machine ends it at the old address")


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_job_that_is_recorded_as_ended_is_no_obstacle(
    cloud: FakeMithril, stack: Stack, beside: FakeStack, capsys: pytest.CaptureFixture[str], is_forgotten: bool
) -> None:
    """It costs nothing, whether the service still tells of its bid or not."""
    stack.up({"train": job()})
    cloud.terminate(stack.state["train"].id)
    stack.refresh()
    assert stack.state["train"].outputs["__ended"] == BID_ENDED
    if is_forgotten:
        cloud.faults.add(method="GET", path=f"/v2/spot/bids/{stack.state['train'].id}", status=404, times=None)
    beside.exported = export_of(stack)
    document = change(capsys, cloud, "--yes")
    assert document["written"]
    note = "it has ended, and its bid is forgotten" if is_forgotten else None
    assert [(row["kind"], row["problem"], row["note"]) for row in document["resources"]] == [("Job", None, note)]


def test_a_job_that_is_not_there_and_not_recorded_as_ended_is_one(
    cloud: FakeMithril, stack: Stack, beside: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """It can run somewhere else."""
    stack.up({"train": job()})
    beside.exported = export_of(stack)
    beside.exported["deployment"]["resources"][0]["id"] = "bid_999999"
    document = change(capsys, cloud, "--yes")
    assert not document["written"]
    assert [(row["problem"], row["note"]) for row in document["resources"]] == [("not there", None)]
