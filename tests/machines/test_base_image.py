"""How the base image is made, with a stand-in for mmdebstrap: once, whole or not at all, and where it cannot, why."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.machines import NoMachinesError, base_image, check_machine

MAKER = """#!/bin/bash
echo "$$" >>"$MAKER_LOG"
{work}
mkdir -p "${{@: -1}}"
"""


@pytest.fixture(autouse=True)
def _machines() -> None:
    try:
        check_machine()
    except NoMachinesError as reason:
        pytest.skip(f"no machines that boot: {reason}")


def started(folder: Path, work: str) -> subprocess.Popen[str]:
    """Start to make an image with a cache and an mmdebstrap of the test's own."""
    maker = folder / "bin/mmdebstrap"
    maker.parent.mkdir(exist_ok=True)
    maker.write_text(MAKER.format(work=work))
    maker.chmod(0o755)
    env = {
        "PATH": f"{maker.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "FLOW_RESOURCES_CACHE": str(folder / "cache"),
        "MAKER_LOG": str(folder / "made"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "support.machines.base_image"], env=env, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def images(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "cache").glob("machine-*") if path.is_dir())


def test_two_that_start_at_once_make_one_image(tmp_path: Path):
    both = [started(tmp_path, "sleep 1") for _ in range(2)]
    answers = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0], answers
    assert answers[0][0] == answers[1][0] != ""
    assert len((tmp_path / "made").read_text().splitlines()) == 1
    told = "".join(errors for _, errors in answers)
    assert "once per machine" in told
    assert "another process is making" in told
    assert images(tmp_path) == [Path(answers[0][0].strip()).name]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_half_an_image_is_never_used_and_its_maker_never_left(tmp_path: Path, how: signal.Signals):
    with started(tmp_path, 'mkdir "${{@: -1}}"; sleep 1000 & wait'.replace("{{", "{").replace("}}", "}")) as making:
        deadline = time.monotonic() + 60
        while not images(tmp_path):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        making.send_signal(how)
        making.communicate(timeout=60)
    while makers(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    [half] = images(tmp_path)
    assert half.endswith(".half")
    again = started(tmp_path, "")
    folder, _ = again.communicate(timeout=60)
    assert again.returncode == 0
    assert images(tmp_path) == [Path(folder.strip()).name] == [half.removesuffix(".half")]


def test_without_a_mirror_in_reach_it_says_so(tmp_path: Path):
    trying = started(tmp_path, "echo \"E: Failed to fetch http://mirror/x  Could not resolve 'mirror'\" >&2; exit 25")
    _, errors = trying.communicate(timeout=60)
    assert (trying.returncode, errors.splitlines()[-1]) == (
        1,
        "no machines: the base image cannot be made without a mirror of Debian in reach",
    )
    assert images(tmp_path) == []


def test_a_recipe_that_fails_is_an_error_and_no_reason_to_skip(tmp_path: Path):
    trying = started(tmp_path, "echo 'E: no such package: systemb' >&2; exit 25")
    _, errors = trying.communicate(timeout=60)
    assert trying.returncode == 1
    assert "no machines:" not in errors
    assert "no such package: systemb" in errors


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((platform, "system", lambda: "Darwin"), "machines boot on Linux only"),
        ((os, "geteuid", lambda: 1000), "only root can boot machines"),
        (
            (shutil, "which", lambda tool: None if tool in ("mmdebstrap", "systemd-nspawn") else tool),
            "needs Debian's packages: apt-get install mmdebstrap systemd-container",
        ),
    ],
)
def test_where_no_machine_can_boot_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, change: tuple, reason: str):
    monkeypatch.setattr(*change)
    with pytest.raises(NoMachinesError, match=f"^{reason}$"):
        base_image()


def test_a_root_without_rights_gets_a_reason(monkeypatch: pytest.MonkeyPatch):
    run = subprocess.run
    without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    monkeypatch.setattr(subprocess, "run", lambda command, **options: run([*without, *command], **options))
    with pytest.raises(NoMachinesError, match=r"^this system gives no namespaces to root: .*not permitted"):
        base_image()


def makers(folder: Path) -> list[str]:
    """Return the processes that make an image in a folder."""
    found = []
    for line in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = line.read_bytes()
        except OSError:
            continue
        if f"MAKER_LOG={folder}/made".encode() in text:
            found.append(line.parent.name)
    return found
