"""The lifecycle of a job through the verbs, against the fake over loopback."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from support.jobs import end_job, live_keys, revoke_keys
from support.stack import CheckError, Reports, Stack, VerbError, cluster, job, operation

from flow_resources.cloud import Cloud, Launch
from flow_resources.core import naming
from flow_resources.errors import TerminatedError
from flow_resources.lifecycle import verbs
from flow_resources.lifecycle.job import JOB
from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts(plugin="languages")

AGAIN = "to run it again, change `triggers`"


def sent(cloud: FakeMithril) -> list[str]:
    """Return what changed something, without SSH keys."""
    requests = [f"{one.method} {one.path}" for one in cloud.mutations if "ssh-keys" not in one.path]
    return [request.rpartition("/v2/")[0] + request.rpartition("/v2/")[2] for request in requests]


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[Launch]:
    """What is placed."""
    placed: list[Launch] = []
    place = Cloud.place

    def noted(self: Cloud, launch: Launch) -> Any:
        placed.append(launch)
        return place(self, launch)

    monkeypatch.setattr(Cloud, "place", noted)
    return placed


def key_of(stack: Stack) -> str | None:
    return naming.key_name_of(outputs(stack)["task_name"], outputs(stack)["project"])


def outputs(stack: Stack, name: str = "it") -> dict[str, Any]:
    return stack.state[name].outputs


# -- create ------------------------------------------------------------------------------------------------------------


def test_up_makes_a_key_and_places_a_bid_with_it(stack: Stack, cloud: FakeMithril, launches: list[Launch]) -> None:
    """The key carries the name of its job; the machine gets what it needs to end the bid."""
    stack.up({"it": job(max_run_time_hours=5.0, on_failure="keep", preemption_signal="SIGUSR1")})
    assert sent(cloud) == ["POST api-keys", "POST spot/bids"]
    assert live_keys(cloud) == [key_of(stack)]
    (launch,) = launches
    end = launch.job_end
    assert end is not None
    assert (launch.boot.preemption_signal, launch.boot.restart) == ("SIGUSR1", "never")
    assert (end.project, end.api_url) == (outputs(stack)["project"], cloud.url)
    assert (end.on_failure, end.max_run_seconds) == ("keep", 18_000)
    assert (end.key_name, end.key[:5], (end.key_id or "")[:7]) == (live_keys(cloud)[0], "fkey_", "apikey_")
    assert end.key_expires_at is not None
    assert 30 * 24 < (end.key_expires_at - cloud.clock.now()) / 3600 + 0.01 < 30 * 24 + 5.1
    assert end.key not in str(stack.export())


def test_the_outputs_of_a_new_job(stack: Stack, cloud: FakeMithril) -> None:
    """Those of a bid, and since when it has machines."""
    stack.up({"it": job(num_instances=2)})
    told = outputs(stack)
    assert (told["status"], told["max_cost_per_hour"], told["preemptions"]) == ("running", 100.0, 0)
    assert told["started_at"] == cloud.bid(told["task_id"])["created_at"] or told["started_at"]
    assert "exit_code" not in told
    assert "ended_at" not in told


def test_an_up_without_changes_sends_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """Nor does a refresh before it."""
    program = {"it": job()}
    stack.up(program)
    cloud.clear_requests()
    assert stack.preview(program) == {"it": "same"}
    recorded = dict(outputs(stack))
    for _ in range(3):
        stack.refresh()
        assert outputs(stack) == recorded
        stack.up(program)
    assert not cloud.mutations


def test_a_key_of_the_users_own_is_used_and_never_revoked(
    stack: Stack, cloud: FakeMithril, launches: list[Launch]
) -> None:
    """No key is made, whatever flow:allowJobKeys says; the key is secret in the state."""
    del stack.config["flow:allowJobKeys"]
    stack.up({"it": job(machine_api_key="fkey_mine")})
    assert sent(cloud) == ["POST spot/bids"]
    (launch,) = launches
    assert launch.job_end is not None
    assert (launch.job_end.key, launch.job_end.key_id, launch.job_end.key_expires_at) == ("fkey_mine", None, None)
    assert "__job_key" not in outputs(stack)
    stack.destroy()
    assert sent(cloud)[1:] == [f"DELETE spot/bids/{cloud.bids[0]['fid']}"]


def test_without_consent_nothing_is_made(stack: Stack, cloud: FakeMithril) -> None:
    """The failure says what the key is for, who could read it, and for how long."""
    del stack.config["flow:allowJobKeys"]
    with pytest.raises(CheckError) as failed:
        stack.preview({"it": job()})
    # The property is sensitive, so that the failure names none: a host prints the value of one that failed.
    (text,) = failed.value.failures.values()
    for part in (
        "machine_api_key is not set, and flow:allowJobKeys is not true",
        "ends its bid with an API key of the account",
        "everybody who can read the project's bids can read",
        "30 days",
        "`pulumi config set flow:allowJobKeys true`",
    ):
        assert part in text
    assert not cloud.mutations


def test_a_job_that_stands_needs_no_consent_any_more(stack: Stack) -> None:
    """What it has, it has."""
    stack.up({"it": job()})
    del stack.config["flow:allowJobKeys"]
    assert stack.preview({"it": job(max_price_per_hour=60.0)}) == {"it": "update"}
    with pytest.raises(CheckError):
        stack.preview({"it": job(triggers=[1.0])})


def test_a_bid_that_is_refused_leaves_no_key(stack: Stack, cloud: FakeMithril) -> None:
    """Nothing was placed, so nothing needs it."""
    cloud.faults.add(method="POST", path="/v2/spot/bids$", status=400, times=None)
    with pytest.raises(VerbError):
        stack.up({"it": job()})
    assert not cloud.live_bids
    assert not live_keys(cloud)


def test_a_bid_that_may_exist_keeps_its_key(stack: Stack, cloud: FakeMithril) -> None:
    """The next `up` finds it, and its machine can end it."""
    silence = {"method": "GET", "path": "/v2/spot/bids", "status": 503, "times": None}
    cloud.faults.add(
        method="POST", path="/v2/spot/bids$", kind="reset", when="after", then=lambda _: cloud.faults.add(**silence)
    )
    with pytest.raises(VerbError):
        stack.up({"it": job()})
    assert len(cloud.live_bids) == len(live_keys(cloud)) == 1
    cloud.faults.clear()
    stack.up({"it": job()})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["it"].id]
    assert live_keys(cloud) == [key_of(stack)]


@pytest.mark.parametrize("inputs", [{"script": "#!/bin/sh\n"}, {"command": ""}], ids=["script", "command"])
def test_what_is_too_large_is_told_at_preview(stack: Stack, cloud: FakeMithril, inputs: dict[str, str]) -> None:
    """With the way to ship it."""
    (name, text), noise = *inputs.items(), base64.b64encode(hashlib.shake_256(b"noise").digest(9_000)).decode()
    with pytest.raises(CheckError) as failed:
        stack.preview({"it": job(**{name: text + noise})})
    (said,) = failed.value.failures.values()
    assert f"{name} makes the start-up script too large" in said
    assert "put what is long on a volume or into an image, and call it from there" in said
    assert not cloud.mutations


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "status", "exit_code"),
    [("succeeded", "succeeded", 0), ("failed", "failed", None), ("untold", "ended", None)],
)
def test_a_job_that_ended_stays_recorded_and_does_not_run_again(
    stack: Stack, cloud: FakeMithril, reports: Reports, outcome: str, status: str, exit_code: int | None
) -> None:
    """Neither a refresh nor an `up` sends anything that changes anything, and the price shows no drift."""
    program = {"it": job()}
    stack.up(program)
    end_job(cloud, stack.state["it"].id, outcome)
    cloud.clear_requests()
    stack.refresh()
    assert (outputs(stack)["status"], outputs(stack).get("exit_code")) == (status, exit_code)
    assert outputs(stack)["max_price_per_hour"] == 50.0
    assert outputs(stack)["ended_at"]
    assert any(f"was running, now {status}" in row for row in reports.kept)
    for _ in range(3):
        assert stack.preview(program) == {"it": "same"}
        stack.up(program, refresh=True)
    assert not cloud.mutations
    assert outputs(stack)["status"] == status
    stack.destroy()
    assert sent(cloud) == []


def test_a_job_whose_end_no_refresh_has_seen_is_left_alone_by_an_up(stack: Stack, cloud: FakeMithril) -> None:
    """The state says that it runs."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "succeeded")
    cloud.clear_requests()
    stack.up({"it": job()})
    assert not cloud.mutations


