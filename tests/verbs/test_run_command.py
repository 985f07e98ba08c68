"""The script that runs the command on a machine, run here: in a folder, with the real bash and processes.

Where a machine has docker, systemd and mounts there are small programs on PATH that stand for them. tests/machines runs
the same on machines that boot.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from flow_resources.cloud.machine.texts import filled, wire_text

SLEEP = shutil.which("sleep")
PATIENCE = 60  # seconds until something counts as hanging
CATCHING = """
import signal, sys, time
signal.signal(signal.SIG{name}, lambda *_: print("{name} to " + sys.argv[1], flush=True))
print(sys.argv[1], "is ready", flush=True)
while True: time.sleep(0.01)
"""


class Runner:
    """A machine's files in a folder, and the runs of its script: one is one boot, or one start of the unit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ours = root / "var/lib/flow-command"
        self.notice_file = root / "opt/mithril/MITHRIL_SIGNAL.yml"
        for folder in ("var/lib/flow-command", "var/lib/flow", "var/run", "opt/mithril", "workspace", "bin", "etc"):
            (root / folder).mkdir(parents=True)
        self.log = root / "log"
        self.log.touch()
        self.environment(PATH=os.environ["PATH"])
        for name in ("mounts", "nodes"):
            (self.ours / name).touch()
        self.on_path("sleep", f'exec {SLEEP} $(awk "BEGIN{{print $1/20}}")')
        self.processes: list[subprocess.Popen[bytes]] = []

    def on_path(self, name: str, text: str) -> None:
        """Let a program stand for one that machines have."""
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def environment(self, **variables: str) -> None:
        """Write the variables as the start-up script does."""
        done = subprocess.run(
            ["bash", "-c", "export -p"], env=variables, capture_output=True, check=True
        )  # fmt: skip
        (self.ours / "environment").write_bytes(done.stdout)

    def command(self, text: str) -> None:
        """Install a command."""
        path = self.ours / "command"
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o700)

    def python(self, name: str, program: str = CATCHING, signal_name: str = "USR1") -> str:
        """Return the shell that runs a Python program."""
        return shlex.join([sys.executable, "-c", program.format(name=signal_name), name])

    def adapted(self, text: str) -> str:
        """Return a script with the places of a machine in this folder."""
        for place in ("/var/lib/flow", "/var/run/flow", "/opt/mithril", "/workspace", "/etc/hosts", "/usr/bin/nvidia"):
            text = text.replace(place, f"{self.root}{place}")
        return text.replace("python3 end_job.py", "./end_job")

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start the script as the unit does."""
        script = self.ours / "run_command.sh"
        work = wire_text("container.sh" if (self.ours / "container").exists() else "host.sh")
        script.write_text(self.adapted(filled("run_command.sh", work=work)))
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                ["/bin/bash", script, *arguments],
                env={"PATH": path, "INVOCATION_ID": "of-the-unit", **variables},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def run(self, *arguments: str, **variables: str) -> int:
        """Run the script to its end; return its exit code."""
        return self.start(*arguments, **variables).wait(PATIENCE)

    def notice(self, ends: timedelta | str = timedelta(minutes=5), status: str = "STATUS_PREEMPTING") -> None:
        """Tell of a preemption."""
        said = ends if isinstance(ends, str) else (datetime.now(timezone.utc) + ends).isoformat()
        new = self.notice_file.with_name("new")
        new.write_text(f"instance_status: {status}\nbid_status: Preempting\nend_time: {said}\n")
        new.rename(self.notice_file)

    def logged(self) -> str:
        return self.log.read_text()

    def wait_for(self, what: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < deadline, self.logged()
            time.sleep(0.005)

    def wait_for_log(self, text: str, times: int = 1) -> None:
        self.wait_for(lambda: self.logged().count(text) >= times)

    def while_it_looks(self) -> None:
        """Wait until the script has looked for a notice a few times more."""
        time.sleep(0.3)  # it looks every 25 ms here

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    made = Runner(tmp_path)
    yield made
    made.close()


# -- what a command gets -----------------------------------------------------------------------------------------------

NASTY = {
    "QUOTES": 'it\'s "quoted" `id` $(id) ${HOME} \\',
    "LINES": "one\ntwo\n\nthree\n",
    "BLANKS": "  two  blanks\tand a tab ",
    "UNICODE": "é ☃ \U0001f600",
    "EMPTY": "",
    "EQUALS": "a=b=c",
    "signal": "the script's own names",
    "process": "1",
    "code": "7",
    "end": "*",
    "IFS_LIKE": ":;",
}


def test_every_boot_has_the_environment_and_folder_of_the_first(runner: Runner) -> None:
    """Whatever stands in the values, and whatever the unit's own environment has."""
    runner.environment(**NASTY, PATH=os.environ["PATH"], HOME="/root")
    show = "import os, json; print(json.dumps([os.getcwd(), os.getuid(), dict(os.environ)], sort_keys=True))"
    runner.command(f"exec {shlex.join([sys.executable, '-c', show])}")
    assert runner.run() == 0
    first = runner.logged().splitlines()[-2]
    assert runner.run(LANG="de_DE.UTF-8", INVOCATION_ID="another", end="x") == 0
    second = runner.logged().splitlines()[-2]
    assert first == second
    folder, _, variables = json.loads(first)
    assert folder == variables["PWD"] == str(runner.root / "workspace")
    assert {name: variables[name] for name in NASTY} == NASTY
    assert "INVOCATION_ID" not in variables


