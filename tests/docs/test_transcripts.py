"""What the pages say that the terminal prints is what it prints."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from docs.pages import EXAMPLES, README, ROOT, blocks, section, tables, ticked, titled
from support.engine import Project, copy_example, end_session, environment, kill, plugin_pids
from support.transcripts import follow

from flow_resources.testing import MANUAL, FakeMithril

ELSEWHERE = ("14-typescript", "15-go")
"""Their pages are followed by tests/languages, with what those languages need."""
PAGES = {README: EXAMPLES / "01-cluster"} | {
    page: page.parent for page in sorted(EXAMPLES.rglob("README.md")) if not set(ELSEWHERE) & set(page.parts)
}
SHOWN = [page for page in PAGES if blocks(page, "console")]


@pytest.fixture(autouse=True)
def pulumi_on_path() -> None:
    """Say what to do where there is no engine; never pass without one."""
    if not shutil.which("pulumi"):
        pytest.fail('no `pulumi` on PATH: run `make test`, or `eval "$(make -s env)"` first')


def project_in(folder: Path, root: Path, cloud: FakeMithril) -> Project:
    """Return a copy of an example, without a stack."""
    return Project(copy_example(folder, root / folder.name), environment(root, cloud))


@pytest.mark.engine
@pytest.mark.parametrize("page", SHOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_transcript_is_what_the_terminal_prints(page: Path, tmp_path: Path, cloud: FakeMithril) -> None:
    """Every command is run, and every line shown is printed, in order, up to times, ids and addresses."""
    cloud.boot_seconds = 2
    follow(page, project_in(PAGES[page], tmp_path, cloud))


@pytest.mark.engine
def test_the_test_against_the_fake_runs(tmp_path: Path, cloud: FakeMithril) -> None:
    """The block with FakeMithril, as a file in a project whose stack is selected."""
    program = titled(ROOT / "docs" / "how-to" / "test-your-program.md", "check.py")
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "01-cluster")
    (project.folder / "check.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "check.py"],
        cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not cloud.mutations, "it must use its own fake"


@pytest.mark.engine
def test_pulumis_own_messages_are_the_ones_in_the_table(tmp_path: Path, cloud: FakeMithril) -> None:
    """No passphrase, a wrong one, a stack that is not there, a locked one, an import, no pip, a death."""
    (table,) = tables(section(ROOT / "docs" / "troubleshooting.md", "Messages of Pulumi itself"))
    # No engine starts; a file is damaged; two hosts, as in tests/engine/test_moves_between_hosts.py.
    elsewhere = {
        "No module named 'pulumi'",
        "unexpected end of JSON input",
        "Duplicate resource alias",
        "Duplicate resource URN",
    }
    messages = [message for row in table[1:] for message in ticked(row[0]) if message not in elsewhere]
    training = Project.of_example(tmp_path, cloud, EXAMPLES / "04-two-projects" / "training")
    printed = training.preview().failed().text
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "01-cluster")
    passphrase = project.env.pop("PULUMI_CONFIG_PASSPHRASE")
    printed += project.preview().failed().text
    printed += (
        dataclasses.replace(project, env={**project.env, "PULUMI_CONFIG_PASSPHRASE": "another"}).preview().failed().text
    )
    project.env["PULUMI_CONFIG_PASSPHRASE"] = passphrase
    cloud.set_options(boot_seconds=MANUAL)  # the first `up` holds the lock for as long as the second one needs
    running = project.start("up", "--yes", "--skip-preview")
    while not cloud.live_bids and running.poll() is None:
        time.sleep(0.1)
    printed += project.up().failed().text
    cloud.set_options(boot_seconds=0)
    cloud.finish("boot")
    assert running.wait(timeout=600) == 0
    assert running.stdout
    running.stdout.close()
    printed += project.run("import", "pulumi-python:dynamic/flow:GpuCluster", "theirs", "bid_1", "--yes").text
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    del project.env["PYTHONPATH"]
    project.env["PATH"] = f"{tmp_path / 'bare' / 'bin'}{os.pathsep}{project.env['PATH']}"
    printed += project.preview().failed().text
    (tmp_path / "killed").mkdir()
    printed += what_deaths_print(Project.of_example(tmp_path / "killed", cloud, EXAMPLES / "01-cluster"), cloud)
    for message in messages:
        assert message in printed


def what_deaths_print(project: Project, cloud: FakeMithril) -> str:
    """Kill the plugin while it waits for a machine, then the engine, and go on both times; return what is printed."""
    project.run("config", "set", "flow:owner", "killed").ok()  # its name is that of the project before
    before, waits = len(cloud.bids), threading.Event()
    cloud.set_options(boot_seconds=MANUAL)
    first = project.start("up", "--yes", "--skip-preview")
    while len(cloud.bids) == before and first.poll() is None:
        time.sleep(0.1)
    kill(*plugin_pids(first.pid))
    printed, _ = first.communicate(timeout=600)
    cloud.faults.add(method="GET", path="/v2/instances$", then=lambda _: waits.set())
    second = project.start("up", "--yes", "--skip-preview")
    assert waits.wait(600)
    end_session(second)
    second.communicate()
    project.run("cancel", "--yes").ok()
    cloud.set_options(boot_seconds=0)
    cloud.finish("boot")
    return printed + project.up().ok().text
