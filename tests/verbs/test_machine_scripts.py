"""What a launch's start-up script installs: our sections in the SDK's builder, their form on the wire, their sizes."""

from __future__ import annotations

import ast
import json
import logging
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flow.adapters.providers.builtin.mithril.runtime.startup import builder
from flow.adapters.providers.builtin.mithril.runtime.startup import sections as sdk_sections
from flow.adapters.providers.builtin.mithril.runtime.startup.builder import MithrilStartupScriptBuilder
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stack import Stack, operation

from flow_resources.cloud import Boot, JobEnd, Launch
from flow_resources.cloud.launch import task_config
from flow_resources.cloud.machine import sections, texts, wire
from flow_resources.cloud.startup_script import PlacedJob, has_command_unit, mounts_in
from flow_resources.testing import FakeMithril

FILES = Path(texts.__file__).parent
VOLUMES = tuple(
    (f"vol_{number}abcdefgh{number}234567", path, "file")
    for number, path in enumerate(("/data", "/mnt/models", "/mnt/checkpoints", "/volumes/scratch"))
)
LARGEST: dict[str, Any] = {"num_instances": 2, "volumes": VOLUMES, "image": "pytorch/pytorch:2.4.0-cuda12.1-cudnn9"}
NAMES = [f"case-{number}-3f9a1c5d08b67be02d4d-9c01d2-1" for number in range(5)]
SIGNAL = Boot("never", "SIGUSR1")
JOB = JobEnd(
    key="fkey_aB3dE5gH7jK9mN1pQ3rS5tU7vW9xY1z2",
    key_id="apikey_A1b2C3d4E5f6G7h8",
    key_name="flow-job-3f9a1c5d08b67be02d4d-9c01d2-1",
    key_expires_at=1798700000.0,
    api_url="https://api.mithril.ai",
    project="proj_abcdefghij123456",
    on_failure="keep",
    max_run_seconds=86400,
    inputs_digest="9c01d2",
)


def launch(**changes: Any) -> Launch:
    """Return a launch with a command that runs at every boot."""
    values = {
        "name": "trainer-3f9a1c5d08b67be02d4d-9c01d2-1",
        "key": "k",
        "instance_type": "it_a100",
        "num_instances": 1,
        "price": Decimal("12.34"),
        "region": "us-central5-a",
        "command": "python train.py",
        "boot": Boot(),
    }
    return Launch(**{**values, **changes})


@pytest.fixture
def write(stack: Stack, cloud: FakeMithril):
    """Return a function that writes a launch's script as it is sent."""

    def written(one: Launch) -> str:
        stack.operation()
        with operation().cloud._sdk("write a script") as sdk:
            return sdk.write_script(one)

    return written


def unpacked(script: str) -> str:
    text = wire.unpack(script)
    assert text is not None
    return text


def installed(text: str) -> dict[str, str]:
    """Return the files that a script writes through quoted heredocs, by the last part of their paths."""
    pattern = re.compile(r"^cat >(?P<path>\S+) <<'(?P<end>E+)'\n(?P<body>.*?)\n(?P=end)$", re.MULTILINE | re.DOTALL)
    return {match["path"].rpartition("/")[2]: match["body"] for match in pattern.finditer(text)}


# -- the insides of the SDK that it leans on ---------------------------------------------------------------------------


def test_the_sections_that_are_replaced_are_still_there(write) -> None:
    """Else the command would run twice at the first boot, or not at all later."""
    builder = sections.ScriptBuilder()
    names = {section.name: section for section in builder.sections}
    ours = (sections.Header(builder.template_engine, launch()), sections.Environment(), sections.Container())
    for section in (*ours, sections.Install(launch(), Boot())):
        assert section.name in names, f"the SDK has no section {section.name!r} any more"
        assert section.priority == names[section.name].priority


def test_nothing_of_the_sdk_runs_the_command_at_once(write) -> None:
    """The unit alone runs it."""
    for one in (launch(), launch(image="pytorch/pytorch"), launch(image="pytorch/pytorch", num_instances=2)):
        text = unpacked(write(one))
        outside = re.sub(r"^cat >(\S+) <<'(E+)'\n.*?\n\2$", "", text, flags=re.MULTILINE | re.DOTALL)
        assert "train.py" not in outside
        assert "docker run -d" not in text
        assert "user_startup.sh" not in text
        assert text.splitlines().count("systemctl start flow-command") == 1