def test_an_environment_of_nothing_is_one(runner: Runner) -> None:
    """The command of a script without any variable runs all the same."""
    (runner.ours / "environment").write_text("")
    runner.command("echo ran in $PWD")
    assert runner.run() == 0
    assert f"ran in {runner.root}/workspace" in runner.logged()


def test_without_its_folder_a_command_does_not_run_in_that_of_the_script(runner: Runner) -> None:
    """What it wrote there could be one of the script's files."""
    (runner.root / "workspace").rmdir()
    runner.command("pwd")
    assert runner.run() == 0
    assert "/" in runner.logged().splitlines()


@pytest.mark.parametrize(("text", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("exec /none", 127)])
def test_the_exit_code_is_the_commands(runner: Runner, text: str, code: int) -> None:
    """For the unit, which restarts by it, and in the file that the SDK's tools read."""
    (runner.root / "var/lib/flow/workload-exit").write_text("of the boot before")
    runner.command(f"cat {runner.root}/var/lib/flow/workload-exit 2>&1; {text}")
    assert runner.run() == code
    assert "of the boot before" not in runner.logged()
    noted = (runner.root / "var/lib/flow/workload-exit").read_text()
    assert noted.startswith(f"EXIT_CODE={code}\nEXITED_AT=20")
    assert f"ended with exit code {code}" in runner.logged()


def test_a_command_that_cannot_be_run_has_ended(runner: Runner) -> None:
    """Its first line names an interpreter that is not there."""
    (runner.ours / "command").write_text("#!/no/such/interpreter\n")
    (runner.ours / "command").chmod(0o700)
    assert runner.run() in (126, 127)


def test_the_pid_file_names_the_command(runner: Runner) -> None:
    """The SDK's tools find the workload by it."""
    runner.command("echo $$ is me; sleep 1")
    assert runner.run() == 0
    assert f"{(runner.root / 'var/run/flow-user-workload.pid').read_text().strip()} is me" in runner.logged()


def test_the_command_waits_for_its_mounts(runner: Runner) -> None:
    """However long a volume's server is away: without it the command would fail, and its machine idle."""
    (runner.ours / "mounts").write_text("/data\n/mnt/models\n")
    runner.on_path("mountpoint", f"[ -e {runner.root}/mounted$2 ]")
    runner.on_path("mount", f'echo "mount $1"; [ -e {runner.root}/server ] && mkdir -p {runner.root}/mounted$1')
    runner.command("echo the command runs")
    process = runner.start()
    runner.wait_for_log("mount /data", 3)
    assert "the command runs" not in runner.logged()
    (runner.root / "server").touch()
    assert process.wait(PATIENCE) == 0
    assert runner.logged().index("mount /mnt/models") < runner.logged().index("the command runs")


def test_the_command_waits_for_the_gpus_but_not_for_ever(runner: Runner) -> None:
    """At a boot the driver can be later than the unit."""
    (runner.root / "usr/bin").mkdir(parents=True)
    (runner.root / "usr/bin/nvidia-smi").touch()
    runner.on_path("nvidia-smi", f"echo x >>{runner.root}/asked; exit 1")
    runner.command("echo the command runs")
    assert runner.run() == 0
    assert (runner.root / "asked").read_text().count("x") == 24


