"""What `sweep` makes of the output of `pulumi`: here of a script whose output the test sets."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from flow_resources.cli import main
from flow_resources.cli.stacks import SelectedStack, StackError
from flow_resources.core.naming import Mark, compose
from flow_resources.core.stack_state import StackState

DEV, PROD = "acme/proj/dev", "acme/proj/prod"
EMPTY = json.dumps({"version": 3, "deployment": {}})
SCRIPT = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
command = " ".join(word for word in sys.argv[1:] if word != "--non-interactive")
with (here / "commands").open("a") as log:
    log.write(command + "\\n")
code, out, err = json.loads((here / "answers").read_text()).get(command, [255, "", "error: no answer to " + command])
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class Pulumi:
    """A `pulumi` on PATH with an answer to each command line."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.answers = folder, {}
        (folder / "pulumi").write_text(SCRIPT.format(python=sys.executable))
        (folder / "pulumi").chmod(0o755)
        self.answer("version", "v3.259.0")
        self.list_stacks({"name": DEV, "current": True})
        self.answer(f"config --show-secrets --json --stack {DEV}", "{}")
        self.answer(f"stack export --stack {DEV}", EMPTY)

    def answer(self, command: str, out: str = "", *, err: str = "", code: int = 0) -> None:
        self.answers[command] = [code, out, err]
        (self.folder / "answers").write_text(json.dumps(self.answers))

    def list_stacks(self, *stacks: dict[str, object], **more: object) -> None:
        rows = [{"current": False, **stack, **more} for stack in stacks]
        self.answer("stack ls --json", json.dumps(rows))
        self.answer("stack ls --json --all", json.dumps(rows))

    @property
    def commands(self) -> list[str]:
        return (self.folder / "commands").read_text().splitlines()


@pytest.fixture
def project(tmp_path: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command runs in."""
    folder = tmp_path / "a project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: proj\nruntime: python\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def pulumi(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Pulumi:
    """The only `pulumi` there is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Pulumi(folder)


def line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line on standard error; standard output is empty."""
    printed = capsys.readouterr()
    assert printed.out == ""
    (only,) = printed.err.splitlines()
    return only


def test_outside_a_project_it_says_where_to_go(tmp_path, pulumi, monkeypatch, capsys):
    """Nothing is asked of `pulumi`."""
    monkeypatch.chdir(tmp_path)
    assert main(["sweep"]) == 2
    assert line(capsys) == (
        f"error: there is no Pulumi project in {tmp_path} or above: "
        "go into the folder of its Pulumi.yaml, or name it with --cwd"
    )


def test_without_pulumi_it_says_where_there_is_one(project, monkeypatch, tmp_path, capsys):
    """An empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["sweep"]) == 2
    assert line(capsys) == "error: there is no `pulumi` on PATH: https://www.pulumi.com/docs/install/ has it"


def test_without_a_selected_stack_it_says_how_to_choose(project, pulumi, capsys):
    """And for a name that is none, which there are."""
    pulumi.list_stacks({"name": DEV}, {"name": PROD})
    assert main(["sweep"]) == 2
    assert line(capsys) == f"error: no stack is selected in {project}: `pulumi stack select NAME`, or --stack NAME"
    assert main(["sweep", "--stack", "od"]) == 2
    assert line(capsys) == f"error: no stack of the project in {project} is named 'od': there are {DEV}, {PROD}"


@pytest.mark.parametrize("name", ["prod", "proj/prod", PROD])
def test_a_stack_can_be_named(project, pulumi, name):
    """By its own name or its whole one, from a folder below, or from elsewhere."""
    pulumi.list_stacks({"name": DEV, "current": True}, {"name": PROD})
    (project / "sub").mkdir()
    assert SelectedStack.open(project / "sub", name).name == PROD
    assert SelectedStack.open(project).name == DEV


