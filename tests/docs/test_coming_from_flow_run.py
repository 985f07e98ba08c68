"""docs/coming-from-flow-run.md is true: each pattern of today is run, and does what the page says it does."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flow
import pytest
from docs.pages import PYTEST, ROOT
from flow.errors import APIError, FlowError, NameConflictError, ValidationError
from support.engine import Project

from flow_resources.core.cluster_fields import check_cluster
from flow_resources.testing import FakeMithril, mock_mithril

PAGE = ROOT / "docs" / "coming-from-flow-run.md"
RUN, HELPERS, MOUNT, VOLUME, WAIT, MOCKS, SWITCHES = WAYS = [
    "`flow.run` in the program",
    "Helpers around `flow.run`",
    "A mount under `/models`",
    "`Flow().create_volume`",
    "`task.wait_for_status`",
    "Mocks by assignment",
    "Environment switches",
]
LAUNCH: dict[str, Any] = {"instance_type": "8xa100", "upload_code": False}


def programs(title: str) -> list[str]:
    """Return the blocks of Python of a section: the way of today first."""
    (part,) = [one for one in PAGE.read_text().split("\n## ") if one.startswith(f"{title}\n")]
    return re.findall(r"^```python\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


@pytest.fixture
def mithril() -> Iterator[FakeMithril]:
    """A cloud for the SDK."""
    with mock_mithril() as running:
        yield running


def run(program: str) -> dict[str, Any]:
    """Run a program of the page here, and return its names."""
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(program, str(PAGE), "exec"), names)
    return names


def pytested(folder: Path, *tests: str) -> str:
    """Run tests of the page away from here, and return pytest's last line."""
    for number, test in enumerate(tests):
        (folder / f"test_{number}.py").write_text(test)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MITHRIL_", "FLOW_", "PYTEST_"))}
    command = [*PYTEST, "--rootdir", str(folder), str(folder)]
    done = subprocess.run(
        command, cwd=folder, env=env | {"HOME": str(folder)}, capture_output=True, text=True, timeout=600, check=False
    )
    return done.stdout.splitlines()[-1] if done.returncode in (0, 1) else done.stdout + done.stderr


def test_every_pattern_has_its_section_and_its_blocks() -> None:
    """One of today, and what to write instead; the table names all of them."""
    assert [len(programs(title)) for title in WAYS] == [2, 2, 2, 2, 2, 3, 1]
    assert len(re.findall(r"^\| \[", PAGE.read_text(), re.MULTILINE)) == len(WAYS)


def test_what_to_write_instead_declares_something(tmp_path: Path) -> None:
    """Under FlowMocks, all in one process."""
    for number, title in enumerate([RUN, MOUNT, VOLUME, WAIT, HELPERS]):
        (tmp_path / f"program_{number}.py").write_text(programs(title)[1])
    test = (
        "import pulumi\n"
        "from flow_resources.testing import FlowMocks\n"
        "mocks = FlowMocks()\n"
        "pulumi.runtime.set_mocks(mocks)\n"
        "@pulumi.runtime.test\n"
        "def test_programs():\n"
        "    import program_0, program_1, program_2, program_3, program_4\n"
        "def test_all_declared_something():\n"
        "    declared = {'trainer', 'models', 'server', 'training-data', 'infrastructure', 'training'}\n"
        "    assert {name for _, name, _ in mocks.resources} == declared\n"
    )
    assert pytested(tmp_path, test).startswith("2 passed in ")


# -- flow.run in the program -------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_a_program_with_flow_run_rents_at_every_preview_and_every_up(tmp_path: Path, cloud: FakeMithril) -> None:
    """Through the real engine: three commands, five clusters, nothing in the state, and destroy ends none of them."""
    project = Project.make(
        tmp_path, cloud, programs(RUN)[0].replace('name="trainer",', 'name="trainer", upload_code=False,')
    )
    project.preview().ok()
    assert len(cloud.live_bids) == 1
    project.run("up", "--yes").ok()
    assert len(cloud.live_bids) == 3
    project.run("up", "--yes").ok()
    names = {bid["name"] for bid in cloud.live_bids}
    assert len(names) == 5
    assert all(re.fullmatch(r"trainer-[0-9a-f]{6}", name) for name in names)
    assert [one["type"] for one in project.deployment()["resources"]] == ["pulumi:pulumi:Stack"]
    project.destroy().ok()
    assert names <= {bid["name"] for bid in cloud.live_bids}


