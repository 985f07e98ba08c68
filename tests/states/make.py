"""Write the states of this version: `cd tests && python -m states.make`, once per release, with `pulumi` on PATH.

An existing folder belongs to a released version and is not changed, as the states of its users are not.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from support.engine import Project
from support.golden import HOUR, STATES, write_state

from flow_resources.testing import Clock, FakeMithril

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


def add_existing(cloud: FakeMithril) -> None:
    """Add what the programs did not create: what they adopt, what they only read, and an SSH key."""
    cloud.add_bid("by-hand", limit_price="$20.00", instance_quantity=2)
    cloud.add_bid("theirs")
    cloud.add_volume("by-hand", size_gb=10)
    cloud.add_volume("shared")
    cloud.add_ssh_key("team", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDf0kfZ8ukZ8cUNm8l2mO0D8l0m1B2S3X4Y5Z6a7b8c9 team")


def main() -> None:
    """Write one folder per case."""
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    folder = STATES / version[1]
    if folder.exists():
        sys.exit(f"{folder} exists already: the states of a released version are not written again")
    for case, run in (("settled", settled), ("interrupted", interrupted)):
        program = (STATES / "programs" / f"{case}.py").read_text()
        with tempfile.TemporaryDirectory() as root, FakeMithril(clock=Clock(HOUR, speed=0)) as cloud:
            if case == "settled":
                add_existing(cloud)
            project = Project.make(Path(root), cloud, program, name="golden")
            run(project, cloud)
            write_state(folder / case, program, project.export(), cloud)
    print(f"wrote {folder}")  # noqa: T201 - a script


if __name__ == "__main__":
    main()
