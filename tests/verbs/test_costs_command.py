"""`flow-resources costs` against the fake, beside a stack whose state the test holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.fake_backend import STACK, FakeStack
from support.stack import Stack, cluster, job, settings_of

from flow_resources.cli import main
from flow_resources.cli.costs.find import find_costs
from flow_resources.cli.stacks import SelectedStack, StackError
from flow_resources.cli.tables import lines_of
from flow_resources.cli.target import operation
from flow_resources.core.naming import Mark, compose
from flow_resources.core.stack_state import StackState
from flow_resources.testing import Clock, FakeMithril

START = 1_800_000_000.0
URN = "urn:pulumi:dev::training::pulumi-python:dynamic/flow:GpuCluster::"


@pytest.fixture
def cloud(clean_environment: None) -> Iterator[FakeMithril]:
    """A cloud whose time passes only by `advance`, at $12.00 an hour."""
    with FakeMithril(clock=Clock(START, speed=0)) as fake:
        fake.set_price("8xa100", fake.region, 12.0)
        yield fake


@pytest.fixture
def fake_stack(cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """The stack that the command opens."""
    stack = FakeStack(settings_of(cloud), exported={"deployment": {"resources": []}})
    monkeypatch.setattr(SelectedStack, "open", lambda *_: stack)
    return stack


def marked(name: str, owner: str = STACK, generation: int = 1) -> str:
    return compose(name, Mark.of(owner, f"{URN}{name}"), "9c01d2", generation)


def record(stack: FakeStack, **bids: str) -> None:
    """Let the state record clusters by name."""
    stack.exported["deployment"]["resources"] += [
        {
            "urn": f"{URN}{name}",
            "id": id_,
            "outputs": {"__mark": str(Mark.of(STACK, f"{URN}{name}")), "task_id": id_, "status": "running"},
        }
        for name, id_ in bids.items()
    ]


def document(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run the command with --json."""
    assert main(["costs", "--json", *arguments]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in found["resources"]}


