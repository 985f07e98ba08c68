"""docs/reference/inputs.md is made from the tables of inputs, and nobody has to remember to make it again."""

from __future__ import annotations

import runpy

from docs.pages import ROOT

TOOL = runpy.run_path(str(ROOT / "tools" / "inputs_page.py"))


def test_the_page_is_what_the_tables_say() -> None:
    """Whoever changes an input runs the tool."""
    assert TOOL["PAGE"].read_text() == TOOL["page"](), "run: python tools/inputs_page.py"


def test_every_cell_of_every_row_says_something() -> None:
    """Six cells a row, of which none is empty and none breaks the table."""
    for name, fields in TOOL["TABLES"].items():
        rows = [line for line in TOOL["section"](name, fields) if line.startswith("| `")]
        assert len(rows) == len(fields)
        for row in rows:
            cells = row.strip("|").split("|")
            assert len(cells) == 6, row
            assert all(map(str.strip, cells)), row
