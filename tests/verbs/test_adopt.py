"""`flow-resources adopt` against the fake: what it prints is pasted, and the `up` adopts it all without a change."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.fake_backend import STACK, FakeStack
from support.program import rent
from support.run_printed_program import declarations
from support.stack import CheckError

from flow_resources.cli import main
from flow_resources.cli.stacks import SelectedStack
from flow_resources.cloud import Cloud
from flow_resources.core.market import Market
from flow_resources.core.naming import Mark, compose
from flow_resources.core.stack_state import StackState
from flow_resources.testing import FakeMithril

MARKED = compose("trainer", Mark.of(STACK, "trainer"), "9c01d2", 1)
CANARIES = ("canary-env-71ab", "canary-command-0f3c")


@pytest.fixture(autouse=True)
def here(cloud: FakeMithril, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a Pulumi project, in a shell whose environment points at the fake."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def fake_stack(cloud: FakeMithril, here: Path, monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """A project in the folder, whose stack has the settings."""
    stack = FakeStack({"flow:apiKey": cloud.key, "flow:apiUrl": cloud.url, "flow:project": cloud.project})
    (here / "Pulumi.yaml").write_text("name: training\nruntime: python\n")
    for name in cloud.environment:
        monkeypatch.delenv(name)
    monkeypatch.setattr(SelectedStack, "open", lambda *_: stack)
    return stack


def printed(capsys, *arguments):
    """Return what the printed program declares, and what stands on standard error."""
    assert main(["adopt", *arguments]) == 0
    output = capsys.readouterr()
    return declarations(output.out) if output.out else {}, output.err


def error(capsys, *arguments):
    """Return the one line with which the command fails; standard output is empty."""
    assert main(["adopt", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    return line


def mount(volume, path):
    return {"volume_id": volume["fid"], "mount_path": path, "interface": volume["interface"].lower()}


@pytest.fixture
def fleet(cloud: FakeMithril) -> FakeMithril:
    """One task of every kind that lives, as the SDK and the console leave them."""
    data, models, scratch = cloud.add_volume("data"), cloud.add_volume("models"), cloud.add_volume(
        "scratch", interface="Block"
    )  # fmt: skip
    rent(
        name="train", num_instances=2, max_price_per_hour=20.0, region=cloud.region, env={"TOKEN": CANARIES[0]},
        volumes=[mount(data, "/data"), mount(models, "/mnt/models")],
    )  # fmt: skip
    rent(name="disk", max_price_per_hour=20.0, region=cloud.region, volumes=[mount(scratch, "/mnt/scratch")])
    paused = cloud.add_bid("paused", ssh_keys=[cloud.add_ssh_key("laptop")["fid"]])
    cloud.update_bid(paused["fid"], paused=True)
    preempted = cloud.add_bid("preempted")
    cloud.preempt(preempted["fid"])
    cloud.add_bid("pending", limit_price="$1.00")
    cloud.add_bid("ended")
    cloud.terminate(cloud.live_bids[-1]["fid"])
    cloud.clear_requests()
    return cloud


def test_the_printed_program_adopts_everything_and_changes_nothing(fleet, stack, capsys):
    """No request of it changes anything, not even the first `up`; the second has nothing to do; `destroy` ends all."""
    before = fleet.live_bids
    program, stderr = printed(capsys)
    assert [resource.type for resource in program.values()] == ["Volume"] * 3 + ["GpuCluster"] * 5
    assert "note: command, image, ports and env cannot be read back" in stderr
    assert len(stderr.splitlines()) == 1
    assert set(stack.preview(program).values()) == {"create"}
    stack.up(program)
    assert set(stack.preview(program).values()) == {"same"}
    stack.up(program)
    stack.refresh()
    assert set(stack.preview(program).values()) == {"same"}
    assert not fleet.mutations
    assert fleet.live_bids == before
    assert {saved.id for saved in stack.state.values()} == {live["fid"] for live in [*fleet.volumes, *before]}
    stack.destroy()
    assert not fleet.live_bids
    assert not fleet.volumes


def test_mount_paths_are_read_from_what_the_sdk_launched(fleet, capsys):
    """Of file volumes and of disks; the paths, and nothing secret beside them."""
    program, _ = printed(capsys)
    paths = {
        mount["volume_id"]: mount["mount_path"]
        for resource in program.values()
        for mount in resource.inputs.get("volumes", ())
    }
    by_name = {volume["name"]: volume["fid"] for volume in fleet.volumes}
    assert paths == {
        by_name["data"]: "/data", by_name["models"]: "/mnt/models", by_name["scratch"]: "/mnt/scratch"
    }  # fmt: skip


def test_states_other_than_running_are_said(fleet, capsys):
    """A paused bid stays paused; one in the auction is not waited for; keys are called by their names."""
    program, _ = printed(capsys)
    assert program["paused"].inputs["paused"] is True
    assert program["paused"].inputs["ssh_keys"] == ["laptop"]
    waits = {name: row.inputs.get("wait_for") for name, row in program.items() if row.type == "GpuCluster"}
    assert [waits[name] for name in ("paused", "preempted", "pending")] == [None, "placed", "placed"]
    assert "ended" not in program


def test_keys_of_one_name_are_told_apart(cloud, stack, capsys, monkeypatch):
    """By their ids, as is one without a name: the program means the keys that are on the machines."""
    keys = [cloud.add_ssh_key(name)["fid"] for name in ("laptop", "desk")]
    cloud.add_bid("trainer", ssh_keys=keys)
    list_keys = Cloud.ssh_keys

    def blank(self):
        return {name.replace("desk", " "): id_ for name, id_ in list_keys(self).items()}

    def alike(self):
        return {name.replace("desk", "laptop"): id_ for name, id_ in list_keys(self).items()}

    for listing, names in ((blank, ["laptop", keys[1]]), (alike, [keys[0], "laptop"])):
        monkeypatch.setattr(Cloud, "ssh_keys", listing)
        program, _ = printed(capsys)
        assert program["trainer"].inputs["ssh_keys"] == names
        assert stack.preview(program) == {"trainer": "create"}


def test_no_secret_is_printed(cloud, capsys):
    """Neither the key, nor what stands in a launch."""
    volume = cloud.add_volume("data")
    rent(name="train", region=cloud.region, env={"TOKEN": CANARIES[0]}, volumes=[mount(volume, "/data")])
    cloud.add_bid("by-hand", startup_script=f"curl -H {CANARIES[1]} x", volumes=[volume["fid"]])
    for arguments in ([], ["--json"], ["--all"]):
        assert main(["adopt", *arguments]) == 0
        output = "".join(capsys.readouterr())
        assert not [secret for secret in (*CANARIES, cloud.key, "train.py") if secret in output]


def test_a_mount_path_that_cannot_be_read_back_stops_the_preview_until_it_is_filled_in(cloud, stack, capsys):
    """The program is Python, the preview names the line, and nothing is touched."""
    volume = cloud.add_volume("data")
    cloud.add_bid("by-hand", volumes=[volume["fid"]], startup_script="#!/bin/sh\nmount /dev/vdd /data\n")
    program, stderr = printed(capsys)
    assert f"where {volume['fid']} is mounted cannot be read back" in stderr
    with pytest.raises(CheckError) as refused:
        stack.preview(program)
    assert list(refused.value.failures) == ["volumes[0].mount_path"]
    program["by-hand"].inputs["volumes"][0]["mount_path"] = "/data"
    stack.up(program)
    assert set(stack.preview(program).values()) == {"same"}
    assert not cloud.mutations


def test_a_script_that_says_two_things_says_nothing(cloud, capsys):
    """Somebody edited it, or its command mounts again."""
    volume = cloud.add_volume("data")
    line = f'mount -t nfs4 "fileshare-{volume["fid"]}.mithril.internal:/" '
    cloud.add_bid("once", volumes=[volume["fid"]], startup_script=f"{line}/data\n{line}/data\n")
    cloud.add_bid("twice", volumes=[volume["fid"]], startup_script=f"{line}/data\n{line}/mnt/other\n")
    program, _ = printed(capsys)
    assert [program[name].inputs["volumes"][0]["mount_path"] for name in ("once", "twice")] == ["/data", "FILL IN"]


def test_what_carries_a_mark_is_left_out_unless_asked_for(cloud, capsys):
    """With --all, or by its id: then it is named without the mark."""
    marked = cloud.add_bid(MARKED)
    program, stderr = printed(capsys)
    assert program == {}
    assert stderr.splitlines()[0].startswith(f"left out: {marked['fid']} {MARKED}: its name carries a mark")
    assert stderr.splitlines()[-1] == "There is nothing to adopt in project demo."
    for arguments in (["--all"], [marked["fid"]]):
        program, stderr = printed(capsys, *arguments)
        assert list(program) == ["trainer"]
        assert f"note: {marked['fid']}: its name carries a mark of this package" in stderr


def test_only_the_wanted_ids_are_printed(cloud, capsys):
    """A volume that was not asked for is mounted by its id."""
    data, other = cloud.add_volume("data"), cloud.add_volume("other")
    line = f'"fileshare-{data["fid"]}.mithril.internal:/" /data\n'
    bid = cloud.add_bid("trainer", volumes=[data["fid"]], startup_script=line)
    cloud.add_bid("another")
    program, _ = printed(capsys, bid["fid"], other["fid"])
    assert list(program) == ["other", "trainer"]
    assert program["trainer"].inputs["volumes"] == [{"volume_id": data["fid"], "mount_path": "/data"}]


def test_what_a_state_records_is_never_printed(cloud, fake_stack, capsys):
    """Of this stack and of those beside it: two resources would own one bid."""
    mine, theirs, free = cloud.add_bid("mine"), cloud.add_volume("theirs"), cloud.add_bid("free")
    fake_stack.recorded = StackState(ids=frozenset({mine["fid"]}))
    fake_stack.others = {"acme/training/prod": StackState(ids=frozenset({theirs["fid"]}))}
    for arguments in ([], ["--all"]):
        program, stderr = printed(capsys, *arguments)
        assert [resource.inputs["adopt_task_id"] for resource in program.values()] == [free["fid"]]
        assert f"left out: {mine['fid']} mine: recorded by {STACK}" in stderr
        assert f"left out: {theirs['fid']} theirs: recorded by acme/training/prod" in stderr
    assert error(capsys, mine["fid"]).startswith(f"error: {mine['fid']} is not printed: recorded by {STACK}: ")


def test_what_an_up_makes_meanwhile_is_not_printed(cloud, fake_stack, capsys):
    """The service is asked before the state, which does not record it yet."""
    fake_stack.on_read = lambda _reads: cloud.add_bid("trainer")
    assert printed(capsys)[0] == {}
    fake_stack.on_read = lambda _reads: None
    assert list(printed(capsys)[0]) == ["trainer"]


def test_a_state_of_another_service_or_project_is_not_mixed_with_this_one(cloud, fake_stack, capsys):
    """The program would go into a stack that lives elsewhere."""
    cloud.add_bid("trainer")
    fake_stack.recorded = StackState(places=frozenset({("https://other.example", "")}))
    assert error(capsys).startswith("error: the state records https://other.example, but the settings point at ")


def test_an_empty_account_is_a_line_and_no_program(cloud, capsys):
    """Exit code 0."""
    assert printed(capsys) == ({}, "There is nothing to adopt in project demo.\n")
    assert main(["adopt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["program"] == ""


def test_json_is_all_there_is(fleet, capsys):
    """The same program, what it was made of, and what is to be said."""
    marked, by_hand = fleet.add_bid(MARKED), fleet.add_bid("by-hand", volumes=[fleet.volumes[0]["fid"]])
    assert main(["adopt"]) == 0
    program = capsys.readouterr().out
    assert main(["adopt", "--json"]) == 0
    output = capsys.readouterr()
    document = json.loads(output.out)
    assert output.err == ""
    assert document["program"] == program
    assert (document["project"], document["stack"]) == ("demo", None)
    assert [left_out["id"] for left_out in document["left_out"]] == [marked["fid"]]
    fill_in = {row["id"]: row["fill_in"] for row in document["resources"] if row["fill_in"]}
    assert fill_in == {by_hand["fid"]: ["volumes[0].mount_path"]}
    assert len(document["notes"]) == 2


def test_a_wrong_id_is_one_line_and_prints_nothing(cloud, capsys):
    """Unknown, ended, another project's, or no id at all; it is said before anything is printed."""
    good, ended = cloud.add_bid("good")["fid"], cloud.add_bid("ended")["fid"]
    cloud.terminate(ended)
    other = cloud.add_project("other", keys=[cloud.key])
    elsewhere = cloud.add_bid("elsewhere", project=other["fid"])["fid"]
    assert error(capsys, good, "bid_9") == ("error: there is no task bid_9 in project demo: `flow status` shows them")
    assert error(capsys, "vol_9") == ("error: there is no volume vol_9 in project demo: `flow volume list` shows them")
    assert error(capsys, ended) == f"error: the bid {ended} has ended: there is nothing left to adopt: remove the id"
    assert error(capsys, elsewhere).startswith(f"error: the bid {elsewhere} is in project {other['fid']}, but the ")
    assert error(capsys, "trainer") == (
        "error: trainer is the id of no task and of no volume: they are like bid_... and vol_..."
    )
    assert not cloud.mutations