def test_what_was_paid_over_a_preemption_a_pause_and_a_replacement(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Earlier bids of the same mark count to the resource; hours without machines cost nothing."""
    first = cloud.add_bid(marked("trainer"), instance_quantity=2)["fid"]
    cloud.clock.advance(hours=1)
    cloud.preempt(first, 0)
    cloud.clock.advance(hours=5)
    cloud.terminate(first)
    second = cloud.add_bid(marked("trainer", generation=2))["fid"]
    cloud.clock.advance(hours=1)
    cloud.update_bid(second, paused=True)
    cloud.clock.advance(hours=5)
    record(fake_stack, trainer=second)
    found = document(capsys)
    assert rows(found)["trainer"] == {
        "name": "trainer",
        "kind": "GpuCluster",
        "urn": f"{URN}trainer",
        "status": "paused",
        "bids": [second, first],
        "spent_usd": 36.0,
        "is_complete": True,
        "hours": 2.0,
        "machine_hours": 3.0,
        "preemptions": 1,
        "usd_per_gpu_hour": 1.5,
        "on_demand_usd": 150.0,
        "saved_percent": 76.0,
    }
    assert found["total"]["spent_usd"] == cloud.spend == 36.0
    assert (found["total"]["on_demand_usd"], found["total"]["saved_percent"]) == (150.0, 76.0)
    assert found["on_demand_sources"] == ["the usual bid for this type"]
    assert not cloud.mutations


def test_others_bids_are_not_counted_and_those_of_destroyed_resources_are(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mark decides; a bid that lives and that nothing records is named."""
    for name in ("by-hand", marked("trainer", owner="acme/training/prod")):
        cloud.add_bid(name)
    gone, orphan = cloud.add_bid(marked("gone"))["fid"], cloud.add_bid(marked("orphan"))["fid"]
    cloud.clock.advance(hours=1)
    cloud.terminate(gone)
    assert main(["costs"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[:3] for line in printed.out.splitlines()[1:]] == [
        ["gone", "ended", "$12.00"],
        ["orphan", "running", "$12.00"],
        ["total", "$24.00", "2.00"],
    ]
    assert "warning: no state records orphan, and it lives: `flow-resources sweep`" in printed.err
    assert rows(document(capsys))["orphan"]["bids"] == [orphan]


def test_a_stack_with_another_stacks_owner_does_not_count_its_bids(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """`flow:owner` can be that of several stacks; where their states cannot be read, nothing is guessed."""
    fake_stack.settings["flow:owner"] = "team"
    theirs, gone = cloud.add_bid(marked("theirs", owner="team"))["fid"], cloud.add_bid(marked("gone", "team"))["fid"]
    cloud.clock.advance(hours=1)
    cloud.terminate(gone)
    fake_stack.others = {"acme/training/prod": StackState(ids=frozenset({theirs}))}
    assert main(["costs"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["RESOURCE", "gone"]
    assert "warning: other stacks with flow:owner 'team' can have made what no state records now\n" in printed.err

    def fail(_reads: int) -> None:
        raise StackError("could not read the state of acme/training/prod", "log in")

    fake_stack.on_read_of_others = fail
    assert main(["costs"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "no clusters, jobs or fleets, and no bids of earlier ones\n"
    assert printed.err.startswith("warning: bids that no state records are not counted: could not read")


def test_a_shared_owner_is_named(cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]) -> None:
    """On self-managed backends two people's stacks have the same marks."""
    fake_stack.name = "organization/training/dev"
    cloud.add_bid(marked("trainer", fake_stack.name))
    assert main(["costs"]) == 0
    assert "'organization/training/dev', can be another person's too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        ({"path": "/v2/instances/pricing/history", "status": 500}, None),
        ({"path": "/v2/instances/pricing/history", "status": 200, "body": '{"instances": null}'}, None),
        ({"path": "/v2/instances/pricing/history", "status": 404}, None),
    ],
)
def test_what_cannot_be_read_is_not_known_and_said(
    cloud: FakeMithril,
    fake_stack: FakeStack,
    capsys: pytest.CaptureFixture[str],
    fault: dict[str, Any],
    shown: None,
) -> None:
    """And the exit code tells it; the other rows stay."""
    record(fake_stack, trainer=cloud.add_bid(marked("trainer"))["fid"])
    cloud.clock.advance(hours=1)
    cloud.faults.add(times=None, **fault)
    found = document(capsys, code=1)
    assert (rows(found)["trainer"]["spent_usd"], rows(found)["trainer"]["is_complete"]) == (shown, False)
    assert main(["costs"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split() == ["trainer", "running", "?", "?", "?", "?", "?", "?"]
    assert "is not known" in printed.err


def test_a_machine_of_which_nothing_is_told_leaves_a_lower_bound(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service says that the bid holds two, and tells of one, or of none yet."""
    bid = cloud.add_bid(marked("trainer"), instance_quantity=2)["fid"]
    record(fake_stack, trainer=bid)
    cloud.clock.advance(hours=1)
    path = "/v2/instances/pricing/history"
    with httpx.Client(base_url=cloud.url, headers={"Authorization": f"Bearer {cloud.key}"}) as client:
        query = {"project": cloud.project_id, "bid_fid": bid}
        told = client.get(path, params=query).raise_for_status().json()
    for instances, spent in ((told["instances"][:1], ">=$12.00"), ([], "?")):
        body = {**told, "instances": instances}
        cloud.faults.add(path=path, status=200, body=body, when="before", times=None)
        assert main(["costs"]) == 1
        out = capsys.readouterr()
        assert f" {spent} " in out.out
        assert f"{bid} cannot all be read" in out.err
        cloud.faults.clear()


def test_a_bid_that_the_service_has_forgotten_leaves_a_lower_bound(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """What other bids of the resource cost is known."""
    cloud.add_bid(marked("trainer"))
    cloud.clock.advance(hours=1)
    record(fake_stack, trainer="bid_forgotten00000")
    assert main(["costs"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split()[:4] == ["trainer", "not", "known", ">=$12.00"]
    assert "not all that trainer cost is known: bid bid_forgotten00000: the service does not list it" in printed.err


def test_what_a_cluster_in_another_account_cost_is_not_known(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not asked for with the key of this one, which would say that there is no such bid."""
    here = cloud.add_bid(marked("here"))
    cloud.clock.advance(hours=1)
    record(fake_stack, here=here["fid"], there="bid_elsewhere000000")
    project = here["project"]
    for row, place in zip(fake_stack.exported["deployment"]["resources"], (project, "proj_other"), strict=True):
        row["outputs"] |= {"__service": cloud.url, "project": place}
    assert main(["costs"]) == 1
    printed = capsys.readouterr()
    assert [line.split()[:3] for line in printed.out.splitlines()[1:3]] == [
        ["here", "running", "$12.00"],
        ["there", "not", "known"],
    ]
    assert f"a part of the stack is in project proj_other at {cloud.url}, which is not looked at" in printed.err
    assert "not all that there cost is known: bid bid_elsewhere000000 is of another account" in printed.err
    assert not [one for one in cloud.requests if "bid_elsewhere" in one.path]


def test_only_what_was_paid_since_a_day_is_counted_on_demand(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """In UTC; an earlier resource that has ended is left out; what is no day is refused."""
    record(fake_stack, trainer=cloud.add_bid(marked("trainer"))["fid"])
    gone = cloud.add_bid(marked("gone"))["fid"]
    cloud.clock.advance(hours=1)
    cloud.terminate(gone)
    cloud.clock.advance(hours=2)
    found = document(capsys, "--since", "2027-01-15T10:00")  # the cloud began at 08:00
    assert list(rows(found)) == ["trainer"]
    assert (found["total"]["spent_usd"], found["since"]) == (12.0, "2027-01-15T10:00:00Z")
    with pytest.raises(SystemExit) as ended:
        main(["costs", "--since", "yesterday"])
    assert ended.value.code == 2
    assert "must be a day or a time like 2026-11-01" in capsys.readouterr().err


def test_clusters_and_jobs_of_a_real_state_are_rows(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the verbs write it, through a replacement and a destroy."""
    stack = Stack(settings_of(cloud), owner=STACK)
    stack.up({"trainer": cluster(), "prepare": job()})
    cloud.clock.advance(hours=1)
    stack.up({"trainer": cluster(command="python other.py"), "prepare": job()})
    cloud.clock.advance(hours=1)
    stack.up({"trainer": cluster(command="python other.py")})
    cloud.clock.advance(hours=1)
    fake_stack.exported = stack.export()
    found = document(capsys)
    assert {name: (row["kind"], row["status"], len(row["bids"])) for name, row in rows(found).items()} == {
        "trainer": ("GpuCluster", "running", 2),
        "prepare": (None, "ended", 1),
    }
    assert {name: row["spent_usd"] for name, row in rows(found).items()} == {"trainer": 36.0, "prepare": 24.0}
    assert found["total"]["spent_usd"] == cloud.spend == 60.0


@pytest.mark.parametrize("width", [80, 200, None])
def test_the_table_fits_its_width_and_cuts_nothing_but_names(
    cloud: FakeMithril, fake_stack: FakeStack, width: int | None
) -> None:
    """In a pipe it is as wide as it is."""
    name = "a-cluster-whose-name-is-much-longer-than-anything-that-fits-beside-the-other-columns"
    bids = [cloud.add_bid(marked("trainer"), instance_quantity=4)["fid"], cloud.add_bid(marked("lost"))["fid"]]
    record(fake_stack, **{name: bids[0], "lost": bids[1]})
    cloud.clock.advance(hours=24 * 40)
    cloud.preempt(bids[1], 0)
    with operation(fake_stack.settings) as op:
        lines = lines_of(find_costs(op, fake_stack, None).table(width), width)  # type: ignore[arg-type]
    assert len(lines) == 4
    assert max(map(len, lines)) <= (width or 200)
    assert (name in lines[1]) == (width != 80)
    assert lines[1].split()[1:5] == ["running", "$46,080.00", "3,840.00", "0"]
    assert lines[2].split()[:5] == ["lost", "preempted", "$11,520.00", "960.00", "1"]
    assert lines[3].split()[:3] == ["total", "$57,600.00", "4,800.00"]


def test_three_hundred_resources_cost_one_listing_and_two_reads_each(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a market once."""
    names = [f"trainer-{number}" for number in range(300)]
    record(fake_stack, **{name: cloud.add_bid(marked(name), limit_price="$1.00")["fid"] for name in names})
    cloud.clear_requests()
    assert len(document(capsys)["resources"]) == 300
    paths = [request.path.partition("?")[0] for request in cloud.requests]
    assert paths.count("/v2/spot/bids") == 3
    assert paths.count("/v2/instances/pricing/history") == 300
    assert len(paths) <= 2 * 300 + 10


def test_a_service_that_is_down_costs_seconds_not_minutes(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a few bids nobody asks for the others."""
    from flow_resources.lifecycle import operation as module

    monkeypatch.setattr(module, "_CHECK_SECONDS", 0.1)
    names = [f"trainer-{number}" for number in range(100)]
    record(fake_stack, **{name: cloud.add_bid(marked(name))["fid"] for name in names})
    cloud.clear_requests()
    cloud.faults.add(path="/v2/instances/", times=None, status=503)
    assert main(["costs"]) == 1
    asked = [request for request in cloud.requests if "/v2/instances/" in request.path]
    assert len(asked) < 80
