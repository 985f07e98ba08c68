"""`flow-resources sweep` and the API keys of jobs: what is left over is revoked, and never the key of a live bid."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import httpx
import pytest
from support.fake_backend import STACK, FakeStack

from flow_resources.cli import main
from flow_resources.cli.stacks import SelectedStack, StackError
from flow_resources.core.naming import Mark, compose, key_name_of
from flow_resources.core.stack_state import StackState
from flow_resources.testing import MANUAL, FakeMithril

NOW = ("--yes", "--min-age", "0")


def bid_name(name: str = "job", owner: str = STACK, generation: int = 1) -> str:
    return compose(name, Mark.of(owner, name), "9c01d2", generation)


@pytest.fixture
def fake_stack(cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """The stack that the command opens."""
    stack = FakeStack({"flow:apiKey": cloud.key, "flow:apiUrl": cloud.url, "flow:project": cloud.project})
    monkeypatch.setattr(SelectedStack, "open", lambda *_: stack)
    return stack


def call(cloud: FakeMithril, method: str, path: str, body: object = None, key: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key or cloud.key}"}
    return httpx.request(method, f"{cloud.url}{path}", headers=headers, json=body)


def add_key(cloud: FakeMithril, bid: str = "", project: str = "", *, key: str | None = None) -> str:
    """Make the key of the job whose bid has this name; return its id."""
    name = key_name_of(bid or bid_name(), project or cloud.project_id)
    expires_at = (datetime.now(timezone.utc) + timedelta(days=30)).isoformat()
    fid: str = call(cloud, "POST", "/v2/api-keys", {"name": name, "expires_at": expires_at}, key).json()["fid"]
    cloud.clear_requests()
    return fid


def live_keys(cloud: FakeMithril, key: str | None = None) -> list[str]:
    return [row["fid"] for row in call(cloud, "GET", "/v2/api-keys", key=key).json() if row["deactivated_at"] is None]


def recording(*ids: str) -> StackState:
    return StackState(ids=frozenset(ids))


# -- found -------------------------------------------------------------------------------------------------------------


def test_a_key_whose_bid_is_gone_is_listed_and_revoked(cloud, fake_stack, capsys):
    """Its bid ended, or a crash came before it."""
    ended = cloud.add_bid(bid_name())
    cloud.terminate(ended["fid"])
    key = add_key(cloud)
    assert main(["sweep"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["API", "KEY", "NAME", "EXPIRES", "(UTC)", "AGE", "BID", "NOTE"]
    assert printed[1].split()[0] == key
    assert "In project demo with the mark of acme/training/dev and in no state: 1 API key." in printed
    assert main(["sweep", "--yes"]) == 1
    assert f"kept {key}: too young" in capsys.readouterr().out
    assert not cloud.mutations
    assert main(["sweep", "--min-age", "0"]) == 1
    assert (
        "`flow-resources sweep --yes --min-age 0` revokes the API keys whose bids have ended, or end with it."
        in capsys.readouterr().out
    )
    assert main(["sweep", *NOW]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [f"revoking {key}", f"revoked {key}"]
    assert live_keys(cloud) == []
    assert main(["sweep", *NOW]) == 0


def test_an_orphaned_job_ends_and_its_key_is_revoked_in_the_same_run(cloud, fake_stack, capsys):
    """After the bid, which may need it until then. A second key of the same bid goes with it."""
    bid = cloud.add_bid(bid_name())
    keys = [add_key(cloud), add_key(cloud)]
    assert main(["sweep", *NOW, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["outcome"]) for row in document["bids"]] == [(bid["fid"], "ended")]
    assert [(row["id"], row["bid"], row["outcome"]) for row in document["api_keys"]] == [
        (key, bid["fid"], "revoked") for key in keys
    ]
    assert [request.path for request in cloud.mutations] == [
        f"/v2/spot/bids/{bid['fid']}",
        *(f"/v2/api-keys/{key}" for key in keys),
    ]
    assert live_keys(cloud) == []


def test_a_lost_answer_to_the_revocation_is_no_failure(cloud, fake_stack, capsys):
    """It is sent again."""
    key = add_key(cloud)
    cloud.faults.add(method="DELETE", kind="reset", when="after")
    assert main(["sweep", *NOW]) == 1
    assert f"revoked {key}" in capsys.readouterr().out
    assert live_keys(cloud) == []


# -- kept --------------------------------------------------------------------------------------------------------------


def test_the_key_of_a_recorded_job_is_not_listed(cloud, fake_stack):
    """While its bid lives: whether the own state records it, or another stack's."""
    bid = cloud.add_bid(bid_name())
    key = add_key(cloud)
    fake_stack.recorded = recording(bid["fid"])
    assert main(["sweep", *NOW]) == 0
    fake_stack.recorded, fake_stack.others = StackState(), {"acme/training/prod": recording(bid["fid"])}
    assert main(["sweep", *NOW]) == 0
    assert live_keys(cloud) == [key]
    cloud.terminate(bid["fid"])
    fake_stack.recorded = recording(bid["fid"])
    assert main(["sweep", *NOW]) == 1
    assert live_keys(cloud) == []


