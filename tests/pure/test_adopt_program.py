"""The program that `adopt` prints: valid Python whatever things are called, and no more than what is known."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.run_printed_program import declarations

from flow_resources.cli.adopt_program import Form, LeftOut, adoption
from flow_resources.cli.cluster import CLUSTERS, FILL_IN, Task, draft_cluster
from flow_resources.cli.program_text import WIDTH, Names
from flow_resources.cli.volume import VOLUMES, draft_volume
from flow_resources.core.cluster_fields import check_cluster
from flow_resources.core.imports import Account, spelling
from flow_resources.core.models import Bid, InstanceType, StoredVolume
from flow_resources.core.volume_fields import check_volume

MARKED = "trainer-3f9a1c5d08b67be02d4d-9c01d2-1"
A100 = InstanceType("it_1", "a100-80gb.sxm.8x", 8, "A100")
NASTY = (
    '"""',
    '")\nimport os\nos.abort()\n("',
    "'",
    "\\",
    "\u202e",
    "\ud800",
    "# ",
    "class",
    "print",
    "7",
    "",
    "é" * 300,
)


def bid(number=1, name="trainer", **more):
    row = Bid(f"bid_{number}", name, "proj_1", "Allocated", Decimal("50.00"), 4, "it_1", "r", (), (), "2026")
    return replace(row, **more)


def stored(number=1, name="data", **more):
    row = StoredVolume(f"vol_{number}", name, "proj_1", 100, "file", "r", (), "2026", deleted=False)
    return replace(row, **more)


def written(*tasks, volumes=(), keys=None, status="running", mounts=None, known=None, form=Form.PYTHON):
    tasks = [task if isinstance(task, Task) else Task(task, status, mounts or {}) for task in tasks]
    live = frozenset({volume.id for volume in volumes} if known is None else known)
    account = Account((A100,), keys or {}, live)
    clusters = [draft_cluster(task, account) for task in tasks]
    return adoption({CLUSTERS: clusters, VOLUMES: [draft_volume(volume) for volume in volumes]}, form=form)


def inputs_of(adopted, name):
    return declarations(adopted.program)[name].inputs


@settings(deadline=None)
@given(st.lists(st.text(max_size=200), max_size=6), st.lists(st.text(max_size=200), max_size=6), st.text(min_size=1))
@example(list(NASTY), list(NASTY), NASTY[1])
@example(["a", "A", "a-2", "a_2", "a"], ["a", "a.2", "-", "_"], "ssh")
@example([MARKED, "trainer"], ["__debug__", "None", "match"], "x" * 500)
def test_the_program_is_python_whatever_things_are_called(clusters, volumes, key):
    """One resource each under a name of its own, every line of it plain ASCII and no longer than 120 columns."""
    disks = [
        stored(place, name, id=f"vol_{place}_{name}", created_at=f"{place:03}") for place, name in enumerate(volumes)
    ]
    held = tuple(disk.id for disk in disks)
    bids = [
        bid(place, name, id=f"bid_{place}_{name}", region=f"r{name}", volumes=held, ssh_keys=("sshkey_1",),
            created_at=f"{place:03}")
        for place, name in enumerate(clusters)
    ]  # fmt: skip
    mounts = {id_: f"/mnt/{'long' * 40}{place}" for place, id_ in enumerate(held[1:])}
    adopted = written(*bids, volumes=disks, keys={"sshkey_1": key} if key.strip() else {}, mounts=mounts)
    assert adopted.left_out == ()
    assert all(len(line) <= WIDTH and line.isascii() for line in adopted.program.splitlines())
    assert bool(adopted.program) == bool(bids or disks)
    resources = declarations(adopted.program) if adopted.program else {}
    assert [row.inputs["adopt_volume_id"] for row in resources.values() if row.type == "Volume"] == list(held)
    clusters = [row.inputs for row in resources.values() if row.type == "GpuCluster"]
    assert [inputs["adopt_task_id"] for inputs in clusters] == [live.id for live in bids]
    for inputs, live in zip(clusters, bids, strict=True):
        assert inputs["region"] == live.region
        assert [mount["volume_id"] for mount in inputs.get("volumes", [])] == list(held)
        assert inputs.get("ssh_keys", []) == ([key] if key.strip() else [])
        assert {failure.path for failure in check_cluster(inputs).failures} <= {"volumes[0].mount_path"}


def test_a_formatter_finds_nothing_to_do():
    """Short and long names, one volume and many, something to fill in, a path that needs a line of its own."""
    disks = [stored(place, f"{'very-' * 8}long-{place}") for place in range(4)]
    mounts = {disk.id: f"/mnt/{'deep/' * 9}{disk.id}" for disk in disks}
    long = Task(bid(2, "x" * 90, volumes=tuple(mounts)), "preempted", mounts)
    odd = bid(3, "odd", volumes=("vol_1",), price=None, ssh_keys=("sshkey_1",))
    program = written(
        bid(volumes=("vol_0",)), long, odd, volumes=disks, keys={"sshkey_1": "laptop"}, mounts={"vol_0": "/data"}
    ).program
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "120", "-"],
        input=program, capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    assert done.stdout == program