@pytest.mark.parametrize(
    ("name", "method", "text"),
    [("DockerSection", "generate", "docker compose up"), ("HeaderSection", "generate", "#!/bin/bash\nset -eu")],
)
def test_a_section_of_the_sdk_that_has_changed_is_an_error(write, monkeypatch: Any, name: str, method: str, text: str):
    """Never a script without our part: its machines would come back without the command."""
    monkeypatch.setattr(getattr(sdk_sections, name), method, lambda self, context: text)
    with pytest.raises(Exception, match="internal error: the Flow SDK writes its start-up scripts in another way"):
        write(launch(image="pytorch/pytorch"))


def test_a_script_that_is_written_outside_of_a_launch_is_an_error(stack: Stack, cloud: FakeMithril) -> None:
    """It would have no unit."""
    stack.operation()
    with operation().cloud._sdk("write a script") as sdk, pytest.raises(LookupError):
        sdk.flow.provider.ctx.script_prep.build_and_prepare(task_config(launch()))


def test_launches_in_many_threads_do_not_mix(write) -> None:
    """All threads of a process share one SDK."""
    boots = [None if number % 3 == 0 else Boot("always" if number % 3 == 1 else "never") for number in range(24)]
    launches = [launch(command=f"echo command-{number}", boot=boot) for number, boot in enumerate(boots)]
    write(launches[0])  # opens the SDK
    with operation().cloud._sdk("write scripts") as sdk, ThreadPoolExecutor(8) as threads:
        scripts = list(threads.map(sdk.write_script, launches))
    for number, (boot, script) in enumerate(zip(boots, scripts, strict=True)):
        assert has_command_unit(script) == (boot is not None)
        if boot:
            files = installed(unpacked(script))
            assert files["command"] == f"#!/bin/bash\necho command-{number}"
            assert f"Restart={'always' if boot.restart == 'always' else 'no'}\n" in files["flow-command.new"]


# -- what is installed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "mode"),
    [
        (launch(), "process"),
        (launch(boot=Boot("always")), "mixed"),
        (launch(boot=Boot("on_failure")), "mixed"),
        (launch(job_end=JOB), "mixed"),
    ],
    ids=["never", "always", "on_failure", "job"],
)
def test_what_is_left_in_the_background_ends_where_a_second_run_can_follow(write, one: Launch, mode: str) -> None:
    """Else it would run beside it; of a command that never runs again at this boot it goes on."""
    assert f"\nKillMode={mode}\n" in installed(unpacked(write(one)))["flow-command.new"]


def test_what_ends_a_job_is_there_before_anything_that_can_fail(write) -> None:
    """A mount, for example: its time limit holds meanwhile. A script that runs again keeps a key that was renewed."""
    text = unpacked(write(launch(job_end=JOB, volumes=VOLUMES)))
    start = text.index("systemctl start flow-command@deadline.service flow-command@renew.service\n")
    assert max(text.index(f"cat >{name}") for name in ("job.json", "end_job.py")) < start
    assert start < text.index("Starting Mithril instance initialization")
    assert "[ -s job.json ] ||\ncat >job.json" in text


@pytest.mark.parametrize("boot", [Boot(), None])
@pytest.mark.parametrize(
    "command",
    [
        "python train.py",
        "echo $(case x in x) echo;; esac)",
        "cat <<E\n  # kept\nE\n  # dropped",
        f"touch {NAMES[3]}  #",
    ],
)
def test_launches_that_differ_in_their_names_share_the_work(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch, command: str, boot: Boot | None
) -> None:
    """And each gets the script that the SDK writes for it alone."""
    count, combine = [0], MithrilStartupScriptBuilder._combine_sections

    def counted(builder: Any, parts: Any) -> Any:
        count[0] += 1
        return combine(builder, parts)

    monkeypatch.setattr(MithrilStartupScriptBuilder, "_combine_sections", counted)
    stack.operation()
    with operation().cloud._sdk("write scripts") as sdk:
        launches = [launch(name=name, command=command, boot=boot) for name in NAMES]
        shared = [sdk.write_script(one) for one in launches]
        assert count[0] <= 1 + (NAMES[3] in command)
        monkeypatch.setattr(sections.ScriptBuilder, "_combine_sections", combine)
        monkeypatch.delattr(sections.ScriptBuilder, "_build_script")
        assert [sdk.write_script(one) for one in launches] == shared


