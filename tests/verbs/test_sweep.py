"""`flow-resources sweep` against the fake, over loopback, beside a stack whose state the test holds."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta

import pytest
from support.fake_backend import STACK, Told

from flow_resources.cli import main
from flow_resources.cli.stacks import SelectedStack
from flow_resources.clock import Clock
from flow_resources.cloud import Connection, RetryBudget
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark, compose
from flow_resources.core.orphans import StackState
from flow_resources.testing import MANUAL, FakeMithril

OWNER = STACK
NOW = ("--yes", "--min-age", "0")


def called(name: str = "trainer", owner: str = OWNER) -> str:
    return compose(name, Mark.of(owner, name), "9c01d2", 1)


@pytest.fixture
def told(cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> Told:
    """The stack that the command finds."""
    stack = Told({"flow:apiKey": cloud.key, "flow:apiUrl": cloud.url, "flow:project": cloud.project})
    monkeypatch.setattr(SelectedStack, "open", lambda *_: stack)
    return stack


def test_what_the_state_records_is_not_listed_and_what_it_does_not_is(cloud, told, capsys):
    """Beside strangers' bids and volumes."""
    cloud.add_bid("by-hand")
    cloud.add_bid(called(owner="bob"))
    kept, left = cloud.add_bid(called("kept")), cloud.add_bid(called(), instance_quantity=2, limit_price="$20.00")
    volume = cloud.add_volume(called("data"))
    told.state = StackState(ids=frozenset({kept["fid"]}))
    assert main(["sweep"]) == 1
    printed = capsys.readouterr()
    assert left["fid"] in printed.out
    assert volume["fid"] in printed.out
    told_of = (
        "In project demo with the mark of acme/training/dev and in no state: 1 bid and 1 volume, at most $40.00/h."
    )
    assert told_of in printed.out.splitlines()
    assert len([line for line in printed.out.splitlines() if line.startswith(("bid_", "vol_"))]) == 2
    assert printed.err == ""
    assert not cloud.mutations


def test_nothing_left_is_one_line_and_exit_code_zero(cloud, told, capsys):
    """Also for --yes."""
    cloud.add_bid("by-hand")
    for arguments in ((), NOW, ("--all",)):
        assert main(["sweep", *arguments]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 1
    assert not cloud.mutations


def test_yes_ends_the_bids_and_leaves_the_volumes(cloud, told, capsys):
    """It returns when they are seen ended, and still says that it had found something."""
    first, second, volume = cloud.add_bid(called()), cloud.add_bid(called("other")), cloud.add_volume(called("data"))
    assert main(["sweep", *NOW]) == 1
    assert [cloud.bid(one["fid"])["status"] for one in (first, second)] == ["Terminated"] * 2
    assert [one["fid"] for one in cloud.volumes] == [volume["fid"]]
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("end")] == [
        f"{word} {one['fid']}" for one in (first, second) for word in ("ending", "ended")
    ]
    assert main(["sweep", *NOW]) == 1
    assert [one["fid"] for one in cloud.volumes] == [volume["fid"]]


def test_a_slow_end_is_waited_for(cloud, told, capsys, monkeypatch):
    """A bid that is cancelled but not yet Terminated is not ended."""
    bid, said = cloud.add_bid(called()), []

    def sleep(_clock: Clock, _seconds: float) -> None:
        said.append(capsys.readouterr().out)
        cloud.finish("cancel")

    cloud.set_options(cancel_seconds=MANUAL)
    monkeypatch.setattr(Clock, "sleep", sleep)
    assert main(["sweep", *NOW]) == 1
    assert cloud.bid(bid["fid"])["status"] == "Terminated"
    assert said[0].endswith(f"ending {bid['fid']}\n")
    assert capsys.readouterr().out == f"ended {bid['fid']}\n"


