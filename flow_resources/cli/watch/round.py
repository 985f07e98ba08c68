"""The rounds of the watch: look at each stack, tell what happened, record it, heal what a policy heals.

The engine is behind `WatchedStack`, and time behind `Clock`, so that rounds are tested without either. One thing is
done at a time; between two of them `is_stopping` is asked. Nothing is kept but what was seen last: after a kill the
next watch compares with the state, and what was done for a preemption stands there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flow_resources.cli.watch.events import Event, Kind, changes
from flow_resources.cli.watch.heal import IsPolicyAlone, Refusal, candidates, fleets_of, moves_on, pending, refusals
from flow_resources.cli.watch.look import Cluster, Look, Step, logical_name, names
from flow_resources.cli.watch.pace import HOUR, BackOff, heal_message, heals_within
from flow_resources.cli.watch.stack import StackBusyError, StackUnreachableError, WatchedStack, plan_file
from flow_resources.clock import Clock
from flow_resources.core.placements import MAX_WAIT
from flow_resources.core.preemption import is_policy_alone, read_record

LOOKED, FAILED, WAITING = 0, 1, 3
"""Exit codes."""
_PATIENCE_SECONDS = 300.0
"""How long `--once` waits for a stack that is locked."""
_TRIES = 3
"""How often a heal is planned anew in one round when the world has changed meanwhile."""


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for."""

    heal: bool = False
    apply_all: bool = False
    max_heals_per_hour: int = 20
    interval: float = 60.0
    once: bool = False


@dataclass
class _Memory:
    """What is kept of a stack between two rounds."""

    live: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)
    look: Look | None = None
    left: set[tuple[str, str, str]] = field(default_factory=set)
    """Why preempted clusters were left alone, so that it is told once, until they run."""
    edits: set[tuple[str, str, str]] = field(default_factory=set)
    """What else was left alone, so that it is told once, until it is gone."""
    is_unreachable: bool = False
    is_waiting_for_stack: bool = False
    has_failed: bool = False
    """In its last round."""
    has_healed: bool = False
    """In its last round."""