# -- several machines --------------------------------------------------------------------------------------------------


def hosts(*lines: str) -> str:
    return "\n".join(["127.0.0.1 localhost", "127.0.1.1 ubuntu", "::1 ip6-localhost", *lines, ""])


def compute_nodes(runner: Runner, machines: int, text: str, me: str, **variables: str) -> dict[str, str] | None:
    """Return what our shell computes from /etc/hosts."""
    (runner.root / "etc/hosts").write_text(text)
    runner.on_path("hostname", f"echo {me}")
    runner.on_path("nvidia-smi", "printf 'GPU 0: A100 (UUID: GPU-1)\\nGPU 1: A100 (UUID: GPU-2)\\nno GPU line\\n'")
    shell = runner.adapted(filled("nodes.sh", machines=str(machines)))
    path = f"{runner.root / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"{shell}\nenv -0"], env={"PATH": path, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return None
    found = dict(one.split("=", 1) for one in done.stdout.split("\0") if one)
    return {name: found[name] for name in NODES}


NODES = ("NUM_NODES", "NODE_RANK", "HEAD_NODE_IP", "HEAD_NODE", "GPU_COUNT", "MASTER_ADDR", "MASTER_PORT")
CASES = [
    (hosts("10.0.0.1 node-a", "10.0.0.2 node-b"), "node-a", {}),
    (hosts("10.0.0.1 node-a", "10.0.0.2 node-b"), "node-b", {}),
    (hosts("10.0.0.2 node-b.cluster.internal node-b", "10.0.0.1 node-a.cluster.internal"), "node-a", {}),
    (hosts("10.0.0.1 node-a", "10.0.0.2 node-b"), "node-a", {"MASTER_ADDR": "10.9.9.9", "MASTER_PORT": "1"}),
    (hosts("10.0.0.1\tnode-a", "", "# 10.0.0.9 old", "10.0.0.2   node-b x"), "x", {}),
    (hosts("10.0.0.1 node-a"), "node-a", {}),
    (hosts("10.0.0.1 node-a", "10.0.0.2 node-b", "10.0.0.3 node-c"), "node-a", {}),
    (hosts("10.0.0.1 node-a", "10.0.0.2 node-b"), "stranger", {}),
    (hosts(), "node-a", {}),
]


@pytest.mark.parametrize(("text", "me", "variables"), CASES, ids=range(len(CASES)))
def test_machines_know_each_other_as_the_sdk_computes_it(
    runner: Runner, text: str, me: str, variables: dict[str, str]
) -> None:
    """At each boot, what the SDK's section computes at the first; and nothing where that ends the start-up."""
    from flow.adapters.providers.builtin.mithril.runtime.startup.builder import MithrilStartupScriptBuilder

    (section,) = (one for one in MithrilStartupScriptBuilder().sections if one.name == "multinode")
    ours = compute_nodes(runner, 2, text, me, **variables)
    context = type("Context", (), {"num_instances": 2, "distributed_mode": "auto"})
    theirs = runner.adapted(section.generate(context))
    path = f"{runner.root / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{theirs}\nenv -0 >{runner.root}/theirs"],
        env={"PATH": path, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ours is None) == (done.returncode != 0)
    if ours:
        found = dict(one.split("=", 1) for one in (runner.root / "theirs").read_text().split("\0") if one)
        assert ours == {name: found[name] for name in NODES}


def test_the_command_waits_until_all_machines_are_listed(runner: Runner) -> None:
    """And gets the ranks of this boot, not of the one before."""
    (runner.ours / "nodes").write_text(runner.adapted(filled("nodes.sh", machines="2")))
    runner.on_path("hostname", "echo node-a")
    runner.environment(PATH=f"{runner.root / 'bin'}:{os.environ['PATH']}")
    (runner.root / "etc/hosts").write_text(hosts("10.0.0.1 node-a"))
    runner.command("echo rank $NODE_RANK of $NUM_NODES, head $MASTER_ADDR")
    process = runner.start()
    runner.wait_for_log("waiting for this and all 2 machines in ")
    (runner.root / "etc/hosts").write_text(hosts("10.0.0.1 node-a", "10.0.0.2 node-b"))
    assert process.wait(PATIENCE) == 0
    assert "rank 1 of 2, head 10.0.0.2" in runner.logged()
    (runner.root / "etc/hosts").write_text(hosts("10.0.0.2 node-b", "10.0.0.1 node-a"))
    assert runner.run() == 0
    assert "rank 0 of 2, head 10.0.0.1" in runner.logged()
    assert (runner.ours / "rank").read_text() == "0\n"


