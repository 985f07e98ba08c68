"""The page of `change-api-url` is true: its tables are those of the code."""

from __future__ import annotations

import argparse

from docs.pages import ROOT, assert_messages_are_in_the_source, blocks, options_of, section, tables, ticked

from flow_resources.cli import change_api_url
from flow_resources.cli.change_api_url import Change, _document, _lines
from flow_resources.cli.look_up import LookedUp
from flow_resources.core.naming import take_apart
from flow_resources.core.stack_state import RecordedThing

PAGE = ROOT / "docs" / "how-to" / "change-the-api-url.md"
OPTIONS, CODES = tables(PAGE.read_text())[:2]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(add_help=False)
    change_api_url.add_arguments(made)
    return made


def test_the_table_of_options_is_the_parsers() -> None:
    """All of them, each with what it takes."""
    told = {word for row in OPTIONS[1:] for word in ticked(row[0])}
    assert told == options_of(parser())


def test_the_exit_codes_are_those_of_the_help() -> None:
    """In the same order."""
    assert [row[0] for row in CODES[1:]] == ["0", "2"]
    for code in ("0", "2"):
        assert f"{code} when " in change_api_url.EPILOG


def test_the_transcript_is_what_is_printed() -> None:
    """Line by line, for what the page shows."""
    (block,) = blocks(PAGE, "text")
    looked, written = block.split("$ flow-resources")[1:]
    things = []
    for line in looked.splitlines()[2:4]:
        id_, name, service, _ = line.split()
        assert take_apart(name)
        things.append(LookedUp(RecordedThing("urn", id_, name, service, "proj_1"), None))
    change = Change("acme/training/dev", "https://api.new.example", "demo", things)
    arguments = parser().parse_args(["https://api.new.example"])
    assert looked.splitlines()[1:] == list(_lines(change, arguments, {}, is_written=False))
    lines = list(_lines(change, arguments, {}, is_written=True))
    assert written.partition("$ pulumi")[0].splitlines()[1:] == lines
    assert f"$ {lines[-1].split('`')[1]}\n" in block


def test_the_keys_of_the_document_are_those_of_the_page() -> None:
    """Every key, and no other."""
    found = [LookedUp(RecordedThing("urn", "bid_1", None, None, None), None)]
    document = _document(Change("a/b/c", "http://x", "demo", found), is_written=False)
    whole, resources = (
        {word for row in table[1:] for word in ticked(row[0])} for table in tables(section(PAGE, "For scripts"))
    )
    assert whole == set(document)
    assert resources == set(document["resources"][0])


def test_every_message_of_the_page_is_one_of_the_source() -> None:
    """Piece by piece."""
    (table,) = tables(section(PAGE, "Messages"))
    assert_messages_are_in_the_source(table)
