"""The lifecycle of an SSH key: one per content, and none is deleted that this stack did not make or that is in use."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from support import keys
from support.stack import (
    CheckError,
    Declared,
    FakeClock,
    Reports,
    SkippingClock,
    Stack,
    VerbError,
    cluster,
    settings_of,
    ssh_key,
)

from flow_resources.core.hidden import IS_OURS
from flow_resources.core.inputs import UNKNOWN
from flow_resources.core.public_keys import fingerprint, normalise
from flow_resources.lifecycle.ssh_key import SSH_KEY
from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts

KEY, OTHER = keys.ed25519(1), keys.ed25519(2)
BASE = {"me": ssh_key(KEY)}


def ids(cloud: FakeMithril) -> list[str]:
    """Return the ids of the project's keys."""
    return [key["fid"] for key in cloud.ssh_keys]


def delete(cloud: FakeMithril, id_: str) -> None:
    """Delete a key behind the stack's back."""
    answer = httpx.delete(f"{cloud.url}/v2/ssh-keys/{id_}", headers={"Authorization": f"Bearer {cloud.key}"})
    assert answer.status_code == 204


# -- making and using --------------------------------------------------------------------------------------------------


def test_a_key_is_made_recorded_and_deleted(stack: Stack, cloud: FakeMithril) -> None:
    """With its outputs, and without a change at the next `up` or refresh."""
    stack.up(BASE)
    (key,) = cloud.ssh_keys
    outputs = stack.state["me"].outputs
    assert (outputs["ssh_key_id"], outputs["key_name"]) == (key["fid"], key["name"])
    assert key["public_key"] == outputs["public_key"] == normalise(KEY)
    assert outputs["fingerprint"] == fingerprint(normalise(KEY))
    assert (outputs["project"], outputs["created_at"], outputs[IS_OURS]) == (cloud.project_id, key["created_at"], True)
    assert key["name"].startswith("me-")
    cloud.clear_requests()
    assert stack.preview(BASE) == {"me": "same"}
    assert not cloud.requests
    stack.refresh()
    assert stack.preview({"me": ssh_key(f"{normalise(KEY)} another comment")}) == {"me": "same"}
    stack.destroy()
    assert not cloud.ssh_keys


