"""The README is true: its program runs, its links lead somewhere, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

from docs.pages import EXAMPLES, README, ROOT, blocks, declare_under_mocks, missing

PAGES = (
    README,
    ROOT / "CONTRIBUTING.md",
    *(page for page in EXAMPLES.rglob("README.md") if "node_modules" not in page.parts),
)
(PROGRAM,) = blocks(README, "python")

# -- the program -------------------------------------------------------------------------------------------------------


def test_the_program_runs_in_a_plain_pytest(tmp_path: Path) -> None:
    """Under FlowMocks, in a process of its own, as a user would test it."""
    declare_under_mocks(tmp_path, PROGRAM, "it_declares_something", "mocks.resources")


def test_the_first_program_is_the_first_example() -> None:
    """Whoever copies the one has the other, and its Pulumi.yaml says the same."""
    assert (EXAMPLES / "01-cluster" / "__main__.py").read_text() == PROGRAM
    assert set(blocks(README, "yaml")[0].splitlines()) <= set(
        (EXAMPLES / "01-cluster" / "Pulumi.yaml").read_text().splitlines()
    )


def test_the_program_in_yaml_is_that_of_the_example() -> None:
    """Also on the page about other languages, which shows it first."""
    lines = (EXAMPLES / "13-yaml" / "Pulumi.yaml").read_text().splitlines()
    program = [line for line in lines if not line.startswith("description:")]
    for page in (README, ROOT / "docs" / "how-to" / "use-another-language.md"):
        assert program in [block.splitlines() for block in blocks(page, "yaml")]


# -- the page ----------------------------------------------------------------------------------------------------------


def test_every_make_target_that_is_named_exists() -> None:
    """In the README, in CONTRIBUTING.md and in the examples' pages."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z]+)`", page.read_text())) <= targets, page


def test_every_link_leads_somewhere_and_every_example_is_named() -> None:
    """Links inside the repository; each example has its page."""
    for page in PAGES:
        for target in re.findall(r"\]\((?!https://)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"
    examples = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
    assert [int(example.name[:2]) for example in examples] == list(range(1, len(examples) + 1))
    for example in examples:
        assert f"(examples/{example.name})" in README.read_text()
        assert (example / "README.md").exists()
        assert list(example.rglob("Pulumi.yaml"))


def test_it_is_short() -> None:
    """What it does is on other pages."""
    assert len(README.read_text().splitlines()) <= 195


def test_the_wrong_package_is_warned_of_and_never_asked_for() -> None:
    """PyPI's flow-sdk is another company's."""
    assert "`flow-sdk` is an unrelated product" in README.read_text()
    assert not re.search(r"pip install [^\n]*flow-sdk", README.read_text())


def test_the_changelog_has_the_version_of_the_package() -> None:
    """Newest first."""
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    newest = re.search(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert version
    assert newest
    assert newest[1] == version[1]


def test_a_transcript_with_a_line_that_is_not_printed_is_found_out() -> None:
    """Times, ids and addresses may differ; order, words and prices may not."""
    printed = "a bid_000007 at 198.18.0.9 (3s)\nmax $20.00/h"
    assert missing(["a bid_000001 at 10.0.0.1 (0.05s)", "max …/h"], printed) is None
    assert missing(["max $20.00/h", "a bid_000007 at 198.18.0.9 (3s)"], printed) == "a bid_000007 at 198.18.0.9 (3s)"
    assert missing(["max $50.00/h"], printed) == "max $50.00/h"