def test_a_job_that_failed_is_named_by_each_up(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what runs it again."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "failed")
    stack.refresh()
    capsys.readouterr()
    stack.up({"it": job()})
    assert f"the job has failed, and is not run again: {AGAIN}" in capsys.readouterr().err


@pytest.mark.parametrize("change", [{"triggers": {"dataset": 2.0}}, {"command": "python other.py"}])
def test_what_replaces_runs_a_job_again(stack: Stack, cloud: FakeMithril, change: dict[str, Any]) -> None:
    """Under another name, with a key of its own."""
    stack.up({"it": job()})
    first = stack.state["it"].id
    end_job(cloud, first, "succeeded")
    stack.refresh()
    stack.up({"it": job(**change)})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["it"].id] != [first]
    assert live_keys(cloud) == [key_of(stack)]


def test_a_job_that_runs_is_replaced_with_its_key(stack: Stack, cloud: FakeMithril) -> None:
    """The old bid ends first, and its key is revoked."""
    stack.up({"it": job()})
    stack.up({"it": job(triggers=[2.0])})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["it"].id]
    assert live_keys(cloud) == [key_of(stack)]


def test_a_job_that_the_service_has_forgotten_stays_recorded(stack: Stack, cloud: FakeMithril) -> None:
    """A 404 is no drift; how it ended stays known where it was."""
    stack.up({"one": job(), "other": job()})
    end_job(cloud, stack.state["one"].id, "succeeded")
    stack.refresh()
    cloud.terminate(stack.state["other"].id)
    cloud.faults.add(method="GET", path=r"/v2/spot/bids/bid_\d+$", status=404, times=None)
    stack.refresh()
    assert (outputs(stack, "one")["status"], outputs(stack, "other")["status"]) == ("succeeded", "ended")
    cloud.clear_requests()
    assert stack.preview({"one": job(), "other": job()}) == {"one": "same", "other": "same"}
    stack.destroy()
    assert not [request for request in sent(cloud) if "POST" in request]


