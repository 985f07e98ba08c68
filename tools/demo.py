"""`make demo`: what a user does with a cluster, from `preview` to `destroy`, on a fake cloud in this process.

Nothing of the user's is touched: Pulumi's home, backend and stack, the SDK's folder and a copy of the example live in
one temporary folder, and whatever runs is of one session; both are gone at the end, however it ends. After every step
the fake is asked whether it is true.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flow_resources import testing  # what is in it is imported when it is used: after the signals are in our hands

if TYPE_CHECKING:
    from flow_resources.testing import FakeMithril

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "02-volumes"
MACHINES, VOLUMES, MARKET, BOOT_SECONDS = 4, 2, 12.0, 4.0
STEPS = 8
COMMAND, HERE = "python3 /data/train.py --checkpoint /data/model.ckpt", "    num_instances=4,\n"
# The example exports what another program needs; a spectator also wants to see how the cluster is.
STATUS = 'pulumi.export("status", cluster.status)\n'
CONSOLE = sys.stdout.isatty()
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
THE_END = """
Nothing is left running: no bid, no machine, no volume. The same program on the real service, from this folder:
    eval "$(make -s env)"
    export MITHRIL_API_KEY=...      # or: pulumi config set --secret flow:apiKey
    pulumi up
"""


class Wrong(Exception):  # noqa: N818 - the verdict of the demo
    """Something is not as the demo says that it is."""


def main() -> int:
    """Run the demo; return the exit code."""
    for number in SIGNALS:
        signal.signal(number, stopping.now)
    if not shutil.which("pulumi"):
        print("demo: there is no `pulumi` on PATH: `make demo` puts one there", file=sys.stderr)
        return 1
    try:
        with stage() as folder, testing.FakeMithril(boot_seconds=BOOT_SECONDS) as mithril:
            mithril.set_price("8xa100", "us-central5-a", MARKET)
            Demo(folder, mithril).run()
    except Wrong as wrong:
        print(f"\ndemo: {wrong}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `make demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    print(THE_END.rstrip(), flush=True)
    return 0


class Demo:
    """The steps, in order."""

    def __init__(self, folder: Path, mithril: FakeMithril) -> None:
        self.mithril = mithril
        self.project = folder / "flow-volumes"
        self.program = self.project / "__main__.py"
        self.environment = environment(folder, mithril)
        self.done = 0
        shutil.copytree(EXAMPLE, self.project, ignore=shutil.ignore_patterns("Pulumi.*.yaml", "__pycache__"))
        # The example runs nothing; what comes back after a preemption is best seen where something runs.
        self.program.write_text(self.program.read_text().replace(HERE, f'{HERE}    command="{COMMAND}",\n') + STATUS)

    def run(self) -> None:
        """Rent, look, re-price, lose, get back, give back."""
        mithril = self.mithril
        self.headline(
            f"A stack on a fake Mithril, where an 8xa100 costs ${MARKET:.2f}/h and boots for {BOOT_SECONDS:.0f} s"
        )
        print(f"Watch it in a browser while it runs: {mithril.url}")
        self.pulumi("stack", "init", "demo")

        self.headline("Look before you rent: a preview rents nothing")
        self.pulumi("preview")
        self.true(not mithril.mutations, f"the preview changed something: {mithril.mutations}")

        self.headline("Rent two volumes and four machines, with a bid of $50.00")
        self.pulumi("up", "--yes")
        bid = self.only_bid("$50.00")
        self.true(len(mithril.volumes) == VOLUMES, f"there are {len(mithril.volumes)} volumes instead of {VOLUMES}")

        self.headline("What the program exports")
        self.pulumi("stack", "output")

        self.headline("Raise the bid to $60.00 in the program: in place, nothing restarts")
        before, text = "max_price_per_hour=50.0", self.program.read_text()
        self.true(text.count(before) == 1, f"{self.program} does not say {before} once")
        self.program.write_text(text.replace(before, "max_price_per_hour=60.0"))
        self.pulumi("up", "--yes")
        self.true(self.only_bid("$60.00") == bid, "the cluster was replaced instead of re-priced")

        self.headline("The machines are preempted: a refresh sees it, and keeps the bid in the auction")
        mithril.preempt(bid)
        self.refresh("preempted")

        self.headline("The bid wins again: the machines boot from the disks that they had, and the command runs again")
        mithril.release(bid)
        self.wait_for_machines()
        printed = self.refresh("running")
        self.true("now 4/4 machines running: the command runs again" in printed, "the row does not say what runs again")
        boots = mithril.boots(bid)
        for boot in boots[::MACHINES]:
            print(f"boot {boot['number']} of the first machine: {', '.join(boot['runs']) or 'nothing'} runs")
        self.true(len(boots) == 2 * MACHINES and all(boot["runs"] for boot in boots), f"not all boots run it: {boots}")

        self.headline("Give everything back")
        self.pulumi("destroy", "--yes")
        left = [f"bid {one['fid']}" for one in mithril.live_bids] + [f"volume {one['fid']}" for one in mithril.volumes]
        self.true(not left, f"left running after destroy: {', '.join(left)}")

    def headline(self, text: str) -> None:
        """Say what comes."""
        self.done += 1
        bold, plain = ("\033[1m", "\033[0m") if CONSOLE else ("", "")
        print(f"\n{bold}[{self.done}/{STEPS}] {text}{plain}", flush=True)

    def refresh(self, status: str) -> str:
        """Refresh, show the status that the program exports, hold it against what it must be; return the rows."""
        printed = self.pulumi("refresh", "--yes", "--run-program")
        seen = self.pulumi("stack", "output", "status").strip()
        self.true(seen == status, f"the status is {seen!r}, it should be {status!r}")
        return printed

    def wait_for_machines(self) -> None:
        """Wait until the fake's machines have booted."""
        limit = time.monotonic() + 10 * BOOT_SECONDS
        while sum(machine["status"] == "STATUS_RUNNING" for machine in self.mithril.instances) < MACHINES:
            self.true(time.monotonic() < limit, "the machines did not come back")
            time.sleep(0.2)

    def only_bid(self, price: str) -> str:
        """Return the id of the one live bid, which is for four machines at `price`."""
        live = [(bid["limit_price"], bid["instance_quantity"]) for bid in self.mithril.live_bids]
        self.true(live == [(price, MACHINES)], f"the live bids are {live}, not one for {MACHINES} machines at {price}")
        return str(self.mithril.live_bids[0]["fid"])

    def true(self, what: bool, otherwise: str) -> None:
        """Go on only if it is true."""
        if not what:
            raise Wrong(otherwise)

    def pulumi(self, *arguments: str) -> str:
        """Run `pulumi` before the user's eyes; return what it printed."""
        print(f"$ pulumi {' '.join(arguments)}", flush=True)
        command = ["pulumi", *arguments, *([] if CONSOLE else ["--non-interactive"])]
        code, printed = run_shown(command, self.project, self.environment)
        self.true(code == 0, f"`pulumi {' '.join(arguments)}` failed with exit code {code}")
        return printed