# -- the notice of a preemption ----------------------------------------------------------------------------------------


def test_the_signal_reaches_the_child_of_a_bash_and_the_bash_lives(runner: Runner) -> None:
    """A signal to bash would kill it, and end the command."""
    runner.command(f"{runner.python('child')}\necho bash goes on")
    process = runner.start("SIGUSR1")
    runner.wait_for_log("child is ready")
    begun = time.monotonic()
    runner.notice()
    runner.wait_for_log("USR1 to child")
    assert time.monotonic() - begun < 2
    assert process.poll() is None
    os.kill(int((runner.root / "var/run/flow-user-workload.pid").read_text()), 0)


def test_it_reaches_the_topmost_that_catch_it_and_nobody_else(runner: Runner) -> None:
    """A launcher that catches it tells its workers itself; of two branches each has its own."""
    launcher = runner.root / "launcher.py"
    launcher.write_text(
        f"import subprocess, sys\nsubprocess.Popen({shlex.split(runner.python('worker'))!r})\n"
        "sys.argv = ['', 'launcher']\n" + CATCHING.format(name="USR1")
    )
    runner.command(
        f"{shlex.join([sys.executable, str(launcher)])} &\n({runner.python('branch')}) &\n"
        f"{runner.python('other', signal_name='USR2')} &\nwait"
    )
    process = runner.start("SIGUSR1")
    for name in ("launcher", "worker", "branch", "other"):
        runner.wait_for_log(f"{name} is ready")
    runner.notice()
    runner.wait_for_log("USR1 to launcher")
    runner.wait_for_log("USR1 to branch")
    runner.while_it_looks()
    assert "to worker" not in runner.logged()
    assert "to other" not in runner.logged()
    assert process.poll() is None


def test_a_notice_is_told_once_and_again_when_it_comes_back(runner: Runner) -> None:
    """Forgotten when it is withdrawn; a new end is a new notice."""
    runner.command(runner.python("it"))
    runner.start("SIGUSR1")
    runner.wait_for_log("it is ready")
    for times, ends in ((1, timedelta(minutes=5)), (2, timedelta(minutes=6))):
        runner.notice(ends)
        runner.wait_for_log("USR1 to it", times)
        runner.while_it_looks()
        assert runner.logged().count("USR1 to it") == times
    runner.notice_file.unlink()
    runner.while_it_looks()
    runner.notice(timedelta(minutes=6))
    runner.wait_for_log("USR1 to it", 3)
    runner.notice(timedelta(minutes=6), status="STATUS_RUNNING")  # the file stays, and says otherwise
    runner.while_it_looks()
    runner.notice(timedelta(minutes=6), status="STATUS_RELOCATING")
    runner.wait_for_log("USR1 to it", 4)


def test_a_command_that_does_not_catch_the_signal_yet_is_told_later(runner: Runner) -> None:
    """It is importing still: the signal would kill it."""
    runner.command(f"until [ -e {runner.root}/go ]; do sleep 0.1; done\n{runner.python('late')}")
    process = runner.start("SIGUSR1")
    runner.wait_for((runner.root / "var/run/flow-user-workload.pid").exists)
    runner.notice()
    runner.while_it_looks()
    assert process.poll() is None
    (runner.root / "go").touch()
    runner.wait_for_log("USR1 to late")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "instance_status: STATUS_RUNNING\nend_time: 2099-01-01T00:00:00Z\n",
        "bid_status: Relocating\nend_time: 2099-01-01T00:00:00Z\n",
        "instance_status: STATUS_PREEMPTING\nend_time: 2020-01-01T00:00:00Z\n",
    ],
)
def test_what_is_no_notice_sends_no_signal(runner: Runner, text: str) -> None:
    """The content of the file decides; the last one is of an earlier boot."""
    runner.notice_file.write_text(text)
    runner.command(runner.python("it"))
    runner.start("SIGUSR1")
    runner.wait_for_log("it is ready")
    runner.while_it_looks()
    assert "USR1 to it" not in runner.logged()


