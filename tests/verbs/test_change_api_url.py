"""`flow-resources change-api-url` against the fake, which is the same service under two names of this machine."""

from __future__ import annotations

import copy
import json
import shlex
from typing import Any

import httpx
import pytest
from support.fake_backend import STACK, FakeStack
from support.keys import ed25519
from support.stack import Stack, cluster, settings_of, ssh_key, volume

from flow_resources.cli import main
from flow_resources.cli.stacks import SelectedStack
from flow_resources.testing import FakeMithril

OLD = "http://old-name.example"


@pytest.fixture
def new(cloud: FakeMithril) -> str:
    """The address that the service has now."""
    return cloud.url


@pytest.fixture
def beside(cloud: FakeMithril, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """A stack with a cluster and its volume, whose state records the address that the service had."""
    stack.up({"data": volume(), "trainer": cluster()})
    export = stack.export()
    for row in export["deployment"]["resources"]:
        row |= {"type": row["urn"].split("::")[2]}
        row["outputs"]["__service"] = OLD
        row["outputs"]["env"] = {"4dabf18193072939515e22adb298388d": "sealed", "ciphertext": "v1:x"}
    cloud.clear_requests()
    opened = FakeStack({**settings_of(cloud), "flow:apiUrl": OLD}, exported=export)
    monkeypatch.setattr(SelectedStack, "open", lambda *_: opened)
    return opened


def row_of(beside: FakeStack, id_prefix: str) -> dict[str, Any]:
    rows = beside.exported["deployment"]["resources"]
    (row,) = [row for row in rows if row["id"].startswith(id_prefix)]
    return dict(row)["outputs"] | {"id": row["id"]}


def recorded(beside: FakeStack) -> set[str]:
    return {row["outputs"].get("__service") for row in beside.exported["deployment"]["resources"]}


def test_without_yes_it_says_what_it_would_do(cloud, beside, new, capsys):
    """And the command that it offers does it: nothing but the address differs afterwards, and secrets stay sealed."""
    before = copy.deepcopy(beside.exported)
    assert main(["change-api-url", new, "--stack", "dev"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    head, *rows, last = printed.out.splitlines()
    assert head.split() == ["ID", "NAME", "RECORDED", "AT", "AT", "THE", "NEW", "ADDRESS"]
    assert sorted(row.split()[0] for row in rows) == sorted(row["id"] for row in before["deployment"]["resources"])
    assert all(row.split()[2:] == [OLD, "found"] for row in rows)
    command = f"flow-resources change-api-url {new} --yes --stack dev"
    assert last == f"All of it is there. `{command}` writes this into the state of {STACK}."
    assert beside.exported == before
    assert main(shlex.split(command)[1:]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [
        f"The state of {STACK} records {new} now.",
        f"`pulumi config set flow:apiUrl {new} --stack {STACK}` lets the stack use it.",
    ]
    assert recorded(beside) == {new}
    for row in before["deployment"]["resources"]:
        row["outputs"]["__service"] = new
    assert beside.exported == before
    assert not cloud.mutations


def test_a_state_that_records_the_address_already_is_left_as_it_is(beside, new, capsys):
    """As a second time; the spelling of the address does not matter."""
    assert main(["change-api-url", new, "--yes"]) == 0
    written = copy.deepcopy(beside.exported)
    beside.settings["flow:apiUrl"] = new
    capsys.readouterr()
    assert main(["change-api-url", f"{new}/", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"The state of {STACK} records {new} already."
    assert beside.exported == written


def test_a_stack_that_records_nothing_needs_no_change(beside, new, capsys):
    """After a destroy, say."""
    beside.exported["deployment"] = {"manifest": {}}
    assert main(["change-api-url", new, "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        f"The state of {STACK} records nothing of a service, so that nothing is to be changed."
    )


def change(name: str, value: Any, kind: str = "bid_") -> Any:
    """Change what the state records of the cluster, or of the volume."""

    def act(beside: FakeStack, _: FakeMithril) -> None:
        for row in beside.exported["deployment"]["resources"]:
            if row["id"].startswith(kind):
                if name == "id":
                    row["id"] = value
                elif value is None:
                    del row["outputs"][name]
                else:
                    row["outputs"][name] = value

    return act


DOUBTS = {
    "a bid that is not there": (change("id", "bid_999999"), "not there"),
    "a volume that is not there": (change("id", "vol_999999", "vol_"), "not there"),
    "another name": (change("task_name", "somebodys"), "named 'trainer-"),
    "a volume with another name": (change("volume_name", "somebodys", "vol_"), "named 'data-"),
    "another project": (change("project", "proj_other"), "recorded in project proj_other, the settings point at demo"),
    "no name": (change("task_name", None), "the state does not tell its name"),
    "a name that is a secret": (change("task_name", {"ciphertext": "x"}), "the state does not tell its name"),
    "no project": (change("project", None, "vol_"), "the state does not tell its project"),
    "no service": (change("__service", None), "the state does not tell its API URL"),
    "a kind of a later version": (change("id", "pod_1"), "its id is of no kind that this version knows"),
    "a volume that was deleted": (
        lambda beside, cloud: cloud.delete_volume(row_of(beside, "vol_")["id"]),
        "not there",
    ),
}


@pytest.mark.parametrize(("doubt", "said"), DOUBTS.values(), ids=DOUBTS)
def test_what_is_not_proven_to_be_there_changes_nothing(cloud, beside, new, capsys, doubt, said):
    """It is named, each on a line of its own, and the exit code is 2; the rest is not changed either."""
    if "deleted" in said or doubt.__name__ == "<lambda>":
        for bid in cloud.live_bids:
            cloud.terminate(bid["fid"])
    doubt(beside, cloud)
    cloud.clear_requests()
    before = copy.deepcopy(beside.exported)
    assert main(["change-api-url", new, "--yes"]) == 2
    printed = capsys.readouterr()
    rows = printed.out.splitlines()[1:]
    assert len([row for row in rows if said in row]) == 1
    assert printed.err == (
        f"error: 1 of 2 things that the state of {STACK} records were not found at {new}, and nothing was changed: "
        "what has ended leaves the state by `pulumi refresh` while the old address answers, else by "
        "`pulumi state delete URN`\n"
    )
    assert beside.exported == before
    assert not cloud.mutations


def test_a_bid_that_has_ended_there_is_found(cloud, beside, new):
    """By its id and its name; the next refresh takes it out of the state."""
    cloud.terminate(row_of(beside, "bid_")["id"])
    assert main(["change-api-url", new, "--yes"]) == 0
    assert recorded(beside) == {new}


def test_another_service_has_another_project(cloud, beside, capsys):
    """Another key, or with the same key another project, or none of the things."""
    before = copy.deepcopy(beside.exported)
    for key, project, said in (
        ("another-key", "demo", "refused the API key"),
        (cloud.key, "other", "project 'demo' is not among the projects of this API key"),
        (cloud.key, "demo", "2 of 2 things"),
    ):
        with FakeMithril(key=key, project=project) as other:
            assert main(["change-api-url", other.url, "--yes"]) == 2
            assert said in capsys.readouterr().err
            assert not other.mutations
    assert beside.exported == before


@pytest.mark.parametrize("path", ["/v2/spot/bids", "/v2/volumes", "/v2/projects"])
def test_an_answer_that_cannot_be_read_changes_nothing(cloud, beside, new, capsys, path, monkeypatch):
    """Not known is not there."""
    monkeypatch.setenv("FLOW_RESOURCES_RETRY_SECONDS", "0.1")
    cloud.faults.add(method="GET", path=path, times=None, status=500)
    before = copy.deepcopy(beside.exported)
    assert main(["change-api-url", new, "--yes"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert beside.exported == before


@pytest.mark.parametrize("when", ["updated", "pending"])
def test_an_operation_under_way_or_a_dead_one_changes_nothing(cloud, beside, new, capsys, when):
    """What it makes is not recorded yet."""
    if when == "updated":
        beside.updated = True
    else:
        resource = beside.exported["deployment"]["resources"][0]
        beside.exported["deployment"]["pending_operations"] = [{"type": "updating", "resource": resource}]
    assert main(["change-api-url", new, "--yes"]) == 2
    assert capsys.readouterr().err.startswith(f"error: an operation of {STACK} is under way, or died: ")
    assert recorded(beside) == {OLD}
    assert not cloud.requests


@pytest.mark.parametrize("change_of", ["another resource", "a lock"])
def test_a_state_that_changes_meanwhile_is_left_as_it_is(beside, new, capsys, change_of):
    """An `up` that ran between the look and the writing would be undone."""

    def intervene(exports: int) -> None:
        if exports == 2 and change_of == "a lock":
            beside.exported["deployment"]["pending_operations"] = [
                {"type": "creating", "resource": {"urn": "u", "type": "t"}}
            ]
        elif exports == 2:
            beside.exported["deployment"]["resources"].append({"urn": "u", "type": "t", "id": "x"})

    beside.on_export = intervene
    assert main(["change-api-url", new, "--yes"]) == 2
    said = "has changed meanwhile" if change_of == "another resource" else "is under way, or died"
    assert said in capsys.readouterr().err
    assert recorded(beside) == {OLD} if change_of == "a lock" else recorded_of_ours(beside) == {OLD}


def recorded_of_ours(beside: FakeStack) -> set[str]:
    rows = beside.exported["deployment"]["resources"]
    return {row["outputs"]["__service"] for row in rows if "outputs" in row}


def test_the_document_says_the_same_in_json(beside, new, capsys):
    """With something that is not there: everything is in it, and the exit code is 2."""
    assert main(["change-api-url", new, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["version"], document["stack"], document["service"]) == (1, STACK, new)
    assert (document["project"], document["written"]) == ("demo", False)
    assert {one["kind"] for one in document["resources"]} == {"GpuCluster", "Volume"}
    assert {(one["recorded_service"], one["problem"]) for one in document["resources"]} == {(OLD, None)}
    assert main(["change-api-url", new, "--json", "--yes"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] is True
    change("task_name", "somebodys")(beside, None)
    assert main(["change-api-url", new, "--json", "--yes"]) == 2
    problems = [one["problem"] for one in json.loads(capsys.readouterr().out)["resources"]]
    assert len([problem for problem in problems if problem]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: URL"),
        (["", "--yes"], "argument URL: must be like https://HOST, got nothing"),
        (
            ["new-name.example"],
            "the API URL is not an address: flow:apiUrl (`api_url` of a provider) or MITHRIL_API_URL must be like https://HOST",
        ),
        (["https://me:secret@host"], "the API URL holds a user or a password: remove it from flow:apiUrl"),
    ],
)
def test_a_wrong_address_is_one_line_and_exit_code_two(cloud, beside, capsys, arguments, message):
    """An empty one is not the default one."""
    try:
        code = main(["change-api-url", *arguments])
    except SystemExit as exit_:
        code = exit_.code
    printed = capsys.readouterr().err
    assert code == 2
    assert printed.startswith(f"error: {message}")
    assert len(printed.splitlines()) == 1
    assert not cloud.requests
    assert recorded(beside) == {OLD}


def test_the_refusal_of_a_verb_names_the_command(cloud, beside, stack):
    """Whoever meets it reads the way on."""
    saved = stack.state["trainer"]
    saved.outputs["__service"] = OLD
    with pytest.raises(Exception, match="where that has a new address, use `flow-resources change-api-url URL`"):
        stack.refresh()


@pytest.mark.parametrize("gone", [False, True])
def test_an_ssh_key_is_looked_up_too(
    cloud: FakeMithril, stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], gone: bool
) -> None:
    """By its id and its name, one that the stack uses and did not make included."""
    theirs = cloud.add_ssh_key("theirs", ed25519(2))
    stack.up({"me": ssh_key(ed25519(1)), "their": ssh_key(ed25519(2))})
    export = stack.export()
    for row in export["deployment"]["resources"]:
        row |= {"type": row["urn"].split("::")[2]}
        row["outputs"]["__service"] = OLD
    opened = FakeStack({**settings_of(cloud), "flow:apiUrl": OLD}, exported=export)
    monkeypatch.setattr(SelectedStack, "open", lambda *_: opened)
    if gone:
        headers = {"Authorization": f"Bearer {cloud.key}"}
        httpx.delete(f"{cloud.url}/v2/ssh-keys/{theirs['fid']}", headers=headers).raise_for_status()
    assert main(["change-api-url", cloud.url, "--yes"]) == (2 if gone else 0)
    assert recorded(opened) == ({OLD} if gone else {cloud.url})
    assert ("not there" in capsys.readouterr().out) is gone
