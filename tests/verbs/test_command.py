"""`flow-resources` itself: its version, its help, and what it can do on a plain install."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from flow_resources.cli import main

# What the `testing` extra brings, and what that brings, cannot be imported: as in an environment without it.
PLAIN = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("aiohttp", "aiohappyeyeballs", "aiosignal", "frozenlist", "multidict", "yarl"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from flow_resources.cli import main
sys.exit(main(sys.argv[1:]))
"""


def plain(folder, *arguments):
    """Run the command on a plain install, outside any project."""
    return subprocess.run(
        [sys.executable, "-c", PLAIN, *arguments], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )


def test_help_names_every_command_on_a_plain_install(tmp_path):
    """Each with a word on what it does."""
    done = plain(tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    said = " ".join(done.stdout.split())
    assert "adopt print the program that takes over what runs" in said
    assert "sweep find what a crash left running" in said
    assert "market see what machines cost, and what a bid would have held" in said
    assert "watch see preemptions, and heal what their policies heal" in said
    assert "change-api-url let a state follow the service to another address" in said
    assert "fake serve a fake Mithril" in said


def test_sweep_runs_on_a_plain_install(tmp_path):
    """As far as it can without a project; its help tells the exit codes."""
    done = plain(tmp_path, "sweep")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no Pulumi project in ")
    assert "Exit code: 0 when nothing was found" in plain(tmp_path, "sweep", "--help").stdout


def test_watch_runs_on_a_plain_install(tmp_path):
    """As far as it can without a project; what draws its table comes with the Flow SDK."""
    done = plain(tmp_path, "watch", "--once")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no Pulumi project in ")
    assert "Exit code: 0 when everything" in plain(tmp_path, "watch", "--help").stdout


def test_adopt_runs_on_a_plain_install(tmp_path, clean_environment):
    """In a folder without a project, as far as it can without a key."""
    done = plain(tmp_path, "adopt")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no API key: ")
    assert "Exit code: 0 when it was printed" in plain(tmp_path, "adopt", "--help").stdout


def test_market_runs_on_a_plain_install(tmp_path, clean_environment):
    """In a folder without a project, as far as it can without a key."""
    done = plain(tmp_path, "market")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no API key: ")
    assert "Exit code: 0 when something was shown" in plain(tmp_path, "market", "--help").stdout


def test_fake_says_on_a_plain_install_what_to_install(tmp_path):
    """In one line."""
    done = plain(tmp_path, "fake")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: a fake Mithril needs aiohttp: pip install 'flow-resources[testing]'\n"


def test_the_version_is_the_packages(capsys):
    """As it was installed."""
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert (exit_.value.code, capsys.readouterr().out) == (0, f"flow-resources {version('flow-resources')}\n")


def test_without_a_command_it_says_which_there_are(capsys):
    """One line, exit code 2."""
    with pytest.raises(SystemExit) as exit_:
        main([])
    assert exit_.value.code == 2
    assert capsys.readouterr().err == (
        "error: say what to do: flow-resources adopt, flow-resources market, flow-resources sweep, "
        "flow-resources watch, flow-resources costs, flow-resources change-api-url, flow-resources plugin, "
        "flow-resources fake, or --help\n"
    )


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    """The shell's own exit code for it."""

    def interrupt(_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("flow_resources.cli.sweep.run", interrupt)
    assert main(["sweep"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["adopt", "change-api-url", "market", "sweep"])
def test_help_imports_neither_the_sdk_nor_pulumi(command):
    """It answers at once."""
    script = f"import sys; from flow_resources.cli import main\ntry: main(['{command}', '--help'])\n"
    script += "except SystemExit: pass\n"
    script += "print([name for name in ('pulumi', 'flow', 'httpx', 'aiohttp') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
