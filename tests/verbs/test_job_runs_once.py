"""A job that ran and ended while nobody looked is not run a second time by an `up` whose first answer was lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from faults.matrix import KillableStack, KilledError
from support.jobs import end_job, live_keys
from support.stack import Reports, SkippingClock, VerbError, job, settings_of

from flow_resources.cloud import Cloud
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

BIDS = "/v2/spot/bids$"


@pytest.fixture
def killable(cloud: FakeMithril) -> Iterator[KillableStack]:
    """A stack whose plugin can be killed."""
    yield KillableStack(settings_of(cloud), clock=SkippingClock())
    base.current().close()


def lose(stack: KillableStack, cloud: FakeMithril, **inputs: Any) -> str:
    """Place a job that no state records, because the plugin is killed; return the id of its bid."""
    cloud.faults.add(method="POST", path=BIDS, kind="reset", when="after", then=lambda _: stack.crash(cloud))
    with pytest.raises(KilledError):
        stack.up({"it": job(**inputs)})
    stack.crashed = False
    cloud.faults.clear()
    assert not stack.state
    (bid,) = cloud.live_bids
    return str(bid["fid"])


def update(minutes: float, **changes: int) -> dict[str, Any]:
    """Return a row of the history: an update that began so many minutes from now."""
    started = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    ended = started + timedelta(minutes=10)
    times = {"startTime": f"{started:%Y-%m-%dT%H:%M:%S.000Z}", "endTime": f"{ended:%Y-%m-%dT%H:%M:%S.000Z}"}
    return {"kind": "update", **times, "result": "failed", "resourceChanges": changes}


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_a_run_whose_answer_was_lost_is_recorded_as_done(
    killable: KillableStack, cloud: FakeMithril, reports: Reports, outcome: str
) -> None:
    """Nothing runs, and the row says so, with what runs it again."""
    id_ = lose(killable, cloud)
    end_job(cloud, id_, outcome)
    killable.history = [update(-9, create=1, delete=2)]  # what that update deleted beside it is no end of the job
    cloud.clear_requests()
    killable.up({"it": job()})
    assert (killable.state["it"].id, killable.state["it"].outputs["status"]) == (id_, outcome)
    assert not [one for one in cloud.mutations if "bids" in one.path]
    assert any(f"ran already and {outcome}" in row and "change `triggers`" in row for row in reports.kept)
    assert killable.preview({"it": job()}) == {"it": "same"}
    killable.up({"it": job(triggers=[1.0])})
    assert [bid["fid"] for bid in cloud.live_bids] == [killable.state["it"].id]


def test_a_run_in_another_of_its_placements_is_recorded_as_done(killable: KillableStack, cloud: FakeMithril) -> None:
    """The market moved since, and the `up` after it would choose another one: the job ran all the same."""
    listed = [
        {"instance_type": "8xh100", "region": "us-central5-a"},
        {"instance_type": "8xa100", "region": "us-central1-b"},
    ]
    inputs: dict[str, Any] = {"instance_type": None, "region": None, "placements": listed}
    id_ = lose(killable, cloud, **inputs)
    assert cloud.bid(id_)["region"] == "us-central5-a"
    end_job(cloud, id_, "succeeded")
    killable.history = [update(-9, create=1)]
    cloud.set_price("8xh100", "us-central5-a", 60.0)
    killable.up({"it": job(**inputs)})
    assert (killable.state["it"].id, killable.state["it"].outputs["status"]) == (id_, "succeeded")
    assert len(cloud.bids) == 1
    assert killable.preview({"it": job(**inputs)}) == {"it": "same"}
    killable.up({"it": job(**inputs, triggers=[1.0])})
    assert [bid["region"] for bid in cloud.live_bids] == ["us-central1-b"]


def test_a_run_that_failed_fails_the_up_that_waits_for_it_once(killable: KillableStack, cloud: FakeMithril) -> None:
    """It is recorded as failed."""
    end_job(cloud, lose(killable, cloud, wait_for="ended"), "failed")
    with pytest.raises(VerbError, match="failed"):
        killable.up({"it": job(wait_for="ended")})
    killable.up({"it": job(wait_for="ended")})
    assert len(cloud.bids) == 1


def test_a_run_that_still_lives_is_taken_over(killable: KillableStack, cloud: FakeMithril) -> None:
    """With the key that its machine has."""
    id_ = lose(killable, cloud)
    killable.up({"it": job()})
    assert killable.state["it"].id == id_
    assert len(live_keys(cloud)) == 1
    killable.destroy()
    assert not live_keys(cloud)


def test_a_run_that_still_lives_is_taken_over_with_its_key(killable: KillableStack, cloud: FakeMithril) -> None:
    """Also where the program has a key of its own by now: that of the machine is another one."""
    lose(killable, cloud)
    killable.up({"it": job(machine_api_key="fkey_mine")})
    killable.destroy()
    assert not live_keys(cloud)


def test_a_bid_that_ended_and_told_nothing_is_no_run(killable: KillableStack, cloud: FakeMithril) -> None:
    """A person ended it: the job is due."""
    end_job(cloud, lose(killable, cloud), "untold")
    killable.up({"it": job()})
    assert [bid["fid"] for bid in cloud.live_bids] == [killable.state["it"].id]


def test_a_run_that_was_destroyed_since_runs_again(killable: KillableStack, cloud: FakeMithril) -> None:
    """What our own delete ended, and forgot, is due."""
    killable.up({"it": job()})
    end_job(cloud, killable.state["it"].id, "succeeded")
    killable.refresh()
    killable.destroy()
    killable.history = [update(1, delete=1), update(-9, create=1)]
    killable.up({"it": job()})
    assert [bid["fid"] for bid in cloud.live_bids] == [killable.state["it"].id]
    assert len(cloud.bids) == 2


def test_a_run_of_another_person_that_this_stack_destroyed_since_runs_again(
    killable: KillableStack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever it was of: people who share a stack on a self-managed backend take turns."""
    killable.owner = "organization/training/dev"
    killable.up({"it": job()})
    end_job(cloud, killable.state["it"].id, "succeeded")
    killable.destroy()
    killable.history = [update(1, delete=1), update(-9, create=1)]
    monkeypatch.setattr(Cloud, "user", lambda _self: "user_of_another")
    killable.up({"it": job()})
    assert [bid["fid"] for bid in cloud.live_bids] == [killable.state["it"].id]


