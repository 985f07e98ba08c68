"""`flow-resources sweep` against the fake, over loopback, beside a stack whose state the test holds."""

from __future__ import annotations

import json
import shlex
import time
from datetime import timedelta

import pytest
from support.fake_backend import STACK, FakeStack
from support.stack import FakeClock

from flow_resources.cli import main
from flow_resources.cli.stacks import SelectedStack, StackError
from flow_resources.clock import Clock
from flow_resources.cloud import Connection, RetryBudget
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark, compose
from flow_resources.core.stack_state import StackState
from flow_resources.testing import MANUAL, FakeMithril
from flow_resources.testing import Clock as ServiceTime

OWNER = STACK
NOW = ("--yes", "--min-age", "0")


def marked_name(name: str = "trainer", owner: str = OWNER) -> str:
    return compose(name, Mark.of(owner, name), "9c01d2", 1)


@pytest.fixture
def fake_stack(cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """The stack that the command opens."""
    stack = FakeStack({"flow:apiKey": cloud.key, "flow:apiUrl": cloud.url, "flow:project": cloud.project})
    monkeypatch.setattr(SelectedStack, "open", lambda *_: stack)
    return stack


def test_what_the_state_records_is_not_listed_and_what_it_does_not_is(cloud, fake_stack, capsys):
    """Beside strangers' bids and volumes."""
    cloud.add_bid("by-hand")
    cloud.add_bid(marked_name(owner="bob"))
    kept, orphan = (
        cloud.add_bid(marked_name("kept")),
        cloud.add_bid(marked_name(), instance_quantity=2, limit_price="$20.00"),
    )
    volume = cloud.add_volume(marked_name("data"))
    fake_stack.recorded = StackState(ids=frozenset({kept["fid"]}))
    assert main(["sweep"]) == 1
    printed = capsys.readouterr()
    assert orphan["fid"] in printed.out
    assert volume["fid"] in printed.out
    summary = (
        "In project demo with the mark of acme/training/dev and in no state: 1 bid and 1 volume, at most $40.00/h."
    )
    assert summary in printed.out.splitlines()
    assert len([line for line in printed.out.splitlines() if line.startswith(("bid_", "vol_"))]) == 2
    assert printed.err == ""
    assert not cloud.mutations


def test_nothing_left_is_one_line_and_exit_code_zero(cloud, fake_stack, capsys):
    """Also for --yes."""
    cloud.add_bid("by-hand")
    for arguments in ((), NOW, ("--all",)):
        assert main(["sweep", *arguments]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 1
    assert not cloud.mutations


def test_yes_ends_the_bids_and_leaves_the_volumes(cloud, fake_stack, capsys):
    """It returns when they are seen ended, and still says that it had found something."""
    first, second, volume = (
        cloud.add_bid(marked_name()),
        cloud.add_bid(marked_name("other")),
        cloud.add_volume(marked_name("data")),
    )
    assert main(["sweep", *NOW]) == 1
    assert [cloud.bid(bid["fid"])["status"] for bid in (first, second)] == ["Terminated"] * 2
    assert [volume["fid"] for volume in cloud.volumes] == [volume["fid"]]
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("end")] == [
        f"{word} {bid['fid']}" for bid in (first, second) for word in ("ending", "ended")
    ]
    assert main(["sweep", *NOW]) == 1
    assert [volume["fid"] for volume in cloud.volumes] == [volume["fid"]]


def test_a_slow_end_is_waited_for(cloud, fake_stack, capsys, monkeypatch):
    """A bid that is cancelled but not yet Terminated is not ended."""
    bid, printed = cloud.add_bid(marked_name()), []

    def sleep(_clock: Clock, _seconds: float) -> None:
        printed.append(capsys.readouterr().out)
        cloud.finish("cancel")

    cloud.set_options(cancel_seconds=MANUAL)
    monkeypatch.setattr(Clock, "sleep", sleep)
    assert main(["sweep", *NOW]) == 1
    assert cloud.bid(bid["fid"])["status"] == "Terminated"
    assert printed[0].endswith(f"ending {bid['fid']}\n")
    assert capsys.readouterr().out == f"ended {bid['fid']}\n"


def test_each_end_has_a_time_limit_of_its_own(cloud, fake_stack, monkeypatch):
    """Many that end slowly take longer together than any one may."""
    for name in ("one", "two", "three"):
        cloud.add_bid(marked_name(name))
    clock, polls = FakeClock(), []

    def sleep(seconds: float) -> None:
        clock.time += 10 * 60.0
        polls.append(seconds)
        if len(polls) % 2 == 0:
            cloud.finish("cancel")

    cloud.set_options(cancel_seconds=MANUAL)
    monkeypatch.setattr(Clock, "now", lambda _: clock.now())
    monkeypatch.setattr(Clock, "sleep", lambda _, seconds: sleep(seconds))
    assert main(["sweep", *NOW]) == 1
    assert not cloud.live_bids
    assert len(polls) == 6


def test_volumes_go_only_when_asked_for_and_once_their_bid_is_gone(cloud, fake_stack, capsys):
    """One that an orphaned bid held is free when that has ended."""
    volume = cloud.add_volume(marked_name("data"))
    cloud.add_bid(marked_name(), volumes=[volume["fid"]])
    assert main(["sweep", *NOW, "--volumes"]) == 1
    assert not cloud.live_bids
    assert not cloud.volumes
    assert f"deleted {volume['fid']}" in capsys.readouterr().out


def test_a_volume_that_a_recorded_bid_holds_is_never_deleted(cloud, fake_stack, capsys):
    """It is said who holds it."""
    volume = cloud.add_volume(marked_name("data"))
    bid = cloud.add_bid("by-hand", volumes=[volume["fid"]])
    assert main(["sweep", *NOW, "--volumes"]) == 1
    assert [volume["fid"] for volume in cloud.volumes] == [volume["fid"]]
    assert f"kept {volume['fid']}: attached to {bid['fid']}" in capsys.readouterr().out
    assert not cloud.mutations


def test_a_young_one_is_left_alone(cloud, fake_stack, capsys):
    """Fifteen minutes by default."""
    bid = cloud.add_bid(marked_name())
    assert main(["sweep", "--yes"]) == 1
    assert f"kept {bid['fid']}: too young" in capsys.readouterr().out
    assert not cloud.mutations


def test_the_age_is_by_the_services_clock(clean_environment, fake_stack, capsys):
    """The clock of this machine is hours ahead: what an `up` makes just now is young all the same."""
    with FakeMithril(clock=ServiceTime(time.time() - 5 * 3600)) as cloud:
        fake_stack.settings |= {"flow:apiKey": cloud.key, "flow:apiUrl": cloud.url, "flow:project": cloud.project}
        bid = cloud.add_bid(marked_name())
        assert main(["sweep", "--yes"]) == 1
        assert f"kept {bid['fid']}: too young" in capsys.readouterr().out
        assert not cloud.mutations
        assert main(["sweep", *NOW]) == 1
        assert not cloud.live_bids


def test_what_has_no_age_is_left_alone_and_said(cloud, fake_stack, capsys):
    """No waiting makes it old enough."""
    bid = cloud.add_bid(marked_name())
    cloud.faults.add(method="GET", path="/v2/spot/bids", kind="alter", body={"created_at": "soon"}, times=None)
    assert main(["sweep", *NOW]) == 1
    printed = capsys.readouterr().out
    assert f"kept {bid['fid']}: its age is not known" in printed
    assert "What has no known age --yes leaves alone" in printed
    assert not cloud.mutations


def test_a_bid_that_an_up_took_over_meanwhile_is_kept(cloud, fake_stack, capsys):
    """The state is read again right before the end."""
    bid = cloud.add_bid(marked_name())

    def take_over(reads: int) -> None:
        if reads == 2:
            fake_stack.recorded = StackState(ids=frozenset({bid["fid"]}))

    fake_stack.on_read = take_over
    assert main(["sweep", *NOW]) == 1
    assert f"kept {bid['fid']}: the state records it by now" in capsys.readouterr().out
    assert not cloud.mutations


def test_what_another_stack_recorded_meanwhile_is_kept(cloud, fake_stack, capsys):
    """A stack with the same owner adopted it, or takes it over just now: all states are read again before each end."""
    adopted, taken, free = (cloud.add_bid(marked_name(name)) for name in ("a", "b", "c"))
    prod = "acme/training/prod"

    def record(reads: int) -> None:
        if reads == 2:
            fake_stack.others = {prod: StackState(ids=frozenset({adopted["fid"]}), making=frozenset({"b"}))}

    fake_stack.on_read_of_others = record
    assert main(["sweep", *NOW]) == 1
    lines = capsys.readouterr().out.splitlines()
    for bid in (adopted, taken):
        assert f"kept {bid['fid']}: the state of {prod} records it by now" in lines
    assert {bid["fid"] for bid in cloud.live_bids} == {adopted["fid"], taken["fid"]}
    assert f"ended {free['fid']}" in lines


def test_where_a_state_cannot_be_read_any_more_nothing_further_is_ended(cloud, fake_stack, capsys):
    """It can record just this one. What was ended before is not denied."""
    first, second, third = (cloud.add_bid(marked_name(name)) for name in ("a", "b", "c"))

    def fail(reads: int) -> None:
        if reads == 3:
            raise StackError("could not read the state of acme/training/prod: it is cut", "nothing was touched")

    fake_stack.on_read_of_others = fail
    assert main(["sweep", *NOW, "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.err == (
        f"error: {second['fid']} and what follows it were left as they are: "
        "could not read the state of acme/training/prod: it is cut: run the same command again when that can be read\n"
    )
    assert {bid["fid"] for bid in cloud.live_bids} == {second["fid"], third["fid"]}
    outcomes = {bid["id"]: bid["outcome"] for bid in json.loads(printed.out)["bids"]}
    assert outcomes == {first["fid"]: "ended", second["fid"]: None, third["fid"]: None}


def test_a_volume_that_was_renamed_meanwhile_is_kept(cloud, fake_stack, capsys):
    """It is somebody's."""
    volume = cloud.add_volume(marked_name("data"))
    fake_stack.on_read = lambda reads: reads == 2 and cloud.update_volume(volume["fid"], name="keep-me")
    assert main(["sweep", *NOW, "--volumes"]) == 1
    assert f"kept {volume['fid']}: it is named 'keep-me' by now" in capsys.readouterr().out
    assert [volume["fid"] for volume in cloud.volumes] == [volume["fid"]]


def test_a_bid_that_ended_meanwhile_counts_as_ended(cloud, fake_stack, capsys):
    """Nothing is cancelled twice."""
    bid = cloud.add_bid(marked_name())
    fake_stack.on_read = lambda reads: reads == 2 and cloud.terminate(bid["fid"])
    assert main(["sweep", *NOW]) == 1
    assert f"ended {bid['fid']}" in capsys.readouterr().out
    assert not cloud.mutations


def test_nothing_is_ended_while_the_stack_is_being_updated(cloud, fake_stack, capsys):
    """The bid can be the one that the `up` is making."""
    cloud.add_bid(marked_name())
    fake_stack.updated = True
    assert main(["sweep", *NOW]) == 2
    assert capsys.readouterr().err == (
        "error: an update of acme/training/dev is under way: "
        "wait for its end; where it has died, `pulumi cancel` takes its lock away\n"
    )
    assert not cloud.mutations


@pytest.mark.parametrize("order", ["ends", "begins"])
def test_an_update_that_ends_or_begins_as_the_state_is_read_is_seen(cloud, fake_stack, order):
    """The state is of a moment before the `up` has recorded what it took over."""
    cloud.add_bid(marked_name())
    fake_stack.updated = order == "ends"

    def turn(reads: int) -> None:
        if reads == 2:
            fake_stack.updated = not fake_stack.updated

    fake_stack.on_read = turn
    assert main(["sweep", *NOW]) == 2
    assert not cloud.mutations


def test_without_an_owner_on_a_self_managed_backend_nothing_is_ended(cloud, fake_stack, capsys):
    """Another person's stack can have the same names, and their cluster runs."""
    fake_stack.name = "organization/training/dev"
    bid = cloud.add_bid(marked_name(owner=fake_stack.name))
    assert main(["sweep", *NOW]) == 2
    printed = capsys.readouterr()
    assert bid["fid"] in printed.out
    assert printed.err.startswith(
        "error: nothing was ended: the owner is 'organization/training/dev', as for everybody"
    )
    assert "`flow cancel ID`" in printed.err
    assert "`pulumi config set flow:owner ...`" in printed.err
    assert not cloud.mutations


def test_with_an_owner_what_was_made_before_it_was_set_is_listed_and_kept(cloud, fake_stack, capsys):
    """On a self-managed backend it can be another person's; what carries the owner's mark is ended."""
    fake_stack.name = "organization/training/dev"
    fake_stack.settings["flow:owner"] = "ada"
    before, after = cloud.add_bid(marked_name(owner=fake_stack.name)), cloud.add_bid(marked_name("later", "ada"))
    assert main(["sweep", *NOW]) == 1
    assert f"kept {before['fid']}: made under another owner" in capsys.readouterr().out
    assert [bid["fid"] for bid in cloud.live_bids] == [before["fid"]]
    assert cloud.bid(after["fid"])["status"] == "Terminated"


def test_what_another_stack_of_the_backend_records_is_never_ended(cloud, fake_stack, capsys):
    """Two stacks with one owner, or a stack that was renamed: its running cluster has this stack's mark."""
    bid = cloud.add_bid(marked_name())
    fake_stack.others = {"acme/training/prod": StackState(ids=frozenset({bid["fid"]}))}
    assert main(["sweep", *NOW]) == 0
    assert [bid["fid"] for bid in cloud.live_bids] == [bid["fid"]]
    assert main(["sweep", "--all"]) == 1
    assert "recorded by acme/training/prod" in capsys.readouterr().out


def test_a_state_of_another_service_or_project_is_not_judged_here(cloud, fake_stack, capsys):
    """An empty answer from the wrong place would be taken for good news."""
    for place in (("https://other.example", ""), (cloud.url, "proj_other")):
        fake_stack.recorded = StackState(places=frozenset({place}))
        assert main(["sweep"]) == 2
        assert capsys.readouterr().err.startswith("error: the state records ")


def test_of_a_stack_with_two_accounts_the_part_that_is_here_is_searched(cloud, fake_stack, capsys):
    """The other part is named: nothing is said of it."""
    kept, orphan = cloud.add_bid(marked_name("kept")), cloud.add_bid(marked_name())
    places = frozenset({(cloud.url, kept["project"]), (cloud.url, "proj_other")})
    fake_stack.recorded = StackState(ids=frozenset({kept["fid"], "bid_elsewhere"}), places=places)
    assert main(["sweep", *NOW]) == 1
    assert [bid["fid"] for bid in cloud.live_bids] == [kept["fid"]]
    printed = capsys.readouterr()
    assert orphan["fid"] in printed.out
    assert printed.err == (
        f"warning: a part of the stack is in project proj_other at {cloud.url}, which is not looked at: "
        "run this again with the settings of that account\n"
    )


def test_a_service_that_fails_in_the_middle_says_so_and_what_was_ended(cloud, fake_stack, capsys):
    """The document is whole all the same: one ended, one unknown, one not reached."""
    first, second, third = (cloud.add_bid(marked_name(name)) for name in ("a", "b", "c"))
    cloud.faults.add(method="DELETE", nth=2, times=None, status=500)
    assert main(["sweep", *NOW, "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: could not cancel bid {second['fid']}: ")
    assert len(printed.err.splitlines()) == 1
    outcomes = {bid["id"]: bid["outcome"] for bid in json.loads(printed.out)["bids"]}
    assert outcomes == {first["fid"]: "ended", second["fid"]: "unknown", third["fid"]: None}


def test_json_is_all_there_is_on_standard_output(cloud, fake_stack, capsys):
    """With something, with nothing, and with --yes."""
    assert main(["sweep", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bids"] == []
    bid = cloud.add_bid(marked_name(), instance_quantity=2, limit_price="$20.00")
    assert main(["sweep", "--json", *NOW]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["stack"], document["owner"], document["max_usd_per_hour"]) == (STACK, OWNER, 40.0)
    assert [(row["id"], row["outcome"], row["status"]) for row in document["bids"]] == [
        (bid["fid"], "ended", "running")
    ]


def test_a_bid_that_goes_back_to_the_auction_as_the_bids_are_listed_is_found(cloud, fake_stack, capsys, monkeypatch):
    """Preempting when the open ones are listed, open when those are listed that lose their machines."""
    bid = cloud.add_bid(marked_name())
    cloud.preempt(bid["fid"])
    list_bids, statuses = Connection.list_bids, []

    def list_one_status(self: Connection, status: str, budget: RetryBudget) -> list[Bid]:
        bids = list(list_bids(self, status, budget))
        statuses.append(status)
        if statuses.count("Open") == 1 and status in ("Open", "Preempting"):
            return []  # it did not have this status yet, or has it no more
        return bids

    monkeypatch.setattr(Connection, "list_bids", list_one_status)
    assert main(["sweep"]) == 1
    assert bid["fid"] in capsys.readouterr().out


def test_more_bids_than_a_page_are_all_found(cloud, fake_stack, capsys):
    """Listings are exhausted."""
    for number in range(120):
        cloud.add_bid(marked_name(f"c{number}"))
    assert main(["sweep", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["bids"]) == 120


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_a_wrong_command_line_is_one_line_and_exit_code_two(cloud, fake_stack, capsys, arguments, message):
    """Nothing is asked of the service."""
    try:
        code = main(["sweep", *arguments])
    except SystemExit as exit_:
        code = exit_.code
    assert (code, capsys.readouterr().err) == (2, f"error: {message}\n")
    assert not cloud.requests


def test_the_command_that_is_offered_ends_what_is_listed(cloud, fake_stack, capsys):
    """With the options that found it: without them it would look elsewhere, or leave it alone as too young."""
    cloud.add_bid(marked_name())
    assert main(["sweep", "--min-age", "0", "--stack", "dev", "--cwd", "/"]) == 1
    (command,) = [line.split("`")[1] for line in capsys.readouterr().out.splitlines() if "ends the bids" in line]
    assert command == "flow-resources sweep --yes --stack dev --cwd / --min-age 0"
    assert main(shlex.split(command)[1:]) == 1
    assert not cloud.live_bids


@pytest.mark.parametrize(
    ("seconds", "written"), [(0, "0"), (90, "90s"), (420, "7m"), (7200, "2h"), (86400, "1d"), (90000, "25h")]
)
def test_ages_are_written_as_they_are_read(seconds, written):
    """In the greatest unit that leaves no rest."""
    from flow_resources.cli.sweep import _format_age, _parse_age

    assert _format_age(timedelta(seconds=seconds)) == written
    assert _parse_age(written).total_seconds() == seconds


@pytest.mark.parametrize(
    ("age", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7", 420), ("0", 0), ("1d", 86400)]
)
def test_ages_are_read_as_people_write_them(age, seconds):
    """A plain number is minutes."""
    from flow_resources.cli.sweep import _parse_age

    assert _parse_age(age).total_seconds() == seconds


def test_bad_keys_and_a_service_that_is_down_are_one_line(cloud, fake_stack, capsys, monkeypatch):
    """With the remedy that the provider gives; the key is in none of them."""
    fake_stack.settings["flow:apiKey"] = "canary-5e1f"
    assert main(["sweep"]) == 2
    refused = capsys.readouterr().err
    assert refused.startswith(f"error: could not list the projects of the API key: {cloud.url} refused the API key: ")
    del fake_stack.settings["flow:apiKey"]
    assert main(["sweep"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: there is no API key: `pulumi config set --secret flow:apiKey ...`"
    )
    fake_stack.settings |= {"flow:apiKey": cloud.key, "flow:apiUrl": f"{cloud.url}/v2"}
    assert main(["sweep"]) == 2
    elsewhere = capsys.readouterr().err
    assert elsewhere.startswith(f"error: {cloud.url}/v2 does not answer like Mithril's API (")
    assert elsewhere.endswith(
        ": flow:apiUrl (`api_url` of a provider) or MITHRIL_API_URL must be its address alone, without a path\n"
    )
    fake_stack.settings["flow:apiUrl"] = cloud.url
    monkeypatch.setenv("FLOW_RESOURCES_RETRY_SECONDS", "0.1")
    cloud.stop()
    assert main(["sweep"]) == 2
    down = capsys.readouterr().err
    assert down.startswith(f"error: could not list the projects of the API key: {cloud.url} gave no readable answer")
    assert down.endswith(
        "run the same command again; if nothing ever answers there, "
        "look at flow:apiUrl (`api_url` of a provider) or MITHRIL_API_URL\n"
    )
    assert "canary-5e1f" not in refused
    assert len(refused.splitlines()) == len(down.splitlines()) == 1
