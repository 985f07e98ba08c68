"""Every block of code under docs/ is run, or read by what would run it: none is only there to be looked at."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from docs.pages import ROOT, plain_pytest, titled

DOCS = ROOT / "docs"
TESTING = DOCS / "how-to" / "test-your-program.md"
FENCE = re.compile(r"^```(?P<language>\w*)(?P<rest>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
# Their programs have tests of their own, which run each block as the page means it.
RUN_ELSEWHERE = {
    "fake-cloud.md": "test_fake_cloud_pages.py",
    "testing-flow-programs.md": "test_testing_page.py",
    "coming-from-flow-run.md": "test_coming_from_flow_run.py",
    "tutorial.md": "test_tutorial.py",
    "how-to/survive-preemptions.md": "test_survive_preemptions_page.py",
    "how-to/heal-with-pulumi-cloud.md": "test_healing_pages.py",
}
# What mypy cannot know: what a decorator adds to a class, and that a pipe was asked for.
NOT_KNOWN_TO_MYPY = {
    '"TestOfUnittest" has no attribute "mithril"  [attr-defined]',
    'Item "None" of "IO[str] | None" has no attribute "readline"  [union-attr]',
}


@dataclass
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    rest: str
    code: str

    @property
    def name(self) -> str:
        """A name for people, and for a module."""
        return f"{self.page.relative_to(DOCS).with_suffix('')}_{self.line}"

    @property
    def module(self) -> str:
        return re.sub(r"\W", "_", self.name)

    @property
    def key(self) -> str:
        return str(self.page.relative_to(DOCS))


def all_blocks() -> Iterator[Block]:
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text()
        for found in FENCE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(page, line, found["language"], found["rest"], found["code"])


BLOCKS = list(all_blocks())
PYTHON = [one for one in BLOCKS if one.language == "python"]
PROGRAMS = [
    one
    for one in PYTHON
    if one.key not in RUN_ELSEWHERE and "flow_resources import" in one.code and "def test" not in one.code
]


def of(language: str) -> pytest.MarkDecorator:
    found = [one for one in BLOCKS if one.language == language]
    return pytest.mark.parametrize("block", found, ids=[one.name for one in found])


def test_every_block_says_what_it_is() -> None:
    """And no fence is left open."""
    assert {one.language for one in BLOCKS} <= {"python", "sh", "console", "yaml", "typescript", "go", "text"}
    for page in DOCS.rglob("*.md"):
        assert len(re.findall(r"^```", page.read_text(), re.MULTILINE)) == 2 * sum(one.page == page for one in BLOCKS)


def test_what_is_run_elsewhere_is_run_there() -> None:
    """The page has a test that reads it."""
    for page, test in RUN_ELSEWHERE.items():
        assert page in (Path(__file__).parent / test).read_text(), test


def test_every_block_of_python_has_right_types(tmp_path: Path) -> None:
    """Names that are not there, wrong keywords, wrong types of arguments: one run of mypy over all blocks."""
    (tmp_path / "training.py").write_text(next(one.code for one in PYTHON if 'title="training.py"' in one.rest))
    for one in PYTHON:
        (tmp_path / f"{one.module}.py").write_text(one.code)
    settings = (
        "[mypy]\ncheck_untyped_defs = True\nignore_missing_imports = True\nfollow_imports = silent\n"
        f"mypy_path = {ROOT}\nnamespace_packages = True\n[mypy-flow.*]\nfollow_imports = skip\n"
        "[mypy-training]\nfollow_imports = skip\n"
    )
    (tmp_path / "mypy.ini").write_text(settings)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        "mypy.ini",
        "--cache-dir",
        str(ROOT / ".mypy_cache" / "docs"),
    ]
    modules = [f"{one.module}.py" for one in PYTHON]
    done = subprocess.run([*command, *modules], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    found = {line.partition(": error: ")[2]: line for line in done.stdout.splitlines() if ": error: " in line}
    assert set(found) == NOT_KNOWN_TO_MYPY, done.stdout + done.stderr
    assert f"checked {len(PYTHON)} source files" in done.stdout


def test_every_program_declares_something_under_mocks(tmp_path: Path) -> None:
    """All in one process, each in a module of its own."""
    assert len(PROGRAMS) > 8
    for one in PROGRAMS:
        (tmp_path / f"{one.module}.py").write_text(one.code)
        (tmp_path / f"test_{one.module}.py").write_text(
            "import pulumi\n"
            "from flow_resources.testing import FlowMocks\n"
            "infra = {'data': {'flow': 'volume/1'}, 'hub': {'flow': 'cluster/1'}}\n"
            "mocks = FlowMocks(stacks={'organization/infra/dev': infra, 'acme/infra/prod': infra})\n"
            "@pulumi.runtime.test\n"
            "def test_program():\n"
            "    pulumi.runtime.set_mocks(mocks)\n"
            "    pulumi.runtime.set_all_config({'project:westKey': 'a-key'})\n"
            f"    import {one.module}\n"
            "def test_it_declares_something():\n"
            "    assert mocks.resources\n"
        )
    plain_pytest(tmp_path, passed=2 * len(PROGRAMS))


def test_the_unit_test_of_a_program_passes_and_can_fail(tmp_path: Path) -> None:
    """The two files of "What it declares"; with a higher bid the test fails."""
    program = titled(TESTING, "training.py")
    (tmp_path / "training.py").write_text(program)
    (tmp_path / "test_training.py").write_text(titled(TESTING, "test_training.py"))
    plain_pytest(tmp_path, passed=1)
    (tmp_path / "training.py").write_text(program.replace("=20.0", "=30.0"))
    plain_pytest(tmp_path, failed=1)


def test_the_test_of_a_flow_program_passes_and_can_fail(tmp_path: Path) -> None:
    """The block with mock_mithril, as a file of its own."""
    test = titled(TESTING, "test_flow.py")
    (tmp_path / "test_flow.py").write_text(test)
    plain_pytest(tmp_path, passed=1)
    (tmp_path / "test_flow.py").write_text(test.replace("mithril.release(", "mithril.bid("))
    plain_pytest(tmp_path, failed=1)


def test_every_block_of_how_to_test_is_run() -> None:
    """Two above, with the program that one of them tests, and one through the engine."""
    page = [one.code for one in PYTHON if one.key == "how-to/test-your-program.md"]
    titles = ("training.py", "test_training.py", "check.py", "test_flow.py")
    assert page == [titled(TESTING, title) for title in titles]


@pytest.mark.parametrize(("machines", "verdict"), [(8, {"passed": 2}), (20, {"failed": 1, "passed": 1})])
def test_the_rule_for_a_team_finds_a_cluster_that_costs_too_much(
    machines: int, verdict: dict[str, int], tmp_path: Path
) -> None:
    """At 20 an hour and machine."""
    (rule,) = [one.code for one in PYTHON if one.key == "how-to/set-a-budget.md"]
    program = titled(TESTING, "training.py")
    (tmp_path / "training.py").write_text(program.replace('region="', f'num_instances={machines}, region="'))
    (tmp_path / "test_rule.py").write_text(rule)
    plain_pytest(tmp_path, **verdict)


def test_every_python_block_is_run_by_some_test() -> None:
    """Here, or by the test of its page."""
    here = {"how-to/test-your-program.md", "how-to/set-a-budget.md", *RUN_ELSEWHERE}
    for one in PYTHON:
        assert one in PROGRAMS or one.key in here, one.name


@of("sh")
def test_every_block_for_a_shell_is_one(block: Block) -> None:
    """As far as bash can say without doing it."""
    done = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


@of("sh")
def test_every_command_for_a_shell_knows_its_switches(block: Block) -> None:
    """Of `flow-resources`: what is asked of it is in its help. JSON for the fake is JSON."""
    for command, arguments in re.findall(r"^(?:\S+ \| )?flow-resources (\w+)([^>|&\n]*)", block.code, re.MULTILINE):
        known = subprocess.run(
            [sys.executable, "-m", "flow_resources.cli", command, "--help"],
            capture_output=True, text=True, timeout=600, check=True,
        ).stdout  # fmt: skip
        for switch in re.findall(r"--[a-z-]+", arguments):
            assert switch in known, switch
    for data in re.findall(r"-d '([^']*)'", block.code):
        json.loads(data)


@of("yaml")
def test_every_block_of_yaml_is_yaml(block: Block) -> None:
    """And a project, where it is called Pulumi.yaml."""
    read = list(yaml.safe_load_all(block.code))
    assert all(read)
    if "Pulumi.yaml" in block.rest:
        assert [set(document) for document in read] == [{"name", "runtime"}]


def test_every_page_with_a_terminal_has_a_test_that_types_it() -> None:
    """And reads what comes back."""
    typed = {
        "index.md": "test_tutorial.py",
        "tutorial.md": "test_tutorial.py",
        "coming-from-flow-run.md": "test_tutorial.py",
        "fake-cloud.md": "test_fake_cloud_pages.py",
        "adopt.md": "test_adopt_page.py",
        "pulumi-commands.md": "test_pulumi_commands.py",
        "sweep.md": "test_sweep_page.py",
        "reference/costs.md": "test_costs_page.py",
        "reference/market.md": "test_market_page.py",
        "how-to/read-what-was-paid.md": "test_costs_page.py",
    }
    assert {one.key for one in BLOCKS if one.language == "console"} == set(typed)
    for page, test in typed.items():
        assert page in (Path(__file__).parent / test).read_text(), page


@of("console")
def test_every_block_of_a_terminal_begins_with_a_command(block: Block) -> None:
    """Of pulumi or of this package; that they print what is shown is tested through the engine."""
    assert re.match(r"\$ (pulumi|flow-resources|sed) ", block.code)