def environment(folder: Path, mithril: FakeMithril) -> dict[str, str]:
    """Return an environment in which nothing of the user's Pulumi, Flow and Mithril is seen."""
    foreign = ("PULUMI_", "FLOW_", "MITHRIL_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    for name in ("pulumi", "state", "flow", "tmp"):
        (folder / name).mkdir()
    own |= {
        "PULUMI_HOME": str(folder / "pulumi"),
        "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "demo",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        # Else the engine looks for the plugin of pulumi-pulumiservice, a development dependency: 4 s per run offline.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "FLOW_DIR": str(folder / "flow"),
        "TMPDIR": str(folder / "tmp"),
        "NO_PROXY": ",".join(filter(None, ("127.0.0.1", os.environ.get("NO_PROXY")))),
    }
    return own | mithril.environment


@contextlib.contextmanager
def stage() -> Iterator[Path]:
    """Lend a temporary folder; at the end stop what still runs and remove it, undisturbed by a second Ctrl-C."""
    folder = Path(tempfile.mkdtemp(prefix="flow-resources-demo-"))
    try:
        yield folder
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for leader in sessions:
            end_session(leader)
        shutil.rmtree(folder, ignore_errors=True)


def run_shown(command: list[str], folder: Path, env: dict[str, str]) -> tuple[int, str]:
    """Run a command in a session of its own and pass on what it prints; return its exit code and the text.

    On a terminal it gets a terminal, so that it draws its live rows, but not ours: Ctrl-C stays with us.
    """
    ours, theirs = pty.openpty() if CONSOLE else os.pipe()
    if CONSOLE:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8)))
    with stopping.later():
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=theirs if CONSOLE else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        sessions.append(process.pid)
    os.close(theirs)
    printed = b""
    while data := _read(ours):
        printed += data
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    os.close(ours)
    return process.wait(), printed.decode(errors="replace")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # a terminal whose other end is shut
        return b""


def end_session(leader: int) -> None:
    """Kill whatever is left of a session: Pulumi puts each plugin into a process group of its own."""
    for _ in range(50):  # what is still listed then is dead, and nobody has picked it up
        members = [pid for pid in _processes() if _session(pid) == leader]
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(leader, os.WNOHANG)
        if not members:
            return
        time.sleep(0.05)


def _processes() -> list[int]:
    if Path("/proc/self").exists():
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    listing = subprocess.run(["ps", "-A", "-o", "pid="], check=True, capture_output=True, text=True)
    return [int(pid) for pid in listing.stdout.split()]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


class Stopping:
    """Ends the demo on a signal, but never between the start of a process and the moment that we know of it."""

    def __init__(self) -> None:
        self.waiting = False
        self.came: int | None = None

    def now(self, number: int, _frame: object = None) -> None:
        """Unwind, so that everything is cleaned up."""
        self.came = number
        if not self.waiting:
            cursor = "\033[0m\033[?25h" if CONSOLE else ""  # Pulumi hides it while it draws
            print(f"{cursor}\ndemo: stopped, cleaning up", file=sys.stderr, flush=True)
            sys.exit(128 + number)

    @contextlib.contextmanager
    def later(self) -> Iterator[None]:
        """Hold a signal back until the block is done."""
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False
            if self.came is not None:
                self.now(self.came)


sessions: list[int] = []
stopping = Stopping()

if __name__ == "__main__":
    sys.exit(main())
