"""An update sends what its diff shows and nothing else, whatever somebody else has changed meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from support.stack import Reports, Stack, VerbError, cluster, volume

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts

Inputs = dict[str, Any]
PRICE, PAUSE, RESUME = {"limit_price": "$60.00"}, {"paused": True}, {"paused": False}
# What a cluster's diff holds beside its recorded inputs, and the requests of its update.
CLUSTER: list[tuple[Inputs, Inputs, list[Inputs]]] = [
    ({}, {"max_price_per_hour": 60.0}, [PRICE]),
    ({}, {"paused": True}, [PAUSE]),
    ({"paused": True}, {}, [RESUME]),
    ({"paused": True}, {"paused": True, "max_price_per_hour": 60.0}, [PRICE]),
    ({}, {"paused": True, "max_price_per_hour": 60.0}, [PRICE, PAUSE]),
    ({}, {"wait_for": "placed"}, []),
    ({"wait_for": "placed"}, {}, []),
    ({"wait_for": "placed"}, {"max_price_per_hour": 60.0}, [PRICE]),
    ({}, {"adopt_task_id": "bid_9"}, []),
    ({}, {}, []),
]
# What somebody else does to the bid after the first `up`.
ELSEWHERE: list[Inputs] = [{}, {"limit_price": "$70.00"}, {"paused": True}, {"limit_price": "$70.00", "paused": True}]


def bodies(cloud: FakeMithril) -> list[Any]:
    assert {request.method for request in cloud.mutations} <= {"PATCH"}
    return [request.body for request in cloud.mutations]


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=str)
@pytest.mark.parametrize(("recorded", "change", "requests"), CLUSTER, ids=str)
def test_an_update_of_a_cluster_sends_its_diff(
    stack: Stack, cloud: FakeMithril, recorded: Inputs, change: Inputs, requests: list[Inputs], elsewhere: Inputs
) -> None:
    """The outputs tell what is true; the next preview shows nothing, and the one after a refresh shows the drift."""
    if recorded.get("paused") and elsewhere.get("paused"):
        elsewhere = {**elsewhere, "paused": False}
    stack.up({"trainer": cluster(**recorded)})
    id_ = stack.state["trainer"].id
    if elsewhere:
        cloud.update_bid(id_, **elsewhere)
    live = {"paused": recorded.get("paused", False), "limit_price": "$50.00", **elsewhere}
    requests = [one for one in requests if "paused" not in one or one["paused"] != live["paused"]]  # it is so already
    cloud.clear_requests()
    program = {"trainer": cluster(**change)}
    is_update = stack.preview(program) == {"trainer": "update"}
    stack.up(program)
    assert bodies(cloud) == requests
    for one in requests:
        live |= one
    bid, outputs = cloud.bid(id_), stack.state["trainer"].outputs
    assert (bid["limit_price"], bid["status"] == "Paused") == (live["limit_price"], live["paused"])
    if is_update:
        assert f"${outputs['max_price_per_hour']:.2f}" == live["limit_price"]
        assert outputs["max_cost_per_hour"] == outputs["max_price_per_hour"]
        assert (outputs["paused"], outputs["status"] == "paused") == (live["paused"], live["paused"])
        assert outputs["preemptions"] == 0
    assert stack.preview(program) == {"trainer": "same"}
    stack.up(program)
    assert bodies(cloud) == requests
    stack.refresh()
    inputs = stack.state["trainer"].inputs
    wanted = {"limit_price": f"${change.get('max_price_per_hour', 50.0):.2f}", "paused": change.get("paused", False)}
    assert (f"${inputs['max_price_per_hour']:.2f}", inputs["paused"]) == (live["limit_price"], live["paused"])
    assert stack.preview(program) == {"trainer": "same" if live == wanted else "update"}
    cloud.clear_requests()
    stack.up(program)
    assert bodies(cloud) == [{name: wanted[name]} for name in ("limit_price", "paused") if live[name] != wanted[name]]


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize(
    ("change", "requests"),
    [
        ({"volume_name": "models"}, [{"name": "models"}]),
        ({"allow_replace": True}, []),
        ({"adopt_volume_id": "vol_9"}, []),
        ({"volume_name": "models", "allow_replace": True}, [{"name": "models"}]),
        ({}, []),
    ],
    ids=str,
)
def test_an_update_of_a_volume_sends_its_diff(
    stack: Stack, cloud: FakeMithril, change: Inputs, requests: list[Inputs], renamed: bool
) -> None:
    """Somebody else's name stays until a refresh shows it."""
    stack.up({"data": volume(volume_name="corpus")})
    if renamed:
        cloud.update_volume(stack.state["data"].id, name="theirs")
    cloud.clear_requests()
    program = {"data": volume(**{"volume_name": "corpus", **change})}
    is_update = stack.preview(program) == {"data": "update"}
    stack.up(program)
    assert bodies(cloud) == requests
    drifted = renamed and not requests
    if is_update:
        live = "theirs" if drifted else change.get("volume_name", "corpus")
        assert stack.state["data"].outputs["volume_name"] == live
    assert stack.preview(program) == {"data": "same"}
    stack.refresh()
    assert stack.preview(program) == {"data": "update" if drifted else "same"}
    stack.up(program)
    assert bodies(cloud) == requests + ([{"name": "corpus"}] if drifted else [])


