"""The page of `costs` is true: its table is printed of a story that is replayed, its tables are those of the code."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from docs.pages import ROOT, blocks, options_of, section, tables, ticked
from support.fake_backend import STACK, FakeStack
from support.stack import settings_of

from flow_resources.cli import costs, main
from flow_resources.cli.stacks import SelectedStack
from flow_resources.core.naming import Mark, compose
from flow_resources.testing import Clock, FakeMithril

PAGE, HOW_TO = ROOT / "docs/reference/costs.md", ROOT / "docs/how-to/read-what-was-paid.md"
OPTIONS, CODES, COLUMNS, WHOLE, AMOUNTS = tables(PAGE.read_text())
TYPE = "8xa100"


def urn(name: str, kind: str) -> str:
    return f"urn:pulumi:dev::training::pulumi-python:dynamic/flow:{kind}::{name}"


class Story:
    """A week of a stack: preempted, re-priced, paused, replaced, destroyed."""

    def __init__(self, cloud: FakeMithril) -> None:
        self.cloud = cloud
        self.stack = FakeStack(settings_of(cloud), exported={"deployment": {"resources": []}})

    def place(self, name: str, kind: str = "GpuCluster", generation: int = 1, **bid: Any) -> str:
        mark = Mark.of(STACK, urn(name, kind))
        return self.cloud.add_bid(compose(name, mark, "9c01d2", generation), **bid)["fid"]

    def record(self, name: str, bid: str, kind: str = "GpuCluster", **outputs: Any) -> None:
        mark = Mark.of(STACK, urn(name, kind))
        row = {"urn": urn(name, kind), "id": bid, "outputs": {"__mark": str(mark), "task_id": bid, **outputs}}
        self.stack.exported["deployment"]["resources"].append(row)

    def happen(self) -> None:
        cloud = self.cloud
        cloud.set_price(TYPE, cloud.region, 12.0)
        old = self.place("old-trainer")
        first = self.place("trainer", instance_quantity=4)
        prepare = self.place("prepare", "Job")
        cloud.clock.advance(hours=10)
        cloud.terminate(prepare)
        cloud.set_price(TYPE, cloud.region, 16.5)
        cloud.clock.advance(hours=26)
        cloud.terminate(old)
        cloud.preempt(first, 0)
        cloud.clock.advance(hours=8)
        cloud.terminate(first)
        second = self.place("trainer", generation=2, instance_quantity=4, limit_price="$60.00")
        members = [self.place(f"fleet-{number}", limit_price="$25.00") for number in range(2)]
        cloud.clock.advance(hours=50)
        cloud.preempt(members[1], 0)
        cloud.clock.advance(hours=20)
        self.record("trainer", second)
        for number, member in enumerate(members):
            self.record(f"fleet-{number}", member)
        self.record("prepare", prepare, "Job", status="succeeded", __ended="ended")


@pytest.fixture
def story(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    with FakeMithril(clock=Clock(1_795_600_000.0, speed=0), boot_seconds=0) as cloud:
        made = Story(cloud)
        made.happen()
        monkeypatch.setattr(SelectedStack, "open", lambda *_: made.stack)
        yield made


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(add_help=False)
    costs.add_arguments(made)
    return made


def words(table: list[list[str]]) -> set[str]:
    return {word for row in table[1:] for word in ticked(row[0])}


@pytest.mark.parametrize("page", [PAGE, HOW_TO])
def test_the_table_is_what_is_printed(story: Story, capsys: pytest.CaptureFixture[str], page: Any) -> None:
    """To the cent, and it is the fake's own bill."""
    (block,) = blocks(page, "console")
    command, *lines = block.splitlines()
    assert command.startswith("$ flow-resources ")
    assert main(shlex.split(command)[2:]) == 0
    assert [line.rstrip() for line in lines] == capsys.readouterr().out.splitlines()
    assert f"${story.cloud.spend:,.2f}" in lines[-1]


def test_the_table_of_options_is_the_parsers() -> None:
    assert words(OPTIONS) == options_of(parser())


def test_the_exit_codes_are_those_of_the_help() -> None:
    assert [row[0] for row in CODES[1:]] == ["0", str(costs.NOT_ALL_KNOWN), "2"]
    for code in ("0", "1", "2"):
        assert f"{code} when " in costs.EPILOG


def test_the_columns_and_keys_are_those_of_the_page(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    """Every one, and no other."""
    assert main(["costs"]) == 0
    heads = capsys.readouterr().out.splitlines()[0]
    assert [" ".join(ticked(row[0])) for row in COLUMNS[1:]] == heads.split()
    assert main(["costs", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert words(WHOLE) == set(document)
    assert words(AMOUNTS) == {*document["resources"][0], *document["total"]}


def test_the_lines_of_shell_are_commands() -> None:
    for page in (PAGE, HOW_TO):
        for line in (line for block in blocks(page, "sh") for line in block.splitlines()):
            program, command, *arguments = shlex.split(line.partition("|")[0], comments=True)
            assert (program, command) == ("flow-resources", "costs")
            parser().parse_args(arguments)


def test_the_indexes_lead_to_the_pages() -> None:
    assert "(docs/reference/costs.md)" in section(ROOT / "README.md", "What it does")
    assert "(costs.md)" in (PAGE.parent / "index.md").read_text()
    assert "(read-what-was-paid.md)" in (HOW_TO.parent / "index.md").read_text()
