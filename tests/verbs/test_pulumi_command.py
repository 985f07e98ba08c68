"""The `pulumi` that this package runs: what only reads ends, and what changes a stack is never killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from pulumi import automation

from flow_resources import backend, pulumi_command
from flow_resources.pulumi_command import PulumiCommand

HANGS = "#!/bin/sh\n[ $1 = version ] && echo v3.259.0 && exit\nsleep {seconds} & echo $! >child; wait\necho done\n"


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `pulumi` that takes longer than a reading may, and the folder where it says which process it has started."""
    for name in ("PREVIEW_SECONDS", "READING_SECONDS"):
        monkeypatch.setattr(pulumi_command, name, 0.3)
    script = tmp_path / "bin" / "pulumi"
    script.parent.mkdir()
    script.write_text(HANGS.format(seconds=1))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    return tmp_path


@pytest.mark.parametrize("args", [["preview", "--refresh"], ["stack", "export"], ["config", "--json"]])
def test_what_only_reads_ends_with_all_that_it_has_started(hanging: Path, args: list[str]) -> None:
    """A backend can accept a connection and never answer."""
    with pytest.raises(automation.CommandError) as failed:
        PulumiCommand().run(args, str(hanging), {})
    assert backend.describe(failed.value) == f"`pulumi {args[0]}` did not end within 0.3 s"
    child = hanging / "child"  # a busy machine can be so late that none was started
    if child.exists() and (pid := child.read_text().strip()):
        assert _ends(int(pid))


def _ends(pid: int) -> bool:
    """Whether a process that was killed ends within moments; then it is gone, or is waited for by nobody."""
    stat, deadline = Path("/proc", str(pid), "stat"), time.monotonic() + 5
    while time.monotonic() < deadline:
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("args", [["up", "--yes"], ["refresh"], ["stack", "import"], ["config", "set", "a", "b"]])
def test_what_changes_a_stack_is_waited_for(hanging: Path, args: list[str]) -> None:
    """It holds the stack's lock."""
    assert PulumiCommand().run(args, str(hanging), {}).stdout == "done"
