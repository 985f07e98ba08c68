"""What else there is: bare `flow.run` in the program, and Terraform's `terraform_data` at equal N."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import programs
from stacks import SAVED_ONCE, WITH_PREVIEW, Package, stack

Rows = list[dict[str, Any]]


def flow_run(packages: Sequence[Package], sizes: Sequence[int]) -> Rows:
    """Count what a program with bare `flow.run` rents in two runs of `pulumi up`, and what ours does (P14)."""
    programs_by_label = [("flow.run", programs.BARE, packages[-1])]
    programs_by_label += [(one.label, programs.OURS, one) for one in packages]
    rows = []
    for size in sizes:
        for label, program, package in programs_by_label:
            with stack(program, size, package) as one:
                for number in ("first", "second"):
                    before = len(one.cloud.bids)
                    # With its preview, as people run it: the program runs twice, and so does what it calls.
                    run = one.command(*WITH_PREVIEW)
                    bids = len(one.cloud.bids) - before
                    rows.append({
                        "N": size, "program": label, "run": number,
                        "seconds": round(run.seconds, 1), "requests": run.requests, "bids": bids,
                    })  # fmt: skip
    return rows


def flow_run_once(sizes: Sequence[int]) -> Rows:
    """Time one run of a program with bare `flow.run`, without a preview, for the chart."""
    rows = []
    for size in sizes:
        with stack(programs.BARE, size, **SAVED_ONCE) as one:
            rows.append({"N": size, "up_s": round(one.run("up").seconds, 2), "requests": len(one.cloud.requests)})
    return rows


def terraform(sizes: Sequence[int]) -> Rows:
    """Time `terraform_data` at equal N (P15), where `terraform` is on PATH; it needs no provider and no network."""
    binary = shutil.which("terraform")
    return [row for size in sizes for row in _terraform_data(binary, size)] if binary else []


def _terraform_data(binary: str, size: int) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.tf").write_text(programs.TERRAFORM % size)
        settings = Path(folder) / "terraformrc"
        settings.write_text("")
        env = {**os.environ, "TF_CLI_CONFIG_FILE": str(settings), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}

        def run(*arguments: str) -> float:
            began = time.perf_counter()
            command = [binary, *arguments, "-no-color"]
            done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return round(time.perf_counter() - began, 2)

        run("init", "-input=false")
        at_once = "-parallelism=64"
        row = {
            "N": size,
            "plan_s": run("plan", "-input=false", at_once),
            "apply_s": run("apply", "-auto-approve", at_once),
            "apply_again_s": run("apply", "-auto-approve", at_once),
            "refresh_s": run("apply", "-refresh-only", "-auto-approve", at_once),
            "destroy_s": run("destroy", "-auto-approve", at_once),
        }
    return [row]