def test_bad_keys_and_a_service_that_is_down_are_one_line(cloud, capsys, monkeypatch):
    """With the remedy that the provider gives, and without the key."""
    monkeypatch.setenv("MITHRIL_API_KEY", "canary-5e1f")
    refused = error(capsys)
    assert refused.startswith(f"error: could not list the projects of the API key: {cloud.url} refused the API key: ")
    assert "canary-5e1f" not in refused
    monkeypatch.delenv("MITHRIL_API_KEY")
    assert error(capsys).startswith("error: there is no API key: ")
    monkeypatch.setenv("MITHRIL_API_KEY", cloud.key)
    monkeypatch.setenv("FLOW_RESOURCES_RETRY_SECONDS", "0.1")
    cloud.stop()
    assert "gave no readable answer" in error(capsys)


def test_a_cut_listing_prints_nothing(cloud, capsys):
    """Half a fleet would be taken for the whole."""
    for number in range(120):
        cloud.add_bid(f"c{number}")
    assert len(printed(capsys)[0]) == 120
    cloud.faults.add(method="GET", path=r"/v2/spot/bids$", nth=2, times=None, status=403)
    assert error(capsys).startswith("error: could not list the bids: ")


@pytest.mark.parametrize("arguments", [["--stack", "dev"], ["--cwd", "/no/such"], ["--yes"]])
def test_a_wrong_command_line_is_one_line(cloud, capsys, arguments):
    """Also a stack where there is no project."""
    try:
        code = main(["adopt", *arguments])
    except SystemExit as exit_:
        code = exit_.code
    assert (code, len(capsys.readouterr().err.splitlines())) == (2, 1)
    assert not cloud.requests


