"""Files of the SDK's that cannot be read, and a user's files in its place: one line that names them, exit code 2."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.stack import CheckError, Stack, VerbError, cluster

from flow_resources import cli
from flow_resources.cli import main
from flow_resources.cloud.settings import resolve
from flow_resources.errors import ConfigError
from flow_resources.testing import FakeMithril

CANARY = "canary-77aa"
Damage = Callable[[Path, pytest.MonkeyPatch], object]


def write(name: str, content: bytes | None) -> Damage:
    """Put bytes into a file of the SDK's folder, or a folder in its place."""

    def damage(folder: Path, _: pytest.MonkeyPatch) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if content is None else path.write_bytes(content)

    return damage


def remove_home(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave neither HOME nor an entry of the user in the system's table."""

    def find_nobody(user: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("FLOW_DIR")
    monkeypatch.setattr(pwd, "getpwuid", find_nobody)


def replace_folder(folder: Path, _: pytest.MonkeyPatch) -> None:
    folder.rmdir()
    folder.write_text(CANARY)


def set_variable(name: str, value: str) -> Damage:
    return lambda _, monkeypatch: monkeypatch.setenv(name, value)


def link_to_itself(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / "config.yaml").symlink_to(folder / "config.yaml")


DAMAGES = {
    "no home": (remove_home, "there is no home directory for the Flow SDK's files: set HOME, or set FLOW_DIR"),
    "no such home": (set_variable("FLOW_DIR", "~nobody-here/x"), "FLOW_DIR is '~nobody-here/x', which names no home"),
    "no such home for the file": (set_variable("FLOW_CONFIG_PATH", "~nobody-here/x"), "FLOW_CONFIG_PATH is"),
    "a file for the folder": (replace_folder, "flow/current-environment cannot be read (Not a directory)"),
    "a folder for the file": (write("config.yaml", None), "flow/config.yaml"),
    "a file that is no text": (write("config.yaml", b"\xff" + CANARY.encode()), "flow/config.yaml"),
    "a file too deep to parse": (write("config.yaml", CANARY.encode() + b": " + b"[" * 3_000), "flow/config.yaml"),
    "a link to itself": (link_to_itself, "flow/config.yaml is a link that leads nowhere"),
    "a marker with other words": (write("current-environment", CANARY.encode()), "current-environment names no"),
    "a marker that is no text": (write("current-environment", b"\xff"), "current-environment names no environment"),
    "a folder for the marker": (write("current-environment", None), "current-environment cannot be read (Is a dir"),
}
each_damage = pytest.mark.parametrize(("damage", "named"), DAMAGES.values(), ids=DAMAGES)


@each_damage
def test_what_cannot_be_read_is_named(
    clean_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Damage, named: str
) -> None:
    """Also where the stack's config has all that is needed: what the file says of the region is not known."""
    damage(tmp_path / "flow", monkeypatch)
    with pytest.raises(ConfigError) as failed:
        resolve({"flow:apiKey": "a-key", "flow:apiUrl": "http://b", "flow:region": "c"}.get)
    assert named in str(failed.value)
    assert failed.value.remedy
    assert CANARY not in str(failed.value)
    assert "Suggestions" not in str(failed.value)


@each_damage
def test_a_command_ends_with_one_line_and_code_two(
    cloud: FakeMithril,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: Damage,
    named: str,
) -> None:
    """The code 1 means that something was found."""
    monkeypatch.chdir(tmp_path)
    damage(tmp_path / "flow", monkeypatch)
    assert main(["adopt"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert named in line
    assert not cloud.requests


@pytest.mark.parametrize("name", ["flow.py", "flow/__init__.py"])
def test_a_file_beside_the_program_with_the_sdks_name_is_named_and_not_run(
    cloud: FakeMithril, tmp_path: Path, name: str
) -> None:
    """Python imports it in place of the SDK, in the plugin as in this command."""
    path = tmp_path / "project" / name
    path.parent.mkdir(parents=True)
    path.write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w')\n")
    done = subprocess.run(
        [sys.executable, "-m", "flow_resources.cli", "adopt"],
        cwd=tmp_path / "project", env={**os.environ, **cloud.environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"error: Python imports {path} in place of the Flow SDK's package, `flow`: rename it\n")
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize(("name", "said"), [("yaml", "module 'yaml' has no"), ("pydantic", "from 'pydantic' (")])
def test_a_file_with_the_name_of_a_module_that_the_sdk_uses_is_named(
    cloud: FakeMithril, tmp_path: Path, name: str, said: str
) -> None:
    """As Python names it, and never as a damaged file of the SDK's."""
    (tmp_path / f"{name}.py").write_text("")
    (tmp_path / "flow" / "config.yaml").write_text("api_key: a-key\n")
    done = subprocess.run(
        [sys.executable, "-c", "from flow_resources.cloud.settings import resolve; resolve({}.get)"],
        cwd=tmp_path, env={**os.environ, **cloud.environment, "FLOW_DIR": str(tmp_path / "flow")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert last.startswith("flow_resources.errors.ConfigError: the Flow SDK cannot be imported: ")
    assert said in last
    assert "a file beside the program may have the name of a module that it uses" in last


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (write("keys", b""), "flow/keys/metadata.json"),
        (write("keys/production", b""), "flow/keys/production cannot be written (Not a directory)"),
        (write("keys/metadata.json", b"{"), "flow/keys/metadata.json: not valid JSON"),
        (write("keys/metadata.json", b"\xff"), "flow/keys/metadata.json: could not decode file"),
        (write("keys/metadata.json", b'{"a": 1}'), "correct or move away keys/metadata.json"),
    ],
)
def test_a_damaged_folder_of_keys_is_named(
    stack: Stack, cloud: FakeMithril, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Damage, named: str
) -> None:
    """It is needed where a cluster names no keys; nothing is said of a service that does not answer."""
    damage(tmp_path / "flow", monkeypatch)
    with pytest.raises((CheckError, VerbError)) as failed:
        stack.up({"trainer": cluster()})
    assert named in str(failed.value)
    assert "API" not in str(failed.value)
    assert not cloud.live_bids


def test_an_error_that_nobody_expected_ends_with_code_two_and_without_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback ends with 1, which means "found"; and its text can hold a secret."""

    def fail(_: object) -> int:
        raise KeyError(CANARY)

    monkeypatch.setattr(cli.sweep, "run", fail)
    assert main(["sweep"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: internal error of flow_resources, please report it: KeyError at ")
    assert CANARY not in line
