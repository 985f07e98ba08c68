"""The pages of the fake cloud are true: their programs run, their tables are those of the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from docs.pages import README, ROOT, blocks, missing, section, tables, ticked, transcript

from flow_resources.testing import Console, FakeMithril
from flow_resources.testing.service.lifecycle import Transition
from flow_resources.testing.service.options import MOVING_MARKET_DURATIONS, Options
from flow_resources.testing.verbs import MUTATIONS, QUERIES
from flow_resources.testing.web.faults import FaultRule, Kind
from flow_resources.testing.web.routes import paths

CLOUD = ROOT / "docs" / "fake-cloud.md"
CONTRACT = ROOT / "docs" / "fake-cloud-contract.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]


def run(command: list[str], folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody without any setting of Mithril's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MITHRIL_", "FLOW_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("program", blocks(CLOUD, "python"), ids=lambda text: text.splitlines()[0][:40])
def test_every_program_of_the_page_runs(program, tmp_path):
    """Whole, in a process and a folder of its own."""
    (tmp_path / "program.py").write_text(program)
    done = run([sys.executable, "-W", "error", "program.py"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


SERVED = blocks(CLOUD, "console")


@pytest.mark.parametrize("block", SERVED, ids=["in memory", "with a state file"])
def test_the_command_prints_what_the_pages_show(block, tmp_path):
    """Line by line, up to the port."""
    (step,) = transcript(block)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "flow_resources.cli", *step.command[1:]]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        printed = "".join(server.stdout.readline() for _ in step.lines)
        server.terminate()
        assert server.wait(60) == 0
    assert missing(step.lines, printed) is None, printed


def test_the_console_script_is_declared():
    """`flow-resources` on the command line is `flow_resources.cli:main`."""
    assert '\nflow-resources = "flow_resources.cli:main"\n' in (ROOT / "pyproject.toml").read_text()


def test_the_page_knows_every_verb_of_the_control_api():
    """And no other."""
    text = section(CLOUD, "From another process")
    get, post = re.findall(r"^- `(?:GET|POST) /mithril-fake/.*?(?=^- |^```|\Z)", text, re.MULTILINE | re.DOTALL)
    assert set(ticked(get)[1:]) == set(QUERIES)
    assert set(ticked(post)[1:]) == set(MUTATIONS)


def test_every_method_that_the_page_names_is_there():
    """The tables of the verbs and of what can be looked at."""
    named = [
        ticked(row[0])
        for title in ("The market", "Inspect it")
        for table in tables(section(CLOUD, title))
        for row in table[1:]
    ]
    for words in named:
        for word in words:
            name = word.partition("(")[0]
            assert hasattr(Console, name) or hasattr(FakeMithril, name), name


def test_the_table_of_durations_is_that_of_the_options():
    """The switch, what it is by default and with a seed, and how it is ended by hand. The lag of lists ends nothing."""
    _, durations = tables(section(CLOUD, "Time"))
    told = {ticked(row[0])[0]: (float(row[2]), float(row[3]), ticked(row[4])[0].strip('"')) for row in durations[1:]}
    still = Options()
    assert list(told) == [
        one.name for one in fields(Options) if one.name.endswith("_seconds") and "lag" not in one.name
    ]
    for name, (default, living, _) in told.items():
        assert default == getattr(still, name)
        assert living == MOVING_MARKET_DURATIONS.get(name, getattr(still, name))
    assert [finish for *_, finish in told.values()] == list(get_args(Transition))


def test_the_table_of_faults_has_every_kind():
    """In any order."""
    (kinds,) = tables(section(CLOUD, "Faults"))
    assert {ticked(row[0])[0] for row in kinds[1:]} == set(get_args(Kind))
    assert {"method", "path", "nth", "times", "rate", "lasts", "when", "kill"} < {one.name for one in fields(FaultRule)}


def test_how_often_a_rule_strikes_is_as_the_page_says():
    """Once, and for ever with `rate` or `lasts`."""
    assert "A rule applies once, with `rate` or `lasts` without limit, unless `times` is set." in CLOUD.read_text()
    faults = FakeMithril().faults
    rules = [faults.add(), faults.add(rate=0.5), faults.add(lasts=60), faults.add(rate=0.5, times=1)]
    assert [rule.times for rule in rules] == [1, None, None, 1]


def test_a_server_with_a_state_file_is_found_again(tmp_path):
    """Its seed is in the file; its speed and its port are those of the command."""
    with FakeMithril(state=tmp_path / "cloud.db", seed=7, speed=60) as first:
        port = first.port
    with FakeMithril(port, state=tmp_path / "cloud.db") as second:
        assert (second.seed, second.clock.speed, second.port) == (7, 1.0, port)


def test_every_route_is_in_the_contract():
    """With its methods."""
    (routes,) = tables(section(CONTRACT, "What is imitated"))
    told = {(ticked(row[0])[0], method) for row in routes[1:] for method in row[1].split(", ")}
    assert told == {(path, method) for method, path in paths()}


def test_every_guess_is_a_switch_with_the_default_that_the_page_says():
    """Each switch of `Options` is a guess or a duration."""
    (guesses,) = tables(section(CONTRACT, "What is a guess"))
    still, told = Options(), {}
    for row in guesses[1:]:
        for name in [word for word in ticked(row[1]) if word in Options.__dataclass_fields__]:
            told[name] = ticked(row[2])[0]
    assert set(told) == {one.name for one in fields(Options)} - {"auction_seconds", "preemption_notice_seconds"}
    for name, default in told.items():
        value = getattr(still, name)
        assert default in (str(value), f'"{value}"', str(int(value)) if isinstance(value, float) else ""), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    """To a file, and to a heading of it."""
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = page.parent / name if name else page
        assert found.exists(), target
        headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in [slug(heading) for heading in headings], target


def slug(heading):
    """Return the anchor of a heading: GitHub and the site make it alike."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
