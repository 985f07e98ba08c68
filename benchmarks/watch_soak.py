"""A soak of `flow-resources watch`: many clusters, an hour of rounds a minute apart, run back to back.

`python benchmarks/watch_soak.py [--clusters 100] [--rounds 60]` with `pulumi` on PATH. Every fifth round three clusters
are preempted, and healed by `on_preemption="replace"`. Printed: resident memory, threads and open files of the watch's
own process after the first rounds and at the end. The engine is a process of its own in each round.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from support.engine import Project  # noqa: E402

from flow_resources.testing import FakeMithril  # noqa: E402

PROGRAM = """
    from flow_resources import GpuCluster

    for number in range({clusters}):
        GpuCluster(f"worker-{{number}}", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
                   wait_for="placed", on_preemption="replace")
"""
EVERY, LOST, SETTLED = 5, 3, 5


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root, FakeMithril() as cloud:
        project = Project.make(Path(root), cloud, PROGRAM.format(clusters=arguments.clusters))
        project.up("-p", "64").ok()
        soak(project, cloud, arguments.rounds)


def soak(project: Project, cloud: FakeMithril, rounds: int) -> None:
    """Watch, preempt and measure."""
    seed = random.Random(15)  # noqa: S311 - a story, no secret
    command = [
        sys.executable, "-m", "flow_resources.cli", "watch",
        "--heal", "--json", "--interval", "1", "--max-heals-per-hour", "999999",
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=project.folder, env=project.env, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    measures: list[tuple[int, int, int]] = []
    healed, requests, began = 0, len(cloud.requests), time.monotonic()
    for line in process.stdout:
        event = json.loads(line)["event"]
        healed += event == "healed"
        if event in ("heal_failed", "unreachable"):
            print(line, end="")
        if event != "looked":
            continue
        measures.append(measure(process.pid))
        if len(measures) % EVERY == 0:
            live = [bid["fid"] for bid in cloud.live_bids if bid["status"] == "Allocated"]
            for bid in seed.sample(live, LOST):
                cloud.preempt(bid)
        print(len(measures), *measures[-1], f"{time.monotonic() - began:.0f} s", file=sys.stderr)
        if len(measures) == rounds:
            break
    process.send_signal(signal.SIGTERM)
    process.stdout.read()
    code = process.wait()
    print(f"rounds {rounds}, healed {healed}, live {len(cloud.live_bids)}, exit code {code}")
    print(f"requests a round {(len(cloud.requests) - requests) / rounds:.1f}, {time.monotonic() - began:.0f} s in all")
    for name, column in (("memory MB", 0), ("threads", 1), ("open files", 2)):
        values = [one[column] for one in measures]
        first = values[min(SETTLED, rounds) - 1]
        print(f"{name}: {first} after {SETTLED} rounds, {values[-1]} at the end, {max(values)} at most")


def measure(pid: int) -> tuple[int, int, int]:
    """Return resident memory in MB, threads, and open files of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident, threads = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmRSS", "Threads"))  # type: ignore[index]
    return resident // 1024, threads, len(list(Path(f"/proc/{pid}/fd").iterdir()))


if __name__ == "__main__":
    main()
