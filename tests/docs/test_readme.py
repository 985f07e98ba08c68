"""The README is true: its programs run, its tables are those of the classes, its messages are those of the source."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from docs.pages import CUT, EXAMPLES, PYTEST, README, ROOT, blocks, missing, section, tables, ticked

from flow_resources import GpuCluster, Volume
from flow_resources.core import cluster_fields, volume_fields
from flow_resources.core.inputs import Change, Field

PYTHON = blocks(README, "python")
RESOURCES = [("GpuCluster", GpuCluster, cluster_fields.FIELDS), ("Volume", Volume, volume_fields.FIELDS)]
MATRIX = {
    Change.REPLACE: "replaces",
    Change.UPDATE: "in place",
    Change.STATE: "recorded only",
    Change.CREATE_ONLY: "nothing: only the first create",
    Change.GUARDED: "refused at preview, because the data would be lost; replaces with `allow_replace=True`",
}
each_resource = pytest.mark.parametrize(("name", "resource", "fields"), RESOURCES, ids=["GpuCluster", "Volume"])


def rows(title: str, head: str, which: int = 0) -> dict[str, list[str]]:
    """Return the rows of a table, by each name that its first column has in backticks."""
    found = [table for table in tables(section(README, title)) if table[0][0].startswith(head)][which]
    return {name: row[1:] for row in found[1:] for name in ticked(row[0])}


# -- programs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PYTHON, ids=range(len(PYTHON)))
def test_every_block_of_python_compiles(program: str) -> None:
    """All of them, whole."""
    compile(program, "README.md", "exec")


@pytest.mark.parametrize("program", [p for p in PYTHON if "testing" not in p], ids=lambda p: p.splitlines()[-1][:30])
def test_every_program_runs_in_a_plain_pytest(program: str, tmp_path: Path) -> None:
    """Under FlowMocks, in a process of its own, as a user would test it."""
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "test_program.py").write_text(
        "import pulumi\n"
        "from flow_resources.testing import FlowMocks\n"
        "infra = {'data': {'flow': 'volume/1'}, 'hub': {'flow': 'cluster/1'}}\n"
        "mocks = FlowMocks(stacks={'acme/infra/prod': infra})\n"
        "pulumi.runtime.set_mocks(mocks)\n"
        "@pulumi.runtime.test\n"
        "def test_program():\n"
        "    import program\n"
        "def test_it_declares_something():\n"
        "    assert mocks.resources\n"
    )
    plain_pytest(tmp_path, passed=2)


def test_the_unit_test_of_a_program_passes_and_can_fail(tmp_path: Path) -> None:
    """The two files of "Testing your own program"; with a higher bid the test fails."""
    (program,) = [p for p in PYTHON if "\ncluster = GpuCluster(" in p]
    (test,) = [p for p in PYTHON if "FlowMocks" in p]
    (tmp_path / "training.py").write_text(program)
    (tmp_path / "test_training.py").write_text(test)
    plain_pytest(tmp_path, passed=1)
    (tmp_path / "training.py").write_text(program.replace("=20.0", "=30.0"))
    plain_pytest(tmp_path, failed=1)


def test_the_test_of_a_flow_program_passes_and_can_fail(tmp_path: Path) -> None:
    """The block with mock_mithril, as a file of its own."""
    (test,) = [p for p in PYTHON if "mock_mithril" in p]
    (tmp_path / "test_flow.py").write_text(test)
    plain_pytest(tmp_path, passed=1)
    (tmp_path / "test_flow.py").write_text(test.replace("mithril.release(", "mithril.bid("))
    plain_pytest(tmp_path, failed=1)


def plain_pytest(folder: Path, **outcome: int) -> None:
    """Run pytest in a folder, without this repository's settings and without anything of Mithril's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MITHRIL_", "PULUMI_", "PYTEST_"))}
    command = [*PYTEST, "--rootdir", str(folder), str(folder)]
    done = subprocess.run(
        command, cwd=folder, env=env | {"HOME": str(folder)}, capture_output=True, text=True, timeout=600, check=False
    )
    for word, count in outcome.items():
        assert re.search(rf"\b{count} {word}\b", done.stdout), done.stdout + done.stderr


def test_the_first_program_is_the_first_example() -> None:
    """Whoever copies the one has the other, and its Pulumi.yaml says the same."""
    assert PYTHON[0] == (EXAMPLES / "01-cluster" / "__main__.py").read_text()
    assert set(blocks(README, "yaml")[0].splitlines()) <= set(
        (EXAMPLES / "01-cluster" / "Pulumi.yaml").read_text().splitlines()
    )