@pytest.mark.parametrize(
    "text",
    [
        "instance_status: STATUS_PREEMPTING\n",
        "instance_status: STATUS_PREEMPTING\nend_time: soon\n",
        "instance_status: STATUS_PREEMPTING\nend_time:\n",
        "instance_status: STATUS_PREEMPTING\nend_time: null\n",
        "end_time: '2099-01-01T00:00:00Z'\ninstance_status: 'STATUS_PREEMPTING'\n",
        'instance_status: "STATUS_PREEMPTING"\nend_time: "2099-01-01 00:00:00+00:00"\n',
        '{"instance_status": "STATUS_PREEMPTING", "end_time": "2099-01-01T00:00:00.123456+00:00"}',
        "instance_status: STATUS_PREEMPTING\nend_time: 2099-01-01 00:00:00 UTC\n",
    ],
)
def test_every_spelling_of_a_notice_is_one(runner: Runner, text: str) -> None:
    """Also where its end cannot be read: then it stands for ten minutes."""
    runner.command(runner.python("it"))
    runner.start("SIGUSR1")
    runner.wait_for_log("it is ready")
    runner.notice_file.write_text(text)
    runner.wait_for_log("USR1 to it")
    runner.while_it_looks()
    assert runner.logged().count("USR1 to it") == 1


def test_a_notice_without_an_end_is_over_after_ten_minutes(runner: Runner) -> None:
    """The machine came back, and the file of the boot before is there."""
    runner.notice_file.write_text("instance_status: STATUS_PREEMPTING\n")
    before = time.time() - 601
    os.utime(runner.notice_file, (before, before))
    runner.command("echo the command runs")
    assert runner.run("SIGUSR1") == 0


def test_nothing_is_started_while_a_notice_stands(runner: Runner) -> None:
    """What restarts after it has saved would only begin what the power-off cuts short."""
    runner.notice()
    runner.command("echo the command runs")
    process = runner.start()
    runner.while_it_looks()
    assert "the command runs" not in runner.logged()
    runner.notice_file.unlink()
    assert process.wait(PATIENCE) == 0
    assert "the command runs" in runner.logged()


def test_without_a_signal_none_is_sent(runner: Runner) -> None:
    """SIGUSR1 kills what does not expect it."""
    runner.command(f"{runner.python('it')}")
    process = runner.start()
    runner.wait_for_log("it is ready")
    runner.notice()
    runner.while_it_looks()
    assert "USR1 to it" not in runner.logged()
    assert process.poll() is None


# -- a power-off -------------------------------------------------------------------------------------------------------


def test_a_power_off_is_no_end_of_the_command(runner: Runner) -> None:
    """It asks all of the command to end, waits, and notes nothing; the unit has not failed."""
    saves = "import signal, sys, time\nsignal.signal(15, lambda *_: (time.sleep(0.3), print('saved'), sys.exit(1)))\n"
    saves += "print('it is ready', flush=True)\nwhile True: time.sleep(0.01)"
    runner.command(f"{shlex.join([sys.executable, '-c', saves])}")
    (runner.ours / "job.json").touch()
    process = runner.start("SIGUSR1")
    runner.wait_for_log("it is ready")
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert "saved" in runner.logged()
    assert not (runner.root / "var/lib/flow/workload-exit").exists()
    assert not (runner.ours / "ended").exists()


@pytest.mark.parametrize("waiting", ["mounts", "notice"])
def test_a_power_off_before_the_command_runs_ends_the_script(runner: Runner, waiting: str) -> None:
    """It has nothing to ask to end."""
    if waiting == "mounts":
        (runner.ours / "mounts").write_text("/data\n")
        runner.on_path("mountpoint", "exit 1")
        runner.on_path("mount", "echo waits; exit 1")
    else:
        runner.notice()
        runner.on_path("grep", f'echo waits; exec {shutil.which("grep")} "$@"')
    runner.command("echo the command runs")
    process = runner.start()
    runner.wait_for(lambda: "waits" in runner.logged() or waiting == "notice")
    runner.while_it_looks()
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert "the command runs" not in runner.logged()