def test_a_key_of_the_same_content_is_used_and_stays(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """Whatever its comment and its name; the row and a destroy say so."""
    theirs = cloud.add_ssh_key("alice", f"{normalise(KEY)} alice@desk")
    stack.preview(BASE)
    assert reports.kept == [f"an `up` uses the SSH key 'alice' ({theirs['fid']}), which the project has"]
    stack.up(BASE)
    assert stack.state["me"].id == theirs["fid"]
    assert stack.state["me"].outputs["key_name"] == "alice"
    assert stack.state["me"].outputs[IS_OURS] is False
    assert "a destroy leaves it there" in reports.kept[-1]
    stack.refresh()
    assert stack.preview(BASE) == {"me": "same"}
    cloud.clear_requests()
    stack.destroy()
    assert ids(cloud) == [theirs["fid"]]
    assert not cloud.mutations
    assert reports.kept[-1] == (
        f"the SSH key 'alice' ({theirs['fid']}) stays in the project: this stack did not make it; "
        f"`flow ssh-key delete {theirs['fid']}` deletes it"
    )


def test_of_several_keys_the_oldest_is_used(stack: Stack, cloud: FakeMithril) -> None:
    """The same one in every `up`, whatever the order of the listing."""
    first, _ = (cloud.add_ssh_key(name, KEY) for name in ("first", "second"))
    stack.up(BASE)
    assert stack.state["me"].id == first["fid"]


def test_two_resources_with_one_key_are_refused(stack: Stack, cloud: FakeMithril) -> None:
    """Either could delete the key of the other; the failure names the one that has it."""
    with pytest.raises(CheckError) as failed:
        stack.preview({"me": ssh_key(KEY), "myself": ssh_key(f"{normalise(KEY)} other comment")})
    assert failed.value.failures == {"": "public_key is that of the SshKey 'me' already: use that one for both"}
    assert not cloud.ssh_keys
    stack.up({"me": ssh_key(KEY), "other": ssh_key(OTHER)})
    assert len(cloud.ssh_keys) == 2


def test_no_key_is_made_beside_one_whose_content_is_not_known(stack: Stack, cloud: FakeMithril) -> None:
    """It can be the same; the next `up`, which can read it, uses it."""
    theirs = cloud.add_ssh_key("alice", KEY)
    row: dict[str, Any] = {**theirs, "public_key": None}
    cloud.faults.add(method="GET", path="ssh-keys", status=200, body=[row], when="before", times=None)
    with pytest.raises(VerbError, match=f"does not say the public key of the SSH key {theirs['fid']}"):
        stack.up(BASE)
    cloud.faults.clear()
    stack.up(BASE)
    assert ids(cloud) == [stack.state["me"].id] == [theirs["fid"]]


def test_a_key_that_the_program_removes_is_not_ended_by_its_new_name_in_doubt(stack: Stack, cloud: FakeMithril) -> None:
    """The create of the new name fails before the delete of the old one."""
    stack.up(BASE)
    row: dict[str, Any] = {**cloud.ssh_keys[0], "public_key": None}
    cloud.faults.add(method="GET", path="ssh-keys", status=200, body=[row], when="before", times=None)
    with pytest.raises(VerbError):
        stack.up({"renamed": ssh_key(KEY)})
    assert len(cloud.ssh_keys) == 1


def test_an_unknown_key_passes_the_preview(stack: Stack) -> None:
    """As that of a resource that the same `up` makes."""
    assert stack.preview({"me": Declared("SshKey", {"public_key": UNKNOWN})}) == {"me": "create"}


@pytest.mark.parametrize("text", keys.PRIVATE.values(), ids=keys.PRIVATE)
def test_a_private_key_is_refused_and_repeated_nowhere(
    stack: Stack, cloud: FakeMithril, reports: Reports, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Also where a host hands it to check: no failure, no path, no row, no request and no state holds any of it."""
    with pytest.raises(CheckError) as failed:
        stack.up({"me": ssh_key(text)})
    assert set(failed.value.failures) == {""}  # a host prints the value at the path of a failure
    printed = capsys.readouterr()
    said = f"{failed.value}{reports}{vars(reports)}{printed.out}{printed.err}{[one.body for one in cloud.requests]}"
    assert "CANARY" not in said
    assert not cloud.mutations
    assert not stack.state


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_name_can_be_chosen_and_changes_nothing_later(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service renames no key: that is said, and no refresh undoes it."""
    stack.up({"me": ssh_key(KEY, key_name="laptop")})
    assert [key["name"] for key in cloud.ssh_keys] == ["laptop"]
    stack.refresh()
    renamed = {"me": ssh_key(KEY, key_name="desk")}
    cloud.clear_requests()
    assert stack.preview(renamed) == {"me": "same"}
    assert "the service renames no key" in capsys.readouterr().err
    stack.up(renamed)
    assert not cloud.mutations
    stack.up({"me": ssh_key(OTHER, key_name="desk", create_first=False)})
    assert [key["name"] for key in cloud.ssh_keys] == ["desk"]


def test_a_fixed_name_is_taken_from_the_old_key_delete_first(stack: Stack, cloud: FakeMithril) -> None:
    """In the other order two keys would have one name: the create refuses, and the old key stays."""
    stack.up({"me": ssh_key(KEY, key_name="laptop", create_first=False)})
    (first,) = ids(cloud)
    with pytest.raises(VerbError, match="'laptop' is the name of another key of the project"):
        stack.up({"me": ssh_key(OTHER, key_name="laptop", create_first=True)})
    assert ids(cloud) == [first]
    stack.up({"me": ssh_key(OTHER, key_name="laptop", create_first=False)})
    assert ids(cloud) == [stack.state["me"].id] != [first]


@pytest.mark.parametrize("create_first", [False, True])
def test_a_name_that_another_key_has_is_refused(stack: Stack, cloud: FakeMithril, create_first: bool) -> None:
    """At preview, and by an `up` for which somebody was quicker: `ssh_keys` could not tell the two apart."""
    taken = cloud.add_ssh_key("laptop", OTHER)
    with pytest.raises(CheckError) as failed:
        stack.preview({"me": ssh_key(KEY, key_name="laptop", create_first=create_first)})
    assert taken["fid"] in failed.value.failures["key_name"]
    cloud.faults.add(method="POST", path="ssh-keys", status=409, body={"detail": "name already used"}, when="before")
    with pytest.raises(VerbError, match="name already used"):
        stack.up({"me": ssh_key(KEY, key_name="free", create_first=create_first)})
    assert ids(cloud) == [taken["fid"]]


def test_a_fixed_name_whose_key_has_the_same_content_is_used(stack: Stack, cloud: FakeMithril) -> None:
    """It is the key that is meant."""
    theirs = cloud.add_ssh_key("laptop", KEY)
    stack.up({"me": ssh_key(KEY, key_name="laptop")})
    assert ids(cloud) == [stack.state["me"].id] == [theirs["fid"]]
    assert stack.state["me"].outputs[IS_OURS] is False


# -- replacing ---------------------------------------------------------------------------------------------------------


def test_another_key_makes_the_new_one_first(stack: Stack, cloud: FakeMithril) -> None:
    """Then the old one is deleted."""
    stack.up(BASE)
    first = stack.state["me"].id
    cloud.clear_requests()
    changed = {"me": ssh_key(OTHER)}
    assert stack.preview(changed) == {"me": "replace"}
    stack.up(changed)
    assert ids(cloud) == [stack.state["me"].id] != [first]
    assert [request.method for request in cloud.mutations] == ["POST", "DELETE"]
    assert stack.state["me"].outputs[IS_OURS] is True


def test_a_replacement_that_is_asked_for_keeps_the_key_in_the_create_first_order(
    stack: Stack, cloud: FakeMithril
) -> None:
    """The new record has the key of the old one, is still its maker, and the delete of the old one keeps it."""
    stack.up(BASE)
    (first,) = ids(cloud)
    stack.up(BASE, force={"me"})
    assert ids(cloud) == [stack.state["me"].id] == [first]
    assert stack.state["me"].outputs[IS_OURS] is True
    stack.destroy()
    assert not cloud.ssh_keys


def test_a_resource_with_a_new_name_takes_the_key_along(stack: Stack, cloud: FakeMithril) -> None:
    """The old record does not delete what the new one has, and the stack, which made the key, deletes it in the end."""
    stack.up(BASE)
    (first,) = ids(cloud)
    stack.up({"renamed": ssh_key(KEY)})
    assert ids(cloud) == [stack.state["renamed"].id] == [first]
    stack.destroy()
    assert not cloud.ssh_keys


# -- lost answers, and whose it is -------------------------------------------------------------------------------------


def lose_the_key(stack: Stack, cloud: FakeMithril, program: dict[str, Declared]) -> str:
    """Run an `up` that makes the key and records nothing."""
    reset: dict[str, Any] = {"kind": "reset", "when": "before", "times": None}
    cloud.faults.add(
        method="POST", path="ssh-keys", kind="reset", when="after", then=lambda _: cloud.faults.add(**reset)
    )
    with pytest.raises(VerbError):
        stack.up(program)
    cloud.faults.clear()
    (id_,) = ids(cloud)
    assert not stack.state
    return id_


def test_a_key_of_a_lost_answer_is_found_again_as_ours(stack: Stack, cloud: FakeMithril) -> None:
    """By the mark in its name."""
    lost = lose_the_key(stack, cloud, BASE)
    stack.up(BASE)
    assert ids(cloud) == [stack.state["me"].id] == [lost]
    stack.destroy()
    assert not cloud.ssh_keys


def test_a_lost_answer_within_one_up_makes_one_key(stack: Stack, cloud: FakeMithril) -> None:
    """What a lost request made is looked for before another is sent."""
    cloud.faults.add(method="POST", path="ssh-keys", kind="reset", when="after")
    stack.up(BASE)
    assert ids(cloud) == [stack.state["me"].id]
    assert stack.state["me"].outputs[IS_OURS] is True


def test_a_lost_key_with_a_fixed_name_is_used_and_stays(stack: Stack, cloud: FakeMithril) -> None:
    """Nothing tells who made it."""
    lost = lose_the_key(stack, cloud, {"me": ssh_key(KEY, key_name="laptop")})
    stack.up({"me": ssh_key(KEY, key_name="laptop")})
    stack.destroy()
    assert ids(cloud) == [lost]


def not_known(stack: Stack, cloud: FakeMithril, lost: str, reports: Reports) -> None:
    """Hold that the key is used, that this stack is not known to be its maker, and that it stays."""
    stack.up(BASE)
    assert stack.state["me"].id == lost
    assert IS_OURS not in stack.state["me"].outputs
    assert "whether this stack made it is not known" in reports.kept[-1]
    stack.refresh()
    assert IS_OURS not in stack.state["me"].outputs
    stack.destroy()
    assert ids(cloud) == [lost]
    assert "whether this stack made it is not known; `flow ssh-key delete" in reports.kept[-1]


def test_a_lost_key_whose_owner_is_shared_is_not_known_to_be_ours(
    cloud: FakeMithril, clock: FakeClock, reports: Reports
) -> None:
    """On a self-managed backend another person's stack can have the same mark."""
    stack = Stack(settings_of(cloud), owner="organization/training/dev", clock=clock)
    not_known(stack, cloud, lose_the_key(stack, cloud, BASE), reports)


def test_an_old_key_with_our_mark_is_not_known_to_be_ours(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """A stack that was renamed, and whose backend is another one by now, can record it."""
    lost = lose_the_key(stack, cloud, BASE)
    cloud.clock.advance(timedelta(hours=25).total_seconds())
    not_known(stack, cloud, lost, reports)


def test_a_new_name_makes_no_key_ours_that_was_not_known_to_be(stack: Stack, cloud: FakeMithril) -> None:
    """The state records the key, and does not record it as made here."""
    lost = lose_the_key(stack, cloud, BASE)
    cloud.clock.advance(timedelta(hours=25).total_seconds())
    stack.up(BASE)
    stack.up({"renamed": ssh_key(KEY)})
    assert IS_OURS not in stack.state["renamed"].outputs
    stack.destroy()
    assert ids(cloud) == [lost]


@pytest.mark.dynamic_host
def test_a_key_is_not_known_to_be_ours_where_other_states_cannot_be_read(
    stack: Stack, cloud: FakeMithril, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them may record it."""
    from support.stack import ModelBackend

    lost = lose_the_key(stack, cloud, BASE)
    monkeypatch.setattr(ModelBackend, "stack_names", lambda *_: None)
    not_known(stack, cloud, lost, reports)


def test_a_key_that_another_stack_records_is_not_ours(stack: Stack, cloud: FakeMithril) -> None:
    """As after `pulumi stack rename`: its mark is that of this stack's name."""
    stack.up(BASE)
    (id_,) = ids(cloud)
    stack.other_states["acme/training/renamed"] = stack.export()
    stack.state.clear()
    stack.up(BASE)
    assert stack.state["me"].id == id_
    assert stack.state["me"].outputs[IS_OURS] is False
    stack.destroy()
    assert ids(cloud) == [id_]


def test_a_double_of_a_lost_answer_is_deleted(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """A listing that lags behind lets a second request be sent: the older key counts."""
    cloud.faults.add(method="POST", path="ssh-keys", status=500, when="after")
    cloud.faults.add(method="GET", path="ssh-keys", nth=4, times=3, status=200, body=[], when="before")
    stack.up(BASE)
    assert [request.method for request in cloud.mutations] == ["POST", "POST", "DELETE"]
    (key,) = cloud.ssh_keys
    assert stack.state["me"].id == key["fid"] < cloud.mutations[-1].path.rpartition("/")[2]
    assert "which a request with a lost answer had made as well" in reports.kept[-1]


# -- refreshing --------------------------------------------------------------------------------------------------------


def test_a_key_that_is_gone_leaves_the_state(stack: Stack, cloud: FakeMithril) -> None:
    """And the next `up` makes it anew."""
    stack.up(BASE)
    delete(cloud, stack.state["me"].id)
    stack.refresh()
    assert not stack.state
    stack.up(BASE)
    assert ids(cloud) == [stack.state["me"].id]


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "malformed"}, {"body": {"data": [], "next_cursor": "x"}}])
def test_no_answer_without_proof_takes_it_out_of_the_state(
    stack: Stack, cloud: FakeMithril, fault: dict[str, Any]
) -> None:
    """An error, no listing, half a listing."""
    stack.up(BASE)
    cloud.faults.add(method="GET", path="ssh-keys", times=None, **{"status": 200, **fault})
    with pytest.raises(VerbError):
        stack.refresh()
    assert stack.state["me"].id


def test_one_empty_listing_is_not_proof(stack: Stack, cloud: FakeMithril) -> None:
    """A second one, which begins later, has to say the same."""
    stack.up(BASE)
    cloud.faults.add(method="GET", path="ssh-keys", status=200, body=[], when="before")
    stack.refresh()
    assert stack.state["me"].id in ids(cloud)


def test_another_content_is_a_warning(stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody else could log in with it; nothing is replaced by itself."""
    stack.up(BASE)
    row = {**cloud.ssh_keys[0], "public_key": OTHER}
    cloud.faults.add(method="GET", path="ssh-keys", status=200, body=[row], when="before")
    stack.refresh()
    assert "has another public key than the program says" in capsys.readouterr().err
    assert stack.preview(BASE) == {"me": "same"}


# -- deleting ----------------------------------------------------------------------------------------------------------


def test_a_key_in_use_is_kept_until_the_bids_have_ended(cloud: FakeMithril, clock: FakeClock, reports: Reports) -> None:
    """The row names them, and says of which stack they are; nobody loses the way to a machine."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up(BASE)
    theirs = cloud.add_bid("theirs", ssh_keys=[stack.state["me"].id])
    cloud.clear_requests()
    with pytest.raises(VerbError) as refused:
        stack.destroy()
    assert f"could not be deleted: used by {theirs['fid']} (theirs)" in str(refused.value)
    assert f"waiting: used by {theirs['fid']}" in reports.rows
    assert not cloud.mutations
    assert stack.state
    clock.on_sleep = lambda: cloud.terminate(theirs["fid"])
    stack.destroy()
    assert not cloud.ssh_keys


def test_a_bid_that_loses_its_machines_meanwhile_uses_its_keys(
    cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing asks for one status after the other: what goes back to the auction in between is in none of them."""
    clock = SkippingClock()
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up(BASE)
    theirs = cloud.add_bid("theirs", ssh_keys=[stack.state["me"].id])
    cloud.clear_requests()
    cloud.faults.add(
        method="GET", path="/v2/spot/bids$", nth=1, then=lambda _: cloud.preempt(theirs["fid"], notice_seconds=0)
    )
    statuses = []

    def end(seconds: float) -> None:
        statuses.append(cloud.bid(theirs["fid"])["status"])
        cloud.terminate(theirs["fid"])

    monkeypatch.setattr(clock, "sleep", end)
    stack.destroy()
    assert statuses == ["Open"]
    assert [one.status for one in cloud.mutations] == [204]


def test_a_paused_bid_uses_its_keys(cloud: FakeMithril, clock: FakeClock) -> None:
    """It comes back with them."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up(BASE)
    stack.up({**BASE, "c": cluster(paused=True, ssh_keys=[stack.state["me"].id])})
    with pytest.raises(VerbError, match="used by bid_"):
        stack.up({"c": cluster(paused=True, ssh_keys=[stack.state["me"].id])})
    assert len(cloud.ssh_keys) == 1


def test_a_bid_that_does_not_say_its_keys_may_use_it(cloud: FakeMithril, clock: FakeClock) -> None:
    """Not known is not "no"."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up(BASE)
    bid = {**cloud.add_bid("theirs"), "launch_specification": None}
    cloud.faults.add(method="GET", path="spot/bids", status=200, body={"data": [bid]}, when="before", times=None)
    cloud.clear_requests()
    with pytest.raises(VerbError, match="used by bid_"):
        stack.destroy()
    assert not cloud.mutations


def test_what_the_service_knows_to_use_it_is_waited_for(cloud: FakeMithril, clock: FakeClock) -> None:
    """Such as a reservation, which no listing of bids has."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up(BASE)
    cloud.faults.add(
        method="DELETE",
        path="ssh-keys",
        status=400,
        body={"detail": "SSH key is in use by res_1"},
        when="before",
        times=3,
    )
    stack.destroy()
    assert not cloud.ssh_keys


def test_a_key_that_the_project_requires_by_now_is_not_deleted(stack: Stack, cloud: FakeMithril) -> None:
    """Each bid of each person has it: who made that rule has to take it back."""
    stack.up(BASE)
    (id_,) = ids(cloud)
    headers = {"Authorization": f"Bearer {cloud.key}"}
    httpx.patch(f"{cloud.url}/v2/ssh-keys/{id_}", json={"required": True}, headers=headers).raise_for_status()
    with pytest.raises(VerbError, match="requires of every bid by now"):
        stack.destroy()
    assert ids(cloud) == [id_]


def test_a_key_with_another_name_or_none_is_not_deleted(stack: Stack, cloud: FakeMithril) -> None:
    """It is not the recorded one, or that is not known."""
    stack.up(BASE)
    row = cloud.ssh_keys[0]
    for name, said in (("other", "is named 'other' but the state records"), (None, "does not say the name")):
        cloud.faults.add(method="GET", path="ssh-keys", status=200, body=[{**row, "name": name}], when="before")
        with pytest.raises(VerbError, match=said):
            stack.destroy()
    assert cloud.ssh_keys


def test_a_key_that_is_gone_already_counts_as_deleted(stack: Stack, cloud: FakeMithril) -> None:
    """Also where the listing still has it."""
    stack.up(BASE)
    row = dict(cloud.ssh_keys[0])
    delete(cloud, row["fid"])
    cloud.faults.add(method="GET", path="ssh-keys", status=200, body=[row], when="before")
    stack.destroy()
    assert not stack.state


@pytest.mark.parametrize("recorded", [None, "true", 1.0])
def test_what_is_not_readably_recorded_as_ours_stays(stack: Stack, cloud: FakeMithril, recorded: Any) -> None:
    """A state that was edited, or that an older version wrote."""
    stack.up(BASE)
    stack.state["me"].outputs[IS_OURS] = recorded
    stack.destroy()
    assert len(cloud.ssh_keys) == 1


# -- clusters ----------------------------------------------------------------------------------------------------------


def test_a_cluster_has_the_keys_that_it_names_by_id(stack: Stack, cloud: FakeMithril) -> None:
    """And is not replaced where the program names the same key in another way."""
    stack.up(BASE)
    id_ = stack.state["me"].id
    program = {**BASE, "c": cluster(ssh_keys=[id_])}
    stack.up(program)
    assert cloud.live_bids[0]["launch_specification"]["ssh_keys"] == [id_]
    assert stack.preview({**BASE, "c": cluster(ssh_keys=[cloud.ssh_keys[0]["name"]])})["c"] == "same"
    stack.destroy()
    assert not cloud.ssh_keys
    assert not cloud.live_bids


def test_it_holds_nothing_of_a_quota() -> None:
    """A key costs nothing."""
    assert SSH_KEY.claim(None, None) is None  # type: ignore[arg-type]
