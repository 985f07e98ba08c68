"""The state file, and the command that serves it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from flow_resources.testing import FakeMithril, RemoteMithril, StateError
from flow_resources.testing.service.errors import NotStoredError
from flow_resources.testing.service.store import Store

ROOT = Path(__file__).parents[2]


class Process:
    """`python -m flow_resources.testing` with what it printed."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "flow_resources.testing", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.lines = [self.process.stdout.readline().rstrip("\n") for _ in range(6)]
        self.environment = dict(line.removeprefix("export ").split("=", 1) for line in self.lines[1:] if line)

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal and return the exit code and what stood on stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=600)
        return self.process.returncode, errors


@pytest.fixture
def spawn():
    """Return a function that starts processes, and end what is left of them."""
    started = []

    def start(*arguments: str) -> Process:
        started.append(Process(*arguments))
        return started[-1]

    yield start
    for server in started:
        server.process.kill()
        server.process.communicate()


def call(process: Process) -> httpx.Client:
    """Return a client of a process."""
    headers = {"Authorization": f"Bearer {process.environment['MITHRIL_API_KEY']}"}
    return httpx.Client(base_url=process.environment["MITHRIL_API_URL"], headers=headers, trust_env=False)


def test_a_restart_finds_everything_as_it_was(cloud, connect, tmp_path):
    """Bids, machines, volumes, keys, prices, projects and the ids that come next."""
    first = cloud(state=tmp_path / "state.db", boot_seconds=60.0)
    client = connect(first)
    first.set_price("8xa100", first.region, 30.00)
    first.add_project("other", keys=["other-key"])
    volume = client.volume()
    client.bid(volumes=[volume["fid"]], ssh_keys=[first.add_ssh_key("laptop")["fid"]])
    seen = (first.bids, first.instances, first.volumes, first.ssh_keys)
    first.close()
    second = cloud(state=tmp_path / "state.db")
    assert (second.bids, second.instances, second.volumes, second.ssh_keys) == seen
    assert connect(second).bid(limit_price="$29.99")["fid"] == "bid_000002"
    assert connect(second).read({"fid": "bid_000002"})["status"] == "Open"
    assert [row["name"] for row in connect(second, "other-key").get("/v2/projects").json()] == ["other"]


def test_time_goes_on_while_the_cloud_is_off(cloud, connect, tmp_path, clock):
    """A boot that was due in between is over."""
    first = cloud(state=tmp_path / "state.db", boot_seconds=60.0)
    bid = connect(first).bid()
    first.close()
    clock.advance(seconds=60)
    assert connect(cloud(state=tmp_path / "state.db")).machines(bid)[0]["status"] == "STATUS_RUNNING"


def test_the_key_itself_is_not_in_the_state_file(cloud, tmp_path):
    """State files travel with bug reports."""
    cloud(state=tmp_path / "state.db", key="very-secret-key").close()
    assert b"very-secret-key" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_stopped_cloud_can_be_looked_at_and_started_again(mithril, client):
    """In memory too, on the same port."""
    bid = client.bid()
    url = mithril.url
    mithril.stop()
    mithril.stop()
    assert mithril.bids == [bid]
    mithril.start()
    assert (mithril.url, client.read(bid)) == (url, bid)


def test_a_stopped_cloud_keeps_its_port_from_others_until_it_is_closed(mithril):
    """Else the system gives it to the next program that asks for any: on a busy machine, within seconds."""
    mithril.stop()
    with socket.socket() as another:
        with pytest.raises(OSError, match="in use"):
            another.bind(("127.0.0.1", mithril.port))
        mithril.start()
        mithril.close()
        another.bind(("127.0.0.1", mithril.port))


def test_kill_9_loses_nothing_that_was_answered(spawn, tmp_path):
    """Whatever had a 201 is there after the process died on the spot."""
    state = str(tmp_path / "state.db")
    first = spawn("--state", state)
    with call(first) as client:
        project = client.get("/v2/projects").json()[0]["fid"]
        body = {"project": project, "disk_interface": "File", "region": "us-central5-a", "size_gb": 1}
        names = [f"data-{n}" for n in range(20)]
        for name in names:
            assert client.post("/v2/volumes", json={**body, "name": name}).status_code == 201
        assert first.end(signal.SIGKILL)[0] == -signal.SIGKILL
    with call(spawn("--state", state)) as client:
        rows = client.get("/v2/volumes", params={"project": project}).json()
    assert [row["name"] for row in rows] == names


