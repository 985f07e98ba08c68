"""The fault matrix: each request of an operation with each fault, generated from the requests of a run without faults.

A cell is a scenario, the number of a request in it, and a fault. The cell prepares the stack, runs the action with the
fault, recovers with one more run, and checks that the live resources are those that the program declares.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from support.jobs import end_job, live_keys
from support.keys import ed25519
from support.stack import CheckError, Declared, Stack, VerbError, cluster, job, settings_of, ssh_key, volume

from flow_resources.core import naming
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

Program = Mapping[str, Declared]
HANG_SECONDS = 0.3
"""The timeout of the client for a request that hangs, instead of the thirty seconds of the SDK."""
# A single 404 is not a fault: from the service and project that the state records, it proves absence.
FAULTS: dict[str, dict[str, Any]] = {
    "reset before": {"kind": "reset", "when": "before"},
    "reset after": {"kind": "reset", "when": "after"},
    "hang before": {"kind": "hang", "when": "before"},
    "hang after": {"kind": "hang", "when": "after"},
    "500 before": {"status": 500, "when": "before"},
    "500 after": {"status": 500, "when": "after"},
    "503 before": {"status": 503, "when": "before"},
    "504 after": {"status": 504, "when": "after"},
    "429": {"status": 429, "when": "before", "headers": {"Retry-After": "1"}},
    "truncated": {"kind": "truncate", "when": "after"},
    "malformed": {"kind": "malformed", "when": "after"},
    "401": {"status": 401, "when": "before"},
    "refused": {"kind": "refuse", "when": "before", "seconds": 0.02},
}
CRASH_POINTS: dict[str, tuple[int, Any]] = {
    "killed before the send": (0, "before"),
    "killed after acceptance": (0, "after"),
    "killed after the answer": (1, "before"),
}
"""When a process is killed: how many requests after the chosen one, and before or after the effect of that request."""
# In a row of the matrix, "after the answer" to a request is "before the send" of the next one.
CRASHES = ("killed before the send", "killed after acceptance")


class KilledError(BaseException):
    """The plugin was killed. A BaseException, so that no `except` of the verbs catches it."""


class KillableStack(Stack):
    """A stack whose engine can be killed with its plugin: results of a verb after that are lost."""

    crashed = False

    def _call(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super()._call(*arguments, **options)
        finally:
            if self.crashed:
                self.interrupted += [self.creating] if self.creating else []
                raise KilledError

    def crash(self, cloud: FakeMithril) -> None:
        """Kill both: no further request is answered."""
        self.crashed = True
        cloud.faults.add(kind="reset", when="before", times=None)


@dataclass(frozen=True)
class Scenario:
    """An action of a user, between the program before it and the program after it."""

    before: Program
    action: Callable[[Any], None]
    after: Program
    recovery: Callable[[Any], None] | None = None
    """What the user does after a failure; by default `up` with the program after it, or `destroy` if that is empty."""
    meanwhile: Callable[[FakeMithril], None] | None = None
    """What happens in the service between the program before it and the action."""


def up(program: Program) -> Callable[[Any], None]:
    """Return the action `pulumi up`."""
    return lambda stack: stack.up(program)


def force_replacement(program: Program) -> Callable[[Any], None]:
    """Return the action `pulumi up` with `--target-replace` for every resource."""
    return lambda stack: stack.up(program, force=set(program))


def refresh(stack: Any) -> None:
    """Run `pulumi refresh`."""
    stack.refresh()


def destroy(stack: Any) -> None:
    """Run `pulumi destroy`."""
    stack.destroy()


def up_with_refresh(program: Program) -> Callable[[Any], None]:
    """Return the action `pulumi up --refresh`."""
    return lambda stack: stack.up(program, refresh=True)


def end_the_job(cloud: FakeMithril) -> None:
    """End the job as its machine would, but for its key, which it did not come to revoke."""
    (bid,) = cloud.live_bids
    end_job(cloud, bid["fid"], "succeeded", revoke=False)


def is_of_a_job(bid: Mapping[str, Any]) -> bool:
    """Whether a bid is that of the job of these programs."""
    return str(bid["name"]).startswith("job-")


def is_of_the_sdk(key: Mapping[str, Any]) -> bool:
    """Whether the SDK made a key for a launch that names none: it keeps the private half, and uses it again."""
    return str(key["name"]).startswith("flow-auto-")


CREATE_FIRST = "create-first"
BASE, LARGER = {"c": cluster()}, {"c": cluster(num_instances=2)}
HIGHER_PRICE = {"c": cluster(max_price_per_hour=60.0)}
BASE_CREATE_FIRST = {"c": cluster(create_first=True)}
LARGER_CREATE_FIRST = {"c": cluster(num_instances=2, create_first=True)}
PAUSED, DATA, RENAMED = {"c": cluster(paused=True)}, {"v": volume()}, {"v": volume(volume_name="renamed")}
JOB, NEXT_JOB, HIGHER_JOB = {"job": job()}, {"job": job(triggers=[1.0])}, {"job": job(max_price_per_hour=60.0)}
JOB_CREATE_FIRST = {"job": job(create_first=True)}
NEXT_JOB_CREATE_FIRST = {"job": job(create_first=True, triggers=[1.0])}
KEY, NEXT_KEY = {"key": ssh_key(ed25519(1))}, {"key": ssh_key(ed25519(2))}
SCENARIOS: dict[str, Scenario] = {
    "create a cluster": Scenario({}, up(BASE), BASE),
    "create a paused cluster": Scenario({}, up(PAUSED), PAUSED),
    "re-price a cluster": Scenario(BASE, up(HIGHER_PRICE), HIGHER_PRICE),
    "pause a cluster": Scenario(BASE, up(PAUSED), PAUSED),
    "replace a cluster": Scenario(BASE, up(LARGER), LARGER),
    f"replace a cluster, {CREATE_FIRST}": Scenario(BASE, up(LARGER_CREATE_FIRST), LARGER_CREATE_FIRST),
    "refresh a cluster": Scenario(BASE, refresh, BASE),
    "destroy a cluster": Scenario(BASE, destroy, {}),
    "create a job": Scenario({}, up(JOB), JOB),
    "re-price a job": Scenario(JOB, up(HIGHER_JOB), HIGHER_JOB),
    "replace a job": Scenario(JOB, up(NEXT_JOB), NEXT_JOB),
    f"replace a job, {CREATE_FIRST}": Scenario(JOB_CREATE_FIRST, up(NEXT_JOB_CREATE_FIRST), NEXT_JOB_CREATE_FIRST),
    "refresh a job": Scenario(JOB, refresh, JOB),
    "destroy a job": Scenario(JOB, destroy, {}),
    "see the end of a job": Scenario(JOB, up_with_refresh(JOB), JOB, up_with_refresh(JOB), end_the_job),
    "destroy a job that ended": Scenario(JOB, destroy, {}, meanwhile=end_the_job),
    "create an SSH key": Scenario({}, up(KEY), KEY),
    "replace an SSH key": Scenario(KEY, up(NEXT_KEY), NEXT_KEY),
    "refresh an SSH key": Scenario(KEY, refresh, KEY),
    "destroy an SSH key": Scenario(KEY, destroy, {}),
    "create a volume": Scenario({}, up(DATA), DATA),
    "rename a volume": Scenario(DATA, up(RENAMED), RENAMED),
    "refresh a volume": Scenario(DATA, refresh, DATA),
    "destroy a volume": Scenario(DATA, destroy, {}),
}
LIVE_IDS: dict[str, Callable[[FakeMithril], list[str]]] = {
    "GpuCluster": lambda cloud: [bid["fid"] for bid in cloud.live_bids if not is_of_a_job(bid)],
    "Job": lambda cloud: [bid["fid"] for bid in cloud.live_bids if is_of_a_job(bid)],
    "Volume": lambda cloud: [volume["fid"] for volume in cloud.volumes],
    "SshKey": lambda cloud: [key["fid"] for key in cloud.ssh_keys if not is_of_the_sdk(key)],
}
"""Per kind of resource, the ids of those that are live."""
FORCED: dict[str, Scenario] = {
    name: Scenario(before, force_replacement(after), after, recovery=force_replacement(after))
    for name, before, after in (
        ("force a replacement", BASE, BASE),
        ("force a changed replacement", BASE, LARGER),
        (f"force a replacement, {CREATE_FIRST}", BASE_CREATE_FIRST, BASE_CREATE_FIRST),
        (f"force a changed replacement, {CREATE_FIRST}", BASE_CREATE_FIRST, LARGER_CREATE_FIRST),
    )
}
"""Replacements by `--target-replace`: the engine calls no diff and passes no olds to check. If one is interrupted after
the delete of the old resource, a plain `up` sees no difference: the same command continues, as does `up --refresh`."""


def run_row(
    monkeypatch: Any, scenario: Scenario, fault: str, idempotency: str, make_clock: Callable[[], Any]
) -> dict[str, list[str]]:
    """Run a scenario once per request, with the fault at that request; return the violations per request."""
    violations: dict[str, list[str]] = {}
    for nth in range(1, count_requests(scenario, make_clock) + 1):
        with FakeMithril(idempotency=idempotency) as cloud:
            stack = open_stack(cloud, make_clock())
            prepare(cloud, stack, scenario)
            cloud.clear_requests()
            with monkeypatch.context() as patch:
                if fault.startswith("hang"):
                    patch.setenv("FLOW_RESOURCES_HTTP_SECONDS", str(HANG_SECONDS))
                error_line = run_with_fault(cloud, stack, scenario, nth, fault)
            request = cloud.requests[min(nth, len(cloud.requests)) - 1]
            try:
                recover(stack, scenario)
                cell_violations = list(find_violations(cloud, stack, scenario))
            except VerbError as error:
                cell_violations = [f"does not recover: {error}"]
            if cell_violations:
                violations[f"request {nth}, {request.method} {request.path} ({error_line})"] = cell_violations
            close_clients()
    return violations


def count_requests(scenario: Scenario, make_clock: Callable[[], Any]) -> int:
    """Return how many requests a run of a scenario without faults sends."""
    with FakeMithril() as cloud:
        stack = open_stack(cloud, make_clock())
        requests = list_requests(cloud, scenario, stack)
        assert list(find_violations(cloud, stack, scenario)) == []
        close_clients()
    return len(requests)


def list_requests(cloud: FakeMithril, scenario: Scenario, stack: Any) -> list[str]:
    """Run a scenario without faults; return its requests, in order."""
    prepare(cloud, stack, scenario)
    cloud.clear_requests()
    scenario.action(stack)
    return [f"{request.method} {request.path}" for request in cloud.requests]


def prepare(cloud: FakeMithril, stack: Any, scenario: Scenario) -> None:
    """Bring the stack to the program that the action starts from, and let happen what happens before it."""
    if scenario.before:
        stack.up(scenario.before)
    if scenario.meanwhile:
        scenario.meanwhile(cloud)


def run_with_fault(
    cloud: FakeMithril, stack: Any, scenario: Scenario, nth: int, fault: str, method: str | None = None
) -> str | None:
    """Run the action with a fault at its nth request (of a method); return the error line of the user, if any."""
    if fault in CRASH_POINTS:
        later, when = CRASH_POINTS[fault]
        cloud.faults.add(nth=nth + later, method=method, kind="reset", when=when, then=lambda _: stack.crash(cloud))
    else:
        cloud.faults.add(nth=nth, method=method, **FAULTS[fault])
    try:
        scenario.action(stack)
    except (VerbError, CheckError) as error:
        return str(error)
    except KilledError:
        return "killed"
    finally:
        stack.crashed = False
        cloud.faults.clear()
        if fault == "refused":
            _wait_until_connections_are_accepted(cloud)
    return None


def recover(stack: Any, scenario: Scenario) -> None:
    """Run what a user runs after a failure, once."""
    if scenario.recovery:
        scenario.recovery(stack)
    elif scenario.after:
        stack.up(scenario.after)
    else:
        stack.destroy()


def find_violations(cloud: FakeMithril, stack: Any, scenario: Scenario) -> Iterator[str]:
    """Yield each difference between the program, the state and the service; then destroy, and yield what is left."""
    for kind, list_live in LIVE_IDS.items():
        live = list_live(cloud)
        ended = {name for name, saved in stack.state.items() if saved.outputs.get("__ended") == "ended"}
        declared = [name for name, one in scenario.after.items() if one.type == kind and name not in ended]
        if len(live) != len(declared):
            yield f"{len(live)} live {kind}s, {len(declared)} declared"
        recorded = [saved.id for name, saved in stack.state.items() if saved.type == kind and name not in ended]
        if sorted(recorded) != sorted(live):
            yield f"the state records {recorded}, live are {live}"
    needed = [naming.key_name_of(bid["name"], bid["project"]) for bid in cloud.live_bids if is_of_a_job(bid)]
    if (keys := live_keys(cloud)) != needed:
        yield f"live keys {keys}, the jobs that run need {needed}"
    with suppress(VerbError):
        stack.destroy()
    if keys := live_keys(cloud):
        yield f"keys left after destroy: {keys}"
    if stack.state:
        yield f"recorded after destroy: {sorted(stack.state)}"
    if orphans := [*LIVE_IDS["SshKey"](cloud), *(item["fid"] for item in (*cloud.live_bids, *cloud.volumes))]:
        yield f"left after destroy: {orphans}"


def _wait_until_connections_are_accepted(cloud: FakeMithril) -> None:
    """Wait until the server, which refused connections, accepts them: the network is back when the user retries."""
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", cloud.port)):
            return
        time.sleep(0.002)


def open_stack(cloud: FakeMithril, clock: Any) -> KillableStack:
    """Return a stack on this cloud whose clock does not really sleep."""
    return KillableStack(settings_of(cloud), clock=clock)


def close_clients() -> None:
    """Close the HTTP clients of the plugin."""
    base.current().close()