@pytest.mark.parametrize("gone", ["offers", "types"])
def test_what_runs_is_adopted_though_its_type_is_not_on_offer(cloud, stack, capsys, monkeypatch, gone):
    """What the auction has today does not matter to a bid that is placed; the catalogue may forget a type."""
    cloud.add_bid("trainer")
    read_market = Cloud.market

    def outdated_market(self, **more):
        market = read_market(self, **more)
        elsewhere = [replace(offer, region="elsewhere") for offer in market.offers]
        return Market([] if gone == "types" else market.types, elsewhere, ["elsewhere"], market.volumes)

    monkeypatch.setattr(Cloud, "market", outdated_market)
    program, _ = printed(capsys)
    stack.up(program)
    assert set(stack.preview(program).values()) == {"same"}
    assert not cloud.mutations


def test_a_type_that_the_adopted_task_does_not_have_is_held_against_the_catalogue_as_ever(cloud, stack, capsys):
    """A typing mistake is named as one."""
    cloud.add_bid("trainer")
    program, _ = printed(capsys)
    program["trainer"].inputs["instance_type"] = "8xa10"
    with pytest.raises(CheckError) as refused:
        stack.preview(program)
    assert set(refused.value.failures) == {"instance_type", "adopt_task_id"}


def test_a_task_that_lost_a_volume_is_printed_so_that_its_adoption_passes(cloud, stack, capsys):
    """A volume that was deleted cannot be declared, and is not compared either."""
    data, lost = cloud.add_volume("data"), cloud.add_volume("lost")
    script = f'"fileshare-{data["fid"]}.mithril.internal:/" /data\n'
    keys = [cloud.add_ssh_key(name)["fid"] for name in ("laptop", "desk")]
    bid = cloud.add_bid("trainer", volumes=[data["fid"], lost["fid"]], startup_script=script, ssh_keys=keys)
    cloud.delete_volume(lost["fid"], force=True)
    program, _ = printed(capsys)
    stack.up(program)
    assert stack.state["trainer"].id == bid["fid"]
    assert set(stack.preview(program).values()) == {"same"}