def test_a_running_cluster_is_said_in_full():
    """And only so far as the service says it; what it cannot say stands in comments."""
    adopted = written(
        bid(volumes=("vol_1", "vol_1"), ssh_keys=("sshkey_1", "sshkey_gone", "sshkey_1")),
        volumes=[stored()], keys={"sshkey_1": "laptop"}, mounts={"vol_1": "/data"},
    )  # fmt: skip
    assert inputs_of(adopted, "trainer") == {
        "instance_type": "8xa100",
        "num_instances": 4,
        "max_price_per_hour": 50.0,
        "region": "r",
        "volumes": [{"volume_id": "vol_1", "mount_path": "/data"}],
        "ssh_keys": ["laptop"],
        "adopt_task_id": "bid_1",
    }
    assert "    volumes=[VolumeMount(data, " in adopted.program
    assert '# env={"NAME": pulumi.Config().require_secret("NAME")},' in adopted.program
    assert '# command="...", image="...", ports=[...],' in adopted.program
    assert inputs_of(adopted, "data") == {"size_gb": 100, "region": "r", "adopt_volume_id": "vol_1"}
    assert inputs_of(written(volumes=[stored(interface="block")]), "data")["interface"] == "block"


def test_a_mount_path_that_nobody_knows_is_refused_until_it_is_filled_in():
    """A guess would be taken for the truth, and its correction would replace the cluster."""
    adopted = written(bid(volumes=("vol_1", "vol_2")), volumes=[stored(), stored(2, "more")], mounts={"vol_2": "/data"})
    inputs = inputs_of(adopted, "trainer")
    assert [mount["mount_path"] for mount in inputs["volumes"]] == [FILL_IN, "/data"]
    assert [failure.path for failure in check_cluster(inputs).failures] == ["volumes[0].mount_path"]
    assert adopted.resources[-1].fill_in == ("volumes[0].mount_path",)
    assert any("where vol_1 is mounted cannot be read back" in note for note in adopted.notes)
    assert "# FILL IN where vol_1 is mounted." in adopted.program


@pytest.mark.parametrize("price", [None, Decimal("0.00")])
def test_a_price_that_cannot_be_read_is_refused_until_it_is_filled_in(price):
    """The bid would be set to whatever stands there."""
    adopted = written(bid(price=price))
    assert inputs_of(adopted, "trainer")["max_price_per_hour"] is None
    assert adopted.resources[0].fill_in == ("max_price_per_hour",)
    assert [failure.path for failure in check_cluster(inputs_of(adopted, "trainer")).failures] == ["max_price_per_hour"]


@pytest.mark.parametrize(
    ("status", "word"),
    [("running", None), ("starting", None), *((word, "placed") for word in ("pending", "preempted", "preempting"))],
)
def test_what_has_no_machines_is_not_waited_for(status, word):
    """The auction may take hours."""
    assert inputs_of(written(bid(), status=status), "trainer").get("wait_for") == word


def test_a_paused_bid_is_adopted_as_paused():
    """It would be resumed otherwise."""
    inputs = inputs_of(written(bid(status="Paused"), status="paused"), "trainer")
    assert (inputs["paused"], "wait_for" in inputs) == (True, False)


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        (bid(quantity=300), "num_instances must be from 1 to 100"),
        (bid(region=None), "the service does not say its region"),
        (stored(size_gb=20_000), "size_gb must be from 1 to 16384"),
        (stored(interface="tape"), "interface must be 'file' or 'block'"),
    ],
)
def test_what_no_program_can_say_is_left_out_and_named(thing, why):
    """The rest is printed."""
    tasks, volumes = ([thing], []) if isinstance(thing, Bid) else ([], [thing])
    adopted = written(*tasks, bid(9, "fine"), volumes=[*volumes, stored(9, "fine-too")])
    assert [resource.id for resource in adopted.resources] == ["vol_9", "bid_9"]
    (left_out,) = adopted.left_out
    assert (left_out.id, left_out.name) == (thing.id, thing.name)
    assert why in left_out.why
    kept = LeftOut("bid_7", "x", "recorded by acme/x/y")
    assert adoption({}, [kept]).left_out == (kept,)