class Watch:
    """Watches some stacks."""

    def __init__(
        self,
        stacks: Sequence[WatchedStack],
        wishes: Wishes,
        tell: Callable[[WatchedStack, Event], None],
        clock: Clock,
        is_stopping: Callable[[], bool] = lambda: False,
        is_alone: IsPolicyAlone = is_policy_alone,
    ) -> None:
        self._stacks, self._wishes, self._clock = stacks, wishes, clock
        self._tell, self._is_stopping, self._is_alone = tell, is_stopping, is_alone
        self._memories = {stack.name: _Memory() for stack in stacks}
        self._looks, self._heals = BackOff(wishes.interval), BackOff(wishes.interval)

    def round(self) -> None:
        """Look at each stack that is due, and do what is to be done."""
        for stack in self._stacks:
            if self._is_stopping():
                self._memories[stack.name].has_failed = True  # it was not looked at
            elif self._looks.is_due(stack.name, self._clock.now()):
                self._visit(stack, self._memories[stack.name])

    def looks(self) -> Iterator[tuple[WatchedStack, Look | None]]:
        """Yield each stack with what was seen of it last; None where nothing was."""
        return ((stack, self._memories[stack.name].look) for stack in self._stacks)

    @property
    def code(self) -> int:
        """The exit code after the last round."""
        memories = self._memories.values()
        if any(memory.has_failed for memory in memories):
            return FAILED
        waits = (self._waits(one) for memory in memories for one in (memory.look.clusters if memory.look else ()))
        return WAITING if any(waits) else LOOKED

    def _waits(self, cluster: Cluster) -> bool:
        """Whether a cluster waits, and no policy has acted for it."""
        if not cluster.is_waiting:
            return False
        if not self._wishes.heal:
            return True
        record = read_record(cluster.inputs)
        return record.seen is None or record.is_unhandled

    # -- one stack -----------------------------------------------------------------------------------------------------

    def _visit(self, stack: WatchedStack, memory: _Memory) -> None:
        memory.has_failed = memory.has_healed = False
        try:
            look = self._look(stack, memory)
            self._record(stack, memory, look)
            if self._wishes.heal and self._may_go_on(memory):
                self._heal(stack, memory, look)
                if self._wishes.once and memory.has_healed:
                    self._record(stack, memory, self._look(stack, memory))  # the exit code tells what is now
        except StackUnreachableError as error:
            self._unreachable(stack, memory, str(error))
        except StackBusyError as error:
            memory.has_failed = True
            self._busy(stack, memory, error)
        else:
            if not memory.look or not memory.look.unknown:
                self._looks.record_success(stack.name)
                if memory.is_unreachable:
                    memory.is_unreachable = False
                    self._tell(stack, Event(Kind.REACHABLE, "the stack and the service can be reached again"))
            memory.is_waiting_for_stack = False

    def _may_go_on(self, memory: _Memory) -> bool:
        """Whether the next operation may begin; where it may not, the round did not do all that it should."""
        is_stopping = self._is_stopping()
        memory.has_failed |= is_stopping
        return not is_stopping

    def _look(self, stack: WatchedStack, memory: _Memory) -> Look:
        """Look, tell what has changed, and remember it."""
        look = stack.look()
        for cluster in look.clusters:
            before = memory.live.get(cluster.urn, cluster.recorded)
            for event in changes(before, cluster):
                self._tell(stack, event)
            if not cluster.problem:
                memory.live[cluster.urn] = cluster.live
            if not cluster.is_waiting and not cluster.problem:
                memory.left = {entry for entry in memory.left if entry[0] != cluster.urn}
        present = {cluster.urn for cluster in look.clusters}
        memory.live = {urn: outputs for urn, outputs in memory.live.items() if urn in present}
        memory.look = look
        if look.unknown:
            self._unreachable(stack, memory, look.unknown[0].problem)
        return look

    def _record(self, stack: WatchedStack, memory: _Memory, look: Look) -> None:
        """Let the state say what the service says."""
        if look.unrecorded and self._may_go_on(memory):
            self._patiently(stack, memory, lambda: stack.record(look.unrecorded))

    def _unreachable(self, stack: WatchedStack, memory: _Memory, problem: str) -> None:
        memory.has_failed = True
        delay = self._looks.record_failure(stack.name, self._clock.now())
        if not memory.is_unreachable:
            memory.is_unreachable = True
            again = "" if self._wishes.once else f"; the next look is in {delay:.0f} s"
            self._tell(stack, Event(Kind.UNREACHABLE, f"{problem}{again}"))

    def _busy(self, stack: WatchedStack, memory: _Memory, error: StackBusyError) -> None:
        if not memory.is_waiting_for_stack:
            memory.is_waiting_for_stack = True
            self._tell(stack, Event(Kind.WAITING_FOR_STACK, str(error)))

    def _patiently(self, stack: WatchedStack, memory: _Memory, operation: Callable[[], Any]) -> Any:
        """Do something that takes the stack's lock. `--once` waits for it; else the next round tries again."""
        began, delay = self._clock.now(), 2.0
        while True:
            try:
                return operation()
            except StackBusyError as error:  # noqa: PERF203 - seconds lie between two tries
                is_over = self._clock.now() - began >= _PATIENCE_SECONDS
                if not self._wishes.once or is_over or self._is_stopping():
                    raise
                self._busy(stack, memory, error)
                self._clock.sleep(delay)
                delay = min(delay * 2, 30.0)

    # -- healing -------------------------------------------------------------------------------------------------------

    def _heal(self, stack: WatchedStack, memory: _Memory, look: Look) -> None:
        targets = candidates(look)
        left = pending(look, targets)
        waiting = [one for one in look.clusters if one.urn in targets]
        if self._wishes.apply_all and (left or waiting):
            if not self._is_due(stack, ""):
                return
            if len(self._within_limit(stack, memory, waiting)) == len(waiting):
                self._apply_all(stack, memory, waiting)
                return
            # An `up` of everything would heal more than the hour's limit: those within it are healed alone.
        if not look.unknown:
            self._leave_alone(stack, memory, look, left)
        due = self._within_limit(stack, memory, [one for one in waiting if self._is_due(stack, one.urn)])
        if due and not self._heal_some(stack, memory, look, due):
            for cluster in due:
                if self._may_go_on(memory):
                    self._heal_some(stack, memory, look, [cluster])

    def _heal_some(self, stack: WatchedStack, memory: _Memory, look: Look, clusters: Sequence[Cluster]) -> bool:
        """Heal some clusters in one `up`; return False where one of several can keep the others from it.

        The plan ties the `up` to what was previewed: where program or service have changed meanwhile, it does nothing
        else, and is planned anew.
        """
        fleets = fleets_of(look, clusters)
        for _ in range(_TRIES):
            if not clusters:
                return True
            own = [cluster.urn for cluster in clusters]
            with plan_file() as plan:
                preview = stack.preview([*own, *fleets], plan)
                refused = [] if preview.problem else list(refusals(preview, own, self._is_alone))
                if fleets and (preview.problem or any(refusal.urn in fleets for refusal in refused)):
                    fleets = []  # a person's edit of the fleet, such as its size: its members are healed without it
                    continue
                if preview.problem and len(clusters) > 1:
                    return False
                if preview.problem:
                    self._fail(stack, memory, clusters, preview.problem)
                    return True
                if refused:
                    clusters = self._refuse(stack, memory, clusters, refused)
                    continue
                steps = {step.urn: step for step in preview.changes}
                still = [cluster for cluster in clusters if cluster.urn in steps]
                if len(still) < len(clusters):
                    clusters = still  # the others run again, or somebody else has acted for them
                else:
                    clusters = self._do(stack, memory, clusters, steps, [*own, *fleets], plan)
        if clusters:
            self._fail(stack, memory, clusters, "each preview showed something else: the next round tries again")
        return True

    def _do(
        self,
        stack: WatchedStack,
        memory: _Memory,
        clusters: Sequence[Cluster],
        steps: Mapping[str, Step],
        targets: Sequence[str],
        plan: Path,
    ) -> list[Cluster]:
        """Do what was planned, and tell it; return the clusters that are to be planned anew."""
        if not self._may_go_on(memory):
            return []
        message = heal_message(cluster.name for cluster in clusters)
        outcome = self._patiently(stack, memory, lambda: stack.up(targets, plan, message))
        left = [cluster for cluster in clusters if cluster.urn not in outcome.done]
        for cluster in clusters:
            if cluster.urn in outcome.done:
                self._healed(stack, memory, cluster, steps[cluster.urn])
        if outcome.is_outdated or not (outcome.problem or outcome.failed):
            return left  # the program or the service has changed meanwhile, or somebody else has acted
        for cluster in left:
            self._fail(stack, memory, [cluster], outcome.failed.get(cluster.urn) or outcome.problem)
        return []

    def _healed(self, stack: WatchedStack, memory: _Memory, cluster: Cluster, step: Step) -> None:
        memory.has_healed = True
        self._heals.record_success(f"{stack.name} {cluster.urn}")
        more = {"action": step.verb, "policy": MAX_WAIT if moves_on(step) else step.olds.get("on_preemption")}
        prices = [props.get("max_price_per_hour") for props in (step.olds, step.news)]
        if step.verb == "update":
            more |= {"bid_before": prices[0], "bid": prices[1]}
        said = step.message or ("the bid was replaced" if step.verb == "replace" else "the bid was raised")
        self._tell(stack, Event(Kind.HEALED, said, cluster, more))

    def _fail(self, stack: WatchedStack, memory: _Memory, clusters: Sequence[Cluster], problem: str) -> None:
        memory.has_failed = True
        for cluster in clusters:
            delay = self._heals.record_failure(f"{stack.name} {cluster.urn}", self._clock.now())
            self._tell(stack, Event(Kind.HEAL_FAILED, problem, cluster, {"retry_in_seconds": round(delay)}))

    def _refuse(
        self, stack: WatchedStack, memory: _Memory, clusters: Sequence[Cluster], refused: Sequence[Refusal]
    ) -> list[Cluster]:
        """Tell why clusters are left alone, and return the others; none where it is not about one of them."""
        by_urn = {refusal.urn: refusal for refusal in refused}
        about = [cluster for cluster in clusters if cluster.urn in by_urn]
        for cluster in about or clusters:
            refusal = by_urn.get(cluster.urn, refused[0])
            self._tell_once(stack, memory.left, (cluster.urn, refusal.reason, refusal.message), cluster)
        return [cluster for cluster in clusters if cluster not in about] if about else []

    def _is_due(self, stack: WatchedStack, urn: str) -> bool:
        return self._heals.is_due(f"{stack.name} {urn}", self._clock.now())

    def _within_limit(self, stack: WatchedStack, memory: _Memory, due: list[Cluster]) -> list[Cluster]:
        """Return those that may be healed within the limit of the hour, by the stack's own history."""
        if not due:
            return due
        limit = self._wishes.max_heals_per_hour
        now = self._clock.utc()
        room = max(0, limit - heals_within(stack.updates(now - HOUR), now))
        for cluster in due[room:]:
            memory.has_failed = True
            message = f"not healed now: --max-heals-per-hour is {limit}, and as many were healed within the last hour"
            self._tell_once(stack, memory.left, (cluster.urn, "heal_limit", message), cluster)
        return due[:room]

    def _leave_alone(self, stack: WatchedStack, memory: _Memory, look: Look, left: Sequence[Step]) -> None:
        """Name what an `up` would do beside healing, once as long as it stays the same."""
        by_urn = {cluster.urn: cluster for cluster in look.clusters}
        entries = {
            (step.urn, "pending_edits", f"not applied: {names([step])} is left to `pulumi up`")
            for step in left
            if step.type != "pulumi:pulumi:Stack"
        }
        if look.preview.problem:
            entries.add(("", "preview_failed", f"the program could not be previewed: {look.preview.problem}"))
        memory.edits &= entries
        for entry in sorted(entries):
            self._tell_once(stack, memory.edits, entry, by_urn.get(entry[0]))

    def _tell_once(
        self,
        stack: WatchedStack,
        known: set[tuple[str, str, str]],
        entry: tuple[str, str, str],
        cluster: Cluster | None,
    ) -> None:
        if entry in known:
            return
        known.add(entry)
        urn, reason, message = entry
        more = (
            {"reason": reason} if cluster or not urn else {"reason": reason, "resource": logical_name(urn), "urn": urn}
        )
        self._tell(stack, Event(Kind.LEFT_ALONE, message, cluster, more))

    def _apply_all(self, stack: WatchedStack, memory: _Memory, clusters: Sequence[Cluster]) -> None:
        """Do all that an `up` would do, as it was previewed."""
        with plan_file() as plan:
            preview = stack.preview((), plan)
            steps = {step.urn: step for step in preview.changes}
            if preview.problem or not steps:
                if preview.problem:
                    self._fail_all(stack, memory, preview.problem)
                return
            names_ = [cluster.name for cluster in clusters]
            message = heal_message(names_) if names_ else "flow-resources watch: apply all"
            outcome = self._patiently(stack, memory, lambda: stack.up((), plan, message))
        for cluster in clusters:
            if cluster.urn in outcome.done:
                self._healed(stack, memory, cluster, steps[cluster.urn])
        if outcome.problem:
            self._fail_all(stack, memory, outcome.problem)
        else:
            self._heals.record_success(f"{stack.name} ")

    def _fail_all(self, stack: WatchedStack, memory: _Memory, problem: str) -> None:
        memory.has_failed = True
        delay = self._heals.record_failure(f"{stack.name} ", self._clock.now())
        self._tell(stack, Event(Kind.HEAL_FAILED, problem, None, {"retry_in_seconds": round(delay)}))
