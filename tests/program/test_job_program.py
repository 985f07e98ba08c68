"""What a program says of a Job, and what of it travels to check: the text of its script, no secret of its triggers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pulumi
import pytest

import flow_resources
from flow_resources.core.job_fields import check_job
from flow_resources.scripts import read_script, script_text
from flow_resources.testing import FlowMocks

LEAST = {"instance_type": "8xa100", "max_price_per_hour": 1.0}


class RawMocks(FlowMocks):
    """Mocks that keep what travels with hidden inputs, too."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, dict[str, Any]] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.sent[args.name] = dict(args.inputs)
        return super().new_resource(args)


def declare(**inputs: Any) -> dict[str, Any]:
    """Declare a job; return what travels."""
    mocks = RawMocks()
    pulumi.runtime.set_mocks(mocks, project="p", stack="s", preview=False)

    @pulumi.runtime.test
    def program() -> Any:
        made = {name: value() if callable(value) else value for name, value in inputs.items()}
        return flow_resources.Job("it", **{**LEAST, **made}).id

    program()
    return mocks.sent["it"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the program."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "travels"),
    [
        ("train.py", "print(1)\n", "#!/usr/bin/env python3\nprint(1)\n"),
        ("train.sh", "echo 1\n", "#!/usr/bin/env bash\necho 1\n"),
        ("train.pl", "#!/usr/bin/perl\n1;\n", "#!/usr/bin/perl\n1;\n"),
        ("train.py", "#!/opt/python\r\nprint(1)\r\n", "#!/opt/python\nprint(1)\n"),
        ("train.sh", "\ufeffecho ü\n", "#!/usr/bin/env bash\necho ü\n"),
    ],
)
def test_the_text_of_a_script_travels(folder: Path, name: str, text: str, travels: str) -> None:
    """With a first line that says what runs it, from the file's name where it has none."""
    (folder / name).write_bytes(text.encode())
    for path in (name, Path(name), folder / name):
        assert declare(script=path)["script"] == travels


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "names a file that is not there"),
        (lambda path: path.mkdir(), "names a file that cannot be read (Is a directory)"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "names a file that is not a text"),
        (lambda path: path.write_text(" \n"), "names a file that is empty"),
        (lambda path: path.write_text("x" * 1_000_001), "names a file that is too large"),
        (lambda path: path.write_text("print(1)"), "names a file that does not say in its first line"),
    ],
)
def test_a_script_that_cannot_be_used_becomes_a_failure_of_check(folder: Path, make: Any, problem: str) -> None:
    """At its path, with the file; the program itself goes on."""
    make(folder / "train")
    travels = declare(script="train")["script"]
    (failure,) = [one for one in check_job({**LEAST, "script": travels}).failures if one.path == "script"]
    assert problem in failure.text
    assert "'train'" in failure.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_script_that_may_not_be_read_is_a_problem(folder: Path) -> None:
    """With the system's word for it."""
    (folder / "train.py").write_text("print(1)")
    (folder / "train.py").chmod(0)
    assert "Permission denied" in str(read_script("train.py"))


def test_a_path_with_a_nul_is_a_problem() -> None:
    """As everything that the system refuses."""
    assert "names a file that" in str(read_script("a\0b"))


def test_the_text_of_a_secret_path_is_secret(folder: Path) -> None:
    """The state then seals it."""
    (folder / "train.py").write_text("print(1)\n")
    seen: dict[str, Any] = {}
    pulumi.runtime.set_mocks(FlowMocks(), project="p", stack="s", preview=False)

    @pulumi.runtime.test
    def program() -> Any:
        secret, plain = script_text(pulumi.Output.secret("train.py")), script_text(pulumi.Output.from_input("train.py"))
        secrets = pulumi.Output.all(secret.is_secret(), plain.is_secret())
        return secrets.apply(lambda values: seen.update(secrets=values))

    program()
    assert seen["secrets"] == [True, False]


@pytest.mark.parametrize(
    ("triggers", "path"),
    [
        (lambda: pulumi.Output.secret(["v1"]), "triggers"),
        (lambda: [pulumi.Output.secret("v1")], "triggers[0]"),
        (lambda: {"deep": {"list": [1, pulumi.Output.secret("hunter2-canary")]}}, "triggers.deep.list[1]"),
    ],
)
def test_triggers_that_hold_a_secret_never_travel(triggers: Any, path: str) -> None:
    """Check refuses them, with what to do."""
    sent = declare(command="true", triggers=triggers)
    assert "hunter2-canary" not in str(sent)
    (failure,) = check_job({**LEAST, "command": "true", **sent}).failures
    assert (failure.path, "pulumi.Output.unsecret(...)" in failure.text) == (path, True)


@pytest.mark.parametrize("triggers", [{"a": 1, "b": [True, None, {"c": "d"}]}, [], ["v1", 2.5], (1, 2)])
def test_triggers_travel_as_they_are(triggers: Any) -> None:
    """Any values, of other resources too."""
    assert declare(command="true", triggers=triggers)["triggers"] in (triggers, list(triggers))
    later = declare(command="true", triggers=lambda: {"id": pulumi.Output.from_input(7)})
    assert later["triggers"] == {"id": 7}


def test_env_and_the_machines_key_are_secret_whatever_the_program_says() -> None:
    """They are outputs of the same names, too."""
    mocks = FlowMocks()
    pulumi.runtime.set_mocks(mocks, project="p", stack="s", preview=False)

    @pulumi.runtime.test
    def program() -> Any:
        job = flow_resources.Job("it", **LEAST, command="true", env={"A": "b"}, machine_api_key="fkey_mine")
        opts = vars(job)["_additional_secret_outputs"]
        assert {"env", "machine_api_key"} <= set(opts)
        return job.id

    program()


def test_the_time_limit_travels_as_the_program_writes_it() -> None:
    """The engine does not tell it to check."""
    options = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="2h"))
    assert declare(command="true", opts=options)["__timeout"] == "2h"
    assert "__timeout" not in declare(command="true")


@pytest.mark.parametrize(("wait_for", "status", "exit_code"), [("placed", "running", None), ("ended", "succeeded", 0)])
def test_the_mocks_of_a_job(wait_for: Any, status: str, exit_code: int | None) -> None:
    """It runs, or has ended where the program waits for that."""
    pulumi.runtime.set_mocks(FlowMocks({"failing": {"status": "failed"}}), project="p", stack="s", preview=False)
    seen: dict[str, Any] = {}

    @pulumi.runtime.test
    def program() -> Any:
        job = flow_resources.Job("it", **LEAST, command="true", wait_for=wait_for, num_instances=2)
        failing = flow_resources.Job("failing", **LEAST, command="true")
        got = flow_resources.Job.get("theirs", "bid_7")
        outputs = pulumi.Output.all(job.status, job.exit_code, job.task_id, failing.status, got.task_id, job.instances)
        return outputs.apply(lambda values: seen.update(values=values))

    program()
    told, code, task_id, failing, got, instances = seen["values"]
    assert (told, code, failing, got) == (status, exit_code, "failed", "bid_7")
    assert task_id.startswith("bid_")
    assert len(instances) == (0 if status == "succeeded" else 2)
