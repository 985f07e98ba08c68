"""docs/testing-flow-programs.md is true: its tests run, and what it says of the old ways is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import flow
import pytest
from docs.pages import ROOT, blocks, section, ticked
from flow.errors import FlowError, ProviderCapabilityError, ValidationError

from flow_resources.testing import mock_mithril

PAGE = ROOT / "docs" / "testing-flow-programs.md"
FIRST, PROGRAM, *_ = blocks(PAGE, "python")
ASSIGNED, PATCHED, SWITCHED, DEMO = WAYS = [
    "`flow.run = lambda ...`",
    '`mock.patch("flow.run")`',
    "`DRY_RUN=1`, `TEST=1`",
    "`FLOW_PROVIDER=mock`, `FLOW_DEMO_MODE=1`",
]
OTHERS = ["An answer that is lost", "All ways to use it"]
LAUNCH: dict[str, Any] = {"instance_type": "8xa100", "upload_code": False}


def today(way: str) -> str:
    return blocks_of(way)[0]


def replacement(way: str) -> str:
    return blocks_of(way)[1]


def blocks_of(title: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", section(PAGE, title), re.MULTILINE | re.DOTALL)


def outcome(folder: Path, tests: list[str], program: str = PROGRAM) -> str:
    """Run tests on a program, away from here and with a home of their own, and return pytest's last line."""
    (folder / "training.py").write_text(program)
    for number, test in enumerate(tests):
        (folder / f"test_{number}.py").write_text(test)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MITHRIL_", "FLOW_", "PYTEST_"))}
    env |= {"HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "flow_resources.testing.plugin", "--rootdir", str(folder)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)
    return done.stdout.splitlines()[-1] if done.returncode in (0, 1) else done.stdout + done.stderr


def test_every_block_is_run_by_a_test_of_this_file() -> None:
    """The first, the program, an old and a new one for each way, and those of the other sections."""
    known = [FIRST, PROGRAM, *(one for title in (*WAYS, *OTHERS) for one in blocks_of(title))]
    assert blocks(PAGE, "python") == known
    assert [len(blocks_of(title)) for title in (*WAYS, *OTHERS)] == [2, 2, 2, 2, 1, 1]
    assert PAGE.read_text().count("```") == 2 * len(known)


def test_every_new_test_passes_and_the_mistake_is_found(tmp_path: Path) -> None:
    """All in one process, where they do not disturb each other."""
    tests = [FIRST, *map(replacement, WAYS), *(one for title in OTHERS for one in blocks_of(title))]
    assert re.match(r"9 passed, 1 xfailed in", outcome(tmp_path, tests))


@pytest.mark.parametrize("way", WAYS)
def test_every_old_test_passes(way: str, tmp_path: Path) -> None:
    """As it is written today; each in a process of its own, since they do disturb each other."""
    assert re.match(r"1 passed in", outcome(tmp_path, [today(way)]))


@pytest.mark.parametrize("way", [ASSIGNED, PATCHED])
def test_the_old_ways_do_not_see_a_wrong_keyword(way: str, tmp_path: Path) -> None:
    """The real function raises, as the page says."""
    wrong = PROGRAM.replace("max_price_per_hour=", "max_price=")
    assert wrong != PROGRAM
    assert re.match(r"1 passed in", outcome(tmp_path, [today(way)], wrong))


def test_the_new_way_sees_a_wrong_keyword(tmp_path: Path) -> None:
    """By the same program."""
    wrong = PROGRAM.replace("max_price_per_hour=", "max_price=")
    assert re.match(r"1 failed in", outcome(tmp_path, [replacement(ASSIGNED)], wrong))
    with mock_mithril(), pytest.raises(ValidationError):
        flow.run("true", max_price=20.0, **LAUNCH)


def test_what_is_assigned_stays_for_the_tests_that_follow(tmp_path: Path) -> None:
    """Another file's test, which knows nothing of it, gets the lambda."""
    other = "import training\ndef test_other(): assert training.train() == 'a task'\n"
    assert re.match(r"2 passed in", outcome(tmp_path, [today(ASSIGNED), other]))


def test_patches_do_not_reach_what_was_imported_nor_what_is_further_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """All three rent."""
    from flow import run

    with mock_mithril() as mithril:
        with mock.patch("flow.run") as patched:
            run("true", **LAUNCH)
        with mock.patch("flow.Flow") as patched_client:
            flow.run("true", **LAUNCH)
        with monkeypatch.context() as assigned:
            assigned.setattr(flow, "run", lambda *_, **__: "a task")
            run("true", **LAUNCH)
        assert len(mithril.live_bids) == 3
        assert not patched.called
        assert not patched_client.called


def test_the_sdks_own_switches_are_no_protection() -> None:
    """One is not used, and the other asks the service."""
    with mock_mithril() as mithril:
        os.environ["MITHRIL_DRY_RUN"] = "1"
        flow.run("true", **LAUNCH)
        assert len(mithril.bids) == 1
        mithril.clear_requests()
        flow.run("true", dry_run=True, **LAUNCH)
        assert len(mithril.bids) == 1
        assert mithril.requests


@pytest.mark.parametrize("switch", ["FLOW_PROVIDER=mock", "FLOW_DEMO_MODE=1"])
def test_the_sdks_demo_is_as_the_page_says(switch: str) -> None:
    """No market, no changes, no names of one's own, and a file that lasts."""
    assert switch in ticked(DEMO)
    with mock_mithril() as mithril:
        name, _, value = switch.partition("=")
        os.environ[name] = value
        ids = {
            flow.run("true", name="trainer", unique_name=False, max_price_per_hour=0.01, **LAUNCH).task_id for _ in "12"
        }
        with flow.Flow() as client:
            tasks = client.list_tasks(limit=100)
            with pytest.raises(ProviderCapabilityError):
                client.bids.update_limit_price(tasks[0].task_id, "$30.00")
        assert len(ids) == 2
        assert len({task.task_id for task in tasks} - ids) == 17
        assert Path(os.environ["FLOW_DIR"], "demo_state.json").exists()
        assert mithril.requests == []


def test_the_service_would_refuse_a_bid_of_a_cent() -> None:
    """Which the demo takes."""
    with mock_mithril(), pytest.raises(FlowError):
        flow.run("true", max_price_per_hour=0.01, **LAUNCH)


@pytest.mark.parametrize(("elsewhere", "said"), [(12.0, "instances"), (30.0, "clusters")])
def test_a_bid_below_the_market_never_reaches_the_service(elsewhere: float, said: str) -> None:
    """Whether there is a cheaper region or not, which is what the SDK's sentence depends on."""
    with mock_mithril() as mithril:
        for market in [one for one in mithril.market if one["type"] == "8xa100"]:
            price = 25.0 if market["region"] == mithril.region else elsewhere
            mithril.set_price("8xa100", market["region"], price)
        with pytest.raises(FlowError, match=f"No (8xa100 )?{said}"):
            flow.run("true", max_price_per_hour=20.0, **LAUNCH)
        assert [request for request in mithril.mutations if request.path == "/v2/spot/bids"] == []