@pytest.mark.parametrize("status", ["Open", "Paused", "Preempting"])
def test_a_bid_that_is_not_running_needs_its_key_too(cloud, fake_stack, status):
    """It comes back."""
    bid = cloud.add_bid(bid_name(), limit_price="$0.01" if status == "Open" else "$50.00")
    if status == "Paused":
        call(cloud, "PATCH", f"/v2/spot/bids/{bid['fid']}", {"paused": True})
    if status == "Preempting":
        cloud.set_options(preemption_notice_seconds=MANUAL)
        cloud.preempt(bid["fid"])
    assert cloud.bid(bid["fid"])["status"] == status
    key = add_key(cloud)
    fake_stack.recorded = recording(bid["fid"])
    assert main(["sweep", *NOW]) == 0
    assert live_keys(cloud) == [key]


@pytest.mark.parametrize("other", ["another generation", "another specification", "another job"])
def test_a_live_bid_keeps_its_own_key_alone(cloud, fake_stack, other):
    """The one with the same parts in its name."""
    bid = cloud.add_bid(bid_name())
    kept = add_key(cloud)
    name = {
        "another generation": bid_name(generation=2),
        "another specification": compose("job", Mark.of(STACK, "job"), "000000", 1),
        "another job": bid_name("other"),
    }[other]
    add_key(cloud, name)
    fake_stack.recorded = recording(bid["fid"])
    assert main(["sweep", *NOW]) == 1
    assert live_keys(cloud) == [kept]


def test_the_key_of_a_job_in_another_project_stays(cloud, fake_stack):
    """Its bid lives there: the names can be the same, and only the digits of the project differ."""
    key = add_key(cloud, project="proj_999999")
    assert main(["sweep", *NOW]) == 0
    assert main(["sweep", "--all"]) == 0
    assert live_keys(cloud) == [key]


def test_keys_of_other_owners_and_forms_stay(cloud, fake_stack, capsys):
    """Somebody else's job, a key of the user's own, the Flow SDK's."""
    add_key(cloud, bid_name(owner="bob"))
    for name in ("ci", "flow-task-trainer-3f9a1c5d", bid_name()):
        call(cloud, "POST", "/v2/api-keys", {"name": name, "expires_at": "2027-01-01T00:00:00Z"})
    before = live_keys(cloud)
    assert main(["sweep", *NOW]) == 0
    assert live_keys(cloud) == before
    fake_stack.settings["flow:owner"] = "ada"
    key = add_key(cloud)
    assert main(["sweep", *NOW]) == 1
    assert f"kept {key}: made under another owner" in capsys.readouterr().out
    assert live_keys(cloud) == [*before, key]


