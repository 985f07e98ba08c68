"""The page of `market` is true: its transcripts are what the command prints, its tables are those of the code."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from typing import Any

import pytest
from docs.pages import ROOT, blocks, options_of, section, tables, ticked, transcript

from flow_resources.cli import main, market
from flow_resources.testing import Clock, FakeMithril

PAGE = ROOT / "docs" / "reference" / "market.md"
START = 1_798_718_400.0  # 2026-12-31, noon
COLUMNS, HISTORY_COLUMNS, OPTIONS, CODES, *KEYS = tables(PAGE.read_text())


@pytest.fixture
def run(clean_environment: None, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Any) -> Any:
    """Run the command against a market of seed 7, in a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    with FakeMithril(seed=7, clock=Clock(START, speed=0)) as fake:
        # A minute after an auction: the time that the test takes changes no price.
        fake.clock.advance(hours=1, seconds=60)
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)

        def run(*arguments: str) -> str:
            assert main(arguments) == 0
            printed: str = capsys.readouterr().out
            return printed

        yield run


def keys(table: list[list[str]]) -> set[str]:
    return {word for row in table[1:] for word in ticked(row[0])}


@pytest.mark.parametrize("block", blocks(PAGE, "console"))
def test_the_transcripts_are_what_the_command_prints(run: Any, block: str) -> None:
    """Line by line, with all numbers."""
    (step,) = transcript(block)
    program, *arguments = step.command
    assert program == "flow-resources"
    assert step.lines == [line for line in run(*arguments).splitlines() if line.strip()]


def test_every_column_is_explained() -> None:
    """In the order in which it is printed."""
    one, two = (next(transcript(block)).lines for block in blocks(PAGE, "console"))
    for table, head in ((COLUMNS, one[0]), (HISTORY_COLUMNS, next(line for line in two if "LONGEST" in line))):
        told = [name for row in table[1:] for name in row[0].split(", ")]
        assert [name for name in told if name in head] == told
        assert {word for name in told for word in name.split()} >= set(head.split()) - {"TYPE", "REGION"}


def test_the_table_of_options_is_the_parsers() -> None:
    """All of them, each with what it takes."""
    parser = argparse.ArgumentParser(add_help=False)
    market.add_arguments(parser)
    assert keys(OPTIONS) == {option for option in options_of(parser) if option}
    text = {ticked(row[0])[-1]: row[1] for row in OPTIONS[1:]}
    assert f"default {market._DEFAULT_HOURS}." in text["--hours N"]
    assert text["--machines N"].endswith(f"default {parser.parse_args([]).machines}")
    assert [ticked(text["--plot FILE"])[index] for index in (0, 1)] == list(market.PLOTS)
    assert ticked(text["--plot FILE"])[2] in market._WITHOUT_LIBRARY


def test_the_exit_codes_are_those_of_the_help() -> None:
    """In the same order."""
    assert [row[0] for row in CODES[1:]] == ["0", "2"]
    assert "Exit code: 0 when something was shown, 2 when it could not be done" in market.EPILOG


def test_the_keys_of_the_document_are_those_of_the_page(run: Any) -> None:
    """Every key, and no other."""
    arguments = ["market", "8xa100", "--region", "us-central5-a", "--bid", "15", "--budget", "500", "--json"]
    document = json.loads(run(*arguments), parse_float=Decimal)
    whole, row, history, bid = map(keys, KEYS)
    assert whole - {"--machines", "null"} == set(document)
    assert row == set(document["markets"][0])
    assert history == set(document["history"])
    for one in document["history"]["bids"]:
        assert bid == set(one)


def test_the_page_is_found() -> None:
    """From the README and the index of the reference."""
    assert "(docs/reference/market.md)" in section(ROOT / "README.md", "What it does")
    assert "(market.md)" in (PAGE.parent / "index.md").read_text()
