"""The pages of `watch` are true: options, exit codes, events and fields are those of the code."""

from __future__ import annotations

import argparse
import shlex
import subprocess
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from docs.pages import ROOT, blocks, options_of, section, tables, ticked
from support.watched import FakeWatched, Told, a_cluster, a_raise

from flow_resources.cli import watch
from flow_resources.cli.watch.events import Kind
from flow_resources.cli.watch.round import Watch, Wishes
from flow_resources.cli.watch.show import document_of, lines
from flow_resources.clock import Clock

HOW_TO, PAGE = ROOT / "docs" / "how-to" / "watch.md", ROOT / "docs" / "reference" / "watch.md"
OPTIONS, CODES, EVENTS, FIELDS, SEEN = tables(PAGE.read_text())


def words(table: list[list[str]], column: int = 0) -> set[str]:
    return {word for row in table[1:] for word in ticked(row[column])}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(add_help=False)
    watch.add_arguments(made)
    return made


def test_the_table_of_options_is_the_parsers() -> None:
    assert words(OPTIONS) == {option for option in options_of(parser()) if option}


def test_the_defaults_are_those_of_the_page() -> None:
    parsed = parser().parse_args([])
    text = {ticked(row[0])[-1]: row[1] for row in OPTIONS[1:]}
    assert f"default {parsed.interval:g}." in text["--interval SECONDS"]
    assert text["--max-heals-per-hour N"].endswith(f"default {parsed.max_heals_per_hour}")
    assert f"At most {parsed.max_heals_per_hour} clusters" in HOW_TO.read_text()


def test_the_exit_codes_are_those_of_the_help() -> None:
    assert [row[0] for row in CODES[1:]] == ["0", "1", "2", "3"]
    for code in range(1, 4):
        assert f" {code} w" in watch.EPILOG
    assert "code: 0 when" in watch.EPILOG


def test_every_event_is_on_the_page() -> None:
    assert words(EVENTS) == {kind.value for kind in Kind}


def test_every_field_of_an_event_is_on_the_page() -> None:
    """Those of a round in which everything happens."""
    told = Told()
    lost = replace(a_cluster("c0", "preempted"), recorded=a_cluster().live, is_recorded=False)
    edited = a_raise("c9", type="aws:Bucket")
    stacks = [
        FakeWatched([lost], [a_raise("c0"), edited]),
        FakeWatched([lost], [a_raise("c0")], name="a/b/busy", busy=1),
    ]
    wishes = Wishes(heal=True)
    Watch(stacks, wishes, told, Clock()).round()
    failing = FakeWatched([a_cluster("c0", "preempted")], [], problem="it fails")
    Watch([failing], wishes, told, Clock()).round()
    documents = [event.document("a/b/c", "2026-11-30T12:00:00Z") for event in told.events]
    assert {one["event"] for one in documents} >= {
        "preempted",
        "healed",
        "heal_failed",
        "left_alone",
        "waiting_for_stack",
    }
    assert {name for one in documents for name in one} == words(FIELDS)


def test_every_field_of_what_was_seen_is_on_the_page() -> None:
    assert words(SEEN) == set(document_of(a_cluster()))


def test_the_reasons_are_those_of_the_code() -> None:
    (row,) = [row for row in FIELDS[1:] if "`reason`" in row[0]]
    source = "".join((ROOT / "flow_resources" / "cli" / "watch" / name).read_text() for name in ("heal.py", "round.py"))
    for reason in ticked(row[2]):
        assert f'"{reason}"' in source


def test_the_table_of_the_page_is_one_that_is_drawn() -> None:
    """With its heads and the words of its cells."""
    (block,) = blocks(HOW_TO, "text")
    drawn = lines([("", a_cluster())], datetime(2026, 11, 30, tzinfo=timezone.utc))
    assert drawn[0].split() in [line.split() for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for block in blocks(HOW_TO, "sh") for line in block.splitlines()])
def test_the_lines_of_shell_are_read(line: str) -> None:
    assert subprocess.run(["sh", "-n", "-c", line], check=False).returncode == 0
    program, command, *arguments = shlex.split(line, comments=True)
    assert (program, command) == ("flow-resources", "watch")
    parser().parse_args(arguments)


def test_the_readme_and_the_indexes_lead_to_the_pages() -> None:
    assert "(docs/how-to/watch.md)" in section(ROOT / "README.md", "What it does")
    assert "(watch.md)" in (HOW_TO.parent / "index.md").read_text()
    assert "(watch.md)" in (PAGE.parent / "index.md").read_text()
