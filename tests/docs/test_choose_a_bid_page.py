"""docs/how-to/choose-a-bid.md is true: the program is declared, and each policy says what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs.pages import ROOT, blocks, declare_under_mocks, section, tables, ticked
from support.golden import HOUR
from support.stack import Reports, SkippingClock, Stack, cluster, settings_of, with_policy

import flow_resources
from flow_resources.providers import base
from flow_resources.testing import Clock, FakeMithril

PAGE = ROOT / "docs" / "how-to" / "choose-a-bid.md"


def test_the_program_is_declared(tmp_path: Path) -> None:
    """Under FlowMocks, with the cap as the number."""
    (program,) = blocks(PAGE, "python")
    bids = "{name: inputs['max_price_per_hour'] for _, name, inputs in mocks.resources}"
    declare_under_mocks(tmp_path, program, "it_bids", f"{bids} == {{'service': 60, 'training': 40}}")


@pytest.mark.usefixtures("clean_environment")
def test_each_policy_says_what_the_page_says(reports: Reports) -> None:
    """On the market that the page names."""
    ((_, *rows),) = tables(section(PAGE, "What each policy bids"))
    with FakeMithril(seed=7, clock=Clock(HOUR, speed=0)) as cloud:
        stack = Stack(settings_of(cloud), clock=SkippingClock())
        for policy, said in rows:
            (written,), (words,) = ticked(policy), ticked(said)
            bid = eval(written, {"Bid": flow_resources.Bid})
            reports.kept.clear()
            stack.preview({"it": with_policy(cluster(), **bid._props)})
            assert reports.kept == [words.replace("'up'", "`up`")]
        base.current().close()


def test_the_page_names_every_policy() -> None:
    """In the table of what they are for."""
    ((_, *rows),) = tables(section(PAGE, "Which policy for what"))
    named = {ticked(policy)[0].removeprefix("Bid.").partition("(")[0] for _, policy, _ in rows}
    assert named == {name for name, one in vars(flow_resources.Bid).items() if isinstance(one, staticmethod)}
