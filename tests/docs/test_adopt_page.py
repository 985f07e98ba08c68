"""The page of `adopt` is true: its transcripts run, its tables are those of the code."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from docs.pages import (
    EXAMPLES,
    README,
    ROOT,
    Step,
    assert_messages_are_in_the_source,
    blocks,
    missing,
    section,
    tables,
    ticked,
    transcript,
)
from support.engine import Project
from support.program import rent

from flow_resources.cli import adopt
from flow_resources.cli.adopt_program import AdoptedResource, Adoption, LeftOut
from flow_resources.core.cluster_fields import FIELDS
from flow_resources.testing import FakeMithril

PAGE = ROOT / "docs" / "adopt.md"
OPTIONS, CODES = tables(PAGE.read_text())[:2]


def run(project: Project, step: Step) -> str:
    """Run a command of the page in the project's folder; return what the terminal shows, notes first."""
    program, *arguments = step.command
    if program == "pulumi":
        return project.run(*arguments).ok().text
    command = [sys.executable, "-m", "flow_resources.cli", *arguments]
    done = subprocess.run(
        command, cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    if done.stdout:
        project.write(done.stdout)
        project.edit('"FILL IN"', '"/data"')
    return done.stderr + done.stdout


@pytest.mark.engine
def test_the_transcripts_are_what_the_terminal_prints(
    tmp_path: Path, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line of the program, in an account with what the page shows; then through the real `pulumi`."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    data = cloud.add_volume("data", size_gb=1000)["fid"]
    mount = {"volume_id": data, "mount_path": "/data", "interface": "file"}
    rent(name="trainer", unique_name=False, num_instances=4, max_price_per_hour=20.0, volumes=[mount])
    notebook = cloud.add_bid("notebook", limit_price="$15.00", volumes=[data])["fid"]
    cloud.update_bid(notebook, paused=True)
    cloud.clear_requests()
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "01-cluster")
    for step in [step for block in blocks(PAGE, "console") for step in transcript(block)]:
        printed = run(project, step)
        assert missing(step.lines, printed) is None, f"{missing(step.lines, printed)}\nis not in\n{printed}"
        if "from flow_resources import GpuCluster, Volume, VolumeMount" in printed:
            assert len(step.lines) == len([line for line in printed.splitlines() if line]), "the page shows all of it"
    assert not cloud.mutations


def test_the_table_of_options_is_the_parsers() -> None:
    """All of them, each with what it takes."""
    parser = argparse.ArgumentParser(add_help=False)
    adopt.add_arguments(parser)
    told = {word for row in OPTIONS[1:] for word in ticked(row[0])}
    known = {
        word
        for one in parser._actions
        for word in (
            [f"{option} {one.metavar}" if one.metavar else option for option in one.option_strings]
            or [str(one.metavar)]
        )
    }
    assert told == known


def test_the_exit_codes_are_those_of_the_help() -> None:
    """In the same order."""
    assert [row[0] for row in CODES[1:]] == ["0", "2"]
    for code in ("0", "2"):
        assert f"{code} when " in adopt.EPILOG


def test_the_keys_of_the_document_are_those_of_the_page() -> None:
    """Every key, and no other."""
    whole, things = (
        {word for row in table[1:] for word in ticked(row[0])} for table in tables(section(PAGE, "For scripts"))
    )
    assert whole == set(adopt._document(Adoption(), "demo", None))
    assert things == {one.name for one in fields(AdoptedResource)}
    (left_out,) = [row for row in tables(section(PAGE, "For scripts"))[0] if row[0] == "`left_out`"]
    assert set(ticked(left_out[1])) == {one.name for one in fields(LeftOut)}


def test_every_input_of_a_cluster_is_read_back_or_named_as_what_is_not() -> None:
    """But for those that say how to adopt, and those that the name is made of."""
    (table,) = tables(section(PAGE, "What is read back, and what is not"))
    told = " ".join(row[0] for row in table[1:])
    words = {
        "instance_type": "type", "num_instances": "machines", "max_price_per_hour": "price", "on_preemption": "",
        "raise_up_to_per_hour": "", "name_prefix": "", "adopt_task_id": "",
    }  # fmt: skip
    for one in FIELDS:
        assert words.get(one.name, one.name) in told, one.name


def test_every_message_of_the_page_is_one_of_the_source() -> None:
    """Piece by piece."""
    (table,) = tables(section(PAGE, "Messages"))
    assert_messages_are_in_the_source(table)


def test_the_readme_leads_to_the_page() -> None:
    """From the table of what it does."""
    assert "(docs/adopt.md)" in section(README, "What it does")
