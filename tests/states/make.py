"""Write down the states of this version: `cd tests && python -m states.make`, once a release, with `pulumi` on PATH.

A folder that is there already is of a version that was released, and is left as it is: what users' states hold does
not change after the fact.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from support.engine import Project
from support.golden import HOUR, STATES, keep

from flow_resources.testing import Clock, FakeMithril

ROOT = Path(__file__).parents[2]


def settled(project: Project, cloud: FakeMithril) -> None:
    """Bring about what the program says."""
    project.up().ok()


def interrupted(project: Project, cloud: FakeMithril) -> None:
    """Let one bid wait until its time is over, and let the end of the other's predecessor be refused."""
    project.edit("sleep 2", "sleep 1")
    project.up().failed()
    project.edit("sleep 1", "sleep 2")
    cloud.faults.add(method="DELETE", status=500, times=None)
    project.up("--continue-on-error").failed()
    assert len(cloud.live_bids) == 3


def furnish(cloud: FakeMithril) -> None:
    """Add what the programs did not make: what they adopt, what they only read, and a key."""
    cloud.add_bid("by-hand", limit_price="$20.00", instance_quantity=2)
    cloud.add_bid("theirs")
    cloud.add_volume("by-hand", size_gb=10)
    cloud.add_volume("shared")
    cloud.add_ssh_key("team", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDf0kfZ8ukZ8cUNm8l2mO0D8l0m1B2S3X4Y5Z6a7b8c9 team")


def main() -> None:
    """Write one folder a case."""
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    folder = STATES / version[1]
    if folder.exists():
        sys.exit(f"{folder} is there already: states of a released version are never written anew")
    for case, bring_about in (("settled", settled), ("interrupted", interrupted)):
        program = (STATES / "programs" / f"{case}.py").read_text()
        with tempfile.TemporaryDirectory() as root, FakeMithril(clock=Clock(HOUR, speed=0)) as cloud:
            if case == "settled":
                furnish(cloud)
            project = Project.make(Path(root), cloud, program, name="golden")
            bring_about(project, cloud)
            keep(folder / case, program, project.export(), cloud)
    print(f"wrote {folder}")  # noqa: T201 - a script


if __name__ == "__main__":
    main()
