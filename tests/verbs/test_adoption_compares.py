"""A task is adopted only where its volumes, mount paths and SSH keys are what the program says, as far as they show."""

from __future__ import annotations

from typing import Any

import pytest
from support.stack import CheckError, Stack, cluster, operation, volume

from flow_resources.core.spec import ClusterSpec
from flow_resources.errors import RejectedError
from flow_resources.lifecycle.cluster_check import find_adoptable
from flow_resources.testing import FakeMithril

Inputs = dict[str, Any]
# What the program says beside what is right, and what the refusal says: both sides.
REFUSED: list[tuple[Inputs, str]] = [
    ({"volumes": None}, "mounts DATA and MODELS, the program mounts no volume"),
    ({"volumes": [("DATA", "/data")]}, "mounts DATA and MODELS, the program mounts DATA"),
    (
        {"volumes": [("DATA", "/data"), ("MODELS", "/mnt/models"), ("OTHER", "/opt/o")]},
        "mounts DATA and MODELS, the program mounts DATA, MODELS and OTHER",
    ),
    (
        {"volumes": [("DATA", "/data"), ("OTHER", "/mnt/models")]},
        "mounts DATA and MODELS, the program mounts DATA and OTHER",
    ),
    ({"volumes": [("DATA", "/data"), ("MODELS", "/mnt/m")]}, "mounts MODELS at /mnt/models, the program at /mnt/m"),
    (
        {"volumes": [("DATA", "/mnt/models"), ("MODELS", "/data")]},
        "mounts DATA at /data, the program at /mnt/models and mounts MODELS at /mnt/models, the program at /data",
    ),
    ({"ssh_keys": ["desk"]}, "has the SSH key laptop (LAPTOP), the program says desk (DESK)"),
    (
        {"ssh_keys": ["laptop", "desk"]},
        "has the SSH key laptop (LAPTOP), the program says laptop (LAPTOP) and desk (DESK)",
    ),
]


@pytest.fixture
def ids(cloud: FakeMithril) -> dict[str, str]:
    """A task with two volumes, mounted as the SDK's script does, and one key: the ids of all that is there, by word."""
    ids = {name.upper(): cloud.add_volume(name)["fid"] for name in ("data", "models", "other")}
    ids |= {name.upper(): cloud.add_ssh_key(name)["fid"] for name in ("laptop", "desk")}
    script = "".join(
        f'mount -t nfs4 "fileshare-{ids[name]}.mithril.internal:/" {path}\n'
        for name, path in (("DATA", "/data"), ("MODELS", "/mnt/models"))
    )
    task = cloud.add_bid(
        "train",
        limit_price="$50.00",
        volumes=[ids["DATA"], ids["MODELS"]],
        ssh_keys=[ids["LAPTOP"]],
        startup_script=script,
    )
    cloud.clear_requests()
    return {**ids, "TASK": task["fid"]}


def program(ids: dict[str, str], **changes: Any) -> Inputs:
    """Return inputs that adopt the task, with changes."""
    inputs: Inputs = {
        "volumes": [("DATA", "/data"), ("MODELS", "/mnt/models")],
        "ssh_keys": ["laptop"],
        "adopt_task_id": ids["TASK"],
        **changes,
    }
    mounts = [{"volume_id": ids[name], "mount_path": path} for name, path in inputs["volumes"] or ()]
    return {**inputs, "volumes": mounts or None}


def spoken(text: str, ids: dict[str, str]) -> str:
    """Return a text with the ids in place of the words."""
    for word, id_ in ids.items():
        text = text.replace(word, id_)
    return text


@pytest.mark.parametrize(("changes", "problem"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_task_that_is_not_what_the_program_says_is_refused(
    stack: Stack, cloud: FakeMithril, ids: dict[str, str], changes: Inputs, problem: str
) -> None:
    """At preview, and again by the create, where it has changed in between; nothing is touched."""
    inputs = program(ids, **changes)
    with pytest.raises(CheckError) as refused:
        stack.preview({"trainer": cluster(**inputs)})
    assert list(refused.value.failures) == ["adopt_task_id"]
    assert f"names a task that {spoken(problem, ids)}, got '{ids['TASK']}'" in refused.value.failures["adopt_task_id"]
    spec = ClusterSpec.parse({key: value for key, value in cluster(**inputs).inputs.items() if value is not None})
    with pytest.raises(RejectedError) as rejected:
        find_adoptable(operation(), spec, ids["TASK"])
    assert f"the task {ids['TASK']} {spoken(problem, ids)}" in str(rejected.value)
    assert not cloud.mutations


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ssh_keys": ["LAPTOP"]},
        {"ssh_keys": None},  # the SDK's default key, which only a launch settles
        {"volumes": [("MODELS", "/mnt/models"), ("DATA", "/data")]},
    ],
    ids=str,
)
def test_a_task_that_is_what_the_program_says_is_adopted(
    stack: Stack, cloud: FakeMithril, ids: dict[str, str], changes: Inputs
) -> None:
    """Keys by name or id, mounts in any order. The next preview compares nothing any more."""
    inputs = program(ids, **changes)
    inputs["ssh_keys"] = inputs["ssh_keys"] and [ids.get(key, key) for key in inputs["ssh_keys"]]
    stack.up({"trainer": cluster(**inputs)})
    assert stack.state["trainer"].id == ids["TASK"]
    cloud.clear_requests()
    assert stack.preview({"trainer": cluster(**inputs)}) == {"trainer": "same"}
    assert not [request.path for request in cloud.requests if "/spot/bids" in request.path or "ssh" in request.path]
    assert not cloud.mutations


