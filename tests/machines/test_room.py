"""The machines themselves: their disks, their power, their networks; and that nothing of them is left."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machines import CACHE, Room, machines

beyond_sample = pytest.mark.machines
COUNT = "#!/bin/bash\necho boot >>/var/log/boots\n"


def test_the_startup_script_runs_at_the_first_boot_of_a_disk_alone(room: Room):
    machine = room.rent(COUNT).boot()
    machine.wait_for_startup()
    machine.run("systemd-run --unit=left-alone sleep 1000")
    machine.power_off()
    assert not machine.is_up
    machine.boot()
    machine.pull_the_plug()
    assert not machine.is_up
    machine.boot()
    machine.wait_for_startup()
    assert machine.read("/var/log/boots") == "boot\n"
    assert machine.run("systemctl is-active left-alone", check=False) == "inactive\n"
    assert machine.boots == 3
    machine.end()

    machine = room.rent(COUNT).boot()  # another disk
    machine.wait_for_startup()
    assert machine.read("/var/log/boots") == "boot\n"


def test_a_first_boot_that_is_cut_short_has_been_the_first_boot(room: Room):
    machine = room.rent("#!/bin/bash\necho begun >>/begun\nsleep 1000\necho ended >>/ended\n").boot()
    machine.wait_for_text("/begun", "begun")
    machine.pull_the_plug()
    assert machine.read("/begun") == "begun\n", "a disk can be read while the machine is off"
    machine.boot()
    machine.wait_for_startup()
    assert machine.read("/begun") == "begun\n"
    assert machine.read("/ended") == ""


def test_a_power_off_is_orderly_and_a_pulled_plug_is_not(room: Room):
    command = 'trap "echo saved >>/saved; exit" TERM; echo ready >>/ready; sleep 1000 & wait'
    unit = f"--unit=work -p KillMode=mixed bash -c '{command}'"
    machine = room.rent(COUNT).boot()
    machine.run(f"systemd-run {unit}")
    machine.wait_for_text("/ready", "ready\n")
    machine.pull_the_plug()
    assert machine.read("/saved") == ""
    machine.boot()
    machine.run(f"systemd-run {unit}")
    machine.wait_for_text("/ready", "ready\nready\n")
    machine.power_off()
    assert machine.read("/saved") == "saved\n"


def test_a_stopped_unit_leaves_no_process(room: Room):
    machine = room.rent(COUNT).boot()
    machine.run("systemd-run --unit=family bash -c 'setsid sleep 1234 & sleep 1235'")
    machine.wait_for(lambda: machine.run("pgrep -c -f 'sleep 123'", check=False).strip() == "3")
    machine.run("systemctl stop family")
    assert machine.run("pgrep -c -x sleep", check=False) == "0\n"


def test_memory_and_local_disk_are_lost_at_each_boot(room: Room):
    machine = room.rent(COUNT).boot()
    for folder in ("/tmp", "/run", "/mnt/local", "/opt/mithril", "/home/ubuntu", "/var/tmp"):
        machine.write(f"{folder}/kept", "yes")
    machine.power_off()
    machine.boot()
    kept = machine.run("ls /tmp/kept /run/kept /mnt/local/kept /opt/mithril/kept /home/ubuntu/kept /var/tmp/kept || :")
    assert sorted(line for line in kept.splitlines() if line.startswith("/")) == [
        "/home/ubuntu/kept", "/opt/mithril/kept", "/var/tmp/kept",
    ]  # fmt: skip


def test_a_notice_is_a_file_that_appears_changes_and_goes(room: Room):
    machine = room.rent(COUNT).boot()
    end_time = machine.notice()
    assert machine.run("cat /opt/mithril/MITHRIL_SIGNAL.yml") == (
        f"instance_status: STATUS_PREEMPTING\nend_time: {end_time}\n"
    )
    assert machine.notice("2030-01-01T00:00:00Z") in machine.run("cat /opt/mithril/MITHRIL_SIGNAL.yml")
    machine.withdraw_notice()
    assert machine.run("ls /opt/mithril") == ""


def test_machines_of_a_cluster_know_and_reach_each_other(room: Room):
    hosts = {"node-1": "10.0.0.5", "node-2": "10.0.3.7"}
    cluster = [room.rent(COUNT, name=name) for name in hosts]
    for machine in cluster:
        machine.boot(hosts)
    first, second = cluster
    assert first.run("hostname -s; grep ^10 /etc/hosts") == "node-1\n10.0.0.5 node-1\n10.0.3.7 node-2\n"
    second.run("systemd-run --unit=server python3 -m http.server 8000 --directory /var/log")
    assert "boot" in first.wait_for(lambda: first.run("curl -s --max-time 5 http://node-2:8000/boots || :"))
    second.power_off()
    second.boot({"node-2": "10.0.3.8", "node-1": "10.0.0.5"})
    assert "10.0.3.8/8" in second.run("ip -brief address show host0")
    assert second.read("/etc/hosts").endswith("10.0.3.8 node-2\n10.0.0.5 node-1\n")


def test_a_file_volume_is_a_folder_of_the_host_that_machines_mount_as_from_a_server(room: Room, tmp_path: Path):
    mount = "mkdir -p /data; mount -t nfs4 -o hard fileshare-vol_1.mithril.internal:/ /data"
    machines_ = [room.rent(COUNT, name=name, volumes={"vol_1": tmp_path / "volume"}).boot() for name in ("a", "b")]
    for machine in machines_:
        machine.run(f"{mount}; echo {machine.name} >>/data/log")
    assert (tmp_path / "volume/log").read_text() == "a\nb\n"
    machines_[0].power_off()
    machines_[0].boot()
    assert machines_[0].read("/data/log") == "a\nb\n", "what /etc/fstab lists is mounted at the next boot"
    machines_[1].power_off()
    machines_[1].hold_volumes()
    machines_[1].boot()
    assert machines_[1].read("/data/log") == ""
    machines_[1].release_volumes()
    machines_[1].run("mount /data")
    assert machines_[1].read("/data/log") == "a\nb\n"


def test_a_machine_reaches_the_given_ports_of_the_hosts_loopback_and_no_others(disk_image: Path, tmp_path: Path):
    with answering(b"yes") as port, answering(b"no") as other:
        with machines(tmp_path, reach=(port,)) as room:
            machine = room.rent(COUNT).boot()
            ask = "import socket; print(socket.create_connection(('127.0.0.1', {})).recv(9).decode())"
            assert machine.run(f'python3 -c "{ask.format(port)}"') == "yes\n"
            assert "ConnectionRefused" in machine.run(f'python3 -c "{ask.format(other)}"', check=False)
            machine.pull_the_plug()
            machine.boot()
            assert machine.run(f'python3 -c "{ask.format(port)}"') == "yes\n"
            networks = machine.run("ip -brief link; ip route")
        assert "default" not in networks


@beyond_sample
def test_docker_is_there_where_a_test_asks_for_it(room: Room):
    machine = room.rent(
        "#!/bin/bash\ndocker run -d --name main local/base:1 sleep 1000\n", container_image="local/base:1"
    )
    machine.boot()
    machine.wait_for_startup()
    assert machine.run("docker inspect -f '{{.State.Running}}' main") == "true\n"
    machine.pull_the_plug()
    machine.boot()
    machine.wait_for(lambda: "main" in machine.run("docker ps --all", check=False))
    assert machine.run("docker inspect -f '{{.State.Running}}' main") == "false\n"
    assert machine.run("docker start main && docker exec main python3 -c 'print(5)'") == "main\n5\n"


TEST_TO_KILL = """
    import time
    from support.machines import machines

    def test_to_kill(tmp_path):
        with machines(tmp_path) as room:
            machine = room.rent("#!/bin/bash\\necho").boot()
            machine.run("systemd-run sleep 1000")
            (tmp_path.parent / "name").write_text(room.name)
            time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_nothing_is_left_of_a_test_that_is_stopped(disk_image: Path, tmp_path: Path, how: signal.Signals):
    (tmp_path / "test_to_kill.py").write_text(textwrap.dedent(TEST_TO_KILL))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={tmp_path}/base", "-q"]
    command += [f"--rootdir={tmp_path}", f"-opythonpath={Path(__file__).parents[1]}", "test_to_kill.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pytest_:
        until(lambda: (tmp_path / "base/name").exists() or pytest_.poll() is not None)
        if pytest_.poll() is not None:
            pytest.fail(str(pytest_.communicate()[0]))
        name = (tmp_path / "base/name").read_text()
        assert len(processes_of(name)) > 3, "a check that sees nothing of a room that is there says nothing later"
        assert control_groups(name) != []
        pytest_.send_signal(how)
        pytest_.wait(60)
    until(lambda: not processes_of(name))
    until(lambda: not control_groups(name))
    assert name not in Path("/proc/self/mounts").read_text()
    assert list((CACHE / "room").iterdir()) == []


def test_what_a_killed_room_leaves_the_next_one_removes(disk_image: Path, tmp_path: Path):
    with machines(tmp_path) as room:
        room.rent(COUNT).boot()
        os.kill(room._init, signal.SIGKILL)
        room._first.wait(60)
        left = room.name
        assert processes_of(left) == []
        assert control_groups(left) != [], "nothing was left: then this test says nothing"
    with machines(tmp_path):
        assert control_groups(left) == []


def until(what) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_of(room: str) -> list[int]:
    """Return the processes of a room, and of its machines: those whose file systems are the room's."""
    found = []
    for mounts in Path("/proc").glob("[0-9]*/mounts"):
        with contextlib.suppress(OSError):
            if room in mounts.read_text():
                found.append(int(mounts.parent.name))
    return found


def control_groups(room: str) -> list[str]:
    look = 'mount -t cgroup2 none /mnt && find /mnt -type d -name "$0"'
    found = subprocess.run(["unshare", "--mount", "sh", "-c", look, room], capture_output=True, text=True, check=True)
    return found.stdout.split()


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Serve an answer to whoever connects on loopback, and give out the port."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
