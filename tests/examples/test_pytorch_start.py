"""examples/07-pytorch/start.py, as machines run it: processes that share a folder, and a torchrun that takes notes."""

from __future__ import annotations

import base64
import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pytest
from docs.pages import EXAMPLES

from flow_resources.testing import mock_mithril

EXAMPLE = EXAMPLES / "07-pytorch"
TORCHRUN = """#!/bin/sh
echo "$@" > "$NOTES"
"""


def others(rank: int, nodes: int) -> list[int]:
    """Return the machines that a machine waits for when it is the first."""
    return [0] if rank else [*range(1, nodes)]


@dataclass
class Room:
    """A shared folder, and machines that start in it."""

    root: Path
    machines: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, rank: int, address: str, *, nodes: int = 3, patience: float = 600) -> subprocess.Popen[str]:
        """Start a machine."""
        env = {
            **os.environ,
            "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "NODE_RANK": str(rank),
            "START_ADDRESS": address,
            "START_EVERY": "0.01",
            "START_TIMEOUT": str(patience),
        }
        shared = str(self.root / "shared" / "start")
        arguments = [shared, str(nodes), "--nproc-per-node", "8", "/data/train.py"]
        command = [sys.executable, "-S", str(EXAMPLE / "start.py"), *arguments]
        machine = subprocess.Popen(
            command, env=env | {"NOTES": str(self.notes(address))}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self.machines.append(machine)
        return machine

    def notes(self, address: str) -> Path:
        """Where the torchrun of a machine writes its arguments."""
        return self.root / address

    def told(self, machine: subprocess.Popen[str], line: str) -> None:
        """Wait until a machine has printed a line."""
        assert machine.stdout
        seen = []
        for one in machine.stdout:
            seen.append(one)
            if one.rstrip("\n") == line:
                return
        pytest.fail(f"{line!r} is not in {seen}")

    def all_train(self, head: str, addresses: list[str]) -> None:
        """Every machine ends as torchrun, each with its own rank and the same head."""
        for machine in self.machines:
            printed, _ = machine.communicate(timeout=600)
            assert machine.returncode == 0, printed
        assert [self.notes(one).read_text() for one in addresses] == [
            f"--nnodes {len(addresses)} --node-rank {rank} --master-addr {head} --nproc-per-node 8 /data/train.py\n"
            for rank in range(len(addresses))
        ]
        self.machines.clear()

    def life(self, addresses: list[str], order: list[int]) -> None:
        """Let machines start in an order, each one after the one before waits, and let them train."""
        for rank in order[:-1]:
            machine = self.start(rank, addresses[rank], nodes=len(addresses))
            self.told(machine, f"machine {rank} at {addresses[rank]} waits for {others(rank, len(addresses))}")
        self.start(order[-1], addresses[order[-1]], nodes=len(addresses))
        self.all_train(addresses[0], addresses)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """An empty volume, and a torchrun on PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "bin" / "torchrun").write_text(TORCHRUN)
    (tmp_path / "bin" / "torchrun").chmod(0o755)
    room = Room(tmp_path)
    yield room
    for machine in room.machines:
        machine.kill()
        machine.communicate()


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]], ids=["in order", "first comes last", "one late"])
def test_machines_that_start_in_any_order_train_together(room: Room, order: list[int]) -> None:
    """All with the address of machine 0, and nobody before all are there."""
    room.life(["10.0.0.1", "10.0.0.2", "10.0.0.3"], order)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]], ids=["in order", "first comes last", "one late"])
def test_after_a_preemption_nobody_takes_an_address_of_the_earlier_life(room: Room, order: list[int]) -> None:
    """The folder holds a complete, older meeting; each machine waits for those of its own start."""
    room.life(["10.0.0.1", "10.0.0.2", "10.0.0.3"], [0, 1, 2])
    room.life(["10.0.1.7", "10.0.1.5", "10.0.1.6"], order)


def test_machines_that_change_ranks_in_their_next_life_are_not_taken_for_others(room: Room) -> None:
    """The address that was the head's is now the last one's."""
    room.life(["10.0.0.1", "10.0.0.2", "10.0.0.3"], [0, 1, 2])
    for path in room.root.glob("10.*"):
        path.unlink()
    room.life(["10.0.0.3", "10.0.0.2", "10.0.0.1"], [2, 0, 1])


def test_a_preemption_in_the_middle_of_a_start_is_got_over(room: Room) -> None:
    """Two of three had met and were killed; the next life begins anew."""
    for rank in (0, 1):
        machine = room.start(rank, f"10.0.0.{rank + 1}")
        room.told(machine, f"machine {rank} at 10.0.0.{rank + 1} waits for {others(rank, 3)}")
    room.told(room.machines[0], "machine 0 at 10.0.0.1 waits for [2]")
    for machine in room.machines:
        machine.kill()
        machine.communicate()
    room.machines.clear()
    room.life(["10.0.1.1", "10.0.1.2", "10.0.1.3"], [2, 0, 1])


def test_what_a_crash_left_half_written_is_not_there(room: Room) -> None:
    """An empty file, and half of one."""
    shared = room.root / "shared" / "start"
    shared.mkdir()
    (shared / "0.json").write_text("")
    (shared / "1.json").write_text('{"word": "ab')
    room.life(["10.0.0.1", "10.0.0.2", "10.0.0.3"], [1, 0, 2])


def test_a_smaller_cluster_on_the_same_volume_does_not_wait_for_the_larger_ones_machines(room: Room) -> None:
    """After a change of num_instances; one machine alone meets itself."""
    room.life(["10.0.0.1", "10.0.0.2", "10.0.0.3"], [0, 1, 2])
    room.life(["10.0.1.1", "10.0.1.2"], [1, 0])
    room.life(["10.0.2.1"], [0])


def test_a_machine_that_waits_in_vain_says_for_whom_and_fails(room: Room) -> None:
    """It does not start alone."""
    room.start(0, "10.0.0.1", patience=0.05)
    (machine,) = room.machines
    printed, _ = machine.communicate(timeout=600)
    assert machine.returncode == 1
    assert printed.endswith("machine 0 has waited too long for [1, 2]\n")
    assert not room.notes("10.0.0.1").exists()


def test_a_rank_that_is_none_is_refused(room: Room) -> None:
    """Before anything is written."""
    room.start(3, "10.0.0.4")
    printed, _ = room.machines[0].communicate(timeout=600)
    assert room.machines[0].returncode == 1
    assert printed == "machine 3 is not one of 3\n"
    assert not [*(room.root / "shared").iterdir()]


def startup_script(command: str, machines: int) -> str:
    """Return what the Flow SDK gives a machine to run at its start."""
    import flow

    with mock_mithril() as mithril:
        flow.run(
            flow.TaskConfig(
                name="trainer", command=command, instance_type="8xa100", num_instances=machines, upload_code=False
            )
        )
        script: str = mithril.live_bids[0]["launch_specification"]["startup_script"]
    packed = max(re.findall(r"[A-Za-z0-9+/=]+", script), key=len)
    return gzip.decompress(base64.b64decode(packed)).decode() if len(packed) > 2000 else script


def command_of_the_program() -> str:
    """Return the command that the example's program gives its cluster."""
    from flow_resources.testing import FlowMocks

    mocks = FlowMocks()
    pulumi.runtime.set_mocks(mocks)
    source = EXAMPLE / "__main__.py"

    @pulumi.runtime.test
    def run() -> None:
        exec(compile(source.read_text(), source, "exec"), {"__file__": str(source)})

    run()
    (command,) = [inputs["command"] for _, name, inputs in mocks.resources if name == "trainer"]
    return str(command)


def test_the_flow_sdk_exports_the_rank_that_start_reads() -> None:
    """To the command, which runs on the machine itself and in no container: so its start-up script says."""
    script = startup_script("echo hello", 2)
    assert 'export NODE_RANK="$node_rank"' in script
    assert script.index("export NODE_RANK=") < script.index("Executing user startup script (host mode)")
    assert "docker run -d" not in script
    assert "export NODE_RANK=" not in startup_script("echo hello", 1)


UV = """#!/bin/sh
echo uv "$@"
[ "$1" != venv ] || { mkdir -p torch/bin && : >torch/bin/activate; }
[ "$1" != pip ] || [ ! -e "$CUT" ] || kill -9 $PPID
"""


def boot(disk: Path, *, cut: Path = Path("/nowhere")) -> list[str]:
    """Run the command as a boot of a disk does, with a uv and a python that only say their arguments."""
    train = disk / "data" / "train.py"
    train.parent.mkdir(exist_ok=True)
    train.write_text("")
    command = command_of_the_program().replace("/data/", f"{disk}/data/")
    for name, text in (("uv", UV), ("python", '#!/bin/sh\necho python "$@"\n')):
        (disk / name).write_text(text)
        (disk / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{disk}{os.pathsep}{os.environ['PATH']}", "CUT": str(cut)}
    done = subprocess.run(["bash", "-c", command], cwd=disk, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == (-9 if cut.exists() else 0), done.stderr
    return done.stdout.splitlines()


def test_what_the_program_sends_is_the_file_of_the_folder(tmp_path: Path) -> None:
    """The command writes start.py and starts it for all machines."""
    assert boot(tmp_path)[-1] == f"python start.py {tmp_path}/data/start 4 --nproc-per-node 8 {tmp_path}/data/train.py"
    assert (tmp_path / "start.py").read_text() == (EXAMPLE / "start.py").read_text()


def test_a_later_boot_of_the_disk_installs_nothing_and_starts_again(tmp_path: Path) -> None:
    """The boot disk is kept over a preemption."""
    first, second = boot(tmp_path), boot(tmp_path)
    assert [line.split()[:2] for line in first] == [["uv", "venv"], ["uv", "pip"], ["python", "start.py"]]
    assert second == first[-1:]


def test_an_installation_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    """From the start: what is half installed looks whole."""
    boot(tmp_path, cut=tmp_path)
    (tmp_path / "torch" / "half").write_text("")
    lines = boot(tmp_path)
    assert [line.split()[:2] for line in lines] == [["uv", "venv"], ["uv", "pip"], ["python", "start.py"]]
    assert not (tmp_path / "torch" / "half").exists()
