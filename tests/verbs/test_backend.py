"""What is read from the backend of Pulumi: a stack by its URN, and nothing if the stack is ambiguous."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_mock import MockerFixture
from support.stack import Reports

from flow_resources import backend

URN = "urn:pulumi:dev::training::pulumi-python:dynamic/flow:GpuCluster::it"


@pytest.fixture
def workspace(mocker: MockerFixture) -> Any:
    """A workspace whose stacks are set by the test; an export contains the name of its stack."""

    def run(command: list[str], *_: object) -> Any:
        return SimpleNamespace(stdout=json.dumps({"deployment": {"resources": [], "of": command[-1]}}))

    double = mocker.Mock(work_dir=".")
    double.pulumi_command.run.side_effect = run
    mocker.patch("pulumi.automation.LocalWorkspace", return_value=double)
    return double


def stacks(*names: str) -> list[Any]:
    return [SimpleNamespace(name=name) for name in names]


def test_the_stack_of_a_urn_is_found_in_every_organization(workspace: Any) -> None:
    """The URN contains the stack and the project; the backend knows the organization."""
    workspace.list_stacks.return_value = stacks("acme/training/prod", "acme/training/dev", "acme/infra/dev")
    assert backend.own_state(URN, Reports())["deployment"]["of"] == "acme/training/dev"


@pytest.mark.parametrize("names", [[], ["acme/infra/dev"], ["acme/training/dev", "other/training/dev"], ["dev"]])
def test_an_ambiguous_or_unknown_stack_is_not_read(workspace: Any, names: list[str]) -> None:
    """There is none, or one in each of two organizations."""
    workspace.list_stacks.return_value = stacks(*names)
    assert backend.own_state(URN, Reports()) is None
    assert not workspace.pulumi_command.run.called


def test_without_a_urn_no_stack_is_read(workspace: Any) -> None:
    """Where the host does not pass it."""
    assert backend.own_state("", Reports()) is None


@pytest.mark.parametrize("step", ["list", "export"])
def test_a_failure_of_pulumi_is_reported_and_not_raised(workspace: Any, step: str) -> None:
    """An unknown state is safe."""
    reports = Reports()
    workspace.list_stacks.return_value = stacks("acme/training/dev")
    failing = workspace.list_stacks if step == "list" else workspace.pulumi_command.run
    failing.side_effect = OSError("no pulumi\nhere")
    assert backend.own_state(URN, reports) is None
    (message,) = reports.kept
    assert message.endswith(
        "could not be listed: no pulumi here" if step == "list" else "could not be read: no pulumi here"
    )


def test_the_other_stacks_are_all_but_that_of_the_urn(workspace: Any) -> None:
    """Also those of the old backend layout, whose names have no project."""
    workspace.list_stacks.return_value = stacks("x", "acme/infra/dev", "acme/training/dev", "acme/training/prod", "dev")
    states = backend.other_states(URN, Reports())
    assert [(name, state["deployment"]["of"]) for name, state in states] == [
        (name, name)
        for name in ("acme/training/prod", "x", "acme/infra/dev")  # those of the project first
    ]


def test_another_stack_that_cannot_be_read_is_skipped(workspace: Any) -> None:
    """And reported."""
    reports = Reports()
    workspace.list_stacks.return_value = stacks("acme/training/prod")
    workspace.pulumi_command.run.side_effect = OSError("no leave")
    assert list(backend.other_states(URN, reports)) == []
    assert reports.kept == ["the state of acme/training/prod could not be read: no leave"]