def test_volumes_go_only_when_asked_for_and_once_their_bid_is_gone(cloud, told, capsys):
    """One that an orphaned bid held is free when that has ended."""
    volume = cloud.add_volume(called("data"))
    cloud.add_bid(called(), volumes=[volume["fid"]])
    assert main(["sweep", *NOW, "--volumes"]) == 1
    assert not cloud.live_bids
    assert not cloud.volumes
    assert f"deleted {volume['fid']}" in capsys.readouterr().out


def test_a_volume_that_a_recorded_bid_holds_is_never_deleted(cloud, told, capsys):
    """It is said who holds it."""
    volume = cloud.add_volume(called("data"))
    bid = cloud.add_bid("by-hand", volumes=[volume["fid"]])
    assert main(["sweep", *NOW, "--volumes"]) == 1
    assert [one["fid"] for one in cloud.volumes] == [volume["fid"]]
    assert f"kept {volume['fid']}: attached to {bid['fid']}" in capsys.readouterr().out
    assert not cloud.mutations


def test_a_young_one_is_left_alone(cloud, told, capsys):
    """Fifteen minutes by default."""
    bid = cloud.add_bid(called())
    assert main(["sweep", "--yes"]) == 1
    assert f"kept {bid['fid']}: too young" in capsys.readouterr().out
    assert not cloud.mutations


def test_a_bid_that_an_up_took_over_meanwhile_is_kept(cloud, told, capsys):
    """The state is read again right before the end."""
    bid = cloud.add_bid(called())

    def taken(time: int) -> None:
        if time == 2:
            told.state = StackState(ids=frozenset({bid["fid"]}))

    told.meanwhile = taken
    assert main(["sweep", *NOW]) == 1
    assert f"kept {bid['fid']}: the state records it by now" in capsys.readouterr().out
    assert not cloud.mutations


def test_a_volume_that_was_renamed_meanwhile_is_kept(cloud, told, capsys):
    """It is somebody's."""
    volume = cloud.add_volume(called("data"))
    told.meanwhile = lambda time: time == 2 and cloud.update_volume(volume["fid"], name="keep-me")
    assert main(["sweep", *NOW, "--volumes"]) == 1
    assert f"kept {volume['fid']}: it is named 'keep-me' by now" in capsys.readouterr().out
    assert [one["fid"] for one in cloud.volumes] == [volume["fid"]]


def test_a_bid_that_ended_meanwhile_counts_as_ended(cloud, told, capsys):
    """Nothing is cancelled twice."""
    bid = cloud.add_bid(called())
    told.meanwhile = lambda time: time == 2 and cloud.terminate(bid["fid"])
    assert main(["sweep", *NOW]) == 1
    assert f"ended {bid['fid']}" in capsys.readouterr().out
    assert not cloud.mutations


def test_nothing_is_ended_while_the_stack_is_being_updated(cloud, told, capsys):
    """The bid can be the one that the `up` is making."""
    cloud.add_bid(called())
    told.updated = True
    assert main(["sweep", *NOW]) == 2
    assert capsys.readouterr().err == (
        "error: an update of acme/training/dev is under way: "
        "wait for its end; where it has died, `pulumi cancel` takes its lock away\n"
    )
    assert not cloud.mutations


@pytest.mark.parametrize("order", ["ends", "begins"])
def test_an_update_that_ends_or_begins_as_the_state_is_read_is_seen(cloud, told, order):
    """The state is of a moment before the `up` has recorded what it took over."""
    cloud.add_bid(called())
    told.updated = order == "ends"

    def turn(time: int) -> None:
        if time == 2:
            told.updated = not told.updated

    told.meanwhile = turn
    assert main(["sweep", *NOW]) == 2
    assert not cloud.mutations


def test_without_an_owner_on_a_self_managed_backend_nothing_is_ended(cloud, told, capsys):
    """Another person's stack can have the same names, and their cluster runs."""
    told.name = "organization/training/dev"
    bid = cloud.add_bid(called(owner=told.name))
    assert main(["sweep", *NOW]) == 2
    printed = capsys.readouterr()
    assert bid["fid"] in printed.out
    assert printed.err.startswith(
        "error: nothing was ended: the owner is 'organization/training/dev', as for everybody"
    )
    assert "`flow cancel ID`" in printed.err
    assert "`pulumi config set flow:owner ...`" in printed.err
    assert not cloud.mutations