@pytest.mark.engine
@pytest.mark.faults  # test_tutorial.py previews this program, tests/engine/test_main_job.py holds the rest
def test_the_resource_rents_once_and_destroy_ends_it(tmp_path: Path, cloud: FakeMithril) -> None:
    """The program beside it, and the same commands."""
    project = Project.make(tmp_path, cloud, programs(RUN)[1])
    project.preview().ok()
    assert cloud.bids == []
    project.up().ok()
    project.up().ok()
    (bid,) = cloud.bids
    assert bid["status"] == "Allocated"
    project.destroy().ok()
    assert cloud.live_bids == []


def test_a_fixed_name_makes_the_second_run_fail(mithril: FakeMithril) -> None:
    """While the first one runs."""
    flow.run("true", name="trainer", unique_name=False, **LAUNCH)
    with pytest.raises(NameConflictError):
        flow.run("true", name="trainer", unique_name=False, **LAUNCH)


def test_an_error_after_acceptance_leaves_one_running(mithril: FakeMithril) -> None:
    """The service did rent; only the answer was an error."""
    mithril.faults.add(method="POST", path="/v2/spot/bids", when="after", status=500)
    with pytest.raises(APIError):
        flow.run("true", **LAUNCH)
    assert len(mithril.live_bids) == 1


def test_a_price_under_the_market_is_refused_before_it_is_sent(mithril: FakeMithril) -> None:
    """Where a bid could wait."""
    with pytest.raises(FlowError):
        flow.run("true", max_price_per_hour=5.0, **LAUNCH)
    assert mithril.bids == []


def test_the_folder_is_uploaded_unless_one_says_no(mithril: FakeMithril, tmp_path: Path, monkeypatch: Any) -> None:
    """What the SDK takes for a default."""
    monkeypatch.chdir(tmp_path)
    task = flow.run("true", instance_type="8xa100")
    assert task.config is not None
    assert task.config.upload_code is True


# -- helpers around flow.run -------------------------------------------------------------------------------------------


def helpers() -> dict[str, Any]:
    """Run the program of the page here, without its exports, and return its names."""
    lines = [line for line in programs(HELPERS)[0].splitlines() if not line.startswith("pulumi.export(")]
    return run("\n".join(lines).replace('instance_type="8xa100",', 'instance_type="8xa100", upload_code=False,'))


def test_each_call_of_a_helper_rents_another(mithril: FakeMithril) -> None:
    """A program that is run twice rents twice."""
    names = helpers()
    for _ in range(2):
        names["create_gpu_cluster"]("infrastructure", 2, 50.0)
        names["run_training"]("training", "python /data/train.py", names["data"].volume_id, 13.0)
    assert sorted(bid["instance_quantity"] for bid in mithril.live_bids) == [1, 1, 2, 2]


def test_nothing_runs_on_what_a_helper_rented_after_a_preemption(mithril: FakeMithril) -> None:
    """The machine is back, is billed, and does nothing; with `terminate_on_exit` only what ends the bid runs."""
    names = helpers()
    names["run_training"]("training", "python /data/train.py", names["data"].volume_id, 13.0)
    flow.run("python train.py", max_price_per_hour=13.0, terminate_on_exit=True, **LAUNCH)
    runs = []
    for bid in mithril.live_bids:
        mithril.preempt(bid["fid"])
        mithril.release(bid["fid"])
        assert mithril.bid(bid["fid"])["status"] == "Allocated"
        runs.append([boot["runs"] for boot in mithril.boots(bid["fid"])])
    first = ["start-up script"]
    assert runs == [[first, []], [first, ["flow-terminate-on-exit.service", "flow-runtime-arm.service"]]]


# -- a mount under /models ---------------------------------------------------------------------------------------------


def test_a_mount_under_models_is_refused_after_the_volume_is_made(mithril: FakeMithril) -> None:
    """The program of the page; the volume stays, and the next run makes another or fails at its name."""
    with pytest.raises(ValidationError, match="invalid mount_path '/models'"):
        run(programs(MOUNT)[0])
    assert [volume["name"] for volume in mithril.volumes] == ["models"]
    assert mithril.bids == []
    with pytest.raises(FlowError):
        run(programs(MOUNT)[0])
    assert mithril.bids == []


def test_the_same_program_runs_with_a_mount_where_the_service_mounts(mithril: FakeMithril) -> None:
    """So it is the path that is refused."""
    run(programs(MOUNT)[0].replace('"/models"', '"/mnt/models"').replace('"8xa100",', '"8xa100", upload_code=False,'))
    assert len(mithril.live_bids) == 1


def test_a_mount_that_does_not_say_file_is_refused_for_several_machines(mithril: FakeMithril) -> None:
    """Whatever the volume really is."""
    with flow.Flow() as client:
        volume = client.volumes.create(500, name="models", interface="file", region=mithril.region)
        mount = {"volume_id": volume.volume_id, "mount_path": "/mnt/models"}
        with pytest.raises(ValidationError, match="cannot be attached to multi-instance tasks"):
            flow.run("true", num_instances=2, volumes=[mount], **LAUNCH)


