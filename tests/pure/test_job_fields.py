"""The inputs of a job: each bad one is a failure with its path, the rule and a remedy, all of them at once."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi import FileAsset

from flow_resources.core import naming
from flow_resources.core.diff import Diff, diff_inputs, fields_to_update
from flow_resources.core.hidden import MARK
from flow_resources.core.inputs import UNKNOWN, Checked
from flow_resources.core.job_fields import FIELDS, SPEC, check_job
from flow_resources.core.spec import JobSpec

JOB = {"instance_type": "8xa100", "max_price_per_hour": 50.0, "region": "us-central5-a", "command": "python train.py"}
SCRIPT = {name: value for name, value in JOB.items() if name != "command"} | {"script": "#!/bin/sh\necho hello\n"}
SECRET = "hunter2-canary"
MINE = naming.Mark.of("acme/training/dev", "urn:it")


def failures(**changes: Any) -> dict[str, str]:
    found: Checked = check_job({name: value for name, value in {**JOB, **changes}.items() if value is not None})
    return {failure.path: failure.text for failure in found.failures}


@pytest.mark.parametrize(
    ("changes", "path", "parts"),
    [
        ({"command": None}, "command", ("command is required, or script",)),
        ({"script": "#!/bin/sh\ntrue"}, "script", ("cannot be set beside command", "remove one of the two")),
        ({"args": ["--epochs", "3"]}, "args", ("needs a script",)),
        ({"command": " "}, "command", ("must be a shell command, or a list of arguments",)),
        ({"command": []}, "command", ("at least one argument",)),
        ({"command": ["a", 1.0]}, "command[1]", ("must be a string",)),
        ({"max_run_time_hours": 0.0}, "max_run_time_hours", ("more than 0 and at most 168", "got 0")),
        ({"max_run_time_hours": -1.0}, "max_run_time_hours", ("more than 0", "got -1")),
        ({"max_run_time_hours": 168.5}, "max_run_time_hours", ("at most 168", "got 168.5", "no limit")),
        ({"max_run_time_hours": "5"}, "max_run_time_hours", ("must be a number of hours",)),
        ({"max_run_time_hours": True}, "max_run_time_hours", ("must be a number of hours",)),
        ({"max_run_time_hours": float("nan")}, "max_run_time_hours", ("must be a number of hours",)),
        ({"on_failure": "pause"}, "on_failure", ("must be 'release' or 'keep'", "got 'pause'")),
        ({"wait_for": "done"}, "wait_for", ("'placed' or 'allocated' or 'running' or 'ended'",)),
        ({"triggers": "v2"}, "triggers", ("must be a mapping or a list", "got 'v2'")),
        (
            {"triggers": ["v1", {"__problem": "is a secret", "__remedy": "pass a hash"}]},
            "triggers[1]",
            ("triggers[1] is a secret: pass a hash",),
        ),
        pytest.param(  # the text of the object, which would be the test's name, is another one in each process
            {"triggers": {"a": [1.0, FileAsset("x")]}},
            "triggers.a[1]",
            ("must be a string", "pass a hash of a file"),
            id="triggers that hold a file",
        ),
        ({"preemption_signal": "SIGKILL"}, "preemption_signal", ("must be", "SIGUSR1")),
        ({"preemption_signal": "USR1"}, "preemption_signal", ("must be", "got 'USR1'")),
        ({"machine_api_key": f"{SECRET} "}, "machine_api_key", ("must be an API key",)),
        ({"ports": [8080.0]}, "ports", ("is not an input of this resource",)),
        ({"paused": True}, "paused", ("is not an input of this resource",)),
    ],
    ids=str,
)
def test_a_bad_input_is_a_failure_at_its_path(changes: dict[str, Any], path: str, parts: tuple[str, ...]) -> None:
    """With the rule, and what to do."""
    text = failures(**changes)[path]
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"__problem": "names a file that is not there", "__file": "train.py"}, "not there, 'train.py'"),
        ("", "must be the text of a script"),
        (7.0, "must be the text of a script"),
        ("print(1)\n", "does not say what runs it"),
        ("#!\nprint(1)\n", "does not say what runs it"),
        ("#!/bin/sh\n\0", "is not a text"),
    ],
)
def test_a_script_that_cannot_run_is_a_failure(value: Any, rule: str) -> None:
    """Its text is sensitive, and is in no message."""
    text = failures(command=None, script=value)["script"]
    assert rule in text
    assert "print" not in text


def test_all_failures_come_at_once() -> None:
    """A person corrects them together."""
    found = failures(script="x", args=[1.0], max_run_time_hours=0.0, on_failure="x", triggers=3.0, region=7.0)
    assert set(found) == {"script", "args[0]", "max_run_time_hours", "on_failure", "triggers", "region"}


def test_what_can_be_secret_is_in_no_message() -> None:
    """Neither a command nor a key, nor what a script holds."""
    bad = {"command": [SECRET, 1.0], "machine_api_key": f" {SECRET}", "env": {"A": [SECRET]}, "args": [{SECRET: 1.0}]}
    assert not [text for text in failures(**bad, script=SECRET).values() if SECRET in text]


def test_an_unknown_value_passes_every_rule() -> None:
    """Only the coming `up` will know it."""
    assert not check_job(
        {**dict.fromkeys((one.name for one in FIELDS if one.name != "script"), UNKNOWN)} | {"args": None}
    ).failures
    assert not check_job({**SCRIPT, "args": UNKNOWN, "script": UNKNOWN}).failures


# -- what a change does ------------------------------------------------------------------------------------------------

CHANGES = {
    "command": "python other.py",
    "env": {"A": "b"},
    "image": "python:3.12",
    "instance_type": "8xh100",
    "num_instances": 2,
    "on_failure": "keep",
    "max_run_time_hours": 3.0,
    "name_prefix": "it",
    "preemption_signal": "SIGUSR1",
    "region": "us-east1-a",
    "ssh_keys": ["me"],
    "triggers": {"dataset": 2.0},
    "volumes": [{"volume_id": "vol_a", "mount_path": "/data"}],
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_what_the_machines_run_replaces(name: str) -> None:
    """So the job runs again."""
    news = check_job({**JOB, name: CHANGES[name]}).inputs
    assert diff_inputs(FIELDS, check_job(JOB).inputs, news) == Diff(changes=True, replaces=(name,))


def test_a_new_price_a_new_wait_and_a_new_key_run_nothing_again() -> None:
    """The first two are updates; the key reaches the next placement alone."""
    news = check_job({**JOB, "max_price_per_hour": 60.0, "wait_for": "ended", "machine_api_key": "fkey_x"}).inputs
    assert diff_inputs(FIELDS, check_job(JOB).inputs, news) == Diff(changes=True)
    assert fields_to_update(FIELDS, check_job(JOB).inputs, news) == {"max_price_per_hour", "wait_for"}


def test_the_table_of_changes_has_every_input() -> None:
    """Else an input is compared nowhere."""
    others = {
        "max_price_per_hour",
        "bid_policy",
        "wait_for",
        "machine_api_key",
        "script",
        "args",
        "placements",
        "choose",
    }
    assert {one.name for one in FIELDS} == {*CHANGES, *others}
    assert {one.name for one in SPEC} == {*CHANGES, "script", "args"} - {"name_prefix"}


# -- what the machines run ---------------------------------------------------------------------------------------------


def spec(**changes: Any) -> JobSpec:
    return JobSpec.parse({**SCRIPT, MARK: str(MINE), **changes})


def run(command: str, folder: Path) -> str:
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)}
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True, env=environment)
    return f"{done.stdout}{done.stderr}{done.returncode}"


@pytest.mark.parametrize(
    ("script", "args", "printed"),
    [
        ("#!/bin/sh\necho hello\n", [], "hello\n0"),
        ("#!/bin/sh\necho hello", [], "hello\n0"),
        ("#!/bin/sh\nexit 3\n", [], "3"),
        ("#!/bin/sh\nprintf '[%s]' \"$@\"\n", ["a b", "$HOME", "'", "", "ü\n`id`"], "[a b][$HOME]['][][ü\n`id`]0"),
        ("#!/usr/bin/env python3\nprint('''$x `y` \\\\ EOF''')\nEOF = '\\t'\n", [], "$x `y` \\ EOF\n0"),
    ],
)
def test_the_command_runs_the_text_of_a_script(tmp_path: Path, script: str, args: list[str], printed: str) -> None:
    """By its first line, with its arguments and its exit code, whatever stands in it."""
    command = spec(script=script, args=args).launch_command
    assert isinstance(command, str)
    assert run(command, tmp_path) == printed


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",))).filter(str.strip))
def test_the_text_of_a_script_arrives_as_it_is(text: str) -> None:
    """Only a line end at its end is added."""
    body = text.replace("\r", "")
    script = f"#!/usr/bin/cat\n{body}"
    command = spec(script=script).launch_command
    assert isinstance(command, str)
    first, _, rest = command.partition("\n")
    end = first.partition("<<'")[2].partition("'")[0]
    assert rest in (f"{script}\n{end}\n", f"{script}{end}\n")
    assert end not in script


def test_a_job_is_what_the_program_says() -> None:
    """With the defaults filled in; a command as a list stays one."""
    parsed = JobSpec.parse({**JOB, "command": ["a", "b"], "max_run_time_hours": 1.5, MARK: str(MINE)})
    assert (parsed.launch_command, parsed.max_run_seconds, parsed.on_failure) == (("a", "b"), 5400, "release")
    assert (parsed.wait_for, parsed.ports, parsed.paused, parsed.max_cost) == ("placed", (), False, 50)
    assert spec().max_run_seconds is None


def test_a_secret_of_a_job_is_in_no_text_of_it() -> None:
    """Neither its key nor its script."""
    shown = repr(spec(machine_api_key=SECRET, script=f"#!/bin/sh\n{SECRET}", args=[SECRET], env={"A": SECRET}))
    assert SECRET not in shown.partition("inputs=")[0]


def test_the_digest_follows_what_replaces_and_nothing_else() -> None:
    """A trigger is part of it, the key of the user is not."""
    first = spec().digest("key")
    assert (
        spec(machine_api_key="fkey_x", max_price_per_hour=1.0, wait_for="ended", name_prefix="p").digest("key") == first
    )
    for changed in ({"triggers": [1.0]}, {"args": ["x"]}, {"script": "#!/bin/sh\ntrue"}, {"max_run_time_hours": 1.0}):
        assert spec(**changed).digest("key") != first
