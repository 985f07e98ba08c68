"""When the command runs: what is placed for it, and clusters of older versions, which stay as they are."""

from __future__ import annotations

from typing import Any

import pytest
from support.stack import CheckError, Stack, cluster

from flow_resources.cloud.startup_script import has_command_unit
from flow_resources.testing import FakeMithril

ALONE = "its machines run the command at their first boot alone"


def script_of(cloud: FakeMithril) -> str:
    (bid,) = cloud.live_bids
    return str(bid["launch_specification"]["startup_script"])


def place_as_before(stack: Stack, **inputs: Any) -> None:
    """Place a cluster as a version without `run_on` did, which records none of the new inputs."""
    stack.up({"it": cluster(run_on="first_boot", **inputs)})
    for props in (stack.state["it"].inputs, stack.state["it"].outputs):
        for name in ("run_on", "restart", "preemption_signal"):
            props.pop(name, None)


@pytest.mark.parametrize(
    ("inputs", "is_installed"),
    [
        ({"command": "train"}, True),
        ({"command": ["train"], "restart": "always", "preemption_signal": "SIGUSR1"}, True),
        ({"command": "train", "run_on": "first_boot"}, False),
        ({}, False),
        ({"command": "sleep infinity"}, False),
        ({"image": "pytorch/pytorch"}, True),
        ({"image": "pytorch/pytorch", "run_on": "first_boot"}, False),
    ],
    ids=str,
)
def test_a_unit_is_installed_where_something_runs(
    stack: Stack, cloud: FakeMithril, inputs: dict[str, Any], is_installed: bool
) -> None:
    """The default command needs none; a container has to come back with it."""
    stack.up({"it": cluster(**inputs)})
    assert has_command_unit(script_of(cloud)) == is_installed


@pytest.mark.parametrize("name", ["restart", "preemption_signal"])
@pytest.mark.parametrize("beside", [{"run_on": "first_boot", "command": "train"}, {}], ids=str)
def test_what_needs_a_command_at_every_boot_is_refused_without(
    stack: Stack, cloud: FakeMithril, name: str, beside: dict[str, Any]
) -> None:
    """At preview, with its path."""
    value = {"restart": "always", "preemption_signal": "SIGUSR1"}[name]
    with pytest.raises(CheckError) as failed:
        stack.preview({"it": cluster(**beside, **{name: value})})
    assert list(failed.value.failures) == [name]
    assert "leave it out" in str(failed.value)


@pytest.mark.parametrize("value", ["SIGKILL", "SIGSTOP", "USR1", "sigusr1", "SIGNONE", "10"])
def test_a_signal_that_no_program_catches_is_refused(stack: Stack, cloud: FakeMithril, value: str) -> None:
    """The message lists those that one can."""
    with pytest.raises(CheckError, match="preemption_signal must be one of SIGUSR1, SIGUSR2, SIGTERM"):
        stack.preview({"it": cluster(command="train", preemption_signal=value)})


def test_a_cluster_of_an_older_version_is_not_replaced(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its row says what its machines do; an update of something else does not record what is not so."""
    place_as_before(stack, command="train")
    assert stack.preview({"it": cluster(command="train")}) == {"it": "same"}
    assert ALONE in capsys.readouterr().err
    (before,) = cloud.live_bids
    stack.up({"it": cluster(command="train", max_price_per_hour=61.0)})
    assert "run_on" not in stack.state["it"].inputs
    assert stack.preview({"it": cluster(command="train", max_price_per_hour=61.0)}) == {"it": "same"}
    assert [bid["fid"] for bid in cloud.live_bids] == [before["fid"]]
    assert not has_command_unit(script_of(cloud))


def test_what_replaces_it_anyway_gives_it_the_command_at_every_boot(stack: Stack, cloud: FakeMithril) -> None:
    """From then on the state says so."""
    place_as_before(stack, command="train")
    stack.up({"it": cluster(command="train --more")})
    assert stack.state["it"].inputs["run_on"] == "every_boot"
    assert has_command_unit(script_of(cloud))
    assert stack.preview({"it": cluster(command="train --more")}) == {"it": "same"}


def test_a_forced_replacement_gives_it_the_command_at_every_boot(stack: Stack, cloud: FakeMithril) -> None:
    """It is what the row says to type."""
    place_as_before(stack, command="train")
    stack.up({"it": cluster(command="train")}, force={"it"})
    assert stack.state["it"].inputs["run_on"] == "every_boot"
    assert has_command_unit(script_of(cloud))


def test_saying_what_it_does_already_changes_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """And a signal, which it cannot have, replaces it."""
    place_as_before(stack, command="train")
    assert stack.preview({"it": cluster(command="train", run_on="first_boot")}) == {"it": "same"}
    assert stack.preview({"it": cluster(command="train", preemption_signal="SIGUSR1")}) == {"it": "replace"}


def test_an_adopted_task_is_recorded_as_what_it_is(stack: Stack, cloud: FakeMithril) -> None:
    """Something else placed it, and no unit of ours is on its machines."""
    bid = cloud.add_bid("by-hand")
    program = {"it": cluster(num_instances=1, command="train", adopt_task_id=bid["fid"])}
    stack.up(program)
    assert stack.state["it"].id == bid["fid"]
    assert "run_on" not in stack.state["it"].inputs
    assert stack.preview(program) == {"it": "same"}
    other = cluster(num_instances=1, command="train", restart="always", adopt_task_id=cloud.add_bid("other")["fid"])
    with pytest.raises(CheckError, match="restart needs a command that runs at every boot, which the adopted task"):
        stack.preview({**program, "other": other})