@pytest.mark.parametrize(("path", "refused"), [("/models", True), ("/mnt/models", False)])
def test_the_preview_refuses_it_and_says_where_mounts_go(path: str, refused: bool) -> None:
    """By the rule that check applies."""
    mounts = [{"volume_id": "vol_000001", "mount_path": path}]
    found = check_cluster({"instance_type": "8xa100", "max_price_per_hour": 20.0, "volumes": mounts})
    said = [failure.text for failure in found.failures]
    assert bool(said) is refused
    assert all("is not a place where the service mounts" in one and "/mnt/" in one for one in said)


# -- methods that are not there ----------------------------------------------------------------------------------------


def test_create_volume_is_not_there(mithril: FakeMithril) -> None:
    """And nothing was made."""
    with pytest.raises(AttributeError, match="create_volume"):
        run(programs(VOLUME)[0])
    assert mithril.volumes == []


def test_what_there_is_makes_a_block_volume_and_not_twice_the_same(mithril: FakeMithril) -> None:
    """Another at each run, or a failure at its name."""
    with flow.Flow() as client:
        volume = client.volumes.create(1000, name="training-data")
        assert mithril.volumes[0]["interface"] == "Block"
        again = None
        try:
            again = client.volumes.create(1000, name="training-data")
        except FlowError:
            assert len(mithril.volumes) == 1
        assert again is None or again.volume_id != volume.volume_id


def test_wait_for_status_is_not_there_and_the_machine_is_rented(mithril: FakeMithril) -> None:
    """The program of the page."""
    program = programs(WAIT)[0].replace('"8xa100",', '"8xa100", upload_code=False,')
    with pytest.raises(AttributeError, match="wait_for_status"):
        run(program)
    assert len(mithril.live_bids) == 1


def test_the_handle_of_flow_run_is_dead_and_its_instances_are_ids(mithril: FakeMithril) -> None:
    """It cannot wait, and has no addresses."""
    task = flow.run("true", **LAUNCH)
    with pytest.raises(RuntimeError, match="the client has been closed"):
        task.wait(5, until="running")
    with flow.Flow() as client:
        instances = client.get_task(task.task_id).instances
    assert instances
    assert all(isinstance(one, str) for one in instances)
    with pytest.raises(AttributeError, match="public_ip"):
        instances[0].public_ip  # noqa: B018


# -- tests -------------------------------------------------------------------------------------------------------------


def test_the_assigned_mock_passes_with_a_wrong_keyword_and_stays(tmp_path: Path) -> None:
    """For a test that follows, too, which knows nothing of it."""
    other = "import flow\ndef test_other(): assert flow.run('rent', instance_type='8xa100') == 'a task'\n"
    assert pytested(tmp_path, programs(MOCKS)[0], other).startswith("2 passed in ")


def test_the_real_one_does_not_take_that_keyword(mithril: FakeMithril) -> None:
    """ValidationError, and nothing is rented."""
    with pytest.raises(ValidationError):
        flow.run("python train.py", instance_type="8xa100", max_price=20.0)
    assert mithril.bids == []


def test_the_tests_to_write_instead_pass_and_see_a_wrong_keyword(tmp_path: Path) -> None:
    """Both; with the wrong keyword the resource raises."""
    mocks, with_sdk = programs(MOCKS)[1:]
    assert pytested(tmp_path, mocks, with_sdk).startswith("3 passed in ")
    wrong = mocks.replace("max_price_per_hour=20.0)", "max_price=20.0)")
    assert wrong != mocks
    assert "2 failed, 1 passed" in pytested(tmp_path, wrong, with_sdk)


# -- switches ----------------------------------------------------------------------------------------------------------


def test_a_forgotten_switch_rents(mithril: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it nothing happens, which shows nothing; without it there is a bill."""
    program = programs(SWITCHES)[0].replace('"8xa100",', '"8xa100", upload_code=False,')
    monkeypatch.setenv("DRY_RUN", "1")
    run(program)
    assert mithril.requests == []
    monkeypatch.delenv("DRY_RUN")
    run(program)
    assert len(mithril.live_bids) == 1


def test_the_sdks_own_dry_run_stops_nothing(mithril: FakeMithril) -> None:
    """MITHRIL_DRY_RUN=1."""
    os.environ["MITHRIL_DRY_RUN"] = "1"  # inside the mock, which gives it back
    flow.run("true", **LAUNCH)
    assert len(mithril.live_bids) == 1
