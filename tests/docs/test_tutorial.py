"""docs/tutorial.md, followed word by word: every block in one terminal, in an empty folder, by the real engine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from docs.pages import README, ROOT, Step, blocks, missing, section, transcript
from support.engine import QUICK_PIP, Project

from flow_resources.testing import FakeMithril

PAGE = ROOT / "docs" / "tutorial.md"
INSTALL = "Install"
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "=== step"
# Read from the fake after each block.
LOOK = (
    '[ -z "$MITHRIL_API_URL" ] || for what in bids spend volumes; do '
    'curl -s "$MITHRIL_API_URL/mithril-fake/$what" >"$LOOKS/{number}-$what" || true; done'
)


@dataclass
class Command:
    """A command, or a whole block for the shell: what it printed, and what must be in it."""

    title: str
    text: str
    lines: list[str] = field(default_factory=list)


def read_commands() -> tuple[str, list[Command]]:
    """Return the page as one script, and the commands in it, each with the lines that it must print."""
    script, commands = ["export LOOKS"], []
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        if title == INSTALL:
            continue
        for language, file, code in FENCE.findall(text):
            if file:
                script.append(f"cat >{file} <<'END OF FILE'\n{code}END OF FILE")
                continue
            steps = list(transcript(code)) if language == "console" else [Step([code], [])]
            for step in steps:
                script += [f"echo '{MARK} {len(commands)}'", " ".join(step.command), f'echo "{MARK} ended $?"']
                script.append(LOOK.format(number=len(commands)))
                commands.append(Command(title, " ".join(step.command), step.lines))
    script.append("wait")  # for the fake, which the page has just ended
    return "\n".join(script) + "\n", commands


@dataclass
class Followed:
    """What happened."""

    commands: list[Command]
    printed: list[str]
    looks: Path

    def after(self, title: str, what: str) -> Any:
        """Return what the fake said at the end of a section."""
        last = max(number for number, command in enumerate(self.commands) if command.title == title)
        return json.loads((self.looks / f"{last}-{what}").read_text())

    def bids(self, title: str) -> list[tuple[str, str]]:
        """Return status and limit of each bid at the end of a section."""
        return [(bid["status"], bid["limit_price"]) for bid in self.after(title, "bids")]


def follow(root: Path) -> Followed:
    """Type the page into a bash of somebody who has just installed the package."""
    if not shutil.which("pulumi"):
        pytest.fail('no `pulumi` on PATH: run `make test`, or `eval "$(make -s env)"` first')
    for name in ("home", "looks", "empty"):
        (root / name).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MITHRIL_", "FLOW_", "PULUMI_"))}
    env = kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "HOME": str(root / "home"),
        "LOOKS": str(root / "looks"),
        "NO_COLOR": "1",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        # Else the engine looks for the plugin of pulumi-pulumiservice, a development dependency: 4 s per run offline.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PYTHONPATH": QUICK_PIP,
    }
    script, expected = read_commands()
    with subprocess.Popen(
        ["bash", "-c", script], cwd=root / "empty", env=env, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as shell:  # fmt: skip
        try:
            text, _ = shell.communicate(timeout=600)  # which returns when the fake has ended, too
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    return Followed(expected, text.split(f"{MARK} ")[1:], root / "looks")


@pytest.mark.engine
def test_the_page_followed_word_by_word_ends_where_it_says(tmp_path: Path) -> None:
    """What is printed, and what the cloud is like after each part."""
    followed = follow(tmp_path)
    every_command_succeeds_and_prints_what_the_page_shows(followed)
    the_cloud_is_as_the_page_says_after_each_part(followed)


def every_command_succeeds_and_prints_what_the_page_shows(followed: Followed) -> None:
    """In order, up to times, ids and addresses."""
    assert len(followed.commands) > 15
    assert len(followed.printed) == 2 * len(followed.commands)
    for number, command in enumerate(followed.commands):
        printed, ended = followed.printed[2 * number], followed.printed[2 * number + 1]
        assert ended.split()[:2] == ["ended", "0"], f"{command.text}\n{printed}"
        assert missing(command.lines, printed) is None, f"{missing(command.lines, printed)!r} is not in\n{printed}"


def the_cloud_is_as_the_page_says_after_each_part(followed: Followed) -> None:
    """Nothing rented by a preview, one bid at a time, lost, won back, and nothing left."""
    assert followed.bids("Preview") == []
    assert followed.bids("Up") == [("Allocated", "$20.00")]
    assert followed.bids("Change the price") == [("Allocated", "$30.00")]
    assert followed.bids("Mount a volume") == [("Terminated", "$30.00"), ("Allocated", "$30.00")]
    assert followed.bids("A preemption") == [("Terminated", "$30.00"), ("Open", "$30.00")]
    assert followed.bids("Raise the bid") == [("Terminated", "$30.00"), ("Allocated", "$40.00")]
    assert followed.after("Raise the bid", "spend")["per_hour_usd"] == 35
    (volume,) = followed.after("A preemption", "volumes")
    assert volume["capacity_gb"] == 1000
    last_look = max(n for n, command in enumerate(followed.commands) if command.lines and command.title == "Destroy")
    bids, volumes = (json.loads((followed.looks / f"{last_look}-{what}").read_text()) for what in ("bids", "volumes"))
    assert {bid["status"] for bid in bids} == {"Terminated"}
    assert volumes == []


def test_the_page_installs_as_the_readme_does() -> None:
    """Which is the one part that is not followed here."""
    (lines,) = re.findall(r"^```sh\n(.*?)^```$", section(PAGE, INSTALL), re.MULTILINE | re.DOTALL)
    readme = re.sub(r" +#.*", "", section(README, "Installing")).splitlines()
    assert [line for line in lines.splitlines() if line not in readme] == []


PREVIEWED = {"index.md": 0, "coming-from-flow-run.md": 1}  # the page, and which of its programs is previewed


@pytest.mark.engine
@pytest.mark.parametrize("page", PREVIEWED)
def test_a_preview_on_a_page_is_what_the_terminal_prints(page: str, tmp_path: Path, cloud: FakeMithril) -> None:
    """Of the program on the same page, and it rents nothing."""
    programs = re.findall(r"^```python[^\n]*\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    (block,) = blocks(ROOT / "docs" / page, "console")
    project = Project.make(tmp_path, cloud, programs[PREVIEWED[page]])
    for step in transcript(block):
        printed = project.run(*step.command[1:]).ok().text
        assert missing(step.lines, printed) is None, printed
    assert cloud.bids == []
    assert cloud.volumes == []
