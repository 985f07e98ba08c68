"""mock_mithril around a program that uses the plain SDK: its settings inside, and their restoration afterwards."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import flow
import pytest
from flow.errors import AuthenticationError
from support.program import environment, market_price, rent, run_async

from flow_resources.cloud.settings import resolve
from flow_resources.testing import FakeMithril, mock_mithril
from flow_resources.testing.environment import SDK_STATE

ROOT = Path(__file__).parents[2]
DEVELOPERS = {
    "MITHRIL_API_KEY": "the-real-key",
    "MITHRIL_API_URL": "https://api.mithril.ai",
    "MITHRIL_PROJECT": "production",
    "MITHRIL_SSH_KEY": "/home/dev/.ssh/id_ed25519",
    "MITHRIL_SSH_KEYS": "sshkey_1,sshkey_2",
    "MITHRIL_EXTRA_REGIONS": "mars1-a",
    "FLOW_PROVIDER": "mock",
    "FLOW_DEMO_MODE": "1",
    "FLOW_CONFIG_PATH": "/home/dev/flow.yaml",
    "FLOW_DIR": "/home/dev/.flow",
    "FLOW_HTTP_CACHE_DIR": "/home/dev/cache",
    "HTTP_PROXY": "http://127.0.0.1:3128",
    "https_proxy": "http://proxy:3128",
    "ALL_PROXY": "http://proxy:1080",
    "NO_PROXY": "intranet",
}


@pytest.fixture(autouse=True)
def developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer who uses the real service all day, behind a proxy."""
    for name, value in DEVELOPERS.items():
        monkeypatch.setenv(name, value)


# --- what a program sees ---------------------------------------------------------------------------------------------


@mock_mithril
def test_a_plain_program_rents_is_preempted_and_recovers(mithril: FakeMithril) -> None:
    """With `flow.run`, and no word about where to find the service."""
    task = rent(max_price_per_hour=20.0)
    (bid,) = mithril.live_bids
    assert (bid["fid"], bid["status"], bid["limit_price"]) == (task.task_id, "Allocated", "$20.00")
    mithril.preempt(task.task_id)
    with flow.Flow() as client:
        assert client.status(task.task_id) == "pending"
        mithril.release(task.task_id)
        assert client.status(task.task_id) == "running"
        client.cancel(task.task_id)
    assert mithril.live_bids == []


def test_options_are_those_of_the_fake() -> None:
    """They are passed on; an invalid one raises the error of the fake."""
    with mock_mithril(boot_seconds=3, region="eu-central1-a", key="mine") as mithril:
        task = rent()
        assert (mithril.boot_seconds, task.region) == (3, "eu-central1-a")
        assert (mithril.key, os.environ["MITHRIL_REGION"]) == ("mine", "eu-central1-a")
    with pytest.raises(TypeError, match="boot_second"):
        mock_mithril(boot_second=3).__enter__()


def test_flow_resources_finds_the_cloud_too() -> None:
    """Its settings are the SDK's."""
    with mock_mithril() as mithril:
        settings = resolve(lambda _: None)
        assert (settings.api_url, settings.api_key, settings.project) == (mithril.url, mithril.key, mithril.project)


def test_nothing_of_the_developers_is_left_inside() -> None:
    """Neither variables nor a proxy, and what is not the SDK's stays."""
    before = dict(os.environ)
    with mock_mithril() as mithril:
        inside = {name: value for name, value in os.environ.items() if before.get(name) != value}
        assert inside == {
            **mithril.environment,
            "FLOW_DIR": os.environ["FLOW_DIR"],
            "NO_PROXY": "*",
            "no_proxy": "*",
        }
        assert before.keys() - os.environ.keys() == DEVELOPERS.keys() - inside.keys()


def test_where_the_network_is_allowed_proxies_stay_but_not_for_loopback() -> None:
    """The program may need them for what else it reaches."""
    with mock_mithril(allow_network=True):
        assert os.environ["https_proxy"] == "http://proxy:3128"
        assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "intranet,localhost,127.0.0.1,::1"
        rent()


def test_settings_of_flow_resources_itself_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """They say how it works, not where."""
    monkeypatch.setenv("FLOW_RESOURCES_HTTP_SECONDS", "7")
    with mock_mithril():
        assert resolve(lambda _: None).http_seconds == 7.0