@pytest.mark.parametrize("moment", [0.05, 0.13, 0.31])
def test_kill_9_in_the_middle_of_everything_loses_nothing_that_was_answered(spawn, tmp_path, moment):
    """Eight clients write at once; every response is still true after the restart, and the cloud continues."""
    state = str(tmp_path / "state.db")
    first = spawn("--state", state, "--seed", "7", "--speed", "3600")
    answered, lock = [], threading.Lock()

    def write(number):
        with call(first) as client, contextlib.suppress(httpx.TransportError):
            project = client.get("/v2/projects").json()[0]["fid"]
            body = {"project": project, "disk_interface": "File", "region": "us-central5-a", "size_gb": 1}
            for n in range(10_000):
                answer = client.post("/v2/volumes", json={**body, "name": f"v{number}-{n}"})
                assert answer.status_code == 201
                with lock:
                    answered.append(answer.json()["fid"])

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    while not answered:
        time.sleep(0.001)
    time.sleep(moment)  # the moment is the point
    assert first.end(signal.SIGKILL)[0] == -signal.SIGKILL
    for writer in writers:
        writer.join()
    second = spawn("--state", state)
    remote = RemoteMithril(second.environment["MITHRIL_API_URL"])
    assert set(answered) <= {row["fid"] for row in remote.volumes}
    assert remote.seed == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_what_a_shell_can_evaluate_and_ends_cleanly(spawn, number):
    """Exports, comments, exit code 0 and nothing on stderr."""
    served = spawn("--key", "it's a key", "--project", "my project", "--region", "us-east1-a")
    assert served.lines[0].startswith("# ")
    script = "\n".join(
        [
            *served.lines,
            'printf "%s|%s|%s|%s" "$MITHRIL_API_URL" "$MITHRIL_API_KEY" ' + ('"$MITHRIL_PROJECT" "$MITHRIL_REGION"'),
        ]
    )
    url, key, project, region = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True
    ).stdout.split("|")
    assert (key, project, region) == ("it's a key", "my project", "us-east1-a")
    answer = httpx.get(f"{url}/v2/projects", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    assert [row["name"] for row in answer.json()] == ["my project"]
    assert served.end(number) == (0, "")


RENT = "import flow; print(flow.run('python train.py', instance_type='8xa100', upload_code=False).task_id)"


def rent_by_the_lines(served: Process, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a plain Flow program as a user of this home does who has read the printed lines."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MITHRIL_", "FLOW_"))}
    script = "\n".join([*served.lines, f'exec "{sys.executable}" -c "{RENT}"'])
    return subprocess.run(
        ["sh", "-c", script], env={**kept, "HOME": str(home)}, capture_output=True, text=True, check=False
    )


def test_a_plain_program_rents_whatever_keys_its_user_has(spawn, tmp_path):
    """Those of an earlier fake, which this one does not have; nothing is left in the user's own folder."""
    earlier, now = spawn(), spawn()
    own = [line for line in earlier.lines if "FLOW_DIR" not in line]
    earlier.lines, lines = own, earlier.lines
    assert rent_by_the_lines(earlier, tmp_path).returncode == 0
    files = sorted(path for path in (tmp_path / ".flow").rglob("*") if path.is_file())
    assert any("flow-auto" in path.name for path in files)
    earlier.lines = lines
    for served in (now, earlier):
        rented = rent_by_the_lines(served, tmp_path)
        assert (rented.returncode, rented.stdout[:4]) == (0, "bid_"), rented.stderr
    assert sorted(path for path in (tmp_path / ".flow").rglob("*") if path.is_file()) == files
    folders = [Path(served.environment["FLOW_DIR"]) for served in (earlier, now)]
    assert folders[0] != folders[1]
    assert (earlier.end(signal.SIGTERM), now.end(signal.SIGINT)) == ((0, ""), (0, ""))
    assert not any(folder.exists() for folder in folders)


def test_the_folder_beside_a_state_file_stays(spawn, tmp_path):
    """With the keys, which the cloud still has when it comes back."""
    for _ in range(2):
        served = spawn("--state", str(tmp_path / "cloud.db"))
        assert served.environment["FLOW_DIR"] == str(tmp_path / "cloud.db.flow")
        assert rent_by_the_lines(served, tmp_path).returncode == 0
        remote = RemoteMithril(served.environment["MITHRIL_API_URL"])
        assert len(remote.ssh_keys) == 1
        served.end(signal.SIGTERM)


