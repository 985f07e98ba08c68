"""What is read from the backend of Pulumi, and what is said where it cannot be."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation
from pytest_mock import MockerFixture
from support.stack import Reports

from flow_resources import backend


@pytest.fixture
def workspace(mocker: MockerFixture) -> Any:
    """A workspace whose stacks are set by the test; an export contains the name of its stack."""

    def run(command: list[str], *_: object) -> Any:
        return SimpleNamespace(stdout=json.dumps({"deployment": {"resources": [], "of": command[-1]}}))

    double = mocker.Mock(work_dir=".")
    double.pulumi_command.run.side_effect = run
    mocker.patch("pulumi.automation.LocalWorkspace", return_value=double)
    mocker.patch("flow_resources.pulumi_command.PulumiCommand")  # there need be no `pulumi` here
    return double


def command_error(stderr: str) -> automation.CommandError:
    return automation.CommandError(automation.CommandResult(stdout="a secret", stderr=stderr, code=255))


def stacks(*names: str) -> list[Any]:
    return [SimpleNamespace(name=name) for name in names]


def test_all_stacks_are_named_in_full(workspace: Any) -> None:
    """Those of the old backend layout have no project."""
    workspace.list_stacks.return_value = stacks("acme/training/prod", "dev")
    assert backend.stack_names(Reports()) == ["acme/training/prod", "dev"]


def test_a_state_is_what_pulumi_exports(workspace: Any) -> None:
    """Of the stack of that name."""
    assert backend.state("acme/training/dev", Reports())["deployment"]["of"] == "acme/training/dev"


FAILURES = [
    (OSError("no leave\nhere"), "OSError: no leave here"),
    (FileNotFoundError("pulumi"), "there is no `pulumi` on PATH"),
    (command_error("error: \nerror: the state is damaged\n"), "the state is damaged"),
    (command_error("warning: odd\nerror: no such stack\n"), "no such stack"),
    (command_error("panic: odd\n"), "panic: odd"),
    (
        command_error("error: unable to open postgres://u:canary@db/x: refused\n"),
        "unable to open postgres://u:…@db/x: refused",
    ),
    (command_error("warning: odd\nerror: \n=======\nLegacy state is deprecated:\n"), "Legacy state is deprecated:"),
    (command_error("error:\n"), "it gave no reason"),
    (command_error(""), "it gave no reason"),
]


@pytest.mark.parametrize("step", ["list", "export"])
@pytest.mark.parametrize(("error", "said"), FAILURES)
def test_a_failure_of_pulumi_is_reported_and_the_answer_is_not_known(
    workspace: Any, step: str, error: Exception, said: str
) -> None:
    """With Pulumi's own complaint, which is never empty."""
    reports = Reports()
    failing = workspace.list_stacks if step == "list" else workspace.pulumi_command.run
    failing.side_effect = error
    answer = backend.stack_names(reports) if step == "list" else backend.state("acme/training/dev", reports)
    assert answer is None
    what = "stacks of the backend could not be listed" if step == "list" else "acme/training/dev could not be read"
    (message,) = reports.kept
    assert f"{what}: {said}" in message