# -- jobs --------------------------------------------------------------------------------------------------------------


def make_job(runner: Runner, end_job: str = "") -> None:
    (runner.ours / "job.json").write_text("{}")
    path = runner.ours / "end_job"
    path.write_text(f'#!/bin/bash\necho "end_job $*"\n{end_job}\n')
    path.chmod(0o700)


@pytest.mark.parametrize("code", [0, 3, 137])
def test_the_end_of_a_job_is_reported_and_its_script_does_not_fail(runner: Runner, code: int) -> None:
    """With the exit code of its command; a failure of the unit would start it again."""
    make_job(runner)
    runner.command(f"exit {code}")
    assert runner.run() == 0
    assert runner.logged().count(f"end_job exited {code}") == 1


def test_a_job_that_has_ended_is_only_reported_at_a_later_boot(runner: Runner) -> None:
    """Its command does not run again, whatever rank the machine has now, and whatever does not come back."""
    make_job(runner)
    (runner.ours / "job-exit").write_text('{"code": 0}')
    (runner.ours / "mounts").write_text("/never\n")
    runner.on_path("mountpoint", "exit 1")
    runner.command("echo the command runs")
    assert runner.run() == 0
    assert "end_job report" in runner.logged()
    assert "the command runs" not in runner.logged()


def test_an_exit_while_a_notice_stands_is_no_end_of_a_job(runner: Runner) -> None:
    """It saved its work, and goes on when the notice is withdrawn; at a power-off, at the next boot."""
    make_job(runner)
    runner.command(
        f"echo life; if [ -e {runner.root}/once ]; then exit 0; fi; touch {runner.root}/once\n"
        "trap 'echo saved; exit 5' USR1; while :; do sleep 0.1; done"
    )
    process = runner.start("SIGUSR1")
    runner.wait_for_log("life")
    runner.notice()
    runner.wait_for_log("saved")
    runner.while_it_looks()
    assert runner.logged().count("life") == 1
    assert "end_job" not in runner.logged()
    runner.notice_file.unlink()
    assert process.wait(PATIENCE) == 0
    assert runner.logged().count("life") == 2
    assert "end_job exited 0" in runner.logged()


@pytest.mark.parametrize("signal_name", ["SIGUSR1", None])
def test_a_notice_that_is_withdrawn_while_the_command_saves_is_no_end_of_a_job(
    runner: Runner, signal_name: str | None
) -> None:
    """It exits because of the notice, with 0, and its work is not done; without a signal it can have read the file."""
    make_job(runner)
    runner.command(
        f"echo life; if [ -e {runner.root}/once ]; then exit 0; fi; touch {runner.root}/once\n"
        f"until [ -e {runner.notice_file} ]; do sleep 0.1; done; echo saves\n"
        f"while [ -e {runner.notice_file} ]; do sleep 0.1; done; sleep 2; echo saved"
    )
    process = runner.start(*([signal_name] if signal_name else []))
    runner.wait_for_log("life")
    runner.notice()
    runner.wait_for_log("saves")
    runner.while_it_looks()
    runner.notice_file.unlink()
    assert process.wait(PATIENCE) == 0
    assert runner.logged().count("life") == 2
    assert runner.logged().count("end_job exited 0") == 1


def test_a_job_that_goes_on_after_a_notice_that_was_withdrawn_ends_once(runner: Runner) -> None:
    """When the time that the notice named has passed, an end is its own."""
    make_job(runner)
    runner.command(f"echo life; until [ -e {runner.root}/go ]; do sleep 0.1; done; exit 3")
    process = runner.start("SIGUSR1")
    runner.wait_for_log("life")
    runner.notice(timedelta(seconds=2))
    runner.while_it_looks()
    runner.notice_file.unlink()
    time.sleep(3)
    (runner.root / "go").touch()
    assert process.wait(PATIENCE) == 0
    assert runner.logged().count("life") == 1
    assert "end_job exited 3" in runner.logged()