def test_a_script_is_not_masked_for_a_log_that_nobody_reads(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK masks each script for its debug log; ours is in no log at all."""
    caplog.set_level(logging.DEBUG)
    stack.operation()
    with operation().cloud._sdk("write scripts") as sdk:
        monkeypatch.setattr(builder, "mask_text", lambda _: pytest.fail("masked"))
        sdk.write_script(launch(command="echo the-command"))
    assert "the-command" not in caplog.text


def test_without_boot_the_script_is_the_sdks(write, stack: Stack) -> None:
    """Nothing is installed for it, and nothing is packed in another way."""
    script = write(launch(boot=None))
    assert "flow-command" not in script
    assert "user_startup.sh" in script
    assert not has_command_unit(script)


NASTY = [
    "echo 'it''s' \"$HOME\" `id` $(date) \\ % {{mounts}} {{files}}",
    "cat <<'E'\nE\nEE\nEOF\nE",
    "#!/usr/bin/env python3\nprint('no bash', \"\\n\")",
    "  echo blanks around  \n\n",
    "# a comment\n    indented # and another\n\n\techo tab",
    "echo é ☃ \U0001f600",
    ["python", "-c", "print('a b', \"c\")", "", "*", "$HOME"],
    ["bash", "-c", "echo $0; exit 3"],
    "E",
]


@pytest.mark.parametrize("command", NASTY, ids=range(len(NASTY)))
def test_a_command_arrives_as_it_is(write, tmp_path: Path, command: Any) -> None:
    """As the SDK writes it into its own file: whatever is in it."""
    files = unpacked(write(launch(command=command)))
    begin = files.index("cat >command <<")
    shell = files[begin : files.index("\nchmod 700 command")]
    subprocess.run(["bash", "-c", shell], cwd=tmp_path, check=True)
    expected = command if isinstance(command, str) else command[2] if command[0] == "bash" else None
    arrived = (tmp_path / "command").read_text()
    if expected is None:
        assert arrived.startswith("#!/bin/bash\npython -c ")
        (tmp_path / "command").write_text(arrived.replace("python -c", "printf '%s|' -c"))
        printed = subprocess.run(["bash", tmp_path / "command"], capture_output=True, text=True, check=True).stdout
        assert printed == "|".join((*command[1:], ""))
    else:
        stripped = expected.strip()
        assert arrived == (stripped if stripped.startswith("#!") else f"#!/bin/bash\n{stripped}") + "\n"


@pytest.mark.parametrize(
    "more", [{}, {"image": "pytorch/pytorch"}, LARGEST, {"job_end": JOB, "image": "pytorch/pytorch"}], ids=str
)
def test_all_shell_is_shell(write, more: dict[str, Any]) -> None:
    """The script as it is sent and unpacked, and what it installs."""
    script = write(launch(boot=SIGNAL, **more))
    text = unpacked(script)
    shells = [script, text, *(body for name, body in installed(text).items() if name in SHELLS)]
    assert len(shells) == 5
    for shell in shells:
        done = subprocess.run(["bash", "-n"], input=shell, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


SHELLS = ("command", "container", "run_command.sh", "nodes")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_units_are_units(write, tmp_path: Path) -> None:
    """Systemd knows each word in them."""
    text = unpacked(write(launch(boot=Boot("on_failure", "SIGTERM"), job_end=JOB)))
    setup = re.search(r"flow-command-setup.service <<EOF\n(.*?)\nEOF", text, re.DOTALL)
    assert setup
    files = installed(text)
    units = {
        "flow-command.service": files["flow-command.new"],
        "flow-command@.service": files["flow-command@.service"],
        "flow-command-setup.service": setup[1].replace("${HOME:-/root}", "/root").replace("${USER:-root}", "root"),
    }
    for name, unit in units.items():
        (tmp_path / name).write_text(unit + "\n")
    for name in ("flow-command.service", "flow-command@deadline.service", "flow-command-setup.service"):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", "--generators=no", "--recursive-errors=no", tmp_path / name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        problems = [
            line for line in done.stderr.splitlines() if "flow-command" in line and "not executable" not in line
        ]
        assert not problems


def test_restart_and_signal_stand_in_the_unit(write) -> None:
    """A job's runner is started again where it is killed: it ends the bid."""
    for boot, job, restart in (
        (Boot("never"), None, "no"),
        (Boot("on_failure"), None, "on-failure"),
        (Boot("always", "SIGUSR2"), None, "always"),
        (Boot("never", "SIGUSR2"), JOB, "on-failure"),
    ):
        unit = installed(unpacked(write(launch(boot=boot, job_end=job))))["flow-command.new"]
        assert f"\nRestart={restart}\n" in unit
        assert f"run_command.sh {boot.preemption_signal or ''}\n" in unit


def test_the_unit_of_a_job_brings_its_deadline_and_the_renewal_of_its_key(write) -> None:
    """Each only where it is needed."""
    no_limit = {"max_run_seconds": None}
    own_key = {"key_id": None, "key_name": None, "key_expires_at": None}
    for changes, works in (
        ({}, ("deadline", "renew")),
        (no_limit, ("renew",)),
        (own_key, ("deadline",)),
        ({**no_limit, **own_key}, ()),
    ):
        job = JobEnd(**{**vars(JOB), **changes})
        unit = installed(unpacked(write(launch(job_end=job))))["flow-command.new"]
        assert re.findall(r"flow-command@(\w+)\.service", unit) == list(works)


def test_a_job_knows_its_bid_and_its_key(write) -> None:
    """In a file that only root reads; the price is the one that is placed."""
    text = unpacked(write(launch(job_end=JOB, price=Decimal("12.34"), num_instances=2)))
    assert json.loads(installed(text)["job.json"]) == {
        "api_url": "https://api.mithril.ai",
        "project": "proj_abcdefghij123456",
        "task_name": "trainer-3f9a1c5d08b67be02d4d-9c01d2-1",
        "key": JOB.key,
        "key_id": JOB.key_id,
        "key_name": JOB.key_name,
        "key_expires_at": JOB.key_expires_at,
        "placed_cents": 1234,
        "on_failure": "keep",
        "max_run_seconds": 86400,
        "machines": 2,
        "inputs": "9c01d2",
    }
    assert text.index("umask 077") < text.index("cat >job.json")
    assert JOB.key not in repr(launch(job_end=JOB))


def test_what_a_script_says_of_itself_is_read_back(write) -> None:
    """Where it mounts, at which price it was placed, whether the command runs at every boot."""
    script = write(launch(boot=SIGNAL, volumes=VOLUMES, job_end=JOB, command="echo '{\"placed_cents\":1}'"))
    assert mounts_in(script) == {volume: path for volume, path, _ in VOLUMES}
    assert PlacedJob.read(script).price == Decimal("12.34")
    assert has_command_unit(script)
    for other in (write(launch(boot=None, volumes=VOLUMES)), write(launch(volumes=VOLUMES)), "", "#!/bin/bash\necho 1"):
        assert PlacedJob.read(other).price is None


# -- the form on the wire ----------------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=3000))
@settings(max_examples=50, deadline=None)
def test_any_script_comes_back(script: str) -> None:
    """Byte for byte, in printable characters."""
    packed = wire.pack(script)
    assert wire.unpack(packed) == script
    assert re.fullmatch(r"[\n -~]*", packed)


def test_a_machine_unpacks_what_was_packed(tmp_path: Path) -> None:
    """By the lines that are sent along, in a shell that stops at the first error."""
    script = "#!/bin/bash\n# FLOW_ORIGIN: flow-compute v3.28.2 session:abc\necho 'unpacked \\ é'; cat \"$0\"\n"
    packed = wire.pack(script)
    assert packed.startswith("#!/bin/bash\n# FLOW_ORIGIN: flow-compute v3.28.2 session:abc\n")
    there = packed.replace("/var/lib/flow-command", f"{tmp_path}/ours")
    done = subprocess.run(["bash"], input=there.encode(), capture_output=True, check=True)
    assert done.stdout.decode() == "unpacked \\ é\n" + script.split("\n", 2)[2]  # its head is sent as it is
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o700
    cut = there.replace("'<<'E'\n", "'<<'E'\nA", 1)
    assert subprocess.run(["bash"], input=cut.encode(), capture_output=True, check=False).returncode


@pytest.mark.parametrize("damaged", ["", "exec bash", "'<<'E'\nABC\nE\nexec bash /var/lib/flow-command/script\n"])
def test_what_cannot_be_unpacked_is_not_known(damaged: str) -> None:
    """Nobody reads a price out of it."""
    assert wire.unpack(damaged) is None
    assert PlacedJob.read(damaged).price is None


PROGRAMS = sorted(
    path.name for path in FILES.glob("*.py") if path.stem not in ("__init__", "sections", "texts", "wire")
)


def shape(program: str) -> str:
    """Return what a program does: its tree without what only readers need, and each name as a number."""
    tree = texts._Bare().visit(ast.parse(program))
    tree.body = [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))]
    numbers: dict[str, str] = {}
    for node in ast.walk(tree):
        for place in ("id", "arg", "name"):
            if isinstance(node, (ast.Name, ast.arg, ast.FunctionDef, ast.ExceptHandler)) and hasattr(node, place):
                setattr(node, place, numbers.setdefault(getattr(node, place), f"name {len(numbers)}"))
    return ast.dump(tree)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_the_same_without_what_only_readers_need(name: str) -> None:
    """Docstrings, annotations, long names and the guard at its end, and nothing else."""
    source, sent = (FILES / name).read_text(), texts.wire_text(name)
    assert shape(sent) == shape(source)
    assert '"""' not in sent
    ast.parse(sent, feature_version=(3, 10))
    compile(sent, name, "exec")
    assert len(sent) < len(source) / 2


