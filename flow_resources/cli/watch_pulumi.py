"""The `pulumi` that the watch runs: one that outlives it.

The Automation API reads what `pulumi` prints from a pipe. When the watch is killed, the pipe breaks, and the engine
dies at its next line: in the middle of an operation, with its lock left behind. Here it prints into a file and has a
session of its own, so that it finishes what it does and gives its lock back; nor does a Ctrl-C meant for the watch
reach it. A second Ctrl-C, which ends the watch at once, does not kill it either.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pulumi import automation
from pulumi.automation.errors import create_command_error


class OutlivingPulumi(automation.PulumiCommand):
    """The `pulumi` on PATH."""

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: automation.OnOutput | None = None,
        on_error: automation.OnOutput | None = None,
    ) -> automation.CommandResult:
        """Run a command to its end. Raises CommandError where it fails; output is not told while it runs."""
        del on_output, on_error
        env = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        with tempfile.TemporaryDirectory(prefix="flow-resources-", ignore_cleanup_errors=True) as folder:
            paths = [Path(folder) / name for name in ("stdout", "stderr")]
            with paths[0].open("wb") as out, paths[1].open("wb") as err:
                # Neither `subprocess.run` nor `with`: the one kills it at an exception, the other waits for it then.
                process = subprocess.Popen(  # noqa: S603 - `pulumi` and the Automation API's own arguments
                    [self.command, "--non-interactive", *args], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                    stdout=out, stderr=err, start_new_session=True,
                )  # fmt: skip
                code = process.wait()
            stdout, stderr = (path.read_text(encoding="utf-8", errors="replace").rstrip() for path in paths)
        result = automation.CommandResult(stdout, stderr, code)
        if code:
            raise create_command_error(result)
        return result
