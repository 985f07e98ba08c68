"""A user's program with jobs under `FlowMocks`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
from support.stack import Stack, job

from flow_resources.job import TYPE, Job
from flow_resources.testing import FlowMocks

INPUTS: dict[str, Any] = {"command": "python train.py", "instance_type": "8xa100", "max_price_per_hour": 20.0}


def run(program: Callable[[], pulumi.Output[Any]], outputs: dict[str, Any] | None = None) -> FlowMocks:
    """Run a program whose output an assertion looks at."""
    mocks = FlowMocks(outputs)
    pulumi.runtime.set_mocks(mocks, project="training", stack="dev", preview=False)
    pulumi.runtime.test(program)()
    return mocks


def outputs_of(made: Job) -> dict[str, pulumi.Output[Any]]:
    return {name: getattr(made, name) for name in inspect.get_annotations(Job)} | {"task_id": made.task_id}


def test_a_job_runs() -> None:
    """With machines, and without an end."""

    def program() -> pulumi.Output[Any]:
        made = Job("train", **INPUTS, num_instances=2)

        def check(values: dict[str, Any]) -> None:
            assert values["status"] == "running"
            assert values["exit_code"] is None
            assert values["ended_at"] is None
            assert values["started_at"]
            assert len(values["public_ips"]) == values["num_instances"] == 2
            assert values["max_cost_per_hour"] == 40.0
            assert values["task_id"].startswith("bid_")

        return pulumi.Output.all(**outputs_of(made)).apply(check)

    run(program)


def test_a_job_that_is_waited_for_has_succeeded() -> None:
    """Its machines are given back."""

    def program() -> pulumi.Output[Any]:
        made = Job("train", **INPUTS, wait_for="ended")

        def check(values: dict[str, Any]) -> None:
            assert (values["status"], values["exit_code"]) == ("succeeded", 0)
            assert values["started_at"] < values["ended_at"]
            assert [values["instances"], values["public_ips"], values["ssh_commands"]] == [[], [], []]

        return pulumi.Output.all(**outputs_of(made)).apply(check)

    run(program)


def test_what_a_program_does_with_a_failed_job_can_be_tested() -> None:
    """By the outputs that the test sets."""

    def program() -> pulumi.Output[Any]:
        made = Job("train", **INPUTS)
        return made.status.apply(lambda status: _assert_equal(status, "failed"))

    run(program, {"train": {"status": "failed"}})


def test_what_the_program_declares_can_be_read(tmp_path: Path) -> None:
    """The text of the script; secrets as the engine sends them to mocks."""
    script = tmp_path / "train.py"
    script.write_text("print('epoch')\n")

    def program() -> pulumi.Output[Any]:
        inputs = {name: value for name, value in INPUTS.items() if name != "command"}
        return Job("train", **inputs, script=script, args=["--epochs", "3"], triggers={"data": "v2"}).urn

    ((_, _, inputs),) = run(program).resources
    assert "print('epoch')" in str(inputs["script"])
    assert (inputs["args"], inputs["triggers"]) == (["--epochs", "3"], {"data": "v2"})


def mocked(**inputs: Any) -> dict[str, Any]:
    """Return the outputs that the service would decide."""
    args = pulumi.runtime.MockResourceArgs(TYPE, "train", {**INPUTS, **inputs}, "", None, True)
    outputs = FlowMocks().new_resource(args)[1]
    return {name: value for name, value in outputs.items() if name not in INPUTS.keys() | inputs.keys()}


def test_a_mocked_job_has_outputs_of_a_real_one(stack: Stack) -> None:
    """No other, and of the same types."""
    declared = {*inspect.get_annotations(Job), "task_id"}
    for wait_for in ("placed", "ended"):
        assert mocked(wait_for=wait_for).keys() <= declared
    stack.up({"train": job(wait_for="running")})
    real, outputs = stack.state["train"].outputs, mocked()
    assert {name for name in outputs if name not in real} == set()
    for name, value in outputs.items():
        assert isinstance(value, (int, float) if isinstance(real[name], float) else type(real[name])), name


def _assert_equal(actual: Any, expected: Any) -> None:
    assert actual == expected
