"""A machine of a job, simulated: a disk that outlives boots, and the real end_job.py against a fake cloud.

The script runs in this process, as its own `__main__`. Its clock is the cloud's, with an error if one is given, and its
waits advance that clock, so that a life of days takes milliseconds. A machine ends between two lines of the script, as
a power cut or a kill -9 would end it: nothing of the script runs after that, and what it had written stays.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flow_resources.testing import FakeMithril

SCRIPT = Path(__file__).parents[2] / "flow_resources" / "cloud" / "machine" / "end_job.py"
RUNNING = ("Allocated", "Preempting")
IDLE_SECONDS = 6 * 3600.0
"""How long `renew` waits when it has nothing to do."""
LAST_SECONDS = 10.0
"""A machine without a bid does not live through a longer wait."""
WAITS = 300
"""More waits than ten hours without the API take."""


class PowerCutError(BaseException):
    """The machine is gone, or the process was killed: no `except` of the script catches it."""


class EndlessError(BaseException):
    """The script waits again and again for what does not come."""


class JobMachine:
    """A machine of a job's bid. Its disk is a folder."""

    def __init__(self, cloud: FakeMithril, disk: Path, job: dict[str, Any], *, text: str | None = None) -> None:
        """Install a job: `job` is what the script reads from job.json; `text` the script, by default the source."""
        self.cloud = cloud
        self.disk = disk
        self.log: list[str] = []
        """What the script printed, over all boots."""
        self.clock_error = 0.0
        """Seconds by which the machine's clock is ahead."""
        self.lines_left: int | None = None
        """How many lines of the script are run until the power is cut; None for no cut."""
        self.cut_at: float | None = None
        """When the power is cut, by the cloud's clock; None for never."""
        self.last_requests: int | None = None
        """How many requests the machine still sends when its bid holds no machine any more; None for all."""
        self.command_stops = 0
        """How often the script stopped the job's command."""
        self._waits = 0
        self._code = compile(SCRIPT.read_text() if text is None else text, "end_job.py", "exec")
        disk.mkdir(parents=True, exist_ok=True)
        self.write("job.json", job)

    # --- the disk ---

    def read(self, name: str) -> Any:
        """Return the value in a file; None without it."""
        path = self.disk / name
        return json.loads(path.read_text()) if path.exists() else None

    def write(self, name: str, value: Any) -> None:
        """Write a file."""
        (self.disk / name).write_text(json.dumps(value))

    @property
    def bids(self) -> list[dict[str, Any]]:
        """The bids of the job's name."""
        return [dict(bid) for bid in self.cloud.bids if bid["name"] == self.read("job.json")["task_name"]]

    @property
    def is_on(self) -> bool:
        """Whether the machine's bid holds machines."""
        return any(bid["status"] in RUNNING for bid in self.bids)

    # --- what runs on it ---

    def command_ends(self, code: int) -> bool:
        """Let the job's command end by itself with this exit code; return whether the script was run to its end."""
        return self.run("exited", str(code))

    def boot(self) -> bool:
        """Boot with the disk as it is: a job that has ended is reported. Return whether the script ran to its end."""
        return self.run("report") if self.read("job-exit") else True

    def run(self, *arguments: str) -> bool:
        """Run the script; return False where the power was cut, and True where it ended, or waits for the next renewal.

        Raises EndlessError where it waits without end.
        """
        self._waits = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # a power cut closes no files
            try:
                with self._as_its_own_process(arguments):
                    exec(self._code, {"__name__": "__main__", "__builtins__": self._builtins()})
            except PowerCutError:
                return False
            except _IdleError:
                return True
            except SystemExit as end:
                return not end.code
        return True

    @contextmanager
    def _as_its_own_process(self, arguments: tuple[str, ...]) -> Iterator[None]:
        before = (sys.argv, Path.cwd(), os.environ.get("FLOW_COMMAND_DIR"), sys.gettrace(), os.umask(0o022))
        sys.argv = ["end_job.py", *arguments]
        os.environ["FLOW_COMMAND_DIR"] = str(self.disk)
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(before[3])
            sys.argv = before[0]
            os.chdir(before[1])
            os.umask(before[4])
            if before[2] is None:
                del os.environ["FLOW_COMMAND_DIR"]
            else:
                os.environ["FLOW_COMMAND_DIR"] = before[2]

    def _builtins(self) -> dict[str, Any]:
        """Return the built-in functions of the script: `import time` and `import os` give it this machine's."""
        clock = {**vars(time), "time": lambda: self.cloud.clock.now() + self.clock_error, "sleep": self._sleep}
        system = {**vars(os), "system": self._stop_command}
        modules = {"time": types.SimpleNamespace(**clock), "os": types.SimpleNamespace(**system)}

        def import_module(name: str, *rest: Any) -> Any:
            return modules.get(name) or builtins.__import__(name, *rest)

        return {**vars(builtins), "__import__": import_module, "print": self._print}

    def _sleep(self, seconds: float) -> None:
        if seconds >= IDLE_SECONDS:
            raise _IdleError
        clock = self.cloud.clock
        self._waits += 1
        if self._waits > WAITS:
            raise EndlessError(self.log[-1])
        if self.cut_at is not None and clock.now() + seconds >= self.cut_at:
            clock.advance(max(0.0, self.cut_at - clock.now()))
            raise PowerCutError
        clock.advance(seconds)
        if self.last_requests is not None and seconds > LAST_SECONDS and not self.is_on:
            raise PowerCutError

    def _print(self, *words: object, **_options: Any) -> None:
        """Note a line of the log. The script writes one after each request: there a machine without a bid ends."""
        self.log.append(" ".join(map(str, words)))
        if self.last_requests is not None and not self.is_on:
            self.last_requests -= 1
            if self.last_requests < 0:
                raise PowerCutError

    def _stop_command(self, command: str) -> int:
        assert "systemctl stop flow-command" in command
        self.command_stops += 1
        return 0

    def _trace(self, frame: types.FrameType, event: str, _argument: Any) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != "end_job.py":
            return None
        if event == "line" and self.lines_left is not None:
            self.lines_left -= 1
            if self.lines_left < 0:
                raise PowerCutError
        return self._trace


class _IdleError(BaseException):
    """The script waits for the next renewal."""