def test_a_404_from_another_account_proves_no_end(stack: Stack, cloud: FakeMithril) -> None:
    """The refresh fails, and the state keeps it as it was."""
    stack.up({"it": job()})
    stack.state["it"].outputs.pop("project")
    cloud.terminate(stack.state["it"].id)
    cloud.faults.add(method="GET", path=r"/v2/spot/bids/bid_\d+$", status=404, times=None)
    with pytest.raises(VerbError, match="does not record the project"):
        stack.refresh()
    assert outputs(stack)["status"] == "running"


def test_a_failed_job_that_is_kept_costs_nothing_and_ends_with_destroy(stack: Stack, cloud: FakeMithril) -> None:
    """Its bid is paused, which is neither drift nor the end of the machines' disks."""
    program = {"it": job(on_failure="keep")}
    stack.up(program)
    end_job(cloud, stack.state["it"].id, "failed", keep=True)
    stack.refresh()
    assert outputs(stack)["status"] == "failed"
    assert "its bid is paused, with the machines' disks" in outputs(stack)["status_message"]
    cloud.clear_requests()
    stack.up({"it": job(on_failure="keep", max_price_per_hour=60.0)})
    assert sent(cloud) == []  # a new price would take the word of the machine away
    stack.config["flow:maxCostPerHour"] = "1"
    assert stack.preview({"it": job(on_failure="keep", max_price_per_hour=60.0)}) == {"it": "same"}
    stack.destroy()
    assert not cloud.live_bids


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_failed_job_whose_bid_is_resumed_does_not_run(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str], *, is_seen: bool
) -> None:
    """Somebody looks at its disks: it has failed, its machines are billed, and no `up` waits for its end."""
    program = {"it": job(on_failure="keep")}
    stack.up(program)
    id_ = stack.state["it"].id
    end_job(cloud, id_, "failed", keep=True)
    if is_seen:
        stack.refresh()
        assert stack.preview(program) == {"it": "same"}
        assert "resumed" not in capsys.readouterr().err
    cloud.update_bid(id_, paused=False)
    stack.refresh()
    assert "its bid was resumed: its machines are billed" in capsys.readouterr().err
    assert outputs(stack)["status"] == "failed"
    assert outputs(stack)["status_message"] == "failed; its bid was resumed, and its machines are billed"
    stack.preview(program)
    assert "its bid was resumed: its machines are billed" in capsys.readouterr().err
    stack.config["flow:maxCostPerHour"] = "1"
    with pytest.raises(CheckError, match="exceeds the stack's budget"):
        stack.preview(program)
    del stack.config["flow:maxCostPerHour"]
    cloud.update_bid(id_, paused=True)
    stack.refresh()
    assert "its bid is paused, with the machines' disks" in outputs(stack)["status_message"]
    cloud.update_bid(id_, paused=False)
    with pytest.raises(VerbError, match="its bid was resumed, and its machines are billed"):
        stack.up({"it": job(on_failure="keep", wait_for="ended")})
    cloud.terminate(id_)
    stack.refresh()
    assert outputs(stack)["status_message"] == "failed"