def test_home_is_neither_changed_nor_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own Flow folder says staging, with a key; nothing is read from it and nothing written."""
    (tmp_path / ".flow").mkdir()
    (tmp_path / ".flow" / "current-environment").write_text("staging")
    (tmp_path / ".flow" / "config-staging.yaml").write_text("api_key: real\nmithril: {region: eu-central1-b}")
    (tmp_path / ".ssh").mkdir(mode=0o000)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    with mock_mithril() as mithril:
        assert os.environ["HOME"] == str(tmp_path)
        with flow.Flow() as client:
            client.volumes.create(10, name="data", interface="file")
            client.cancel(rent().task_id)
        assert [bid["region"] for bid in mithril.bids] == ["us-central5-a"]
        assert list(Path(os.environ["FLOW_DIR"]).iterdir())
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


# --- what is left of it ----------------------------------------------------------------------------------------------


def enter_and_leave() -> None:
    with mock_mithril():
        os.environ["MITHRIL_PROJECT"] = "changed by the program"
        os.environ["FLOW_LOG_LEVEL"] = "set by the program"
        del os.environ["MITHRIL_REGION"]


async def enter_and_leave_async() -> None:
    async with mock_mithril():
        await asyncio.sleep(0)


def fail_inside() -> None:
    with pytest.raises(ZeroDivisionError), mock_mithril():
        raise ZeroDivisionError


def fail_to_start() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        mock_mithril(region="nowhere").__enter__()


def abandon_a_generator() -> None:
    generator = mock_mithril(numbers)()
    assert next(generator) == 1
    generator.close()


def numbers() -> Iterator[int]:
    yield from (1, 2)


WAYS = [enter_and_leave, lambda: run_async(enter_and_leave_async()), fail_inside, fail_to_start, abandon_a_generator]


@pytest.mark.parametrize("way", WAYS)
def test_the_environment_is_restored_byte_for_byte(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the mock ends; also a value that is no UTF-8, and what the program changed or took away."""
    monkeypatch.setenv("FLOW_THEME", os.fsdecode(b"caf\xe9"))
    before = environment()
    way()
    assert environment() == before


def test_other_variables_are_nobody_elses_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program leaves there stays, as without a mock."""
    monkeypatch.setenv("TRAINING_RUNS", "1")
    with mock_mithril():
        os.environ["TRAINING_RUNS"] = "2"
    assert os.environ["TRAINING_RUNS"] == "2"


def test_the_folder_is_removed_and_the_port_let_go() -> None:
    """With all that the SDK wrote into it."""
    with mock_mithril() as mithril:
        rent()
        folder, port = Path(os.environ["FLOW_DIR"]), mithril.port
        assert (folder / "keys").is_dir()
    assert not folder.exists()
    with FakeMithril(port):
        pass


def test_two_mocks_in_a_row_do_not_see_each_others_prices() -> None:
    """Not even on one port, where every cache of the SDK takes them for the same service."""
    with mock_mithril() as mithril:
        mithril.set_price("8xa100", "us-central5-a", 7.00)
        port, first = mithril.port, market_price()
    with mock_mithril(port=port, key=mithril.key) as mithril:
        mithril.set_price("8xa100", "us-central5-a", 9.00)
        assert (first, market_price()) == (7.00, 9.00)


def test_a_client_left_over_is_refused_by_the_next_cloud() -> None:
    """Each cloud has a key of its own, so that nothing is rented in the wrong one, even on the same port."""
    with mock_mithril() as mithril:
        port, stale = mithril.port, flow.Flow()
        stale.list_tasks()
    with mock_mithril(port=port) as mithril, stale:
        with pytest.raises(AuthenticationError):
            stale.run(flow.TaskConfig(command="true", instance_type="8xa100", upload_code=False))
        assert mithril.bids == []


@pytest.mark.parametrize(("module", "path"), [(module, path) for module, path, _ in SDK_STATE])
def test_what_the_sdk_remembers_is_put_aside(module: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing exists in this version of the SDK, is fresh inside, and is there again afterwards."""
    *classes, name = path.split(".")
    holder = import_module(module)
    for class_name in classes:
        holder = getattr(holder, class_name)
    monkeypatch.setattr(holder, name, "the developer's")
    with mock_mithril():
        assert not getattr(holder, name)
        setattr(holder, name, "the cloud's")
        with mock_mithril():
            assert not getattr(holder, name)
        assert getattr(holder, name) == "the cloud's"
    assert getattr(holder, name) == "the developer's"


def test_what_the_sdk_learns_in_a_mock_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the part of the SDK that remembers it is first imported inside."""
    import flow.state

    monkeypatch.delattr(flow.state, "runtime_settings", raising=False)
    monkeypatch.delitem(sys.modules, "flow.state.runtime_settings", raising=False)
    with mock_mithril() as mithril:
        from flow.state import runtime_settings

        assert runtime_settings.get_settings().api_key == mithril.key
    assert runtime_settings._SETTINGS is None


def test_the_uploader_is_not_started_and_other_processes_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would outlive the test and call machines that are not there; the handle says pending, as with it."""
    (tmp_path / "weights.bin").write_bytes(os.urandom(300_000))
    monkeypatch.chdir(tmp_path)
    started: list[Any] = []
    start = subprocess.Popen.__init__

    def note(process: Any, args: Any, **options: Any) -> None:
        started.append(args)
        start(process, args, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", note)
    with mock_mithril():
        task = rent(upload_code=True)
        assert task.code_upload_status.pending
        assert started == []
        assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True).stdout == b"1\n"
        assert len(started) == 1
    assert subprocess.Popen.__init__ is note