def test_volumes_that_are_adopted_with_the_task_are_known_at_the_create_only(
    stack: Stack, cloud: FakeMithril, ids: dict[str, str]
) -> None:
    """Their number is compared before."""
    from flow_resources.core.inputs import UNKNOWN

    mounts = [{"volume_id": UNKNOWN, "mount_path": path} for path in ("/data", "/mnt/models", "/opt/x")]
    adopting = cluster(**program(ids))
    for count, passes in ((1, False), (2, True), (3, False)):
        adopting.inputs["volumes"] = mounts[:count]
        if passes:
            assert stack.preview({"trainer": adopting}) == {"trainer": "create"}
            continue
        with pytest.raises(CheckError, match=r"the program mounts .*this `up` makes or adopts"):
            stack.preview({"trainer": adopting})
    data = {name: volume(adopt_volume_id=ids[name]) for name in ("DATA", "MODELS")}
    stack.up({**data, "trainer": cluster(**program(ids))})
    assert not cloud.mutations


def test_what_the_project_has_no_more_is_not_compared(stack: Stack, cloud: FakeMithril, ids: dict[str, str]) -> None:
    """No program can declare a volume or a key that was deleted."""
    cloud.delete_volume(ids["MODELS"], force=True)
    inputs = program(ids, volumes=[("DATA", "/data")])
    assert stack.preview({"trainer": cluster(**inputs)}) == {"trainer": "create"}


def test_a_mount_path_that_is_not_told_is_the_programs(stack: Stack, cloud: FakeMithril, ids: dict[str, str]) -> None:
    """A task of another tool: its volumes are compared, and where they are mounted is not known."""
    task = cloud.add_bid("by-hand", volumes=[ids["OTHER"]], ssh_keys=[ids["DESK"]])["fid"]
    inputs = program(ids, volumes=[("OTHER", "/opt/anywhere")], ssh_keys=["desk"], adopt_task_id=task)
    assert stack.preview({"trainer": cluster(**inputs)}) == {"trainer": "create"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({}, "volumes"), ({"volumes": None, "ssh_keys": None}, "volumes"), ({"ssh_keys": ["laptop"]}, "SSH keys")],
    ids=str,
)
def test_what_the_service_leaves_out_refuses_the_adoption(
    stack: Stack, cloud: FakeMithril, ids: dict[str, str], changes: Inputs, problem: str
) -> None:
    """A null is not an empty list: nothing is taken over whose volumes are not known."""
    launch = cloud.bid(ids["TASK"])["launch_specification"]
    shown = {"launch_specification": {**launch, "ssh_keys": None} if problem == "SSH keys" else None}
    cloud.faults.add(kind="alter", method="GET", path=r"/v2/spot/bids/bid_\w+$", times=None, body=shown)
    with pytest.raises(CheckError, match=f"does not show its {problem}"):
        stack.preview({"trainer": cluster(**program(ids, **changes))})
    assert not cloud.mutations


# -- what its machines run at a boot -----------------------------------------------------------------------------------

WORK: Inputs = {"command": "python train.py", "run_on": "every_boot"}


def test_a_task_that_runs_its_command_at_the_first_boot_alone_is_not_recorded_as_another(
    cloud: FakeMithril, stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program's default says every boot; the person is told, and nothing is replaced for it."""
    task = cloud.add_bid("train")["fid"]
    program = {"trainer": cluster(**WORK, adopt_task_id=task)}
    stack.up(program)
    assert stack.state["trainer"].id == task
    assert "run_on" not in stack.state["trainer"].inputs
    assert f"the task {task} was not placed by this package: its machines run the command at" in capsys.readouterr().err
    assert stack.preview(program) == {"trainer": "same"}
    assert stack.preview({"trainer": cluster(**WORK)}) == {"trainer": "same"}
    stack.refresh()
    assert stack.preview(program) == {"trainer": "same"}


def test_a_task_that_runs_its_command_at_every_boot_is_recorded_so(
    cloud: FakeMithril, stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """An earlier stack placed it."""
    stack.up({"trainer": cluster(**WORK)})
    task = stack.state.pop("trainer").id
    stack.up({"adopted": cluster(**WORK, adopt_task_id=task)})
    assert stack.state["adopted"].id == task
    assert stack.state["adopted"].inputs["run_on"] == "every_boot"
    assert "first boot" not in capsys.readouterr().err


def test_an_adopted_task_without_a_command_is_not_warned_of(
    cloud: FakeMithril, stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """It runs nothing of the program's."""
    task = cloud.add_bid("train")["fid"]
    stack.up({"trainer": cluster(run_on="every_boot", adopt_task_id=task)})
    assert "run_on" not in stack.state["trainer"].inputs
    assert "first boot" not in capsys.readouterr().err
