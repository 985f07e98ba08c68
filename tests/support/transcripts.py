"""The transcripts of a page, typed into a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from docs.pages import blocks, missing, transcript

from support.engine import Project

PROGRAMS = {"python": [sys.executable], "flow-resources": [sys.executable, "-m", "flow_resources.cli"]}


def follow(page: Path, project: Project) -> None:
    """Run every command of a page's transcripts; each must print the lines shown, in order, up to times and ids."""
    for block in blocks(page, "console"):
        for step in transcript(block):
            program, *arguments = step.command
            if program == "cd":
                project.folder = (project.folder / arguments[0]).resolve()
                continue
            printed = project.run(*arguments).ok().text if program == "pulumi" else _run(program, arguments, project)
            assert missing(step.lines, printed) is None, f"{missing(step.lines, printed)}\nis not in\n{printed}"


def _run(program: str, arguments: list[str], project: Project) -> str:
    """Run a script of an example, or our own command, with what it needs of the fake in its environment."""
    command = [*PROGRAMS[program], *arguments]
    done = subprocess.run(
        command, cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
