"""The plot of a market: its price over time, and a bid with the times in which it would have lost its machines.

The only module that knows matplotlib, which the extra `plot` brings: it is imported when something is drawn. A plot of
the same prices is the same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flow_resources.cli.market.show import Details, names_of, percent
from flow_resources.core import advice, money

_INCHES = (10.0, 4.5)
_DPI = 150
_HASH_SALT = "flow-resources"
"""Makes the ids in an SVG the same in every run."""
_PRICE, _BID, _LOSS = "#1f4e79", "#b5651d", "#c0392b"


def draw(details: Details, path: Path) -> None:
    """Write the plot to a .png or .svg file. Raises OSError where it cannot be written."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": _HASH_SALT, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
        _draw(figure.subplots(), details)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        # The time at which a file was made is no part of what it shows.
        is_svg = path.suffix.lower() == ".svg"
        figure.savefig(path, metadata={"Date": None} if is_svg else {"Software": None})


def _draw(axes: Any, details: Details) -> None:
    from matplotlib import dates

    history, row = details.history, details.row
    (name,) = names_of([row])
    for index, (moments, prices) in enumerate(_lines(details)):
        axes.step(
            moments, prices, where="post", color=_PRICE, linewidth=1.2, label=None if index else "price of a machine"
        )
    if details.bid is not None:
        record = advice.record_of(history, details.bid)
        label = f"a bid of {money.usd(details.bid)} would have held {percent(record.share_held)}"
        axes.axhline(float(details.bid), color=_BID, linewidth=1.4, linestyle="--", label=label)
        for index, loss in enumerate(history.losses(details.bid)):
            axes.axvspan(
                loss.start, loss.end, color=_LOSS, alpha=0.18, linewidth=0, label=None if index else "without machines"
            )
    axes.set_title(f"{name} in {row.region}")
    axes.set_ylabel("USD per machine and hour")
    axes.set_xlabel("time, UTC")
    axes.set_xlim(history.start, history.end)
    axes.set_ylim(bottom=0)
    locator = dates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.grid(alpha=0.25)


def _lines(details: Details) -> list[tuple[list[Any], list[float]]]:
    """Return the price as lines of moments and prices; where nothing is known, one ends and the next begins later."""
    lines: list[tuple[list[Any], list[float]]] = []
    end = None
    for step in details.history.steps:
        if step.start != end:
            lines.append(([], []))
        lines[-1][0].extend((step.start, step.end))
        lines[-1][1].extend((float(step.price), float(step.price)))
        end = step.end
    return lines
