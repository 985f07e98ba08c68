"""Where secrets may be and where never, through the real engine: states, backends, output, logs, files, the fake.

What the engine itself prints at `-v=9` is told apart exactly. With `--logtostderr` each of its lines is a JSON object;
those in which it writes down a property that it sends or receives have a `msg` that begins with "Marshaling property
for RPC[" or "Unmarshaling property for RPC[". No provider can keep a value out of these. Every other line is searched.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.engine import Project, Result, environment

from flow_resources.cloud.machine.wire import unpack
from flow_resources.testing import FakeMithril

KEY, ENV, COMMAND, PASSPHRASE = "canary-key-4f1d", "canary-env-93aa", "canary-command-77e0", "canary-passphrase-5b1c"
PLAIN = "canary-plain-0c3e"  # no secret of Pulumi's until it is a value of env
ENGINES_OWN = ("Marshaling property for RPC[", "Unmarshaling property for RPC[")
LOUD = ("-v=9", "--logtostderr", "--debug")
ECHO = f"no: Authorization: Bearer {KEY} {{'env': {{'TOKEN': '{ENV}'}}, 'command': 'echo {COMMAND}'}}"
PROGRAM = """
    import pulumi
    from flow_resources import GpuCluster

    config = pulumi.Config()
    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
               env={"TOKEN": config.require_secret("token"), "PLAIN": "canary-plain-0c3e"},
               command=pulumi.Output.concat("echo ", config.require_secret("command")))
"""

JOBS = """
    import pulumi
    from flow_resources import Job

    common = {"command": "python train.py", "instance_type": "8xa100", "max_price_per_hour": 20.0,
              "region": "us-central5-a"}
    Job("own", **common)
    Job("given", **common, machine_api_key=pulumi.Config().require_secret("token"))
"""

BAD = """
    import pulumi
    from flow_resources import GpuCluster

    config = pulumi.Config()
    token, command = config.require_secret("token"), config.require_secret("command")
    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
               env=token.apply(lambda value: {"GOOD": value, "RANK": 7, f"TOKEN={value}": ""}), command=[command, 7])
"""


def make(root: Path, cloud: FakeMithril) -> Project:
    """Make a project whose every secret is a canary; the API key comes from the environment."""
    cloud.add_key(KEY, [cloud.project])
    secret = {"MITHRIL_API_KEY": KEY, "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}
    project = Project.make(root, cloud, PROGRAM, FLOW_RESOURCES_RETRY_SECONDS="1", **secret)
    project.run("config", "set", "--secret", "token", ENV).ok()
    project.run("config", "set", "--secret", "command", COMMAND).ok()
    return project


def searched(result: Result) -> str:
    """Return what a command printed without the engine's own lines about properties."""
    return "\n".join(line for line in result.text.splitlines() if not of_the_engine(line))


def of_the_engine(line: str) -> bool:
    """Whether the engine writes down a property that it sends or receives."""
    return line.startswith('{"time":') and json.loads(line)["msg"].startswith(ENGINES_OWN)


def private_key(project: Project) -> list[str]:
    """Return the lines of the private SSH key that the SDK made."""
    (path,) = [one for one in Path(project.env["FLOW_DIR"]).rglob("flow-auto-*") if one.suffix == ""]
    assert path.stat().st_mode & 0o077 == 0
    lines = path.read_text().splitlines()
    assert "PRIVATE KEY" in lines[0]
    return lines[1:-1]