# -- tables ------------------------------------------------------------------------------------------------------------


@each_resource
def test_the_table_of_inputs_is_the_signature(name: str, resource: type[Any], fields: Sequence[Field]) -> None:
    """Every input, in the signature's order, with its default."""
    signature = inspect.signature(resource.__init__).parameters.values()
    known = {
        one.name: "required" if one.default is inspect.Parameter.empty else f"`{one.default!r}`".replace("'", '"')
        for one in signature
        if one.kind is inspect.Parameter.KEYWORD_ONLY and one.name != "opts"
    }
    told = {input_: cells[0] for input_, cells in rows(name, "input").items()}
    assert told == known
    assert set(told) == {one.name for one in fields}


@each_resource
def test_the_table_of_outputs_is_the_class(name: str, resource: type[Any], fields: Sequence[Field]) -> None:
    """Every output that is described in the class, and none that is not there."""
    annotated = set(resource.__annotations__)
    told = set(rows(name, "output"))
    assert told <= annotated
    assert annotated - told <= {one.name for one in fields}


@each_resource
def test_the_matrix_is_that_of_the_field_tables(name: str, resource: type[Any], fields: Sequence[Field]) -> None:
    """Every input has a row, which says what the table of fields says."""
    told = rows("What a change does", f"input of a {'cluster' if name == 'GpuCluster' else 'volume'}")
    assert set(told) == {one.name for one in fields}
    for one in fields:
        assert told[one.name][0].startswith(MATRIX[one.change]), one.name


def test_every_setting_is_read_somewhere() -> None:
    """The keys and variables of the table of configuration, and no key of the source is missing."""
    told = {
        word for row in tables(section(README, "Configuration"))[0][1:] for cell in row[1:3] for word in ticked(cell)
    }
    told.discard("--secret")
    package = "\n".join(path.read_text() for path in source_files())
    sdk = {"MITHRIL_API_KEY", "MITHRIL_PROJECT", "MITHRIL_REGION", "MITHRIL_API_URL"}
    own = set(re.findall(r'"(FLOW_RESOURCES_\w+)"', package))
    read = set(re.findall(r'stack_config\("(flow:\w+)"\)', package)) | {"flow:owner"} | own
    assert 'pulumi.Config("flow").get("owner")' in package
    assert told == read | sdk


# -- messages ----------------------------------------------------------------------------------------------------------


def source_files() -> list[Path]:
    return [path for path in (ROOT / "flow_resources").rglob("*.py") if "testing" not in path.parts]


def literals() -> list[str]:
    """Return every string of the source; where a value goes in stands the sign of a cut."""
    found = []
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(one.value) if isinstance(one, ast.Constant) else CUT for one in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def assert_messages_are_the_sources(table: list[list[str]], shortest: int = 5) -> None:
    """Hold that the source says each message of a table, piece by piece: what stands between two cuts stands so there.

    One piece at least is longer than `shortest`, or it would match anything.
    """
    strings = literals()
    for message in [message for row in table[1:] for message in ticked(row[0])]:
        pieces = [piece.strip(" :,") for piece in message.split(CUT)]
        unsaid = [piece for piece in pieces if not any(piece in one for one in strings)]
        assert not unsaid, f"{message!r}: nothing in the source says {unsaid}"
        assert max(map(len, pieces)) > shortest, f"{message!r} would match anything"


def test_every_message_of_the_table_is_one_of_the_source() -> None:
    """Every error that a resource can print."""
    table = tables(section(README, "Troubleshooting"))[0]
    assert len(table) > 30
    assert_messages_are_the_sources(table, shortest=8)


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_every_make_target_that_is_named_exists() -> None:
    """In the README and in the examples' pages."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in (README, *EXAMPLES.rglob("README.md")):
        assert set(re.findall(r"`make ([a-z]+)`", page.read_text())) <= targets, page


def test_every_link_leads_somewhere_and_every_example_is_named() -> None:
    """Links inside the repository; each example has its page."""
    for page in (README, *EXAMPLES.rglob("README.md")):
        for target in re.findall(r"\]\((?!https://)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"
    for example in sorted(path for path in EXAMPLES.iterdir() if path.is_dir()):
        assert f"(examples/{example.name})" in README.read_text()
        assert (example / "README.md").exists()
        assert list(example.rglob("Pulumi.yaml"))


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
