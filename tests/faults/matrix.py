"""The fault matrix: every call of a verb, and everything that can go wrong with it, made from what a clean run asks.

A cell is a scenario, the number of a call in it and a fault. It sets the scene, does the deed with the fault in its
way, recovers with one more run, and is then asked whether what is live is what the program declares.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from support.stack import CheckError, Declared, Stack, VerbError, cluster, settings_of, volume

from flow_resources.providers import base
from flow_resources.testing import FakeMithril

Program = Mapping[str, Declared]
HANG_SECONDS = 0.3
"""What a client waits for an answer where one hangs; the SDK's own thirty seconds are not waited for."""
# A single 404 is not among them: from the service and project that the state records it is proof, not a fault.
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
MOMENTS: dict[str, tuple[int, Any]] = {
    "killed before the send": (0, "before"),
    "killed after acceptance": (0, "after"),
    "killed after the answer": (1, "before"),
}
"""When a process dies: how many calls after the one that is meant, and on which side of its effect."""
# Where every call is struck, "after the answer" of one is "before the send" of the next.
CRASHES = ("killed before the send", "killed after acceptance")


class KilledError(BaseException):
    """The plugin is dead: no `except` of the verbs sees it."""


class MortalStack(Stack):
    """A stack whose plugin can be killed: what a verb returns after that reaches nobody."""

    dead = False

    def _call(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super()._call(*arguments, **options)
        finally:
            if self.dead:
                raise KilledError

    def die(self, cloud: FakeMithril) -> None:
        """Die now: no call of this plugin is answered any more."""
        self.dead = True
        cloud.faults.add(kind="reset", when="before", times=None)


@dataclass(frozen=True)
class Scenario:
    """A deed of a user, from a scene that went well to what the program says in the end."""

    before: Program
    deed: Callable[[Any], None]
    after: Program
    again: Callable[[Any], None] | None = None
    """What the user does when it went wrong; by default an `up`, or a `destroy`, to what is there after it."""


def up(program: Program) -> Callable[[Any], None]:
    """Return the deed `pulumi up`."""
    return lambda stack: stack.up(program)


def force(program: Program) -> Callable[[Any], None]:
    """Return the deed `pulumi up` with `--target-replace` for every resource."""
    return lambda stack: stack.up(program, force=set(program))


def refresh(stack: Any) -> None:
    """Do `pulumi refresh`."""
    stack.refresh()


def destroy(stack: Any) -> None:
    """Do `pulumi destroy`."""
    stack.destroy()


ONE, DEARER, LARGER = {"c": cluster()}, {"c": cluster(max_price_per_hour=60.0)}, {"c": cluster(num_instances=2)}
SIDE_BY_SIDE = {"c": cluster(num_instances=2, create_first=True)}
PAUSED, DATA, RENAMED = {"c": cluster(paused=True)}, {"v": volume()}, {"v": volume(volume_name="renamed")}
SCENARIOS: dict[str, Scenario] = {
    "create a cluster": Scenario({}, up(ONE), ONE),
    "create a paused cluster": Scenario({}, up(PAUSED), PAUSED),
    "re-price a cluster": Scenario(ONE, up(DEARER), DEARER),
    "pause a cluster": Scenario(ONE, up(PAUSED), PAUSED),
    "replace a cluster": Scenario(ONE, up(LARGER), LARGER),
    "replace a cluster, the new one first": Scenario(ONE, up(SIDE_BY_SIDE), SIDE_BY_SIDE),
    "refresh a cluster": Scenario(ONE, refresh, ONE),
    "destroy a cluster": Scenario(ONE, destroy, {}),
    "create a volume": Scenario({}, up(DATA), DATA),
    "rename a volume": Scenario(DATA, up(RENAMED), RENAMED),
    "refresh a volume": Scenario(DATA, refresh, DATA),
    "destroy a volume": Scenario(DATA, destroy, {}),
}
LIVE: dict[str, Callable[[FakeMithril], list[str]]] = {
    "GpuCluster": lambda cloud: [bid["fid"] for bid in cloud.live_bids],
    "Volume": lambda cloud: [volume["fid"] for volume in cloud.volumes],
}
"""By kind of resource, the ids of what is live."""
NEW_FIRST = "the new one first"
ONE_SIDE_BY_SIDE = {"c": cluster(create_first=True)}
FORCED: dict[str, Scenario] = {
    name: Scenario(before, force(after), after, again=force(after))
    for name, before, after in (
        ("force a replacement", ONE, ONE),
        ("force a changed replacement", ONE, LARGER),
        (f"force a replacement, {NEW_FIRST}", ONE_SIDE_BY_SIDE, ONE_SIDE_BY_SIDE),
        (f"force a changed replacement, {NEW_FIRST}", ONE_SIDE_BY_SIDE, SIDE_BY_SIDE),
    )
}
"""Replacements by `--target-replace`, where the engine asks no diff and shows check no olds. When one is cut off after
the old one has ended, a plain `up` sees no difference: the same command goes on, as does `up --refresh`."""


def run_row(
    monkeypatch: Any, scenario: Scenario, fault: str, idempotency: str, make_clock: Callable[[], Any]
) -> dict[str, list[str]]:
    """Strike every call of a scenario with a fault, one after the other; return what is wrong after which."""
    found: dict[str, list[str]] = {}
    for nth in range(1, count_calls(scenario, make_clock) + 1):
        with FakeMithril(idempotency=idempotency) as cloud:
            stack = open_stack(cloud, make_clock())
            set_the_scene(stack, scenario)
            cloud.clear_requests()
            with monkeypatch.context() as patch:
                if fault.startswith("hang"):
                    patch.setenv("FLOW_RESOURCES_HTTP_SECONDS", str(HANG_SECONDS))
                said = suffer(cloud, stack, scenario, nth, fault)
            struck = cloud.requests[min(nth, len(cloud.requests)) - 1]
            try:
                recover(stack, scenario)
                wrong = list(wrongs(cloud, stack, scenario))
            except VerbError as error:
                wrong = [f"does not recover: {error}"]
            if wrong:
                found[f"call {nth}, {struck.method} {struck.path} ({said})"] = wrong
            close_stack()
    return found


def count_calls(scenario: Scenario, make_clock: Callable[[], Any]) -> int:
    """Return how many calls a clean run of a scenario makes."""
    with FakeMithril() as cloud:
        stack = open_stack(cloud, make_clock())
        requests = calls(cloud, scenario, stack)
        assert list(wrongs(cloud, stack, scenario)) == []
        close_stack()
    return len(requests)


def calls(cloud: FakeMithril, scenario: Scenario, stack: Any) -> list[str]:
    """Return what a clean run asks, call by call."""
    set_the_scene(stack, scenario)
    cloud.clear_requests()
    scenario.deed(stack)
    return [f"{one.method} {one.path}" for one in cloud.requests]


def set_the_scene(stack: Any, scenario: Scenario) -> None:
    """Bring about what the deed begins with."""
    if scenario.before:
        stack.up(scenario.before)


def suffer(
    cloud: FakeMithril, stack: Any, scenario: Scenario, nth: int, fault: str, method: str | None = None
) -> str | None:
    """Do the deed with a fault at its nth call (of a method); return the line that the user reads, if it failed."""
    if fault in MOMENTS:
        later, when = MOMENTS[fault]
        cloud.faults.add(nth=nth + later, method=method, kind="reset", when=when, then=lambda _: stack.die(cloud))
    else:
        cloud.faults.add(nth=nth, method=method, **FAULTS[fault])
    try:
        scenario.deed(stack)
    except (VerbError, CheckError) as error:
        return str(error)
    except KilledError:
        return "killed"
    finally:
        stack.dead = False
        cloud.faults.clear()
        if fault == "refused":
            _wait_for_the_door(cloud)
    return None


def recover(stack: Any, scenario: Scenario) -> None:
    """Do what a user does next, once: the same again."""
    if scenario.again:
        scenario.again(stack)
    elif scenario.after:
        stack.up(scenario.after)
    else:
        stack.destroy()


def wrongs(cloud: FakeMithril, stack: Any, scenario: Scenario) -> Iterator[str]:
    """Yield what is not as it must be: orphans, doubles, and a state that lies."""
    for kind, live in LIVE.items():
        found = live(cloud)
        declared = [name for name, one in scenario.after.items() if one.type == kind]
        if len(found) != len(declared):
            yield f"{len(found)} live {kind}s, {len(declared)} declared"
        recorded = [one.id for one in stack.state.values() if one.type == kind]
        if sorted(recorded) != sorted(found):
            yield f"the state records {recorded}, live are {found}"
    with suppress(VerbError):
        stack.destroy()
    if stack.state:
        yield f"recorded after destroy: {sorted(stack.state)}"
    if cloud.live_bids or cloud.volumes:
        yield f"left after destroy: {[bid['fid'] for bid in cloud.live_bids]} {[one['fid'] for one in cloud.volumes]}"


def _wait_for_the_door(cloud: FakeMithril) -> None:
    """Wait until a server that refused connections accepts them: the network is back when the user tries again."""
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", cloud.port)):
            return
        time.sleep(0.002)


def open_stack(cloud: FakeMithril, clock: Any) -> MortalStack:
    """Return a stack on this cloud, with a time that nobody waits for."""
    return MortalStack(settings_of(cloud), clock=clock)


def close_stack() -> None:
    """Let the clients of the plugin go."""
    base.current().close()