@pytest.mark.parametrize(
    "history",
    [[], [{**update(-9, create=1), "result": "succeeded"}]],
    ids=["the stack was removed, and made anew", "the destroy died before its end"],
)
def test_a_run_that_was_recorded_once_is_not_taken_for_a_lost_one(
    killable: KillableStack, cloud: FakeMithril, history: list[Any]
) -> None:
    """No create of this stack died, and no update failed in which it was placed."""
    killable.up({"it": job()})
    end_job(cloud, killable.state["it"].id, "succeeded")
    killable.destroy()
    killable.history = history
    with pytest.raises(VerbError, match="nothing was placed: to run it again, change `triggers`"):
        killable.up({"it": job()})
    assert not killable.state
    assert not cloud.live_bids


@pytest.mark.parametrize(
    "history",
    [lambda: None, lambda: [update(0, delete=1)], lambda: [{"resourceChanges": {"delete": 1}}], lambda: "nonsense"],
    ids=["unreadable", "too near to tell", "without a time", "nonsense"],
)
def test_where_it_is_not_known_nothing_is_placed(killable: KillableStack, cloud: FakeMithril, history: Any) -> None:
    """The error says what to type; new triggers run it in any case."""
    end_job(cloud, lose(killable, cloud), "succeeded")
    killable.history = history()
    cloud.clear_requests()
    with pytest.raises(VerbError, match=r"ran already and succeeded.*could not be found out: nothing was.*triggers"):
        killable.up({"it": job()})
    assert not cloud.mutations
    killable.up({"it": job(triggers=[1.0])})
    assert len(cloud.live_bids) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [(r"/v2/spot/bids$", {"limit_price": None}), (r"/v2/spot/bids/bid_\d+$", {"launch_specification": None})],
)
def test_where_how_it_ended_cannot_be_read_nothing_is_placed(
    killable: KillableStack, cloud: FakeMithril, path: str, body: dict[str, Any]
) -> None:
    """It may have told that it succeeded."""
    end_job(cloud, lose(killable, cloud), "succeeded")
    cloud.faults.add(method="GET", path=path, kind="alter", body=body, times=None)
    with pytest.raises(VerbError, match=r"ran already and ended, and how could not be read.*nothing was placed"):
        killable.up({"it": job()})
    assert not cloud.live_bids
    cloud.faults.clear()
    killable.up({"it": job()})
    assert killable.state["it"].outputs["status"] == "succeeded"