def test_another_users_key_is_not_seen(cloud, fake_stack):
    """The service lists a user's own alone."""
    cloud.add_key("colleague", [cloud.project])
    key = add_key(cloud, key="colleague")
    assert main(["sweep", *NOW]) == 0
    assert live_keys(cloud, "colleague") == [key]


def test_what_another_stack_is_making_stays(cloud, fake_stack):
    """Its bid is not placed yet."""
    key = add_key(cloud)
    fake_stack.others = {"acme/training/prod": StackState(making=frozenset({"job"}))}
    assert main(["sweep", *NOW]) == 0
    assert live_keys(cloud) == [key]


def test_a_key_whose_bid_is_kept_is_kept(cloud, fake_stack, capsys):
    """The bid was taken over right before its end."""
    bid, key = cloud.add_bid(bid_name()), add_key(cloud)

    def take_over(reads: int) -> None:
        if reads == 2:
            fake_stack.recorded = recording(bid["fid"])

    fake_stack.on_read = take_over
    assert main(["sweep", *NOW]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"kept {key}: the state records it by now" in lines
    assert not cloud.mutations


def test_the_key_of_a_bid_that_loses_its_machines_meanwhile_is_not_listed(cloud, fake_stack):
    """A listing asks for one status after the other: what goes back to the auction in between is in none of them."""
    bid = cloud.add_bid(bid_name())
    key = add_key(cloud)
    fake_stack.recorded = recording(bid["fid"])

    def preempt_after(nth: int) -> None:
        cloud.faults.add(
            method="GET", path="/v2/spot/bids$", nth=nth, then=lambda _: cloud.preempt(bid["fid"], notice_seconds=0)
        )

    preempt_after(9)  # the bids were listed twice before, and the keys; the bids that wait are listed
    assert main(["sweep", *NOW]) == 0
    assert cloud.bid(bid["fid"])["status"] == "Open"
    assert live_keys(cloud) == [key]


def test_a_key_whose_bid_was_placed_meanwhile_is_kept(cloud, fake_stack, capsys):
    """The bids are listed again right before the end."""
    key, placed = add_key(cloud), []

    def place(reads: int) -> None:
        if reads == 2:
            placed.append(cloud.add_bid(bid_name()))

    fake_stack.on_read = place
    assert main(["sweep", *NOW]) == 1
    assert f"kept {key}: the bid {placed[0]['fid']} ends itself with it" in capsys.readouterr().out
    assert live_keys(cloud) == [key]


# -- not known ---------------------------------------------------------------------------------------------------------


def test_a_key_without_a_known_age_is_kept(cloud, fake_stack, capsys):
    """No waiting makes it old enough."""
    key = add_key(cloud)
    cloud.faults.add(method="GET", path="/v2/api-keys", kind="alter", body={"created_at": "soon"}, times=None)
    assert main(["sweep", *NOW]) == 1
    assert f"kept {key}: its age is not known" in capsys.readouterr().out
    assert not cloud.mutations


def test_a_bid_without_a_name_may_need_any_key(cloud, fake_stack, capsys):
    """Nobody can tell whose it is."""
    key, bid = add_key(cloud), cloud.add_bid("by-hand")
    cloud.faults.add(method="GET", path=r"/v2/spot/bids$", kind="alter", body={"name": None}, times=None)
    assert main(["sweep", *NOW]) == 1
    assert f"kept {key}: the service does not say the name of the bid {bid['fid']}" in capsys.readouterr().out
    assert not cloud.mutations


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "truncate"}, {"status": 403}], ids=str)
def test_where_the_bids_cannot_be_listed_nothing_is_revoked(cloud, fake_stack, capsys, fault):
    """Also where it fails right before the revocation."""
    key = add_key(cloud)

    def fail(reads: int) -> None:
        if reads == 2:
            cloud.faults.add(method="GET", path=r"/v2/spot/bids$", times=None, **fault)

    fake_stack.on_read = fail
    assert main(["sweep", *NOW]) == 2
    assert capsys.readouterr().err.startswith("error: could not list the bids: ")
    fake_stack.on_read = lambda _: None
    assert main(["sweep", *NOW]) == 2
    cloud.faults.clear()
    assert live_keys(cloud) == [key]