def test_a_stronger_goal_does_not_wait_for_what_somebody_else_has_paused(
    stack: Stack, cloud: FakeMithril, reports: Reports
) -> None:
    """It would wait for ever: nothing of this `up` resumes it. The row says so."""
    stack.up({"trainer": cluster(wait_for="placed")})
    cloud.update_bid(stack.state["trainer"].id, paused=True)
    cloud.clear_requests()
    stack.up({"trainer": cluster()})
    assert not cloud.mutations
    assert stack.state["trainer"].outputs["status"] == "paused"
    assert any("paused, though the program does not say so" in line for line in reports.kept)


def test_what_the_program_ignores_is_never_sent(stack: Stack, cloud: FakeMithril) -> None:
    """Four machines are paused in the console, and the program changes the price."""
    ignored = ("paused",)
    stack.up({"trainer": cluster(num_instances=4, ignore_changes=ignored)})
    cloud.update_bid(stack.state["trainer"].id, paused=True)
    cloud.clear_requests()
    for price, refresh in ((60.0, False), (61.0, True), (62.0, False)):
        program = {"trainer": cluster(num_instances=4, max_price_per_hour=price, ignore_changes=ignored)}
        stack.up(program, refresh=refresh)
        assert stack.preview(program) == {"trainer": "same"}
    assert bodies(cloud) == [{"limit_price": f"${price}.00"} for price in (60, 61, 62)]
    assert cloud.live_bids[0]["status"] == "Paused"


@pytest.mark.parametrize("ignored", ["max_price_per_hour", "volume_name"])
def test_a_value_of_somebody_else_that_the_program_ignores_stays(
    stack: Stack, cloud: FakeMithril, ignored: str
) -> None:
    """Also where the update of another input has told it as an output."""
    volumes = [volume(volume_name="corpus", allow_replace=word, ignore_changes=(ignored,)) for word in (False, True)]
    clusters = [cluster(paused=word, ignore_changes=(ignored,)) for word in (False, True)]
    programs = [{"x": one} for one in (clusters if ignored == "max_price_per_hour" else volumes)]
    stack.up(programs[0])
    if ignored == "max_price_per_hour":
        cloud.update_bid(stack.state["x"].id, limit_price="$70.00")
    else:
        cloud.update_volume(stack.state["x"].id, name="theirs")
    cloud.clear_requests()
    for program in (programs[1], programs[0], programs[1]):
        stack.up(program)
        assert stack.preview(program) == {"x": "same"}
        stack.refresh()
    assert not [body for body in bodies(cloud) if "limit_price" in body or "name" in body]


def test_going_on_sends_all_that_differs_but_what_the_program_ignores(stack: Stack, cloud: FakeMithril) -> None:
    """A create that was not ready is not done: the next `up` brings the whole bid to what the program says."""
    for ignored, requests in ((), [PRICE, RESUME]), (("paused",), [PRICE]), (("*",), []):
        program = {"trainer": cluster(max_price_per_hour=60.0, timeout=0.1)}
        cloud.set_options(boot_seconds=3600)
        with pytest.raises(VerbError, match="0/1 machines running"):
            stack.up(program)
        cloud.update_bid(stack.state["trainer"].id, limit_price="$70.00", paused=True)
        cloud.clear_requests()
        cloud.set_options(boot_seconds=0)
        program["trainer"].ignore_changes = ignored
        stack.up(program)
        assert bodies(cloud) == requests
        stack.destroy()