def test_with_an_owner_what_was_made_before_it_was_set_is_listed_and_kept(cloud, told, capsys):
    """On a self-managed backend it can be another person's; what carries the owner's mark is ended."""
    told.name = "organization/training/dev"
    told.settings["flow:owner"] = "ada"
    before, after = cloud.add_bid(called(owner=told.name)), cloud.add_bid(called("later", "ada"))
    assert main(["sweep", *NOW]) == 1
    assert f"kept {before['fid']}: made under another owner" in capsys.readouterr().out
    assert [one["fid"] for one in cloud.live_bids] == [before["fid"]]
    assert cloud.bid(after["fid"])["status"] == "Terminated"


def test_what_another_stack_of_the_backend_records_is_never_ended(cloud, told, capsys):
    """Two stacks with one owner, or a stack that was renamed: its running cluster has this stack's mark."""
    bid = cloud.add_bid(called())
    told.others = {"acme/training/prod": StackState(ids=frozenset({bid["fid"]}))}
    assert main(["sweep", *NOW]) == 0
    assert [one["fid"] for one in cloud.live_bids] == [bid["fid"]]
    assert main(["sweep", "--all"]) == 1
    assert "recorded by acme/training/prod" in capsys.readouterr().out


def test_a_state_of_another_service_or_project_is_not_judged_here(cloud, told, capsys):
    """An empty answer from the wrong place would be taken for good news."""
    for place in (("https://other.example", ""), (cloud.url, "proj_other")):
        told.state = StackState(places=frozenset({place}))
        assert main(["sweep"]) == 2
        assert capsys.readouterr().err.startswith("error: the state records ")