def files(*folders: Path) -> Iterator[tuple[Path, str]]:
    """Read every file below some folders."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path, path.read_bytes().decode(errors="replace")


@pytest.mark.both_hosts(plugin="languages")
def test_no_secret_leaves_its_place(tmp_path: Path, cloud: FakeMithril) -> None:
    """Through up, refresh and destroy that go well and that fail, as loud as they can be."""
    project = make(tmp_path, cloud)
    done = {"up": project.up(*LOUD).ok()}
    secrets = [ENV, PLAIN, COMMAND, PASSPHRASE, *private_key(project)]
    assert KEY not in done["up"].text  # from the environment it is in no line at all, the engine's included

    project.edit("50.0", "51.0")
    cloud.faults.add(method="PATCH", times=None, status=400, body={"detail": ECHO})
    done["up, refused"] = project.up(*LOUD).failed()
    assert "could not set the price" in done["up, refused"].text
    project.write(BAD)
    done["bad inputs"] = project.preview(*LOUD).failed()
    for path in ("command[1]", "env.RANK", "env.TOKEN"):
        said = done["bad inputs"].text
        assert f"{path} must be a string" in said or f"{path} is not a name" in said
    project.write(PROGRAM)
    for name, fault in {
        "401": {"status": 401, "body": {"detail": ECHO}},
        "403": {"status": 403, "body": {"detail": ECHO}},
        "500": {"status": 500, "body": {"detail": ECHO}},
        "no JSON": {"status": 200, "body": ECHO.encode()},
    }.items():
        cloud.faults.clear()
        cloud.faults.add(method="GET", times=None, **fault)
        done[name] = project.refresh(*LOUD).failed()
    cloud.faults.clear()
    cloud.stop()
    done["refused connections"] = project.destroy(*LOUD).failed()
    cloud.start()
    done["refresh"] = project.refresh(*LOUD).ok()

    for name, result in done.items():
        shown = searched(result)
        assert "Traceback" not in shown, name
        assert [one for one in (KEY, *secrets) if one in shown] == [], name
    state = project.export()
    assert [one for one in (KEY, *secrets) if one in state] == []
    for path, text in files(tmp_path / "backend", tmp_path / "home", project.folder):
        if path.name != "__main__.py":
            assert [one for one in (KEY, *secrets) if one in text] == [], path
    for path, text in files(tmp_path / "flow", tmp_path / "user"):
        assert [one for one in (KEY, ENV, PLAIN, COMMAND, PASSPHRASE) if one in text] == [], path
    for one in project.resources().values():
        if token := one.get("outputs", {}).get("__provider"):
            assert b"canary" not in base64.b64decode(token)
    assert "canary" not in json.dumps([one["name"] for one in cloud.bids])
    project.destroy().ok()


@pytest.mark.both_hosts(plugin="languages")
def test_a_key_in_the_stacks_config_is_ciphertext_and_in_the_engines_own_lines_alone(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """Set with `--secret`; what `-v=9` prints of it are lines of the engine, which is why the environment is better."""
    project = make(tmp_path, cloud)
    del project.env["MITHRIL_API_KEY"]
    project.run("config", "set", "--secret", "flow:apiKey", KEY).ok()
    loud = project.up(*LOUD).ok()
    assert KEY in loud.text
    assert KEY not in searched(loud)
    for path, text in files(tmp_path / "backend", tmp_path / "home", tmp_path / "flow", project.folder):
        assert KEY not in text, path
    project.destroy().ok()


@pytest.mark.both_hosts(plugin="languages")
def test_the_key_of_a_job_is_in_its_script_and_nowhere_else(tmp_path: Path, cloud: FakeMithril) -> None:
    """One that is made for the job is in no line at all, since it is no property; one of the user's is a secret."""
    project = make(tmp_path, cloud)
    project.run("config", "set", "flow:allowJobKeys", "true").ok()
    project.write(JOBS)
    done = [project.up(*LOUD).ok()]
    scripts = [bid["launch_specification"]["startup_script"] for bid in cloud.live_bids]
    texts = [unpack(script) or script for script in scripts]
    (key,) = {key for text in texts for key in re.findall(r"fkey_[\w-]{20,}", text)}
    assert sorted(ENV in text for text in texts) == [False, True]
    project.edit("20.0", "21.0")
    done += [project.refresh(*LOUD).ok(), project.up(*LOUD).ok()]
    cloud.faults.add(method="GET", times=None, status=400, body={"detail": f"{ECHO} {key}"})
    done.append(project.refresh(*LOUD).failed())
    cloud.faults.clear()
    state = project.export()
    done.append(project.destroy(*LOUD).ok())
    for result in done:
        assert key not in result.text
        assert ENV not in searched(result)
    assert key not in state
    assert ENV not in state
    for path, text in files(tmp_path / "backend", tmp_path / "home", tmp_path / "flow", tmp_path / "user"):
        assert key not in text, path
        assert ENV not in text, path


def test_the_fake_keeps_no_key(tmp_path: Path, clean_environment: None) -> None:
    """Journal, page and state file: no API key and no private key; start scripts are there, as in the service."""
    with FakeMithril(state=tmp_path / "cloud.db") as cloud:
        project = make(tmp_path, cloud)
        project.up().ok()
        private = private_key(project)
        scripts = [unpack(bid["launch_specification"]["startup_script"]) or "" for bid in cloud.live_bids]
        told = [repr(cloud.requests), repr(cloud.bids), repr(cloud), *scripts]
        for page in ("", "mithril-fake/state", "mithril-fake/requests", "mithril-fake/overview", "mithril-fake/about"):
            with urllib.request.urlopen(f"{cloud.url}/{page}") as answer:
                told.append(answer.read().decode())
    told += [path.read_bytes().decode(errors="replace") for path in tmp_path.glob("cloud.db*") if path.is_file()]
    for text in told:
        assert [one for one in (KEY, *private) if one in text] == []
    assert any(ENV in text for text in told)  # else nothing of what was looked at would have held anything
    assert environment(tmp_path, cloud)["MITHRIL_API_KEY"] != KEY