def test_no_two_clouds_share_the_id_of_an_ssh_key(cloud):
    """Nor one cloud before and after a reset: clients remember which keys they have made."""
    first, second = cloud(), cloud()
    ids = {mithril.add_ssh_key(name)["fid"] for mithril in (first, second) for name in "ab"}
    first.reset()
    ids.add(first.add_ssh_key("a")["fid"])
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--port", "x"], "--port"),
        (["--port", "65536"], "--port"),
        (["--key", ""], "--key"),
        (["--project", " "], "--project"),
        (["--region", "moon-1"], "--region"),
        (["--boot-seconds", "-1"], "--boot-seconds"),
        (["--boot-seconds", "nan"], "--boot-seconds"),
        (["--bogus"], "--bogus"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "seven"], "--seed"),
        (["--speed", "-1"], "--speed"),
        (["--speed", "inf"], "--speed"),
        (["--set", "idempotency"], "NAME=VALUE"),
        (["--set", "idempotency=maybe"], "idempotency must be one of"),
        (["--set", "colour=red"], "colour"),
        (["--set", "cancel_seconds=-1"], "cancel_seconds"),
        (["--state", "{tmp}/none/state.db"], "state.db"),
        (["--state", "{tmp}"], "cannot"),
        (["--state", "{tmp}/text"], "text"),
        (["--state", "{tmp}/other.db"], "not a state file"),
        (["--port", "{taken}"], "port {taken}"),
    ],
)
def test_bad_values_are_one_line_and_exit_code_2(capsys, tmp_path, arguments, text):
    """Never a half-started server, and never a file that was written over."""
    from flow_resources.cli import main

    (tmp_path / "text").write_text("these are my notes, not a state file\n" * 50)
    database = sqlite3.connect(tmp_path / "other.db")
    database.execute("CREATE TABLE mine (x)")
    database.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = {"{tmp}": str(tmp_path), "{taken}": str(taken.getsockname()[1])}
        for word, value in words.items():
            arguments = [argument.replace(word, value) for argument in arguments]
            text = text.replace(word, value)
        try:
            code = main(["fake", *arguments])
        except SystemExit as error:
            code = error.code
    out, errors = capsys.readouterr()
    assert (code, out) == (2, "")
    assert errors.count("\n") == 1
    assert text in errors
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_state_file_in_use_is_refused(cloud, tmp_path):
    """Two servers on one file would lie to each other."""
    cloud(state=tmp_path / "state.db")
    with pytest.raises(StateError, match="another server uses it"):
        FakeMithril(state=tmp_path / "state.db")


def test_a_full_disk_is_said_and_nothing_is_half_done(cloud, tmp_path, caplog):
    """In one line, in the response and on the terminal; with space again the cloud works."""
    mithril = cloud(state=tmp_path / "state.db")
    bid = mithril.add_bid("kept")
    database = mithril._store._db
    database.execute("PRAGMA max_page_count = 1")  # never less than there are: no page more, as on a full disk
    with pytest.raises(ValueError, match="the state cannot be stored, so nothing happened: database or disk is full"):
        mithril.add_bid("lost", startup_script="#" * 10_000)
    assert [record.exc_info for record in caplog.records] == [None]
    assert mithril.live_bids == [bid]
    database.execute("PRAGMA max_page_count = 1000000")
    assert mithril.add_bid("next", startup_script="#" * 10_000)["fid"] == "bid_000002"


def test_a_full_disk_at_the_end_is_one_line_and_exit_code_1(monkeypatch, capsys):
    """The time since the last request is not stored; the file is valid, and released."""
    from flow_resources.cli import main

    def close(_mithril):
        raise NotStoredError("the state cannot be stored")

    monkeypatch.setattr(threading.Event, "wait", lambda _self, timeout=None: True)
    with monkeypatch.context() as patched:
        patched.setattr(FakeMithril, "start", lambda self: self)
        patched.setattr(FakeMithril, "close", close)
        patched.setattr(signal, "signal", lambda *_: None)
        assert main(["fake"]) == 1
    assert capsys.readouterr().err == "error: the state cannot be stored\n"


@pytest.mark.parametrize("arguments", [[], ["fake", "--port"]])
def test_too_few_words_are_one_line(capsys, arguments):
    """And for none at all it says which to type."""
    from flow_resources.cli import main

    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert ("flow-resources fake" in errors) is not bool(arguments)


def test_a_state_file_of_another_version_is_refused_and_left_alone(cloud, tmp_path):
    """Whoever wrote it can still read it."""
    path = tmp_path / "state.db"
    cloud(state=path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StateError, match="version 99"):
        FakeMithril(state=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [{"boot_seconds": -1.0}, {"page_limit": 0}, {"page_limit": 101}, {"idempotency": "maybe"}, {"region": "moon-1"}],
)
def test_switches_that_mean_nothing_are_refused(options):
    """Naming the field."""
    with pytest.raises(ValueError, match=next(iter(options))):
        FakeMithril(**options)


def test_what_is_undone_is_undone_as_a_whole(tmp_path):
    """Inside of another transaction, too."""
    store = Store(tmp_path / "state.db")

    def break_off():
        with store.transaction():
            store.set_fact("first", 1)
            with store.transaction():
                store.set_fact("second", 2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert (store.fact("first"), store.fact("second")) == (None, None)
    with store.transaction():
        store.set_fact("first", 3)
    store.close()
    again = Store(tmp_path / "state.db")
    assert (again.fact("first"), again.fact("second")) == (3, None)
    again.close()