@pytest.mark.parametrize(
    ("command", "answer", "message"),
    [
        (
            f"config --show-secrets --json --stack {DEV}",
            {"code": 255, "err": "warning: old\nerror: incorrect passphrase\n"},
            f"could not read the configuration of {DEV}: incorrect passphrase: nothing was touched",
        ),
        (
            f"stack export --stack {DEV}",
            {"code": 255, "err": "error: could not export\n", "out": "canary-77"},
            f"could not read the state of {DEV}: could not export: nothing was touched",
        ),
        (
            f"stack export --stack {DEV}",
            {"out": '{"version": 3, "depl'},
            f"could not read the state of {DEV}: `pulumi` ",
        ),
        (
            f"stack export --stack {DEV}",
            {"out": "{}"},
            f"could not read the state of {DEV}: `pulumi` printed what cannot",
        ),
        ("stack ls --json", {"out": "[{}]"}, "could not list the stacks of the project: `pulumi` printed what cannot"),
        ("stack ls --json", {"code": 1, "err": "no words"}, "could not list the stacks of the project: no words"),
        ("stack ls --json", {"code": 1}, "could not list the stacks of the project: it gave no reason"),
        ("version", {"out": "v2.0.0"}, "could not start `pulumi`: Minimum version requirement failed."),
        ("version", {"code": 1}, "could not start `pulumi`: Command '['pulumi', 'version']' returned"),
    ],
)
def test_what_pulumi_cannot_say_is_one_line(cloud, project, pulumi, capsys, monkeypatch, command, answer, message):
    """Its own first complaint; what it printed on standard output is not repeated."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    pulumi.answer(command, **answer)
    assert main(["sweep", "--yes"]) == 2
    assert line(capsys).startswith(f"error: {message}")
    assert not cloud.mutations


def test_the_config_of_the_stack_counts(cloud, project, pulumi, capsys):
    """Key, URL, project and owner, as they do for the provider; the key is not printed."""
    config = {"flow:apiKey": cloud.key, "flow:apiUrl": cloud.url, "flow:project": cloud.project, "flow:owner": "ada"}
    rows = {key: {"value": value, "secret": key == "flow:apiKey"} for key, value in config.items()}
    pulumi.answer(f"config --show-secrets --json --stack {DEV}", json.dumps(rows))
    assert main(["sweep", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["owner"] == "ada"
    assert cloud.key not in printed.out + printed.err


def test_no_secret_of_a_state_is_asked_for(project, pulumi):
    """States are read sealed, this stack's and those beside it."""
    pulumi.list_stacks({"name": DEV, "current": True}, {"name": PROD})
    state = {"deployment": {"resources": [{"urn": "u", "id": "bid_1"}]}}
    pulumi.answer(f"stack export --stack {PROD}", json.dumps(state))
    stack = SelectedStack.open(project)
    assert stack.state() == StackState()
    assert {name: state.ids for name, state in stack.other_states().items()} == {PROD: frozenset({"bid_1"})}
    assert not [command for command in pulumi.commands if "export" in command and "secrets" in command]


def test_a_list_of_stacks_without_this_one_proves_nothing(project, pulumi):
    """Others can be missing from it, too: nobody is said to record nothing."""
    stack = SelectedStack.open(project)
    pulumi.answer("stack ls --json --all", json.dumps([{"name": PROD, "current": False}]))
    pulumi.answer(f"stack export --stack {PROD}", EMPTY)
    with pytest.raises(StackError, match=f"list of all stacks of the backend does not contain {DEV}") as failed:
        stack.other_states()
    assert "`pulumi stack ls --all`" in failed.value.remedy


def test_one_state_that_cannot_be_read_is_named_and_ends_nothing(cloud, project, pulumi, capsys, monkeypatch):
    """Whoever's it is: it can record the bid that looks left over."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    pulumi.list_stacks({"name": DEV, "current": True}, {"name": PROD}, {"name": "acme/other/dev"})
    pulumi.answer(f"stack export --stack {PROD}", EMPTY)
    pulumi.answer("stack export --stack acme/other/dev", '{"version": 3, "depl')
    cloud.add_bid(compose("trainer", Mark.of(DEV, "trainer"), "9c01d2", 1))
    assert main(["sweep", "--yes", "--min-age", "0"]) == 2
    assert line(capsys).startswith("error: could not read the state of acme/other/dev: ")
    assert not cloud.mutations


@pytest.mark.parametrize("updated", [True, False])
def test_pulumi_cloud_says_whether_an_update_is_under_way(project, pulumi, updated):
    """And nobody tries to take its lock."""
    pulumi.list_stacks({"name": DEV, "current": True}, updateInProgress=updated)
    assert SelectedStack.open(project).is_being_updated() is updated
    assert not [command for command in pulumi.commands if "init" in command]


@pytest.mark.parametrize(
    ("message", "updated"),
    [
        (f"error: stack '{DEV}' already exists", False),
        ("error: could not create stack: the stack is currently locked by 1 lock(s). Either wait", True),
    ],
)
def test_a_self_managed_backend_says_it_to_who_wants_its_lock(project, pulumi, message, updated):
    """The stack exists, so that nothing is made either way."""
    stack = SelectedStack.open(project)
    pulumi.answer(f"stack init {DEV}", code=255, err=message)
    assert stack.is_being_updated() is updated


def test_a_backend_that_cannot_say_it_is_no_leave_to_end_anything(project, pulumi):
    """Whatever it answers instead."""
    stack = SelectedStack.open(project)
    pulumi.answer(f"stack init {DEV}", code=255, err="error: could not create secrets manager: incorrect passphrase")
    with pytest.raises(StackError, match=f"find out whether an update of {DEV} is under way: could not create secrets"):
        stack.is_being_updated()
    pulumi.answer(f"stack init {DEV}")
    with pytest.raises(StackError, match="was removed meanwhile"):
        stack.is_being_updated()


def test_a_stack_without_a_whole_name_needs_an_owner(project, pulumi):
    """As on a backend of old layout, which does not say whose it is."""
    pulumi.list_stacks({"name": "dev", "current": True})
    stack = SelectedStack.open(project)
    assert stack.owner("ada") == "ada"
    with pytest.raises(StackError, match="does not say the organization"):
        stack.owner(None)
