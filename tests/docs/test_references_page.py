"""docs/reference/references.md: what its machines run finds the hub, wherever that comes back; run as processes."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pulumi
import pytest
from docs.pages import EXAMPLES, README, ROOT, titled

from flow_resources.testing import FlowMocks

PAGE = ROOT / "docs" / "reference" / "references.md"
STACK = "acme/infra/prod"
# A training that gets no further than to the hub at 10.0.0.2, and notes each hub that it was sent to.
TRAIN = """#!/bin/sh
echo "$2" >>"$NOTES"
[ "$2" = 10.0.0.2 ]
"""


def inputs_of(name: str, project: str, ips: list[str]) -> dict[str, Any]:
    """Run a program of the page under mocks, with the hub's addresses; return what it registers for a resource."""
    mocks = FlowMocks(
        {"hub": {"public_ips": ips}},
        {STACK: {"data": {"flow": "volume/1"}, "hub": {"flow": "cluster/1", "public_ips": ips}}},
    )
    pulumi.runtime.set_mocks(mocks, project=project, stack="dev", preview=False)

    @pulumi.runtime.test
    def program() -> None:
        exec(compile(titled(PAGE, f"{project}/__main__.py"), str(PAGE), "exec"), {})

    program()
    (inputs,) = [inputs for _, one, inputs in mocks.resources if one == name]
    return inputs


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a machine: its programs, with the shared volume in a folder."""
    (tmp_path / "bin").mkdir()
    for name, script in {
        "hostname": "#!/bin/sh\necho $HOST_ADDRESS 172.17.0.1\n",
        "serve": "#!/bin/sh\nexit 0\n",
        "train": TRAIN,
        "sleep": "#!/bin/sh\nexec /bin/sleep 0.01\n",
    }.items():
        (tmp_path / "bin" / name).write_text(script)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "data").mkdir()
    (tmp_path / "notes").touch()
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NOTES": str(tmp_path / "notes")}


def test_the_trainer_follows_a_hub_that_comes_back_elsewhere(tmp_path: Path, machine: dict[str, str]) -> None:
    """It waits for the first one, and is sent to the second one after a preemption; no half address is ever read."""
    serve, train = (
        ["bash", "-c", inputs_of(name, project, [])["command"].replace("/data/", f"{tmp_path / 'data'}/")]
        for name, project in (("hub", "infra"), ("trainer", "training"))
    )

    def wait_for_note(address: str) -> None:
        until = time.monotonic() + 60
        while address not in (tmp_path / "notes").read_text().split("\n")[:-1]:
            assert time.monotonic() < until
            assert trainer.poll() is None

    with subprocess.Popen(train, env=machine, stderr=subprocess.DEVNULL) as trainer:
        try:
            wait_for_note("")
            for address in ("10.0.0.1", "10.0.0.2"):
                subprocess.run(serve, env=machine | {"HOST_ADDRESS": address}, check=True)
                if address == "10.0.0.1":
                    wait_for_note(address)
            assert trainer.wait(60) == 0
        finally:
            trainer.kill()
    assert set((tmp_path / "notes").read_text().split()) == {"10.0.0.1", "10.0.0.2"}
    assert (tmp_path / "notes").read_text().endswith("10.0.0.2\n")


@pytest.mark.parametrize("ips", [[], ["198.51.100.8"]])
def test_what_the_trainer_is_does_not_depend_on_where_the_hub_is(ips: list[str]) -> None:
    """Not while it is preempted either: nothing fails, and nothing is replaced."""
    usual = inputs_of("trainer", "training", ["198.51.100.7"])
    assert {**usual, "__recorded": ""} == {**inputs_of("trainer", "training", ips), "__recorded": ""}


def test_no_page_and_no_example_feeds_an_address_into_an_input() -> None:
    """But to say that it should not be done."""
    feeds = re.compile(r"^ +\w+=[^\n]*\.(public_ips|private_ips|ssh_commands|instances)\b", re.MULTILINE)
    pages = [README, *(ROOT / "docs").rglob("*.md"), *EXAMPLES.rglob("*.md"), *EXAMPLES.rglob("*.py")]
    assert len(pages) > 30
    assert [page.name for page in pages if feeds.search(page.read_text())] == []
