"""Tables that fit a width: of the cells, only the names in the first column are cut."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_GAPS = (2, 1)
_SHORTEST_NAME = 8


def draw(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str],
    width: int | None = None,
    styles: Mapping[tuple[int, str], str] | None = None,
) -> Table:
    """Return a table, at most `width` wide; None: as wide as it is.

    `right` are the heads of the columns that are aligned to the right; `styles` the styles of cells, by the place of
    their column and their text.
    """
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    others, gaps = sum(widths[1:]), len(heads)
    fitting = (gap for gap in _GAPS if width is None or others + gap * gaps + min(widths[0], _SHORTEST_NAME) <= width)
    gap = next(fitting, _GAPS[-1])
    if width is not None:
        widths[0] = min(widths[0], max(_SHORTEST_NAME, width - others - gap * gaps))
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for head, wide in zip(heads, widths, strict=True):
        table.add_column(
            head, width=wide, no_wrap=True, overflow="ellipsis", justify="right" if head in right else "left"
        )
    for row in rows:
        table.add_row(*(Text(cell, (styles or {}).get((place, cell), "")) for place, cell in enumerate(row)))
    return table


def lines_of(table: Table, width: int | None = None) -> list[str]:
    """Return a table as plain lines."""
    out, wide = io.StringIO(), width or sum((column.width or 0) + _GAPS[0] for column in table.columns)
    Console(file=out, width=wide, color_system=None, legacy_windows=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]
