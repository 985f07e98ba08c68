"""What Pulumi's backend is asked for: a stack by its URN, and nothing where it cannot be told for certain."""

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
    """A workspace whose stacks are set by the test; it prints the name of what it exports."""

    def run(command: list[str], *_: object) -> Any:
        return SimpleNamespace(stdout=json.dumps({"deployment": {"resources": [], "of": command[-1]}}))

    double = mocker.Mock(work_dir=".")
    double.pulumi_command.run.side_effect = run
    mocker.patch("pulumi.automation.LocalWorkspace", return_value=double)
    return double


def stacks(*names: str) -> list[Any]:
    return [SimpleNamespace(name=name) for name in names]


def test_the_stack_of_a_urn_is_found_whatever_its_organization(workspace: Any) -> None:
    """The URN holds the stack and the project; the backend knows the rest."""
    workspace.list_stacks.return_value = stacks("acme/training/prod", "acme/training/dev", "acme/infra/dev")
    assert backend.own_state(URN, Reports())["deployment"]["of"] == "acme/training/dev"


@pytest.mark.parametrize("names", [[], ["acme/infra/dev"], ["acme/training/dev", "other/training/dev"], ["dev"]])
def test_what_is_not_certainly_the_stack_is_not_read(workspace: Any, names: list[str]) -> None:
    """None, or one in each of two organizations: nobody can say."""
    workspace.list_stacks.return_value = stacks(*names)
    assert backend.own_state(URN, Reports()) is None
    assert not workspace.pulumi_command.run.called


def test_an_unseen_urn_is_no_stack(workspace: Any) -> None:
    """Where the host does not show it."""
    assert backend.own_state("", Reports()) is None


@pytest.mark.parametrize("step", ["list", "export"])
def test_a_pulumi_that_fails_costs_a_line_and_no_more(workspace: Any, step: str) -> None:
    """Not to know is safe."""
    reports = Reports()
    workspace.list_stacks.return_value = stacks("acme/training/dev")
    failing = workspace.list_stacks if step == "list" else workspace.pulumi_command.run
    failing.side_effect = OSError("no pulumi\nhere")
    assert backend.own_state(URN, reports) is None
    (said,) = reports.kept
    assert said.endswith(
        "could not be listed: no pulumi here" if step == "list" else "could not be read: no pulumi here"
    )


def test_the_other_stacks_are_all_but_that_of_the_urn(workspace: Any) -> None:
    """Also of the old layout, whose names are a word."""
    workspace.list_stacks.return_value = stacks("x", "acme/infra/dev", "acme/training/dev", "acme/training/prod", "dev")
    states = backend.other_states(URN, Reports())
    assert [(name, state["deployment"]["of"]) for name, state in states] == [
        (name, name)
        for name in ("acme/training/prod", "x", "acme/infra/dev")  # the project's own first
    ]


def test_another_stack_that_cannot_be_read_is_left_out(workspace: Any) -> None:
    """With a line."""
    reports = Reports()
    workspace.list_stacks.return_value = stacks("acme/training/prod")
    workspace.pulumi_command.run.side_effect = OSError("no leave")
    assert list(backend.other_states(URN, reports)) == []
    assert reports.kept == ["the state of acme/training/prod could not be read: no leave"]
