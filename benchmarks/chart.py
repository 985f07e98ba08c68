"""`python benchmarks/chart.py`: draws what the last run measured over N into docs/images/scale.svg.

Reads the tables "growth" and "bare growth" of `benchmarks/latest.json`. The same numbers make the same file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

HERE = Path(__file__).resolve().parent
CHART = HERE.parent / "docs" / "images" / "scale.svg"
OURS, FLOOR, BARE = "#3f51b5", "#888888", "#c0392b"
PANELS = {"up": "pulumi up, N new clusters", "refresh": "pulumi refresh of N clusters"}


def main() -> None:
    """Draw the chart, into the file that is named or into the docs."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else CHART
    draw(json.loads((HERE / "latest.json").read_text()), path)


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Write the chart of one run."""
    settings = {"svg.hashsalt": "flow-resources", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9.0}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9.0, 3.6), layout="constrained")
        for axes, (operation, title) in zip(figure.subplots(1, 2, sharey=True), PANELS.items(), strict=True):
            rows = [row for row in found["growth"] if (row["operation"], row["package"]) == (operation, "this")]
            lines = [("GpuCluster", "ours_s", OURS, rows), ("no-op dynamic resources", "floor_s", FLOOR, rows)]
            if operation == "up":
                lines.append(("flow.run in the program", "up_s", BARE, found["bare growth"]))
            for label, column, color, points in lines:
                axes.plot([row["N"] for row in points], [row[column] for row in points], "o-", color=color, label=label)
            axes.set(title=title, xlabel="N", xscale="log", yscale="log")
            axes.set_xticks([row["N"] for row in rows])
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter(NullFormatter())
            axes.grid(color="#dddddd", linewidth=0.6)
            axes.legend(frameon=False)
        figure.axes[0].set_ylabel("seconds")
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