def test_a_power_off_after_that_reports_nothing(runner: Runner) -> None:
    """The next boot runs the command."""
    make_job(runner)
    runner.command("trap 'echo saved; exit 0' USR1; echo life; while :; do sleep 0.1; done")
    process = runner.start("SIGUSR1")
    runner.wait_for_log("life")
    runner.notice()
    runner.wait_for_log("ended with exit code 0")
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert "end_job" not in runner.logged()


def test_a_machine_that_is_not_the_first_reports_nothing(runner: Runner) -> None:
    """It idles until rank 0 ends all."""
    make_job(runner)
    (runner.ours / "nodes").write_text("export NODE_RANK=1\n")
    runner.command("exit 1")
    assert runner.run() == 0
    assert "end_job" not in runner.logged()
    assert (runner.ours / "rank").read_text() == "1\n"


def test_a_report_that_fails_is_made_again_without_a_second_run(runner: Runner) -> None:
    """A disk that the training has filled, for example."""
    make_job(runner, f"echo x >>{runner.root}/tries; [ $(wc -l <{runner.root}/tries) -ge 3 ]")
    runner.command("echo life; exit 4")
    assert runner.run() == 0
    assert runner.logged().count("end_job exited 4") == 3
    assert runner.logged().count("life") == 1


# -- containers --------------------------------------------------------------------------------------------------------

DOCKER = """
cd {root}
echo "docker $*" >>calls
case "$1 $2" in
"info ") [ -e daemon ] ;;
"container inspect") [ -e there ] ;;
"create "*) [ -e there ] && {{ echo 'name in use' >&2; exit 1; }}; touch there; echo id ;;
"start main") [ ! -e broken ] && [ -e there ] && rm -f exited && echo main ;;
"wait main") until [ -e exited ]; do /bin/sleep 0.01; done; cat exited ;;
"logs main") [ -e there ] && echo 'what the container logged' || {{ echo 'No such container: main' >&2; exit 1; }} ;;
"rm -f") [ -e there ] && rm there || {{ echo 'No such container: main' >&2; exit 1; }} ;;
"inspect -f") cat pid ;;
"kill main") echo 137 >exited ;;
esac
"""


@pytest.fixture
def docker(runner: Runner) -> Runner:
    """Let the command be in a container."""
    (runner.ours / "container").write_text('docker create -e NODE_RANK="${NODE_RANK:-}" image\n')
    runner.on_path("docker", DOCKER.format(root=runner.root))
    runner.on_path("systemctl", f"cat {runner.root}/docker-unit")
    (runner.root / "docker-unit").write_text("active\n")
    (runner.root / "daemon").touch()
    runner.environment(PATH=f"{runner.root / 'bin'}:{os.environ['PATH']}")
    return runner


def calls(runner: Runner, *verbs: str) -> list[str]:
    done = (runner.root / "calls").read_text().splitlines()
    return [line for line in done if line.split()[1] in verbs]


def end_container(runner: Runner, code: int) -> None:
    runner.wait_for(lambda: "docker wait main" in calls(runner, "wait")[-1:])
    runner.wait_for(lambda: not (runner.root / "exited").exists())
    (runner.root / "new").write_text(f"{code}\n")
    (runner.root / "new").rename(runner.root / "exited")


def run_container(runner: Runner, code: int, *arguments: str) -> int:
    (runner.root / "calls").write_text("")
    process = runner.start(*arguments)
    runner.wait_for(lambda: calls(runner, "wait"))
    end_container(runner, code)
    return process.wait(PATIENCE)


def test_a_container_is_made_once_and_started_at_every_boot(docker: Runner) -> None:
    """It is the same one, with what the command has written into it."""
    assert run_container(docker, 3) == 3
    assert calls(docker, "create", "start", "rm") == [
        "docker rm -f main",
        "docker create -e NODE_RANK= image",
        "docker start main",
    ]
    assert run_container(docker, 0) == 0
    assert calls(docker, "create", "start", "rm") == ["docker start main"]
    assert "No such container" not in docker.logged()


def test_a_container_is_made_anew_where_the_machines_have_changed_places(docker: Runner) -> None:
    """Its variables are fixed when it is made; what it logged is kept."""
    (docker.ours / "nodes").write_text("export NODE_RANK=0\n")
    assert run_container(docker, 0) == 0
    (docker.ours / "nodes").write_text("export NODE_RANK=1\n")
    assert run_container(docker, 0) == 0
    assert calls(docker, "create", "start", "rm") == [
        "docker rm -f main",
        "docker create -e NODE_RANK=1 image",
        "docker start main",
    ]
    assert "what the container logged" in docker.logged()
    assert run_container(docker, 0) == 0
    assert calls(docker, "create", "rm") == []


