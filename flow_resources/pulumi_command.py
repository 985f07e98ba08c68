"""The `pulumi` on PATH, as this package runs it: one that outlives who runs it, and that does not hang in a reading.

The Automation API reads what `pulumi` prints from a pipe. When its process is killed, the pipe breaks, and the engine
dies at its next line: in the middle of an operation, with its lock left behind. Here it prints into a file and has a
session of its own, so that it finishes what it does and gives its lock back; nor does a Ctrl-C meant for the watch
reach it. A second Ctrl-C, which ends the watch at once, does not kill it either.

What only reads takes no lock, and is killed where it does not end: a backend can accept a connection and never answer.
What changes a stack is never killed.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pulumi import automation
from pulumi.automation.errors import create_command_error

PREVIEW_SECONDS, READING_SECONDS = 900.0, 120.0
"""How long a preview, which runs the program, and what only asks the backend may take."""
_READING = ({"config"}, {"whoami"}, *({"stack", word} for word in ("ls", "export", "history", "output")))
_GRACE_SECONDS = 5.0


class PulumiCommand(automation.PulumiCommand):
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
        limit = _seconds_for(args)
        with tempfile.TemporaryDirectory(prefix="flow-resources-", ignore_cleanup_errors=True) as folder:
            paths = [Path(folder) / name for name in ("stdout", "stderr")]
            with paths[0].open("wb") as out, paths[1].open("wb") as err:
                # Neither `subprocess.run` nor `with`: the one kills it at an exception, the other waits for it then.
                process = subprocess.Popen(  # noqa: S603 - `pulumi` and the Automation API's own arguments
                    [self.command, "--non-interactive", *args], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                    stdout=out, stderr=err, start_new_session=True,
                )  # fmt: skip
                code = _wait(process, limit)
            stdout, stderr = (path.read_text(encoding="utf-8", errors="replace").rstrip() for path in paths)
        if code is None:
            code, stderr = 1, f"error: `pulumi {args[0]}` did not end within {limit:g} s"
        result = automation.CommandResult(stdout, stderr, code)
        if code:
            raise create_command_error(result)
        return result


def _seconds_for(args: Sequence[str]) -> float:
    """Return how long a command may take; infinite for what may change a stack."""
    if args[:1] == ["preview"]:
        return PREVIEW_SECONDS
    is_reading = any(set(args[: len(words)]) == words for words in _READING) and not _writes_config(args)
    return READING_SECONDS if is_reading else math.inf


def _writes_config(args: Sequence[str]) -> bool:
    return args[:1] == ["config"] and any(word in args for word in ("set", "set-all", "rm", "rm-all", "refresh"))


def _wait(process: subprocess.Popen[bytes], limit: float) -> int | None:
    """Wait for a process and return its exit code; kill it, with what it has started, at the limit and return None."""
    try:
        return process.wait(None if limit == math.inf else limit)
    except subprocess.TimeoutExpired:
        for one in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, one)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
        return None