def test_a_volume_that_is_not_adopted_is_mounted_by_its_id_and_one_that_is_gone_is_not():
    """It is another stack's, or was not asked for; what is gone cannot be mounted."""
    adopted = written(bid(volumes=("vol_7", "vol_8")), known={"vol_7"}, mounts={"vol_7": "/data", "vol_8": "/mnt/x"})
    assert 'volumes=[VolumeMount("vol_7", "/data")],' in adopted.program
    assert any("vol_8 is none of the project any more" in note for note in adopted.notes)


def test_what_carries_a_mark_is_named_without_it_and_noted():
    """The mark is another resource's."""
    adopted = written(bid(1, MARKED))
    assert list(declarations(adopted.program)) == ["trainer"]
    assert f'# In the service: "{MARKED}"' in adopted.program
    assert any(note.startswith("bid_1: its name carries a mark") for note in adopted.notes)


def test_names_stay_when_they_can():
    """Each once; what Python keeps for itself gets its kind before it."""
    names = Names()
    given = [names.give(live, "volume") for live in ("data", "Data", "data", "class", "8tb", "", "a.b_c")]
    assert given == [
        ("data", "data"), ("Data", "data_2"), ("data-2", "data_2_2"), ("class", "volume_class"), ("8tb", "volume_8tb"),
        ("volume", "volume"), ("a.b_c", "a_b_c"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("types", "word"),
    [
        ([A100], "8xa100"),
        ([A100, replace(A100, id="it_2")], "8xa100"),  # one id a region
        ([A100, replace(A100, id="it_2", name="a100-40gb.sxm.8x")], "a100-80gb.sxm.8x"),
        ([replace(A100, name="Odd Name", gpus=0)], "it_1"),
        ([], "it_1"),
    ],
)
def test_a_type_is_said_so_that_it_means_no_other(types, word):
    """A replacement rents what it was, also where the catalogue has no such type any more."""
    assert spelling("it_1", types) == word


def test_what_is_printed_of_a_volume_passes_its_check():
    """For sizes and kinds that the service has."""
    for volume in (stored(), stored(size_gb=16_384, interface="block")):
        assert not check_volume(inputs_of(written(volumes=[volume]), "data")).failures


# -- for the plugin ----------------------------------------------------------------------------------------------------


def test_a_program_in_yaml_says_the_same() -> None:
    """With references to its own volumes; a mount path that is not known is to be filled in."""
    mounts = {"vol_1": "/data"}
    adopted = written(
        Task(bid(volumes=("vol_1", "vol_2"), ssh_keys=("sshkey_1",)), "running", mounts),
        volumes=[stored(), stored(2, "no")],
        keys={"sshkey_1": "on"},
        form=Form.YAML,
    )
    program = yaml.safe_load(adopted.program)["resources"]
    assert program["data"]["type"] == "flow:index:Volume"
    assert program["no"]["properties"]["adopt_volume_id"] == "vol_2"
    trainer = program["trainer"]
    assert trainer["type"] == "flow:index:GpuCluster"
    assert trainer["properties"] == {
        "instance_type": "8xa100",
        "num_instances": 4,
        "max_price_per_hour": 50.0,
        "region": "r",
        "ssh_keys": ["on"],
        "volumes": [
            {"volume_id": "${data.id}", "mount_path": "/data"},
            {"volume_id": "${no.id}", "mount_path": FILL_IN},
        ],
        "adopt_task_id": "bid_1",
    }
    assert "# FILL IN volumes[1].mount_path." in adopted.program
    assert "# command: ..." in adopted.program
    assert adopted.notes[-1] == "it needs the provider plugin: `flow-resources plugin install`"


@pytest.mark.parametrize("name", [*NASTY, "${data.id}", "yes", "a: b", "- x", "null"])
def test_no_name_breaks_a_program_in_yaml(name: str) -> None:
    """What the service says is never a reference, a comment or another resource."""
    adopted = written(bid(name=name, ssh_keys=("sshkey_1",)), keys={"sshkey_1": name or "a"}, form=Form.YAML)
    ((_, resource),) = yaml.safe_load(adopted.program)["resources"].items()
    assert resource["type"] == "flow:index:GpuCluster"
    assert resource["properties"]["adopt_task_id"] == "bid_1"
    (key,) = resource["properties"]["ssh_keys"]
    assert key == (name or "a").replace("${", "$${")


def test_imports_are_commands_a_line_each() -> None:
    """Volumes first; what cannot be read back need not be filled in, because an import records it as not known."""
    adopted = written(bid(volumes=("vol_1",)), volumes=[stored()], form=Form.IMPORT)
    assert adopted.program.splitlines() == [
        "pulumi import flow:index:Volume data vol_1",
        "pulumi import flow:index:GpuCluster trainer bid_1",
    ]
    assert adopted.notes == ("it needs the provider plugin: `flow-resources plugin install`",)
    assert not written(form=Form.IMPORT).program
    assert not written(form=Form.YAML).program
