"""docs/promises.md names tests that exist, and the numbers that the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flow_resources.cloud import retries
from flow_resources.cloud.settings import RETRY_SECONDS_VARIABLE, Settings
from flow_resources.lifecycle import operation

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text()
ROWS = dict(re.findall(r"^\| ([RDWL]\d+) \|.*\| `(pytest [^`]+)` \|$", PAGE, re.MULTILINE))


def test_every_promise_has_a_row() -> None:
    """R1 to R20, D1 to D5, W1 to W6 and L1 to L6, each with a command."""
    assert list(ROWS) == [
        f"{part}{number}" for part, last in (("R", 20), ("D", 5), ("W", 6), ("L", 6)) for number in range(1, last + 1)
    ]


@pytest.mark.parametrize("row", ROWS)
def test_what_a_row_runs_is_there(row: str) -> None:
    """Each file that a command names holds tests."""
    files = re.findall(r"tests/\S+\.py", ROWS[row])
    assert files
    for file in files:
        assert "\ndef test_" in (ROOT / file).read_text(), file


def test_what_the_page_says_of_retries_is_what_the_code_does() -> None:
    """Seconds and bounds."""
    assert f"{Settings('k', 'u').retry_seconds:.0f} seconds in all (`{RETRY_SECONDS_VARIABLE}`)" in PAGE
    assert f"a random time of up to {retries._FIRST} s, 1 s,\n2 s ... {retries._CAP:.0f} s" in PAGE
    assert f"a preview\nretries for {operation._CHECK_SECONDS:.0f}, then" in PAGE
    assert operation._WAIT_TIMES * Settings("k", "u").retry_seconds == 5 * 60