# --- more than one ---------------------------------------------------------------------------------------------------


def test_the_innermost_of_several_is_seen_until_it_ends() -> None:
    """And one object may be entered within itself."""
    mocked = mock_mithril()
    with mocked as outer:
        with mocked as inner:
            rent()
            assert (len(outer.bids), len(inner.bids)) == (0, 1)
        rent()
        assert len(outer.bids) == 1


def test_an_outer_one_may_end_first() -> None:
    """The inner one stays in force, and gives back what was there before both."""
    before = environment()
    outer, inner = mock_mithril(), mock_mithril()
    outer.__enter__()
    cloud = inner.__enter__()
    outer.__exit__(None, None, None)
    assert os.environ["MITHRIL_API_URL"] == cloud.url
    rent()
    inner.__exit__(None, None, None)
    assert environment() == before


def test_a_second_thread_is_refused_and_the_first_not_disturbed() -> None:
    """They would see each other's cloud; once the first has ended, the other may."""
    results: list[Any] = []

    def other() -> None:
        try:
            with mock_mithril() as mithril:
                results.append(mithril.url)
        except RuntimeError as error:
            results.append(str(error))

    with mock_mithril() as mithril:
        inside = environment()
        run_in_thread(other)
        assert "another mock is active in thread 'MainThread'" in results[0]
        assert environment() == inside
        rent()
        assert len(mithril.bids) == 1
    run_in_thread(other)
    assert results[1].startswith("http://")


def run_in_thread(function: Any) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_a_thread_of_the_program_uses_the_cloud_that_is_there() -> None:
    """Only a mock of its own is refused to it."""
    with mock_mithril() as mithril:
        run_in_thread(rent)
        assert len(mithril.bids) == 1


def test_of_two_concurrent_tasks_the_second_is_refused() -> None:
    """One after the other, and one within the other, are fine."""
    before = environment()
    entered = 0

    async def run(hold: asyncio.Event | None = None, reached: asyncio.Event | None = None) -> None:
        nonlocal entered
        async with mock_mithril() as outer:
            async with mock_mithril() as inner:
                assert outer.url != inner.url == os.environ["MITHRIL_API_URL"]
            if hold and reached:
                reached.set()
                await hold.wait()
            assert os.environ["MITHRIL_API_URL"] == outer.url
            entered += 1

    async def main() -> None:
        hold, reached = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(run(hold, reached), name="the first")
        await asyncio.wait_for(reached.wait(), 30)
        with pytest.raises(RuntimeError, match="the asyncio task 'the first'"):
            await run()
        hold.set()
        await first
        await run()

    run_async(main())
    assert entered == 2
    assert environment() == before


def test_a_mock_whose_thread_or_task_has_ended_encloses_what_follows() -> None:
    """A fixture may have been set up in one."""
    with ExitStack() as stack:

        async def enter() -> None:
            stack.enter_context(mock_mithril())

        async def enter_in_tasks() -> None:
            await asyncio.create_task(enter())
            await asyncio.create_task(enter())

        run_in_thread(lambda: stack.enter_context(mock_mithril()))
        run_async(enter_in_tasks())
        inner = stack.enter_context(mock_mithril())
        assert inner.url == os.environ["MITHRIL_API_URL"]


# --- without aiohttp -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked", ["from flow_resources.testing import FakeMithril", "import flow_resources.testing.fake"]
)
def test_without_the_extra_the_cloud_says_what_to_install(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line; what needs no server works without it."""
    code = f"import sys; sys.modules['aiohttp'] = None\nfrom flow_resources.testing import FaultRule, Request\n{asked}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: a fake Mithril needs aiohttp: pip install 'flow-resources[testing]'"
    )


@pytest.mark.timeout(60)
def test_a_test_may_stop_the_clocks_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """As freezegun does: what the cloud itself waits for goes on, and the mock ends."""
    with monkeypatch.context() as stopped:
        for name in ("time", "monotonic", "perf_counter"):
            stopped.setattr(time, name, lambda at=getattr(time, name)(): at)
        with mock_mithril() as mithril:
            mithril.faults.add(kind="slow", seconds=0.01)
            assert rent().task_id == mithril.live_bids[0]["fid"]
            at = mithril.clock.now()
            assert at == mithril.clock.now() == time.time()


@pytest.mark.timeout(60)
def test_freezegun_stops_the_clock_of_the_cloud_and_not_its_server() -> None:
    """Around a mock, inside it, and as a decorator of the same test."""
    freeze_time = pytest.importorskip("freezegun").freeze_time

    @freeze_time("2026-05-01 12:00")
    @mock_mithril
    def program(mithril: FakeMithril) -> None:
        assert rent().task_id == mithril.live_bids[0]["fid"]
        assert mithril.live_bids[0]["created_at"].startswith("2026-05-01T12:00:00")

    program()
    with mock_mithril() as mithril, freeze_time("2026-05-01 12:00"):
        rent()
        mithril.stop()
