"""docs/how-to/set-a-budget.md: the rows that it shows."""

from __future__ import annotations

from docs.pages import ROOT, blocks
from support.stack import Reports, Stack, cluster


def test_the_rows_of_the_page_are_those_of_a_preview(stack: Stack, reports: Reports) -> None:
    """A new cluster, and one with a higher bid, under a budget."""
    (shown,) = blocks(ROOT / "docs" / "how-to" / "set-a-budget.md", "text")
    stack.config["flow:maxCostPerHour"] = "500"
    stack.up({"b": cluster()})
    reports.rows.clear()
    stack.preview({"a": cluster(num_instances=4), "b": cluster(max_price_per_hour=60.0)})
    assert reports.rows == shown.splitlines()
