"""The page of `sweep` is true: its transcript runs, its tables are those of the code."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from docs.pages import (
    EXAMPLES,
    README,
    ROOT,
    assert_messages_are_in_the_source,
    blocks,
    missing,
    options_of,
    section,
    tables,
    ticked,
    transcript,
)
from support.engine import Project

from flow_resources.cli import sweep
from flow_resources.cli.cluster import CLUSTERS
from flow_resources.cli.job_key import JOB_KEYS, ListedKey
from flow_resources.cli.ssh_key import SSH_KEYS
from flow_resources.cli.sweep_report import Found, Report
from flow_resources.cli.volume import VOLUMES
from flow_resources.core.models import Bid, JobKey, StoredKey, StoredVolume
from flow_resources.core.naming import Mark, compose, key_name
from flow_resources.core.orphans import Owners, find_orphans
from flow_resources.core.stack_state import StackState
from flow_resources.testing import FakeMithril

PAGE = ROOT / "docs" / "sweep.md"
OPTIONS, CODES = tables(PAGE.read_text())[:2]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(add_help=False)
    sweep.add_arguments(made)
    return made


@pytest.mark.engine
def test_the_transcript_is_what_the_terminal_prints(tmp_path: Path, cloud: FakeMithril) -> None:
    """Beside the real `pulumi`, after a crash that left what the page shows; the hour that passed is `--min-age 0`."""
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "01-cluster")
    project.run("config", "set", "flow:owner", "ada").ok()
    for kind, add in (("trainer", cloud.add_bid), ("data", cloud.add_volume)):
        add(compose(kind, Mark.of("ada", kind), "9c01d2", 1), **({"instance_quantity": 4} if kind == "trainer" else {}))
    (block,) = blocks(PAGE, "console")
    for step in transcript(block):
        command = [sys.executable, "-m", "flow_resources.cli", *step.command[1:], "--min-age", "0"]
        done = subprocess.run(
            command, cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False
        )
        said = done.stdout.replace(" --min-age 0", "")  # which the command that it offers has, too
        printed = "\n".join(" ".join(line.split()) for line in said.splitlines())
        shown = [" ".join(line.replace("…", " … ").split()).replace(" … ", "…") for line in step.lines]
        assert missing(shown, printed) is None, f"{missing(shown, printed)}\nis not in\n{printed}{done.stderr}"


def test_the_table_of_options_is_the_parsers() -> None:
    """All of them, each with what it takes."""
    told = {word for row in OPTIONS[1:] for word in ticked(row[0])}
    assert told == options_of(parser())


def test_the_ages_of_the_page_are_read() -> None:
    """And the default is what it says."""
    (row,) = [row for row in OPTIONS[1:] if "--min-age" in row[0]]
    for age in ticked(row[1]):
        parser().parse_args(["--min-age", age])
    assert "default 15 minutes" in row[1]
    assert parser().parse_args([]).min_age == timedelta(minutes=15)


def test_the_exit_codes_are_those_of_the_help() -> None:
    """In the same order."""
    assert [row[0] for row in CODES[1:]] == ["0", "1", "2"]
    for code in ("0", f"{sweep.FOUND}", "2"):
        assert f"{code} when " in sweep.EPILOG


def test_the_keys_of_the_document_are_those_of_the_page() -> None:
    """Every key, and no other."""
    own, name, now = StackState(), compose("c", Mark.of("ada", "c"), "9c01d2", 1), datetime.now(timezone.utc)
    bid = Bid("bid_1", name, "p", "Open", None, 1, "it", None, (), (), "")
    volume = StoredVolume("vol_1", name, "p", 1, "file", "r", (), "", deleted=False)
    owners, never = Owners.of("ada", "a/b/c", own), timedelta(0)
    key = ListedKey(JobKey("apikey_1", key_name(Mark.of("ada", "c"), "9c01d2", 1, "p")))
    ssh_key = StoredKey("sshkey_1", name, "p", None, "")
    live = {CLUSTERS: [bid], VOLUMES: [volume], JOB_KEYS: [key], SSH_KEYS: [ssh_key]}
    found = Found({kind: find_orphans(things, owners, own, (), now, never) for kind, things in live.items()})
    document = json.loads(Report(found, {}, "a/b/c", "demo", "ada", owner_is_shared=False).document())
    whole, things = (
        {word for row in table[1:] for word in ticked(row[0])} for table in tables(section(PAGE, "For scripts"))
    )
    assert whole == set(document)
    assert things == {*document["bids"][0], *document["volumes"][0], *document["api_keys"][0], *document["ssh_keys"][0]}


def test_every_message_of_the_page_is_one_of_the_source() -> None:
    """Piece by piece."""
    (table,) = tables(section(PAGE, "Messages"))
    assert_messages_are_in_the_source(table)


def test_the_line_for_a_nightly_job_is_a_line_of_shell() -> None:
    """It reports on 1 and on 2."""
    (block,) = blocks(PAGE, "sh")
    assert shlex.split(block)[:3] == ["flow-resources", "sweep", "--json"]
    assert subprocess.run(["sh", "-n", "-c", block], check=False).returncode == 0


def test_the_readme_leads_to_the_page() -> None:
    """From the table of what it does."""
    assert "(docs/sweep.md)" in section(README, "What it does")