def test_a_service_that_fails_in_the_middle_says_so_and_what_was_ended(cloud, told, capsys):
    """The document is whole all the same: one ended, one unknown, one not reached."""
    first, second, third = (cloud.add_bid(called(name)) for name in ("a", "b", "c"))
    cloud.faults.add(method="DELETE", nth=2, times=None, status=500)
    assert main(["sweep", *NOW, "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: could not cancel bid {second['fid']}: ")
    assert len(printed.err.splitlines()) == 1
    outcomes = {one["id"]: one["outcome"] for one in json.loads(printed.out)["bids"]}
    assert outcomes == {first["fid"]: "ended", second["fid"]: "unknown", third["fid"]: None}


def test_json_is_all_there_is_on_standard_output(cloud, told, capsys):
    """With something, with nothing, and with --yes."""
    assert main(["sweep", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bids"] == []
    bid = cloud.add_bid(called(), instance_quantity=2, limit_price="$20.00")
    assert main(["sweep", "--json", *NOW]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["stack"], document["owner"], document["max_usd_per_hour"]) == (STACK, OWNER, 40.0)
    assert [(one["id"], one["outcome"], one["status"]) for one in document["bids"]] == [
        (bid["fid"], "ended", "running")
    ]


def test_a_bid_that_goes_back_to_the_auction_as_the_bids_are_listed_is_found(cloud, told, capsys, monkeypatch):
    """Preempting when the open ones are listed, open when those are listed that lose their machines."""
    bid = cloud.add_bid(called())
    cloud.preempt(bid["fid"])
    listed = Connection._list_bids

    def listing(self: Connection, status: str, budget: RetryBudget) -> dict[str, Bid]:
        rows = listed(self, status, budget)
        looks.append(status)
        if looks.count("Open") == 1 and status in ("Open", "Preempting"):
            return {}  # it was not yet there, and is no more
        return rows

    looks = []
    monkeypatch.setattr(Connection, "_list_bids", listing)
    assert main(["sweep"]) == 1
    assert bid["fid"] in capsys.readouterr().out


def test_more_bids_than_a_page_are_all_found(cloud, told, capsys):
    """Listings are exhausted."""
    for number in range(120):
        cloud.add_bid(called(f"c{number}"))
    assert main(["sweep", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["bids"]) == 120


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--all", "--yes"],
            "--all only lists: `flow cancel ID` ends one bid, `flow-resources sweep --yes` this stack's own",
        ),
        (["--min-age", "soon"], "argument --min-age: must be like 90s, 15m, 2h or 1d, got 'soon'"),
        (["--min-age=-1"], "argument --min-age: must be like 90s, 15m, 2h or 1d, got '-1'"),
        (["--min-age", "1.5h"], "argument --min-age: must be like 90s, 15m, 2h or 1d, got '1.5h'"),
        (["--cwd", "/no/such"], "argument -C/--cwd: must be a folder, got '/no/such'"),
        (["bid_1"], "unrecognized arguments: bid_1"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_two(cloud, told, capsys, arguments, said):
    """Nothing is asked of the service."""
    try:
        code = main(["sweep", *arguments])
    except SystemExit as left:
        code = left.code
    assert (code, capsys.readouterr().err) == (2, f"error: {said}\n")
    assert not cloud.requests


def test_the_command_that_is_offered_ends_what_is_listed(cloud, told, capsys):
    """With the options that found it: without them it would look elsewhere, or leave it alone as too young."""
    cloud.add_bid(called())
    assert main(["sweep", "--min-age", "0", "--stack", "dev", "--cwd", "/"]) == 1
    (typed,) = [line.split("`")[1] for line in capsys.readouterr().out.splitlines() if "ends the bids" in line]
    assert typed == "flow-resources sweep --yes --stack dev --cwd / --min-age 0"
    assert main(shlex.split(typed)[1:]) == 1
    assert not cloud.live_bids


@pytest.mark.parametrize(
    ("seconds", "written"), [(0, "0"), (90, "90s"), (420, "7m"), (7200, "2h"), (86400, "1d"), (90000, "25h")]
)
def test_ages_are_written_as_they_are_read(seconds, written):
    """In the greatest unit that leaves no rest."""
    from flow_resources.cli.sweep import _age, _written

    assert _written(timedelta(seconds=seconds)) == written
    assert _age(written).total_seconds() == seconds


@pytest.mark.parametrize(
    ("age", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7", 420), ("0", 0), ("1d", 86400)]
)
def test_ages_are_read_as_people_write_them(age, seconds):
    """A plain number is minutes."""
    from flow_resources.cli.sweep import _age

    assert _age(age).total_seconds() == seconds


def test_bad_keys_and_a_service_that_is_down_are_one_line(cloud, told, capsys, monkeypatch):
    """With the remedy that the provider gives; the key is in none of them."""
    told.settings["flow:apiKey"] = "canary-5e1f"
    assert main(["sweep"]) == 2
    refused = capsys.readouterr().err
    assert refused.startswith(f"error: could not list the projects of the API key: {cloud.url} refused the API key: ")
    del told.settings["flow:apiKey"]
    assert main(["sweep"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: there is no API key: `pulumi config set --secret flow:apiKey ...`"
    )
    told.settings |= {"flow:apiKey": cloud.key, "flow:apiUrl": f"{cloud.url}/v2"}
    assert main(["sweep"]) == 2
    elsewhere = capsys.readouterr().err
    assert elsewhere.startswith(f"error: {cloud.url}/v2 does not answer like Mithril's API (")
    assert elsewhere.endswith(": flow:apiUrl or MITHRIL_API_URL must be its address alone, without a path\n")
    told.settings["flow:apiUrl"] = cloud.url
    monkeypatch.setenv("FLOW_RESOURCES_RETRY_SECONDS", "0.1")
    cloud.stop()
    assert main(["sweep"]) == 2
    down = capsys.readouterr().err
    assert down.startswith(f"error: could not list the projects of the API key: {cloud.url} gave no readable answer")
    assert down.endswith(
        "run the same command again; if nothing ever answers there, look at flow:apiUrl and MITHRIL_API_URL\n"
    )
    assert "canary-5e1f" not in refused
    assert len(refused.splitlines()) == len(down.splitlines()) == 1