def test_the_program_that_is_sent_ends_a_job(cloud: FakeMithril, tmp_path: Path) -> None:
    """The short form, run as on a machine: the outcome told, the bid ended, the key revoked."""
    bid = cloud.add_bid("trainer-1", limit_price="$50.00")
    fields = {"api_url": cloud.url, "project": bid["project"], "task_name": "trainer-1", "placed_cents": 5000}
    job = {**fields, "key": cloud.key, "key_id": None, "key_name": None, "key_expires_at": None, "machines": 1}
    (tmp_path / "job.json").write_text(json.dumps({**job, "on_failure": "release", "max_run_seconds": None}))
    program = tmp_path / "end_job.py"
    program.write_text(texts.wire_text("end_job.py"))
    environment = {"FLOW_COMMAND_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, program, "exited", "3"], env=environment, check=True, timeout=60)
    assert json.loads((tmp_path / "job-exit").read_text())["code"] == 3
    ended = cloud.bid(bid["fid"])
    assert (ended["status"], ended["limit_price"]) == ("Terminated", "$49.98")


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.glob("*.sh")))
def test_no_shell_file_depends_on_what_is_stripped(name: str) -> None:
    """No heredoc or string of several lines begins with blanks or #."""
    source, sent = (FILES / name).read_text(), texts.wire_text(name)
    lines = [line.strip() for line in source.splitlines()]
    assert sent.splitlines() == [line for line in lines if line and (line.startswith("#!") or not line.startswith("#"))]


# -- sizes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "most"),
    [
        (launch(), 5_000),
        (launch(boot=SIGNAL, **{**LARGEST, "image": None}), 7_020),
        (launch(boot=SIGNAL, **LARGEST), 8_700),
        (launch(boot=SIGNAL, job_end=JOB, **LARGEST), 9_900),
    ],
    ids=["least", "host", "container", "job"],
)
def test_a_script_leaves_room_for_the_command(write, one: Launch, most: int) -> None:
    """Of 10,000 characters; the SDK's own script without ours has 5,800 and 7,800."""
    assert len(write(one)) <= most


def test_python_of_the_oldest_machines_runs_all_of_it() -> None:
    """Ubuntu 22.04 has 3.10; this test stands for it where another version runs the tests."""
    assert sys.version_info >= (3, 10)