def test_a_state_that_cannot_be_read_places_nothing(
    killable: KillableStack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it records the run is not known."""
    end_job(cloud, lose(killable, cloud), "succeeded")
    monkeypatch.setattr(KillableStack, "export", lambda _self: None)
    with pytest.raises(VerbError, match="nothing was placed"):
        killable.up({"it": job()})
    assert not cloud.live_bids


SECRET = {"env": {"TOKEN": "hf_1"}}


def test_a_run_of_a_colleague_on_the_same_stack_is_not_run_again_unseen(
    killable: KillableStack, cloud: FakeMithril
) -> None:
    """The secrets of the two runs cannot be compared: the digest in the name is keyed with the colleague's API key."""
    lost = lose(killable, cloud, **SECRET)
    end_job(cloud, lost, "succeeded")
    killable.history = [update(-9, create=1)]
    cloud.add_key("colleague", [cloud.project])
    killable.config["flow:apiKey"] = "colleague"
    cloud.clear_requests()
    with pytest.raises(
        VerbError, match=r"ran already and succeeded.*nothing was placed: to run it again, change `trig"
    ):
        killable.up({"it": job(**SECRET)})
    assert not [one for one in cloud.mutations if "bids" in one.path]
    assert len([one for one in cloud.requests if one.path.endswith(f"/bids/{lost}")]) <= 1
    killable.up({"it": job(triggers=[1.0], **SECRET)})
    assert len(cloud.live_bids) == 1


def test_a_run_of_a_colleague_that_was_destroyed_since_runs_again(killable: KillableStack, cloud: FakeMithril) -> None:
    """The history of the stack says that it was."""
    killable.up({"it": job(**SECRET)})
    end_job(cloud, killable.state["it"].id, "succeeded")
    killable.destroy()
    killable.history = [update(1, delete=1), update(-9, create=1)]
    cloud.add_key("colleague", [cloud.project])
    killable.config["flow:apiKey"] = "colleague"
    killable.up({"it": job(**SECRET)})
    assert len(cloud.live_bids) == 1


@pytest.mark.parametrize("create_first", [False, True])
def test_a_replacement_that_is_asked_for_runs_a_recorded_job_again(
    killable: KillableStack, cloud: FakeMithril, *, create_first: bool
) -> None:
    """The state records the run: no history is asked."""
    killable.up({"it": job(create_first=create_first)})
    end_job(cloud, killable.state["it"].id, "succeeded")
    killable.refresh()
    killable.history = None
    killable.up({"it": job(create_first=create_first)}, force={"it"})
    assert [bid["fid"] for bid in cloud.live_bids] == [killable.state["it"].id]


def test_a_replacement_whose_answer_was_lost_is_not_run_twice(killable: KillableStack, cloud: FakeMithril) -> None:
    """The new run ended meanwhile: it is recorded in place of the old one."""
    killable.up({"it": job()})
    end_job(cloud, killable.state["it"].id, "succeeded")
    killable.refresh()
    cloud.faults.add(method="POST", path=BIDS, kind="reset", when="after", then=lambda _: killable.crash(cloud))
    with pytest.raises(KilledError):
        killable.up({"it": job()}, force={"it"})
    killable.crashed = False
    cloud.faults.clear()
    (second,) = cloud.live_bids
    end_job(cloud, second["fid"], "succeeded")
    killable.history = [update(-9, create=1)]
    killable.up({"it": job()}, force={"it"})
    assert len(cloud.bids) == 2
    assert killable.state["it"].id == second["fid"]


def test_the_run_of_another_person_is_neither_recorded_nor_run_again(
    killable: KillableStack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a self-managed backend without flow:owner, two people's stacks can have one mark."""
    killable.owner = "organization/training/dev"
    end_job(cloud, lose(killable, cloud), "succeeded")
    monkeypatch.setattr(Cloud, "user", lambda _self: "user_of_another")
    with pytest.raises(VerbError, match="nothing was placed"):
        killable.up({"it": job()})
    assert not cloud.live_bids