def test_where_a_state_cannot_be_read_nothing_is_revoked(cloud, fake_stack, capsys):
    """It can record the job whose bid is placed just now."""
    key = add_key(cloud)

    def fail(reads: int) -> None:
        if reads == 2:
            raise StackError("could not read the state of acme/training/prod: it is cut", "nothing was touched")

    fake_stack.on_read_of_others = fail
    assert main(["sweep", *NOW]) == 2
    assert capsys.readouterr().err.startswith(f"error: {key} and what follows it were left as they are: ")
    assert live_keys(cloud) == [key]


def test_nothing_is_revoked_while_the_stack_is_being_updated(cloud, fake_stack, capsys):
    """The key can be the one that the `up` has just made."""
    key = add_key(cloud)
    fake_stack.updated = True
    assert main(["sweep", *NOW]) == 2
    assert "an update of acme/training/dev is under way" in capsys.readouterr().err
    assert live_keys(cloud) == [key]


def test_without_a_certain_owner_nothing_is_revoked(cloud, fake_stack):
    """As for bids."""
    fake_stack.name = "organization/training/dev"
    key = add_key(cloud, bid_name(owner=fake_stack.name))
    assert main(["sweep", *NOW]) == 2
    assert live_keys(cloud) == [key]


@pytest.mark.parametrize("fault", [{"status": 403}, {"kind": "alter", "body": {"fid": None}}], ids=str)
def test_keys_that_cannot_be_listed_keep_no_bid_alive(cloud, fake_stack, capsys, fault):
    """A bid costs money: it is ended first, then the command fails."""
    bid, key = cloud.add_bid(bid_name()), add_key(cloud)
    cloud.faults.add(method="GET", path="/v2/api-keys", times=None, **fault)
    assert main(["sweep", *NOW, "--json"]) == 2
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["api_keys"] is None
    assert [(row["id"], row["outcome"]) for row in document["bids"]] == [(bid["fid"], "ended")]
    assert printed.err.startswith("error: could not list the API keys: ")
    assert main(["sweep"]) == 2
    assert capsys.readouterr().out.startswith("Nothing that could be listed is left over: ")
    cloud.faults.clear()
    assert live_keys(cloud) == [key]


def test_a_key_that_still_works_is_not_called_revoked(cloud, fake_stack, capsys):
    """The service answers, and does nothing."""
    key = add_key(cloud)
    cloud.faults.add(method="DELETE", path="/v2/api-keys", status=404)
    assert main(["sweep", *NOW, "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: the API key {key} was revoked and still works: ")
    assert [row["outcome"] for row in json.loads(printed.out)["api_keys"]] == ["unknown"]


# -- --all -------------------------------------------------------------------------------------------------------------


def test_all_lists_every_key_of_the_project_with_its_stack(cloud, fake_stack, capsys):
    """A key is recorded with its bid."""
    bid, used, left = cloud.add_bid(bid_name()), add_key(cloud), add_key(cloud, bid_name("other", "bob"))
    fake_stack.recorded = recording(bid["fid"])
    assert main(["sweep", "--all", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)["api_keys"]
    assert [(row["id"], row["bid"], row["note"]) for row in rows] == [
        (used, bid["fid"], f"recorded by {STACK}"),
        (left, None, None),
    ]
    assert all(datetime.fromisoformat(row["expires_at"]) for row in rows)
    assert not cloud.mutations


def test_no_secret_is_printed(cloud, fake_stack, capsys):
    """Nothing of a key but its id and name."""
    add_key(cloud)
    for arguments in ([], ["--json"], ["--all"], [*NOW]):
        main(["sweep", *arguments])
    assert "fkey_" not in capsys.readouterr().out
