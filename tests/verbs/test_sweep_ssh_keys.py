"""`flow-resources sweep` and SSH keys: what a cut-off `up` left is found, and no key of a live bid is deleted."""

from __future__ import annotations

import json

import pytest
from support import keys
from support.fake_backend import STACK, FakeStack

from flow_resources.cli import main
from flow_resources.cli.stacks import SelectedStack
from flow_resources.core.naming import Mark, compose
from flow_resources.core.stack_state import StackState
from flow_resources.testing import FakeMithril

NOW = ("--yes", "--min-age", "0")


def name(of: str = "me", owner: str = STACK) -> str:
    return compose(of, Mark.of(owner, of), "9c01d2", 1)


@pytest.fixture
def fake_stack(cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """The stack that the command opens."""
    stack = FakeStack({"flow:apiKey": cloud.key, "flow:apiUrl": cloud.url, "flow:project": cloud.project})
    monkeypatch.setattr(SelectedStack, "open", lambda *_: stack)
    return stack


def test_a_key_that_no_state_records_is_listed_and_deleted(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of others, and those without a mark, are not."""
    left = cloud.add_ssh_key(name(), keys.ed25519(1))["fid"]
    cloud.add_ssh_key("laptop", keys.ed25519(1))
    cloud.add_ssh_key(name(owner="somebody/else/dev"), keys.ed25519(2))
    assert main(["sweep"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["SSH", "KEY", "NAME", "AGE", "USED", "BY", "NOTE"]
    assert printed[1].split()[0] == left
    assert "In project demo with the mark of acme/training/dev and in no state: 1 SSH key." in printed
    assert main(["sweep", "--min-age", "0"]) == 1
    command = "`flow-resources sweep --yes --min-age 0` deletes the SSH keys that no live bid uses."
    assert command in capsys.readouterr().out
    assert main(["sweep", *NOW]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [f"deleting {left}", f"deleted {left}"]
    assert left not in [key["fid"] for key in cloud.ssh_keys]
    assert len(cloud.ssh_keys) == 2
    assert main(["sweep", *NOW]) == 0


@pytest.mark.parametrize("own", [True, False])
def test_a_recorded_key_is_none(cloud: FakeMithril, fake_stack: FakeStack, own: bool) -> None:
    """By this stack or by another one, which may use what this one made."""
    id_ = cloud.add_ssh_key(name(), keys.ed25519(1))["fid"]
    recording = StackState(ids=frozenset([id_]))
    if own:
        fake_stack.recorded = recording
    else:
        fake_stack.others = {"acme/training/prod": recording}
    assert main(["sweep", *NOW]) == 0
    assert len(cloud.ssh_keys) == 1


def test_the_key_of_a_live_bid_is_kept(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until that has ended; an orphaned bid ends first, in the same run."""
    id_ = cloud.add_ssh_key(name(), keys.ed25519(1))["fid"]
    theirs = cloud.add_bid("theirs", ssh_keys=[id_])["fid"]
    assert main(["sweep", *NOW, "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["ssh_keys"]
    assert (row["used_by"], row["outcome"]) == ([theirs], "kept")
    cloud.terminate(theirs)
    orphan = cloud.add_bid(name("c"), ssh_keys=[id_])["fid"]
    assert main(["sweep", *NOW]) == 1
    assert capsys.readouterr().out.splitlines()[-4:] == [
        f"ending {orphan}", f"ended {orphan}", f"deleting {id_}", f"deleted {id_}",
    ]  # fmt: skip
    assert not cloud.ssh_keys


def test_a_required_key_is_kept(cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]) -> None:
    """Each bid of the project would lose it."""
    id_ = cloud.add_ssh_key(name(), keys.ed25519(1), required=True)["fid"]
    assert main(["sweep", *NOW]) == 1
    assert f"kept {id_}: the project requires it of every bid" in capsys.readouterr().out


def test_the_rest_is_searched_where_the_keys_cannot_be_listed(
    cloud: FakeMithril, fake_stack: FakeStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bid costs money, a key does not; the exit code says that something is missing."""
    bid = cloud.add_bid(name("c"))["fid"]
    cloud.faults.add(method="GET", path="ssh-keys", status=403, times=None)
    assert main(["sweep", "--min-age", "0", "--json"]) == 2
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert [row["id"] for row in document["bids"]] == [bid]
    assert document["ssh_keys"] is None
    assert "list the SSH keys" in printed.err