def test_a_job_that_has_ended_is_not_warned_of_as_one_that_runs(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing waits for it, and a replacement of it loses no disks."""
    stack.up({"it": job(max_run_time_hours=5.0)})
    end_job(cloud, stack.state["it"].id, "succeeded")
    stack.refresh()
    capsys.readouterr()
    stack.preview({"it": job(max_run_time_hours=5.0, wait_for="ended")})
    assert not capsys.readouterr().err
    stack.preview({"it": job(max_run_time_hours=5.0, triggers=["again"])})
    assert capsys.readouterr().err == "warning: replaced because of triggers: the job runs anew\n"


def test_a_job_that_a_person_paused_is_paused(stack: Stack, cloud: FakeMithril) -> None:
    """And goes on when it is resumed."""
    stack.up({"it": job()})
    cloud.update_bid(stack.state["it"].id, paused=True)
    stack.refresh()
    assert outputs(stack)["status"] == "paused"
    cloud.update_bid(stack.state["it"].id, paused=False)
    stack.refresh()
    assert outputs(stack)["status"] == "running"
    assert stack.preview({"it": job()}) == {"it": "same"}


@pytest.mark.parametrize("body", [{"limit_price": None}, {"launch_specification": None}], ids=str)
def test_an_end_that_could_not_be_read_is_read_by_the_next_refresh(
    stack: Stack, cloud: FakeMithril, body: dict[str, Any]
) -> None:
    """Until then the job has ended, and nothing runs."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "succeeded")
    cloud.faults.add(method="GET", path=r"/v2/spot/bids/bid_\d+$", kind="alter", body=body, times=None)
    stack.refresh()
    assert outputs(stack)["status"] == "ended"
    assert stack.preview({"it": job()}) == {"it": "same"}
    cloud.faults.clear()
    stack.refresh()
    assert (outputs(stack)["status"], outputs(stack)["exit_code"]) == ("succeeded", 0)


# -- keys that are left ------------------------------------------------------------------------------------------------


def test_a_key_that_the_machine_left_is_revoked_by_the_next_up(stack: Stack, cloud: FakeMithril) -> None:
    """A refresh and a preview see it and send nothing that changes anything; afterwards all is clean."""
    program = {"it": job()}
    stack.up(program)
    end_job(cloud, stack.state["it"].id, "succeeded", revoke=False)
    cloud.clear_requests()
    stack.refresh()
    assert stack.preview(program) == {"it": "update"}
    assert not cloud.mutations
    stack.up(program)
    assert [request.rpartition("/")[0] for request in sent(cloud)] == ["DELETE api-keys"]
    assert not live_keys(cloud)
    cloud.clear_requests()
    stack.refresh()
    assert stack.preview(program) == {"it": "same"}
    assert outputs(stack)["status"] == "succeeded"
    assert not cloud.mutations


def test_keys_that_cannot_be_listed_leave_everything_as_it_is(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not known whether one is left: the next refresh looks again."""
    program = {"it": job()}
    stack.up(program)
    end_job(cloud, stack.state["it"].id, "succeeded", revoke=False)
    cloud.faults.add(method="GET", path="/v2/api-keys", status=403, times=None)
    stack.refresh()
    assert "the API keys of jobs are not checked" in capsys.readouterr().err
    assert stack.preview(program) == {"it": "same"}
    cloud.faults.clear()
    stack.refresh()
    assert stack.preview(program) == {"it": "update"}


def test_destroy_revokes_the_key_after_the_end_of_the_bid(stack: Stack, cloud: FakeMithril) -> None:
    """Where that fails, the state keeps the job, and the next destroy goes on."""
    stack.up({"it": job()})
    cloud.clear_requests()
    cloud.faults.add(method="DELETE", path="/v2/api-keys/", status=500, times=None)
    with pytest.raises(VerbError):
        stack.destroy()
    assert not cloud.live_bids
    assert "it" in stack.state
    cloud.faults.clear()
    stack.destroy()
    assert not stack.state
    assert not live_keys(cloud)
    assert sent(cloud)[0].startswith("DELETE spot/bids/")


def test_a_refresh_of_another_user_forgets_no_key(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """Nobody else's listing has it: whether it is live is not known, and the user who made it revokes it."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "untold", revoke=False)
    mine = stack.config["flow:apiKey"]
    cloud.add_key("fkey_colleague", [cloud.project])
    stack.config["flow:apiKey"] = "fkey_colleague"
    for _ in range(2):
        stack.refresh()
        stack.up({"it": job()})
    assert outputs(stack)["status"] == "ended"
    stack.up({"it": job(max_price_per_hour=60.0)})
    assert any("is another user's" in row for row in reports.kept)
    stack.config["flow:apiKey"] = mine
    stack.up({"it": job(max_price_per_hour=60.0)}, refresh=True)
    assert not live_keys(cloud)
    assert "__job_key" not in outputs(stack)


def test_a_job_that_lives_without_its_key_is_warned_of(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its machine cannot end the bid: a key expires while a job waits for a machine. Nothing is changed."""
    stack.up({"it": job()})
    stack.refresh()
    assert "API key" not in capsys.readouterr().err
    revoke_keys(cloud)
    cloud.clear_requests()
    stack.refresh()
    id_ = stack.state["it"].id
    warned = capsys.readouterr().err
    assert "its machine cannot end the bid, which costs up to $50.00/h also after the work has ended" in warned
    assert f"`flow cancel {id_}` ends it; {AGAIN}" in warned
    assert not cloud.mutations
    cloud.add_key("fkey_colleague", [cloud.project])
    stack.config["flow:apiKey"] = "fkey_colleague"  # who cannot see it
    stack.refresh()
    assert "API key" not in capsys.readouterr().err


def test_a_job_that_ends_during_a_refresh_is_not_warned_of(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its machine revokes the key after the bid has ended."""
    stack.up({"it": job()})
    id_ = stack.state["it"].id
    cloud.faults.add(path="/v2/api-keys", kind="reset", when="before", then=lambda _: end_job(cloud, id_, "succeeded"))
    stack.refresh()
    assert "API key" not in capsys.readouterr().err


def test_the_key_of_another_user_is_named(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """Nobody else can revoke it."""
    stack.up({"it": job()})
    cloud.add_key("fkey_colleague", [cloud.project])
    (name,) = live_keys(cloud)
    stack.config["flow:apiKey"] = "fkey_colleague"
    stack.destroy()
    assert not cloud.live_bids
    assert live_keys(cloud) == [name]
    assert any(f"the API key {name!r} of the job is another user's" in row for row in reports.kept)


# -- updates -----------------------------------------------------------------------------------------------------------


def test_a_new_price_is_one_patch(stack: Stack, cloud: FakeMithril) -> None:
    """It restarts nothing."""
    stack.up({"it": job()})
    cloud.clear_requests()
    stack.up({"it": job(max_price_per_hour=60.0)})
    assert sent(cloud) == [f"PATCH spot/bids/{stack.state['it'].id}"]
    assert outputs(stack)["max_price_per_hour"] == 60.0


@pytest.mark.parametrize("price", [0.01, 0.02])
def test_a_price_without_room_for_the_marks_is_refused_at_preview(
    stack: Stack, cloud: FakeMithril, price: float
) -> None:
    """Its machine could not tell how it ended; a running job may be lowered to it, since its marks are not there."""
    with pytest.raises(CheckError, match=r"max_price_per_hour leaves no price under it .*: bid at least \$0\.03"):
        stack.preview({"it": job(max_price_per_hour=price)})
    assert stack.preview({"it": job(max_price_per_hour=0.03)}) == {"it": "create"}
    stack.up({"it": job()})
    assert stack.preview({"it": job(max_price_per_hour=price)}) == {"it": "update"}
    with pytest.raises(CheckError, match="leaves no price under it"):
        stack.preview({"it": job(max_price_per_hour=price, triggers=[2.0])})


@pytest.mark.parametrize("price", [49.99, 49.98])
def test_a_price_that_would_tell_an_end_is_refused_at_preview(stack: Stack, cloud: FakeMithril, price: float) -> None:
    """With the nearest prices that work, relative to the one that was placed, whatever it is now."""
    stack.up({"it": job()})
    stack.up({"it": job(max_price_per_hour=60.0)})
    cloud.clear_requests()
    with pytest.raises(CheckError) as failed:
        stack.preview({"it": job(max_price_per_hour=price)})
    text = failed.value.failures["max_price_per_hour"]
    assert "would say that the job has ended: it was placed at $50.00" in text
    assert "write $49.97 or $50.00" in text
    assert stack.preview({"it": job(max_price_per_hour=49.97)}) == {"it": "update"}
    assert not cloud.mutations


def test_an_update_never_sets_a_price_that_tells_an_end(stack: Stack, cloud: FakeMithril) -> None:
    """Also where the check could not ask at which price it was placed."""
    stack.up({"it": job()})
    declared = job(max_price_per_hour=49.99)
    news = stack.check("it", job(), stack.state["it"]) | {"max_price_per_hour": 49.99}
    cloud.clear_requests()
    stack._update("it", declared, news)
    assert "would say that the job has ended" in stack.init_errors["it"]
    assert not cloud.mutations


def test_a_new_price_runs_nothing_again_and_is_not_sent_to_a_bid_that_ended(stack: Stack, cloud: FakeMithril) -> None:
    """The state takes it from the program."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "succeeded")
    stack.refresh()
    cloud.clear_requests()
    program = {"it": job(max_price_per_hour=60.0)}
    stack.up(program)
    assert not cloud.mutations
    assert stack.preview(program) == {"it": "same"}
    stack.refresh()
    assert stack.preview(program) == {"it": "same"}


def test_a_new_price_that_meets_an_end_that_no_refresh_saw_is_not_sent(stack: Stack, cloud: FakeMithril) -> None:
    """The update sees the end, and tells it."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "failed")
    cloud.clear_requests()
    stack.up({"it": job(max_price_per_hour=60.0)})
    assert not [request for request in sent(cloud) if "bids" in request]
    assert outputs(stack)["status"] == "failed"


def test_a_price_that_somebody_else_set_is_drift(stack: Stack, cloud: FakeMithril) -> None:
    """But for the prices by which the machine tells an end."""
    stack.up({"it": job()})
    cloud.update_bid(stack.state["it"].id, limit_price="$44.00")
    stack.refresh()
    assert stack.preview({"it": job()}) == {"it": "update"}
    stack.up({"it": job()})
    cloud.update_bid(stack.state["it"].id, limit_price="$49.98")
    stack.refresh()
    assert stack.preview({"it": job()}) == {"it": "same"}
    assert outputs(stack)["status"] == "running"


# -- waiting for the end -----------------------------------------------------------------------------------------------


def ending(stack: Stack, cloud: FakeMithril, outcome: str, after: int = 3, **options: Any) -> None:
    """Let the machine end the job while the `up` waits."""
    waits = iter(range(after))

    def tick() -> None:
        if next(waits, None) is None and (live := [one for one in cloud.live_bids if one["status"] == "Allocated"]):
            end_job(cloud, live[0]["fid"], outcome, **options)

    clock, sleep = stack.clock, type(stack.clock).sleep
    assert clock is not None
    stack.clock.sleep = lambda seconds: (sleep(clock, seconds), tick())  # type: ignore[method-assign,union-attr]


def test_an_up_waits_for_the_end(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """Its row says since when it runs."""
    ending(stack, cloud, "succeeded")
    stack.up({"it": job(wait_for="ended")})
    assert outputs(stack)["status"] == "succeeded"
    assert any("1/1 machines running" in row and "minute" in row for row in reports.rows)


@pytest.mark.parametrize("keep", [False, True])
def test_a_job_that_failed_fails_the_up_once(stack: Stack, cloud: FakeMithril, *, keep: bool) -> None:
    """Later ones warn, and run nothing."""
    program = {"it": job(wait_for="ended", on_failure="keep" if keep else "release")}
    ending(stack, cloud, "failed", keep=keep)
    with pytest.raises(VerbError, match=r"failed.*change `triggers`"):
        stack.up(program)
    assert outputs(stack)["status"] == "failed"
    cloud.clear_requests()
    stack.up(program)  # the engine calls update, because the last one ended with an error
    stack.state["it"].init_error = None
    assert stack.preview(program) == {"it": "same"}
    stack.up(program, refresh=True)
    assert not cloud.mutations


def test_an_up_that_was_cut_off_while_it_waited_goes_on_waiting(stack: Stack, cloud: FakeMithril) -> None:
    """And fails once, where the job fails then."""
    program = {"it": job(wait_for="ended", timeout=60.0)}
    with pytest.raises(VerbError, match="the job is not ended"):
        stack.up(program)
    ending(stack, cloud, "failed")
    with pytest.raises(VerbError, match="failed"):
        stack.up(program)
    stack.up(program)
    assert outputs(stack)["status"] == "failed"
    assert len(cloud.bids) == 1


@pytest.mark.parametrize("keep", [False, True])
def test_a_refresh_that_sees_a_failure_leaves_it_to_the_up_that_waits(
    stack: Stack, cloud: FakeMithril, *, keep: bool
) -> None:
    """The `up` before was cut off by its time limit, and did not tell it."""
    program = {"it": job(wait_for="ended", timeout=30.0, on_failure="keep" if keep else "release")}
    with pytest.raises(VerbError, match="the job is not ended"):
        stack.up(program)
    end_job(cloud, stack.state["it"].id, "failed", keep=keep)
    stack.refresh()
    with pytest.raises(VerbError, match=r"failed; .*the service tells no exit code"):
        stack.up(program, refresh=True)
    stack.up(program, refresh=True)
    assert stack.preview(program) == {"it": "same"}


@pytest.mark.dynamic_host
def test_a_wait_that_ends_before_the_job_may_is_warned_of(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """The time limit of the program counts, as it writes it."""
    stack.preview({"it": job(max_price_per_hour=30.0, wait_for="ended", max_run_time_hours=5.0)})
    assert "waits for 30 minutes, and the job may run for 5 hours" in capsys.readouterr().err
    stack.preview({"it": job(max_price_per_hour=30.0, wait_for="ended", max_run_time_hours=5.0, __timeout="6h30m")})
    stack.preview({"it": job(max_price_per_hour=30.0, wait_for="ended", max_run_time_hours=0.5)})
    stack.preview({"it": job(max_price_per_hour=30.0, wait_for="running", max_run_time_hours=5.0)})
    assert not capsys.readouterr().err


@pytest.mark.dynamic_host
def test_no_wait_for_a_job_that_has_ended_is_warned_of(stack: Stack, cloud: FakeMithril, capsys: Any) -> None:
    """Nothing is left to wait for."""
    stack.up({"it": job(max_run_time_hours=5.0)})
    end_job(cloud, stack.state["it"].id, "succeeded")
    stack.refresh()
    capsys.readouterr()
    stack.preview({"it": job(wait_for="ended", max_run_time_hours=5.0)})
    assert "waits for 30 minutes" not in capsys.readouterr().err
    stack.preview({"it": job(wait_for="ended", max_run_time_hours=5.0, triggers=[1.0])})
    assert "waits for 30 minutes" in capsys.readouterr().err


def test_a_preempted_job_is_waited_for(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """The row says so, and how often it was."""
    program = {"it": job()}
    stack.up(program)
    cloud.preempt(stack.state["it"].id, notice_seconds=0)
    stack.refresh()
    assert outputs(stack)["status"] == "preempted"
    assert outputs(stack)["preemptions"] == 1
    ending(stack, cloud, "succeeded", after=6)
    waits = iter(range(3))
    clock = stack.clock
    assert clock is not None
    sleep = clock.sleep
    clock.sleep = lambda seconds: (sleep(seconds), next(waits, None) is None and release(cloud))  # type: ignore[method-assign]
    stack.up({"it": job(wait_for="ended")})
    assert outputs(stack)["status"] == "succeeded"
    assert any("preempted, waiting in the auction" in row for row in reports.rows)
    assert any("machines running, allocated at" in row and "preempted 1 time" in row for row in reports.rows)


def release(cloud: FakeMithril) -> None:
    for bid in cloud.live_bids:
        if bid["status"] == "Open":
            cloud.release(bid["fid"])


# -- budget, and what is only read -------------------------------------------------------------------------------------


def test_a_job_that_ended_does_not_count_against_the_budget(stack: Stack, cloud: FakeMithril) -> None:
    """Where the state says so; one that runs does."""
    stack.config["flow:maxCostPerHour"] = "100"
    program = {"it": job(), "trainer": cluster()}
    stack.up(program)
    larger = {**program, "more": cluster()}
    with pytest.raises(CheckError):
        stack.preview(larger)
    end_job(cloud, stack.state["it"].id, "succeeded")
    stack.refresh()
    assert stack.preview(larger)["more"] == "create"
    with pytest.raises(CheckError, match="this cluster can cost"):
        stack.preview({"it": job(triggers=[1.0]), **{name: larger[name] for name in ("trainer", "more")}})


def test_an_end_that_the_refresh_of_the_same_up_has_seen_counts(stack: Stack, cloud: FakeMithril) -> None:
    """For the budget, and for a price that would tell an end; the program has read the state before."""
    stack.config["flow:maxCostPerHour"] = "60"
    stack.up({"one": job()})
    end_job(cloud, stack.state["one"].id, "succeeded")
    stack.up({"one": job(max_price_per_hour=49.99), "two": job()}, refresh=True)
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["two"].id]


def test_a_kept_job_that_a_person_resumed_counts_again(stack: Stack, cloud: FakeMithril) -> None:
    """The refresh of the same `up` has seen it; it stays failed once it is paused or ended again."""
    stack.config["flow:maxCostPerHour"] = "60"
    kept = {"one": job(on_failure="keep")}
    stack.up(kept)
    id_ = stack.state["one"].id
    end_job(cloud, id_, "failed", keep=True)
    stack.refresh()
    cloud.update_bid(id_, paused=False)
    with pytest.raises(CheckError, match="exceeds the stack's budget"):
        stack.up({**kept, "two": job()}, refresh=True)
    assert outputs(stack, "one")["status_message"] == "failed; its bid was resumed, and its machines are billed"
    cloud.terminate(id_)
    stack.up({**kept, "two": job()}, refresh=True)
    assert outputs(stack, "one")["status"] == "failed"


def test_a_job_over_the_budget_is_called_a_job(stack: Stack) -> None:
    """In the message."""
    stack.config["flow:maxCostPerHour"] = "40"
    with pytest.raises(CheckError, match="this job can cost"):
        stack.preview({"it": job()})


def test_a_job_that_is_only_read_has_ended_too(stack: Stack, cloud: FakeMithril) -> None:
    """`Job.get` works for it; for what is not there it does not."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "succeeded")
    stack.operation()
    found = verbs.read(operation("read"), JOB, stack.state["it"].id, {})
    assert found is not None
    assert (found.outputs["status"], found.outputs["num_instances"], found.inputs) == ("succeeded", 1, {})
    assert "__job_key" not in found.outputs
    with pytest.raises(TerminatedError, match="there is no live job bid_999999"):
        verbs.read(operation("read"), JOB, "bid_999999", {})


# -- facts that are missing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"limit_price": None}, {"launch_specification": None}], ids=str)
def test_a_price_is_not_set_while_what_it_tells_cannot_be_read(
    stack: Stack, cloud: FakeMithril, body: dict[str, Any]
) -> None:
    """It may be the word of the machine, which an update would take away."""
    stack.up({"it": job()})
    id_ = stack.state["it"].id
    cloud.update_bid(id_, limit_price="$49.99")
    cloud.faults.add(method="GET", path=r"/v2/spot/bids", kind="alter", body=body, times=None)
    stack.refresh()
    with pytest.raises(VerbError, match="is not set: whether its machine has told by it how the job ended"):
        stack.up({"it": job(max_price_per_hour=60.0)})
    cloud.faults.clear()
    stack.up({"it": job(max_price_per_hour=60.0)})
    assert cloud.bid(id_)["limit_price"] == "$49.99"
    cloud.terminate(id_)
    stack.refresh()
    assert outputs(stack)["status"] == "succeeded"


@pytest.mark.parametrize("body", [{"limit_price": None}, {"launch_specification": None}], ids=str)
def test_a_job_that_is_kept_stays_failed_while_its_word_cannot_be_read(
    stack: Stack, cloud: FakeMithril, body: dict[str, Any]
) -> None:
    """Its bid is paused: no person has done that."""
    program = {"it": job(on_failure="keep")}
    stack.up(program)
    end_job(cloud, stack.state["it"].id, "failed", keep=True)
    stack.refresh()
    cloud.faults.add(method="GET", path=r"/v2/spot/bids", kind="alter", body=body, times=None)
    cloud.clear_requests()
    stack.refresh()
    assert (outputs(stack)["status"], outputs(stack)["__ended"]) == ("failed", "kept")
    stack.up({"it": job(on_failure="keep", max_price_per_hour=60.0)})
    assert not cloud.mutations


def test_a_job_that_has_ended_does_not_live_again_while_its_status_cannot_be_read(
    stack: Stack, cloud: FakeMithril
) -> None:
    """A bid ends for good."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "untold")
    stack.refresh()
    cloud.faults.add(method="GET", path=r"/v2/spot/bids", kind="alter", body={"status": None}, times=None)
    stack.refresh()
    assert (outputs(stack)["status"], outputs(stack)["__ended"]) == ("ended", "ended")


def test_a_name_that_the_service_does_not_say_is_not_free(stack: Stack, cloud: FakeMithril) -> None:
    """The bid that is listed under it may be the run of this job."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "succeeded")
    stack.state.clear()
    cloud.faults.add(method="GET", path=r"/v2/spot/bids$", kind="alter", body={"name": None}, times=None)
    with pytest.raises(VerbError, match="the service does not say whether the bid bid_000001 is 'it-"):
        stack.up({"it": job()})
    assert not cloud.live_bids


@pytest.mark.parametrize("path", ["/v2/api-keys$", "/v2/spot/bids"])
def test_a_key_without_a_name_and_that_of_a_bid_without_one_are_not_forgotten(
    stack: Stack, cloud: FakeMithril, path: str
) -> None:
    """The next refresh that can read it sees it."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "succeeded", revoke=False)
    cloud.faults.add(method="GET", path=path, kind="alter", body={"name": None}, times=None)
    stack.refresh()
    assert outputs(stack)["__job_key"]
    cloud.faults.clear()
    stack.refresh()
    stack.up({"it": job()})
    assert not live_keys(cloud)


@pytest.mark.parametrize("leave", [Stack.destroy, Stack.refresh])
def test_a_key_that_the_state_has_lost_is_not_forgotten(
    stack: Stack, cloud: FakeMithril, leave: Callable[[Stack], None]
) -> None:
    """A job that lives has one, unless its key is the user's own: a refresh looks for it, a destroy revokes it."""
    stack.up({"it": job()})
    del outputs(stack)["__job_key"]
    end_job(cloud, stack.state["it"].id, "succeeded", revoke=False)
    stack.up({"it": job()})
    leave(stack)
    if stack.state:
        stack.up({"it": job()})
    assert not live_keys(cloud)


def test_a_service_that_does_not_say_who_asks_leaves_the_key_in_the_record(
    stack: Stack, cloud: FakeMithril, reports: Reports
) -> None:
    """It may be another user's, whose keys no listing has."""
    stack.up({"it": job()})
    end_job(cloud, stack.state["it"].id, "succeeded")
    cloud.faults.add(method="GET", path="/v2/me$", kind="alter", body={"fid": None, "id": None}, times=None)
    stack.refresh()
    assert outputs(stack)["__job_key"]
    stack.destroy()
    assert any("of the job may be another user's" in row for row in reports.kept)


@pytest.mark.parametrize("work", [{"command": "python train.py"}, {"command": None, "script": "#!/bin/sh\ntrue\n"}])
def test_a_state_that_lost_what_runs_runs_nothing_again(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str], work: dict[str, Any]
) -> None:
    """Whether the program has changed it is not known: it is taken from the program."""
    stack.up({"it": job(**work)})
    id_ = stack.state["it"].id
    for bag in (stack.state["it"].inputs, outputs(stack)):
        for name in ("command", "script"):
            bag.pop(name, None)
    assert stack.preview({"it": job(**work)})["it"] != "replace"
    stack.up({"it": job(**work)})
    assert [bid["fid"] for bid in cloud.bids] == [id_]
    assert "the state does not record" in capsys.readouterr().err
    other = {"command": "python other.py"} if work["command"] else {"command": None, "script": "#!/bin/sh\nfalse\n"}
    assert stack.preview({"it": job(**other)})["it"] == "replace"