def test_a_container_that_somebody_removed_is_made_again(docker: Runner) -> None:
    """By hand, on the machine."""
    assert run_container(docker, 0) == 0
    (docker.root / "there").unlink()
    assert run_container(docker, 0) == 0
    assert len(calls(docker, "create")) == 1


def test_it_waits_for_docker(docker: Runner) -> None:
    """Which starts later than the unit."""
    (docker.root / "daemon").unlink()
    (docker.root / "calls").write_text("")
    process = docker.start()
    docker.wait_for(lambda: len(calls(docker, "info")) > 2)
    assert not calls(docker, "create", "start")
    (docker.root / "daemon").touch()
    docker.wait_for(lambda: calls(docker, "wait"))
    end_container(docker, 0)
    assert process.wait(PATIENCE) == 0


def test_a_container_that_cannot_be_started_has_failed(docker: Runner) -> None:
    """After some minutes; `docker wait` would call it a success."""
    (docker.root / "broken").touch()
    (docker.root / "calls").write_text("")
    make_job(docker)
    docker.on_path("sleep", ":")
    assert docker.run() == 0
    assert "end_job exited 126" in docker.logged()
    assert len(calls(docker, "start")) == 61
    assert not calls(docker, "wait")


def test_a_restart_of_docker_is_no_end_of_the_command(docker: Runner) -> None:
    """An upgrade restarts it, and it stops its containers, some of which then end with 0."""
    make_job(docker)
    (docker.root / "calls").write_text("")
    process = docker.start()
    docker.wait_for(lambda: calls(docker, "wait"))
    (docker.root / "docker-unit").write_text("deactivating\n")
    end_container(docker, 0)
    docker.wait_for(lambda: len(calls(docker, "start")) > 1)
    assert "end_job" not in docker.logged()
    (docker.root / "docker-unit").write_text("active\n")
    docker.wait_for(lambda: len(calls(docker, "wait")) > 1)
    end_container(docker, 7)
    assert process.wait(PATIENCE) == 0
    assert "end_job exited 7" in docker.logged()


def test_the_signal_reaches_a_process_in_the_container(docker: Runner) -> None:
    """By its pid on the machine."""
    with docker.log.open("ab") as log:
        inside = subprocess.Popen(["bash", "-c", docker.python("inside")], stdout=log)
    try:
        (docker.root / "pid").write_text(f"{inside.pid}\n")
        (docker.root / "calls").write_text("")
        docker.start("SIGUSR1")
        docker.wait_for_log("inside is ready")
        docker.wait_for(lambda: calls(docker, "wait"))
        docker.notice()
        docker.wait_for_log("USR1 to inside")
    finally:
        inside.kill()
        inside.wait(PATIENCE)


@pytest.mark.parametrize("catches", [True, False])
def test_a_power_off_asks_the_container_to_end(docker: Runner, catches: bool) -> None:
    """And kills it at once where nothing in it catches SIGTERM: its first process would ignore it."""
    program = "import time\nprint('inside is ready', flush=True)\nwhile True: time.sleep(0.01)"
    text = CATCHING.format(name="TERM") if catches else program
    with docker.log.open("ab") as log:
        inside = subprocess.Popen([sys.executable, "-c", text, "inside"], stdout=log)
    try:
        (docker.root / "pid").write_text(f"{inside.pid}\n")
        (docker.root / "calls").write_text("")
        make_job(docker)
        process = docker.start("SIGUSR1")
        docker.wait_for_log("inside is ready")
        docker.wait_for(lambda: calls(docker, "wait"))
        process.terminate()
        if catches:
            docker.wait_for_log("TERM to inside")
            assert not calls(docker, "kill")
            end_container(docker, 0)
        assert process.wait(PATIENCE) == 0
        assert bool(calls(docker, "kill")) == (not catches)
        assert "end_job" not in docker.logged()
    finally:
        inside.kill()
        inside.wait(PATIENCE)
