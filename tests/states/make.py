"""Write the states of this version: `cd tests && python -m states.make`, once per release, with `pulumi` on PATH.

There is a folder for each host. An existing one belongs to a released version and is not changed, as the states of its
users are not.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from support.engine import Project
from support.golden import HOUR, STATES, folder_of, write_state
from support.jobs import end_job
from support.stack import HOSTS

from flow_resources.testing import Clock, FakeMithril

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDf0kfZ8ukZ8cUNm8l2mO0D8l0m1B2S3X4Y5Z6a7b8c9 team"
ROOT = Path(__file__).parents[2]


def settled(project: Project, cloud: FakeMithril) -> None:
    """Run `pulumi up`."""
    project.up().ok()


def interrupted(project: Project, cloud: FakeMithril) -> None:
    """Let the wait of one bid reach its time limit, and let the delete of the replaced bid of the other be refused."""
    project.edit("sleep 2", "sleep 1")
    project.up().failed()
    project.edit("sleep 1", "sleep 2")
    cloud.faults.add(method="DELETE", status=500, times=None)
    project.up("--continue-on-error").failed()
    assert len(cloud.live_bids) == 3


def jobs(project: Project, cloud: FakeMithril) -> None:
    """Run `pulumi up`, let one job succeed as its machine would tell it, and look."""
    cloud.add_bid("theirs")
    cloud.add_ssh_key("team", PUBLIC_KEY)
    project.run("config", "set", "flow:allowJobKeys", "true").ok()
    project.up().ok()
    end_job(cloud, project.id_of("done"), "succeeded", placed=20.0)
    project.refresh("--target", project.resources()["done"]["urn"]).ok()


def fleets(project: Project, cloud: FakeMithril) -> None:
    """Run `pulumi up`."""
    cloud.add_ssh_key("team", PUBLIC_KEY)
    project.up("-p", "1").ok()


def policies(project: Project, cloud: FakeMithril) -> None:
    """Run `pulumi up`, let a spike preempt all, act on it, and look once the spike is over."""
    cloud.add_ssh_key("team", PUBLIC_KEY)
    cloud.options.keep_instance_ids = True  # a cloud that is made again call by call has no others
    project.up().ok()
    cloud.set_price("8xa100", "us-central5-a", 18.20)
    project.up("--refresh").ok()
    cloud.set_price("8xa100", "us-central5-a", 5.0)
    project.refresh().ok()


def placements(project: Project, cloud: FakeMithril) -> None:
    """Run `pulumi up`, and let a refresh see which bid waits in the auction."""
    cloud.add_ssh_key("team", PUBLIC_KEY)
    project.up().ok()
    project.refresh().ok()


def ssh_keys(project: Project, cloud: FakeMithril) -> None:
    """Run `pulumi up` beside a key of the team, and look at what it made."""
    cloud.add_ssh_key("team", PUBLIC_KEY)
    project.up().ok()
    project.refresh().ok()


def add_existing(cloud: FakeMithril) -> None:
    """Add what the programs did not create: what they adopt, what they only read, and an SSH key."""
    cloud.add_bid("by-hand", limit_price="$20.00", instance_quantity=2)
    cloud.add_bid("theirs")
    cloud.add_volume("by-hand", size_gb=10)
    cloud.add_volume("shared")
    cloud.add_ssh_key("team", PUBLIC_KEY)


def main() -> None:
    """Write the folders that are not there, with one folder per case."""
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    missing = [host for host in HOSTS if not folder_of(version[1], host).exists()]
    if not missing:
        sys.exit(f"the folders of {version[1]} exist already: the states of a released version are not written again")
    for host in missing:
        for case in (settled, interrupted, jobs, policies, placements, fleets, ssh_keys):
            write_case(folder_of(version[1], host), host, case)
        print(f"wrote {folder_of(version[1], host)}")  # noqa: T201 - a script


def write_case(folder: Path, host: str, run: Callable[[Project, FakeMithril], None]) -> None:
    """Write the folder of one case."""
    case = run.__name__
    program = (STATES / "programs" / f"{case}.py").read_text()
    with tempfile.TemporaryDirectory() as root, FakeMithril(clock=Clock(HOUR, speed=0)) as cloud:
        if case == "settled":
            add_existing(cloud)
        project = Project.make(Path(root), cloud, program, name="golden", host=host)
        run(project, cloud)
        write_state(folder / case, program, project.export(), cloud)


if __name__ == "__main__":
    main()
